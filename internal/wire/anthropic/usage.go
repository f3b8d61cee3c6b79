package anthropic

import (
	"bytes"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// The members of a usage claim. The three input figures are disjoint already;
// the thinking tokens are part of the output.
const (
	countInput = iota
	countRead
	countWritten
	countOutput
	writtenBy
	outputDetails
	numCounts
)

var (
	countNames  = wire.NewNames("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens", "cache_creation", "output_tokens_details")
	writtenFor  = wire.NewNames("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
	thinkingFor = wire.NewNames("thinking_tokens")
)

// figure is a count that may be known.
type figure struct {
	n     int64
	known bool
}

// grow replaces a figure by a later one that is known. No 0 replaces more: the
// figures of a stream are cumulative, and compatible servers that repeat those of
// the beginning as 0 must not make the prompt free.
func (f *figure) grow(n int64, known bool) {
	if known && (n > 0 || !f.known) {
		*f = figure{n, true}
	}
}

// claim gathers what an answer claims. A stream claims in parts: message_start
// has the input and a first output, every message_delta has the output so far and
// may repeat the input, which server tools make grow.
type claim struct {
	wire.Figures
	input, cacheRead, written figure
	shortWrite, longWrite     figure
	output, thinking          figure
	final                     bool   // the output is that of the whole answer
	opening, closing          []byte // verbatim: of message_start, and the last after it
}

// maxPart is how much of each of two parts of a claim is kept.
const maxPart = wire.MaxClaim/2 - 1

// read takes the figures of one usage object in. final says that the output is
// not a first figure only.
func (c *claim) read(body []byte, usage wire.Span, final bool) {
	lit := usage.Of(body)
	if wire.KindOf(lit) <= wire.Null {
		return
	}
	if final {
		c.closing = wire.Bounded(c.closing, lit, maxPart)
	} else {
		c.opening = wire.Bounded(c.opening, lit, maxPart)
	}
	if wire.KindOf(lit) != wire.Object {
		c.Note("usage is not an object")
		return
	}
	var at [numCounts]wire.Span
	wire.Find(body, usage, countNames, at[:])
	c.input.grow(c.Count(at[countInput].Of(body), "input tokens"))
	c.cacheRead.grow(c.Count(at[countRead].Of(body), "cache read tokens"))
	c.written.grow(c.Count(at[countWritten].Of(body), "cache creation tokens"))
	n, has := c.Count(at[countOutput].Of(body), "output tokens")
	c.output.grow(n, has)
	c.final = c.final || final && has

	var by [2]wire.Span
	wire.Find(body, at[writtenBy], writtenFor, by[:])
	c.shortWrite.grow(c.Count(by[0].Of(body), "cache creation tokens of 5 minutes"))
	c.longWrite.grow(c.Count(by[1].Of(body), "cache creation tokens of 1 hour"))
	var out [1]wire.Span
	wire.Find(body, at[outputDetails], thinkingFor, out[:])
	c.thinking.grow(c.Count(out[0].Of(body), "thinking tokens"))
}

// usage is the claim as a whole. Until the output of the whole answer has been
// claimed it is unknown: the first figure of a stream that was cut is not what
// the answer took, and is kept as evidence only.
func (c *claim) usage() llm.Usage {
	if c.Flaw == "" && !c.final {
		return llm.Usage{Status: llm.UsageUnknown, Verbatim: bytes.Clone(c.opening)}
	}
	verbatim := c.closing
	if len(c.opening) > 0 {
		verbatim = append(append(append([]byte(nil), c.opening...), '\n'), c.closing...)
	}
	figures := c.Figures // asking twice must not change the answer
	t := c.tokens(&figures)
	return figures.Usage(t, verbatim)
}

// tokens are the classes, and notes what cannot be. Cache writes whose duration
// is not told are of the short one, which is the default, unless all the others
// are long.
func (c *claim) tokens(f *wire.Figures) (t llm.Tokens) {
	short, long := c.shortWrite.n, c.longWrite.n
	if rest := c.written.n - short - long; rest > 0 && short == 0 && long > 0 {
		long += rest
	} else if rest > 0 {
		short += rest
	}
	switch {
	case !c.input.known:
		f.Note("input tokens are missing")
	case c.written.known && short+long > c.written.n:
		f.Note("more cache writes by duration than in all")
	case c.thinking.n > c.output.n:
		f.Note("more thinking tokens than output")
	}
	t[llm.Input] = c.input.n
	t[llm.CacheRead] = c.cacheRead.n
	t[llm.CacheWrite5m] = short
	t[llm.CacheWrite1h] = long
	t[llm.Output] = c.output.n - c.thinking.n
	t[llm.Reasoning] = c.thinking.n
	return t
}
