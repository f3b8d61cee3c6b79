package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/ledger"
	"sallyport/internal/llm"
	"sallyport/internal/record"
	"sallyport/internal/tokens"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

// countAll counts every answer, without rest.
func countAll(s *gateway.Snapshot) { s.Count = gateway.Count{Share: 1, CPU: 1} }

// count runs the counter until the test ends.
func (r *rig) count(t testing.TB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.CountTokens(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// counts waits for n counts and returns them by exchange.
func (r *rig) counts(t testing.TB, n int) map[string]*record.Count {
	t.Helper()
	s := r.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.read(t)
		all := map[string]*record.Count{}
		for _, o := range s.other {
			if c := o.Count; c != nil {
				if all[c.RID] != nil {
					t.Fatalf("two counts of %s", c.RID)
				}
				all[c.RID] = c
			}
		}
		if len(all) >= n {
			return all
		}
		if err := s.journal.Wait(t.Context(), s.at); err != nil {
			t.Fatalf("wait for %d counts: %v", n, err)
		}
	}
}

// bill makes an upstream count, and bill so many times, what it says by the
// vocabulary of its model.
func (r *rig) bill(t testing.TB, up identity.Upstream, times float64) {
	t.Helper()
	v := tokens.Of("gpt-5-mini")
	r.ups[up].SetBehaviour(upstreamtest.Behaviour{Frames: 30, Vocabulary: &upstreamtest.Vocabulary{Count: func(text string) int64 {
		n, err := v.Count(text)
		if err != nil {
			t.Error(err)
		}
		return int64(math.Round(float64(n) * times))
	}}})
}

// TestCountsAnswers: what an upstream claims is what is counted, to the token, in
// each format, whole and streamed, translated or not; and the claim is the outcome's.
func TestCountsAnswers(t *testing.T) {
	r := newRig(t, plan{snapshot: func(s *gateway.Snapshot) {
		countAll(s)
		s.Models["mine"] = []gateway.Target{{Upstream: oa, Model: "gpt-5-mini"}} // for clients of the other formats
	}})
	r.bill(t, oa, 1)
	r.count(t)
	type expect struct {
		name, vocabulary, why string
	}
	want := map[string]expect{}
	for _, f := range formats {
		if f.counts() || f.embeds() {
			continue
		}
		prompt := "nonce-count a word or two [[reasoning=12]]"
		if f.up == oa {
			want[r.do(t, f.call(prompt)).rid] = expect{f.name, "o200k_base", ""}
		} else {
			want[r.do(t, f.call(prompt)).rid] = expect{f.name, "", "no vocabulary"}
			c := call{path: f.at("mine"), body: f.body("mine", prompt)}
			want[r.do(t, c).rid] = expect{f.name + " to openai", "o200k_base", ""}
		}
	}
	for rid, c := range r.counts(t, len(want)) {
		e, x := want[rid], r.trail(t, rid).outcome
		if x.State != string(llm.Complete) || x.Counted != ledger.Sampled {
			t.Errorf("%s: %s, %s", e.name, x.State, x.Counted)
		}
		if c.Vocabulary != e.vocabulary || c.Why != e.why {
			t.Errorf("%s: counted by %q, %q; want %+v", e.name, c.Vocabulary, c.Why, e)
		}
		if c.Arrived != x.TS || c.Key != x.Key || c.Project != x.Project || c.Model != x.Model || c.Upstream != x.Upstream || c.Target != x.Target || c.TS < x.End || len(c.Salt) != 43 {
			t.Errorf("%s: %+v is not of %+v", e.name, c, x)
		}
		if e.why == "" && (c.Claimed != x.Claimed[llm.Output] || c.Tokens != c.Claimed || c.Tokens < ledger.MinCompared) {
			t.Errorf("%s: claimed %d, counted %d, outcome %v", e.name, c.Claimed, c.Tokens, *x.Claimed)
		}
		if e.why != "" && (c.Claimed != 0 || c.Tokens != 0) {
			t.Errorf("%s: not countable and has figures: %+v", e.name, c)
		}
	}
	if held := r.Held(); held != 0 {
		t.Errorf("%d bytes are held after all was counted", held)
	}
}

// TestCountsOverbilling: one token in ten is not in the text.
func TestCountsOverbilling(t *testing.T) {
	r := newRig(t, plan{snapshot: countAll})
	r.bill(t, oa, 1.1)
	r.count(t)
	for i := range 20 {
		r.do(t, formatNamed("chat stream").call(fmt.Sprintf("nonce-%d hello", i)))
	}
	for _, c := range r.counts(t, 20) {
		if got := float64(c.Claimed)/float64(c.Tokens) - 1; math.Abs(got-.1) > .02 {
			t.Errorf("claimed %d, counted %d", c.Claimed, c.Tokens)
		}
	}
}

// TestNotCountable: each reason, told in the record.
func TestNotCountable(t *testing.T) {
	r := newRig(t, plan{snapshot: countAll, limits: func(l *gateway.Limits) { l.Answer = 16 << 20 }})
	r.bill(t, oa, 1)
	r.count(t)
	chat := formatNamed("chat").call
	tool := call{path: "/v1/chat/completions", body: `{"model":"fast","messages":[{"role":"user","content":"use lookup"}],
		"tools":[{"type":"function","function":{"name":"lookup","parameters":{"type":"object","properties":{"q":{"type":"string"}}}}}]}`}
	want := map[string]string{}
	for why, c := range map[string]call{
		"tool calls": tool, "incomplete": chat("x [[status=500]]"), "no claim": chat("x [[usage=none]]"),
		"too long": formatNamed("gemini").call(fmt.Sprintf("x [[frames=5 frame-bytes=%d]]", gateway.MaxSample/4)),
	} {
		want[r.do(t, c).rid] = why
	}
	implausible := r.do(t, formatNamed("chat stream").call("y [[usage=huge]]"))
	want[implausible.rid] = "no claim"
	for rid, c := range r.counts(t, len(want)) {
		if c.Why != want[rid] || c.Claimed != 0 || c.Tokens != 0 || c.Vocabulary != "" {
			t.Errorf("%+v, want %q", c, want[rid])
		}
	}
	if held := r.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// TestCountsLastAttempt: after a failover the answer of the upstream that gave it is
// counted, and nothing of the one before.
func TestCountsLastAttempt(t *testing.T) {
	r := newRig(t, plan{
		vendors: map[identity.Upstream]upstreamtest.Vendor{"ob": upstreamtest.OpenAI},
		snapshot: func(s *gateway.Snapshot) {
			countAll(s)
			s.Models[fast] = []gateway.Target{{Upstream: oa, Model: "gpt-5-mini"}, {Upstream: "ob", Model: "gpt-5-mini"}}
		},
	})
	r.ups[oa].SetBehaviour(upstreamtest.Behaviour{Error: new(0)})
	r.bill(t, "ob", 1)
	r.count(t)
	a := r.do(t, formatNamed("chat stream").call("hello"))
	c := r.counts(t, 1)[a.rid]
	if c == nil || c.Upstream != "ob" || c.Why != "" || c.Tokens != c.Claimed {
		t.Errorf("%+v", c)
	}
}

// TestCounterBehind: nothing waits for a counter that is behind; what does not fit
// is dropped and told in a metric.
func TestCounterBehind(t *testing.T) {
	r := newRig(t, plan{snapshot: countAll}) // and nobody counts
	const more = 7
	for i := range gateway.MaxWaiting + more {
		if a := r.do(t, formatNamed("chat").call(fmt.Sprintf("nonce-%d", i))); a.status != http.StatusOK {
			t.Fatalf("status %d", a.status)
		}
	}
	r.all(t, gateway.MaxWaiting+more)
	if n := figure(t, r.metrics, "sallyport_sampled_answers_dropped_total"); n != more {
		t.Errorf("%v answers were dropped, want %d", n, more)
	}
	if n := figure(t, r.metrics, "sallyport_sampled_answers_waiting"); n != gateway.MaxWaiting {
		t.Errorf("%v answers wait, want %d", n, gateway.MaxWaiting)
	}
	r.count(t)
	r.counts(t, gateway.MaxWaiting)
}

// figure is the value of a counter or gauge without labels.
func figure(t testing.TB, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestSampling: what is counted follows from the salts in the records alone, and is
// the share that was asked for.
func TestSampling(t *testing.T) {
	r := newRig(t, plan{snapshot: func(s *gateway.Snapshot) { s.Count = gateway.Count{Share: .3, CPU: 1} }})
	r.count(t)
	for i := range 60 {
		r.do(t, formatNamed("chat").call(fmt.Sprintf("nonce-%d", i)))
	}
	var want []string
	for rid, tr := range r.all(t, 60) {
		if gateway.Sampled(tr.intent.Salt, .3) {
			want = append(want, rid)
		}
	}
	counts := r.counts(t, len(want))
	for rid, tr := range r.all(t, 60) {
		if said := tr.outcome.Counted == ledger.Sampled; said != (counts[rid] != nil) {
			t.Errorf("%s: the outcome says %q", rid, tr.outcome.Counted)
		}
	}
	for _, rid := range want {
		if counts[rid] == nil {
			t.Errorf("%s was not counted", rid)
		}
	}
	if len(counts) != len(want) {
		t.Errorf("%d were counted, want %d", len(counts), len(want))
	}
	for _, share := range []float64{0, .01, .5, 1} {
		const n = 100_000
		hits := 0
		for range n {
			if gateway.Sampled(gateway.NewSalt(), share) {
				hits++
			}
		}
		// 6 standard deviations: one run in 500 million fails by chance.
		if off := math.Abs(float64(hits) - n*share); off > 6*math.Sqrt(n*share*(1-share)) {
			t.Errorf("of %d salts %d are sampled at %v", n, hits, share)
		}
	}
}

// TestRest: counting takes its share of the time, and ends in the midst of a pause.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for share, want := range map[float64]time.Duration{.05: 190 * time.Millisecond, .5: 10 * time.Millisecond, 1: 0, 0: time.Hour} {
			start := time.Now()
			gateway.Rest(t.Context(), 10*time.Millisecond, share)
			if got := time.Since(start); got < want-time.Microsecond || got > want+time.Microsecond {
				t.Errorf("at %v it rests %v, want %v", share, got, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		gateway.Rest(ctx, time.Minute, .05)
		if got := time.Since(start); got != time.Second {
			t.Errorf("told to stop after a second it rested %v", got)
		}
	})
}

// TestTokenizerOfLocalServers: the text of an answer goes back to the local server
// that wrote it, and to no other.
func TestTokenizerOfLocalServers(t *testing.T) {
	for _, class := range []label.Class{label.OnSite, label.Vetted} {
		r := newRig(t, plan{
			upstream: func(c *upstream.Config) { c.Class = class },
			snapshot: func(s *gateway.Snapshot) {
				countAll(s)
				s.Models["small"] = []gateway.Target{{Upstream: oa, Model: "rerank-v3.5"}} // no published vocabulary
			},
		})
		if err := r.Snapshot().Upstreams[oa].Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.count(t)
		a := r.do(t, call{path: "/v1/chat/completions", body: chatBody("")("small", "hello")})
		if c := r.counts(t, 1)[a.rid]; c == nil || c.Why != "no vocabulary" { // the server has no such path
			t.Errorf("class %s: %+v, status %d", class, c, a.status)
		}
		asked := 0
		for _, q := range r.ups[oa].Journal().Requests() {
			if q.Method == http.MethodPost && q.Target == "/tokenize" {
				asked++
			}
		}
		if want := map[label.Class]int{label.OnSite: 1}[class]; asked != want {
			t.Errorf("class %s: its tokenizer was asked %d times, want %d", class, asked, want)
		}
	}
}

// TestCountKeepsNoText: nothing of an answer is in the journal or the log.
func TestCountKeepsNoText(t *testing.T) {
	r := newRig(t, plan{snapshot: countAll})
	r.bill(t, oa, 1)
	r.count(t)
	a := r.do(t, formatNamed("chat").call("nonce-secretive"))
	if !strings.Contains(string(a.body), "nonce:secretive") && !strings.Contains(string(a.body), "nonce-secretive") {
		t.Fatalf("the answer is not what it should be: %s", a.body)
	}
	for _, c := range r.counts(t, 1) {
		if text := string(c.Append(nil)); strings.Contains(text, "secretive") || strings.Contains(text, "digest") {
			t.Errorf("the record holds the answer: %s", text)
		}
	}
	if strings.Contains(r.logs.String(), "secretive") {
		t.Error("the log holds the answer")
	}
}

// TestVocabulariesOfFiles: a vocabulary that the operator named counts for the models
// that its pattern fits, before the published one and before the server is asked.
func TestVocabulariesOfFiles(t *testing.T) {
	open := func(name string) *tokens.Vocabulary {
		v, err := tokens.Open("../tokens/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	all, mini, gemini := open("llama2.model"), open("qwen.json"), open("llama3.gguf")
	r := newRig(t, plan{snapshot: func(s *gateway.Snapshot) {
		countAll(s)
		s.Count.Vocabularies = map[string]*tokens.Vocabulary{"*": all, "gpt-*-mini": mini, "gpt-*-nano": gemini, "[": gemini, "gemini-3-*": gemini}
	}})
	r.ups[oa].SetBehaviour(upstreamtest.Behaviour{Frames: 30, Vocabulary: &upstreamtest.Vocabulary{Count: func(text string) int64 {
		n, err := mini.Count(text)
		if err != nil {
			t.Error(err)
		}
		return n
	}}})
	r.count(t)
	want := map[string]string{}
	for name, v := range map[string]*tokens.Vocabulary{"chat": mini, "responses stream": mini, "messages": all, "gemini": gemini} {
		want[r.do(t, formatNamed(name).call("hello [[reasoning=0]]")).rid] = v.Name
	}
	for rid, c := range r.counts(t, len(want)) {
		if c.Why != "" || c.Vocabulary != want[rid] || c.Tokens == 0 || c.Upstream == string(oa) && c.Tokens != c.Claimed {
			t.Errorf("%+v, want %s", c, want[rid])
		}
	}
	n := r.post(t, "/v1/messages/count_tokens", `{"model":"fast","messages":[{"role":"user","content":"hello"}]}`)
	if how := n.header.Get("X-Sallyport-Estimate"); !strings.Contains(how, mini.Name) {
		t.Errorf("a count that was asked for is made by %q", how)
	}
}

// TestVendorsCount: an answer goes back to be counted only where the operator said so
// and the host that wrote it is the vendor's own.
func TestVendorsCount(t *testing.T) {
	for _, c := range []struct {
		vendor, official bool
		by               string
	}{{true, true, "api.anthropic.com"}, {false, true, ""}, {true, false, ""}} {
		r := newRig(t, plan{
			upstream: func(u *upstream.Config) {
				if u.Name == an && c.official {
					u.Proxy, u.BaseURL = strings.TrimSuffix(u.BaseURL, "/v1"), "http://api.anthropic.com/v1"
					u.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
						return nil, errors.New("no names are known here")
					}}
				}
			},
			snapshot: func(s *gateway.Snapshot) { countAll(s); s.Count.Vendor = c.vendor },
		})
		r.count(t)
		a := r.do(t, formatNamed("messages").call("hello"))
		if a.status != http.StatusOK {
			t.Fatalf("status %d", a.status)
		}
		got := r.counts(t, 1)[a.rid]
		// The server has no tokenizer: it counts bytes, and rounds.
		if got.Vocabulary != c.by || (c.by == "") != (got.Why == "no vocabulary") || c.by != "" && (got.Tokens < 10 || got.Tokens-got.Claimed > 1 || got.Claimed-got.Tokens > 1) {
			t.Errorf("%+v: %+v", c, got)
		}
		asked := 0
		for _, q := range r.ups[an].Journal().Requests() {
			if strings.HasSuffix(q.Target, "/count_tokens") {
				asked++
			}
		}
		if (asked > 0) != (c.by != "") {
			t.Errorf("%+v: the host was asked %d times", c, asked)
		}
		own := 0 // each question is an exchange with records of its own
		for _, tr := range r.all(t, 1+asked) {
			if o := tr.outcome; o.Project == "audit" && o.Endpoint == string(wire.CountTokens) && o.Money == ledger.MoneyDeclared {
				own++
			}
		}
		if own != asked {
			t.Errorf("%+v: %d exchanges of its own have records, the host was asked %d times", c, own, asked)
		}
	}
}
