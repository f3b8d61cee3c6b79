package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"sallyport/internal/secret"
)

// engine names what must differ between the two databases. Everything else in
// this package is one text for both.
type engine string

const (
	sqlite   engine = "sqlite"
	postgres engine = "postgres"
)

// snapshot is how a reader sees one state throughout: a WAL reader always does,
// PostgreSQL must be asked.
func (e engine) snapshot() *sql.TxOptions {
	if e == postgres {
		return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return &sql.TxOptions{ReadOnly: true}
}

// placeholder is parameter n, counted from 1, of a generated multi-row insert.
func (e engine) placeholder(n int) string {
	if e == postgres {
		return "$" + strconv.Itoa(n)
	}
	return "?"
}

// Pool bounds.
const (
	sqliteReaders   = 4
	postgresClients = 8
)

// How a SQLite file is laid out and written. Large pages suit rows of a few
// KiB; a cache that holds a batch keeps it from being spilled to the log and
// checksummed twice; checkpoints of 2000 pages write each page less often.
const (
	sqlitePages = "page_size(8192)"
	sqliteCache = "cache_size(-16384)" // KiB
	sqliteMoves = "wal_autocheckpoint(2000)"
)

// openSQLite opens a file in WAL mode with every commit synced. The write pool
// holds one connection and begins each transaction as a writer, so that a
// transaction never fails half-way for a lock.
func openSQLite(path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	dsn := func(settings url.Values) string {
		for name, value := range map[string]string{
			"_busy_timeout": "10000", "_synchronous": "FULL", "_defensive": "1", "_dqs": "0",
		} {
			settings.Set(name, value)
		}
		return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: settings.Encode()}).String()
	}
	write, err := sql.Open("sqlite", dsn(url.Values{
		"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_pragma": {sqlitePages, sqliteCache, sqliteMoves},
	}))
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn(url.Values{"_query_only": {"1"}}))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(max(sqliteReaders, runtime.GOMAXPROCS(0)))
	return &DB{engine: sqlite, write: write, read: read}, nil
}

// openPostgres prepares a pool; nothing is dialled yet.
func openPostgres(address secret.String) (*DB, error) {
	cfg, err := pgx.ParseConfig(address.Reveal())
	if err != nil {
		return nil, errors.New("the database URL is not a valid PostgreSQL connection string") // the cause quotes it
	}
	cfg.RuntimeParams["application_name"] = "sallyport"
	cfg.RuntimeParams["synchronous_commit"] = "on"
	// A replica that dies without closing its connection must not keep the log's head locked.
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "30000"
	pool := sql.OpenDB(discreet{stdlib.GetConnector(*cfg)})
	pool.SetMaxOpenConns(postgresClients)
	pool.SetMaxIdleConns(postgresClients)
	return &DB{engine: postgres, write: pool, read: pool}, nil
}

// checkEncoding refuses a PostgreSQL database that cannot hold every text:
// names and claims are UTF-8, and one that does not fit would stop a projection.
func (db *DB) checkEncoding(ctx context.Context) error {
	if db.engine != postgres {
		return nil
	}
	var encoding string
	if err := db.read.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s: create it with ENCODING 'UTF8'", encoding)
	}
	return nil
}

// discreet is a connector whose errors do not tell host, user or database.
type discreet struct{ driver.Connector }

// Connect implements driver.Connector.
func (d discreet) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := d.Connector.Connect(ctx)
	if err == nil {
		return c, nil
	}
	return nil, fmt.Errorf("connect to PostgreSQL: %w", plain(err))
}

// plain reduces a connection error to a cause that names no address.
func plain(err error) error {
	if ctxErr := firstOf(err, context.Canceled, context.DeadlineExceeded); ctxErr != nil {
		return ctxErr
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("the server refused (SQLSTATE %s)", pg.Code)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("the host name does not resolve")
	}
	return errors.New("no usable answer")
}

func firstOf(err error, targets ...error) error {
	for _, t := range targets {
		if errors.Is(err, t) {
			return t
		}
	}
	return nil
}
