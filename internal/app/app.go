// Package app wires configuration into running parts. New is one straight line:
// each part registers how it is stopped as soon as it exists, and a failed New
// and Stop drain the same stack, last in first out.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sallyport/internal/auditlog"
	"sallyport/internal/auth"
	"sallyport/internal/config"
	"sallyport/internal/console"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/journal"
	"sallyport/internal/keep"
	"sallyport/internal/ledger"
	"sallyport/internal/probe"
	"sallyport/internal/projector"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
	"sallyport/internal/wire/anthropic"
	"sallyport/internal/wire/bedrock"
	"sallyport/internal/wire/gemini"
	"sallyport/internal/wire/openai"
)

// Options say how one process runs. Env, Logger and Notice are required.
type Options struct {
	ConfigFile  string // empty: zero configuration
	Data        string // overrides the configuration when set, as the next two do
	Listen      string
	AdminListen string
	Version     string
	Env         func(string) (string, bool)
	Logger      *slog.Logger
	Notice      io.Writer // where a person is told what to do next
	Terminal    bool      // a person watches Notice: secrets may be shown once
	Ports       []Port    // where to look for local model servers without a configuration; nil for the usual ones

	// SegmentBytes is the size of a journal segment; 0 for the journal's default.
	SegmentBytes int64

	claimTime time.Duration // set by tests; claimTime when 0

	// SocketOnly serves nothing but the data folder's socket: for a verb that
	// finds no gateway running.
	SocketOnly bool
}

// override applies the command line to a configuration.
func (o Options) override(c *config.Config) {
	for _, f := range []struct {
		field *string
		value string
	}{{&c.Data, o.Data}, {&c.Listen, o.Listen}, {&c.Admin.Listen, o.AdminListen}} {
		if f.value != "" {
			*f.field = f.value
		}
	}
}

// Bounds of Stop. What is not finished then is cut off; what comes after the
// exchanges needs some of the time as well, to record how they ended.
const (
	stopTime   = 30 * time.Second
	drainTime  = 20 * time.Second // exchanges under way
	finishTime = 2 * time.Second  // a listener whose exchanges are done, or were cut
	flushTime  = 3 * time.Second  // what is recorded and not yet in the database
)

// App is one running process.
type App struct {
	opts   Options
	config *config.Config // as it was at the start: what a reload cannot change
	log    *slog.Logger

	folder    *Folder
	master    *auth.Master
	store     *store.DB
	auditLog  *auditlog.Log
	keep      *keep.Keep
	auth      *auth.Auth
	journal   *journal.Journal
	claim     *store.Claim // of the journal, in the database
	ledger    *ledger.Ledger
	projector *projector.Projector
	parts     atomic.Pointer[parts]
	gateway   *gateway.Gateway
	console   *console.Console
	watch     *probe.Watch // nil where nothing is watched
	purses    *purses      // of what the watch asks
	registry  *prometheus.Registry

	// DataAddr and AdminAddr are where the listeners are bound; nil with SocketOnly.
	DataAddr, AdminAddr net.Addr

	rulings   rulings
	reloading sync.Mutex
	drain     time.Duration // how long Stop waits for exchanges
	stops     []stop
	failed    chan error // the first failure of a part that must not fail
}

// stop ends one part.
type stop struct {
	name string
	do   func(context.Context) error
}

// atStop registers how a part is stopped.
func (a *App) atStop(name string, do func(context.Context) error) {
	a.stops = append(a.stops, stop{name, do})
}

// task runs f until the process stops; f must return when its context ends.
func (a *App) task(name string, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil && ctx.Err() == nil {
			a.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	a.atStop(name, func(stop context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-stop.Done():
			return fmt.Errorf("still running")
		}
	})
}

// every does something again and again until ctx ends; the first time after one period.
func every(ctx context.Context, period time.Duration, do func(at time.Time)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			do(at)
		}
	}
}

// fail reports a failure that ends the process.
func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// New builds everything and starts to serve. When it fails, what was started is
// stopped again.
func New(ctx context.Context, opts Options) (_ *App, err error) {
	a := &App{opts: opts, log: opts.Logger, registry: prometheus.NewRegistry(), failed: make(chan error, 1), drain: drainTime}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
		}
	}()
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.config, err = a.loadConfig(); err != nil {
		return a, err
	}
	if err := a.openData(ctx); err != nil {
		return a, err
	}
	notes, err := a.openJournal(ctx)
	if err != nil {
		return a, err
	}
	p, err := a.buildParts(ctx, nil)
	if err != nil {
		return a, err
	}
	a.parts.Store(p)
	a.ledger = ledger.New(p.book)
	instance := strings.ToLower(rand.Text()[:12])
	spool := a.folder.Path("spool")
	if err := gateway.PrepareSpool(spool); err != nil {
		return a, err
	}
	if err := a.openWatch(); err != nil {
		return a, err
	}
	cfg := gateway.Config{
		Auth: a.auth, Journal: a.journal, Ledger: a.ledger, Keep: a.keep,
		Dialects: map[upstream.Kind]wire.Dialect{upstream.OpenAI: openai.Dialect{}, upstream.Anthropic: anthropic.Dialect{}, upstream.Gemini: gemini.Dialect{}},
		Formats:  []wire.Format{openai.Chat(), openai.Responses(), openai.Compact(), anthropic.Format(), gemini.Format(), bedrock.Format()},
		Logger:   a.log, Registerer: a.registry, Instance: instance, Spool: spool, TrustProxy: a.config.BehindProxy, SkipHashes: a.skipHashes(),
	}
	if a.watch != nil {
		cfg.Paired, cfg.MayCompare, cfg.Audited, cfg.Recounted = a.paired, a.mayCompare, a.purses.spend, a.recounted
	}
	a.gateway = gateway.New(cfg, a.ruled(p.snapshot))
	a.console = a.newConsole()
	if a.skipHashes() {
		a.log.Error("bodies are not committed to: SALLYPORT_BENCH_NO_HASH is set, which is for benchmarks", "alert", true)
		notes = append(notes, "hashes.off")
	}
	if err := a.recordStart(notes); err != nil {
		return a, err
	}
	a.task("projector", a.projector.Run)
	a.atStop("projection", a.flush) // while the projector still runs
	a.task("credentials", func(ctx context.Context) error { a.auth.Run(ctx); return nil })
	a.task("model lists", a.refreshCatalogs)
	a.task("kept documents", a.keep.Run)
	a.task("token counter", a.gateway.CountTokens)
	a.task("comparison with references", a.gateway.Compare)
	a.task("verdicts", a.followVerdicts)
	a.task("questions of the watch", a.askQuestions)
	a.task("budgets of the watch", a.keepPurses)
	a.task("releases", a.release)
	a.task("silence of the watch", a.followSilence)
	return a, a.listen(ctx)
}

// loadConfig reads the configuration file, or makes the configuration without
// one, and checks it with what the command line changes.
func (a *App) loadConfig() (c *config.Config, err error) {
	if a.opts.ConfigFile == "" {
		c = config.FromEnvironment(a.opts.Env)
	} else if c, err = config.Load(a.opts.ConfigFile); err != nil {
		return nil, err
	}
	a.opts.override(c)
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// openData takes the data folder and opens what is kept: secret, database, audit
// log and credentials.
func (a *App) openData(ctx context.Context) (err error) {
	if err := a.openFolder(); err != nil {
		return err
	}
	if err := a.openMaster(); err != nil {
		return err
	}
	if err := a.openStore(ctx); err != nil {
		return err
	}
	if a.auditLog, err = a.openLog(ctx); err != nil {
		return err
	}
	a.atStop("audit log", func(context.Context) error { return a.auditLog.Close() })
	a.keep = keep.New(keep.Config{
		Store: a.store, Newest: a.master.Newest, Subkey: a.documentKey, Lifetime: time.Duration(a.config.Retention.Documents), Logger: a.log,
	})
	a.auth, err = auth.New(ctx, auth.Config{Store: a.store, Master: a.master, Logger: a.log, Registerer: a.registry})
	return err
}

func (a *App) openFolder() (err error) {
	if a.folder, err = OpenFolder(a.config.Data); err != nil {
		return err
	}
	a.atStop("data folder", func(context.Context) error { return a.folder.Close() })
	return nil
}

// openMaster reads the master secret, and makes one where none is configured.
func (a *App) openMaster() (err error) {
	if a.config.Secret.IsZero() {
		a.master, _, err = auth.LoadMaster(a.config.Data)
	} else {
		a.master, err = auth.ParseMaster(a.config.Secret.Secret())
	}
	return err
}

func (a *App) openStore(ctx context.Context) (err error) {
	db := store.Config{Logger: a.log, URL: a.config.Database.URL.Secret()}
	if db.URL.Empty() {
		db.SQLitePath = a.folder.Path(databaseFile)
	}
	if a.store, err = store.Open(ctx, db); err != nil {
		return err
	}
	a.atStop("database", func(context.Context) error { return a.store.Close() })
	return nil
}

// databaseFile is the SQLite database in the data folder.
const databaseFile = "sallyport.db"

// openJournal opens the journal and settles what a dead process left open. It
// returns what the start record has to tell.
func (a *App) openJournal(ctx context.Context) (notes []string, err error) {
	durability := journal.Grouped
	if a.config.Durability == config.Strict {
		durability = journal.Strict
	}
	a.journal, err = journal.Open(journal.Config{
		Dir: a.folder.Path("journal"), SegmentBytes: a.opts.SegmentBytes, Durability: durability, Keep: time.Duration(a.config.Retention.Journal),
		Logger: a.log, Registerer: a.registry,
	})
	if err != nil {
		return nil, err
	}
	a.atStop("journal", func(context.Context) error { return a.journal.Close() })
	id := a.journal.ID()
	a.atStop("claim of the journal", func(context.Context) error { a.claim.Release(); return nil })
	claimed, err := a.takeClaim(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case a.folder.Moved && !claimed:
		a.log.Error("the data folder is a copy and its original lives: the copy's journal is set aside", "alert", true, "folder", a.config.Data)
		notes, err = append(notes, "folder.copied"), a.journal.Restart()
	case a.folder.Moved:
		a.log.Error("the data folder was copied or moved: the journal goes on under a new id", "alert", true, "folder", a.config.Data)
		notes, err = append(notes, "folder.moved"), a.leaveJournal(ctx)
	case !claimed:
		a.log.Error(claimLost, "alert", true, "folder", a.config.Data)
	}
	if err != nil {
		return nil, err
	}
	if err := a.folder.Settle(); err != nil {
		return nil, err
	}
	a.projector = projector.New(projector.Config{
		Journal: a.journal, Store: a.store, Log: a.auditLog, Logger: a.log, Registerer: a.registry,
		Claim: func(ctx context.Context) error { return a.claim.Hold(ctx) },
	})
	recovery, err := a.projector.Recover(ctx) // which tells of lost exchanges
	if err != nil {
		return nil, err
	}
	if err := a.openVerdicts(ctx, recovery.Verdicts); err != nil {
		return nil, err
	}
	if a.journal.ID() != id { // a new journal; whoever has the former one may go on with it
		a.claim.Release()
		if _, err := a.takeClaim(ctx); err != nil {
			return nil, err
		}
	}
	a.task("watch of the claim", a.watchClaim)
	return append(notes, recovery.Notes...), nil
}

// leaveJournal takes what is in the journal into the database and begins a new
// one: two folders must not go on under one journal id.
func (a *App) leaveJournal(ctx context.Context) error {
	p := projector.New(projector.Config{Journal: a.journal, Store: a.store, Log: a.auditLog, Claim: a.claim.Hold, Logger: a.log})
	if _, err := p.Recover(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	err := p.Flush(ctx)
	cancel()
	if err = errors.Join(err, <-done); err != nil {
		return fmt.Errorf("project the journal of a moved folder: %w", err)
	}
	return a.journal.Restart()
}

// buildParts builds the data plane's parts from the configuration as it is now.
func (a *App) buildParts(ctx context.Context, former *parts) (*parts, error) {
	p, err := a.partsOf(ctx, former)
	if err == nil {
		p.snapshot.Watches = watches(a.config) // as opened at the start
	}
	return p, err
}

func (a *App) partsOf(ctx context.Context, former *parts) (*parts, error) {
	if a.opts.ConfigFile == "" {
		cfg, found, err := a.zeroConfig(ctx)
		if err != nil {
			return nil, err
		}
		return build(ctx, cfg, found, former)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	return build(ctx, cfg, nil, former)
}

// skipHashes is set by benchmarks to measure what the commitments cost.
func (a *App) skipHashes() bool {
	v, _ := a.opts.Env("SALLYPORT_BENCH_NO_HASH")
	return v == "1"
}

func (a *App) newConsole() *console.Console {
	hosts := append(certifiedNames(a.config.Admin.TLS), a.config.Admin.Hosts...)
	if host, _, err := net.SplitHostPort(a.config.Admin.Listen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	return console.New(console.Config{
		Auth: a.auth, Store: a.store, Logger: a.log, Gatherer: a.registry, Version: a.opts.Version, VerifierKey: a.auditLog.VerifierKey,
		Hosts: hosts, MetricsToken: a.config.Metrics.Token.Secret(), Proxied: len(a.config.Admin.BehindProxy) > 0, ReadyError: a.gateway.Ready,
		Journal: a.act, Moved: a.moveSeals, Sync: a.projector.Sync, Verify: a.verify, Prove: a.prove, Reopen: a.reopen, Models: a.models,
		Upstreams: a.upstreams, Test: a.test, Confirm: a.confirm, Explain: a.explain,
		Reload: a.reload, Doctor: a.doctor, Overrule: a.overrule, Begin: a.beginAudit, Register: a.registerAudit, Watching: a.watching,
	})
}

// recordStart is the first record of this process.
func (a *App) recordStart(notes []string) error {
	r := record.Start{
		TS: time.Now().UnixMicro(), ID: gateway.NewRecordID(), Journal: a.journal.ID(), Version: a.opts.Version,
		Config: a.parts.Load().snapshot.Hash, Notes: notes, Salt: gateway.NewSalt(),
	}
	if _, err := a.journal.Append(r.Append(nil)); err != nil {
		return fmt.Errorf("record the start: %w", err)
	}
	return nil
}

// listen opens the listeners and, last, the folder's socket: who finds it finds
// everything. A process that only serves the socket opens nothing else. The
// exchanges under way are waited for when all that stops.
func (a *App) listen(ctx context.Context) error {
	a.atStop("cut exchanges", a.gateway.Stop) // after the listeners: their outcomes are recorded yet
	// Before any listener, so that /readyz tells that it drains.
	defer a.atStop("exchanges", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, a.drain)
		defer cancel()
		return a.gateway.Stop(ctx)
	})
	if a.opts.SocketOnly {
		return a.listenSocket()
	}
	var err error
	c := a.config
	if a.AdminAddr, err = a.serve("admin", c.Admin.Listen, c.Admin.TLS, c.Admin.BehindProxy, a.console.Handler()); err != nil {
		return err
	}
	if a.DataAddr, err = a.serve("data plane", c.Listen, c.TLS, c.BehindProxy, a.patient(a.gateway)); err != nil {
		return err
	}
	if a.opts.ConfigFile != "" {
		a.task("configuration watch", a.watchConfig)
	}
	if err := a.welcome(ctx); err != nil {
		return err
	}
	return a.listenSocket()
}

// listenSocket serves both planes on the folder's socket, whose peers act as the
// folder's owner.
func (a *App) listenSocket() error {
	socket, err := a.folder.listenSocket()
	if err != nil {
		return err
	}
	owner := identity.Principal{Kind: identity.Local, Name: "local", Project: "local", Role: identity.RoleAdmin}
	admin, data := a.console.Trusted(owner), a.patient(a.gateway.Trusted(owner))
	a.serveOn("socket", socket, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/readyz" || r.URL.Path == "/healthz" {
			admin.ServeHTTP(w, r)
			return
		}
		data.ServeHTTP(w, r)
	}))
	return nil
}

// flush brings what is recorded into the database. When the database does not
// take it, the journal keeps it for the next start: that is no failure.
func (a *App) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	if err := a.projector.Flush(ctx); err != nil {
		a.log.Warn("the database is behind: the next start goes on from the journal", "error", err)
	}
	return nil
}

// Run waits until ctx ends or a part fails.
func (a *App) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// Stop ends every part in the reverse order of their start, under one deadline.
func (a *App) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	var errs []error
	for _, s := range slices.Backward(a.stops) {
		if err := s.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	a.stops = nil
	return errors.Join(errs...)
}
