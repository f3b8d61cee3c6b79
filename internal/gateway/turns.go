package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/keep"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// A client of the Responses API may send only what is new and name the response
// before it. Where the upstream keeps responses itself, the name is checked to be
// the project's own and the request goes to that upstream. Everywhere else
// Sallyport keeps the turns, sealed, and puts them in front of what is new.

// turn is one response of a chain.
type turn struct {
	items  []byte // elements of a JSON array: everything said up to and with it
	input  []byte // elements of a JSON array: what was new in its request
	object []byte // the response itself
}

// recollection is what a request of the Responses API refers to and leaves behind.
type recollection struct {
	previous string      // the response that it names
	chain    []byte      // what was said before, as elements of a JSON array
	own      []byte      // what is new, as elements
	edits    []wire.Edit // that put the one in front of the other
	whole    []byte      // the body with the edits, once it was needed
	store    bool        // the client wants the response kept
}

// references are the members of a responses request that matter here. The
// variants of their names are refused as well.
var references = wire.NewGuard("previous_response_id", "store", "input", "conversation")

// recall finds out what a request of the Responses API refers to.
func (x *Exchange) recall() error {
	if x.endpoint.name != wire.Responses && x.endpoint.name != wire.Compact {
		return nil
	}
	b := x.body.bytes
	var at [4]wire.Span
	top := wire.Span{Start: bytes.IndexByte(b, '{'), End: len(b)}
	if err := wire.Lookup(b, top, references, at[:]); err != nil {
		return err
	}
	previous, store, input := at[0], at[1], at[2]
	// What an audit was answered nobody will refer to.
	keep := x.inside == nil && (wire.KindOf(store.Of(b)) != wire.Bool || wire.True(store.Of(b)))
	x.turns = &recollection{own: elements(input.Of(b)), store: keep}
	if err := x.dereference(previous, input); err != nil {
		return err
	}
	lit := previous.Of(b)
	switch wire.KindOf(lit) {
	case wire.Absent, wire.Null:
		return nil
	case wire.String:
	default:
		return wire.Refuse("/previous_response_id", "this must be a string")
	}
	id, whole := wire.Text(lit, 256)
	if !whole {
		return notKept(id)
	}
	x.turns.previous = id
	return x.continueFrom(id, previous, input)
}

// dereference puts items in the place of references to them: clients whose
// responses are kept name what they have seen by its id.
func (x *Exchange) dereference(previous, input wire.Span) error {
	b := x.body.bytes
	var own [][]byte
	found := false
	for span := range wire.Elements(b, input) {
		item := span.Of(b)
		var at [2]wire.Span
		wire.Find(b, span, referenceNames, at[:])
		typ := string(at[0].Of(b))
		id, _ := wire.Text(at[1].Of(b), 256)
		if typ != `"item_reference"` && (typ != "" || id == "" || !onlyID(b, span)) {
			own = append(own, item)
			continue
		}
		kept, err := x.gateway.Keep.Get(x.request.Context(), x.principal.Project, id)
		if errors.Is(err, keep.ErrNotFound) {
			at, err := x.gateway.Keep.Owned(x.request.Context(), x.principal.Project, keep.Item, id)
			if err != nil {
				return noItem(err, id, wire.Pointer(b, span.Start))
			}
			if err := x.pin(at, wire.Pointer(b, span.Start)); err != nil {
				return err
			}
			own = append(own, item)
			continue
		}
		if err != nil {
			return err
		}
		found = true
		own = append(own, kept)
	}
	if found {
		x.turns.own = join(nil, own...)
		x.turns.edits = x.prepend(previous, input)
	}
	return nil
}

// referenceNames are the members by which a reference to an item is known.
var referenceNames = wire.NewNames("type", "id")

// onlyID reports whether an object has no other member than its id: the short form
// of a reference.
func onlyID(b []byte, object wire.Span) bool {
	n := 0
	for range wire.Members(b, object) {
		n++
	}
	return n == 1
}

// noItem is what a client is told about a reference that leads to nothing of its own.
func noItem(err error, id, pointer string) error {
	if !errors.Is(err, keep.ErrNotFound) {
		return err
	}
	e := fault.Newf(fault.NotFound, "no item with the id %q is kept here for this project", clip(id, 128))
	e.Pointer = pointer
	return e
}

// continueFrom finds the response that a request names: on its own connection,
// among what is kept here, or at an upstream.
func (x *Exchange) continueFrom(id string, previous, input wire.Span) error {
	t := x.session.recall(id)
	if t == nil {
		document, err := x.gateway.Keep.Get(x.request.Context(), x.principal.Project, id)
		switch {
		case err == nil:
			t = parseTurn(document)
		case !errors.Is(err, keep.ErrNotFound):
			return err
		}
	}
	if t == nil {
		at, err := x.gateway.Keep.Owned(x.request.Context(), x.principal.Project, keep.Response, id)
		if errors.Is(err, keep.ErrNotFound) {
			return notKept(id)
		}
		if err != nil {
			return err
		}
		return x.pin(at, "/previous_response_id")
	}
	x.turns.chain = t.items
	x.turns.edits = x.prepend(previous, input)
	return nil
}

func notKept(id string) error {
	e := fault.Newf(fault.NotFound, "the previous response with the id %q does not exist", clip(id, 128))
	e.Pointer = "/previous_response_id"
	return e
}

// prepend is what puts the chain in front of the request's input.
func (x *Exchange) prepend(previous, input wire.Span) []wire.Edit {
	b := x.body.bytes
	all := wire.Edit{Span: input, With: join([]byte{'['}, x.turns.chain, x.turns.own)}
	all.With = append(all.With, ']')
	if input == (wire.Span{}) {
		top := bytes.IndexByte(b, '{') + 1
		all.Span = wire.Span{Start: top, End: top}
		all.With = append(append([]byte(`"input":`), all.With...), ',')
	}
	if previous == (wire.Span{}) {
		return []wire.Edit{all}
	}
	name := wire.Edit{Span: previous, With: []byte("null")}
	if all.Start < name.Start {
		return []wire.Edit{all, name}
	}
	return []wire.Edit{name, all}
}

// elements are what an input consists of: the elements of a JSON array.
func elements(input []byte) []byte {
	switch wire.KindOf(input) {
	case wire.Array:
		return bytes.TrimSpace(input[1 : len(input)-1])
	case wire.String:
		item := append([]byte(`{"type":"message","role":"user","content":`), input...)
		return append(item, '}')
	}
	return nil
}

// join appends elements with commas between those that hold anything.
func join(dst []byte, lists ...[]byte) []byte {
	first := true
	for _, list := range lists {
		if len(list) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		dst, first = append(dst, list...), false
	}
	return dst
}

// keeps reports whether an upstream keeps the responses that it gives.
func keeps(u *upstream.Upstream) bool {
	return u.Kind == upstream.OpenAI && u.Serves(wire.StoredResponses)
}

// leave keeps the turn that ended with a response, before the client learns that
// it has ended: the next request may follow at once. A turn that cannot be kept
// does not take the answer away; what names it later is told that it is not there.
func (x *Exchange) leave(a *attempt, object []byte) {
	if x.turns == nil || x.endpoint.name != wire.Responses || len(object) == 0 {
		return
	}
	v := wire.Root(object).Fields()
	id, output := v.Take("id").String(), v.Take("output")
	if id == "" {
		return
	}
	t := &turn{input: bytes.Clone(x.turns.own), object: bytes.Clone(object)}
	t.items = join(nil, x.turns.chain, x.turns.own, replayable(output))
	x.session.remember(id, t)
	if !x.turns.store {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.request.Context()), 5*time.Second)
	defer cancel()
	if err := x.remember(ctx, a, id, t, output); err != nil {
		x.gateway.Logger.Error("turn not kept", "request_id", x.record.RID, "error", err)
	}
}

// remember keeps a turn and its items by their ids; where the upstream keeps them,
// only whose they are.
func (x *Exchange) remember(ctx context.Context, a *attempt, id string, t *turn, output wire.Value) error {
	project := x.principal.Project
	documents := map[string][]byte{id: t.document()}
	there := a.translation == nil && keeps(a.upstream)
	for item := range output.Elements() {
		name := item.Fields().Take("id").String()
		if name == "" {
			continue
		}
		if documents[name] = item.Lit(); there {
			if err := x.gateway.Keep.Own(ctx, project, keep.Item, name, a.upstream.Name); err != nil {
				return err
			}
		}
	}
	if there {
		return x.gateway.Keep.Own(ctx, project, keep.Response, id, a.upstream.Name)
	}
	return x.gateway.Keep.Put(ctx, project, documents)
}

// replayable are the elements of an output that a later request may hold: all but
// reasoning without the sealed form, which only its provider could look up.
func replayable(output wire.Value) []byte {
	var kept [][]byte
	for item := range output.Elements() {
		f := item.Fields()
		if f.Take("type").Is("reasoning") && !f.Take("encrypted_content").Given() {
			continue
		}
		kept = append(kept, item.Lit())
	}
	return join(nil, kept...)
}

// terminal finds the response in the last events of a stream.
func terminal(frames []byte) (object []byte) {
	s := wire.NewSplitter(len(frames) + 1)
	s.Feed(frames)
	for s.Next() {
		data := s.Event().Data
		if len(data) == 0 || data[0] != '{' || !wire.Valid(data) {
			continue
		}
		f := wire.Root(data).Fields()
		switch f.Take("type").String() {
		case "response.completed", "response.incomplete":
			object = bytes.Clone(f.Take("response").Lit())
		}
	}
	return object
}

// document is the turn as it is kept: one JSON object.
func (t *turn) document() []byte {
	b := append(make([]byte, 0, len(t.items)+len(t.input)+len(t.object)+64), `{"items":[`...)
	b = append(append(b, t.items...), `],"input":[`...)
	b = append(append(b, t.input...), `],"response":`...)
	return append(append(b, t.object...), '}')
}

// parseTurn reads what document wrote; nil when it is something else that is kept.
func parseTurn(document []byte) *turn {
	f := wire.Root(document).Fields()
	if f.Take("response").Kind() != wire.Object {
		return nil
	}
	return &turn{
		items: elements(f.Take("items").Lit()), input: elements(f.Take("input").Lit()), object: f.Take("response").Lit(),
	}
}

// session is what a connection of many requests remembers: the last response on
// it, whether or not it is kept elsewhere. A nil session remembers nothing.
type session struct {
	id   string
	last *turn
}

func (s *session) remember(id string, t *turn) {
	if s != nil {
		s.id, s.last = id, t
	}
}

func (s *session) recall(id string) *turn {
	if s == nil || s.id != id {
		return nil
	}
	return s.last
}

// forget drops what the session remembers under an id: a request that went on from
// it has failed.
func (s *session) forget(id string) {
	if s != nil && s.id == id {
		s.id, s.last = "", nil
	}
}

// serveKept answers GET and DELETE /responses/{id} and GET of its input items from
// what is kept here for the project, or from the upstream that keeps it.
func (x *Exchange) serveKept() {
	defer x.recover()
	err := x.authenticate()
	var answer []byte
	if err == nil {
		answer, err = x.keptAnswer()
	}
	if errors.Is(err, keep.ErrNotFound) {
		if err = x.elsewhere(); err == nil {
			return
		}
	}
	if err != nil {
		x.refuse(err)
		return
	}
	x.reply.header()["Content-Type"] = []string{"application/json"}
	x.reply.whole(http.StatusOK, answer)
}

func (x *Exchange) keptAnswer() ([]byte, error) {
	ctx, project, id := x.request.Context(), x.principal.Project, x.request.PathValue("id")
	if x.request.Method == http.MethodDelete {
		if err := x.gateway.Keep.Drop(ctx, project, id); err != nil {
			return nil, err
		}
		w := wire.NewBuilder(nil).Open().StrMember("id", id).StrMember("object", "response").Key("deleted").Bool(true).Close()
		return w.Bytes(), nil
	}
	document, err := x.gateway.Keep.Get(ctx, project, id)
	if err != nil {
		return nil, err
	}
	t := parseTurn(document)
	if t == nil {
		return nil, keep.ErrNotFound
	}
	if strings.HasSuffix(x.request.URL.Path, "/input_items") {
		return inputItems(t.input), nil
	}
	return t.object, nil
}

// elsewhere asks the upstream that keeps a response of the project.
func (x *Exchange) elsewhere() error {
	e := &x.endpoint
	e.name, e.kind, e.forward, e.stored = wire.StoredResponses, object, e.path, stored{sort: keep.Response, act: uses}
	if e.method == http.MethodDelete {
		e.act = removes
	}
	x.record.Endpoint = string(e.name)
	return x.runObject()
}

// inputItems lists a turn's own input in the API's form. Items that have no id get
// the one of their place.
func inputItems(input []byte) []byte {
	list := append(append([]byte{'['}, input...), ']')
	var first, last string
	w := wire.NewBuilder(nil).Open().StrMember("object", "list").Key("data").List()
	n := 0
	for span := range wire.Elements(list, wire.Span{End: len(list)}) {
		var id [1]wire.Span
		wire.Find(list, span, idName, id[:])
		last, _ = wire.Text(id[0].Of(list), 256)
		item := span.Of(list)
		if last == "" && wire.KindOf(item) == wire.Object {
			last = "item_" + strconv.Itoa(n)
			item = join([]byte{'{'}, append([]byte(`"id":`), wire.Quote(last)...), bytes.TrimSpace(item[1:len(item)-1]))
			item = append(item, '}')
		}
		if n == 0 {
			first = last
		}
		w.Lit(item)
		n++
	}
	w.EndList().StrMember("first_id", first).StrMember("last_id", last).Key("has_more").Bool(false)
	return w.Close().Bytes()
}

var idName = wire.NewNames("id")
