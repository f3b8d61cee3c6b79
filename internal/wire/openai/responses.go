package openai

import (
	"bytes"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// responses follows the answer to a responses request.
//
// An event is what the type member of its data says, as the SDKs have it; its
// name only counts where it is "error". What the events mean:
//   - end: response.completed, .incomplete, .failed and .cancelled, which also
//     carry the usage; and "[DONE]", which some servers send, but which completes
//     nothing by itself.
//   - meta: what opens or structures the answer, empty deltas, and types that do
//     not begin with "response.".
//   - content: every other event of a response, so that new kinds commit as well.
//   - ping: keepalive, and events without data or name.
//   - error: data of type error, or, under the name error or without a type, with
//     an error member; under that name without either, failed.
//
// Data without a type is not in the dialect, unless it reports an error.
type responses struct{ wire.Notes }

const (
	eventType = iota
	eventResponse
	eventItem
	eventDelta
	eventError
	numEvent
)

const (
	responseID = iota
	responseModel
	responseStatus
	responseUsage
	responseError
	responseOutput
	responseIncomplete
	numResponse
)

var (
	eventNames    = wire.NewNames("type", "response", "item", "delta", "error")
	responseNames = wire.NewNames("id", "model", "status", "usage", "error", "output", "incomplete_details")
	typeName      = wire.NewNames("type")
	reasonName    = wire.NewNames("reason")
)

// Frame implements wire.Follower.
func (r *responses) Frame(ev wire.Event) wire.FrameKind {
	if kind, known := common(ev); known {
		return kind
	}
	named := string(ev.Name) == "error"
	b := ev.Data
	var at [numEvent]wire.Span
	if wire.ScanAnswer(b, eventNames, at[:]) != nil {
		if named {
			r.Fail()
			return wire.FrameError
		}
		return wire.FrameInvalid
	}
	lit := at[eventType].Of(b)
	typed := wire.KindOf(lit) == wire.String
	if e := at[eventError].Of(b); named && string(lit) != `"error"` || !typed && wire.Reports(e) {
		r.Fail()
		return errorFrame(e)
	}
	if !typed {
		return wire.FrameInvalid
	}
	switch string(lit) {
	case `"error"`:
		r.Fail()
		return wire.FrameError
	case `"keepalive"`, `"ping"`:
		return wire.FramePing
	case `"response.completed"`, `"response.incomplete"`, `"response.failed"`, `"response.cancelled"`:
		r.within(b, at[eventResponse])
		if string(lit) == `"response.failed"` {
			r.Fail()
		}
		r.Complete()
		return wire.FrameEnd
	case `"response.created"`, `"response.queued"`, `"response.in_progress"`:
		r.within(b, at[eventResponse])
		return wire.FrameMeta
	case `"response.content_part.added"`, `"response.reasoning_summary_part.added"`:
		return wire.FrameMeta
	case `"response.output_item.added"`:
		return item(b, at[eventItem])
	}
	switch {
	case !bytes.HasPrefix(lit, []byte(`"response.`)):
		return wire.FrameMeta
	case bytes.HasSuffix(lit, []byte(`.delta"`)) && !wire.Filled(at[eventDelta].Of(b)):
		return wire.FrameMeta
	}
	return wire.FrameContent
}

// item tells whether an item that begins is content by itself: messages and
// reasoning begin empty, and their deltas follow.
func item(b []byte, at wire.Span) wire.FrameKind {
	var typ [1]wire.Span
	wire.Find(b, at, typeName, typ[:])
	switch string(typ[0].Of(b)) {
	case `"message"`, `"reasoning"`, "":
		return wire.FrameMeta
	}
	return wire.FrameContent
}

// within notes what the response object of an event tells.
func (r *responses) within(b []byte, object wire.Span) {
	var at [numResponse]wire.Span
	wire.Find(b, object, responseNames, at[:])
	r.response(b, &at)
}

// response notes what the members of a response object tell.
func (r *responses) response(b []byte, at *[numResponse]wire.Span) {
	r.Name(at[responseModel].Of(b), at[responseID].Of(b))
	if wire.KindOf(at[responseUsage].Of(b)) > wire.Null {
		if u, claims := readUsage(b, at[responseUsage], responseCounts, true); claims {
			r.Claim(u)
		}
	}
	switch string(at[responseStatus].Of(b)) {
	case `"queued"`, `"in_progress"`, "":
		return
	case `"failed"`:
		r.Fail()
	}
	var reason [1]wire.Span
	wire.Find(b, at[responseIncomplete], reasonName, reason[:])
	r.Finish(reason[0].Of(b))
	r.Finish(at[responseStatus].Of(b))
}

// Body implements wire.Follower.
func (r *responses) Body(b []byte) error {
	var at [numResponse]wire.Span
	if err := wire.ScanAnswer(b, responseNames, at[:]); err != nil {
		return err
	}
	r.response(b, &at)
	if wire.Reports(at[responseError].Of(b)) {
		r.Fail()
		return nil
	}
	if wire.KindOf(at[responseOutput].Of(b)) != wire.Array {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no output")
	}
	r.Complete()
	return nil
}
