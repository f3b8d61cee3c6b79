package openai

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// follow shows a stream to a follower and returns a letter for each event:
// m(eta), c(ontent), u(sage), p(ing), e(rror), E(nd), i(nvalid).
func follow(t *testing.T, f wire.Follower, stream string) string {
	t.Helper()
	s := wire.NewSplitter(1 << 20)
	s.Feed([]byte(stream))
	var kinds strings.Builder
	for s.Next() {
		kinds.WriteByte("mcupeEif"[f.Frame(s.Event())])
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return kinds.String()
}

// data writes each line as an unnamed event.
func data(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("data: " + l + "\n\n")
	}
	return b.String()
}

// events writes each line as an event that is named by its type member.
func events(t *testing.T, lines ...string) string {
	t.Helper()
	var b strings.Builder
	for _, l := range lines {
		var e struct{ Type string }
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		b.WriteString("event: " + e.Type + "\ndata: " + l + "\n\n")
	}
	return b.String()
}

func delta(d string) string {
	return `{"id":"c1","object":"chat.completion.chunk","model":"gpt-x","choices":[{"index":0,"delta":` + d + `,"finish_reason":null}]}`
}

const (
	finish = `{"id":"c1","model":"gpt-x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	tokens = `{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}`
	usage  = `{"id":"c1","model":"gpt-x","choices":[],"usage":` + tokens + `}`
)

func claimed(verbatim string, input, output int64) llm.Usage {
	return llm.Usage{Status: llm.UsageClaimed, Tokens: llm.Tokens{llm.Input: input, llm.Output: output}, Verbatim: []byte(verbatim)}
}

var unknown = llm.Usage{Status: llm.UsageUnknown}

func TestChatStream(t *testing.T) {
	for _, c := range []struct {
		name, stream, kinds string
		choices             int64
		want                llm.Summary
	}{
		{
			"ordinary", ": comment\n\n" + data(delta(`{"role":"assistant","content":""}`), delta(`{"content":"Hi"}`), finish, usage, `[DONE]`), "pmccuE", 1,
			llm.Summary{Usage: claimed(tokens, 9, 12), Model: "gpt-x", ID: "c1", Finish: "stop", Complete: true},
		},
		{
			"without usage", data(delta(`{"content":"Hi"}`), finish, `[DONE]`), "ccE", 1,
			llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1", Finish: "stop", Complete: true},
		},
		{
			"cut before the end", data(delta(`{"content":"Hi"}`)), "c", 1,
			llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1"},
		},
		{
			"no [DONE] but finished", data(delta(`{"content":"Hi"}`), finish), "cc", 1,
			llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1", Finish: "stop", Complete: true},
		},
		{
			"one of two choices finished", data(delta(`{"content":"Hi"}`), finish), "cc", 2,
			llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1", Finish: "stop"},
		},
		{
			"both choices finished", data(finish, `{"choices":[{"index":1,"delta":{"content":"x"},"finish_reason":"length"}]}`), "cc", 2,
			llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1", Finish: "stop", Complete: true},
		},
		{
			"a choice that nobody asked for is open", data(delta(`{}`), `{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}`), "mc", 1,
			llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1", Finish: "stop"},
		},
		{
			"an empty answer commits", data(delta(`{"role":"assistant","content":""}`), finish, `[DONE]`), "mcE", 1,
			llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1", Finish: "stop", Complete: true},
		},
		{
			"finish reason of empty text", data(`{"choices":[{"index":0,"delta":{"content":""},"finish_reason":""}]}`), "m", 1,
			llm.Summary{Usage: unknown},
		},
		{
			"usage on every chunk (vLLM)", data(
				`{"id":"v","model":"q","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":{"prompt_tokens":5,"completion_tokens":0,"total_tokens":5}}`,
				`{"id":"v","model":"q","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`,
				`{"id":"v","model":"q","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`,
				`{"id":"v","model":"q","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`, `[DONE]`), "mccuE", 1,
			llm.Summary{Usage: claimed(`{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}`, 5, 2), Model: "q", ID: "v", Finish: "stop", Complete: true},
		},
		{
			"usage with the finish (llama.cpp)", data(`{"choices":[{"finish_reason":"length","index":0,"delta":{}}],"usage":` + tokens + `,"timings":{"prompt_n":9}}`), "c", 1,
			llm.Summary{Usage: claimed(tokens, 9, 12), Finish: "length", Complete: true},
		},
		{
			"cached tokens in a stream (QuantumNous/new-api 6144)", data(finish, `{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":2,"total_tokens":102,"prompt_tokens_details":{"cached_tokens":90}}}`), "cu", 1,
			llm.Summary{Usage: llm.Usage{Status: llm.UsageClaimed, Tokens: llm.Tokens{llm.Input: 10, llm.CacheRead: 90, llm.Output: 2}, Verbatim: []byte(`{"prompt_tokens":100,"completion_tokens":2,"total_tokens":102,"prompt_tokens_details":{"cached_tokens":90}}`)}, Model: "gpt-x", ID: "c1", Finish: "stop", Complete: true},
		},
		{
			"an empty stream is unknown, not charged (QuantumNous/new-api 4199)", data(`{"id":"c1","choices":[],"prompt_filter_results":[],"usage":null}`), "m", 1,
			llm.Summary{Usage: unknown, ID: "c1"},
		},
		{"usage without choices at all", data(`{"usage":` + tokens + `}`), "u", 1, llm.Summary{Usage: claimed(tokens, 9, 12)}},
		{
			"a worse claim replaces a better", data(usage, `{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":1}}`), "uu", 1,
			llm.Summary{Usage: llm.Usage{Status: llm.UsageImplausible, Reason: "negative prompt tokens", Verbatim: []byte(`{"prompt_tokens":-1,"completion_tokens":1}`)}, Model: "gpt-x", ID: "c1"},
		},
		{
			"error in a chunk", data(delta(`{"content":"Hi"}`), `{"error":{"message":"overloaded","code":503}}`), "ce", 1,
			llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1", Failed: true},
		},
		{
			"error with usage", data(`{"error":{"message":"x"},"choices":[],"usage":` + tokens + `}`), "e", 1,
			llm.Summary{Usage: claimed(tokens, 9, 12), Failed: true},
		},
		{"error event", "event: error\ndata: oops\n\n", "e", 1, llm.Summary{Usage: unknown, Failed: true}},
		{"error event without data", "event: error\n\n", "e", 1, llm.Summary{Usage: unknown, Failed: true}},
		{"error event with an error", "event: error\ndata: {\"error\":\"x\"}\n\n", "e", 1, llm.Summary{Usage: unknown, Failed: true}},
		{"error event that clients pass over", "event: error\ndata: {\"message\":\"overloaded\"}\n\n", "f", 1, llm.Summary{Usage: unknown, Failed: true}},
		{"an empty error, which clients of one language pass over", data(`{"error":{}}`), "f", 1, llm.Summary{Usage: unknown, Failed: true}},
		{"no error after all", data(`{"error":null,"choices":[]}`, `{"error":"","choices":[]}`, `{"error":false}`), "mmm", 1, llm.Summary{Usage: unknown}},
		{"kinds of content", data(delta(`{"reasoning_content":"x"}`), delta(`{"reasoning":"x","content":null}`), delta(`{"refusal":"no"}`), delta(`{"function_call":{"name":"f"}}`),
			delta(`{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}`), delta(`{"audio":{"id":"a"}}`), delta(`{"content":[{"type":"text"}]}`), delta(`{"role":"assistant","new_kind":"x"}`),
			`{"choices":[{"index":0,"message":{"role":"assistant","content":"whole"}}]}`), "ccccccccc", 1, llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1"}},
		{"kinds of nothing", data(delta(`{}`), delta(`null`), delta(`{"role":"assistant","name":"x","content":"","refusal":null,"tool_calls":[],"reasoning_details":[ ]}`),
			`{"choices":null}`, `{}`), "mmmmm", 1, llm.Summary{Usage: unknown, Model: "gpt-x", ID: "c1"}},
		{"not in the dialect", data(`hello`, `[]`, `{"choices":{}}`, `{"choices":[1]}`, `{"choices":[]`, `"x"`, `[DONE]x`, ` `), "iiiiiiii", 1, llm.Summary{Usage: unknown}},
		{"[DONE] with spaces", data(` [DONE] `), "E", 1, llm.Summary{Usage: unknown, Complete: true}},
		{"named without data", "event: foo\n\nid: 7\n\n", "mp", 1, llm.Summary{Usage: unknown}},
		{
			"hostile names are bounded", data(`{"id":"` + strings.Repeat("é", 300) + `","model":"a\u001b\ud83d","choices":[{"finish_reason":"` + strings.Repeat("f", 300) + `"}]}`), "c", 1,
			llm.Summary{Usage: unknown, ID: strings.Repeat("é", 128), Model: "a\x1b\uFFFD", Finish: strings.Repeat("f", 256), Complete: true},
		},
	} {
		f := Dialect{}.Follow(&wire.Call{Endpoint: wire.Chat, Choices: c.choices})
		if kinds := follow(t, f, c.stream); kinds != c.kinds {
			t.Errorf("%s: frames %s, want %s", c.name, kinds, c.kinds)
		}
		if diff := cmp.Diff(c.want, f.Summary()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestResponsesStream(t *testing.T) {
	const (
		use  = `{"input_tokens":36,"input_tokens_details":{"cached_tokens":0},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":123}`
		open = `{"type":"response.created","sequence_number":0,"response":{"id":"r1","object":"response","status":"in_progress","model":"gpt-r","error":null,"usage":null,"output":[]}}`
	)
	end := func(status, more string) string {
		return `{"type":"response.` + status + `","response":{"id":"r1","status":"` + status + `","model":"gpt-r"` + more + `,"usage":` + use + `}}`
	}
	for _, c := range []struct {
		name, stream, kinds string
		want                llm.Summary
	}{
		{
			"ordinary", events(t, open, `{"type":"response.in_progress","response":{}}`,
				`{"type":"response.output_item.added","output_index":0,"item":{"id":"msg","type":"message","status":"in_progress","content":[]}}`,
				`{"type":"response.content_part.added","part":{"type":"output_text","text":""}}`,
				`{"type":"response.output_text.delta","delta":"Hi"}`, `{"type":"response.output_text.done","text":"Hi"}`, end("completed", "")), "mmmmccE",
			llm.Summary{Usage: claimed(use, 36, 87), Model: "gpt-r", ID: "r1", Finish: "completed", Complete: true},
		},
		{"kinds of content", events(t, `{"type":"response.reasoning_text.delta","delta":"x"}`, `{"type":"response.reasoning_summary_text.delta","delta":"x"}`,
			`{"type":"response.function_call_arguments.delta","delta":"{"}`, `{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}`,
			`{"type":"response.refusal.delta","delta":"x"}`, `{"type":"response.brand_new.thing"}`), "cccccc", llm.Summary{Usage: unknown}},
		{"kinds of nothing", events(t, `{"type":"response.output_text.delta","delta":""}`, `{"type":"response.output_item.added","item":{"type":"reasoning","summary":[]}}`,
			`{"type":"response.output_item.added"}`, `{"type":"response.queued","response":{"status":"queued"}}`, `{"type":"codex.rate_limits","x":1}`, `{"type":"keepalive"}`), "mmmmmp", llm.Summary{Usage: unknown}},
		{
			"incomplete", events(t, end("incomplete", `,"incomplete_details":{"reason":"max_output_tokens"}`)), "E",
			llm.Summary{Usage: claimed(use, 36, 87), Model: "gpt-r", ID: "r1", Finish: "max_output_tokens", Complete: true},
		},
		{
			"failed", events(t, open, end("failed", `,"error":{"code":"server_error","message":"x"}`)), "mE",
			llm.Summary{Usage: claimed(use, 36, 87), Model: "gpt-r", ID: "r1", Finish: "failed", Complete: true, Failed: true},
		},
		{
			"cancelled", events(t, end("cancelled", "")), "E",
			llm.Summary{Usage: claimed(use, 36, 87), Model: "gpt-r", ID: "r1", Finish: "cancelled", Complete: true},
		},
		{"error", events(t, open, `{"type":"error","code":"x","message":"y","param":null,"sequence_number":1}`), "me", llm.Summary{Usage: unknown, Model: "gpt-r", ID: "r1", Failed: true}},
		{"error without a type", data(`{"error":{"message":"x"}}`), "e", llm.Summary{Usage: unknown, Failed: true}},
		{"error event that is not JSON", "event: error\ndata: oops\n\n", "e", llm.Summary{Usage: unknown, Failed: true}},
		{"error event without a type", "event: error\ndata: {\"error\":{\"message\":\"x\"}}\n\n", "e", llm.Summary{Usage: unknown, Failed: true}},
		{"error event that clients pass over", "event: error\ndata: {\"message\":\"overloaded\"}\n\n", "f", llm.Summary{Usage: unknown, Failed: true}},
		{
			"unnamed events count by their type", data(open, `{"type":"response.output_text.delta","delta":"x"}`, end("completed", ""), `[DONE]`), "mcEE",
			llm.Summary{Usage: claimed(use, 36, 87), Model: "gpt-r", ID: "r1", Finish: "completed", Complete: true},
		},
		{"[DONE] alone completes nothing", data(open, `[DONE]`), "mE", llm.Summary{Usage: unknown, Model: "gpt-r", ID: "r1"}},
		{"cut", events(t, open, `{"type":"response.output_text.delta","delta":"x"}`), "mc", llm.Summary{Usage: unknown, Model: "gpt-r", ID: "r1"}},
		{"another dialect", data(delta(`{"content":"Hi"}`), `x`, `{"type":7}`), "iii", llm.Summary{Usage: unknown}},
	} {
		f := Dialect{}.Follow(&wire.Call{Endpoint: wire.Responses})
		if kinds := follow(t, f, c.stream); kinds != c.kinds {
			t.Errorf("%s: frames %s, want %s", c.name, kinds, c.kinds)
		}
		if diff := cmp.Diff(c.want, f.Summary()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name string
		ep   wire.Endpoint
		body string
		want llm.Summary
		err  string
	}{
		{
			"chat", wire.Chat, `{"id":"c","model":"m","choices":[{"finish_reason":"tool_calls","message":{"role":"assistant"}}],"usage":` + tokens + "}\n",
			llm.Summary{Usage: claimed(tokens, 9, 12), ID: "c", Model: "m", Finish: "tool_calls", Complete: true},
			"",
		},
		{"an error is not an answer (QuantumNous/new-api 3110)", wire.Chat, `{"error":{"message":"no credit, very sorry"}}`, llm.Summary{Usage: unknown, Failed: true}, ""},
		{"chat without choices", wire.Chat, `{"id":"c"}`, llm.Summary{}, "no choices"},
		{"chat of another kind", wire.Chat, `{"choices":["x"]}`, llm.Summary{}, "no object"},
		{"not JSON", wire.Chat, `<html>`, llm.Summary{}, "not a JSON object"},
		{"cut", wire.Chat, `{"id":"c","choices":[{"me`, llm.Summary{}, "ends within"},
		{
			"responses", wire.Responses, `{"id":"r","model":"m","status":"completed","error":null,"output":[],"usage":null}`,
			llm.Summary{Usage: unknown, ID: "r", Model: "m", Finish: "completed", Complete: true},
			"",
		},
		{"responses in the background", wire.Responses, `{"id":"r","status":"queued","output":[]}`, llm.Summary{Usage: unknown, ID: "r", Complete: true}, ""},
		{"responses failed", wire.Responses, `{"id":"r","status":"failed","error":{"code":"x"},"output":[]}`, llm.Summary{Usage: unknown, ID: "r", Finish: "failed", Failed: true}, ""},
		{"responses without output", wire.Responses, `{"id":"r"}`, llm.Summary{}, "no output"},
		{"responses cut", wire.Responses, `{"id":"r"`, llm.Summary{}, "ends within"},
		{
			"embeddings", wire.Embeddings, `{"object":"list","data":[{"embedding":"AAAA"}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}`,
			llm.Summary{Usage: claimed(`{"prompt_tokens":8,"total_tokens":8}`, 8, 0), Model: "e", Complete: true},
			"",
		},
		{"embeddings failed", wire.Embeddings, `{"error":"x"}`, llm.Summary{Usage: unknown, Failed: true}, ""},
		{"embeddings without data", wire.Embeddings, `{}`, llm.Summary{}, "no data"},
		{"embeddings cut", wire.Embeddings, `{`, llm.Summary{}, "ends within"},
	} {
		f := Dialect{}.Follow(&wire.Call{Endpoint: c.ep, Choices: 1})
		err := f.Body([]byte(c.body))
		if c.err != "" {
			if err == nil || fault.From(err).Kind != fault.UpstreamInvalid || !strings.Contains(err.Error(), c.err) || f.Summary().Complete {
				t.Errorf("%s: %v, complete: %v", c.name, err, f.Summary().Complete)
			}
			continue
		}
		if diff := cmp.Diff(c.want, f.Summary()); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
	if kind := (Dialect{}).Follow(&wire.Call{Endpoint: wire.Embeddings}).Frame(wire.Event{Data: []byte("{}")}); kind != wire.FrameInvalid {
		t.Errorf("embeddings stream: %v", kind)
	}
}

func TestClaimIsBounded(t *testing.T) {
	big := `{"prompt_tokens":1,"completion_tokens":2,"x":"` + strings.Repeat("é", 5000) + `"}`
	f := Dialect{}.Follow(&wire.Call{Endpoint: wire.Chat})
	if err := f.Body([]byte(`{"choices":[],"usage":` + big + `}`)); err != nil {
		t.Fatal(err)
	}
	u := f.Summary().Usage
	if u.Status != llm.UsageClaimed || len(u.Verbatim) > wire.MaxClaim || len(u.Verbatim) < wire.MaxClaim-3 || !strings.HasPrefix(big, string(u.Verbatim)) {
		t.Errorf("%s with %d bytes", u.Status, len(u.Verbatim))
	}
	u.Verbatim[0] = 'x' // the caller's own copy
	if f.Summary().Usage.Verbatim[0] != '{' {
		t.Error("a summary shares memory with its follower")
	}
}

// FuzzFollow checks that no stream or body makes a follower panic, lie about
// bounds, or claim what cannot be.
func FuzzFollow(f *testing.F) {
	f.Add([]byte(data(delta(`{"content":"Hi"}`), finish, usage, `[DONE]`)))
	f.Add([]byte("event: response.completed\n" + data(`{"type":"response.completed","response":{"id":"r","status":"failed","usage":{"input_tokens":1,"output_tokens":2,"total_tokens":9,"input_tokens_details":{"cached_tokens":1}}}}`)))
	f.Add([]byte(data(`{"choices":[{"index":-1,"delta":{"content":{}}},{"index":200}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":4294967297,"prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":9,"audio_tokens":7},"prompt_cache_hit_tokens":8}}`)))
	f.Add([]byte(`{"choices":[],"output":[],"data":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, ep := range []wire.Endpoint{wire.Chat, wire.Responses, wire.Embeddings} {
			d := Dialect{}.Follow(&wire.Call{Endpoint: ep, Choices: 1})
			s := wire.NewSplitter(1 << 16)
			s.Feed(stream)
			for s.Next() {
				if kind := d.Frame(s.Event()); kind > wire.FrameFailed {
					t.Fatalf("kind %d", kind)
				}
			}
			check(t, d.Summary())
			if err := d.Body(stream); err != nil && fault.From(err).Kind != fault.UpstreamInvalid {
				t.Fatal(err)
			}
			check(t, d.Summary())
		}
	})
}

func check(t *testing.T, s llm.Summary) {
	t.Helper()
	if len(s.ID) > wire.MaxNote || len(s.Model) > wire.MaxNote || len(s.Finish) > wire.MaxNote || len(s.Usage.Verbatim) > wire.MaxClaim {
		t.Fatalf("unbounded: %+v", s)
	}
	if s.Usage.Status != llm.UsageClaimed && s.Usage.Tokens != (llm.Tokens{}) {
		t.Fatalf("tokens without a claim: %+v", s.Usage)
	}
	if (s.Usage.Status == llm.UsageImplausible) != (s.Usage.Reason != "") {
		t.Fatalf("reason: %+v", s.Usage)
	}
	for class, n := range s.Usage.Tokens {
		if n < 0 || n > llm.MaxPlausibleTokens {
			t.Fatalf("%d of %v: %s", n, llm.Class(class), s.Usage.Verbatim)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for name, c := range map[string]struct {
		ep   wire.Endpoint
		data string
	}{
		"chat delta":      {wire.Chat, `{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null}],"obfuscation":"Qd8"}`},
		"chat usage":      {wire.Chat, `{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":192,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}`},
		"responses delta": {wire.Responses, `{"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"delta":" hello","logprobs":[],"obfuscation":"Qd8"}`},
	} {
		b.Run(name, func(b *testing.B) {
			f := Dialect{}.Follow(&wire.Call{Endpoint: c.ep, Choices: 1})
			ev := wire.Event{Data: []byte(c.data)}
			f.Frame(ev)
			b.SetBytes(int64(len(c.data)))
			b.ReportAllocs()
			for b.Loop() {
				if f.Frame(ev) == wire.FrameInvalid {
					b.Fatal("invalid")
				}
			}
		})
	}
}
