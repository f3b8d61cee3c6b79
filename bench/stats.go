package main

import "slices"

// spread sums up one figure over slices of time.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"p10"`
	High   float64 `json:"p90"`
	N      int     `json:"n"`
}

func spreadOf(xs []float64) spread {
	return spread{quantile(xs, 0.5), quantile(xs, 0.1), quantile(xs, 0.9), len(xs)}
}

// quantile interpolates between order statistics (definition 7 of Hyndman and
// Fan, The American Statistician 50, 1996). Of nothing it is 0.
func quantile[T ~int64 | ~float64](xs []T, q float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(xs))
	at := q * float64(len(sorted)-1)
	i := int(at)
	low := float64(sorted[i])
	if i+1 == len(sorted) {
		return low
	}
	return low + (at-float64(i))*(float64(sorted[i+1])-low)
}
