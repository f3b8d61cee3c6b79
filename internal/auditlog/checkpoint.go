package auditlog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// Checkpoint signs the log as it stands in the transaction and stores the signed
// head, or returns nil when there is nothing new to sign. It takes the lock on
// the log's head. Before it signs it proves, from the stored hashes, that the log
// only grew since the last stored checkpoint and since the last one that this
// process published or found in the heads file; otherwise it signs nothing and
// returns ErrInconsistent. After the commit the caller passes the head to
// Publish. now is in microseconds.
func (l *Log) Checkpoint(ctx context.Context, tx *store.Tx, now int64) (*record.Head, error) {
	head, err := tx.Grow(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	tree := tlog.Tree{N: head.Size, Hash: tlog.Hash(head.Root)}
	reader := hashReader(ctx, tx)
	if root, err := tlog.TreeHash(tree.N, reader); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", lost(err))
	} else if root != tree.Hash {
		return nil, fmt.Errorf("checkpoint: %w: the root at size %d differs", ErrInconsistent, tree.N)
	}
	stored, err := l.lastStored(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	l.mu.Lock()
	published := l.remembered
	l.mu.Unlock()
	for _, old := range []tlog.Tree{stored, published} {
		if err := grewFrom(old, tree, reader); err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
	}
	if tree.N == stored.N {
		return nil, nil
	}
	signed, err := note.Sign(&note.Note{Text: checkpointText(l.origin, tree)}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	if err := tx.AddCheckpoint(ctx, store.Checkpoint{Size: tree.N, TS: now, Note: string(signed)}); err != nil {
		return nil, err
	}
	return &record.Head{TS: now, Origin: l.origin, Size: tree.N, Note: string(signed)}, nil
}

// Publish remembers a committed checkpoint in the heads file. The caller also
// copies it into its journal.
func (l *Log) Publish(h *record.Head) error {
	tree, err := openCheckpoint(h.Note, l.verifier)
	if err != nil {
		return fmt.Errorf("publish checkpoint: %w", err)
	}
	if err := l.heads.add(h); err != nil {
		return fmt.Errorf("publish checkpoint: %w", err)
	}
	l.mu.Lock()
	l.remembered = tree
	l.mu.Unlock()
	return nil
}

// Sign is Checkpoint in a transaction of its own, and Publish.
func (l *Log) Sign(ctx context.Context, now int64) (*record.Head, error) {
	var h *record.Head
	err := l.db.Batch(ctx, func(tx *store.Tx) (err error) {
		h, err = l.Checkpoint(ctx, tx, now)
		return err
	})
	if err != nil || h == nil {
		return nil, err
	}
	return h, l.Publish(h)
}

// Close closes the heads file.
func (l *Log) Close() error { return l.heads.close() }

// lastStored is the tree of the last stored checkpoint, or the empty tree.
func (l *Log) lastStored(ctx context.Context, tx *store.Tx) (tlog.Tree, error) {
	last, err := tx.LastCheckpoint(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return tlog.Tree{}, nil
	}
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := openCheckpoint(last.Note, l.verifier)
	if err != nil || tree.N != last.Size {
		return tlog.Tree{}, fmt.Errorf("%w: the stored checkpoint of size %d is not ours", ErrInconsistent, last.Size)
	}
	return tree, nil
}

// grewFrom proves that now extends old (RFC 6962 section 2.1.2).
func grewFrom(old, now tlog.Tree, reader tlog.HashReader) error {
	switch {
	case old.N == 0:
		return nil
	case old.N > now.N:
		return fmt.Errorf("%w: it has %d leaves, %d were signed", ErrInconsistent, now.N, old.N)
	case old.N == now.N:
		if old.Hash != now.Hash {
			return fmt.Errorf("%w: another root was signed at size %d", ErrInconsistent, now.N)
		}
		return nil
	}
	proof, err := tlog.ProveTree(now.N, old.N, reader)
	if err != nil {
		return lost(err)
	}
	if err := tlog.CheckTree(proof, now.N, now.Hash, old.N, old.Hash); err != nil {
		return fmt.Errorf("%w: it does not extend the one signed at size %d", ErrInconsistent, old.N)
	}
	return nil
}

// lost turns a missing hash into an inconsistency; other errors stay.
func lost(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	return err
}

// checkpointText is the body of a checkpoint (c2sp.org/tlog-checkpoint).
func checkpointText(origin string, t tlog.Tree) string {
	return origin + "\n" + strconv.FormatInt(t.N, 10) + "\n" + t.Hash.String() + "\n"
}

// openCheckpoint checks a checkpoint's one signature and its form, to the byte,
// and returns its tree.
func openCheckpoint(signed string, v note.Verifier) (tlog.Tree, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	tree, err := parseCheckpoint(n.Text, v.Name())
	if err != nil {
		return tlog.Tree{}, err
	}
	// Base64 has spare bits that a lax decoder ignores: only one spelling is ours.
	sig, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64)
	if err != nil || n.Text+"\n— "+v.Name()+" "+base64.StdEncoding.EncodeToString(sig)+"\n" != signed {
		return tlog.Tree{}, errors.New("checkpoint: not in the form it was signed in")
	}
	return tree, nil
}

// parseCheckpoint reads the body of a checkpoint of the origin.
func parseCheckpoint(text, origin string) (tlog.Tree, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, errors.New("checkpoint: want three lines")
	}
	if lines[0] != origin {
		return tlog.Tree{}, fmt.Errorf("checkpoint: it is of the log %q, not of %q", lines[0], origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return tlog.Tree{}, errors.New("checkpoint: malformed size")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	t := tlog.Tree{N: size, Hash: root}
	if checkpointText(origin, t) != text {
		return tlog.Tree{}, errors.New("checkpoint: not in canonical form")
	}
	return t, nil
}
