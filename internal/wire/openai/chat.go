package openai

import (
	"bytes"
	"math/bits"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// chat follows the answer to a chat completion.
//
// What its frames mean:
//   - content: a delta with anything in it but a role, so that a new kind of
//     content commits as well; and a chunk with a finish reason, because an answer
//     may be empty and must commit all the same.
//   - usage: a chunk with usage and without choices. It exists only because usage
//     was asked for. A chunk that has both is content or meta and never dropped.
//   - end: "[DONE]".
//   - error: the event "error", or a chunk with an error member. Official clients
//     raise when that member holds anything, or when the data is not JSON, under
//     whatever name; another form of error is failed.
//   - ping: an event without data or name, such as a comment.
//
// The answer is complete at [DONE] or, since some servers leave that out, once
// every choice that was asked for or has appeared got its finish reason.
type chat struct {
	wire.Notes
	asked    int64     // choices asked for
	seen     [2]uint64 // bits of choices that appeared; requests may ask for 128
	finished [2]uint64 // bits of choices with a finish reason
}

const (
	chunkID = iota
	chunkModel
	chunkChoices
	chunkUsage
	chunkError
	numChunk
)

const (
	choiceIndex = iota
	choiceDelta
	choiceMessage
	choiceFinish
	numChoice
)

var (
	chunkNames  = wire.NewNames("id", "model", "choices", "usage", "error")
	choiceNames = wire.NewNames("index", "delta", "message", "finish_reason")
	done        = []byte("[DONE]")
)

// Frame implements wire.Follower.
func (c *chat) Frame(ev wire.Event) wire.FrameKind {
	if kind, known := common(ev); known {
		if kind == wire.FrameEnd {
			c.Complete()
		}
		return kind
	}
	named := string(ev.Name) == "error"
	b := ev.Data
	var at [numChunk]wire.Span
	if wire.ScanAnswer(b, chunkNames, at[:]) != nil {
		if named {
			c.Fail()
			return wire.FrameError
		}
		return wire.FrameInvalid
	}
	c.Name(at[chunkModel].Of(b), at[chunkID].Of(b))
	usage := c.usage(b, at[chunkUsage])
	if lit := at[chunkError].Of(b); named || wire.Reports(lit) {
		c.Fail()
		return errorFrame(lit)
	}
	choices := at[chunkChoices].Of(b)
	switch wire.KindOf(choices) {
	case wire.Absent, wire.Null:
	case wire.Array:
		if wire.Filled(choices) {
			return c.choices(b, at[chunkChoices])
		}
	default:
		return wire.FrameInvalid
	}
	if usage {
		return wire.FrameUsage
	}
	return wire.FrameMeta
}

// common is what every stream of this dialect shares.
func common(ev wire.Event) (kind wire.FrameKind, known bool) {
	switch {
	case string(ev.Name) == "error":
		return 0, false
	case len(ev.Data) == 0 && len(ev.Name) == 0:
		return wire.FramePing, true
	case len(ev.Data) == 0:
		return wire.FrameMeta, true
	case ev.Data[0] != '{' && bytes.Equal(bytes.TrimSpace(ev.Data), done):
		return wire.FrameEnd, true
	}
	return 0, false
}

// errorFrame tells whether clients raise on a frame with this error member.
func errorFrame(lit []byte) wire.FrameKind {
	if wire.Filled(lit) || wire.True(lit) {
		return wire.FrameError
	}
	return wire.FrameFailed
}

// usage notes a claim and reports whether there is a usage member.
func (c *chat) usage(b []byte, at wire.Span) bool {
	if wire.KindOf(at.Of(b)) <= wire.Null {
		return false
	}
	if u, claims := readUsage(b, at, chatCounts, true); claims {
		c.Claim(u)
	}
	return true
}

// choices reads the choices of a chunk, of which there is at least one.
func (c *chat) choices(b []byte, array wire.Span) wire.FrameKind {
	kind := wire.FrameMeta
	for choice := range wire.Elements(b, array) {
		if wire.KindOf(choice.Of(b)) != wire.Object {
			return wire.FrameInvalid
		}
		var at [numChoice]wire.Span
		wire.Find(b, choice, choiceNames, at[:])
		if c.choice(b, &at) {
			kind = wire.FrameContent
		}
	}
	if c.finished != [2]uint64{} && c.finished == c.seen && c.count() >= c.asked {
		c.Complete()
	}
	return kind
}

// choice notes one choice and reports whether it has content or is finished.
func (c *chat) choice(b []byte, at *[numChoice]wire.Span) bool {
	var bit *uint64
	var mask uint64
	index, ok := wire.Int(at[choiceIndex].Of(b))
	if ok = ok || at[choiceIndex] == (wire.Span{}); ok && index >= 0 && index < 128 {
		bit, mask = &c.finished[index/64], 1<<(index%64)
		c.seen[index/64] |= mask
	}
	if reason := at[choiceFinish].Of(b); wire.KindOf(reason) == wire.String && wire.Filled(reason) {
		c.Finish(reason)
		if bit != nil {
			*bit |= mask
		}
		return true
	}
	return says(b, at[choiceDelta]) || says(b, at[choiceMessage])
}

// says reports whether a delta or a message holds anything but who speaks.
func says(b []byte, delta wire.Span) bool {
	for key, value := range wire.Members(b, delta) {
		if !wire.Filled(value.Of(b)) {
			continue
		}
		switch string(key.Of(b)) {
		case `"role"`, `"name"`:
		default:
			return true
		}
	}
	return false
}

func (c *chat) count() int64 {
	return int64(bits.OnesCount64(c.finished[0]) + bits.OnesCount64(c.finished[1]))
}

// Body implements wire.Follower.
func (c *chat) Body(b []byte) error {
	var at [numChunk]wire.Span
	if err := wire.ScanAnswer(b, chunkNames, at[:]); err != nil {
		return err
	}
	c.Name(at[chunkModel].Of(b), at[chunkID].Of(b))
	c.usage(b, at[chunkUsage])
	if wire.Reports(at[chunkError].Of(b)) {
		c.Fail()
		return nil
	}
	if wire.KindOf(at[chunkChoices].Of(b)) != wire.Array {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no choices")
	}
	if wire.Filled(at[chunkChoices].Of(b)) && c.choices(b, at[chunkChoices]) == wire.FrameInvalid {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has a choice that is no object")
	}
	c.Complete()
	return nil
}

// embeddings follows the answer to an embeddings request, which is never a stream.
type embeddings struct{ wire.Notes }

// Frame implements wire.Follower.
func (*embeddings) Frame(wire.Event) wire.FrameKind { return wire.FrameInvalid }

// embeddingNames has data where a chunk has choices.
var embeddingNames = wire.NewNames("id", "model", "data", "usage", "error")

// Body implements wire.Follower.
func (e *embeddings) Body(b []byte) error {
	var at [numChunk]wire.Span
	if err := wire.ScanAnswer(b, embeddingNames, at[:]); err != nil {
		return err
	}
	e.Name(at[chunkModel].Of(b), at[chunkID].Of(b))
	if wire.KindOf(at[chunkUsage].Of(b)) > wire.Null {
		if u, claims := readUsage(b, at[chunkUsage], chatCounts, false); claims {
			e.Claim(u)
		}
	}
	if wire.Reports(at[chunkError].Of(b)) {
		e.Fail()
		return nil
	}
	if wire.KindOf(at[chunkChoices].Of(b)) != wire.Array {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no data")
	}
	e.Complete()
	return nil
}
