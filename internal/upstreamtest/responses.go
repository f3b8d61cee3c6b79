package upstreamtest

import (
	"cmp"
	"encoding/json"
	"net/http"
)

// responsesRequest is what the Responses API needs of a request.
type responsesRequest struct {
	Model         string          `json:"model"`
	Input         json.RawMessage `json:"input"`
	Instructions  *string         `json:"instructions"`
	Stream        bool            `json:"stream"`
	StreamOptions *struct {
		IncludeObfuscation *bool `json:"include_obfuscation"`
	} `json:"stream_options"`
	MaxOutput int64 `json:"max_output_tokens"`
	Tools     []struct {
		Type       string         `json:"type"`
		Name       string         `json:"name"`
		Parameters map[string]any `json:"parameters"`
	} `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`
	Parallel   *bool           `json:"parallel_tool_calls"`
	Store      *bool           `json:"store"`
	Text       struct {
		Format json.RawMessage `json:"format"`
	} `json:"text"`
	Metadata json.RawMessage `json:"metadata"`
}

type responsesItem struct {
	Type      string          `json:"type"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	Name      string          `json:"name"`
	Arguments string          `json:"arguments"`
	Output    json.RawMessage `json:"output"`
}

func (q *responsesRequest) prompt() (*prompt, *fault) {
	if !present(q.Input) {
		return nil, missing("input")
	}
	p := &prompt{parallel: q.Parallel == nil || *q.Parallel, max: q.MaxOutput, schema: schemaOf(q.Text.Format)}
	if q.Instructions != nil {
		p.add("system", *q.Instructions)
	}
	var one string
	var items []responsesItem
	switch {
	case json.Unmarshal(q.Input, &one) == nil:
		p.add("user", one)
	case json.Unmarshal(q.Input, &items) != nil || len(items) == 0:
		return nil, badRequest("input", "Invalid type for 'input': expected a string or an array of items.")
	}
	for _, item := range items {
		switch item.Type {
		case "", "message":
			p.add(cmp.Or(item.Role, "user"), parts(item.Content))
		case "function_call":
			p.add("assistant", item.Name+item.Arguments)
		case "function_call_output":
			p.add("tool", parts(item.Output))
		default:
			p.add(item.Type, parts(item.Content))
		}
	}
	for _, t := range q.Tools {
		p.tools = append(p.tools, tool{t.Name, t.Parameters})
	}
	openAIChoice(p, q.ToolChoice)
	return p, nil
}

// responses serves POST /v1/responses.
func responses(x *exchange) (reply, *fault) {
	var q responsesRequest
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
	t := &response{x: x, q: &q, a: x.answers(p, 1)[0], model: x.declared(m), id: x.answerID("resp_")}
	if x.echoes("body") {
		t.a.Text = x.headerText()
	}
	keepResponse(x, t)
	if q.Stream {
		return t.stream(), nil
	}
	var output list
	for i := range t.items() {
		output = append(output, t.item(i, true))
	}
	return unaryOpenAI(x, t.object(t.status(), output, t.usage())), nil
}

// response renders one answer in the forms of the Responses API.
type response struct {
	x      *exchange
	q      *responsesRequest
	a      Answer
	model  string
	id     string
	frames []frame
}

func (t *response) status() string {
	if t.a.Stop == StopLength {
		return "incomplete"
	}
	return "completed"
}

func (t *response) usage() any { return openAIUsage(t.x.b, t.a, "input", "output") }

// items is how many output items there are: one message, or one per call.
func (t *response) items() int { return max(len(t.a.Calls), 1) }

func (t *response) itemID(i int) string {
	prefix := "msg_"
	if len(t.a.Calls) > 0 {
		prefix = "fc_"
	}
	return bodyID(prefix, append([]byte{byte(i)}, t.x.body...))
}

// item is an output item, empty when it opens and whole when it is done.
func (t *response) item(i int, done bool) raw {
	status := "in_progress"
	if done {
		status = t.status()
	}
	if len(t.a.Calls) > 0 {
		args := ""
		if done {
			args = t.a.Calls[i].Args
		}
		return obj("id", t.itemID(i), "type", "function_call", "status", status, "arguments", args,
			"call_id", "call_"+t.a.Calls[i].ID, "name", t.a.Calls[i].Name)
	}
	content := list{}
	if done {
		content = list{part(t.a.Text)}
	}
	return obj("id", t.itemID(i), "type", "message", "status", status, "content", content, "role", "assistant")
}

func part(text string) raw {
	return obj("type", "output_text", "annotations", list{}, "logprobs", list{}, "text", text)
}

func (t *response) object(status string, output list, usage any) raw {
	var incomplete, instructions, limit any
	if status == "incomplete" {
		incomplete = obj("reason", "max_output_tokens")
	}
	if t.q.Instructions != nil {
		instructions = *t.q.Instructions
	}
	if t.q.MaxOutput > 0 {
		limit = t.q.MaxOutput
	}
	if output == nil {
		output = list{}
	}
	metadata := raw("{}")
	if present(t.q.Metadata) {
		metadata = raw(t.q.Metadata)
	}
	format := obj("type", "text")
	if present(t.q.Text.Format) {
		format = raw(t.q.Text.Format)
	}
	return obj("id", t.id, "object", "response", "created_at", created, "status", status, "background", false,
		"error", nil, "incomplete_details", incomplete, "instructions", instructions, "max_output_tokens", limit,
		"model", t.model, "output", output, "parallel_tool_calls", t.q.Parallel == nil || *t.q.Parallel,
		"previous_response_id", nil, "reasoning", obj("effort", nil, "summary", nil), "service_tier", "default",
		"store", t.q.Store == nil || *t.q.Store, "temperature", 1.0, "text", obj("format", format, "verbosity", "medium"),
		"tool_choice", "auto", "tools", list{}, "top_p", 1.0, "truncation", "disabled", "usage", usage, "user", nil,
		"metadata", metadata)
}

// event appends one event; its name equals its type and it carries the next
// sequence number.
func (t *response) event(kind string, piece string, pairs ...any) {
	body := obj("type", kind, "sequence_number", len(t.frames)).with(pairs...)
	o := t.q.StreamOptions
	if piece != "" && (o == nil || o.IncludeObfuscation == nil || *o.IncludeObfuscation) {
		body = body.with("obfuscation", obfuscation(piece))
	}
	t.frames = append(t.frames, frame{event: kind, data: disfigure(body, t.x.b), text: piece != ""})
}

// stream renders the events in the order of the API reference: created,
// in_progress, each item from added to done, and the terminal event.
func (t *response) stream() reply {
	t.event("response.created", "", "response", t.object("in_progress", nil, nil))
	t.event("response.in_progress", "", "response", t.object("in_progress", nil, nil))
	n := cmp.Or(t.x.b.Frames, 8)
	var output list
	for i := range t.items() {
		id := t.itemID(i)
		t.event("response.output_item.added", "", "output_index", i, "item", t.item(i, false))
		if len(t.a.Calls) == 0 {
			t.event("response.content_part.added", "", "item_id", id, "output_index", i, "content_index", 0, "part", part(""))
			for _, piece := range t.x.pieces(t.a.Text, n) {
				t.event("response.output_text.delta", piece, "item_id", id, "output_index", i, "content_index", 0, "delta", piece, "logprobs", list{})
			}
			t.event("response.output_text.done", "", "item_id", id, "output_index", i, "content_index", 0, "text", t.a.Text, "logprobs", list{})
			t.event("response.content_part.done", "", "item_id", id, "output_index", i, "content_index", 0, "part", part(t.a.Text))
		} else {
			for _, piece := range t.x.pieces(t.a.Calls[i].Args, max(n/t.items(), 2)) {
				t.event("response.function_call_arguments.delta", piece, "item_id", id, "output_index", i, "delta", piece)
			}
			t.event("response.function_call_arguments.done", "", "item_id", id, "output_index", i, "arguments", t.a.Calls[i].Args)
		}
		t.event("response.output_item.done", "", "output_index", i, "item", t.item(i, true))
		output = append(output, t.item(i, true))
	}
	t.event("response."+t.status(), "", "response", t.object(t.status(), output, t.usage()))
	t.frames[len(t.frames)-1].last = true
	f := openAIStreamError(t.x)
	at := len(t.frames)
	if t.x.b.Error != nil {
		at = min(*t.x.b.Error, at)
	}
	return reply{
		status: http.StatusOK,
		header: streamHeaders(openAIHeaders(t.x)),
		frames: t.frames,
		ping:   ": keep-alive\n\n",
		broken: frame{event: "error", data: obj("type", "error", "sequence_number", at, "code", cmp.Or(f.kind, "server_error"),
			"message", f.message, "param", nil)},
	}
}
