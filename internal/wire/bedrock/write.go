package bedrock

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
	"sallyport/internal/wire/anthropic"
)

// writer writes a request.
type writer struct {
	wire.Writer

	documents int // written so far
}

// write implements wire.Format.Write. Model and stream are the path's to tell.
func write(r *llm.Request, t wire.Target) ([]byte, []llm.Use) {
	w := &writer{Writer: wire.NewWriter(r, t)}
	w.Open()
	w.system()
	w.Turns(w.says, w.block)
	w.tools()
	thinks := w.additional()
	w.inference(thinks)
	w.output()
	w.tier()
	return w.Close().Bytes(), w.Lost()
}

// system writes the instructions: here all of them stand before the messages.
func (w *writer) system() {
	parts := w.Request.System
	for _, m := range w.Request.Messages {
		if m.Role == llm.Developer {
			parts = append(parts[:len(parts):len(parts)], m.Parts...)
		}
	}
	begun := false
	for _, p := range parts {
		if !w.says(p) {
			continue
		}
		if !begun {
			w.Key("system").List()
			begun = true
		}
		w.block(p)
	}
	if begun {
		w.EndList()
	}
}

// says reports whether a part becomes a block, and notes what is lost when not:
// this API refuses empty texts.
func (w *writer) says(p llm.Part) bool {
	switch p.Kind {
	case llm.Text, llm.Refusal:
		return len(p.Text) > 2
	case llm.Thought:
		signed := p.Seal.Origin == llm.ByAnthropic && !p.Seal.Hidden || p.Seal.Origin == llm.ByBedrock && p.Seal.Hidden
		if !signed || p.Seal.Data == "" || !w.Target.Carries.Has(llm.SealedThinking) {
			w.Lose(llm.SealedThinking, p.At)
			return false
		}
	case llm.ToolCall:
		if p.Seal.Data != "" {
			w.Lose(llm.SealedThinking, p.Seal.At)
		}
	}
	return true
}

// block writes one content block, before it what a document is called, and behind it
// the mark up to which the prompt is cached.
func (w *writer) block(p llm.Part) {
	if len(p.Media.Name) > 2 {
		w.Open().Key("text").Lit(p.Media.Name).Close()
	}
	w.Open()
	switch p.Kind {
	case llm.Image, llm.Video, llm.Document:
		w.media(p)
	case llm.ToolCall:
		w.Key("toolUse").Open().StrMember("toolUseId", callID(p.Call.ID)).StrMember("name", p.Call.Name).Key("input").Lit(p.Call.Input).Close()
	case llm.ToolResult:
		w.Key("toolResult").Open().StrMember("toolUseId", callID(p.Result.ID)).Key("content").List()
		for _, in := range p.Result.Parts {
			if w.says(in) {
				if in.Cache.Marked { // marks stand behind the whole result here
					p.Cache = in.Cache
				}
				in.Cache = llm.Cache{}
				w.block(in)
			}
		}
		w.EndList()
		if p.Result.Failed {
			w.StrMember("status", "error")
		}
		w.Close()
	case llm.Thought:
		w.Key("reasoningContent").Open()
		if p.Seal.Hidden {
			w.StrMember("redactedContent", p.Seal.Data)
		} else {
			w.Key("reasoningText").Open().Key("text").Lit(wire.Join(nil, p.Text)).StrMember("signature", p.Seal.Data).Close()
		}
		w.Close()
	default:
		w.Key("text").Lit(p.Text)
	}
	w.Close()
	w.cachePoint(p.Cache)
}

// cachePoint writes a mark up to which the prompt is cached as an element.
func (w *writer) cachePoint(c llm.Cache) {
	if !c.Marked || !w.Target.Carries.Has(llm.CacheControl) {
		return
	}
	w.Open().Key("cachePoint").Open().StrMember("type", "default")
	if c.Long {
		w.StrMember("ttl", "1h")
	}
	w.Close().Close()
}

// words are the API's words for media types that it does not call by their subtype.
var words = map[string]string{
	"text/plain": "txt", "text/markdown": "md", "application/msword": "doc", "application/vnd.ms-excel": "xls",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":       "xlsx",
	"image/jpg": "jpeg", "video/quicktime": "mov", "video/x-matroska": "mkv", "video/x-flv": "flv", "video/x-ms-wmv": "wmv", "video/3gpp": "three_gp",
}

// media writes an image, a video or a document; names of documents are ours, because
// the API takes few and none twice. A media type that the API has no
// word for goes by its subtype: the API says best what it does not take.
func (w *writer) media(p llm.Part) {
	m := p.Media
	word := words[m.MIME]
	if word == "" {
		_, word, _ = strings.Cut(m.MIME, "/")
	}
	if m.Plain != nil {
		word = "txt"
	}
	switch p.Kind {
	case llm.Image:
		w.Key("image").Open().StrMember("format", word)
	case llm.Video:
		w.Key("video").Open().StrMember("format", word)
	default:
		w.documents++
		w.Key("document").Open().StrMember("format", word).StrMember("name", "document "+strconv.Itoa(w.documents))
	}
	w.Key("source").Open()
	if m.Plain != nil {
		w.Key("text").Lit(m.Plain)
	} else {
		w.Key("bytes").Lit(m.Data)
	}
	w.Close().Close()
}

// callID is the id of a call as the API accepts it, of at most 64 letters, digits, -
// and _; equal ids stay equal and different ones different.
func callID(id string) string {
	other := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if id != "" && len(id) <= 64 && !strings.ContainsFunc(id, other) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "call_" + hex.EncodeToString(sum[:16])
}

// emptySchema is for functions without parameters.
var emptySchema = llm.Lit(`{"type":"object","properties":{}}`)

// tools writes the tools. The API wants those declared that earlier turns used, and
// has no word to forbid the use of any.
func (w *writer) tools() {
	tools, choice := w.Request.Tools, w.Request.Choice
	if choice.Mode == llm.ChoiceNone || len(tools) == 0 {
		tools = w.used()
	}
	if choice.Mode == llm.ChoiceNone {
		w.forbid(tools)
	}
	if len(tools) == 0 {
		return
	}
	w.Key("toolConfig").Open().Key("tools").List()
	for _, t := range tools {
		w.Open().Key("toolSpec").Open().StrMember("name", t.Name)
		if len(t.Description) > 2 {
			w.Key("description").Lit(t.Description)
		}
		w.Key("inputSchema").Open().Key("json")
		if wire.Filled(t.Schema) {
			w.Lit(t.Schema)
		} else {
			w.Lit(emptySchema)
		}
		w.Close()
		if w.Target.Carries.Has(llm.ToolStrict) {
			w.Member("strict", t.Strict)
		}
		w.Close().Close()
		w.cachePoint(t.Cache)
	}
	w.EndList()
	switch choice.Mode {
	case llm.ChoiceAuto:
		w.Key("toolChoice").Open().Key("auto").Open().Close().Close()
	case llm.ChoiceAny:
		w.Key("toolChoice").Open().Key("any").Open().Close().Close()
	case llm.ChoiceNamed:
		w.Key("toolChoice").Open().Key("tool").Open().StrMember("name", choice.Name).Close().Close()
	}
	w.Close()
}

// forbid notes which tools are left out so that none is used, and that the use of
// those that must be declared is not forbidden.
func (w *writer) forbid(declared []llm.Tool) {
	if len(declared) > 0 {
		w.Alter(llm.ToolChoice)
	}
	for _, t := range w.Request.Tools {
		if !slices.ContainsFunc(declared, func(d llm.Tool) bool { return d.Name == t.Name }) {
			w.Lose(llm.Tools, t.At)
		}
	}
}

// used are the tools that earlier turns called, as far as that tells of them.
func (w *writer) used() (tools []llm.Tool) {
	for _, m := range w.Request.Messages {
		for _, p := range m.Parts {
			if p.Kind == llm.ToolCall && !slices.ContainsFunc(tools, func(t llm.Tool) bool { return t.Name == p.Call.Name }) {
				i := slices.IndexFunc(w.Request.Tools, func(t llm.Tool) bool { return t.Name == p.Call.Name })
				if i >= 0 {
					tools = append(tools, w.Request.Tools[i])
					continue
				}
				tools = append(tools, llm.Tool{Name: p.Call.Name})
			}
		}
	}
	return tools
}

// additional writes what only Claude understands, in the members of its own API, and
// reports whether the model will think.
func (w *writer) additional() (thinks bool) {
	if !claude(w.Target.Model) {
		return false
	}
	in := wire.NewBuilder(nil)
	in.Open()
	thinks, lost := anthropic.Thinking(in, w.Request, w.Target)
	for _, u := range lost {
		w.Lose(u.Feature, u.At)
	}
	if lit := w.Request.Options[llm.TopK]; lit != nil && w.Target.Carries.Has(llm.TopK) {
		if thinks { // as temperature and top_p
			w.Alter(llm.TopK)
		} else {
			in.Key("top_k").Lit(lit)
		}
	}
	if b := in.Close().Bytes(); len(b) > len("{}") {
		w.Key("additionalModelRequestFields").Lit(b)
	}
	return thinks
}

// inference writes the numbers that all models understand; temperature ends at 1.
// Claude accepts none of those that tune when it thinks.
func (w *writer) inference(thinks bool) {
	in := wire.NewBuilder(nil)
	in.Open()
	for _, o := range []struct {
		feature llm.Feature
		name    string
	}{{llm.MaxTokens, "maxTokens"}, {llm.Temperature, "temperature"}, {llm.TopP, "topP"}} {
		lit := w.Request.Options[o.feature]
		switch {
		case lit == nil || !w.Target.Carries.Has(o.feature):
		case thinks && o.feature != llm.MaxTokens:
			w.Alter(o.feature)
		default:
			if f, err := strconv.ParseFloat(string(lit), 64); o.feature == llm.Temperature && err == nil && f > 1 {
				w.Alter(o.feature)
				lit = llm.Lit("1")
			}
			in.Key(o.name).Lit(lit)
		}
	}
	if len(w.Request.Stop) > 0 {
		in.Key("stopSequences").List()
		for _, s := range w.Request.Stop {
			in.Lit(s)
		}
		in.EndList()
	}
	if b := in.Close().Bytes(); len(b) > len("{}") {
		w.Key("inferenceConfig").Lit(b)
	}
}

// output writes the schema that the answer follows: as a text, which holds it as it
// stands.
func (w *writer) output() {
	f := w.Request.Format
	if f.Kind != llm.FormatSchema {
		return
	}
	w.Key("outputConfig").Open().Key("textFormat").Open().StrMember("type", "json_schema")
	w.Key("structure").Open().Key("jsonSchema").Open().Key("schema").Text(f.Schema)
	if w.Target.Carries.Has(llm.SchemaName) {
		w.Member("name", f.Name).Member("description", f.Description)
	}
	w.Close().Close().Close().Close()
}

// tier writes the provider's queue, in words that this API shares with another.
func (w *writer) tier() {
	lit := w.Request.Options[llm.ServiceTier]
	if lit == nil || !w.Target.Carries.Has(llm.ServiceTier) {
		return
	}
	switch string(lit) {
	case `"default"`, `"flex"`, `"priority"`:
		w.Key("serviceTier").Open().Key("type").Lit(lit).Close()
	default:
		w.Alter(llm.ServiceTier)
	}
}
