package gemini

import (
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// The members of a usage claim. Counts of 0 are left out.
const (
	countPrompt = iota
	countCached
	countAnswer
	countThoughts
	countToolUse
	countTotal
	promptBy
	cachedBy
	answerBy
	numCounts
)

var (
	countNames = wire.NewNames("promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "thoughtsTokenCount",
		"toolUsePromptTokenCount", "totalTokenCount", "promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails")
	modalityNames = wire.NewNames("modality", "tokenCount")
)

// claim is a usage claim as figures. The prompt contains what a cache served;
// results of the provider's own tools, the answer and thoughts stand beside it.
type claim struct {
	wire.Figures
	prompt, cached, answer, thoughts, toolUse, total int64
	hasPrompt, hasTotal                              bool
	audioIn, audioCached, audioOut                   int64
}

// readUsage turns a usageMetadata object into disjoint token classes. It reports
// false for one without any of the principal figures, which claims nothing.
func readUsage(body []byte, usage wire.Span) (llm.Usage, bool) {
	verbatim := usage.Of(body)
	if wire.KindOf(verbatim) != wire.Object {
		return llm.Usage{Status: llm.UsageImplausible, Verbatim: verbatim, Reason: "usage is not an object"}, true
	}
	var c claim
	var at [numCounts]wire.Span
	wire.Find(body, usage, countNames, at[:])
	has := false
	c.prompt, c.hasPrompt = c.Count(at[countPrompt].Of(body), "prompt tokens")
	c.cached, _ = c.Count(at[countCached].Of(body), "cached tokens")
	c.answer, has = c.Count(at[countAnswer].Of(body), "tokens of the candidates")
	c.thoughts, _ = c.Count(at[countThoughts].Of(body), "thought tokens")
	c.toolUse, _ = c.Count(at[countToolUse].Of(body), "tokens of tool use")
	c.total, c.hasTotal = c.Count(at[countTotal].Of(body), "total tokens")
	if c.Flaw == "" && !c.hasPrompt && !has && !c.hasTotal {
		return llm.Usage{}, false
	}
	c.audioIn = c.audio(body, at[promptBy])
	c.audioCached = c.audio(body, at[cachedBy])
	c.audioOut = c.audio(body, at[answerBy])
	return c.Usage(c.tokens(), verbatim), true
}

// audio is how much of a figure its details say is sound.
func (c *claim) audio(body []byte, details wire.Span) (n int64) {
	for e := range wire.Elements(body, details) {
		var at [2]wire.Span
		wire.Find(body, e, modalityNames, at[:])
		if string(at[0].Of(body)) == `"AUDIO"` {
			some, _ := c.Count(at[1].Of(body), "audio tokens")
			n += some
		}
	}
	return n
}

// tokens makes the classes disjoint and notes what cannot be. What the total has
// beyond its parts was generated unseen: some answers of thinking models leave the
// count of thoughts out. Images are billed as input is.
func (c *claim) tokens() (t llm.Tokens) {
	parts := c.prompt + c.answer + c.thoughts + c.toolUse
	switch {
	case !c.hasPrompt:
		c.Note("prompt tokens are missing")
	case c.cached > c.prompt:
		c.Note("more cached tokens than prompt")
	case c.hasTotal && c.total < parts:
		c.Note("total is less than its parts")
	case c.audioIn > c.prompt:
		c.Note("more audio tokens than prompt")
	case c.audioOut > c.answer:
		c.Note("more audio tokens than answer")
	}
	if c.hasTotal {
		c.thoughts += max(c.total-parts, 0)
	}
	audio := max(min(c.audioIn-c.audioCached, c.prompt-c.cached), 0)
	t[llm.Input] = c.prompt - c.cached - audio + c.toolUse
	t[llm.CacheRead] = c.cached
	t[llm.AudioIn] = audio
	t[llm.Output] = c.answer - c.audioOut
	t[llm.AudioOut] = c.audioOut
	t[llm.Reasoning] = c.thoughts
	return t
}
