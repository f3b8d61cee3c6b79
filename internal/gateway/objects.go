package gateway

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/keep"
	"sallyport/internal/llm"
	"sallyport/internal/policy"
	"sallyport/internal/route"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// Objects such as files and batches stay at an upstream, which keeps those of all
// projects under one credential. Sallyport remembers whose each is before the
// client learns its id, and serves them in the client's own format only. What is
// not the project's own does not exist for it: not in a path, not in a body, not
// in a list.

// act is what a route of kind object does.
type act uint8

const (
	makes   act = iota // makes an object, which becomes the project's
	lists              // shows the project's own
	uses               // reads or changes one object, or what is below it
	removes            // deletes one
	reads              // reads the bytes of one
)

// stored is what a route of kind object says besides.
type stored struct {
	sort   keep.Kind // of what it creates or lists, or of what {id} names
	act    act
	upload bool // the body is a form with a file, not JSON
	bills  bool // costs what only later answers tell
	shared bool // Anthropic has the same path
}

// objectTable lists the routes of kind object, each served with and without /v1.
var objectTable = []endpoint{
	row(upstream.OpenAI, wire.Files, "POST /files", stored{sort: keep.File, act: makes, upload: true, shared: true}),
	row(upstream.OpenAI, wire.Files, "GET /files", stored{sort: keep.File, act: lists, shared: true}),
	row(upstream.OpenAI, wire.Files, "GET /files/{id}", stored{sort: keep.File, act: uses, shared: true}),
	row(upstream.OpenAI, wire.Files, "DELETE /files/{id}", stored{sort: keep.File, act: removes, shared: true}),
	row(upstream.OpenAI, wire.Files, "GET /files/{id}/content", stored{sort: keep.File, act: reads, shared: true}),

	row(upstream.OpenAI, wire.Batches, "POST /batches", stored{sort: keep.Batch, act: makes, bills: true}),
	row(upstream.OpenAI, wire.Batches, "GET /batches", stored{sort: keep.Batch, act: lists}),
	row(upstream.OpenAI, wire.Batches, "GET /batches/{id}", stored{sort: keep.Batch, act: uses}),
	row(upstream.OpenAI, wire.Batches, "POST /batches/{id}/cancel", stored{sort: keep.Batch, act: uses}),

	row(upstream.Anthropic, wire.MessageBatches, "POST /messages/batches", stored{sort: keep.Batch, act: makes, bills: true}),
	row(upstream.Anthropic, wire.MessageBatches, "GET /messages/batches", stored{sort: keep.Batch, act: lists}),
	row(upstream.Anthropic, wire.MessageBatches, "GET /messages/batches/{id}", stored{sort: keep.Batch, act: uses}),
	row(upstream.Anthropic, wire.MessageBatches, "DELETE /messages/batches/{id}", stored{sort: keep.Batch, act: removes}),
	row(upstream.Anthropic, wire.MessageBatches, "POST /messages/batches/{id}/cancel", stored{sort: keep.Batch, act: uses}),
	row(upstream.Anthropic, wire.MessageBatches, "GET /messages/batches/{id}/results", stored{sort: keep.Batch, act: reads}),

	row(upstream.Gemini, wire.CachedContents, "POST /cachedContents", stored{sort: keep.CachedText, act: makes, bills: true}),
	row(upstream.Gemini, wire.CachedContents, "GET /cachedContents", stored{sort: keep.CachedText, act: lists}),
	row(upstream.Gemini, wire.CachedContents, "GET /cachedContents/{id}", stored{sort: keep.CachedText, act: uses}),
	row(upstream.Gemini, wire.CachedContents, "PATCH /cachedContents/{id}", stored{sort: keep.CachedText, act: uses, bills: true}),
	row(upstream.Gemini, wire.CachedContents, "DELETE /cachedContents/{id}", stored{sort: keep.CachedText, act: removes}),

	row(upstream.OpenAI, wire.Conversations, "POST /conversations", stored{sort: keep.Conversation, act: makes}),
	row(upstream.OpenAI, wire.Conversations, "GET /conversations/{id}", stored{sort: keep.Conversation, act: uses}),
	row(upstream.OpenAI, wire.Conversations, "POST /conversations/{id}", stored{sort: keep.Conversation, act: uses}),
	row(upstream.OpenAI, wire.Conversations, "DELETE /conversations/{id}", stored{sort: keep.Conversation, act: removes}),
	row(upstream.OpenAI, wire.Conversations, "GET /conversations/{id}/items", stored{sort: keep.Conversation, act: uses}),
	row(upstream.OpenAI, wire.Conversations, "POST /conversations/{id}/items", stored{sort: keep.Conversation, act: uses}),
	row(upstream.OpenAI, wire.Conversations, "GET /conversations/{id}/items/{item}", stored{sort: keep.Conversation, act: uses}),
	row(upstream.OpenAI, wire.Conversations, "DELETE /conversations/{id}/items/{item}", stored{sort: keep.Conversation, act: uses}),

	row(upstream.OpenAI, wire.StoredResponses, "POST /responses/{id}/cancel", stored{sort: keep.Response, act: uses}),

	row(upstream.OpenAI, wire.VectorStores, "POST /vector_stores", stored{sort: keep.VectorStore, act: makes, bills: true}),
	row(upstream.OpenAI, wire.VectorStores, "GET /vector_stores", stored{sort: keep.VectorStore, act: lists}),
	row(upstream.OpenAI, wire.VectorStores, "GET /vector_stores/{id}", stored{sort: keep.VectorStore, act: uses}),
	row(upstream.OpenAI, wire.VectorStores, "POST /vector_stores/{id}", stored{sort: keep.VectorStore, act: uses}),
	row(upstream.OpenAI, wire.VectorStores, "DELETE /vector_stores/{id}", stored{sort: keep.VectorStore, act: removes}),
	row(upstream.OpenAI, wire.VectorStores, "POST /vector_stores/{id}/search", stored{sort: keep.VectorStore, act: uses, bills: true}),
	row(upstream.OpenAI, wire.VectorStores, "POST /vector_stores/{id}/files", stored{sort: keep.VectorStore, act: uses, bills: true}),
	row(upstream.OpenAI, wire.VectorStores, "GET /vector_stores/{id}/files", stored{sort: keep.VectorStore, act: uses}),
	row(upstream.OpenAI, wire.VectorStores, "GET /vector_stores/{id}/files/{item}", stored{sort: keep.VectorStore, act: uses}),
	row(upstream.OpenAI, wire.VectorStores, "POST /vector_stores/{id}/files/{item}", stored{sort: keep.VectorStore, act: uses}),
	row(upstream.OpenAI, wire.VectorStores, "DELETE /vector_stores/{id}/files/{item}", stored{sort: keep.VectorStore, act: uses}),
}

// row is one of them; path is method and path, as a ServeMux has them.
func row(speaks upstream.Kind, name wire.Endpoint, path string, s stored) endpoint {
	method, path, _ := strings.Cut(path, " ")
	return endpoint{name: name, kind: object, speaks: speaks, method: method, path: path, forward: path, stored: s}
}

// objectRoutes adds the routes of kind object to the data plane.
func (g *Gateway) objectRoutes(mux *http.ServeMux, byPattern map[string]endpoint, as *identity.Principal) {
	for _, e := range objectTable {
		for _, prefix := range e.prefixes() {
			pattern := e.method + " " + prefix + e.path
			byPattern[pattern] = e
			mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { g.handle(e.of(r), as).ServeHTTP(w, r) })
		}
	}
}

// prefixes are what a row is served below.
func (e endpoint) prefixes() []string {
	if e.speaks == upstream.Gemini {
		return []string{strings.TrimSuffix(googleOwn, "/"), strings.TrimSuffix(googleShared, "/")}
	}
	return []string{"", "/v1"}
}

// of is the row for the client that asks: a path that two APIs have is the one's
// whose client it is.
func (e endpoint) of(r *http.Request) endpoint {
	if e.shared && anthropicClient(r) {
		e.speaks = upstream.Anthropic
	}
	return e
}

// free reports whether nothing is generated, now or later.
func (e endpoint) free() bool { return e.kind == object && !e.bills }

// headerUpstream is how a client names the upstream of what it creates or lists
// where several could be meant.
const headerUpstream = "X-Sallyport-Upstream"

// objectQuery are the parameters of lists and reads. Others are refused: which of
// them would reach past the project nobody here can know.
var objectQuery = []string{
	"limit", "order", "after", "before", "after_id", "before_id", "purpose", "filter", "include", "include[]", "beta",
	"pageSize", "pageToken", "updateMask",
}

// keepQuery leaves in the request's query what goes on to the upstream.
func (x *Exchange) keepQuery(query url.Values) error {
	kept := url.Values{}
	for name, values := range query {
		switch {
		case name == "key", x.endpoint.speaks == upstream.Gemini && (name == "alt" || name == "$alt"): // read already
		case !slices.Contains(objectQuery, name):
			return fault.Newf(fault.BadRequest, "the parameter %q is not carried", clip(name, 64))
		case len(values) > 1 && !strings.HasPrefix(name, "include"): // which of them counts nobody knows
			return fault.Newf(fault.BadRequest, "the parameter %q is given twice", name)
		default:
			kept[name] = values
		}
	}
	x.request.URL.RawQuery = kept.Encode()
	return nil
}

// serveObject runs the exchange of a route of kind object.
func (x *Exchange) serveObject() {
	defer x.recover()
	err := x.authenticate()
	if err == nil {
		err = x.runObject()
	}
	if err != nil {
		x.refuse(err)
	}
}

// runObject is the way of an exchange about an object, once it is known who asks.
// An error means that nothing was sent to any upstream.
func (x *Exchange) runObject() error {
	release, err := x.takeSlot()
	if err != nil {
		return err
	}
	defer release()
	if err := x.readObject(); err != nil {
		return err
	}
	defer x.body.free()
	if err := x.locate(); err != nil {
		return err
	}
	if err := x.owners(); err != nil {
		return err
	}
	if err := x.askedModels(); err != nil {
		return err
	}
	if err := x.settleOn(); err != nil {
		return err
	}
	if err := x.intend(); err != nil {
		return err
	}
	x.finish(x.ask())
	return nil
}

// readObject takes the body of a request into memory, unless it is an upload.
func (x *Exchange) readObject() error {
	x.call = &wire.Call{Endpoint: x.endpoint.name}
	switch {
	case x.endpoint.method != http.MethodPost && x.endpoint.method != http.MethodPatch:
		x.body = &body{}
		return nil
	case x.endpoint.upload:
		x.body = &body{}
		return x.openUpload()
	}
	if err := x.read(); err != nil {
		return err
	}
	if len(x.body.bytes) == 0 {
		return nil
	}
	return wire.Scan(x.body.bytes, wire.Limits{Depth: x.snapshot.Limits.Depth}, nil, nil)
}

// cursors are the parameters that name an object of the list itself.
var cursors = []string{"after", "before", "after_id", "before_id"}

// locate finds the upstream of the objects that path and query name.
func (x *Exchange) locate() error {
	e := x.endpoint
	if e.act == makes && e.name == wire.Batches && len(x.principal.Models) > 0 {
		return fault.New(fault.Forbidden, "a key that is limited to some models may not create batches: which models they ask is in their files")
	}
	if item := x.request.PathValue("item"); item != "" && !plainID(item) {
		return fault.New(fault.NotFound, "")
	}
	if id := x.request.PathValue("id"); id != "" {
		return x.refer(e.sort, id, "")
	}
	for _, name := range cursors {
		if id := x.request.URL.Query().Get(name); id != "" {
			if err := x.refer(e.sort, id, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// refer looks up an object that the request names, and ties the request to the
// upstream that keeps it. pointer is where the body names it.
func (x *Exchange) refer(sort keep.Kind, id, pointer string) error {
	at, err := identity.Upstream(""), keep.ErrNotFound
	if plainID(id) {
		at, err = x.gateway.Keep.Owned(x.request.Context(), x.principal.Project, sort, id)
	}
	if errors.Is(err, keep.ErrNotFound) {
		e := fault.Newf(fault.NotFound, "no %s with the id %q exists", strings.ReplaceAll(string(sort), "_", " "), clip(id, 128))
		e.Pointer = pointer
		return e
	}
	if err != nil {
		return err
	}
	return x.pin(at, pointer)
}

// pin ties the request to an upstream that keeps something it refers to.
func (x *Exchange) pin(at identity.Upstream, pointer string) error {
	if x.pinned != "" && x.pinned != at {
		e := fault.New(fault.BadRequest, "the request refers to objects of different upstreams")
		e.Pointer = pointer
		return e
	}
	x.pinned = at
	return nil
}

// maxID bounds the ids of objects.
const maxID = 256

// plainID reports whether an id is one that may stand in a path: upstreams make
// them, and one that holds more than these characters could lead elsewhere.
func plainID(id string) bool {
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return id != "" && len(id) <= maxID
}

// settleOn asks policy which upstreams may serve the request, and takes the one
// that keeps what it refers to, that serves the models it names, that the client
// names, or that is the only one.
func (x *Exchange) settleOn() error {
	x.label = x.snapshot.label(x.principal.Project)
	x.record.Label = x.label.String()
	named := identity.Upstream(x.request.Header.Get(headerUpstream))
	var able []route.Candidate
	var denied policy.Decision
	for _, name := range x.possible() {
		u := x.snapshot.Upstreams[name]
		if u == nil || !x.speaks(u) || x.pinned != "" && x.pinned != name || named != "" && named != name || !x.reaches(name) {
			continue
		}
		x.learn(u)
		c, serves := x.candidateOn(u)
		if !serves {
			continue
		}
		d := policy.Decide(x.facts(c))
		if d.Effect != policy.Allow {
			denied = d
			continue
		}
		if able = append(able, c); len(able) == 1 {
			x.record.Effect, x.record.Rules = d.Effect.String(), d.Rules
		}
	}
	switch {
	case len(able) == 1 || len(able) > 0 && len(x.asks) > 0:
		x.candidates = able[:1]
		return nil
	case len(able) > 1:
		x.record.Effect, x.record.Rules = "", nil
		return fault.New(fault.BadRequest, "several upstreams could be meant: name one in the header "+headerUpstream)
	case denied.Rules == nil:
		return fault.New(fault.NotCarried, "no upstream that this key reaches serves this API")
	}
	x.record.Effect, x.record.Rules = denied.Effect.String(), denied.Rules
	return fault.Newf(fault.PolicyRefused, "no upstream of this API may carry data labelled %s (%s)", x.label, denied.Rules[0])
}

// reaches reports whether the principal may use a model of the upstream.
func (x *Exchange) reaches(name identity.Upstream) bool {
	if len(x.principal.Models) == 0 {
		return true
	}
	return slices.ContainsFunc(x.principal.Models, func(m identity.Model) bool {
		return slices.ContainsFunc(x.snapshot.Targets(m), func(t Target) bool { return t.Upstream == name })
	})
}

// ask makes the one attempt of an exchange about an object.
func (x *Exchange) ask() *attempt {
	c := x.candidates[0]
	a := &attempt{exchange: x, candidate: c, upstream: x.snapshot.Upstreams[c.Upstream], start: now(), follower: &noted{}}
	x.trying = a
	a.passObject()
	x.tried(a)
	x.commitHashes(a)
	if !a.committed {
		x.record.Fault = a.fault.Kind.String()
		x.reply.fault(a.fault)
	}
	return a
}

// noted is the follower of an answer that generates nothing: it knows the object.
type noted struct{ sum llm.Summary }

func (n *noted) Frame(wire.Event) wire.FrameKind { return wire.FrameInvalid }
func (n *noted) Summary() llm.Summary            { return n.sum }

// Body notes the id of the object that the answer is.
func (n *noted) Body(b []byte) error {
	if err := wire.ScanAnswer(b, nil, nil); err != nil {
		return err
	}
	n.sum = llm.Summary{ID: idOf(wire.Root(b)), Complete: true}
	return nil
}

// maxPages is how many pages of an upstream's list are looked through for one that
// holds anything of the project.
const maxPages = 50

// passObject sends the request and passes the answer on. Of a list it asks for the
// next page as long as a page holds nothing of the project's own.
func (a *attempt) passObject() {
	x := a.exchange
	ctx, cancel := context.WithCancelCause(x.request.Context())
	defer cancel(nil)
	end := time.Now().Add(x.snapshot.Limits.Total)
	if a.upstream.Total > 0 {
		end = time.Now().Add(a.upstream.Total)
	}
	first := cmp.Or(a.upstream.FirstFrame, x.snapshot.Limits.FirstFrame)
	watch := newWatch(cancel, first, end)
	defer watch.stop()
	a.edits = x.modelEdits(a.candidate.Upstream)
	sent, length, err := a.objectBody(ctx, func() { watch.alive(first) })
	if err != nil {
		a.end(llm.InternalFailure, fault.From(err))
		return
	}
	defer func() {
		if x.upload != nil {
			x.upload.note()
		}
		_ = sent.Close()
	}()
	query := x.request.URL.RawQuery
	for page := 1; query != "" || page == 1; page++ {
		query = a.passPage(ctx, watch, query, sent, length, page < maxPages)
	}
}

// passPage sends one request. It returns the query of the next page when this one
// holds nothing for the client and more is true.
func (a *attempt) passPage(ctx context.Context, watch *watch, query string, sent *outgoing, length int64, more bool) (next string) {
	x := a.exchange
	r := upstream.Request{
		Method: x.endpoint.method, Query: query, Header: a.objectHeader(), Length: length,
		Path: strings.NewReplacer("{id}", x.request.PathValue("id"), "{item}", x.request.PathValue("item")).Replace(x.endpoint.forward),
	}
	if length != 0 {
		r.Body = sent
	}
	a.wrote = true // until it is known better
	resp, err := a.upstream.Do(ctx, r)
	if x.upload != nil && x.upload.whole.Load() {
		x.reply.unread = false
	}
	if err != nil {
		a.wrote = length == 0 || sent.touched()
		if a.failed(ctx, err, llm.Unreachable); x.upload != nil {
			x.upload.blame(a)
		}
		return ""
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	watch.alive(a.stall())
	switch {
	case a.status < 200:
		a.end(llm.Malformed, fault.Newf(fault.UpstreamFailed, "the upstream answered with status %d", a.status))
	case a.status > 299:
		a.passError(ctx, resp, watch)
	case encodedAnswer(resp):
		a.end(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream compressed its answer though it was not asked to"))
	case x.endpoint.act == reads:
		a.passRaw(ctx, resp, watch, maxObject)
	default:
		return a.passAnswer(ctx, resp, watch, query, more)
	}
	return ""
}

// objectHeader is the header of a request about an object.
func (a *attempt) objectHeader() http.Header {
	x, h := a.exchange, a.forwardHeader()
	switch {
	case x.upload != nil:
		h["Content-Type"] = []string{x.request.Header.Get("Content-Type")}
	case len(x.body.bytes) == 0:
		h.Del("Content-Type")
	}
	if x.endpoint.act == reads {
		h["Accept"] = []string{"*/*"}
	}
	return h
}

// passAnswer passes on an answer in JSON, once everything in it is the project's own.
func (a *attempt) passAnswer(ctx context.Context, resp *http.Response, watch *watch, query string, more bool) (next string) {
	x := a.exchange
	b := &body{buf: buffers.Get().(*buffer)}
	var err error
	b.bytes, err = readAll(b.buf.b[:0], lively{resp.Body, watch, a.stall()}, x.snapshot.Limits.Answer, resp.ContentLength, nil)
	defer b.free()
	switch {
	case errors.Is(err, errTooLarge):
		a.end(llm.TooLarge, fault.New(fault.UpstreamInvalid, "the upstream's answer is too large"))
		return ""
	case err != nil:
		a.failed(ctx, err, llm.CutByUpstream)
		return ""
	}
	a.sum(b.bytes)
	if a.upstream.Leaks(b.bytes) {
		a.end(llm.CredentialEcho, fault.New(fault.UpstreamInvalid, "the upstream's answer was withheld"))
		return ""
	}
	if err := a.follower.Body(b.bytes); err != nil {
		a.end(llm.Malformed, fault.Wrap(fault.UpstreamInvalid, "", err))
		return ""
	}
	// The client may be gone by now; whose the object is must be known all the same.
	own := &adoption{attempt: a, ctx: context.WithoutCancel(ctx), body: b.bytes}
	if err := own.answer(); err != nil {
		f, state := fault.From(err), llm.InternalFailure
		if f.Kind == fault.UpstreamInvalid {
			state = llm.Malformed
		}
		a.end(state, f)
		return ""
	}
	if more && own.next != "" {
		return withCursor(query, x.endpoint.speaks, own.next)
	}
	a.removed = own.edits
	answer := b.bytes
	if len(a.removed) > 0 {
		s, err := wire.Splice(b.bytes, a.removed)
		if err != nil {
			a.end(llm.InternalFailure, fault.From(err))
			return ""
		}
		answer = s.Append(make([]byte, 0, s.Len()))
	}
	a.state = llm.Complete
	x.record.TTFB = now() - x.record.TS
	copyAnswerHeader(x.reply.header(), resp.Header, a.upstream)
	a.committed = true
	if !x.reply.whole(resp.StatusCode, answer) {
		a.state = llm.CutByClient
	}
	return ""
}

// withCursor is the query of the page behind an object, or that a token names.
func withCursor(query string, kind upstream.Kind, last string) string {
	v, _ := url.ParseQuery(query) // it was encoded here
	switch kind {
	case upstream.Anthropic:
		v.Set("after_id", last)
	case upstream.Gemini:
		v.Set("pageToken", last)
	default:
		v.Set("after", last)
	}
	return v.Encode()
}
