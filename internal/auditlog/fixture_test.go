package auditlog_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/auditlog"
	"sallyport/internal/ledger"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// start is when the first exchange of a fixture arrives.
const start = int64(20000) * 86400e6

// sealing is the key that seals the signing keys of all fixtures.
var sealing = make([]byte, 32)

// sealedBy is a Config.Keys of one key.
func sealedBy(key []byte) func() [][]byte { return func() [][]byte { return [][]byte{key} } }

// fixture is a database with a log in it.
type fixture struct {
	t     *testing.T
	where store.Config
	heads string
	db    *store.DB
	log   *auditlog.Log
	n     int // exchanges made so far
	last  *record.Head
}

func newFixture(t *testing.T, engine string) *fixture {
	t.Helper()
	f := &fixture{t: t, where: storetest.Config(t, engine), heads: filepath.Join(t.TempDir(), "heads")}
	f.open()
	return f
}

// open opens database and log.
func (f *fixture) open() {
	f.t.Helper()
	var err error
	if f.db, err = store.Open(f.t.Context(), f.where); err != nil {
		f.t.Fatal(err)
	}
	f.log, err = auditlog.Open(f.t.Context(), auditlog.Config{DB: f.db, Keys: sealedBy(sealing), HeadsFile: f.heads})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { f.db.Close() })
}

// close closes both, so that files can be moved about.
func (f *fixture) close() {
	f.t.Helper()
	if err := f.log.Close(); err != nil {
		f.t.Fatal(err)
	}
	if err := f.db.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// salt is a salt that depends on n.
func salt(n int) string {
	sum := sha256.Sum256(fmt.Append(nil, "salt", n))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// card is a price card; there is one for each number.
func card(n int) price.Card {
	return price.Card{
		ID: fmt.Sprintf("card-%d", n), Provider: "p", Model: "m", Source: "test",
		Rates: price.Rates{llm.Input: 1000, llm.Output: 2000},
	}
}

// outcome is exchange n.
func outcome(n int) *record.Exchange {
	sum := sha256.Sum256(fmt.Append(nil, n))
	h, c := hex.EncodeToString(sum[:]), card(n/50)
	x := &record.Exchange{
		TS: start + int64(n)*7e6, RID: fmt.Sprintf("req_%06d", n), Principal: "key", Key: "key_secretive", Project: "payroll",
		Client: "client/1", Dialect: "openai", Endpoint: "chat", Model: "fast", Stream: true, Label: "internal", Effect: "allow",
		Rules: []string{"table.internal.vetted"}, Config: "c0ffee", InBytes: 10, Req: h, Hold: 900, Salt: salt(n),
		End: start + int64(n)*7e6 + 5, TTFB: 3, State: string(llm.Complete), Status: 200, Upstream: "up", Target: "gpt",
		Declared: "gpt", Forwarded: h, Answer: h, Returned: h, Finish: "stop", OutBytes: 20,
		Attempts: []record.Try{{N: 1, Upstream: "up", Model: "gpt", State: string(llm.Complete), Status: 200, Start: 1, End: 2}},
		Usage:    string(llm.UsageClaimed), Claimed: &record.Counts{llm.Input: 8, llm.Output: int64(n)}, Verbatim: `{"t":1}`,
		Counted: ledger.NotSampled, Money: ledger.MoneyPriced, Amount: int64(n) * 11, Card: c.ID, CardHash: c.Hash(),
		Findings: []string{"x"},
	}
	if n%5 == 4 { // usage and money are not known
		lost := ledger.Lost(x, []record.Attempt{{N: 1, RID: x.RID, Upstream: "up", Model: "gpt", TS: 1}}, x.End)
		x = &lost
		x.TTFB, x.Declared = 0, ""
	}
	return x
}

// add appends n exchanges with their rows in one transaction. Now and then a
// price card, an administrative act or a refusal comes between them.
func (f *fixture) add(n int) {
	f.t.Helper()
	var rs []record.Record
	for range n {
		switch {
		case f.n%50 == 0:
			c := card(f.n / 50)
			rs = append(rs, record.Record{Kind: record.KindCard, Card: &record.Card{
				TS: start, ID: fmt.Sprintf("crd_%d", f.n), Card: c.ID, Hash: c.Hash(), Text: c.Canonical(), Salt: salt(-f.n),
			}})
		case f.n%17 == 0:
			rs = append(rs, record.Record{Kind: record.KindAdmin, Admin: &record.Admin{
				TS: start, ID: fmt.Sprintf("adm_%d", f.n), Actor: "local", Act: "key.create", Target: "key_secretive", Salt: salt(-f.n),
			}})
		}
		rs = append(rs, record.Record{Kind: record.KindOutcome, Exchange: outcome(f.n)})
		f.n++
	}
	f.append(rs...)
}

// count is our own count of exchange n; of every other one the answer is not countable.
func count(n int) record.Record {
	x := outcome(n)
	c := &record.Count{
		TS: x.End + 1, RID: x.RID, Arrived: x.TS, Key: x.Key, Project: x.Project, Model: x.Model, Upstream: x.Upstream, Target: x.Target,
		Salt: salt(n + 1<<20), Why: "no vocabulary",
	}
	if n%2 == 0 {
		c.Vocabulary, c.Why, c.Claimed, c.Tokens = "o200k_base", "", 110, 100
	}
	return record.Record{Kind: record.KindCount, Count: c}
}

// judged is verdict n.
func judged(n int) record.Record {
	return record.Record{Kind: record.KindVerdict, Verdict: &record.Verdict{
		TS: start + int64(n), ID: fmt.Sprintf("vrd_%06d", n), Upstream: "up", Target: "t", Null: "honest", Label: "identity check failed", Level: "quarantine",
		Act: record.ActQuarantine, EMilli: 3200, N: 400, Reference: "ref", Bundle: "ab12", Wording: "w", Actor: "watch", Salt: salt(n + 1<<21),
	}}
}

// append projects records.
func (f *fixture) append(rs ...record.Record) {
	f.t.Helper()
	if err := project(f.t, f.db, f.log, rs...); err != nil {
		f.t.Fatal(err)
	}
}

func project(t *testing.T, db *store.DB, log *auditlog.Log, rs ...record.Record) error {
	ctx := t.Context()
	var leaves []store.Leaf
	var entries []store.Entry
	var places []int
	sums := map[store.RollupKey]store.Sums{}
	for i := range rs {
		raw := rs[i].Append(nil)
		var row []byte
		if rs[i].Exchange != nil {
			e := ledger.Entry(rs[i].Exchange)
			row = e.AppendCanonical(nil)
			entries, places = append(entries, e), append(places, i)
			for _, g := range store.Grains {
				k, one := e.RollupKey(g.Grain, g.Width), e.Sum()
				s := sums[k]
				s.Add(&one)
				sums[k] = s
			}
		}
		leaf, err := auditlog.NewLeaf(&rs[i], raw, row)
		if err != nil {
			return err
		}
		leaves = append(leaves, leaf)
	}
	var rollups []store.Rollup
	for k, s := range sums {
		rollups = append(rollups, store.Rollup{RollupKey: k, Sums: s})
	}
	return db.Batch(ctx, func(tx *store.Tx) error {
		if err := log.Append(ctx, tx, leaves); err != nil {
			return err
		}
		var cards []store.Card
		var counts []store.Count
		var verdicts []store.Verdict
		for i := range rs {
			if rs[i].Count != nil {
				c := ledger.Count(rs[i].Count)
				c.Leaf = leaves[i].Index
				counts = append(counts, c)
			}
			if rs[i].Verdict != nil {
				verdicts = append(verdicts, store.VerdictOf(rs[i].Verdict, leaves[i].Index))
			}
			if rs[i].Card != nil {
				cards = append(cards, store.CardOf(rs[i].Card, leaves[i].Index))
			}
		}
		for i, place := range places {
			entries[i].Leaf = leaves[place].Index
		}
		for _, err := range []error{
			tx.AddEntries(ctx, entries), tx.AddCards(ctx, cards), tx.AddCounts(ctx, counts), tx.AddVerdicts(ctx, verdicts), tx.AddRollups(ctx, rollups),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sign signs and publishes a checkpoint.
func (f *fixture) sign() *record.Head {
	f.t.Helper()
	h, err := f.log.Sign(f.t.Context(), start+int64(f.n))
	if err != nil {
		f.t.Fatal(err)
	}
	if h != nil {
		f.last = h
	}
	return h
}

// fill adds n exchanges with a checkpoint every each.
func (f *fixture) fill(n, each int) {
	f.t.Helper()
	for n > 0 {
		f.add(min(n, each))
		f.sign()
		n -= each
	}
}

// options are those of an operator who knows the log.
func (f *fixture) options() auditlog.VerifyOptions {
	return auditlog.VerifyOptions{Entry: ledger.Entry, Count: ledger.Count, HeadsFile: f.heads, VKey: f.log.VerifierKey()}
}

// verify verifies with options.
func (f *fixture) verify(o auditlog.VerifyOptions) auditlog.Report {
	f.t.Helper()
	r, err := auditlog.Verify(f.t.Context(), f.db, o)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// clean demands that a verification finds nothing.
func (f *fixture) clean() auditlog.Report {
	f.t.Helper()
	r := f.verify(f.options())
	for _, finding := range r.Findings {
		f.t.Errorf("unexpected finding: %+v", finding)
	}
	return r
}
