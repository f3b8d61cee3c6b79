package main

import (
	"math/rand/v2"
	"strings"
)

// relay is how a simulated endpoint answers word questions. Of each audit it starts
// anew, with randomness of its own.
type relay func(r *rand.Rand) answerer

// answerer answers the n-th question, about a cell.
type answerer func(n int, cell string) string

// choice says which of several models the n-th question goes to. Of each audit it
// starts anew.
type choice[M any] func(r *rand.Rand) func(n int) M

// one is always the same.
func one[M any](m M) choice[M] {
	return func(*rand.Rand) func(int) M { return func(int) M { return m } }
}

// mixed takes another for a share of the questions.
func mixed[M any](claimed, other M, share float64) choice[M] {
	return func(r *rand.Rand) func(int) M {
		return func(int) M {
			if r.Float64() < share {
				return other
			}
			return claimed
		}
	}
}

// turns changes between two every so many questions, from a random beginning.
func turns[M any](a, b M, every int) choice[M] {
	return func(r *rand.Rand) func(int) M {
		start := r.IntN(2 * every)
		return func(n int) M {
			if (start+n)/every%2 == 0 {
				return a
			}
			return b
		}
	}
}

// from draws a model's answer.
func from(m model, r *rand.Rand, cell string) string {
	d := m[cell]
	return d.texts[d.draw(r)]
}

// answering answers from the models that are chosen.
func answering(by choice[model]) relay {
	return func(r *rand.Rand) answerer {
		chosen := by(r)
		return func(n int, cell string) string { return from(chosen(n), r, cell) }
	}
}

// always answers from one model.
func always(m model) relay { return answering(one(m)) }

// diluted answers a share of the questions from another model.
func diluted(claimed, other model, share float64) relay {
	return answering(mixed(claimed, other, share))
}

// alternating changes between two models every so many questions.
func alternating(a, b model, every int) relay { return answering(turns(a, b, every)) }

// spoofed answers from another model, but as the claimed one in the cells that the
// relay knows.
func spoofed(claimed, other model, known map[string]bool) relay {
	return func(r *rand.Rand) answerer {
		return func(_ int, cell string) string {
			if known[cell] {
				return from(claimed, r, cell)
			}
			return from(other, r, cell)
		}
	}
}

// restyled answers from a model in another style, which normalising must see through.
func restyled(m model) relay {
	return func(r *rand.Rand) answerer {
		return func(_ int, cell string) string { return "**" + strings.ToUpper(from(m, r, cell)) + ".** " }
	}
}

// cached answers like questions alike once it has seen one, whatever their nonces.
func cached(m model) relay {
	return func(r *rand.Rand) answerer {
		seen := map[string]string{}
		return func(_ int, cell string) string {
			text, known := seen[cell]
			if !known {
				text = from(m, r, cell)
				seen[cell] = text
			}
			return text
		}
	}
}
