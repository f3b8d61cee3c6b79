package auth

import (
	"net/http"
	"strings"

	"sallyport/internal/secret"
)

// MaxCredential is how long a presented credential may be, in bytes.
const MaxCredential = 512

// Credential is what a request carries to prove who asks. It never prints, logs
// or marshals itself.
type Credential struct {
	secret.String
	// FromQuery tells that the query carried it (?key=), so that the request's
	// URL holds a secret.
	FromQuery bool
}

// Extract finds the credential of a request in its four carriers: the header
// Authorization with the scheme Bearer (RFC 6750), x-api-key, x-goog-api-key, and
// the query parameter key, whose decoded values are passed in. The same
// credential in several carriers is fine, two different ones are not; empty
// values count as absent. Header names are expected in canonical form, as
// net/http reads them. Extract looks nothing up. Its error is a *fault.Error with
// a Refusal as cause.
func Extract(h http.Header, keys []string) (Credential, error) {
	var c Credential
	for _, v := range h["Authorization"] {
		text, ok := bearer(v)
		if !ok {
			return Credential{}, Scheme.fault()
		}
		if r := c.offer(text, false); r != "" {
			return Credential{}, r.fault()
		}
	}
	for _, name := range [...]string{"X-Api-Key", "X-Goog-Api-Key"} {
		for _, v := range h[name] {
			if r := c.offer(v, false); r != "" {
				return Credential{}, r.fault()
			}
		}
	}
	for _, v := range keys {
		if r := c.offer(v, true); r != "" {
			return Credential{}, r.fault()
		}
	}
	if c.Empty() {
		return Credential{}, None.fault()
	}
	return c, nil
}

// offer takes one carrier's value.
func (c *Credential) offer(text string, fromQuery bool) Refusal {
	switch {
	case text == "":
		return ""
	case len(text) > MaxCredential:
		return Oversized
	case c.Empty():
		c.String = secret.New(text)
	case c.Reveal() != text:
		return Conflict
	}
	c.FromQuery = c.FromQuery || fromQuery
	return ""
}

// bearer takes the token out of an Authorization value. An empty value and an
// empty token are absent credentials; any other scheme is refused. Schemes are
// compared without regard to case (RFC 9110 section 11.1).
func bearer(v string) (string, bool) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(v), " ")
	return strings.TrimLeft(token, " "), scheme == "" || strings.EqualFold(scheme, "Bearer")
}
