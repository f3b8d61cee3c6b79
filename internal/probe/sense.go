package probe

import (
	"fmt"
	"math"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// sense is one detector of a stream.
type sense struct {
	id      verdict.ID
	kind    Kind
	monthly int
	most    float64 // share of observations that came to nothing above which it says nothing
	learner
	seen, lost int
	lately     recent
}

// learner is what a detector learnt, and how it stands.
type learner interface {
	observe(o *Observed) error
	// stand is how it stands on a hypothesis; false when it does not speak to it.
	stand(n verdict.Null) (stand, bool)
}

// stand is how a detector stands on a hypothesis, in natural logarithms.
type stand struct {
	n          int // observations that were bet on
	logE, logM float64
}

// maxDropped is the share of real requests without a comparison above which nothing is
// concluded from the others: which ones are missing could depend on the answers.
const maxDropped = .02

// newSenses are the detectors of a stream that has seen nothing.
func newSenses(s Stream, recorded *baseline) (senses []*sense, err error) {
	add := func(id verdict.ID, kind Kind, monthly int, most float64, start func() (learner, error)) {
		if err != nil || monthly <= 0 {
			return
		}
		x := &sense{id: id, kind: kind, monthly: monthly, most: most}
		if x.learner, err = start(); err == nil {
			senses = append(senses, x)
		}
	}
	add("D3", Word, s.Monthly.Words, maxFailures, func() (learner, error) { return newWords(s, recorded) })
	add("D4", Pair, s.Monthly.Pairs, maxDropped, func() (learner, error) { return newTraffic(len(s.References)) })
	add("D5", Item, s.Monthly.Items, maxFailures, func() (learner, error) { return newItems(len(s.References)) })
	add("D8", Pair, s.Monthly.Pairs, maxDropped, func() (learner, error) { return newStrangers(len(s.References)) })
	add("D7", Bill, s.Monthly.Bills, 1, func() (learner, error) { return newCharges(recorded) })
	return senses, err
}

// leastTold is how many observations there must be before their failures say anything,
// and mostTold how many of the last are looked at: a bad hour silences nobody for ever.
const (
	leastTold = 50
	mostTold  = 1000
)

// recent is how many of the last observations came to nothing.
type recent struct {
	was  [mostTold]bool // by observation, in turn
	n    int            // observations in all
	lost int            // of the last mostTold
}

func (r *recent) add(lost bool) {
	at := &r.was[r.n%mostTold]
	r.lost += flagged(lost) - flagged(*at)
	*at = lost
	r.n++
}

// take takes one observation of the detector's kind. What is observed while it is silent
// is not bet on: which observations are missing could depend on the answers, and what is
// not believed now must not be later.
func (s *sense) take(o *Observed) error {
	if !o.Dropped && s.silent() == "" {
		if err := s.observe(o); err != nil {
			return err
		}
	}
	s.seen, s.lost = s.seen+1-flagged(o.Dropped), s.lost+flagged(o.Dropped)
	s.lately.add(o.Dropped)
	return nil
}

// silent says why a detector says nothing now; empty when it does.
func (s *sense) silent() string {
	if w, is := s.learner.(*words); is && w.open() == nil {
		return fmt.Sprintf("fewer than %d one-word questions are answered with an entropy of %g to %g bits", minCells, minEntropy, maxEntropy)
	}
	if all := min(s.lately.n, mostTold); all >= leastTold && float64(s.lately.lost) > s.most*float64(all) {
		return fmt.Sprintf("%d of the last %d %s could not be compared; above %.0f %% nothing is concluded", s.lately.lost, all, observations[s.id], 100*s.most)
	}
	return ""
}

// course is the evidence of one detector on one hypothesis: what it comes to in all,
// and a Shiryaev-Roberts process that sees a change however long all was well.
type course struct {
	e *stat.Mixture
	m *stat.ShiryaevRoberts
}

func newCourse(stakes stat.Stakes) (*course, error) {
	e, err := stat.NewMixture(stakes)
	if err != nil {
		return nil, err
	}
	m, err := stat.NewShiryaevRoberts(stakes)
	return &course{e, m}, err
}

func (c *course) bet(g float64) error {
	if err := c.e.Bet(g); err != nil {
		return err
	}
	return c.m.Bet(g)
}

func (c *course) stand() (stand, bool) {
	if c == nil {
		return stand{}, false
	}
	return stand{c.e.N(), c.e.LogE(), c.m.LogM()}, true
}

// courses are those of the hypotheses on a model: honest is nil where nothing is known
// of how far honest deployments differ.
type courses struct{ same, honest *course }

func newCourses(references int) (c courses, err error) {
	if c.same, err = newCourse(stat.Symmetric()); err == nil && references > 1 {
		c.honest, err = newCourse(stat.Symmetric())
	}
	return c, err
}

func (c *courses) bet(p stat.Payoffs) error {
	if err := c.same.bet(p.Same); err != nil || c.honest == nil {
		return err
	}
	return c.honest.bet(p.Honest)
}

func (c *courses) stand(n verdict.Null) (stand, bool) {
	switch n {
	case verdict.Same:
		return c.same.stand()
	case verdict.Honest:
		return c.honest.stand()
	}
	return stand{}, false
}

// traffic compares answers to real requests (D4).
type traffic struct {
	paired *stat.Paired
	change map[verdict.Null]*change
}

// NewPaired is the test of pairs that streams are judged by, against so many trusted
// deployments.
func NewPaired(references int) (*stat.Paired, error) {
	weights := make([]float64, numStrata)
	for i := range weights {
		weights[i] = 1
	}
	return stat.NewPaired(FeatureDims, references, weights...)
}

func newTraffic(references int) (*traffic, error) {
	paired, err := NewPaired(references)
	if err != nil {
		return nil, err
	}
	t := &traffic{paired, map[verdict.Null]*change{}}
	for _, n := range identity(references) {
		if t.change[n], err = newChange(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *traffic) observe(o *Observed) error {
	payoffs, err := t.paired.Observe(o.Strata, o.Suspect, o.Trusted...)
	if err != nil {
		return err
	}
	if err := t.change[verdict.Same].bet(payoffs.Same, o.Strata); err != nil || t.change[verdict.Honest] == nil {
		return err
	}
	return t.change[verdict.Honest].bet(payoffs.Honest, o.Strata)
}

func (t *traffic) process(n verdict.Null) *stat.Stratified {
	if n == verdict.Honest {
		return t.paired.Honest()
	}
	return t.paired.Same()
}

func (t *traffic) stand(n verdict.Null) (stand, bool) {
	c := t.change[n]
	if c == nil {
		return stand{}, false
	}
	return stand{t.paired.Same().N(), t.process(n).LogE(), c.logM()}, true
}

// strata describes the parts of the traffic.
func (t *traffic) strata(n verdict.Null) (parts []StratumE) {
	for i := range numStrata {
		m := t.process(n).Stratum(i)
		parts = append(parts, StratumE{strataNames[i], m.N(), m.LogE() / math.Ln10})
	}
	return parts
}

// change detects that a stream's payoffs began to win, in the whole or in one part of
// the traffic: Shiryaev-Roberts processes, half the weight on all payoffs and half on
// the strata.
type change struct {
	pooled *stat.ShiryaevRoberts
	strata [numStrata]*stat.ShiryaevRoberts
}

func newChange() (*change, error) {
	c := &change{}
	var err error
	if c.pooled, err = stat.NewShiryaevRoberts(stat.Symmetric()); err != nil {
		return nil, err
	}
	for i := range c.strata {
		if c.strata[i], err = stat.NewShiryaevRoberts(stat.Symmetric()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *change) bet(g float64, strata []int) error {
	if err := c.pooled.Bet(g); err != nil {
		return err
	}
	for _, s := range strata {
		if err := c.strata[s].Bet(g); err != nil {
			return err
		}
	}
	return nil
}

// logM is the natural logarithm of the weighted mean. Each stratum's mean grows by at
// most one an observation of its own under the null, so the weighted mean does by at
// most one an observation of the stream.
func (c *change) logM() float64 {
	weights, logs := []float64{.5}, []float64{c.pooled.LogM()}
	for _, s := range c.strata {
		weights, logs = append(weights, .5/numStrata), append(logs, s.LogM())
	}
	m, err := stat.LogWeighted(weights, logs)
	if err != nil {
		return math.Inf(-1)
	}
	return m
}
