package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/auth"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
	"sallyport/internal/upstreamtest"
)

// onPostgres is the part of a configuration that replicas share.
func onPostgres(t testing.TB, address string) string {
	t.Helper()
	url := write(t, filepath.Join(t.TempDir(), "url"), address)
	return fmt.Sprintf("secret: file:%s\ndatabase: {url: file:%s}\n", sharedSecret(t), url)
}

// judge compares the database with what the upstream saw; see compare.
func judge(t testing.TB, a *App, up *upstreamtest.Server) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for _, r := range up.Journal().Requests() {
		if r.Method == http.MethodPost {
			seen[r.SHA256]++
		}
	}
	return compare(t, a, seen)
}

// compare judges the database by the hashes of the bodies that the upstream got,
// which were sent once each: every one has exactly one row and one leaf; rows
// that the upstream knows nothing of were refused or lost. It returns how many
// rows are in each state.
func compare(t testing.TB, a *App, seen map[string]int) map[string]int {
	t.Helper()
	rows := map[string][]store.Entry{} // by the hash of the request's body
	states, leaves := map[string]int{}, map[int64]bool{}
	all := entries(t, a.store)
	err := a.store.View(t.Context(), func(tx *store.Tx) error {
		for _, e := range all {
			if leaves[e.Leaf] {
				t.Errorf("two rows have the leaf %d", e.Leaf)
			}
			leaves[e.Leaf] = true
			states[e.State]++
			if e.State == "lost" && (e.Amount != nil || e.Money != "unknown" || e.Usage != "unknown") {
				t.Errorf("%s is lost with money %s, usage %s, amount %v", e.RID, e.Money, e.Usage, e.Amount)
			}
			leaf, err := tx.LeafOf(t.Context(), e.RID)
			if err != nil {
				return fmt.Errorf("leaf of %s: %w", e.RID, err)
			}
			r, err := record.Decode(leaf.Record)
			if err != nil {
				return err
			}
			rows[r.Exchange.Req] = append(rows[r.Exchange.Req], e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for sum, n := range seen {
		if n != 1 || len(rows[sum]) != 1 {
			t.Errorf("the upstream got the request %.8s %d times; it has %d rows", sum, n, len(rows[sum]))
		}
	}
	for sum, es := range rows {
		if seen[sum] == 0 && es[0].State != "refused" && es[0].State != "lost" {
			t.Errorf("%s is %s, and the upstream never got it", es[0].RID, es[0].State)
		}
	}
	return states
}

// load sends requests to data planes in turn until each worker did its share.
func load(ctx context.Context, workers, each int, make func(worker, n int) ask, done func(answer)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := range each {
				done(make(w, n).do(ctx))
			}
		})
	}
	wg.Wait()
}

// TestTwoReplicas: two gateways with a data folder each keep one log in one
// PostgreSQL under load, through the sudden death of one of them.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), onPostgres(t, storetest.PostgresURL(t)))
	one := start(t, options(t.TempDir(), file))
	plan := childPlan{Config: file, Data: t.TempDir()}
	two := spawn(t, plan)
	tries := 0
	status := func(key string) int { // of a request that was not sent before
		tries++
		return ask{base: two.data, key: key, text: fmt.Sprintf("nonce-try%d", tries)}.do(t.Context()).status
	}
	until(t, "the second replica knows the key", func() bool { return status(one.key) == 200 })

	const workers, each = 8, 40
	var mu sync.Mutex
	ok, cut, half := 0, 0, make(chan struct{})
	done := func(a answer) {
		mu.Lock()
		defer mu.Unlock()
		if a.err == nil && a.status == 200 {
			ok++
		} else {
			cut++
		}
		if ok+cut == workers*each/2 {
			close(half)
		}
	}
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		load(t.Context(), workers, each, func(w, n int) ask {
			base := []string{one.data, two.data}[(w+n)%2]
			return ask{base: base, key: one.key, text: fmt.Sprintf("nonce-w%dn%d [[frames=10 gap=1ms]]", w, n), stream: w%2 == 0}
		}, done)
	}()
	<-half
	two.kill()
	<-loaded
	if ok < workers*each/2 || cut == 0 {
		t.Errorf("%d requests were answered and %d were not", ok, cut)
	}
	two = spawn(t, plan) // it settles what it left open
	if got := status(one.key); got != 200 {
		t.Errorf("after its restart the second replica answers with status %d", got)
	}

	id, key := one.newKey(t)
	until(t, "the second replica knows the new key", func() bool { return status(key) == 200 })
	if _, err := one.auth.RevokeKey(t.Context(), id, func(a auth.Act) error { return one.act("local", a) }); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	until(t, "the second replica refuses the revoked key", func() bool { return status(key) == 401 })
	if took := time.Since(revoked); took > 5*time.Second {
		t.Errorf("a revocation took %v", took)
	}
	two.stop(t)
	report := one.verified(t)
	states := judge(t, one.App, up)
	if states["complete"]+states["lost"]+states["client_gone"] < ok {
		t.Errorf("%d requests were answered; rows by state: %v", ok, states)
	}
	t.Logf("%d leaves; rows by state: %v", report.Leaves, states)
	other := offline(t, plan)
	if again := other.verified(t); again.Origin != report.Origin || again.Leaves < report.Leaves {
		t.Errorf("the replicas verify different logs: %+v, %+v", report, again)
	}
}

// relay stands between gateways and PostgreSQL and can be cut.
type relay struct {
	t       testing.TB
	dir     string
	network string
	target  string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

// newRelay returns a relay to the server of a database, and the address of the
// database through it.
func newRelay(t testing.TB, address string) (*relay, string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sp-relay-") // shorter than a test's own folder: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &relay{t: t, dir: dir, network: "tcp", target: net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))}
	if strings.HasPrefix(cfg.Host, "/") {
		r.network, r.target = "unix", filepath.Join(cfg.Host, fmt.Sprintf(".s.PGSQL.%d", cfg.Port))
	}
	r.up()
	t.Cleanup(r.down)
	through := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Path: "/" + cfg.Database}
	through.RawQuery = url.Values{"host": {dir}, "port": {"5432"}, "sslmode": {"disable"}}.Encode()
	return r, through.String()
}

// up lets connections through.
func (r *relay) up() {
	r.t.Helper()
	l, err := net.Listen("unix", filepath.Join(r.dir, ".s.PGSQL.5432"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.listener = l
	r.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(r.network, r.target)
			if err != nil {
				c.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, c, server)
			r.mu.Unlock()
			go pipe(c, server)
			go pipe(server, c)
		}
	}()
}

func pipe(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// down cuts every connection and refuses new ones.
func (r *relay) down() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener.Close()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// TestDatabaseDown: without its database the data plane serves and records, and
// the projection catches up afterwards.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	relay, address := newRelay(t, storetest.PostgresURL(t))
	i := start(t, options(t.TempDir(), configure(t, up.BaseURL(), onPostgres(t, address))))
	ask{base: i.data, key: i.key, text: "nonce-before"}.want(t, 200)
	relay.down()
	const n = 60
	slow := time.Duration(0)
	for k := range n {
		began := time.Now()
		ask{base: i.data, key: i.key, text: fmt.Sprintf("nonce-down%d", k), stream: k%2 == 0}.want(t, 200)
		slow = max(slow, time.Since(began))
	}
	if slow > 5*time.Second {
		t.Errorf("a request waited %v for the database", slow)
	}
	if status, body := get(t, i.data+"/readyz"); status != 200 {
		t.Errorf("not ready: %d %s", status, body)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := i.projector.Sync(short); err == nil {
		t.Error("records were projected into a database that is down")
	}
	relay.up()
	i.verified(t)
	states := judge(t, i.App, up)
	if states["complete"] != n+1 {
		t.Errorf("rows by state: %v", states)
	}
}

// TestOtherSecret: a replica that holds another master secret must not start.
func TestOtherSecret(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	shared := onPostgres(t, storetest.PostgresURL(t))
	start(t, options(t.TempDir(), configure(t, up.BaseURL(), shared)))
	lines := strings.Split(shared, "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "secret:") })
	lines[i] = "secret: file:" + sharedSecret(t)
	_, err := try(t, options(t.TempDir(), configure(t, up.BaseURL(), strings.Join(lines, "\n"))))
	if err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("a replica with another secret: %v", err)
	}
}
