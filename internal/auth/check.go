package auth

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"sallyport/internal/identity"
	"sallyport/internal/store"
)

var (
	// ErrSeal means that rows of credentials were deleted, added or put back by
	// someone other than the program. Reseal accepts them as they are.
	ErrSeal = errors.New("the rows of credentials do not match their seal: they were deleted, added or put back by hand; " +
		"look at them, then run: sallyport secret reseal")
	// ErrOtherSecret means that the database belongs to a master secret that this
	// process does not hold.
	ErrOtherSecret = errors.New("the database belongs to another master secret")

	// errRaced means that what was read is older than what is known.
	errRaced = errors.New("the credentials changed while they were read")
)

// How long one look at the database may take.
const (
	pollTimeout  = 10 * time.Second
	sweepTimeout = time.Minute
	sweepShare   = 50 // a sweep rests this many times as long as it took
)

// Run keeps the credentials up to date until ctx ends: it polls, sweeps, and
// moves look-ups to a new master secret. It returns when everything it started
// has ended.
func (a *Auth) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		a.repeat(ctx, a.cfg.PollEvery, func() time.Duration {
			bounded, cancel := context.WithTimeout(ctx, pollTimeout)
			defer cancel()
			_ = a.check(bounded, false) // reported there
			return a.cfg.PollEvery
		})
	})
	wg.Go(func() {
		a.repeat(ctx, a.cfg.SweepEvery, func() time.Duration {
			began := time.Now()
			bounded, cancel := context.WithTimeout(ctx, sweepTimeout)
			defer cancel()
			_ = a.check(bounded, true) // reported there
			return max(a.cfg.SweepEvery, sweepShare*time.Since(began))
		})
	})
	wg.Go(func() { a.upgrade(ctx) })
	wg.Wait()
}

// repeat calls f until ctx ends, each time after the wait that f asked for.
func (a *Auth) repeat(ctx context.Context, wait time.Duration, f func() time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = f()
	}
}

// check brings the book up to date and remembers when that last succeeded.
func (a *Auth) check(ctx context.Context, full bool) error {
	began := time.Now()
	err := a.read(ctx, full)
	if errors.Is(err, errRaced) || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // somebody else's check counts, or nobody's
	}
	a.report(ctx, err)
	if err != nil {
		a.metrics.failures.Inc()
		return err
	}
	for {
		last := a.checked.Load()
		if last != nil && !began.After(*last) || a.checked.CompareAndSwap(last, &began) {
			return nil
		}
	}
}

// report logs when checks begin to fail and when they succeed again.
func (a *Auth) report(ctx context.Context, err error) {
	a.mu.Lock()
	was := a.failing
	a.failing = err != nil
	a.mu.Unlock()
	switch {
	case err != nil && !was:
		a.log.ErrorContext(ctx, "credentials cannot be checked", "error", err, "served_for", a.cfg.MaxStale)
	case err == nil && was:
		a.log.InfoContext(ctx, "credentials are checked again")
	}
}

// read reads what changed, or everything.
func (a *Auth) read(ctx context.Context, full bool) error {
	known, last, intact, _ := a.known()
	return a.store.View(ctx, func(tx *store.Tx) error {
		state, err := tx.CredentialState(ctx)
		if err != nil {
			return err
		}
		_, _, _, rs := a.known() // after the state was read: a rotation holds its new version before it commits
		r, err := rs.of(state)
		if err != nil {
			return err
		}
		if !full && state == last {
			if !intact {
				return ErrSeal
			}
			return nil
		}
		if !full && intact && state.Epoch > known.Epoch && state.SecretVersion == known.SecretVersion {
			rows, err := load(r, tx.KeysSince(ctx, known.Epoch), tx.AdminsSince(ctx, known.Epoch))
			if err != nil {
				return err
			}
			if a.follow(state, r, rows) {
				return nil
			}
		}
		rows, err := load(r, tx.Keys(ctx), tx.Admins(ctx))
		if err != nil {
			return err
		}
		return a.replace(ctx, known, state, rows)
	})
}

// known is the newest state that matched, the last one read, whether that one
// did, and the keys in use.
func (a *Auth) known() (newest, last store.CredentialState, intact bool, rs rings) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.book.state, a.book.read, a.book.intact, a.book.rings
}

// of is the ring that a state is under.
func (rs rings) of(s store.CredentialState) (*ring, error) {
	r := rs[s.SecretVersion]
	if r == nil {
		return nil, fmt.Errorf("%w: it is keyed with version %d, which is not held", ErrOtherSecret, s.SecretVersion)
	}
	if !parseMAC(s.SecretCheck).equal(r.check) {
		return nil, fmt.Errorf("%w: version %d here has another value", ErrOtherSecret, s.SecretVersion)
	}
	return r, nil
}

// load decodes and judges rows.
func load(r *ring, keys iter.Seq2[store.Key, error], admins iter.Seq2[store.Admin, error]) ([]*credential, error) {
	var rows []*credential
	for k, err := range keys {
		if err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		rows = append(rows, fromKey(k))
	}
	for m, err := range admins {
		if err != nil {
			return nil, fmt.Errorf("read administrators: %w", err)
		}
		rows = append(rows, fromAdmin(m))
	}
	for _, c := range rows {
		c.judge(r)
	}
	return rows, nil
}

// follow takes in the rows that changed since the book's state. It changes
// nothing and reports false when they do not add up to the new state's seal.
func (a *Auth) follow(state store.CredentialState, r *ring, rows []*credential) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.book
	if b.state.Epoch >= state.Epoch {
		return b.intact // this process's own change was faster
	}
	sum, news := b.sum, rows[:0]
	for _, c := range rows {
		old := b.rows[c.row()]
		switch {
		case c.damage != "":
			return false
		case old == nil:
			sum = sum.plus(c.element)
		case old.epoch >= c.epoch:
			continue
		default:
			sum = sum.minus(old.element).plus(c.element)
		}
		news = append(news, c)
	}
	if !b.intact || sum != r.opened(state) {
		return false
	}
	a.publish(state, news)
	return true
}

// publish puts changed rows into the book, which is then at a state. The caller
// holds mu.
func (a *Auth) publish(state store.CredentialState, changed []*credential) {
	for _, c := range changed {
		a.book.put(c)
		if c.principal.Kind == identity.Key {
			a.slots.limit(c.principal.Key, c.slots)
		}
	}
	a.book.state, a.book.read = state, state
	a.snapshot.Store(a.book.snapshot())
}

// replace builds the book anew from all rows. known is the state that was known
// before they were read.
func (a *Auth) replace(ctx context.Context, known, state store.CredentialState, rows []*credential) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.book.state.Epoch > state.Epoch && a.book.state != known {
		return errRaced
	}
	next := a.book.reconcile(a.book.rings, state, rows)
	a.logDamage(ctx, a.book, next)
	for c := range next.of(identity.Key) {
		a.slots.limit(c.principal.Key, c.slots)
	}
	a.book = next
	a.snapshot.Store(next.snapshot())
	if !next.intact {
		return ErrSeal
	}
	return nil
}

// maxLogged bounds the rows that one sweep logs one by one.
const maxLogged = 20

// logDamage tells of rows that are not believed any more, once each.
func (a *Auth) logDamage(ctx context.Context, old, next *book) {
	found := 0
	for id, c := range next.rows {
		if was := old.rows[id]; c.damage == "" || was != nil && was.damage == c.damage {
			continue
		}
		if found++; found <= maxLogged {
			a.log.ErrorContext(ctx, "credential row was changed outside the program and is refused",
				"kind", id.kind, "id", shown(id.id), "damage", c.damage)
		}
	}
	if found > maxLogged {
		a.log.ErrorContext(ctx, "more credential rows were changed outside the program and are refused", "count", found-maxLogged)
	}
}

// initState writes the first state of an empty database.
func (a *Auth) initState(ctx context.Context) error {
	err := a.store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.CredentialState(ctx)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	r := a.book.rings[a.master.Newest()]
	return a.store.Batch(ctx, func(tx *store.Tx) error {
		return tx.InitCredentialState(ctx, r.sealed(1, total{}))
	})
}

// Status is what is known about the credentials as a whole.
type Status struct {
	Epoch         int64 // of the newest change
	SecretVersion int64 // that rows are bound under
	OldLookups    int   // look-ups still under older versions; each moves when its credential is used
	Keys          int
	Admins        int
	Intact        bool          // the rows match their seal
	Age           time.Duration // since the last successful check began
	Fresh         bool          // credentials are being served
	Damaged       []Damaged
}

// Damaged is one row that is not believed.
type Damaged struct {
	Kind   identity.Kind
	ID     string
	Damage Damage
}

// Status returns the present status.
func (a *Auth) Status() Status {
	now := time.Now()
	age, _ := a.age(now)
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{
		Epoch: a.book.state.Epoch, SecretVersion: a.book.state.SecretVersion,
		Intact: a.book.intact, Age: age, Fresh: !a.stale(now),
	}
	for v, n := range a.book.under {
		if v != s.SecretVersion {
			s.OldLookups += n
		}
	}
	for id, c := range a.book.rows {
		switch id.kind {
		case identity.Key:
			s.Keys++
		case identity.Admin:
			s.Admins++
		}
		if c.damage != "" {
			s.Damaged = append(s.Damaged, Damaged{id.kind, id.id, c.damage})
		}
	}
	return s
}
