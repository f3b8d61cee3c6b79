package anthropic

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// carries is what a messages request can express.
var carries = llm.Set(
	llm.Tools, llm.ToolChoice, llm.SerialTools, llm.ToolMedia, llm.JSONSchema, llm.StopSequences, llm.ImageData,
	llm.ImageURL, llm.DocumentData, llm.DocumentURL, llm.Prefill,
	llm.MaxTokens, llm.Temperature, llm.TopP, llm.TopK, llm.Effort, llm.ThinkingBudget, llm.ThinkingSummary,
	llm.SealedThinking, llm.CacheControl, llm.ToolStrict, llm.ToolError, llm.User,
)

// writer writes a request.
type writer struct {
	wire.Writer
	max int64 // tokens of the answer
}

// write implements wire.Format.Write for messages.
func write(r *llm.Request, t wire.Target) ([]byte, []llm.Use) {
	bound, given := maxOf(r, t.Model)
	w := &writer{Writer: wire.NewWriter(r, t), max: bound}
	if lit := r.Options[llm.MaxTokens]; lit != nil && !given { // no bound, as some clients write it
		w.Alter(llm.MaxTokens)
	}
	w.Open().StrMember("model", t.Model)
	w.Key("max_tokens").Int(w.max)
	w.system()
	w.Turns(w.says, w.block)
	w.tools()
	thinks := w.thinking()
	w.sampling(thinks)
	if len(r.Stop) > 0 {
		w.Key("stop_sequences").List()
		for _, s := range r.Stop {
			w.Lit(s)
		}
		w.EndList()
	}
	if user := r.Options[llm.User]; user != nil && t.Carries.Has(llm.User) {
		w.Key("metadata").Open().Key("user_id").Lit(user).Close()
	}
	if r.Stream {
		w.Key("stream").Bool(true)
	}
	return w.Close().Bytes(), w.Lost()
}

// defaultMax is the bound on an answer for requests without one, which this API
// insists on: what every model of a generation allows
// (platform.claude.com, about-claude/models/overview).
func defaultMax(model string) int64 {
	switch {
	case strings.Contains(model, "claude-3-5"):
		return 8192
	case strings.Contains(model, "claude-3-7"):
		return 32000
	case strings.Contains(model, "claude-3"), strings.Contains(model, "claude-2"), strings.Contains(model, "claude-instant"):
		return 4096
	case strings.Contains(model, "claude"):
		return 32000
	}
	return 8192
}

// cacheMark writes a mark up to which the prompt is cached.
func (w *writer) cacheMark(c llm.Cache) {
	if !c.Marked || !w.Target.Carries.Has(llm.CacheControl) {
		return
	}
	w.Key("cache_control").Open().StrMember("type", "ephemeral")
	if c.Long {
		w.StrMember("ttl", "1h")
	}
	w.Close()
}

// system writes the instructions: here all of them stand before the messages.
func (w *writer) system() {
	parts := w.Request.System
	for _, m := range w.Request.Messages {
		if m.Role == llm.Developer {
			parts = append(parts[:len(parts):len(parts)], m.Parts...)
		}
	}
	if len(parts) == 1 && !parts[0].Cache.Marked && len(parts[0].Text) > 2 {
		w.Key("system").Lit(parts[0].Text)
		return
	}
	if begun := w.blocks(parts, false, "system"); begun {
		w.EndList()
	}
}

// blocks writes parts as an array under a key, when any of them says something:
// this API refuses empty texts. The caller ends the array.
func (w *writer) blocks(parts []llm.Part, begun bool, key string) bool {
	for _, p := range parts {
		if !w.says(p) {
			continue
		}
		if !begun {
			w.Key(key).List()
			begun = true
		}
		w.block(p)
	}
	return begun
}

// says reports whether a part becomes a block, and notes what is lost when not.
func (w *writer) says(p llm.Part) bool {
	switch p.Kind {
	case llm.Text, llm.Refusal:
		return len(p.Text) > 2
	case llm.Thought:
		if p.Seal.Origin != llm.ByAnthropic || p.Seal.Data == "" {
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

// block writes one content block.
func (w *writer) block(p llm.Part) {
	w.Open()
	switch p.Kind {
	case llm.Image:
		w.StrMember("type", "image")
		w.source(p.Media)
	case llm.Document:
		w.StrMember("type", "document")
		w.source(p.Media)
		w.Member("title", p.Media.Name)
	case llm.ToolCall:
		if p.Seal.Origin != "" {
			w.Lose(llm.SealedThinking, p.Seal.At)
		}
		w.StrMember("type", "tool_use").StrMember("id", callID(p.Call.ID)).StrMember("name", p.Call.Name).Key("input").Lit(p.Call.Input)
	case llm.ToolResult:
		w.StrMember("type", "tool_result").StrMember("tool_use_id", callID(p.Result.ID))
		if w.blocks(p.Result.Parts, false, "content") {
			w.EndList()
		}
		if p.Result.Failed {
			w.Key("is_error").Bool(true)
		}
	case llm.Thought:
		if p.Seal.Hidden {
			w.StrMember("type", "redacted_thinking").StrMember("data", p.Seal.Data)
			break
		}
		w.StrMember("type", "thinking").Key("thinking").Lit(wire.Join(nil, p.Text)).StrMember("signature", p.Seal.Data)
	default:
		w.StrMember("type", "text").Key("text").Lit(p.Text)
	}
	w.cacheMark(p.Cache)
	w.Close()
}

func (w *writer) source(m llm.Media) {
	w.Key("source").Open()
	switch {
	case m.URL != nil:
		w.StrMember("type", "url").Key("url").Lit(m.URL)
	case m.Plain != nil:
		w.StrMember("type", "text").StrMember("media_type", "text/plain").Key("data").Lit(m.Plain)
	default:
		w.StrMember("type", "base64").StrMember("media_type", m.MIME).Key("data").Lit(m.Data)
	}
	w.Close()
}

// callID is the id of a call as this API accepts it, of letters, digits, - and _;
// equal ids stay equal and different ones different.
func callID(id string) string {
	fits := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	plain := strings.Map(func(c rune) rune {
		if fits(c) {
			return c
		}
		return '_'
	}, id)
	if plain == id && id != "" {
		return id
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	return fmt.Sprintf("%s_%016x", plain, h.Sum64())
}

// emptySchema is for functions without parameters.
var emptySchema = llm.Lit(`{"type":"object","properties":{}}`)

func (w *writer) tools() {
	if len(w.Request.Tools) == 0 {
		return
	}
	w.Key("tools").List()
	for _, t := range w.Request.Tools {
		w.Open().StrMember("name", t.Name).Member("description", t.Description).Key("input_schema")
		if wire.Filled(t.Schema) {
			w.Lit(t.Schema)
		} else {
			w.Lit(emptySchema)
		}
		if w.Target.Carries.Has(llm.ToolStrict) {
			w.Member("strict", t.Strict)
		}
		w.cacheMark(t.Cache)
		w.Close()
	}
	w.EndList()
	c := w.Request.Choice
	if c.Mode == llm.ChoiceUnset && !c.Serial {
		return
	}
	w.Key("tool_choice").Open().StrMember("type", [...]string{
		llm.ChoiceUnset: "auto", llm.ChoiceAuto: "auto", llm.ChoiceNone: "none", llm.ChoiceAny: "any", llm.ChoiceNamed: "tool",
	}[c.Mode])
	if c.Mode == llm.ChoiceNamed {
		w.StrMember("name", c.Name)
	}
	if c.Serial && c.Mode != llm.ChoiceNone {
		w.Key("disable_parallel_tool_use").Bool(true)
	}
	w.Close()
}

// sampling writes the numbers that tune the choice of tokens. With thinking this
// API accepts none; its temperature ends at 1 where others go on to 2.
func (w *writer) sampling(thinks bool) {
	for _, o := range options[1:] {
		lit := w.Request.Options[o.feature]
		switch {
		case lit == nil || !w.Target.Carries.Has(o.feature):
			continue
		case thinks:
			w.Alter(o.feature)
			continue
		}
		if f, err := strconv.ParseFloat(string(lit), 64); o.feature == llm.Temperature && err == nil && f > 1 {
			w.Alter(o.feature)
			lit = llm.Lit("1")
		}
		w.Key(o.name).Lit(lit)
	}
}

// budgets are how many tokens each level of thinking may take.
var budgets = map[llm.Level]int64{
	llm.LevelMinimal: 1024, llm.LevelLow: 2048, llm.LevelMedium: 8192, llm.LevelHigh: 16384, llm.LevelXHigh: 24576, llm.LevelMax: 31999,
}

// leastBudget is the smallest that this API accepts.
const leastBudget = 1024

// thinking writes how much to think and the form of the answer, and reports
// whether the model will think.
func (w *writer) thinking() (thinks bool) {
	level := w.think(&thinks)
	if level == "" && w.Request.Format.Kind != llm.FormatSchema {
		return thinks
	}
	w.Key("output_config").Open()
	if level != "" {
		w.StrMember("effort", string(level))
	}
	if w.Request.Format.Kind == llm.FormatSchema {
		w.Key("format").Open().StrMember("type", "json_schema").Key("schema").Lit(w.Request.Format.Schema).Close()
	}
	w.Close()
	return thinks
}

// Thinking writes the members of a messages request that say how much to think, for
// formats that carry them as they are. It reports whether the model will think, and
// lists what it could not carry.
func Thinking(b *wire.Builder, r *llm.Request, t wire.Target) (thinks bool, lost []llm.Use) {
	only := *r
	only.Format = llm.Format{}
	bound, _ := maxOf(r, t.Model)
	w := &writer{Writer: wire.Writer{Builder: b, Request: &only, Target: t}, max: bound}
	thinks = w.thinking()
	return thinks, w.Lost()
}

// maxOf is the bound on an answer, and whether it is the request's own.
func maxOf(r *llm.Request, model string) (bound int64, given bool) {
	if n, err := strconv.ParseInt(string(r.Options[llm.MaxTokens]), 10, 64); err == nil && n > 0 {
		return n, true
	}
	return defaultMax(model), false
}

// think writes the member thinking and returns the effort to write, if any.
func (w *writer) think(thinks *bool) llm.Level {
	t := w.Request.Thinking
	asked := t.Mode == llm.ThinkingByLevel || t.Mode == llm.ThinkingByBudget || t.Mode == llm.ThinkingAdaptive
	if !asked || !w.Target.Carries.Has(llm.Effort) {
		return ""
	}
	if w.Request.Choice.Mode == llm.ChoiceAny || w.Request.Choice.Mode == llm.ChoiceNamed || !w.mayThink() {
		w.Alter(llm.Effort)
		w.Alter(llm.ThinkingBudget)
		return ""
	}
	*thinks = true
	if adaptive(w.Target.Model) {
		w.Key("thinking").Open().StrMember("type", "adaptive").Close()
		switch t.Level {
		case llm.LevelMinimal:
			return llm.LevelLow
		case "", llm.LevelLow, llm.LevelMedium, llm.LevelHigh, llm.LevelMax:
			return t.Level
		}
		return llm.LevelHigh
	}
	budget := t.Budget
	if budget == 0 {
		budget = budgets[t.Level]
	}
	if budget == 0 {
		budget = budgets[llm.LevelMedium]
	}
	if budget >= w.max {
		budget = w.max / 2
	}
	if budget < leastBudget {
		w.Alter(llm.Effort)
		w.Alter(llm.ThinkingBudget)
		*thinks = false
		return ""
	}
	w.Key("thinking").Open().StrMember("type", "enabled").Key("budget_tokens").Int(budget).Close()
	return ""
}

// mayThink reports whether the API would let the model think: the turn that the
// last results of tools belong to must begin with its own thinking.
func (w *writer) mayThink() bool {
	if old(w.Target.Model) {
		return false
	}
	for i := len(w.Request.Messages) - 1; i >= 0; i-- {
		m := w.Request.Messages[i]
		if m.Role == llm.Developer {
			continue
		}
		if m.Role != llm.Assistant {
			if len(m.Parts) > 0 && m.Parts[0].Kind != llm.ToolResult {
				return true // a new turn
			}
			continue
		}
		thought := false
		for _, p := range m.Parts {
			thought = thought || p.Kind == llm.Thought && p.Seal.Origin == llm.ByAnthropic && p.Seal.Data != ""
			if p.Kind == llm.ToolCall {
				return thought
			}
		}
		return true
	}
	return true
}

// old reports whether a model knows no thinking.
func old(model string) bool {
	for _, name := range []string{"claude-2", "claude-instant", "claude-3-5", "claude-3-haiku", "claude-3-opus", "claude-3-sonnet"} {
		if strings.Contains(model, name) {
			return true
		}
	}
	return false
}

// adaptive reports whether a model decides itself how much to think: those from
// version 4.6 on, of which the newest refuse a budget
// (platform.claude.com, build-with-claude/adaptive-thinking).
func adaptive(model string) bool {
	if !strings.Contains(model, "claude-") || strings.Contains(model, "claude-3") {
		return false
	}
	for _, name := range []string{"-4-0", "-4-1", "-4-5", "-4-2025", "-4@2025"} {
		if strings.Contains(model, name) {
			return false
		}
	}
	return !strings.HasSuffix(model, "-4")
}
