package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/llm"
	"sallyport/internal/record"
)

// metrics are the data plane's figures. Labels come from closed sets and from
// the configuration, never from clients.
type metrics struct {
	exchanges  *prometheus.CounterVec   // by endpoint, state, reason
	attempts   *prometheus.CounterVec   // by upstream, state
	duration   *prometheus.HistogramVec // by endpoint, seconds
	firstByte  *prometheus.HistogramVec // by upstream, seconds
	tokens     *prometheus.CounterVec   // by upstream, class
	unknown    *prometheus.CounterVec   // by upstream: exchanges whose usage is unknown
	strangers  prometheus.Counter
	unrecorded prometheus.Counter
	counts     countMetrics
}

// countMetrics are the figures of the counter of sampled answers.
type countMetrics struct {
	counted *prometheus.CounterVec // by why; empty when it was countable
	dropped prometheus.Counter
	busy    prometheus.Counter // seconds
}

// seconds20 spans 10 ms to 82 s, doubling (OpenTelemetry's GenAI buckets).
var seconds20 = prometheus.ExponentialBuckets(0.01, 2, 14)

// newMetrics makes them; waiting is how many sampled answers wait.
func newMetrics(r prometheus.Registerer, waiting func() float64) *metrics {
	m := &metrics{
		exchanges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_exchanges_total", Help: "Exchanges by endpoint, terminal state and fault.",
		}, []string{"endpoint", "state", "fault"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_attempts_total", Help: "Attempts by upstream and terminal state.",
		}, []string{"upstream", "state"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sallyport_exchange_duration_seconds", Help: "From arrival to end.", Buckets: seconds20,
		}, []string{"endpoint"}),
		firstByte: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sallyport_time_to_first_frame_seconds", Help: "From arrival to the first content frame.", Buckets: seconds20,
		}, []string{"upstream"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_claimed_tokens_total", Help: "Tokens as claimed by the upstream.",
		}, []string{"upstream", "class"}),
		unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_unknown_usage_total", Help: "Exchanges whose usage is not known.",
		}, []string{"upstream"}),
		strangers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sallyport_unauthenticated_total", Help: "Requests refused without a known principal.",
		}),
		unrecorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sallyport_unrecorded_outcomes_total", Help: "Outcomes that could not be written to the journal.",
		}),
	}
	m.counts = countMetrics{
		counted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_sampled_answers_total", Help: "Answers that were sampled to be counted, by why they are not countable.",
		}, []string{"why"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sallyport_sampled_answers_dropped_total", Help: "Sampled answers that were not counted because the counter was behind.",
		}),
		busy: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sallyport_counting_seconds_total", Help: "Time spent counting, which is kept below count.cpu of one core.",
		}),
	}
	r.MustRegister(m.counts.counted, m.counts.dropped, m.counts.busy, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sallyport_sampled_answers_waiting", Help: "Sampled answers that wait to be counted.",
	}, waiting))
	r.MustRegister(m.exchanges, m.attempts, m.duration, m.firstByte, m.tokens, m.unknown, m.strangers, m.unrecorded)
	return m
}

// observe counts a finished exchange.
func (m *metrics) observe(r *record.Exchange) {
	m.exchanges.WithLabelValues(r.Endpoint, r.State, r.Fault).Inc()
	m.duration.WithLabelValues(r.Endpoint).Observe(time.Duration((now() - r.TS) * 1000).Seconds())
	if r.Upstream == "" {
		return
	}
	if r.TTFB > 0 {
		m.firstByte.WithLabelValues(r.Upstream).Observe(time.Duration(r.TTFB * 1000).Seconds())
	}
	if r.Usage == string(llm.UsageUnknown) {
		m.unknown.WithLabelValues(r.Upstream).Inc()
	}
	for class, n := range r.Tokens() {
		if n > 0 {
			m.tokens.WithLabelValues(r.Upstream, llm.Class(class).String()).Add(float64(n))
		}
	}
}

// attempt counts one attempt.
func (m *metrics) attempt(a *attempt) {
	m.attempts.WithLabelValues(string(a.candidate.Upstream), string(a.state)).Inc()
}
