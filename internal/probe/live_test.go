package probe

import (
	"testing"

	"sallyport/internal/exam"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// TestLiveReference: a trusted endpoint that answers beside the audited one is a
// reference too; the record holds its answers, and verifies.
func TestLiveReference(t *testing.T) {
	claimed := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	same := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	other := startOracle(t, &upstreamtest.Oracle{Seed: "two", Family: "other"})
	for name, c := range map[string]struct {
		url   string
		label verdict.Label
	}{"the same": {same.BaseURL(), verdict.NoDifference}, "another": {other.BaseURL(), verdict.Differs}} {
		t.Run(name, func(t *testing.T) {
			r, record := run(t, Config{Subject: auditedAt(t, c.url), Trusted: auditedAt(t, claimed.BaseURL()), Why: "a test", Profile: onlyWords(60)})
			if v := verdictOn(t, r, verdict.Same); v.Label != c.label || !v.Tested || v.N < 10 {
				t.Errorf("%+v", v)
			}
			if v := verdictOn(t, r, verdict.Honest); v.Tested {
				t.Errorf("H_honest with one deployment: %+v", v)
			}
			if r.Reference == nil || r.Reference.Reason != "a test" || r.Reference.ID != "live" {
				t.Errorf("%+v", r.Reference)
			}
			checkFile(t, record)
		})
	}
}

// TestQuality: published questions are shown and weigh nothing.
func TestQuality(t *testing.T) {
	items := []exam.PublicItem{
		{Question: "What is 2 + 2?", Answer: "4", Licence: "CC0", Source: "made up", Family: "sums"},
		{Question: "What is 3 + 4?", Answer: "7", Licence: "CC0", Source: "made up", Family: "sums"},
		{Question: "Which is a fruit?", Choices: []string{"apple", "stone"}, Answer: "apple", Licence: "CC0", Source: "made up"},
	}
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	r, record := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Quality: items, Profile: Profile{"quality", map[verdict.ID]int{"Q": 50}}})
	d := resultOf(t, r, "Q")
	if d.State != verdict.Ran || d.Queries != 3 || len(d.Evidence) != 0 || len(d.Charts) != 1 {
		t.Errorf("%+v", d)
	}
	if r.Headline != verdict.NotTested {
		t.Errorf("headline %q", r.Headline)
	}
	checkFile(t, record)
}

// TestCutShort: a relay that caps the length of answers says itself that they reached a
// bound which nobody asked for.
func TestCutShort(t *testing.T) {
	s, err := upstreamtest.Start(upstreamtest.Config{Key: "sk-audit", Behaviour: upstreamtest.Behaviour{Frames: 64}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for name, limit := range map[string]int64{"honest": 0, "capped": 8} {
		r, err := upstreamtest.StartRelay(upstreamtest.RelayConfig{Backend: s.BaseURL(), Sampler: upstreamtest.Sampler{MaxTokens: limit}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		report, record := run(t, Config{Subject: auditedAt(t, r.BaseURL()), Profile: Profile{"replays", map[verdict.ID]int{"D10": 12}}})
		found := false
		for _, f := range resultOf(t, report, "D10").Findings {
			found = found || f.Label == verdict.SettingsChanged
		}
		if found != (limit > 0) || (report.Headline == verdict.SettingsChanged) != (limit > 0) {
			t.Errorf("%s: headline %q, %+v", name, report.Headline, resultOf(t, report, "D10").Findings)
		}
		checkFile(t, record)
	}
}
