package gateway

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/record"
	"sallyport/internal/route"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// asked is a model that the body names: one request of a batch, or what is cached.
type asked struct {
	wire.Span // of the name in the body
	model     identity.Model
}

// What is read of a message batch. Variants of the names are refused.
var (
	batchRequests = wire.NewGuard("requests")
	batchParams   = wire.NewGuard("params")
	batchModel    = wire.NewGuard("model")
)

// askedModels reads which models the body names of what is made: those that the
// requests of a message batch ask, or that of which a text is cached. Unlike them,
// the models of OpenAI's batches stand in a file.
func (x *Exchange) askedModels() error {
	b := x.body.bytes
	var at [1]wire.Span
	switch {
	case x.endpoint.act != makes:
		return nil
	case x.endpoint.name == wire.CachedContents:
		return x.asksFor(wire.Span{Start: max(bytes.IndexByte(b, '{'), 0), End: len(b)})
	case x.endpoint.name != wire.MessageBatches:
		return nil
	}
	if err := wire.Lookup(b, wire.Span{Start: max(bytes.IndexByte(b, '{'), 0), End: len(b)}, batchRequests, at[:]); err != nil {
		return err
	}
	for request := range wire.Elements(b, at[0]) {
		if err := wire.Lookup(b, request, batchParams, at[:]); err != nil {
			return err
		}
		params := at[0]
		if wire.KindOf(params.Of(b)) != wire.Object {
			return wire.Refuse(wire.Pointer(b, request.Start), "this needs a member params")
		}
		if err := x.asksFor(params); err != nil {
			return err
		}
	}
	if len(x.asks) == 0 {
		return wire.Refuse("/requests", "this must be an array of requests")
	}
	return nil
}

// asksFor notes the model that an object of the body names, which must be the
// principal's to use.
func (x *Exchange) asksFor(obj wire.Span) error {
	b := x.body.bytes
	var at [1]wire.Span
	if err := wire.Lookup(b, obj, batchModel, at[:]); err != nil {
		return err
	}
	name, err := wire.ModelName(at[0].Of(b))
	if err != nil {
		e := fault.From(err)
		e.Pointer = wire.Pointer(b, obj.Start) + "/model"
		return e
	}
	if x.endpoint.speaks == upstream.Gemini {
		name = strings.TrimPrefix(name, "models/")
	}
	model := identity.Model(name)
	if len(x.snapshot.Targets(model)) == 0 || !x.principal.MayUse(model) {
		e := fault.Newf(fault.NotFound, "the model %q does not exist or this key may not use it", clip(name, 128))
		e.Pointer = wire.Pointer(b, at[0].Start)
		return e
	}
	x.asks = append(x.asks, asked{at[0], model})
	switch {
	case len(x.asks) == 1:
		x.record.Model = name
	case model != x.asks[0].model:
		x.record.Model = "" // there are several
	}
	return nil
}

// possible are the upstreams that could serve the request, in the order they are
// preferred in where a model is named, else in that of their names.
func (x *Exchange) possible() (names []identity.Upstream) {
	if len(x.asks) == 0 {
		return slices.Sorted(maps.Keys(x.snapshot.Upstreams))
	}
	for _, t := range x.snapshot.Targets(x.asks[0].model) {
		names = append(names, t.Upstream)
	}
	return names
}

// candidateOn is the routing view of an upstream, if it serves all models that are named.
func (x *Exchange) candidateOn(u *upstream.Upstream) (c route.Candidate, serves bool) {
	c = route.Candidate{Upstream: u.Name, Class: u.ClassOf("")}
	for i, a := range x.asks {
		t, ok := x.on(u.Name, a.model)
		if !ok {
			return c, false
		}
		if i == 0 {
			c.Model = t.Model
		}
		c.Class = label.Worst(c.Class, u.ClassOf(t.Model))
	}
	return c, true
}

// on is a model's target at an upstream.
func (x *Exchange) on(name identity.Upstream, m identity.Model) (Target, bool) {
	targets := x.snapshot.Targets(m)
	i := slices.IndexFunc(targets, func(t Target) bool { return t.Upstream == name })
	if i < 0 {
		return Target{}, false
	}
	return targets[i], true
}

// modelEdits put the upstream's own names of models in the place of the public ones.
func (x *Exchange) modelEdits(name identity.Upstream) (edits []wire.Edit) {
	for _, a := range x.asks {
		t, _ := x.on(name, a.model)
		as := t.Model
		if x.endpoint.speaks == upstream.Gemini {
			as = resource(as)
		}
		if with := record.AppendString(nil, as); !bytes.Equal(with, a.Of(x.body.bytes)) {
			edits = append(edits, wire.Edit{Span: a.Span, With: with})
		}
	}
	return edits
}
