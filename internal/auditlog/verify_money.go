package auditlog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// cardName is what names a price card: its id and hash.
type cardName struct{ id, hash string }

// cardBook is what the records say about price cards.
type cardBook struct {
	announced map[cardName]announced
	used      map[cardName]int64 // leaf of the first exchange that was priced by it
}

// announced is the first announcement of a card.
type announced struct {
	leaf, ts int64
	text     [sha256.Size]byte
}

func newCardBook() cardBook {
	return cardBook{map[cardName]announced{}, map[cardName]int64{}}
}

// note takes down what a record says about price cards.
func (b *cardBook) note(r *record.Record, leaf int64) {
	switch {
	case r.Card != nil:
		c := store.CardOf(r.Card, leaf)
		name := cardName{c.ID, c.Hash}
		if _, ok := b.announced[name]; !ok {
			b.announced[name] = announced{leaf, c.TS, sha256.Sum256([]byte(c.Body))}
		}
	case r.Exchange != nil && r.Exchange.Card != "":
		name := cardName{r.Exchange.Card, r.Exchange.CardHash}
		if _, ok := b.used[name]; !ok {
			b.used[name] = leaf
		}
	}
}

// checkCards compares price cards with what was announced and used.
func (w *walk) checkCards() error {
	missing := make(map[cardName]int64, len(w.cards.announced))
	for name, a := range w.cards.announced {
		missing[name] = a.leaf
	}
	for c, err := range w.tx.Cards(w.ctx) {
		if err != nil {
			return err
		}
		w.report.Cards++
		name := cardName{c.ID, c.Hash}
		delete(missing, name)
		w.checkCard(c, name)
	}
	for name, leaf := range missing {
		w.found.add(CodeCardMissing, "price_card", "id "+printable(name.id), "leaf %d announced it with hash %s", leaf, printable(name.hash))
	}
	for name, leaf := range w.cards.used {
		if _, ok := w.cards.announced[name]; !ok {
			w.found.add(CodeCardMissing, "price_card", "id "+printable(name.id),
				"leaf %d was priced by it with hash %s, and no leaf announces it", leaf, printable(name.hash))
		}
	}
	return nil
}

func (w *walk) checkCard(c store.Card, name cardName) {
	where := "id " + printable(c.ID)
	sum := sha256.Sum256([]byte(c.Body))
	if hex.EncodeToString(sum[:]) != c.Hash {
		w.found.add(CodeCardChanged, "price_card", where+", column body", "its hash is not %s", printable(c.Hash))
	}
	a, ok := w.cards.announced[name]
	if !ok {
		w.found.add(CodeCardStray, "price_card", where, "no leaf announces it with hash %s", printable(c.Hash))
		return
	}
	if c.Leaf != a.leaf {
		w.found.add(CodeCardChanged, "price_card", where+", column leaf", "it is %d, leaf %d announced it", c.Leaf, a.leaf)
	}
	if c.TS != a.ts {
		w.found.add(CodeCardChanged, "price_card", where+", column ts", "it is %d, announced was %d", c.TS, a.ts)
	}
	if sum != a.text {
		w.found.add(CodeCardChanged, "price_card", where+", column body", "leaf %d announced another text", a.leaf)
	}
}

// checkRollups recomputes the sums of each day from the ledger rows, which are
// compared with their records elsewhere.
func (w *walk) checkRollups() error {
	day := store.Grains[len(store.Grains)-1].Width
	for from := int64(math.MinInt64); ; {
		at, ok, err := w.tx.NextBucket(w.ctx, from)
		if err != nil || !ok {
			return err
		}
		start := at - at%day
		if at%day < 0 {
			start -= day
		}
		if start > math.MaxInt64-day {
			w.found.add(CodeRollup, "rollup", fmt.Sprintf("from %d on", start), "there is no such day")
			return nil
		}
		if err := w.day(start, start+day); err != nil {
			if ctxErr := w.ctx.Err(); ctxErr != nil {
				return errors.Join(err, ctxErr)
			}
			w.found.add(CodeRollup, "rollup", fmt.Sprintf("day %d", start), "its sums cannot be computed: %v", err)
			return nil
		}
		from = start + day
	}
}

// day compares the sums of one day.
func (w *walk) day(from, until int64) error {
	should := map[store.RollupKey]store.Sums{}
	for r, err := range w.tx.SumEntries(w.ctx, from, until) {
		if err != nil {
			return err
		}
		for _, g := range store.Grains {
			key := r.RollupKey
			key.Grain, key.Bucket = g.Grain, r.Bucket-r.Bucket%g.Width
			s := should[key]
			s.Add(&r.Sums)
			should[key] = s
		}
	}
	for _, g := range store.Grains {
		for r, err := range w.tx.Rollups(w.ctx, g.Grain, from, until) {
			if err != nil {
				return err
			}
			w.report.Rollups++
			if want, ok := should[r.RollupKey]; !ok {
				w.found.add(CodeRollup, "rollup", rollupName(r.RollupKey), "no ledger row is in it")
			} else if want != r.Sums {
				w.found.add(CodeRollup, "rollup", rollupName(r.RollupKey), "it is %+v, the ledger rows give %+v", r.Sums, want)
			}
			delete(should, r.RollupKey)
		}
	}
	for key, sums := range should {
		w.found.add(CodeRollup, "rollup", rollupName(key), "it is missing; the ledger rows give %+v", sums)
	}
	return nil
}

func rollupName(k store.RollupKey) string {
	return fmt.Sprintf("%s %d (project %s, key %s, model %s, upstream %s)",
		k.Grain, k.Bucket, printable(k.Project), printable(k.Key), printable(k.Model), printable(k.Upstream))
}

// maxShown bounds how much of a value a finding quotes.
const maxShown = 80

// printable makes a stored text harmless to show: quoted where it must be, and
// bounded.
func printable(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "..."
	}
	if q := strconv.QuoteToASCII(s); len(q) != len(s)+2 || s == "" {
		return q
	}
	return s
}

// shown is a column's value for a finding.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		if len(v) > maxShown {
			sum := sha256.Sum256([]byte(v))
			return fmt.Sprintf("%s (%d bytes, sha256 %x)", printable(v), len(v), sum[:8])
		}
		return strconv.QuoteToASCII(v)
	}
	return fmt.Sprint(v)
}
