package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// proof is a proof with every field its own.
func proof(seed int64, epoch int64) store.Proof {
	return store.Proof{
		Created: seed, Issued: seed + 1, Expires: seed + 2, Revoked: seed + 3,
		Lookup: fmt.Sprint("lookup ", seed), LookupVersion: seed + 4, Prior: fmt.Sprint("prior ", seed), PriorVersion: seed + 5,
		PriorUntil: seed + 6, Epoch: epoch, Binding: fmt.Sprint("binding ", seed), BindingVersion: seed + 7,
	}
}

func TestKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var keys []store.Key
		for i := range int64(40) { // more than one statement's worth
			keys = append(keys, store.Key{
				ID: identity.KeyID(fmt.Sprintf("key_%02d", i)), Project: "p", Name: "Ada's 🔑", Models: "a\nb", Slots: i,
				Proof: proof(100*i, i),
			})
		}
		batch(t, db, func(tx *store.Tx) error { return tx.PutKeys(t.Context(), keys) })
		changed := keys[7]
		changed.Project, changed.Name, changed.Models, changed.Slots, changed.Proof = "q", "", "", 99, proof(7777, 50)
		keys[7] = changed
		batch(t, db, func(tx *store.Tx) error { return tx.PutKeys(t.Context(), []store.Key{changed}) })
		view(t, db, func(tx *store.Tx) error {
			if d := cmp.Diff(keys, all(t, tx.Keys(t.Context()))); d != "" {
				t.Error(d)
			}
			want := append(append([]store.Key(nil), keys[38:]...), changed)
			if d := cmp.Diff(want, all(t, tx.KeysSince(t.Context(), 37))); d != "" {
				t.Error(d)
			}
			return nil
		})
		twin := keys[0]
		twin.ID = "key_twin"
		if err := db.Batch(t.Context(), func(tx *store.Tx) error { return tx.PutKeys(t.Context(), []store.Key{twin}) }); err == nil {
			t.Error("two keys share a look-up")
		}
	})
}

func TestCredentialState(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		view(t, db, func(tx *store.Tx) error {
			if _, err := tx.CredentialState(t.Context()); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			return nil
		})
		first := store.CredentialState{Epoch: 1, SecretVersion: 2, SecretCheck: "c", Nonce: "n", Seal: "s"}
		set := func(tx *store.Tx) error { return tx.SetCredentialState(t.Context(), first) }
		if err := db.Batch(t.Context(), set); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		batch(t, db, func(tx *store.Tx) error { return tx.InitCredentialState(t.Context(), first) })
		batch(t, db, func(tx *store.Tx) error {
			return tx.InitCredentialState(t.Context(), store.CredentialState{Epoch: 9})
		})
		view(t, db, func(tx *store.Tx) error {
			got, err := tx.CredentialState(t.Context())
			if got != first {
				t.Errorf("%+v", got)
			}
			return err
		})

		// Writers take turns: each sees what the one before it set.
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 10 {
					err := db.Batch(t.Context(), func(tx *store.Tx) error {
						s, err := tx.NextCredentialState(t.Context())
						if err != nil {
							return err
						}
						if s.Nonce != "n" && s.Nonce != fmt.Sprint(s.Epoch-1) {
							t.Errorf("epoch %d with the nonce %q", s.Epoch, s.Nonce)
						}
						s.Nonce = fmt.Sprint(s.Epoch)
						return tx.SetCredentialState(t.Context(), s)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		view(t, db, func(tx *store.Tx) error {
			got, err := tx.CredentialState(t.Context())
			if got.Epoch != 41 || got.Nonce != "41" {
				t.Errorf("%+v", got)
			}
			return err
		})
	})
}
