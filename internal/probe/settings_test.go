package probe

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// asReasoning are the settings that OpenAI's models that reason refuse.
var asReasoning = []string{"max_tokens", "top_p", "temperature=1"}

// outcomesOf counts the outcomes of a record's questions by detector.
func outcomesOf(r *Record, o Outcome) map[verdict.ID]int {
	n := map[verdict.ID]int{}
	for _, x := range r.Exchanges {
		if x.Reply.Outcome == o {
			n[x.By]++
		}
	}
	return n
}

// TestRefusedSettings: what an endpoint refuses is asked for once and left out of all later
// questions, the report says so, and a replay comes to the same. Detectors work as on an
// endpoint that takes everything.
func TestRefusedSettings(t *testing.T) {
	profile := Profile{"test", map[verdict.ID]int{"D1": 80, "D8": 16, "D9": 10, "D10": 12}}
	plain := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	before, _ := run(t, Config{Subject: auditedAt(t, plain.BaseURL()), Profile: profile})
	if len(before.LeftOut) != 0 {
		t.Fatalf("left out %q", before.LeftOut)
	}
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed", Refuses: asReasoning})
	r, record := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Profile: profile})
	if want := []string{"top_p", "temperature 0"}; !slices.Equal(r.LeftOut, want) {
		t.Errorf("left out %q, want %q", r.LeftOut, want)
	}
	if !strings.Contains(strings.Join(r.Coverage, "\n"), "Left out of questions, since the endpoint refuses it: top_p, temperature 0.") {
		t.Errorf("the report does not say it: %q", r.Coverage)
	}
	if n := outcomesOf(record, Refused); n["preflight"] != 2 || n["D8"] != 1 || n["D1"] != 0 || n["D9"] != 0 || n["D10"] != 0 {
		t.Errorf("refused: %v", n)
	}
	for i, d := range r.Detectors {
		if d.State != before.Detectors[i].State || d.Failures != 0 {
			t.Errorf("%s: %s (%s), %d failures; where nothing is refused %s", d.ID, d.State, d.Reason, d.Failures, before.Detectors[i].State)
		}
	}
	for _, x := range record.Exchanges {
		if q := x.Ask; x.Reply.OK() && x.By != "preflight" && (q.TopP != nil || q.MaxTokens > 0 && q.Limit != newLimit || q.Temperature != nil && *q.Temperature != 1) {
			t.Errorf("%s asks %+v", x.By, q)
		}
	}
	checkFile(t, record)
	again := reopened(t, record)
	again.Report.LeftOut = again.Report.LeftOut[:1]
	if _, err := again.Verify(t.Context()); err == nil {
		t.Error("a report that leaves one out verifies")
	}
}

// TestOtherProtocol: where the reference was recorded with a setting that the endpoint does
// not take, answers are not compared, and nothing is held against it.
func TestOtherProtocol(t *testing.T) {
	ref := enrolled(t, auditedAt(t, startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"}).BaseURL()))
	other := startOracle(t, &upstreamtest.Oracle{Seed: "three", Family: "other", Refuses: []string{"top_p"}})
	r, record := run(t, Config{Subject: auditedAt(t, other.BaseURL()), Reference: ref, Profile: onlyWords(100)})
	d := resultOf(t, r, "D3")
	if d.State != verdict.NotApplicable || !strings.Contains(d.Reason, "the reference was recorded with top_p, which the endpoint refuses") {
		t.Errorf("%s: %s", d.State, d.Reason)
	}
	if v := verdictOn(t, r, verdict.Same); v.Tested || r.Headline != verdict.NotTested {
		t.Errorf("%+v, %s", v, r.Headline)
	}
	checkFile(t, record)

	// A temperature of 1 is what such models take, and a bound by its other name is one.
	honest := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed", Refuses: []string{"temperature=1", "max_tokens"}})
	r, record = run(t, Config{Subject: auditedAt(t, honest.BaseURL()), Reference: ref, Profile: onlyWords(60)})
	if v := verdictOn(t, r, verdict.Same); !v.Tested || r.Headline != verdict.NoDifference || len(r.LeftOut) != 0 {
		t.Errorf("%+v, %s, left out %q", v, r.Headline, r.LeftOut)
	}
	checkFile(t, record)

	var compare []verdict.ID
	for _, d := range detectors {
		if d.compares {
			compare = append(compare, d.id)
		}
	}
	if want := []verdict.ID{"D3", "D5", "D6", "D13", "D11", "D12"}; !slices.Equal(compare, want) {
		t.Errorf("%q compare with a stored reference, want %q", compare, want)
	}
}

// picky refuses questions of another subject.
type picky struct {
	Subject
	refuses func(*Ask) *llm.Failure
}

func (p *picky) Ask(ctx context.Context, a *Ask) *Reply {
	if f := p.refuses(a); f != nil {
		return &Reply{Outcome: Refused, Status: 400, Failure: f}
	}
	return p.Subject.Ask(ctx, a)
}

// TestRefusedLater: a setting that turns out to be refused while answers are compared with
// a stored reference's ends the comparison without evidence, although the answers to the
// questions without it differ.
func TestRefusedLater(t *testing.T) {
	ref := recordedNumbers(t, knowerOf("claimed", "reference"), 60, "record")
	suspect := &picky{knowerOf("cheap", "suspect"), func(a *Ask) *llm.Failure {
		if a.Temperature != nil && *a.Temperature == 0 {
			return &llm.Failure{Message: "Unsupported value: 'temperature' does not support 0 with this model.", Code: "unsupported_value"}
		}
		return nil
	}}
	r, record := run(t, Config{Subject: suspect, Reference: ref, Profile: Profile{"test", map[verdict.ID]int{"D11": 60}}, Now: testNow})
	d := resultOf(t, r, "D11")
	if d.State != verdict.Inconclusive || !strings.Contains(d.Reason, "temperature, which the endpoint refuses") || r.Headline.Finding() {
		t.Errorf("%s: %s, %s", d.State, d.Reason, r.Headline)
	}
	if v := verdictOn(t, r, verdict.Same); v.MaxLogE > 0 {
		t.Errorf("evidence of 10^%g", v.MaxLogE)
	}
	checkFile(t, record)
}

// TestPreflightSettings: a plain question is put again without what was refused, without
// all of it where the refusal does not say which, and never without its bound because that
// is out of range.
func TestPreflightSettings(t *testing.T) {
	refuse := func(text string, when func(*Ask) bool) func(*Ask) *llm.Failure {
		return func(a *Ask) *llm.Failure {
			if when(a) {
				return &llm.Failure{Message: text}
			}
			return nil
		}
	}
	hot := func(a *Ask) bool { return a.Temperature != nil }
	both := func(a *Ask) bool { return a.Temperature != nil && a.TopP != nil }
	for name, c := range map[string]struct {
		refuses func(*Ask) *llm.Failure
		left    []string
		asked   int
		usable  bool
	}{
		"nothing":         {refuse("", func(*Ask) bool { return false }), nil, 1, true},
		"temperature":     {refuse("temperature is deprecated for this model", hot), []string{"temperature"}, 2, true},
		"one of two":      {refuse("temperature and top_p cannot both be specified", both), []string{"top_p"}, 2, true},
		"it does not say": {refuse("bad request", hot), []string{"top_p", "temperature"}, 2, true},
		"any bound": {
			refuse("max_tokens, max_completion_tokens: Extra inputs are not permitted", func(a *Ask) bool { return a.MaxTokens > 0 }),
			[]string{newLimit},
			3, true,
		},
		"the bound is too small": {refuse("max_tokens must be at least 100", func(a *Ask) bool { return a.MaxTokens > 0 }), nil, 2, false},
		"the question itself":    {refuse("no such model", func(*Ask) bool { return true }), nil, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Subject: &picky{knowerOf("claimed", "x"), c.refuses}, Profile: Profile{"test", map[verdict.ID]int{"D10": 12}}, Price: free, Beacon: testBeacon("1")}
			r, record, err := Run(t.Context(), cfg)
			asked := 0
			for _, x := range record.Exchanges {
				if x.By == "preflight" {
					asked++
				}
			}
			if (err == nil) != c.usable || asked != c.asked || !slices.Equal(r.LeftOut, c.left) {
				t.Errorf("%v, %d questions, left out %q; want %d and %q", err, asked, r.LeftOut, c.asked, c.left)
			}
			checkFile(t, record)
		})
	}
}

// TestRefusalAsAnswer: a question with members that should be refused teaches nothing of
// its settings.
func TestRefusalAsAnswer(t *testing.T) {
	r := &Reply{Outcome: Refused, Status: 400, Failure: &llm.Failure{Message: "max_tokens and max_completion_tokens cannot both be set"}}
	for members, want := range map[string]bool{"": true, `{"max_completion_tokens":16}`: false} {
		p, q := &Plan{}, &Ask{MaxTokens: 16}
		if members != "" {
			q.Extra = []byte(members)
		}
		if p.refused.learn(q, r) != want || len(p.refused) > 0 != want {
			t.Errorf("with %q: learnt %q", members, p.refused)
		}
	}
}

// TestRecordedWithout: a reference is recorded of a source that refuses settings, without
// them, and says so in its protocol. An audit against it leaves them out as well, without
// asking whether they are taken, and comes to the same of the source and of another model.
func TestRecordedWithout(t *testing.T) {
	source := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed", Refuses: asReasoning})
	ref := enrolled(t, auditedAt(t, source.BaseURL()))
	if p := ref.Protocol; p.TopP != recordedDefault || p.Temperature != "1" || p.MaxTokens != wordTokens {
		t.Errorf("recorded with %+v", p)
	}
	for _, c := range []struct {
		name    string
		oracle  *upstreamtest.Oracle
		differs bool
	}{
		{"the source", &upstreamtest.Oracle{Seed: "one", Family: "claimed", Refuses: asReasoning}, false},
		{"one that takes everything", &upstreamtest.Oracle{Seed: "one", Family: "claimed"}, false},
		{"another model", &upstreamtest.Oracle{Seed: "three", Family: "other", Refuses: asReasoning}, true},
	} {
		r, record := run(t, Config{Subject: auditedAt(t, startOracle(t, c.oracle).BaseURL()), Reference: ref, Profile: onlyWords(200)})
		if v := verdictOn(t, r, verdict.Same); !v.Tested || (v.MaxLogE >= 2) != c.differs || !slices.Contains(r.LeftOut, "top_p") {
			t.Errorf("%s: %+v, %s, left out %q", c.name, v, r.Headline, r.LeftOut)
		}
		for _, x := range record.Exchanges {
			if x.Ask.TopP != nil {
				t.Errorf("%s is asked with top_p", c.name)
				break
			}
		}
		checkFile(t, record)
	}
}
