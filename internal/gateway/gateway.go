// Package gateway is the data plane: HTTP in, one exchange, HTTP out. The way of
// one request is the method run in exchange.go; everything else serves it.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/auth"
	"sallyport/internal/identity"
	"sallyport/internal/journal"
	"sallyport/internal/keep"
	"sallyport/internal/ledger"
	"sallyport/internal/record"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// Config is what a Gateway is made of. Every field is required unless it says otherwise.
type Config struct {
	Auth       *auth.Auth
	Journal    *journal.Journal
	Ledger     *ledger.Ledger
	Keep       *keep.Keep
	Dialects   map[upstream.Kind]wire.Dialect
	Formats    []wire.Format // between which requests are translated
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Instance   string         // random per process; marks requests that passed here
	Spool      string         // folder for request bodies too large for memory: PrepareSpool
	SpoolBytes int64          // that all of them may take at once; 0 means 4 GiB
	TrustProxy []netip.Prefix // peers whose X-Forwarded-For is believed; optional

	// Paired takes every pair of a watch, MayCompare says whether another one may be
	// paid for. Both are called from several goroutines; Paired is nil where nothing is
	// watched.
	Paired     func(*Pair)
	MayCompare func(Target) bool

	// Audited takes the record of every exchange that began inside, when it is over, and
	// Recounted that of every answer that was counted; nil for nobody. The records must not
	// be kept.
	Audited   func(*record.Exchange)
	Recounted func(*record.Count)

	// SkipHashes leaves the body commitments out of the records; only benchmarks
	// set it, to show what they cost.
	SkipHashes bool
}

// Gateway serves the data plane. It is safe for concurrent use.
type Gateway struct {
	Config
	snapshot  atomic.Pointer[Snapshot]
	metrics   *metrics
	strangers strangers
	sockets   sockets
	spooled   spoolRoom
	samples   samples
	pairs     pairs
	mux       http.Handler

	mu       sync.Mutex
	draining bool          // no new exchange begins once set
	running  int           // exchanges under way
	idle     chan struct{} // closed when draining and running is 0
}

// ErrDraining is returned by Stop when exchanges were still running at the deadline.
var ErrDraining = errors.New("exchanges were still running when the gateway stopped")

// New returns a gateway that serves the snapshot.
func New(cfg Config, s *Snapshot) *Gateway {
	g := &Gateway{Config: cfg, idle: make(chan struct{})}
	g.samples.queue = make(chan *counting, maxWaiting)
	g.pairs.queue = make(chan *pairing, maxPairs)
	g.metrics = newMetrics(cfg.Registerer, func() float64 { return float64(len(g.samples.queue)) })
	g.samples.metrics = g.metrics.counts
	g.strangers.report = g.reportStrangers
	g.spooled.max = cmp.Or(cfg.SpoolBytes, 4<<30)
	g.sockets.quit = make(chan struct{})
	g.snapshot.Store(s)
	g.mux = g.routes(nil)
	return g
}

// Swap replaces the configuration; exchanges under way finish on the old one.
func (g *Gateway) Swap(s *Snapshot) { g.snapshot.Store(s) }

// Snapshot is the configuration in force.
func (g *Gateway) Snapshot() *Snapshot { return g.snapshot.Load() }

// Draining reports whether new exchanges are refused.
func (g *Gateway) Draining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.draining
}

// Ready says why requests would be refused now, or nothing.
func (g *Gateway) Ready() error {
	if g.Draining() {
		return errors.New("the gateway is shutting down")
	}
	return g.Journal.Healthy()
}

// Stop refuses new exchanges and waits for the running ones, at most until ctx ends.
func (g *Gateway) Stop(ctx context.Context) error {
	g.mu.Lock()
	if !g.draining {
		g.draining = true
		close(g.sockets.quit)
		if g.running == 0 {
			close(g.idle)
		}
	}
	g.mu.Unlock()
	defer g.strangers.stop()
	select {
	case <-g.idle:
		return nil
	case <-ctx.Done():
		return ErrDraining
	}
}

// enter counts an exchange in; false means the gateway is draining.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining {
		return false
	}
	g.running++
	return true
}

func (g *Gateway) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	if g.draining && g.running == 0 {
		close(g.idle)
	}
}

// Trusted is the data plane for a listener whose peers are known by other means
// than a key (the owner's socket): every request acts as the principal.
func (g *Gateway) Trusted(p identity.Principal) http.Handler { return g.routes(&p) }

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// source is the address that failures are throttled by: the peer, or what a
// trusted proxy says about it.
func (g *Gateway) source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if !g.trusted(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return addr
		}
		if addr = a.Unmap(); !g.trusted(addr) {
			return addr
		}
	}
	return addr
}

func (g *Gateway) trusted(a netip.Addr) bool {
	for _, p := range g.TrustProxy {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// now is the time in microseconds since the Unix epoch.
func now() int64 { return time.Now().UnixMicro() }
