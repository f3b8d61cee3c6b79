package auditlog_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"sallyport/internal/auditlog"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestOpenAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		origin, vkey := f.log.Origin(), f.log.VerifierKey()
		if !strings.HasPrefix(origin, "sallyport/") || !strings.HasPrefix(vkey, origin+"+") {
			t.Errorf("origin %q, key %q", origin, vkey)
		}
		f.fill(5, 2)
		f.close()
		f.open()
		if f.log.Origin() != origin || f.log.VerifierKey() != vkey {
			t.Error("origin or key changed")
		}
		f.fill(5, 2)
		f.clean()
	})
}

func TestSealedKey(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	db := storetest.SQL(t, f.where)
	var sealed string
	if err := db.QueryRow("SELECT value FROM meta WHERE name = 'log.key'").Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || bytes.Contains(raw, []byte("PRIVATE")) {
		t.Errorf("the key is stored as %q (%v)", raw, err)
	}
	other := bytes.Repeat([]byte{1}, 32)
	for name, key := range map[string][]byte{"another": other, "none": nil, "short": other[:16]} {
		if _, err := auditlog.Open(t.Context(), auditlog.Config{DB: f.db, Keys: sealedBy(key)}); err == nil {
			t.Errorf("%s key opened the log", name)
		} else if strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		exec(t, db, "UPDATE meta SET value = '"+base64.StdEncoding.EncodeToString(changed)+"' WHERE name = 'log.key'")
		if _, err := auditlog.Open(t.Context(), auditlog.Config{DB: f.db, Keys: sealedBy(sealing)}); err == nil {
			t.Fatalf("byte %d of the sealed key is not covered", i)
		}
	}
}

// TestCreateAtOnce opens one fresh database from several replicas at the same
// time: one origin, one key.
func TestCreateAtOnce(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			db := storetest.Open(t, engine)
			var wg sync.WaitGroup
			keys := make([]string, 4)
			for i := range keys {
				wg.Go(func() {
					l, err := auditlog.Open(t.Context(), auditlog.Config{DB: db, Keys: sealedBy(sealing)})
					if err != nil {
						t.Error(err)
						return
					}
					keys[i] = l.VerifierKey()
				})
			}
			wg.Wait()
			for _, k := range keys {
				if k != keys[0] {
					t.Errorf("keys %q", keys)
				}
			}
		})
	}
}

// TestTwoReplicas lets two logs append to one database in turn.
func TestTwoReplicas(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		other := &fixture{t: t, where: f.where, heads: f.heads + ".other", n: 5000}
		other.open()
		for i := range 12 {
			f.add(1 + i%3)
			other.add(2)
			if i%2 == 0 {
				f.sign()
			} else {
				other.sign()
			}
		}
		f.clean()
		other.clean()
	})
}

// TestRolledBackAppend loses transactions after their leaves were appended: the
// log goes on where it was.
func TestRolledBackAppend(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		f.fill(5, 5)
		boom := errors.New("boom")
		for range 3 {
			err := f.db.Batch(t.Context(), func(tx *store.Tx) error {
				r := record.Record{Kind: record.KindOutcome, Exchange: outcome(999)}
				l, err := auditlog.NewLeaf(&r, r.Append(nil), nil)
				return errors.Join(err, f.log.Append(t.Context(), tx, []store.Leaf{l}), boom)
			})
			if !errors.Is(err, boom) || errors.Is(err, auditlog.ErrInconsistent) {
				t.Fatal(err)
			}
			f.add(2)
		}
		f.sign()
		f.clean()
	})
}

func TestNothingNewToSign(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		if h := f.sign(); h != nil {
			t.Errorf("an empty log was signed: %+v", h)
		}
		f.add(1)
		if h := f.sign(); h == nil || h.Size != 2 || h.Origin != f.log.Origin() {
			t.Errorf("got %+v", h)
		}
		if h := f.sign(); h != nil {
			t.Errorf("signed twice: %+v", h)
		}
		v, err := note.NewVerifier(f.log.VerifierKey())
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open([]byte(f.last.Note), note.VerifierList(v))
		if err != nil || !strings.HasPrefix(n.Text, f.log.Origin()+"\n2\n") || strings.Count(n.Text, "\n") != 3 {
			t.Errorf("note %q, %v", f.last.Note, err)
		}
	})
}

// TestRefusals tampers with what a checkpoint must agree with: nothing is signed,
// and nothing is appended where the tree itself does not hold.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		tamper  string
		appends bool // whether leaves can still be appended
	}{
		"root":            {"UPDATE log_head SET root = zeroblob(32)", false},
		"size":            {"UPDATE log_head SET size = size + 1", false},
		"smaller":         {"UPDATE log_head SET size = size - 1", false},
		"edge hash":       {"UPDATE log_hash SET h = zeroblob(32)", false},
		"hash gone":       {"DELETE FROM log_hash", false},
		"checkpoint note": {"UPDATE checkpoint SET note = replace(note, 'sallyport', 'sallyporT')", true},
		"checkpoint size": {"UPDATE checkpoint SET size = size + 1", true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, storetest.SQLite)
			f.fill(9, 9)
			f.add(2)
			exec(t, storetest.SQL(t, f.where), c.tamper)
			if h, err := f.log.Sign(t.Context(), 1); !errors.Is(err, auditlog.ErrInconsistent) {
				t.Errorf("signed %+v, %v", h, err)
			}
			f.close()
			f.open() // nothing is remembered in memory
			r := record.Record{Kind: record.KindOutcome, Exchange: outcome(500)}
			if err := project(t, f.db, f.log, r); (err == nil) != c.appends || err != nil && !errors.Is(err, auditlog.ErrInconsistent) {
				t.Errorf("append: %v", err)
			}
		})
	}
}

// TestRolledBackDatabase restores an old copy and goes on: the heads file keeps
// the log from being signed until it agrees again, and for ever when it does not.
func TestRolledBackDatabase(t *testing.T) {
	for name, replay := range map[string]bool{"replayed": true, "forked": false} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, storetest.SQLite)
			f.fill(6, 3)
			f.close()
			old, err := os.ReadFile(f.where.SQLitePath)
			if err != nil {
				t.Fatal(err)
			}
			f.open()
			f.add(10)
			f.sign()
			f.close()
			if err := os.WriteFile(f.where.SQLitePath, old, 0o600); err != nil {
				t.Fatal(err)
			}
			f.n = 6
			f.open()
			if !replay {
				f.n = 100
			}
			f.add(1)
			if _, err := f.log.Sign(t.Context(), 1); !errors.Is(err, auditlog.ErrInconsistent) {
				t.Fatalf("a log that is behind what was published was signed: %v", err)
			}
			f.add(14)
			if _, err := f.log.Sign(t.Context(), 1); errors.Is(err, auditlog.ErrInconsistent) == replay {
				t.Fatalf("replayed %v: %v", replay, err)
			}
		})
	}
}

func TestHeadsFile(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(4, 2)
	f.close()
	info, err := os.Stat(f.heads)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	whole, err := os.ReadFile(f.heads)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(bytes.Clone(whole), whole[:30]...)
	if err := os.WriteFile(f.heads, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	f.clean()
	f.fill(2, 2)
	if r := f.clean(); r.Remembered != 3 {
		t.Errorf("remembered %d", r.Remembered)
	}
	for i := range whole { // each byte of the first two lines
		if whole[i] == '\n' {
			continue
		}
		changed := bytes.Clone(whole)
		changed[i] ^= 1
		if err := os.WriteFile(f.heads, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := f.verify(f.options()); r.OK() {
			t.Errorf("byte %d (%q) of the heads file is not covered", i, whole[i])
		}
	}
}

// TestOwnVerifierKey: the verifier key comes from the signing key itself, in full,
// and not from the row that names it.
func TestOwnVerifierKey(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		other := bytes.Repeat([]byte{1}, 32)
		if got, err := auditlog.OwnVerifierKey(t.Context(), f.db, other, sealing); err != nil || got != f.log.VerifierKey() {
			t.Errorf("%q, %v", got, err)
		}
		for name, keys := range map[string][][]byte{"another": {other}, "none": nil, "short": {sealing[:16]}} {
			if got, err := auditlog.OwnVerifierKey(t.Context(), f.db, keys...); err == nil {
				t.Errorf("%s key gives %q", name, got)
			}
		}
		// Another key under the same name and hash of 32 bits, as a search finds one.
		name, hash, _ := strings.Cut(f.log.VerifierKey(), "+")
		hash, _, _ = strings.Cut(hash, "+")
		forged := name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, other...))
		exec(t, storetest.SQL(t, f.where), "UPDATE meta SET value = '"+forged+"' WHERE name = 'log.vkey'")
		if got, err := auditlog.OwnVerifierKey(t.Context(), f.db, sealing); err != nil || got != f.log.VerifierKey() {
			t.Errorf("after a forgery: %q, %v", got, err)
		}
		if _, err := auditlog.Open(t.Context(), auditlog.Config{DB: f.db, Keys: sealedBy(sealing)}); err == nil {
			t.Error("a log opens whose verifier key is another's")
		}
	})
}
