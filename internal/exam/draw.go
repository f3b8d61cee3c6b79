package exam

import (
	"math/rand/v2"
	"slices"
)

// draw is the one source of chance of a question.
type draw struct{ *rand.Rand }

func newDraw(seed [32]byte) draw { return draw{rand.New(rand.NewChaCha8(seed))} }

// between is uniform over lo to hi, both included.
func (d draw) between(lo, hi int) int { return lo + d.IntN(hi-lo+1) }

// even is true half of the time.
func (d draw) even() bool { return d.IntN(2) == 0 }

// pick is one element of a list that is not empty.
func pick[T any](d draw, list []T) T { return list[d.IntN(len(list))] }

// shuffled is a copy of the list in random order.
func shuffled[T any](d draw, list []T) []T {
	list = slices.Clone(list)
	d.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// sample is n different elements in random order; n is at most the length of the list.
func sample[T any](d draw, list []T, n int) []T { return shuffled(d, list)[:n] }

// people is n different names.
func (d draw) people(n int) []string { return sample(d, names, n) }

// places is n different invented place names.
func (d draw) places(n int) []string {
	var list []string
	for len(list) < n {
		name := pick(d, placeHeads) + pick(d, placeTails)
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// code is an invented reference such as KX-4821.
func (d draw) code() string {
	const upper = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	return string([]byte{upper[d.IntN(len(upper))], upper[d.IntN(len(upper))], '-'}) + itoa(d.between(1000, 9999))
}

// codes is n different references.
func (d draw) codes(n int) []string {
	var list []string
	for len(list) < n {
		if code := d.code(); !slices.Contains(list, code) {
			list = append(list, code)
		}
	}
	return list
}
