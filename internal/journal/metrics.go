package journal

import "github.com/prometheus/client_golang/prometheus"

// metrics are the journal's figures.
type metrics struct {
	records, bytes, writes, failures, segments prometheus.Counter
	unsynced                                   prometheus.Gauge
	syncs                                      prometheus.Histogram
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sallyport_journal_" + name, Help: help})
	}
	return &metrics{
		records:  counter("records_total", "Records appended."),
		bytes:    counter("bytes_total", "Bytes appended, framing included."),
		writes:   counter("writes_total", "Writes that took them to the file."),
		failures: counter("failures_total", "Failed writes, syncs and preparations."),
		segments: counter("segments_total", "Segments begun by this process."),
		unsynced: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sallyport_journal_unsynced_records", Help: "Records written and not yet synced."}),
		syncs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sallyport_journal_sync_seconds", Help: "Duration of syncs.", Buckets: prometheus.ExponentialBuckets(0.0001, 3, 10),
		}),
	}
}

// register shows the figures; a nil registerer keeps them private.
func (m *metrics) register(r prometheus.Registerer) {
	if r != nil {
		r.MustRegister(m.records, m.bytes, m.writes, m.failures, m.segments, m.unsynced, m.syncs)
	}
}
