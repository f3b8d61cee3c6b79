package stat

import (
	"fmt"
	"math"
	"time"
)

const (
	// excessBound is where the relative excess of an answer is clipped.
	excessBound = .5
	// leastCounted is the canonical count below which an answer says nothing of billing.
	leastCounted = 20
)

// BillingExcess is the relative excess of reported over counted visible output
// tokens, clipped to [-.5, .5]. Answers of fewer than 20 counted tokens, or with a
// negative report, have none.
func BillingExcess(reported, counted int) (excess float64, ok bool) {
	if counted < leastCounted || reported < 0 {
		return 0, false
	}
	return min(max(float64(reported)/float64(counted)-1, -excessBound), excessBound), true
}

// Billing is the e-process of visible output tokens: an answer with excess y (reported
// over canonical count, [BillingExcess]) multiplies the wealth of a stake by
// 1 + lambda*(y-h)/(.5+h). Related: arXiv 2510.05181.
//
// Null: the mean excess of each answer, given the past, is at most h. When h is an
// upper confidence bound ([BernsteinUpper] of honest answers, at .999), its error adds
// to alpha.
type Billing struct {
	h       float64
	mixture *Mixture
}

// NewBilling starts with an upper bound of the honest mean excess, in (-.5, .5).
func NewBilling(h float64) (*Billing, error) {
	if !(h > -excessBound && h < excessBound) {
		return nil, fmt.Errorf("billing: honest excess %v is not between %v and %v", h, -excessBound, excessBound)
	}
	m, err := NewMixture(scaled(standard(), excessBound+h, excessBound-h))
	if err != nil {
		return nil, fmt.Errorf("billing: %w", err)
	}
	return &Billing{h: h, mixture: m}, nil
}

// Observe bets on one answer and returns its payoff. An answer without an excess is
// not counted and pays 0.
func (b *Billing) Observe(reported, counted int) (float64, error) {
	y, ok := BillingExcess(reported, counted)
	if !ok {
		return 0, nil
	}
	return y - b.h, b.mixture.Bet(y - b.h)
}

// Mixture is the e-process.
func (b *Billing) Mixture() *Mixture { return b.mixture }

// BernsteinUpper is the empirical-Bernstein upper confidence bound of the mean of
// independent values in [low, high] (Maurer and Pontil, arXiv 0907.3740, theorem 4). It
// holds at any sample size, at least 2 values are needed.
func BernsteinUpper(values []float64, low, high, confidence float64) (float64, error) {
	n := float64(len(values))
	if len(values) < 2 || !(low < high) || !(confidence > 0 && confidence < 1) {
		return 0, fmt.Errorf("bernstein bound: %d values in [%v, %v] at confidence %v", len(values), low, high, confidence)
	}
	var sum float64
	for _, x := range values {
		if !(x >= low && x <= high) {
			return 0, fmt.Errorf("bernstein bound: value %v is not in [%v, %v]", x, low, high)
		}
		sum += x
	}
	mean := sum / n
	var squares float64
	for _, x := range values {
		squares += (x - mean) * (x - mean)
	}
	l := math.Log(2 / (1 - confidence))
	bound := mean + math.Sqrt(2*squares/(n-1)*l/n) + 7*(high-low)*l/(3*(n-1))
	return min(bound, high), nil
}

// MostTokens is how many output tokens hardware that decodes at most maxRate tokens a
// second can have made in the time from sending a request to the end of its answer.
// More that are billed are over-billed, whatever was reported. Where a product
// reasons in parallel branches, maxRate is that of all of them together.
func MostTokens(elapsed time.Duration, maxRate float64) float64 {
	return max(elapsed.Seconds(), 0) * maxRate
}

// VisibleMultiple is the smallest billing multiple that [MostTokens] can see of a model
// that decodes rate tokens a second: the bound sees large multiples only.
func VisibleMultiple(rate, maxRate float64) float64 { return maxRate / rate }
