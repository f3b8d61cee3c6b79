package app

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/probe"
	"sallyport/internal/verdict"
)

// silenceEvery is how often it is looked for watches that have fallen silent.
const silenceEvery = 30 * time.Second

// hushed is one hypothesis of a stream, as metrics and the log name it.
type hushed struct {
	upstream, model string
	null            verdict.Null
}

// silence is what each stream says nothing of now, and why. Bills are counted on answers
// to users, which cost a watch nothing.
func (a *App) silence(at time.Time) map[hushed]string {
	now := map[hushed]string{}
	for _, s := range a.Standings() {
		why := s.Silent
		if s.Null != verdict.Billing {
			payer := gateway.Auditor(gateway.Target{Upstream: identity.Upstream(s.Stream.Upstream), Model: s.Stream.Model}).Key
			why = cmp.Or(why, a.purses.why(payer, at))
		}
		if why != "" {
			now[hushed{s.Stream.Upstream, s.Stream.Model, s.Null}] = why
		}
	}
	return now
}

// tellSilence logs what has fallen silent, and what speaks again, since it was told last.
func (a *App) tellSilence(before map[hushed]string, at time.Time) (now map[hushed]string) {
	now = a.silence(at)
	for h, why := range now {
		if _, already := before[h]; !already {
			a.log.Warn("a watch has fallen silent", "alert", true, "upstream", h.upstream, "model", h.model, "hypothesis", h.null, "reason", why)
		}
	}
	for h := range before {
		if _, still := now[h]; !still {
			a.log.Info("a watch speaks again", "upstream", h.upstream, "model", h.model, "hypothesis", h.null)
		}
	}
	return now
}

// followSilence tells in the log when watches fall silent, until ctx ends.
func (a *App) followSilence(ctx context.Context) error {
	if a.watch == nil {
		return nil
	}
	var silent map[hushed]string
	every(ctx, silenceEvery, func(at time.Time) { silent = a.tellSilence(silent, at) })
	return nil
}

// watchMetrics shows the streams as they stand when they are asked for.
type watchMetrics struct {
	app           *App
	silent, level *prometheus.Desc
}

func newWatchMetrics(a *App) *watchMetrics {
	labels := []string{"upstream", "model", "hypothesis"}
	return &watchMetrics{
		app:    a,
		silent: prometheus.NewDesc("sallyport_watch_silent", "1 where a watch says nothing of a hypothesis, else 0.", labels, nil),
		level:  prometheus.NewDesc("sallyport_watch_level", "What a watch has reached: 0 nothing, 1 notice, 2 warning, 3 quarantine.", labels, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *watchMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.silent
	to <- m.level
}

// Collect implements prometheus.Collector.
func (m *watchMetrics) Collect(to chan<- prometheus.Metric) {
	silent := m.app.silence(time.Now())
	for _, s := range m.app.Standings() {
		labels := []string{s.Stream.Upstream, s.Stream.Model, string(s.Null)}
		_, is := silent[hushed{s.Stream.Upstream, s.Stream.Model, s.Null}]
		to <- prometheus.MustNewConstMetric(m.silent, prometheus.GaugeValue, figure(is), labels...)
		to <- prometheus.MustNewConstMetric(m.level, prometheus.GaugeValue, rank(s), labels...)
	}
}

// figure is a fact as a gauge has it.
func figure(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// rank is how many levels a standing has reached.
func rank(s probe.Standing) (n float64) {
	for _, l := range []verdict.Level{verdict.LevelNotice, verdict.LevelWarning, verdict.LevelQuarantine} {
		n += figure(s.Level.AtLeast(l))
	}
	return n
}
