package auditlog

import (
	"fmt"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// count checks the row of our own count of a leaf. r is nil when the leaf has none
// to have, or when it is not known because the record is unreadable.
func (w *walk) count(index int64, r *record.Count, unreadable bool) error {
	for {
		stray, err := w.counts.below(index)
		if err != nil {
			return err
		}
		if stray == nil {
			break
		}
		w.strayCount(stray)
	}
	have, err := w.counts.exactly(index)
	switch {
	case err != nil || have == nil && r == nil:
		return err
	case have == nil:
		w.found.add(CodeCountMissing, "token_count", "rid "+printable(r.RID), "leaf %d has no row", index)
	case r == nil:
		if !unreadable {
			w.strayCount(have)
		}
	default:
		w.report.Counts++
		want := w.opts.Count(r)
		want.Leaf = index
		if *have != want {
			w.found.add(CodeCountChanged, "token_count", fmt.Sprintf("rid %s (leaf %d)", printable(want.RID), index),
				"it is %s, the record gives %s", shown(fmt.Sprintf("%+v", *have)), shown(fmt.Sprintf("%+v", want)))
		}
	}
	return nil
}

func (w *walk) strayCount(c *store.Count) {
	w.report.Counts++
	w.found.add(CodeCountStray, "token_count", fmt.Sprintf("rid %s (leaf %d)", printable(c.RID), c.Leaf), "no leaf of a count has that index")
}
