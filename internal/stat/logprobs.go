package stat

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// LogprobTest compares the log probabilities of one token's alternatives in two samples
// of answers to one question (log probability tracking, as in the repository
// timothee-chauvin/track-llm-apis): the mean over all alternatives that occur of the
// absolute difference between the samples' means. An alternative that an answer does not
// name counts as the least likely one that it does.
//
// Null: the answers of both samples are exchangeable.
func LogprobTest(x, y []map[string]float64, permutations Permutations, r *rand.Rand) (Permuted, error) {
	all := slices.Concat(x, y)
	if len(x) == 0 || len(y) == 0 || slices.ContainsFunc(all, func(v map[string]float64) bool { return len(v) == 0 }) {
		return Permuted{}, fmt.Errorf("log probabilities: samples of %d and %d answers, or one names none", len(x), len(y))
	}
	tokens := map[string]bool{}
	for _, v := range all {
		for token, l := range v {
			if math.IsNaN(l) || math.IsInf(l, 0) {
				return Permuted{}, fmt.Errorf("log probabilities: one is no number")
			}
			tokens[token] = true
		}
	}
	names := slices.Sorted(maps.Keys(tokens))
	rows, total := make([][]float64, len(all)), make([]float64, len(names))
	for i, v := range all {
		rows[i] = make([]float64, len(names))
		least := slices.Min(slices.Collect(maps.Values(v)))
		for k, name := range names {
			l, named := v[name]
			if !named {
				l = least
			}
			rows[i][k] = l
			total[k] += l
		}
	}
	sum := make([]float64, len(names))
	distance := func() float64 {
		clear(sum)
		for _, row := range rows[:len(x)] {
			for k, l := range row {
				sum[k] += l
			}
		}
		d := 0.0
		for k, s := range sum {
			d += math.Abs(s/float64(len(x)) - (total[k]-s)/float64(len(y)))
		}
		return d / float64(len(names))
	}
	return permutations.run(distance(), func() float64 {
		for i := range x {
			j := i + r.IntN(len(rows)-i)
			rows[i], rows[j] = rows[j], rows[i]
		}
		return distance()
	})
}
