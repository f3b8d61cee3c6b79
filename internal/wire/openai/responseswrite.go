package openai

import (
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// responsesCarries is what a responses request can express. It can have the
// provider keep an answer as well, but then it would be kept for everybody behind
// this gateway.
var responsesCarries = llm.Set(
	llm.Tools, llm.CustomTools, llm.ToolChoice, llm.SerialTools, llm.ToolMedia, llm.JSONObject, llm.JSONSchema,
	llm.ImageData, llm.ImageURL, llm.DocumentData, llm.DocumentURL,
	llm.MaxTokens, llm.Temperature, llm.TopP, llm.Effort, llm.ThinkingBudget, llm.ThinkingSummary, llm.SealedThinking,
	llm.Verbosity, llm.CacheKey, llm.SchemaName, llm.ToolStrict, llm.ToolGrammar, llm.ImageDetail, llm.User, llm.Metadata,
	llm.ServiceTier,
)

// writeResponses implements wire.Format.Write for responses.
func writeResponses(r *llm.Request, t wire.Target) ([]byte, []llm.Use) {
	w := &writer{Writer: wire.NewWriter(r, t)}
	w.Open().StrMember("model", t.Model)
	w.input()
	w.responsesTools()
	w.text()
	w.reasoning()
	w.options(responsesOptions)
	w.Key("store").Bool(false)
	if r.Stream {
		w.Key("stream").Bool(true)
	}
	return w.Close().Bytes(), w.Lost()
}

func (w *writer) input() {
	system := w.Request.System
	if len(system) == 1 && system[0].Kind == llm.Text {
		w.Key("instructions").Lit(system[0].Text)
		system = nil
	}
	w.Key("input").List()
	if len(system) > 0 {
		w.turn("developer", system)
	}
	for _, m := range w.Request.Messages {
		switch m.Role {
		case llm.Assistant:
			for _, p := range m.Parts {
				w.outputItem(p)
			}
		case llm.Developer:
			w.turn("developer", m.Parts)
		default:
			w.userItems(m)
		}
	}
	w.EndList()
}

// turn writes a message that is not the model's.
func (w *writer) turn(role string, parts []llm.Part) {
	w.Open().StrMember("type", "message").StrMember("role", role).Key("content")
	w.content(parts, w.inputPart)
	w.Close()
}

// userItems writes a turn of the user: results of tools, which are items of their
// own, and what else it holds as a message.
func (w *writer) userItems(m llm.Message) {
	var rest []llm.Part
	for _, p := range m.Parts {
		if p.Kind != llm.ToolResult {
			rest = append(rest, p)
			continue
		}
		typ := "function_call_output"
		if p.Result.Free {
			typ = "custom_tool_call_output"
		}
		w.Open().StrMember("type", typ).StrMember("call_id", p.Result.ID).Key("output")
		w.content(p.Result.Parts, w.inputPart)
		w.Close()
	}
	if len(rest) > 0 {
		w.turn("user", rest)
	}
}

func (w *writer) inputPart(p llm.Part) {
	w.Open()
	switch m := p.Media; p.Kind {
	case llm.Image:
		w.StrMember("type", "input_image").Key("image_url")
		if m.URL != nil {
			w.Lit(m.URL)
		} else {
			w.Lit(dataURL(m))
		}
		w.Key("detail")
		if m.Detail != nil && w.Target.Carries.Has(llm.ImageDetail) {
			w.Lit(m.Detail)
		} else {
			w.Str("auto")
		}
	case llm.Document:
		w.inputFile(m)
	default:
		w.StrMember("type", "input_text").Key("text").Lit(p.Text)
	}
	w.Close()
}

func (w *writer) inputFile(m llm.Media) {
	switch {
	case m.Plain != nil:
		w.StrMember("type", "input_text").Key("text").Lit(plain(m))
	case m.URL != nil:
		w.StrMember("type", "input_file").Member("filename", m.Name).Key("file_url").Lit(m.URL)
	default:
		w.StrMember("type", "input_file").Key("filename")
		if m.Name != nil {
			w.Lit(m.Name)
		} else {
			w.Str("document")
		}
		w.Key("file_data").Lit(dataURL(m))
	}
}

// outputItem writes what the model said, thought or called in an earlier turn.
func (w *writer) outputItem(p llm.Part) {
	switch p.Kind {
	case llm.Thought:
		w.thought(p)
	case llm.ToolCall:
		w.loseSeal(p.Seal)
		typ, input := "function_call", "arguments"
		if p.Call.Free {
			typ, input = "custom_tool_call", "input"
		}
		w.Open().StrMember("type", typ).StrMember("call_id", p.Call.ID).StrMember("name", p.Call.Name).Key(input).Text(p.Call.Input).Close()
	default:
		f := formOf(&p)
		w.Open().StrMember("type", "message").StrMember("role", "assistant").Key("content").List()
		w.Open().StrMember("type", f.typ).Key(f.text).Lit(p.Text).Close().EndList().Close()
	}
}

// thought writes earlier thinking for whom it came from: sealed by this provider,
// or as plain text for a server that told it so.
func (w *writer) thought(p llm.Part) {
	own := p.Seal.Origin == llm.ByOpenAI && p.Seal.Data != ""
	if !own && (p.Seal.Origin != llm.ByText || p.Text == nil || w.Target.Vendor) {
		w.Lose(llm.SealedThinking, p.At)
		return
	}
	w.Open().StrMember("type", "reasoning").Key("summary").List()
	if own && p.Text != nil {
		w.Open().StrMember("type", "summary_text").Key("text").Lit(p.Text).Close()
	}
	w.EndList()
	if own {
		w.StrMember("encrypted_content", p.Seal.Data)
	} else {
		w.Key("content").List().Open().StrMember("type", "reasoning_text").Key("text").Lit(p.Text).Close().EndList()
	}
	w.Close()
}

func (w *writer) responsesTools() {
	if len(w.Request.Tools) == 0 {
		return
	}
	w.Key("tools").List()
	for _, t := range w.Request.Tools {
		w.responsesTool(t)
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
		w.Key("tool_choice").Open().StrMember("type", typ).StrMember("name", c.Name).Close()
	}
	if w.Request.Choice.Serial && w.Target.Carries.Has(llm.SerialTools) {
		w.Key("parallel_tool_calls").Bool(false)
	}
}

// responsesTool writes a tool. A function is strict here unless it says otherwise,
// in all other formats it is not.
func (w *writer) responsesTool(t llm.Tool) {
	w.Open()
	if t.Free {
		w.StrMember("type", "custom").StrMember("name", t.Name).Member("description", t.Description)
		if t.Grammar.Definition != nil {
			w.Key("format").Open().StrMember("type", "grammar")
			w.Key("syntax").Lit(t.Grammar.Syntax).Key("definition").Lit(t.Grammar.Definition).Close()
		}
		w.Close()
		return
	}
	w.StrMember("type", "function").StrMember("name", t.Name).Member("description", t.Description).Key("parameters")
	if t.Schema != nil {
		w.Lit(t.Schema)
	} else {
		w.Lit(noParameters)
	}
	w.Key("strict").Bool(wire.True(t.Strict) && w.Target.Carries.Has(llm.ToolStrict)).Close()
}

// noParameters is the schema of a function without any.
var noParameters = llm.Lit(`{"type":"object","properties":{}}`)

// text writes the form of the answer.
func (w *writer) text() {
	verbosity := w.Request.Options[llm.Verbosity]
	if !w.Target.Carries.Has(llm.Verbosity) {
		verbosity = nil
	}
	f := w.Request.Format
	if f.Kind == llm.FormatText && verbosity == nil {
		return
	}
	w.Key("text").Open()
	switch f.Kind {
	case llm.FormatJSON:
		w.Key("format").Open().StrMember("type", "json_object").Close()
	case llm.FormatSchema:
		w.Key("format").Open().StrMember("type", "json_schema")
		w.schema(f)
		w.Close()
	}
	w.Member("verbosity", verbosity).Close()
}

// reasoning writes how much to think and to tell of it. The vendor seals thoughts
// for the next turn only when it is asked to, and only of models that think.
func (w *writer) reasoning() {
	t, carries := w.Request.Thinking, w.Target.Carries
	level := w.level()
	tells := carries.Has(llm.ThinkingSummary) && (t.Tell != nil || t.Show)
	if level != "" || tells {
		w.Key("reasoning").Open()
		if level != "" {
			w.StrMember("effort", string(level))
		}
		if tells && t.Tell != nil {
			w.Key("summary").Lit(t.Tell)
		} else if tells {
			w.StrMember("summary", "auto")
		}
		w.Close()
	}
	if w.Target.Vendor && thinks(w.Target.Model) {
		w.Key("include").List().Str("reasoning.encrypted_content").EndList()
	}
}
