package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"sallyport/internal/record"
)

// Leaf is one row of the audit log.
type Leaf struct {
	Index  int64
	Kind   record.Kind
	RID    string
	TS     int64
	Data   []byte // the leaf itself
	Record []byte // the canonical record that it commits to
}

// Hash is one SHA-256 hash of the log's tree.
type Hash [32]byte

// Head is the state of the log.
type Head struct {
	Origin string
	Size   int64 // number of leaves
	Root   Hash
}

// Checkpoint is one signed head.
type Checkpoint struct {
	Size int64
	TS   int64
	Note string // the signed note, whole
}

var (
	insertLeaf = insert{"leaf", []string{"idx", "kind", "rid", "ts", "data", "record"}, 64, ""}
	insertHash = insert{"log_hash", []string{"idx", "h"}, 128, ""}
)

// CreateHead makes the log's head at size 0 unless there is one.
func (t *Tx) CreateHead(ctx context.Context, origin string, root Hash) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO log_head (one, origin, size, root) VALUES (1, $1, 0, $2)
		ON CONFLICT (one) DO NOTHING`, origin, root[:])
	if err != nil {
		return fmt.Errorf("create log head: %w", err)
	}
	return nil
}

// Head reads the log's head, or ErrNotFound.
func (t *Tx) Head(ctx context.Context) (Head, error) {
	return scanHead(t.tx.QueryRowContext(ctx, `SELECT origin, size, root FROM log_head WHERE one = 1`))
}

// Grow adds n to the log's size and returns the head as it was before. Until the
// transaction ends no other can change the log: the head row's lock orders the
// writers of one database.
func (t *Tx) Grow(ctx context.Context, n int64) (Head, error) {
	h, err := scanHead(t.tx.QueryRowContext(ctx, `UPDATE log_head SET size = size + $1 WHERE one = 1
		RETURNING origin, size, root`, n))
	h.Size -= n
	return h, err
}

func scanHead(row *sql.Row) (Head, error) {
	var h Head
	var root []byte
	if err := row.Scan(&h.Origin, &h.Size, &root); err != nil {
		return Head{}, fmt.Errorf("log head: %w", missing(err))
	}
	if len(root) != len(h.Root) {
		return Head{}, fmt.Errorf("log head: %w: root has %d bytes", ErrMalformed, len(root))
	}
	h.Root = Hash(root)
	return h, nil
}

// SetRoot stores the tree hash of the grown log.
func (t *Tx) SetRoot(ctx context.Context, root Hash) error {
	if _, err := t.tx.ExecContext(ctx, `UPDATE log_head SET root = $1 WHERE one = 1`, root[:]); err != nil {
		return fmt.Errorf("log head: %w", err)
	}
	return nil
}

// SetOrigin names the log anew.
func (t *Tx) SetOrigin(ctx context.Context, origin string) error {
	if _, err := t.tx.ExecContext(ctx, `UPDATE log_head SET origin = $1 WHERE one = 1`, origin); err != nil {
		return fmt.Errorf("log head: %w", err)
	}
	return nil
}

// AddLeaves writes leaves.
func (t *Tx) AddLeaves(ctx context.Context, leaves []Leaf) error {
	return t.insertRows(ctx, &insertLeaf, len(leaves), func(i int, dst []any) []any {
		l := &leaves[i]
		return append(dst, l.Index, string(l.Kind), l.RID, l.TS, l.Data, l.Record)
	})
}

// AddHashes writes consecutive hashes of the tree, the first at index first.
func (t *Tx) AddHashes(ctx context.Context, first int64, hashes []Hash) error {
	return t.insertRows(ctx, &insertHash, len(hashes), func(i int, dst []any) []any {
		return append(dst, first+int64(i), hashes[i][:])
	})
}

// Hashes reads the hashes at the indexes, in their order. One that is missing or
// has another length is an error.
func (t *Tx) Hashes(ctx context.Context, indexes []int64) ([]Hash, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	args := make([]any, len(indexes))
	var list strings.Builder
	for i, idx := range indexes {
		args[i] = idx
		fmt.Fprintf(&list, ",$%d", i+1)
	}
	rows, err := t.tx.QueryContext(ctx, `SELECT idx, h FROM log_hash WHERE idx IN (`+list.String()[1:]+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("log hashes: %w", err)
	}
	defer rows.Close()
	found := make(map[int64]Hash, len(indexes))
	for rows.Next() {
		var idx int64
		var h []byte
		if err := rows.Scan(&idx, &h); err != nil {
			return nil, fmt.Errorf("log hashes: %w", err)
		}
		if len(h) == len(Hash{}) {
			found[idx] = Hash(h)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("log hashes: %w", err)
	}
	out := make([]Hash, len(indexes))
	for i, idx := range indexes {
		h, ok := found[idx]
		if !ok {
			return nil, fmt.Errorf("log hash %d: %w", idx, ErrNotFound)
		}
		out[i] = h
	}
	return out, nil
}

// StoredHash is one row of log_hash as it is: H may have any length.
type StoredHash struct {
	Index int64
	H     []byte
}

// StoredHashes reads up to limit hashes from an index on, in order of index.
func (t *Tx) StoredHashes(ctx context.Context, from int64, limit int) iter.Seq2[StoredHash, error] {
	return collect(ctx, t, func(rows *sql.Rows) (s StoredHash, err error) {
		err = rows.Scan(&s.Index, &s.H)
		return s, err
	}, `SELECT idx, h FROM log_hash WHERE idx >= $1 ORDER BY idx LIMIT $2`, from, limit)
}

// Leaves reads up to limit leaves from an index on, in order of index.
func (t *Tx) Leaves(ctx context.Context, from int64, limit int) iter.Seq2[Leaf, error] {
	return collect(ctx, t, scanLeaf,
		`SELECT idx, kind, rid, ts, data, record FROM leaf WHERE idx >= $1 ORDER BY idx LIMIT $2`, from, limit)
}

// LeafOf finds the leaf of a request or record id, or ErrNotFound.
func (t *Tx) LeafOf(ctx context.Context, rid string) (Leaf, error) {
	const columns = `SELECT l.idx, l.kind, l.rid, l.ts, l.data, l.record FROM leaf l`
	for _, query := range []string{
		columns + ` JOIN ledger g ON g.leaf = l.idx WHERE g.rid = $1`,
		columns + ` WHERE l.kind IN ('start', 'admin', 'card', 'strangers', 'verdict')
			AND l.kind <> 'outcome' AND l.kind <> 'refused' AND l.rid = $1`,
	} {
		for l, err := range collect(ctx, t, scanLeaf, query, rid) {
			return l, err
		}
	}
	return Leaf{}, fmt.Errorf("leaf of %q: %w", rid, ErrNotFound)
}

// Records returns the newest leaves of a kind other than outcome and refused
// below an index, newest first; before 0 means from the end.
func (db *DB) Records(ctx context.Context, kind record.Kind, before int64, limit int) ([]Leaf, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	var leaves []Leaf
	err := db.View(ctx, func(t *Tx) error {
		for l, err := range collect(ctx, t, scanLeaf, `SELECT idx, kind, rid, ts, data, record FROM leaf
			WHERE kind <> 'outcome' AND kind <> 'refused' AND kind = $1 AND idx < $2
			ORDER BY idx DESC LIMIT $3`, string(kind), before, limit) {
			if err != nil {
				return err
			}
			leaves = append(leaves, l)
		}
		return nil
	})
	return leaves, err
}

func scanLeaf(rows *sql.Rows) (Leaf, error) {
	var l Leaf
	err := rows.Scan(&l.Index, &l.Kind, &l.RID, &l.TS, &l.Data, &l.Record)
	return l, err
}

// AddCheckpoint stores a signed head.
func (t *Tx) AddCheckpoint(ctx context.Context, c Checkpoint) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO checkpoint (size, ts, note) VALUES ($1, $2, $3)`, c.Size, c.TS, c.Note)
	if err != nil {
		return fmt.Errorf("store checkpoint: %w", err)
	}
	return nil
}

// LastCheckpoint is the signed head of the greatest size, or ErrNotFound.
func (t *Tx) LastCheckpoint(ctx context.Context) (Checkpoint, error) {
	var c Checkpoint
	err := t.tx.QueryRowContext(ctx, `SELECT size, ts, note FROM checkpoint ORDER BY size DESC LIMIT 1`).
		Scan(&c.Size, &c.TS, &c.Note)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("last checkpoint: %w", missing(err))
	}
	return c, nil
}

// Checkpoints reads up to limit signed heads of at least a size, in order of size.
func (t *Tx) Checkpoints(ctx context.Context, from int64, limit int) iter.Seq2[Checkpoint, error] {
	return collect(ctx, t, func(rows *sql.Rows) (c Checkpoint, err error) {
		err = rows.Scan(&c.Size, &c.TS, &c.Note)
		return c, err
	}, `SELECT size, ts, note FROM checkpoint WHERE size >= $1 ORDER BY size LIMIT $2`, from, limit)
}

// missing turns the driver's word for no row into ErrNotFound.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// collect runs a query and yields what scan makes of each row. It ends with the
// first error.
func collect[T any](ctx context.Context, t *Tx, scan func(*sql.Rows) (T, error), query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		rows, err := t.tx.QueryContext(ctx, query, args...)
		if err != nil {
			yield(zero, fmt.Errorf("query: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			v, err := scan(rows)
			if err != nil {
				yield(zero, fmt.Errorf("query: %w", err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(zero, fmt.Errorf("query: %w", err))
		}
	}
}
