package reference

import (
	"fmt"

	"sallyport/internal/stat"
)

// Bank hands out the stored samples of some cells, each once: in an order that a seed
// fixes, so that a verifier draws the same. It is not safe for concurrent use.
type Bank struct {
	cells []Cell
	order [][][]int // by cell and variant: what is left of the bank, as indexes into Letters
}

// NewBank shuffles the banks of cells. Audits with different seeds draw in different
// orders from the same samples, so they are dependent: what is concluded from many of
// them holds for this bank.
func NewBank(cells []Cell, seed [32]byte) *Bank {
	b := &Bank{cells: cells}
	for i := range cells {
		var variants [][]int
		for v, samples := range cells[i].Bank {
			r := stat.Rand(stat.Seed(seed, "bank", cells[i].ID, fmt.Sprint(v)))
			left := make([]int, len(samples))
			for to, from := range r.Perm(len(samples)) {
				left[to] = samples[from]
			}
			variants = append(variants, left)
		}
		b.order = append(b.order, variants)
	}
	return b
}

// Left is how many observations with m draws of each variant a cell can still serve.
func (b *Bank) Left(cell, m int) int {
	least := -1
	for _, left := range b.order[cell] {
		if n := len(left) / m; least < 0 || n < least {
			least = n
		}
	}
	return max(least, 0)
}

// Draw takes m samples of each variant of a cell; false when some variant has fewer
// left, and then none is taken.
func (b *Bank) Draw(cell, m int) ([][]string, bool) {
	if b.Left(cell, m) == 0 {
		return nil, false
	}
	var drawn [][]string
	for v, left := range b.order[cell] {
		var answers []string
		for _, i := range left[:m] {
			answers = append(answers, b.cells[cell].Letters[i])
		}
		b.order[cell][v] = left[m:]
		drawn = append(drawn, answers)
	}
	return drawn, true
}
