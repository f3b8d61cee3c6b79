package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	"sallyport/internal/record"
)

// Verdict is the row of a verdict at its leaf. All of it but Leaf is a pure function
// of the record; rows compare with ==.
type Verdict struct {
	Leaf         int64 // index of the verdict's own leaf
	ID           string
	TS           int64
	Upstream     string
	Target       string
	Hypothesis   string
	Label        string
	Level        string
	Act          record.Act
	EMilli       int64 // 1000 times the decimal logarithm of the largest E
	Observations int64
	Reference    string
	Bundle       string
	Wording      string
	Actor        string
	Reason       string
	Commitment   string
	Profile      string
	Cap          int64 // nano-USD
	Asked        int64
	Money        string
	Nano         int64
}

var (
	verdictColumns = []string{
		"leaf", "rid", "ts", "upstream", "target", "hypothesis", "label", "level", "act", "e_milli", "observations", "reference", "bundle",
		"wording", "actor", "reason", "commitment", "profile", "cap", "asked", "money", "nano",
	}
	insertVerdict = insert{"verdict", verdictColumns, 1, ""}
	selectVerdict = `SELECT ` + strings.Join(verdictColumns, ", ") + ` FROM verdict`
)

// VerdictOf is the row of a verdict's record at a leaf index.
func VerdictOf(v *record.Verdict, leaf int64) Verdict {
	return Verdict{
		Leaf: leaf, ID: storable(v.ID), TS: v.TS, Upstream: storable(v.Upstream), Target: storable(v.Target), Hypothesis: storable(v.Null),
		Label: storable(v.Label), Level: storable(v.Level), Act: record.Act(storable(string(v.Act))), EMilli: v.EMilli, Observations: v.N,
		Reference: storable(v.Reference), Bundle: storable(v.Bundle), Wording: storable(v.Wording), Actor: storable(v.Actor), Reason: storable(v.Reason),
		Commitment: storable(v.Commitment), Profile: storable(v.Profile), Cap: v.Cap, Asked: v.Asked, Money: storable(v.Money), Nano: v.Nano,
	}
}

// AddVerdicts writes verdicts.
func (t *Tx) AddVerdicts(ctx context.Context, verdicts []Verdict) error {
	return t.insertRows(ctx, &insertVerdict, len(verdicts), func(i int, dst []any) []any {
		v := &verdicts[i]
		return append(dst, v.Leaf, v.ID, v.TS, v.Upstream, v.Target, v.Hypothesis, v.Label, v.Level, string(v.Act), v.EMilli, v.Observations,
			v.Reference, v.Bundle, v.Wording, v.Actor, v.Reason, v.Commitment, v.Profile, v.Cap, v.Asked, v.Money, v.Nano)
	})
}

func scanVerdict(rows *sql.Rows) (v Verdict, err error) {
	err = rows.Scan(&v.Leaf, &v.ID, &v.TS, &v.Upstream, &v.Target, &v.Hypothesis, &v.Label, &v.Level, &v.Act, &v.EMilli, &v.Observations,
		&v.Reference, &v.Bundle, &v.Wording, &v.Actor, &v.Reason, &v.Commitment, &v.Profile, &v.Cap, &v.Asked, &v.Money, &v.Nano)
	return v, err
}

// Verdicts reads up to limit verdicts from a leaf index on, in order of leaf.
func (t *Tx) Verdicts(ctx context.Context, from int64, limit int) iter.Seq2[Verdict, error] {
	return collect(ctx, t, scanVerdict, selectVerdict+` WHERE leaf >= $1 ORDER BY leaf LIMIT $2`, from, limit)
}

// RoutingVerdicts reads every verdict that acts on routing, or ends that it does, in
// order of leaf.
func (t *Tx) RoutingVerdicts(ctx context.Context) iter.Seq2[Verdict, error] {
	return collect(ctx, t, scanVerdict, selectVerdict+` WHERE act IN ($1, $2, $3, $4) ORDER BY leaf`,
		string(record.ActLower), string(record.ActQuarantine), string(record.ActRelease), string(record.ActOverride))
}

// VerdictsOf returns the newest verdicts, newest first, of an upstream and a model; an
// empty name means all.
func (db *DB) VerdictsOf(ctx context.Context, upstream, target string, limit int) ([]Verdict, error) {
	query, args := selectVerdict+` WHERE TRUE`, []any{}
	for _, c := range []struct{ column, value string }{{"upstream", upstream}, {"target", target}} {
		if c.value != "" {
			args = append(args, c.value)
			query += fmt.Sprintf(" AND %s = $%d", c.column, len(args))
		}
	}
	args = append(args, min(max(limit, 1), MaxPage))
	query += fmt.Sprintf(" ORDER BY leaf DESC LIMIT $%d", len(args))
	var list []Verdict
	err := db.View(ctx, func(t *Tx) error {
		for v, err := range collect(ctx, t, scanVerdict, query, args...) {
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verdicts: %w", err)
	}
	return list, nil
}
