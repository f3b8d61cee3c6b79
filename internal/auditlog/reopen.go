package auditlog

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// ActReopen is the administrative act by which a log goes on under a new origin.
// The id of its record is that origin.
const ActReopen = "log.reopen"

// ErrWhole is returned by Reopen for a log that needs no reopening.
var ErrWhole = errors.New("the audit log extends what this data folder remembers of it")

// Reopen ends the log's origin and begins a new one, with a key of its own, where
// the database does not hold what this data folder remembers (ErrRolledBack):
// after a restore from a backup, when the journals did not bring back the same.
// Leaves and hashes stay. One leaf is added, made from act, that names the greatest
// head known under the old origin and carries a statement signed with the old key
// and the new one; it is signed at once, and every verification names it for ever.
// A database that does not agree with itself is not reopened.
//
// The leaf comes through no journal: it is in the database exactly when the new
// origin is. The caller copies the returned head into its journal.
func (l *Log) Reopen(ctx context.Context, act record.Admin) (*record.Head, error) {
	var h *record.Head
	var next signing
	err := l.db.Batch(ctx, func(tx *store.Tx) error {
		s, err := l.stand(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.rolledBack(); !errors.Is(err, ErrRolledBack) {
			return cmp.Or(err, ErrWhole)
		}
		if next, err = l.replaceKey(ctx, tx); err != nil {
			return err
		}
		r := reopening{oldKey: s.key.vkey, newKey: next.vkey, signed: s.remembered, kept: s.stored.N, begin: s.tree}
		tree, err := r.begins(ctx, tx, act, s.key.signer, next.signer)
		if err != nil {
			return err
		}
		h, err = next.checkpoint(ctx, tx, tree, act.TS)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reopen audit log: %w", err)
	}
	l.adopt(next, tlog.Tree{})
	return h, l.Publish(h)
}

// replaceKey stores a new origin and signing key in place of the present ones.
func (l *Log) replaceKey(ctx context.Context, tx *store.Tx) (signing, error) {
	keys := l.keys()
	if len(keys) == 0 {
		return signing{}, errNoSealing
	}
	aead, err := newSeal(keys[0])
	if err != nil {
		return signing{}, err
	}
	origin := newOrigin()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return signing{}, fmt.Errorf("generate signing key: %w", err)
	}
	for _, step := range []error{
		tx.SetOrigin(ctx, origin), tx.SetMeta(ctx, metaKey, seal(aead, skey, origin)), tx.SetMeta(ctx, metaVK, vkey),
	} {
		if step != nil {
			return signing{}, step
		}
	}
	return newSigning(skey, vkey, origin)
}

// begins adds the leaf of the reopening and returns the tree with it.
func (r *reopening) begins(ctx context.Context, tx *store.Tx, act record.Admin, signers ...note.Signer) (tlog.Tree, error) {
	statement, err := note.Sign(&note.Note{Text: r.text()}, signers...)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("sign the statement: %w", err)
	}
	act.ID, act.Act, act.Target = originOf(r.newKey), ActReopen, originOf(r.oldKey)
	if act.Detail = maps.Clone(act.Detail); act.Detail == nil {
		act.Detail = map[string]string{}
	}
	act.Detail["statement"] = string(statement)
	rec := record.Record{Kind: record.KindAdmin, Admin: &act}
	leaf, err := NewLeaf(&rec, rec.Append(nil), nil)
	if err != nil {
		return tlog.Tree{}, err
	}
	var e edge
	if err := e.extend(ctx, tx, []store.Leaf{leaf}); err != nil {
		return tlog.Tree{}, err
	}
	return tlog.Tree{N: e.size, Hash: e.root()}, nil
}

// follow returns what the log signs with in a transaction that holds its head, and
// what it must extend. Where another replica reopened the log, this one goes over
// to the new origin, provided that the old key says so: who can only write to the
// database cannot make it forget.
func (l *Log) follow(ctx context.Context, tx *store.Tx, origin string) (signing, tlog.Tree, error) {
	l.mu.Lock()
	key, remembered := l.key, l.remembered
	l.mu.Unlock()
	if key.origin == origin {
		return key, remembered, nil
	}
	next, err := storedSigning(ctx, tx, l.keys())
	if err != nil {
		return key, remembered, fmt.Errorf("%w: its origin was %q and is %q: %w", ErrInconsistent, key.origin, origin, err)
	}
	line, err := lineage(ctx, tx, next.vkey)
	if err != nil {
		return key, remembered, err
	}
	for _, r := range line {
		if r.oldKey == key.vkey {
			begin := line[0].begin
			l.logger.Warn("the audit log was reopened by another replica", "origin", origin, "former", key.origin, "size", begin.N)
			l.adopt(next, begin)
			return next, begin, nil
		}
	}
	return key, remembered, fmt.Errorf("%w: its origin was %q and is %q, which no statement of the old key tells", ErrInconsistent, key.origin, origin)
}

// Follow goes over to the origin under which another replica reopened the log, if
// one did. Checkpoint does so as well.
func (l *Log) Follow(ctx context.Context) error {
	return l.db.View(ctx, func(tx *store.Tx) error {
		head, err := tx.Head(ctx)
		if err == nil {
			_, _, err = l.follow(ctx, tx, head.Origin)
		}
		return err
	})
}

// adopt goes over to a new origin. Nothing that was signed under the old one
// binds it but the tree that it began with.
func (l *Log) adopt(next signing, begin tlog.Tree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key.origin != next.origin {
		l.key, l.remembered = next, begin
	}
}

// reopening is the statement by which a log went on under a new origin.
type reopening struct {
	oldKey, newKey string    // verifier keys
	signed         tlog.Tree // the greatest head that was known to be signed under the old origin
	kept           int64     // the greatest size with a checkpoint of the old origin in the database
	begin          tlog.Tree // the log that the new origin took over; the statement's leaf comes next
	reason         string    // as the administrator gave it; not part of the statement
}

// statementForm is the text of a statement, which no checkpoint can have.
const statementForm = "sallyport log reopened\nold %s\nsigned %d %s\nkept %d\nnew %s\nbegin %d %s\n"

func (r *reopening) text() string {
	return fmt.Sprintf(statementForm, r.oldKey, r.signed.N, r.signed.Hash, r.kept, r.newKey, r.begin.N, r.begin.Hash)
}

// openReopening reads a statement and checks, to the byte, that the two keys that
// it names signed it. Which of them to trust is for the caller to say.
func openReopening(signed string) (r reopening, err error) {
	text, _, _ := strings.Cut(signed, "\n\n")
	var root, begin string
	if _, err := fmt.Sscanf(text+"\n", statementForm, &r.oldKey, &r.signed.N, &root, &r.kept, &r.newKey, &r.begin.N, &begin); err != nil {
		return r, errors.New("it is malformed")
	}
	if r.signed.Hash, err = tlog.ParseHash(root); err != nil {
		return r, err
	}
	if r.begin.Hash, err = tlog.ParseHash(begin); err != nil {
		return r, err
	}
	old, err := note.NewVerifier(r.oldKey)
	if err != nil {
		return r, err
	}
	own, err := note.NewVerifier(r.newKey)
	if err != nil {
		return r, err
	}
	if text, err = openExact(signed, old, own); err == nil && text != r.text() {
		err = errors.New("it is not in canonical form")
	}
	return r, err
}

// errLineage is returned where a log says that it was reopened and cannot prove it.
var errLineage = errors.New("the statement by which the log was reopened does not hold")

// lineage returns the reopenings that led to the log of a verifier key, newest
// first. Each is signed by the key it led to, so that whoever trusts the last key
// knows all earlier ones. What was found before an error is returned with it.
func lineage(ctx context.Context, tx *store.Tx, vkey string) ([]reopening, error) {
	var line []reopening
	for {
		origin := originOf(vkey)
		leaf, err := tx.LeafOf(ctx, origin)
		if errors.Is(err, store.ErrNotFound) {
			return line, nil
		}
		if err != nil {
			return line, err
		}
		r, err := reopeningOf(&leaf)
		if err == nil && r.newKey != vkey {
			err = errors.New("it is of another key")
		}
		if err == nil && (r.begin.N != leaf.Index || len(line) > 0 && r.begin.N >= line[len(line)-1].begin.N) {
			err = errors.New("its leaf is not where it says")
		}
		if err != nil {
			return line, fmt.Errorf("%w: leaf %d, origin %q: %w", errLineage, leaf.Index, origin, err)
		}
		line = append(line, r)
		vkey = r.oldKey
	}
}

func reopeningOf(leaf *store.Leaf) (reopening, error) {
	rec, err := record.Decode(leaf.Record)
	if err != nil {
		return reopening{}, err
	}
	if rec.Admin == nil || rec.Admin.Act != ActReopen {
		return reopening{}, errors.New("its record is of something else")
	}
	r, err := openReopening(rec.Admin.Detail["statement"])
	r.reason = rec.Admin.Detail["reason"]
	return r, err
}

// originOf is the name in a verifier key.
func originOf(vkey string) string {
	origin, _, _ := strings.Cut(vkey, "+")
	return origin
}
