package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClaimed is returned while another live process has the claim of a journal.
var ErrClaimed = errors.New("another process has the claim of this journal: one of two data folders is a copy of the other")

// Claim is the right to project a journal into this database, for as long as the
// process keeps the connection that holds it. While one process has it another
// cannot get it: then two folders have the same journal, and one of them is a
// copy. On SQLite the right is always granted: a database there is opened by one
// process, which owns the data folder. A Claim is safe for concurrent use.
//
// A process whose machine died loses the claim once PostgreSQL finds its peer
// gone, after about 15 s. When PostgreSQL restarts every claim ends, and the next
// Hold takes it again.
type Claim struct {
	db   *DB
	lock int64

	mu   sync.Mutex
	conn *sql.Conn // holds the claim; nil when it is not held
}

// Claim returns the claim of a journal. It is held after the first Hold.
func (db *DB) Claim(journal string) *Claim {
	sum := sha256.Sum256([]byte("sallyport journal " + journal))
	return &Claim{db: db, lock: int64(binary.BigEndian.Uint64(sum[:]))}
}

// holdTime bounds one Hold: a connection that does not answer by then is given up.
const holdTime = 10 * time.Second

// Hold makes sure that the claim is held, and takes it when it is not, or not any
// more. It fails with ErrClaimed while another has it, and otherwise when the
// database does not answer.
func (c *Claim) Hold(ctx context.Context) error {
	if c.db.engine != postgres {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		if c.conn.PingContext(ctx) == nil {
			return nil
		}
		c.drop()
	}
	if err := c.take(ctx); err != nil {
		return fmt.Errorf("claim the journal: %w", err)
	}
	return nil
}

// take tries to take the claim on a connection of its own.
func (c *Claim) take(ctx context.Context) error {
	for tries := 1; ; tries++ {
		conn, err := c.db.write.Conn(ctx)
		if err != nil {
			return err
		}
		if err = c.lockOn(ctx, conn); err == nil {
			c.conn = conn
			return nil
		}
		_ = conn.Close()
		// The pool may hold connections that a restart of PostgreSQL ended.
		if !errors.Is(err, driver.ErrBadConn) || tries > postgresClients {
			return err
		}
	}
}

func (c *Claim) lockOn(ctx context.Context, conn *sql.Conn) error {
	for _, setting := range []string{"tcp_keepalives_idle = 5", "tcp_keepalives_interval = 5", "tcp_keepalives_count = 2"} {
		if _, err := conn.ExecContext(ctx, "SET "+setting); err != nil {
			return err
		}
	}
	var ok bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", c.lock).Scan(&ok); err != nil {
		return err
	}
	if !ok {
		return ErrClaimed
	}
	return nil
}

// Release gives the claim back, if it is held.
func (c *Claim) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.drop()
	}
}

// drop ends the session, which gives the claim back, whatever became of it.
func (c *Claim) drop() {
	_ = c.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = c.conn.Close()
	c.conn = nil
}
