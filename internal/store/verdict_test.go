package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

// TestVerdicts writes verdicts and reads them back in each order.
func TestVerdicts(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var all []store.Verdict
		for i, c := range []struct {
			upstream, target string
			act              record.Act
		}{
			{"a", "m", record.ActNotice},
			{"a", "m", record.ActQuarantine},
			{"a", "n", record.ActLower},
			{"b", "m", record.ActAudit},
			{"a", "m", record.ActRelease},
			{"b", "m\x00", record.ActOverride},
		} {
			r := record.Verdict{
				TS: noon + int64(i), ID: fmt.Sprintf("vrd_%d", i), Upstream: c.upstream, Target: c.target, Null: "honest", Label: "l", Level: "warning", Act: c.act,
				EMilli: -3, N: 7, Reference: "ref", Bundle: "ab", Wording: "w", Actor: "watch", Reason: "r",
				Commitment: "cd", Profile: "quick", Cap: 9, Asked: 8, Money: "priced", Nano: 6,
			}
			all = append(all, store.VerdictOf(&r, int64(10+i)))
		}
		batch(t, db, func(tx *store.Tx) error { return tx.AddVerdicts(t.Context(), all) })
		for _, c := range []struct {
			upstream, target string
			limit            int
			want             []int
		}{
			{"", "", 100, []int{5, 4, 3, 2, 1, 0}}, {"a", "", 100, []int{4, 2, 1, 0}}, {"a", "m", 2, []int{4, 1}}, {"", "m", 100, []int{4, 3, 1, 0}}, {"c", "", 9, nil},
		} {
			got, err := db.VerdictsOf(t.Context(), c.upstream, c.target, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			same(t, fmt.Sprintf("of %s %s", c.upstream, c.target), all, c.want, got)
		}
		view(t, db, func(tx *store.Tx) error {
			var page, routing []store.Verdict
			for v, err := range tx.Verdicts(t.Context(), 12, 2) {
				if err != nil {
					return err
				}
				page = append(page, v)
			}
			for v, err := range tx.RoutingVerdicts(t.Context()) {
				if err != nil {
					return err
				}
				routing = append(routing, v)
			}
			same(t, "a page", all, []int{2, 3}, page)
			same(t, "those that act on routing", all, []int{1, 2, 4, 5}, routing)
			return nil
		})
	})
}

// same compares verdicts with those of some places in a list.
func same(t *testing.T, what string, all []store.Verdict, places []int, got []store.Verdict) {
	t.Helper()
	var want []store.Verdict
	for _, i := range places {
		want = append(want, all[i])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", what, diff)
	}
}

// TestVerdictsFromBefore: a verdict that was written before audits had a beginning and
// an end in the log reads as one without.
func TestVerdictsFromBefore(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			where := storetest.Config(t, engine)
			db := storetest.OpenConfig(t, where)
			v := store.VerdictOf(&record.Verdict{TS: noon, ID: "vrd_1", Upstream: "a", Target: "m", Act: record.ActAudit, Bundle: "ab", Actor: "local"}, 10)
			batch(t, db, func(tx *store.Tx) error { return tx.AddVerdicts(t.Context(), []store.Verdict{v}) })
			raw := storetest.SQL(t, where)
			for _, column := range []string{"commitment", "profile", "cap", "asked", "money", "nano"} {
				if _, err := raw.ExecContext(t.Context(), "ALTER TABLE verdict DROP COLUMN "+column); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := raw.ExecContext(t.Context(), "DELETE FROM goose_db_version WHERE version_id = 6"); err != nil {
				t.Fatal(err)
			}
			again := storetest.OpenConfig(t, where)
			got, err := again.VerdictsOf(t.Context(), "a", "m", 9)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "from before", []store.Verdict{v}, []int{0}, got)
		})
	}
}
