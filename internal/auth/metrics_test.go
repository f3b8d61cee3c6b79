package auth

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// sample reads one metric, of one result when it is labelled.
func sample(t *testing.T, reg prometheus.Gatherer, name, result string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if result == "" || m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s of %q", name, result)
	return 0
}

func TestMetrics(t *testing.T) {
	db, reg := onSQLite(t), prometheus.NewRegistry()
	a := newAuth(t, db.store, testMaster(t), func(c *Config) { c.Registerer, c.FailureBurst = reg, 6 })
	k, former := a.newKey(t, "p")
	k, token, err := a.RotateKey(t.Context(), k.ID, RotateSpec{}, a.acts.record)
	if err != nil {
		t.Fatal(err)
	}
	_, admin := a.newAdmin(t, identity.RoleAuditor)
	for _, s := range []secret.String{token, token, former, admin, newToken(prefixKey), secret.New("x"), secret.New(token.Reveal() + "x")} {
		a.with(s)
	}
	for range 7 {
		if _, err := a.Request(http.Header{}, nil, here); err == nil {
			t.Fatal("accepted")
		}
	}
	if _, ok := a.Acquire(k.ID, 1); !ok {
		t.Fatal("no slot")
	}
	a.Acquire(k.ID, 1)
	db.exec(t, "UPDATE virtual_key SET name = 'x'")
	a.sweep(t)
	a.with(token)
	for result, want := range map[string]float64{
		"key": 2, "key_prior": 1, "admin": 1, "unknown": 1, "malformed": 1, "mistyped": 1, "none": 7, "altered": 1, "revoked": 0,
	} {
		if got := sample(t, reg, "sallyport_auth_results_total", result); got != want {
			t.Errorf("%s: %v, want %v", result, got, want)
		}
	}
	for name, want := range map[string]float64{
		"throttled_total": 5, "slots_refused_total": 1, "damaged_rows": 1, "throttle_sources": 1, "check_failures_total": 0,
	} {
		if got := sample(t, reg, "sallyport_auth_"+name, ""); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if age := sample(t, reg, "sallyport_auth_snapshot_age_seconds", ""); age < 0 || age > 60 {
		t.Errorf("the snapshot is %v s old", age)
	}
}

func TestConfig(t *testing.T) {
	db := onSQLite(t)
	for name, bad := range map[string]func(*Config){
		"no store":        func(c *Config) { c.Store = nil },
		"no master":       func(c *Config) { c.Master = nil },
		"no logger":       func(c *Config) { c.Logger = nil },
		"slow polls":      func(c *Config) { c.PollEvery = MaxPoll + 1 },
		"old snapshots":   func(c *Config) { c.MaxStale = MaxStale + 1 },
		"negative source": func(c *Config) { c.Sources = -1 },
		"negative sweep":  func(c *Config) { c.SweepEvery = -time.Second },
	} {
		if _, err := tryAuth(t, db.store, testMaster(t), bad); err == nil || errors.Is(err, ErrSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
