package auth

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/identity"
)

// metrics are what the package counts. The counters are resolved once, so that
// authentication does not look them up.
type metrics struct {
	key, prior, admin prometheus.Counter
	refused           map[Refusal]prometheus.Counter // fixed after newMetrics
	throttled         prometheus.Counter
	slots             prometheus.Counter
	failures          prometheus.Counter
	dropped           prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, a *Auth) *metrics {
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sallyport_auth_results_total",
		Help: "Authentications by result: key, key_prior (by the secret before a rotation), admin, or why it was refused.",
	}, []string{"result"})
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "sallyport_auth_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sallyport_auth_" + name, Help: help}, value))
	}
	reg.MustRegister(results)
	m := &metrics{
		key: results.WithLabelValues("key"), prior: results.WithLabelValues("key_prior"), admin: results.WithLabelValues("admin"),
		refused:   map[Refusal]prometheus.Counter{},
		throttled: counter("throttled_total", "Failed authentications answered with 429."),
		slots:     counter("slots_refused_total", "Requests refused because their key had all its slots taken."),
		failures:  counter("check_failures_total", "Checks of the database that failed."),
		dropped:   counter("upgrades_dropped_total", "Look-up upgrades put off because the queue was full."),
	}
	for _, r := range refusals {
		m.refused[r] = results.WithLabelValues(string(r))
	}
	gauge("snapshot_age_seconds", "Time since the database last confirmed the credentials.", func() float64 {
		if age, ok := a.age(time.Now()); ok {
			return age.Seconds()
		}
		return math.Inf(1)
	})
	gauge("damaged_rows", "Rows of credentials that are not believed.", func() float64 { return float64(len(a.Status().Damaged)) })
	gauge("throttle_sources", "Sources remembered for failed authentications.", func() float64 { return float64(a.throttle.size()) })
	return m
}

// accept counts a success.
func (m *metrics) accept(ref reference) {
	switch {
	case ref.credential.principal.Kind == identity.Admin:
		m.admin.Inc()
	case ref.prior:
		m.prior.Inc()
	default:
		m.key.Inc()
	}
}
