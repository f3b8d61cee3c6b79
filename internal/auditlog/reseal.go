package auditlog

import (
	"context"

	"sallyport/internal/store"
)

// Reseal encrypts the stored signing key under another sealing key, as a
// rotation of the secret demands. Each key has 32 bytes; from must open what is
// stored. The signing key itself stays.
func Reseal(ctx context.Context, db *store.DB, from, to []byte) error {
	old, err := newSeal(from)
	if err != nil {
		return err
	}
	next, err := newSeal(to)
	if err != nil {
		return err
	}
	return db.Batch(ctx, func(tx *store.Tx) error {
		head, err := tx.Grow(ctx, 0) // its lock keeps a reopening from changing the key meanwhile
		if err != nil {
			return err
		}
		sealed, err := tx.Meta(ctx, metaKey)
		if err != nil {
			return err
		}
		skey, err := unseal(old, sealed, head.Origin)
		if err != nil {
			return err
		}
		return tx.SetMeta(ctx, metaKey, seal(next, skey, head.Origin))
	})
}
