package fault

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"
)

// TestKinds: every kind has a name of its own, words, a fitting status and a reason.
func TestKinds(t *testing.T) {
	reasons := []Reason{ReasonInternal, ReasonRequest, ReasonAuth, ReasonPolicy, ReasonBudget, ReasonLimit, ReasonUpstream}
	seen := map[string]Kind{}
	for k := range NumKinds {
		if other, dup := seen[k.String()]; dup || !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(k.String()) {
			t.Errorf("kinds %d and %d are both called %q", other, k, k)
		}
		seen[k.String()] = k
		if k.Status() < 400 || k.Status() > 599 || http.StatusText(k.Status()) == "" {
			t.Errorf("%v has status %d", k, k.Status())
		}
		if !slices.Contains(reasons, k.Reason()) {
			t.Errorf("%v has reason %q", k, k.Reason())
		}
		if New(k, "").Message() == "" {
			t.Errorf("%v has no public words", k)
		}
		if fromUpstream := k.Status() == 502 || k.Status() == 504; fromUpstream != (k.Reason() == ReasonUpstream) {
			t.Errorf("%v has status %d and reason %s", k, k.Status(), k.Reason())
		}
		if client := k.Status() < 500; client && k.Retryable() && k != RateLimited {
			t.Errorf("%v tells clients to repeat a request that cannot succeed", k)
		}
	}
}

// TestUnknownKindGivesNothingAway: what is not a kind is an internal error.
func TestUnknownKindGivesNothingAway(t *testing.T) {
	for _, k := range []Kind{NumKinds, 255} {
		e := New(k, "")
		if k.Status() != 500 || k.String() != "internal" || k.Reason() != ReasonInternal || e.Message() != "internal error" {
			t.Errorf("kind %d is %v with status %d: %s", k, k, k.Status(), e.Message())
		}
	}
}

func TestFrom(t *testing.T) {
	classified := Wrap(RateLimited, "slow down", io.ErrUnexpectedEOF)
	for _, err := range []error{classified, fmt.Errorf("attempt 1: %w", classified), errors.Join(io.EOF, classified)} {
		if got := From(err); got != classified {
			t.Errorf("%v is classified as %v", err, got)
		}
	}
	plain := errors.New("dial 10.0.0.1: canary")
	got := From(plain)
	if got.Kind != Internal || got.Message() != "internal error" || !errors.Is(got, plain) {
		t.Errorf("an unclassified error becomes %v with the words %q", got, got.Message())
	}
}

func TestError(t *testing.T) {
	cause := errors.New("the cause")
	for _, c := range []struct {
		err                *Error
		message, inTheLogs string
	}{
		{New(NotFound, "no model m"), "no model m", "not_found: no model m"},
		{Newf(BadRequest, "field %q", "x"), `field "x"`, `bad_request: field "x"`},
		{Wrap(UpstreamCut, "", cause), "the upstream's answer broke off", "upstream_cut: the upstream's answer broke off: the cause"},
	} {
		if c.err.Message() != c.message || c.err.Error() != c.inTheLogs {
			t.Errorf("%q for clients and %q in logs, want %q and %q", c.err.Message(), c.err.Error(), c.message, c.inTheLogs)
		}
	}
	if !errors.Is(Wrap(Internal, "", cause), cause) || New(Internal, "").Unwrap() != nil {
		t.Error("the cause is lost, or made up")
	}
}
