package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auditlog"
	"sallyport/internal/auth"
	"sallyport/internal/console"
	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/policy"
	"sallyport/internal/price"
	"sallyport/internal/record"
	"sallyport/internal/route"
	"sallyport/internal/store"
)

// act writes an administrative act to the journal.
func (a *App) act(actor string, act auth.Act) error {
	r := record.Admin{
		TS: time.Now().UnixMicro(), ID: gateway.NewRecordID(), Actor: actor, Act: act.Act,
		Target: act.Target, Detail: act.Detail, Salt: gateway.NewSalt(),
	}
	_, err := a.journal.Append(r.Append(nil))
	return err
}

// reopen goes on with an audit log that the database does not hold as it was
// signed (auditlog.Log.Reopen).
func (a *App) reopen(ctx context.Context, actor, reason string) (console.Reopened, error) {
	head, err := a.auditLog.Reopen(ctx, record.Admin{
		TS: time.Now().UnixMicro(), Actor: actor, Detail: map[string]string{"reason": reason}, Salt: gateway.NewSalt(),
	})
	switch {
	case errors.Is(err, auditlog.ErrWhole):
		return console.Reopened{}, fault.New(fault.BadRequest, "there is nothing to reopen: the database holds all that this data folder remembers to be signed")
	case errors.Is(err, auditlog.ErrInconsistent):
		return console.Reopened{}, fault.Wrap(fault.BadRequest, "the database does not agree with itself, which a restored backup does: see sallyport log verify, and restore one", err)
	case head == nil:
		return console.Reopened{}, err
	case err != nil:
		a.log.Error("checkpoint not remembered outside the database", "size", head.Size, "error", err)
	}
	a.log.Warn("the audit log was reopened under a new origin", "alert", true, "origin", head.Origin, "size", head.Size, "actor", actor)
	if _, err := a.journal.Append(head.Append(nil)); err != nil {
		a.log.Error("checkpoint not copied into the journal", "size", head.Size, "error", err)
	}
	a.projector.SignAgain()
	return console.Reopened{Origin: head.Origin, Size: head.Size, VerifierKey: a.auditLog.VerifierKey(), Checkpoint: head.Note}, a.flush(ctx)
}

// models lists the public models with their targets and prices.
func (a *App) models() []console.Model {
	s := a.gateway.Snapshot()
	list := []console.Model{}
	for _, name := range s.Names() {
		m := console.Model{Name: string(name), Targets: []string{}, Price: "unknown"}
		for i, t := range s.Targets(name) {
			m.Targets = append(m.Targets, string(t.Upstream)+"/"+t.Model)
			if u := s.Upstreams[t.Upstream]; i == 0 && u != nil {
				m.Kind, m.Price = string(u.Kind), a.priceOf(t)
			}
		}
		list = append(list, m)
	}
	return list
}

// priceOf is the price of a target in USD per million tokens, input and output.
func (a *App) priceOf(t gateway.Target) string {
	p := a.parts.Load()
	provider := p.upstreams[t.Upstream].Payee(t.Model)
	if provider == price.Local {
		return "declared 0"
	}
	card, ok := p.book.At(provider, t.Model, time.Now().UnixMicro())
	if !ok {
		return "unknown"
	}
	perMillion := func(c llm.Class) string {
		if rate, ok := card.Rates[c]; ok {
			return (price.Nano(rate) * 1000).String() // micro-USD per million tokens, as nano-USD
		}
		return "unknown"
	}
	return perMillion(llm.Input) + " / " + perMillion(llm.Output)
}

func (a *App) upstreams() []console.Upstream {
	p := a.parts.Load()
	list := []console.Upstream{}
	for name, u := range p.upstreams {
		list = append(list, console.Upstream{
			Name: string(name), Kind: string(u.Kind), Host: u.Host(), Class: u.Class, Found: p.found[name],
			Models: len(u.Catalog().Models), Quarantined: quarantines(a.gateway.Snapshot(), name),
		})
	}
	slices.SortFunc(list, func(x, y console.Upstream) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// quarantines says which models of an upstream are out of routing, and why.
func quarantines(s *gateway.Snapshot, name identity.Upstream) string {
	var all []string
	for t, why := range s.Quarantined {
		if t.Upstream == name {
			all = append(all, t.Model+": "+why)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// test asks one upstream for its models, which costs nothing.
func (a *App) test(ctx context.Context, name string) (console.UpstreamTest, error) {
	u := a.parts.Load().upstreams[identity.Upstream(name)]
	if u == nil {
		return console.UpstreamTest{}, fault.Newf(fault.NotFound, "no upstream is called %q; see: sallyport upstreams ls", name)
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	start := time.Now()
	err := u.Refresh(ctx)
	t := console.UpstreamTest{Name: name, OK: err == nil, Models: len(u.Catalog().Models), Millis: time.Since(start).Milliseconds()}
	if err != nil {
		t.Error = err.Error()
	}
	return t, nil
}

// confirm gives a discovered upstream a class, for the address where it was found.
func (a *App) confirm(ctx context.Context, actor, name, class string) error {
	c, err := label.ParseClass(class)
	if err != nil {
		return fault.New(fault.BadRequest, err.Error())
	}
	p := a.parts.Load()
	set, ok := p.settings[identity.Upstream(name)]
	switch {
	case !ok:
		return fault.Newf(fault.NotFound, "no upstream is called %q; see: sallyport upstreams ls", name)
	case !p.found[set.Name]:
		return fault.Newf(fault.BadRequest, "the class of %q is set in the configuration file", name)
	case c != label.OnSite && c != label.Any:
		return fault.New(fault.BadRequest, "a discovered upstream is local or any")
	}
	err = a.store.Batch(ctx, func(tx *store.Tx) error {
		if err := tx.SetMeta(ctx, confirmKey(name), c.String()+" "+set.BaseURL); err != nil {
			return err
		}
		return a.act(actor, auth.Act{Act: "upstream.confirm", Target: name, Detail: map[string]string{"class": c.String(), "address": set.BaseURL}})
	})
	if err != nil {
		return err
	}
	return a.reload(ctx, actor)
}

// confirmCommand is what gives a discovered upstream its class.
func confirmCommand(name identity.Upstream) string {
	return "sallyport upstreams confirm " + string(name) + " --class local"
}

// explain says what policy decides about every target of a model for a label.
func (a *App) explain(model, labelName string) (console.Explanation, error) {
	s := a.gateway.Snapshot()
	l := s.Label
	if labelName != "" {
		var err error
		if l, err = label.ParseLabel(labelName); err != nil {
			return console.Explanation{}, fault.New(fault.BadRequest, err.Error())
		}
	}
	targets := s.Targets(identity.Model(model))
	if len(targets) == 0 {
		return console.Explanation{}, fault.Newf(fault.NotFound, "no model is called %q; see: sallyport models ls", model)
	}
	e := console.Explanation{Model: model, Label: l.String(), Targets: []console.ExplainedWay{}}
	var cs []route.Candidate
	for i, t := range targets {
		if c, ok := s.Candidate(t, i); ok {
			cs = append(cs, c)
		}
	}
	for _, c := range route.Order(cs) {
		_, quarantined := s.Quarantined[gateway.Target{Upstream: c.Upstream, Model: c.Model}]
		d := policy.Decide(policy.Facts{Label: l, Class: c.Class, Quarantined: quarantined})
		way := console.ExplainedWay{
			Upstream: string(c.Upstream), Model: c.Model, Class: c.Class, Effect: d.Effect.String(), Rules: d.Rules,
		}
		if p := a.parts.Load(); d.Effect == policy.Deny && p.found[c.Upstream] && p.settings[c.Upstream].Class == label.Any {
			way.Fix = confirmCommand(c.Upstream)
		}
		e.Targets = append(e.Targets, way)
	}
	return e, nil
}
