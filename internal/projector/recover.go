package projector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport/internal/journal"
	"sallyport/internal/ledger"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// Notes for the start record (record.Start.Notes).
const (
	NoteRestarted  = "journal.restarted"  // the journal did not match the database and was set aside
	NoteIncomplete = "journal.incomplete" // the database does not know the journal, whose begin is gone
)

// Recovery is what Recover found and did.
type Recovery struct {
	Lost     int              // exchanges that got the outcome "lost"
	Notes    []string         // for the start record
	Verdicts []record.Verdict // of the journal that are not yet in the database, oldest first
}

// Recover finds the place to go on from and gives every exchange of the journal
// that has no outcome the outcome "lost". It comes before anything is appended to
// the journal and before Run. It may die at any point and be run again: an
// exchange gets one outcome.
//
// A journal that does not continue what was projected of it, such as a folder
// that was copied or restored from a backup, is set aside whole and a new one
// begun: skipping or repeating records would falsify the ledger.
func (p *Projector) Recover(ctx context.Context) (Recovery, error) {
	var rec Recovery
	p.id = p.cfg.Journal.ID()
	at, err := p.place(ctx, &rec)
	if err != nil {
		return rec, fmt.Errorf("recover journal %s: %w", p.id, err)
	}
	left, err := p.unfinished(at, &rec)
	if err != nil {
		return rec, fmt.Errorf("recover journal %s: %w", p.id, err)
	}
	if rec.Lost, err = p.finish(left); err != nil {
		return rec, fmt.Errorf("recover journal %s: %w", p.id, err)
	}
	if p.unsigned, err = p.hasUnsigned(ctx); err != nil {
		return rec, fmt.Errorf("recover journal %s: %w", p.id, err)
	}
	p.moved(nil)
	return rec, nil
}

// place finds how far the journal is projected.
func (p *Projector) place(ctx context.Context, rec *Recovery) (store.Projection, error) {
	at, err := p.storedProjection(ctx)
	if errors.Is(err, store.ErrNotFound) {
		for e, err := range p.cfg.Journal.Records(journal.Position{}) {
			if err != nil {
				return at, err
			}
			if e.At.Seq > 0 {
				rec.Notes = append(rec.Notes, NoteIncomplete)
				p.cfg.Logger.ErrorContext(ctx, "the database does not know this journal, and its first records are gone",
					"journal", p.id, "first_record", e.At.Seq)
			}
			break
		}
		return store.Projection{Journal: p.id}, nil
	}
	if err != nil {
		return at, err
	}
	chain, err := p.cfg.Journal.Chain(position(at.At))
	if err == nil && store.Hash(chain) == at.Chain {
		return at, nil
	}
	if err != nil && !errors.Is(err, journal.ErrUnknownPosition) {
		return at, err
	}
	tail := p.cfg.Journal.Tail()
	if err := p.cfg.Journal.Restart(); err != nil {
		return at, err
	}
	p.cfg.Logger.ErrorContext(ctx, "the journal is not the one that was projected: it is set aside and a new one begun",
		"journal", p.id, "projected_records", at.At.Seq, "journal_records", tail.Seq, "new_journal", p.cfg.Journal.ID())
	rec.Notes = append(rec.Notes, NoteRestarted)
	p.id = p.cfg.Journal.ID()
	return store.Projection{Journal: p.id}, nil
}

// exchange is one that has no outcome yet.
type exchange struct {
	at       journal.Position
	intent   *record.Exchange
	attempts []record.Attempt
}

// unfinished reads the journal from the low-water mark to its end and returns
// the exchanges without an outcome, oldest first. On the way it learns which were
// open at the projected place, and which verdicts come after it.
func (p *Projector) unfinished(at store.Projection, rec *Recovery) ([]*exchange, error) {
	open := map[string]*exchange{}
	p.stored, p.read, p.chain = position(at.At), position(at.At), at.Chain
	p.open = map[string]journal.Position{}
	for e, err := range p.cfg.Journal.Records(position(at.Low)) {
		if err != nil {
			return nil, err
		}
		v, err := follow(open, e)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", e.At.Seq, err)
		}
		if v != nil && e.At.Seq >= p.stored.Seq {
			rec.Verdicts = append(rec.Verdicts, *v)
		}
		if e.Next == p.stored {
			for rid, x := range open {
				p.open[rid] = x.at
			}
		}
	}
	left := slices.Collect(maps.Values(open))
	slices.SortFunc(left, func(a, b *exchange) int { return cmp.Compare(a.at.Seq, b.at.Seq) })
	return left, nil
}

// follow takes one record into account, and returns it if it is a verdict.
func follow(open map[string]*exchange, e journal.Entry) (*record.Verdict, error) {
	kind, rid, err := record.Peek(e.Payload)
	if err != nil {
		return nil, err
	}
	switch kind {
	case record.KindOutcome, record.KindRefused:
		delete(open, rid)
		return nil, nil
	case record.KindIntent, record.KindAttempt, record.KindVerdict:
	default:
		return nil, nil
	}
	r, err := record.Decode(e.Payload)
	if err != nil {
		return nil, err
	}
	if r.Exchange != nil {
		open[rid] = &exchange{at: e.At, intent: r.Exchange}
	}
	if x, ok := open[rid]; ok && r.Attempt != nil {
		x.attempts = append(x.attempts, *r.Attempt)
	}
	return r.Verdict, nil
}

// lostAtOnce is how many outcomes one append writes.
const lostAtOnce = 64

// finish appends the outcome "lost" for each exchange.
func (p *Projector) finish(left []*exchange) (int, error) {
	now := time.Now().UnixMicro()
	lost := 0
	for chunk := range slices.Chunk(left, lostAtOnce) {
		payloads := make([][]byte, len(chunk))
		for i, x := range chunk {
			outcome := ledger.Lost(x.intent, x.attempts, now)
			payloads[i] = outcome.Append(nil, record.KindOutcome)
		}
		if _, err := p.cfg.Journal.Append(payloads...); err != nil {
			return lost, fmt.Errorf("append outcomes of lost exchanges: %w", err)
		}
		lost += len(chunk)
	}
	if lost > 0 {
		p.cfg.Logger.Warn("exchanges had no outcome when the gateway ended: their usage is unknown", "lost", lost)
	}
	return lost, nil
}

// hasUnsigned reports whether the log has leaves that no checkpoint covers.
func (p *Projector) hasUnsigned(ctx context.Context) (unsigned bool, err error) {
	err = p.cfg.Store.View(ctx, func(tx *store.Tx) error {
		head, err := tx.Head(ctx)
		if err != nil {
			return err
		}
		last, err := tx.LastCheckpoint(ctx)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		unsigned = head.Size != last.Size
		return nil
	})
	return unsigned, err
}
