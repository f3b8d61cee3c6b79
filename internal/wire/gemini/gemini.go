// Package gemini is the dialect of Google's Gemini API: the generation of content,
// the counting of tokens and embeddings.
//
// What it reads follows the published API reference (ai.google.dev/api) and the
// official SDKs for Python (google-genai 3.6), JavaScript (@google/genai 3.1) and
// Go (google.golang.org/genai 1.77), whose sources decide what a client accepts.
//
// The model and the wish for a stream stand in the path, not in the body. Names of
// members are those of protocol buffers in JSON: snake_case and camelCase mean the
// same.
package gemini

import (
	"strconv"

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
	case wire.CountContent:
		return &count{}
	case wire.EmbedContent, wire.BatchEmbedContents:
		return &embeddings{}
	}
	return &content{asked: max(call.Choices, 1)}
}

// Heartbeat is a blank event. Comments, which other formats have for this, break
// the SDKs for Go and Python; all of them skip blank lines.
func (Dialect) Heartbeat(wire.Endpoint) []byte { return []byte("\n\n") }

// statuses are the words of google.rpc.Code for each kind of fault, as the API
// tells them (ai.google.dev/gemini-api/docs/troubleshooting).
var statuses = [fault.NumKinds]string{
	fault.Internal:         "INTERNAL",
	fault.BadRequest:       "INVALID_ARGUMENT",
	fault.Unauthenticated:  "UNAUTHENTICATED",
	fault.Forbidden:        "PERMISSION_DENIED",
	fault.PolicyRefused:    "PERMISSION_DENIED",
	fault.NotFound:         "NOT_FOUND",
	fault.MethodNotAllowed: "UNIMPLEMENTED",
	fault.TooLarge:         "INVALID_ARGUMENT",
	fault.UnsupportedMedia: "INVALID_ARGUMENT",
	fault.RateLimited:      "RESOURCE_EXHAUSTED",
	fault.OverBudget:       "FAILED_PRECONDITION",
	fault.NotCarried:       "INVALID_ARGUMENT",
	fault.UpstreamFailed:   "INTERNAL",
	fault.UpstreamTimeout:  "DEADLINE_EXCEEDED",
	fault.UpstreamCut:      "INTERNAL",
	fault.UpstreamInvalid:  "INTERNAL",
	fault.Unavailable:      "UNAVAILABLE",
	fault.LoopDetected:     "FAILED_PRECONDITION",
}

// Fault renders an error as {"error":{"code","message","status","details"}}, where
// code is the HTTP status. The details are of Google's own types
// (google/rpc/error_details.proto): the place in the request, how long to wait,
// which some clients go by, and the request id.
//
// As a frame it is an unnamed event with the same object: every SDK raises when
// there is an error member whose code is a status of an error.
func (Dialect) Fault(_ wire.Endpoint, e *fault.Error, requestID string, frame bool) []byte {
	status := statuses[fault.Internal]
	if e.Kind < fault.NumKinds {
		status = statuses[e.Kind]
	}
	b := make([]byte, 0, 512)
	if frame {
		b = append(b, "data: "...)
	}
	w := wire.NewBuilder(b)
	w.Open().Key("error").Open()
	w.Key("code").Int(int64(e.Status())).StrMember("message", e.Message()).StrMember("status", status)
	w.Key("details").List()
	if e.Pointer != "" {
		detail(w, "BadRequest").Key("fieldViolations").List()
		w.Open().StrMember("field", e.Pointer).StrMember("description", e.Message()).Close().EndList().Close()
	}
	if e.RetryAfter > 0 {
		delay := min(e.RetryAfter, fault.MaxRetryAfter).Seconds()
		detail(w, "RetryInfo").StrMember("retryDelay", strconv.FormatFloat(delay, 'f', -1, 64)+"s").Close()
	}
	if requestID != "" {
		detail(w, "RequestInfo").StrMember("requestId", requestID).Close()
	}
	b = w.EndList().Close().Close().Bytes()
	if frame {
		b = append(b, '\n', '\n')
	}
	return b
}

// detail begins one entry of the details.
func detail(w *wire.Builder, typ string) *wire.Builder {
	return w.Open().StrMember("@type", "type.googleapis.com/google.rpc."+typ)
}

// Format is how the generation of content is translated.
func Format() wire.Format {
	return wire.Format{
		Endpoint: wire.GenerateContent, Carries: carries, Fit: fit, Read: read, Write: write, Follow: Dialect{}.Follow,
		Decode: func() wire.Decoder { return newDecoder() },
		Encode: func(a wire.Answering) wire.Encoder { return &encoder{to: a} },
	}
}
