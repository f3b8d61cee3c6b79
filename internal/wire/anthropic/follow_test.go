package anthropic

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

func start(usage string) string {
	return `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"usage":` + usage + `}}`
}

func ends(usage string) string {
	return `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":` + usage + `}`
}

const (
	textStart = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	text      = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}`
	textStop  = `{"type":"content_block_stop","index":0}`
	stop      = `{"type":"message_stop"}`
	ping      = `{"type":"ping"}`
	opening   = `{"input_tokens":25,"output_tokens":1}`
	closing   = `{"output_tokens":15}`
)

var (
	unknown = llm.Usage{Status: llm.UsageUnknown}
	begun   = llm.Usage{Status: llm.UsageUnknown, Verbatim: []byte(opening)} // claimed at the beginning only
)

func TestStream(t *testing.T) {
	plain := llm.Usage{Status: llm.UsageClaimed, Tokens: llm.Tokens{llm.Input: 25, llm.Output: 15}, Verbatim: []byte(opening + "\n" + closing)}
	whole := events(t, start(opening), ping, textStart, text, text, textStop, ends(closing), stop)
	for _, c := range []struct {
		name, stream, kinds string
		want                llm.Summary
	}{
		{"ordinary", whole, "mpmccmcE", llm.Summary{Usage: plain, Model: "claude-x", ID: "msg_1", Finish: "end_turn", Complete: true}},
		{"an empty answer commits", events(t, start(opening), ends(closing), stop), "mcE", llm.Summary{Usage: plain, Model: "claude-x", ID: "msg_1", Finish: "end_turn", Complete: true}},
		{"cut: the first figure of output is no claim", events(t, start(opening), textStart, text), "mmc", llm.Summary{Usage: begun, Model: "claude-x", ID: "msg_1"}},
		{"cut after the usage", events(t, start(opening), text, ends(closing)), "mcc", llm.Summary{Usage: plain, Model: "claude-x", ID: "msg_1", Finish: "end_turn"}},
		{
			"message_delta without a stop reason", events(t, `{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":3}}`), "m",
			llm.Summary{Usage: llm.Usage{Status: llm.UsageImplausible, Reason: "input tokens are missing", Verbatim: []byte(`{"output_tokens":3}`)}},
		},
		{"error", events(t, start(opening), `{"type":"error","error":{"type":"overloaded_error","message":"x"}}`), "me", llm.Summary{Usage: begun, Model: "claude-x", ID: "msg_1", Failed: true}},
		{"error without JSON", "event: error\ndata: upstream died\n\n", "e", llm.Summary{Usage: unknown, Failed: true}},
		{"error under another name", "event: message\ndata: {\"type\":\"error\"}\n\n", "f", llm.Summary{Usage: unknown, Failed: true}},
		{"unnamed events reach nobody", strings.ReplaceAll(whole, "event: ", ": "), "mmmmmmmm", llm.Summary{Usage: plain, Model: "claude-x", ID: "msg_1", Finish: "end_turn"}},
		{"the name alone means nothing", "event: message_stop\ndata: {\"type\":\"content_block_stop\"}\n\n", "m", llm.Summary{Usage: unknown}},
		{"no data", "event: content_block_delta\n\n", "m", llm.Summary{Usage: unknown}},
		{"comment", ": x\n\n", "p", llm.Summary{Usage: unknown}},
		{"kinds of content", events(t, `{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"x"}}`, `{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}}`,
			`{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"x"}}`, `{"type":"content_block_delta","delta":{"type":"citations_delta","citation":{"type":"char_location"}}}`,
			`{"type":"content_block_start","content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`, `{"type":"content_block_start","content_block":{"type":"redacted_thinking","data":"x"}}`,
			`{"type":"content_block_start","content_block":{"type":"text","text":"x"}}`, `{"type":"content_block_start","content_block":{"type":"thinking","thinking":"","signature":"x"}}`), "cccccccc", llm.Summary{Usage: unknown}},
		{"kinds of nothing", events(t, `{"type":"content_block_delta","delta":{"type":"text_delta","text":""}}`, `{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":""}}`,
			`{"type":"content_block_start","content_block":{"type":"thinking","thinking":"","signature":""}}`, `{"type":"content_block_start"}`, `{"type":"content_block_delta","delta":null}`, `{"type":"brand_new"}`), "mmmmmm", llm.Summary{Usage: unknown}},
		{"not in the dialect", "event: x\ndata: hello\n\nevent: x\ndata: {}\n\nevent: x\ndata: {\"type\":1}\n\ndata: [DONE]\n\n", "iiii", llm.Summary{Usage: unknown}},
	} {
		f := Dialect{}.Follow(&wire.Call{Endpoint: wire.Messages})
		if kinds := follow(t, f, c.stream); kinds != c.kinds {
			t.Errorf("%s: frames %s, want %s", c.name, kinds, c.kinds)
		}
		for range 2 { // asking does not change the answer
			if diff := cmp.Diff(c.want, f.Summary()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	}
}

// TestUsage holds one case for every way in which gateways are known to have
// counted wrongly. Each is shown as a stream and, where it has one part only, as
// a unary answer.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		name           string
		opening, final string // of message_start and message_delta
		want           llm.Tokens
		reason         string
	}{
		{"plain", `{"input_tokens":25,"output_tokens":1}`, `{"output_tokens":15}`, llm.Tokens{llm.Input: 25, llm.Output: 15}, ""},
		// input_tokens excludes what the cache served: adding or subtracting it again
		// is how a prompt was billed at seven times its price.
		{
			"cache tokens are apart from input (BerriAI/litellm 5443, 11364)", `{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":187354,"output_tokens":2}`, `{"output_tokens":22}`,
			llm.Tokens{llm.Input: 4, llm.CacheRead: 187354, llm.Output: 22},
			"",
		},
		{
			"cache writes are billed, by duration (QuantumNous/new-api 5756)", `{"input_tokens":2048,"cache_read_input_tokens":1800,"cache_creation_input_tokens":248,"cache_creation":{"ephemeral_5m_input_tokens":148,"ephemeral_1h_input_tokens":100},"output_tokens":1}`, `{"output_tokens":503}`,
			llm.Tokens{llm.Input: 2048, llm.CacheRead: 1800, llm.CacheWrite5m: 148, llm.CacheWrite1h: 100, llm.Output: 503},
			"",
		},
		{
			"cached tokens survive the stream (QuantumNous/new-api 6144)", `{"input_tokens":10,"cache_read_input_tokens":90,"output_tokens":1}`, `{"output_tokens":2}`,
			llm.Tokens{llm.Input: 10, llm.CacheRead: 90, llm.Output: 2},
			"",
		},
		{
			"the final usage counts, not the first (agentgateway 2977)", `{"input_tokens":10,"output_tokens":4}`, `{"input_tokens":10682,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":510,"server_tool_use":{"web_search_requests":1}}`,
			llm.Tokens{llm.Input: 10682, llm.Output: 510},
			"",
		},
		{
			"streamed messages are not 0 tokens (mozilla-ai/otari 256)", `{"input_tokens":0,"output_tokens":0}`, `{"input_tokens":312,"cache_read_input_tokens":64,"output_tokens":44}`,
			llm.Tokens{llm.Input: 312, llm.CacheRead: 64, llm.Output: 44},
			"",
		},
		{
			"a repeated 0 does not make the prompt free", `{"input_tokens":312,"cache_read_input_tokens":64,"output_tokens":1}`, `{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":44}`,
			llm.Tokens{llm.Input: 312, llm.CacheRead: 64, llm.Output: 44},
			"",
		},
		{"the output may be less than the first figure", `{"input_tokens":9,"output_tokens":8}`, `{"output_tokens":4}`, llm.Tokens{llm.Input: 9, llm.Output: 4}, ""},
		{"writes of no stated duration", `{"input_tokens":9,"cache_creation_input_tokens":50,"output_tokens":1}`, `{"output_tokens":4}`, llm.Tokens{llm.Input: 9, llm.CacheWrite5m: 50, llm.Output: 4}, ""},
		{
			"writes that grew", `{"input_tokens":9,"cache_creation_input_tokens":50,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30},"output_tokens":1}`, `{"cache_creation_input_tokens":60,"output_tokens":4}`,
			llm.Tokens{llm.Input: 9, llm.CacheWrite5m: 30, llm.CacheWrite1h: 30, llm.Output: 4},
			"",
		},
		{
			"long writes that grew", `{"input_tokens":9,"cache_creation_input_tokens":50,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":50},"output_tokens":1}`, `{"cache_creation_input_tokens":60,"output_tokens":4}`,
			llm.Tokens{llm.Input: 9, llm.CacheWrite1h: 60, llm.Output: 4},
			"",
		},
		{
			"writes only by duration", `{"input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"output_tokens":1}`, `{"output_tokens":4}`,
			llm.Tokens{llm.Input: 9, llm.CacheWrite5m: 1, llm.CacheWrite1h: 2, llm.Output: 4},
			"",
		},
		{
			"thinking is part of the output", `{"input_tokens":9,"output_tokens":1}`, `{"output_tokens":100,"output_tokens_details":{"thinking_tokens":80}}`,
			llm.Tokens{llm.Input: 9, llm.Output: 20, llm.Reasoning: 80},
			"",
		},
		{
			"nulls", `{"input_tokens":9,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"cache_creation":null,"output_tokens":1}`, `{"input_tokens":null,"output_tokens":4,"output_tokens_details":null,"server_tool_use":null}`,
			llm.Tokens{llm.Input: 9, llm.Output: 4},
			"",
		},

		{"negative input (QuantumNous/new-api 5003)", `{"input_tokens":-9,"output_tokens":1}`, `{"output_tokens":4}`, llm.Tokens{}, "negative input tokens"},
		{"fraction", `{"input_tokens":9.5,"output_tokens":1}`, `{"output_tokens":4}`, llm.Tokens{}, "input tokens is not an integer"},
		{"huge", `{"input_tokens":9,"cache_read_input_tokens":4294967297,"output_tokens":1}`, `{"output_tokens":4}`, llm.Tokens{}, "excessive cache read tokens"},
		{"text", `{"input_tokens":9,"output_tokens":1}`, `{"output_tokens":"4"}`, llm.Tokens{}, "output tokens is not an integer"},
		{"durations beyond the writes", `{"input_tokens":9,"cache_creation_input_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"output_tokens":1}`, `{"output_tokens":4}`, llm.Tokens{}, "more cache writes by duration than in all"},
		{"thinking beyond the output", `{"input_tokens":9,"output_tokens":1}`, `{"output_tokens":4,"output_tokens_details":{"thinking_tokens":5}}`, llm.Tokens{}, "more thinking tokens than output"},
		{"no input", `{"output_tokens":1}`, `{"output_tokens":4}`, llm.Tokens{}, "input tokens are missing"},
		{"not an object", `{"input_tokens":1,"output_tokens":1}`, `[4]`, llm.Tokens{}, "usage is not an object"},
	} {
		want := llm.Usage{Status: llm.UsageClaimed, Tokens: c.want, Reason: c.reason, Verbatim: []byte(c.opening + "\n" + c.final)}
		if c.reason != "" {
			want.Status = llm.UsageImplausible
		}
		f := Dialect{}.Follow(&wire.Call{Endpoint: wire.Messages})
		follow(t, f, events(t, start(c.opening), text, ends(c.final), stop))
		if diff := cmp.Diff(want, f.Summary().Usage); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestUsageIsUnknownNotZero(t *testing.T) {
	for name, stream := range map[string]string{
		"nothing came (QuantumNous/new-api 4199)": "",
		"only pings":                  events(t, ping, ping),
		"no usage at all":             events(t, `{"type":"message_start","message":{"id":"x"}}`, text, `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`, stop),
		"null usage":                  events(t, start("null"), text, ends("null"), stop),
		"empty usage":                 events(t, start("{}"), text, ends("{}"), stop),
		"the end does not say output": events(t, start(opening), text, ends(`{"input_tokens":25}`), stop),
	} {
		f := Dialect{}.Follow(&wire.Call{Endpoint: wire.Messages})
		follow(t, f, stream)
		if u := f.Summary().Usage; u.Status != llm.UsageUnknown || u.Tokens != (llm.Tokens{}) || u.Reason != "" {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

func TestBodies(t *testing.T) {
	const use = `{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":0},"output_tokens":7}`
	for _, c := range []struct {
		name string
		ep   wire.Endpoint
		body string
		want llm.Summary
		err  string
	}{
		{
			"message", wire.Messages, `{"id":"msg_1","type":"message","model":"claude-x","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":` + use + `}`,
			llm.Summary{
				Usage: llm.Usage{Status: llm.UsageClaimed, Tokens: llm.Tokens{llm.Input: 10, llm.CacheRead: 3, llm.CacheWrite5m: 5, llm.Output: 7}, Verbatim: []byte(use)},
				ID:    "msg_1", Model: "claude-x", Finish: "end_turn", Complete: true,
			},
			"",
		},
		{"without usage", wire.Messages, `{"id":"msg_1","content":[]}`, llm.Summary{Usage: unknown, ID: "msg_1", Complete: true}, ""},
		{"an error is not an answer (QuantumNous/new-api 3110)", wire.Messages, `{"type":"error","error":{"type":"api_error","message":"so sorry"}}`, llm.Summary{Usage: unknown, Failed: true}, ""},
		{"no content", wire.Messages, `{"id":"msg_1","type":"message"}`, llm.Summary{}, "no content"},
		{"cut", wire.Messages, `{"id":"msg_1","content":[`, llm.Summary{}, "ends within"},
		{"another dialect", wire.Messages, `{"choices":[]}`, llm.Summary{}, "no content"},
		{"count", wire.CountTokens, `{"input_tokens":2095}`, llm.Summary{Usage: llm.Usage{Status: llm.UsageClaimed, Verbatim: []byte(`{"input_tokens":2095}`)}, Complete: true}, ""},
		{"impossible count", wire.CountTokens, `{"input_tokens":-1}`, llm.Summary{Usage: llm.Usage{Status: llm.UsageImplausible, Reason: "negative input tokens", Verbatim: []byte(`{"input_tokens":-1}`)}, Complete: true}, ""},
		{"count failed", wire.CountTokens, `{"type":"error","error":{}}`, llm.Summary{Usage: unknown, Failed: true}, ""},
		{"no count", wire.CountTokens, `{}`, llm.Summary{}, "no count"},
		{"count cut", wire.CountTokens, `{"input_tokens":2`, llm.Summary{}, "ends within"},
	} {
		f := Dialect{}.Follow(&wire.Call{Endpoint: c.ep})
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
	if kind := (Dialect{}).Follow(&wire.Call{Endpoint: wire.CountTokens}).Frame(wire.Event{Data: []byte("{}")}); kind != wire.FrameInvalid {
		t.Errorf("count_tokens stream: %v", kind)
	}
}

func TestClaimIsBounded(t *testing.T) {
	big := `{"input_tokens":1,"output_tokens":2,"x":"` + strings.Repeat("é", 5000) + `"}`
	f := Dialect{}.Follow(&wire.Call{Endpoint: wire.Messages})
	follow(t, f, events(t, start(big), ends(big)))
	u := f.Summary().Usage
	if u.Status != llm.UsageClaimed || len(u.Verbatim) > wire.MaxClaim || strings.Count(string(u.Verbatim), `"input_tokens"`) != 2 {
		t.Errorf("%s with %d bytes", u.Status, len(u.Verbatim))
	}
}

// FuzzFollow checks that no stream or body makes a follower panic, lie about
// bounds, or claim what cannot be.
func FuzzFollow(f *testing.F) {
	f.Add([]byte("event: message_start\ndata: " + start(`{"input_tokens":9,"cache_creation_input_tokens":50,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30},"output_tokens":1}`) +
		"\n\nevent: message_delta\ndata: " + ends(`{"output_tokens":15,"output_tokens_details":{"thinking_tokens":3}}`) + "\n\nevent: message_stop\ndata: " + stop + "\n\n"))
	f.Add([]byte("event: content_block_start\ndata: " + textStart + "\n\nevent: x\ndata: " + text + "\n\n"))
	f.Add([]byte(`{"content":[],"input_tokens":3,"usage":{"input_tokens":3,"output_tokens":4}}`))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, ep := range []wire.Endpoint{wire.Messages, wire.CountTokens} {
			d := Dialect{}.Follow(&wire.Call{Endpoint: ep})
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
	f := Dialect{}.Follow(&wire.Call{Endpoint: wire.Messages})
	ev := wire.Event{Name: []byte("content_block_delta"), Data: []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" hello there"}}`)}
	b.SetBytes(int64(len(ev.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if f.Frame(ev) != wire.FrameContent {
			b.Fatal("no content")
		}
	}
}
