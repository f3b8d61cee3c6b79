package auditlog_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"sallyport/internal/auditlog"
	"sallyport/internal/ledger"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

// forked is a log of which 20 exchanges were signed, that was then restored to 10
// of them and went on with others.
func forked(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t, storetest.SQLite)
	f.fill(10, 5)
	f.close()
	backup, err := os.ReadFile(f.where.SQLitePath)
	if err != nil {
		t.Fatal(err)
	}
	f.open()
	f.fill(10, 5)
	f.close()
	if err := os.WriteFile(f.where.SQLitePath, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	f.n = 10
	f.add(3)
	f.n = 100
	f.add(15)
	return f
}

func (f *fixture) reopen() *record.Head {
	f.t.Helper()
	h, err := f.log.Reopen(f.t.Context(), record.Admin{TS: start + 999, Actor: "local", Detail: map[string]string{"reason": "disk died"}, Salt: salt(-999)})
	if err != nil {
		f.t.Fatal(err)
	}
	f.last = h
	return h
}

// broken demands that a verification names the reopenings and nothing else.
func (f *fixture) broken(times int) auditlog.Report {
	f.t.Helper()
	r := f.verify(f.options())
	for _, finding := range r.Findings {
		if finding.Code != auditlog.CodeReopened {
			f.t.Errorf("unexpected finding: %+v", finding)
		}
	}
	if len(r.Findings) != times {
		f.t.Errorf("%d findings, want %d: %+v", len(r.Findings), times, r.Findings)
	}
	return r
}

// others reports whether there is a finding besides the reopening.
func others(r auditlog.Report) bool {
	return slices.ContainsFunc(r.Findings, func(f auditlog.Finding) bool { return f.Code != auditlog.CodeReopened })
}

// TestReopen: a log that was rolled back and went on otherwise is signed again
// under another origin; every verification names the break, and nothing else.
func TestReopen(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(10, 5)
	if _, err := f.log.Reopen(t.Context(), record.Admin{Salt: salt(1)}); !errors.Is(err, auditlog.ErrWhole) {
		t.Errorf("a whole log was reopened: %v", err)
	}
	f = forked(t)
	if _, err := f.log.Sign(t.Context(), 1); !errors.Is(err, auditlog.ErrRolledBack) || !errors.Is(err, auditlog.ErrInconsistent) {
		t.Fatalf("signed: %v", err)
	}
	origin, lost := f.log.Origin(), f.last
	h := f.reopen()
	if f.log.Origin() == origin || h.Origin != f.log.Origin() {
		t.Errorf("the origin was %q and is %q; signed under %q", origin, f.log.Origin(), h.Origin)
	}
	if h := f.sign(); h != nil {
		t.Errorf("signed again: %+v", h)
	}
	for _, f.n = range []int{150, 200} {
		f.fill(12, 5)
		r := f.broken(1)
		for _, want := range []string{origin, fmt.Sprintf("signed %d leaves", lost.Size), "the first 11", "disk died", "2 remembered heads"} {
			if !strings.Contains(r.Findings[0].Detail, want) {
				t.Errorf("%q does not tell %q", r.Findings[0].Detail, want)
			}
		}
		if _, err := f.log.Reopen(t.Context(), record.Admin{Salt: salt(1)}); !errors.Is(err, auditlog.ErrWhole) {
			t.Errorf("reopened again: %v", err)
		}
		f.close()
		f.open()
	}
	o := f.options()
	o.Against = []byte(lost.Note)
	if got := codes(f.verify(o)); !slices.Contains(got, auditlog.CodeAgainst+" in against") {
		t.Errorf("against a head that was lost: %v", got)
	}
	o.Against = []byte(note0(t, f))
	if got := codes(f.verify(o)); !slices.Equal(got, []string{auditlog.CodeReopened + " in leaf"}) {
		t.Errorf("against a head that was kept: %v", got)
	}
}

// note0 is the first checkpoint that is stored.
func note0(t *testing.T, f *fixture) string {
	return read(t, storetest.SQL(t, f.where), "SELECT note FROM checkpoint ORDER BY size LIMIT 1")["note"].(string)
}

// TestReopenTwice: a log can break again. A replica does not go back to an origin
// between, which has a past of its own to show.
func TestReopenTwice(t *testing.T) {
	f := forked(t)
	f.reopen()
	f.n = 200
	f.fill(4, 2)
	f.close()
	backup, err := os.ReadFile(f.where.SQLitePath)
	if err != nil {
		t.Fatal(err)
	}
	f.open()
	putBack := f.origin(t)
	f.fill(6, 3)
	f.close()
	if err := os.WriteFile(f.where.SQLitePath, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	f.n = 300
	f.add(9)
	f.reopen()
	f.n = 400
	f.fill(4, 2)
	f.broken(2)
	putBack()
	exec(t, storetest.SQL(t, f.where), "DELETE FROM checkpoint WHERE note LIKE '"+f.log.Origin()+"%'")
	f.add(1)
	if h, err := f.log.Sign(t.Context(), 1); !errors.Is(err, auditlog.ErrInconsistent) {
		t.Errorf("it went back to the origin between: %+v, %v", h, err)
	}
}

// origin returns what puts the log's present origin and keys back into the database.
func (f *fixture) origin(t *testing.T) (putBack func()) {
	t.Helper()
	db := storetest.SQL(t, f.where)
	origin := f.log.Origin()
	key := read(t, db, "SELECT value FROM meta WHERE name = 'log.key'")["value"].(string)
	vkey := read(t, db, "SELECT value FROM meta WHERE name = 'log.vkey'")["value"].(string)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		db := storetest.SQL(t, f.where)
		exec(t, db, "UPDATE log_head SET origin = '"+origin+"'")
		exec(t, db, "UPDATE meta SET value = '"+key+"' WHERE name = 'log.key'")
		exec(t, db, "UPDATE meta SET value = '"+vkey+"' WHERE name = 'log.vkey'")
	}
}

// TestFollow: a replica goes over to the origin under which another reopened the
// log, also when it missed one, and never goes back.
func TestFollow(t *testing.T) {
	f := forked(t)
	putBack := f.origin(t)
	other := &fixture{t: t, where: f.where, heads: f.heads + ".other", n: 5000}
	other.open()
	f.reopen()
	other.add(3)
	if h := other.sign(); h == nil || h.Origin != f.log.Origin() || other.log.VerifierKey() != f.log.VerifierKey() {
		t.Fatalf("the other replica signs %+v", h)
	}
	f.add(2)
	f.sign()
	f.broken(1)
	other.broken(1)

	putBack()
	f.add(1)
	if h, err := f.log.Sign(t.Context(), 1); !errors.Is(err, auditlog.ErrInconsistent) {
		t.Errorf("it went back to the former origin: %+v, %v", h, err)
	}
	if !others(f.verify(f.options())) {
		t.Error("nothing tells that the origin was put back")
	}
}

// TestReopeningIsCovered flips each byte of the leaf of a reopening and of the
// heads of the origin that ended.
func TestReopeningIsCovered(t *testing.T) {
	f := forked(t)
	h := f.reopen()
	f.n = 200
	f.fill(4, 2)
	f.broken(1)
	db := storetest.SQL(t, f.where)
	for _, column := range []string{"record", "data", "rid"} {
		where := fmt.Sprintf(" WHERE idx = %d", h.Size-1)
		original := read(t, db, "SELECT "+column+" FROM leaf"+where)[column]
		_, text := original.(string)
		raw := fmt.Appendf(nil, "%s", original)
		set := func(b []byte) {
			var v any = b
			if text {
				v = string(b)
			}
			if _, err := db.Exec("UPDATE leaf SET "+column+" = $1"+where, v); err != nil {
				t.Fatal(err)
			}
		}
		for i := 0; i < len(raw); i += 1 + len(raw)/200 { // of the record a sample: its statement has a test of its own
			flipped := bytes.Clone(raw)
			flipped[i] ^= 1
			set(flipped)
			if !others(f.verify(f.options())) {
				t.Errorf("byte %d (%q) of column %s is not covered", i, raw[i], column)
			}
		}
		set(raw)
	}
	for change, want := range map[string]string{
		"DELETE FROM checkpoint WHERE size = (SELECT min(size) FROM checkpoint)":        auditlog.CodeCheckpointGone,
		"UPDATE leaf SET idx = idx + 1000000 WHERE rid = '" + f.log.Origin() + "'":      auditlog.CodeReopened,
		"UPDATE leaf SET rid = 'sallyport/hidden' WHERE rid = '" + f.log.Origin() + "'": auditlog.CodeOrigin,
	} {
		f.tampered(t, change, want)
	}
	whole, err := os.ReadFile(f.heads)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte{'\n'})
	at := len(lines[0])
	for n, line := range lines[1:3] { // the last that was kept, and the first that was lost
		ts := bytes.Index(line, []byte(`"ts":`))
		for i := range line[:len(line)-1] {
			if n == 1 && i > ts+4 && line[i] >= '0' && line[i] <= '9' {
				continue // the time of a head that the log does not hold stands nowhere else
			}
			flipped := bytes.Clone(whole)
			flipped[at+i] ^= 1
			if err := os.WriteFile(f.heads, flipped, 0o600); err != nil {
				t.Fatal(err)
			}
			if !others(f.verify(f.options())) {
				t.Errorf("byte %d (%q) of line %d of the heads file is not covered", i, line[i], n+2)
			}
		}
		at += len(line)
	}
}

// tampered demands a finding of a code, beside that of the reopening, in a copy of
// the database with a change.
func (f *fixture) tampered(t *testing.T, change, want string) {
	t.Helper()
	where := storetest.Config(t, storetest.SQLite)
	exec(t, storetest.SQL(t, f.where), "VACUUM INTO '"+where.SQLitePath+"'")
	exec(t, storetest.SQL(t, where), change)
	r, err := auditlog.Verify(t.Context(), storetest.OpenConfig(t, where), f.options())
	if err != nil {
		t.Fatal(err)
	}
	if !others(r) || !slices.ContainsFunc(r.Findings, func(f auditlog.Finding) bool {
		return f.Code == want && !strings.Contains(f.Detail, "ended here")
	}) {
		t.Errorf("%s: no %s in %+v", change, want, r.Findings)
	}
}

// TestRewriteBeforeAReopening rewrites leaves that were there before the reopening
// with everything that hangs on them, and takes away every checkpoint and every
// head: the statement itself tells.
func TestRewriteBeforeAReopening(t *testing.T) {
	f := forked(t)
	f.reopen()
	f.n = 200
	f.fill(2, 2)
	o := f.options()
	o.HeadsFile = ""
	var leaves []store.Leaf
	err := f.db.View(t.Context(), func(tx *store.Tx) error {
		for l, err := range tx.Leaves(t.Context(), 0, 1000) {
			if err != nil {
				return err
			}
			leaves = append(leaves, l)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(leaves, func(l store.Leaf) bool { return l.RID == "req_000007" })
	x := outcome(7)
	x.Amount++
	r, e := record.Record{Kind: record.KindOutcome, Exchange: x}, ledger.Entry(x)
	if leaves[i], err = auditlog.NewLeaf(&r, r.Append(nil), e.AppendCanonical(nil)); err != nil {
		t.Fatal(err)
	}
	db := storetest.SQL(t, f.where)
	for _, s := range []string{
		"DELETE FROM leaf", "DELETE FROM log_hash", "DELETE FROM checkpoint", "UPDATE log_head SET size = 0",
		"UPDATE log_head SET root = unhex('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')",
		"UPDATE ledger SET nano = nano + 1 WHERE rid = 'req_000007'", "UPDATE rollup SET nano = nano + 1 WHERE bucket = (SELECT min(bucket) FROM rollup)",
	} {
		exec(t, db, s)
	}
	if err := f.db.Batch(t.Context(), func(tx *store.Tx) error { return f.log.Append(t.Context(), tx, leaves) }); err != nil {
		t.Fatal(err)
	}
	if got := codes(f.verify(o)); !slices.Contains(got, auditlog.CodeCheckpoint+" in leaf") {
		t.Errorf("got %v", got)
	}
}

// TestForgedPast: nobody without the key gives a log an origin before its own.
func TestForgedPast(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(10, 5)
	var signers []note.Signer
	var vkeys []any
	for _, name := range []string{"sallyport/forged", f.log.Origin()} {
		skey, vkey, err := note.GenerateKey(rand.Reader, name)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := note.NewSigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		signers, vkeys = append(signers, signer), append(vkeys, vkey)
	}
	head := read(t, storetest.SQL(t, f.where), "SELECT size, root FROM log_head")
	begin := fmt.Sprintf("%d %s", head["size"], base64.StdEncoding.EncodeToString(head["root"].([]byte)))
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("sallyport log reopened\nold %[1]s\nsigned %[3]s\nkept 0\nnew %[2]s\nbegin %[3]s\n", vkeys[0], vkeys[1], begin)}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	f.append(record.Record{Kind: record.KindAdmin, Admin: &record.Admin{
		TS: 1, ID: f.log.Origin(), Actor: "local", Act: auditlog.ActReopen, Detail: map[string]string{"statement": string(signed)}, Salt: salt(-1),
	}})
	f.sign()
	r := f.verify(f.options())
	if len(r.Findings) != 1 || r.Findings[0].Code != auditlog.CodeReopened || !strings.Contains(r.Findings[0].Detail, "of another key") {
		t.Errorf("got %+v", r.Findings)
	}
}

// TestForgedReopening: who can write to the database, and does not hold the key,
// makes nobody forget.
func TestForgedReopening(t *testing.T) {
	f := forked(t)
	db := storetest.SQL(t, f.where)
	vkey := f.log.VerifierKey()
	skey, forged, err := note.GenerateKey(rand.Reader, "sallyport/forged")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	head := read(t, db, "SELECT size, root FROM log_head")
	begin := fmt.Sprintf("%d %s", head["size"], base64.StdEncoding.EncodeToString(head["root"].([]byte)))
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("sallyport log reopened\nold %s\nsigned %s\nkept 0\nnew %s\nbegin %s\n", vkey, begin, forged, begin)}, signer)
	if err != nil {
		t.Fatal(err)
	}
	f.append(record.Record{Kind: record.KindAdmin, Admin: &record.Admin{
		TS: 1, ID: "sallyport/forged", Actor: "local", Act: auditlog.ActReopen, Target: f.log.Origin(),
		Detail: map[string]string{"statement": string(signed)}, Salt: salt(-1),
	}})
	exec(t, db, "UPDATE log_head SET origin = 'sallyport/forged'")
	exec(t, db, "UPDATE meta SET value = '"+forged+"' WHERE name = 'log.vkey'")
	if h, err := f.log.Sign(t.Context(), 1); !errors.Is(err, auditlog.ErrInconsistent) {
		t.Errorf("the forged log was signed: %+v, %v", h, err)
	}
	if h, err := f.log.Reopen(t.Context(), record.Admin{Salt: salt(1)}); !errors.Is(err, auditlog.ErrInconsistent) {
		t.Errorf("the forged log was reopened: %+v, %v", h, err)
	}
	got := codes(f.verify(f.options()))
	for _, want := range []string{auditlog.CodeVerifierKey + " in meta", auditlog.CodeHead + " in log_head", auditlog.CodeCheckpoint + " in heads file"} {
		if !slices.Contains(got, want) {
			t.Errorf("%v misses %s", got, want)
		}
	}
	o := f.options()
	o.VKey = "" // even to who believes the database the statement does not hold
	if got := codes(f.verify(o)); !slices.Contains(got, auditlog.CodeReopened+" in leaf") || !slices.Contains(got, auditlog.CodeOrigin+" in heads file") {
		t.Errorf("believing the database: %v", got)
	}
	f.close()
	again := storetest.OpenConfig(t, f.where)
	if _, err := auditlog.Open(t.Context(), auditlog.Config{DB: again, Keys: sealedBy(sealing), HeadsFile: f.heads}); err == nil {
		t.Error("the forged log opens")
	}
}
