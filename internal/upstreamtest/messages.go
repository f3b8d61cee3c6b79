package upstreamtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
)

// messagesRequest is what the Messages API needs of a request.
type messagesRequest struct {
	Model     string              `json:"model"`
	MaxTokens *int64              `json:"max_tokens"`
	System    json.RawMessage     `json:"system"`
	Messages  []anthropicMessage  `json:"messages"`
	Stream    bool                `json:"stream"`
	Tools     []anthropicTool     `json:"tools"`
	Choice    anthropicToolChoice `json:"tool_choice"`
	Thinking  struct {
		Type string `json:"type"`
	} `json:"thinking"`
	Output struct {
		Format json.RawMessage `json:"format"`
	} `json:"output_config"`
	Temperature json.RawMessage `json:"temperature"`
	TopP        json.RawMessage `json:"top_p"`
	TopK        json.RawMessage `json:"top_k"`
}

type anthropicTool struct {
	Name   string         `json:"name"`
	Schema map[string]any `json:"input_schema"`
}

type anthropicToolChoice struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Disable bool   `json:"disable_parallel_tool_use"`
}

type anthropicMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// block is one content block of a message.
type block struct {
	Type      string            `json:"type"`
	ID        string            `json:"id"`          // of a tool_use
	ToolUseID string            `json:"tool_use_id"` // of a tool_result
	Content   json.RawMessage   `json:"content"`     // of a tool_result
	Citations []json.RawMessage `json:"citations"`
}

// blocks lists the content blocks; text content has none.
func (m anthropicMessage) blocks() []block {
	var bs []block
	if json.Unmarshal(m.Content, &bs) != nil {
		return nil
	}
	return bs
}

func (q *messagesRequest) prompt() (*prompt, *fault) {
	if q.Messages == nil {
		return nil, invalid("messages: Field required")
	}
	if len(q.Messages) == 0 {
		return nil, invalid("messages: at least one message is required")
	}
	p := &prompt{parallel: !q.Choice.Disable, noTools: q.Choice.Type == "none", schema: schemaOf(q.Output.Format)}
	if q.MaxTokens != nil {
		p.max = *q.MaxTokens
	}
	switch q.Choice.Type {
	case "any":
		p.forced = "*"
	case "tool":
		p.forced = q.Choice.Name
	}
	if present(q.System) {
		p.add("system", parts(q.System))
	}
	used := map[string]bool{} // tool_use ids of the message before
	for i, m := range q.Messages {
		if m.Role != "user" && m.Role != "assistant" {
			return nil, invalid(fmt.Sprintf("messages: Unexpected role %q. Allowed roles are \"user\" or \"assistant\"; "+
				"a system prompt is a top-level parameter.", m.Role))
		}
		results := false
		uses := map[string]bool{}
		for j, b := range m.blocks() {
			switch b.Type {
			case "tool_use":
				uses[b.ID] = true
			case "tool_result":
				results = true
				if !used[b.ToolUseID] {
					return nil, invalid(fmt.Sprintf("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s. "+
						"Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", i, j, b.ToolUseID))
				}
			}
		}
		used = uses
		p.add(m.Role, parts(m.Content))
		p.after = results
	}
	for _, t := range q.Tools {
		p.tools = append(p.tools, tool{t.Name, t.Schema})
	}
	return p, nil
}

// readMessages decodes and checks what /v1/messages and count_tokens share.
func readMessages(x *exchange, q *messagesRequest) (Model, *prompt, *fault) {
	if err := json.Unmarshal(x.body, q); err != nil {
		return Model{}, nil, invalid("The request body is not valid JSON: " + err.Error())
	}
	if q.Model == "" {
		return Model{}, nil, invalid("model: Field required")
	}
	m, f := anthropicModel(x, q.Model)
	if f != nil {
		return m, nil, f
	}
	p, f := q.prompt()
	if f != nil {
		return m, nil, f
	}
	return m, p, versionChecks(x, q)
}

// messages serves POST /v1/messages.
func messages(x *exchange) (reply, *fault) {
	var q messagesRequest
	m, p, f := readMessages(x, &q)
	if f != nil {
		return reply{}, f
	}
	switch {
	case q.MaxTokens == nil:
		return reply{}, invalid("max_tokens: Field required")
	case *q.MaxTokens < 1:
		return reply{}, invalid("max_tokens: Input should be greater than or equal to 1")
	}
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	if f := x.sample(); f != nil {
		return reply{}, f
	}
	t := &message{x: x, q: &q, a: x.answers(p, 1)[0], model: x.declared(m), id: x.answerID("msg_")}
	if x.echoes("body") {
		t.a.Text = x.headerText()
	}
	if q.Stream {
		return t.stream(), nil
	}
	return t.unary(), nil
}

// countTokens serves POST /v1/messages/count_tokens.
func countTokens(x *exchange) (reply, *fault) {
	var q messagesRequest
	_, p, f := readMessages(x, &q)
	if f != nil {
		return reply{}, f
	}
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	body := obj("input_tokens", spell(x.b)(x.promptTokens(p)))
	return reply{status: http.StatusOK, header: anthropicHeaders(x), body: disfigure(body, x.b)}, nil
}

// message renders one answer in the forms of the Messages API.
type message struct {
	x      *exchange
	q      *messagesRequest
	a      Answer
	model  string
	id     string
	frames []frame
}

func (t *message) stop() string {
	return [...]string{StopEnd: "end_turn", StopLength: "max_tokens", StopTool: "tool_use", StopSequence: "stop_sequence"}[t.a.Stop]
}

func (t *message) thinking() string {
	if t.q.Thinking.Type != "enabled" && t.q.Thinking.Type != "adaptive" {
		return ""
	}
	return "considering " + t.a.Digest
}

const signature = "EqQBCkYIBRgCKkDupstreamtest=="

func (t *message) unary() reply {
	content := list{}
	if s := t.thinking(); s != "" {
		content = append(content, obj("type", "thinking", "thinking", s, "signature", signature))
	}
	if t.a.Text != "" {
		content = append(content, obj("type", "text", "text", t.a.Text))
	}
	for _, c := range t.a.Calls {
		content = append(content, obj("type", "tool_use", "id", "toolu_"+c.ID, "name", c.Name, "input", raw(c.Args)))
	}
	body := obj("model", t.model, "id", t.id, "type", "message", "role", "assistant", "content", content,
		"stop_reason", t.stop(), "stop_sequence", orNull(t.a.Sequence))
	if u := anthropicUsage(t.x.b, t.a, t.a.Completion, true); u != nil {
		body = body.with("usage", u)
	}
	return reply{status: http.StatusOK, header: anthropicHeaders(t.x), body: disfigure(body, t.x.b)}
}

// event appends one named event; its data repeats the name as its type.
func (t *message) event(kind, piece string, pairs ...any) {
	t.frames = append(t.frames, frame{event: kind, data: disfigure(obj("type", kind).with(pairs...), t.x.b), text: piece != ""})
}

// deltas appends the deltas of one content block between its start and stop.
func (t *message) deltas(index int, start raw, kind, field string, texts []string) {
	t.event("content_block_start", "", "index", index, "content_block", start)
	if index == 0 {
		t.event("ping", "")
	}
	for _, s := range texts {
		t.event("content_block_delta", s, "index", index, "delta", obj("type", kind, field, s))
	}
}

// stream renders the events in the order of the API reference: message_start,
// the content blocks, message_delta with the stop reason and usage, message_stop.
func (t *message) stream() reply {
	start := obj("model", t.model, "id", t.id, "type", "message", "role", "assistant", "content", list{},
		"stop_reason", nil, "stop_sequence", nil)
	if u := anthropicUsage(t.x.b, t.a, 1, true); u != nil {
		start = start.with("usage", u)
	}
	t.event("message_start", "", "message", start)
	n, index := cmp.Or(t.x.b.Frames, 8), 0
	if s := t.thinking(); s != "" {
		t.deltas(index, obj("type", "thinking", "thinking", "", "signature", ""), "thinking_delta", "thinking", pieces(s, 2))
		t.event("content_block_delta", "", "index", index, "delta", obj("type", "signature_delta", "signature", signature))
		t.event("content_block_stop", "", "index", index)
		index++
	}
	if t.a.Text != "" {
		t.deltas(index, obj("type", "text", "text", ""), "text_delta", "text", t.x.pieces(t.a.Text, n))
		t.event("content_block_stop", "", "index", index)
		index++
	}
	for _, c := range t.a.Calls {
		open := obj("type", "tool_use", "id", "toolu_"+c.ID, "name", c.Name, "input", obj())
		texts := append([]string{""}, t.x.pieces(c.Args, max(n/len(t.a.Calls), 2))...)
		t.deltas(index, open, "input_json_delta", "partial_json", texts)
		t.event("content_block_stop", "", "index", index)
		index++
	}
	end := []any{"delta", obj("stop_reason", t.stop(), "stop_sequence", orNull(t.a.Sequence))}
	if u := anthropicUsage(t.x.b, t.a, t.a.Completion, false); u != nil {
		end = append(end, "usage", u)
	}
	t.event("message_delta", "", end...)
	t.event("message_stop", "")
	t.frames[len(t.frames)-1].last = true
	return reply{
		status: http.StatusOK,
		header: streamHeaders(anthropicHeaders(t.x)),
		frames: t.frames,
		ping:   "event: ping\ndata: {\"type\": \"ping\"}\n\n",
		broken: frame{event: "error", data: anthropicError(t.x, anthropicStreamError(t.x))},
	}
}
