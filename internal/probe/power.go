package probe

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// What share of swapped answers an audit would have found is simulated from stored
// answers: those of the reference, and those of the other model that comes nearest. It
// follows from the plan, the beacon and the number of answers alone, so a verifier
// comes to the same share; the other model's answers stand in the plan for that.

const (
	simulations = 200
	// enoughPower is the chance of being found from which a share counts as detectable.
	enoughPower = .9
	// siblingDistance is how far, in total variation, the sibling lies that stands in for
	// another model where none is known.
	siblingDistance = .4
	// undetectable is the share that is told when no share is found.
	undetectable = 2
)

// dilutions are the shares that are tried, the largest first.
var dilutions = []float64{1, .5, .3, .2, .1, .05, .02}

// rival is the other model of the library that comes nearest to the reference.
type rival struct {
	Model string                    `json:"model"`
	Cells map[string]map[string]int `json:"cells"` // how often each answer was given, by word cell
}

// nearest finds the rival of a reference among those that were recorded under the same
// protocol; nil when there is none.
func nearest(b *baseline, library []*reference.Opened) *rival {
	protocol := func(o *reference.Opened) string {
		p := o.Protocol
		p.Model, p.Dialect = "", ""
		return p.Hash()
	}
	var best *rival
	least := math.Inf(1)
	for _, o := range library {
		if o.Model == b.Model || protocol(o) != protocol(b.Opened) {
			continue
		}
		other := &rival{Model: o.Model, Cells: map[string]map[string]int{}}
		sum, usable := 0.0, b.usable()
		for _, i := range usable {
			c := &b.Words[i]
			at := slices.IndexFunc(o.Words, func(w reference.Cell) bool { return w.ID == c.ID })
			if at < 0 {
				break
			}
			other.Cells[c.ID] = answered(&o.Words[at])
			tv, err := stat.TotalVariation(aligned(answered(c), other.Cells[c.ID]))
			if err != nil {
				break
			}
			sum += tv
		}
		if len(other.Cells) == len(usable) && sum < least {
			best, least = other, sum
		}
	}
	return best
}

// answered counts all answers that were recorded of the first variant of a cell.
func answered(c *reference.Cell) map[string]int {
	counts := c.Trains(0)
	for _, i := range c.Bank[0] {
		counts[c.Letters[i]]++
	}
	return counts
}

// detectable simulates audits of as many answers to word questions, in which a share is
// another model's, and tells the smallest share that is found: the hypothesis that
// answers are the reference's is rejected though no other detector adds to it. Nil when
// the plan does not want it, or no such question was answered.
func (a *audit) detectable(results []verdict.Result) *verdict.Detectable {
	n := a.wordsAnswered(results)
	if n == 0 || !a.plan.Detectable {
		return nil
	}
	weight := a.fused.nulls[verdict.Same].e.Weights()[string(wordsDetector.id)]
	s := newSimulation(a.plan, n, -math.Log(a.plan.Alpha*weight))
	d := &verdict.Detectable{Eps: undetectable, Queries: n, Against: s.against, Runs: simulations}
	for _, eps := range dilutions {
		power, err := s.power(eps, stat.Seed(a.seed, "detectable", fmt.Sprint(eps)))
		if err != nil {
			return nil
		}
		if d.Eps > 1 && eps == dilutions[0] {
			d.Power = power
		}
		if power < enoughPower {
			break
		}
		d.Eps, d.Power = eps, power
	}
	return d
}

// wordsAnswered is how many answers to word questions there were, or might have been
// where fewer decided.
func (a *audit) wordsAnswered(results []verdict.Result) int {
	for _, r := range results {
		for _, e := range r.Evidence {
			switch {
			case r.ID != wordsDetector.id || r.State != verdict.Ran || e.Null != verdict.Same:
			case e.MaxLogE >= verdict.LevelQuarantine.Threshold():
				return max(e.N, a.plan.Profile.Budgets[r.ID])
			default:
				return e.N
			}
		}
	}
	return 0
}

// simulation draws audits from stored answers.
type simulation struct {
	plan    *Plan
	n       int     // answers of each audit
	bar     float64 // natural logarithm of the e-value that rejects
	against string
	cells   []reference.Cell
	trains  []map[string]int
	own     []weighted
	other   []weighted
}

func newSimulation(p *Plan, n int, bar float64) *simulation {
	s := &simulation{plan: p, n: n, bar: bar, against: fmt.Sprintf("a made-up sibling at distance %g", siblingDistance)}
	if p.Rival != nil {
		s.against = p.Rival.Model
	}
	for _, i := range p.Reference.usable() {
		c := p.Reference.Words[i]
		s.cells, s.trains = append(s.cells, c), append(s.trains, c.Trains(0))
		bank := map[string]float64{}
		for _, i := range c.Bank[0] {
			bank[c.Letters[i]]++
		}
		s.own = append(s.own, newWeighted(bank))
		if p.Rival == nil {
			s.other = append(s.other, newWeighted(sibling(c.Trains(0), stat.Rand(stat.Seed([32]byte{}, "sibling", c.ID)))))
			continue
		}
		counts := map[string]float64{}
		for answer, n := range p.Rival.Cells[c.ID] {
			counts[answer] = float64(n)
		}
		s.other = append(s.other, newWeighted(counts))
	}
	return s
}

// power is the share of simulated audits that find a share eps of foreign answers.
// Below the whole it stops counting once enoughPower is out of reach.
func (s *simulation) power(eps float64, seed [32]byte) (float64, error) {
	r := stat.Rand(seed)
	found := 0
	for i := range simulations {
		rejected, err := s.audit(eps, r)
		if err != nil {
			return 0, err
		}
		if rejected {
			found++
		}
		if missed := i + 1 - found; eps < 1 && float64(missed) > (1-enoughPower)*simulations {
			break
		}
	}
	return float64(found) / simulations, nil
}

// audit simulates one audit, cell after cell as a real one, and reports whether it
// rejects.
func (s *simulation) audit(eps float64, r *rand.Rand) (bool, error) {
	alphabets := make([]*stat.Cell, len(s.cells))
	for i := range s.cells {
		var err error
		if alphabets[i], err = stat.NewCell(s.trains[i], wordSpecials...); err != nil {
			return false, err
		}
	}
	betting, err := stat.NewBetting(alphabets, 1, s.plan.Tolerance)
	if err != nil {
		return false, err
	}
	drawn := make([]string, draws(len(s.plan.Reference.Variants)))
	var turn []int
	for range s.n {
		if len(turn) == 0 {
			turn = r.Perm(len(s.cells))
		}
		c := turn[0]
		turn = turn[1:]
		from := s.own[c]
		if r.Float64() < eps {
			from = s.other[c]
		}
		answer := from.draw(r)
		for i := range drawn {
			drawn[i] = s.own[c].draw(r)
		}
		if _, err := betting.Observe(c, answer, drawn); err != nil {
			return false, err
		}
		if betting.Same().LogE() >= s.bar {
			return true, nil
		}
	}
	return false, nil
}

// weighted is a distribution over answers.
type weighted struct {
	answers []string
	sums    []float64 // of weights up to each answer
}

func newWeighted(weights map[string]float64) weighted {
	var w weighted
	sum := 0.0
	for _, answer := range slices.Sorted(maps.Keys(weights)) {
		sum += weights[answer]
		w.answers, w.sums = append(w.answers, answer), append(w.sums, sum)
	}
	return w
}

func (w weighted) draw(r *rand.Rand) string {
	if len(w.answers) == 0 {
		return "EMPTY"
	}
	at := sort.SearchFloat64s(w.sums, r.Float64()*w.sums[len(w.sums)-1])
	return w.answers[min(at, len(w.answers)-1)]
}

// sibling is a distribution at siblingDistance from that of counts: the same answers
// with their shares dealt out anew, as far as that leads, and else with an answer that
// the reference never gives.
func sibling(counts map[string]int, r *rand.Rand) map[string]float64 {
	answers := slices.Sorted(maps.Keys(counts))
	total := 0
	for _, n := range counts {
		total += n
	}
	own, other := map[string]float64{}, map[string]float64{}
	for i, to := range r.Perm(len(answers)) {
		share := float64(counts[answers[i]]) / float64(total)
		own[answers[i]], other[answers[to]] = share, share
	}
	if apart(own, other) < siblingDistance {
		other = reach(own, other, map[string]float64{"\x00": 1})
	}
	return reach(own, own, other)
}

// reach is the mixture of two distributions that lies at siblingDistance from own.
func reach(own, from, to map[string]float64) map[string]float64 {
	var mixed map[string]float64
	low, high := 0.0, 1.0
	for range 40 {
		middle := (low + high) / 2
		mixed = map[string]float64{}
		for answer, p := range from {
			mixed[answer] += (1 - middle) * p
		}
		for answer, p := range to {
			mixed[answer] += middle * p
		}
		if apart(own, mixed) < siblingDistance {
			low = middle
		} else {
			high = middle
		}
	}
	return mixed
}

// apart is the total variation between two distributions.
func apart(a, b map[string]float64) float64 {
	sum := 0.0
	for _, answer := range slices.Sorted(maps.Keys(b)) { // in one order: sums depend on it
		sum += max(b[answer]-a[answer], 0)
	}
	return sum
}
