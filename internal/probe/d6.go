package probe

import (
	"context"
	"fmt"
	"slices"

	"sallyport/internal/verdict"
)

// toolsDetector compares which of several equivalent tools is called, where the model
// must call one and nothing but its own habit decides.
//
// Its null is that of word questions, and as exact. What a hidden prompt says hardly
// moves such choices, so they are a second opinion where one is found (provenance of
// agents by tool choice, arXiv 2609.00052).
var toolsDetector = detector{
	id: "D6", name: "Tool choice", layer: verdict.Distribution, nulls: []verdict.Null{verdict.Same, verdict.Honest},
	compares: true,
	null:     "in every situation, tools are called as often as by the reference (or, for H_honest, as by one of the recorded deployments)",
	applies: func(p *Plan) string {
		if p.Reference == nil {
			return "there is no reference to compare with"
		}
		return p.Reference.choosing(p)
	},
	run: func(ctx context.Context, t *Trial) {
		t.betOnCells(ctx, t.stored(t.Reference.Tools), toolQuestions)
	},
}

// choosing says why the recorded tool choices cannot be relied on; empty when they can.
func (r *baseline) choosing(p *Plan) string {
	if why := r.comparable(p); why != "" {
		return why
	}
	if len(r.Tools) == 0 {
		return "the reference holds no tool choices"
	}
	if len(r.Tools) < minCells {
		return fmt.Sprintf("the reference has fewer than %d situations in which its model calls a tool", minCells)
	}
	for _, c := range r.Tools {
		if !slices.Contains(toolCells(), c.ID) {
			return fmt.Sprintf("the reference has a situation %q that this version does not know", c.ID)
		}
	}
	return ""
}
