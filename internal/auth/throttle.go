package auth

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// throttle limits how fast one source may fail to authenticate, by the generic
// cell rate algorithm (ITU-T I.371). Successes never pass through it, so a valid
// credential is never held up by what its neighbours do.
type throttle struct {
	interval time.Duration // one failure is forgiven per interval
	burst    time.Duration // how far ahead of that a source may be
	capacity int

	// mu guards the sources: at most capacity of them, the least recently failed
	// one goes first. Each element of order is a *source and is in sources.
	mu      sync.Mutex
	sources map[netip.Prefix]*list.Element
	order   *list.List
}

// source is one address or network and the time until which its failures are
// accounted for.
type source struct {
	prefix netip.Prefix
	until  time.Time
}

// newThrottle allows burst failures at once and perMinute after that.
func newThrottle(burst, perMinute, capacity int) *throttle {
	interval := time.Minute / time.Duration(perMinute)
	return &throttle{
		interval: interval, burst: interval * time.Duration(burst), capacity: capacity,
		sources: map[netip.Prefix]*list.Element{}, order: list.New(),
	}
}

// fail counts one failure. It reports whether the source is over its rate, and
// if so when its next failure would not be.
func (t *throttle) fail(addr netip.Addr, now time.Time) (retry time.Duration, over bool) {
	p := network(addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	el := t.sources[p]
	if el == nil {
		if t.order.Len() >= t.capacity {
			last := t.order.Back()
			delete(t.sources, t.order.Remove(last).(*source).prefix)
		}
		el = t.order.PushFront(&source{prefix: p, until: now})
		t.sources[p] = el
	}
	t.order.MoveToFront(el)
	s := el.Value.(*source)
	if s.until.Before(now) {
		s.until = now
	}
	next := s.until.Add(t.interval)
	if ahead := next.Sub(now); ahead > t.burst {
		return ahead - t.burst, true
	}
	s.until = next
	return 0, false
}

// size is the number of sources remembered.
func (t *throttle) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.order.Len()
}

// network is what failures are counted by: an IPv4 address, or the /64 of an
// IPv6 address, which is what one customer gets. Unknown addresses share one.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
