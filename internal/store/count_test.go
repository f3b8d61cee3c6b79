package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/store"
)

// TestCounts writes counts and reads them back, one by one and summed up.
func TestCounts(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		n := func(v int64) sql.Null[int64] { return sql.Null[int64]{V: v, Valid: true} }
		count := func(leaf int, project, why string) store.Count {
			return store.Count{
				Leaf: int64(leaf), RID: fmt.Sprintf("req_%05d", leaf), TS: noon + int64(leaf)*minute, Project: project, Key: "key_a",
				Model: "fast", Upstream: "up", Target: "t\x00", Vocabulary: "v", Why: why,
			}
		}
		all := []store.Count{count(0, "p", ""), count(1, "p", "tool calls"), count(2, "q", ""), count(3, "q", "")}
		all[0].Claimed, all[0].Counted, all[0].Excess = n(150), n(100), n(500_000)
		all[2].Claimed, all[2].Counted, all[2].Excess = n(75), n(100), n(-250_000)
		all[3].Claimed, all[3].Counted = n(3), n(0) // too short to compare
		batch(t, db, func(tx *store.Tx) error {
			entries := []store.Entry{entry(10, noon), entry(11, noon)}
			entries[1].Project = "q"
			if err := project(t.Context(), tx, entries...); err != nil {
				return err
			}
			return tx.AddCounts(t.Context(), all)
		})
		view(t, db, func(tx *store.Tx) error {
			var got []store.Count
			for c, err := range tx.Counts(t.Context(), 1, 2) {
				if err != nil {
					return err
				}
				got = append(got, c)
			}
			if c, err := tx.CountOf(t.Context(), all[3].RID); err != nil || c != all[3].Storable() {
				t.Errorf("%+v, %v", c, err)
			}
			if _, err := tx.CountOf(t.Context(), "other"); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			if diff := cmp.Diff([]store.Count{all[1].Storable(), all[2].Storable()}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			return nil
		})
		for _, c := range []struct {
			by    store.Dimension
			since int64
			want  map[string]store.CountSums
		}{
			{store.ByProject, 0, map[string]store.CountSums{
				"p": {Sampled: 2, Countable: 1, Claimed: 150, Counted: 100, Compared: 1, Excess: .5, Squares: .25},
				"q": {Sampled: 2, Countable: 2, Claimed: 78, Counted: 100, Compared: 1, Excess: -.25, Squares: .0625},
			}},
			{store.ByUpstream, 0, map[string]store.CountSums{
				"up": {Sampled: 4, Countable: 3, Claimed: 228, Counted: 200, Compared: 2, Excess: .25, Squares: .3125},
			}},
			{store.ByKey, noon, map[string]store.CountSums{
				"key_a": {Sampled: 4, Countable: 3, Claimed: 228, Counted: 200, Compared: 2, Excess: .25, Squares: .3125},
			}},
			{store.ByModel, noon + 1, map[string]store.CountSums{ // rounded down to the minute
				"fast": {Sampled: 4, Countable: 3, Claimed: 228, Counted: 200, Compared: 2, Excess: .25, Squares: .3125},
			}},
		} {
			usage, err := db.Usage(t.Context(), c.by, c.since)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]store.CountSums{}
			for _, u := range usage {
				got[u.Name] = u.Counts
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("by %s since %d: -want +got:\n%s", c.by, c.since, diff)
			}
		}
	})
}
