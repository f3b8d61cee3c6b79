package stat

import "fmt"

// Capability is the e-process of graded items that the reference mostly solves: it
// catches a weaker model whatever its style. An item pays p0 - x, x being 1 when it
// was solved and 0 when not.
//
// Null: the suspect solves each item, given the past, with a probability of at least
// p0. When p0 is a lower confidence bound ([BinomialLower] of calibration items from
// the same mixture, at .999), its error adds to alpha.
type Capability struct {
	p0      float64
	mixture *Mixture
}

// NewCapability starts with a lower bound p0 of the reference's accuracy, in (0, 1).
func NewCapability(p0 float64) (*Capability, error) {
	if !(p0 > 0 && p0 < 1) {
		return nil, fmt.Errorf("capability: accuracy %v is not between 0 and 1", p0)
	}
	m, err := NewMixture(scaled([]float64{.05, .125, .25, .4}, 1-p0, p0))
	if err != nil {
		return nil, fmt.Errorf("capability: %w", err)
	}
	return &Capability{p0: p0, mixture: m}, nil
}

// Observe bets on one item and returns its payoff.
func (c *Capability) Observe(solved bool) (float64, error) {
	g := c.p0 - indicator(solved)
	return g, c.mixture.Bet(g)
}

// Mixture is the e-process.
func (c *Capability) Mixture() *Mixture { return c.mixture }

// GradeDifference is the payoff of an item that the reference and the suspect were
// both asked: +1, 0 or -1, for a [Mixture] with [Symmetric] stakes. Null: the suspect
// solves each item with at least the reference's probability. No calibration is needed.
func GradeDifference(reference, suspect bool) float64 {
	return indicator(reference) - indicator(suspect)
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
