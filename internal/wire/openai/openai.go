// Package openai is the dialect of the OpenAI API and of the many servers that
// are compatible with it: chat completions, responses, embeddings, images, audio and
// moderations, and Cohere's rerank, which such servers have taken over.
//
// What it reads follows the published API reference and the official SDKs for
// Python (openai 3.54) and Node (openai 7.57 and 6.49), whose sources decide what
// a client accepts.
package openai

import (
	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// Dialect implements wire.Dialect. The zero value is ready for use.
type Dialect struct{}

var _ wire.Dialect = Dialect{}

// Follow returns a follower for the answer to a call of any endpoint of this
// dialect.
func (Dialect) Follow(call *wire.Call) wire.Follower {
	switch call.Endpoint {
	case wire.Responses, wire.Compact:
		return &responses{}
	case wire.Embeddings:
		return &embeddings{}
	case wire.Images, wire.ImageEdits, wire.ImageVariations, wire.Speech, wire.Transcriptions, wire.Translations, wire.Moderations, wire.Rerank:
		return newMedia(call)
	}
	return &chat{asked: max(call.Choices, 1)}
}

// Heartbeat is a comment line and a blank one. Every SDK skips the comment, and
// none dispatches an event for the blank line as long as the stream has not set
// an event id, so it belongs before the first frame of an upstream.
func (Dialect) Heartbeat(wire.Endpoint) []byte { return []byte(": heartbeat\n\n") }

// kinds is how each kind of fault is told, as OpenAI tells it where OpenAI has
// such an error: type is a word from its own list, code its own code or, where it
// has none, the kind's name.
var kinds = [fault.NumKinds]struct{ typ, code string }{
	fault.Internal:         {"server_error", "internal_error"},
	fault.BadRequest:       {"invalid_request_error", ""},
	fault.Unauthenticated:  {"authentication_error", "invalid_api_key"},
	fault.Forbidden:        {"permission_error", "forbidden"},
	fault.PolicyRefused:    {"permission_error", "policy_refused"},
	fault.NotFound:         {"invalid_request_error", "not_found"},
	fault.MethodNotAllowed: {"invalid_request_error", "method_not_supported"},
	fault.TooLarge:         {"invalid_request_error", "request_too_large"},
	fault.UnsupportedMedia: {"invalid_request_error", "unsupported_media"},
	fault.RateLimited:      {"rate_limit_error", "rate_limit_exceeded"},
	fault.OverBudget:       {"insufficient_quota", "insufficient_quota"},
	fault.NotCarried:       {"invalid_request_error", "not_carried"},
	fault.UpstreamFailed:   {"server_error", "upstream_failed"},
	fault.UpstreamTimeout:  {"server_error", "upstream_timeout"},
	fault.UpstreamCut:      {"server_error", "upstream_cut"},
	fault.UpstreamInvalid:  {"server_error", "upstream_invalid"},
	fault.Unavailable:      {"server_error", "service_unavailable"},
	fault.LoopDetected:     {"invalid_request_error", "loop_detected"},
}

// lastSequence is the sequence number of an error event made here. SDKs require
// the member; helpers that resume a stream drop events numbered below the last
// one they saw, and nothing here counts, so it is larger than any real one.
const lastSequence = "2147483647"

// Fault renders an error as {"error":{"message","type","param","code"}}; param
// is the JSON pointer or null, and the request id is added as request_id, which
// SDKs ignore (they read the x-request-id header).
//
// As a frame of a chat stream it is an unnamed event with the same object: every
// SDK raises when data.error is set. As a frame of a responses stream it is the
// event "error" with both shapes that SDKs know: the flat one of the API
// reference, and the error member that the services send, on which the Python and
// Node SDKs raise.
func (Dialect) Fault(ep wire.Endpoint, e *fault.Error, requestID string, frame bool) []byte {
	k := kinds[fault.Internal]
	if e.Kind < fault.NumKinds {
		k = kinds[e.Kind]
	}
	if e.Kind == fault.NotFound && (e.Pointer == "/model" || ep == wire.Models) {
		k.code = "model_not_found"
	}
	if e.Kind == fault.NotFound && e.Pointer == "/previous_response_id" {
		k.code = "previous_response_not_found"
	}
	b := make([]byte, 0, 512)
	switch {
	case frame && ep == wire.Responses:
		b = append(b, `event: error`+"\n"+`data: {"type":"error","sequence_number":`+lastSequence+`,"error":{`...)
		b = appendError(b, e, k.typ, k.code)
		b = append(b, `},`...)
		b = appendError(b, e, "", k.code)
	case frame:
		b = append(b, `data: {"error":{`...)
		b = append(appendError(b, e, k.typ, k.code), '}')
	default:
		b = append(b, `{"error":{`...)
		b = append(appendError(b, e, k.typ, k.code), '}')
	}
	if requestID != "" {
		b = wire.AppendString(append(b, `,"request_id":`...), requestID)
	}
	b = append(b, '}')
	if frame {
		b = append(b, '\n', '\n')
	}
	return b
}

// appendError appends the members that describe an error; without a type for the
// flat shape, where that member is taken.
func appendError(b []byte, e *fault.Error, typ, code string) []byte {
	b = wire.AppendString(append(b, `"message":`...), e.Message())
	if typ != "" {
		b = wire.AppendString(append(b, `,"type":`...), typ)
	}
	b = appendOptional(append(b, `,"param":`...), e.Pointer)
	return appendOptional(append(b, `,"code":`...), code)
}

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return wire.AppendString(b, s)
}

// Chat is how chat completions are translated.
func Chat() wire.Format {
	return wire.Format{
		Endpoint: wire.Chat, Carries: chatCarries, Fit: fit, Read: readChat, Write: writeChat, Follow: Dialect{}.Follow,
		Decode: func() wire.Decoder { return &chatDecoder{} },
		Encode: func(a wire.Answering) wire.Encoder { return &chatEncoder{to: a, model: a.Model} },
	}
}

// Responses is how responses are translated.
func Responses() wire.Format {
	return wire.Format{
		Endpoint: wire.Responses, Carries: responsesCarries, Fit: fit, Read: readResponses, Write: writeResponses, Follow: Dialect{}.Follow,
		Decode: func() wire.Decoder { return &responsesDecoder{} },
		Encode: func(a wire.Answering) wire.Encoder { return &responsesEncoder{to: a, model: a.Model} },
	}
}
