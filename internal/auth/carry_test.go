package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/fault"
)

func TestExtract(t *testing.T) {
	const a, b = "sp_aaaa", "sp_bbbb"
	long := strings.Repeat("x", MaxCredential+1)
	for _, tt := range []struct {
		name      string
		header    http.Header
		keys      []string
		want      string
		fromQuery bool
		refusal   Refusal
		kind      fault.Kind
	}{
		{name: "bearer", header: http.Header{"Authorization": {"Bearer " + a}}, want: a},
		{name: "bearer in lower case", header: http.Header{"Authorization": {"bearer  " + a}}, want: a},
		{name: "x-api-key", header: http.Header{"X-Api-Key": {a}}, want: a},
		{name: "x-goog-api-key", header: http.Header{"X-Goog-Api-Key": {a}}, want: a},
		{name: "query", keys: []string{a}, want: a, fromQuery: true},
		{
			name: "the same four times", keys: []string{a}, want: a, fromQuery: true,
			header: http.Header{"Authorization": {"Bearer " + a}, "X-Api-Key": {a}, "X-Goog-Api-Key": {a}},
		},
		{name: "empty ones are absent", header: http.Header{"Authorization": {"Bearer "}, "X-Api-Key": {""}, "X-Goog-Api-Key": {a}}, keys: []string{""}, want: a},
		{name: "empty authorization", header: http.Header{"Authorization": {""}, "X-Api-Key": {a}}, want: a},
		{name: "none", refusal: None, kind: fault.Unauthenticated},
		{name: "only empty ones", header: http.Header{"Authorization": {"Bearer"}, "X-Api-Key": {""}}, keys: []string{""}, refusal: None, kind: fault.Unauthenticated},
		{name: "two headers differ", header: http.Header{"Authorization": {"Bearer " + a}, "X-Api-Key": {b}}, refusal: Conflict, kind: fault.BadRequest},
		{name: "one header twice", header: http.Header{"X-Api-Key": {a, b}}, refusal: Conflict, kind: fault.BadRequest},
		{name: "authorization twice", header: http.Header{"Authorization": {"Bearer " + a, "Bearer " + b}}, refusal: Conflict, kind: fault.BadRequest},
		{name: "header and query differ", header: http.Header{"X-Goog-Api-Key": {a}}, keys: []string{b}, refusal: Conflict, kind: fault.BadRequest},
		{name: "query twice", keys: []string{a, b}, refusal: Conflict, kind: fault.BadRequest},
		{name: "basic", header: http.Header{"Authorization": {"Basic dTpw"}}, refusal: Scheme, kind: fault.Unauthenticated},
		{name: "basic beside a key", header: http.Header{"Authorization": {"Basic dTpw"}, "X-Api-Key": {a}}, refusal: Scheme, kind: fault.Unauthenticated},
		{name: "no scheme", header: http.Header{"Authorization": {a}}, refusal: Scheme, kind: fault.Unauthenticated},
		{name: "longest", header: http.Header{"X-Api-Key": {long[1:]}}, want: long[1:]},
		{name: "too long", header: http.Header{"Authorization": {"Bearer " + long}}, refusal: Oversized, kind: fault.Unauthenticated},
		{name: "too long in the query", keys: []string{long}, refusal: Oversized, kind: fault.Unauthenticated},
		{name: "too long beside a key", header: http.Header{"X-Api-Key": {a}}, keys: []string{long}, refusal: Oversized, kind: fault.Unauthenticated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Extract(tt.header, tt.keys)
			if tt.refusal != "" {
				if !errors.Is(err, tt.refusal) || fault.From(err).Kind != tt.kind || !c.Empty() {
					t.Fatalf("%v (%v), want %v", err, fault.From(err).Kind, tt.refusal)
				}
				return
			}
			if err != nil || c.Reveal() != tt.want || c.FromQuery != tt.fromQuery {
				t.Fatalf("%q from query %v, %v", c.Reveal(), c.FromQuery, err)
			}
		})
	}
}

func TestCredentialNeverShown(t *testing.T) {
	token := newToken(prefixKey).Reveal()
	c, err := Extract(http.Header{"X-Api-Key": {token}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb, c, &c, struct{ C Credential }{c})
	}
	b, err := json.Marshal(struct{ C Credential }{c})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "c", c)
	if s := out.String(); strings.Contains(s, token) || strings.Contains(s, fmt.Sprintf("%x", token)) {
		t.Fatalf("shown: %s", s)
	}
}

func FuzzExtract(f *testing.F) {
	f.Add("Bearer sp_a", "sp_a", "", "sp_a", true)
	f.Add("Basic x", "", "sp_a", "", false)
	f.Add("", "a", "b", "", true)
	f.Fuzz(func(t *testing.T, authorization, xAPIKey, goog, key string, query bool) {
		h := http.Header{"Authorization": {authorization}, "X-Api-Key": {xAPIKey}, "X-Goog-Api-Key": {goog}}
		var keys []string
		if query {
			keys = []string{key}
		}
		c, err := Extract(h, keys)
		offered := map[string]bool{xAPIKey: true, goog: true}
		if query {
			offered[key] = true
		}
		if token, ok := bearer(authorization); ok {
			offered[token] = true
		}
		delete(offered, "")
		if err == nil {
			if len(offered) != 1 || !offered[c.Reveal()] || len(c.Reveal()) > MaxCredential {
				t.Errorf("took %q of %v", c.Reveal(), offered)
			}
			return
		}
		if r, ok := errors.AsType[Refusal](err); !ok || r == None && len(offered) != 0 || r == Conflict && len(offered) < 2 {
			t.Errorf("%v for %v", err, offered)
		}
		for o := range offered {
			if len(o) > 7 && strings.Contains(err.Error(), o) && !strings.Contains(None.fault().Error()+Scheme.fault().Error()+Malformed.fault().Error()+Conflict.fault().Error(), o) {
				t.Errorf("the error tells %q", o)
			}
		}
	})
}
