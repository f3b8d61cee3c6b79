package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/secret"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// onBoth runs a conformance test on each engine with a fresh database.
func onBoth(t *testing.T, test func(*testing.T, *store.DB)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { test(t, storetest.Open(t, engine)) })
	}
}

// batch runs one write transaction.
func batch(t *testing.T, db *store.DB, f func(*store.Tx) error) {
	t.Helper()
	if err := db.Batch(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// view runs one read transaction.
func view(t *testing.T, db *store.DB, f func(*store.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%41.db")
	for range 2 { // the second time there is nothing to migrate
		db, err := store.Open(t.Context(), store.Config{SQLitePath: path})
		if err != nil {
			t.Fatal(err)
		}
		batch(t, db, func(tx *store.Tx) error { return tx.SetMeta(t.Context(), "a", "b") })
		for _, name := range []string{path, path + "-wal"} {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o", name, info.Mode().Perm())
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenWantsOnePlace(t *testing.T) {
	for _, cfg := range []store.Config{{}, {SQLitePath: "x", URL: secret.New("postgres://h/d")}} {
		if _, err := store.Open(t.Context(), cfg); err == nil {
			t.Errorf("%+v was opened", cfg)
		}
	}
}

// TestURLNeverShows opens databases that cannot be opened and looks for every
// part of their URLs in the errors.
func TestURLNeverShows(t *testing.T) {
	parts := []string{"hunter2", "alice", "secrethost", "127.0.0.1", "payroll", "9"}
	urls := []string{
		"postgres://alice:hunter2@127.0.0.1:9/payroll",
		"postgres://alice:hunter2@secrethost.invalid:9/payroll",
		"postgres://alice:hunter2@127.0.0.1:9/payroll?sslmode=nonsense",
		"host=127.0.0.1 port=9 user=alice password=hunter2 dbname=payroll",
		"postgres://alice:hunter2@127.0.0.1:99999999/payroll",
		"nonsense hunter2",
		"postgres://alice:hunter2@127.0.0.1:9/payroll?sslmode=verify-full&sslrootcert=/payroll",
	}
	for _, u := range urls {
		_, err := store.Open(t.Context(), store.Config{URL: secret.New(u)})
		if err == nil {
			t.Fatal("it opened")
		}
		for _, part := range parts {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%q shows in %q", part, err)
			}
		}
	}
}

func TestRefusedLoginDoesNotShow(t *testing.T) {
	u := strings.Replace(storetest.PostgresURL(t), "postgres@", "mallory:hunter2@", 1)
	_, err := store.Open(t.Context(), store.Config{URL: secret.New(u)})
	if err == nil || strings.Contains(err.Error(), "mallory") || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), "28000") {
		t.Errorf("the SQLSTATE is missing in %q", err)
	}
}

func TestEncodingMustHoldEveryText(t *testing.T) {
	u := storetest.PostgresURL(t)
	db := storetest.SQL(t, store.Config{URL: secret.New(u)})
	var name string
	if err := db.QueryRow("SELECT 'latin1_' || current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE DATABASE " + name + " ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	latin := strings.Replace(u, "/"+strings.TrimPrefix(name, "latin1_"), "/"+name, 1)
	_, err := store.Open(t.Context(), store.Config{URL: secret.New(latin)})
	if err == nil || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("got %v", err)
	}
}

// TestMigrateAtOnce opens one fresh PostgreSQL database from several replicas at
// the same time.
func TestMigrateAtOnce(t *testing.T) {
	cfg := storetest.Config(t, storetest.Postgres)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := store.Open(t.Context(), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestBatchRollsBack(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		boom := errors.New("boom")
		err := db.Batch(t.Context(), func(tx *store.Tx) error {
			return errors.Join(tx.SetMeta(t.Context(), "a", "b"), boom)
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		view(t, db, func(tx *store.Tx) error {
			if v, err := tx.Meta(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("got %q, %v", v, err)
			}
			return nil
		})
	})
}

func TestMeta(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		batch(t, db, func(tx *store.Tx) error {
			return errors.Join(tx.InitMeta(t.Context(), "a", "1"), tx.InitMeta(t.Context(), "a", "2"),
				tx.SetMeta(t.Context(), "b", "1"), tx.SetMeta(t.Context(), "b", "2"))
		})
		view(t, db, func(tx *store.Tx) error {
			for name, want := range map[string]string{"a": "1", "b": "2"} {
				if got, err := tx.Meta(t.Context(), name); err != nil || got != want {
					t.Errorf("%s: got %q, %v", name, got, err)
				}
			}
			return nil
		})
	})
}

// TestViewSeesOneState reads twice in one view with a write between.
func TestViewSeesOneState(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		batch(t, db, func(tx *store.Tx) error { return tx.SetMeta(t.Context(), "a", "1") })
		view(t, db, func(tx *store.Tx) error {
			for i := range 2 {
				if got, err := tx.Meta(t.Context(), "a"); err != nil || got != "1" {
					t.Errorf("read %d: got %q, %v", i, got, err)
				}
				if i == 0 {
					batch(t, db, func(tx *store.Tx) error { return tx.SetMeta(t.Context(), "a", "2") })
				}
			}
			return nil
		})
	})
}

func TestViewCannotWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		err := db.View(t.Context(), func(tx *store.Tx) error { return tx.SetMeta(t.Context(), "a", "b") })
		if err == nil {
			t.Fatal("a view wrote")
		}
	})
}

func TestProjection(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		first := store.Projection{
			Journal: "j", At: store.Place{Seq: 3, Segment: 1, Offset: 99},
			Chain: store.Hash{1, 2}, Low: store.Place{Seq: 2, Segment: 1, Offset: 50}, TS: 7,
		}
		second := first
		second.At.Seq, second.Chain = 5, store.Hash{3}
		batch(t, db, func(tx *store.Tx) error { return tx.SetProjection(t.Context(), store.Place{}, first) })
		err := db.Batch(t.Context(), func(tx *store.Tx) error {
			return tx.SetProjection(t.Context(), store.Place{Seq: 4}, second)
		})
		if err == nil {
			t.Error("a projection moved on from a place it was not at")
		}
		batch(t, db, func(tx *store.Tx) error { return tx.SetProjection(t.Context(), first.At, second) })
		view(t, db, func(tx *store.Tx) error {
			if got, err := tx.Projection(t.Context(), "j"); err != nil || got != second {
				t.Errorf("got %+v, %v", got, err)
			}
			if _, err := tx.Projection(t.Context(), "other"); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			return nil
		})
	})
}
