package gateway

import (
	"net/http"
	"net/netip"

	"sallyport/internal/keep"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// Route is one row of the route table, for tests that walk it.
type Route struct{ Name, Method, Path string }

// Routes is the route table, each row with and without the prefix /v1, and Google's
// routes below each of its prefixes, with {model} for the model.
func Routes() []Route {
	var all []Route
	for _, e := range table {
		for _, prefix := range []string{"", "/v1"} {
			all = append(all, Route{string(e.name), e.method, prefix + e.path})
		}
	}
	for _, prefix := range []string{googleShared, googleOwn} {
		for verb, e := range verbs {
			all = append(all, Route{string(e.name), http.MethodPost, prefix + "models/{model}:" + verb})
		}
	}
	for _, path := range []string{"models", "models/{id...}"} {
		all = append(all, Route{string(googleModels.name), http.MethodGet, googleOwn + path})
	}
	return all
}

// ObjectRoutes are the routes of objects that an upstream keeps, below /v1. Those
// that two APIs share are there once for each.
func ObjectRoutes() (all []ObjectRoute) {
	for _, e := range objectTable {
		all = append(all, ObjectRoute{Route{string(e.name), e.method, map[bool]string{true: "/v1beta", false: "/v1"}[e.speaks == upstream.Gemini] + e.path}, string(e.sort), e.act == lists, e.act == removes, e.speaks})
		if e.shared {
			all = append(all, ObjectRoute{Route{string(e.name), e.method, "/v1" + e.path}, string(e.sort), e.act == lists, e.act == removes, upstream.Anthropic})
		}
	}
	return all
}

// ObjectRoute is a route about objects.
type ObjectRoute struct {
	Route
	Sort           string
	Lists, Removes bool
	Speaks         upstream.Kind
}

// Mentions are the ids of objects that a body names, each behind its sort.
func Mentions(b []byte, calls bool) (found []string) {
	_ = mentions(b, calls, func(sort keep.Kind, lit []byte, _ int) error {
		found = append(found, string(sort)+" "+string(wire.Unquote(lit)))
		return nil
	})
	return found
}

// Member is what the folded name of a member tells Mentions.
func Member(name string) (sort keep.Kind, opaque bool) {
	return members[name].sort, members[name].opaque
}

// MaxObject bounds one file.
const MaxObject = maxObject

// Source is the address that failures of a request are throttled by.
func (g *Gateway) Source(r *http.Request) netip.Addr { return g.source(r) }

// Sampled reports whether the answer of an exchange with the salt is counted.
func Sampled(salt string, share float64) bool { return sampled(salt, share) }

// Bounds on sampled answers.
const (
	MaxSample  = maxSample
	MaxWaiting = maxWaiting
)

// Held is how many bytes of answers wait to be counted or come to be.
func (g *Gateway) Held() int64 { return g.samples.held.Load() }

// Rest is the pause of the counter.
var Rest = rest
