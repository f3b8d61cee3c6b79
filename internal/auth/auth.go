// Package auth knows who may use the gateway: virtual keys, administrators'
// credentials and the master secret that protects their rows.
//
// Authentication reads an immutable snapshot behind one atomic pointer; it never
// waits for the database. A change made here holds before the call returns. A
// change made by another replica is seen at the next poll of one row, a second
// apart. While the database does not answer, or its rows do not match their seal,
// the snapshot is believed for at most MaxStale and then everything is refused.
//
// # What a row proves
//
// A credential is stored as HMAC-SHA-256 of its SHA-256 under a sub-key of the
// master secret (look-up). Every row carries a MAC over all its other columns
// (binding), so that a row edited in the database (another project, a later
// expiry, a higher role, revocation taken back) is refused. A seal over all
// bindings shows rows that were deleted, or put back as they had been before a
// change. A process that runs remembers the newest state of every row and never
// falls behind it; a process that starts on rows that do not match their seal
// refuses every credential until an operator reseals them.
//
// The limits: whoever holds the master secret and the database can write what
// they like. Whoever holds the database alone can make credentials unusable, and
// can show an earlier state of all rows together: to a process that starts then,
// or to a replica that has not seen the change yet. The replica that made the
// change notices and logs it, and the audit log has the act with its epoch.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// Config is what an Auth is made of. Store, Master, Logger and Registerer are
// required; every other field has a default when it is zero.
type Config struct {
	Store      *store.DB
	Master     *Master
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	PollEvery  time.Duration // between looks at the epoch; default 1 s, at most MaxPoll
	SweepEvery time.Duration // between readings of every row; default 30 s, stretched when one takes long
	MaxStale   time.Duration // how long a snapshot is believed; default 15 min, at most that

	KeyLifetime    time.Duration // of a key that names none; default 90 days
	AdminLifetime  time.Duration // of an administrator's credential that names none; default 365 days
	MaxLifetime    time.Duration // no credential lives longer without a rotation; default 730 days
	FailureBurst   int           // failed authentications of a source before it is throttled; default 20
	FailuresMinute int           // failed authentications a minute of a source after that; default 20
	Sources        int           // sources remembered by the throttle; default 16384
}

// Bounds and defaults.
const (
	MaxPoll        = 2 * time.Second
	MaxStale       = 15 * time.Minute
	DefaultOverlap = 24 * time.Hour      // for which a rotated key's former secret stays valid
	MaxOverlap     = 30 * 24 * time.Hour // the longest overlap
	day            = 24 * time.Hour
)

func (c Config) withDefaults() (Config, error) {
	if c.Store == nil || c.Master == nil || c.Logger == nil || c.Registerer == nil {
		return c, errors.New("auth: store, master secret, logger and registerer are required")
	}
	setDefault(&c.PollEvery, time.Second)
	setDefault(&c.SweepEvery, 30*time.Second)
	setDefault(&c.MaxStale, MaxStale)
	setDefault(&c.KeyLifetime, 90*day)
	setDefault(&c.AdminLifetime, 365*day)
	setDefault(&c.MaxLifetime, 730*day)
	setDefault(&c.FailureBurst, 20)
	setDefault(&c.FailuresMinute, 20)
	setDefault(&c.Sources, 16384)
	switch {
	case c.PollEvery < 0 || c.PollEvery > MaxPoll:
		return c, fmt.Errorf("auth: polling every %s is not within %s", c.PollEvery, MaxPoll)
	case c.MaxStale < 0 || c.MaxStale > MaxStale:
		return c, fmt.Errorf("auth: a snapshot of %s is not within %s", c.MaxStale, MaxStale)
	case c.SweepEvery < 0, c.KeyLifetime < 0, c.AdminLifetime < 0, c.MaxLifetime < 0,
		c.FailureBurst < 0, c.FailuresMinute < 0, c.Sources < 0:
		return c, errors.New("auth: a setting is negative")
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Auth authenticates requests and manages credentials. It is safe for concurrent use.
type Auth struct {
	cfg      Config
	log      *slog.Logger
	store    *store.DB
	master   *Master
	metrics  *metrics
	throttle *throttle
	slots    *slots
	setup    setup

	snapshot atomic.Pointer[snapshot]
	checked  atomic.Pointer[time.Time] // when the last successful check began; nil before the first
	upgrades chan upgrade

	change sync.Mutex // serialises this process's changes; taken before mu

	// mu guards the book, of which snapshot is always a rendering, and what was
	// last logged about checks.
	mu      sync.Mutex
	book    *book
	failing bool
}

// New reads every credential and returns an Auth that serves them. A database
// whose rows belong to another master secret is ErrOtherSecret. Rows that do not
// match their seal are no error here: the Auth then refuses every credential
// until Reseal. Run keeps it up to date.
func New(ctx context.Context, cfg Config) (*Auth, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &Auth{
		cfg: cfg, log: cfg.Logger, store: cfg.Store, master: cfg.Master,
		throttle: newThrottle(cfg.FailureBurst, cfg.FailuresMinute, cfg.Sources),
		slots:    newSlots(),
		upgrades: make(chan upgrade, maxUpgrades),
	}
	a.metrics = newMetrics(cfg.Registerer, a)
	a.book = newBook(newRings(cfg.Master), store.CredentialState{})
	a.snapshot.Store(&snapshot{})
	if err := a.initState(ctx); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if err := a.check(ctx, true); err != nil && !errors.Is(err, ErrSeal) {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return a, nil
}

// Format implements fmt.Formatter: an Auth shows nothing of what it holds.
func (a *Auth) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[auth]")) }

// Request authenticates one request by its headers and the values of its query
// parameter key; source is the address that failures are throttled by. It reads
// memory only. The error is a *fault.Error with a Refusal as cause.
func (a *Auth) Request(h http.Header, keys []string, source netip.Addr) (identity.Principal, error) {
	c, err := Extract(h, keys)
	if err != nil {
		return identity.Principal{}, a.refuse(err, source)
	}
	return a.Authenticate(c, source)
}

// Authenticate is Request for a credential that was extracted before. The
// principal's Models are shared and must not be written.
func (a *Auth) Authenticate(c Credential, source netip.Addr) (identity.Principal, error) {
	token, now := c.Reveal(), time.Now()
	if err := ParseKey(token); err != nil {
		return identity.Principal{}, a.refuse(err, source)
	}
	if a.stale(now) {
		return identity.Principal{}, a.refuse(Stale, source)
	}
	s := a.snapshot.Load()
	ref, under, ok := s.find(token)
	if !ok {
		return identity.Principal{}, a.refuse(Unknown, source)
	}
	if r := ref.credential.state(ref.prior, now); r != "" {
		return identity.Principal{}, a.refuse(r, source)
	}
	a.metrics.accept(ref)
	if under.version < s.active.version {
		a.queueUpgrade(ref, s.active, token)
	}
	return ref.credential.principal, nil
}

// refuse counts a failed authentication, throttles its source, and returns what
// the client is told. Only failures come here: a valid credential is never
// refused for the failures of its neighbours. Staleness is the gateway's own
// fault and throttles nobody.
func (a *Auth) refuse(err error, source netip.Addr) *fault.Error {
	r, ok := errors.AsType[Refusal](err)
	if !ok {
		r = Malformed
	}
	a.metrics.refused[r].Inc()
	if r == Stale || r == Conflict {
		return r.fault()
	}
	retry, over := a.throttle.fail(source, time.Now())
	if !over {
		return r.fault()
	}
	a.metrics.throttled.Inc()
	e := fault.Wrap(fault.RateLimited, "too many failed authentications from this address", r)
	e.RetryAfter = min(max(retry, time.Second), fault.MaxRetryAfter)
	return e
}

// stale reports whether the snapshot is too old to be believed, by the monotonic
// clock or by the wall clock: the one stands still while a machine sleeps, the
// other can be set back.
func (a *Auth) stale(now time.Time) bool {
	age, ok := a.age(now)
	return !ok || age > a.cfg.MaxStale
}

// age is how long ago the last successful check began; false before the first.
func (a *Auth) age(now time.Time) (time.Duration, bool) {
	checked := a.checked.Load()
	if checked == nil {
		return 0, false
	}
	return max(now.Sub(*checked), now.Round(0).Sub(checked.Round(0))), true
}

// Acquire takes one of a key's concurrency slots: of its own number when it has
// one, else of usual, where 0 means no limit. When all are taken it reports
// false. The release may be called more than once and from any goroutine.
func (a *Auth) Acquire(id identity.KeyID, usual int) (release func(), ok bool) {
	release, ok = a.slots.acquire(id, int64(usual))
	if !ok {
		a.metrics.slots.Inc()
	}
	return release, ok
}

// RequireRole is nil when the principal may do what a role is needed for, and
// otherwise a fault: a virtual key administers nothing, whatever its name.
func RequireRole(p identity.Principal, need identity.Role) error {
	switch {
	case p.Kind == identity.Nobody:
		return None.fault()
	case p.Kind == identity.Key:
		return fault.New(fault.Forbidden, "a virtual key cannot administer the gateway; make an administrator with: sallyport admin new")
	case !p.Role.Covers(need):
		return fault.Newf(fault.Forbidden, "this needs the role %s", need)
	}
	return nil
}

// RequireInference is nil when the principal may send traffic to models, and
// otherwise a fault: an administrator's credential may not.
func RequireInference(p identity.Principal) error {
	switch {
	case p.Kind == identity.Nobody:
		return None.fault()
	case !p.MayInfer():
		return fault.New(fault.Forbidden, "an administrator's credential cannot send requests to models; make a key with: sallyport keys new")
	}
	return nil
}
