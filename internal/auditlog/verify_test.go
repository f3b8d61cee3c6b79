package auditlog_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/auditlog"
	"sallyport/internal/ledger"
	"sallyport/internal/record"
	"sallyport/internal/store/storetest"
)

func onBoth(t *testing.T, test func(*testing.T, *fixture)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { test(t, newFixture(t, engine)) })
	}
}

func TestVerifyClean(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		if r := f.clean(); r.Leaves != 0 || r.Trust != auditlog.SelfSigned {
			t.Errorf("an empty log: %+v", r)
		}
		f.fill(600, 60) // more than a page of every table
		f.add(3)
		r := f.clean()
		want := auditlog.Report{
			Origin: f.log.Origin(), VerifierKey: f.log.VerifierKey(), Trust: auditlog.SelfSigned,
			Entries: 603, Cards: 13, Checkpoints: 10, Remembered: 10, Unsigned: 4, Findings: []auditlog.Finding{},
		}
		want.Leaves = want.Entries + want.Cards + 603/17 // no act where a card is
		want.Leaves -= 603/(17*50) + 0
		want.Size, want.Hashes, want.Rollups = r.Leaves, tlog.StoredHashCount(r.Leaves), r.Rollups
		if r.Rollups < 70 {
			t.Errorf("only %d sums", r.Rollups)
		}
		if fmt.Sprint(r) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", r, want)
		}
	})
}

// TestVerifyCounts: our own counts are held to their records as ledger rows are.
func TestVerifyCounts(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		f.add(3)
		f.append(count(0), count(1), count(2))
		f.sign()
		if r := f.clean(); r.Counts != 3 {
			t.Errorf("%d counts were checked", r.Counts)
		}
		db := storetest.SQL(t, f.where)
		for _, c := range []struct{ sql, code string }{
			{"UPDATE token_count SET counted = 99 WHERE rid = 'req_000000'", auditlog.CodeCountChanged},
			{"DELETE FROM token_count WHERE rid = 'req_000001'", auditlog.CodeCountMissing},
			{"UPDATE token_count SET leaf = 900 WHERE rid = 'req_000002'", auditlog.CodeCountStray},
		} {
			if _, err := db.Exec(c.sql); err != nil {
				t.Fatal(err)
			}
			found := func(f auditlog.Finding) bool { return f.Code == c.code && f.Table == "token_count" }
			if r := f.verify(f.options()); !slices.ContainsFunc(r.Findings, found) {
				t.Errorf("%s: %+v", c.sql, r.Findings)
			}
		}
	})
}

// TestVerifyVerdicts: verdicts are held to their records as ledger rows are.
func TestVerifyVerdicts(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		f.add(3)
		f.append(judged(0), judged(1), judged(2))
		f.sign()
		if r := f.clean(); r.Verdicts != 3 {
			t.Errorf("%d verdicts were checked", r.Verdicts)
		}
		db := storetest.SQL(t, f.where)
		for _, c := range []struct{ sql, code string }{
			{"UPDATE verdict SET act = 'release' WHERE rid = 'vrd_000000'", auditlog.CodeVerdictChanged},
			{"DELETE FROM verdict WHERE rid = 'vrd_000001'", auditlog.CodeVerdictMissing},
			{"UPDATE verdict SET leaf = 900 WHERE rid = 'vrd_000002'", auditlog.CodeVerdictStray},
		} {
			if _, err := db.Exec(c.sql); err != nil {
				t.Fatal(err)
			}
			found := func(f auditlog.Finding) bool { return f.Code == c.code && f.Table == "verdict" }
			if r := f.verify(f.options()); !slices.ContainsFunc(r.Findings, found) {
				t.Errorf("%s: %+v", c.sql, r.Findings)
			}
		}
	})
}

// row is one row to tamper with: its table, how it is selected, and what a
// finding must name it by.
type row struct {
	table, where, name string
	keys               []string // columns of the primary key
	never              []string // columns that the schema itself protects
}

// TestEveryColumnIsCovered changes every column of a row of every table and
// demands a finding that names table and row.
func TestEveryColumnIsCovered(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		f.fill(60, 20)
		f.append(count(40), count(41), judged(42))
		f.sign()
		f.clean()
		db := storetest.SQL(t, f.where)
		size := f.last.Size
		rows := []row{
			{table: "leaf", where: "idx = 7", name: "idx 7", keys: []string{"idx"}},
			{table: "leaf", where: fmt.Sprintf("idx = %d", size-1), name: fmt.Sprintf("idx %d", size-1), keys: []string{"idx"}},
			{table: "log_hash", where: "idx = 0", name: "idx 0", keys: []string{"idx"}},
			{table: "log_hash", where: "idx = 14", name: "idx 14", keys: []string{"idx"}},
			{table: "log_head", where: "one = 1", name: "one 1", never: []string{"one"}},
			{table: "checkpoint", where: fmt.Sprintf("size = %d", size), name: fmt.Sprintf("size %d", size), keys: []string{"size"}},
			{table: "ledger", where: "rid = 'req_000041'", name: "req_000041", keys: []string{"leaf"}},
			{table: "ledger", where: "rid = 'req_000044'", name: "req_000044", keys: []string{"leaf"}}, // unknown usage
			{table: "price_card", where: "id = 'card-1'", name: "card-1", keys: []string{"id", "hash"}},
			{table: "token_count", where: "rid = 'req_000040'", name: "req_000040", keys: []string{"leaf"}},
			{table: "token_count", where: "rid = 'req_000041'", name: "leaf", keys: []string{"leaf"}}, // not countable
			{table: "verdict", where: "rid = 'vrd_000042'", name: "vrd_000042", keys: []string{"leaf"}},
			{table: "rollup", where: "grain = 'hour'", name: "hour"},
		}
		for _, r := range rows {
			values := read(t, db, "SELECT * FROM "+r.table+" WHERE "+r.where)
			for column, value := range values {
				if slices.Contains(r.never, column) {
					continue
				}
				t.Run(r.table+"."+column, func(t *testing.T) {
					changed := change(value, slices.Contains(r.keys, column))
					set := func(v any, where string) {
						t.Helper()
						if _, err := db.Exec("UPDATE "+r.table+" SET "+column+" = $1 WHERE "+where, v); err != nil {
							t.Fatal(err)
						}
					}
					set(changed, r.where)
					report := f.verify(f.options())
					named := slices.ContainsFunc(report.Findings, func(f auditlog.Finding) bool {
						return f.Table == r.table && strings.Contains(f.Where, r.name)
					})
					if !named {
						t.Errorf("%v became %v, findings: %+v", value, changed, report.Findings)
					}
					if strings.Contains(r.where, column+" ") { // the row is found by what it is now
						set(value, fmt.Sprintf("%s = '%v'", column, changed))
					} else {
						set(value, r.where)
					}
				})
			}
		}
		f.clean() // all changes were undone, so each was the one that was found
	})
}

// read reads one row by column.
func read(t *testing.T, db *sql.DB, query string) map[string]any {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range into {
		into[i] = &values[i]
	}
	if !rows.Next() {
		t.Fatalf("%s: no row", query)
	}
	if err := rows.Scan(into...); err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	for i, name := range names {
		m[name] = values[i]
	}
	return m
}

// change flips one bit; a high one of a key, so that it does not meet another row.
func change(value any, key bool) any {
	switch v := value.(type) {
	case int64:
		if key {
			return v ^ 1<<30
		}
		return v ^ 1
	case string:
		if v == "" {
			return "x"
		}
		b := []byte(v)
		b[len(b)/2] ^= 1
		return string(b)
	case []byte:
		b := slices.Clone(v)
		b[len(b)/2] ^= 1
		return b
	}
	return int64(1) // NULL
}

// TestEveryByteIsCovered flips each byte of what is signed or hashed.
func TestEveryByteIsCovered(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(9, 3)
	f.clean()
	db := storetest.SQL(t, f.where)
	for _, c := range []struct{ table, column, where string }{
		{"leaf", "data", "idx = 4"},
		{"leaf", "record", "idx = 4"},
		{"log_hash", "h", "idx = 6"},
		{"log_hash", "h", "idx = 7"},
		{"log_head", "root", "one = 1"},
		{"log_head", "origin", "one = 1"},
		{"checkpoint", "note", "size = 4"},
		{"price_card", "body", "id = 'card-0'"},
		{"price_card", "hash", "id = 'card-0'"},
	} {
		original := read(t, db, "SELECT "+c.column+" FROM "+c.table+" WHERE "+c.where)[c.column]
		_, isText := original.(string)
		raw := fmt.Append(nil, original)
		if b, ok := original.([]byte); ok {
			raw = b
		}
		set := func(b []byte) {
			var v any = b
			if isText {
				v = string(b)
			}
			if _, err := db.Exec("UPDATE "+c.table+" SET "+c.column+" = $1 WHERE "+c.where, v); err != nil {
				t.Fatal(err)
			}
		}
		step := 1 + len(raw)/70 // of long ones a sample
		for i := 0; i < len(raw); i += step {
			flipped := slices.Clone(raw)
			flipped[i] ^= 1
			set(flipped)
			r := f.verify(f.options())
			if !slices.ContainsFunc(r.Findings, func(f auditlog.Finding) bool { return f.Table == c.table }) {
				t.Errorf("%s.%s byte %d: %+v", c.table, c.column, i, r.Findings)
			}
		}
		set(raw)
	}
	f.clean()
}

// TestDeletedRows deletes the last 100 rows of each table, with every checkpoint
// that covers them.
func TestDeletedRows(t *testing.T) {
	keys := map[string]string{
		"leaf": "idx", "log_hash": "idx", "ledger": "leaf", "checkpoint": "size", "price_card": "leaf", "rollup": "bucket",
	}
	for table, key := range keys {
		t.Run(table, func(t *testing.T) {
			onBoth(t, func(t *testing.T, f *fixture) {
				f.fill(120, 10)
				f.clean()
				db := storetest.SQL(t, f.where)
				var from int64
				err := db.QueryRow(fmt.Sprintf(`SELECT COALESCE(MIN(k), 0) FROM
					(SELECT %s AS k FROM %s ORDER BY %s DESC LIMIT 100) AS x`, key, table, key)).Scan(&from)
				if err != nil {
					t.Fatal(err)
				}
				exec(t, db, fmt.Sprintf("DELETE FROM %s WHERE %s >= %d", table, key, from))
				exec(t, db, "DELETE FROM checkpoint WHERE size > 55")
				r := f.verify(f.options())
				if !slices.ContainsFunc(r.Findings, func(f auditlog.Finding) bool { return f.Table == table }) {
					t.Errorf("no finding names %s: %+v", table, r.Findings)
				}
				if table != "checkpoint" {
					// Without the heads file the rows themselves must tell.
					o := f.options()
					o.HeadsFile = ""
					r = f.verify(o)
					if !slices.ContainsFunc(r.Findings, func(f auditlog.Finding) bool { return f.Table == table }) {
						t.Errorf("without heads no finding names %s: %+v", table, r.Findings)
					}
				}
			})
		})
	}
}

func exec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func codes(r auditlog.Report) []string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Code+" in "+f.Table)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestYesterdaysCopy restores the database of an earlier time, which is
// consistent in itself: only what was remembered outside can tell.
func TestYesterdaysCopy(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(20, 5)
	remembered := f.last.Note
	f.close()
	yesterday, err := os.ReadFile(f.where.SQLitePath)
	if err != nil {
		t.Fatal(err)
	}
	f.open()
	f.fill(20, 5)
	today := f.last.Note
	f.close()
	if err := os.WriteFile(f.where.SQLitePath, yesterday, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	if got, want := codes(f.verify(f.options())), []string{auditlog.CodeBeyond + " in heads file"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	o := f.options()
	o.HeadsFile = ""
	if r := f.verify(o); !r.OK() {
		t.Errorf("yesterday's copy is not consistent in itself: %+v", r.Findings)
	}
	o.Against = []byte(remembered)
	if r := f.verify(o); !r.OK() {
		t.Errorf("an older checkpoint does not fit: %+v", r.Findings)
	}
	o.Against = []byte(today)
	if got, want := codes(f.verify(o)), []string{auditlog.CodeAgainst + " in against"}; !slices.Equal(got, want) {
		t.Errorf("against: got %v", got)
	}
}

// TestForkWithTheSameKey lets two copies of a database go on apart.
func TestForkWithTheSameKey(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(20, 5)
	f.close()
	copied, err := os.ReadFile(f.where.SQLitePath)
	if err != nil {
		t.Fatal(err)
	}
	fork := &fixture{t: t, where: storetest.Config(t, storetest.SQLite), heads: f.heads + ".fork", n: 1000}
	if err := os.WriteFile(fork.where.SQLitePath, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	f.fill(10, 5)
	fork.open()
	fork.fill(15, 5)
	f.clean()
	fork.clean() // each is consistent with what it remembers itself
	o := fork.options()
	o.HeadsFile = f.heads
	got := codes(fork.verify(o))
	if !slices.Contains(got, auditlog.CodeCheckpoint+" in heads file") {
		t.Errorf("heads of the other branch: %v", got)
	}
	o.HeadsFile, o.Against = "", []byte(f.last.Note)
	if got, want := codes(fork.verify(o)), []string{auditlog.CodeAgainst + " in against"}; !slices.Equal(got, want) {
		t.Errorf("against the other branch: %v", got)
	}
}

func TestForeignKeysAndLogs(t *testing.T) {
	f, other := newFixture(t, storetest.SQLite), newFixture(t, storetest.SQLite)
	f.fill(10, 5)
	other.fill(10, 5)
	o := f.options()
	o.VKey = other.log.VerifierKey()
	got := codes(f.verify(o))
	for _, want := range []string{auditlog.CodeVerifierKey + " in meta", auditlog.CodeSignature + " in checkpoint", auditlog.CodeHead + " in log_head"} {
		if !slices.Contains(got, want) {
			t.Errorf("wrong key: %v misses %s", got, want)
		}
	}
	o = f.options()
	o.HeadsFile = other.heads
	if got, want := codes(f.verify(o)), []string{auditlog.CodeOrigin + " in heads file"}; !slices.Equal(got, want) {
		t.Errorf("heads of another log: %v", got)
	}
	for name, against := range map[string]string{
		"another log": other.last.Note, "nonsense": "nonsense", "flipped": strings.Replace(f.last.Note, "\n1", "\n2", 1),
	} {
		o := f.options()
		o.Against = []byte(against)
		if got, want := codes(f.verify(o)), []string{auditlog.CodeAgainst + " in against"}; !slices.Equal(got, want) {
			t.Errorf("against %s: %v", name, got)
		}
	}
	o = f.options()
	o.Entry = nil
	if _, err := auditlog.Verify(t.Context(), f.db, o); err == nil {
		t.Error("verified without a mapping")
	}
}

// TestReplacedKey puts another key pair into the database: only somebody who
// knows the key notices.
func TestReplacedKey(t *testing.T) {
	f, other := newFixture(t, storetest.SQLite), newFixture(t, storetest.SQLite)
	f.fill(10, 5)
	db := storetest.SQL(t, f.where)
	exec(t, db, "UPDATE meta SET value = '"+other.log.VerifierKey()+"' WHERE name = 'log.vkey'")
	if got := codes(f.verify(f.options())); !slices.Equal(got, []string{auditlog.CodeVerifierKey + " in meta"}) {
		t.Errorf("got %v", got)
	}
	exec(t, db, "UPDATE meta SET value = 'nonsense' WHERE name = 'log.vkey'")
	o := f.options()
	o.VKey = ""
	if got := codes(f.verify(o)); !slices.Equal(got, []string{auditlog.CodeVerifierKey + " in meta"}) {
		t.Errorf("without any key: %v", got)
	}
	f.close()
	db2 := storetest.OpenConfig(t, f.where)
	if _, err := auditlog.Open(t.Context(), auditlog.Config{DB: db2, Keys: sealedBy(sealing)}); err == nil {
		t.Error("a log with a foreign verifier key was opened")
	}
}

// TestMoneyChangedEverywhere changes an amount in the row, the sums and even the
// record: the leaf still tells.
func TestMoneyChangedEverywhere(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(40, 10)
	db := storetest.SQL(t, f.where)
	x := outcome(21)
	x.Amount += 1000
	raw := x.Append(nil, record.KindOutcome)
	exec(t, db, "UPDATE ledger SET nano = nano + 1000 WHERE rid = 'req_000021'")
	exec(t, db, "UPDATE rollup SET nano = nano + 1000")
	if _, err := db.Exec("UPDATE leaf SET record = $1 WHERE rid = 'req_000021'", raw); err != nil {
		t.Fatal(err)
	}
	got := f.verify(f.options())
	if !slices.ContainsFunc(got.Findings, func(f auditlog.Finding) bool {
		return f.Code == auditlog.CodeLeafChanged && strings.Contains(f.Where, "req_000021")
	}) {
		t.Errorf("got %+v", got.Findings)
	}
	// And the leaf with it: then the tree.
	e := ledger.Entry(x)
	r := record.Record{Kind: record.KindOutcome, Exchange: x}
	leaf, err := auditlog.NewLeaf(&r, raw, e.AppendCanonical(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE leaf SET data = $1 WHERE rid = 'req_000021'", leaf.Data); err != nil {
		t.Fatal(err)
	}
	got = f.verify(f.options())
	if !slices.Contains(codes(got), auditlog.CodeHash+" in log_hash") || !slices.Contains(codes(got), auditlog.CodeCheckpoint+" in checkpoint") {
		t.Errorf("got %v", codes(got))
	}
}

func TestUnannouncedCard(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(3, 3)
	x := outcome(70) // its card was never announced
	f.append(record.Record{Kind: record.KindOutcome, Exchange: x})
	f.sign()
	r := f.verify(f.options())
	if got := codes(r); !slices.Equal(got, []string{auditlog.CodeCardMissing + " in price_card"}) {
		t.Errorf("got %v", got)
	}
}

// TestFindingsAreBounded ruins everything: the report stays small.
func TestFindingsAreBounded(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(400, 200)
	db := storetest.SQL(t, f.where)
	exec(t, db, "UPDATE ledger SET project = 'x' || char(27) || '[31m'")
	r := f.verify(f.options())
	if len(r.Findings) > 300 || r.Suppressed < 200 {
		t.Errorf("%d findings, %d more", len(r.Findings), r.Suppressed)
	}
	for _, finding := range r.Findings {
		if strings.ContainsRune(finding.Detail+finding.Where, 27) {
			t.Fatalf("a control character shows in %q", finding)
		}
	}
}
