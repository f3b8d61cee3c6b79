package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/ledger"
	"sallyport/internal/price"
	"sallyport/internal/record"
)

// purses hold what the watches may spend in a month, by upstream: all that they ask is
// paid by the key of its audit. It is safe for concurrent use.
type purses struct {
	mu   sync.Mutex
	of   map[identity.KeyID]*purse // guarded by mu
	read bool                      // what was spent before this process is known; guarded by mu
}

// purse is the money of one upstream's watches.
type purse struct {
	budget   price.Nano
	month    time.Time  // its first moment
	stored   price.Nano // spent, as the database had it last
	since    price.Nano // spent by this process since then
	reading  price.Nano // and since the database was asked again
	unpriced bool       // something was asked that has no price
	dearest  price.Nano // exchange so far
}

// underWay is how many exchanges of a watch may be under way when the next one begins.
const underWay = 8

// newPurses fills purses where budgets are named.
func newPurses(watches []config.Watch) *purses {
	p := &purses{of: map[identity.KeyID]*purse{}}
	for i := range watches {
		w := &watches[i]
		if w.Budget == 0 {
			continue
		}
		key := payer(w)
		if p.of[key] == nil {
			p.of[key] = &purse{}
		}
		p.of[key].budget += price.Nano(w.Budget)
	}
	return p
}

// payer is the key that a watch's questions are charged to.
func payer(w *config.Watch) identity.KeyID {
	return gateway.Auditor(gateway.Target{Upstream: identity.Upstream(w.Upstream), Model: w.Model}).Key
}

// monthOf is the first moment of a time's month, UTC.
func monthOf(at time.Time) time.Time {
	at = at.UTC()
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// turn empties the books of a month that is over.
func (p *purse) turn(at time.Time) {
	if m := monthOf(at); !m.Equal(p.month) {
		p.month, p.stored, p.since, p.reading, p.unpriced = m, 0, 0, 0, false
	}
}

// why says why a key may spend nothing more this month; empty when it may.
func (p *purses) why(key identity.KeyID, at time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of[key]
	if one == nil {
		return ""
	}
	one.turn(at)
	switch {
	case !p.read:
		return "what was spent this month is not read yet"
	case one.unpriced:
		return "something that it asks has no price, so its budget cannot be kept"
	case one.stored+one.since+underWay*one.dearest >= one.budget:
		return fmt.Sprintf("%s of %s USD are spent this month", config.Money(one.stored+one.since), config.Money(one.budget))
	}
	return ""
}

// spend books an exchange.
func (p *purses) spend(x *record.Exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of[identity.KeyID(x.Key)]
	if one == nil || x.Money == ledger.MoneyNone {
		return
	}
	one.turn(time.UnixMicro(x.TS))
	n, priced := ledger.Charged(x)
	one.since, one.reading = one.since+n, one.reading+n
	one.dearest, one.unpriced = max(one.dearest, n), one.unpriced || !priced
}

// pursesEvery is how soon what other replicas spend is known.
const pursesEvery = time.Minute

// keepPurses reads again and again what the month's watches cost, on all replicas.
func (a *App) keepPurses(ctx context.Context) error {
	if len(a.purses.of) == 0 {
		return nil
	}
	tick := time.NewTicker(pursesEvery)
	defer tick.Stop()
	for {
		if err := a.readPurses(ctx, time.Now()); err != nil && ctx.Err() == nil {
			a.log.Warn("what the watch spent is not read", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// readPurses takes over what the database has. What this process spends meanwhile is
// counted besides, even when the database has it already.
func (a *App) readPurses(ctx context.Context, at time.Time) error {
	p := a.purses
	p.mu.Lock()
	for _, one := range p.of {
		one.turn(at)
		one.reading = 0
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, pursesEvery)
	defer cancel()
	if err := a.projector.Sync(ctx); err != nil {
		return err
	}
	month := monthOf(at)
	for key, one := range p.of {
		sum, unpriced, err := a.store.Charged(ctx, string(key), month.UnixMicro(), month.AddDate(0, 1, 0).UnixMicro())
		if err != nil {
			return err
		}
		p.mu.Lock()
		if one.month.Equal(month) {
			one.stored, one.since, one.unpriced = sum, one.reading, one.unpriced || unpriced > 0
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	p.read = true
	p.mu.Unlock()
	return nil
}
