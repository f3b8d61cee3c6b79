package auth

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// within polls until the token fares as wanted, and fails after the bound.
func (r rig) within(t *testing.T, bound time.Duration, token secret.String, want Refusal) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for r.with(token) != want {
		if time.Since(began) > bound {
			t.Fatalf("still %q after %s, want %q", r.with(token), bound, want)
		}
		<-tick.C
	}
	t.Logf("seen elsewhere after %s", time.Since(began).Round(time.Millisecond))
}

// What one replica changes holds on the other within 5 s, by the default poll.
func TestChangesReachOtherReplicas(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		t.Parallel()
		a, b := newAuth(t, db.store, testMaster(t)), newAuth(t, db.store, testMaster(t))
		a.run(t)
		b.run(t)
		k, token := a.newKey(t, "p")
		b.within(t, 5*time.Second, token, "")
		if _, err := a.RevokeKey(t.Context(), k.ID, a.acts.record); err != nil {
			t.Fatal(err)
		}
		a.want(t, token, Revoked, "where it was revoked")
		b.within(t, 5*time.Second, token, Revoked)
		admin, adminToken := b.newAdmin(t, identity.RoleAdmin)
		a.within(t, 5*time.Second, adminToken, "")
		if _, err := b.RevokeAdmin(t.Context(), admin.ID, true, b.acts.record); err != nil {
			t.Fatal(err)
		}
		a.within(t, 5*time.Second, adminToken, Revoked)
	})
}

// With the database gone the snapshot serves 15 minutes, then nothing.
func TestStaleSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := onSQLite(t)
		a := newAuth(t, db.store, testMaster(t))
		_, token := a.newKey(t, "p")
		a.run(t)
		<-time.After(time.Hour + 500*time.Millisecond) // no check is under way then
		a.want(t, token, "", "after an hour of polls")
		if err := db.store.Close(); err != nil {
			t.Fatal(err)
		}
		<-time.After(MaxStale - 2*time.Second)
		a.want(t, token, "", "shortly before the bound")
		if _, _, err := a.NewKey(t.Context(), KeySpec{Project: "p"}, a.acts.record); kindOf(err) != fault.Unavailable {
			t.Error("a change without a database:", err)
		}
		<-time.After(3 * time.Second)
		_, err := a.Authenticate(Credential{String: token}, here)
		if e := fault.From(err); !errors.Is(err, Stale) || e.Kind != fault.Unavailable || e.RetryAfter != staleRetry {
			t.Error(err)
		}
		if s := a.Status(); s.Fresh || s.Age < MaxStale {
			t.Errorf("%+v", s)
		}
		if n := strings.Count(a.logs.String(), "credentials cannot be checked"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// A clock that was set back does not keep a stale snapshot alive, and a machine
// that slept does not either.
func TestStaleByEitherClock(t *testing.T) {
	a := newAuth(t, onSQLite(t).store, testMaster(t))
	now := time.Now()
	for name, checked := range map[string]time.Time{
		"monotonic": now.Add(-16 * time.Minute),
		"wall only": now.Round(0).Add(-16 * time.Minute),
	} {
		a.checked.Store(&checked)
		if !a.stale(now) {
			t.Errorf("not stale by the %s clock", name)
		}
	}
	recent := now.Add(-14 * time.Minute)
	a.checked.Store(&recent)
	if a.stale(now) {
		t.Error("stale too early")
	}
}

func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := onSQLite(t)
		a := newAuth(t, db.store, testMaster(t))
		_, token := a.newKey(t, "p")
		a.run(t)
		db.exec(t, "ALTER TABLE credential_state RENAME TO elsewhere")
		<-time.After(20 * time.Minute)
		a.want(t, token, Stale, "without its state")
		db.exec(t, "ALTER TABLE elsewhere RENAME TO credential_state")
		<-time.After(2 * time.Second)
		a.want(t, token, "", "when the database is back")
		if !strings.Contains(a.logs.String(), "credentials are checked again") {
			t.Error("the recovery was not logged")
		}
	})
}

func TestSweepFindsEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := onSQLite(t)
		a := newAuth(t, db.store, testMaster(t))
		_, token := a.newKey(t, "p")
		a.run(t)
		db.exec(t, "UPDATE virtual_key SET expires = expires + 1")
		<-time.After(time.Minute)
		a.want(t, token, Altered, "a minute after its expiry was moved")
	})
}

func TestRequestAndThrottle(t *testing.T) {
	a := newAuth(t, onSQLite(t).store, testMaster(t), func(c *Config) { c.FailureBurst, c.FailuresMinute = 5, 1 })
	k, token := a.newKey(t, "p")
	source := netip.MustParseAddr("2001:db8::1")
	neighbour := netip.MustParseAddr("2001:db8::2") // the same /64
	good := http.Header{"Authorization": {"Bearer " + token.Reveal()}}
	if p, err := a.Request(good, nil, source); err != nil || p.Key != k.ID {
		t.Fatal(p, err)
	}
	for range 5 {
		if _, err := a.Request(http.Header{}, nil, source); !errors.Is(err, None) || kindOf(err) != fault.Unauthenticated {
			t.Fatal(err)
		}
	}
	_, err := a.Request(nil, []string{newToken(prefixKey).Reveal()}, neighbour)
	e := fault.From(err)
	if e.Kind != fault.RateLimited || e.RetryAfter < time.Second || e.RetryAfter > fault.MaxRetryAfter || !errors.Is(err, Unknown) {
		t.Errorf("over the rate: %v, retry after %s", err, e.RetryAfter)
	}
	if _, err := a.Request(nil, []string{token.Reveal()}, source); err != nil {
		t.Errorf("a valid key was held up by failures of its address: %v", err)
	}
	if _, err := a.Request(nil, []string{"nonsense"}, here); kindOf(err) != fault.Unauthenticated {
		t.Errorf("another address was throttled: %v", err)
	}
	if _, err := a.Request(good, []string{"other"}, source); !errors.Is(err, Conflict) || kindOf(err) != fault.BadRequest {
		t.Error(err)
	}
}

func TestSlotsOfKeys(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, _, err := a.NewKey(t.Context(), KeySpec{Project: "p", Slots: 1}, a.acts.record)
		if err != nil {
			t.Fatal(err)
		}
		usual, _ := a.newKey(t, "p")
		b := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b} {
			release, ok := r.Acquire(k.ID, 0)
			if !ok {
				t.Fatal("refused")
			}
			if _, ok := r.Acquire(k.ID, 0); ok {
				t.Error("the key's own number does not count")
			}
			release()
			if _, ok := r.Acquire(usual.ID, 1); !ok {
				t.Error("refused below the usual number")
			}
			if _, ok := r.Acquire(usual.ID, 1); ok {
				t.Error("the usual number does not count")
			}
		}
	})
}
