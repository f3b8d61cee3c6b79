package app

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/probe"
	"sallyport/internal/record"
	"sallyport/internal/verdict"
)

// openWatch opens the comparison of upstreams with trusted ones. What is watched is
// that of the start: a change needs another one.
func (a *App) openWatch() error {
	if len(a.config.Watch) == 0 || a.opts.SocketOnly {
		return nil
	}
	key, err := EvidenceKey(a.config, a.config.Data)
	if err != nil {
		return fmt.Errorf("read the key that signs verdicts: %w", err)
	}
	var streams []probe.Stream
	for _, w := range a.config.Watch {
		streams = append(streams, probe.Stream{Upstream: w.Upstream, Model: w.Model, References: w.References, Monthly: w.Pairs, Share: w.Share.Float()})
	}
	a.watch, err = probe.OpenWatch(probe.WatchConfig{
		Dir: a.folder.Path("watch"), Key: key, Program: a.opts.Version, Streams: streams, Logger: a.log, Concluded: a.concluded,
	})
	if err != nil {
		return err
	}
	a.atStop("watch", func(context.Context) error { return a.watch.Close() })
	return nil
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
	o := &probe.Observed{At: p.At, Strata: probe.StrataOf(p.Prompt, p.Tools, at), Dropped: p.Dropped != ""}
	if !o.Dropped {
		o.Suspect = probe.Features(said(p.Suspect))
		for _, s := range p.References {
			o.Trusted = append(o.Trusted, probe.Features(said(s)))
		}
	}
	a.watch.Observe(string(p.Target.Upstream), p.Target.Model, o)
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

// mayCompare reports whether another comparison of a target is within its month.
func (a *App) mayCompare(t gateway.Target) bool {
	return a.watch.May(string(t.Upstream), t.Model, time.Now())
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

// concluded records what a watch concludes, and lets it act as the operator opted in:
// by default it is a notice. Who opted into quarantine gets nothing less before it: an
// upstream that was lowered is asked no more, so nothing more could be found out.
func (a *App) concluded(s probe.Standing, bundle string) {
	v := record.Verdict{
		Upstream: s.Stream.Upstream, Target: s.Stream.Model, Null: string(s.Null), Level: string(s.Level), Act: record.ActNotice,
		EMilli: int64(1000 * s.LogM), N: int64(s.Pairs), Bundle: bundle, Actor: "watch", Label: string(verdict.Differs), Wording: s.Wording(),
	}
	allowed := config.Notice
	for _, w := range a.config.Watch {
		if w.Upstream == s.Stream.Upstream && w.Model == s.Stream.Model {
			allowed = w.Act
		}
	}
	switch {
	case allowed == config.Quarantine && s.Null == verdict.Honest && s.Level == verdict.LevelQuarantine:
		v.Act = record.ActQuarantine
	case allowed == config.Lower && s.Level.AtLeast(verdict.LevelWarning):
		v.Act = record.ActLower
	}
	if err := a.recordVerdict(v); err != nil {
		a.log.Error("a verdict is not recorded", "upstream", v.Upstream, "model", v.Target, "level", v.Level, "error", err)
	}
}
