package store

import (
	"context"
	"fmt"
)

// Meta reads one fact about the whole database, or ErrNotFound.
func (t *Tx) Meta(ctx context.Context, name string) (string, error) {
	var v string
	if err := t.tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = $1`, name).Scan(&v); err != nil {
		return "", fmt.Errorf("meta %s: %w", name, missing(err))
	}
	return v, nil
}

// InitMeta stores a fact unless one of the name is stored already.
func (t *Tx) InitMeta(ctx context.Context, name, value string) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, value)
	if err != nil {
		return fmt.Errorf("meta %s: %w", name, err)
	}
	return nil
}

// SetMeta stores a fact and replaces an earlier one of the name.
func (t *Tx) SetMeta(ctx context.Context, name, value string) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	if err != nil {
		return fmt.Errorf("meta %s: %w", name, err)
	}
	return nil
}
