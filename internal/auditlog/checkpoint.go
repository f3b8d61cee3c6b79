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
// returns ErrInconsistent, in the second case with ErrRolledBack. After the commit
// the caller passes the head to Publish. now is in microseconds.
func (l *Log) Checkpoint(ctx context.Context, tx *store.Tx, now int64) (*record.Head, error) {
	s, err := l.stand(ctx, tx)
	if err == nil {
		err = s.rolledBack()
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if s.tree.N == s.stored.N {
		return nil, nil
	}
	return s.key.checkpoint(ctx, tx, s.tree, now)
}

// standing is the log in a transaction that holds the lock on its head.
type standing struct {
	key        signing
	tree       tlog.Tree
	stored     tlog.Tree // of the last stored checkpoint
	remembered tlog.Tree // by this data folder
	reader     tlog.HashReader
}

// stand takes the lock on the log's head. The database must agree with itself:
// its hashes give its root, which extends its last checkpoint.
func (l *Log) stand(ctx context.Context, tx *store.Tx) (s standing, err error) {
	head, err := tx.Grow(ctx, 0)
	if err != nil {
		return s, err
	}
	s.tree = tlog.Tree{N: head.Size, Hash: tlog.Hash(head.Root)}
	s.reader = hashReader(ctx, tx)
	if root, err := tlog.TreeHash(s.tree.N, s.reader); err != nil {
		return s, lost(err)
	} else if root != s.tree.Hash {
		return s, fmt.Errorf("%w: the root at size %d differs", ErrInconsistent, s.tree.N)
	}
	if s.key, s.remembered, err = l.follow(ctx, tx, head.Origin); err != nil {
		return s, err
	}
	if s.stored, err = lastStored(ctx, tx, s.key.verifier); err != nil {
		return s, err
	}
	return s, grewFrom(s.stored, s.tree, s.reader)
}

// rolledBack reports that the log does not extend what the data folder remembers.
func (s *standing) rolledBack() error {
	err := grewFrom(s.remembered, s.tree, s.reader)
	if errors.Is(err, ErrInconsistent) {
		return fmt.Errorf("%w: %w", ErrRolledBack, err)
	}
	return err
}

// checkpoint signs a tree and stores the signed head.
func (s *signing) checkpoint(ctx context.Context, tx *store.Tx, tree tlog.Tree, now int64) (*record.Head, error) {
	signed, err := note.Sign(&note.Note{Text: checkpointText(s.origin, tree)}, s.signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	if err := tx.AddCheckpoint(ctx, store.Checkpoint{Size: tree.N, TS: now, Note: string(signed)}); err != nil {
		return nil, err
	}
	return &record.Head{TS: now, Origin: s.origin, Size: tree.N, Note: string(signed)}, nil
}

// Publish remembers a committed checkpoint in the heads file. The caller also
// copies it into its journal.
func (l *Log) Publish(h *record.Head) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	tree, err := openCheckpoint(h.Note, l.key.verifier)
	if err != nil {
		return fmt.Errorf("publish checkpoint: %w", err)
	}
	if err := l.heads.add(h); err != nil {
		return fmt.Errorf("publish checkpoint: %w", err)
	}
	if tree.N > l.remembered.N {
		l.remembered = tree
	}
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
func lastStored(ctx context.Context, tx *store.Tx, v note.Verifier) (tlog.Tree, error) {
	last, err := tx.LastCheckpoint(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return tlog.Tree{}, nil
	}
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := openCheckpoint(last.Note, v)
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
	text, err := openExact(signed, v)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	return parseCheckpoint(text, v.Name())
}

// openExact returns the text of a note that has the signatures of the verifiers,
// in their order, no other, and one spelling: base64 has spare bits that a lax
// decoder ignores.
func openExact(signed string, vs ...note.Verifier) (string, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(vs...))
	if err != nil {
		return "", err
	}
	var form strings.Builder
	form.WriteString(n.Text + "\n")
	for i, s := range n.Sigs {
		sig, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
		if err != nil || i >= len(vs) || s.Name != vs[i].Name() || s.Hash != vs[i].KeyHash() {
			return "", errors.New("not in the form it was signed in")
		}
		form.WriteString("— " + s.Name + " " + base64.StdEncoding.EncodeToString(sig) + "\n")
	}
	if len(n.Sigs) != len(vs) || form.String() != signed {
		return "", errors.New("not in the form it was signed in")
	}
	return n.Text, nil
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
