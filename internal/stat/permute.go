package stat

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Permutations are the number of a permutation test and when it may stop early.
type Permutations struct {
	// Most is how many are drawn at most, at least 1.
	Most int
	// Enough, when positive, ends the test at that many statistics as large as the
	// observed one (Besag, Clifford 1991): p is then Enough divided by the number drawn.
	// A p below Enough/Most is not touched by it.
	Enough int
}

// Permuted is the result of a permutation test.
type Permuted struct {
	Statistic float64
	P         float64 // (1+#)/(B+1), or # / drawn when stopped early; never 0
	Drawn     int
}

// tie is how much smaller a permuted statistic may be, by rounding, to count as equal.
const tie = 1e-12

// run draws statistics under the null and counts those as large as the observed one.
func (p Permutations) run(observed float64, draw func() float64) (Permuted, error) {
	if p.Most < 1 || p.Enough < 0 {
		return Permuted{}, fmt.Errorf("permutation test: at most %d permutations, %d enough", p.Most, p.Enough)
	}
	larger := 0
	for i := range p.Most {
		if draw() >= observed-tie {
			larger++
		}
		if p.Enough > 0 && larger == p.Enough {
			return Permuted{observed, float64(larger) / float64(i+1), i + 1}, nil
		}
	}
	return Permuted{observed, float64(1+larger) / float64(p.Most+1), p.Most}, nil
}

// Table is the counts of one cell's answers in two samples, by letter.
type Table struct{ X, Y []int }

// TotalVariationTest is the batch test of one-token answers: the mean over cells of the
// total variation between the two samples, compared with relabellings within each cell.
//
// Null: within each cell the two samples' answers are exchangeable. Cells with an empty
// side are an error.
func TotalVariationTest(tables []Table, permutations Permutations, r *rand.Rand) (Permuted, error) {
	if len(tables) == 0 {
		return Permuted{}, fmt.Errorf("total variation test: no cells")
	}
	cells := make([]relabelling, len(tables))
	var observed float64
	for i, table := range tables {
		distance, err := TotalVariation(table.X, table.Y)
		if err != nil {
			return Permuted{}, fmt.Errorf("total variation test: cell %d: %w", i, err)
		}
		observed += distance
		cells[i] = newRelabelling(table)
	}
	n := float64(len(tables))
	return permutations.run(observed/n, func() float64 {
		var sum float64
		for i := range cells {
			sum += cells[i].draw(r)
		}
		return sum / n
	})
}

// relabelling is one cell's pooled answers, of which any nx may be the first sample.
type relabelling struct {
	pooled []int // letters
	total  []int // by letter
	x      []int // by letter, of the first sample
	nx     int
}

func newRelabelling(table Table) relabelling {
	c := relabelling{total: make([]int, len(table.X)), x: make([]int, len(table.X))}
	for letter := range table.X {
		c.nx += table.X[letter]
		c.total[letter] = table.X[letter] + table.Y[letter]
		for range c.total[letter] {
			c.pooled = append(c.pooled, letter)
		}
	}
	return c
}

// draw is the total variation of a random relabelling.
func (c relabelling) draw(r *rand.Rand) float64 {
	clear(c.x)
	for i := range c.nx {
		j := i + r.IntN(len(c.pooled)-i)
		c.pooled[i], c.pooled[j] = c.pooled[j], c.pooled[i]
		c.x[c.pooled[i]]++
	}
	nx, ny := float64(c.nx), float64(len(c.pooled)-c.nx)
	var sum float64
	for letter, n := range c.x {
		sum += math.Abs(float64(n)/nx - float64(c.total[letter]-n)/ny)
	}
	return sum / 2
}
