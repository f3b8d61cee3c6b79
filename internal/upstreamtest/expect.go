package upstreamtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Expect computes what an honest Server answers to a POST of the body to the
// path, one of /v1/chat/completions, /v1/responses, /v1/messages,
// /v1/messages/count_tokens, and of Gemini's :generateContent and
// :streamGenerateContent, under the behaviour that a directive in it asks
// for. The model and stream_options make no difference, so a gateway that
// changes only these leaves the answer the same.
//
// The prompt text that the digest is made from is, for every message in order
// (an Anthropic, Responses or Gemini system prompt first), its role, ": ", its text and
// a line feed; parts of one message are joined by line feeds; a part without
// text counts as its own JSON; tool calls add a line feed, name and arguments.
func Expect(path string, body []byte) (Answer, error) {
	p, err := readPrompt(path, body)
	if err != nil {
		return Answer{}, fmt.Errorf("expect the answer of %s: %w", path, err)
	}
	x := &exchange{s: &Server{times: map[string]int{}}, r: &http.Request{}}
	if f := x.direct(p); f != nil {
		return Answer{}, fmt.Errorf("expect the answer of %s: %s", path, f.message)
	}
	return p.answer(x.b), nil
}

func readPrompt(path string, body []byte) (*prompt, error) {
	var q interface{ prompt() (*prompt, *fault) }
	path, _, _ = strings.Cut(path, "?")
	if _, verb, ok := geminiPath(path); ok && verb != "" {
		path = verb
		body = camelJSON(body)
	}
	switch path {
	case "generateContent", "streamGenerateContent":
		q = new(generateRequest)
	case "/v1/chat/completions":
		q = new(chatRequest)
	case "/v1/responses":
		q = new(responsesRequest)
	case "/v1/messages", "/v1/messages/count_tokens":
		q = new(messagesRequest)
	default:
		return nil, errors.New("no such path")
	}
	if err := json.Unmarshal(body, q); err != nil {
		return nil, err
	}
	p, f := q.prompt()
	if f != nil {
		return nil, errors.New(f.message)
	}
	return p, nil
}
