package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	"sallyport/internal/price"
	"sallyport/internal/record"
)

var (
	insertEntry = insert{"ledger", entryColumns, 32, ""}
	insertCard  = insert{"price_card", []string{"id", "hash", "leaf", "ts", "body"}, 2, "ON CONFLICT (id, hash) DO NOTHING"}
)

// selectEntry reads the columns in the order of entryColumns.
var selectEntry = `SELECT ` + strings.Join(entryColumns, ", ") + ` FROM ledger`

// AddEntries writes ledger rows. A request id that has a row already is an error.
func (t *Tx) AddEntries(ctx context.Context, entries []Entry) error {
	return t.insertRows(ctx, &insertEntry, len(entries), func(i int, dst []any) []any {
		return entries[i].values(dst)
	})
}

// Entries reads up to limit ledger rows from a leaf index on, in order of leaf.
func (t *Tx) Entries(ctx context.Context, from int64, limit int) iter.Seq2[StoredEntry, error] {
	return collect(ctx, t, scanEntry, selectEntry+` WHERE leaf >= $1 ORDER BY leaf LIMIT $2`, from, limit)
}

func scanEntry(rows *sql.Rows) (StoredEntry, error) {
	row := make(StoredEntry, len(entryColumns))
	var into [64]any
	for i := range row {
		into[i] = &row[i]
	}
	return row, rows.Scan(into[:len(row)]...)
}

// Filter selects ledger rows. Empty fields select everything.
type Filter struct {
	Project  string
	Key      string
	Model    string
	Upstream string
	State    string
	Since    int64 // arrived at or after
	Until    int64 // arrived before; 0 means open
}

// Cursor is a place in the list of exchanges; the zero value is its start.
type Cursor struct {
	TS  int64
	RID string
}

// MaxPage bounds one page.
const MaxPage = 1000

// Logs returns a page of exchanges, newest arrival first, after the cursor.
// The next page starts after the last row's TS and RID.
func (db *DB) Logs(ctx context.Context, f Filter, after Cursor, limit int) ([]Entry, error) {
	where, args := f.conditions()
	if after != (Cursor{}) {
		args = append(args, after.TS, after.RID)
		where = append(where, fmt.Sprintf("(ts, rid) < ($%d, $%d)", len(args)-1, len(args)))
	}
	args = append(args, min(max(limit, 1), MaxPage))
	return db.entries(ctx, where, fmt.Sprintf("ts DESC, rid DESC LIMIT $%d", len(args)), args)
}

// Follow returns exchanges in the order they were recorded, after a leaf index;
// -1 starts at the first. It serves a reader that waits for new rows.
func (db *DB) Follow(ctx context.Context, f Filter, afterLeaf int64, limit int) ([]Entry, error) {
	where, args := f.conditions()
	args = append(args, afterLeaf, min(max(limit, 1), MaxPage))
	where = append(where, fmt.Sprintf("leaf > $%d", len(args)-1))
	return db.entries(ctx, where, fmt.Sprintf("leaf LIMIT $%d", len(args)), args)
}

// Entry returns the ledger row of a request, or ErrNotFound.
func (db *DB) Entry(ctx context.Context, rid string) (Entry, error) {
	es, err := db.entries(ctx, []string{"rid = $1"}, "rid", []any{rid})
	switch {
	case err != nil:
		return Entry{}, err
	case len(es) == 0:
		return Entry{}, fmt.Errorf("exchange %q: %w", rid, ErrNotFound)
	}
	return es[0], nil
}

func (db *DB) entries(ctx context.Context, where []string, order string, args []any) ([]Entry, error) {
	query := selectEntry
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	var out []Entry
	err := db.View(ctx, func(t *Tx) error {
		for row, err := range collect(ctx, t, scanEntry, query+" ORDER BY "+order, args...) {
			if err != nil {
				return err
			}
			e, err := row.Entry()
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("exchanges: %w", err)
	}
	return out, nil
}

func (f Filter) conditions() (where []string, args []any) {
	for _, c := range []struct{ column, value string }{
		{"project", f.Project}, {"key_id", f.Key}, {"model", f.Model}, {"upstream", f.Upstream}, {"state", f.State},
	} {
		if c.value != "" {
			args = append(args, c.value)
			where = append(where, fmt.Sprintf("%s = $%d", c.column, len(args)))
		}
	}
	if f.Since != 0 {
		args = append(args, f.Since)
		where = append(where, fmt.Sprintf("ts >= $%d", len(args)))
	}
	if f.Until != 0 {
		args = append(args, f.Until)
		where = append(where, fmt.Sprintf("ts < $%d", len(args)))
	}
	return where, args
}

// Card is a price card that was used, and the leaf that announced it first.
type Card struct {
	ID   string
	Hash string
	Leaf int64
	TS   int64
	Body string // its canonical text
}

// CardOf is the row of a card record at a leaf index.
func CardOf(c *record.Card, leaf int64) Card {
	return Card{ID: storable(c.Card), Hash: storable(c.Hash), Leaf: leaf, TS: c.TS, Body: storable(c.Text)}
}

// AddCards stores price cards; one that is known already stays as it is.
func (t *Tx) AddCards(ctx context.Context, cards []Card) error {
	return t.insertRows(ctx, &insertCard, len(cards), func(i int, dst []any) []any {
		c := &cards[i]
		return append(dst, c.ID, c.Hash, c.Leaf, c.TS, c.Body)
	})
}

// Cards reads every price card in order of the leaf that announced it.
func (t *Tx) Cards(ctx context.Context) iter.Seq2[Card, error] {
	return collect(ctx, t, func(rows *sql.Rows) (c Card, err error) {
		err = rows.Scan(&c.ID, &c.Hash, &c.Leaf, &c.TS, &c.Body)
		return c, err
	}, `SELECT id, hash, leaf, ts, body FROM price_card ORDER BY leaf, id, hash`)
}

// Charged sums up what the exchanges of a key from a time until another count as against
// a budget: amounts, and what was held for those whose amount is not known. The second
// number is of exchanges without any price.
func (db *DB) Charged(ctx context.Context, key string, from, until int64) (sum price.Nano, unpriced int64, err error) {
	err = db.View(ctx, func(t *Tx) error {
		return t.tx.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(COALESCE(nano, hold)), 0) AS BIGINT),
			CAST(COALESCE(SUM(CASE WHEN nano IS NULL AND hold = 0 THEN 1 ELSE 0 END), 0) AS BIGINT)
			FROM ledger WHERE key_id = $1 AND ts >= $2 AND ts < $3`, key, from, until).Scan(&sum, &unpriced)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("charges of a key: %w", err)
	}
	return sum, unpriced, nil
}
