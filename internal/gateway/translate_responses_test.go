package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/upstreamtest"
)

// responsesBodies are requests that mean what those of the other formats mean.
func responsesBodies(head, schema string) map[string]string {
	tool := func(name string) string {
		return `{"type":"function","name":"` + name + `","description":"d","parameters":` + schema + `}`
	}
	const call = `{"type":"function_call","id":"fc_1","call_id":"call_1","name":"weather","arguments":"{\"city\":\"Oslo\",\"days\":2}"},{"type":"function_call","call_id":"call.2","name":"weather","arguments":""}`
	return map[string]string{
		"conversation": head + `,"instructions":"Be \"brief\" \u00e9.","input":[{"role":"user","content":[{"type":"input_text","text":"one"},{"type":"input_text","text":"two"}]},{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"three","annotations":[]}]},{"role":"user","content":"four nonce-abc"}]}`,
		"length":       head + `,"max_output_tokens":4,"input":"hello"}`,
		"tool":         head + `,"input":"call weather","tools":[` + tool("weather") + `],"tool_choice":{"type":"function","name":"weather"}}`,
		"tools":        head + `,"input":[{"role":"user","content":"call weather and forecast"}],"tools":[` + tool("weather") + `,` + tool("forecast") + `]}`,
		"result":       head + `,"input":[{"role":"user","content":"call weather"},` + call + `,{"type":"function_call_output","call_id":"call_1","output":"rain"},{"type":"function_call_output","call_id":"call.2","output":[{"type":"input_text","text":"sun"}]}],"tools":[` + tool("weather") + `]}`,
		"image":        head + `,"input":[{"role":"user","content":[{"type":"input_text","text":"look"},{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,iVBORw0KGgo="}]}]}`,
		"schema":       head + `,"input":"hello","text":{"format":{"type":"json_schema","name":"n","schema":` + schema + `}}}`,
	}
}

type responseItem struct {
	ID, Type, Status, Role, Name, Namespace, Arguments, Input string

	CallID  string `json:"call_id"`
	Content []struct{ Type, Text, Refusal string }
	Summary []struct{ Type, Text string }
	Sealed  string `json:"encrypted_content"`
}

type responseObject struct {
	ID, Object, Status, Model string

	Output     []responseItem
	Created    int64 `json:"created_at"`
	Incomplete *struct{ Reason string }
	Usage      *struct {
		Input  int64 `json:"input_tokens"`
		Output int64 `json:"output_tokens"`
		Total  int64 `json:"total_tokens"`
	}
}

// required are the members that clients of responses insist on.
var required = []string{
	"id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id", "instructions",
	"output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p", "presence_penalty",
	"frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage", "max_output_tokens", "max_tool_calls", "store",
	"background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
}

// told reads a response object.
func (o responseObject) told(t testing.TB, raw []byte) told {
	t.Helper()
	var members map[string]json.RawMessage
	unmarshal(t, raw, &members)
	for _, name := range required {
		if members[name] == nil {
			t.Errorf("the response lacks %s: %s", name, raw)
		}
	}
	if !strings.HasPrefix(o.ID, "resp_") || o.Object != "response" || o.Model == "" || o.Created == 0 {
		t.Errorf("%s", raw)
	}
	got := told{Finish: map[string]string{"completed": "end", "incomplete": "length"}[o.Status], Prompt: -1}
	for _, item := range o.Output {
		for _, c := range item.Content {
			got.Text += c.Text
		}
		if item.CallID != "" {
			got.Finish = "tool"
			got.Calls = append(got.Calls, upstreamtest.ToolCall{ID: item.CallID, Name: item.Name, Args: item.Arguments + item.Input})
		}
	}
	if o.Usage != nil {
		got.Prompt, got.Output = o.Usage.Input, o.Usage.Output
		if o.Usage.Total != o.Usage.Input+o.Usage.Output {
			t.Errorf("usage %+v", *o.Usage)
		}
	}
	return got
}

func readResponse(t testing.TB, body []byte) told {
	t.Helper()
	var o responseObject
	unmarshal(t, body, &o)
	return o.told(t, body)
}

// readResponseStream gathers a stream as the SDKs do, and checks that the end says
// the same.
func readResponseStream(t testing.TB, body []byte) told {
	t.Helper()
	var text, args strings.Builder
	var last told
	var order []string
	var first string
	for i, ev := range streamed(t, body) {
		var e struct {
			Type     string
			Sequence int `json:"sequence_number"`
			Delta    string
			Item     responseItem
			ItemID   string `json:"item_id"`
			Response json.RawMessage
		}
		unmarshal(t, ev.Data, &e)
		if e.Type != string(ev.Name) || e.Sequence != i {
			t.Errorf("event %d: %s", i, ev.Raw)
		}
		if len(order) == 0 || !strings.HasSuffix(e.Type, ".delta") || order[len(order)-1] != e.Type {
			order = append(order, e.Type)
		}
		switch e.Type {
		case "response.output_text.delta":
			text.WriteString(e.Delta)
		case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
			args.WriteString(e.Delta)
		case "response.output_item.added":
			first = e.Item.ID
		case "response.output_item.done":
			if e.Item.ID != first {
				t.Errorf("item %q ends as %q", first, e.Item.ID)
			}
		case "response.completed", "response.incomplete":
			last = readResponse(t, e.Response)
		}
		if e.ItemID != "" && e.ItemID != first {
			t.Errorf("event %d is about %q within %q", i, e.ItemID, first)
		}
	}
	var calls strings.Builder
	for _, c := range last.Calls {
		calls.WriteString(c.Args)
	}
	if text.String() != last.Text || args.String() != calls.String() {
		t.Errorf("the deltas say %q and %q, the end %q and %q", text.String(), args.String(), last.Text, calls.String())
	}
	if got := strings.Join(order, " "); !strings.HasPrefix(got, "response.created response.in_progress response.output_item.added ") {
		t.Errorf("events %s", got)
	}
	return last
}

// TestCustomTools: a client's custom tool is a function to an upstream that knows
// no others, and its call comes back as a custom one, whole and streamed; the next
// turn is understood as well.
func TestCustomTools(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, stream := range []string{"", `,"stream":true`} {
		head := `{"model":"` + claude + `"` + stream
		responses := head + `,"tools":[{"type":"custom","name":"patch","description":"d","format":{"type":"grammar","syntax":"lark","definition":"start: X"}},{"type":"namespace","name":"team","description":"d","tools":[{"type":"function","name":"send","parameters":{"type":"object","properties":{}}}]}],"input":[{"role":"user","content":"patch and team__send"}`
		got := r.do(t, call{path: "/v1/responses", body: responses + `]}`})
		sent := string(r.taps[an].take(t).body)
		if got.status != http.StatusOK || !strings.Contains(sent, `"input_schema":{"type":"object","properties":{"input":{"type":"string"}}`) || !strings.Contains(sent, `start: X`) {
			t.Fatalf("status %d: %s\n%s", got.status, got.body, sent)
		}
		want, err := upstreamtest.Expect("/v1/messages", []byte(sent))
		if err != nil || len(want.Calls) != 2 {
			t.Fatalf("%v: %+v", err, want)
		}
		var input struct{ Input string }
		unmarshal(t, []byte(want.Calls[0].Args), &input)
		read := readResponse
		if stream != "" {
			read = readResponseStream
		}
		calls := read(t, got.body).Calls
		if len(calls) != 2 || calls[0].Name != "patch" || calls[0].Args != input.Input || calls[1].Name != "send" {
			t.Errorf("calls %+v, the model wrote %+v", calls, want.Calls)
		}
		for _, part := range []string{`"type":"custom_tool_call"`, `"namespace":"team","name":"send"`} {
			if !strings.Contains(string(got.body), part) {
				t.Errorf("no %s in %s", part, got.body)
			}
		}
		turn := `,{"type":"custom_tool_call","call_id":"c1","name":"patch","input":"a \"b\""},{"type":"custom_tool_call_output","call_id":"c1","output":"done"}]}`
		got = r.do(t, call{path: "/v1/responses", body: responses + turn})
		if sent := string(r.taps[an].take(t).body); got.status != http.StatusOK || !strings.Contains(sent, `"input":{"input":"a \"b\""}`) {
			t.Errorf("status %d: %s", got.status, sent)
		}

		chat := head + `,"tools":[{"type":"custom","custom":{"name":"patch"}}],"messages":[{"role":"user","content":"patch"}]}`
		got = r.do(t, call{path: "/v1/chat/completions", body: chat})
		r.taps[an].take(t)
		if got.status != http.StatusOK || !strings.Contains(string(got.body), `"custom":{"name":"patch"`) || strings.Contains(string(got.body), `"function"`) {
			t.Errorf("status %d: %s", got.status, got.body)
		}
	}
}

// TestSealsReturn: what Anthropic signed travels through a client of responses and
// comes back as it was, in the turn that its API verifies.
func TestSealsReturn(t *testing.T) {
	r := newRig(t, plan{tap: true})
	tools := `"tools":[{"type":"function","name":"weather","parameters":{"type":"object","properties":{}}}]`
	for _, stream := range []string{"", `,"stream":true`} {
		head := `{"model":"` + claude + `"` + stream + `,"reasoning":{"effort":"low"},` + tools + `,"input":[{"role":"user","content":"call weather"}`
		got := r.do(t, call{path: "/v1/responses", body: head + `]}`})
		r.taps[an].take(t)
		var o struct{ Output []json.RawMessage }
		body := got.body
		if stream != "" {
			all := streamed(t, body)
			var e struct{ Response json.RawMessage }
			unmarshal(t, all[len(all)-1].Data, &e)
			body = e.Response
		}
		unmarshal(t, body, &o)
		if len(o.Output) != 2 {
			t.Fatalf("%d items in %s", len(o.Output), body)
		}
		var thought, weather responseItem
		unmarshal(t, o.Output[0], &thought)
		unmarshal(t, o.Output[1], &weather)
		if thought.Type != "reasoning" || len(thought.Summary) != 1 || !strings.HasPrefix(thought.Sealed, "sallyport.anthropic.") {
			t.Fatalf("%s", o.Output[0])
		}
		turn := head + "," + string(o.Output[0]) + "," + string(o.Output[1]) + `,{"type":"function_call_output","call_id":"` + weather.CallID + `","output":"rain"}]}`
		got = r.do(t, call{path: "/v1/responses", body: turn})
		sent := string(r.taps[an].take(t).body)
		sealed := strings.TrimPrefix(thought.Sealed, "sallyport.anthropic.")
		want := `{"type":"thinking","thinking":` + quote(thought.Summary[0].Text) + `,"signature":"` + sealed + `"},{"type":"tool_use","id":"` + weather.CallID + `"`
		if got.status != http.StatusOK || !strings.Contains(sent, want) || got.header.Get("X-Sallyport-Dropped") != "" {
			t.Errorf("status %d, dropped %q, no %s in %s", got.status, got.header.Get("X-Sallyport-Dropped"), want, sent)
		}
	}
}
