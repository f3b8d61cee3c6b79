package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/console"
	"sallyport/internal/evidence"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/probe"
	"sallyport/internal/record"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// openWatch opens the comparison of upstreams with trusted ones. What is watched is
// that of the start: a change needs another one.
func (a *App) openWatch() error {
	a.purses, a.rulings.trickle = newPurses(a.config.Watch), map[gateway.Target]float64{}
	if len(a.config.Watch) == 0 || a.opts.SocketOnly {
		return nil
	}
	key, err := EvidenceKey(a.config, a.config.Data)
	if err != nil {
		return fmt.Errorf("read the key that signs verdicts: %w", err)
	}
	cfg := probe.WatchConfig{
		Dir: a.folder.Path("watch"), Key: key, Program: a.opts.Version, Recorded: map[string]*reference.Opened{}, ItemKey: stat.Seed([32]byte(key.Seed()), "items of the watch"),
		Logger: a.log, Concluded: a.concluded,
	}
	shelf := reference.NewShelf(ReferenceFolder(a.config.Data), evidence.Signer(key))
	for i := range a.config.Watch {
		w := &a.config.Watch[i]
		s := probe.Stream{
			Upstream: w.Upstream, Model: w.Model, References: w.References, Share: w.Share.Float(),
			Monthly: probe.Monthly{Pairs: w.Pairs, Words: w.Words, Items: w.Items, Bills: *w.Bills},
		}
		if w.Recorded != "" {
			o, err := a.recorded(shelf, w)
			if err != nil {
				return fmt.Errorf("watch of %s: the stored reference %q: %w", w.Upstream, w.Recorded, err)
			}
			if why := o.Stale(time.Now()); why != "" {
				a.log.Warn("a watch goes on without its stored reference", "alert", true, "upstream", w.Upstream, "model", w.Model, "reason", why)
			} else {
				s.Recorded, cfg.Recorded[o.ID] = o.ID, o
			}
		}
		cfg.Streams = append(cfg.Streams, s)
		a.rulings.trickle[gateway.Target{Upstream: identity.Upstream(w.Upstream), Model: w.Model}] = w.Trickle.Float()
	}
	if a.watch, err = probe.OpenWatch(cfg); err != nil {
		return err
	}
	a.registry.MustRegister(newWatchMetrics(a))
	a.atStop("watch", func(context.Context) error { return a.watch.Close() })
	return nil
}

// recorded is the stored reference of a watch. It must be one of the first of its
// references, for it is by it that this one is judged.
func (a *App) recorded(shelf *reference.Shelf, w *config.Watch) (*reference.Opened, error) {
	o, err := shelf.Find(w.Recorded)
	if err != nil {
		return nil, err
	}
	upstream, model := w.Reference(0)
	u := a.parts.Load().upstreams[identity.Upstream(upstream)]
	switch {
	case o.Imported:
		return nil, errors.New("it was imported; record one here")
	case u == nil || len(o.Variants) == 0 || o.Variants[0].Host != u.Host():
		return nil, fmt.Errorf("it is one of %q, and the first reference is %s", o.Variants[0].Host, upstream)
	case o.Protocol.Model != model:
		return nil, fmt.Errorf("it is one of the model %q, and the first reference is asked for %q", o.Protocol.Model, model)
	}
	return o, nil
}

// watches are those of a configuration as the data plane sees them.
func watches(cfg *config.Config) map[gateway.Target]gateway.Watch {
	all := map[gateway.Target]gateway.Watch{}
	for i := range cfg.Watch {
		w := &cfg.Watch[i]
		one := gateway.Watch{Projects: map[identity.ProjectID]bool{}, Share: w.Share.Float(), SameDefaults: w.SameDefaults}
		for _, p := range w.Projects {
			one.Projects[identity.ProjectID(p)] = true
		}
		for j := range w.References {
			upstream, model := w.Reference(j)
			one.References = append(one.References, gateway.Target{Upstream: identity.Upstream(upstream), Model: model})
		}
		all[gateway.Target{Upstream: identity.Upstream(w.Upstream), Model: w.Model}] = one
	}
	return all
}

// paired hands one compared request to the watch, as features only.
func (a *App) paired(p *gateway.Pair) {
	at := time.UnixMicro(p.At)
	o := &probe.Observed{At: p.At, Kind: probe.Pair, Dropped: p.Dropped != ""}
	if !o.Dropped {
		o.Strata = probe.StrataOf(len(p.Request), p.Tools, at)
		answers := []*probe.Said{said(p.Suspect)}
		o.Suspect = probe.Features(answers[0])
		for _, s := range p.References {
			answers = append(answers, said(s))
			o.Trusted = append(o.Trusted, probe.Features(said(s)))
		}
		o.Strange = probe.Strange(string(p.Request), answers...)
	}
	a.watch.Observe(string(p.Target.Upstream), p.Target.Model, o)
}

// recounted hands an answer whose tokens were counted to the watch.
func (a *App) recounted(c *record.Count) {
	at := time.UnixMicro(c.TS)
	if c.Why == "" && a.watch.May(c.Upstream, c.Target, probe.Bill, at) {
		a.watch.Observe(c.Upstream, c.Target, &probe.Observed{At: c.TS, Kind: probe.Bill, Reported: int(c.Claimed), Counted: int(c.Tokens)})
	}
}

// watching is what is concluded of each stream now; false where nothing is served.
func (a *App) watching() ([]console.Watching, bool) {
	if a.opts.SocketOnly {
		return nil, false
	}
	all := []console.Watching{}
	if a.watch == nil {
		return all, true
	}
	now := time.Now()
	for _, s := range a.watch.Standings() {
		w := console.Watching{
			Upstream: s.Stream.Upstream, Model: s.Stream.Model, References: s.Stream.References, Null: string(s.Null), Level: string(s.Level),
			Alarm: s.Alarm, LogM: s.LogM, LogE: s.LogE, N: s.N, Silent: s.Silent, Wording: s.Wording(),
			Unpaid: a.purses.why(gateway.Auditor(gateway.Target{Upstream: identity.Upstream(s.Stream.Upstream)}).Key, now),
		}
		for _, d := range s.Senses {
			kind, monthly := s.Stream.Kind(d.ID)
			w.Detectors = append(w.Detectors, console.Detector{
				ID: string(d.ID), N: d.N, Lost: d.Lost, LogM: d.LogM, LogE: d.LogE, Silent: d.Silent,
				Month: a.watch.Spent(s.Stream.Upstream, s.Stream.Model, kind, now), Monthly: monthly,
			})
		}
		for _, p := range s.Strata {
			w.Strata = append(w.Strata, console.Part{Name: p.Name, N: p.N, LogE: p.LogE})
		}
		if c := s.Control; c != nil {
			w.Control = &console.Control{N: c.N, LogE: c.LogE, Changed: c.Changed, Left: c.Left, Days: c.Days}
		}
		if t := s.Trial; t != nil {
			w.Trial = &console.Trial{By: string(t.By), Needed: t.Needed}
		}
		all = append(all, w)
	}
	return all, true
}

// said is an answer as the comparison sees it.
func said(s *gateway.Said) *probe.Said {
	out := &probe.Said{Text: s.Text, Finish: s.Finish, Failed: s.Failed}
	if s.Refusal != "" {
		out.Text, out.Finish = s.Refusal, llm.FinishRefusal
	}
	for _, c := range s.Calls {
		out.Calls = append(out.Calls, probe.Call{Name: c.Name, Input: string(c.Input)})
	}
	return out
}

// mayCompare reports whether another comparison of a target is within its month, in
// number and in money.
func (a *App) mayCompare(t gateway.Target) bool {
	now := time.Now()
	return a.watch.May(string(t.Upstream), t.Model, probe.Pair, now) && a.purses.why(gateway.Auditor(t).Key, now) == ""
}

// Standings are what is concluded now of every upstream under watch.
func (a *App) Standings() []probe.Standing {
	if a.watch == nil {
		return nil
	}
	return a.watch.Standings()
}

// watchAfresh forgets what a watch observed of a target: whoever comes back into
// routing is judged on what it answers from now on.
func (a *App) watchAfresh(t gateway.Target) {
	if a.watch == nil || !a.watch.Watches(string(t.Upstream), t.Model) {
		return
	}
	if err := a.watch.Restart(string(t.Upstream), t.Model); err != nil {
		a.log.Error("a watch cannot begin afresh", "upstream", t.Upstream, "model", t.Model, "error", err)
	}
}

// concluded records what a watch concludes, and lets it act as far as the operator
// opted in: by default it is a notice.
func (a *App) concluded(s probe.Standing, bundle string) (out bool) {
	v := record.Verdict{
		Upstream: s.Stream.Upstream, Target: s.Stream.Model, Null: string(s.Null), Level: string(s.Level), Act: record.ActNotice,
		EMilli: int64(1000 * s.LogM), N: int64(s.N), Bundle: bundle, Actor: watchActor, Reference: strings.Join(s.Stream.References, " "), Label: string(verdict.Differs), Wording: s.Wording(),
	}
	switch s.Null {
	case verdict.Billing:
		v.Label, v.Reference = string(verdict.BillingInconsistent), ""
	case verdict.Integrity:
		v.Label = string(verdict.IntegrityFailed)
	}
	for _, w := range a.config.Watch {
		if w.Upstream == s.Stream.Upstream && w.Model == s.Stream.Model {
			v.Act = actOn(w.Act, s)
		}
	}
	if err := a.recordVerdict(v); err != nil {
		a.log.Error("a verdict is not recorded", "upstream", v.Upstream, "model", v.Target, "level", v.Level, "error", err)
		return false
	}
	return v.Act == record.ActQuarantine
}

// watchActor is who a verdict of a watch is by.
const watchActor = "watch"

// actOn is what a standing does where the operator allows so much. Where several
// honest deployments are known, only a difference from all of them acts: an honest one
// may differ from the reference. Billing and what is strange never take an upstream out
// of routing. And before a quarantine nothing is lowered, since
// whoever is asked last is asked no more, and what was begun would never be found out.
func actOn(allowed config.Act, s probe.Standing) record.Act {
	switch {
	case s.Null == verdict.Same && len(s.Stream.References) > 1:
		return record.ActNotice
	case (s.Null == verdict.Billing || s.Null == verdict.Integrity) && allowed != config.Notice && allowed != "" && s.Level.AtLeast(verdict.LevelWarning):
		return record.ActLower
	case allowed == config.Quarantine && s.Null == verdict.Honest && s.Level == verdict.LevelQuarantine:
		return record.ActQuarantine
	case allowed == config.Lower && s.Level.AtLeast(verdict.LevelWarning), allowed == config.Quarantine && len(s.Stream.References) == 1 && s.Level.AtLeast(verdict.LevelWarning):
		return record.ActLower
	}
	return record.ActNotice
}
