package llm

import "strings"

// Origin is whose seal it is.
type Origin string

// The origins.
const (
	ByAnthropic Origin = "anthropic"
	ByOpenAI    Origin = "openai"
	ByGemini    Origin = "gemini"
	ByBedrock   Origin = "bedrock" // what a provider hides, as Bedrock spells it
	BySummary   Origin = "summary" // Sallyport's own: a conversation in the words of some model
	ByText      Origin = "text"    // a server that tells thoughts as plain text; nothing is sealed
)

// Seal is what a provider attached to thinking, or to a call, so that it
// recognises it in a later turn. Only the origin can read it.
type Seal struct {
	Origin Origin
	Data   string // empty when there is none
	Hidden bool   // the thinking itself is in Data; there is no text
	At     int    // byte offset into the request, of a seal that belongs to a call
}

// sealMark begins a seal that travels through a client of another format.
const sealMark = "sallyport."

// Portable is the seal as it is shown to clients of another format than its
// origin's: opaque text that OpenSeal takes apart when the client sends it back.
// It is empty when there is no seal.
func (s Seal) Portable() string {
	if s.Origin == "" || s.Data == "" && s.Origin != ByText {
		return ""
	}
	return sealMark + string(s.Origin) + "." + s.Data
}

// OpenSeal takes apart what Portable made. Other texts give the zero Seal.
func OpenSeal(text string) Seal {
	rest, ok := strings.CutPrefix(text, sealMark)
	if !ok {
		return Seal{}
	}
	origin, data, ok := strings.Cut(rest, ".")
	if !ok {
		return Seal{}
	}
	return Seal{Origin: Origin(origin), Data: data}
}
