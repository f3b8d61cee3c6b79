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

// from draws a model's answer.
func from(m model, r *rand.Rand, cell string) string {
	d := m[cell]
	return d.texts[d.draw(r)]
}

// always answers from one model.
func always(m model) relay {
	return func(r *rand.Rand) answerer { return func(_ int, cell string) string { return from(m, r, cell) } }
}

// diluted answers a share of the questions from another model.
func diluted(claimed, other model, share float64) relay {
	return func(r *rand.Rand) answerer {
		return func(_ int, cell string) string {
			if r.Float64() < share {
				return from(other, r, cell)
			}
			return from(claimed, r, cell)
		}
	}
}

// alternating changes between two models every so many questions, from a random
// beginning.
func alternating(a, b model, every int) relay {
	return func(r *rand.Rand) answerer {
		start := r.IntN(2 * every)
		return func(n int, cell string) string {
			if (start+n)/every%2 == 0 {
				return from(a, r, cell)
			}
			return from(b, r, cell)
		}
	}
}

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
