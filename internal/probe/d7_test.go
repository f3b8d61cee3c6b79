package probe_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/probe"
	"sallyport/internal/verdict"
)

// firstAt is after how many observations a detector's e-value first reached a decimal
// logarithm; 0 when never.
func firstAt(r *verdict.Result, n verdict.Null, log10 float64) int {
	for _, e := range r.Evidence {
		for _, p := range e.Curve {
			if e.Null == n && p.Y >= log10 {
				return int(p.X)
			}
		}
	}
	return 0
}

// honestEnd counts the token that ends an answer as well, as some endpoints do.
func honestEnd(n int64) int64 { return n + 1 }

// TestBillingPower finds 10 % more reported output tokens within 100 answers, whatever
// the seed.
func TestBillingPower(t *testing.T) {
	liar := (&counter{answer: prose, out: func(n int64) int64 { return int64(math.Round(1.1 * float64(n))) }}).serve(t)
	var needed []int
	for seed := range 40 {
		r, report := run(t, liar, nil, only("D7", 100), nil, seed)
		n := firstAt(r, verdict.Billing, 2)
		if n == 0 || len(r.Findings) != 1 || r.Findings[0].Label != verdict.BillingInconsistent || report.Headline != verdict.BillingInconsistent {
			t.Fatalf("seed %d: E >= 100 after %d answers, %s, %+v %+v", seed, n, report.Headline, r.Findings, r.Facts)
		}
		needed = append(needed, n)
	}
	slices.Sort(needed)
	t.Logf("answers to E >= 100 at 1.1: median %d, from %d to %d", needed[20], needed[0], needed[39])
	if needed[20] > 60 {
		t.Errorf("median %d", needed[20])
	}
}

// TestBillingNeverAccusesHonest audits an endpoint that counts the end of an answer as
// a token, under many seeds.
func TestBillingNeverAccusesHonest(t *testing.T) {
	honest := (&counter{answer: prose, out: honestEnd}).serve(t)
	for seed := range 200 {
		r, report := run(t, honest, nil, only("D7", 40), nil, seed)
		if e, has := logE(r, verdict.Billing); !has || e > 0 || len(r.Findings) != 0 || report.Headline != verdict.NotTested {
			t.Fatalf("seed %d: log10 E %.2f (%v), %s, %+v", seed, e, has, report.Headline, r.Findings)
		}
	}
}

// TestBilling has other ways to report output.
func TestBilling(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint, trusted *counter
		says              string
	}{
		"times 1.5":     {endpoint: &counter{answer: prose, out: times(1.5)}, says: "(+50"},
		"under":         {endpoint: &counter{answer: prose, out: times(.8)}},
		"alike beside":  {endpoint: &counter{answer: prose, reasoning: 3}, trusted: &counter{answer: prose, reasoning: 3}},
		"hidden beside": {endpoint: &counter{answer: prose, reasoning: 9}, trusted: &counter{answer: prose, reasoning: 2}, says: "hidden reasoning tokens are 3.33 times"},
		"at once":       {endpoint: &counter{answer: prose, reasoning: 1e6}},
		"hostile":       {endpoint: &counter{hostile: strings.Repeat("%s <script>\x00\xff ", 40)}},
		"short":         {endpoint: &counter{out: times(2)}},
	} {
		t.Run(name, func(t *testing.T) {
			var trusted probe.Subject
			if test.trusted != nil {
				trusted = test.trusted.serve(t)
			}
			r, report := run(t, test.endpoint.serve(t), trusted, only("D7", 100), nil, 1)
			if r.State != verdict.Ran {
				t.Fatalf("%s: %s", r.State, r.Reason)
			}
			if test.says == "" {
				if len(r.Findings) != 0 {
					t.Errorf("findings %+v", r.Findings)
				}
				return
			}
			if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Text, test.says) || r.Findings[0].Veto || report.Headline != verdict.BillingInconsistent {
				t.Errorf("%s: %+v\n%+v", report.Headline, r.Findings, r.Facts)
			}
		})
	}
}

// TestBillingReference takes the honest excess from a reference, and says when that
// bounds nothing.
func TestBillingReference(t *testing.T) {
	ref := record(t, &counter{answer: words, vocabulary: "o200k_base"})
	if len(ref.Excess) != 40 || ref.Rates["chars_per_token"] < 3 || len(ref.Notes) != 0 {
		t.Fatalf("recorded %v %v %v", ref.Excess, ref.Rates, ref.Notes)
	}
	r, _ := run(t, (&counter{answer: prose, out: times(1.1)}).serveAs(t, "my-model"), nil, only("D7", 100), ref, 1)
	facts := map[string]string{}
	for _, f := range r.Facts {
		facts[f.Name] = f.Value
	}
	if !strings.Contains(facts["honest excess"], "assumed; the reference's mean is 0.000, which its 40 answers bound by 0.") {
		t.Errorf("honest excess: %s", facts["honest excess"])
	}
	if len(r.Findings) != 1 || !strings.Contains(facts["characters by reported token"], "the reference's") {
		t.Errorf("findings %+v, facts %v", r.Findings, facts)
	}
}

// TestBillingFailures loses answers, and has none that tell usage.
func TestBillingFailures(t *testing.T) {
	if r, _ := run(t, (&counter{answer: prose, fails: true, out: times(2)}).serve(t), nil, only("D7", 100), nil, 1); r.State != verdict.Inconclusive {
		t.Errorf("failing: %s %+v", r.State, r.Findings)
	}
	if r, _ := run(t, (&counter{answer: prose, silent: true}).serve(t), nil, only("D7", 40), nil, 1); r.State != verdict.Inconclusive {
		t.Errorf("without usage: %s %+v", r.State, r.Findings)
	}
}
