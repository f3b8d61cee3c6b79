package probe

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// changeDetector compares an endpoint with its own past: by the log probabilities of one
// token (the repository timothee-chauvin/track-llm-apis) or, where it tells none, by the
// answers to near-ties (timothee-chauvin/token-efficient-change-detection-llm-apis).
//
// Null: answers now and when the endpoint was recorded are exchangeable. Both tests see
// changes of precision, batching or hardware that honest deployments of one model differ
// in, so what they find is a change of this endpoint and never another model: the
// evidence has no share in any verdict. p of one permutation test, of 999 relabellings.
var changeDetector = detector{
	id: "D12", name: "Change since recorded", layer: verdict.Distribution, nulls: []verdict.Null{verdict.Unchanged},
	compares: true,
	null:     "answers are exchangeable with those that the endpoint itself gave when it was recorded; self-consistency, not identity",
	applies: func(p *Plan) string {
		if p.Reference == nil {
			return "there is no reference to compare with"
		}
		if why := p.Reference.comparable(p); why != "" {
			return why
		}
		switch host := p.Reference.Variants[0].Host; {
		case p.Reference.Past == nil:
			return "the reference holds no past of an endpoint"
		case host != p.Facts.Host:
			return fmt.Sprintf("an endpoint is compared with its own past only, and that of the reference is of %s", host)
		case p.Reference.Protocol.Model != p.Facts.Model:
			return fmt.Sprintf("the past is that of the model %s", p.Reference.Protocol.Model)
		}
		return ""
	},
	run: runChange,
}

// Answers that are compared with the past.
const (
	changeAnswers = 10 // log probabilities
	borderMost    = 10 // of each near-tie
	borderLeast   = 3
)

func runChange(ctx context.Context, t *Trial) {
	past := t.Reference.Past
	var result stat.Permuted
	var err error
	what := ""
	permute := stat.Permutations{Most: permutations}
	if len(past.Logprobs) > 0 {
		told := t.askLogprobs(ctx, min(t.Budget, changeAnswers))
		what = fmt.Sprintf("log probabilities of %d answers beside %d", len(told), len(past.Logprobs))
		result, err = stat.LogprobTest(past.Logprobs, told, permute, stat.Rand(stat.Seed(t.Seed, "permutations")))
	} else {
		tables, n := t.askBorders(ctx, min(t.Budget/len(past.Borders), borderMost))
		what = fmt.Sprintf("%d answers to %d near-ties beside %d to each", n, len(tables), borderAnswers)
		result, err = stat.TotalVariationTest(tables, permute, stat.Rand(stat.Seed(t.Seed, "permutations")))
	}
	if err != nil {
		t.Inconclusive("too few answers can be compared with the past")
		return
	}
	logE, err := stat.LogFromP(result.P)
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	t.Observe(verdict.Unchanged, logE)
	t.evidence(verdict.Unchanged).P = result.P
	t.Fact("self-consistency", "%s of %s: distance %.3g, p = %.3f; a change of this endpoint, whatever its cause, and not which model answers", what, t.Reference.Recorded.UTC().Format(time.DateOnly), result.Statistic, result.P)
}

// askLogprobs are the log probabilities of n answers.
func (t *Trial) askLogprobs(ctx context.Context, n int) []map[string]float64 {
	asks := make([]Ask, n)
	for i := range asks {
		asks[i] = logprobAsk()
	}
	var all []map[string]float64
	for _, r := range t.AskAll(ctx, asks) {
		if told := logprobs(r); told != nil {
			all = append(all, told)
			continue
		}
		t.Lose(r) // an answer without log probabilities is none here
	}
	return all
}

// askBorders asks n answers to each near-tie, and counts them beside those of the past.
// An input without enough answers is left out.
func (t *Trial) askBorders(ctx context.Context, n int) (tables []stat.Table, answers int) {
	borders := t.Reference.Past.Borders
	order := stat.Rand(stat.Seed(t.Seed, "order"))
	counts := make([]map[string]int, len(borders))
	for i := range counts {
		counts[i] = map[string]int{}
	}
	for range n {
		if t.Over() {
			break
		}
		turn := order.Perm(len(borders))
		var asks []Ask
		for _, i := range turn {
			asks = append(asks, borderAsk(borders[i].Input))
		}
		for k, r := range t.AskAll(ctx, asks) {
			if !r.OK() {
				t.Lose(r)
				continue
			}
			counts[turn[k]][borderRead(r)]++
		}
	}
	for i := range borders {
		x, y := aligned(borders[i].Answers, counts[i])
		sum := 0
		for _, k := range y {
			sum += k
		}
		if sum >= borderLeast {
			tables, answers = append(tables, stat.Table{X: x, Y: y}), answers+sum
		}
	}
	return tables, answers
}
