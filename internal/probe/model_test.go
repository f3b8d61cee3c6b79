package probe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// question is what a scripted model is asked.
type question struct {
	last  string // text of the last message
	tool  string // that must be called
	agent string
	fresh string // differs in every request
}

// said is what it says.
type spoken struct {
	text string
	call string // arguments of a call of the tool, as JSON text
}

// startModel serves chat completions of a scripted model over HTTP, with an id of its
// own for each.
func startModel(t testing.TB, model func(question) spoken) string {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Messages []struct{ Content string }
			Stream   bool
			Choice   struct{ Function struct{ Name string } } `json:"tool_choice"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) == 0 {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		n := asked.Add(1)
		q := question{body.Messages[len(body.Messages)-1].Content, body.Choice.Function.Name, r.UserAgent(), fmt.Sprintf("%x", n*2654435761)}
		a := model(q)
		message, finish := map[string]any{"role": "assistant", "content": a.text}, "stop"
		if a.call != "" {
			call := map[string]any{"id": fmt.Sprintf("call_%d", n), "type": "function", "index": 0, "function": map[string]string{"name": q.tool, "arguments": a.call}}
			message, finish = map[string]any{"role": "assistant", "content": nil, "tool_calls": []any{call}}, "tool_calls"
		}
		frame := func(object, name string, content any) []byte {
			b, _ := json.Marshal(map[string]any{
				"id": fmt.Sprintf("chatcmpl-%024x", n), "object": object, "created": time.Now().Unix(), "model": "gpt-4o",
				"choices": []any{map[string]any{"index": 0, name: content, "finish_reason": finish}},
				"usage":   map[string]int{"prompt_tokens": len(q.last) / 4, "completion_tokens": len(a.text) / 4, "total_tokens": len(q.last)/4 + len(a.text)/4},
			})
			return b
		}
		if body.Stream {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: %s\n\ndata: [DONE]\n\n", frame("chat.completion.chunk", "delta", message))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(frame("chat.completion", "message", message))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}
