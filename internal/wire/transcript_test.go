package wire_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// answers are turns of an agent as their providers gave them: thinking that only
// the provider can verify, and two calls at once.
var answers = map[wire.Endpoint]string{
	wire.Messages: `{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5","content":[` +
		`{"type":"thinking","thinking":"first I look\n\u00e9","signature":"c2lnbmF0dXJl+/=="},{"type":"redacted_thinking","data":"cmVkYWN0ZWQ="},` +
		`{"type":"text","text":"I look both up."},{"type":"tool_use","id":"toolu_1","name":"read","input":{"path":"a b.go"}},` +
		`{"type":"tool_use","id":"toolu_2","name":"read","input":{"path":"c.go","lines":[1,2]}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":8}}`,
	wire.GenerateContent: `{"candidates":[{"content":{"role":"model","parts":[{"text":"first I look","thought":true},` +
		`{"functionCall":{"id":"call-1","name":"read","args":{"path":"a b.go"}},"thoughtSignature":"Z2VtaW5pLXNlYWw="},` +
		`{"functionCall":{"id":"call-2","name":"read","args":{"path":"c.go"}}}]},"finishReason":"STOP","index":0}],"modelVersion":"gemini-3-flash","responseId":"r1"}`,
}

// sealed is what a provider verifies of a transcript: every signature and sealed
// block, in order.
func sealed(t testing.TB, body []byte) []string {
	t.Helper()
	var all []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, name := range []string{"thinking", "signature", "data", "thoughtSignature"} {
				if s, ok := v[name].(string); ok && v["type"] != "base64" {
					all = append(all, name+" "+s)
				}
			}
			for _, name := range []string{"messages", "contents", "candidates", "content", "parts"} {
				walk(v[name])
			}
		}
	}
	walk(decode(t, body))
	return all
}

// replay is the next request of a client that got an answer in its format: what it
// asked, the answer as it is, and the results of the tools.
func replay(t testing.TB, ep wire.Endpoint, answer []byte) []byte {
	t.Helper()
	var a map[string]any
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	tool := func(schema string) map[string]any {
		return map[string]any{"name": "read", schema: map[string]any{"type": "object"}}
	}
	var q map[string]any
	switch ep {
	case wire.Chat:
		m := a["choices"].([]any)[0].(map[string]any)["message"].(map[string]any)
		turns := []any{map[string]any{"role": "user", "content": "go"}, m}
		for _, c := range m["tool_calls"].([]any) {
			turns = append(turns, map[string]any{"role": "tool", "tool_call_id": c.(map[string]any)["id"], "content": "done"})
		}
		q = map[string]any{"model": "m", "messages": turns, "tools": []any{map[string]any{"type": "function", "function": tool("parameters")}}}
	case wire.Responses:
		turns := append([]any{map[string]any{"role": "user", "content": "go"}}, a["output"].([]any)...)
		for _, item := range a["output"].([]any) {
			if id, ok := item.(map[string]any)["call_id"]; ok {
				turns = append(turns, map[string]any{"type": "function_call_output", "call_id": id, "output": "done"})
			}
		}
		f := tool("parameters")
		f["type"] = "function"
		q = map[string]any{"model": "m", "input": turns, "tools": []any{f}}
	case wire.Messages:
		var results []any
		for _, b := range a["content"].([]any) {
			if b := b.(map[string]any); b["type"] == "tool_use" {
				results = append(results, map[string]any{"type": "tool_result", "tool_use_id": b["id"], "content": "done"})
			}
		}
		q = map[string]any{"model": "m", "max_tokens": 9000, "tools": []any{tool("input_schema")}, "messages": []any{
			map[string]any{"role": "user", "content": "go"}, map[string]any{"role": "assistant", "content": a["content"]}, map[string]any{"role": "user", "content": results},
		}}
	case wire.GenerateContent:
		content := a["candidates"].([]any)[0].(map[string]any)["content"]
		var results []any
		for _, p := range content.(map[string]any)["parts"].([]any) {
			if c, ok := p.(map[string]any)["functionCall"].(map[string]any); ok {
				results = append(results, map[string]any{"functionResponse": map[string]any{"id": c["id"], "name": c["name"], "response": map[string]any{"output": "done"}}})
			}
		}
		q = map[string]any{"tools": []any{map[string]any{"functionDeclarations": []any{map[string]any{"name": "read"}}}}, "contents": []any{
			map[string]any{"role": "user", "parts": []any{map[string]any{"text": "go"}}}, content, map[string]any{"role": "user", "parts": results},
		}}
	}
	b, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTranscriptsReturn: an agent's turn goes to a client of each format and comes
// back in its next request; what the provider verifies is what it gave.
func TestTranscriptsReturn(t *testing.T) {
	for origin, answer := range answers {
		for _, client := range dialects {
			t.Run(fmt.Sprintf("%s through %s", origin, client.Endpoint), func(t *testing.T) {
				home := dialects[slices.IndexFunc(dialects, func(d dialect) bool { return d.Endpoint == origin })]
				a, err := home.Decode().Whole([]byte(answer))
				if err != nil {
					t.Fatal(err)
				}
				told, err := client.Encode(wire.Answering{ID: "x", Created: 1, Model: "m", Request: &llm.Request{}, Body: []byte(`{}`)}).Whole(a, llm.Usage{Status: llm.UsageUnknown})
				if err != nil {
					t.Fatal(err)
				}
				body := replay(t, client.Endpoint, told)
				r, err := client.Read(body)
				if err != nil {
					t.Fatalf("%v in %s", err, body)
				}
				target := wire.Target{Model: "claude-opus-5", Carries: home.For("claude-opus-5", 0)}
				again, lost := home.Write(r, target)
				for _, use := range lost {
					t.Errorf("lost %s at %s of %s", use.Feature, wire.Pointer(body, use.At), body)
				}
				want, got := sealed(t, []byte(answer)), sealed(t, again)
				if len(want) == 0 || strings.Join(want, "\n") != strings.Join(got, "\n") {
					t.Errorf("the provider gave\n%s\nand gets back\n%s\nthrough %s", strings.Join(want, "\n"), strings.Join(got, "\n"), told)
				}
				if n := strings.Count(everything(t, again), "a b.go"); n != 1 {
					t.Errorf("%d times the first call in %s", n, again)
				}
			})
		}
	}
}
