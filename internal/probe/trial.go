package probe

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// A target that was condemned may come back when a fresh stream of the detector that
// condemned it finds nothing, for as long as would have shown one answer in ten of those
// that were found.

// probation is what a stream must show.
type probation struct {
	by     Kind
	needed int // observations
}

const (
	// residual is the share of answers of another model that must have shown.
	residual = .1
	// power is the chance with which it would.
	power = .9
	// rehearsals is how many streams are simulated, each of at most longestTrial observations.
	rehearsals   = 200
	longestTrial = 20_000
	// pairsFor is how many times as many real requests show a share of residual than showed
	// all answers. Simulated on Gaussian features of three standard deviations it is 147, on
	// texts 16 to 26 (TestPairsNeeded).
	pairsFor = 150
)

// cleared reports whether the stream's probation is over: the detector has seen enough,
// its evidence is below that of a notice, and nothing else was found.
func (x *state) cleared() bool {
	if x.probation == nil {
		return false
	}
	for _, n := range x.nulls() {
		if st := x.standing(n); st.Silent != "" || st.Level != verdict.LevelNone {
			return false
		}
	}
	for _, s := range x.senses {
		at, speaks := s.stand(verdict.Same)
		if s.kind == x.probation.by && speaks {
			return s.silent() == "" && at.n >= x.probation.needed && at.logE < verdict.LevelNotice.Threshold()*math.Ln10
		}
	}
	return false
}

// needed is how many observations of a kind would have shown a residual cheat, judged by
// what the stream saw; false when more than longestTrial, or when that cannot be told.
func (x *state) needed(by Kind, r *rand.Rand) (int, bool) {
	for _, s := range x.senses {
		if s.kind != by {
			continue
		}
		switch l := s.learner.(type) {
		case *words:
			return l.needed(r)
		case *items:
			return l.needed(r)
		case *traffic:
			n := pairsFor * s.seen
			return n, n > 0
		}
	}
	return 0, false
}

// quantile is how many observations suffice with the power wanted, of the numbers that it
// took; those that it never took are above longestTrial.
func quantile(took []int) (int, bool) {
	slices.Sort(took)
	n := took[int(math.Ceil(power*float64(len(took))))-1]
	return n, n <= longestTrial
}

// rehearse simulates streams of payoffs until their evidence is that of a notice.
func rehearse(begin func() (payoff func() (float64, error))) (int, bool) {
	var took []int
	for range rehearsals {
		e, err := stat.NewMixture(stat.Symmetric())
		if err != nil {
			return 0, false
		}
		payoff, n := begin(), 0
		for n <= longestTrial && e.LogE() < verdict.LevelNotice.Threshold()*math.Ln10 {
			g, err := payoff()
			if err == nil {
				err = e.Bet(g)
			}
			if err != nil {
				return 0, false
			}
			n++
		}
		took = append(took, n)
	}
	return quantile(took)
}

// sampler draws answers as they were seen.
type sampler struct {
	answers []string
	counts  []int
	total   int
}

func newSampler(counts map[string]int) *sampler {
	s := &sampler{}
	for _, answer := range slices.Sorted(maps.Keys(counts)) {
		s.answers, s.counts, s.total = append(s.answers, answer), append(s.counts, counts[answer]), s.total+counts[answer]
	}
	return s
}

func (s *sampler) draw(r *rand.Rand) string {
	at := r.IntN(s.total)
	for i, n := range s.counts {
		if at -= n; at < 0 {
			return s.answers[i]
		}
	}
	panic("probe: counts do not add up")
}

// needed simulates streams in which one answer in ten is drawn as the suspect's were.
func (w *words) needed(r *rand.Rand) (int, bool) {
	type told struct {
		train            map[string]int
		suspect, trusted *sampler
	}
	var cells []told
	for i := range w.cells {
		if c := &w.cells[i]; c.betting != nil && len(c.seen) > 0 {
			all := maps.Clone(c.train) // of the first reference, all that is known
			for word, n := range c.trusted {
				all[word] += n
			}
			cells = append(cells, told{c.train, newSampler(c.seen), newSampler(all)})
		}
	}
	if len(cells) == 0 {
		return 0, false
	}
	return rehearse(func() func() (float64, error) {
		betting := make([]*stat.Betting, len(cells))
		return func() (float64, error) {
			i := r.IntN(len(cells))
			if betting[i] == nil {
				cell, err := stat.NewCell(cells[i].train, wordSpecials...)
				if err != nil {
					return 0, err
				}
				if betting[i], err = stat.NewBetting([]*stat.Cell{cell}, 1, 0); err != nil {
					return 0, err
				}
			}
			answer := cells[i].trusted.draw(r)
			if r.Float64() < residual {
				answer = cells[i].suspect.draw(r)
			}
			p, err := betting[i].Observe(0, answer, []string{cells[i].trusted.draw(r)})
			return p.Same, err
		}
	})
}

// needed simulates streams in which one item in ten is solved as the suspect solved them.
func (i *items) needed(r *rand.Rand) (int, bool) {
	if i.asked == 0 {
		return 0, false
	}
	here, there := float64(i.solved)/float64(i.asked), float64(i.beside)/float64(i.asked)
	return rehearse(func() func() (float64, error) {
		return func() (float64, error) {
			p := there
			if r.Float64() < residual {
				p = here
			}
			return stat.GradeDifference(r.Float64() < there, r.Float64() < p), nil
		}
	})
}
