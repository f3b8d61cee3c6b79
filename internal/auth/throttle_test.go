package auth

import (
	"net/netip"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	th := newThrottle(3, 6, 100) // one failure every 10 s after the first 3
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	a, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range 3 {
		if _, over := th.fail(a, now); over {
			t.Fatalf("failure %d was over", i+1)
		}
	}
	retry, over := th.fail(a, now)
	if !over || retry != 10*time.Second {
		t.Fatalf("fourth failure: over %v, retry %s", over, retry)
	}
	for range 1000 { // insisting does not lengthen the wait
		th.fail(a, now)
	}
	if retry, over = th.fail(a, now); !over || retry != 10*time.Second {
		t.Errorf("after insisting: over %v, retry %s", over, retry)
	}
	if _, over := th.fail(other, now); over {
		t.Error("a neighbour was throttled")
	}
	if _, over := th.fail(a, now.Add(retry)); over {
		t.Error("over after the wait it was told")
	}
	for i := range 3 {
		if _, over := th.fail(a, now.Add(time.Hour)); over {
			t.Errorf("failure %d after an hour was over", i+1)
		}
	}
}

func TestThrottleNetworks(t *testing.T) {
	for _, tt := range []struct {
		x, y string
		same bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if same := network(netip.MustParseAddr(tt.x)) == network(netip.MustParseAddr(tt.y)); same != tt.same {
			t.Errorf("%s and %s: same %v", tt.x, tt.y, same)
		}
	}
	th := newThrottle(1, 1, 10)
	th.fail(netip.Addr{}, time.Now())
	if _, over := th.fail(netip.Addr{}, time.Now()); !over || th.size() != 1 {
		t.Error("unknown addresses do not share one source")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th := newThrottle(1, 1, 50)
	now := time.Now()
	first := netip.MustParseAddr("10.0.0.0")
	addr := first
	for range 1000 {
		th.fail(addr, now)
		addr = addr.Next()
		th.fail(first, now) // stays in use, and so remembered
	}
	if n := th.size(); n != 50 || len(th.sources) != n {
		t.Errorf("%d sources in order, %d by network", n, len(th.sources))
	}
	if _, over := th.fail(first, now); !over {
		t.Error("a source in use was forgotten")
	}
}
