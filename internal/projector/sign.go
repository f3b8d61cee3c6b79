package projector

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/auditlog"
	"sallyport/internal/journal"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// lastSignPause bounds the pause after refused checkpoints.
const lastSignPause = time.Minute

// signWith signs a checkpoint in the transaction of a batch when it is time to.
// A refusal does not undo the batch: the leaves are evidence even if the log is
// not what it was.
func (p *Projector) signWith(ctx context.Context, tx *store.Tx, b *batch, now time.Time) error {
	if len(b.leaves) == 0 || now.Sub(p.signed) < p.signPause {
		return nil
	}
	head, err := p.cfg.Log.Checkpoint(ctx, tx, now.UnixMicro())
	if errors.Is(err, auditlog.ErrInconsistent) {
		return nil // sign, which comes next, reports it
	}
	b.head = head
	return err
}

// sign signs a checkpoint in a transaction of its own.
func (p *Projector) sign(ctx context.Context) error {
	now := time.Now()
	var head *record.Head
	err := p.cfg.Store.Batch(ctx, func(tx *store.Tx) (err error) {
		head, err = p.cfg.Log.Checkpoint(ctx, tx, now.UnixMicro())
		return err
	})
	switch {
	case errors.Is(err, auditlog.ErrInconsistent):
		p.signed, p.signPause = now, min(2*p.signPause, lastSignPause)
		p.metrics.refusals.Inc()
		if errors.Is(err, auditlog.ErrRolledBack) {
			p.cfg.Logger.ErrorContext(ctx, "checkpoint refused: the database does not hold what was signed; the journals may bring it back, else: sallyport log verify, sallyport log reopen", "alert", true, "error", err)
		} else {
			p.cfg.Logger.ErrorContext(ctx, "checkpoint refused: the audit log is not what was signed before", "alert", true, "error", err)
		}
		p.moved(err)
		return nil
	case err != nil:
		return err
	}
	p.unsigned = false
	p.publish(head)
	p.signed, p.signPause = now, p.cfg.SignEvery
	p.moved(nil)
	return nil
}

// publish remembers a committed checkpoint outside the database: in the heads
// file and in the journal. A failure is reported and not repeated: the next
// checkpoint covers this one.
func (p *Projector) publish(head *record.Head) {
	if head == nil {
		return
	}
	p.signed, p.signPause = time.Now(), p.cfg.SignEvery
	p.metrics.checkpoints.Inc()
	if err := p.cfg.Log.Publish(head); err != nil {
		p.metrics.failures.Inc()
		p.cfg.Logger.Error("checkpoint not remembered outside the database", "size", head.Size, "error", err)
	}
	if _, err := p.cfg.Journal.Append(head.Append(nil)); err != nil {
		p.metrics.failures.Inc()
		p.cfg.Logger.Error("checkpoint not copied into the journal", "size", head.Size, "error", err)
	}
	if p.cfg.OnCheckpoint != nil {
		p.cfg.OnCheckpoint(*head)
	}
}

// forgetEvery is how often the journal is told what it need not keep.
const forgetEvery = time.Minute

// forget lets the journal remove segments that no recovery will read.
func (p *Projector) forget(low journal.Position) {
	if time.Since(p.forgot) < forgetEvery {
		return
	}
	p.forgot = time.Now()
	if err := p.cfg.Journal.Forget(low); err != nil {
		p.metrics.failures.Inc()
		p.cfg.Logger.Error("journal segments not removed", "error", err)
	}
}
