package openai

import (
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// The members of a usage claim. Chat completions and embeddings say prompt and
// completion where responses say input and output.
const (
	promptCount = iota
	completionCount
	totalCount
	promptDetails
	completionDetails
	cacheHits   // DeepSeek
	cacheMisses // DeepSeek
	cachedAside // Moonshot
	numCounts
)

var (
	chatCounts = wire.NewNames("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
		"completion_tokens_details", "prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "cached_tokens")
	responseCounts = wire.NewNames("input_tokens", "output_tokens", "total_tokens", "input_tokens_details",
		"output_tokens_details", "prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "cached_tokens")
)

// The members of the details.
const (
	detailCached = iota
	detailAudio
	detailImage
	detailWritten
	detailWrittenBy
	numPromptDetails
)

const (
	detailReasoning = iota
	detailAudioOut
	numCompletionDetails
)

var (
	promptNames     = wire.NewNames("cached_tokens", "audio_tokens", "image_tokens", "cache_write_tokens", "cache_write_tokens_details")
	completionNames = wire.NewNames("reasoning_tokens", "audio_tokens")
	longWrite       = wire.NewNames("ttl_12h_tokens")
)

// claim is a usage claim as figures. The prompt figures contain the cached,
// written, audio and image ones; that is undone by tokens.
type claim struct {
	wire.Figures
	prompt, completion, total          int64
	hasPrompt, hasCompletion, hasTotal bool
	cached, written, writtenLong       int64
	audio, image                       int64
	reasoning, audioOut                int64
}

// readUsage turns a usage object into disjoint token classes. generates says
// that the endpoint generates tokens. It reports false for a usage without any of
// the principal figures, which claims nothing.
func readUsage(body []byte, usage wire.Span, names *wire.Names, generates bool) (llm.Usage, bool) {
	verbatim := usage.Of(body)
	if wire.KindOf(verbatim) != wire.Object {
		return llm.Usage{Status: llm.UsageImplausible, Verbatim: verbatim, Reason: "usage is not an object"}, true
	}
	var c claim
	if !c.read(body, usage, names) {
		return llm.Usage{}, false
	}
	return c.Usage(c.tokens(generates), verbatim), true
}

// read reads the figures; it reports false when the principal ones are absent.
func (c *claim) read(body []byte, usage wire.Span, names *wire.Names) bool {
	var at [numCounts]wire.Span
	wire.Find(body, usage, names, at[:])
	c.prompt, c.hasPrompt = c.Count(at[promptCount].Of(body), "prompt tokens")
	c.completion, c.hasCompletion = c.Count(at[completionCount].Of(body), "completion tokens")
	c.total, c.hasTotal = c.Count(at[totalCount].Of(body), "total tokens")
	if c.Flaw == "" && !c.hasPrompt && !c.hasCompletion && !c.hasTotal {
		return false
	}
	var in [numPromptDetails]wire.Span
	wire.Find(body, at[promptDetails], promptNames, in[:])
	c.audio, _ = c.Count(in[detailAudio].Of(body), "audio tokens of the prompt")
	c.image, _ = c.Count(in[detailImage].Of(body), "image tokens of the prompt")
	c.written, _ = c.Count(in[detailWritten].Of(body), "cache write tokens")
	var long [1]wire.Span
	wire.Find(body, in[detailWrittenBy], longWrite, long[:])
	c.writtenLong, _ = c.Count(long[0].Of(body), "cache write tokens of 12 hours")
	var out [numCompletionDetails]wire.Span
	wire.Find(body, at[completionDetails], completionNames, out[:])
	c.reasoning, _ = c.Count(out[detailReasoning].Of(body), "reasoning tokens")
	c.audioOut, _ = c.Count(out[detailAudioOut].Of(body), "audio tokens of the answer")

	cached, has := c.Count(in[detailCached].Of(body), "cached tokens")
	hits, hasHits := c.Count(at[cacheHits].Of(body), "cache hit tokens")
	misses, hasMisses := c.Count(at[cacheMisses].Of(body), "cache miss tokens")
	aside, _ := c.Count(at[cachedAside].Of(body), "cached tokens")
	switch {
	case has && hasHits && cached != hits:
		c.Note("two figures of cached tokens differ")
	case hasHits && hasMisses && hits+misses != c.prompt:
		c.Note("cache hits and misses are not the prompt")
	}
	switch {
	case has:
		c.cached = cached
	case hasHits:
		c.cached = hits
	default:
		c.cached = aside
	}
	return true
}

// tokens makes the classes disjoint and notes what cannot be.
func (c *claim) tokens(generates bool) (t llm.Tokens) {
	switch {
	case !c.hasPrompt:
		c.Note("prompt tokens are missing")
	case generates && !c.hasCompletion:
		c.Note("completion tokens are missing")
	case c.hasTotal && c.total < c.prompt+c.completion:
		c.Note("total is less than its parts")
	case !generates && c.hasTotal && c.total != c.prompt+c.completion:
		c.Note("total is more than its parts")
	}
	c.promptClasses(&t)
	c.completionClasses(&t)
	return t
}

// promptClasses divides the prompt. Images stay input: these endpoints do not
// bill them apart.
func (c *claim) promptClasses(t *llm.Tokens) {
	written, audio := c.written, c.audio
	if c.cached+written > c.prompt && written >= c.cached {
		// Chat completions report writes unadjusted: with the prefix that was read.
		written -= c.cached
	}
	switch {
	case c.cached > c.prompt:
		c.Note("more cached tokens than prompt")
	case c.cached+written > c.prompt:
		c.Note("more cached and written tokens than prompt")
	case audio > c.prompt:
		c.Note("more audio tokens than prompt")
	case c.image > c.prompt:
		c.Note("more image tokens than prompt")
	case c.writtenLong > c.written:
		c.Note("more long cache writes than cache writes")
	}
	// Cached tokens may be audio as well: what does not fit beside them is that.
	audio = max(min(audio, c.prompt-c.cached-written), 0)
	long := min(c.writtenLong, written)
	t[llm.Input] = c.prompt - c.cached - written - audio
	t[llm.CacheRead] = c.cached
	t[llm.CacheWrite5m] = written - long
	t[llm.CacheWrite1h] = long
	t[llm.AudioIn] = audio
}

// completionClasses divides what was generated. OpenAI counts reasoning within
// the completion; xAI counts it beside, and Gemini's compatible endpoint leaves it
// out, but both count it in the total, which therefore decides: what the total
// has beyond prompt and completion was generated unseen.
func (c *claim) completionClasses(t *llm.Tokens) {
	visible, reasoning := c.completion, c.reasoning
	var beside int64
	if c.hasTotal {
		beside = max(c.total-c.prompt-c.completion, 0)
	}
	if beside >= reasoning {
		reasoning = beside
	} else {
		visible -= reasoning
		reasoning += beside
	}
	switch {
	case visible < 0:
		c.Note("more reasoning tokens than completion")
	case c.audioOut > visible:
		c.Note("more audio tokens than completion")
	}
	t[llm.Output] = visible - c.audioOut
	t[llm.Reasoning] = reasoning
	t[llm.AudioOut] = c.audioOut
}
