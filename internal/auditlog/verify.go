package auditlog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// VerifyOptions says what a verification compares the database with.
type VerifyOptions struct {
	// Entry maps the record of an exchange to its ledger row (ledger.Entry).
	Entry func(*record.Exchange) store.Entry
	// Count maps the record of a count to its row (ledger.Count).
	Count func(*record.Count) store.Count
	// HeadsFile is the heads file of this data folder; empty or absent is skipped.
	HeadsFile string
	// Against is a checkpoint that somebody remembered: the log must extend it.
	Against []byte
	// VKey is the verifier key to believe. Empty believes the database, which a
	// rewriter may have changed.
	VKey string
	// KeyError is why VKey is not known though it should be: a finding.
	KeyError error
	// Moved says that the data folder was copied, moved or put back since a gateway
	// last had it, so that nothing in it tells whether it is the newest: a finding
	// unless Against tells it.
	Moved bool
}

// Verify recomputes everything: every leaf from its record, every hash from the
// leaves, the root at every checkpoint, every ledger row from its record column
// by column, price cards and roll-ups. What differs becomes a finding that names
// table and row; an error means that the verification itself could not be done.
// It reads one state of the database, in bounded memory, while others may write.
func Verify(ctx context.Context, db *store.DB, opts VerifyOptions) (Report, error) {
	report := Report{Trust: SelfSigned, Findings: []Finding{}}
	if opts.Entry == nil || opts.Count == nil {
		return report, errors.New("verify: no mapping from records to rows")
	}
	heads, err := readHeads(opts.HeadsFile)
	if err != nil {
		return report, fmt.Errorf("verify: %w", err)
	}
	err = db.View(ctx, func(tx *store.Tx) error {
		w := newWalk(ctx, tx, opts, &report)
		for _, step := range []func() error{
			w.readKey, w.readHead, w.readLineage,
			func() error { return w.takeHeads(heads) },
			w.takeAgainst, w.leavesInOrder, w.leftovers, w.checkHead, w.checkCards, w.checkRollups, w.checkEras, w.checkPlace,
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return report, fmt.Errorf("verify: %w", err)
	}
	return report, nil
}

// walk is one verification under way.
type walk struct {
	ctx    context.Context
	tx     *store.Tx
	opts   VerifyOptions
	report *Report
	found  collector

	verifier note.Verifier // nil when there is no usable key
	eras     []*era        // the log's earlier origins, newest first
	head     *store.Head   // nil when it is missing or malformed
	heads    []remembered  // of this log, ascending by size; those before at are done
	against  *tlog.Tree

	leaves      *pager[store.Leaf]
	hashes      *pager[store.StoredHash]
	entries     *pager[store.StoredEntry]
	counts      *ownRows[store.Count]
	verdicts    *ownRows[store.Verdict]
	checkpoints *pager[store.Checkpoint]

	edge     edge  // of the leaves so far
	nextHash int64 // index of the next hash to be stored
	broken   bool  // a leaf is gone with its hash: roots can no longer be computed
	signed   int64 // greatest size with a good checkpoint
	cards    cardBook
	buf      []store.Hash
	row      []byte
	decoder  record.Decoder
}

func newWalk(ctx context.Context, tx *store.Tx, opts VerifyOptions, report *Report) *walk {
	w := &walk{ctx: ctx, tx: tx, opts: opts, report: report, found: collector{report, map[string]int{}}, cards: newCardBook()}
	w.leaves = newPager(func(l *store.Leaf) int64 { return l.Index },
		func(from int64, limit int) iter.Seq2[store.Leaf, error] { return tx.Leaves(ctx, from, limit) })
	w.hashes = newPager(func(h *store.StoredHash) int64 { return h.Index },
		func(from int64, limit int) iter.Seq2[store.StoredHash, error] {
			return tx.StoredHashes(ctx, from, limit)
		})
	w.entries = newPager(func(e *store.StoredEntry) int64 { return e.Leaf() },
		func(from int64, limit int) iter.Seq2[store.StoredEntry, error] { return tx.Entries(ctx, from, limit) })
	w.counts, w.verdicts = countRows(w), verdictRows(w)
	w.checkpoints = newPager(func(c *store.Checkpoint) int64 { return c.Size },
		func(from int64, limit int) iter.Seq2[store.Checkpoint, error] {
			return tx.Checkpoints(ctx, from, limit)
		})
	return w
}

// readKey settles which verifier key is believed.
func (w *walk) readKey() error {
	stored, err := w.tx.Meta(w.ctx, metaVK)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	w.report.VerifierKey = cmp.Or(w.opts.VKey, stored)
	if w.opts.VKey != "" && w.opts.VKey != stored {
		w.found.add(CodeVerifierKey, "meta", metaVK, "the database names %q, expected %q", stored, w.opts.VKey)
	}
	if w.opts.KeyError != nil {
		w.found.add(CodeVerifierKey, "meta", metaKey, "%v", w.opts.KeyError)
	}
	if w.verifier, err = note.NewVerifier(w.report.VerifierKey); err != nil {
		w.verifier = nil
		w.found.add(CodeVerifierKey, "meta", metaVK, "no usable verifier key: no signature can be checked")
	}
	return nil
}

func (w *walk) readHead() error {
	h, err := w.tx.Head(w.ctx)
	switch {
	case errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrMalformed):
		w.found.add(CodeHead, "log_head", "one 1", "%v", err)
		return nil
	case err != nil:
		return err
	}
	w.head = &h
	w.report.Origin, w.report.Size = h.Origin, h.Size
	if w.verifier != nil && w.verifier.Name() != h.Origin {
		w.found.add(CodeHead, "log_head", "one 1, column origin", "it is %q, the key is of %q", h.Origin, w.verifier.Name())
	}
	return nil
}

// takeHeads sorts the lines of the heads file into those of this log and findings.
func (w *walk) takeHeads(all []remembered) error {
	for _, m := range all {
		w.report.Remembered++
		if m.err != nil {
			w.found.add(CodeHeadsFile, "heads file", m.where(), "%v", m.err)
			continue
		}
		if m.verifier, m.era = w.verifierOf(m.head.Origin); m.verifier == nil && w.verifier != nil {
			w.found.add(CodeOrigin, "heads file", m.where(), "it remembers the log %q", m.head.Origin)
			continue
		}
		w.heads = append(w.heads, m)
	}
	slices.SortStableFunc(w.heads, func(a, b remembered) int { return cmp.Compare(a.head.Size, b.head.Size) })
	return nil
}

func (m remembered) where() string { return fmt.Sprintf("line %d", m.line) }

func (w *walk) takeAgainst() error {
	if len(w.opts.Against) == 0 {
		return nil
	}
	if w.verifier == nil {
		w.found.add(CodeAgainst, "against", "the checkpoint", "without a verifier key it cannot be checked")
		return nil
	}
	origin, _, _ := strings.Cut(string(w.opts.Against), "\n")
	v, _ := w.verifierOf(origin)
	if v == nil {
		v = w.verifier
	}
	tree, err := openWitnessed(string(w.opts.Against), v)
	if err != nil {
		w.found.add(CodeAgainst, "against", "the checkpoint", "%v", err)
		return nil
	}
	w.against = &tree
	return nil
}

// leavesInOrder goes through the leaves and, beside them, through the hashes,
// ledger rows, checkpoints and remembered heads that belong to each.
func (w *walk) leavesInOrder() error {
	if err := w.atSize(); err != nil {
		return err
	}
	for {
		l, err := w.leaves.peek()
		if err != nil {
			return err
		}
		if l == nil {
			return nil
		}
		w.leaves.next()
		if w.isStray(l.Index) {
			w.found.add(CodeLeafStray, "leaf", fmt.Sprintf("idx %d (rid %s)", l.Index, printable(l.RID)), "no log has that index")
			continue
		}
		if l.Index > w.edge.size {
			if err := w.gap(l.Index); err != nil {
				return err
			}
		}
		if err := w.leaf(l); err != nil {
			return err
		}
		if err := w.atSize(); err != nil {
			return err
		}
	}
}

func (w *walk) checkPlace() error {
	if w.opts.Moved && len(w.opts.Against) == 0 {
		w.found.add(CodeMoved, "data folder", "home",
			"it was copied, moved or put back since it was last served from: whether it is the newest only a checkpoint kept elsewhere tells (--against)")
	}
	return nil
}

// maxGap is how many missing leaves in a row are replaced by their stored hashes;
// maxSize bounds what is believed to be the size of a log.
const (
	maxGap  = 1 << 20
	maxSize = 1 << 48
)

// isStray reports whether no leaf can have the index: it is negative, or so far
// beyond the others and beyond the head that the index itself must be wrong.
func (w *walk) isStray(index int64) bool {
	if index < 0 || index > maxSize {
		return true
	}
	return index > w.edge.size+maxGap && (w.head == nil || index >= w.head.Size)
}

// gap bridges missing leaves up to an index by their stored hashes, so that what
// follows can still be checked.
func (w *walk) gap(until int64) error {
	w.found.add(CodeLeafMissing, "leaf", span(w.edge.size, until), "%d rows are missing", until-w.edge.size)
	if until-w.edge.size > maxGap {
		w.broken = true
		w.edge = edge{size: until}
		w.nextHash = tlog.StoredHashCount(until)
	}
	for w.edge.size < until {
		if err := errors.Join(w.entry(w.edge.size, nil, false), w.own(w.edge.size, nil, false)); err != nil {
			return err
		}
		if err := w.grow(nil, false); err != nil {
			return err
		}
		if err := w.atSize(); err != nil {
			return err
		}
	}
	return nil
}

func span(from, until int64) string {
	if until == from+1 {
		return fmt.Sprintf("idx %d", from)
	}
	return fmt.Sprintf("idx %d to %d", from, until-1)
}

// leaf checks one leaf against its record, and its ledger row and hashes with it.
func (w *walk) leaf(l *store.Leaf) error {
	w.report.Leaves++
	where := fmt.Sprintf("idx %d (rid %s)", l.Index, printable(l.RID))
	r, err := w.decoder.Decode(l.Record)
	if err != nil {
		w.found.add(CodeRecord, "leaf", where+", column record", "%v", err)
		if err := errors.Join(w.entry(l.Index, nil, true), w.own(l.Index, nil, true)); err != nil {
			return err
		}
		return w.grow(l.Data, false)
	}
	var entry *store.Entry
	w.row = w.row[:0]
	if r.Exchange != nil && isLeaf(r.Kind) {
		e := w.opts.Entry(r.Exchange)
		e.Leaf = l.Index
		entry = &e
		w.row = e.AppendCanonical(w.row)
	}
	want, err := NewLeaf(&r, l.Record, w.row)
	if err != nil {
		w.found.add(CodeRecord, "leaf", where+", column record", "%v", err)
	} else {
		w.compareLeaf(l, &want, where)
	}
	w.cards.note(&r, l.Index)
	if err := errors.Join(w.entry(l.Index, entry, false), w.own(l.Index, &r, false)); err != nil {
		return err
	}
	return w.grow(l.Data, err == nil && bytes.Equal(l.Data, want.Data))
}

func (w *walk) compareLeaf(l, want *store.Leaf, where string) {
	differs := func(column string, have, should any) {
		w.found.add(CodeLeafChanged, "leaf", where+", column "+column, "it is %s, the record gives %s", shown(have), shown(should))
	}
	if l.Kind != want.Kind {
		differs("kind", string(l.Kind), string(want.Kind))
	}
	if l.RID != want.RID {
		differs("rid", l.RID, want.RID)
	}
	if l.TS != want.TS {
		differs("ts", l.TS, want.TS)
	}
	if !bytes.Equal(l.Data, want.Data) {
		differs("data", string(l.Data), string(want.Data))
	}
}

// entry checks the ledger row of a leaf. want is nil when the leaf has none to
// have, or when it is not known because the record is unreadable.
func (w *walk) entry(index int64, want *store.Entry, unreadable bool) error {
	for {
		stray, err := w.entries.below(index)
		if err != nil {
			return err
		}
		if stray == nil {
			break
		}
		w.strayEntry(stray)
	}
	have, err := w.entries.exactly(index)
	switch {
	case err != nil || have == nil && want == nil:
		return err
	case have == nil:
		w.found.add(CodeEntryMissing, "ledger", "rid "+printable(want.RID), "leaf %d has no ledger row", index)
	case want == nil:
		if !unreadable {
			w.strayEntry(have)
		}
	default:
		w.report.Entries++
		for _, d := range have.Compare(want) {
			w.found.add(CodeEntryChanged, "ledger", fmt.Sprintf("rid %s (leaf %d), column %s", printable(want.RID), index, d.Column),
				"it is %s, the record gives %s", shown(d.Have), shown(d.Should))
		}
	}
	return nil
}

func (w *walk) strayEntry(e *store.StoredEntry) {
	w.report.Entries++
	w.found.add(CodeEntryStray, "ledger", fmt.Sprintf("rid %s (leaf %d)", printable(e.RID()), e.Leaf()), "no leaf of an exchange has that index")
}

// grow adds the next leaf to the tree and checks the hashes that are stored for
// it. data is nil when the leaf is missing. Where leaf and stored hash disagree,
// the one that agrees with the record is believed, so that one changed row is one
// finding and not the ruin of all roots that follow.
func (w *walk) grow(data []byte, trusted bool) error {
	stored, err := w.hash(w.nextHash)
	if err != nil {
		return err
	}
	var h tlog.Hash
	switch {
	case data == nil && stored == nil:
		w.broken = true
	case data == nil:
		h = *stored
	default:
		h = tlog.RecordHash(data)
		if stored != nil && *stored != h {
			if trusted {
				w.hashChanged(w.nextHash)
			} else {
				h = *stored
			}
		}
	}
	w.buf = w.edge.add(h, w.buf[:0])
	w.nextHash++
	for _, want := range w.buf[1:] {
		stored, err := w.hash(w.nextHash)
		if err != nil {
			return err
		}
		if stored != nil && *stored != tlog.Hash(want) && !w.broken {
			w.hashChanged(w.nextHash)
		}
		w.nextHash++
	}
	return nil
}

func (w *walk) hashChanged(index int64) {
	level, n := tlog.SplitStoredHashIndex(index)
	w.found.add(CodeHash, "log_hash", fmt.Sprintf("idx %d", index), "level %d, node %d is not what the leaves give", level, n)
}

// hash takes the stored hash of an index; nil when it is missing or malformed,
// which becomes a finding.
func (w *walk) hash(index int64) (*tlog.Hash, error) {
	for {
		stray, err := w.hashes.below(index)
		if err != nil {
			return nil, err
		}
		if stray == nil {
			break
		}
		w.found.add(CodeHashStray, "log_hash", fmt.Sprintf("idx %d", stray.Index), "it belongs to no leaf")
	}
	row, err := w.hashes.exactly(index)
	if err != nil {
		return nil, err
	}
	if row == nil {
		w.found.add(CodeHashMissing, "log_hash", fmt.Sprintf("idx %d", index), "the row is missing")
		return nil, nil
	}
	w.report.Hashes++
	if len(row.H) != tlog.HashSize {
		w.found.add(CodeHash, "log_hash", fmt.Sprintf("idx %d", index), "it has %d bytes", len(row.H))
		return nil, nil
	}
	h := tlog.Hash(row.H)
	return &h, nil
}
