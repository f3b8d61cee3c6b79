package store

import (
	"context"
	"database/sql"
	"iter"
	"slices"
	"strings"

	"sallyport/internal/identity"
)

// Key is the row of one virtual key. The key itself is not in it.
type Key struct {
	ID      identity.KeyID
	Project identity.ProjectID
	Name    string
	Models  string // public model names, one a line; empty means every model
	Slots   int64  // most exchanges at once; 0 means the configured number
	Proof
}

var (
	virtualKeyColumns = append([]string{"id", "project", "name", "models", "slots"}, proofColumns...)
	selectKey         = `SELECT ` + strings.Join(virtualKeyColumns, ", ") + ` FROM virtual_key`
	upsertKey         = insert{"virtual_key", virtualKeyColumns, 16, overwrite(virtualKeyColumns)}
)

// PutKeys writes keys' rows whole, each over an earlier one of its id.
func (t *Tx) PutKeys(ctx context.Context, keys []Key) error {
	return t.insertRows(ctx, &upsertKey, len(keys), func(i int, dst []any) []any {
		k := &keys[i]
		return k.values(append(dst, string(k.ID), string(k.Project), k.Name, k.Models, k.Slots))
	})
}

// Keys reads every key in order of id.
func (t *Tx) Keys(ctx context.Context) iter.Seq2[Key, error] {
	return collect(ctx, t, scanKey(), selectKey+` ORDER BY id`)
}

// KeysSince reads the keys that were written after an epoch.
func (t *Tx) KeysSince(ctx context.Context, epoch int64) iter.Seq2[Key, error] {
	return collect(ctx, t, scanKey(), selectKey+` WHERE epoch > $1 ORDER BY epoch, id`, epoch)
}

// scanKey returns a scanner that reuses its destinations.
func scanKey() func(*sql.Rows) (Key, error) {
	var k Key
	into := slices.Concat([]any{&k.ID, &k.Project, &k.Name, &k.Models, &k.Slots}, k.into())
	return func(rows *sql.Rows) (Key, error) { err := rows.Scan(into...); return k, err }
}
