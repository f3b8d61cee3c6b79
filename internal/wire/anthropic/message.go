package anthropic

import (
	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// message follows the answer to a messages request.
//
// Official clients take an event's name to tell whether it is one of theirs, and
// then what the type member of its data says. So do we:
//   - error: the event "error". Official clients raise on that name alone, so data
//     of type error under another one is failed.
//   - ping: the event "ping", data of type ping, and events without data or name.
//   - end: message_stop.
//   - content: a delta with anything in it; a block that begins with something in
//     it or is of a kind that needs no delta (tool use, results, redacted
//     thinking); and a message_delta with a stop reason, because an answer may be
//     empty and must commit all the same.
//   - meta: message_start, the rest of the above, content_block_stop, and types
//     that are not known.
//
// An event with data and no name is meta, whatever its data say, and does not
// complete an answer: official clients drop it without a word, so a stream of such
// events reaches nobody and must not pass for an answer. What it claims counts.
// Data without a type is not in the dialect.
type message struct {
	wire.Notes
	claim claim
}

const (
	eventType = iota
	eventMessage
	eventBlock
	eventDelta
	eventUsage
	numEvent
)

const (
	messageID = iota
	messageModel
	messageUsage
	messageStop
	messageContent
	messageType
	numMessage
)

var (
	eventNames   = wire.NewNames("type", "message", "content_block", "delta", "usage")
	messageNames = wire.NewNames("id", "model", "usage", "stop_reason", "content", "type")
	stopName     = wire.NewNames("stop_reason")
	typeName     = wire.NewNames("type")
)

// Frame implements wire.Follower.
func (m *message) Frame(ev wire.Event) wire.FrameKind {
	switch {
	case string(ev.Name) == "error":
		m.Fail()
		return wire.FrameError
	case string(ev.Name) == "ping", len(ev.Name) == 0 && len(ev.Data) == 0:
		return wire.FramePing
	case len(ev.Data) == 0:
		return wire.FrameMeta
	}
	b := ev.Data
	var at [numEvent]wire.Span
	if wire.ScanAnswer(b, eventNames, at[:]) != nil || wire.KindOf(at[eventType].Of(b)) != wire.String {
		return wire.FrameInvalid
	}
	kind := m.event(b, &at)
	if len(ev.Name) == 0 {
		return wire.FrameMeta
	}
	switch kind {
	case wire.FrameEnd:
		m.Complete()
	case wire.FrameFailed:
		m.Fail()
	}
	return kind
}

// event notes what one event tells and says what it means under its name.
func (m *message) event(b []byte, at *[numEvent]wire.Span) wire.FrameKind {
	switch string(at[eventType].Of(b)) {
	case `"content_block_delta"`:
		if says(b, at[eventDelta]) {
			return wire.FrameContent
		}
	case `"content_block_start"`:
		return block(b, at[eventBlock])
	case `"message_start"`:
		var in [numMessage]wire.Span
		wire.Find(b, at[eventMessage], messageNames, in[:])
		m.Name(in[messageModel].Of(b), in[messageID].Of(b))
		m.claim.read(b, in[messageUsage], false)
	case `"message_delta"`:
		m.claim.read(b, at[eventUsage], true)
		var stop [1]wire.Span
		wire.Find(b, at[eventDelta], stopName, stop[:])
		if wire.Filled(stop[0].Of(b)) {
			m.Finish(stop[0].Of(b))
			return wire.FrameContent
		}
	case `"message_stop"`:
		return wire.FrameEnd
	case `"ping"`:
		return wire.FramePing
	case `"error"`:
		return wire.FrameFailed
	}
	return wire.FrameMeta
}

// says reports whether a delta or a block holds anything but its type.
func says(b []byte, delta wire.Span) bool {
	for key, value := range wire.Members(b, delta) {
		if wire.Filled(value.Of(b)) && string(key.Of(b)) != `"type"` {
			return true
		}
	}
	return false
}

// block tells whether a content block that begins is content by itself: text and
// thinking usually begin empty, and their deltas follow.
func block(b []byte, at wire.Span) wire.FrameKind {
	var typ [1]wire.Span
	wire.Find(b, at, typeName, typ[:])
	switch string(typ[0].Of(b)) {
	case `"text"`, `"thinking"`, "":
		if !says(b, at) {
			return wire.FrameMeta
		}
	}
	return wire.FrameContent
}

// Body implements wire.Follower.
func (m *message) Body(b []byte) error {
	var at [numMessage]wire.Span
	if err := wire.ScanAnswer(b, messageNames, at[:]); err != nil {
		return err
	}
	m.Name(at[messageModel].Of(b), at[messageID].Of(b))
	m.claim.read(b, at[messageUsage], true)
	if string(at[messageType].Of(b)) == `"error"` {
		m.Fail()
		return nil
	}
	if wire.KindOf(at[messageContent].Of(b)) != wire.Array {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no content")
	}
	m.Finish(at[messageStop].Of(b))
	m.Complete()
	return nil
}

// Summary implements wire.Follower.
func (m *message) Summary() llm.Summary {
	m.Claim(m.claim.usage())
	return m.Notes.Summary()
}

// count follows the answer to a count_tokens request: its figure counts what a
// prompt would be, so the claim is of no tokens at all.
type count struct{ wire.Notes }

var countedName = wire.NewNames("input_tokens", "type")

// Frame implements wire.Follower: this endpoint has no streams.
func (*count) Frame(wire.Event) wire.FrameKind { return wire.FrameInvalid }

// Body implements wire.Follower.
func (c *count) Body(b []byte) error {
	var at [2]wire.Span
	if err := wire.ScanAnswer(b, countedName, at[:]); err != nil {
		return err
	}
	if string(at[1].Of(b)) == `"error"` {
		c.Fail()
		return nil
	}
	var f wire.Figures
	if _, has := f.Count(at[0].Of(b), "input tokens"); !has && f.Flaw == "" {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no count")
	}
	c.Claim(f.Usage(llm.Tokens{}, b))
	c.Complete()
	return nil
}
