package gemini

import (
	"encoding/base64"
	"fmt"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// option is a member of a generationConfig whose value goes to other formats as it
// stands.
type option struct {
	name    string
	feature llm.Feature
}

// options are read and written by this table.
var options = []option{
	{"maxOutputTokens", llm.MaxTokens},
	{"temperature", llm.Temperature},
	{"topP", llm.TopP},
	{"topK", llm.TopK},
	{"seed", llm.Seed},
	{"candidateCount", llm.Choices},
}

// reader gathers a request.
type reader struct{ *llm.Request }

// read implements wire.Format.Read for the generation of content. Model and Stream,
// which the path tells, are left for the caller.
func read(body []byte) (*llm.Request, error) {
	r := reader{&llm.Request{}}
	top, err := open(wire.Root(body))
	if err != nil {
		return nil, err
	}
	top.Take("model")
	for _, read := range []func(*wire.Fields) error{r.system, r.contents, r.tools, r.toolConfig, r.config, r.extras} {
		if err := read(top); err != nil {
			return nil, err
		}
	}
	r.UseHosted()
	r.unknown(top)
	return r.Request, wire.CheckResults(body, r.Request)
}

// open opens an object whose members may be spelt in two ways.
func open(v wire.Value) (*wire.Fields, error) {
	if err := v.May(wire.Object); err != nil {
		return nil, err
	}
	f := v.Fields()
	return f, f.Camel()
}

// unknown notes the members that nobody took.
func (r reader) unknown(f *wire.Fields) {
	for _, v := range f.Rest() {
		r.Use(llm.Unknown, v.Start)
	}
}

func (r reader) system(top *wire.Fields) error {
	v := top.Take("systemInstruction")
	if !v.Given() {
		return nil
	}
	if v.Kind() == wire.String { // the API takes a text as well
		r.System = []llm.Part{{Kind: llm.Text, Text: v.Lit(), At: v.Start}}
		return nil
	}
	f, err := open(v)
	if err != nil {
		return err
	}
	if err := f.Take("role").May(wire.String); err != nil {
		return err
	}
	defer r.unknown(f)
	r.System, err = r.parts(f.Take("parts"))
	return err
}

func (r reader) contents(top *wire.Fields) error {
	list := top.Take("contents")
	calls := &pending{}
	for v := range list.Elements() {
		if v.Kind() != wire.Object {
			return v.Refuse("a content must be an object")
		}
		f, err := open(v)
		if err != nil {
			return err
		}
		m := llm.Message{At: v.Start}
		role := f.Take("role")
		if err := role.May(wire.String); err != nil {
			return err
		}
		switch role.String() {
		case "user", "function", "":
		case "model":
			m.Role = llm.Assistant
		default:
			return role.Refuse("the role must be user or model")
		}
		if m.Parts, err = r.parts(f.Take("parts")); err != nil {
			return err
		}
		calls.identify(m.Parts)
		r.add(m)
		r.unknown(f)
	}
	if len(r.Messages) == 0 {
		return list.Refuse("contents must not be empty")
	}
	if last := r.Messages[len(r.Messages)-1]; last.Role == llm.Assistant {
		r.Use(llm.Prefill, last.At)
	}
	return nil
}

// add adds a turn; neighbours of one speaker are one turn, since clients that gather
// a stream keep its pieces as contents of their own.
func (r reader) add(m llm.Message) {
	last := len(r.Messages) - 1
	if last < 0 || r.Messages[last].Role != m.Role {
		r.Messages = append(r.Messages, m)
		return
	}
	for _, p := range m.Parts {
		r.Messages[last].Parts = join(r.Messages[last].Parts, p)
	}
}

// pending gives ids to the calls and results that have none: of the calls that have
// no result yet, a result belongs to the first of its name.
type pending struct {
	calls []llm.Call
	made  int
}

func (p *pending) identify(parts []llm.Part) {
	for i := range parts {
		switch part := &parts[i]; part.Kind {
		case llm.ToolCall:
			if part.Call.ID == "" {
				p.made++
				part.Call.ID = fmt.Sprintf("call_%d", p.made)
			}
			p.calls = append(p.calls, part.Call)
		case llm.ToolResult:
			for j, c := range p.calls {
				if part.Result.ID == c.ID || part.Result.ID == "" && part.Result.Name == c.Name {
					part.Result.ID = c.ID
					p.calls = append(p.calls[:j:j], p.calls[j+1:]...)
					break
				}
			}
		}
	}
}

// parts reads the parts of a content.
func (r reader) parts(list wire.Value) ([]llm.Part, error) {
	if err := list.May(wire.Array); err != nil {
		return nil, err
	}
	var parts []llm.Part
	for v := range list.Elements() {
		p, known, err := r.part(v)
		if err != nil {
			return nil, err
		}
		if !known {
			r.Use(llm.ForeignPart, v.Start)
			continue
		}
		parts = join(parts, p)
	}
	return parts, nil
}

// join adds a part. Pieces of one thought, of which the last has its seal, become
// one: clients that gather a stream keep them apart. What seals a text becomes a
// thought of its own behind it, since other formats seal only thoughts and calls.
func join(parts []llm.Part, p llm.Part) []llm.Part {
	last := len(parts) - 1
	if p.Kind == llm.Thought && !p.Seal.Hidden && last >= 0 && parts[last].Kind == llm.Thought && parts[last].Seal.Data == "" {
		if p.Text != nil {
			parts[last].Text = wire.Join(nil, parts[last].Text, p.Text)
		}
		parts[last].Seal = p.Seal
		return parts
	}
	if p.Kind != llm.Text || p.Seal.Data == "" {
		return append(parts, p)
	}
	seal := llm.Part{Kind: llm.Thought, At: p.At, Seal: p.Seal}
	seal.Seal.Hidden, p.Seal = true, llm.Seal{}
	if wire.Filled(p.Text) {
		parts = append(parts, p)
	}
	return append(parts, seal)
}

// part reads one part; known is false for what only this API has.
func (r reader) part(v wire.Value) (p llm.Part, known bool, err error) {
	if v.Kind() != wire.Object {
		return p, false, v.Refuse("a part must be an object")
	}
	f, err := open(v)
	if err != nil {
		return p, false, err
	}
	p.At = v.Start
	text, thought, sig := f.Take("text"), f.Take("thought"), f.Take("thoughtSignature")
	data, file, call, result := f.Take("inlineData"), f.Take("fileData"), f.Take("functionCall"), f.Take("functionResponse")
	if err := check(must{text, wire.String}, must{sig, wire.String}, must{thought, wire.Bool}); err != nil {
		return p, false, err
	}
	held := 0
	for _, v := range []wire.Value{text, data, file, call, result} {
		if v.Given() {
			held++
		}
	}
	if held > 1 {
		return p, false, v.Refuse("a part must hold one thing")
	}
	p.Seal = openSeal(sig)
	switch isThought := wire.True(thought.Lit()); {
	case isThought && held == 1 && !text.Given(): // a picture, for example
		return p, false, nil
	case isThought:
		p.Kind, p.Text = llm.Thought, text.Maybe()
		if p.Seal.Data == "" {
			p.Seal.Origin = llm.ByText
		}
	case text.Given():
		p.Kind, p.Text = llm.Text, text.Lit()
	case data.Given():
		known, err = r.inline(&p, data)
		r.unknown(f)
		return p, known, err
	case file.Given():
		known, err = r.file(&p, file)
		r.unknown(f)
		return p, known, err
	case call.Given():
		p.Kind, p.Seal.At = llm.ToolCall, sig.Start
		err = r.call(&p.Call, call)
	case result.Given():
		p.Kind = llm.ToolResult
		err = r.result(&p.Result, result)
	case sig.Given() || single(f): // Go's SDK leaves an empty text out
		p.Kind, p.Text = llm.Text, emptyText
	default:
		return p, false, nil
	}
	r.unknown(f)
	return p, true, err
}

// must is a member that may be absent, and the kind that it has otherwise.
type must struct {
	wire.Value
	be wire.Kind
}

// check checks the kinds of members.
func check(members ...must) error {
	for _, m := range members {
		if err := m.May(m.be); err != nil {
			return err
		}
	}
	return nil
}

var emptyText = llm.Lit(`""`)

// Kinds of media by the beginning of their type.
var mediaKinds = []struct {
	prefix  string
	kind    llm.PartKind
	feature llm.Feature
}{
	{"image/", llm.Image, llm.ImageData},
	{"audio/", llm.Audio, llm.AudioInput},
	{"video/", llm.Video, llm.VideoInput},
	{"", llm.Document, llm.DocumentData},
}

// sounds are the types of sound that other formats know, by their names there.
var sounds = map[string]string{
	"audio/wav": "audio/wav", "audio/x-wav": "audio/wav", "audio/mp3": "audio/mpeg", "audio/mpeg": "audio/mpeg",
}

// inline reads a medium that stands in the request.
func (r reader) inline(p *llm.Part, v wire.Value) (known bool, err error) {
	f, err := open(v)
	if err != nil {
		return false, err
	}
	defer r.unknown(f)
	data := f.Take("data")
	if p.Media.Data, err = wire.AnyBase64(data); err != nil {
		return false, err
	}
	mime := f.Take("mimeType")
	if p.Media.MIME = strings.ToLower(mime.String()); !wire.IsMIME(p.Media.MIME) {
		return false, v.Refuse("the mimeType is missing or not valid")
	}
	for _, m := range mediaKinds {
		if strings.HasPrefix(p.Media.MIME, m.prefix) {
			p.Kind = m.kind
			r.Use(m.feature, v.Start)
			break
		}
	}
	switch {
	case p.Kind == llm.Audio:
		p.Media.MIME, known = sounds[p.Media.MIME]
		return known, nil
	case strings.HasPrefix(p.Media.MIME, "text/"):
		plain, err := base64.StdEncoding.DecodeString(string(wire.Unquote(p.Media.Data)))
		if err != nil {
			return false, data.Refuse("this must be a string of base64")
		}
		p.Media.Plain, p.Media.Data = wire.Quote(string(plain)), nil
	}
	return true, nil
}

// file reads a medium that stands elsewhere: with the provider, or on the web.
func (r reader) file(p *llm.Part, v wire.Value) (known bool, err error) {
	f, err := open(v)
	if err != nil {
		return false, err
	}
	defer r.unknown(f)
	uri := f.Take("fileUri")
	if err := uri.Need(wire.String, v, "fileUri"); err != nil {
		return false, err
	}
	typ := f.Take("mimeType")
	if err := typ.May(wire.String); err != nil {
		return false, err
	}
	mime, link := typ.String(), uri.String()
	web := strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "https://generativelanguage.googleapis.com/")
	p.Media.URL = uri.Lit()
	switch {
	case !web:
		p.Kind, p.Media.File, p.Media.URL = llm.Document, uri.Lit(), nil
		r.Use(llm.FileID, v.Start)
	case strings.HasPrefix(mime, "image/"):
		p.Kind = llm.Image
		r.Use(llm.ImageURL, v.Start)
	case mime == "application/pdf":
		p.Kind = llm.Document
		r.Use(llm.DocumentURL, v.Start)
	default:
		return false, nil
	}
	return true, nil
}

func (r reader) call(c *llm.Call, v wire.Value) error {
	f, err := open(v)
	if err != nil {
		return err
	}
	name, args, id := f.Take("name"), f.Take("args"), f.Take("id")
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	if err := check(must{args, wire.Object}, must{id, wire.String}); err != nil {
		return err
	}
	*c = llm.Call{ID: id.String(), Name: name.String(), Input: args.Maybe()}
	if c.Input == nil {
		c.Input = []byte("{}")
	}
	r.Use(llm.Tools, v.Start)
	r.unknown(f)
	return nil
}

// result reads what a tool returned. By convention of the API a response with the
// one member output, or error, is its value; else the whole of it is
// (ai.google.dev/api/caching#FunctionResponse).
func (r reader) result(result *llm.Result, v wire.Value) error {
	f, err := open(v)
	if err != nil {
		return err
	}
	name, response, id, media := f.Take("name"), f.Take("response"), f.Take("id"), f.Take("parts")
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	if err := check(must{response, wire.Object}, must{id, wire.String}, must{media, wire.Array}); err != nil {
		return err
	}
	result.ID, result.Name = id.String(), name.String()
	in := response.Fields()
	text := llm.Part{Kind: llm.Text, At: response.Start, Text: wire.Quote(string(response.Lit()))}
	output, failed := in.Take("output"), in.Take("error")
	if single(in) {
		switch {
		case output.Kind() == wire.String && !failed.Given():
			text.Text = output.Lit()
		case failed.Given() && !output.Given():
			result.Failed = true
			r.Use(llm.ToolError, failed.Start)
			if failed.Kind() == wire.String {
				text.Text = failed.Lit()
			}
		}
	}
	if response.Given() {
		result.Parts = append(result.Parts, text)
	}
	for e := range media.Elements() {
		p, known, err := r.part(e)
		if err != nil {
			return err
		}
		if !known {
			r.Use(llm.ForeignPart, e.Start)
			continue
		}
		r.Use(llm.ToolMedia, e.Start)
		result.Parts = append(result.Parts, p)
	}
	r.unknown(f)
	return nil
}

// single reports whether nothing is left of an object.
func single(f *wire.Fields) bool {
	for range f.Rest() {
		return false
	}
	return true
}

func (r reader) tools(top *wire.Fields) error {
	list := top.Take("tools")
	if err := list.May(wire.Array); err != nil {
		return err
	}
	for v := range list.Elements() {
		f, err := open(v)
		if err != nil {
			return err
		}
		functions := f.Take("functionDeclarations")
		if err := functions.May(wire.Array); err != nil {
			return err
		}
		for d := range functions.Elements() {
			if err := r.tool(d); err != nil {
				return err
			}
		}
		for _, hosted := range f.Rest() {
			r.Hosted = append(r.Hosted, hosted.Start)
		}
	}
	return nil
}

func (r reader) tool(v wire.Value) error {
	f, err := open(v)
	if err != nil {
		return err
	}
	name, own, schema := f.Take("name"), f.Take("parameters"), f.Take("parametersJsonSchema")
	if err := name.Need(wire.String, v, "name"); err != nil {
		return err
	}
	t := llm.Tool{At: v.Start, Name: name.String(), Description: f.Take("description").Maybe()}
	if t.Schema, err = eitherSchema(own, schema); err != nil {
		return err
	}
	r.Use(llm.Tools, v.Start)
	r.Tools = append(r.Tools, t)
	r.unknown(f)
	return nil
}

// eitherSchema is the schema that is given in one of the two forms.
func eitherSchema(own, standard wire.Value) (llm.Lit, error) {
	for _, v := range []wire.Value{own, standard} {
		if err := v.May(wire.Object); err != nil {
			return nil, err
		}
	}
	switch {
	case own.Given() && standard.Given():
		return nil, standard.Refuse("a schema must be given in one form only")
	case own.Given():
		return standardSchema(own), nil
	}
	return standard.Maybe(), nil
}

var choiceModes = map[string]llm.ChoiceMode{
	"": llm.ChoiceUnset, "MODE_UNSPECIFIED": llm.ChoiceUnset, "AUTO": llm.ChoiceAuto, "ANY": llm.ChoiceAny, "NONE": llm.ChoiceNone,
	"VALIDATED": llm.ChoiceAuto,
}

func (r reader) toolConfig(top *wire.Fields) error {
	f, err := open(top.Take("toolConfig"))
	if err != nil {
		return err
	}
	defer r.unknown(f)
	v := f.Take("functionCallingConfig")
	in, err := open(v)
	if err != nil || !v.Given() {
		return err
	}
	word, allowed := in.Take("mode"), in.Take("allowedFunctionNames")
	if err := check(must{word, wire.String}, must{allowed, wire.Array}); err != nil {
		return err
	}
	mode, known := choiceModes[strings.ToUpper(word.String())]
	if !known {
		return word.Refuse("the mode must be one of AUTO, ANY, NONE, VALIDATED")
	}
	if word.Is("VALIDATED") { // as AUTO, but that calls follow their schema
		r.Use(llm.Unknown, word.Start)
	}
	if r.Choice.Mode = mode; mode > llm.ChoiceAuto {
		r.Use(llm.ToolChoice, v.Start)
	}
	var names []string
	for e := range allowed.Elements() {
		if e.Kind() != wire.String {
			return e.Refuse("the name of a function must be a string")
		}
		if !r.Offers(e.String()) {
			return e.Refuse("the request has no function of this name")
		}
		names = append(names, e.String())
	}
	switch {
	case len(names) == 1 && mode == llm.ChoiceAny:
		r.Choice.Mode, r.Choice.Name = llm.ChoiceNamed, names[0]
	case len(names) > 0:
		r.Use(llm.AllowedTools, allowed.Start)
	}
	r.unknown(in)
	return nil
}

// extras reads what stands beside the contents and is not a part of them.
func (r reader) extras(top *wire.Fields) error {
	if v := top.Take("cachedContent"); v.Given() {
		r.Use(llm.StoredState, v.Start)
	}
	for _, o := range []struct {
		name    string
		feature llm.Feature
		kind    wire.Kind
	}{
		{"safetySettings", llm.Safety, wire.Array},
		{"labels", llm.Metadata, wire.Object},
		{"store", llm.Store, wire.Bool},
		{"serviceTier", llm.ServiceTier, wire.String},
	} {
		v := top.Take(o.name)
		if err := v.May(o.kind); err != nil {
			return err
		}
		if v.Given() && (wire.Filled(v.Lit()) || wire.True(v.Lit())) {
			r.Options[o.feature] = v.Lit()
			r.Use(o.feature, v.Start)
		}
	}
	return nil
}
