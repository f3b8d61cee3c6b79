package keep_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"sallyport/internal/fault"
	"sallyport/internal/keep"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// versions are the versions of a master secret that are held.
func versions(held ...int64) func(int64) ([32]byte, bool) {
	return func(v int64) ([32]byte, bool) {
		if slices.Contains(held, v) {
			return sha256.Sum256(fmt.Append(nil, v)), true
		}
		return [32]byte{}, false
	}
}

func newKeep(t *testing.T, db *store.DB, change func(*keep.Config)) *keep.Keep {
	t.Helper()
	cfg := keep.Config{Store: db, Newest: func() int64 { return 2 }, Subkey: versions(1, 2), Lifetime: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	return keep.New(cfg)
}

func TestObjectsHaveOneOwner(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			k := newKeep(t, storetest.Open(t, engine), nil)
			ctx := t.Context()
			for _, project := range []string{"a", "b"} {
				if err := k.Own(ctx, "a", keep.File, "file-1", "up"); err != nil {
					t.Fatal(err)
				}
				if err := k.Own(ctx, "b", keep.File, "file-2", "up"); err != nil {
					t.Fatal(project, err)
				}
			}
			if at, err := k.Owned(ctx, "a", keep.File, "file-1"); err != nil || at != "up" {
				t.Errorf("%q, %v", at, err)
			}
			for name, f := range map[string]func() error{
				"another project": func() error { _, err := k.Owned(ctx, "b", keep.File, "file-1"); return err },
				"another kind":    func() error { _, err := k.Owned(ctx, "a", keep.Batch, "file-1"); return err },
				"no such id":      func() error { _, err := k.Owned(ctx, "a", keep.File, "file-3"); return err },
			} {
				if err := f(); !errors.Is(err, keep.ErrNotFound) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if ids, err := k.Mine(ctx, "a", keep.File, "up"); err != nil || len(ids) != 1 || !ids["file-1"] {
				t.Errorf("%v, %v", ids, err)
			}
			if ids, err := k.Mine(ctx, "a", keep.File, "other"); err != nil || len(ids) != 0 {
				t.Errorf("%v, %v", ids, err)
			}
			if err := k.Disown(ctx, "b", keep.File, "file-1"); err != nil {
				t.Error(err)
			}
			if _, err := k.Owned(ctx, "a", keep.File, "file-1"); err != nil {
				t.Error("another project disowned it")
			}
			if err := k.Disown(ctx, "a", keep.File, "file-1"); err != nil {
				t.Error(err)
			}
			if _, err := k.Owned(ctx, "a", keep.File, "file-1"); !errors.Is(err, keep.ErrNotFound) {
				t.Error(err)
			}
		})
	}
}

func TestDocuments(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			db := storetest.Open(t, engine)
			k := newKeep(t, db, nil)
			ctx := t.Context()
			want := bytes.Repeat([]byte("prompt "), 1000)
			if err := k.Put(ctx, "a", map[string][]byte{"resp_1": want, "other": []byte("x")}); err != nil {
				t.Fatal(err)
			}
			if got, err := k.Get(ctx, "a", "resp_1"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if _, err := k.Get(ctx, "b", "resp_1"); !errors.Is(err, keep.ErrNotFound) {
				t.Errorf("another project: %v", err)
			}
			if err := k.Drop(ctx, "b", "resp_1"); !errors.Is(err, keep.ErrNotFound) {
				t.Errorf("another project drops it: %v", err)
			}
			// A version of the secret that is gone takes its documents with it.
			if _, err := newKeep(t, db, func(c *keep.Config) { c.Subkey = versions(3) }).Get(ctx, "a", "resp_1"); !errors.Is(err, keep.ErrNotFound) {
				t.Errorf("without the secret: %v", err)
			}
			if err := k.Drop(ctx, "a", "resp_1"); err != nil {
				t.Error(err)
			}
			if _, err := k.Get(ctx, "a", "resp_1"); !errors.Is(err, keep.ErrNotFound) {
				t.Error(err)
			}
			if err := k.Put(ctx, "a", map[string][]byte{"big": make([]byte, keep.MaxDocument+1)}); fault.From(err).Kind != fault.TooLarge {
				t.Error(err)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			db := storetest.Open(t, engine)
			old := newKeep(t, db, func(c *keep.Config) { c.Lifetime = -time.Second })
			k := newKeep(t, db, nil)
			ctx := t.Context()
			for i := range 450 {
				if err := old.Put(ctx, "a", map[string][]byte{fmt.Sprint("old", i): []byte("x")}); err != nil {
					t.Fatal(err)
				}
			}
			if err := k.Put(ctx, "a", map[string][]byte{"young": []byte("x")}); err != nil {
				t.Fatal(err)
			}
			if _, err := k.Get(ctx, "a", "old1"); !errors.Is(err, keep.ErrNotFound) {
				t.Errorf("before the sweep: %v", err)
			}
			if err := k.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
			left := 0
			err := db.View(ctx, func(tx *store.Tx) error {
				for _, id := range []string{"old0", "old449", "young"} {
					if _, err := tx.Document(ctx, "a", id, -1); err == nil {
						left++
					}
				}
				return nil
			})
			if err != nil || left != 1 {
				t.Errorf("%d left, %v", left, err)
			}
		})
	}
}

// TestSealHoldsAgainstTheDatabase: a changed byte, and a row moved to another
// project or id, is found, and nothing of the text is in the file.
func TestSealHoldsAgainstTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	db, err := store.Open(t.Context(), store.Config{SQLitePath: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	k := newKeep(t, db, nil)
	if err := k.Put(t.Context(), "a", map[string][]byte{"one": []byte("a very secret prompt")}); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var sealed []byte
	if err := raw.QueryRow("SELECT sealed FROM document").Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("the text is stored in clear")
	}
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 1
		if _, err := raw.Exec("UPDATE document SET sealed = ?", flipped); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Get(t.Context(), "a", "one"); !errors.Is(err, keep.ErrNotFound) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	if _, err := raw.Exec("UPDATE document SET sealed = ?, project = 'b'", sealed); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(t.Context(), "b", "one"); !errors.Is(err, keep.ErrNotFound) {
		t.Errorf("moved to another project: %v", err)
	}
	if _, err := raw.Exec("UPDATE document SET project = 'a', id = 'two'"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(t.Context(), "a", "two"); !errors.Is(err, keep.ErrNotFound) {
		t.Errorf("moved to another id: %v", err)
	}
	if _, err := raw.Exec("UPDATE document SET id = 'one'"); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Get(t.Context(), "a", "one"); err != nil || string(got) != "a very secret prompt" {
		t.Errorf("put back: %q, %v", got, err)
	}
}
