package probe

import (
	"context"
	"fmt"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// wordsDetector compares the distribution of one-word answers with the reference's.
var wordsDetector = detector{
	id: "D3", name: "One-word answers", layer: verdict.Distribution, nulls: []verdict.Null{verdict.Same, verdict.Honest},
	null: "in every cell, answers are drawn as the reference's (or, for H_honest, as one of the recorded deployments')",
	applies: func(p *Plan) string {
		if p.Reference == nil {
			return "there is no reference to compare with"
		}
		if why := p.Reference.comparable(p); why != "" {
			return why
		}
		if len(p.Reference.usable()) < minCells {
			return fmt.Sprintf("the reference has fewer than %d cells of an entropy of %g to %g bits", minCells, minEntropy, maxEntropy)
		}
		return ""
	},
	run: runWords,
}

// Cells outside these bounds of entropy, in bits, carry too little evidence for their
// questions: their answers are nearly fixed, or nearly all different.
const (
	minEntropy = .5
	maxEntropy = 3.0
	minCells   = 4
)

// usable are the indexes of the word cells that count, judged on train alone.
func (r *baseline) usable() []int {
	var cells []int
	for i := range r.Words {
		var counts []int
		for _, n := range r.Words[i].Trains(0) {
			counts = append(counts, n)
		}
		h, err := stat.Entropy(counts)
		if err == nil && h >= minEntropy && h <= maxEntropy {
			cells = append(cells, i)
		}
	}
	return cells
}

// wordSpecials are answers that are letters however rare.
var wordSpecials = []string{"EMPTY", "REFUSED", "LENGTH"}

// wordQuestions are how word cells are asked and read.
var wordQuestions = questions{ask: wordAsk, read: func(_ string, r *Reply) string { return r.Word() }, always: wordSpecials}

func runWords(ctx context.Context, t *Trial) {
	var cells []reference.Cell
	for _, i := range t.Reference.usable() {
		cells = append(cells, t.Reference.Words[i])
	}
	t.betOnCells(ctx, cells, wordsIn(t.Reference.Protocol.Dress))
}
