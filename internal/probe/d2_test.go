package probe

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/reference"
	"sallyport/internal/secret"
	"sallyport/internal/tokens"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// whileKnown is a time at which the facts hold.
var whileKnown = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// auditing is one audit of a test.
type auditing struct {
	url, model string
	kind       upstream.Kind
	now        time.Time
	beacon     string
	unsealed   bool // the record is not sealed and verified, for many runs
	reference  *reference.Opened
}

// run audits, seals the record, opens it again, and has it verified.
func (a auditing) run(t *testing.T) verdict.Result {
	t.Helper()
	_, r := a.report(t)
	return r
}

func (a auditing) report(t *testing.T) (*verdict.Report, verdict.Result) {
	t.Helper()
	e, err := NewEndpoint(EndpointConfig{URL: a.url, Kind: a.kind, Model: a.model, Key: secret.New("sk-test"), Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if a.now.IsZero() {
		a.now = whileKnown
	}
	report, record, err := Run(t.Context(), Config{
		Program: "test", Subject: e, Profile: Profile{"test", map[verdict.ID]int{"D2": 24}}, Reference: a.reference,
		Price: func(llm.Tokens) (price.Nano, bool) { return 0, true },
		Beacon: func(context.Context, string) (verdict.Beacon, error) {
			return verdict.Beacon{Value: a.beacon, Source: "test"}, nil
		},
		Now: func() time.Time { return a.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !a.unsealed {
		verifies(t, record)
	}
	for _, d := range report.Detectors {
		if d.ID == "D2" {
			if d.Queries > 24 {
				t.Errorf("%d questions were asked", d.Queries)
			}
			return report, d
		}
	}
	t.Fatal("D2 did not run")
	return nil, verdict.Result{}
}

// verifies seals a record, opens it again, and has it verified.
func verifies(t *testing.T, record *Record) {
	t.Helper()
	var sealed bytes.Buffer
	if err := record.Seal(&sealed, nil); err != nil {
		t.Fatal(err)
	}
	opened, _, err := OpenBundle(&sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Verify(t.Context()); err != nil {
		t.Errorf("the bundle does not verify: %v", err)
	}
	opened.Plan.FactsDate = "2026-01-01"
	if _, err := opened.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "facts of 2026-01-01") {
		t.Errorf("a bundle with other facts: %v", err)
	}
}

// fact is what was told under a name.
func fact(r verdict.Result, name string) string {
	var all []string
	for _, f := range r.Facts {
		if f.Name == name {
			all = append(all, f.Value)
		}
	}
	return strings.Join(all, "; ")
}

// told demands that a fact begins so.
func told(t *testing.T, r verdict.Result, name, begins string) {
	t.Helper()
	if got := fact(r, name); !strings.HasPrefix(got, begins) {
		t.Errorf("%s: %q, want %q", name, got, begins)
	}
}

// serve starts a provider.
func serve(t *testing.T, cfg upstreamtest.Config) *upstreamtest.Server {
	t.Helper()
	if cfg.Key == "" {
		cfg.Key = "sk-test"
	}
	s, err := upstreamtest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// relay starts a relay before a provider.
func relay(t *testing.T, cfg upstreamtest.RelayConfig) *upstreamtest.Relay {
	t.Helper()
	cfg.BackendKey = "sk-test"
	r, err := upstreamtest.StartRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func oracle(model string) *upstreamtest.Oracle {
	return &upstreamtest.Oracle{Seed: "d2", Family: "f", Tokens: tokens.Of(model)}
}

// silent demands that nothing was found.
func silent(t *testing.T, r verdict.Result) {
	t.Helper()
	if r.State != verdict.Ran {
		t.Errorf("state %s: %s", r.State, r.Reason)
	}
	for _, f := range r.Findings {
		t.Errorf("found %q: %s", f.Label, f.Text)
	}
	for _, e := range r.Evidence {
		if e.LogE > 0 {
			t.Errorf("E against %s is 10^%v", e.Null, e.LogE)
		}
	}
}

// TestCausalHonest audits the vendors' APIs.
func TestCausalHonest(t *testing.T) {
	for name, a := range map[string]struct {
		vendor upstreamtest.Vendor
		kind   upstream.Kind
		model  string
	}{
		"openai": {upstreamtest.OpenAI, upstream.OpenAI, "gpt-4o-mini"}, "reasoning": {upstreamtest.OpenAI, upstream.OpenAI, "gpt-5-mini"},
		"anthropic": {upstreamtest.Anthropic, upstream.Anthropic, "claude-sonnet-4-5"}, "gemini": {upstreamtest.Gemini, upstream.Gemini, "gemini-2.5-flash"},
	} {
		t.Run(name, func(t *testing.T) {
			r := auditing{url: serve(t, upstreamtest.Config{Vendor: a.vendor}).BaseURL(), kind: a.kind, model: a.model}.run(t)
			silent(t, r)
			told(t, r, "platform: wrong key and no key", "as documented")
			told(t, r, "identity: declared model", "as documented")
			told(t, r, "consistency: stream", "in the form of the API")
			told(t, r, "consistency: answers", "")
		})
	}
}

// TestCausalModel audits a model that does as it is told.
func TestCausalModel(t *testing.T) {
	s := serve(t, upstreamtest.Config{Oracle: oracle("gpt-4o-mini")})
	report, r := auditing{url: s.BaseURL(), model: "gpt-4o-mini"}.report(t)
	silent(t, r)
	for _, name := range []string{
		"consistency: system prompt", "consistency: unknown model", "platform: wrong key and no key", "translation: unknown member",
		"translation: strict schema", "identity: logit bias", "identity: tokens of answers", "identity: declared model",
	} {
		told(t, r, name, "as documented")
	}
	if report.Headline != verdict.NotTested {
		t.Errorf("headline %q, want %q: no reference, no test of identity", report.Headline, verdict.NotTested)
	}
	t.Logf("%d questions", r.Queries)
}

// TestCausalCalibrated audits an honest endpoint 200 times, with other questions each
// time: the mean of E must be at most 1, and nothing may be found.
func TestCausalCalibrated(t *testing.T) {
	s := serve(t, upstreamtest.Config{Oracle: oracle("gpt-4o-mini")})
	sum := 0.0
	const runs = 200
	for i := range runs {
		r := auditing{url: s.BaseURL(), model: "gpt-4o-mini", beacon: fmt.Sprint(i), unsealed: i > 0}.run(t)
		silent(t, r)
		for _, e := range r.Evidence {
			if e.Null == verdict.Same {
				sum += math.Pow(10, e.LogE)
			}
		}
	}
	if mean := sum / runs; mean > 1 || mean == 0 {
		t.Errorf("the mean of E is %v", mean)
	}
}

// found demands one finding, and evidence for it.
func found(t *testing.T, r verdict.Result, label verdict.Label, null verdict.Null, veto bool) {
	t.Helper()
	if r.State != verdict.Ran || len(r.Findings) == 0 {
		t.Fatalf("state %s %s, findings %v, facts %v", r.State, r.Reason, r.Findings, r.Facts)
	}
	for _, f := range r.Findings {
		if f.Label != label || f.Null != null || f.Veto != veto || !strings.HasPrefix(f.Source, "https://") {
			t.Errorf("found %+v, want %q against %s", f, label, null)
		}
	}
	for _, e := range r.Evidence {
		if e.Null == null && e.LogE <= 0 {
			t.Errorf("E against %s is 10^%v", e.Null, e.LogE)
		}
	}
}

// TestCausalLies finds what each lie comes to, and takes no rebuilt request and no
// open door for one.
func TestCausalLies(t *testing.T) {
	const claimed = "gpt-4o-mini"
	main := serve(t, upstreamtest.Config{Oracle: oracle(claimed)})
	cheap := serve(t, upstreamtest.Config{Oracle: oracle("gpt-4")})
	audited := func(url string) auditing { return auditing{url: url, model: claimed} }
	t.Run("fallback", func(t *testing.T) {
		r := audited(relay(t, upstreamtest.RelayConfig{Backend: main.BaseURL(), Cheap: cheap.BaseURL(), CheapKey: "sk-test", Fallback: claimed}).BaseURL()).run(t)
		found(t, r, verdict.IntegrityFailed, verdict.Integrity, false)
	})
	t.Run("another vocabulary", func(t *testing.T) {
		found(t, audited(cheap.BaseURL()).run(t), verdict.Differs, verdict.Same, false)
	})
	t.Run("another name", func(t *testing.T) {
		s := serve(t, upstreamtest.Config{Oracle: oracle(claimed), Behaviour: upstreamtest.Behaviour{Model: "Qwen2.5-7B-Instruct\x1b[2J<script>"}})
		r := audited(s.BaseURL()).run(t)
		found(t, r, verdict.Differs, verdict.Same, false)
		if strings.Contains(r.Findings[0].Text, "\x1b") {
			t.Error("a control character of the endpoint's stands in the finding")
		}
	})
	t.Run("no system prompt", func(t *testing.T) {
		found(t, audited(without(t, main.BaseURL(), "system")).run(t), verdict.ModifiedPrompt, verdict.Integrity, false)
	})
	t.Run("any key", func(t *testing.T) {
		r := audited(relay(t, upstreamtest.RelayConfig{Backend: main.BaseURL(), AnyKey: true}).BaseURL()).run(t)
		silent(t, r)
		told(t, r, "platform: wrong key and no key", "accepted")
	})
	t.Run("rebuilt", func(t *testing.T) {
		r := audited(relay(t, upstreamtest.RelayConfig{Backend: main.BaseURL(), Rebuild: true}).BaseURL()).run(t)
		silent(t, r)
		told(t, r, "translation: unknown member", "accepted")
	})
}

// without is a relay that drops the messages of a role.
func without(t *testing.T, backend, role string) string {
	t.Helper()
	target, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Scheme, p.Out.URL.Host = target.Scheme, target.Host
		body := map[string]any{}
		_ = json.NewDecoder(p.In.Body).Decode(&body)
		var kept []any
		messages, _ := body["messages"].([]any)
		for _, m := range messages {
			if m.(map[string]any)["role"] != role {
				kept = append(kept, m)
			}
		}
		body["messages"] = kept
		b, _ := json.Marshal(body)
		p.Out.Body, p.Out.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	}}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

// TestCausalExpired holds nothing against a relay by facts that are out of date.
func TestCausalExpired(t *testing.T) {
	cheap := serve(t, upstreamtest.Config{Oracle: oracle("gpt-4")})
	r := auditing{url: cheap.BaseURL(), model: "gpt-4o-mini", now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}.run(t)
	silent(t, r)
	told(t, r, "identity: logit bias", "inconclusive: what was known of it expired on 2027-11-26")
	if len(r.Evidence) != 0 {
		t.Errorf("evidence %+v of facts that expired", r.Evidence)
	}
}

// opened is a reference of which only the challenges are recorded.
func opened(t *testing.T, model string, causal map[string]string) *reference.Opened {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := reference.Seal(io.Discard, key, &reference.Reference{
		Model: model, Recorded: whileKnown.AddDate(0, -1, 0), Expires: whileKnown.AddDate(0, 1, 0),
		Variants: []reference.Variant{{Name: "v"}}, Causal: causal,
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestCausalReference holds nothing against a relay that the reference does as well,
// and holds against it what the reference does not.
func TestCausalReference(t *testing.T) {
	cheap := serve(t, upstreamtest.Config{Oracle: oracle("gpt-4")})
	same := map[string]string{"openai.logit-bias": "foreign", "openai.logprobs": "foreign"}
	r := auditing{url: cheap.BaseURL(), model: "gpt-4o-mini", reference: opened(t, "gpt-4o-mini", same)}.run(t)
	silent(t, r)
	if got := fact(r, "identity: logit bias"); !strings.HasSuffix(got, "the reference came to the same") {
		t.Error(got)
	}

	open := serve(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{}, Models: []upstreamtest.Model{{ID: "qwen3-8b"}}})
	dropping := without(t, open.BaseURL(), "system")
	r = auditing{url: dropping, model: "qwen3-8b"}.run(t)
	silent(t, r)
	if len(r.Evidence) != 0 || fact(r, "consistency: system prompt") != "" {
		t.Errorf("an open model is judged by facts of nobody: %+v", r)
	}
	r = auditing{url: dropping, model: "qwen3-8b", reference: opened(t, "qwen3-8b", map[string]string{referenceFact.ID: "as documented"})}.run(t)
	if len(r.Findings) != 1 || r.Findings[0].Label != verdict.ModifiedPrompt {
		t.Errorf("findings %+v", r.Findings)
	}
}

// recorded is what is recorded of an endpoint.
func recorded(t *testing.T, base, model string) map[string]string {
	t.Helper()
	e, err := NewEndpoint(EndpointConfig{URL: base, Model: model, Key: secret.New("sk-test")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r := &recorder{
		Enrolment: Enrolment{Model: model, Variants: []Source{{Subject: e}}, Parallel: 4},
		meter:     newMeter(func(llm.Tokens) (price.Nano, bool) { return 0, true }, 0),
	}
	return r.causal(t.Context())
}

// TestCausalRecorded records what the challenges come to.
func TestCausalRecorded(t *testing.T) {
	got := recorded(t, serve(t, upstreamtest.Config{Oracle: oracle("gpt-4o-mini")}).BaseURL(), "gpt-4o-mini")
	want := map[string]string{}
	for _, name := range []string{"system-prompt", "unknown-model", "credential", "unknown-member", "strict-schema", "logit-bias", "logprobs", "model-echo"} {
		want["openai."+name] = string(asClaimed)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCausalFailures concludes nothing from an endpoint that breaks.
func TestCausalFailures(t *testing.T) {
	s := serve(t, upstreamtest.Config{Oracle: oracle("gpt-4o-mini")})
	target, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	var asked atomic.Int64
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 2 {
			_, _ = io.WriteString(w, "<html>come back later</html>")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer broken.Close()
	r := auditing{url: broken.URL + "/v1", model: "gpt-4o-mini"}.run(t)
	if r.State != verdict.Inconclusive || len(r.Findings) != 0 {
		t.Errorf("state %s, findings %+v", r.State, r.Findings)
	}
}

// claude answers as the Messages API does with thinking; what it does about signatures
// is the caller's.
func claude(t *testing.T, counted func(thinking, changed bool) (tokens int, taken bool)) string {
	t.Helper()
	const signature = "EqQBCkYIBRgCKkDSallyportTestSignatureOfSomeLength=="
	var id atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		tokens, taken := counted(strings.Contains(string(b), `"signature"`), strings.Contains(string(b), `"signature"`) && !strings.Contains(string(b), signature))
		if r.Header.Get("X-Api-Key") != "sk-test" || strings.Contains(string(b), "no-such-model") || strings.Contains(string(b), `"x_`) || !taken {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"type":"error","error":{"type":"invalid_request_error","message":"no"}}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"id":"msg_%d","type":"message","role":"assistant","model":"claude-opus-4-6","content":[`+
			`{"type":"thinking","thinking":"so","signature":%q},{"type":"text","text":"done"}],"stop_reason":"end_turn","usage":{"input_tokens":%d,"output_tokens":9}}`,
			id.Add(1), signature, tokens)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

// TestThinkingSignature vetoes only where changed thinking is accepted and counted.
func TestThinkingSignature(t *testing.T) {
	var changes atomic.Int64
	for name, x := range map[string]struct {
		counted func(thinking, changed bool) (int, bool)
		want    string
		veto    bool
	}{
		"the vendor":       {func(thinking, changed bool) (int, bool) { return 50 + 100*bit(thinking), !changed }, "as documented", false},
		"another model":    {func(thinking, _ bool) (int, bool) { return 50 + 100*bit(thinking), true }, "accepted", true},
		"thinking removed": {func(_, _ bool) (int, bool) { return 50, true }, "unclear", false},
		"repaired":         {func(thinking, changed bool) (int, bool) { return 50 + 100*bit(thinking && !changed), true }, "unclear", false},
		"all refused":      {func(thinking, _ bool) (int, bool) { return 50, !thinking }, "unclear", false},
		"once": {func(thinking, changed bool) (int, bool) {
			return 50 + 100*bit(thinking), !changed || changes.Add(1) == 1
		}, "unclear", false},
	} {
		t.Run(name, func(t *testing.T) {
			report, r := auditing{url: claude(t, x.counted), kind: upstream.Anthropic, model: "claude-opus-4-6"}.report(t)
			told(t, r, "identity: signature of thinking", x.want)
			if !x.veto {
				silent(t, r)
				return
			}
			found(t, r, verdict.IdentityFailed, verdict.Same, true)
			if report.Headline != verdict.IdentityFailed || report.Verdicts[0].Veto == "" {
				t.Errorf("headline %q, verdict %+v", report.Headline, report.Verdicts[0])
			}
		})
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestAltered changes exactly one letter, and one that counts.
func TestAltered(t *testing.T) {
	content := []json.RawMessage{json.RawMessage(`{"type":"thinking","thinking":"","signature":"AAAABBBBCCCCDDDDEEEE"}`)}
	for _, position := range []float64{0, .3, .999999} {
		got, ok := altered(content, 0, position)
		if !ok || string(got[0]) == string(content[0]) || len(got[0]) != len(content[0]) {
			t.Errorf("at %v: %s", position, got[0])
		}
	}
	if _, ok := altered([]json.RawMessage{json.RawMessage(`{"type":"thinking","signature":"AAAABBBB\/CCCCDDDDEEEE"}`)}, 0, .5); ok {
		t.Error("a signature that is written with escapes cannot be changed letter by letter")
	}
}
