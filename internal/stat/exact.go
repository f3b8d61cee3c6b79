package stat

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a confidence interval, both ends included.
type Interval struct{ Low, High float64 }

// BinomialAtLeast is P(X >= x) of a binomial X with n trials of probability p: the
// p-value of x mismatches when honest ones have at most probability p.
func BinomialAtLeast(x, n int, p float64) float64 {
	switch {
	case math.IsNaN(p) || n < 0:
		return math.NaN()
	case x <= 0:
		return 1
	case x > n || p <= 0:
		return 0
	case p >= 1:
		return 1
	}
	return mathext.RegIncBeta(float64(x), float64(n-x+1), p)
}

// BinomialAtMost is P(X <= x) of a binomial X with n trials of probability p.
func BinomialAtMost(x, n int, p float64) float64 {
	return BinomialAtLeast(n-x, n, 1-p)
}

// BinomialLower is the one-sided Clopper-Pearson lower bound of a probability after x
// successes in n trials: it is above the truth with a probability of at most
// 1-confidence.
func BinomialLower(x, n int, confidence float64) (float64, error) {
	if err := checkShare(x, n, confidence); err != nil {
		return 0, err
	}
	if x == 0 {
		return 0, nil
	}
	return mathext.InvRegIncBeta(float64(x), float64(n-x+1), 1-confidence), nil
}

// BinomialUpper is the one-sided Clopper-Pearson upper bound of a probability after x
// successes in n trials.
func BinomialUpper(x, n int, confidence float64) (float64, error) {
	low, err := BinomialLower(n-x, n, confidence)
	return 1 - low, err
}

// ClopperPearson is the exact two-sided interval of a probability after x successes in
// n trials (Clopper, Pearson 1934).
func ClopperPearson(x, n int, confidence float64) (Interval, error) {
	if err := checkShare(x, n, confidence); err != nil {
		return Interval{}, err
	}
	each := 1 - (1-confidence)/2
	low, err := BinomialLower(x, n, each)
	if err != nil {
		return Interval{}, err
	}
	high, err := BinomialUpper(x, n, each)
	return Interval{low, high}, err
}

// Wilson is the score interval of a probability after x successes in n trials (Wilson
// 1927): close to its confidence on average, not a guarantee.
func Wilson(x, n int, confidence float64) (Interval, error) {
	if err := checkShare(x, n, confidence); err != nil {
		return Interval{}, err
	}
	z := distuv.UnitNormal.Quantile(1 - (1-confidence)/2)
	size, share := float64(n), float64(x)/float64(n)
	scale := 1 + z*z/size
	centre := (share + z*z/(2*size)) / scale
	half := z / scale * math.Sqrt(share*(1-share)/size+z*z/(4*size*size))
	return Interval{max(centre-half, 0), min(centre+half, 1)}, nil
}

// Newcombe is the interval of the difference p1 - p2 of two independent probabilities
// (Newcombe 1998, method 10), from the Wilson interval of each.
func Newcombe(x1, n1, x2, n2 int, confidence float64) (Interval, error) {
	first, err := Wilson(x1, n1, confidence)
	if err != nil {
		return Interval{}, err
	}
	second, err := Wilson(x2, n2, confidence)
	if err != nil {
		return Interval{}, err
	}
	p1, p2 := float64(x1)/float64(n1), float64(x2)/float64(n2)
	return Interval{
		p1 - p2 - math.Hypot(p1-first.Low, second.High-p2),
		p1 - p2 + math.Hypot(first.High-p1, p2-second.Low),
	}, nil
}

func checkShare(x, n int, confidence float64) error {
	if n < 1 || x < 0 || x > n {
		return fmt.Errorf("share: %d of %d", x, n)
	}
	if !(confidence > 0 && confidence < 1) {
		return fmt.Errorf("share: confidence %v is not between 0 and 1", confidence)
	}
	return nil
}

// FisherP are the p-values of Fisher's exact test of a 2x2 table.
type FisherP struct {
	Greater  float64 // the first row's share of the first column is larger
	Less     float64 // it is smaller
	TwoSided float64 // tables at most as probable as the observed one
}

// Fisher is the exact test of the table with rows (a, b) and (c, d): a of a+b anomalies
// in one kind of traffic, c of c+d in the other. Null: one probability for both.
func Fisher(a, b, c, d int) (FisherP, error) {
	if min(a, b, c, d) < 0 || a+b+c+d == 0 {
		return FisherP{}, fmt.Errorf("fisher's test: table %d %d / %d %d", a, b, c, d)
	}
	row, column, all := a+b, a+c, a+b+c+d
	logP := func(k int) float64 {
		return logChoose(row, k) + logChoose(all-row, column-k) - logChoose(all, column)
	}
	var p FisherP
	observed := logP(a)
	for k := max(0, column-(all-row)); k <= min(row, column); k++ {
		l := logP(k)
		mass := math.Exp(l)
		if k >= a {
			p.Greater += mass
		}
		if k <= a {
			p.Less += mass
		}
		if l <= observed+1e-7 {
			p.TwoSided += mass
		}
	}
	p.Greater, p.Less, p.TwoSided = min(p.Greater, 1), min(p.Less, 1), min(p.TwoSided, 1)
	return p, nil
}

// logChoose is the natural logarithm of n over k.
func logChoose(n, k int) float64 {
	l := func(m int) float64 { v, _ := math.Lgamma(float64(m + 1)); return v }
	return l(n) - l(k) - l(n-k)
}
