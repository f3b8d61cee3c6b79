package anthropic

import (
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// option is a number of a messages request that goes to other formats as it stands.
type option struct {
	name    string
	feature llm.Feature
}

var options = []option{
	{"max_tokens", llm.MaxTokens},
	{"temperature", llm.Temperature},
	{"top_p", llm.TopP},
	{"top_k", llm.TopK},
}

// reader gathers a request.
type reader struct{ *llm.Request }

// read implements wire.Format.Read for messages.
func read(body []byte) (*llm.Request, error) {
	r := reader{&llm.Request{}}
	top := wire.Root(body).Fields()
	r.Model = top.Take("model").String()
	r.Stream = wire.True(top.Take("stream").Lit())
	for _, o := range options {
		v := top.Take(o.name)
		if err := v.May(wire.Number); err != nil {
			return nil, err
		}
		if v.Given() {
			r.Options[o.feature] = v.Lit()
			r.Use(o.feature, v.Start)
		}
	}
	for _, read := range []func(*wire.Fields) error{r.system, r.messages, r.tools, r.choice, r.stop, r.thinking, r.output, r.extras} {
		if err := read(top); err != nil {
			return nil, err
		}
	}
	r.UseHosted()
	r.unknown(top)
	return r.Request, wire.CheckResults(body, r.Request)
}

// unknown notes the members that nobody took.
func (r reader) unknown(f *wire.Fields) {
	for _, v := range f.Rest() {
		r.Use(llm.Unknown, v.Start)
	}
}

func (r reader) system(top *wire.Fields) (err error) {
	if v := top.Take("system"); v.Given() {
		r.System, err = r.content(v)
	}
	return err
}

func (r reader) messages(top *wire.Fields) error {
	list := top.Take("messages")
	for v := range list.Elements() {
		if v.Kind() != wire.Object {
			return v.Refuse("a message must be an object")
		}
		f := v.Fields()
		m := llm.Message{At: v.Start}
		switch role := f.Take("role"); role.String() {
		case "user":
		case "assistant":
			m.Role = llm.Assistant
		case "system":
			m.Role = llm.Developer
		default:
			if role.Kind() == wire.Absent {
				return v.Refuse("a message needs a role")
			}
			return role.Refuse("the role must be user or assistant")
		}
		content := f.Take("content")
		if content.Kind() == wire.Absent {
			return v.Refuse("a message needs content")
		}
		var err error
		if m.Parts, err = r.content(content); err != nil {
			return err
		}
		r.Messages = append(r.Messages, m)
		r.unknown(f)
	}
	if len(r.Messages) == 0 {
		return list.Refuse("messages must not be empty")
	}
	if last := r.Messages[len(r.Messages)-1]; last.Role == llm.Assistant {
		r.Use(llm.Prefill, last.At)
	}
	return nil
}

// content reads a text or an array of blocks.
func (r reader) content(v wire.Value) ([]llm.Part, error) {
	switch v.Kind() {
	case wire.String:
		return []llm.Part{{Kind: llm.Text, Text: v.Lit(), At: v.Start}}, nil
	case wire.Array:
	default:
		return nil, v.Refuse("content must be a string or an array of blocks")
	}
	var parts []llm.Part
	var sealed *llm.Part // the seal of another provider's that stands before a call, or by itself
	for e := range v.Elements() {
		if e.Kind() != wire.Object {
			return nil, e.Refuse("a content block must be an object")
		}
		p, known, err := r.block(e)
		if err != nil {
			return nil, err
		}
		if !known {
			r.Use(llm.ForeignPart, e.Start)
			continue
		}
		if sealed != nil && p.Kind == llm.ToolCall {
			p.Seal = sealed.Seal
			p.Seal.Hidden, p.Seal.At = false, sealed.At
		} else if sealed != nil {
			parts = append(parts, *sealed)
		}
		sealed = nil
		if p.Kind == llm.Thought && p.Seal.Hidden && p.Seal.Origin == llm.ByGemini {
			sealed = &p
			continue
		}
		parts = append(parts, p)
	}
	if sealed != nil {
		parts = append(parts, *sealed)
	}
	return parts, nil
}

// block reads one content block; known is false for what only this API has.
func (r reader) block(v wire.Value) (p llm.Part, known bool, err error) {
	f := v.Fields()
	p.At = v.Start
	typ := f.Take("type")
	switch typ.String() {
	case "text":
		text := f.Take("text")
		err = text.Need(wire.String, v, "text")
		p.Kind, p.Text = llm.Text, text.Lit()
		if c := f.Take("citations"); wire.Filled(c.Lit()) {
			r.Use(llm.Unknown, c.Start)
		}
	case "image":
		p.Kind = llm.Image
		err = r.source(&p.Media, f.Take("source"), v, llm.ImageData, llm.ImageURL)
	case "document":
		p.Kind = llm.Document
		err = r.document(&p.Media, f, v)
	case "tool_use":
		p.Kind = llm.ToolCall
		err = r.toolUse(&p.Call, f, v)
	case "tool_result":
		p.Kind = llm.ToolResult
		err = r.toolResult(&p.Result, f, v)
	case "thinking":
		p.Kind, p.Text = llm.Thought, f.Take("thinking").Maybe()
		p.Seal = seal(f.Take("signature").String())
	case "redacted_thinking":
		p.Kind, p.Seal = llm.Thought, seal(f.Take("data").String())
		p.Seal.Hidden = true
	case "":
		return p, false, v.Refuse("a content block needs a type")
	default:
		return p, false, nil
	}
	if c := f.Take("cache_control"); c.Given() {
		p.Cache = r.cache(c)
	}
	r.unknown(f)
	return p, true, err
}

// seal is a signature: another provider's when it says so, else this one's own.
func seal(text string) llm.Seal {
	if s := llm.OpenSeal(text); s.Origin != "" {
		return s
	}
	return llm.Seal{Origin: llm.ByAnthropic, Data: text}
}

func (r reader) cache(v wire.Value) llm.Cache {
	r.Use(llm.CacheControl, v.Start)
	f := v.Fields()
	f.Take("type")
	defer r.unknown(f)
	return llm.Cache{Marked: true, Long: f.Take("ttl").Is("1h")}
}

// source reads where an image or a document comes from.
func (r reader) source(m *llm.Media, v, block wire.Value, data, url llm.Feature) error {
	if err := v.Need(wire.Object, block, "source"); err != nil {
		return err
	}
	f := v.Fields()
	defer r.unknown(f)
	switch typ := f.Take("type"); typ.String() {
	case "base64":
		lit, kind := f.Take("data"), f.Take("media_type")
		if err := wire.Base64(lit); err != nil {
			return err
		}
		if m.Data, m.MIME = lit.Lit(), kind.String(); !wire.IsMIME(m.MIME) {
			return v.Refuse("the media_type is missing or not valid")
		}
		r.Use(data, v.Start)
	case "url":
		link := f.Take("url")
		if err := link.Need(wire.String, v, "url"); err != nil {
			return err
		}
		m.URL = link.Lit()
		r.Use(url, v.Start)
	case "file":
		m.File = f.Take("file_id").Maybe()
		r.Use(llm.FileID, v.Start)
	case "text":
		text := f.Take("data")
		if err := text.Need(wire.String, v, "data"); err != nil {
			return err
		}
		m.Plain, m.MIME = text.Lit(), "text/plain"
		f.Take("media_type")
		r.Use(data, v.Start)
	default:
		if typ.Kind() == wire.Absent {
			return v.Refuse("a source needs a type")
		}
		r.Use(llm.ForeignPart, v.Start)
	}
	return nil
}

func (r reader) document(m *llm.Media, f *wire.Fields, v wire.Value) error {
	m.Name = f.Take("title").Maybe()
	if c := f.Take("citations"); c.Given() {
		in := c.Fields()
		if wire.True(in.Take("enabled").Lit()) {
			r.Use(llm.Citations, c.Start)
		}
		r.unknown(in)
	}
	return r.source(m, f.Take("source"), v, llm.DocumentData, llm.DocumentURL)
}

func (r reader) toolUse(c *llm.Call, f *wire.Fields, v wire.Value) error {
	id, name, input := f.Take("id"), f.Take("name"), f.Take("input")
	if err := id.Need(wire.String, v, "id"); err != nil {
		return err
	}
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	if err := input.Need(wire.Object, v, "input"); err != nil {
		return err
	}
	*c = llm.Call{ID: id.String(), Name: name.String(), Input: input.Lit()}
	r.Use(llm.Tools, v.Start)
	return nil
}

func (r reader) toolResult(result *llm.Result, f *wire.Fields, v wire.Value) (err error) {
	id, content, failed := f.Take("tool_use_id"), f.Take("content"), f.Take("is_error")
	if err := id.Need(wire.String, v, "tool_use_id"); err != nil {
		return err
	}
	result.ID = id.String()
	if content.Given() {
		if result.Parts, err = r.content(content); err != nil {
			return err
		}
	}
	for _, p := range result.Parts {
		if p.Kind != llm.Text {
			r.Use(llm.ToolMedia, p.At)
		}
	}
	if result.Failed = wire.True(failed.Lit()); result.Failed {
		r.Use(llm.ToolError, failed.Start)
	}
	return nil
}

func (r reader) tools(top *wire.Fields) error {
	tools := top.Take("tools")
	if err := tools.May(wire.Array); err != nil {
		return err
	}
	for v := range tools.Elements() {
		f := v.Fields()
		if typ := f.Take("type"); typ.Given() && !typ.Is("custom") {
			r.Hosted = append(r.Hosted, v.Start)
			continue
		}
		t := llm.Tool{At: v.Start}
		name, schema := f.Take("name"), f.Take("input_schema")
		if err := name.Need(wire.String, v, "name"); err != nil {
			return err
		}
		if err := schema.Need(wire.Object, v, "input_schema"); err != nil {
			return err
		}
		t.Name, t.Schema, t.Description = name.String(), schema.Lit(), f.Take("description").Maybe()
		if strict := f.Take("strict"); wire.True(strict.Lit()) {
			t.Strict = strict.Lit()
			r.Use(llm.ToolStrict, strict.Start)
		}
		if c := f.Take("cache_control"); c.Given() {
			t.Cache = r.cache(c)
		}
		r.Use(llm.Tools, v.Start)
		r.Tools = append(r.Tools, t)
		r.unknown(f)
	}
	return nil
}

var choiceModes = map[string]llm.ChoiceMode{"auto": llm.ChoiceAuto, "any": llm.ChoiceAny, "tool": llm.ChoiceNamed, "none": llm.ChoiceNone}

func (r reader) choice(top *wire.Fields) error {
	v := top.Take("tool_choice")
	if err := v.May(wire.Object); err != nil || !v.Given() {
		return err
	}
	f := v.Fields()
	mode, known := choiceModes[f.Take("type").String()]
	if !known {
		return v.Refuse("the type of tool_choice must be one of auto, any, tool, none")
	}
	r.Choice.Mode = mode
	if mode != llm.ChoiceAuto {
		r.Use(llm.ToolChoice, v.Start)
	}
	if mode == llm.ChoiceNamed {
		name := f.Take("name")
		if err := name.Need(wire.String, v, "name"); err != nil {
			return err
		}
		if r.Choice.Name = name.String(); !r.Offers(r.Choice.Name) {
			return name.Refuse("the request has no tool of this name")
		}
	}
	if serial := f.Take("disable_parallel_tool_use"); wire.True(serial.Lit()) {
		r.Choice.Serial = true
		r.Use(llm.SerialTools, serial.Start)
	}
	r.unknown(f)
	return nil
}

func (r reader) stop(top *wire.Fields) error {
	return wire.StopSequences(r.Request, top.Take("stop_sequences"))
}

func (r reader) thinking(top *wire.Fields) error {
	v := top.Take("thinking")
	if err := v.May(wire.Object); err != nil || !v.Given() {
		return err
	}
	f := v.Fields()
	switch typ := f.Take("type"); typ.String() {
	case "enabled":
		budget := f.Take("budget_tokens")
		if err := budget.Need(wire.Number, v, "budget_tokens"); err != nil {
			return err
		}
		r.Thinking.Mode, r.Thinking.Budget, r.Thinking.Show = llm.ThinkingByBudget, budget.Int(), true
		r.Use(llm.ThinkingBudget, v.Start)
	case "adaptive":
		r.Thinking.Mode, r.Thinking.Show = llm.ThinkingAdaptive, true
	case "disabled":
		r.Thinking.Mode = llm.ThinkingOff
	default:
		return v.Refuse("the type of thinking must be one of enabled, adaptive, disabled")
	}
	if d := f.Take("display"); d.Given() {
		r.Thinking.Show = !d.Is("omitted")
		r.Use(llm.ThinkingSummary, d.Start)
	}
	r.unknown(f)
	return nil
}

// output reads output_config and the older output_format.
func (r reader) output(top *wire.Fields) error {
	v := top.Take("output_config")
	if err := v.May(wire.Object); err != nil {
		return err
	}
	f := v.Fields()
	if effort := f.Take("effort"); effort.Given() {
		r.Thinking.Level = llm.Level(effort.String())
		if r.Thinking.Mode == llm.ThinkingUnset {
			r.Thinking.Mode = llm.ThinkingByLevel
		}
		r.Use(llm.Effort, effort.Start)
	}
	format := f.Take("format")
	if !format.Given() {
		format = top.Take("output_format")
	}
	r.unknown(f)
	if !format.Given() {
		return nil
	}
	in := format.Fields()
	if !in.Take("type").Is("json_schema") {
		return format.Refuse("the type of the format must be json_schema")
	}
	schema := in.Take("schema")
	if err := schema.Need(wire.Object, format, "schema"); err != nil {
		return err
	}
	r.Format = llm.Format{Kind: llm.FormatSchema, Schema: schema.Lit()}
	r.Use(llm.JSONSchema, format.Start)
	r.unknown(in)
	return nil
}

// extras reads what only this format has.
func (r reader) extras(top *wire.Fields) error {
	if v := top.Take("metadata"); v.Given() {
		f := v.Fields()
		if id := f.Take("user_id"); id.Kind() == wire.String {
			r.Options[llm.User] = id.Lit()
			r.Use(llm.User, id.Start)
		}
		r.unknown(f)
	}
	if v := top.Take("service_tier"); v.Given() && !v.Is("auto") {
		r.Use(llm.Unknown, v.Start)
	}
	if v := top.Take("cache_control"); v.Given() {
		r.cache(v)
	}
	if v := top.Take("container"); v.Given() {
		r.Use(llm.StoredState, v.Start)
	}
	if v := top.Take("mcp_servers"); wire.Filled(v.Lit()) {
		r.Use(llm.HostedTools, v.Start)
	}
	return nil
}
