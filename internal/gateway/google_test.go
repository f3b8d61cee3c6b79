package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

// generated is what Google's SDKs read of an answer, or of one piece of it.
type generated struct {
	Candidates []struct {
		Content struct {
			Role  string
			Parts []struct {
				Text    string
				Thought bool
				Call    *struct {
					ID, Name string
					Args     json.RawMessage
				} `json:"functionCall"`
			}
		}
		Finish string `json:"finishReason"`
		Index  *int
	}
	Usage *struct {
		Prompt     int64 `json:"promptTokenCount"`
		Candidates int64 `json:"candidatesTokenCount"`
		Thoughts   int64 `json:"thoughtsTokenCount"`
		Total      int64 `json:"totalTokenCount"`
	} `json:"usageMetadata"`
	Model string `json:"modelVersion"`
	ID    string `json:"responseId"`
}

// into adds a piece to what was told.
func (g generated) into(t testing.TB, got *told) {
	t.Helper()
	if len(g.Candidates) != 1 || g.Candidates[0].Index == nil || g.Candidates[0].Content.Role != "model" || g.Model == "" || g.ID == "" {
		t.Errorf("not an answer of Google's form: %+v", g)
		return
	}
	c := g.Candidates[0]
	for _, p := range c.Content.Parts {
		if p.Call != nil {
			got.Calls = append(got.Calls, upstreamtest.ToolCall{ID: p.Call.ID, Name: p.Call.Name, Args: string(p.Call.Args)})
		}
		if !p.Thought {
			got.Text += p.Text
		}
	}
	if c.Finish != "" {
		got.Finish = map[string]string{"STOP": "end", "MAX_TOKENS": "length"}[c.Finish]
		if len(got.Calls) > 0 {
			got.Finish = "tool"
		}
	}
	if u := g.Usage; u != nil {
		got.Prompt, got.Output = u.Prompt, u.Candidates+u.Thoughts
		if u.Total != got.Prompt+got.Output {
			t.Errorf("total %d of %d and %d", u.Total, got.Prompt, got.Output)
		}
	}
}

func readGenerated(t testing.TB, body []byte) told {
	t.Helper()
	var g generated
	unmarshal(t, body, &g)
	got := told{Prompt: -1}
	g.into(t, &got)
	return got
}

func readGeneratedStream(t testing.TB, body []byte) told {
	t.Helper()
	got := told{Prompt: -1}
	all := streamed(t, body)
	for i, ev := range all {
		var g generated
		unmarshal(t, ev.Data, &g)
		if len(ev.Name) > 0 || got.Finish != "" || (g.Usage != nil) != (i == len(all)-1) {
			t.Errorf("frame %d of %d: %s", i, len(all), ev.Raw)
		}
		g.into(t, &got)
	}
	return got
}

// TestGooglePaths: below Google's own prefix, and on its verbs everywhere, errors are
// in its form.
func TestGooglePaths(t *testing.T) {
	r := newRig(t, plan{})
	f, openai := formatNamed("gemini"), formatNamed("chat")
	for _, c := range []struct {
		method, path string
		form         format
		kind         fault.Kind
	}{
		{"POST", "/v1beta/models/flash:generateVideos", f, fault.NotFound},
		{"POST", "/v1/models/flash:generateVideos", f, fault.NotFound},
		{"POST", "/v1beta/files", f, fault.NotFound},
		{"GET", "/v1beta/", f, fault.NotFound},
		{"POST", "/v1beta//models/flash:generateContent", f, fault.NotFound},
		{"POST", "/v1beta/models", f, fault.MethodNotAllowed},
		{"DELETE", "/v1beta/models/flash", f, fault.MethodNotAllowed},
		{"PUT", "/v1beta/models/flash:generateContent", f, fault.MethodNotAllowed},
		{"POST", "/v1beta/models/flash", f, fault.MethodNotAllowed},
		{"POST", "/v1/models/flash", openai, fault.MethodNotAllowed},
		{"POST", "/v1beta/models/flash:generateContent?alt=proto", f, fault.BadRequest},
		{"POST", "/v1beta/models/:generateContent", f, fault.BadRequest},
		{"POST", "/v1beta/models/" + strings.Repeat("m", 300) + ":generateContent", f, fault.BadRequest},
		{"POST", "/v1beta/models/nobody:generateContent", f, fault.NotFound},
		{"GET", "/v1beta/models/nobody", f, fault.NotFound},
	} {
		q := call{method: c.method, path: c.path}
		if c.method == "POST" {
			q.body = contents("", "hello")
		}
		got := r.do(t, q)
		c.form.isFault(t, got, c.kind)
		if t.Failed() {
			t.Fatalf("%s %s", c.method, c.path)
		}
	}
	if n := r.ups[ge].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestGoogleModels: Google's clients read the list in their form, on the path that
// they share with OpenAI's as well.
func TestGoogleModels(t *testing.T) {
	r := newRig(t, plan{snapshot: alias("vendor/m:1", ge, "gemini-2.5-flash")})
	client := http.Header{"X-Goog-Api-Client": {"google-genai-sdk/3.1.0 gl-node/22"}}
	type model struct {
		Name, Version, DisplayName string
		Methods                    []string `json:"supportedGenerationMethods"`
	}
	for _, c := range []call{{path: "/v1beta/models?pageSize=2"}, {path: "/v1/models", header: client}} {
		got := r.do(t, c)
		var list struct{ Models []model }
		unmarshal(t, got.body, &list)
		var names []string
		for _, m := range list.Models {
			names = append(names, m.Name)
			if m.Version == "" || m.DisplayName == "" || !slices.Contains(m.Methods, "generateContent") {
				t.Errorf("%s: %+v", c.path, m)
			}
		}
		if want := "models/claude models/fast models/flash models/places models/vector models/vendor/m:1"; strings.Join(names, " ") != want {
			t.Errorf("%s: %q", c.path, names)
		}
		ours(t, got)
	}
	for _, c := range []call{{path: "/v1beta/models/vendor/m:1"}, {path: "/v1/models/vendor/m:1", header: client}} {
		var m model
		unmarshal(t, r.do(t, c).body, &m)
		if m.Name != "models/vendor/m:1" {
			t.Errorf("%s: %+v", c.path, m)
		}
	}
}

// array reads a stream that came as one array.
func array(t testing.TB, body []byte) []json.RawMessage {
	t.Helper()
	var list []json.RawMessage
	unmarshal(t, body, &list)
	return list
}

// TestArray: without alt=sse a stream is one JSON array of what the events hold; the
// upstream is asked for events all the same, and the record commits to the array.
func TestArray(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{tap: true, limits: beating})
	for _, c := range []struct{ model, knobs string }{
		{flash, "frames=5"}, {flash, "frames=3 eol=crlf odd=1 split=3"}, {flash, "delay=200ms"}, {fast, "frames=5"}, {claude, "frames=3 delay=200ms"},
	} {
		up := map[string]identity.Upstream{flash: ge, fast: oa, claude: an}[c.model]
		q := call{path: "/v1beta/models/" + c.model + ":streamGenerateContent", body: contents("", "hello [["+c.knobs+"]]")}
		got := r.do(t, q)
		o := r.outcome(t, got)
		seen := r.taps[up].take(t)
		list := array(t, got.body)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json; charset=utf-8" || o.State != string(llm.Complete) || o.Usage != string(llm.UsageClaimed) {
			t.Fatalf("%+v: status %d, type %q, state %s: %s", c, got.status, got.header.Get("Content-Type"), o.State, got.body)
		}
		if up == ge {
			if !strings.HasSuffix(seen.target, ":streamGenerateContent?alt=sse") {
				t.Errorf("%+v: the upstream was asked %s", c, seen.target)
			}
			for i, ev := range streamed(t, seen.answered) {
				if !bytes.Equal(ev.Data, list[i]) {
					t.Errorf("%+v: element %d is %s", c, i, list[i])
				}
			}
		}
		var all told
		for _, e := range list {
			var g generated
			unmarshal(t, e, &g)
			g.into(t, &all)
		}
		if !strings.HasPrefix(all.Text, "digest:") || all.Finish != "end" {
			t.Errorf("%+v: %+v", c, all)
		}
		commits(t, "res", o.Returned, got.body, nil)
		if o.OutBytes != int64(len(got.body)) {
			t.Errorf("%+v: %d bytes in the record of %d", c, o.OutBytes, len(got.body))
		}
	}
}

// TestArrayOfUnendedEvent: the last event of a stream may lack its blank line.
func TestArrayOfUnendedEvent(t *testing.T) {
	const piece = `{"candidates":[{"content":{"parts":[{"text":"x"}],"role":"model"},"finishReason":"STOP","index":0}]}`
	short := newTap(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {}\n\ndata: "+piece)
	}))
	f := formatNamed("gemini stream")
	r := newRig(t, plan{snapshot: func(s *gateway.Snapshot) {
		s.Upstreams[ge] = newUpstream(t, ge, vendorOf(f), short.url, plan{})
	}})
	got := r.do(t, call{path: "/v1beta/models/flash:streamGenerateContent", body: contents("", "hello")})
	if list := array(t, got.body); len(list) != 2 || string(list[1]) != piece {
		t.Errorf("%s", got.body)
	}
	commits(t, "res", r.outcome(t, got).Returned, got.body, nil)
}

// TestBrokenArray: an array that breaks ends with an error as its last element, and
// is valid JSON all the same.
func TestBrokenArray(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{limits: func(l *gateway.Limits) { l.Stall = 300 * time.Millisecond }})
	f := formatNamed("gemini stream")
	for _, model := range []string{flash, claude} {
		for _, knobs := range []string{"cut=4", "cut=4 how=end", "stall=4", "malformed=4", "error=4"} {
			up := map[string]identity.Upstream{flash: ge, claude: an}[model]
			r.next(t, up, knobs)
			got := r.do(t, call{path: "/v1/models/" + model + ":streamGenerateContent", body: contents("", "hello")})
			o := r.outcome(t, got)
			list := array(t, got.body)
			var e googleErrorBody
			unmarshal(t, list[len(list)-1], &e)
			if o.State == string(llm.Complete) || e.Error.Code < 400 || len(list) < 2 {
				t.Errorf("%s %s: state %s, last %s", model, knobs, o.State, list[len(list)-1])
			}
			if knobs != "error=4" || model != flash { // else the upstream's own
				f.message(t, list[len(list)-1], got.rid)
			}
			commits(t, "res", o.Returned, got.body, nil)
		}
	}
	// An upstream's refusal before the first element is a plain error.
	r.next(t, ge, "status=429")
	if got := r.do(t, call{path: "/v1/models/flash:streamGenerateContent", body: contents("", "hello")}); got.status != 429 || got.body[0] != '{' {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}

// TestModelTwice: where the body repeats the model it must be that of the path, and
// is replaced by the upstream's name with it.
func TestModelTwice(t *testing.T) {
	r := newRig(t, plan{tap: true})
	const text = `"contents":[{"parts":[{"text":"hello"}]}]`
	old, sent := `"models/flash"`, `"models/gemini-3-flash-preview"`
	for _, c := range []struct{ name, body string }{
		{"gemini", `{"model": "models/flash",` + text + `}`},
		{"gemini stream", `{` + text + `,"model":"models/flash"}`},
		{"gemini count", `{"generateContentRequest":{"model":"models/flash",` + text + `}}`},
		{"gemini count", `{"generate_content_request":{` + text + `,"model":"models/flash"}}`},
	} {
		r.sameFormat(t, formatNamed(c.name), c.body, []replaced{{strings.Index(c.body, old), old, sent}}, false)
	}
	f := formatNamed("gemini")
	for _, body := range []string{`{"model":"models/places",` + text + `}`, `{"model":7,` + text + `}`, `{"Model":"models/flash",` + text + `}`} {
		f.isFault(t, r.do(t, call{path: f.at(flash), body: body}), fault.BadRequest)
		r.taps[ge].none(t)
	}
	batch := formatNamed("gemini batch")
	two := `{"requests":[{"model":"models/places","content":{}},{"model":"models/flash","content":{}}]}`
	batch.isFault(t, r.do(t, call{path: batch.at(places), body: two}), fault.BadRequest)
}

// TestGoogleKeyRefused: Google's API calls a wrong key a bad request; to a client it
// is the gateway's trouble, and the next target is tried.
func TestGoogleKeyRefused(t *testing.T) {
	refuses := newTap(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}`)
	}))
	f := formatNamed("gemini")
	r := newRig(t, plan{snapshot: func(s *gateway.Snapshot) {
		s.Upstreams["bad"] = newUpstream(t, "bad", vendorOf(f), refuses.url, plan{})
		s.Models["alone"] = []gateway.Target{{Upstream: "bad", Model: "m"}}
		s.Models["both"] = append(s.Models["alone"], s.Models[flash]...)
	}})
	got := r.do(t, call{path: f.at("alone"), body: contents("", "hello")})
	if m := f.isFault(t, got, fault.UpstreamFailed); !strings.Contains(m, "the gateway's own credential") {
		t.Errorf("message %q", m)
	}
	if got := r.do(t, call{path: f.at("both"), body: contents("", "hello")}); got.status != http.StatusOK {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}

const weather = `{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}`

// TestSealsOfCalls: what a model of Google's attached to a call comes back to it
// through clients of other formats, whole and streamed: it refuses calls without it.
func TestSealsOfCalls(t *testing.T) {
	r := newRig(t, plan{tap: true})
	const signature = `"thoughtSignature":"dXBzdHJlYW10ZXN0LXNpZ25hdHVyZQ=="`
	ask := func(path, body string) answer {
		got := r.do(t, call{path: path, body: body})
		if got.status != http.StatusOK {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		return got
	}
	const chatHead = `{"model":"flash","tools":[{"type":"function","function":` + weather + `}],"messages":[{"role":"user","content":"call weather"}`
	var first struct {
		Choices []struct{ Message json.RawMessage }
	}
	unmarshal(t, ask("/v1/chat/completions", chatHead+`]}`).body, &first)
	var said struct {
		Calls []struct{ ID string } `json:"tool_calls"`
	}
	unmarshal(t, first.Choices[0].Message, &said)
	r.taps[ge].take(t)
	ask("/v1/chat/completions", chatHead+`,`+string(first.Choices[0].Message)+`,{"role":"tool","tool_call_id":`+quote(said.Calls[0].ID)+`,"content":"rain"}]}`)
	if up := r.taps[ge].take(t); !bytes.Contains(up.body, []byte(signature)) {
		t.Errorf("chat: the signature did not come back: %s", up.body)
	}

	messagesHead := `{"model":"flash","max_tokens":99,"tools":[` + strings.Replace(weather, "parameters", "input_schema", 1) + `],"messages":[{"role":"user","content":"call weather"}`
	var message struct{ Content json.RawMessage }
	unmarshal(t, ask("/v1/messages", messagesHead+`]}`).body, &message)
	var blocks []contentBlock
	unmarshal(t, message.Content, &blocks)
	r.taps[ge].take(t)
	ask("/v1/messages", messagesHead+`,{"role":"assistant","content":`+string(message.Content)+`},{"role":"user","content":[{"type":"tool_result","tool_use_id":`+quote(blocks[len(blocks)-1].ID)+`,"content":"rain"}]}]}`)
	if up := r.taps[ge].take(t); !bytes.Contains(up.body, []byte(signature)) {
		t.Errorf("messages: the signature did not come back: %s", up.body)
	}
}

// TestForeignThoughts: thinking that Anthropic signed comes back to it through a
// client of Google's, whole and streamed, whatever that client does with bytes.
func TestForeignThoughts(t *testing.T) {
	r := newRig(t, plan{tap: true})
	const head = `{"generationConfig":{"maxOutputTokens":4096,"thinkingConfig":{"includeThoughts":true,"thinkingBudget":2048}},"tools":[{"functionDeclarations":[` + weather + `]}],"contents":[{"role":"user","parts":[{"text":"call weather"}]}`
	const result = `{"role":"user","parts":[{"functionResponse":{"name":"weather","response":{"output":"rain"}}}]}`
	for _, verb := range []string{"generateContent", "streamGenerateContent"} {
		path := "/v1beta/models/claude:" + verb
		got := r.do(t, call{path: path, body: head + `]}`})
		body := got.body
		if body[0] == '{' {
			body = append(append([]byte("["), body...), ']')
		}
		r.taps[an].take(t)
		var parts []string
		for _, e := range array(t, body) {
			var g struct {
				Candidates []struct {
					Content struct{ Parts []json.RawMessage }
				}
			}
			unmarshal(t, e, &g)
			for _, p := range g.Candidates[0].Content.Parts {
				parts = append(parts, strings.NewReplacer("+", "-", "==", "", "=", "").Replace(string(p))) // as Python's SDK spells bytes
			}
		}
		again := head + `,{"role":"model","parts":[` + strings.Join(parts, ",") + `]},` + result + `]}`
		if got := r.do(t, call{path: path, body: again}); got.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", verb, got.status, got.body)
		}
		up := r.taps[an].take(t)
		if !bytes.Contains(up.body, []byte(`"signature":"EqQBCkYIBRgCKkDupstreamtest=="`)) || !bytes.Contains(up.body, []byte(`"thinking":"considering `)) {
			t.Errorf("%s: the thinking did not come back: %s", verb, up.body)
		}
	}
}

// TestCallsWithoutIDs: calls of a model that gives them no ids get ids of their own,
// which hold for the next turn.
func TestCallsWithoutIDs(t *testing.T) {
	r := newRig(t, plan{tap: true, snapshot: alias("older", ge, "gemini-2.5-flash")})
	for _, c := range crossings() {
		if c.to.ep != wire.GenerateContent {
			continue
		}
		c.model = "older"
		seen := map[string]bool{}
		for range 2 {
			got := r.do(t, call{path: c.path, body: c.bodies()["tools"]})
			r.taps[ge].take(t)
			for _, made := range c.read(t, got.body).Calls {
				if made.ID == "" || seen[made.ID] {
					t.Errorf("%s: the id %q", c.name, made.ID)
				}
				seen[made.ID] = true
			}
		}
		if len(seen) != 4 {
			t.Errorf("%s: ids %v", c.name, seen)
		}
		if got := r.do(t, call{path: c.path, body: c.bodies()["result"]}); got.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", c.name, got.status, got.body)
		}
		up := r.taps[ge].take(t)
		if bytes.Contains(up.body, []byte("thoughtSignature")) || !bytes.Contains(up.body, []byte(`"name":"weather","response"`)) {
			t.Errorf("%s: the upstream received %s", c.name, up.body)
		}
	}
}
