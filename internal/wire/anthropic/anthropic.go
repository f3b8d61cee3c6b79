// Package anthropic is the dialect of the Anthropic API: messages and the
// counting of tokens.
//
// What it reads follows the published API reference and the official SDKs for
// Python (anthropic 2.12) and TypeScript (@anthropic-ai/sdk 1.12), whose sources
// decide what a client accepts.
package anthropic

import (
	"fmt"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// Dialect implements wire.Dialect. The zero value is ready for use.
type Dialect struct{}

var _ wire.Dialect = Dialect{}

// The members of a request that something here or behind depends on: variants of
// their names in other case are refused.
const (
	model = iota
	stream
	maxTokens
	messages
	numRead // the members from here on are guarded, but not read
)

var guard = wire.NewGuard("model", "stream", "max_tokens", "messages",
	"system", "tools", "metadata", "thinking", "service_tier")

const numMembers = numRead + 5

// Parse reads the body of a messages or count_tokens request. Members that
// nothing here depends on are left for the upstream to judge. Streams of this
// dialect always report usage, so there is never a UsageEdit.
func (Dialect) Parse(ep wire.Endpoint, body []byte, lim wire.Limits) (*wire.Call, error) {
	var at [numMembers]wire.Span
	if err := wire.Scan(body, lim, guard, at[:]); err != nil {
		return nil, err
	}
	c := &wire.Call{Endpoint: ep, ModelSpan: at[model], Choices: 1}
	var err error
	if c.Model, err = wire.ModelName(at[model].Of(body)); err != nil {
		return nil, err
	}
	if c.Stream, err = wire.Flag(at[stream].Of(body), "/stream"); err != nil {
		return nil, err
	}
	if wire.KindOf(at[messages].Of(body)) != wire.Array {
		return nil, wire.Refuse("/messages", "messages must be an array")
	}
	switch ep {
	case wire.Messages:
		if c.MaxOutput, err = wire.Bound(at[maxTokens].Of(body), "/max_tokens"); err != nil {
			return nil, err
		}
	case wire.CountTokens:
		c.Stream = false
	default:
		return nil, fault.Wrap(fault.Internal, "", fmt.Errorf("endpoint %q of the anthropic dialect takes no body", ep))
	}
	return c, nil
}

// Follow returns a follower for the answer to a call of any endpoint of this
// dialect.
func (Dialect) Follow(call *wire.Call) wire.Follower {
	if call.Endpoint == wire.CountTokens {
		return &count{}
	}
	return &message{}
}

// Heartbeat is the ping event that the service itself sends; SDKs skip it.
func (Dialect) Heartbeat(wire.Endpoint) []byte {
	return []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n")
}

// types is how each kind of fault is told: the error types of the API reference.
// The service sends them with statuses 400 (invalid_request_error), 401, 402
// (billing_error), 403, 404, 413 (request_too_large), 429, 500 (api_error), 504
// (timeout_error) and 529 (overloaded_error); SDKs go by the status.
var types = [fault.NumKinds]string{
	fault.Internal:         "api_error",
	fault.BadRequest:       "invalid_request_error",
	fault.Unauthenticated:  "authentication_error",
	fault.Forbidden:        "permission_error",
	fault.PolicyRefused:    "permission_error",
	fault.NotFound:         "not_found_error",
	fault.MethodNotAllowed: "invalid_request_error",
	fault.TooLarge:         "request_too_large",
	fault.UnsupportedMedia: "invalid_request_error",
	fault.RateLimited:      "rate_limit_error",
	fault.OverBudget:       "billing_error",
	fault.NotCarried:       "invalid_request_error",
	fault.UpstreamFailed:   "api_error",
	fault.UpstreamTimeout:  "timeout_error",
	fault.UpstreamCut:      "api_error",
	fault.UpstreamInvalid:  "api_error",
	fault.Unavailable:      "overloaded_error",
	fault.LoopDetected:     "invalid_request_error",
}

// Fault renders an error as {"type":"error","error":{"type","message"},
// "request_id"}. The shape has no place for a pointer, so the message begins with
// it, as the service's own messages begin with the place. As a frame it is the
// event "error", on which SDKs raise.
func (Dialect) Fault(_ wire.Endpoint, e *fault.Error, requestID string, frame bool) []byte {
	typ := types[fault.Internal]
	if e.Kind < fault.NumKinds {
		typ = types[e.Kind]
	}
	text := e.Message()
	if e.Pointer != "" {
		text = e.Pointer + ": " + text
	}
	b := make([]byte, 0, 512)
	if frame {
		b = append(b, "event: error\ndata: "...)
	}
	b = wire.AppendString(append(b, `{"type":"error","error":{"type":`...), typ)
	b = wire.AppendString(append(b, `,"message":`...), text)
	b = append(b, '}')
	if requestID != "" {
		b = wire.AppendString(append(b, `,"request_id":`...), requestID)
	}
	b = append(b, '}')
	if frame {
		b = append(b, '\n', '\n')
	}
	return b
}

// Format is how messages are translated.
func Format() wire.Format {
	return wire.Format{
		Endpoint: wire.Messages, Carries: carries, Read: read, Write: write, Follow: Dialect{}.Follow,
		Decode: func() wire.Decoder { return &decoder{} },
		Encode: func(a wire.Answering) wire.Encoder { return &encoder{to: a} },
	}
}
