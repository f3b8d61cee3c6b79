package auditlog

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// era is the time of a log under one origin, up to the reopening that ended it.
type era struct {
	reopening
	verifier note.Verifier // of the origin that ended

	lost        int   // lines of the heads file that this log does not hold
	first, last int64 // their sizes
}

// readLineage finds the origins that the log had before.
func (w *walk) readLineage() error {
	if w.verifier == nil {
		return nil
	}
	line, err := lineage(w.ctx, w.tx, w.report.VerifierKey)
	if errors.Is(err, errLineage) {
		w.found.add(CodeReopened, "leaf", "rid "+printable(w.verifier.Name()), "%v", err)
	} else if err != nil {
		return err
	}
	for _, r := range line {
		v, err := note.NewVerifier(r.oldKey)
		if err != nil {
			return err
		}
		w.eras = append(w.eras, &era{reopening: r, verifier: v})
	}
	return nil
}

// verifierAt is the verifier of the origin under which a checkpoint of a size in
// the database was signed.
func (w *walk) verifierAt(size int64) note.Verifier {
	v := w.verifier
	for _, e := range w.eras {
		if size > e.begin.N {
			break
		}
		v = e.verifier
	}
	return v
}

// verifierOf is the verifier of an origin of this log, and the era that it names
// unless it is the present one; nil for other logs.
func (w *walk) verifierOf(origin string) (note.Verifier, *era) {
	if w.verifier == nil || origin == w.verifier.Name() {
		return w.verifier, nil
	}
	for _, e := range w.eras {
		if origin == e.verifier.Name() {
			return e.verifier, e
		}
	}
	return nil, nil
}

// holds reports whether the log holds a head of the era, whose size has been
// reached unless it is beyond the era. One that it does not is part of the break.
func (w *walk) holds(e *era, tree tlog.Tree) bool {
	if tree.N <= e.begin.N && w.rootIs(tree.Hash) {
		return true
	}
	if e.lost == 0 {
		e.first = tree.N
	}
	e.lost++
	e.last = tree.N // they come in order of size
	return false
}

// atBegin checks that the log is still what the next origin took over.
func (w *walk) atBegin() {
	for _, e := range w.eras {
		if e.begin.N == w.edge.size && !w.rootIs(e.begin.Hash) {
			w.found.add(CodeCheckpoint, "leaf", fmt.Sprintf("idx %d (rid %s)", e.begin.N, printable(originOf(e.newKey))),
				"the leaves before it give another root: they were changed after the log was reopened there")
		}
	}
}

// checkEras reports every reopening, for ever: what an ended origin had signed is
// not all here, and why is an administrator's word.
func (w *walk) checkEras() error {
	for _, e := range w.eras {
		detail := fmt.Sprintf("the log %s ended here: it had signed %d leaves (root %s), and the database, with %d leaves of which it had signed the first %d, was not that any more: it was restored from a backup, or rewritten; reason given: %s",
			printable(e.verifier.Name()), e.signed.N, e.signed.Hash, e.begin.N, e.kept, shown(e.reason))
		if e.lost > 0 {
			detail += fmt.Sprintf("; %d remembered heads, of sizes %d to %d, do not fit what is here", e.lost, e.first, e.last)
		}
		w.found.add(CodeReopened, "leaf", fmt.Sprintf("idx %d (rid %s)", e.begin.N, printable(originOf(e.newKey))), "%s", detail)
	}
	return nil
}
