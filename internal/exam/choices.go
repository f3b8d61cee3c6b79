package exam

import (
	"math/big"
	"slices"
	"strings"
	"time"
)

// decoys draws n wrong answers of the right form, all different.
func decoys(d draw, p problem, n int) []string {
	candidates := shuffled(d, p.others)
	for tries := 0; len(candidates) < n && tries < 200; tries++ {
		candidate := near(d, p.kind, p.answer)
		if candidate != "" && candidate != p.answer && !slices.Contains(candidates, candidate) {
			candidates = append(candidates, candidate)
		}
	}
	return candidates[:min(n, len(candidates))]
}

// near is an answer such as a mistake would give, above or below the right one alike.
func near(d draw, kind Kind, answer string) string {
	switch kind {
	case Number:
		step := big.NewRat(1, 1)
		if _, fraction, found := strings.Cut(answer, "."); found {
			step = new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(fraction))), nil))
		}
		places := big.NewInt(int64(pick(d, []int{1, 2, 3, 5, 9, 10, 20, 90, 100})))
		step.Mul(step, new(big.Rat).SetInt(places))
		if d.even() {
			step.Neg(step)
		}
		x := step.Add(step, mustRat(answer))
		if x.Sign() < 0 {
			return ""
		}
		return decimal(x, 4)
	case Date:
		at, err := time.Parse(time.DateOnly, answer)
		if err != nil {
			return ""
		}
		return at.AddDate(0, 0, pick(d, []int{-31, -7, -2, -1, 1, 2, 7, 31})).Format(time.DateOnly)
	case Clock:
		hours, minutes, _ := strings.Cut(answer, ":")
		return clock(60*number(hours) + number(minutes) + pick(d, []int{-120, -60, -30, -15, -5, 5, 15, 30, 60, 120}))
	case List:
		return strings.Join(exchanged(d, strings.Split(answer, ", ")), ", ")
	case Text:
		if strings.Contains(answer, " ") && d.even() {
			return strings.Join(exchanged(d, strings.Fields(answer)), " ")
		}
		return strings.Join(exchanged(d, strings.Split(answer, "")), "")
	}
	return ""
}

// exchanged swaps two elements, or leaves one out.
func exchanged(d draw, list []string) []string {
	list = slices.Clone(list)
	i, j := d.IntN(len(list)), d.IntN(len(list))
	if i == j {
		return slices.Delete(list, i, i+1)
	}
	list[i], list[j] = list[j], list[i]
	return list
}

// Corrected is an accuracy from which guessing among so many options is taken out: 0 for guessing, 1 for
// all right. It is below 0 where a model does worse than chance.
func Corrected(right, asked, options int) float64 {
	if asked < 1 || options < 2 {
		return 0
	}
	chance := 1 / float64(options)
	return (float64(right)/float64(asked) - chance) / (1 - chance)
}
