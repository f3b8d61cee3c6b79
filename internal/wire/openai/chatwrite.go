package openai

import (
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// chatCarries is what a chat request can express.
var chatCarries = llm.Set(
	llm.Tools, llm.CustomTools, llm.ToolChoice, llm.SerialTools, llm.ToolMedia, llm.JSONObject, llm.JSONSchema,
	llm.StopSequences, llm.Choices, llm.ImageData, llm.ImageURL, llm.AudioInput, llm.DocumentData,
	llm.MaxTokens, llm.Temperature, llm.TopP, llm.Seed, llm.Penalties, llm.LogitBias, llm.Effort, llm.ThinkingBudget,
	llm.SealedThinking, llm.Verbosity, llm.Prediction, llm.CacheKey, llm.SchemaName, llm.ToolStrict, llm.ToolGrammar, llm.ImageDetail, llm.Names,
	llm.User, llm.Metadata, llm.ServiceTier,
)

// writer writes a request.
type writer struct {
	wire.Writer
}

// loseSeal notes that what another provider attached to a call has no place here.
func (w *writer) loseSeal(s llm.Seal) {
	if s.Origin != "" {
		w.Lose(llm.SealedThinking, s.At)
	}
}

// writeChat implements wire.Format.Write for chat completions.
func writeChat(r *llm.Request, t wire.Target) ([]byte, []llm.Use) {
	w := &writer{Writer: wire.NewWriter(r, t)}
	w.Open().StrMember("model", t.Model)
	w.messages()
	w.tools()
	w.format()
	w.thinking()
	w.options(chatOptions)
	if len(r.Stop) > 0 && t.Carries.Has(llm.StopSequences) {
		w.Key("stop").List()
		for _, s := range r.Stop {
			w.Lit(s)
		}
		w.EndList()
	}
	if t.Carries.Has(llm.Penalties) {
		w.Member("frequency_penalty", r.Penalty.Frequency).Member("presence_penalty", r.Penalty.Presence)
	}
	if r.Stream {
		w.Key("stream").Bool(true)
		w.Key("stream_options").Open().Key("include_usage").Bool(true).Close()
	}
	return w.Close().Bytes(), w.Lost()
}

// options writes the members of a table.
func (w *writer) options(table []option) {
	for _, o := range table {
		lit := w.Request.Options[o.feature]
		if o.alias || lit == nil || !w.Target.Carries.Has(o.feature) || wire.KindOf(lit) != o.kind {
			continue
		}
		name := o.name
		if name == "max_completion_tokens" && !w.Target.Vendor {
			name = "max_tokens" // not all compatible servers know the new name
		}
		w.Key(name).Lit(lit)
	}
}

func (w *writer) messages() {
	w.Key("messages").List()
	if len(w.Request.System) > 0 {
		w.Open().StrMember("role", "system").Key("content")
		w.content(w.Request.System, w.part)
		w.Close()
	}
	for _, m := range w.Request.Messages {
		switch m.Role {
		case llm.Assistant:
			w.assistant(m)
		case llm.Developer:
			w.Open().StrMember("role", "system").Key("content")
			w.content(m.Parts, w.part)
			w.Close()
		default:
			w.user(m)
		}
	}
	w.EndList()
}

// user writes a turn of the user: results of tools as messages of their own,
// which come first, and what else it holds as one more. Images and documents that
// a tool returned join that one, since this format has no place for them.
func (w *writer) user(m llm.Message) {
	var rest []llm.Part
	for _, p := range m.Parts {
		if p.Kind != llm.ToolResult {
			rest = append(rest, p)
			continue
		}
		var texts []llm.Part
		for _, in := range p.Result.Parts {
			if in.Kind == llm.Text {
				texts = append(texts, in)
			} else {
				rest = append(rest, in)
			}
		}
		w.Open().StrMember("role", "tool").StrMember("tool_call_id", p.Result.ID).Key("content")
		w.content(texts, w.part)
		w.Close()
	}
	if len(rest) == 0 {
		return
	}
	w.Open().StrMember("role", "user")
	if w.Target.Carries.Has(llm.Names) {
		w.Member("name", m.Name)
	}
	w.Key("content")
	w.content(rest, w.part)
	w.Close()
}

// content writes a content: one text as a string, which every server takes, else
// parts.
func (w *writer) content(parts []llm.Part, part func(llm.Part)) {
	switch {
	case len(parts) == 0:
		w.Str("")
		return
	case len(parts) == 1 && parts[0].Kind == llm.Text:
		w.Lit(parts[0].Text)
		return
	}
	w.List()
	for _, p := range parts {
		part(p)
	}
	w.EndList()
}

func (w *writer) part(p llm.Part) {
	w.Open()
	switch m := p.Media; p.Kind {
	case llm.Image:
		w.StrMember("type", "image_url").Key("image_url").Open().Key("url")
		if m.URL != nil {
			w.Lit(m.URL)
		} else {
			w.Lit(dataURL(m))
		}
		if w.Target.Carries.Has(llm.ImageDetail) {
			w.Member("detail", m.Detail)
		}
		w.Close()
	case llm.Audio:
		format := "wav"
		if m.MIME == "audio/mpeg" || m.MIME == "audio/mp3" {
			format = "mp3"
		}
		w.StrMember("type", "input_audio").Key("input_audio").Open().Key("data").Lit(m.Data).StrMember("format", format).Close()
	case llm.Document:
		if m.Plain != nil {
			w.StrMember("type", "text").Key("text").Lit(plain(m))
			break
		}
		w.StrMember("type", "file").Key("file").Open()
		w.Key("filename")
		if m.Name != nil {
			w.Lit(m.Name)
		} else {
			w.Str("document")
		}
		w.Key("file_data").Lit(dataURL(m)).Close()
	default:
		w.StrMember("type", "text").Key("text").Lit(p.Text)
	}
	w.Close()
}

// plain is a document that is text, below its title.
func plain(m llm.Media) llm.Lit {
	if m.Name == nil {
		return m.Plain
	}
	return wire.Join(nil, m.Name, wire.Quote("\n\n"), m.Plain)
}

// dataURL is the medium as a string literal of a data URL.
func dataURL(m llm.Media) llm.Lit {
	return wire.Join(make([]byte, 0, len(m.Data)+64), wire.Quote("data:"+m.MIME+";base64,"), m.Data)
}

// assistant writes a turn of the model. Its texts become one, since here the text
// of a turn stands before its calls.
func (w *writer) assistant(m llm.Message) {
	var texts, refusals, thoughts []llm.Lit
	calls := 0
	for _, p := range m.Parts {
		switch p.Kind {
		case llm.Text:
			texts = append(texts, p.Text)
		case llm.Refusal:
			refusals = append(refusals, p.Text)
		case llm.ToolCall:
			calls++
			w.loseSeal(p.Seal)
		case llm.Thought:
			if p.Seal.Origin != llm.ByText || p.Text == nil {
				w.Lose(llm.SealedThinking, p.At)
				continue
			}
			thoughts = append(thoughts, p.Text)
		}
	}
	if len(texts)+len(refusals)+calls == 0 { // no message without any
		for _, p := range m.Parts {
			if p.Seal.Origin == llm.ByText && p.Text != nil {
				w.Lose(llm.SealedThinking, p.At)
			}
		}
		return
	}
	w.Open().StrMember("role", "assistant").Key("content")
	if len(texts) > 0 {
		w.Lit(wire.Join(nil, texts...))
	} else {
		w.Null()
	}
	if len(refusals) > 0 {
		w.Key("refusal").Lit(wire.Join(nil, refusals...))
	}
	if len(thoughts) > 0 {
		w.Key(reasoningContent).Lit(wire.Join(nil, thoughts...))
	}
	if calls > 0 {
		w.Key("tool_calls").List()
		for _, p := range m.Parts {
			if p.Kind == llm.ToolCall {
				w.call(p.Call)
			}
		}
		w.EndList()
	}
	w.Close()
}

func (w *writer) call(c llm.Call) {
	w.Open().StrMember("id", c.ID)
	if c.Free {
		w.StrMember("type", "custom").Key("custom").Open().StrMember("name", c.Name).Key("input").Text(c.Input).Close()
	} else {
		w.StrMember("type", "function").Key("function").Open().StrMember("name", c.Name).Key("arguments").Text(c.Input).Close()
	}
	w.Close()
}

func (w *writer) tools() {
	if len(w.Request.Tools) == 0 {
		return
	}
	w.Key("tools").List()
	for _, t := range w.Request.Tools {
		w.Open()
		if t.Free {
			w.StrMember("type", "custom").Key("custom").Open().StrMember("name", t.Name)
			w.Member("description", t.Description)
			if t.Grammar.Definition != nil {
				w.Key("format").Open().StrMember("type", "grammar").Key("grammar").Open()
				w.Key("syntax").Lit(t.Grammar.Syntax).Key("definition").Lit(t.Grammar.Definition).Close().Close()
			}
		} else {
			w.StrMember("type", "function").Key("function").Open().StrMember("name", t.Name)
			w.Member("description", t.Description).Member("parameters", t.Schema)
			if w.Target.Carries.Has(llm.ToolStrict) {
				w.Member("strict", t.Strict)
			}
		}
		w.Close().Close()
	}
	w.EndList()
	switch c := w.Request.Choice; c.Mode {
	case llm.ChoiceAuto:
		w.StrMember("tool_choice", "auto")
	case llm.ChoiceNone:
		w.StrMember("tool_choice", "none")
	case llm.ChoiceAny:
		w.StrMember("tool_choice", "required")
	case llm.ChoiceNamed:
		typ := "function"
		if c.Free {
			typ = "custom"
		}
		w.Key("tool_choice").Open().StrMember("type", typ).Key(typ).Open().StrMember("name", c.Name).Close().Close()
	}
	if w.Request.Choice.Serial && w.Target.Carries.Has(llm.SerialTools) {
		w.Key("parallel_tool_calls").Bool(false)
	}
}

func (w *writer) format() {
	f := w.Request.Format
	switch f.Kind {
	case llm.FormatJSON:
		w.Key("response_format").Open().StrMember("type", "json_object").Close()
	case llm.FormatSchema:
		w.Key("response_format").Open().StrMember("type", "json_schema").Key("json_schema").Open()
		w.schema(f)
		w.Close().Close()
	}
}

// schema writes the members that describe a schema; a name is demanded.
func (w *writer) schema(f llm.Format) {
	w.Key("name")
	if f.Name != nil {
		w.Lit(f.Name)
	} else {
		w.Str("answer")
	}
	w.Member("description", f.Description).Key("schema").Lit(f.Schema)
	w.Member("strict", f.Strict)
}

// thinking writes how much to think, in the words that every model of this API
// which thinks at all understands.
func (w *writer) thinking() {
	if level := w.level(); level != "" {
		w.StrMember("reasoning_effort", string(level))
	}
}

// level is the reasoning effort for a request; empty for the model's default.
func (w *writer) level() llm.Level {
	t := w.Request.Thinking
	if !w.Target.Carries.Has(llm.Effort) || t.Mode == llm.ThinkingUnset {
		return ""
	}
	switch t.Mode {
	case llm.ThinkingByBudget:
		switch {
		case t.Budget <= 2048:
			return llm.LevelLow
		case t.Budget <= 12288:
			return llm.LevelMedium
		}
		return llm.LevelHigh
	case llm.ThinkingOff:
		return w.leastLevel()
	}
	if t.Level == llm.LevelXHigh || t.Level == llm.LevelMax {
		w.Alter(llm.Effort)
		return llm.LevelHigh
	}
	return t.Level
}

// leastLevel is how a model is told not to think: gpt-5 thinks a little at least,
// its successors need not, older models think a little more, and compatible
// servers have no common word for it.
func (w *writer) leastLevel() llm.Level {
	name := w.Target.Model
	switch {
	case w.Target.Vendor && strings.HasPrefix(name, "gpt-5."):
		return llm.LevelNone
	case w.Target.Vendor && strings.HasPrefix(name, "gpt-5"):
		w.Alter(llm.Effort)
		return llm.LevelMinimal
	}
	w.Alter(llm.Effort)
	return ""
}

// fit is what a model of this API can express, of the features carried. Models
// that think take no sampling parameters, and models that do not take no effort;
// the service answers either with 400 (platform.openai.com, guides/reasoning).
func fit(model string, carried llm.Features) llm.Features {
	name := model[strings.LastIndexByte(model, '/')+1:]
	plain := strings.HasPrefix(name, "gpt-3") || strings.HasPrefix(name, "gpt-4") || strings.HasPrefix(name, "chatgpt-") || strings.HasPrefix(name, "gpt-5-chat")
	switch {
	case thinks(model):
		return carried.Without(llm.Temperature, llm.TopP, llm.Penalties, llm.LogitBias, llm.TopK, llm.StopSequences)
	case plain:
		return carried.Without(llm.Effort, llm.ThinkingBudget, llm.ThinkingSummary, llm.Verbosity)
	}
	return carried
}

// thinks reports whether a model of the vendor thinks.
func thinks(model string) bool {
	name := model[strings.LastIndexByte(model, '/')+1:]
	return len(name) > 1 && name[0] == 'o' && name[1] >= '1' && name[1] <= '9' ||
		strings.HasPrefix(name, "gpt-5") && !strings.HasPrefix(name, "gpt-5-chat")
}
