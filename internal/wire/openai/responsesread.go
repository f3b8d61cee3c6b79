package openai

import (
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// responsesOptions are read and written by this table.
var responsesOptions = []option{
	{"max_output_tokens", llm.MaxTokens, wire.Number, false},
	{"temperature", llm.Temperature, wire.Number, false},
	{"top_p", llm.TopP, wire.Number, false},
	{"prompt_cache_key", llm.CacheKey, wire.String, false},
	{"metadata", llm.Metadata, wire.Object, false},
	{"service_tier", llm.ServiceTier, wire.String, false},
	{"user", llm.User, wire.String, true},
	{"safety_identifier", llm.User, wire.String, false}, // what user became
}

// textOptions are those within the member text.
var textOptions = []option{{"verbosity", llm.Verbosity, wire.String, false}}

// readResponses implements wire.Format.Read for responses.
func readResponses(body []byte) (*llm.Request, error) {
	r := reader{&llm.Request{}}
	top := wire.Root(body).Fields()
	r.Model = top.Take("model").String()
	r.Stream = wire.True(top.Take("stream").Lit())
	top.Take("stream_options")                                   // obfuscation of the client's own stream
	if store := top.Take("store"); store.May(wire.Bool) != nil { // Sallyport itself keeps the answer or does not
		return nil, store.May(wire.Bool)
	}
	if err := r.options(top, responsesOptions); err != nil {
		return nil, err
	}
	r.stored(top)
	for _, read := range []func(*wire.Fields) error{r.instructions, r.input, r.responsesTools, r.text, r.reasoning, r.responsesExtras} {
		if err := read(top); err != nil {
			return nil, err
		}
	}
	r.UseHosted()
	r.unknown(top)
	if r.Asks(llm.StoredState) {
		return r.Request, nil // the calls may stand where only the provider knows them
	}
	return r.Request, wire.CheckResults(body, r.Request)
}

// stored reads what refers to something that the provider keeps.
func (r reader) stored(top *wire.Fields) {
	for _, name := range []string{"previous_response_id", "conversation", "prompt", "background"} {
		if v := top.Take(name); v.Kind() > wire.Bool || wire.True(v.Lit()) {
			r.Use(llm.StoredState, v.Start)
		}
	}
}

func (r reader) instructions(top *wire.Fields) error {
	v := top.Take("instructions")
	if err := v.May(wire.String); err != nil {
		return err
	}
	if v.Given() {
		r.System = []llm.Part{{Kind: llm.Text, Text: v.Lit(), At: v.Start}}
	}
	return nil
}

func (r reader) input(top *wire.Fields) error {
	list := top.Take("input")
	switch list.Kind() {
	case wire.Absent, wire.Null: // it is stored
	case wire.String:
		r.Messages = []llm.Message{{At: list.Start, Parts: []llm.Part{{Kind: llm.Text, Text: list.Lit(), At: list.Start}}}}
	case wire.Array:
		if !wire.Filled(list.Lit()) && len(r.System) == 0 {
			return list.Refuse("input must not be empty")
		}
		for v := range list.Elements() {
			if v.Kind() != wire.Object {
				return v.Refuse("an item must be an object")
			}
			if err := r.item(v); err != nil {
				return err
			}
		}
	default:
		return list.Refuse("input must be a string or an array of items")
	}
	return nil
}

// item reads one item of the input, or of an answer's output.
func (r reader) item(v wire.Value) (err error) {
	f := v.Fields()
	typ, role := f.Take("type"), f.Take("role")
	id := f.Take("id")
	f.Take("status") // of the answer that the item was part of
	kind := typ.String()
	switch {
	case kind != "":
	case role.Given():
		kind = "message"
	case id.Given():
		kind = "item_reference"
	default:
		return v.Refuse("an item needs a type")
	}
	switch kind {
	case "message":
		err = r.messageItem(f, role, v)
	case "reasoning":
		err = r.reasoningItem(f, v)
	case "function_call", "custom_tool_call":
		err = r.callItem(f, v, kind == "custom_tool_call")
	case "function_call_output", "custom_tool_call_output":
		err = r.resultItem(f, v)
	case "compaction":
		r.compactionItem(f, v)
	case "item_reference":
		r.Use(llm.StoredState, v.Start)
		return nil
	default: // calls of tools that the provider runs, and what is made of them
		r.Use(llm.ForeignPart, v.Start)
		return nil
	}
	r.unknown(f)
	return err
}

// roles are who speaks in a message.
var roles = map[string]llm.Role{"user": llm.Customer, "assistant": llm.Assistant, "system": llm.Developer, "developer": llm.Developer}

func (r reader) messageItem(f *wire.Fields, who, v wire.Value) error {
	role, known := roles[who.String()]
	switch {
	case who.Kind() == wire.Absent:
		return v.Refuse("a message needs a role")
	case !known:
		return who.Refuse("the role must be one of user, assistant, system, developer")
	}
	parts, err := contents(f.Take("content"), v, r.inputPart)
	if err != nil {
		return err
	}
	switch {
	case role == llm.Developer && len(r.Messages) == 0:
		r.System = append(r.System, parts...)
	case role == llm.Assistant && len(parts) > 0 && !r.said():
		r.assistantSays(v, parts...)
	case len(parts) > 0:
		r.Messages = append(r.Messages, llm.Message{Role: role, Parts: parts, At: v.Start})
	}
	return nil
}

// said reports whether the last turn is one of the model that was complete with
// its text, so that another message is another turn.
func (r reader) said() bool {
	text := false
	if n := len(r.Messages); n > 0 && r.Messages[n-1].Role == llm.Assistant {
		for _, p := range r.Messages[n-1].Parts {
			text = text || p.Kind == llm.Text
			if p.Kind == llm.ToolCall {
				return false
			}
		}
	}
	return text
}

// assistantSays adds to the turn of the model, whose thoughts, texts and calls are
// items of their own in this format.
func (r reader) assistantSays(v wire.Value, parts ...llm.Part) {
	if n := len(r.Messages); n > 0 && r.Messages[n-1].Role == llm.Assistant {
		r.Messages[n-1].Parts = append(r.Messages[n-1].Parts, parts...)
		return
	}
	r.Messages = append(r.Messages, llm.Message{Role: llm.Assistant, Parts: parts, At: v.Start})
}

// inputPart reads one part of a message or of a tool's result.
func (r reader) inputPart(v wire.Value) (p llm.Part, err error) {
	if v.Kind() != wire.Object {
		return p, v.Refuse("a part of a message must be an object")
	}
	f := v.Fields()
	p.At = v.Start
	typ := f.Take("type")
	switch typ.String() {
	case "input_text", "output_text":
		text := f.Take("text")
		err = text.Need(wire.String, v, "text")
		p.Kind, p.Text = llm.Text, text.Lit()
		for _, name := range []string{"annotations", "logprobs"} {
			if about := f.Take(name); wire.Filled(about.Lit()) {
				r.Use(llm.Unknown, about.Start)
			}
		}
	case "refusal":
		text := f.Take("refusal")
		err = text.Need(wire.String, v, "refusal")
		p.Kind, p.Text = llm.Refusal, text.Lit()
	case "input_image":
		p.Kind = llm.Image
		err = r.inputImage(&p.Media, f, v)
	case "input_file":
		p.Kind = llm.Document
		err = r.inputFile(&p.Media, f, v)
	case "input_audio":
		p.Kind = llm.Audio
		err = r.inputAudio(&p, f.Take("input_audio"), v)
	case "":
		return p, v.Refuse("a part of a message needs a type")
	default:
		return p, typ.Refuse("this type of part is not known")
	}
	if mark := f.Take("prompt_cache_breakpoint"); mark.Given() {
		in := mark.Fields()
		in.Take("mode")
		p.Cache = llm.Cache{Marked: true, Long: in.Take("ttl").Is("12h")}
		r.Use(llm.CacheControl, mark.Start)
		r.unknown(in)
	}
	r.unknown(f)
	return p, err
}

func (r reader) inputImage(m *llm.Media, f *wire.Fields, v wire.Value) error {
	if url := f.Take("image_url"); url.Given() {
		if err := url.May(wire.String); err != nil {
			return err
		}
		return r.image(m, url, f.Take("detail"))
	}
	id := f.Take("file_id")
	if err := id.Need(wire.String, v, "image_url or file_id"); err != nil {
		return err
	}
	m.File = id.Lit()
	r.Use(llm.FileID, id.Start)
	return nil
}

func (r reader) inputFile(m *llm.Media, f *wire.Fields, v wire.Value) error {
	url := f.Take("file_url")
	if !url.Given() {
		return r.file(m, f, v)
	}
	m.URL, m.Name = url.Lit(), f.Take("filename").Maybe()
	r.Use(llm.DocumentURL, url.Start)
	return url.May(wire.String)
}

// reasoningItem reads what the model thought. What a provider sealed is its own;
// thoughts without a seal are plain text when they are told as they were, and
// nobody's when they are only summed up.
func (r reader) reasoningItem(f *wire.Fields, v wire.Value) error {
	p := llm.Part{Kind: llm.Thought, At: v.Start}
	var texts []llm.Lit
	p.Seal.Origin = llm.ByOpenAI
	for _, name := range []string{"summary", "content"} {
		list := f.Take(name)
		if err := list.May(wire.Array); err != nil {
			return err
		}
		for e := range list.Elements() {
			in := e.Fields()
			in.Take("type")
			text := in.Take("text")
			if err := text.Need(wire.String, e, "text"); err != nil {
				return err
			}
			texts = append(texts, text.Lit())
			r.unknown(in)
			if name == "content" {
				p.Seal.Origin = llm.ByText
			}
		}
	}
	if sealed := f.Take("encrypted_content").String(); sealed != "" {
		if p.Seal = llm.OpenSeal(sealed); p.Seal.Origin == "" {
			p.Seal = llm.Seal{Origin: llm.ByOpenAI, Data: sealed}
		}
		p.Seal.Hidden = len(texts) == 0
	}
	p.Text = paragraphs(texts)
	r.assistantSays(v, p)
	return nil
}

// paragraphs joins texts, with a blank line between them; nil when there are none.
func paragraphs(texts []llm.Lit) llm.Lit {
	if len(texts) == 0 {
		return nil
	}
	all := texts[:1:1]
	for _, t := range texts[1:] {
		all = append(all, blankLine, t)
	}
	return wire.Join(nil, all...)
}

var blankLine = llm.Lit(`"\n\n"`)

func (r reader) callItem(f *wire.Fields, v wire.Value, free bool) (err error) {
	id, name := f.Take("call_id"), f.Take("name")
	if err := id.Need(wire.String, v, "call_id"); err != nil {
		return err
	}
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	p := llm.Part{Kind: llm.ToolCall, At: v.Start}
	p.Call = llm.Call{ID: id.String(), Name: spaced(f.Take("namespace").String(), name.String()), Free: free}
	if free {
		input := f.Take("input")
		if err := input.Need(wire.String, v, "input"); err != nil {
			return err
		}
		p.Call.Input = wire.Unquote(input.Lit())
		r.Use(llm.CustomTools, v.Start)
	} else {
		if p.Call.Input, err = callInput(f.Take("arguments")); err != nil {
			return err
		}
		r.Use(llm.Tools, v.Start)
	}
	p.Seal = r.takeSeal()
	r.assistantSays(v, p)
	return nil
}

// takeSeal takes the seal of the call that follows out of the turn of the model:
// this format has no place for it within a call.
func (r reader) takeSeal() (s llm.Seal) {
	n := len(r.Messages)
	if n == 0 || r.Messages[n-1].Role != llm.Assistant {
		return s
	}
	m := &r.Messages[n-1]
	last := m.Parts[len(m.Parts)-1]
	if last.Kind != llm.Thought || !last.Seal.Hidden || last.Seal.Origin != llm.ByGemini {
		return s
	}
	if m.Parts = m.Parts[:len(m.Parts)-1]; len(m.Parts) == 0 {
		r.Messages = r.Messages[:n-1]
	}
	s = last.Seal
	s.Hidden, s.At = false, last.At
	return s
}

func (r reader) resultItem(f *wire.Fields, v wire.Value) (err error) {
	id := f.Take("call_id")
	if err := id.Need(wire.String, v, "call_id"); err != nil {
		return err
	}
	p := llm.Part{Kind: llm.ToolResult, At: v.Start, Result: llm.Result{ID: id.String()}}
	if p.Result.Parts, err = contents(f.Take("output"), v, r.inputPart); err != nil {
		return err
	}
	for _, in := range p.Result.Parts {
		if in.Kind != llm.Text {
			r.Use(llm.ToolMedia, in.At)
		}
	}
	if n := len(r.Messages); n > 0 && results(r.Messages[n-1].Parts) {
		r.Messages[n-1].Parts = append(r.Messages[n-1].Parts, p)
		return nil
	}
	r.Messages = append(r.Messages, llm.Message{Parts: []llm.Part{p}, At: v.Start})
	return nil
}

func (r reader) responsesTools(top *wire.Fields) error {
	if err := r.toolList(top.Take("tools"), ""); err != nil {
		return err
	}
	if err := r.choice(top.Take("tool_choice"), ""); err != nil {
		return err
	}
	return r.parallel(top)
}

// toolList reads tools. Those of a namespace are told apart by their names: other
// formats have no groups.
func (r reader) toolList(list wire.Value, space string) error {
	if err := list.May(wire.Array); err != nil {
		return err
	}
	for v := range list.Elements() {
		f := v.Fields()
		t := llm.Tool{At: v.Start, Space: space}
		var err error
		switch typ := f.Take("type"); {
		case typ.Is("function"):
			err = r.function(&t, f, v)
		case typ.Is("custom"):
			err = r.customTool(&t, f, v, "")
		case typ.Is("namespace") && space == "":
			err = r.namespace(f, v)
		default:
			r.Hosted = append(r.Hosted, v.Start)
			continue
		}
		if err != nil {
			return err
		}
		if t.Name != "" {
			t.Name = spaced(space, t.Name)
			r.Tools = append(r.Tools, t)
		}
		r.unknown(f)
	}
	return nil
}

func (r reader) namespace(f *wire.Fields, v wire.Value) error {
	name := f.Take("name")
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	tools := f.Take("tools")
	if !wire.Filled(tools.Lit()) {
		r.Use(llm.Unknown, v.Start)
	}
	return r.toolList(tools, name.String())
}

// spaced is the name of a tool within a namespace.
func spaced(space, name string) string {
	if space == "" {
		return name
	}
	return space + "__" + name
}

func (r reader) text(top *wire.Fields) error {
	v := top.Take("text")
	if err := v.May(wire.Object); err != nil {
		return err
	}
	f := v.Fields()
	defer r.unknown(f)
	if err := r.options(f, textOptions); err != nil {
		return err
	}
	format := f.Take("format")
	if err := format.May(wire.Object); err != nil || !format.Given() {
		return err
	}
	in := format.Fields()
	defer r.unknown(in)
	return r.format(in.Take("type"), in, format)
}

func (r reader) reasoning(top *wire.Fields) error {
	v := top.Take("reasoning")
	if err := v.May(wire.Object); err != nil {
		return err
	}
	f := v.Fields()
	defer r.unknown(f)
	effort, summary := f.Take("effort"), f.Take("summary")
	for _, word := range []wire.Value{effort, summary} {
		if err := word.May(wire.String); err != nil {
			return err
		}
	}
	if effort.Given() {
		r.level(effort)
	}
	if summary.Given() {
		r.Thinking.Tell, r.Thinking.Show = summary.Lit(), true
		r.Use(llm.ThinkingSummary, summary.Start)
	}
	return nil
}

// responsesExtras reads what only this format has.
func (r reader) responsesExtras(top *wire.Fields) error {
	include := top.Take("include")
	if err := include.May(wire.Array); err != nil {
		return err
	}
	for v := range include.Elements() {
		switch v.String() {
		case "reasoning.encrypted_content": // seals are always told
		case "message.output_text.logprobs":
			r.Use(llm.Logprobs, v.Start)
		default:
			r.Use(llm.Unknown, v.Start)
		}
	}
	if v := top.Take("top_logprobs"); v.Given() && string(v.Lit()) != "0" {
		r.Use(llm.Logprobs, v.Start)
	}
	if v := top.Take("truncation"); v.Given() && !v.Is("disabled") {
		r.Use(llm.Unknown, v.Start)
	}
	return nil
}
