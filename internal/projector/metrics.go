package projector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the projector's figures.
type metrics struct {
	batches, records, leaves, failures, checkpoints, refusals prometheus.Counter
	open                                                      prometheus.Gauge
}

// newMetrics registers the figures; a nil registerer keeps them private.
func newMetrics(r prometheus.Registerer, p *Projector) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sallyport_projector_" + name, Help: help})
	}
	m := &metrics{
		batches:     counter("batches_total", "Transactions that projected journal records."),
		records:     counter("records_total", "Journal records projected."),
		leaves:      counter("leaves_total", "Leaves added to the audit log."),
		failures:    counter("failures_total", "Failed attempts to read, project, sign or publish."),
		checkpoints: counter("checkpoints_total", "Checkpoints signed."),
		refusals:    counter("checkpoint_refusals_total", "Checkpoints not signed because the log is inconsistent."),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sallyport_projector_open_exchanges", Help: "Exchanges begun and without an outcome, as far as projected.",
		}),
	}
	if r != nil {
		r.MustRegister(m.batches, m.records, m.leaves, m.failures, m.checkpoints, m.refusals, m.open,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "sallyport_projector_lag_records", Help: "Journal records that are not projected yet.",
			}, func() float64 { n, _ := p.lag(); return float64(n) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "sallyport_projector_lag_seconds", Help: "How long records have been waiting without any progress.",
			}, func() float64 { _, d := p.lag(); return d.Seconds() }))
	}
	return m
}

// lag is how many records wait and for how long nothing has moved while they do.
func (p *Projector) lag() (records uint64, waiting time.Duration) {
	tail := p.cfg.Journal.Tail().Seq
	p.mu.Lock()
	defer p.mu.Unlock()
	if tail <= p.done || p.behind.IsZero() {
		return tail - min(tail, p.done), 0
	}
	return tail - p.done, time.Since(p.behind)
}
