package stat

import (
	"fmt"
	"math"
)

// Entropy is the entropy in bits of the distribution that counts estimate.
func Entropy(counts []int) (float64, error) {
	p, err := shares(counts)
	if err != nil {
		return 0, err
	}
	return entropy(p), nil
}

// JensenShannon is the Jensen-Shannon divergence in bits, in [0, 1], between the
// distributions that two vectors of counts over the same letters estimate:
// H((p+q)/2) - (H(p)+H(q))/2. It is biased upwards in small samples.
func JensenShannon(x, y []int) (float64, error) {
	p, q, err := bothShares(x, y)
	if err != nil {
		return 0, err
	}
	middle := make([]float64, len(p))
	for i := range p {
		middle[i] = (p[i] + q[i]) / 2
	}
	return max(entropy(middle)-(entropy(p)+entropy(q))/2, 0), nil
}

// TotalVariation is the total variation distance, in [0, 1], between the distributions
// that two vectors of counts over the same letters estimate. It is biased upwards in
// small samples.
func TotalVariation(x, y []int) (float64, error) {
	p, q, err := bothShares(x, y)
	if err != nil {
		return 0, err
	}
	var sum float64
	for i := range p {
		sum += math.Abs(p[i] - q[i])
	}
	return sum / 2, nil
}

func bothShares(x, y []int) (p, q []float64, err error) {
	if len(x) != len(y) {
		return nil, nil, fmt.Errorf("counts: %d letters beside %d", len(x), len(y))
	}
	if p, err = shares(x); err != nil {
		return nil, nil, err
	}
	q, err = shares(y)
	return p, q, err
}

func shares(counts []int) ([]float64, error) {
	sum := 0
	for _, n := range counts {
		if n < 0 {
			return nil, fmt.Errorf("counts: %d is negative", n)
		}
		sum += n
	}
	if sum == 0 {
		return nil, fmt.Errorf("counts: nothing was counted")
	}
	p := make([]float64, len(counts))
	for i, n := range counts {
		p[i] = float64(n) / float64(sum)
	}
	return p, nil
}

func entropy(p []float64) float64 {
	var h float64
	for _, x := range p {
		if x > 0 {
			h -= x * math.Log2(x)
		}
	}
	return h
}
