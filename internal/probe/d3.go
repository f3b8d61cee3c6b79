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
	compares: true,
	null:     "in every cell, answers are drawn as the reference's (or, for H_honest, as one of the recorded deployments')",
	applies: func(p *Plan) string {
		if p.Reference == nil && p.Live {
			return ""
		}
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
	run: func(ctx context.Context, t *Trial) {
		if t.Reference == nil {
			runLiveWords(ctx, t)
			return
		}
		runWords(ctx, t)
	},
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
	t.betOnCells(ctx, t.stored(cells), wordsIn(t.Reference.Protocol.Dress))
}

// Answers of a live reference that alphabets and first guesses are made from, of each
// cell, and how many cells a small budget is spread over.
const (
	liveTrain  = 24
	liveCells  = 16
	liveBudget = 200
)

// runLiveWords learns the alphabets from a live reference and then asks both.
func runLiveWords(ctx context.Context, t *Trial) {
	ids := WordCells()
	if t.Budget < liveBudget {
		r := stat.Rand(stat.Seed(t.Seed, "cells"))
		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		ids = ids[:liveCells]
	}
	nonces := stat.Rand(stat.Seed(t.Seed, "train nonces"))
	b := &baseline{Opened: &reference.Opened{}}
	for _, id := range ids {
		var asks []Ask
		for range liveTrain {
			asks = append(asks, wordQuestions.ask(id, nonces))
		}
		sample := newAlphabet(1)
		var words []string
		for _, r := range t.AskTrusted(ctx, asks) {
			if r.OK() {
				words = append(words, wordQuestions.read(id, r))
			}
		}
		sample.train[0] = sample.add(words)
		b.Words = append(b.Words, sample.cell(id))
	}
	var cells []reference.Cell
	for _, i := range b.usable() {
		cells = append(cells, b.Words[i])
	}
	if len(cells) < minCells {
		t.Inconclusive("the live reference answers fewer than %d questions with an entropy of %g to %g bits", minCells, minEntropy, maxEntropy)
		return
	}
	t.Fact("cells", "%d of %d, from %d answers of the live reference each", len(cells), len(ids), liveTrain)
	t.betOnCells(ctx, t.live(cells, wordQuestions), wordQuestions)
}
