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

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/store"
)

// ErrInconsistent is returned when the stored log is not what was signed or
// counted before: it is shorter, or its hashes differ. Nothing is appended or
// signed then.
var ErrInconsistent = errors.New("the audit log is not consistent with what was signed before")

// Names in the meta table.
const (
	metaKey = "log.key"  // the sealed signing key
	metaVK  = "log.vkey" // the verifier key, readable by all
)

// Config is what a log needs.
type Config struct {
	DB *store.DB
	// Key seals the signing key in the database: 32 bytes, AES-256-GCM.
	Key []byte
	// HeadsFile is where checkpoints are remembered outside the database.
	HeadsFile string
	// Logger receives what must not go unnoticed. Nil discards it.
	Logger *slog.Logger
}

// Log appends to and signs the one log of a database. Append, Checkpoint and
// Publish belong to one goroutine; everything else is safe for concurrent use.
type Log struct {
	db       *store.DB
	origin   string
	signer   note.Signer
	verifier note.Verifier
	vkey     string
	logger   *slog.Logger
	heads    *headsFile

	edge edge // as after the last Append, which may have been rolled back

	mu         sync.Mutex
	remembered tlog.Tree // the greatest head that was published or found in the heads file
}

// Open opens the log of a database and creates it, with a random origin and
// signing key, when there is none. A Key that does not open the stored signing
// key is an error.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	l := &Log{db: cfg.DB, logger: cfg.Logger}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if err := l.openKey(ctx, cfg.Key); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	var err error
	if l.heads, l.remembered, err = openHeads(cfg.HeadsFile, l.origin, l.verifier); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return l, nil
}

// Origin is the name of the log, fixed when the database was created.
func (l *Log) Origin() string { return l.origin }

// VerifierKey is the public key of the log in the form of signed notes
// (c2sp.org/signed-note).
func (l *Log) VerifierKey() string { return l.vkey }

func newOrigin() string { return "sallyport/" + strings.ToLower(rand.Text()[:16]) }

// Append adds leaves to the log inside a transaction and sets their indexes. The
// transaction holds the lock on the log's head from here to its end. Nothing is
// appended to a log whose stored hashes do not give its stored root.
func (l *Log) Append(ctx context.Context, tx *store.Tx, leaves []store.Leaf) error {
	if len(leaves) == 0 {
		return nil
	}
	head, err := tx.Grow(ctx, int64(len(leaves)))
	if err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	if l.edge.size != head.Size || l.edge.root() != tlog.Hash(head.Root) {
		if l.edge, err = readEdge(ctx, tx, head.Size); err != nil {
			return fmt.Errorf("append to audit log: %w", lost(err))
		}
		if l.edge.root() != tlog.Hash(head.Root) {
			return fmt.Errorf("append to audit log: %w: the root at size %d differs", ErrInconsistent, head.Size)
		}
	}
	first := tlog.StoredHashCount(head.Size)
	hashes := make([]store.Hash, 0, 2*len(leaves)+64)
	for i := range leaves {
		leaves[i].Index = l.edge.size
		hashes = l.edge.add(tlog.RecordHash(leaves[i].Data), hashes)
	}
	if err := tx.AddLeaves(ctx, leaves); err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	if err := tx.AddHashes(ctx, first, hashes); err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	if err := tx.SetRoot(ctx, store.Hash(l.edge.root())); err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	return nil
}
