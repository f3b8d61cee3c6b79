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
	media                     // as generate; never translated, and the answer may be no JSON
	local                     // answered by Sallyport itself: authenticated, not recorded
	socketed                  // a WebSocket: a loop of generate
	kept                      // as local: what Sallyport keeps for the project
	object                    // recorded, passed on: what an upstream keeps for the project
)

// endpoint is one row of the route table.
type endpoint struct {
	name    wire.Endpoint
	kind    routeKind
	speaks  upstream.Kind // the API family of the route
	method  string
	path    string // below /v1 and below /
	forward string // below an upstream's base URL; {model} stands for the model
	form    bool   // the body is multipart/form-data
	address        // what the path says besides; zero where the body says it
	stored         // of kind object: what the route does
}

// table lists every route of the data plane once; each is served with and
// without the /v1 prefix.
var table = []endpoint{
	{name: wire.Chat, kind: generate, speaks: upstream.OpenAI, method: http.MethodPost, path: "/chat/completions", forward: "/chat/completions"},
	{name: wire.Responses, kind: generate, speaks: upstream.OpenAI, method: http.MethodPost, path: "/responses", forward: "/responses"},
	{name: wire.Compact, kind: generate, speaks: upstream.OpenAI, method: http.MethodPost, path: "/responses/compact", forward: "/responses/compact"},
	{name: wire.Embeddings, kind: embed, speaks: upstream.OpenAI, method: http.MethodPost, path: "/embeddings", forward: "/embeddings"},
	{name: wire.Messages, kind: generate, speaks: upstream.Anthropic, method: http.MethodPost, path: "/messages", forward: "/messages"},
	{name: wire.CountTokens, kind: count, speaks: upstream.Anthropic, method: http.MethodPost, path: "/messages/count_tokens", forward: "/messages/count_tokens"},
	{name: wire.Responses, kind: socketed, speaks: upstream.OpenAI, method: http.MethodGet, path: "/responses"},
	{name: wire.Responses, kind: kept, speaks: upstream.OpenAI, method: http.MethodGet, path: "/responses/{id}"},
	{name: wire.Responses, kind: kept, speaks: upstream.OpenAI, method: http.MethodGet, path: "/responses/{id}/input_items"},
	{name: wire.Responses, kind: kept, speaks: upstream.OpenAI, method: http.MethodDelete, path: "/responses/{id}"},
	{name: wire.Models, kind: local, speaks: upstream.OpenAI, method: http.MethodGet, path: "/models"},
	{name: wire.Models, kind: local, speaks: upstream.OpenAI, method: http.MethodGet, path: "/models/{id...}"},
}

// routes builds the data plane. With a principal every request acts as that
// principal; without one each request authenticates itself.
func (g *Gateway) routes(as *identity.Principal) http.Handler {
	mux := http.NewServeMux()
	byPattern := map[string]endpoint{}
	for _, e := range table {
		for _, prefix := range []string{"", "/v1"} {
			pattern := e.method + " " + prefix + e.path
			byPattern[pattern] = e
			mux.Handle(pattern, g.handle(e, as))
		}
	}
	g.googleRoutes(mux, byPattern, as)
	g.mediaRoutes(mux, byPattern, as)
	g.objectRoutes(mux, byPattern, as)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if g.Ready() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	unknown := endpoint{name: wire.Chat, speaks: upstream.OpenAI}
	nowhere := g.refuse(unknown, as, fault.NotFound, "")
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		e, allow := unknown, ""
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete, http.MethodPatch} {
			other := *r
			other.Method = method
			_, pattern := mux.Handler(&other)
			if known, ok := byPattern[pattern]; ok {
				e, allow = known.of(r), strings.TrimPrefix(allow+", "+method, ", ")
			}
		}
		if allow == "" {
			nowhere.ServeHTTP(w, r)
			return
		}
		g.refuse(e, as, fault.MethodNotAllowed, allow).ServeHTTP(w, r)
	})
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
// nothing about which routes exist. allow lists the methods of the path, if it has any.
func (g *Gateway) refuse(e endpoint, as *identity.Principal, kind fault.Kind, allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := g.begin(w, r, e, as)
		err := x.authenticate()
		if err == nil {
			err = fault.New(kind, "")
			x.reply.allow = allow
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
		switch e.kind {
		case local:
			x.listModels()
		case kept:
			x.serveKept()
		case object:
			x.serveObject()
		case socketed:
			x.serveSocket(as)
		default:
			x.serve()
		}
		if x.reply.torn() {
			panic(http.ErrAbortHandler) // net/http's documented way to abort a response
		}
	})
}

// dialect is what the route's errors are written in, and what its bodies are
// parsed with. Paths that lead to no upstream are nobody's own.
func (g *Gateway) dialect(e endpoint, r *http.Request) wire.Dialect {
	switch {
	case e.speaks == upstream.Gemini || e.name == wire.Models && googleClient(r) || strings.HasPrefix(r.URL.Path, googleOwn):
		return g.Dialects[upstream.Gemini]
	case e.speaks == upstream.Anthropic || e.forward == "" && anthropicClient(r):
		return g.Dialects[upstream.Anthropic]
	}
	return g.Dialects[upstream.OpenAI]
}

// anthropicClient tells which family a client of a shared path belongs to: only
// Anthropic's clients send a version header, and only they look below /messages.
func anthropicClient(r *http.Request) bool {
	return r.Header.Get("Anthropic-Version") != "" || strings.HasPrefix(strings.TrimPrefix(r.URL.Path, "/v1"), "/messages/")
}
