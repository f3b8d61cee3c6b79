package store_test

import (
	"errors"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

// TestClaim: on PostgreSQL one process at a time has a journal; other journals are
// free, and the claim is free again once it was released.
func TestClaim(t *testing.T) {
	t.Parallel()
	cfg := storetest.Config(t, storetest.Postgres)
	one, other := storetest.OpenConfig(t, cfg), storetest.OpenConfig(t, cfg)
	claim, wanted := one.Claim("journal"), other.Claim("journal")
	for range 2 {
		if err := claim.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := wanted.Hold(t.Context()); !errors.Is(err, store.ErrClaimed) {
			t.Errorf("a claimed journal was claimed again: %v", err)
		}
	}
	another := other.Claim("another")
	if err := another.Hold(t.Context()); err != nil {
		t.Errorf("another journal: %v", err)
	}
	another.Release()
	claim.Release()
	hold(t, wanted) // PostgreSQL notices the end of a session a moment later
	wanted.Release()
	wanted.Release()
}

// hold takes a claim that is about to be free.
func hold(t *testing.T, c *store.Claim) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for c.Hold(t.Context()) != nil {
		<-tick.C
	}
}

// TestClaimAfterRestart: a restart of PostgreSQL ends the claim. Who had it takes it
// again, unless another did so first.
func TestClaimAfterRestart(t *testing.T) {
	t.Parallel()
	server := storetest.OwnServer(t)
	cfg := store.Config{URL: secret.New(server.URL(t))}
	one, other := storetest.OpenConfig(t, cfg), storetest.OpenConfig(t, cfg)
	claim, wanted := one.Claim("journal"), other.Claim("journal")
	hold(t, claim)
	server.Restart(t)
	hold(t, claim)
	if err := wanted.Hold(t.Context()); !errors.Is(err, store.ErrClaimed) {
		t.Errorf("after a restart a claimed journal was claimed again: %v", err)
	}
	server.Restart(t)
	hold(t, wanted)
	if err := claim.Hold(t.Context()); !errors.Is(err, store.ErrClaimed) {
		t.Errorf("the claim that was lost is held: %v", err)
	}
	wanted.Release()
	hold(t, claim)
}

// TestClaimOnSQLite: a file belongs to one process anyway.
func TestClaimOnSQLite(t *testing.T) {
	t.Parallel()
	claim := storetest.Open(t, storetest.SQLite).Claim("journal")
	for range 2 {
		if err := claim.Hold(t.Context()); err != nil {
			t.Fatalf("claim: %v", err)
		}
		claim.Release()
	}
}
