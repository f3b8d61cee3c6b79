package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/secret"
)

func TestOpenSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d.db")
	for range 2 { // the second time there is nothing to migrate
		db, err := Open(t.Context(), Config{SQLitePath: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

func TestOpenWantsOnePlace(t *testing.T) {
	for _, cfg := range []Config{{}, {SQLitePath: "x", URL: secret.New("postgres://h/d")}} {
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Errorf("%+v was opened", cfg)
		}
	}
}

func TestBatchRollsBack(t *testing.T) {
	db, err := Open(t.Context(), Config{SQLitePath: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	boom := errors.New("boom")
	err = db.Batch(t.Context(), func(tx *Tx) error {
		if _, err := tx.tx.ExecContext(t.Context(), "INSERT INTO meta (name, value) VALUES ($1, $2)", "a", "b"); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	var n int
	if err := db.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM meta").Scan(&n); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}
