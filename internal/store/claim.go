package store

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
)

// Claim takes the right to project a journal into this database, for as long as
// the process keeps the connection that holds it; release gives it back. ok is
// false while another live process has it: then two folders have the same
// journal, and one of them is a copy. On SQLite the right is always granted: a
// database there is opened by one process, which owns the data folder.
//
// A process whose machine died loses the claim once PostgreSQL finds its peer
// gone, after about 15 s. The claim does not survive a restart of PostgreSQL.
func (db *DB) Claim(ctx context.Context, journal string) (release func(), ok bool, err error) {
	if db.engine != postgres {
		return func() {}, true, nil
	}
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("claim the journal: %w", err)
	}
	for _, setting := range []string{"tcp_keepalives_idle = 5", "tcp_keepalives_interval = 5", "tcp_keepalives_count = 2"} {
		if _, err := conn.ExecContext(ctx, "SET "+setting); err != nil {
			return nil, false, errors.Join(fmt.Errorf("claim the journal: %w", err), conn.Close())
		}
	}
	sum := sha256.Sum256([]byte("sallyport journal " + journal))
	lock := int64(binary.BigEndian.Uint64(sum[:]))
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", lock).Scan(&ok); err != nil || !ok {
		return nil, false, errors.Join(err, conn.Close())
	}
	return func() {
		// Ending the session gives the claim back, whatever became of it.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = conn.Close()
	}, true, nil
}
