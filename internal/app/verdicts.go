package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/console"
	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// rulings are the verdicts that act on routing. Evidence adds up: a notice or a lower
// weight after a quarantine, as of another hypothesis, does not end it. Only a release
// or an override ends what a verdict did.
type rulings struct {
	mu      sync.Mutex
	trickle map[gateway.Target]float64       // share of requests that a quarantined target goes on to get
	pending []store.Verdict                  // recorded here and not yet seen in the database, oldest first
	acting  map[gateway.Target]store.Verdict // in force: lower, quarantine, or a release by evidence
}

func targetOf(v *store.Verdict) gateway.Target {
	return gateway.Target{Upstream: identity.Upstream(v.Upstream), Model: v.Target}
}

// tells reports whether a verdict does nothing to routing.
func tells(act record.Act) bool {
	return act == record.ActNotice || act == record.ActBegin || act == record.ActAudit
}

// take lets a verdict act.
func (r *rulings) take(v store.Verdict) {
	t := targetOf(&v)
	switch v.Act {
	case record.ActQuarantine:
		r.acting[t] = v
	case record.ActLower:
		if r.acting[t].Act != record.ActQuarantine {
			r.acting[t] = v
		}
	case record.ActRelease, record.ActOverride:
		delete(r.acting, t)
		if v.Act == record.ActRelease && v.Actor == watchActor && time.Since(time.UnixMicro(v.TS)) < probation {
			r.acting[t] = v
		}
	}
}

// settle works out what is in force from the database's verdicts and those that it
// does not have yet. It is called under mu.
func (r *rulings) settle(stored []store.Verdict) {
	known := make(map[string]bool, len(stored))
	r.acting = map[gateway.Target]store.Verdict{}
	for _, v := range stored {
		known[v.ID] = true
		r.take(v)
	}
	r.pending = slices.DeleteFunc(r.pending, func(v store.Verdict) bool { return known[v.ID] || tells(v.Act) })
	for _, v := range r.pending {
		r.take(v)
	}
}

// apply returns a copy of a snapshot in which the verdicts act. It is called under mu.
func (r *rulings) apply(s *gateway.Snapshot) *gateway.Snapshot {
	ruled := *s
	ruled.Quarantined, ruled.Lowered, ruled.Rations = map[gateway.Target]string{}, map[gateway.Target]string{}, map[gateway.Target]float64{}
	for t, v := range r.acting {
		date := time.UnixMicro(v.TS).UTC().Format(time.DateOnly)
		switch v.Act {
		case record.ActQuarantine:
			ruled.Quarantined[t] = fmt.Sprintf("quarantined on %s by verdict %s (%s)", date, v.ID, v.Label)
			ruled.Rations[t] = r.trickle[t]
		case record.ActRelease:
			ruled.Lowered[t] = fmt.Sprintf("released on %s by verdict %s, for a day on a part of its traffic", date, v.ID)
			ruled.Rations[t] = probationShare
		default:
			ruled.Lowered[t] = fmt.Sprintf("lowered on %s by verdict %s (%s)", date, v.ID, v.Label)
		}
	}
	return &ruled
}

// inForce is the verdict that acts on a target, if one does.
func (r *rulings) inForce(t gateway.Target) (store.Verdict, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, acts := r.acting[t]
	return v, acts
}

// ruled is a snapshot in which the verdicts act.
func (a *App) ruled(s *gateway.Snapshot) *gateway.Snapshot {
	a.rulings.mu.Lock()
	defer a.rulings.mu.Unlock()
	return a.rulings.apply(s)
}

// swap puts a snapshot in force, with the verdicts.
func (a *App) swap(s *gateway.Snapshot) {
	a.rulings.mu.Lock()
	defer a.rulings.mu.Unlock()
	a.gateway.Swap(a.rulings.apply(s))
}

// recordVerdict writes a verdict to the journal and lets it act on routing, which it
// does when recordVerdict returns. Time, id and salt are made where they are missing;
// texts beyond their bounds are cut.
func (a *App) recordVerdict(v record.Verdict) error {
	switch v.Act {
	case record.ActNotice, record.ActLower, record.ActQuarantine, record.ActRelease, record.ActOverride, record.ActBegin, record.ActAudit:
	default:
		return fmt.Errorf("record a verdict: %q is no act", v.Act)
	}
	if v.Upstream == "" || v.Target == "" {
		return errors.New("record a verdict: it names no upstream or no model")
	}
	v.TS = cmp.Or(v.TS, time.Now().UnixMicro())
	v.ID, v.Salt = cmp.Or(v.ID, gateway.NewRecordID()), cmp.Or(v.Salt, gateway.NewSalt())
	v.Wording, v.Reason = within(v.Wording, record.MaxWording), within(v.Reason, record.MaxReason)
	row := store.VerdictOf(&v, 0)
	a.rulings.mu.Lock()
	defer a.rulings.mu.Unlock()
	if _, err := a.journal.Append(v.Append(nil)); err != nil {
		return fmt.Errorf("record a verdict: %w", err)
	}
	a.rulings.pending = append(a.rulings.pending, row)
	a.rulings.take(row)
	a.gateway.Swap(a.rulings.apply(a.gateway.Snapshot()))
	a.log.Warn("verdict recorded", "alert", v.Act == record.ActLower || v.Act == record.ActQuarantine,
		"verdict", v.ID, "act", v.Act, "upstream", v.Upstream, "model", v.Target, "label", v.Label, "actor", v.Actor)
	return nil
}

// within cuts a text to at most so many bytes.
func within(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// readVerdicts takes over what the database has: at the start all that was in force,
// later what other replicas recorded.
func (a *App) readVerdicts(ctx context.Context) error {
	var stored []store.Verdict
	err := a.store.View(ctx, func(tx *store.Tx) error {
		for v, err := range tx.RoutingVerdicts(ctx) {
			if err != nil {
				return err
			}
			stored = append(stored, v)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read verdicts: %w", err)
	}
	a.rulings.mu.Lock()
	defer a.rulings.mu.Unlock()
	before := a.rulings.acting
	a.rulings.settle(stored)
	if a.gateway != nil && !maps.Equal(before, a.rulings.acting) {
		a.gateway.Swap(a.rulings.apply(a.gateway.Snapshot()))
	}
	return nil
}

// openVerdicts brings in force what the database has and, after it, what only the
// journal has.
func (a *App) openVerdicts(ctx context.Context, left []record.Verdict) error {
	for i := range left {
		a.rulings.pending = append(a.rulings.pending, store.VerdictOf(&left[i], 0))
	}
	return a.readVerdicts(ctx)
}

// verdictsEvery is how soon a replica follows the verdicts of the others.
const verdictsEvery = 5 * time.Second

// followVerdicts reads the verdicts again and again. When the database does not
// answer, what was in force stays.
func (a *App) followVerdicts(ctx context.Context) error {
	every(ctx, verdictsEvery, func(time.Time) {
		bounded, cancel := context.WithTimeout(ctx, verdictsEvery)
		defer cancel()
		if err := a.readVerdicts(bounded); err != nil && ctx.Err() == nil {
			a.log.Warn("verdicts of other replicas are not followed", "error", err)
		}
	})
	return nil
}

// overrule ends what a verdict did to a model of an upstream.
func (a *App) overrule(actor string, act record.Act, o console.Overruling) (console.Verdict, error) {
	t := gateway.Target{Upstream: identity.Upstream(o.Upstream), Model: o.Model}
	ended, acts := a.rulings.inForce(t)
	switch {
	case acts:
	case a.parts.Load().upstreams[t.Upstream] == nil:
		return console.Verdict{}, fault.Newf(fault.NotFound, "no upstream is called %q; see: sallyport upstreams ls", o.Upstream)
	default:
		return console.Verdict{}, fault.Newf(fault.BadRequest, "no verdict acts on the model %q of %s; see: sallyport audit ls", o.Model, o.Upstream)
	}
	a.watchAfresh(t)
	return a.conclude(record.Verdict{
		Upstream: o.Upstream, Target: o.Model, Null: ended.Hypothesis, Label: ended.Label, Act: act, Reference: ended.Reference, Bundle: ended.Bundle,
		Wording: fmt.Sprintf("ends the %s by verdict %s", ended.Act, ended.ID), Actor: actor, Reason: o.Reason,
	})
}

// beginAudit makes the hash of an audit's plan a leaf, before anything is asked.
func (a *App) beginAudit(actor string, b console.Beginning) (console.Verdict, error) {
	return a.conclude(record.Verdict{
		Upstream: b.Upstream, Target: b.Model, Act: record.ActBegin, Commitment: b.Commitment, Profile: b.Profile, Cap: b.Cap, Wording: b.Wording, Actor: actor,
	})
}

// registerAudit makes the hash of an audit's bundle a leaf.
func (a *App) registerAudit(actor string, r console.Registration) (console.Verdict, error) {
	return a.conclude(record.Verdict{
		Upstream: r.Upstream, Target: r.Model, Null: r.Null, Label: r.Label, Level: r.Level, Act: record.ActAudit, EMilli: r.EMilli, N: r.N,
		Reference: r.Reference, Bundle: r.Bundle, Wording: r.Wording, Actor: actor,
		Commitment: r.Commitment, Profile: r.Profile, Cap: r.Cap, Asked: r.Asked, Money: r.Money, Nano: r.Spent,
	})
}

// conclude records a verdict that somebody asked for and returns it.
func (a *App) conclude(v record.Verdict) (console.Verdict, error) {
	v.TS, v.ID = time.Now().UnixMicro(), gateway.NewRecordID()
	if err := a.recordVerdict(v); err != nil {
		return console.Verdict{}, err
	}
	return console.VerdictOf(store.VerdictOf(&v, 0)), nil
}
