package upstreamtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
)

// chatRequest is what Chat Completions needs of a request.
type chatRequest struct {
	Model         string        `json:"model"`
	Messages      []chatMessage `json:"messages"`
	Stream        bool          `json:"stream"`
	StreamOptions *struct {
		IncludeUsage       bool  `json:"include_usage"`
		IncludeObfuscation *bool `json:"include_obfuscation"`
	} `json:"stream_options"`
	N                   int             `json:"n"`
	MaxTokens           int64           `json:"max_tokens"`
	MaxCompletionTokens int64           `json:"max_completion_tokens"`
	Tools               []chatTool      `json:"tools"`
	ToolChoice          json.RawMessage `json:"tool_choice"`
	Parallel            *bool           `json:"parallel_tool_calls"`
	ResponseFormat      json.RawMessage `json:"response_format"`
}

type chatMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCallID string          `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

type chatTool struct {
	Function struct {
		Name       string         `json:"name"`
		Parameters map[string]any `json:"parameters"`
	} `json:"function"`
}

// prompt reduces a request, or says what is wrong with it.
func (q *chatRequest) prompt() (*prompt, *fault) {
	switch {
	case q.Messages == nil:
		return nil, missing("messages")
	case len(q.Messages) == 0:
		f := badRequest("messages", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
		f.kind = "empty_array"
		return nil, f
	case q.StreamOptions != nil && !q.Stream:
		return nil, badRequest("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	case q.N < 0 || q.N > 8:
		return nil, badRequest("n", fmt.Sprintf("Invalid 'n': %d is not between 1 and 8.", q.N))
	}
	p := &prompt{parallel: q.Parallel == nil || *q.Parallel, max: cmp.Or(q.MaxCompletionTokens, q.MaxTokens), schema: schemaOf(q.ResponseFormat)}
	open := map[string]bool{}
	for i, m := range q.Messages {
		at := fmt.Sprintf("messages.[%d].role", i)
		if m.Role == "tool" && !open[m.ToolCallID] {
			return nil, badRequest(at, "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.")
		}
		if m.Role != "tool" {
			clear(open)
		}
		content := ""
		if present(m.Content) {
			content = parts(m.Content)
		}
		for _, c := range m.ToolCalls {
			open[c.ID] = true
			content += "\n" + c.Function.Name + c.Function.Arguments
		}
		switch m.Role {
		case "system", "developer", "user", "assistant", "tool":
			p.add(m.Role, content)
		default:
			f := badRequest(at, fmt.Sprintf("Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", m.Role))
			f.kind = "invalid_value"
			return nil, f
		}
	}
	for _, t := range q.Tools {
		p.tools = append(p.tools, tool{t.Function.Name, t.Function.Parameters})
	}
	openAIChoice(p, q.ToolChoice)
	return p, nil
}

// chat serves POST /v1/chat/completions.
func chat(x *exchange) (reply, *fault) {
	var q chatRequest
	if f := decodeOpenAI(x, &q); f != nil {
		return reply{}, f
	}
	m, f := openAIModel(x, q.Model)
	if f != nil {
		return reply{}, f
	}
	p, f := q.prompt()
	if f != nil {
		return reply{}, f
	}
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	if f := x.sample(); f != nil {
		return reply{}, f
	}
	c := &completion{x: x, q: &q, answers: x.answers(p, max(q.N, 1)), model: x.declared(m), id: x.answerID("chatcmpl-")}
	if x.echoes("body") {
		for i := range c.answers {
			c.answers[i].Text = x.headerText()
		}
	}
	if q.Stream {
		return c.stream(), nil
	}
	return unaryOpenAI(x, c.unary()), nil
}

// bodyID derives an id of an answer from the request's bytes.
func bodyID(prefix string, body []byte) string {
	sum := sha256.Sum256(body)
	return prefix + hex.EncodeToString(sum[:14])
}

// created is the time stamp of every answer: fixed, so that answers are
// functions of their requests.
const created = 1_763_800_000

// completion renders the answers to one request in the forms of Chat Completions.
type completion struct {
	x       *exchange
	q       *chatRequest
	answers []Answer // one for each choice
	model   string
	id      string
}

func finish(a Answer) string {
	return [...]string{StopEnd: "stop", StopLength: "length", StopTool: "tool_calls", StopSequence: "stop"}[a.Stop]
}

// usage counts every choice; it is nil when none is to be reported.
func (c *completion) usage() any {
	all := Answer{Prompt: c.answers[0].Prompt}
	for _, a := range c.answers {
		all.Completion += a.Completion
	}
	return openAIUsage(c.x.b, all, "prompt", "completion")
}

// message is the message of one choice.
func (c *completion) message(a Answer) raw {
	message := obj("role", "assistant", "content", orNull(a.Text))
	if len(a.Calls) > 0 {
		var calls list
		for _, call := range a.Calls {
			calls = append(calls, obj("id", "call_"+call.ID, "type", "function",
				"function", obj("name", call.Name, "arguments", call.Args)))
		}
		message = message.with("tool_calls", calls)
	}
	return message.with("refusal", nil, "annotations", list{})
}

func (c *completion) unary() raw {
	var choices list
	for i, a := range c.answers {
		choices = append(choices, obj("index", i, "message", c.message(a), "logprobs", c.x.logprobs(a.Text), "finish_reason", finish(a)))
	}
	body := obj("id", c.id, "object", "chat.completion", "created", created, "model", c.model, "choices", choices)
	if u := c.usage(); u != nil {
		body = body.with("usage", u)
	}
	return body.with("service_tier", "default", "system_fingerprint", "fp_upstreamtest")
}

// chunk is one chat.completion.chunk. A nil delta means no choices.
func (c *completion) chunk(i int, delta raw, finish any, piece string, usage any) frame {
	choices := list{}
	if delta != nil {
		choices = list{obj("index", i, "delta", delta, "logprobs", c.x.logprobs(piece), "finish_reason", finish)}
	}
	body := obj("id", c.id, "object", "chat.completion.chunk", "created", created, "model", c.model,
		"service_tier", "default", "system_fingerprint", "fp_upstreamtest", "choices", choices)
	o := c.q.StreamOptions
	asked := o != nil && o.IncludeUsage
	if u, ok := usage.(raw); ok {
		body = body.with("usage", u)
	} else if asked && c.x.b.Usage != UsageNone {
		body = body.with("usage", nil)
	}
	if o == nil || o.IncludeObfuscation == nil || *o.IncludeObfuscation {
		body = body.with("obfuscation", obfuscation(piece))
	}
	return frame{data: disfigure(body, c.x.b), text: piece != ""}
}

func (c *completion) stream() reply {
	var frames []frame
	so := Answer{Prompt: c.answers[0].Prompt} // what has been said so far, for cumulative usage
	add := func(i int, delta raw, finish any, piece string) {
		var usage any
		so.Completion += c.x.count(piece)
		if c.x.b.Usage == UsageEach {
			usage = openAIUsage(c.x.b, so, "prompt", "completion")
		} else if finish != nil && c.x.b.Usage == UsageFinish && i == len(c.answers)-1 {
			usage = c.usage()
		}
		frames = append(frames, c.chunk(i, delta, finish, piece, usage))
	}
	for i, a := range c.answers {
		start := obj("role", "assistant", "content", "", "refusal", nil)
		if len(a.Calls) > 0 {
			start = obj("role", "assistant", "content", nil)
		}
		add(i, start, nil, "")
		for _, d := range c.deltas(a) {
			add(i, d.delta, nil, d.piece)
		}
		add(i, obj(), finish(a), "")
	}
	if o := c.q.StreamOptions; o != nil && o.IncludeUsage && c.x.b.Usage != UsageNone && c.x.b.Usage != UsageFinish {
		frames = append(frames, c.chunk(0, nil, nil, "", c.usage()))
	}
	return reply{
		status: http.StatusOK,
		header: streamHeaders(openAIHeaders(c.x)),
		frames: append(frames, frame{data: raw("[DONE]"), last: true}),
		ping:   ": keep-alive\n\n",
		broken: frame{data: openAIError(openAIStreamError(c.x))},
	}
}

type delta struct {
	delta raw
	piece string
}

// deltas are the content chunks of one choice. A tool call opens with its id and
// name; the pieces of its arguments carry only the index.
func (c *completion) deltas(a Answer) []delta {
	n := cmp.Or(c.x.b.Frames, 8)
	var ds []delta
	if len(a.Calls) == 0 {
		for _, piece := range c.x.pieces(a.Text, n) {
			ds = append(ds, delta{obj("content", piece), piece})
		}
	}
	for i, call := range a.Calls {
		open := obj("index", i, "id", "call_"+call.ID, "type", "function", "function", obj("name", call.Name, "arguments", ""))
		ds = append(ds, delta{obj("tool_calls", list{open}), call.Name})
		for _, piece := range c.x.pieces(call.Args, max(n/len(a.Calls), 2)) {
			part := obj("index", i, "function", obj("arguments", piece))
			ds = append(ds, delta{obj("tool_calls", list{part}), piece})
		}
	}
	return ds
}
