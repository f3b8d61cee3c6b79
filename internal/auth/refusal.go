package auth

import (
	"time"

	"sallyport/internal/fault"
)

// Refusal is why a credential was not accepted: the cause inside the fault.Error
// that a client sees, for metrics and for errors.Is. It names no credential.
type Refusal string

// The refusals, closed. Unknown, Revoked and Altered look the same from outside:
// a thief is not told that the theft was noticed. Expired and Superseded say so,
// because only a holder of the true key can see it and it is what holders ask
// about most. Malformed and Mistyped are judged by form alone and give nothing away.
const (
	None       Refusal = "none"       // no credential at all
	Conflict   Refusal = "conflict"   // two different credentials in one request
	Scheme     Refusal = "scheme"     // an Authorization scheme other than Bearer
	Oversized  Refusal = "oversized"  // longer than MaxCredential
	Malformed  Refusal = "malformed"  // not in the form of Sallyport's keys
	Mistyped   Refusal = "mistyped"   // in that form, but the checksum does not match
	Unknown    Refusal = "unknown"    // no such credential
	Expired    Refusal = "expired"    // past its expiry
	Superseded Refusal = "superseded" // rotated, and past the overlap
	Revoked    Refusal = "revoked"    // revoked
	Altered    Refusal = "altered"    // its row was changed by someone without the master secret
	Stale      Refusal = "stale"      // the snapshot is too old to be believed
)

// Error implements error.
func (r Refusal) Error() string { return "credential refused: " + string(r) }

// refusals lists them all, for metrics.
var refusals = []Refusal{
	None, Conflict, Scheme, Oversized, Malformed, Mistyped, Unknown, Expired, Superseded, Revoked, Altered, Stale,
}

// staleRetry is what clients are told to wait when the snapshot is stale.
const staleRetry = 5 * time.Second

// fault is the refusal as a client sees it.
func (r Refusal) fault() *fault.Error {
	kind, public := fault.Unauthenticated, ""
	switch r {
	case None:
		public = "no API key was given: send it as Authorization: Bearer, x-api-key, x-goog-api-key or ?key="
	case Conflict:
		kind, public = fault.BadRequest, "the request carries two different API keys"
	case Scheme:
		public = "the Authorization header must use the Bearer scheme"
	case Oversized, Malformed:
		public = "this is not a Sallyport API key: those begin with " + prefixKey
	case Mistyped:
		public = "the API key is mistyped or incomplete: its checksum does not match"
	case Expired, Superseded:
		public = "this API key has expired"
	case Stale:
		kind, public = fault.Unavailable, "API keys cannot be checked now"
	}
	e := fault.Wrap(kind, public, r)
	if r == Stale {
		e.RetryAfter = staleRetry
	}
	return e
}
