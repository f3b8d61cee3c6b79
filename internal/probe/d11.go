package probe

import (
	"context"
	"fmt"
	"strings"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// numbersDetector asks for numbers at the edge of what the reference knows, and counts
// the answers that are not those which the reference sticks to, right or wrong.
//
// Null: on average over the recorded questions, an answer departs from the recorded one
// at most as often as the reference's own. That share is bounded with 99.9 % by answers
// that had no part in the choice of the questions; p is the upper tail of the binomial
// distribution, which that of unequal shares does not exceed where it matters (Hoeffding
// 1956), and becomes an e-value once. So the error is alpha and .001 more. It assumes
// that departures of one model from its own answers are independent: without chance in
// the answers they come of near-ties, each its own.
var numbersDetector = detector{
	id: "D11", name: "Numbers at the edge of knowledge", layer: verdict.Distribution, nulls: []verdict.Null{verdict.Same},
	compares: true,
	null:     "answers depart from the recorded ones at most as often as the reference's own",
	applies: func(p *Plan) string {
		if p.Reference == nil {
			return "there is no reference to compare with"
		}
		if why := p.Reference.comparable(p); why != "" {
			return why
		}
		if p.Reference.Numbers == nil {
			return "the reference holds no numbers"
		}
		for _, id := range p.Reference.Numbers.IDs() {
			if _, known := numberAsk(id, stat.Rand([32]byte{})); !known {
				return fmt.Sprintf("the reference has a question %q that this version does not know", id)
			}
		}
		return ""
	},
	run: runNumbers,
}

// leastP keeps an e-value finite.
const leastP = 1e-300

// runNumbers asks as many of the recorded questions as the budget allows, each once, and
// compares once.
func runNumbers(ctx context.Context, t *Trial) {
	known := t.Reference.Numbers
	bound, err := departure(known)
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	order, nonces := stat.Rand(stat.Seed(t.Seed, "order")).Perm(len(known.Items)), stat.Rand(stat.Seed(t.Seed, "nonces"))
	order = order[:min(len(order), t.Budget)]
	var asks []Ask
	for _, i := range order {
		ask, _ := numberAsk(known.Items[i].ID, nonces) // checked before
		asks = append(asks, ask)
	}
	seen := map[string][2]int{} // by domain: answers that depart, and answers
	departed, n := 0, 0
	for k, r := range t.AskAll(ctx, asks) {
		if !r.OK() {
			t.Lose(r)
			continue
		}
		item := known.Items[order[k]]
		domain, _, _ := strings.Cut(item.ID, "/")
		count := seen[domain]
		if numberRead(r) != item.Answer {
			departed++
			count[0]++
		}
		n, count[1] = n+1, count[1]+1
		seen[domain] = count
	}
	if n == 0 {
		t.Inconclusive("no question was answered")
		return
	}
	p := stat.BinomialAtLeast(departed, n, bound)
	logE, err := stat.LogFromP(max(p, leastP))
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	t.Observe(verdict.Same, logE)
	t.evidence(verdict.Same).P = max(p, leastP)
	t.Fact("departures", "%d of %d answers are not the recorded ones, p = %.3g; the reference departs from its own in %d of %d, at most %.3f with %g %%", departed, n, p, known.Departed, known.Asked, bound, 100*calibrated)
	t.chartNumbers(seen)
}

// chartNumbers plots the share of answers of each domain that depart.
func (t *Trial) chartNumbers(seen map[string][2]int) {
	chart := verdict.Chart{Title: "Answers other than the recorded ones", Kind: verdict.Bars, X: "kind of number", Y: "share", Series: []verdict.Series{{Name: "audited"}}}
	for _, d := range numberDomains() {
		if count := seen[d.name]; count[1] > 0 {
			chart.Labels = append(chart.Labels, fmt.Sprintf("%s (%d)", d.name, count[1]))
			chart.Series[0].Y = append(chart.Series[0].Y, share(count[0], count[1]))
		}
	}
	t.Chart(chart)
}
