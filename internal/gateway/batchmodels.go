package gateway

import (
	"bytes"
	"maps"
	"slices"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/record"
	"sallyport/internal/route"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// asked is a model that one request of a batch names.
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

// batchModels reads which models the requests of a message batch ask. Unlike those
// of OpenAI's batches, which stand in a file, they stand in the body.
func (x *Exchange) batchModels() error {
	if x.endpoint.name != wire.MessageBatches || x.endpoint.act != makes {
		return nil
	}
	b := x.body.bytes
	var at [1]wire.Span
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
		if err := wire.Lookup(b, params, batchModel, at[:]); err != nil {
			return err
		}
		name, err := wire.ModelName(at[0].Of(b))
		if err != nil {
			e := fault.From(err)
			e.Pointer = wire.Pointer(b, params.Start) + "/model"
			return e
		}
		model := identity.Model(name)
		if len(x.snapshot.Targets(model)) == 0 || !x.principal.MayUse(model) {
			e := fault.Newf(fault.NotFound, "the model %q does not exist or this key may not use it", clip(name, 128))
			e.Pointer = wire.Pointer(b, at[0].Start)
			return e
		}
		x.asks = append(x.asks, asked{at[0], model})
	}
	if len(x.asks) == 0 {
		return wire.Refuse("/requests", "this must be an array of requests")
	}
	x.record.Model = string(x.asks[0].model)
	if slices.ContainsFunc(x.asks, func(a asked) bool { return a.model != x.asks[0].model }) {
		x.record.Model = ""
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

// batchOn is the routing view of an upstream that serves all models which are named.
func (x *Exchange) batchOn(u *upstream.Upstream) (c route.Candidate, serves bool) {
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

// batchEdits put the upstream's own names of models in the place of the public ones.
func (x *Exchange) batchEdits(name identity.Upstream) (edits []wire.Edit) {
	for _, a := range x.asks {
		if t, ok := x.on(name, a.model); ok && t.Model != string(a.model) {
			edits = append(edits, wire.Edit{Span: a.Span, With: record.AppendString(nil, t.Model)})
		}
	}
	return edits
}
