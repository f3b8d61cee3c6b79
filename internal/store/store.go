// Package store keeps every row of the product in SQLite or PostgreSQL behind
// one concrete type. The SQL is written by hand and is the same text on both
// engines; what must differ stands in dialect.go. Times are integer
// microseconds since the Unix epoch, amounts integer nano-USD, ids text.
//
// A DB is safe for concurrent use. Writes go through Batch, one transaction at
// a time on SQLite; reads see committed data only.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"sallyport/internal/secret"
)

// ErrNotFound is returned when a row that was asked for does not exist.
var ErrNotFound = errors.New("not found")

// ErrMalformed is returned for a row that this package cannot have written.
var ErrMalformed = errors.New("malformed row")

// Config says where the rows are. Exactly one of SQLitePath and URL is set.
type Config struct {
	// SQLitePath is the database file; it is made with mode 0600 when absent.
	SQLitePath string
	// URL is a PostgreSQL connection string. It never shows in an error.
	URL secret.String
	// Logger receives what migrations did. Nil discards it.
	Logger *slog.Logger
}

// DB is one open database.
type DB struct {
	engine engine
	write  *sql.DB
	read   *sql.DB // the same pool as write on PostgreSQL
	log    *slog.Logger

	inserts map[*insert]prepared // fixed after Open
}

// Open connects, applies the migrations that are missing, and returns the
// database. Several processes may open one PostgreSQL database at once: an
// advisory lock lets one of them migrate while the others wait.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var db *DB
	var err error
	switch {
	case (cfg.SQLitePath == "") == cfg.URL.Empty():
		return nil, errors.New("open store: want either a SQLite path or a PostgreSQL URL")
	case cfg.SQLitePath != "":
		db, err = openSQLite(cfg.SQLitePath)
	default:
		db, err = openPostgres(cfg.URL)
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db.log = log
	for _, step := range []func(context.Context) error{db.checkEncoding, db.migrate, db.prepare} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open store: %w", err), db.Close())
		}
	}
	return db, nil
}

// Engine names the engine: "sqlite" or "postgres".
func (db *DB) Engine() string { return string(db.engine) }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.write.PingContext(ctx) }

// Close closes the connections. Running transactions end first.
func (db *DB) Close() error {
	var errs []error
	for _, p := range db.inserts {
		errs = append(errs, p.large.Close(), p.single.Close())
	}
	errs = append(errs, db.write.Close())
	if db.read != db.write {
		errs = append(errs, db.read.Close())
	}
	return errors.Join(errs...)
}

// Tx is one transaction. It is valid only inside the function it was passed to
// and not safe for concurrent use.
type Tx struct {
	db   *DB
	tx   *sql.Tx
	args []any // scratch of multi-row inserts
}

// Batch runs f in one write transaction and commits when f returns nil. With an
// error nothing is changed. On SQLite at most one batch runs at a time.
func (db *DB) Batch(ctx context.Context, f func(*Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := f(&Tx{db: db, tx: tx}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// View runs f in one read-only transaction that sees a single state of the
// database throughout.
func (db *DB) View(ctx context.Context, f func(*Tx) error) error {
	tx, err := db.read.BeginTx(ctx, db.engine.snapshot())
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // a reader has nothing to lose
	return f(&Tx{db: db, tx: tx})
}
