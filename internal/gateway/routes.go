package gateway

import (
	"net/http"
	"path"
	"strings"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// routeKind says which way a request takes through the gateway.
type routeKind uint8

// The kinds of route that exist so far.
const (
	generate routeKind = iota // scanned, decided, recorded, priced
	embed                     // as generate; the answer is never a stream
	count                     // as generate; free by declaration
	local                     // answered by Sallyport itself: authenticated, not recorded
)

// endpoint is one row of the route table.
type endpoint struct {
	name    wire.Endpoint
	kind    routeKind
	speaks  upstream.Kind // the API family of the route
	method  string
	path    string // below /v1 and below /
	forward string // below an upstream's base URL; {model} stands for the model
	address        // what the path says besides; zero where the body says it
}

// table lists every route of the data plane once; each is served with and
// without the /v1 prefix.
var table = []endpoint{
	{name: wire.Chat, kind: generate, speaks: upstream.OpenAI, method: http.MethodPost, path: "/chat/completions", forward: "/chat/completions"},
	{name: wire.Responses, kind: generate, speaks: upstream.OpenAI, method: http.MethodPost, path: "/responses", forward: "/responses"},
	{name: wire.Embeddings, kind: embed, speaks: upstream.OpenAI, method: http.MethodPost, path: "/embeddings", forward: "/embeddings"},
	{name: wire.Messages, kind: generate, speaks: upstream.Anthropic, method: http.MethodPost, path: "/messages", forward: "/messages"},
	{name: wire.CountTokens, kind: count, speaks: upstream.Anthropic, method: http.MethodPost, path: "/messages/count_tokens", forward: "/messages/count_tokens"},
	{name: wire.Models, kind: local, speaks: upstream.OpenAI, method: http.MethodGet, path: "/models"},
	{name: wire.Models, kind: local, speaks: upstream.OpenAI, method: http.MethodGet, path: "/models/{id...}"},
}

// routes builds the data plane. With a principal every request acts as that
// principal; without one each request authenticates itself.
func (g *Gateway) routes(as *identity.Principal) http.Handler {
	mux := http.NewServeMux()
	for _, e := range table {
		h := g.handle(e, as)
		for _, prefix := range []string{"", "/v1"} {
			mux.Handle(e.method+" "+prefix+e.path, h)
			mux.Handle(prefix+e.path, g.refuse(e, as, fault.MethodNotAllowed))
		}
	}
	g.googleRoutes(mux, as)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if g.Ready() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	nowhere := g.refuse(endpoint{name: wire.Chat, speaks: upstream.OpenAI}, as, fault.NotFound)
	mux.Handle("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if plainPath(r.URL.EscapedPath()) {
			mux.ServeHTTP(w, r)
			return
		}
		nowhere.ServeHTTP(w, r)
	})
}

// plainPath reports whether ServeMux takes a path as it is. Others it would
// redirect by itself: before authentication, not in the route's format, and with
// the query, which may hold a key, in the Location.
func plainPath(p string) bool {
	if !strings.HasPrefix(p, "/") {
		return false
	}
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}

// refuse answers what has no handler. It authenticates first: strangers learn
// nothing about which routes exist.
func (g *Gateway) refuse(e endpoint, as *identity.Principal, kind fault.Kind) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := g.begin(w, r, e, as)
		err := x.authenticate()
		if err == nil {
			err = fault.New(kind, "")
		}
		x.refuse(err)
	})
}

// handle serves one endpoint.
func (g *Gateway) handle(e endpoint, as *identity.Principal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := g.begin(w, r, e, as)
		if !g.enter() { // nobody has been asked who they are, so nothing is recorded
			x.record.State, x.record.Fault = string(llm.Refused), fault.Unavailable.String()
			x.reply.fault(fault.New(fault.Unavailable, "the gateway is shutting down"))
			g.metrics.observe(&x.record)
			return
		}
		defer g.leave()
		if e.kind == local {
			x.listModels()
			return
		}
		x.serve()
	})
}

// dialect is what the route's errors are written in, and what its bodies are
// parsed with.
func (g *Gateway) dialect(e endpoint, r *http.Request) wire.Dialect {
	switch {
	case e.speaks == upstream.Gemini || e.name == wire.Models && googleClient(r) || strings.HasPrefix(r.URL.Path, googleOwn):
		return g.Dialects[upstream.Gemini]
	case e.speaks == upstream.Anthropic || e.name == wire.Models && anthropicClient(r):
		return g.Dialects[upstream.Anthropic]
	}
	return g.Dialects[upstream.OpenAI]
}

// anthropicClient tells which family a client of a shared path belongs to: only
// Anthropic's clients send a version header.
func anthropicClient(r *http.Request) bool {
	return r.Header.Get("Anthropic-Version") != "" || strings.HasPrefix(r.URL.Path, "/v1/messages") || strings.HasPrefix(r.URL.Path, "/messages")
}
