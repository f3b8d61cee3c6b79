package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"
)

// Count is our own count of one sampled answer, beside the claim. All of it but
// Leaf is a pure function of the count's record; rows compare with ==.
type Count struct {
	Leaf       int64 // index of the count's own leaf
	RID        string
	TS         int64 // when the exchange arrived
	Project    string
	Key        string
	Model      string
	Upstream   string
	Target     string
	Vocabulary string
	Claimed    sql.Null[int64] // tokens; not valid when the answer is not countable
	Counted    sql.Null[int64]
	Excess     sql.Null[int64] // claimed / counted - 1 in millionths, clipped; not valid of short answers
	Why        string          // why it is not countable
}

var (
	countColumns = []string{
		"leaf", "rid", "ts", "project", "key_id", "model", "upstream", "target", "vocabulary", "claimed", "counted", "excess", "why",
	}
	insertCount = insert{"token_count", countColumns, 8, ""}
)

// Storable is the row as both engines keep it.
func (c Count) Storable() Count {
	for _, s := range []*string{&c.RID, &c.Project, &c.Key, &c.Model, &c.Upstream, &c.Target, &c.Vocabulary, &c.Why} {
		*s = storable(*s)
	}
	return c
}

// AddCounts writes counts.
func (t *Tx) AddCounts(ctx context.Context, counts []Count) error {
	return t.insertRows(ctx, &insertCount, len(counts), func(i int, dst []any) []any {
		c := counts[i].Storable()
		dst = append(dst, c.Leaf, c.RID, c.TS, c.Project, c.Key, c.Model, c.Upstream, c.Target, c.Vocabulary)
		for _, n := range []sql.Null[int64]{c.Claimed, c.Counted, c.Excess} {
			if n.Valid {
				dst = append(dst, n.V)
			} else {
				dst = append(dst, nil)
			}
		}
		return append(dst, c.Why)
	})
}

// selectCount reads the columns in the order of countColumns.
var selectCount = `SELECT ` + strings.Join(countColumns, ", ") + ` FROM token_count`

func scanCount(rows *sql.Rows) (c Count, err error) {
	err = rows.Scan(&c.Leaf, &c.RID, &c.TS, &c.Project, &c.Key, &c.Model, &c.Upstream, &c.Target, &c.Vocabulary,
		&c.Claimed, &c.Counted, &c.Excess, &c.Why)
	return c, err
}

// Counts reads up to limit counts from a leaf index on, in order of leaf.
func (t *Tx) Counts(ctx context.Context, from int64, limit int) iter.Seq2[Count, error] {
	return collect(ctx, t, scanCount, selectCount+` WHERE leaf >= $1 ORDER BY leaf LIMIT $2`, from, limit)
}

// CountOf finds the count of an exchange, or ErrNotFound.
func (t *Tx) CountOf(ctx context.Context, rid string) (Count, error) {
	for c, err := range collect(ctx, t, scanCount, selectCount+` WHERE rid = $1`, rid) {
		return c, err
	}
	return Count{}, fmt.Errorf("count of %q: %w", rid, ErrNotFound)
}

// CountSums sum up counts.
type CountSums struct {
	Sampled   int64 // all of them
	Countable int64 // those with a claim and a count
	Claimed   int64 // tokens of these
	Counted   int64
	Compared  int64   // those with an excess
	Excess    float64 // sum of the excesses
	Squares   float64 // sum of their squares
}

// countSums computes CountSums.
const countSums = `COUNT(*), COUNT(counted), CAST(COALESCE(SUM(claimed), 0) AS BIGINT), CAST(COALESCE(SUM(counted), 0) AS BIGINT),
	COUNT(excess), CAST(COALESCE(SUM(excess / 1000000.0), 0) AS DOUBLE PRECISION),
	CAST(COALESCE(SUM((excess / 1000000.0) * (excess / 1000000.0)), 0) AS DOUBLE PRECISION)`

// sumCounts sums up the counts of exchanges that arrived at or after since by a
// column of dimensionColumns.
func (t *Tx) sumCounts(ctx context.Context, column string, since int64) (map[string]CountSums, error) {
	sums := map[string]CountSums{}
	type named struct {
		name string
		sums CountSums
	}
	query := fmt.Sprintf(`SELECT %s, %s FROM token_count WHERE ts >= $1 GROUP BY %s`, column, countSums, column)
	for n, err := range collect(ctx, t, func(rows *sql.Rows) (n named, err error) {
		s := &n.sums
		err = rows.Scan(&n.name, &s.Sampled, &s.Countable, &s.Claimed, &s.Counted, &s.Compared, &s.Excess, &s.Squares)
		return n, err
	}, query, since) {
		if err != nil {
			return nil, err
		}
		sums[n.name] = n.sums
	}
	return sums, nil
}
