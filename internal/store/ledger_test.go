package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

const minute, hour, day = int64(60e6), int64(3600e6), int64(86400e6)

// noon is a time at the start of a minute and an hour, not of a day.
const noon = 20000*day + 12*hour

// entry is a complete exchange that arrived at a time.
func entry(n int, ts int64) store.Entry {
	return store.Entry{
		Leaf: int64(n), RID: fmt.Sprintf("req_%05d", n), TS: ts, End: ts + 5, TTFB: 3, Principal: "key", Key: "key_a",
		Project: "p", Client: "c", Dialect: "openai", Endpoint: "chat", Model: "fast", Stream: true, Label: "internal",
		Decision: "allow", Upstream: "up", Target: "t", Declared: "d", State: "complete", Status: 200, Usage: "claimed",
		Tokens: &record.Counts{llm.Input: 10, llm.Output: 3}, Claim: `{"a":1}`, Counted: "not sampled", Money: "priced",
		Amount: new(price.Nano(700)), Hold: 900, Card: "card", CardHash: "h", InBytes: 1, OutBytes: 2,
		Attempts: "[]", Findings: "[]",
	}
}

// project writes entries and their roll-ups as a projector does.
func project(ctx context.Context, tx *store.Tx, entries ...store.Entry) error {
	sums := map[store.RollupKey]store.Sums{}
	for i := range entries {
		for _, g := range store.Grains {
			k := entries[i].RollupKey(g.Grain, g.Width)
			s := sums[k]
			one := entries[i].Sum()
			s.Add(&one)
			sums[k] = s
		}
	}
	var list []store.Rollup
	for k, s := range sums {
		list = append(list, store.Rollup{RollupKey: k, Sums: s})
	}
	return errors.Join(tx.AddEntries(ctx, entries), tx.AddRollups(ctx, list))
}

func TestEntryRoundTrip(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		full := entry(0, noon)
		unknown := entry(1, noon+1)
		unknown.Tokens, unknown.Amount, unknown.TTFB = nil, nil, 0
		hostile := entry(2, noon+2)
		hostile.Declared, hostile.Claim = "a\x00b\x1b[31m", strings.Repeat("\u2028\"\\", 50)
		batch(t, db, func(tx *store.Tx) error {
			return tx.AddEntries(t.Context(), []store.Entry{full, unknown, hostile})
		})
		hostile.Declared = "a\uFFFDb\x1b[31m"
		for _, want := range []store.Entry{full, unknown, hostile} {
			got, err := db.Entry(t.Context(), want.RID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
		if _, err := db.Entry(t.Context(), "other"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	})
}

// TestManyEntries crosses the border between large and single-row statements.
func TestManyEntries(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var all []store.Entry
		for n := range 101 {
			all = append(all, entry(n, noon+int64(n)))
		}
		batch(t, db, func(tx *store.Tx) error { return tx.AddEntries(t.Context(), all) })
		n := 0
		view(t, db, func(tx *store.Tx) error {
			for row, err := range tx.Entries(t.Context(), 50, 1000) {
				if err != nil {
					return err
				}
				if diffs := row.Compare(&all[50+n]); diffs != nil {
					t.Errorf("row %d: %v", n, diffs)
				}
				n++
			}
			return nil
		})
		if n != 51 {
			t.Errorf("got %d rows", n)
		}
	})
}

func TestDoubleRIDFails(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		a, b := entry(0, noon), entry(1, noon)
		b.RID = a.RID
		err := db.Batch(t.Context(), func(tx *store.Tx) error { return tx.AddEntries(t.Context(), []store.Entry{a, b}) })
		if err == nil {
			t.Fatal("two rows of one request were stored")
		}
	})
}

func TestCompareNamesColumns(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		have := entry(0, noon)
		batch(t, db, func(tx *store.Tx) error { return tx.AddEntries(t.Context(), []store.Entry{have}) })
		should := have
		should.Amount, should.State, should.Tokens = new(price.Nano(701)), "stalled", nil
		view(t, db, func(tx *store.Tx) error {
			for row, err := range tx.Entries(t.Context(), 0, 1) {
				if err != nil {
					return err
				}
				var names []string
				for _, d := range row.Compare(&should) {
					names = append(names, d.Column)
				}
				want := []string{
					"state", "input", "cache_read", "cache_write_5m", "cache_write_1h", "output",
					"reasoning", "audio_in", "audio_out", "image_in", "nano",
				}
				if !slices.Equal(names, want) {
					t.Errorf("got %v", names)
				}
			}
			return nil
		})
	})
}

// TestCanonicalRow pins the text that leaves commit to.
func TestCanonicalRow(t *testing.T) {
	e := entry(7, noon)
	want := `{"attempts":"[]","audio_in":0,"audio_out":0,"cache_read":0,"cache_write_1h":0,"cache_write_5m":0,` +
		`"card":"card","card_hash":"h","claim":"{\"a\":1}","client":"c","counted":"not sampled","decision":"allow",` +
		`"declared":"d","dialect":"openai","ended":1728043200000005,"endpoint":"chat","fault":"","findings":"[]",` +
		`"hold":900,"image_in":0,"in_bytes":1,"input":10,"key_id":"key_a","label":"internal","model":"fast",` +
		`"money":"priced","nano":700,"out_bytes":2,"output":3,"principal":"key","project":"p","reasoning":0,` +
		`"rid":"req_00007","state":"complete","status":200,"stream":1,"target":"t","ts":1728043200000000,"ttfb":3,` +
		`"upstream":"up","usage_status":"claimed"}`
	if got := string(e.AppendCanonical(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	e.Tokens, e.Amount = nil, nil
	for _, name := range []string{`"input"`, `"nano"`} {
		if strings.Contains(string(e.AppendCanonical(nil)), name) {
			t.Errorf("%s is there though it is not known", name)
		}
	}
}

func TestLogsPages(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var all []store.Entry
		for n := range 25 {
			e := entry(n, noon+int64(n/3)) // three of each time
			if n%2 == 1 {
				e.Project = "q"
			}
			all = append(all, e)
		}
		batch(t, db, func(tx *store.Tx) error { return tx.AddEntries(t.Context(), all) })
		read := func(f store.Filter) (rids []string) {
			var after store.Cursor
			for {
				page, err := db.Logs(t.Context(), f, after, 4)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page {
					rids = append(rids, e.RID)
					after = store.Cursor{TS: e.TS, RID: e.RID}
				}
				if len(page) < 4 {
					return rids
				}
			}
		}
		want := func(keep func(store.Entry) bool) (rids []string) {
			for _, e := range slices.Backward(all) {
				if keep(e) {
					rids = append(rids, e.RID)
				}
			}
			return rids
		}
		if diff := cmp.Diff(want(func(store.Entry) bool { return true }), read(store.Filter{})); diff != "" {
			t.Error(diff)
		}
		q := want(func(e store.Entry) bool { return e.Project == "q" && e.TS >= noon+2 && e.TS < noon+6 })
		f := store.Filter{Project: "q", Since: noon + 2, Until: noon + 6, Key: "key_a", Model: "fast", Upstream: "up", State: "complete"}
		if diff := cmp.Diff(q, read(f)); diff != "" {
			t.Error(diff)
		}
		page, err := db.Follow(t.Context(), store.Filter{}, 22, 10)
		if err != nil || len(page) != 2 || page[0].Leaf != 23 {
			t.Errorf("follow gave %d rows, %v", len(page), err)
		}
	})
}

// TestUsageNeverHidesUnknown sums exchanges of every kind over the borders of all
// grains and compares the roll-ups with the rows.
func TestUsageNeverHidesUnknown(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var all []store.Entry
		add := func(ts int64, change func(*store.Entry)) {
			e := entry(len(all), ts)
			change(&e)
			all = append(all, e)
		}
		add(noon-2*day, func(*store.Entry) {}) // before
		for _, ts := range []int64{noon - hour, noon - 1, noon, noon + minute, noon + 2*hour, noon + day, noon + 3*day} {
			add(ts, func(*store.Entry) {})
			add(ts, func(e *store.Entry) {
				e.State, e.Usage, e.Money, e.Tokens, e.Amount = "lost", "unknown", "unknown", nil, nil
			})
			add(ts, func(e *store.Entry) { e.Money, e.Amount, e.Model = "unpriced", nil, "slow" })
			add(ts, func(e *store.Entry) {
				e.State, e.Usage, e.Money, e.Tokens, e.Amount = "refused", "none", "none", nil, new(price.Nano)
			})
		}
		for _, part := range [][]store.Entry{all[:9], all[9:]} { // adds to what is there
			batch(t, db, func(tx *store.Tx) error { return project(t.Context(), tx, part...) })
		}
		for _, since := range []int64{0, noon - day, noon - hour, noon - 1, noon, noon + minute, noon + hour} {
			want := map[string]store.Sums{}
			for i := range all {
				if all[i].TS >= since-since%minute {
					s, one := want[all[i].Model], all[i].Sum()
					s.Add(&one)
					want[all[i].Model] = s
				}
			}
			usage, err := db.Usage(t.Context(), store.ByModel, since)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]store.Sums{}
			for _, u := range usage {
				got[u.Name] = u.Sums
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("since %d: -want +got:\n%s", since, diff)
			}
		}
		fast, err := db.Usage(t.Context(), store.ByUpstream, noon+3*day)
		if err != nil || len(fast) != 1 {
			t.Fatal(fast, err)
		}
		want := store.Sums{
			Requests: 4, Refused: 1, Errors: 1, UnknownUsage: 1, Unpriced: 2,
			Tokens: record.Counts{llm.Input: 20, llm.Output: 6}, Nano: 700,
		}
		if diff := cmp.Diff(want, fast[0].Sums); diff != "" {
			t.Error(diff)
		}
		compareSums(t, db)
		if _, err := db.Usage(t.Context(), "1; DROP TABLE ledger", 0); err == nil {
			t.Error("an unknown dimension was accepted")
		}
	})
}

// compareSums holds the minute sums that were stored against those computed from
// the rows in SQL.
func compareSums(t *testing.T, db *store.DB) {
	t.Helper()
	view(t, db, func(tx *store.Tx) error {
		stored, computed := map[store.RollupKey]store.Sums{}, map[store.RollupKey]store.Sums{}
		for r, err := range tx.Rollups(t.Context(), store.Minute, 0, math.MaxInt64) {
			if err != nil {
				return err
			}
			stored[r.RollupKey] = r.Sums
		}
		for r, err := range tx.SumEntries(t.Context(), 0, math.MaxInt64) {
			if err != nil {
				return err
			}
			computed[r.RollupKey] = r.Sums
		}
		if diff := cmp.Diff(stored, computed); diff != "" {
			t.Errorf("-stored +computed:\n%s", diff)
		}
		return nil
	})
}

// TestAmountsSaturate shows that no claim, however absurd, stops a projection.
func TestAmountsSaturate(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		for n := range 3 {
			e := entry(n, noon)
			e.Amount = new(price.Nano(math.MaxInt64 - 5))
			batch(t, db, func(tx *store.Tx) error { return project(t.Context(), tx, e) })
		}
		usage, err := db.Usage(t.Context(), store.ByKey, 0)
		if err != nil || len(usage) != 1 || usage[0].Nano != math.MaxInt64 {
			t.Fatalf("got %+v, %v", usage, err)
		}
		compareSums(t, db)
	})
}

func TestNextBucket(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		next := func(from int64) (at int64, ok bool) {
			view(t, db, func(tx *store.Tx) (err error) {
				at, ok, err = tx.NextBucket(t.Context(), from)
				return err
			})
			return at, ok
		}
		if _, ok := next(math.MinInt64); ok {
			t.Error("an empty database has a bucket")
		}
		batch(t, db, func(tx *store.Tx) error { return project(t.Context(), tx, entry(0, noon+5)) })
		for from, want := range map[int64]int64{math.MinInt64: noon - 12*hour, noon - 11*hour: noon, noon + 1: noon + 5} {
			if at, ok := next(from); !ok || at != want {
				t.Errorf("from %d: got %d, %v, want %d", from, at, ok, want)
			}
		}
	})
}

func TestCardsKeepTheFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		first := store.CardOf(&record.Card{TS: 1, Card: "c", Hash: "h", Text: "text"}, 4)
		again, other := first, first
		again.Leaf, again.TS = 9, 2
		other.Hash = "h2"
		batch(t, db, func(tx *store.Tx) error { return tx.AddCards(t.Context(), []store.Card{first, again, other}) })
		var got []store.Card
		view(t, db, func(tx *store.Tx) error {
			for c, err := range tx.Cards(t.Context()) {
				if err != nil {
					return err
				}
				got = append(got, c)
			}
			return nil
		})
		if diff := cmp.Diff([]store.Card{first, other}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCharged: a budget is charged what is known, and what was held where nothing is; what
// has no price is counted.
func TestCharged(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		amount := func(n int64) *price.Nano { return new(price.Nano(n)) }
		all := []store.Entry{entry(1, noon), entry(2, noon), entry(3, noon), entry(4, noon), entry(5, noon+minute), entry(6, noon)}
		for i, c := range []struct {
			key    string
			amount *price.Nano
			hold   int64
		}{{"audit:u", amount(70), 900}, {"audit:u", nil, 30}, {"audit:u", nil, 0}, {"audit:v", amount(5), 5}, {"audit:u", amount(1000), 0}, {"audit:u", amount(0), 40}} {
			all[i].Key, all[i].Amount, all[i].Hold = c.key, c.amount, c.hold
		}
		batch(t, db, func(tx *store.Tx) error { return project(t.Context(), tx, all...) })
		for _, c := range []struct {
			key         string
			from, until int64
			sum         price.Nano
			unpriced    int64
		}{{"audit:u", noon, noon + minute, 100, 1}, {"audit:u", noon, noon + minute + 1, 1100, 1}, {"audit:v", 0, noon + 1, 5, 0}, {"audit:u", noon + 2*minute, noon + 3*minute, 0, 0}} {
			sum, unpriced, err := db.Charged(t.Context(), c.key, c.from, c.until)
			if err != nil || sum != c.sum || unpriced != c.unpriced {
				t.Errorf("%s from %d until %d: %d, %d without a price, %v; want %d and %d", c.key, c.from-noon, c.until-noon, sum, unpriced, err, c.sum, c.unpriced)
			}
		}
	})
}
