package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"sallyport/internal/record"
)

// Grain is the width of a roll-up's buckets.
type Grain string

// The grains. Every ledger row is in one bucket of each.
const (
	Minute Grain = "minute"
	Hour   Grain = "hour"
	Day    Grain = "day"
)

// Grains lists the grains with their widths in microseconds, finest first.
var Grains = [...]struct {
	Grain Grain
	Width int64
}{{Minute, 60e6}, {Hour, 3600e6}, {Day, 86400e6}}

// RollupKey names one sum.
type RollupKey struct {
	Grain    Grain
	Bucket   int64 // start of the bucket
	Project  string
	Key      string
	Model    string
	Upstream string
}

// Sums are added up over ledger rows. A row whose tokens or amount are not known
// adds nothing to them and is counted as such, so that a sum never passes for
// the whole.
type Sums struct {
	Requests     int64 // all rows
	Refused      int64 // rows of state "refused"
	Errors       int64 // rows of any other state but "complete"
	UnknownUsage int64 // rows whose tokens are not known
	Unpriced     int64 // rows whose amount is not known
	Tokens       record.Counts
	Nano         int64 // saturates
}

// Add adds the other sums.
func (s *Sums) Add(o *Sums) {
	s.Requests += o.Requests
	s.Refused += o.Refused
	s.Errors += o.Errors
	s.UnknownUsage += o.UnknownUsage
	s.Unpriced += o.Unpriced
	for i, n := range o.Tokens {
		s.Tokens[i] += n
	}
	s.Nano = saturatingAdd(s.Nano, o.Nano)
}

// The spellings of llm.Complete, llm.Refused and llm.UsageNone, which this
// package stores without knowing more of that vocabulary.
const (
	stateComplete = "complete"
	stateRefused  = "refused"
	usageNone     = "none"
)

// Sum is what one ledger row adds.
func (e *Entry) Sum() Sums {
	s := Sums{Requests: 1}
	switch e.State {
	case stateComplete:
	case stateRefused:
		s.Refused = 1
	default:
		s.Errors = 1
	}
	if e.Tokens != nil {
		s.Tokens = *e.Tokens
	} else if e.Usage != usageNone {
		s.UnknownUsage = 1
	}
	if e.Amount != nil {
		s.Nano = int64(*e.Amount)
	} else {
		s.Unpriced = 1
	}
	return s
}

// saturatingAdd adds two amounts that are not negative.
func saturatingAdd(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Rollup is one stored sum.
type Rollup struct {
	RollupKey
	Sums
}

// RollupKey is the key of the bucket of a width that the row falls into.
func (e *Entry) RollupKey(g Grain, width int64) RollupKey {
	return RollupKey{g, e.TS - e.TS%width, storable(e.Project), storable(e.Key), storable(e.Model), storable(e.Upstream)}
}

var (
	rollupColumns = []string{"grain", "bucket", "project", "key_id", "model", "upstream"}
	sumColumns    = slices.Concat([]string{"requests", "refused", "errors", "unknown_usage", "unpriced"}, tokenColumns[:])

	upsertRollup = insert{"rollup", slices.Concat(rollupColumns, sumColumns, []string{"nano"}), 16, rollupConflict()}
)

// rollupConflict adds to an existing row. The amount saturates: what an upstream
// claims must not be able to stop a projection by an overflow.
func rollupConflict() string {
	var set strings.Builder
	for _, c := range sumColumns {
		set.WriteString(c + " = rollup." + c + " + excluded." + c + ", ")
	}
	return `ON CONFLICT (grain, bucket, project, key_id, model, upstream) DO UPDATE SET ` + set.String() + `nano =
		CASE WHEN rollup.nano > 9223372036854775807 - excluded.nano THEN 9223372036854775807
		ELSE rollup.nano + excluded.nano END`
}

// AddRollups adds sums to what is stored. Keys must not repeat.
func (t *Tx) AddRollups(ctx context.Context, sums []Rollup) error {
	return t.insertRows(ctx, &upsertRollup, len(sums), func(i int, dst []any) []any {
		r := &sums[i]
		dst = append(dst, string(r.Grain), r.Bucket, r.Project, r.Key, r.Model, r.Upstream,
			r.Requests, r.Refused, r.Errors, r.UnknownUsage, r.Unpriced)
		for _, n := range r.Tokens {
			dst = append(dst, n)
		}
		return append(dst, r.Nano)
	})
}

// Rollups reads the stored sums of a grain with buckets in [from, until).
func (t *Tx) Rollups(ctx context.Context, g Grain, from, until int64) iter.Seq2[Rollup, error] {
	return collect(ctx, t, func(rows *sql.Rows) (Rollup, error) {
		var r Rollup
		err := rows.Scan(append(r.into(), &r.Nano)...)
		return r, err
	}, `SELECT `+strings.Join(slices.Concat(rollupColumns, sumColumns), ", ")+`, nano FROM rollup
		WHERE grain = $1 AND bucket >= $2 AND bucket < $3`, string(g), from, until)
}

// SumEntries computes the sums of the minutes in [from, until), a multiple of a
// minute, from the ledger rows themselves.
func (t *Tx) SumEntries(ctx context.Context, from, until int64) iter.Seq2[Rollup, error] {
	return collect(ctx, t, func(rows *sql.Rows) (Rollup, error) {
		var r Rollup
		var whole, rest int64
		err := rows.Scan(append(r.into(), &whole, &rest)...)
		r.Nano = amountOf(whole, rest)
		return r, err
	}, sumEntries, from, until)
}

// sumEntries is Entry.Sum in SQL.
var sumEntries = func() string {
	var tokens strings.Builder
	for _, c := range tokenColumns {
		tokens.WriteString(", CAST(SUM(COALESCE(" + c + ", 0)) AS BIGINT)")
	}
	return `SELECT 'minute', ts - ts % 60000000, project, key_id, model, upstream, COUNT(*),
		SUM(CASE WHEN state = '` + stateRefused + `' THEN 1 ELSE 0 END),
		SUM(CASE WHEN state = '` + stateRefused + `' OR state = '` + stateComplete + `' THEN 0 ELSE 1 END),
		SUM(CASE WHEN input IS NULL AND usage_status <> '` + usageNone + `' THEN 1 ELSE 0 END),
		SUM(CASE WHEN nano IS NULL THEN 1 ELSE 0 END)` + tokens.String() + `,
		CAST(SUM(COALESCE(nano / 1000000000, 0)) AS BIGINT), CAST(SUM(COALESCE(nano % 1000000000, 0)) AS BIGINT)
		FROM ledger WHERE ts >= $1 AND ts < $2
		GROUP BY ts - ts % 60000000, project, key_id, model, upstream`
}()

// NextBucket is the least time at or after from that a ledger row arrived at or
// a stored sum starts at; false when there is none.
func (t *Tx) NextBucket(ctx context.Context, from int64) (int64, bool, error) {
	var least sql.NullInt64
	err := t.tx.QueryRowContext(ctx, `SELECT MIN(m) FROM (
		SELECT MIN(ts) AS m FROM ledger WHERE ts >= $1
		UNION ALL SELECT MIN(bucket) FROM rollup WHERE grain = 'minute' AND bucket >= $1
		UNION ALL SELECT MIN(bucket) FROM rollup WHERE grain = 'hour' AND bucket >= $1
		UNION ALL SELECT MIN(bucket) FROM rollup WHERE grain = 'day' AND bucket >= $1) AS x`, from).Scan(&least)
	if err != nil {
		return 0, false, fmt.Errorf("next bucket: %w", err)
	}
	return least.Int64, least.Valid, nil
}

// into lists where the columns up to the tokens are scanned to.
func (r *Rollup) into() []any {
	return append([]any{&r.Grain, &r.Bucket, &r.Project, &r.Key, &r.Model, &r.Upstream}, r.Sums.into()...)
}

func (s *Sums) into() []any {
	into := []any{&s.Requests, &s.Refused, &s.Errors, &s.UnknownUsage, &s.Unpriced}
	for i := range s.Tokens {
		into = append(into, &s.Tokens[i])
	}
	return into
}

// amountOf puts together an amount that was summed in two parts so that neither
// overflows; it saturates.
func amountOf(whole, rest int64) int64 {
	if whole > (math.MaxInt64-rest)/1e9 {
		return math.MaxInt64
	}
	return whole*1e9 + rest
}

// Dimension is what usage is grouped by.
type Dimension string

// The dimensions.
const (
	ByModel    Dimension = "model"
	ByKey      Dimension = "key"
	ByProject  Dimension = "project"
	ByUpstream Dimension = "upstream"
)

// dimensionColumns is the closed set of columns that usage can be grouped by.
var dimensionColumns = map[Dimension]string{ByModel: "model", ByKey: "key_id", ByProject: "project", ByUpstream: "upstream"}

// Usage is what one model, key, project or upstream took.
type Usage struct {
	Name string
	Sums
	Counts CountSums // of the exchanges that were sampled
}

// Usage sums up exchanges that arrived at or after since, rounded down to a
// minute, most requests first.
func (db *DB) Usage(ctx context.Context, by Dimension, since int64) ([]Usage, error) {
	column, ok := dimensionColumns[by]
	if !ok {
		return nil, fmt.Errorf("usage by %q: want model, key, project or upstream", by)
	}
	// Minutes up to the first full hour, hours up to the first full day, then days.
	minute, hour, day := Grains[0].Width, Grains[1].Width, Grains[2].Width
	since = max(0, since-since%minute)
	firstHour := (since + hour - 1) / hour * hour
	firstDay := (firstHour + day - 1) / day * day
	var sums strings.Builder
	for _, c := range sumColumns {
		sums.WriteString(", CAST(SUM(" + c + ") AS BIGINT)")
	}
	// The amount is summed in two parts, each far from overflow.
	query := `SELECT ` + column + sums.String() + `, CAST(SUM(nano / 1000000000) AS BIGINT), CAST(SUM(nano % 1000000000) AS BIGINT)
		FROM rollup WHERE (grain = 'minute' AND bucket >= $1 AND bucket < $2)
		OR (grain = 'hour' AND bucket >= $2 AND bucket < $3) OR (grain = 'day' AND bucket >= $3)
		GROUP BY ` + column + ` ORDER BY SUM(requests) DESC, ` + column
	var usage []Usage
	err := db.View(ctx, func(t *Tx) error {
		for u, err := range collect(ctx, t, scanUsage, query, since, firstHour, firstDay) {
			if err != nil {
				return err
			}
			usage = append(usage, u)
		}
		counts, err := t.sumCounts(ctx, column, since)
		for i := range usage {
			usage[i].Counts = counts[usage[i].Name]
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("usage by %s: %w", by, err)
	}
	return usage, nil
}

func scanUsage(rows *sql.Rows) (Usage, error) {
	var u Usage
	var whole, rest int64
	err := rows.Scan(append(append([]any{&u.Name}, u.into()...), &whole, &rest)...)
	u.Nano = amountOf(whole, rest)
	return u, err
}
