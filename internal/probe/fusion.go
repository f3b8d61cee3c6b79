package probe

import (
	"math"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// fusion keeps the fused e-value of each hypothesis while detectors work. Weights are
// those of the detectors that the plan says apply, and never change.
type fusion struct {
	nulls map[verdict.Null]*fused
}

// fused is one hypothesis.
type fused struct {
	e     *stat.Fusion
	last  map[verdict.ID]float64 // natural logarithms
	n     int
	max   float64 // decimal logarithm of the largest value so far
	curve []verdict.Point

	markMax float64
	markN   int
}

func newFusion(applicable map[verdict.Null][]verdict.ID) *fusion {
	f := &fusion{nulls: map[verdict.Null]*fused{}}
	for n, ids := range applicable {
		weights, names := map[string]float64{}, []string{}
		for id, w := range verdict.Weights(n, ids) {
			weights[string(id)] = w
			names = append(names, string(id))
		}
		e, err := stat.NewFusion(weights, names...)
		if err != nil {
			continue // no detector has a share in this hypothesis
		}
		f.nulls[n] = &fused{e: e, last: map[verdict.ID]float64{}}
	}
	return f
}

// update takes a detector's new e-value, as a decimal logarithm.
func (f *fusion) update(n verdict.Null, id verdict.ID, log10 float64) {
	x := f.nulls[n]
	if x == nil || x.e.Set(string(id), log10*math.Ln10) != nil {
		return // evidence that has no share in the hypothesis is told, not fused
	}
	x.last[id] = log10
	x.n++
	now := x.e.LogE() / math.Ln10
	x.max = max(x.max, now)
	x.curve = append(x.curve, verdict.Point{X: float64(x.n), Y: now})
}

// mark remembers where the hypotheses stand before a detector begins.
func (f *fusion) mark() {
	for _, x := range f.nulls {
		x.markMax, x.markN = x.max, x.n
	}
}

// withdraw takes back what the detector that ran since the mark said against any
// hypothesis: it failed too often to be believed. What it said for one stays, which
// errs on the safe side.
func (f *fusion) withdraw(id verdict.ID) {
	for _, x := range f.nulls {
		last, said := x.last[id]
		if !said {
			continue
		}
		last = min(last, 0)
		_ = x.e.Set(string(id), last*math.Ln10) // known: it said something before
		x.last[id], x.max, x.n, x.curve = last, x.markMax, x.markN, x.curve[:x.markN]
	}
}
