package probe

import (
	"context"
	"fmt"
	"slices"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// textsDetector compares continuations of texts with the recorded ones, by the maximum
// mean discrepancy with the Hamming kernel (model equality testing, arXiv 2410.20247).
//
// Null: for the reference, or for some other recorded deployment, answers here and there
// are exchangeable within each text. The largest p-value of all deployments counts, so
// that a sample which fits any of them is not held against the endpoint; it becomes an
// e-value of at most 15.8 once. Recorded samples are used once, by this detector alone.
var textsDetector = detector{
	id: "D13", name: "Continuations", layer: verdict.Distribution, nulls: []verdict.Null{verdict.Same},
	compares: true,
	null:     "continuations of each text are exchangeable with those of a recorded deployment",
	applies: func(p *Plan) string {
		if p.Reference == nil {
			return "there is no reference to compare with"
		}
		if why := p.Reference.continued(p); why != "" {
			return why
		}
		if least := minTexts * len(p.Reference.Texts); p.Profile.Budgets["D13"] < least {
			return fmt.Sprintf("%d questions are needed", least)
		}
		return ""
	},
	run: runTexts,
}

const (
	minTexts     = 2   // answers to each text
	permutations = 999 // of the labels
)

// continued says why the recorded texts cannot be relied on; empty when they can.
func (r *baseline) continued(p *Plan) string {
	if why := r.comparable(p); why != "" {
		return why
	}
	if len(r.Texts) == 0 {
		return "the reference holds no continuations"
	}
	for _, c := range r.Texts {
		if !slices.Contains(textCells(), c.ID) {
			return fmt.Sprintf("the reference continues a text %q that this version does not know", c.ID)
		}
		if slices.ContainsFunc(c.Bank, func(samples []int) bool { return len(samples) < minTexts }) {
			return fmt.Sprintf("the reference has fewer than %d continuations of %q", minTexts, c.ID)
		}
	}
	return ""
}

// runTexts asks for as many continuations of each text as the budget allows, and
// compares them once.
func runTexts(ctx context.Context, t *Trial) {
	cells := t.Reference.Texts
	order, nonces := stat.Rand(stat.Seed(t.Seed, "order")), stat.Rand(stat.Seed(t.Seed, "nonces"))
	seen := make([][]string, len(cells))
	var sample []stat.Completion
	for range t.Budget / len(cells) {
		if t.Over() {
			break
		}
		turn := order.Perm(len(cells))
		var asks []Ask
		for _, c := range turn {
			asks = append(asks, textAsk(cells[c].ID, nonces))
		}
		for i, r := range t.AskAll(ctx, asks) {
			if !r.OK() {
				t.Lose(r)
				continue
			}
			text := textRead("", r)
			seen[turn[i]] = append(seen[turn[i]], text)
			sample = append(sample, stat.Completion{Prompt: turn[i], Text: text})
		}
	}
	var variants [][]stat.Completion
	for v := range t.Reference.Variants {
		variants = append(variants, completions(cells, v))
	}
	result, err := stat.MMDHonestTest(sample, variants, textPoints, stat.Permutations{Most: permutations}, stat.Rand(stat.Seed(t.Seed, "permutations")))
	if err != nil {
		t.Inconclusive("too few continuations to compare")
		return
	}
	logE, err := stat.LogFromP(result.P)
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	t.Observe(verdict.Same, logE)
	t.evidence(verdict.Same).P = result.P
	t.Fact("continuations", "%d of %d texts beside %d recorded", len(sample), len(cells), len(variants[0]))
	t.Fact("discrepancy", "%.4f, p = %.3f by %d relabellings within texts, against the recorded deployment that fits best", result.Statistic, result.P, result.Drawn)
	t.Chart(agreementChart(cells, seen))
}

// completions are the recorded samples of one variant.
func completions(cells []reference.Cell, variant int) []stat.Completion {
	var all []stat.Completion
	for i := range cells {
		for _, text := range recordedTexts(&cells[i], variant) {
			all = append(all, stat.Completion{Prompt: i, Text: text})
		}
	}
	return all
}

func recordedTexts(c *reference.Cell, variant int) []string {
	var texts []string
	for _, letter := range c.Bank[variant] {
		texts = append(texts, c.Letters[letter])
	}
	return texts
}

// agreementChart plots for each text how much continuations agree: the reference's with
// each other, and those seen here with them.
func agreementChart(cells []reference.Cell, seen [][]string) verdict.Chart {
	chart := verdict.Chart{
		Title: "Agreement of continuations", Kind: verdict.Bars, X: "text", Y: "share of equal characters",
		Series: []verdict.Series{{Name: "reference with itself"}, {Name: "audited with reference"}},
	}
	for i := range cells {
		if len(seen[i]) == 0 {
			continue
		}
		recorded := recordedTexts(&cells[i], 0)
		var within, between []float64
		for j, text := range recorded {
			for _, other := range recorded[:j] {
				within = append(within, agreement(text, other))
			}
			for _, other := range seen[i] {
				between = append(between, agreement(text, other))
			}
		}
		chart.Labels = append(chart.Labels, cells[i].ID)
		chart.Series[0].Y = append(chart.Series[0].Y, mean(within))
		chart.Series[1].Y = append(chart.Series[1].Y, mean(between))
	}
	return chart
}

// agreement is the share of the places of the longer text at which both have the same
// character.
func agreement(a, b string) float64 {
	x, y := []rune(a), []rune(b)
	equal := 0
	for i := range min(len(x), len(y)) {
		if x[i] == y[i] {
			equal++
		}
	}
	return float64(equal) / float64(max(len(x), len(y), 1))
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(len(values), 1))
}
