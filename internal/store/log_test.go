package store_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// all takes everything that an iterator yields.
func all[T any](t *testing.T, seq iter.Seq2[T, error]) (list []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

func TestHeadOrdersWriters(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		batch(t, db, func(tx *store.Tx) error {
			if _, err := tx.Head(t.Context()); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			return errors.Join(tx.CreateHead(t.Context(), "one", store.Hash{1}), tx.CreateHead(t.Context(), "two", store.Hash{2}))
		})
		const writers, each = 4, 5
		befores := make(chan int64, writers*each)
		done := make(chan error, writers)
		for range writers {
			go func() {
				for range each {
					err := db.Batch(t.Context(), func(tx *store.Tx) error {
						h, err := tx.Grow(t.Context(), 3)
						befores <- h.Size
						return errors.Join(err, tx.SetRoot(t.Context(), store.Hash{byte(h.Size)}))
					})
					if err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range writers {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		close(befores)
		var sizes []int64
		for size := range befores {
			sizes = append(sizes, size)
		}
		slices.Sort(sizes)
		for i, size := range sizes {
			if size != int64(i)*3 {
				t.Fatalf("sizes %v", sizes)
			}
		}
		view(t, db, func(tx *store.Tx) error {
			h, err := tx.Head(t.Context())
			want := store.Head{Origin: "one", Size: writers * each * 3, Root: store.Hash{byte(writers*each*3 - 3)}}
			if h != want {
				t.Errorf("got %+v", h)
			}
			return err
		})
	})
}

func TestLeaves(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		kinds := []record.Kind{record.KindOutcome, record.KindAdmin, record.KindStart, record.KindRefused}
		var leaves []store.Leaf
		var entries []store.Entry
		for i := range 150 {
			l := store.Leaf{
				Index: int64(i), Kind: kinds[i%len(kinds)], RID: fmt.Sprintf("r%d", i), TS: int64(i),
				Data: []byte{0, byte(i)}, Record: []byte{255, byte(i)},
			}
			leaves = append(leaves, l)
			if i%len(kinds) == 0 {
				e := entry(i, noon)
				e.RID = l.RID
				entries = append(entries, e)
			}
		}
		batch(t, db, func(tx *store.Tx) error {
			return errors.Join(tx.AddLeaves(t.Context(), leaves), tx.AddEntries(t.Context(), entries))
		})
		view(t, db, func(tx *store.Tx) error {
			if diff := cmp.Diff(leaves[7:20], all(t, tx.Leaves(t.Context(), 7, 13))); diff != "" {
				t.Error(diff)
			}
			for _, i := range []int{0, 1, 2, 148, 149} {
				got, err := tx.LeafOf(t.Context(), leaves[i].RID)
				if err != nil {
					t.Error(err)
				} else if diff := cmp.Diff(leaves[i], got); diff != "" {
					t.Error(diff)
				}
			}
			_, err := tx.LeafOf(t.Context(), "other")
			if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			return nil
		})
		admin, err := db.Records(t.Context(), record.KindAdmin, 0, 2)
		if err != nil || len(admin) != 2 || admin[0].Index != 149 || admin[1].Index != 145 {
			t.Errorf("got %v, %v", admin, err)
		}
		admin, err = db.Records(t.Context(), record.KindAdmin, 9, 10)
		if err != nil || len(admin) != 2 || admin[0].Index != 5 {
			t.Errorf("got %v, %v", admin, err)
		}
		err = db.Batch(t.Context(), func(tx *store.Tx) error { return tx.AddLeaves(t.Context(), leaves[:1]) })
		if err == nil {
			t.Error("a leaf was stored twice")
		}
	})
}

func TestHashes(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var hashes []store.Hash
		for i := range 200 {
			hashes = append(hashes, store.Hash{byte(i), 9})
		}
		batch(t, db, func(tx *store.Tx) error { return tx.AddHashes(t.Context(), 5, hashes) })
		view(t, db, func(tx *store.Tx) error {
			got, err := tx.Hashes(t.Context(), []int64{204, 5, 100, 5})
			if err != nil {
				return err
			}
			if diff := cmp.Diff([]store.Hash{hashes[199], hashes[0], hashes[95], hashes[0]}, got); diff != "" {
				t.Error(diff)
			}
			stored := all(t, tx.StoredHashes(t.Context(), 203, 10))
			if len(stored) != 2 || stored[0].Index != 203 || stored[1].H[0] != 199 {
				t.Errorf("got %v", stored)
			}
			if _, err := tx.Hashes(t.Context(), []int64{5, 4}); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			return nil
		})
	})
}

func TestCheckpoints(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		cs := []store.Checkpoint{{Size: 3, TS: 1, Note: "a"}, {Size: 9, TS: 2, Note: "b"}}
		batch(t, db, func(tx *store.Tx) error {
			if _, err := tx.LastCheckpoint(t.Context()); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			return errors.Join(tx.AddCheckpoint(t.Context(), cs[0]), tx.AddCheckpoint(t.Context(), cs[1]))
		})
		view(t, db, func(tx *store.Tx) error {
			if last, err := tx.LastCheckpoint(t.Context()); err != nil || last != cs[1] {
				t.Errorf("got %v, %v", last, err)
			}
			if diff := cmp.Diff(cs, all(t, tx.Checkpoints(t.Context(), 0, 10))); diff != "" {
				t.Error(diff)
			}
			return nil
		})
		err := db.Batch(t.Context(), func(tx *store.Tx) error { return tx.AddCheckpoint(t.Context(), cs[0]) })
		if err == nil {
			t.Error("a checkpoint was replaced")
		}
	})
}

// TestBatchEndsWithItsContext cancels between two statements: nothing stays, and
// the database goes on.
func TestBatchEndsWithItsContext(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Batch(ctx, func(tx *store.Tx) error {
			if err := tx.SetMeta(ctx, "a", "b"); err != nil {
				return err
			}
			cancel()
			return tx.SetMeta(ctx, "c", "d")
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		batch(t, db, func(tx *store.Tx) error {
			if v, err := tx.Meta(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("got %q, %v", v, err)
			}
			return tx.SetMeta(t.Context(), "a", "b")
		})
	})
}
