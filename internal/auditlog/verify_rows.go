package auditlog

import (
	"errors"
	"fmt"
	"iter"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// ownRows checks a table that has one row for every leaf of one kind, which follows
// from the leaf's record alone.
type ownRows[T comparable] struct {
	table                   string
	changed, missing, stray string // codes of the findings
	place                   func(*T) (rid string, leaf int64)
	rows                    *pager[T]
	checked                 *int64
	found                   *collector
}

func newOwnRows[T comparable](w *walk, o ownRows[T], fetch func(from int64, limit int) iter.Seq2[T, error]) *ownRows[T] {
	o.found = &w.found
	o.rows = newPager(func(row *T) int64 { _, leaf := o.place(row); return leaf }, fetch)
	return &o
}

func countRows(w *walk) *ownRows[store.Count] {
	return newOwnRows(w, ownRows[store.Count]{
		table: "token_count", changed: CodeCountChanged, missing: CodeCountMissing, stray: CodeCountStray, checked: &w.report.Counts,
		place: func(c *store.Count) (string, int64) { return c.RID, c.Leaf },
	}, func(from int64, limit int) iter.Seq2[store.Count, error] { return w.tx.Counts(w.ctx, from, limit) })
}

func verdictRows(w *walk) *ownRows[store.Verdict] {
	return newOwnRows(w, ownRows[store.Verdict]{
		table: "verdict", changed: CodeVerdictChanged, missing: CodeVerdictMissing, stray: CodeVerdictStray, checked: &w.report.Verdicts,
		place: func(v *store.Verdict) (string, int64) { return v.ID, v.Leaf },
	}, func(from int64, limit int) iter.Seq2[store.Verdict, error] { return w.tx.Verdicts(w.ctx, from, limit) })
}

// own checks what each of these tables has of a leaf. r is nil when there is no such
// leaf, or when its record is unreadable.
func (w *walk) own(index int64, r *record.Record, unreadable bool) error {
	var c *store.Count
	var v *store.Verdict
	if r != nil && r.Count != nil {
		c = new(w.opts.Count(r.Count))
		c.Leaf = index
	}
	if r != nil && r.Verdict != nil {
		v = new(store.VerdictOf(r.Verdict, index))
	}
	return errors.Join(w.counts.check(index, c, unreadable), w.verdicts.check(index, v, unreadable))
}

// check holds the row of a leaf to what it must be. want is nil when the leaf has
// none to have, or when it is not known because the record is unreadable.
func (o *ownRows[T]) check(index int64, want *T, unreadable bool) error {
	for {
		row, err := o.rows.below(index)
		if err != nil {
			return err
		}
		if row == nil {
			break
		}
		o.tellStray(row)
	}
	have, err := o.rows.exactly(index)
	switch {
	case err != nil || have == nil && want == nil:
		return err
	case have == nil:
		rid, _ := o.place(want)
		o.found.add(o.missing, o.table, "rid "+printable(rid), "leaf %d has no row", index)
	case want == nil:
		if !unreadable {
			o.tellStray(have)
		}
	default:
		*o.checked++
		if *have != *want {
			rid, _ := o.place(want)
			o.found.add(o.changed, o.table, fmt.Sprintf("rid %s (leaf %d)", printable(rid), index),
				"it is %s, the record gives %s", shown(fmt.Sprintf("%+v", *have)), shown(fmt.Sprintf("%+v", *want)))
		}
	}
	return nil
}

func (o *ownRows[T]) tellStray(row *T) {
	*o.checked++
	rid, leaf := o.place(row)
	o.found.add(o.stray, o.table, fmt.Sprintf("rid %s (leaf %d)", printable(rid), leaf), "no leaf of such a row has that index")
}
