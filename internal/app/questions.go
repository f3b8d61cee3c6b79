package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/probe"
	"sallyport/internal/record"
)

// meanMonth is the mean length of a month, over which questions are spread.
const meanMonth = 30*24*time.Hour + 10*time.Hour

// questionTime bounds one question to all sides.
const questionTime = 2 * time.Minute

// askQuestions asks what the watches ask of their own, each at random times as of
// independent clients, until ctx ends.
func (a *App) askQuestions(ctx context.Context) error {
	if a.watch == nil {
		return nil
	}
	var wg sync.WaitGroup
	for i := range a.config.Watch {
		w := &a.config.Watch[i]
		if w.Words+w.Items > 0 {
			wg.Go(func() { a.askOn(ctx, w) })
		}
	}
	wg.Wait()
	return nil
}

// askOn asks the questions of one watch.
func (a *App) askOn(ctx context.Context, w *config.Watch) {
	mean := float64(meanMonth) / float64(w.Words+w.Items)
	for {
		wait := time.NewTimer(time.Duration(rand.ExpFloat64() * mean))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		if err := a.askOnce(ctx, w); err != nil {
			a.log.Warn("a question of the watch is not asked", "upstream", w.Upstream, "model", w.Model, "error", err)
		}
	}
}

// askOnce puts one question to the watched upstream and to each of its references at the
// same time, by exchanges that take the way of every other one.
func (a *App) askOnce(ctx context.Context, w *config.Watch) error {
	at := time.Now()
	target := gateway.Target{Upstream: identity.Upstream(w.Upstream), Model: w.Model}
	if why := a.purses.why(gateway.Auditor(target).Key, at); why != "" {
		return nil // shown by: audit watch
	}
	q, err := a.watch.Question(w.Upstream, w.Model, at)
	if err != nil || q == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	asked := []gateway.Target{target}
	for i := range w.References {
		upstream, model := w.Reference(i)
		asked = append(asked, gateway.Target{Upstream: identity.Upstream(upstream), Model: model})
	}
	answers := make([]*probe.Said, len(asked))
	var wg sync.WaitGroup
	for i, t := range asked {
		wg.Go(func() {
			in := gateway.Inside{Principal: gateway.Auditor(target), Target: t, Label: label.Public, Suspect: i == 0}
			if s := a.gateway.Ask(ctx, in, q.Body(t.Model)); s != nil {
				answers[i] = said(s)
			}
		})
	}
	wg.Wait()
	if ctx.Err() == nil {
		a.watch.Answered(w.Upstream, w.Model, q, at, answers[0], answers[1:])
	}
	return nil
}

// releaseEvery is how often it is looked for targets that may come back, and probation
// how long one then gets a share of its traffic.
const (
	releaseEvery   = 30 * time.Second
	probation      = 24 * time.Hour
	probationShare = .1
)

// release lets condemned targets come back that have shown what they must, where the
// operator leaves that to the evidence.
func (a *App) release(ctx context.Context) error {
	if a.watch == nil {
		return nil
	}
	every(ctx, releaseEvery, func(time.Time) {
		for i := range a.config.Watch {
			a.releaseOne(&a.config.Watch[i])
		}
	})
	return nil
}

// releaseOne ends a quarantine by evidence. Only what a watch did is undone so: what an
// operator decided stays until an operator ends it.
func (a *App) releaseOne(w *config.Watch) {
	t := gateway.Target{Upstream: identity.Upstream(w.Upstream), Model: w.Model}
	v, acts := a.rulings.inForce(t)
	if w.Release != config.ByEvidence || !acts || v.Act != record.ActQuarantine || v.Actor != watchActor {
		return
	}
	s, cleared := a.watch.Cleared(w.Upstream, w.Model)
	if !cleared {
		return
	}
	err := a.recordVerdict(record.Verdict{
		Upstream: w.Upstream, Target: w.Model, Null: string(s.Null), Label: v.Label, Level: string(s.Level), Act: record.ActRelease,
		EMilli: int64(1000 * s.LogE), N: int64(s.N), Reference: v.Reference, Actor: watchActor,
		Wording: fmt.Sprintf("ends the quarantine by verdict %s: since then %s; a tenth of its traffic for a day", v.ID, s.Wording()),
	})
	if err != nil {
		a.log.Error("a release is not recorded", "upstream", w.Upstream, "model", w.Model, "error", err)
		return
	}
	a.watchAfresh(t)
}
