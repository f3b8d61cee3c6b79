// Package fault is the closed set of things that go wrong with a request, and
// the public words for each. Every dialect maps a Kind to its own reply in one
// place; an error that carries no Kind is reported as internal, without its text.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is what went wrong, from the client's point of view.
type Kind uint8

// The kinds. The zero value is Internal, so an unclassified error gives nothing away.
const (
	Internal         Kind = iota // Sallyport itself failed
	BadRequest                   // the request is not what the route accepts
	Unauthenticated              // no credential, or one that is not valid
	Forbidden                    // the credential may not do this
	PolicyRefused                // policy allows no candidate to carry this data
	NotFound                     // no such route, model or object
	MethodNotAllowed             // the route exists for other methods
	TooLarge                     // the body exceeds its limit
	UnsupportedMedia             // a content type or encoding that is not accepted
	RateLimited                  // too many requests; come back after RetryAfter
	OverBudget                   // a budget is spent
	NotCarried                   // the upstream's dialect cannot carry this request
	UpstreamFailed               // no upstream gave an answer
	UpstreamTimeout              // no upstream answered in time
	UpstreamCut                  // an answer broke off
	UpstreamInvalid              // an answer is not in its dialect, or exceeds its limit
	Unavailable                  // Sallyport cannot serve now: draining, or it cannot record
	LoopDetected                 // the request has passed this gateway before
	NumKinds                     // how many kinds there are; not a kind
)

// Reason says which layer refused; it is the value of x-sallyport-reason.
type Reason string

// The reasons, closed.
const (
	ReasonInternal Reason = "internal"
	ReasonRequest  Reason = "request"
	ReasonAuth     Reason = "auth"
	ReasonPolicy   Reason = "policy"
	ReasonBudget   Reason = "budget"
	ReasonLimit    Reason = "limit"
	ReasonUpstream Reason = "upstream"
)

// facts are what every dialect shares about a kind.
var facts = [NumKinds]struct {
	name   string
	status int
	reason Reason
	retry  bool // whether the same request may succeed later without a change
	public string
}{
	Internal:         {"internal", 500, ReasonInternal, true, "internal error"},
	BadRequest:       {"bad_request", 400, ReasonRequest, false, "the request is not valid"},
	Unauthenticated:  {"unauthenticated", 401, ReasonAuth, false, "no valid API key was given"},
	Forbidden:        {"forbidden", 403, ReasonAuth, false, "this API key may not do that"},
	PolicyRefused:    {"policy_refused", 403, ReasonPolicy, false, "policy does not allow this request"},
	NotFound:         {"not_found", 404, ReasonRequest, false, "not found"},
	MethodNotAllowed: {"method_not_allowed", 405, ReasonRequest, false, "this route does not accept that method"},
	TooLarge:         {"too_large", 413, ReasonRequest, false, "the request body is too large"},
	UnsupportedMedia: {"unsupported_media", 415, ReasonRequest, false, "the content type or encoding is not supported"},
	RateLimited:      {"rate_limited", 429, ReasonLimit, true, "too many requests"},
	OverBudget:       {"over_budget", 402, ReasonBudget, false, "the budget is spent"},
	NotCarried:       {"not_carried", 400, ReasonRequest, false, "no upstream of this model speaks this API"},
	UpstreamFailed:   {"upstream_failed", 502, ReasonUpstream, true, "the upstream could not be reached"},
	UpstreamTimeout:  {"upstream_timeout", 504, ReasonUpstream, true, "the upstream did not answer in time"},
	UpstreamCut:      {"upstream_cut", 502, ReasonUpstream, true, "the upstream's answer broke off"},
	UpstreamInvalid:  {"upstream_invalid", 502, ReasonUpstream, true, "the upstream's answer is not valid"},
	Unavailable:      {"unavailable", 503, ReasonInternal, true, "the gateway cannot serve requests now"},
	LoopDetected:     {"loop_detected", 508, ReasonRequest, false, "the request has passed this gateway before"},
}

// String returns the stable name of the kind, such as "policy_refused".
func (k Kind) String() string { return facts[k.known()].name }

// Status is the HTTP status of the kind; dialects that insist on another say so themselves.
func (k Kind) Status() int { return facts[k.known()].status }

// Reason says which layer refuses with this kind.
func (k Kind) Reason() Reason { return facts[k.known()].reason }

// Retryable reports whether the same request may succeed later.
func (k Kind) Retryable() bool { return facts[k.known()].retry }

func (k Kind) known() Kind {
	if k >= NumKinds {
		return Internal
	}
	return k
}

// MaxRetryAfter bounds what clients are told to wait: some SDKs ignore longer
// values and hammer, others sleep for hours.
const MaxRetryAfter = 60 * time.Second

// Error is a classified failure. Public is for the client and never holds a
// prompt, a credential or an upstream's address; the cause is for logs.
type Error struct {
	Kind       Kind
	Public     string        // one sentence; empty means the kind's own words
	Pointer    string        // JSON pointer (RFC 6901) into the request, when one applies
	RetryAfter time.Duration // when set, what to tell the client; at most MaxRetryAfter
	Passed     int           // the status of an upstream whose error this is; 0 when it is Sallyport's own
	cause      error
}

// New returns a classified error with its own public words.
func New(k Kind, public string) *Error { return &Error{Kind: k, Public: public} }

// Newf is New with formatting. Arguments end up before the client's eyes.
func Newf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Public: fmt.Sprintf(format, args...)}
}

// Wrap classifies an error without showing its text to the client.
func Wrap(k Kind, public string, cause error) *Error {
	return &Error{Kind: k, Public: public, cause: cause}
}

// Pass returns the error that an upstream told with a status, for a client of
// another format. An empty message becomes the kind's own words.
func Pass(status int, message string) *Error {
	kind := UpstreamFailed
	switch {
	case status == 404:
		kind = NotFound
	case status == 413:
		kind = TooLarge
	case status == 429:
		kind = RateLimited
	case status == 402:
		kind = OverBudget
	case status >= 400 && status < 500:
		kind = BadRequest
	case status == 503 || status == 529:
		kind = Unavailable
	case status == 504:
		kind = UpstreamTimeout
	}
	return &Error{Kind: kind, Public: message, Passed: status}
}

// Status is the HTTP status to answer with.
func (e *Error) Status() int {
	if e.Passed >= 400 && e.Passed <= 599 {
		return e.Passed
	}
	return e.Kind.Status()
}

// Reason says which layer refuses.
func (e *Error) Reason() Reason {
	if e.Passed != 0 {
		return ReasonUpstream
	}
	return e.Kind.Reason()
}

// Error implements error with the public words and the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Kind.String() + ": " + e.Message() + ": " + e.cause.Error()
	}
	return e.Kind.String() + ": " + e.Message()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Message is what the client is told.
func (e *Error) Message() string {
	if e.Public != "" {
		return e.Public
	}
	return facts[e.Kind.known()].public
}

// From returns the classified error in err's chain; an unclassified error
// becomes Internal and keeps its text out of the reply.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Internal, cause: err}
}
