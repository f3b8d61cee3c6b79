package projector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/auditlog"
	"sallyport/internal/journal"
	"sallyport/internal/ledger"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// batch is a run of records and what they become.
type batch struct {
	from, to journal.Position
	chain    store.Hash // running hash at to
	records  int

	leaves  []store.Leaf
	entries []store.Entry
	places  []int // of each entry, its leaf in leaves
	cards   []announcement
	judged  []judgement
	counts  []store.Count
	counted []int                          // of each count, its leaf in leaves
	sums    map[store.RollupKey]store.Sums // by minute
	low     journal.Position               // begin of the oldest exchange that is open at to

	head  *record.Head // the checkpoint signed with it, if one was
	tried bool         // it may have been committed already
}

// announcement is a price card and its leaf in leaves.
type announcement struct {
	card *record.Card
	leaf int
}

// judgement is a verdict and its leaf in leaves.
type judgement struct {
	verdict *record.Verdict
	leaf    int
}

// build reads what is waiting, up to a batch.
func (p *Projector) build() (*batch, error) {
	waiting := min(int(p.cfg.Journal.Tail().Seq-p.read.Seq), p.cfg.MaxBatch)
	b := &batch{
		from: p.read, to: p.read, chain: p.chain, sums: map[store.RollupKey]store.Sums{},
		// An exchange is three records at least.
		leaves: make([]store.Leaf, 0, waiting/3+1), entries: make([]store.Entry, 0, waiting/3+1), places: make([]int, 0, waiting/3+1),
	}
	var row []byte
	for e, err := range p.cfg.Journal.Records(p.read) {
		if err != nil {
			return nil, err
		}
		if err := p.add(b, e, &row); err != nil {
			return nil, fmt.Errorf("record %d of journal %s: %w", e.At.Seq, p.id, err)
		}
		b.to, b.chain = e.Next, e.Chain
		if b.records++; b.records == p.cfg.MaxBatch {
			break
		}
	}
	b.low = p.low(b.to)
	return b, nil
}

// low is where the oldest open exchange began, or end.
func (p *Projector) low(end journal.Position) journal.Position {
	low := end
	for _, at := range p.open {
		if at.Seq < low.Seq {
			low = at
		}
	}
	return low
}

// add takes one record into a batch. Adding a record twice does no harm to what
// the projector remembers, so that a batch can be built again.
func (p *Projector) add(b *batch, e journal.Entry, row *[]byte) error {
	kind, rid, err := record.Peek(e.Payload)
	if err != nil {
		return err
	}
	switch kind {
	case record.KindIntent:
		p.open[rid] = e.At
		return nil
	case record.KindAttempt, record.KindHead:
		return nil
	}
	r, err := p.decoder.DecodeAs(kind, e.Payload)
	if err != nil {
		return err
	}
	if r.Exchange != nil {
		delete(p.open, rid)
		return b.exchange(&r, e.Payload, row)
	}
	if r.Count != nil {
		b.counts, b.counted = append(b.counts, ledger.Count(r.Count)), append(b.counted, len(b.leaves))
	}
	if r.Verdict != nil {
		b.judged = append(b.judged, judgement{r.Verdict, len(b.leaves)})
	}
	if r.Card != nil {
		b.cards = append(b.cards, announcement{r.Card, len(b.leaves)})
	}
	leaf, err := auditlog.NewLeaf(&r, e.Payload, nil)
	b.leaves = append(b.leaves, leaf)
	return err
}

// exchange takes an outcome or a refusal: a leaf, a ledger row and sums.
func (b *batch) exchange(r *record.Record, raw []byte, row *[]byte) error {
	entry := ledger.Entry(r.Exchange)
	*row = entry.AppendCanonical((*row)[:0])
	leaf, err := auditlog.NewLeaf(r, raw, *row)
	if err != nil {
		return err
	}
	b.places = append(b.places, len(b.leaves))
	b.leaves = append(b.leaves, leaf)
	b.entries = append(b.entries, entry)
	key := entry.RollupKey(store.Minute, store.Grains[0].Width)
	sum, one := b.sums[key], entry.Sum()
	sum.Add(&one)
	b.sums[key] = sum
	return nil
}

// rollups widens the sums of the minutes to all grains.
func (b *batch) rollups() []store.Rollup {
	all := make(map[store.RollupKey]store.Sums, 3*len(b.sums))
	for key, sums := range b.sums {
		for _, g := range store.Grains {
			wide := key
			wide.Grain, wide.Bucket = g.Grain, key.Bucket-key.Bucket%g.Width
			total := all[wide]
			total.Add(&sums)
			all[wide] = total
		}
	}
	list := make([]store.Rollup, 0, len(all))
	for key, sums := range all {
		list = append(list, store.Rollup{RollupKey: key, Sums: sums})
	}
	return list
}

// commit writes a batch in one transaction. When an earlier attempt was
// committed though it was reported as failed, which a lost connection can do,
// there is nothing left to do.
func (p *Projector) commit(ctx context.Context, b *batch) error {
	if err := p.cfg.Journal.Sync(b.to); err != nil {
		return err
	}
	if p.cfg.Claim != nil {
		if err := p.cfg.Claim(ctx); err != nil {
			return err
		}
	}
	if b.tried {
		if done, err := p.committed(ctx, b); done || err != nil {
			return err
		}
	}
	now := time.Now()
	b.tried, b.head = true, nil
	err := p.cfg.Store.Batch(ctx, func(tx *store.Tx) error {
		if err := p.cfg.Log.Append(ctx, tx, b.leaves); err != nil {
			return err
		}
		for i, place := range b.places {
			b.entries[i].Leaf = b.leaves[place].Index
		}
		for i, place := range b.counted {
			b.counts[i].Leaf = b.leaves[place].Index
		}
		cards := make([]store.Card, len(b.cards))
		for i, a := range b.cards {
			cards[i] = store.CardOf(a.card, b.leaves[a.leaf].Index)
		}
		verdicts := make([]store.Verdict, len(b.judged))
		for i, j := range b.judged {
			verdicts[i] = store.VerdictOf(j.verdict, b.leaves[j.leaf].Index)
		}
		if err := tx.AddEntries(ctx, b.entries); err != nil {
			return err
		}
		if err := tx.AddCards(ctx, cards); err != nil {
			return err
		}
		if err := tx.AddCounts(ctx, b.counts); err != nil {
			return err
		}
		if err := tx.AddVerdicts(ctx, verdicts); err != nil {
			return err
		}
		if err := tx.AddRollups(ctx, b.rollups()); err != nil {
			return err
		}
		if err := tx.SetProjection(ctx, place(p.stored), p.projection(b, now)); err != nil {
			return err
		}
		return p.signWith(ctx, tx, b, now)
	})
	if err != nil {
		b.head = nil
		return err
	}
	p.metrics.batches.Inc()
	return nil
}

func (p *Projector) projection(b *batch, now time.Time) store.Projection {
	return store.Projection{Journal: p.id, At: place(b.to), Chain: b.chain, Low: place(b.low), TS: now.UnixMicro()}
}

// committed reports whether the database already has the batch. Being anywhere
// but at its begin or its end means that somebody else projects this journal.
func (p *Projector) committed(ctx context.Context, b *batch) (bool, error) {
	at, err := p.storedProjection(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound) && p.stored == journal.Position{}:
		return false, nil
	case err != nil:
		return false, err
	case at.At == place(b.to) && at.Chain == b.chain:
		return true, nil
	case at.At != place(p.stored):
		return false, fmt.Errorf("journal %s is projected up to record %d, not %d: another process projects it",
			p.id, at.At.Seq, p.stored.Seq)
	}
	return false, nil
}

func (p *Projector) storedProjection(ctx context.Context) (at store.Projection, err error) {
	err = p.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		at, err = tx.Projection(ctx, p.id)
		return err
	})
	return at, err
}

// place is a journal's position as the store keeps it.
func place(p journal.Position) store.Place {
	return store.Place{Seq: p.Seq, Segment: p.Segment, Offset: p.Offset}
}

// position is the reverse of place.
func position(p store.Place) journal.Position {
	return journal.Position{Seq: p.Seq, Segment: p.Segment, Offset: p.Offset}
}
