package projector

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

// copyDir copies the files of a folder.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestCopiedJournal restores an older copy of the journal's folder, with and
// without going on from there: it is set aside, nothing is skipped or repeated.
func TestCopiedJournal(t *testing.T) {
	for name, goesOn := range map[string]bool{"beyond its end": false, "another chain": true} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db *store.DB) {
				var out bytes.Buffer
				r := newReplica(t, "a", db)
				folder, copied := filepath.Join(r.dir, "journal"), filepath.Join(r.dir, "copy")
				r.announceCard()
				r.exchanges(20)
				r.kill()
				copyDir(t, folder, copied)
				r.open()
				r.exchanges(20)
				r.run()
				r.flush()
				r.kill()
				copyDir(t, copied, folder)
				if goesOn { // another history of at least the same length
					r.open2(t)
				}
				r.cfg.Logger = slog.New(slog.NewTextHandler(&out, nil))
				r.open()
				if !slices.Equal(r.rec.Notes, []string{NoteRestarted}) || !strings.Contains(out.String(), "level=ERROR") {
					t.Fatalf("recovery %+v, log %s", r.rec, out.String())
				}
				orphans, err := filepath.Glob(filepath.Join(folder, "orphaned-*"))
				if err != nil || len(orphans) != 1 {
					t.Errorf("set aside: %v, %v", orphans, err)
				}
				r.n = 3000
				r.run()
				r.exchanges(5)
				r.flush()
				r.kill()
				if report := r.verify(); report.Entries != 45 {
					t.Errorf("%d rows", report.Entries)
				}
			})
		})
	}
}

// open2 lets the journal go on without a projector, as on another machine.
func (r *replica) open2(t *testing.T) {
	t.Helper()
	other := &replica{t: t, name: "z", dir: r.dir, db: storetest.Open(t, storetest.SQLite), cfg: r.cfg}
	other.open()
	other.exchanges(40)
	other.kill()
}

// TestAnotherDatabase gives a journal to a database that has never seen it.
func TestAnotherDatabase(t *testing.T) {
	r := newReplica(t, "a", storetest.Open(t, storetest.SQLite))
	r.announceCard()
	r.exchanges(10)
	r.run()
	r.flush()
	r.kill()
	if err := os.Remove(filepath.Join(r.dir, "heads")); err != nil {
		t.Fatal(err)
	}
	r.db = storetest.Open(t, storetest.SQLite)
	r.open()
	if r.rec.Notes != nil {
		t.Errorf("notes %v", r.rec.Notes)
	}
	r.run()
	r.flush()
	r.kill()
	if report := r.verify(); report.Entries != 10 {
		t.Errorf("%d rows", report.Entries)
	}
	// And once the begin of the journal is gone.
	r.open()
	r.exchanges(300)
	r.p.forgot = time.Time{}
	r.run()
	r.flush()
	r.kill()
	r.open()
	r.exchanges(1)
	r.p.forgot = time.Time{}
	r.run()
	r.flush()
	r.kill()
	if err := os.Remove(filepath.Join(r.dir, "heads")); err != nil {
		t.Fatal(err)
	}
	r.db = storetest.Open(t, storetest.SQLite)
	r.open()
	if !slices.Equal(r.rec.Notes, []string{NoteIncomplete}) {
		t.Errorf("notes %v", r.rec.Notes)
	}
	r.kill()
}

// TestRecoveredVerdicts: recovery returns the verdicts that the database does not
// have yet, and no other.
func TestRecoveredVerdicts(t *testing.T) {
	r := newReplica(t, "a", storetest.Open(t, storetest.SQLite))
	r.begin(0) // stays open, so that the journal is read from here
	r.judge("vrd_1")
	r.run()
	r.flush()
	r.judge("vrd_2")
	r.flush()
	r.kill()
	r.open()
	r.judge("vrd_3")
	r.judge("vrd_4")
	r.kill()
	r.open()
	ids := []string{}
	for _, v := range r.rec.Verdicts {
		ids = append(ids, v.ID)
	}
	if !slices.Equal(ids, []string{"vrd_3", "vrd_4"}) {
		t.Errorf("recovered %v", ids)
	}
	r.kill()
}

// TestRefusedCheckpoint tampers with the log while the projector runs: leaves are
// no longer signed, Flush says so, and the lag shows.
func TestRefusedCheckpoint(t *testing.T) {
	onBoth(t, func(t *testing.T, _ *store.DB) {
		engine := filepath.Base(t.Name())
		cfg := storetest.Config(t, engine)
		r := newReplica(t, "a", storetest.OpenConfig(t, cfg))
		r.run()
		defer r.kill()
		r.announceCard()
		r.exchanges(5)
		r.flush()
		if _, err := storetest.SQL(t, cfg).Exec("UPDATE checkpoint SET note = 'x'"); err != nil {
			t.Fatal(err)
		}
		r.exchanges(5)
		if err := r.p.Flush(t.Context()); err == nil {
			t.Error("flush succeeded")
		}
		if got := r.metric("checkpoint_refusals_total"); got < 1 {
			t.Errorf("%v refusals", got)
		}
		if _, err := r.db.Entry(t.Context(), r.intent(9).RID); err != nil {
			t.Errorf("the row is missing: %v", err)
		}
	})
}
