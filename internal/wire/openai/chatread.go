package openai

import (
	"bytes"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// chatOptions are read and written by this table. Of members for one feature the
// later in the table counts.
var chatOptions = []option{
	{"max_tokens", llm.MaxTokens, wire.Number, true},
	{"max_completion_tokens", llm.MaxTokens, wire.Number, false},
	{"temperature", llm.Temperature, wire.Number, false},
	{"top_p", llm.TopP, wire.Number, false},
	{"top_k", llm.TopK, wire.Number, false}, // an extension of many compatible servers
	{"n", llm.Choices, wire.Number, false},
	{"seed", llm.Seed, wire.Number, false},
	{"logit_bias", llm.LogitBias, wire.Object, false},
	{"verbosity", llm.Verbosity, wire.String, false},
	{"prediction", llm.Prediction, wire.Object, false},
	{"prompt_cache_key", llm.CacheKey, wire.String, false},
	{"metadata", llm.Metadata, wire.Object, false},
	{"store", llm.Store, wire.Bool, false},
	{"service_tier", llm.ServiceTier, wire.String, false},
	{"safety_identifier", llm.User, wire.String, true},
	{"user", llm.User, wire.String, false},
}

// readChat implements wire.Format.Read for chat completions.
func readChat(body []byte) (*llm.Request, error) {
	r := reader{&llm.Request{}}
	top := wire.Root(body).Fields()
	r.Model = top.Take("model").String()
	r.Stream = wire.True(top.Take("stream").Lit())
	top.Take("stream_options") // usage and obfuscation of the client's own stream
	if err := r.options(top, chatOptions); err != nil {
		return nil, err
	}
	for _, read := range []func(*wire.Fields) error{r.messages, r.chatTools, r.chatFormat, r.stop, r.effort, r.extras} {
		if err := read(top); err != nil {
			return nil, err
		}
	}
	r.UseHosted()
	r.unknown(top)
	return r.Request, wire.CheckResults(body, r.Request)
}

func (r reader) messages(top *wire.Fields) error {
	list := top.Take("messages")
	for v := range list.Elements() {
		if v.Kind() != wire.Object {
			return v.Refuse("a message must be an object")
		}
		if err := r.message(v); err != nil {
			return err
		}
	}
	if len(r.Messages) == 0 && len(r.System) == 0 {
		return list.Refuse("messages must not be empty")
	}
	return nil
}

func (r reader) message(v wire.Value) error {
	f := v.Fields()
	m := llm.Message{At: v.Start}
	name := f.Take("name")
	m.Name = name.Maybe()
	role := f.Take("role")
	content := f.Take("content")
	var err error
	switch role.String() {
	case "system", "developer":
		m.Role = llm.Developer
		m.Parts, err = contents(content, v, r.part)
		if len(r.Messages) == 0 {
			r.System = append(r.System, m.Parts...)
			m.Parts = nil
		}
	case "user":
		m.Parts, err = contents(content, v, r.part)
	case "assistant":
		m.Role = llm.Assistant
		m.Parts, err = r.assistant(f, content)
	case "tool":
		m.Parts, err = r.toolMessage(f, content, v)
		if last := len(r.Messages) - 1; err == nil && last >= 0 && results(r.Messages[last].Parts) {
			r.Messages[last].Parts = append(r.Messages[last].Parts, m.Parts...)
			m.Parts = nil
		}
	case "function":
		r.Use(llm.ForeignPart, v.Start)
	default:
		if role.Kind() == wire.Absent {
			return v.Refuse("a message needs a role")
		}
		return role.Refuse("the role must be one of system, developer, user, assistant, tool")
	}
	if err != nil {
		return err
	}
	told := llm.Unknown // the name of a message that is none of its own here
	if len(m.Parts) > 0 {
		r.Messages = append(r.Messages, m)
		told = llm.Names
	}
	if name.Given() {
		r.Use(told, name.Start)
	}
	r.unknown(f)
	return nil
}

// results reports whether a message holds nothing but results of tools.
func results(parts []llm.Part) bool {
	for _, p := range parts {
		if p.Kind != llm.ToolResult {
			return false
		}
	}
	return len(parts) > 0
}

func (r reader) part(v wire.Value) (p llm.Part, err error) {
	if v.Kind() != wire.Object {
		return p, v.Refuse("a part of a message must be an object")
	}
	f := v.Fields()
	p.At = v.Start
	typ := f.Take("type")
	switch typ.String() {
	case "text":
		text := f.Take("text")
		err = text.Need(wire.String, v, "text")
		p.Kind, p.Text = llm.Text, text.Lit()
	case "refusal":
		text := f.Take("refusal")
		err = text.Need(wire.String, v, "refusal")
		p.Kind, p.Text = llm.Refusal, text.Lit()
	case "image_url":
		p.Kind = llm.Image
		err = r.imageURL(&p, f.Take("image_url"), v)
	case "input_audio":
		p.Kind = llm.Audio
		err = r.inputAudio(&p, f.Take("input_audio"), v)
	case "file":
		p.Kind = llm.Document
		file := f.Take("file")
		if err = file.Need(wire.Object, v, "file"); err == nil {
			in := file.Fields()
			err = r.file(&p.Media, in, file)
			r.unknown(in)
		}
	case "":
		return p, v.Refuse("a part of a message needs a type")
	default:
		return p, typ.Refuse("this type of part is not known")
	}
	p.Cache = r.cacheControl(f)
	r.unknown(f)
	return p, err
}

// cacheControl reads the mark that Anthropic's format knows and that OpenAI
// compatible clients add to parts.
func (r reader) cacheControl(f *wire.Fields) (c llm.Cache) {
	v := f.Take("cache_control")
	if v.Given() {
		in := v.Fields()
		in.Take("type")
		c.Marked, c.Long = true, in.Take("ttl").Is("1h")
		r.Use(llm.CacheControl, v.Start)
		r.unknown(in)
	}
	return c
}

func (r reader) imageURL(p *llm.Part, v, part wire.Value) error {
	url, detail := v, wire.Value{}
	if v.Kind() != wire.String { // some clients send the URL itself
		if err := v.Need(wire.Object, part, "image_url"); err != nil {
			return err
		}
		in := v.Fields()
		url, detail = in.Take("url"), in.Take("detail")
		if err := url.Need(wire.String, v, "url"); err != nil {
			return err
		}
		r.unknown(in)
	}
	return r.image(&p.Media, url, detail)
}

// assistant reads a turn of the model. Thoughts come first: whoever verifies
// them wants them before the text and the calls they led to.
func (r reader) assistant(f *wire.Fields, content wire.Value) ([]llm.Part, error) {
	parts := r.thoughts(f)
	if content.Given() {
		said, err := contents(content, content, r.part)
		if err != nil {
			return nil, err
		}
		for _, p := range said {
			if p.Kind != llm.Text || len(p.Text) > 2 { // clients send "" beside calls
				parts = append(parts, p)
			}
		}
	}
	if v := f.Take("refusal"); v.Kind() == wire.String {
		parts = append(parts, llm.Part{Kind: llm.Refusal, Text: v.Lit(), At: v.Start})
	}
	calls := f.Take("tool_calls")
	if err := calls.May(wire.Array); err != nil {
		return nil, err
	}
	for v := range calls.Elements() {
		p, err := r.toolCall(v)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	if v := f.Take("annotations"); wire.Filled(v.Lit()) {
		r.Use(llm.Unknown, v.Start)
	}
	for _, name := range []string{"function_call", "audio"} {
		if v := f.Take(name); v.Given() {
			r.Use(llm.ForeignPart, v.Start)
		}
	}
	return parts, nil
}

// The members that carry thoughts. reasoning_content is a convention of DeepSeek
// that many servers follow, reasoning one of others, reasoning_details is
// OpenRouter's; official SDKs keep members that they do not know, so that they come
// back with the next turn.
const (
	reasoningContent = "reasoning_content"
	reasoningShort   = "reasoning"
	reasoningDetails = "reasoning_details"
)

// thoughts reads what the model thought before a turn. Entries with the index of
// the one before are pieces of it: clients that gather a stream keep them apart.
func (r reader) thoughts(f *wire.Fields) []llm.Part {
	text, short, details := f.Take(reasoningContent), f.Take(reasoningShort), f.Take(reasoningDetails)
	var parts []llm.Part
	last := int64(-1)
	if details.Given() && details.Kind() != wire.Array {
		r.Use(llm.Unknown, details.Start)
	}
	for v := range details.Elements() {
		p, index, numbered := r.thought(v)
		switch {
		case p.Text == nil && p.Seal.Data == "":
			r.Use(llm.Unknown, v.Start) // another gateway's
			continue
		case numbered && index == last && len(parts) > 0:
			whole := &parts[len(parts)-1]
			whole.Text = wire.Join(nil, whole.Text, p.Text)
			if p.Seal.Data != "" {
				whole.Seal = p.Seal
			}
			continue
		}
		if last = -1; numbered {
			last = index
		}
		parts = append(parts, p)
	}
	for _, t := range []wire.Value{text, short} { // servers and clients repeat themselves
		switch {
		case !t.Given() || t.Is(""):
		case len(parts) == 0 && t.Kind() == wire.String:
			parts = []llm.Part{{Kind: llm.Thought, Text: t.Lit(), At: t.Start, Seal: llm.Seal{Origin: llm.ByText}}}
		case !bytes.Equal(t.Lit(), wire.Join(nil, textsOf(parts, llm.Thought)...)):
			r.Use(llm.Unknown, t.Start)
		}
	}
	return parts
}

// thought reads one entry of the details: a thought, or a piece of the one with
// its index.
func (r reader) thought(v wire.Value) (p llm.Part, index int64, numbered bool) {
	f := v.Fields()
	f.Take("type")
	p = llm.Part{Kind: llm.Thought, At: v.Start, Seal: llm.Seal{Origin: llm.ByText}}
	if text := f.Take("text"); text.Kind() == wire.String {
		p.Text = text.Lit()
	}
	for _, name := range []string{"signature", "data"} {
		sealed := f.Take(name)
		switch s := llm.OpenSeal(sealed.String()); {
		case s.Data != "":
			p.Seal, p.Seal.Hidden = s, name == "data"
		case sealed.Given():
			r.Use(llm.Unknown, sealed.Start)
		}
	}
	index, numbered = wire.Int(f.Take("index").Lit())
	r.unknown(f)
	return p, index, numbered
}

func (r reader) toolCall(v wire.Value) (p llm.Part, err error) {
	f := v.Fields()
	p = llm.Part{Kind: llm.ToolCall, At: v.Start}
	p.Call.ID = f.Take("id").String()
	f.Take("index")
	switch typ := f.Take("type"); typ.String() {
	case "function", "":
		fn := f.Take("function")
		if err := fn.Need(wire.Object, v, "function"); err != nil {
			return p, err
		}
		in := fn.Fields()
		p.Call.Name = in.Take("name").String()
		args := in.Take("arguments")
		if p.Call.Input, err = callInput(args); err != nil {
			return p, err
		}
		r.unknown(in)
	case "custom":
		in := f.Take("custom").Fields()
		p.Call.Name, p.Call.Free = in.Take("name").String(), true
		p.Call.Input = wire.Unquote(in.Take("input").Lit())
		r.unknown(in)
	default:
		return p, typ.Refuse("this type of tool call is not known")
	}
	if extra := f.Take("extra_content"); extra.Given() {
		in := extra.Fields()
		sealed := in.Take("sallyport")
		if p.Seal = llm.OpenSeal(sealed.String()); p.Seal.Origin == "" && sealed.Given() {
			r.Use(llm.Unknown, sealed.Start)
		}
		p.Seal.At = extra.Start
		r.unknown(in)
	}
	if p.Call.ID == "" {
		return p, v.Refuse("a tool call needs an id")
	}
	if p.Call.Name == "" {
		return p, v.Refuse("a tool call needs a name")
	}
	feature := llm.Tools
	if p.Call.Free {
		feature = llm.CustomTools
	}
	r.Use(feature, v.Start)
	r.unknown(f)
	return p, nil
}

func (r reader) toolMessage(f *wire.Fields, content, v wire.Value) ([]llm.Part, error) {
	id := f.Take("tool_call_id")
	if err := id.Need(wire.String, v, "tool_call_id"); err != nil {
		return nil, err
	}
	p := llm.Part{Kind: llm.ToolResult, At: v.Start}
	p.Result.ID = id.String()
	var err error
	if p.Result.Parts, err = contents(content, v, r.part); err != nil {
		return nil, err
	}
	for _, in := range p.Result.Parts {
		if in.Kind != llm.Text {
			r.Use(llm.ToolMedia, in.At)
		}
	}
	return []llm.Part{p}, nil
}

func (r reader) chatTools(top *wire.Fields) error {
	tools := top.Take("tools")
	if err := tools.May(wire.Array); err != nil {
		return err
	}
	for v := range tools.Elements() {
		f := v.Fields()
		t := llm.Tool{At: v.Start}
		typ := f.Take("type")
		switch typ.String() {
		case "function":
			fn := f.Take("function")
			if err := fn.Need(wire.Object, v, "function"); err != nil {
				return err
			}
			in := fn.Fields()
			if err := r.function(&t, in, fn); err != nil {
				return err
			}
			r.unknown(in)
		case "custom":
			custom := f.Take("custom")
			if err := custom.Need(wire.Object, v, "custom"); err != nil {
				return err
			}
			in := custom.Fields()
			if err := r.customTool(&t, in, custom, "grammar"); err != nil {
				return err
			}
			r.unknown(in)
		default:
			r.Hosted = append(r.Hosted, v.Start)
			continue
		}
		t.Cache = r.cacheControl(f)
		r.Tools = append(r.Tools, t)
		r.unknown(f)
	}
	if err := r.choice(top.Take("tool_choice"), "function"); err != nil {
		return err
	}
	for _, name := range []string{"functions", "function_call"} {
		if v := top.Take(name); v.Given() {
			r.Use(llm.ForeignPart, v.Start)
		}
	}
	return r.parallel(top)
}

func (r reader) chatFormat(top *wire.Fields) error {
	v := top.Take("response_format")
	if err := v.May(wire.Object); err != nil {
		return err
	}
	if !v.Given() {
		return nil
	}
	f := v.Fields()
	typ := f.Take("type")
	if typ.Is("json_schema") {
		nested := f.Take("json_schema")
		if err := nested.Need(wire.Object, v, "json_schema"); err != nil {
			return err
		}
		in := nested.Fields()
		defer r.unknown(in)
		return r.format(typ, in, nested)
	}
	return r.format(typ, f, v)
}

func (r reader) stop(top *wire.Fields) error {
	v := top.Take("stop")
	switch v.Kind() {
	case wire.Absent, wire.Null:
		return nil
	case wire.String:
		r.Stop = []llm.Lit{v.Lit()}
	case wire.Array:
		for e := range v.Elements() {
			if e.Kind() != wire.String {
				return e.Refuse("a stop sequence must be a string")
			}
			r.Stop = append(r.Stop, e.Lit())
		}
	default:
		return v.Refuse("stop must be a string or an array of strings")
	}
	if len(r.Stop) > 0 {
		r.Use(llm.StopSequences, v.Start)
	}
	return nil
}

func (r reader) effort(top *wire.Fields) error {
	v := top.Take("reasoning_effort")
	if err := v.May(wire.String); err != nil {
		return err
	}
	if v.Given() {
		r.level(v)
	}
	return nil
}

// extras reads what only this format has.
func (r reader) extras(top *wire.Fields) error {
	for _, p := range []struct {
		name string
		to   *llm.Lit
	}{{"frequency_penalty", &r.Penalty.Frequency}, {"presence_penalty", &r.Penalty.Presence}} {
		v := top.Take(p.name)
		if err := v.May(wire.Number); err != nil {
			return err
		}
		if v.Given() {
			*p.to = v.Lit()
			r.Use(llm.Penalties, v.Start)
		}
	}
	if v := top.Take("logprobs"); wire.True(v.Lit()) {
		r.Use(llm.Logprobs, v.Start)
	}
	if v := top.Take("top_logprobs"); v.Int() > 0 {
		r.Use(llm.Logprobs, v.Start)
	}
	modalities := top.Take("modalities")
	if err := modalities.May(wire.Array); err != nil {
		return err
	}
	for v := range modalities.Elements() {
		if !v.Is("text") {
			r.Use(llm.MediaOutput, v.Start)
		}
	}
	if v := top.Take("audio"); v.Given() {
		r.Use(llm.MediaOutput, v.Start)
	}
	if v := top.Take("web_search_options"); v.Given() {
		r.Use(llm.HostedTools, v.Start)
	}
	return nil
}
