package gemini

import (
	"math/bits"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// content follows the answer to the generation of content.
//
// What its frames mean, each of which has the form of a whole answer:
//   - content: a candidate with anything in a part or with a finish reason, because an answer
//     may be empty and must commit all the same; and a prompt that was blocked.
//   - error: an error member.
//   - ping: an event without data.
//   - meta: all others.
//
// A stream has no last event. It is complete once every candidate that was asked
// for or has appeared got its finish reason, or when the prompt was blocked.
type content struct {
	wire.Notes
	asked    int64  // candidates asked for
	seen     uint64 // bits of candidates that appeared
	finished uint64 // bits of candidates with a finish reason
}

const (
	answerID = iota
	answerModel
	answerCandidates
	answerFeedback
	answerUsage
	answerError
	numAnswer
)

const (
	candidateIndex = iota
	candidateContent
	candidateFinish
	numCandidate
)

var (
	answerNames    = wire.NewNames("responseId", "modelVersion", "candidates", "promptFeedback", "usageMetadata", "error")
	candidateNames = wire.NewNames("index", "content", "finishReason")
	partsName      = wire.NewNames("parts")
	blockName      = wire.NewNames("blockReason")
)

// Frame implements wire.Follower.
func (c *content) Frame(ev wire.Event) wire.FrameKind {
	if len(ev.Data) == 0 {
		return wire.FramePing
	}
	var at [numAnswer]wire.Span
	if wire.ScanAnswer(ev.Data, answerNames, at[:]) != nil {
		return wire.FrameInvalid
	}
	return c.answer(ev.Data, &at)
}

// answer notes what an answer or one piece of it tells.
func (c *content) answer(b []byte, at *[numAnswer]wire.Span) wire.FrameKind {
	c.Name(at[answerModel].Of(b), at[answerID].Of(b))
	if wire.KindOf(at[answerUsage].Of(b)) > wire.Null {
		if u, claims := readUsage(b, at[answerUsage]); claims {
			c.Claim(u)
		}
	}
	if wire.Reports(at[answerError].Of(b)) {
		c.Fail()
		return wire.FrameError
	}
	kind := wire.FrameMeta
	switch list := at[answerCandidates]; wire.KindOf(list.Of(b)) {
	case wire.Absent, wire.Null:
	case wire.Array:
		for candidate := range wire.Elements(b, list) {
			if wire.KindOf(candidate.Of(b)) != wire.Object {
				return wire.FrameInvalid
			}
			if c.candidate(b, candidate) {
				kind = wire.FrameContent
			}
		}
		if c.finished != 0 && c.finished == c.seen && int64(bits.OnesCount64(c.finished)) >= c.asked {
			c.Complete()
		}
	default:
		return wire.FrameInvalid
	}
	var reason [1]wire.Span
	wire.Find(b, at[answerFeedback], blockName, reason[:])
	if wire.Filled(reason[0].Of(b)) {
		c.Finish(reason[0].Of(b))
		c.Complete()
		kind = wire.FrameContent
	}
	return kind
}

// candidate notes one candidate and reports whether it has content or is finished.
func (c *content) candidate(b []byte, object wire.Span) bool {
	var at [numCandidate]wire.Span
	wire.Find(b, object, candidateNames, at[:])
	index, ok := wire.Int(at[candidateIndex].Of(b))
	var mask uint64
	if ok = ok || at[candidateIndex] == (wire.Span{}); ok && index >= 0 && index < 64 {
		mask = 1 << index
		c.seen |= mask
	}
	if reason := at[candidateFinish].Of(b); wire.Filled(reason) && wire.KindOf(reason) == wire.String && string(reason) != `"FINISH_REASON_UNSPECIFIED"` {
		c.Finish(reason)
		c.finished |= mask
		return true
	}
	var parts [1]wire.Span
	wire.Find(b, at[candidateContent], partsName, parts[:])
	for part := range wire.Elements(b, parts[0]) {
		for _, value := range wire.Members(b, part) {
			if wire.Filled(value.Of(b)) {
				return true
			}
		}
	}
	return false
}

// Body implements wire.Follower.
func (c *content) Body(b []byte) error {
	var at [numAnswer]wire.Span
	if err := wire.ScanAnswer(b, answerNames, at[:]); err != nil {
		return err
	}
	switch c.answer(b, &at) {
	case wire.FrameError:
		return nil
	case wire.FrameInvalid:
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has a candidate that is no object")
	case wire.FrameMeta:
		if wire.KindOf(at[answerCandidates].Of(b)) != wire.Array {
			return fault.New(fault.UpstreamInvalid, "the upstream's answer has no candidates")
		}
	}
	c.Complete()
	return nil
}

// embeddings follows the answer to a request for embeddings, which is never a stream.
type embeddings struct{ wire.Notes }

// Frame implements wire.Follower.
func (*embeddings) Frame(wire.Event) wire.FrameKind { return wire.FrameInvalid }

var embeddingNames = wire.NewNames("embedding", "embeddings", "usageMetadata", "error")

// Body implements wire.Follower.
func (e *embeddings) Body(b []byte) error {
	var at [4]wire.Span
	if err := wire.ScanAnswer(b, embeddingNames, at[:]); err != nil {
		return err
	}
	if wire.KindOf(at[2].Of(b)) > wire.Null {
		if u, claims := readUsage(b, at[2]); claims {
			e.Claim(u)
		}
	}
	switch {
	case wire.Reports(at[3].Of(b)):
		e.Fail()
		return nil
	case wire.KindOf(at[0].Of(b)) != wire.Object && wire.KindOf(at[1].Of(b)) != wire.Array:
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no embedding")
	}
	e.Complete()
	return nil
}

// count follows the answer to the counting of tokens: its figure counts what a
// prompt would be, so the claim is of no tokens at all.
type count struct{ wire.Notes }

// Frame implements wire.Follower: this endpoint has no streams.
func (*count) Frame(wire.Event) wire.FrameKind { return wire.FrameInvalid }

var countedNames = wire.NewNames("totalTokens", "error")

// Body implements wire.Follower.
func (c *count) Body(b []byte) error {
	var at [2]wire.Span
	if err := wire.ScanAnswer(b, countedNames, at[:]); err != nil {
		return err
	}
	if wire.Reports(at[1].Of(b)) {
		c.Fail()
		return nil
	}
	var f wire.Figures
	if _, has := f.Count(at[0].Of(b), "total tokens"); !has && f.Flaw == "" {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no count")
	}
	c.Claim(f.Usage(llm.Tokens{}, b))
	c.Complete()
	return nil
}
