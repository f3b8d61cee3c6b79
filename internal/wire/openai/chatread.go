package openai

import (
	"bytes"
	"cmp"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// option is a member of a request whose value goes to other formats as it stands.
type option struct {
	name    string
	feature llm.Feature
	kind    wire.Kind
	alias   bool // only read: another member is written in its place
}

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

// reader gathers a request.
type reader struct{ *llm.Request }

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
	r.unknown(top)
	return r.Request, wire.CheckResults(body, r.Request)
}

// options reads the members of a table. A default that says nothing is no use.
func (r reader) options(top *wire.Fields, table []option) error {
	for _, o := range table {
		v := top.Take(o.name)
		if err := v.May(o.kind); err != nil {
			return err
		}
		lit := v.Maybe()
		if lit == nil || o.feature == llm.Choices && string(lit) == "1" || o.feature == llm.Store && string(lit) == "false" || o.feature == llm.ServiceTier && v.Is("auto") {
			continue
		}
		if o.kind == wire.Object && !wire.Filled(lit) {
			continue
		}
		for i := range r.Uses { // of an alias that this member goes before
			if r.Uses[i].Feature == o.feature {
				r.Uses[i].Feature = llm.Unknown
			}
		}
		r.Options[o.feature] = lit
		r.Use(o.feature, v.Start)
	}
	return nil
}

// unknown notes the members that nobody took.
func (r reader) unknown(f *wire.Fields) {
	for _, v := range f.Rest() {
		r.Use(llm.Unknown, v.Start)
	}
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
	if name := f.Take("name"); name.Given() {
		m.Name = name.Lit()
		r.Use(llm.Names, name.Start)
	}
	role := f.Take("role")
	content := f.Take("content")
	var err error
	switch role.String() {
	case "system", "developer":
		m.Role = llm.Developer
		m.Parts, err = r.content(content, v)
		if len(r.Messages) == 0 {
			r.System = append(r.System, m.Parts...)
			m.Parts = nil
		}
	case "user":
		m.Parts, err = r.content(content, v)
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
	if len(m.Parts) > 0 {
		r.Messages = append(r.Messages, m)
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

// content reads the content of a message: a text or parts.
func (r reader) content(v, message wire.Value) ([]llm.Part, error) {
	switch v.Kind() {
	case wire.String:
		return []llm.Part{{Kind: llm.Text, Text: v.Lit(), At: v.Start}}, nil
	case wire.Array:
	case wire.Absent, wire.Null:
		return nil, message.Refuse("a message needs content")
	default:
		return nil, v.Refuse("content must be a string or an array of parts")
	}
	var parts []llm.Part
	for e := range v.Elements() {
		p, err := r.part(e)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
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

// image reads an image's URL, which may hold the image itself.
func (r reader) image(m *llm.Media, url, detail wire.Value) error {
	mime, data, inline, err := wire.DataURL(url)
	switch {
	case err != nil:
		return err
	case inline:
		if len(mime) < 6 || mime[:6] != "image/" {
			return url.Refuse("the media type of an image must be image/...")
		}
		m.MIME, m.Data = mime, data
		r.Use(llm.ImageData, url.Start)
	default:
		m.URL = url.Lit()
		r.Use(llm.ImageURL, url.Start)
	}
	if detail.Given() && !detail.Is("auto") {
		m.Detail = detail.Lit()
		r.Use(llm.ImageDetail, detail.Start)
	}
	return nil
}

// audioTypes are the media types of the audio formats of this API.
var audioTypes = map[string]string{"wav": "audio/wav", "mp3": "audio/mpeg"}

func (r reader) inputAudio(p *llm.Part, v, part wire.Value) error {
	if err := v.Need(wire.Object, part, "input_audio"); err != nil {
		return err
	}
	in := v.Fields()
	data, format := in.Take("data"), in.Take("format")
	if err := wire.Base64(data); err != nil {
		return err
	}
	p.Media.Data = data.Lit()
	if p.Media.MIME = audioTypes[format.String()]; p.Media.MIME == "" {
		return v.Refuse("the format of the audio must be wav or mp3")
	}
	r.Use(llm.AudioInput, v.Start)
	r.unknown(in)
	return nil
}

// file reads a document that is given as data or as the id of a kept file.
func (r reader) file(m *llm.Media, in *wire.Fields, v wire.Value) error {
	data, id, name := in.Take("file_data"), in.Take("file_id"), in.Take("filename")
	m.Name = name.Maybe()
	switch {
	case data.Given() && id.Given():
		return v.Refuse("a file must be given in one way")
	case data.Given():
		mime, lit, inline, err := wire.DataURL(data)
		if err != nil {
			return err
		}
		if !inline {
			if err := wire.Base64(data); err != nil {
				return err
			}
			mime, lit = "application/pdf", data.Lit()
		}
		m.MIME, m.Data = mime, lit
		r.Use(llm.DocumentData, data.Start)
	case id.Given():
		m.File = id.Lit()
		r.Use(llm.FileID, id.Start)
	default:
		return v.Refuse("a file needs file_data or file_id")
	}
	return nil
}

// assistant reads a turn of the model. Thoughts come first: whoever verifies
// them wants them before the text and the calls they led to.
func (r reader) assistant(f *wire.Fields, content wire.Value) ([]llm.Part, error) {
	parts := r.thoughts(f)
	if content.Given() {
		said, err := r.content(content, content)
		if err != nil {
			return nil, err
		}
		for _, p := range said {
			if p.Kind != llm.Text || len(p.Text) > 2 { // clients send "" beside calls
				parts = append(parts, p)
			}
		}
	}
	refusal, calls := f.Take("refusal"), f.Take("tool_calls")
	if err := cmp.Or(refusal.May(wire.String), calls.May(wire.Array)); err != nil {
		return nil, err
	}
	if refusal.Given() {
		parts = append(parts, llm.Part{Kind: llm.Refusal, Text: refusal.Lit(), At: refusal.Start})
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
	for v := range details.Elements() {
		in := v.Fields()
		p := llm.Part{Kind: llm.Thought, At: v.Start, Text: in.Take("text").Maybe()}
		signature, data := in.Take("signature"), in.Take("data")
		in.Take("type")
		p.Seal = llm.OpenSeal(signature.String())
		if hidden := llm.OpenSeal(data.String()); hidden.Data != "" {
			p.Seal, p.Seal.Hidden = hidden, true
			data = wire.Value{}
		}
		if signature.Given() && p.Seal.Origin == "" {
			r.Use(llm.Unknown, signature.Start)
		}
		if data.Given() {
			r.Use(llm.Unknown, data.Start)
		}
		if p.Seal.Data == "" {
			p.Seal.Origin = llm.ByText
		}
		index, numbered := wire.Int(in.Take("index").Lit())
		r.unknown(in)
		if numbered && index == last && len(parts) > 0 {
			whole := &parts[len(parts)-1]
			whole.Text = wire.Join(nil, whole.Text, p.Text)
			if p.Seal.Data != "" {
				whole.Seal = p.Seal
			}
			continue
		}
		if numbered {
			last = index
		}
		if p.Text != nil || p.Seal.Data != "" {
			parts = append(parts, p)
		}
	}
	if details.Given() && details.Kind() != wire.Array {
		r.Use(llm.Unknown, details.Start)
	}
	switch {
	case !text.Given():
		text = short
	case short.Given():
		r.Use(llm.Unknown, short.Start)
	}
	told := textsOf(parts, llm.Thought)
	switch {
	case !wire.Filled(text.Lit()) && text.Kind() <= wire.String:
	case text.Kind() != wire.String || len(told) > 0 && !bytes.Equal(wire.Join(nil, told...), text.Lit()):
		r.Use(llm.Unknown, text.Start)
	case len(told) == 0:
		plain := llm.Part{Kind: llm.Thought, Text: text.Lit(), At: text.Start, Seal: llm.Seal{Origin: llm.ByText}}
		parts = append([]llm.Part{plain}, parts...)
	}
	return parts
}

func (r reader) toolCall(v wire.Value) (p llm.Part, err error) {
	f := v.Fields()
	p = llm.Part{Kind: llm.ToolCall, At: v.Start}
	p.Call.ID = f.Take("id").String()
	f.Take("index")
	typ := f.Take("type")
	if err := typ.May(wire.String); err != nil {
		return p, err
	}
	switch typ.String() {
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
		input := in.Take("input")
		if err := input.May(wire.String); err != nil {
			return p, err
		}
		p.Call.Input = wire.Unquote(input.Lit())
		r.unknown(in)
	default:
		return p, typ.Refuse("this type of tool call is not known")
	}
	if extra := f.Take("extra_content"); extra.Given() {
		in := extra.Fields()
		seal := in.Take("sallyport")
		p.Seal = llm.OpenSeal(seal.String())
		p.Seal.At = seal.Start
		r.unknown(in)
	}
	if p.Call.ID == "" {
		return p, v.Refuse("a tool call needs an id")
	}
	if p.Call.Name == "" {
		return p, v.Refuse("a tool call needs a name")
	}
	r.Use(llm.Tools, v.Start)
	if p.Call.Free {
		r.Use(llm.CustomTools, v.Start)
	}
	r.unknown(f)
	return p, nil
}

// callInput takes the arguments of a call out of their string. Models write them,
// so that they may be empty.
func callInput(args wire.Value) ([]byte, error) {
	if err := args.May(wire.String); err != nil {
		return nil, err
	}
	input := wire.Unquote(args.Lit())
	if len(input) == 0 {
		return []byte("{}"), nil
	}
	if !wire.Valid(input) {
		return nil, args.Refuse("the arguments of a tool call must be a JSON object")
	}
	return input, nil
}

func (r reader) toolMessage(f *wire.Fields, content, v wire.Value) ([]llm.Part, error) {
	id := f.Take("tool_call_id")
	if err := id.Need(wire.String, v, "tool_call_id"); err != nil {
		return nil, err
	}
	p := llm.Part{Kind: llm.ToolResult, At: v.Start}
	p.Result.ID = id.String()
	var err error
	if p.Result.Parts, err = r.content(content, v); err != nil {
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
	list := top.Take("tools")
	if err := list.May(wire.Array); err != nil {
		return err
	}
	for v := range list.Elements() {
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
			in := f.Take("custom").Fields()
			t.Name, t.Description, t.Free = in.Take("name").String(), in.Take("description").Maybe(), true
			t.Grammar = in.Take("format").Maybe()
			r.Use(llm.CustomTools, v.Start)
			r.unknown(in)
		default:
			r.Use(llm.HostedTools, v.Start)
			continue
		}
		t.Cache = r.cacheControl(f)
		r.Tools = append(r.Tools, t)
		r.unknown(f)
	}
	if err := r.choice(top.Take("tool_choice"), "function"); err != nil {
		return err
	}
	serial := top.Take("parallel_tool_calls")
	if err := serial.May(wire.Bool); err != nil {
		return err
	}
	if serial.Given() && !wire.True(serial.Lit()) && len(r.Tools) > 0 {
		r.Choice.Serial = true
		r.Use(llm.SerialTools, serial.Start)
	}
	for _, name := range []string{"functions", "function_call"} {
		if v := top.Take(name); v.Given() {
			r.Use(llm.ForeignPart, v.Start)
		}
	}
	return nil
}

// function reads the description of a function.
func (r reader) function(t *llm.Tool, in *wire.Fields, v wire.Value) error {
	name, schema := in.Take("name"), in.Take("parameters")
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	if err := schema.May(wire.Object); err != nil {
		return err
	}
	t.Name, t.Schema = name.String(), schema.Maybe()
	t.Description = in.Take("description").Maybe()
	if strict := in.Take("strict"); wire.True(strict.Lit()) {
		t.Strict = strict.Lit()
		r.Use(llm.ToolStrict, strict.Start)
	}
	r.Use(llm.Tools, t.At)
	return nil
}

// choice reads tool_choice. nested is the member that holds the name of a named
// function, or "" when the name stands beside the type.
func (r reader) choice(v wire.Value, nested string) error {
	switch v.Kind() {
	case wire.Absent, wire.Null:
		return nil
	case wire.String:
		modes := map[string]llm.ChoiceMode{"auto": llm.ChoiceAuto, "none": llm.ChoiceNone, "required": llm.ChoiceAny, "any": llm.ChoiceAny}
		mode, known := modes[v.String()]
		if !known {
			return v.Refuse("tool_choice must be one of none, auto, required, or name a tool")
		}
		if r.Choice.Mode = mode; mode != llm.ChoiceAuto {
			r.Use(llm.ToolChoice, v.Start)
		}
		return nil
	case wire.Object:
	default:
		return v.Refuse("tool_choice must be a string or an object")
	}
	f := v.Fields()
	typ := f.Take("type").String()
	in := f
	switch {
	case typ == "allowed_tools":
		r.Use(llm.AllowedTools, v.Start)
		return nil
	case typ != "function" && typ != "custom":
		r.Use(llm.HostedTools, v.Start)
		return nil
	case nested != "":
		in = f.Take(typ).Fields()
	}
	name := in.Take("name")
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	defer r.unknown(f)
	r.Choice = llm.Choice{Mode: llm.ChoiceNamed, Name: name.String(), Free: typ == "custom"}
	r.Use(llm.ToolChoice, v.Start)
	return nil
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

// format reads the form of the answer; in holds the members of a schema.
func (r reader) format(typ wire.Value, in *wire.Fields, v wire.Value) error {
	switch typ.String() {
	case "text":
	case "json_object":
		r.Format.Kind = llm.FormatJSON
		r.Use(llm.JSONObject, v.Start)
	case "json_schema":
		schema := in.Take("schema")
		if err := schema.Need(wire.Object, v, "schema"); err != nil {
			return err
		}
		name, description := in.Take("name"), in.Take("description")
		r.Format = llm.Format{
			Kind: llm.FormatSchema, Schema: schema.Lit(), Name: name.Maybe(), Description: description.Maybe(),
			Strict: in.Take("strict").Maybe(),
		}
		for _, v := range []wire.Value{name, description} {
			if v.Given() {
				r.Use(llm.SchemaName, v.Start)
			}
		}
		r.Use(llm.JSONSchema, v.Start)
	default:
		return v.Refuse("the type of the format must be one of text, json_object, json_schema")
	}
	return nil
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

// level reads how much to think, in this API's words.
func (r reader) level(v wire.Value) {
	r.Thinking.Mode, r.Thinking.Level = llm.ThinkingByLevel, llm.Level(v.String())
	if r.Thinking.Level == llm.LevelNone {
		r.Thinking.Mode = llm.ThinkingOff
	}
	r.Use(llm.Effort, v.Start)
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
	probable, most, modes := top.Take("logprobs"), top.Take("top_logprobs"), top.Take("modalities")
	if err := cmp.Or(probable.May(wire.Bool), most.May(wire.Number), modes.May(wire.Array)); err != nil {
		return err
	}
	if wire.True(probable.Lit()) {
		r.Use(llm.Logprobs, probable.Start)
	}
	if most.Given() && string(most.Lit()) != "0" {
		r.Use(llm.Logprobs, most.Start)
	}
	for v := range modes.Elements() {
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
