package probe_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/secret"
	"sallyport/internal/tokens"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// times multiplies counts, and rounds as a biller would.
func times(m float64) func(int64) int64 {
	return func(n int64) int64 { return int64(math.Ceil(m * float64(n))) }
}

// TestAccounting runs the detector against endpoints that count in different ways and
// demands the finding, and nothing but it.
func TestAccounting(t *testing.T) {
	all := func(n int64) map[string]int64 { return map[string]int64{"plain": n, "system": n, "tool": n} }
	for name, test := range map[string]struct {
		endpoint *counter
		label    verdict.Label // none when empty
		null     verdict.Null
		says     string
		also     bool // another hypothesis is hurt as well
	}{
		"honest":            {endpoint: &counter{}},
		"other vocabulary":  {endpoint: &counter{vocabulary: "cl100k_base"}, label: verdict.Differs, null: verdict.Same, says: "exactly by the vocabulary cl100k_base"},
		"times 1.1":         {endpoint: &counter{scale: times(1.1)}, label: verdict.BillingInconsistent, null: verdict.Billing, says: "are 1.10 times"},
		"times 1.5":         {endpoint: &counter{scale: times(1.5)}, label: verdict.BillingInconsistent, null: verdict.Billing, says: "are 1.50 times"},
		"estimated":         {endpoint: &counter{estimate: true}, label: verdict.BillingInconsistent, null: verdict.Billing, says: "the number of bytes (0.25"},
		"hidden 30":         {endpoint: &counter{hidden: all(30)}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "30 tokens more than expected, in the shapes [plain system] (suspicious"},
		"hidden 150":        {endpoint: &counter{hidden: all(150)}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "150 tokens more than expected, in the shapes [plain system] (confirmed"},
		"hidden 600, x 1.5": {endpoint: &counter{hidden: all(600), scale: times(1.5)}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: " tokens more than expected, in the shapes [plain system] (confirmed; as much as a long", also: true},
		"default prompt":    {endpoint: &counter{hidden: map[string]int64{"plain": 40}}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "only where no system prompt is sent"},
		"cached prefix":     {endpoint: &counter{cached: 128}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "128 tokens of prompts that begin with something new"},
		"template cached":   {endpoint: &counter{cached: 16}},
		"cut":               {endpoint: &counter{atMost: 600}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "of a long prompt are not counted"},
		"streams differ":    {endpoint: &counter{streams: 7}, label: verdict.BillingInconsistent, null: verdict.Billing, says: "as a stream, each time"},
		"no cut told":       {endpoint: &counter{hush: true}, label: verdict.BillingInconsistent, null: verdict.Billing, says: "do not say that they were cut"},
		"total too small":   {endpoint: &counter{total: -5}, label: verdict.BillingInconsistent, null: verdict.Billing, says: "total is less than its parts"},
		"answer too long":   {endpoint: &counter{out: func(n int64) int64 { return n + 50 }}, label: verdict.BillingInconsistent, null: verdict.Billing, says: "visible tokens are reported of an answer bounded to"},
		"cached and billed": {endpoint: &counter{cached: 1 << 20}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "come from a cache"},
		"hostile":           {endpoint: &counter{hostile: "<script>\x1b[2J%s%n\" '; --"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := run(t, test.endpoint.serve(t), nil, only("D1", 160), nil, 1)
			if r.State != verdict.Ran || r.Queries == 0 {
				t.Fatalf("%s: %s", r.State, r.Reason)
			}
			want := 1
			if test.label == "" {
				want = 0
			}
			if test.also {
				want = 2
			}
			if len(r.Findings) != want {
				t.Fatalf("findings %+v, want %d\nfacts %+v", r.Findings, want, r.Facts)
			}
			found := want == 0
			for _, f := range r.Findings {
				found = found || f.Label == test.label && f.Null == test.null && strings.Contains(f.Text, test.says)
				if f.Veto {
					t.Errorf("a veto: %+v", f)
				}
			}
			if !found {
				t.Errorf("findings %+v", r.Findings)
			}
			for _, n := range []verdict.Null{verdict.Billing, verdict.Integrity} {
				e, has := logE(r, n)
				if mismatch := want > 0 && (n == test.null || test.also); !has || mismatch != (e > 1) {
					t.Errorf("log10 E against %s is %.2f (%v)", n, e, has)
				}
			}
			if _, has := logE(r, verdict.Same); has {
				t.Error("without a reference something is said of H_same")
			}
		})
	}
}

// TestAccountingNeverAccusesHonest audits an honest endpoint under many seeds.
func TestAccountingNeverAccusesHonest(t *testing.T) {
	e := (&counter{}).serve(t)
	for seed := range 200 {
		r, report := run(t, e, nil, only("D1", 80), nil, seed)
		for _, n := range []verdict.Null{verdict.Billing, verdict.Integrity} {
			if x, has := logE(r, n); !has || x > 0 {
				t.Fatalf("seed %d: log10 E against %s is %.2f (%v)", seed, n, x, has)
			}
		}
		if len(r.Findings) != 0 || report.Headline != verdict.NotTested {
			t.Fatalf("seed %d: %s, %+v", seed, report.Headline, r.Findings)
		}
	}
}

// TestAccountingDilution mixes two tokenizers behind one endpoint.
func TestAccountingDilution(t *testing.T) {
	found := 0
	for seed := range 20 {
		c := counter{share: .3, other: "cl100k_base"}
		r, _ := run(t, c.serve(t), nil, only("D1", 160), nil, seed)
		for _, f := range r.Findings {
			if f.Label != verdict.Differs || f.Null != verdict.Same || !strings.Contains(f.Text, "requests that are alike") {
				t.Fatalf("seed %d: %+v", seed, f)
			}
			found++
		}
	}
	if found < 18 {
		t.Errorf("found %d of 20", found)
	}
}

// TestAccountingCannotTell has no usage, failures, and a model of which nothing is known.
func TestAccountingCannotTell(t *testing.T) {
	r, _ := run(t, (&counter{silent: true}).serve(t), nil, only("D1", 80), nil, 1)
	if r.State != verdict.Inconclusive || len(r.Evidence) != 0 {
		t.Errorf("without usage: %s %+v", r.State, r.Evidence)
	}
	e := (&counter{vocabulary: "cl100k_base"}).serveAs(t, "my-model")
	if r, _ = run(t, e, nil, only("D1", 80), nil, 1); len(r.Findings) != 0 {
		t.Errorf("of an unknown model: %+v", r.Findings)
	}
	e = (&counter{}).serveAs(t, "anthropic/claude-sonnet-4-5")
	if r, _ = run(t, e, nil, only("D1", 80), nil, 1); len(r.Findings) != 1 || r.Findings[0].Label != verdict.Differs || r.Queries != 61 { // 15 of them again
		t.Errorf("Claude counted by another vendor's vocabulary: %+v", r.Findings)
	}
	e = (&counter{}).serve(t)
	if r, _ = run(t, e, nil, only("D1", 1), nil, 1); r.State != verdict.Ran || len(r.Findings) != 0 {
		t.Errorf("with one question: %s %+v", r.State, r.Findings)
	}
}

// TestAccountingFailures loses more than a fifth of the answers.
func TestAccountingFailures(t *testing.T) {
	r, report := run(t, (&counter{fails: true, scale: times(2)}).serve(t), nil, only("D1", 80), nil, 1)
	if r.State != verdict.Inconclusive || report.Headline != verdict.NotTested {
		t.Errorf("%s (%s), %s", r.State, r.Reason, report.Headline)
	}
}

// words answers word questions by one of four words, others at length.
func words(question string) string {
	if strings.Contains(question, "words") || strings.Contains(question, "sentences") {
		return prose(question)
	}
	return []string{"one", "two", "three", "four"}[rand.IntN(4)]
}

// record records a reference of an endpoint, as of a model of which nothing is known.
func record(t testing.TB, c *counter) *reference.Opened {
	t.Helper()
	return recordBy(t, c, nil)
}

// recordBy does so with a vocabulary from a file.
func recordBy(t testing.TB, c *counter, v *tokens.Vocabulary) *reference.Opened {
	t.Helper()
	ref, err := probe.Enrol(t.Context(), probe.Enrolment{
		Program: "test", Name: "r", Model: "my-model", Lifetime: time.Hour, Train: 8, Bank: 1, Parallel: 8, Tokenizer: v,
		Variants: []probe.Source{{Variant: reference.Variant{Name: "r", Class: "local"}, Subject: c.serveAs(t, "my-model")}},
		Price:    func(llm.Tokens) (price.Nano, bool) { return 0, true },
	})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	opened, err := reference.Seal(&file, nil, ref)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// TestAccountingFewFailures still says what an endpoint counts that fails now and then.
func TestAccountingFewFailures(t *testing.T) {
	r, _ := run(t, (&counter{garbles: 12, scale: times(2)}).serve(t), nil, only("D1", 160), nil, 1)
	if r.State != verdict.Ran || r.Failures == 0 || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Text, "are 2.00 times") {
		t.Errorf("%s (%s), %d failures, %+v %+v", r.State, r.Reason, r.Failures, r.Findings, r.Facts)
	}
	if r, _ = run(t, (&counter{garbles: 12}).serve(t), nil, only("D1", 160), nil, 1); len(r.Findings) != 0 {
		t.Errorf("honest: %+v", r.Findings)
	}
}

// TestAccountingReference compares with what a reference was recorded to count, of a
// model whose tokenizer is not known here.
func TestAccountingReference(t *testing.T) {
	ref := record(t, &counter{vocabulary: "cl100k_base", answer: words})
	if a := ref.Accounting; a == nil || len(a.Slopes) != 8 || len(a.Intercepts) != 3 || a.Vocabulary != "cl100k_base" || len(ref.Notes) != 0 {
		t.Fatalf("recorded %+v, notes %v", a, ref.Notes)
	}
	for name, test := range map[string]struct {
		endpoint *counter
		label    verdict.Label
		null     verdict.Null
		says     string
	}{
		"same":        {endpoint: &counter{vocabulary: "cl100k_base"}},
		"other":       {endpoint: &counter{}, label: verdict.Differs, null: verdict.Same, says: "exactly by the vocabulary o200k_base"},
		"tools alone": {endpoint: &counter{vocabulary: "cl100k_base", hidden: map[string]int64{"tool": 50}}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "only with tools"},
		"all":         {endpoint: &counter{vocabulary: "cl100k_base", hidden: map[string]int64{"tool": 33, "plain": 33, "system": 33}}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "[plain system tool] (confirmed"},
		"shorter":     {endpoint: &counter{vocabulary: "cl100k_base", hidden: map[string]int64{"tool": -20, "plain": -20, "system": -20}}, label: verdict.ModifiedPrompt, null: verdict.Integrity, says: "20 tokens less"},
		"a few":       {endpoint: &counter{vocabulary: "cl100k_base", hidden: map[string]int64{"tool": 8, "plain": 8, "system": 8}}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := run(t, test.endpoint.serveAs(t, "my-model"), nil, only("D1", 160), ref, 1)
			if test.label == "" {
				if e, has := logE(r, verdict.Same); len(r.Findings) != 0 || !has || e > 0 {
					t.Errorf("findings %+v, log10 E %.2f (%v)", r.Findings, e, has)
				}
				return
			}
			if len(r.Findings) != 1 || r.Findings[0].Label != test.label || r.Findings[0].Null != test.null || !strings.Contains(r.Findings[0].Text, test.says) {
				t.Errorf("findings %+v\nfacts %+v", r.Findings, r.Facts)
			}
			if e, _ := logE(r, test.null); e < 1 {
				t.Errorf("log10 E against %s is %.2f", test.null, e)
			}
		})
	}
	if ref := record(t, &counter{silent: true, answer: words}); ref.Accounting != nil || len(ref.Notes) != 2 {
		t.Errorf("without usage: %+v, notes %v", ref.Accounting, ref.Notes)
	}
}

// TestAccountingDialects asks in other formats. The providers estimate, a token for
// every four bytes, and are found to.
func TestAccountingDialects(t *testing.T) {
	for vendor, kind := range map[upstreamtest.Vendor]upstream.Kind{upstreamtest.Anthropic: upstream.Anthropic, upstreamtest.Gemini: upstream.Gemini} {
		server, err := upstreamtest.Start(upstreamtest.Config{Vendor: vendor, Key: "k", NoDirectives: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		path := map[upstream.Kind]string{upstream.Anthropic: "/v1", upstream.Gemini: "/v1beta"}[kind]
		e, err := probe.NewEndpoint(probe.EndpointConfig{URL: server.URL() + path, Kind: kind, Key: secret.New("k"), Model: upstreamtest.DefaultModels(vendor)[0].ID})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		r, _ := run(t, e, nil, only("D1", 80), nil, 1)
		if r.State != verdict.Ran || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Text, "the number of bytes (0.25") {
			t.Errorf("%s: %s %s, %+v %+v", kind, r.State, r.Reason, r.Findings, r.Facts)
		}
	}
}
