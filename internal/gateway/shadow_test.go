package gateway_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
)

const trusted identity.Upstream = "trusted"

// compared is a rig whose upstream oa is watched beside another one.
func compared(t *testing.T, change func(*gateway.Watch), class label.Class) (*rig, chan *gateway.Pair) {
	t.Helper()
	return comparedAt(t, gateway.Target{Upstream: oa, Model: "gpt-5-mini"}, upstreamtest.OpenAI, "gpt-5-mini", change, class)
}

// comparedAt is a rig in which a target is watched beside the upstream trusted.
func comparedAt(t *testing.T, suspect gateway.Target, vendor upstreamtest.Vendor, model string, change func(*gateway.Watch), class label.Class) (*rig, chan *gateway.Pair) {
	t.Helper()
	pairs := make(chan *gateway.Pair, 16)
	r := newRig(t, plan{
		vendors: map[identity.Upstream]upstreamtest.Vendor{trusted: vendor},
		config: func(c *gateway.Config) {
			c.Paired = func(p *gateway.Pair) { pairs <- p }
			c.MayCompare = func(gateway.Target) bool { return true }
		},
		upstream: func(u *upstream.Config) {
			if u.Name == trusted {
				u.Class = class
			}
		},
		snapshot: func(s *gateway.Snapshot) {
			w := gateway.Watch{References: []gateway.Target{{Upstream: trusted, Model: model}}, Projects: map[identity.ProjectID]bool{"p": true}, Share: 1}
			if change != nil {
				change(&w)
			}
			s.Watches = map[gateway.Target]gateway.Watch{suspect: w}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Compare(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r, pairs
}

func next(t *testing.T, pairs chan *gateway.Pair) *gateway.Pair {
	t.Helper()
	select {
	case p := <-pairs:
		return p
	case <-time.After(20 * time.Second):
		t.Fatal("no pair came")
		return nil
	}
}

// settings are what makes a request mean the same everywhere.
const settings = `"temperature":1,"top_p":1,"max_tokens":64`

func asking(more, messages string) string {
	return `{"model":"` + string(fast) + `",` + more + `"messages":` + messages + `}`
}

// TestPairs: both sides answer the same bytes, whole and streamed; the comparison is
// the audit's own exchange, and nothing more reaches the upstream under watch.
func TestPairs(t *testing.T) {
	r, pairs := compared(t, nil, label.Vetted)
	for _, c := range []struct{ path, body string }{
		{"/v1/chat/completions", asking(settings+",", `[{"role":"user","content":"nonce-a hello"}]`)},
		{"/v1/chat/completions", asking(settings+`,"stream":true,`, `[{"role":"user","content":"nonce-b hello"}]`)},
		{"/v1/responses", `{"model":"` + string(fast) + `","temperature":1,"top_p":1,"max_output_tokens":64,"input":"nonce-c hello","store":false}`},
	} {
		got := r.post(t, c.path, c.body)
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		p := next(t, pairs)
		if p.Dropped != "" || len(p.References) != 1 || p.Suspect.Text == "" || p.Suspect.Text != p.References[0].Text || p.Suspect.Finish != p.References[0].Finish {
			t.Errorf("%s: %+v, %+v, %+v", c.path, p, p.Suspect, p.References)
		}
		seen, put := r.ups[oa].Journal().Requests(), r.ups[trusted].Journal().Requests()
		if string(seen[len(seen)-1].Body) != string(put[len(put)-1].Body) {
			t.Errorf("%s: the suspect got %s and the reference %s", c.path, seen[len(seen)-1].Body, put[len(put)-1].Body)
		}
		if o := r.outcome(t, got); o.Principal != "key" || o.Project != "p" {
			t.Errorf("the client's exchange is of %s %s", o.Principal, o.Project)
		}
	}
	if n, m := r.ups[oa].Journal().Len(), r.ups[trusted].Journal().Len(); n != 3 || m != 3 {
		t.Errorf("%d requests reached the upstream under watch, %d the reference", n, m)
	}
}

// TestPairsOfFormats: a request is compared whatever format its client speaks, also one
// that is translated: both sides get the same bytes but for the model, in the path of
// Google's API and in the body of others.
func TestPairsOfFormats(t *testing.T) {
	gpt, gemini := gateway.Target{Upstream: oa, Model: "gpt-5-mini"}, gateway.Target{Upstream: ge, Model: "gemini-3-flash-preview"}
	sonnet := gateway.Target{Upstream: an, Model: "claude-sonnet-4-5"}
	google := `{"contents":[{"role":"user","parts":[{"text":"nonce-g hello KNOBS"}]}],"generationConfig":{"temperature":1,"topP":1,"maxOutputTokens":64,"topK":3}}`
	chat := func(model, more string) string {
		return `{"model":"` + model + `",` + settings + more + `,"messages":[{"role":"user","content":"nonce-c hello KNOBS"}]}`
	}
	tool := `,"tool_choice":"required","tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]`
	claudeTool := `,"tool_choice":{"type":"any"},"tools":[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}]`
	for _, c := range []struct {
		name, path, body string
		suspect          gateway.Target
		vendor           upstreamtest.Vendor
		model            string
	}{
		{"google", "/v1beta/models/flash:generateContent", google, gemini, upstreamtest.Gemini, "gemini-2.5-flash"},
		{"google events", "/v1beta/models/flash:streamGenerateContent?alt=sse", google, gemini, upstreamtest.Gemini, "gemini-2.5-flash"},
		{"google array", "/v1/models/flash:streamGenerateContent", google, gemini, upstreamtest.Gemini, "gemini-2.5-flash"},
		{"google as chat", "/v1beta/models/fast:generateContent", google, gpt, upstreamtest.OpenAI, "gpt-4o-mini"},
		{"google as chat stream", "/v1beta/models/fast:streamGenerateContent", google, gpt, upstreamtest.OpenAI, "gpt-4o-mini"},
		{"chat as google", "/v1/chat/completions", chat(flash, tool), gemini, upstreamtest.Gemini, "gemini-2.5-flash"},
		{"chat as google stream", "/v1/chat/completions", chat(flash, `,"stream":true`), gemini, upstreamtest.Gemini, "gemini-2.5-flash"},
		{"messages as chat", "/v1/messages", chat(fast, claudeTool), gpt, upstreamtest.OpenAI, "gpt-4o-mini"},
		{"messages as chat stream", "/v1/messages", chat(fast, `,"stream":true`), gpt, upstreamtest.OpenAI, "gpt-4o-mini"},
		{"chat as messages", "/v1/chat/completions", chat(claude, ""), sonnet, upstreamtest.Anthropic, "claude-haiku-4-5"},
		{"chat as messages stream", "/v1/chat/completions", chat(claude, `,"stream":true`), sonnet, upstreamtest.Anthropic, "claude-haiku-4-5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			unset := func(w *gateway.Watch) { w.SameDefaults = true } // gpt-5 and Claude take no temperature, or not both
			r, pairs := comparedAt(t, c.suspect, c.vendor, c.model, unset, label.Vetted)
			for _, knobs := range []string{"", "[[frames=40]]", "[[status=400]]"} {
				got := r.post(t, c.path, strings.ReplaceAll(c.body, "KNOBS", knobs))
				failed := strings.Contains(knobs, "status")
				if failed != (got.status == http.StatusBadRequest) {
					t.Fatalf("%d %s", got.status, got.body)
				}
				p := next(t, pairs)
				if p.Dropped != "" || len(p.References) != 1 {
					t.Fatalf("%+v", p)
				}
				if diff := cmp.Diff(p.Suspect, p.References[0]); diff != "" || p.Suspect.Failed != failed || !failed && (p.Suspect.Finish == 0 || p.Suspect.Text == "" && p.Suspect.Calls == nil) {
					t.Errorf("%s: %+v (+reference): %s", knobs, p.Suspect, diff)
				}
				seen, put := r.ups[c.suspect.Upstream].Journal().Requests(), r.ups[trusted].Journal().Requests()
				a, b := seen[len(seen)-1], put[len(put)-1]
				if renamed := strings.ReplaceAll(string(a.Body), c.suspect.Model, c.model); renamed != string(b.Body) {
					t.Errorf("%s: the suspect got %s and the reference %s", knobs, a.Body, b.Body)
				}
				if renamed := strings.ReplaceAll(a.Target, c.suspect.Model, c.model); renamed != b.Target {
					t.Errorf("%s: the suspect was asked at %s and the reference at %s", knobs, a.Target, b.Target)
				}
			}
		})
	}
}

// TestNotCompared: what may mean something else to another side, what only one side can
// read, and what policy does not allow to the reference is put to nobody else.
func TestNotCompared(t *testing.T) {
	one := `[{"role":"user","content":"hello"}]`
	for name, c := range map[string]struct {
		body   string
		change func(*gateway.Watch)
		class  label.Class
	}{
		"no temperature":      {body: asking(`"top_p":1,"max_tokens":9,`, one)},
		"no top_p":            {body: asking(`"temperature":1,"max_tokens":9,`, one)},
		"no limit":            {body: asking(`"temperature":1,"top_p":1,`, one)},
		"several answers":     {body: asking(settings+`,"n":2,`, one)},
		"a kept file":         {body: asking(settings+",", `[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]`)},
		"another project":     {body: asking(settings+",", one), change: func(w *gateway.Watch) { w.Projects = map[identity.ProjectID]bool{"q": true} }},
		"not drawn":           {body: asking(settings+",", one), change: func(w *gateway.Watch) { w.Share = 0 }},
		"an untrusted one":    {body: asking(settings+",", one), class: label.Any},
		"another API":         {body: asking(settings+",", one), change: func(w *gateway.Watch) { w.References = []gateway.Target{{Upstream: an, Model: "claude-sonnet-4-5"}} }},
		"an unknown upstream": {body: asking(settings+",", one), change: func(w *gateway.Watch) { w.References = []gateway.Target{{Upstream: "nobody", Model: "m"}} }},
	} {
		t.Run(name, func(t *testing.T) {
			class := c.class
			if name != "an untrusted one" {
				class = label.Vetted
			}
			r, pairs := compared(t, c.change, class)
			_ = r.post(t, "/v1/chat/completions", c.body)
			if n := r.ups[trusted].Journal().Len() + r.ups[an].Journal().Len() + len(pairs); n != 0 {
				t.Errorf("%d requests and pairs", n)
			}
		})
	}
	r, pairs := compared(t, nil, label.Vetted)
	body := `{"contents":[{"role":"user","parts":[{"text":"hello"}]}],"generationConfig":{"temperature":1,"topP":1,"maxOutputTokens":9}}`
	if got := r.post(t, "/v1beta/models/fast:generateContent", body); got.status != http.StatusOK || len(r.ups[trusted].Journal().Requests())+len(pairs) != 0 {
		t.Errorf("a temperature that a translation drops: %d", got.status)
	}
	r, pairs = compared(t, func(w *gateway.Watch) { w.SameDefaults = true }, label.Vetted)
	if got := r.post(t, "/v1/chat/completions", asking("", one)); got.status != http.StatusOK {
		t.Fatalf("%d", got.status)
	}
	if p := next(t, pairs); p.Dropped != "" {
		t.Errorf("with the operator's word: %+v", p)
	}
}

// TestReadToTheEnd: an answer that is compared is read to its end though the client
// left; the exchange ends as one that the client cut.
func TestReadToTheEnd(t *testing.T) {
	r, pairs := compared(t, nil, label.Vetted)
	ctx, leave := context.WithCancel(t.Context())
	body := asking(settings+`,"stream":true,`, `[{"role":"user","content":"nonce-left [[frames=40 gap=5ms]] hello"}]`)
	resp, err := r.client.Do(r.request(t, ctx, call{path: "/v1/chat/completions", body: body}))
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "data:") {
		t.Fatalf("%q, %v", line, err)
	}
	leave()
	resp.Body.Close()
	p := next(t, pairs)
	if p.Dropped != "" || p.Suspect.Failed || p.Suspect.Text != p.References[0].Text || p.Suspect.Text == "" {
		t.Errorf("%+v, %+v", p, p.Suspect)
	}
}

// TestDroppedPairs: why there is nothing to compare is told, and errors are answers.
func TestDroppedPairs(t *testing.T) {
	r, pairs := compared(t, nil, label.Vetted)
	body := func(directive string) string {
		return asking(settings+",", `[{"role":"user","content":"[[`+directive+`]] hello"}]`)
	}
	_ = r.post(t, "/v1/chat/completions", body("status=400"))
	if p := next(t, pairs); p.Dropped != "" || !p.Suspect.Failed || !p.References[0].Failed {
		t.Errorf("a refusal on both sides: %+v", p)
	}
	_ = r.post(t, "/v1/chat/completions", body("status=503"))
	_ = r.post(t, "/v1/chat/completions", body("status=429"))
	if len(pairs) != 0 || r.ups[trusted].Journal().Len() != 1 {
		t.Errorf("outages are compared: %+v", <-pairs)
	}
	r.next(t, trusted, "cut=0 how=reset")
	_ = r.post(t, "/v1/chat/completions", asking(settings+",", `[{"role":"user","content":"hello"}]`))
	if p := next(t, pairs); p.Dropped == "" {
		t.Errorf("the reference broke off: %+v", p)
	}
}
