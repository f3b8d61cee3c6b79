package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// address is what the path of a request to Google's API says and that other APIs
// say in the body.
type address struct {
	model  string
	stream bool
}

// verbs are the operations on a model of Google's API. A verb stands behind the last
// colon of the path, where no pattern of a ServeMux can tell it from the model.
var verbs = map[string]endpoint{
	"generateContent":       {name: wire.GenerateContent, kind: generate},
	"streamGenerateContent": {name: wire.GenerateContent, kind: generate, address: address{stream: true}},
	"countTokens":           {name: wire.CountContent, kind: count},
	"embedContent":          {name: wire.EmbedContent, kind: embed},
	"batchEmbedContents":    {name: wire.BatchEmbedContents, kind: embed},
}

// Google's API is served below two prefixes. Its clients moved from the first, where
// nothing else is, to the second, where OpenAI's list of models is as well.
const (
	googleOwn    = "/v1beta/"
	googleShared = "/v1/"
)

// googleModels is the list of models in Google's form.
var googleModels = endpoint{name: wire.Models, kind: local, speaks: upstream.Gemini, method: http.MethodGet}

// googleRoutes adds Google's API to the data plane, and to what its patterns mean.
func (g *Gateway) googleRoutes(mux *http.ServeMux, byPattern map[string]endpoint, as *identity.Principal) {
	mux.Handle("POST "+googleShared+"models/{rest...}", g.verb(as))
	mux.Handle("POST "+googleOwn+"models/{rest...}", g.verb(as))
	for _, path := range []string{"models", "models/{id...}"} {
		pattern := "GET " + googleOwn + path
		byPattern[pattern] = googleModels
		mux.Handle(pattern, g.handle(googleModels, as))
	}
}

// verb serves an operation on a model.
func (g *Gateway) verb(as *identity.Principal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest := r.PathValue("rest")
		colon := strings.LastIndexByte(rest, ':')
		e, known := verbRoute(rest[:max(colon, 0)], rest[colon+1:])
		switch {
		case colon < 0: // the models of both APIs are read only
			g.refuse(endpoint{name: wire.Models, speaks: upstream.OpenAI}, as, fault.MethodNotAllowed, http.MethodGet).ServeHTTP(w, r)
			return
		case !known:
			g.refuse(googleModels, as, fault.NotFound, "").ServeHTTP(w, r)
			return
		}
		g.handle(e, as).ServeHTTP(w, r)
	})
}

// verbRoute is the route of an operation on a model.
func verbRoute(model, verb string) (endpoint, bool) {
	e, known := verbs[verb]
	e.speaks, e.model, e.forward = upstream.Gemini, model, "/{model}:"+verb
	return e, known
}

// googleClient tells Google's clients on the paths that other APIs have as well:
// only they say so in a header.
func googleClient(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, googleOwn) || r.Header.Get("X-Goog-Api-Client") != ""
}

// resource is a model's name as paths and bodies of Google's API have it.
func resource(model string) string {
	if strings.HasPrefix(model, "tunedModels/") {
		return model
	}
	return "models/" + strings.TrimPrefix(model, "models/")
}

// addressed completes a call by what the path says.
func (x *Exchange) addressed(call *wire.Call) error {
	at := x.endpoint.address
	if at.model == "" && call.ModelSpan != (wire.Span{}) {
		return nil
	}
	if err := wire.CheckModel(at.model, ""); err != nil {
		return err
	}
	if call.Model != "" && call.Model != at.model {
		return wire.Refuse(wire.Pointer(x.body.bytes, call.Repeats[0].Start), "the body names another model than the path")
	}
	call.Model, call.Stream = at.model, at.stream
	return nil
}

// form reads from the query in which form a client of Google's API wants its answer:
// a stream comes as one JSON array unless events are asked for. Upstreams are always
// asked for events.
func (x *Exchange) form(query url.Values) error {
	alt := query.Get("alt")
	if alt == "" {
		alt = query.Get("$alt")
	}
	if alt != "" && alt != "json" && alt != "sse" {
		return fault.New(fault.BadRequest, "the parameter alt must be json or sse")
	}
	if x.endpoint.stream {
		x.request.URL.RawQuery = eventsQuery
		x.array = alt != "sse"
	}
	return nil
}

// eventsQuery asks Google's API for a stream of events.
const eventsQuery = "alt=sse"
