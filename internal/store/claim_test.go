package store_test

import (
	"testing"

	"sallyport/internal/store/storetest"
)

// TestClaim: on PostgreSQL one process at a time has a journal; other journals are
// free, and the claim is free again once it was released.
func TestClaim(t *testing.T) {
	t.Parallel()
	cfg := storetest.Config(t, storetest.Postgres)
	one, other := storetest.OpenConfig(t, cfg), storetest.OpenConfig(t, cfg)
	release, ok, err := one.Claim(t.Context(), "journal")
	if err != nil || !ok {
		t.Fatalf("first claim: %v %v", ok, err)
	}
	if _, ok, err := other.Claim(t.Context(), "journal"); err != nil || ok {
		t.Errorf("a claimed journal was claimed again: %v %v", ok, err)
	}
	if free, ok, err := other.Claim(t.Context(), "another"); err != nil || !ok {
		t.Errorf("another journal: %v %v", ok, err)
	} else {
		free()
	}
	release()
	for {
		again, ok, err := other.Claim(t.Context(), "journal")
		if err != nil {
			t.Fatal(err)
		}
		if ok { // PostgreSQL notices the end of a session a moment later
			again()
			return
		}
	}
}

// TestClaimOnSQLite: a file belongs to one process anyway.
func TestClaimOnSQLite(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, storetest.SQLite)
	for range 2 {
		release, ok, err := db.Claim(t.Context(), "journal")
		if err != nil || !ok {
			t.Fatalf("claim: %v %v", ok, err)
		}
		release()
	}
}
