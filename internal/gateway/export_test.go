package gateway

import (
	"net/http"
	"net/netip"
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

// Source is the address that failures of a request are throttled by.
func (g *Gateway) Source(r *http.Request) netip.Addr { return g.source(r) }
