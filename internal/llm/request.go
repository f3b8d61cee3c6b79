package llm

import "slices"

// Lit is a JSON value exactly as it stands in a request or an answer. What all
// formats carry as JSON of the same kind (texts as string literals, numbers,
// schemas) is copied from one to the other and never decoded. A Lit refers to the
// memory of the body it was found in.
type Lit = []byte

// Request is one request for an answer in the vocabulary that all formats share.
type Request struct {
	Model    string
	Stream   bool
	System   []Part    // instructions that stand before all messages
	Messages []Message // in order; an assistant's calls come before their results
	Tools    []Tool
	Choice   Choice
	Format   Format
	Stop     []Lit // string literals
	Thinking Thinking
	Options  [NumFeatures]Lit // values that are spelled alike everywhere, by feature; nil when absent
	Penalty  Penalty
	Hosted   []int // byte offsets of the tools that the provider runs
	Uses     []Use // every place that asks for a feature, in the order found
}

// Use notes that the request asks for a feature at an offset into its body.
func (r *Request) Use(f Feature, at int) { r.Uses = append(r.Uses, Use{f, at}) }

// Asks reports whether any place of the request asks for the feature.
func (r *Request) Asks(f Feature) bool {
	for _, u := range r.Uses {
		if u.Feature == f {
			return true
		}
	}
	return false
}

// UseHosted notes the tools that the provider runs, once all tools and the choice
// among them are known. Beside tools of the client's own, with none demanded, the
// model can do its work without them, as an agent does that searches the web now
// and then; alone or demanded they are what the request is about.
func (r *Request) UseHosted() {
	feature := OfferedTools
	if len(r.Tools) == 0 || r.Choice.Mode == ChoiceAny || r.Asks(HostedTools) {
		feature = HostedTools
	}
	for _, at := range r.Hosted {
		r.Use(feature, at)
	}
}

// Offers reports whether the model may call a tool of the name. Tools that the
// provider runs are not told apart.
func (r *Request) Offers(name string) bool {
	return len(r.Hosted) > 0 || r.Asks(HostedTools) || slices.ContainsFunc(r.Tools, func(t Tool) bool { return t.Name == name })
}

// Lost lists the uses that a target with the features carried cannot express.
func (r *Request) Lost(carried Features) []Use {
	var lost []Use
	for _, u := range r.Uses {
		if !carried.Has(u.Feature) {
			lost = append(lost, u)
		}
	}
	return lost
}

// Penalty holds the two penalties against repetition; nil when absent.
type Penalty struct{ Frequency, Presence Lit }

// Role is who speaks.
type Role uint8

// The roles. Results of tools stand in messages of the user.
const (
	Customer  Role = iota // the client's user, and the results of its tools
	Assistant             // the model
	Developer             // instructions between messages
)

// Message is one turn.
type Message struct {
	Role  Role
	Name  Lit // string literal; nil when absent
	Parts []Part
	At    int // byte offset into the client's body
}

// PartKind is what a part holds.
type PartKind uint8

// The kinds of part.
const (
	Text       PartKind = iota // Part.Text
	Refusal                    // Part.Text: the model declines
	Thought                    // Part.Text and Part.Seal: what the model thought
	Image                      // Part.Media
	Audio                      // Part.Media
	Video                      // Part.Media
	Document                   // Part.Media
	ToolCall                   // Part.Call
	ToolResult                 // Part.Result
)

// Part is one piece of a message or of an answer.
type Part struct {
	Kind   PartKind
	At     int // byte offset into the body it was found in
	Text   Lit // string literal
	Seal   Seal
	Media  Media
	Call   Call
	Result Result
	Cache  Cache // what the client wants cached up to and with this part
}

// Media is an image, a sound, a video or a document.
type Media struct {
	MIME   string
	Data   Lit // string literal of base64
	Plain  Lit // string literal of a document that is text
	URL    Lit // string literal
	File   Lit // string literal: the provider's id of a kept file
	Name   Lit // string literal: a file name or title
	Detail Lit // string literal: how closely to look
}

// Call is one use of a tool by the model.
type Call struct {
	ID    string
	Name  string
	Input []byte // JSON text; free text when Free
	Free  bool   // of a custom tool
}

// Result is what a tool of the client returned.
type Result struct {
	ID     string
	Name   string // of the tool; found by its call
	Parts  []Part
	Failed bool
	Free   bool // of a custom tool
}

// Cache is a mark up to which a provider shall cache the prompt.
type Cache struct {
	Marked bool
	Long   bool // for the provider's longer duration
}

// Tool is one function that the model may call.
type Tool struct {
	Name        string
	Description Lit     // string literal; nil when absent
	Schema      Lit     // JSON Schema of its input; nil when absent
	Strict      Lit     // true or false; nil when absent
	Free        bool    // a custom tool: its input is free text
	Grammar     Grammar // of a free tool's input
	Space       string  // of tools in a group: Name begins with it; empty for others
	Cache       Cache
	At          int
}

// Grammar is what the input of a free tool must follow; both are nil when there is
// none.
type Grammar struct {
	Syntax     Lit // string literal, such as "lark"
	Definition Lit // string literal
}

// ChoiceMode is how the model may use tools.
type ChoiceMode uint8

// The modes.
const (
	ChoiceUnset ChoiceMode = iota
	ChoiceAuto             // as it likes
	ChoiceNone             // not at all
	ChoiceAny              // at least one
	ChoiceNamed            // the one named
)

// Choice is how the model may use tools.
type Choice struct {
	Mode   ChoiceMode
	Name   string // of ChoiceNamed
	Free   bool   // the tool named is a custom one
	Serial bool   // at most one call in an answer
}

// FormatKind is what form the answer's text shall have.
type FormatKind uint8

// The forms.
const (
	FormatText   FormatKind = iota
	FormatJSON              // some JSON object
	FormatSchema            // JSON that follows Format.Schema
)

// Format is the form of the answer's text.
type Format struct {
	Kind        FormatKind
	Name        Lit // string literal; nil when absent
	Description Lit // string literal; nil when absent
	Schema      Lit // JSON Schema
	Strict      Lit // true or false; nil when absent
}

// Thinking is how much the model shall think before it answers, and how much of
// that it tells.
type Thinking struct {
	Mode   ThinkingMode
	Level  Level // when Mode says so, or beside it
	Budget int64 // tokens; 0 when not bounded
	Tell   Lit   // string literal, such as "auto": how thinking is summed up; nil when absent
	Show   bool  // thoughts are asked for in the answer
}

// ThinkingMode says what decides how much the model thinks.
type ThinkingMode uint8

// The modes.
const (
	ThinkingUnset    ThinkingMode = iota // the model's default
	ThinkingOff                          // not at all
	ThinkingByLevel                      // Level
	ThinkingByBudget                     // Budget
	ThinkingAdaptive                     // the model itself
)

// Level is how much to think, in words.
type Level string

// The levels, from least to most.
const (
	LevelNone    Level = "none"
	LevelMinimal Level = "minimal"
	LevelLow     Level = "low"
	LevelMedium  Level = "medium"
	LevelHigh    Level = "high"
	LevelXHigh   Level = "xhigh"
	LevelMax     Level = "max"
)
