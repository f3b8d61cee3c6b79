package auditlog

import (
	"fmt"
	"math"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/store"
)

// atSize checks everything that claims a root for the number of leaves so far.
func (w *walk) atSize() error {
	size := w.edge.size
	w.atBegin()
	for {
		early, err := w.checkpoints.below(size)
		if err != nil {
			return err
		}
		if early == nil {
			break
		}
		w.found.add(CodeCheckpoint, "checkpoint", fmt.Sprintf("size %d", early.Size), "no log has that size")
	}
	c, err := w.checkpoints.exactly(size)
	if err != nil {
		return err
	}
	if c != nil {
		w.checkpoint(c)
	}
	for len(w.heads) > 0 && w.heads[0].head.Size <= size {
		w.rememberedHead(w.heads[0], c)
		w.heads = w.heads[1:]
	}
	if w.against != nil && w.against.N == size && !w.rootIs(w.against.Hash) {
		w.found.add(CodeAgainst, "against", fmt.Sprintf("size %d", size), "the log has another root there: it is a fork or was rewritten")
	}
	return nil
}

// rootIs compares a root with that of the leaves so far. With leaves missing
// beyond repair nothing can be said, and the missing rows are findings already.
func (w *walk) rootIs(root tlog.Hash) bool { return w.broken || w.edge.root() == root }

// checkpoint checks a stored checkpoint at its size.
func (w *walk) checkpoint(c *store.Checkpoint) {
	w.report.Checkpoints++
	where := fmt.Sprintf("size %d", c.Size)
	if w.verifier == nil {
		return
	}
	tree, err := openCheckpoint(c.Note, w.verifierAt(c.Size))
	switch {
	case err != nil:
		w.found.add(CodeSignature, "checkpoint", where+", column note", "%v", err)
	case tree.N != c.Size:
		w.found.add(CodeCheckpoint, "checkpoint", where, "its note is of size %d", tree.N)
	case !w.rootIs(tree.Hash):
		w.found.add(CodeCheckpoint, "checkpoint", where, "the leaves give another root: leaves were changed after it was signed, or it is of a fork")
	default:
		w.signed = c.Size
	}
}

// rememberedHead checks a line of the heads file at its size against the leaves
// and against the stored checkpoint of that size, nil when there is none.
func (w *walk) rememberedHead(m remembered, stored *store.Checkpoint) {
	if m.verifier == nil {
		return
	}
	tree, err := openCheckpoint(m.head.Note, m.verifier)
	switch {
	case err != nil:
		w.found.add(CodeSignature, "heads file", m.where(), "%v", err)
		return
	case m.era != nil && tree.N == m.head.Size:
		if !w.holds(m.era, tree) || tree.N > m.era.kept && stored == nil {
			return
		}
	case tree.N != m.head.Size || tree.N != w.edge.size:
		w.found.add(CodeHeadsFile, "heads file", m.where(), "its note is of size %d", tree.N)
		return
	case !w.rootIs(tree.Hash):
		w.found.add(CodeCheckpoint, "heads file", m.where(), "the log has another root at size %d: it is a fork or was rewritten", tree.N)
	}
	where := "size " + strconv.FormatInt(tree.N, 10)
	switch {
	case stored == nil:
		w.found.add(CodeCheckpointGone, "checkpoint", where, "the heads file remembers it (%s), the table does not have it", m.where())
	case stored.Note != m.head.Note:
		w.found.add(CodeCheckpoint, "checkpoint", where+", column note", "it is not the one that was published (%s)", m.where())
	case stored.TS != m.head.TS:
		w.found.add(CodeCheckpoint, "checkpoint", where+", column ts", "it is %d, published was %d (%s)", stored.TS, m.head.TS, m.where())
	}
}

// leftovers reports what lies beyond the last leaf.
func (w *walk) leftovers() error {
	total := w.edge.size
	for {
		e, err := w.entries.peek()
		if err != nil {
			return err
		}
		if e == nil {
			break
		}
		w.entries.next()
		w.strayEntry(e)
	}
	if err := w.own(math.MaxInt64, nil, false); err != nil {
		return err
	}
	for {
		h, err := w.hashes.peek()
		if err != nil {
			return err
		}
		if h == nil {
			break
		}
		w.hashes.next()
		w.found.add(CodeHashStray, "log_hash", fmt.Sprintf("idx %d", h.Index), "it belongs to no leaf")
	}
	for {
		c, err := w.checkpoints.peek()
		if err != nil {
			return err
		}
		if c == nil {
			break
		}
		w.checkpoints.next()
		w.report.Checkpoints++
		w.found.add(CodeBeyond, "checkpoint", fmt.Sprintf("size %d", c.Size), "the log has only %d leaves", total)
	}
	for _, m := range w.heads {
		if m.era != nil {
			w.rememberedHead(m, nil)
			continue
		}
		w.found.add(CodeBeyond, "heads file", m.where(),
			"%d leaves were signed, the log has only %d: it was truncated or rolled back", m.head.Size, total)
	}
	if w.against != nil && w.against.N > total {
		w.found.add(CodeAgainst, "against", fmt.Sprintf("size %d", w.against.N),
			"the log has only %d leaves: it was truncated or rolled back", total)
	}
	w.report.Unsigned = total - w.signed
	return nil
}

// checkHead compares the head row with the leaves.
func (w *walk) checkHead() error {
	if w.head == nil {
		return nil
	}
	if w.head.Size != w.edge.size {
		w.found.add(CodeHead, "log_head", "one 1, column size", "it is %d, the last leaf makes %d", w.head.Size, w.edge.size)
		if w.head.Size > w.edge.size {
			w.found.add(CodeLeafMissing, "leaf", span(w.edge.size, w.head.Size), "the head counts %d rows more", w.head.Size-w.edge.size)
		}
	} else if !w.rootIs(tlog.Hash(w.head.Root)) {
		w.found.add(CodeHead, "log_head", "one 1, column root", "the leaves give another root")
	}
	return nil
}
