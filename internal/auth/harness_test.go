package auth

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// database is one real, empty database and a way around the program into it.
type database struct {
	store *store.DB
	raw   *sql.DB
}

// onEachEngine runs a test on SQLite and on PostgreSQL.
func onEachEngine(t *testing.T, test func(*testing.T, database)) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { test(t, openDatabase(t, engine)) })
	}
}

func onSQLite(t testing.TB) database { return openDatabase(t, storetest.SQLite) }

func openDatabase(t testing.TB, engine string) database {
	t.Helper()
	cfg := storetest.Config(t, engine)
	return database{storetest.OpenConfig(t, cfg), storetest.SQL(t, cfg)}
}

// exec changes the database behind the program's back.
func (d database) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := d.raw.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// logs collects what is logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// acts collects what is recorded.
type acts struct {
	mu   sync.Mutex
	list []Act
}

func (a *acts) record(act Act) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, act)
	return nil
}

func (a *acts) names() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for _, act := range a.list {
		names = append(names, act.Act)
	}
	return strings.Join(names, " ")
}

// rig is one Auth under test with what it told the world.
type rig struct {
	*Auth
	logs *logs
	acts *acts
}

func testMaster(t testing.TB) *Master {
	t.Helper()
	m, err := ParseMaster(secret.New(base64Secret))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tryAuth(t testing.TB, db *store.DB, m *Master, options ...func(*Config)) (rig, error) {
	t.Helper()
	l := &logs{}
	cfg := Config{
		Store: db, Master: m, Logger: slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: prometheus.NewRegistry(),
	}
	for _, o := range options {
		o(&cfg)
	}
	a, err := New(t.Context(), cfg)
	return rig{a, l, &acts{}}, err
}

func newAuth(t testing.TB, db *store.DB, m *Master, options ...func(*Config)) rig {
	t.Helper()
	r, err := tryAuth(t, db, m, options...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run keeps the Auth up to date until the test ends.
func (r rig) run(t testing.TB) {
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(t.Context()) })
	t.Cleanup(wg.Wait)
}

func (r rig) newKey(t testing.TB, project identity.ProjectID) (Key, secret.String) {
	t.Helper()
	k, token, err := r.NewKey(t.Context(), KeySpec{Project: project}, r.acts.record)
	if err != nil {
		t.Fatal(err)
	}
	return k, token
}

func (r rig) newAdmin(t testing.TB, role identity.Role) (Admin, secret.String) {
	t.Helper()
	a, token, err := r.NewAdmin(t.Context(), AdminSpec{Name: "someone", Role: role}, r.acts.record)
	if err != nil {
		t.Fatal(err)
	}
	return a, token
}

var here = netip.MustParseAddr("192.0.2.7")

// with authenticates by a token and returns the refusal, or "" for success.
func (r rig) with(token secret.String) Refusal {
	_, err := r.Authenticate(Credential{String: token}, here)
	if err == nil {
		return ""
	}
	refusal, ok := errors.AsType[Refusal](err)
	if !ok {
		return Refusal(fmt.Sprintf("unclassified: %v", err))
	}
	return refusal
}

// want checks how a token fares.
func (r rig) want(t testing.TB, token secret.String, want Refusal, when string) {
	t.Helper()
	if got := r.with(token); got != want {
		t.Errorf("%s: refusal %q, want %q", when, got, want)
	}
}

// sweep reads every row now.
func (r rig) sweep(t testing.TB) {
	t.Helper()
	if err := r.check(t.Context(), true); err != nil && !errors.Is(err, ErrSeal) {
		t.Fatal(err)
	}
}

func kindOf(err error) fault.Kind { return fault.From(err).Kind }
