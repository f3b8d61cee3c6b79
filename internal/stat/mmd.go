package stat

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// Completion is one sampled answer to the prompt of an index.
type Completion struct {
	Prompt int
	Text   string
}

// padding stands for no code point, as in the authors' code.
const padding = -1

// codes are the first length Unicode code points of text, padded.
func codes(text string, length int) []rune {
	out := make([]rune, 0, length)
	for _, r := range text {
		if len(out) == length {
			break
		}
		out = append(out, r)
	}
	for len(out) < length {
		out = append(out, padding)
	}
	return out
}

// MMD is the squared maximum mean discrepancy of two samples of completions with the
// Hamming kernel (model equality testing, arXiv 2410.20247): for two answers to one
// prompt the share of their first length code points that agree, padding included, and
// 0 otherwise; means are over pairs of one prompt, an answer is not paired with itself.
// It is unbiased and may be negative. Each sample needs two answers to some prompt, and
// a prompt must be common to both.
func MMD(x, y []Completion, length int) (float64, error) {
	g, err := newGrams(x, y, length)
	if err != nil {
		return 0, err
	}
	return g.statistic(), nil
}

// MMDTest compares [MMD] with relabellings within each prompt.
//
// Null: for each prompt the two samples' answers are exchangeable.
func MMDTest(x, y []Completion, length int, permutations Permutations, r *rand.Rand) (Permuted, error) {
	g, err := newGrams(x, y, length)
	if err != nil {
		return Permuted{}, err
	}
	return permutations.run(g.statistic(), func() float64 {
		for _, p := range g.prompts {
			r.Shuffle(len(p.order), func(i, j int) { p.order[i], p.order[j] = p.order[j], p.order[i] })
		}
		return g.statistic()
	})
}

// MMDHonestTest is [MMDTest] of the sample x against each recorded honest variant, of
// which it returns the result with the largest p.
//
// Null: for some variant, and for each prompt, the two samples' answers are
// exchangeable. It is rejected only when each of them is.
func MMDHonestTest(x []Completion, variants [][]Completion, length int, permutations Permutations, r *rand.Rand) (Permuted, error) {
	var hardest Permuted
	if len(variants) == 0 {
		return hardest, fmt.Errorf("mmd: no variants")
	}
	for i, y := range variants {
		p, err := MMDTest(x, y, length, permutations, r)
		if err != nil {
			return Permuted{}, fmt.Errorf("variant %d: %w", i, err)
		}
		if p.P > hardest.P {
			hardest = p
		}
	}
	return hardest, nil
}

// grams are the kernels of all pairs of answers to one prompt, times length: whole
// numbers, so that equal partitions have equal statistics.
type grams struct {
	prompts    []gram
	length     int
	xx, xy, yy int // numbers of ordered pairs
}

type gram struct {
	agree [][]int // agreeing code points of each pair of pooled answers
	order []int   // a permutation; the first nx are the first sample
	nx    int
}

func newGrams(x, y []Completion, length int) (*grams, error) {
	if length < 1 {
		return nil, fmt.Errorf("mmd: length %d", length)
	}
	pooled := map[int][2][][]rune{}
	for side, sample := range [][]Completion{x, y} {
		for _, c := range sample {
			texts := pooled[c.Prompt]
			texts[side] = append(texts[side], codes(c.Text, length))
			pooled[c.Prompt] = texts
		}
	}
	g := &grams{length: length}
	for _, prompt := range slices.Sorted(maps.Keys(pooled)) {
		texts := pooled[prompt]
		nx, ny := len(texts[0]), len(texts[1])
		g.xx, g.xy, g.yy = g.xx+nx*(nx-1), g.xy+nx*ny, g.yy+ny*(ny-1)
		g.prompts = append(g.prompts, newGram(slices.Concat(texts[0], texts[1]), nx))
	}
	if g.xx == 0 || g.xy == 0 || g.yy == 0 {
		return nil, fmt.Errorf("mmd: %d, %d and %d pairs of answers to one prompt in and between the samples", g.xx, g.yy, g.xy)
	}
	return g, nil
}

func newGram(texts [][]rune, nx int) gram {
	p := gram{agree: make([][]int, len(texts)), order: make([]int, len(texts)), nx: nx}
	for i := range texts {
		p.order[i] = i
		p.agree[i] = make([]int, len(texts))
		for j := range i {
			n := 0
			for k, r := range texts[i] {
				if r == texts[j][k] {
					n++
				}
			}
			p.agree[i][j], p.agree[j][i] = n, n
		}
	}
	return p
}

func (g *grams) statistic() float64 {
	var xx, xy, yy int // over unordered pairs
	for _, p := range g.prompts {
		for i, a := range p.order {
			row := p.agree[a]
			for j, b := range p.order[:i] {
				switch {
				case i < p.nx:
					xx += row[b]
				case j < p.nx:
					xy += row[b]
				default:
					yy += row[b]
				}
			}
		}
	}
	l := float64(g.length)
	mean := func(sum, pairs int) float64 { return float64(sum) / l / float64(pairs) }
	return mean(2*xx, g.xx) - 2*mean(xy, g.xy) + mean(2*yy, g.yy)
}
