package wire

import (
	"bytes"

	"sallyport/internal/llm"
)

// Bounds on what a Follower remembers of an answer.
const (
	MaxClaim = 4 << 10 // bytes of a verbatim usage claim
	MaxNote  = 256     // bytes of a model name, an id or a finish reason
)

// Notes are what followers of every dialect remember of an answer, bounded and
// copied. The zero Notes are ready for use.
type Notes struct {
	sum llm.Summary
}

// Name notes the model and the id that an answer declares; the first of each
// that is not empty stays.
func (n *Notes) Name(model, id []byte) {
	if n.sum.Model == "" {
		n.sum.Model, _ = Text(model, MaxNote)
	}
	if n.sum.ID == "" {
		n.sum.ID, _ = Text(id, MaxNote)
	}
}

// Finish notes a finish reason. The first that is not empty stays.
func (n *Notes) Finish(reason []byte) {
	if n.sum.Finish == "" {
		n.sum.Finish, _ = Text(reason, MaxNote)
	}
}

// Complete notes that the answer's end was seen.
func (n *Notes) Complete() { n.sum.Complete = true }

// Fail notes that the answer itself reports an error.
func (n *Notes) Fail() { n.sum.Failed = true }

// Claim notes a usage that the upstream claims, in the place of an earlier one.
// Its verbatim text is copied and cut to MaxClaim.
func (n *Notes) Claim(u llm.Usage) {
	u.Verbatim = Bounded(n.sum.Usage.Verbatim, u.Verbatim, MaxClaim)
	n.sum.Usage = u
}

// Summary returns what was noted. It shares no memory with the Notes.
func (n *Notes) Summary() llm.Summary {
	s := n.sum
	if s.Usage.Status == "" {
		s.Usage.Status = llm.UsageUnknown
	}
	s.Usage.Verbatim = bytes.Clone(s.Usage.Verbatim)
	return s
}

// Figures reads the counts of a usage claim and remembers the first that is not
// a possible count.
type Figures struct {
	Flaw string // why the claim is implausible; empty when nothing is wrong
}

// Count reads one count. Null and absent are no count. Anything but an integer
// from 0 to llm.MaxPlausibleTokens is a flaw that names it.
func (f *Figures) Count(lit []byte, name string) (n int64, ok bool) {
	switch KindOf(lit) {
	case Null, Absent:
		return 0, false
	}
	n, ok = Int(lit)
	switch {
	case !ok:
		f.Note(name + " is not an integer")
	case n < 0:
		f.Note("negative " + name)
	case n > llm.MaxPlausibleTokens:
		f.Note("excessive " + name)
	default:
		return n, true
	}
	return 0, false
}

// Note notes a flaw, unless there is one already.
func (f *Figures) Note(why string) {
	if f.Flaw == "" {
		f.Flaw = why
	}
}

// Usage is the claim: of the tokens, or implausible when a flaw was noted.
func (f *Figures) Usage(t llm.Tokens, verbatim []byte) llm.Usage {
	if f.Flaw != "" {
		return llm.Usage{Status: llm.UsageImplausible, Verbatim: verbatim, Reason: f.Flaw}
	}
	return llm.Claim(t, verbatim)
}

// Reports reports whether the error member of an answer says that there is an
// error: null, absent, false, 0 and "" do not.
func Reports(lit []byte) bool {
	switch KindOf(lit) {
	case Object, Array:
		return true
	case String:
		return Filled(lit)
	}
	return True(lit)
}
