package probe_test

import (
	"strings"
	"testing"

	"sallyport/internal/probe"
	"sallyport/internal/tokens"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// oracle starts a simulated model.
func oracle(t testing.TB, o upstreamtest.Oracle) *upstreamtest.Server {
	t.Helper()
	s, err := upstreamtest.Start(upstreamtest.Config{Oracle: &o, NoDirectives: true, Models: []upstreamtest.Model{{ID: "gpt-4o"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// relayed starts a relay before a model that counts by o200k_base, with another one
// beside that counts by cl100k_base, and returns it as an endpoint to audit.
func relayed(t testing.TB, name string) *probe.Endpoint {
	t.Helper()
	cfg, err := upstreamtest.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Backend = oracle(t, upstreamtest.Oracle{Seed: "claimed", Family: "f", Tokens: tokens.Named("o200k_base"), Rate: 20000, Reasoning: 40}).URL()
	cfg.Cheap = oracle(t, upstreamtest.Oracle{Seed: "cheap", Family: "g", Tokens: tokens.Named("cl100k_base"), Rate: 20000}).URL()
	cfg.Bill.Vocabulary = tokens.Named("o200k_base")
	relay, err := upstreamtest.StartRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() })
	e, err := probe.NewEndpoint(probe.EndpointConfig{URL: relay.URL() + "/v1", Model: "gpt-4o"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// TestAccountingRelays audits relays: what each one does to the counts is named, and
// what it does not do is not.
func TestAccountingRelays(t *testing.T) {
	for name, says := range map[string][]string{
		"R0": nil, "R13": nil, "R13:normalised": nil, "R16:burst": nil, "R10": nil, "R15": nil,
		"R1":         nil, // recounts by the claimed vocabulary
		"R1n":        {"exactly by the vocabulary cl100k_base"},
		"R3n:.3":     {"requests that are alike"},
		"R11:30":     {"tokens more than expected"},
		"R11:150":    {"as much as a prompt of its own"},
		"R11:600":    {"as much as a long prompt of its own"},
		"R12:middle": {"they are cut or summarised"},
		"R12:tail":   {"they are cut or summarised"},
		"R14:x1.1":   {"are 1.10 times"},
		"R14:x1.5":   {"are 1.50 times", "does not add up"},
		"R14:+50":    {"50 tokens more than expected", "does not add up"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := run(t, relayed(t, name), nil, only("D1", 160), nil, 1)
			if r.State != verdict.Ran {
				t.Fatalf("%s: %s", r.State, r.Reason)
			}
			var all strings.Builder
			for _, f := range r.Findings {
				all.WriteString(f.Text + "\n")
			}
			if len(r.Findings) != len(says) {
				t.Errorf("found %q, not %q\n%+v", all.String(), says, r.Facts)
			}
			for _, s := range says {
				if !strings.Contains(all.String(), s) {
					t.Errorf("found %q, not %q\n%+v", all.String(), s, r.Facts)
				}
			}
			t.Logf("%d questions, %s", r.Queries, all.String())
		})
	}
}

// TestBillingRelays audits how relays bill answers, hidden reasoning beside a trusted
// endpoint.
func TestBillingRelays(t *testing.T) {
	trusted := relayed(t, "R0")
	for name, says := range map[string]string{
		"R0": "", "R16:burst": "", "R11:150": "",
		"R14:x1.1": "visible output tokens", "R14:+50": "visible output tokens", "R14:reasoning": "hidden reasoning tokens are",
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := run(t, relayed(t, name), trusted, only("D7", 200), nil, 1)
			var all strings.Builder
			for _, f := range r.Findings {
				all.WriteString(f.Text + "\n")
			}
			if r.State != verdict.Ran || says == "" && all.String() != "" || !strings.Contains(all.String(), says) {
				t.Errorf("%s %s: found %q, not %q\n%+v", r.State, r.Reason, all.String(), says, r.Facts)
			}
			t.Logf("%d questions, E >= 100 after %d answers, %s", r.Queries, firstAt(r, verdict.Billing, 2), all.String())
		})
	}
}
