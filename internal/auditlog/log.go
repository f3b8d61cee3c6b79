// Package auditlog keeps the audit log: a Merkle tree (RFC 6962, by
// golang.org/x/mod/sumdb/tlog) over one leaf per exchange and administrative act,
// with checkpoints as signed notes (c2sp.org/tlog-checkpoint), inclusion proofs
// (c2sp.org/tlog-proof) and a verification that recomputes everything.
//
// The log signs itself. Whoever holds its key can rewrite all of it, unless
// somebody else remembers a checkpoint.
package auditlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/store"
)

// ErrInconsistent is returned when the stored log is not what was signed or
// counted before: it is shorter, or its hashes differ. Nothing is appended or
// signed then.
var ErrInconsistent = errors.New("the audit log is not consistent with what was signed before")

// ErrRolledBack is returned, together with ErrInconsistent, when the stored log
// holds together but is not what this data folder remembers. The journals may
// bring back what is missing; else Reopen goes on.
var ErrRolledBack = errors.New("the database was restored from an older backup, or changed by others")

// Names in the meta table.
const (
	metaKey = "log.key"  // the sealed signing key
	metaVK  = "log.vkey" // the verifier key, readable by all
)

// Config is what a log needs.
type Config struct {
	DB *store.DB
	// Keys are what may seal the signing key in the database, newest first: 32 bytes
	// each, AES-256-GCM. The first seals; any opens.
	Keys func() [][]byte
	// HeadsFile is where checkpoints are remembered outside the database.
	HeadsFile string
	// Logger receives what must not go unnoticed. Nil discards it.
	Logger *slog.Logger
}

// Log appends to and signs the one log of a database. Append belongs to one
// goroutine; everything else is safe for concurrent use.
type Log struct {
	db     *store.DB
	keys   func() [][]byte
	logger *slog.Logger

	edge edge // as after the last Append, which may have been rolled back

	mu         sync.Mutex
	key        signing   // of the log as it was last seen; another replica may have reopened it
	remembered tlog.Tree // the greatest head of key's origin that was published or found in the heads file
	heads      *headsFile
}

// Open opens the log of a database and creates it, with a random origin and
// signing key, when there is none. Keys of which none opens the stored signing
// key are an error.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	l := &Log{db: cfg.DB, keys: cfg.Keys, logger: cfg.Logger}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if err := l.openKey(ctx); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	var err error
	if l.heads, l.remembered, err = openHeads(cfg.HeadsFile, l.key.verifier); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return l, nil
}

// Origin is the name of the log. It changes when the log is reopened.
func (l *Log) Origin() string { return l.signing().origin }

// VerifierKey is the public key of the log in the form of signed notes
// (c2sp.org/signed-note). It changes when the log is reopened.
func (l *Log) VerifierKey() string { return l.signing().vkey }

func (l *Log) signing() signing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.key
}

func newOrigin() string { return "sallyport/" + strings.ToLower(rand.Text()[:16]) }

// Append adds leaves to the log inside a transaction and sets their indexes. The
// transaction holds the lock on the log's head from here to its end. Nothing is
// appended to a log whose stored hashes do not give its stored root.
func (l *Log) Append(ctx context.Context, tx *store.Tx, leaves []store.Leaf) error {
	if len(leaves) == 0 {
		return nil
	}
	if err := l.edge.extend(ctx, tx, leaves); err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	return nil
}

// extend is Append from the edge as it was when it was last seen.
func (e *edge) extend(ctx context.Context, tx *store.Tx, leaves []store.Leaf) error {
	head, err := tx.Grow(ctx, int64(len(leaves)))
	if err != nil {
		return err
	}
	if e.size != head.Size || e.root() != tlog.Hash(head.Root) {
		if *e, err = readEdge(ctx, tx, head.Size); err != nil {
			return lost(err)
		}
		if e.root() != tlog.Hash(head.Root) {
			return fmt.Errorf("%w: the root at size %d differs", ErrInconsistent, head.Size)
		}
	}
	first := tlog.StoredHashCount(head.Size)
	hashes := make([]store.Hash, 0, 2*len(leaves)+64)
	for i := range leaves {
		leaves[i].Index = e.size
		hashes = e.add(tlog.RecordHash(leaves[i].Data), hashes)
	}
	if err := tx.AddLeaves(ctx, leaves); err != nil {
		return err
	}
	if err := tx.AddHashes(ctx, first, hashes); err != nil {
		return err
	}
	return tx.SetRoot(ctx, store.Hash(e.root()))
}
