package ledger

import (
	"database/sql"
	"math"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// MinCompared is the least number of counted tokens of an answer whose claim is
// compared with the count: in a shorter one the token that ends an answer, which
// some servers bill, weighs too much.
const MinCompared = 20

// Bounds of the excess of one answer, in millionths.
const (
	perUnit   = 1_000_000
	maxExcess = perUnit / 2
)

// Count is the row of a count, but for its place in the audit log. It is a pure
// function of the record.
func Count(c *record.Count) store.Count {
	row := store.Count{
		RID: c.RID, TS: c.Arrived, Project: c.Project, Key: c.Key, Model: c.Model, Upstream: c.Upstream, Target: c.Target,
		Vocabulary: c.Vocabulary, Why: c.Why,
	}
	if c.Why != "" {
		return row.Storable()
	}
	row.Claimed, row.Counted = known(c.Claimed), known(c.Tokens)
	if c.Tokens >= MinCompared {
		more := min(max(c.Claimed-c.Tokens, -c.Tokens), c.Tokens)
		row.Excess = known(min(max(more*perUnit/c.Tokens, -maxExcess), maxExcess))
	}
	return row.Storable()
}

func known(n int64) sql.Null[int64] { return sql.Null[int64]{V: n, Valid: true} }

// Excess is by how much an upstream claims more than was counted: the mean over
// answers of claimed / counted - 1, each within -1/2 and 1/2, and the interval that
// holds its expectation with a probability of at least 95 %.
type Excess struct {
	Mean, Low, High float64
}

// NewExcess computes it from sums over answers; false when there is none. The
// interval is the empirical Bernstein bound (Maurer and Pontil 2009, theorem 4) on
// both sides. It presumes nothing of how the excess is distributed but its bounds,
// and that which answers are counted does not depend on them; it is therefore wide
// for few answers: of a hundred that all agree it is 0.1 to both sides. An honest
// server's expectation need not be 0: llama.cpp's bills the token that ends an answer,
// which no text shows.
func NewExcess(s store.CountSums) (Excess, bool) {
	if s.Compared == 0 {
		return Excess{}, false
	}
	const bound = float64(maxExcess) / perUnit
	n := float64(s.Compared)
	mean := s.Excess / n
	if s.Compared == 1 {
		return Excess{mean, -bound, bound}, true
	}
	variance := max(0, (s.Squares-n*mean*mean)/(n-1))
	confidence := math.Log(2 / (0.05 / 2))
	width := math.Sqrt(2*variance*confidence/n) + 2*bound*7*confidence/(3*(n-1))
	return Excess{mean, max(mean-width, -bound), min(mean+width, bound)}, true
}
