// Package storetest gives tests a fresh database on each engine. PostgreSQL is a
// throw-away cluster on a socket in a temporary folder, started when the first
// test asks for it, or the server of SALLYPORT_TEST_POSTGRES_URL.
package storetest

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"sallyport/internal/secret"
	"sallyport/internal/store"
)

// The engines, for table tests over both.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Engines lists both engines.
var Engines = []string{SQLite, Postgres}

// Variables of the environment that a test run is steered with.
const (
	urlVariable     = "SALLYPORT_TEST_POSTGRES_URL" // a server to use; databases are made on it
	withoutVariable = "SALLYPORT_TEST_WITHOUT"      // parts to leave out, separated by commas
)

// shared is the cluster of this test process, started at most once.
var shared struct {
	sync.Mutex
	running bool // inside Run
	url     string
	stop    func() error
}

// Run runs the tests of a package and then stops what they started. A package
// whose tests use PostgreSQL calls it from TestMain.
func Run(m *testing.M) int {
	shared.Lock()
	shared.running = true
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	shared.running = false
	if shared.stop != nil {
		if err := shared.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Open returns a fresh database of an engine. It is closed when the test ends.
func Open(t testing.TB, engine string) *store.DB {
	t.Helper()
	return OpenConfig(t, Config(t, engine))
}

// Config returns where a fresh database of an engine is, for tests that open it
// more than once.
func Config(t testing.TB, engine string) store.Config {
	t.Helper()
	switch engine {
	case SQLite:
		return store.Config{SQLitePath: filepath.Join(t.TempDir(), "sallyport.db")}
	case Postgres:
		return store.Config{URL: secret.New(PostgresURL(t))}
	}
	t.Fatalf("engine %q", engine)
	return store.Config{}
}

// OpenConfig opens a database and closes it when the test ends.
func OpenConfig(t testing.TB, cfg store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// PostgresURL makes a fresh PostgreSQL database and returns its URL. Without
// PostgreSQL the test fails, unless SALLYPORT_TEST_WITHOUT names postgres: then
// it is skipped.
func PostgresURL(t testing.TB) string {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv(withoutVariable), ","), Postgres) {
		t.Skipf("not run: %s leaves out postgres", withoutVariable)
	}
	server, err := serverURL()
	if err != nil {
		t.Fatalf("PostgreSQL is needed: %v. Install it (Debian: postgresql), name a server in %s, or leave it out with %s=postgres",
			err, urlVariable, withoutVariable)
	}
	u := newDatabase(t, server)
	if os.Getenv(urlVariable) != "" { // a cluster of our own is thrown away as a whole
		t.Cleanup(func() {
			if err := onServer(server, "DROP DATABASE IF EXISTS "+strings.TrimPrefix(u.Path, "/")+" WITH (FORCE)"); err != nil {
				t.Error(err)
			}
		})
	}
	return u.String()
}

// newDatabase makes a database on a server.
func newDatabase(t testing.TB, server string) *url.URL {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	if err := onServer(server, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u
}

// Server is a PostgreSQL server of one test, which it can restart.
type Server struct {
	dir     string
	address string
	leash   io.WriteCloser
	cmd     *exec.Cmd
}

// OwnServer starts a server that ends with the test. It is skipped and fails as
// PostgresURL does, and skipped where a server is named: that is not ours to stop.
func OwnServer(t testing.TB) *Server {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv(withoutVariable), ","), Postgres) {
		t.Skipf("not run: %s leaves out postgres", withoutVariable)
	}
	if os.Getenv(urlVariable) != "" {
		t.Skipf("not run: the server of %s is not restarted", urlVariable)
	}
	s, err := startCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// URL makes a fresh database and returns its URL.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, s.address).String()
}

// Restart stops the server, which ends every session, starts it again and waits
// until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	pidFile := filepath.Join(s.dir, "data", "postmaster.pid")
	before, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(s.leash, "restart\n"); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := os.ReadFile(pidFile)
		if err == nil && len(now) > 0 && firstLine(now) != firstLine(before) {
			break
		}
		<-tick.C
	}
	if err := s.await(); err != nil {
		t.Fatal(err)
	}
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// SQL opens a plain connection to a database that Config named, for tests that
// change rows behind the store's back.
func SQL(t testing.TB, cfg store.Config) *sql.DB {
	t.Helper()
	driver, dsn := "sqlite", cfg.SQLitePath
	if !cfg.URL.Empty() {
		driver, dsn = "pgx", cfg.URL.Reveal()
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func onServer(server, statement string) (err error) {
	db, err := sql.Open("pgx", server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.Exec(statement)
	return err
}

func serverURL() (string, error) {
	if u := os.Getenv(urlVariable); u != "" {
		return u, nil
	}
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		return "", errors.New("TestMain does not call storetest.Run")
	}
	if shared.url == "" {
		s, err := startCluster()
		if err != nil {
			return "", err
		}
		shared.url, shared.stop = s.address, s.stop
	}
	return shared.url, nil
}

// startCluster makes a cluster and runs its server until stop is called or this
// process ends, however it ends.
func startCluster() (s *Server, err error) {
	initdb, postgres, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sp-pg-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	create := exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	create.SysProcAttr, create.Dir = attr, dir
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The shell starts the server again for every line that it reads. It ends it
	// when its standard input ends, which is when this process is gone, and removes
	// the folder.
	server := exec.Command("/bin/sh", "-c",
		`run() { "$@" >>server.log 2>&1 </dev/null & pid=$!; }; end() { kill -INT $pid; wait $pid; }
		run "$@"; while read -r line; do end; run "$@"; done; end; rm -rf "$0"`, dir,
		postgres, "-D", data, "-F", "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200",
		"-c", "full_page_writes=off", "-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "max_wal_size=4GB",
		"-c", "autovacuum=off")
	server.SysProcAttr, server.Dir = attr, dir
	leash, err := server.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	s = &Server{dir: dir, address: "postgres://postgres@/postgres?host=" + url.QueryEscape(dir), leash: leash, cmd: server}
	if err := s.await(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *Server) stop() error {
	return errors.Join(s.leash.Close(), ignoreExit(s.cmd.Wait()), os.RemoveAll(s.dir))
}

// ignoreExit drops the exit status of a server that was told to stop.
func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// awaitTries bounds how often a starting server is asked, ten times a second.
const awaitTries = 300

func (s *Server) await() error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var err error
	for range awaitTries {
		if err = onServer(s.address, "SELECT 1"); err == nil {
			return nil
		}
		<-tick.C
	}
	text, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
	return fmt.Errorf("the server did not start: %w: %s", err, text)
}

func binaries() (initdb, postgres string, err error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", "", err
	}
	slices.SortFunc(found, func(a, b string) int { return major(b) - major(a) })
	if len(found) == 0 {
		path, err := exec.LookPath("initdb")
		if err != nil {
			return "", "", fmt.Errorf("no initdb in /usr/lib/postgresql/*/bin or the path")
		}
		found = []string{path}
	}
	postgres = filepath.Join(filepath.Dir(found[0]), "postgres")
	if _, err := os.Stat(postgres); err != nil {
		return "", "", err
	}
	return found[0], postgres, nil
}

// major is the version in /usr/lib/postgresql/17/bin/initdb.
func major(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// unprivileged gives the folder to the user postgres and says to run as it when
// this process is root, as which PostgreSQL does not run.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, int(uid), int(gid))
}
