package bedrock

import (
	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// converse follows the answer to Converse or ConverseStream. The last event is
// metadata, which has the usage; an answer is whole from messageStop on, so that one
// whose connection ends there is not lost, though its usage is.
type converse struct {
	wire.Notes
}

const (
	ofOutput = iota
	ofStop
	ofUsage
	numOf
)

var ofNames = wire.NewNames("output", "stopReason", "usage")

// Frame implements wire.Follower.
func (c *converse) Frame(ev wire.Event) wire.FrameKind {
	var at [numOf]wire.Span
	if len(ev.Data) > 0 && wire.ScanAnswer(ev.Data, ofNames, at[:]) != nil {
		return wire.FrameInvalid
	}
	switch string(ev.Name) {
	case exception:
		c.Fail()
		return wire.FrameError
	case "contentBlockStart", "contentBlockDelta":
		return wire.FrameContent
	case "messageStop":
		c.Finish(at[ofStop].Of(ev.Data))
		c.Complete()
		return wire.FrameContent // an answer may be empty and must commit all the same
	case "metadata":
		c.claim(ev.Data, at[ofUsage])
		if c.Summary().Complete {
			return wire.FrameEnd
		}
	}
	return wire.FrameMeta
}

// Body implements wire.Follower.
func (c *converse) Body(b []byte) error {
	var at [numOf]wire.Span
	if err := wire.ScanAnswer(b, ofNames, at[:]); err != nil {
		return err
	}
	c.claim(b, at[ofUsage])
	if wire.KindOf(at[ofOutput].Of(b)) != wire.Object {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no output")
	}
	c.Finish(at[ofStop].Of(b))
	c.Complete()
	return nil
}

// The members of a usage claim. Input, cache reads and cache writes are disjoint.
const (
	countInput = iota
	countOutput
	countRead
	countWritten
	writtenBy
	numCounts
)

var (
	countNames  = wire.NewNames("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails")
	detailNames = wire.NewNames("ttl", "inputTokens")
)

// claim turns a usage object into token classes.
func (c *converse) claim(body []byte, usage wire.Span) {
	lit := usage.Of(body)
	if wire.KindOf(lit) <= wire.Null {
		return
	}
	var f wire.Figures
	if wire.KindOf(lit) != wire.Object {
		f.Note("usage is not an object")
	}
	var at [numCounts]wire.Span
	wire.Find(body, usage, countNames, at[:])
	var t llm.Tokens
	var hasInput, hasOutput bool
	t[llm.Input], hasInput = f.Count(at[countInput].Of(body), "input tokens")
	t[llm.Output], hasOutput = f.Count(at[countOutput].Of(body), "output tokens")
	t[llm.CacheRead], _ = f.Count(at[countRead].Of(body), "cache read tokens")
	written, _ := f.Count(at[countWritten].Of(body), "cache write tokens")
	for e := range wire.Elements(body, at[writtenBy]) {
		var by [2]wire.Span
		wire.Find(body, e, detailNames, by[:])
		if string(by[0].Of(body)) == `"1h"` {
			n, _ := f.Count(by[1].Of(body), "cache write tokens of 1 hour")
			t[llm.CacheWrite1h] += n
		}
	}
	t[llm.CacheWrite5m] = written - t[llm.CacheWrite1h]
	switch {
	case !hasInput || !hasOutput:
		f.Note("input or output tokens are missing")
	case t[llm.CacheWrite5m] < 0:
		f.Note("more cache writes by duration than in all")
	}
	c.Claim(f.Usage(t, lit))
}
