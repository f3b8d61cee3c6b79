package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/identity"
	"sallyport/internal/store"
)

func TestAdmins(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		admins := []store.Admin{
			{ID: "adm_a", Name: "Ada", Role: identity.RoleAdmin, Proof: proof(10, 1)},
			{ID: "adm_b", Name: "Bob", Role: identity.RoleAuditor, Proof: proof(20, 2)},
			{ID: "adm_c", Name: "Cyd", Role: identity.RoleOperator, Proof: proof(30, 3)},
		}
		batch(t, db, func(tx *store.Tx) error { return tx.PutAdmins(t.Context(), admins) })
		admins[0].Name, admins[0].Role, admins[0].Proof = "Eve", identity.RoleAuditor, proof(40, 4)
		batch(t, db, func(tx *store.Tx) error { return tx.PutAdmins(t.Context(), admins[:1]) })
		view(t, db, func(tx *store.Tx) error {
			if d := cmp.Diff(admins, all(t, tx.Admins(t.Context()))); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff([]store.Admin{admins[2], admins[0]}, all(t, tx.AdminsSince(t.Context(), 2))); d != "" {
				t.Error(d)
			}
			return nil
		})
		twin := admins[1]
		twin.ID = "adm_d"
		if err := db.Batch(t.Context(), func(tx *store.Tx) error { return tx.PutAdmins(t.Context(), []store.Admin{twin}) }); err == nil {
			t.Error("two administrators share a look-up")
		}
	})
}
