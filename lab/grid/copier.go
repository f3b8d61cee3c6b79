package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"sallyport/internal/tokens"
)

// startCopier serves a model that copies what stands between two marks, as text or as
// the arguments of the tool that it must call, and says hello to all else: what the
// check for tampering needs of a model, and upstreamtest's does not do with tools.
func startCopier() *httptest.Server {
	var asked atomic.Int64
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Messages []struct{ Content string }
			Choice   struct{ Function struct{ Name string } } `json:"tool_choice"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) == 0 {
			http.Error(w, `{"error":{"message":"no messages","type":"invalid_request_error"}}`, http.StatusBadRequest)
			return
		}
		question, tool := body.Messages[len(body.Messages)-1].Content, body.Choice.Function.Name
		n := asked.Add(1)
		text, finish := copied(question), "stop"
		message := map[string]any{"role": "assistant", "content": text}
		if tool != "" {
			text, finish = arguments(question), "tool_calls"
			call := map[string]any{"id": fmt.Sprintf("call_%d", n), "type": "function", "function": map[string]string{"name": tool, "arguments": text}}
			message = map[string]any{"role": "assistant", "content": nil, "tool_calls": []any{call}}
		}
		prompt, completion := count(question)+7, count(text)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"id": fmt.Sprintf("chatcmpl-%024x", n), "object": "chat.completion", "created": recorded.Unix(), "model": wireModel,
			"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": finish}},
			"usage":   map[string]int64{"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
		})
	}))
}

// count is how many tokens a text has; -1 where it cannot be counted.
func count(text string) int64 {
	n, err := tokens.Named("o200k_base").Count(text)
	if err != nil {
		return -1
	}
	return n
}

// copied is what a question asks to copy.
func copied(question string) string {
	_, rest, found := strings.Cut(question, "-----BEGIN-----\n")
	if !found {
		return "Hello."
	}
	block, _, _ := strings.Cut(rest, "\n-----END-----")
	return "Here you are:\n```\n" + block + "\n```"
}

// arguments are those that a question asks to put into a tool.
func arguments(question string) string {
	_, rest, _ := strings.Cut(question, "\ncmd: ")
	command, nonce, _ := strings.Cut(rest, "\nnonce: ")
	b, err := json.Marshal(map[string]string{"nonce": nonce, "cmd": command})
	if err != nil {
		panic("grid: strings without a JSON form: " + err.Error())
	}
	return string(b)
}
