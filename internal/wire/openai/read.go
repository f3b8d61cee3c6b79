package openai

import (
	"slices"

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

// reader gathers a request.
type reader struct{ *llm.Request }

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
		if r.Options[o.feature] != nil { // the earlier one is left out
			r.Uses[slices.IndexFunc(r.Uses, func(u llm.Use) bool { return u.Feature == o.feature })].Feature = llm.Unknown
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

// contents reads the content of a message: a text or parts, which are read by part.
func contents(v, message wire.Value, part func(wire.Value) (llm.Part, error)) ([]llm.Part, error) {
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
		p, err := part(e)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
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
	data, id := in.Take("file_data"), in.Take("file_id")
	m.Name = in.Take("filename").Maybe()
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

// parallel reads whether one answer may hold several calls.
func (r reader) parallel(top *wire.Fields) error {
	serial := top.Take("parallel_tool_calls")
	if err := serial.May(wire.Bool); err != nil {
		return err
	}
	if serial.Given() && !wire.True(serial.Lit()) && len(r.Tools) > 0 {
		r.Choice.Serial = true
		r.Use(llm.SerialTools, serial.Start)
	}
	return nil
}

// function reads the description of a function.
func (r reader) function(t *llm.Tool, in *wire.Fields, v wire.Value) error {
	name, schema := in.Take("name"), in.Take("parameters")
	if err := toolName(name, v); err != nil {
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

// toolName checks the name of a tool: without one it could not be called.
func toolName(name, tool wire.Value) error {
	if err := name.Need(wire.String, tool, "name"); err != nil {
		return err
	}
	if name.String() == "" {
		return name.Refuse("the name of a tool must not be empty")
	}
	return nil
}

// customTool reads the description of a custom tool. nested is the member of the
// format that holds a grammar, or "" when the grammar stands beside the type.
func (r reader) customTool(t *llm.Tool, in *wire.Fields, v wire.Value, nested string) error {
	name, format := in.Take("name"), in.Take("format")
	if err := toolName(name, v); err != nil {
		return err
	}
	if err := format.May(wire.Object); err != nil {
		return err
	}
	t.Name, t.Description, t.Free = name.String(), in.Take("description").Maybe(), true
	r.Use(llm.CustomTools, v.Start)
	f := format.Fields()
	defer r.unknown(f)
	if !f.Take("type").Is("grammar") {
		return nil
	}
	g := f
	if nested != "" {
		g = f.Take(nested).Fields()
		defer r.unknown(g)
	}
	syntax, definition := g.Take("syntax"), g.Take("definition")
	if err := syntax.Need(wire.String, format, "syntax"); err != nil {
		return err
	}
	t.Grammar = llm.Grammar{Syntax: syntax.Lit(), Definition: definition.Lit()}
	r.Use(llm.ToolGrammar, format.Start)
	return definition.Need(wire.String, format, "definition")
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
		defer r.unknown(in)
	}
	name := in.Take("name")
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	if !r.Offers(name.String()) {
		return name.Refuse("the request has no tool of this name")
	}
	defer r.unknown(f)
	r.Choice = llm.Choice{Mode: llm.ChoiceNamed, Name: name.String(), Free: typ == "custom"}
	r.Use(llm.ToolChoice, v.Start)
	return nil
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

// level reads how much to think, in this API's words.
func (r reader) level(v wire.Value) {
	r.Thinking.Mode, r.Thinking.Level = llm.ThinkingByLevel, llm.Level(v.String())
	if r.Thinking.Level == llm.LevelNone {
		r.Thinking.Mode = llm.ThinkingOff
	}
	r.Use(llm.Effort, v.Start)
}
