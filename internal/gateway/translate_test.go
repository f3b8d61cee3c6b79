package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

// told is what a client of any format reads out of an answer.
type told struct {
	Text   string
	Calls  []upstreamtest.ToolCall
	Finish string // "end", "length", "tool"
	Prompt int64  // tokens; -1 when not told
	Output int64
}

// crossing is a format whose requests are translated, and where to.
type crossing struct {
	format
	to   format // unary, of the upstream
	read func(t testing.TB, body []byte) told
}

// readers read the answers of each format, whole and streamed.
var readers = map[wire.Endpoint][2]func(testing.TB, []byte) told{
	wire.Chat:            {readChatAnswer, readChatStream},
	wire.Responses:       {readResponse, readResponseStream},
	wire.Messages:        {readMessage, readMessageStream},
	wire.GenerateContent: {readGenerated, readGeneratedStream},
}

// crossings lists every pair of formats, each whole and streamed.
func crossings() []crossing {
	var all []crossing
	for _, f := range formats {
		for _, to := range formats {
			if readers[f.ep][0] == nil || readers[to.ep][0] == nil || f.up == to.up || to.stream || to.ep == wire.Responses {
				continue
			}
			c := crossing{f, to, readers[f.ep][0]}
			c.up, c.model, c.name = to.up, to.model, f.name+" to "+to.name
			if f.stream {
				c.read = readers[f.ep][1]
			}
			if f.stream && f.ep == wire.Chat {
				c.body = func(m, p string) string {
					return strings.Replace(f.body(m, p), `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
				}
			}
			all = append(all, c)
		}
	}
	return all
}

func crossingNamed(name string) crossing {
	all := crossings()
	return all[slices.IndexFunc(all, func(c crossing) bool { return c.name == name })]
}

func unmarshal(t testing.TB, b []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%v in %s", err, clipped(b))
	}
}

var chatFinishes = map[string]string{"stop": "end", "length": "length", "tool_calls": "tool"}

type chatMessage struct {
	Content   string `json:"content"`
	ToolCalls []struct {
		Index    int    `json:"index"`
		ID       string `json:"id"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

type chatUsage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
}

func readChatAnswer(t testing.TB, body []byte) told {
	t.Helper()
	var a struct {
		Choices []struct {
			Message chatMessage `json:"message"`
			Finish  string      `json:"finish_reason"`
		} `json:"choices"`
		Usage *chatUsage `json:"usage"`
	}
	unmarshal(t, body, &a)
	if len(a.Choices) != 1 {
		t.Fatalf("%d choices in %s", len(a.Choices), body)
	}
	c := a.Choices[0]
	got := told{Text: c.Message.Content, Finish: chatFinishes[c.Finish], Prompt: -1}
	for _, call := range c.Message.ToolCalls {
		got.Calls = append(got.Calls, upstreamtest.ToolCall{ID: call.ID, Name: call.Function.Name, Args: call.Function.Arguments})
	}
	if a.Usage != nil {
		got.Prompt, got.Output = a.Usage.Prompt, a.Usage.Completion
	}
	return got
}

// events takes a stream apart and checks that nothing but whole events is in it.
func streamed(t testing.TB, body []byte) []wire.Event {
	t.Helper()
	var all []wire.Event
	s := wire.NewSplitter(1 << 20)
	s.Feed(body)
	for s.Next() {
		ev := s.Event()
		all = append(all, wire.Event{Raw: ev.Raw, Name: bytes.Clone(ev.Name), Data: bytes.Clone(ev.Data)})
	}
	if len(s.Rest()) > 0 {
		t.Errorf("the stream ends within an event: %q", s.Rest())
	}
	return all
}

func readChatStream(t testing.TB, body []byte) told {
	t.Helper()
	got := told{Prompt: -1}
	all := streamed(t, body)
	if last := all[len(all)-1]; string(last.Data) != "[DONE]" {
		t.Fatalf("the stream ends with %q", last.Raw)
	}
	for i, ev := range all[:len(all)-1] {
		var chunk struct {
			ID, Object, Model string
			Created           int64
			Choices           []struct {
				Delta struct {
					Role string `json:"role"`
					chatMessage
				} `json:"delta"`
				Finish *string `json:"finish_reason"`
			}
			Usage *chatUsage
		}
		unmarshal(t, ev.Data, &chunk)
		if chunk.Object != "chat.completion.chunk" || !strings.HasPrefix(chunk.ID, "chatcmpl-") || chunk.Model == "" || chunk.Created == 0 || len(ev.Name) > 0 {
			t.Errorf("frame %d: %s", i, ev.Raw)
		}
		if chunk.Usage != nil {
			got.Prompt, got.Output = chunk.Usage.Prompt, chunk.Usage.Completion
		}
		for _, c := range chunk.Choices {
			if (c.Delta.Role == "assistant") != (i == 0) {
				t.Errorf("frame %d has the role %q", i, c.Delta.Role)
			}
			got.Text += c.Delta.Content
			for _, call := range c.Delta.ToolCalls {
				if call.ID != "" {
					if call.Index != len(got.Calls) {
						t.Errorf("call %d has the index %d", len(got.Calls), call.Index)
					}
					got.Calls = append(got.Calls, upstreamtest.ToolCall{ID: call.ID, Name: call.Function.Name})
				}
				got.Calls[call.Index].Args += call.Function.Arguments
			}
			if c.Finish != nil {
				got.Finish = chatFinishes[*c.Finish]
			}
		}
	}
	return got
}

var stopReasons = map[string]string{"end_turn": "end", "max_tokens": "length", "tool_use": "tool"}

type contentBlock struct {
	Type, Text, ID, Name string
	Input                json.RawMessage
}

type messageUsage struct {
	Input  *int64 `json:"input_tokens"`
	Output *int64 `json:"output_tokens"`
	Read   int64  `json:"cache_read_input_tokens"`
}

func (u messageUsage) into(got *told) {
	if u.Input != nil && u.Output != nil {
		got.Prompt, got.Output = *u.Input+u.Read, *u.Output
	}
}

func readMessage(t testing.TB, body []byte) told {
	t.Helper()
	var a struct {
		ID, Type, Role, Model string
		Content               []contentBlock
		Stop                  string `json:"stop_reason"`
		Usage                 messageUsage
	}
	unmarshal(t, body, &a)
	if !strings.HasPrefix(a.ID, "msg_") || a.Type != "message" || a.Role != "assistant" || a.Model == "" {
		t.Errorf("%s", body)
	}
	got := told{Finish: stopReasons[a.Stop], Prompt: -1}
	for _, b := range a.Content {
		if b.Type == "tool_use" {
			got.Calls = append(got.Calls, upstreamtest.ToolCall{ID: b.ID, Name: b.Name, Args: string(b.Input)})
		}
		got.Text += b.Text
	}
	a.Usage.into(&got)
	return got
}

func readMessageStream(t testing.TB, body []byte) told {
	t.Helper()
	got := told{Prompt: -1}
	var order []string
	for _, ev := range streamed(t, body) {
		var e struct {
			Type  string
			Index int
			Block contentBlock `json:"content_block"`
			Delta struct {
				Type, Text string
				JSON       string `json:"partial_json"`
				Stop       string `json:"stop_reason"`
			}
			Usage messageUsage
		}
		unmarshal(t, ev.Data, &e)
		if e.Type != string(ev.Name) {
			t.Errorf("event %q is of type %q", ev.Name, e.Type)
		}
		if e.Type != "content_block_delta" {
			order = append(order, e.Type)
		}
		if e.Type == "content_block_start" && e.Block.Type == "tool_use" {
			got.Calls = append(got.Calls, upstreamtest.ToolCall{ID: e.Block.ID, Name: e.Block.Name})
		}
		if e.Delta.Type == "input_json_delta" {
			got.Calls[len(got.Calls)-1].Args += e.Delta.JSON
		}
		got.Text += e.Delta.Text
		if e.Type == "message_delta" {
			got.Finish = stopReasons[e.Delta.Stop]
			e.Usage.into(&got)
		}
	}
	blocks := strings.Repeat("content_block_start content_block_stop ", strings.Count(strings.Join(order, " "), "content_block_start"))
	if want := "message_start " + blocks + "message_delta message_stop"; strings.Join(order, " ") != want {
		t.Errorf("events %v", order)
	}
	return got
}

// bodies are requests of a format that mean the same in each.
func (c crossing) bodies() map[string]string {
	const schema = `{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"]}`
	stream := ""
	if c.stream {
		stream = `,"stream":true`
		if c.ep == wire.Chat {
			stream += `,"stream_options":{"include_usage":true}`
		}
	}
	head := `{"model":` + quote(c.model)
	if c.ep == wire.Responses {
		return responsesBodies(head+stream, schema)
	}
	if c.ep == wire.Chat {
		tool := func(name string) string {
			return `{"type":"function","function":{"name":"` + name + `","description":"d","parameters":` + schema + `}}`
		}
		return map[string]string{
			"conversation": head + stream + `,"messages":[{"role":"system","content":"Be \"brief\" \u00e9."},{"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},{"role":"assistant","content":"three"},{"role":"user","content":"four nonce-abc"}]}`,
			"length":       head + stream + `,"max_tokens":4,"messages":[{"role":"user","content":"hello"}]}`,
			"tool":         head + stream + `,"messages":[{"role":"user","content":"call weather"}],"tools":[` + tool("weather") + `],"tool_choice":{"type":"function","function":{"name":"weather"}}}`,
			"tools":        head + stream + `,"messages":[{"role":"user","content":"call weather and forecast"}],"tools":[` + tool("weather") + `,` + tool("forecast") + `]}`,
			"result":       head + stream + `,"messages":[{"role":"user","content":"call weather"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\",\"days\":2}"}},{"id":"call.2","type":"function","function":{"name":"weather","arguments":""}}]},{"role":"tool","tool_call_id":"call_1","content":"rain"},{"role":"tool","tool_call_id":"call.2","content":[{"type":"text","text":"sun"}]}],"tools":[` + tool("weather") + `]}`,
			"image":        head + stream + `,"messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}`,
			"schema":       head + stream + `,"messages":[{"role":"user","content":"hello"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":` + schema + `}}}`,
		}
	}
	if c.ep == wire.GenerateContent {
		tools := func(list ...string) string {
			for i, name := range list {
				list[i] = `{"name":"` + name + `","description":"d","parameters":{"type":"OBJECT","properties":{"city":{"type":"STRING"},"days":{"type":"INTEGER"}},"required":["city","days"]}}`
			}
			return `,"tools":[{"functionDeclarations":[` + strings.Join(list, ",") + `]}]`
		}
		return map[string]string{
			"conversation": `{"systemInstruction":{"parts":[{"text":"Be \"brief\" \u00e9."}]},"contents":[{"role":"user","parts":[{"text":"one"},{"text":"two"}]},{"role":"model","parts":[{"text":"three"}]},{"parts":[{"text":"four nonce-abc"}]}]}`,
			"length":       `{"contents":[{"parts":[{"text":"hello"}]}],"generation_config":{"max_output_tokens":4}}`,
			"tool":         `{"contents":[{"parts":[{"text":"call weather"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["weather"]}}` + tools("weather") + `}`,
			"tools":        `{"contents":[{"parts":[{"text":"call weather and forecast"}]}]` + tools("weather", "forecast") + `}`,
			"result":       `{"contents":[{"role":"user","parts":[{"text":"call weather"}]},{"role":"model","parts":[{"functionCall":{"id":"c.1","name":"weather","args":{"city":"Oslo","days":2}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"weather"}}]},{"role":"user","parts":[{"functionResponse":{"id":"c.1","name":"weather","response":{"output":"rain"}}},{"functionResponse":{"name":"weather","response":{"sky":"sun"}}},{"text":"go on"}]}]` + tools("weather") + `}`,
			"image":        `{"contents":[{"parts":[{"text":"look"},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo"}}]}]}`,
			"schema":       `{"contents":[{"parts":[{"text":"hello"}]}],"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":` + schema + `}}`,
		}
	}
	head += `,"max_tokens":64`
	tool := func(name string) string {
		return `{"name":"` + name + `","description":"d","input_schema":` + schema + `}`
	}
	return map[string]string{
		"conversation": head + stream + `,"system":[{"type":"text","text":"Be \"brief\" \u00e9.","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},{"role":"assistant","content":"three"},{"role":"user","content":"four nonce-abc"}]}`,
		"length":       strings.Replace(head, "64", "4", 1) + stream + `,"messages":[{"role":"user","content":"hello"}]}`,
		"tool":         head + stream + `,"messages":[{"role":"user","content":"call weather"}],"tools":[` + tool("weather") + `],"tool_choice":{"type":"tool","name":"weather"}}`,
		"tools":        head + stream + `,"messages":[{"role":"user","content":"call weather and forecast"}],"tools":[` + tool("weather") + `,` + tool("forecast") + `]}`,
		"result":       head + stream + `,"messages":[{"role":"user","content":"call weather"},{"role":"assistant","content":[{"type":"text","text":"well"},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Oslo","days":2}},{"type":"tool_use","id":"toolu_2","name":"weather","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"rain"},{"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text","text":"sun"}]},{"type":"text","text":"go on"}]}],"tools":[` + tool("weather") + `]}`,
		"image":        head + stream + `,"messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}`,
		"schema":       head + stream + `,"messages":[{"role":"user","content":"hello"}],"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}}`,
	}
}

// TestTranslates: what an upstream of another format answers to what it received
// is what the client reads, and the record commits to the bytes of both sides.
func TestTranslates(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, c := range crossings() {
		for name, body := range c.bodies() {
			t.Run(c.name+" "+name, func(t *testing.T) {
				got := r.do(t, call{path: c.at(c.model), body: body})
				o := r.outcome(t, got)
				up := r.taps[c.up].take(t)
				if got.status != http.StatusOK {
					t.Fatalf("status %d: %s\nthe upstream received %s", got.status, got.body, up.body)
				}
				want, err := upstreamtest.Expect(c.to.at(c.model), up.body)
				if err != nil {
					t.Fatalf("%v: %s", err, up.body)
				}
				told := c.read(t, got.body)
				for i := range told.Calls { // vendors spell ids in their own way
					told.Calls[i].ID = told.Calls[i].ID[max(0, len(told.Calls[i].ID)-24):]
				}
				finish := [...]string{upstreamtest.StopEnd: "end", upstreamtest.StopLength: "length", upstreamtest.StopTool: "tool"}[want.Stop]
				if diff := cmp.Diff(upstreamtestTold(want, finish), told); diff != "" {
					t.Errorf("(-upstream +client)\n%s\n%s", diff, up.body)
				}
				r.understood(t, name, want)
				commits(t, "fwd", o.Forwarded, up.body, nil)
				commits(t, "upres", o.Answer, up.answered, nil)
				commits(t, "res", o.Returned, got.body, nil)
				if o.State != string(llm.Complete) || o.Usage != string(llm.UsageClaimed) || o.Endpoint != string(c.ep) || o.Spoken != string(c.to.ep) {
					t.Errorf("record: state %s, usage %s, endpoint %s, spoken %s", o.State, o.Usage, o.Endpoint, o.Spoken)
				}
			})
		}
	}
}

func upstreamtestTold(a upstreamtest.Answer, finish string) told {
	return told{Text: a.Text, Calls: a.Calls, Finish: finish, Prompt: a.Prompt, Output: a.Completion}
}

// understood checks that the upstream saw what the case is about.
func (r *rig) understood(t *testing.T, name string, a upstreamtest.Answer) {
	t.Helper()
	switch name {
	case "conversation":
		if a.Nonce != "abc" {
			t.Errorf("nonce %q", a.Nonce)
		}
	case "length":
		if a.Stop != upstreamtest.StopLength {
			t.Error("the bound on the length was lost")
		}
	case "tool", "tools":
		if want := map[string]int{"tool": 1, "tools": 2}[name]; len(a.Calls) != want {
			t.Errorf("%d calls, want %d", len(a.Calls), want)
		}
	case "schema":
		var v struct {
			City string
			Days int
		}
		if err := json.Unmarshal([]byte(a.Text), &v); err != nil || v.City == "" {
			t.Errorf("%v: %q does not follow the schema", err, a.Text)
		}
	}
}

// TestTranslatedErrors: an error of an upstream reaches clients of another format
// in theirs, with its status and its message.
func TestTranslatedErrors(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, c := range crossings() {
		for _, status := range []int{400, 402, 404, 413, 422, 429, 500, 503, 529} {
			r.next(t, c.up, fmt.Sprintf("status=%d retry-after=7200", status))
			got := r.do(t, call{path: c.at(c.model), body: c.body(c.model, "hello")})
			r.outcome(t, got)
			up := r.taps[c.up].take(t)
			if got.status != status || got.header.Get("X-Sallyport-Reason") != "upstream" {
				t.Errorf("%s: status %d, reason %q: %s", c.name, got.status, got.header.Get("X-Sallyport-Reason"), got.body)
			}
			var theirs struct{ Error struct{ Message string } }
			unmarshal(t, up.answered, &theirs)
			if m := c.message(t, got.body, got.rid); theirs.Error.Message == "" || !strings.HasSuffix(m, theirs.Error.Message) {
				t.Errorf("%s %d: message %q, upstream's %q", c.name, status, m, theirs.Error.Message)
			}
			if after := got.header.Get("Retry-After"); after != "60" && after != "" {
				t.Errorf("%s %d: retry-after %q", c.name, status, after)
			}
		}
		// What is the gateway's own trouble is not told as the client's.
		r.next(t, c.up, "status=401")
		c.isFault(t, r.do(t, call{path: c.at(c.model), body: c.body(c.model, "hello")}), fault.UpstreamFailed)
		r.taps[c.up].take(t)
	}
}

// TestTranslatedBrokenStreams: a stream that breaks ends with the client's own
// error frame, and never as if it were whole.
func TestTranslatedBrokenStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{limits: func(l *gateway.Limits) { l.Stall = 300 * time.Millisecond }})
	for _, c := range crossings() {
		if !c.stream {
			continue
		}
		for _, x := range []struct {
			knobs string
			state llm.Terminal
		}{
			{"cut=4", llm.CutByUpstream},
			{"cut=4 how=reset", llm.CutByUpstream},
			{"cut=4 how=end", llm.CutByUpstream},
			{"stall=4", llm.Stalled},
			{"malformed=4", llm.Malformed},
			{"error=4", llm.ErrorFrame},
		} {
			r.next(t, c.up, x.knobs)
			got := r.do(t, call{path: c.at(c.model), body: c.body(c.model, "hello")})
			_, frame := c.splitFrame(t, got)
			o := r.outcome(t, got)
			if o.State != string(x.state) {
				t.Errorf("%s %s: state %s, want %s", c.name, x.knobs, o.State, x.state)
			}
			if c.isFrame(t, frame, got.rid) == "" {
				t.Errorf("%s %s: no message in %s", c.name, x.knobs, frame)
			}
			sum := sha256.Sum256(got.body)
			if o.Returned != hex.EncodeToString(sum[:]) {
				t.Errorf("%s %s: the record does not commit to what was returned", c.name, x.knobs)
			}
		}
	}
}

// TestFailoverAcrossFormats: a request moves on to an upstream of another format
// and back.
func TestFailoverAcrossFormats(t *testing.T) {
	r := newRig(t, plan{})
	s := *r.Snapshot()
	s.Models = map[identity.Model][]gateway.Target{"mixed": {s.Models[fast][0], s.Models[claude][0]}}
	r.Swap(&s)
	for _, c := range crossings() {
		for _, knobs := range []string{"status=503", "cut=0", "malformed=0"} {
			r.next(t, oa, knobs)
			got := r.do(t, call{path: c.at("mixed"), body: c.body("mixed", "hello")})
			o := r.outcome(t, got)
			if got.status != http.StatusOK || o.State != string(llm.Complete) || len(o.Attempts) != 2 || o.Upstream != string(an) {
				t.Errorf("%s %s: status %d, state %s, attempts %+v: %s", c.name, knobs, got.status, o.State, o.Attempts, got.body)
				continue
			}
			if c.ep != wire.Messages {
				c.read(t, got.body)
			}
		}
	}
}

// TestDropped: what only tunes an answer is left out and named; what changes its
// meaning is refused with a pointer to it, and nothing is sent.
func TestDropped(t *testing.T) {
	r := newRig(t, plan{})
	chat, messages, gemini := crossingNamed("chat to messages"), crossingNamed("messages to chat"), crossingNamed("chat to gemini")
	responses, google := crossingNamed("responses to messages"), crossingNamed("gemini to messages")
	for _, c := range []struct {
		crossing
		extra, dropped string
	}{
		{chat, `,"seed":7,"user":"u","logit_bias":{"1":2},"x_new":[{}]`, "/seed, /logit_bias, /x_new"},
		{chat, `,"temperature":1.7,"frequency_penalty":0.5`, "/frequency_penalty, /temperature"},
		{chat, `,"tools":[{"type":"web_search"},{"type":"function","function":{"name":"f"}}]`, "/tools/0"},
		{chat, `,"temperature":0.7,"stop":["x"],"reasoning_effort":"low","max_completion_tokens":9000`, "/temperature"},
		{chat, `,"tools":[{"type":"custom","custom":{"name":"free","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: X"}}}}]`, "/tools/0/custom/format"},
		{responses, `,"store":true,"service_tier":"flex","truncation":"auto","max_tool_calls":2,"client_metadata":{"a":"b"},"include":["file_search_call.results"]`, "/service_tier, /include/0, /truncation, /max_tool_calls, /client_metadata"},
		{responses, `,"tools":[{"type":"function","name":"f"},{"type":"web_search"}]`, "/tools/1"},
		{responses, `,"store":false,"truncation":"disabled","parallel_tool_calls":true,"include":["reasoning.encrypted_content"],"service_tier":"auto","top_logprobs":0,"reasoning":{},"text":{"format":{"type":"text"}}`, ""},
		{messages, `,"top_k":4,"metadata":{"user_id":"u","more":1},"temperature":0.5,"cache_control":{"type":"ephemeral"}`, "/temperature, /top_k, /metadata/more, /cache_control"},
		{messages, ``, ""},
		{gemini, `,"logit_bias":{"1":2},"user":"u","temperature":1.7,"seed":3,"n":2,"reasoning_effort":"xhigh"`, "/logit_bias, /user, /reasoning_effort"},
		{google, `,"generationConfig":{"seed":3,"topP":0.5,"mediaResolution":"LOW"},"safetySettings":[{}],"labels":{"a":"b"}`, "/generationConfig/seed, /generationConfig/mediaResolution, /safetySettings, /labels"},
	} {
		body := strings.TrimSuffix(c.body(c.model, "hello"), "}") + c.extra + "}"
		got := r.do(t, call{path: c.at(c.model), body: body})
		o := r.outcome(t, got)
		if h := got.header.Get("X-Sallyport-Dropped"); got.status != http.StatusOK || h != c.dropped || strings.Join(o.Dropped, ", ") != c.dropped {
			t.Errorf("%s: status %d, dropped %q, in the record %q, want %q: %s", c.extra, got.status, h, o.Dropped, c.dropped, got.body)
		}
	}
	for _, c := range []struct {
		crossing
		extra, pointer string
		kind           fault.Kind
	}{
		{chat, `,"n":2`, "/n", fault.NotCarried},
		{chat, `,"logprobs":true`, "/logprobs", fault.NotCarried},
		{chat, `,"response_format":{"type":"json_object"}`, "/response_format", fault.NotCarried},
		{chat, `,"modalities":["text","audio"]`, "/modalities/1", fault.NotCarried},
		{chat, `,"tools":[{"type":"web_search"}]`, "/tools/0", fault.NotCarried},
		{chat, `,"tools":[{"type":"web_search"},{"type":"function","function":{"name":"f"}}],"tool_choice":"required"`, "/tools/0", fault.NotCarried},
		{chat, `,"tools":[{"type":"web_search"},{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"web_search"}`, "/tool_choice", fault.NotCarried},
		{chat, `,"tool_choice":"perhaps"`, "/tool_choice", fault.BadRequest},
		{responses, `,"tools":[{"type":"local_shell"}]`, "/tools/0", fault.NotCarried},
		{responses, `,"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}`, "/tool_choice", fault.NotCarried},
		{responses, `,"prompt":{"id":"pmpt_1"}`, "/prompt", fault.NotCarried},
		{responses, `,"top_logprobs":2`, "/top_logprobs", fault.NotCarried},
		{responses, `,"reasoning":{"effort":7}`, "/reasoning/effort", fault.BadRequest},
		{messages, `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`, "/tools/0", fault.NotCarried},
		{messages, `,"thinking":{"type":"deep"}`, "/thinking", fault.BadRequest},
		{gemini, `,"parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"f"}}]`, "/parallel_tool_calls", fault.NotCarried},
		{gemini, `,"logprobs":true`, "/logprobs", fault.NotCarried},
		{google, `,"tools":[{"googleSearch":{}}]`, "/tools/0/googleSearch", fault.NotCarried},
		{google, `,"cachedContent":"cachedContents/x"`, "/cachedContent", fault.NotFound},
		{google, `,"generationConfig":{"responseModalities":["TEXT","IMAGE"]}`, "/generationConfig/responseModalities/1", fault.NotCarried},
		{google, `,"generationConfig":{"topP":1},"generation_config":{"topP":1}`, "/generation_config", fault.BadRequest},
	} {
		seen := r.ups[c.up].Journal().Len()
		body := strings.TrimSuffix(c.body(c.model, "hello"), "}") + c.extra + "}"
		got := r.do(t, call{path: c.at(c.model), body: body})
		c.isFault(t, got, c.kind)
		if !bytes.Contains(got.body, []byte(c.pointer)) {
			t.Errorf("%s: no pointer %s in %s", c.extra, c.pointer, got.body)
		}
		r.refusal(t, got)
		if r.ups[c.up].Journal().Len() != seen {
			t.Errorf("%s: something was sent", c.extra)
		}
	}
}

// TestEstimates: tokens are counted for every model, and a guess says that it is one.
func TestEstimates(t *testing.T) {
	r := newRig(t, plan{limits: func(l *gateway.Limits) { l.Body = 4 << 20 }})
	for _, c := range []struct{ path, body, figure string }{
		{"/v1/messages/count_tokens", `{"model":"fast","system":"be brief","messages":[{"role":"user","content":"` + strings.Repeat("word ", 100) + `"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}`, "input_tokens"},
		{"/v1beta/models/fast:countTokens", `{"contents":[{"parts":[{"text":"` + strings.Repeat("word ", 100) + `"}]}]}`, "totalTokens"},
		{"/v1/models/fast:countTokens", `{"generateContentRequest":{"model":"models/fast","contents":[{"parts":[{"text":"` + strings.Repeat("word ", 100) + `"}]}]}}`, "totalTokens"},
	} {
		got := r.post(t, c.path, c.body)
		var figures map[string]int64
		unmarshal(t, got.body, &figures)
		how := got.header.Get("X-Sallyport-Estimate")
		if n := figures[c.figure]; got.status != http.StatusOK || n < 100 || n > 125 || !strings.Contains(how, "o200k_base") {
			t.Errorf("%s: %d %s, estimate %q", c.path, got.status, got.body, how)
		}
		if got = r.post(t, c.path, strings.Replace(c.body, strings.Repeat("word ", 100), strings.Repeat("word ", 1<<18), 1)); !strings.Contains(got.header.Get("X-Sallyport-Estimate"), "4 bytes") {
			t.Errorf("%s: %d, a long one by %q", c.path, got.status, got.header.Get("X-Sallyport-Estimate"))
		}
	}
	for up, s := range r.ups {
		if s.Journal().Len() > 0 {
			t.Errorf("%s was asked", up)
		}
	}
	f := formatNamed("count")
	f.isFault(t, r.post(t, "/v1/messages/count_tokens", `{"model":"fast","messages":[{"role":"user"}]}`), fault.BadRequest)
}
