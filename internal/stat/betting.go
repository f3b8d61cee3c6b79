package stat

import (
	"fmt"
	"maps"
	"slices"
)

const (
	// prior is how many audit answers the shares of the train split weigh in the
	// estimate of the suspect's shares.
	prior = 6
	// rarePayoff is the least payoff of a letter that the train split (almost) never
	// had: without it a bet on what the reference does not say has to be learnt first.
	rarePayoff = .6
)

// Cell is one one-token prompt: its alphabet, which is fixed by the reference's train
// split, and the audit's answers to it so far. Answers are compared as the caller has
// normalised them. Those seen at least twice in train are letters of their own, the
// others together are one letter with their share.
type Cell struct {
	letters map[string]int // indices into train and audit; 0 is every other answer
	train   []int
	audit   []int
	trained int // answers in train
	audited int // answers in audit
}

// NewCell fixes the alphabet from counts of train answers. The answers in always are
// letters however rare: what an empty, refused or cut-off answer is called.
func NewCell(train map[string]int, always ...string) (*Cell, error) {
	c := &Cell{letters: map[string]int{}, train: []int{0}}
	for _, answer := range slices.Sorted(maps.Keys(train)) {
		n := train[answer]
		if n < 0 {
			return nil, fmt.Errorf("cell: train has %d answers %q", n, answer)
		}
		c.trained += n
		if n >= 2 || slices.Contains(always, answer) {
			c.add(answer, n)
		} else {
			c.train[0] += n
		}
	}
	for _, answer := range always {
		if _, known := c.letters[answer]; !known {
			c.add(answer, 0)
		}
	}
	if c.trained == 0 {
		return nil, fmt.Errorf("cell: no train answers")
	}
	c.audit = make([]int, len(c.train))
	return c, nil
}

func (c *Cell) add(answer string, n int) {
	c.letters[answer] = len(c.train)
	c.train = append(c.train, n)
}

// Letters is the size of the alphabet, the letter of all other answers included.
func (c *Cell) Letters() int { return len(c.train) }

// N is how many audit answers the cell has seen.
func (c *Cell) N() int { return c.audited }

// payoff is what the next answer pays when it is this one: (q-p)/(q+p) in [-1, 1], with
// p its share in train and q the estimate of its share in the audit so far.
func (c *Cell) payoff(answer string) float64 {
	letter := c.letters[answer]
	p := float64(c.train[letter]) / float64(c.trained)
	q := (float64(c.audit[letter]) + prior*p) / float64(c.audited+prior)
	var f float64
	if p+q > 0 {
		f = (q - p) / (q + p)
	}
	if c.train[letter] <= 1 {
		f = max(f, rarePayoff)
	}
	return f
}

// mean is the mean payoff of draws.
func (c *Cell) mean(draws []string) float64 {
	var sum float64
	for _, draw := range draws {
		sum += c.payoff(draw)
	}
	return sum / float64(len(draws))
}

func (c *Cell) observe(answer string) {
	c.audit[c.letters[answer]]++
	c.audited++
}

// Payoffs are what one observation paid under each null, as it was bet: for a
// [ShiryaevRoberts] on the same stakes. Honest is 0 without an honest null.
type Payoffs struct{ Same, Honest float64 }

// Betting is the exact sequential two-sample test on one-token answers of one family
// of cells (family of tests: arXiv 2410.19406; the cells: 2607.10252). It has one
// e-process for each of two nulls.
//
// Same: each answer is drawn from the reference's distribution of its cell, or with a
// tolerance delta, from one at total variation at most delta from it. The payoff is
// (f(A) - mean f(R))/2 - delta.
//
// Honest: each answer is drawn from one of the recorded variants of the model, any of
// them, in any order. The payoff is (f(A) - max over variants of mean f(R_v))/2, whose
// mean is at most 0 whichever variant answered, because E max >= max E.
//
// f depends on earlier observations only. Nothing is asymptotic, and a bad f costs
// power, never validity, as long as each draw is made under the answer's protocol and
// used once.
type Betting struct {
	cells    []*Cell
	variants int
	delta    float64
	same     *Mixture
	honest   *Mixture // nil with one variant
}

// NewBetting starts the test of cells against a number of recorded variants, the first
// of which is the reference of the null Same. With one variant there is no honest
// null. Delta, in [0, 1), is the tolerance of the null Same; what differs by less in
// total variation (a dilution's share times its distance) is hidden by it.
func NewBetting(cells []*Cell, variants int, delta float64) (*Betting, error) {
	if len(cells) == 0 || slices.Contains(cells, nil) || variants < 1 || !(delta >= 0 && delta < 1) {
		return nil, fmt.Errorf("betting: %d cells, %d variants, delta %v", len(cells), variants, delta)
	}
	b := &Betting{cells: cells, variants: variants, delta: delta}
	var err error
	if b.same, err = NewMixture(scaled(standard(), 1+delta, 1-delta)); err != nil {
		return nil, fmt.Errorf("betting: %w", err)
	}
	if variants > 1 {
		if b.honest, err = NewMixture(Symmetric()); err != nil {
			return nil, fmt.Errorf("betting: %w", err)
		}
	}
	return b, nil
}

// Observe bets on one answer to a cell, and learns it. Draws are fresh ones of each
// variant, at least one each; more make the payoff less noisy.
func (b *Betting) Observe(cell int, answer string, draws ...[]string) (Payoffs, error) {
	if cell < 0 || cell >= len(b.cells) {
		return Payoffs{}, fmt.Errorf("betting: no cell %d of %d", cell, len(b.cells))
	}
	if len(draws) != b.variants || slices.ContainsFunc(draws, func(d []string) bool { return len(d) == 0 }) {
		return Payoffs{}, fmt.Errorf("betting: draws of %d variants, some empty or not %d", len(draws), b.variants)
	}
	c := b.cells[cell]
	paid, first := c.payoff(answer), c.mean(draws[0])
	p := Payoffs{Same: (paid-first)/2 - b.delta}
	if err := b.same.Bet(p.Same); err != nil {
		return Payoffs{}, fmt.Errorf("betting: %w", err)
	}
	if b.honest != nil {
		best := first
		for _, d := range draws[1:] {
			best = max(best, c.mean(d))
		}
		p.Honest = (paid - best) / 2
		if err := b.honest.Bet(p.Honest); err != nil {
			return Payoffs{}, fmt.Errorf("betting: %w", err)
		}
	}
	c.observe(answer)
	return p, nil
}

// Same is the e-process of the null Same.
func (b *Betting) Same() *Mixture { return b.same }

// Honest is the e-process of the null Honest; nil with one variant.
func (b *Betting) Honest() *Mixture { return b.honest }
