package stat

import (
	"fmt"
	"math"
	"slices"
)

// Feature is one component of a sparse feature vector of an answer.
type Feature struct {
	Index int
	Value float64
}

// Stratified is an e-process on payoffs in [-1, 1] that also watches parts of the
// traffic: half its weight bets on all payoffs, half is spread by fixed weights over
// strata, each of which bets on its own payoffs only. A difference that shows in one
// stratum (long prompts, one key, certain hours) is found there before it is in the
// whole.
//
// Null: that of [Mixture]. What strata an observation belongs to, which may be several
// or none, is decided before its answer is known.
type Stratified struct {
	pooled  *Mixture
	strata  []*Mixture
	weights []float64 // of pooled and of each stratum, sum 1
	max     float64
}

// NewStratified starts with the relative weights of the strata, all positive; with
// none, the pooled payoffs have all the weight.
func NewStratified(weights ...float64) (*Stratified, error) {
	s := &Stratified{strata: make([]*Mixture, len(weights)), weights: []float64{1}}
	var err error
	if s.pooled, err = NewMixture(Symmetric()); err != nil {
		return nil, err
	}
	var sum float64
	for i, w := range weights {
		if !(w > 0) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("strata: weight %v is not positive", w)
		}
		sum += w
		if s.strata[i], err = NewMixture(Symmetric()); err != nil {
			return nil, err
		}
	}
	if len(weights) > 0 {
		s.weights[0] = .5
		for _, w := range weights {
			s.weights = append(s.weights, .5*w/sum)
		}
	}
	return s, nil
}

// Bet multiplies one payoff into the pooled process and those of its strata.
func (s *Stratified) Bet(g float64, strata ...int) error {
	if err := s.check(strata); err != nil {
		return err
	}
	if err := s.pooled.Bet(g); err != nil {
		return err
	}
	for _, i := range strata {
		if err := s.strata[i].Bet(g); err != nil {
			return err
		}
	}
	s.max = max(s.max, s.LogE())
	return nil
}

func (s *Stratified) check(strata []int) error {
	for i, stratum := range strata {
		if stratum < 0 || stratum >= len(s.strata) || slices.Contains(strata[:i], stratum) {
			return fmt.Errorf("strata: no stratum %d of %d, or named twice", stratum, len(s.strata))
		}
	}
	return nil
}

// LogE is the natural logarithm of the combined wealth.
func (s *Stratified) LogE() float64 {
	logs := []float64{s.pooled.LogE()}
	for _, m := range s.strata {
		logs = append(logs, m.LogE())
	}
	return logWeighted(s.weights, logs)
}

// Max is the largest LogE so far, at least 0.
func (s *Stratified) Max() float64 { return s.max }

// N is how many payoffs were bet on.
func (s *Stratified) N() int { return s.pooled.N() }

// Pooled is the process of all payoffs: a description, its error is not the combined
// one's.
func (s *Stratified) Pooled() *Mixture { return s.pooled }

// Stratum is the process of one stratum's payoffs: a description as well.
func (s *Stratified) Stratum(i int) *Mixture { return s.strata[i] }

// Paired is the e-process of answers to the same requests: the suspect's A beside
// those of the reference, and of other recorded or live variants, R_v. A linear score s
// learns, from earlier pairs only, to tell the suspect's answers from the others
// (logistic regression on the difference of the features, AdaGrad: Duchi, Hazan, Singer
// 2011). The family of tests: arXiv 2410.19406.
//
// Null Same: given the request and the past, A and the reference's answer are
// exchangeable; the payoff tanh(s(A) - s(R_0)) has mean 0. Null Honest: A is drawn as
// one of the variants' answers; the payoff is tanh(s(A) - max over variants of s(R_v)).
// Any mix of requests is allowed. Features of one scale, in vectors whose Euclidean norm
// is a few units, are learnt fastest.
type Paired struct {
	same, honest       *Stratified // honest is nil with one variant
	learner, hardLearn *learner
	dims, variants     int
}

// NewPaired starts the test for feature vectors of dims components, against a number of
// variants of which the first is the reference, with the relative weights of strata.
func NewPaired(dims, variants int, strata ...float64) (*Paired, error) {
	if dims < 1 || variants < 1 {
		return nil, fmt.Errorf("paired: %d features, %d variants", dims, variants)
	}
	p := &Paired{dims: dims, variants: variants, learner: newLearner(dims)}
	var err error
	if p.same, err = NewStratified(strata...); err != nil {
		return nil, fmt.Errorf("paired: %w", err)
	}
	if variants > 1 {
		p.hardLearn = newLearner(dims)
		if p.honest, err = NewStratified(strata...); err != nil {
			return nil, fmt.Errorf("paired: %w", err)
		}
	}
	return p, nil
}

// Observe bets on one request's answers, given by their features in ascending order of
// index, and then learns from them: of the null Honest, from the variant that was
// hardest to tell apart. Payoffs are bet in the whole and in the given strata.
func (p *Paired) Observe(strata []int, suspect []Feature, variants ...[]Feature) (Payoffs, error) {
	if len(variants) != p.variants {
		return Payoffs{}, fmt.Errorf("paired: answers of %d variants, not %d", len(variants), p.variants)
	}
	for _, features := range append([][]Feature{suspect}, variants...) {
		if err := p.check(features); err != nil {
			return Payoffs{}, err
		}
	}
	if err := p.same.check(strata); err != nil {
		return Payoffs{}, fmt.Errorf("paired: %w", err)
	}
	difference := subtract(suspect, variants[0])
	paid := Payoffs{Same: math.Tanh(p.learner.score(difference))}
	if err := p.same.Bet(paid.Same, strata...); err != nil {
		return Payoffs{}, fmt.Errorf("paired: %w", err)
	}
	if p.honest != nil {
		least, hardest := math.Inf(1), []Feature(nil)
		for _, variant := range variants {
			d := subtract(suspect, variant)
			if s := p.hardLearn.score(d); s < least {
				least, hardest = s, d
			}
		}
		paid.Honest = math.Tanh(least)
		if err := p.honest.Bet(paid.Honest, strata...); err != nil {
			return Payoffs{}, fmt.Errorf("paired: %w", err)
		}
		p.hardLearn.learn(hardest)
	}
	p.learner.learn(difference)
	return paid, nil
}

// featureBound keeps scores and squared gradients finite.
const featureBound = 1e9

func (p *Paired) check(features []Feature) error {
	last := -1
	for _, f := range features {
		if f.Index <= last || f.Index >= p.dims || !(math.Abs(f.Value) <= featureBound) {
			return fmt.Errorf("paired: feature %d = %v is out of range of %d, or not in ascending order", f.Index, f.Value, p.dims)
		}
		last = f.Index
	}
	return nil
}

// Same is the e-process of the null Same.
func (p *Paired) Same() *Stratified { return p.same }

// Honest is the e-process of the null Honest; nil with one variant.
func (p *Paired) Honest() *Stratified { return p.honest }

// subtract is a - b, both in ascending order of index.
func subtract(a, b []Feature) []Feature {
	difference := make([]Feature, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Index < b[0].Index:
			difference, a = append(difference, a[0]), a[1:]
		case len(a) == 0 || b[0].Index < a[0].Index:
			difference, b = append(difference, Feature{b[0].Index, -b[0].Value}), b[1:]
		default:
			if d := a[0].Value - b[0].Value; d != 0 {
				difference = append(difference, Feature{a[0].Index, d})
			}
			a, b = a[1:], b[1:]
		}
	}
	return difference
}

// learningRate is AdaGrad's: the step of a weight at its first gradient.
const learningRate = .06

// learner is online logistic regression of "the first of the two is the suspect" on
// differences of features. There is no intercept: swapping the two negates the score.
type learner struct {
	weights []float64
	squares []float64 // sums of squared gradients
}

func newLearner(dims int) *learner {
	return &learner{weights: make([]float64, dims), squares: make([]float64, dims)}
}

func (l *learner) score(difference []Feature) float64 {
	var sum float64
	for _, f := range difference {
		sum += l.weights[f.Index] * f.Value
	}
	return sum
}

func (l *learner) learn(difference []Feature) {
	miss := 1 / (1 + math.Exp(l.score(difference))) // what the logistic loss is off by
	for _, f := range difference {
		gradient := miss * f.Value
		l.squares[f.Index] += gradient * gradient
		if l.squares[f.Index] > 0 {
			l.weights[f.Index] += learningRate * gradient / math.Sqrt(l.squares[f.Index])
		}
	}
}
