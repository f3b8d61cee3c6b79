package gemini

import (
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// carries is what a request to generate content can express.
var carries = llm.Set(
	llm.Tools, llm.ToolChoice, llm.ToolMedia, llm.JSONObject, llm.JSONSchema, llm.StopSequences, llm.Choices,
	llm.ImageData, llm.AudioInput, llm.VideoInput, llm.DocumentData,
	llm.MaxTokens, llm.Temperature, llm.TopP, llm.TopK, llm.Seed, llm.Penalties, llm.Effort, llm.ThinkingBudget,
	llm.ThinkingSummary, llm.SealedThinking, llm.ToolError, llm.ServiceTier, llm.Safety,
)

// fit is what a model can express, of the features carried: those before 2.5 do not
// think (ai.google.dev/gemini-api/docs/thinking).
func fit(model string, carried llm.Features) llm.Features {
	switch generation(model) {
	case oldest, second:
		return carried.Without(llm.Effort, llm.ThinkingBudget, llm.ThinkingSummary)
	}
	return carried
}

// The generations of models that differ in what they take.
const (
	latest = iota // from 3 on: levels of thinking, signed calls
	budget        // 2.5: budgets of thinking
	second
	oldest
)

// generation finds a model's generation by its name.
func generation(model string) int {
	name := model[strings.LastIndexByte(model, '/')+1:]
	for _, g := range []struct {
		prefix string
		is     int
	}{{"gemini-2.5", budget}, {"gemini-2", second}, {"gemini-1", oldest}, {"gemma", oldest}, {"learnlm", oldest}} {
		if strings.HasPrefix(name, g.prefix) {
			return g.is
		}
	}
	return latest
}

// writer writes a request.
type writer struct {
	wire.Writer
}

// write implements wire.Format.Write for the generation of content. Model and
// stream are the path's to tell.
func write(r *llm.Request, t wire.Target) ([]byte, []llm.Use) {
	w := &writer{Writer: wire.NewWriter(r, t)}
	w.Open()
	w.system()
	w.contents()
	w.tools()
	w.config()
	if t.Carries.Has(llm.Safety) {
		w.Member("safetySettings", r.Options[llm.Safety])
	}
	w.tier()
	return w.Close().Bytes(), w.Lost()
}

// tier writes the provider's queue, in words that this API shares with another.
func (w *writer) tier() {
	lit := w.Request.Options[llm.ServiceTier]
	if lit == nil || !w.Target.Carries.Has(llm.ServiceTier) {
		return
	}
	switch string(lit) {
	case `"flex"`, `"priority"`, `"standard"`:
		w.Key("serviceTier").Lit(lit)
	default:
		w.Alter(llm.ServiceTier)
	}
}

// system writes the instructions: here all of them stand before the contents.
func (w *writer) system() {
	parts := w.Request.System
	for _, m := range w.Request.Messages {
		if m.Role == llm.Developer {
			parts = append(parts[:len(parts):len(parts)], m.Parts...)
		}
	}
	if len(parts) == 0 {
		return
	}
	w.Key("systemInstruction").Open().Key("parts").List()
	for _, p := range parts {
		w.part(p)
	}
	w.EndList().Close()
}

// contents writes the turns; neighbours of one speaker become one turn, so that
// results of tools stand in the turn right after their calls.
func (w *writer) contents() {
	w.Key("contents").List()
	open := false
	var role llm.Role
	signed := false // the first call of the open turn was written
	for _, m := range w.Request.Messages {
		if m.Role == llm.Developer {
			continue
		}
		if open && m.Role != role {
			w.EndList().Close()
			open = false
		}
		for _, p := range m.Parts {
			if !w.says(p) {
				continue
			}
			if !open {
				name := "user"
				if m.Role == llm.Assistant {
					name = "model"
				}
				w.Open().StrMember("role", name).Key("parts").List()
				open, role, signed = true, m.Role, false
			}
			if p.Kind == llm.ToolCall {
				w.call(p, !signed)
				signed = true
				continue
			}
			w.part(p)
		}
	}
	if open {
		w.EndList().Close()
	}
	w.EndList()
}

// says reports whether a part becomes one, and notes what is lost when not.
func (w *writer) says(p llm.Part) bool {
	switch p.Kind {
	case llm.Text, llm.Refusal:
		return len(p.Text) > 2
	case llm.Thought:
		if p.Seal.Origin != llm.ByGemini && (p.Seal.Origin != llm.ByText || p.Text == nil) {
			w.Lose(llm.SealedThinking, p.At)
			return false
		}
	}
	return true
}

// part writes one part; what a document is called stands before it.
func (w *writer) part(p llm.Part) {
	switch p.Kind {
	case llm.Image, llm.Audio, llm.Video, llm.Document:
		w.media(p.Media)
		return
	case llm.ToolResult:
		w.result(p.Result)
		return
	}
	w.Open().Key("text").Lit(wire.Join(nil, p.Text))
	if p.Kind == llm.Thought && !p.Seal.Hidden {
		w.Key("thought").Bool(true)
	}
	if p.Kind == llm.Thought && p.Seal.Data != "" {
		w.StrMember("thoughtSignature", p.Seal.Data)
	}
	w.Close()
}

func (w *writer) media(m llm.Media) {
	if m.Name != nil {
		w.Open().Key("text").Lit(m.Name).Close()
	}
	if m.Plain != nil {
		w.Open().Key("text").Lit(m.Plain).Close()
		return
	}
	w.Open().Key("inlineData").Open().StrMember("mimeType", m.MIME).Key("data").Lit(m.Data).Close().Close()
}

// unsigned stands for the signature of a call that another model made, or whose
// client lost it: models from 3 on refuse the first call of a turn without one
// (ai.google.dev/gemini-api/docs/thought-signatures).
const unsigned = "skip_thought_signature_validator"

// call writes a call; first says that it is the first of its turn.
func (w *writer) call(p llm.Part, first bool) {
	w.Open().Key("functionCall").Open()
	w.StrMember("id", p.Call.ID).StrMember("name", p.Call.Name).Key("args").Lit(p.Call.Input).Close()
	own := p.Seal.Origin == llm.ByGemini
	if p.Seal.Data != "" && !own {
		w.Lose(llm.SealedThinking, p.Seal.At)
	}
	switch {
	case own && p.Seal.Data != "":
		w.StrMember("thoughtSignature", p.Seal.Data)
	case first && generation(w.Target.Model) == latest:
		w.StrMember("thoughtSignature", unsigned)
	}
	w.Close()
}

// result writes what a tool returned, and behind it what of that is no text.
func (w *writer) result(result llm.Result) {
	var texts []llm.Lit
	for _, p := range result.Parts {
		if p.Kind == llm.Text {
			texts = append(texts, p.Text)
		}
	}
	key := "output"
	if result.Failed {
		key = "error"
	}
	w.Open().Key("functionResponse").Open().StrMember("id", result.ID).StrMember("name", result.Name)
	w.Key("response").Open().Key(key)
	if len(texts) == 1 {
		w.Lit(texts[0])
	} else {
		w.List()
		for _, t := range texts {
			w.Lit(t)
		}
		w.EndList()
	}
	w.Close().Close().Close()
	for _, p := range result.Parts {
		if p.Kind != llm.Text {
			w.part(p)
		}
	}
}

func (w *writer) tools() {
	if len(w.Request.Tools) == 0 {
		return
	}
	w.Key("tools").List().Open().Key("functionDeclarations").List()
	for _, t := range w.Request.Tools {
		w.Open().StrMember("name", t.Name).Member("description", t.Description)
		if wire.Filled(t.Schema) {
			w.Key("parametersJsonSchema").Lit(t.Schema)
		}
		w.Close()
	}
	w.EndList().Close().EndList()
	c := w.Request.Choice
	if c.Mode == llm.ChoiceUnset {
		return
	}
	w.Key("toolConfig").Open().Key("functionCallingConfig").Open().StrMember("mode", [...]string{
		llm.ChoiceUnset: "AUTO", llm.ChoiceAuto: "AUTO", llm.ChoiceNone: "NONE", llm.ChoiceAny: "ANY", llm.ChoiceNamed: "ANY",
	}[c.Mode])
	if c.Mode == llm.ChoiceNamed {
		w.Key("allowedFunctionNames").List().Str(c.Name).EndList()
	}
	w.Close().Close()
}

// config writes the generationConfig.
func (w *writer) config() {
	w.Key("generationConfig").Open()
	for _, o := range options {
		if lit := w.Request.Options[o.feature]; lit != nil && w.Target.Carries.Has(o.feature) {
			w.Key(o.name).Lit(lit)
		}
	}
	if w.Target.Carries.Has(llm.Penalties) {
		w.Member("frequencyPenalty", w.Request.Penalty.Frequency).Member("presencePenalty", w.Request.Penalty.Presence)
	}
	if len(w.Request.Stop) > 0 {
		w.Key("stopSequences").List()
		for _, s := range w.Request.Stop {
			w.Lit(s)
		}
		w.EndList()
	}
	switch f := w.Request.Format; f.Kind {
	case llm.FormatJSON:
		w.StrMember("responseMimeType", "application/json")
	case llm.FormatSchema:
		w.StrMember("responseMimeType", "application/json").Key("responseJsonSchema").Lit(f.Schema)
	}
	w.thinking()
	w.Close()
}

// budgets are how many tokens each level of thinking may take; the vendor's own
// endpoint for clients of another format uses the same
// (ai.google.dev/gemini-api/docs/openai).
var budgets = map[llm.Level]int64{
	llm.LevelMinimal: 1024, llm.LevelLow: 1024, llm.LevelMedium: 8192, llm.LevelHigh: 24576, llm.LevelXHigh: 24576, llm.LevelMax: 24576,
}

// thinking writes how much to think, and whether the answer shows it.
func (w *writer) thinking() {
	t := w.Request.Thinking
	if !w.Target.Carries.Has(llm.Effort) || t.Mode == llm.ThinkingUnset && !t.Show {
		return
	}
	w.Key("thinkingConfig").Open()
	defer w.Close()
	if t.Show {
		w.Key("includeThoughts").Bool(true)
	}
	old := generation(w.Target.Model) == budget
	switch t.Mode {
	case llm.ThinkingOff:
		w.least(old)
		return
	case llm.ThinkingByBudget:
		most := int64(24576)
		if strings.Contains(w.Target.Model, "pro") {
			most = 32768
		}
		if t.Budget > most {
			w.Alter(llm.ThinkingBudget)
		}
		w.Key("thinkingBudget").Int(min(t.Budget, most))
		return
	case llm.ThinkingAdaptive:
		if old && t.Level == "" {
			w.Key("thinkingBudget").Int(-1)
		}
	}
	switch level := t.Level; {
	case level == "":
	case budgets[level] == 0:
		w.Alter(llm.Effort)
	case old:
		w.Key("thinkingBudget").Int(budgets[level])
	default:
		if level == llm.LevelXHigh || level == llm.LevelMax {
			w.Alter(llm.Effort)
			level = llm.LevelHigh
		}
		w.StrMember("thinkingLevel", string(level))
	}
}

// least is how a model is told not to think: of those from 2.5 on only the small
// ones of 2.5 need not think at all.
func (w *writer) least(old bool) {
	pro := strings.Contains(w.Target.Model, "pro")
	if !old || pro {
		w.Alter(llm.Effort)
		w.Alter(llm.ThinkingBudget)
	}
	switch {
	case old && pro:
		w.Key("thinkingBudget").Int(128)
	case old:
		w.Key("thinkingBudget").Int(0)
	case pro:
		w.StrMember("thinkingLevel", "low")
	default:
		w.StrMember("thinkingLevel", "minimal")
	}
}
