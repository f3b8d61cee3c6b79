package stat

import (
	"fmt"
	"math"
	"sort"

	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat/distuv"
)

// Classifier is a logistic regression: what it scores higher is likelier of the
// positive kind.
type Classifier struct{ weights []float64 } // the last is the intercept

// NewClassifier fits a logistic regression on sparse vectors with components 0 to
// dims-1, by maximum likelihood with a ridge penalty (le Cessie, van Houwelingen 1992)
// on all but the intercept. Both kinds weigh the same, however many there are of each.
func NewClassifier(dims int, ridge float64, positive, negative [][]Feature) (*Classifier, error) {
	if len(positive) == 0 || len(negative) == 0 || !(ridge > 0) {
		return nil, fmt.Errorf("classifier: %d positive and %d negative vectors, ridge %v", len(positive), len(negative), ridge)
	}
	for _, v := range append(positive[:len(positive):len(positive)], negative...) {
		for _, f := range v {
			if f.Index < 0 || f.Index >= dims || math.IsNaN(f.Value) || math.IsInf(f.Value, 0) {
				return nil, fmt.Errorf("classifier: component %d of %v", f.Index, f.Value)
			}
		}
	}
	kinds := []struct {
		sign    float64
		vectors [][]Feature
	}{{1, positive}, {-1, negative}}
	loss := func(gradient, w []float64) float64 {
		clear(gradient)
		sum := 0.0
		for _, k := range kinds {
			share := 1 / float64(2*len(k.vectors))
			for _, v := range k.vectors {
				margin := k.sign * score(w, v)
				sum += share * (math.Max(-margin, 0) + math.Log1p(math.Exp(-math.Abs(margin))))
				if gradient != nil {
					pull := -k.sign * share / (1 + math.Exp(margin))
					for _, f := range v {
						gradient[f.Index] += pull * f.Value
					}
					gradient[dims] += pull
				}
			}
		}
		for i, x := range w[:dims] {
			sum += ridge * x * x / 2
			if gradient != nil {
				gradient[i] += ridge * x
			}
		}
		return sum
	}
	// The loss is strictly convex but for the intercept, so where the search ends early
	// it is near the one minimum; its status says nothing that a caller could act on.
	fit, err := optimize.Minimize(optimize.Problem{
		Func: func(w []float64) float64 { return loss(nil, w) },
		Grad: func(gradient, w []float64) { loss(gradient, w) },
	}, make([]float64, dims+1), &optimize.Settings{GradientThreshold: 1e-5, MajorIterations: 200}, &optimize.LBFGS{})
	if fit == nil {
		return nil, fmt.Errorf("classifier: %w", err)
	}
	return &Classifier{fit.X}, nil
}

// Score is the logarithm of the odds that a vector is of the positive kind.
func (c *Classifier) Score(v []Feature) float64 { return score(c.weights, v) }

func score(w []float64, v []Feature) float64 {
	sum := w[len(w)-1]
	for _, f := range v {
		sum += w[f.Index] * f.Value
	}
	return sum
}

// AUC is the area under the ROC curve: the probability that a positive scores above a
// negative, ties counted half (Mann, Whitney 1947). Its interval is Newcombe's by
// scores (Statistics in Medicine 25, 2006, method 5), which has a width also where the
// area is 1.
func AUC(positive, negative []float64, confidence float64) (float64, Interval, error) {
	m, n := len(positive), len(negative)
	if m == 0 || n == 0 || !(confidence > 0 && confidence < 1) {
		return 0, Interval{}, fmt.Errorf("area under the curve: %d positive and %d negative scores, confidence %v", m, n, confidence)
	}
	sorted := append([]float64(nil), negative...)
	sort.Float64s(sorted)
	wins := 0.0
	for _, p := range positive {
		below := sort.SearchFloat64s(sorted, p)
		upTo := sort.Search(n, func(i int) bool { return sorted[i] > p })
		wins += float64(below+upTo) / 2
	}
	area := wins / float64(m) / float64(n)
	z := distuv.UnitNormal.Quantile(1 - (1-confidence)/2)
	return area, Interval{boundOfArea(area, m, n, z, 0), boundOfArea(area, m, n, z, 1)}, nil
}

// boundOfArea is the area between the one that was seen and an end, 0 or 1, from which
// the one that was seen is z standard deviations away.
func boundOfArea(area float64, m, n int, z, end float64) float64 {
	more := float64(m+n)/2 - 1
	near, far := area, end
	for range 60 {
		t := (near + far) / 2
		variance := t * (1 - t) * (1 + more*(1-t)/(2-t) + more*t/(1+t)) / float64(m) / float64(n)
		if math.Abs(area-t) < z*math.Sqrt(variance) {
			near = t
		} else {
			far = t
		}
	}
	return near
}
