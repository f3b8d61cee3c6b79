// Package projector turns journal records into rows: per batch, in one
// transaction, ledger rows, leaves and hashes of the audit log, price cards,
// roll-ups and the journal's position. The data plane never waits for it: it may
// lag, and while the database is down it retries.
//
// Nothing is computed at random and every row is a pure function of its record,
// so what is projected again after a crash is the same to the byte.
package projector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/auditlog"
	"sallyport/internal/journal"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// Config is what a projector needs. Zero durations and counts have defaults.
type Config struct {
	Journal *journal.Journal
	Store   *store.DB
	Log     *auditlog.Log

	MaxBatch  int           // records per transaction; 2000 when 0
	Gather    time.Duration // how long to wait for company when little is waiting; 200 ms when 0
	SignEvery time.Duration // a leaf is under a checkpoint after at most about this; 1 s when 0

	// Claim makes sure, before each batch, that no other process projects the
	// journal; its error keeps the batch waiting. Nil needs no claim.
	Claim func(context.Context) error

	Logger     *slog.Logger          // discards when nil
	Registerer prometheus.Registerer // nil keeps the metrics private

	// OnBatch and OnCheckpoint are told what was committed, in order, from the
	// projector's goroutine; they must not block. Nil is fine.
	OnBatch      func(Batch)
	OnCheckpoint func(record.Head)
}

// Batch is what one transaction committed.
type Batch struct {
	Entries []store.Entry // exchanges
	Leaves  int           // leaves of all kinds
}

// Projector projects one journal into one database. Recover comes first, then
// Run, in one goroutine; the other methods are safe for concurrent use.
type Projector struct {
	cfg     Config
	metrics *metrics

	// Of the goroutine of Recover and Run.
	id        string                      // of the journal
	stored    journal.Position            // how far the database is
	read      journal.Position            // how far the journal was read: at least stored
	chain     store.Hash                  // running hash at read
	open      map[string]journal.Position // where each exchange without an outcome began; nil before Recover
	signed    time.Time                   // when the last checkpoint was signed or refused
	signPause time.Duration               // from then to the next one
	unsigned  bool                        // there are leaves that no checkpoint covers
	forgot    time.Time                   // when segments were last forgotten
	decoder   record.Decoder

	mu        sync.Mutex
	done      uint64             // records before it are projected
	covered   uint64             // records before it are projected and under a checkpoint
	refusal   error              // why the last checkpoint was not signed
	failure   error              // why the present step is tried again
	behind    time.Time          // since when records wait; zero when none does
	hurried   int                // callers that wait: do not gather, sign at once
	interrupt context.CancelFunc // ends the present wait; nil when there is none
	progress  chan struct{}      // closed and replaced when anything above moves
}

// New returns a projector. It does nothing before Recover.
func New(cfg Config) *Projector {
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = 2000
	}
	if cfg.Gather <= 0 {
		cfg.Gather = 200 * time.Millisecond
	}
	if cfg.SignEvery <= 0 {
		cfg.SignEvery = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Projector{cfg: cfg, progress: make(chan struct{}), signPause: cfg.SignEvery}
	p.metrics = newMetrics(cfg.Registerer, p)
	return p
}

// Run projects until ctx ends, and then returns nil. A batch under way is given
// up between two statements; nothing of it stays and the next start does it
// again. To stop without a remainder call Flush first.
//
// Whatever fails is tried again with growing pauses, for ever: a record that
// cannot be projected stops the projection, visibly, and is never skipped.
func (p *Projector) Run(ctx context.Context) error {
	if p.open == nil {
		return errors.New("projector: Run before Recover")
	}
	for ctx.Err() == nil {
		if err := p.step(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("projector: %w", err)
		}
	}
	return nil
}

// step does what is due, or waits for it.
func (p *Projector) step(ctx context.Context) error {
	if p.signDue() {
		return p.retry(ctx, "sign checkpoint", p.sign)
	}
	waiting, err := p.await(ctx)
	if err != nil || !waiting {
		return err
	}
	if p.cfg.Journal.Tail().Seq-p.read.Seq < uint64(p.cfg.MaxBatch) {
		_ = p.wait(ctx, p.cfg.Gather, func(ctx context.Context) error { <-ctx.Done(); return nil })
	}
	var b *batch
	err = p.retry(ctx, "read journal", func(context.Context) (err error) {
		b, err = p.build()
		return err
	})
	if err != nil || b.records == 0 {
		return err
	}
	if len(b.leaves) == 0 && b.to.Seq-p.stored.Seq < maxUnstored {
		// Nothing to write: the position alone can wait for the next batch. A crash
		// reads these records again, to no effect.
		p.advance(b)
		return nil
	}
	if err := p.retry(ctx, "project batch", func(ctx context.Context) error { return p.commit(ctx, b) }); err != nil {
		return err
	}
	p.stored = b.to
	if p.cfg.OnBatch != nil && len(b.leaves) > 0 {
		p.cfg.OnBatch(Batch{Entries: b.entries, Leaves: len(b.leaves)})
	}
	p.publish(b.head)
	p.advance(b)
	p.forget(b.low)
	return nil
}

// maxUnstored bounds how far the stored position may be behind the projected one.
const maxUnstored = 10_000

// await waits until there is a record to read (true), or until it is time to
// sign or somebody hurries (false).
func (p *Projector) await(ctx context.Context) (bool, error) {
	limit := time.Duration(0)
	if p.unsigned {
		limit = max(time.Until(p.signed.Add(p.signPause)), time.Nanosecond)
	}
	err := p.wait(ctx, limit, func(ctx context.Context) error { return p.cfg.Journal.Wait(ctx, p.read) })
	switch {
	case err == nil:
		p.mu.Lock()
		if p.behind.IsZero() {
			p.behind = time.Now()
		}
		p.mu.Unlock()
		return true, nil
	case ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return false, nil
	}
	return false, err
}

// wait runs f with a context that ends after limit, unless that is 0, or when
// somebody hurries and there is something to do.
func (p *Projector) wait(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	tail := p.cfg.Journal.Tail().Seq
	p.mu.Lock()
	if p.hurried > 0 && (p.unsigned && p.refusal == nil || p.read.Seq < tail) {
		cancel()
	}
	p.interrupt = cancel
	p.mu.Unlock()
	err := f(ctx)
	p.mu.Lock()
	p.interrupt = nil
	p.mu.Unlock()
	return err
}

// signDue reports whether a checkpoint should be signed now.
func (p *Projector) signDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unsigned && (time.Since(p.signed) >= p.signPause || p.hurried > 0 && p.refusal == nil)
}

// Pauses between attempts at what failed, and how long one attempt may take: a
// database that does not answer must not hold the projector, and with it the
// lock on the log's head, for ever.
const (
	firstPause   = 100 * time.Millisecond
	lastPause    = 10 * time.Second
	attemptLimit = 2 * time.Minute
)

// retry runs f until it succeeds or ctx ends.
func (p *Projector) retry(ctx context.Context, what string, f func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		attempt, cancel := context.WithTimeout(ctx, attemptLimit)
		err := f(attempt)
		cancel()
		if ctx.Err() == nil {
			p.failed(what, err)
		}
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		p.metrics.failures.Inc()
		p.cfg.Logger.ErrorContext(ctx, "projection failed, trying again", "step", what, "pause", pause, "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// failed remembers why a step does not succeed, or with nil that it did.
func (p *Projector) failed(what string, err error) {
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
}

// Trouble is why what is recorded does not reach the database, or is not signed
// there; nil when nothing stands in the way.
func (p *Projector) Trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return cmp.Or(p.failure, p.refusal)
}

// advance moves on past a batch and wakes who waits for it.
func (p *Projector) advance(b *batch) {
	p.read, p.chain = b.to, b.chain
	switch {
	case b.head != nil:
		p.unsigned = false
	case len(b.leaves) > 0:
		p.unsigned = true
	}
	p.metrics.records.Add(float64(b.records))
	p.metrics.leaves.Add(float64(len(b.leaves)))
	p.metrics.open.Set(float64(len(p.open)))
	p.moved(nil)
}

// moved publishes progress. refusal is why a checkpoint was not signed.
func (p *Projector) moved(refusal error) {
	tail := p.cfg.Journal.Tail().Seq
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = p.read.Seq
	if !p.unsigned {
		p.covered = p.done
		p.refusal = nil
	}
	if refusal != nil {
		p.refusal = refusal
	}
	if tail <= p.done {
		p.behind = time.Time{}
	} else {
		p.behind = time.Now()
	}
	close(p.progress)
	p.progress = make(chan struct{})
}

// Sync waits until everything that was appended before the call is projected.
func (p *Projector) Sync(ctx context.Context) error {
	target := p.cfg.Journal.Tail().Seq
	return p.until(ctx, func() (bool, error) { return p.done >= target, nil })
}

// Flush waits until everything that was appended before the call is projected
// and under a checkpoint. It fails when a checkpoint is refused.
func (p *Projector) Flush(ctx context.Context) error {
	target := p.cfg.Journal.Tail().Seq
	return p.until(ctx, func() (bool, error) {
		if p.done >= target && p.refusal != nil {
			return false, p.refusal
		}
		return p.covered >= target, nil
	})
}

// SignAgain forgets why the last checkpoint was refused, as what stood in its way
// is gone: the next Flush does not wait out the pause.
func (p *Projector) SignAgain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = nil
}

// until hurries the projector until reached, which is called under mu, says so.
func (p *Projector) until(ctx context.Context, reached func() (bool, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hurried++
	defer func() { p.hurried-- }()
	for {
		ok, err := reached()
		if ok || err != nil {
			return err
		}
		if p.interrupt != nil {
			p.interrupt()
		}
		progress := p.progress
		p.mu.Unlock()
		select {
		case <-progress:
		case <-ctx.Done():
			err = ctx.Err()
		}
		p.mu.Lock()
		if err != nil {
			return fmt.Errorf("wait for the projection: %w", err)
		}
	}
}
