package probe

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// A cell is one question whose answer the model is free in. Detectors that compare how
// the answers to cells are distributed share what follows.

// draws are how many samples of each variant stand beside one answer: more make the
// payoff less noisy, and the bank last for fewer answers.
func draws(variants int) int {
	if variants > 1 {
		return 16
	}
	return 4
}

// Lasting is how many word questions of one audit the bank of a reference lasts for.
func Lasting(o *reference.Opened) int {
	n := 0
	for _, i := range newBaseline(o).usable() {
		n += len(o.Words[i].Bank[0]) / draws(len(o.Variants))
	}
	return n
}

// questions are how the cells of one kind are asked, and how answers become letters.
type questions struct {
	ask    func(cell string, nonces *rand.Rand) Ask
	read   func(cell string, r *Reply) string
	always []string // answers that are letters however rare
}

// trustedCells are cells with where fresh samples of trusted answers come from.
type trustedCells struct {
	cells    []reference.Cell
	variants int
	left     func(cell int) bool
	// draw takes fresh samples, by variant, for each cell of a batch; nil where none came.
	draw func(ctx context.Context, batch []int) [][][]string
}

// stored are the cells of the plan's reference, drawn from its bank.
func (t *Trial) stored(cells []reference.Cell) trustedCells {
	bank, m := reference.NewBank(cells, t.Seed), draws(len(t.Reference.Variants))
	return trustedCells{
		cells: cells, variants: len(t.Reference.Variants),
		left: func(c int) bool { return bank.Left(c, m) > 0 },
		draw: func(_ context.Context, batch []int) (all [][][]string) {
			for _, c := range batch {
				drawn, _ := bank.Draw(c, m)
				all = append(all, drawn)
			}
			return all
		},
	}
}

// liveDraws is how many answers of a live reference stand beside one of the audited
// endpoint.
const liveDraws = 2

// live are cells whose fresh samples a live reference is asked for.
func (t *Trial) live(cells []reference.Cell, q questions) trustedCells {
	nonces := stat.Rand(stat.Seed(t.Seed, "live nonces"))
	return trustedCells{
		cells: cells, variants: 1, left: func(int) bool { return true },
		draw: func(ctx context.Context, batch []int) [][][]string {
			var asks []Ask
			for _, c := range batch {
				for range liveDraws {
					asks = append(asks, q.ask(cells[c].ID, nonces))
				}
			}
			replies := t.AskTrusted(ctx, asks)
			all := make([][][]string, len(batch))
			for i, c := range batch {
				var drawn []string
				for _, r := range replies[i*liveDraws : (i+1)*liveDraws] {
					if r.OK() {
						drawn = append(drawn, q.read(cells[c].ID, r))
					}
				}
				if len(drawn) > 0 {
					all[i] = [][]string{drawn}
				}
			}
			return all
		},
	}
}

// betOnCells asks the questions of cells in an order that the seed fixes, cell after
// cell, and bets on each answer against fresh trusted samples, until every hypothesis
// is decided or the budget is used up.
func (t *Trial) betOnCells(ctx context.Context, trusted trustedCells, q questions) {
	cells := trusted.cells
	seen := make([]*seenCell, len(cells))
	alphabets := make([]*stat.Cell, len(cells))
	for i := range cells {
		alphabet, err := stat.NewCell(cells[i].Trains(0), q.always...)
		if err != nil {
			t.Inconclusive("cell %s: %v", cells[i].ID, err)
			return
		}
		alphabets[i], seen[i] = alphabet, &seenCell{id: cells[i].ID, counts: map[string]int{}}
	}
	betting, err := stat.NewBetting(alphabets, trusted.variants, t.Tolerance)
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	order, nonces := stat.Rand(stat.Seed(t.Seed, "order")), stat.Rand(stat.Seed(t.Seed, "nonces"))
	for asked := 0; asked < t.Budget && !t.Over() && !t.decided(identity(trusted.variants)); {
		var batch []int
		for _, c := range order.Perm(len(cells)) {
			if trusted.left(c) && asked+len(batch) < t.Budget && len(batch) < max(t.Parallel, 1) {
				batch = append(batch, c)
			}
		}
		if len(batch) == 0 {
			t.Fact("bank", "exhausted after %d answers", asked)
			break
		}
		var asks []Ask
		for _, c := range batch {
			asks = append(asks, q.ask(cells[c].ID, nonces))
		}
		asked += len(asks)
		replies := t.AskAll(ctx, asks)
		for i, drawn := range trusted.draw(ctx, batch) {
			r, c := replies[i], batch[i]
			if !r.OK() {
				t.Lose(r)
			}
			if !r.OK() || drawn == nil {
				continue
			}
			answer := q.read(cells[c].ID, r)
			seen[c].counts[answer]++
			if _, err := betting.Observe(c, answer, drawn...); err != nil {
				t.Inconclusive("cell %s: %v", cells[c].ID, err)
				return
			}
			t.Observe(verdict.Same, betting.Same().LogE())
			if h := betting.Honest(); h != nil {
				t.Observe(verdict.Honest, h.LogE())
			}
		}
	}
	t.describeCells(cells, seen)
}

// seenCell is what an audit saw of a cell.
type seenCell struct {
	id     string
	counts map[string]int
}

// decided reports whether nothing more can change: every one of the hypotheses is at
// the strongest level.
func (t *Trial) decided(nulls []verdict.Null) bool {
	return !slices.ContainsFunc(nulls, func(n verdict.Null) bool {
		return t.evidence(n).MaxLogE < verdict.LevelQuarantine.Threshold()
	})
}

// identity are the hypotheses about the model that so many trusted deployments allow to
// test.
func identity(variants int) []verdict.Null {
	if variants > 1 {
		return []verdict.Null{verdict.Same, verdict.Honest}
	}
	return []verdict.Null{verdict.Same}
}

// describeCells plots the cells in which the answers differ most.
func (t *Trial) describeCells(cells []reference.Cell, seen []*seenCell) {
	type distance struct {
		cell int
		tv   float64
		n    int
	}
	var all []distance
	for i := range cells {
		n := 0
		for _, k := range seen[i].counts {
			n += k
		}
		if n > 0 {
			x, y := aligned(cells[i].Trains(0), seen[i].counts)
			tv, err := stat.TotalVariation(x, y)
			if err == nil {
				all = append(all, distance{i, tv, n})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b distance) int { return cmp.Compare(b.tv, a.tv) })
	sum := 0.0
	for _, d := range all {
		sum += d.tv
	}
	if len(all) > 0 {
		t.Fact("mean distance", "%.2f of total variation over %d cells (biased upwards in small samples)", sum/float64(len(all)), len(all))
	}
	for _, d := range all[:min(len(all), chartedCells)] {
		t.Chart(cellChart(cells[d.cell], seen[d.cell].counts, d.n))
	}
}

// chartedCells is how many cells are plotted, and chartedWords how many answers of each.
const (
	chartedCells = 6
	chartedWords = 12
)

// aligned are the counts of two samples over the same letters.
func aligned(x, y map[string]int) (a, b []int) {
	for _, k := range keysOf(x, y) {
		a, b = append(a, x[k]), append(b, y[k])
	}
	return a, b
}

// keysOf are the keys of both maps in order.
func keysOf(x, y map[string]int) []string {
	var keys []string
	for k := range x {
		keys = append(keys, k)
	}
	for k := range y {
		if _, both := x[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// cellChart plots the shares of a cell's commonest answers.
func cellChart(cell reference.Cell, seen map[string]int, n int) verdict.Chart {
	train := cell.Trains(0)
	total := len(cell.Train[0])
	share := func(word string) (ref, sus float64) {
		return float64(train[word]) / math.Max(float64(total), 1), float64(seen[word]) / math.Max(float64(n), 1)
	}
	words := keysOf(train, seen)
	slices.SortStableFunc(words, func(a, b string) int {
		ra, sa := share(a)
		rb, sb := share(b)
		return cmp.Compare(math.Max(rb, sb), math.Max(ra, sa))
	})
	chart := verdict.Chart{
		Title: fmt.Sprintf("Answers to %s (%d of the reference, %d here)", cell.ID, total, n), Kind: verdict.Bars, X: "answer", Y: "share",
		Series: []verdict.Series{{Name: "reference"}, {Name: "audited"}},
	}
	for _, w := range words[:min(len(words), chartedWords)] {
		ref, sus := share(w)
		chart.Labels = append(chart.Labels, w)
		chart.Series[0].Y = append(chart.Series[0].Y, ref)
		chart.Series[1].Y = append(chart.Series[1].Y, sus)
	}
	return chart
}
