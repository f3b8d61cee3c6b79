package stat

import (
	"fmt"
	"math"
	"slices"
)

// Modes compares one normal distribution with a mixture of two, fitted to the same
// values.
type Modes struct {
	BIC       float64 // by how much Schwarz's criterion prefers two; above 10 is strong (Kass, Raftery 1995)
	Low, High float64 // means of the two
	Share     float64 // of the values in the upper one
}

const (
	modeSteps = 60  // of the fit; it changes nothing any more long before
	modeFloor = .01 // least variance of a mode, as a share of that of all values: a mode of one value has none
)

// TwoModes fits both by maximum likelihood, the mixture by expectation and maximisation
// from a bound at each quarter of the values. It describes and tests nothing: skewed or
// heavy-tailed values prefer two modes as well. It needs eight values.
func TwoModes(values []float64) (Modes, error) {
	n := len(values)
	if n < 8 || slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
		return Modes{}, fmt.Errorf("modes: %d values, or one is no number", n)
	}
	sorted := slices.Sorted(slices.Values(values))
	mean, variance := moments(sorted)
	if variance == 0 {
		return Modes{Low: mean, High: mean}, nil
	}
	one := -.5 * float64(n) * (math.Log(2*math.Pi*variance) + 1)
	var best Modes
	most := math.Inf(-1)
	for quarter := 1; quarter <= 3; quarter++ {
		m, logL := fitModes(sorted, quarter*n/4, modeFloor*variance)
		if logL > most {
			best, most = m, logL
		}
	}
	best.BIC = 2*(most-one) - 3*math.Log(float64(n)) // two modes have three parameters more
	return best, nil
}

func moments(values []float64) (mean, variance float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / n
	}
	return mean, variance
}

// fitModes begins with the first values in one mode and the others in the other.
func fitModes(sorted []float64, bound int, floor float64) (m Modes, logL float64) {
	var mean, variance [2]float64
	mean[0], variance[0] = moments(sorted[:bound])
	mean[1], variance[1] = moments(sorted[bound:])
	share := 1 - float64(bound)/float64(len(sorted))
	upper := make([]float64, len(sorted)) // how far each value belongs to the upper mode
	for range modeSteps {
		logL = 0
		for i, v := range sorted {
			low := math.Log(1-share) + logNormal(v, mean[0], max(variance[0], floor))
			high := math.Log(share) + logNormal(v, mean[1], max(variance[1], floor))
			both := logSumExp([]float64{low, high})
			upper[i] = math.Exp(high - both)
			logL += both
		}
		var weight, sum, square [2]float64
		for i, v := range sorted {
			for k, w := range [2]float64{1 - upper[i], upper[i]} {
				weight[k] += w
				sum[k] += w * v
			}
		}
		if min(weight[0], weight[1]) < 1e-9 {
			break
		}
		for k := range mean {
			mean[k] = sum[k] / weight[k]
		}
		for i, v := range sorted {
			square[0] += (1 - upper[i]) * (v - mean[0]) * (v - mean[0])
			square[1] += upper[i] * (v - mean[1]) * (v - mean[1])
		}
		variance = [2]float64{square[0] / weight[0], square[1] / weight[1]}
		share = weight[1] / float64(len(sorted))
	}
	return Modes{Low: mean[0], High: mean[1], Share: share}, logL
}

func logNormal(v, mean, variance float64) float64 {
	return -.5 * (math.Log(2*math.Pi*variance) + (v-mean)*(v-mean)/variance)
}

// TheilSen is the median of the slopes of all pairs of points whose x differ (Theil
// 1950, Sen 1968): up to 29 % of the points may lie anywhere. It is NaN when there is
// no such pair.
func TheilSen(x, y []float64) float64 {
	var slopes []float64
	for i := range x {
		for j := range i {
			if x[i] != x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	if len(slopes) == 0 {
		return math.NaN()
	}
	slices.Sort(slopes)
	middle := len(slopes) / 2
	if len(slopes)%2 == 1 {
		return slopes[middle]
	}
	return (slopes[middle-1] + slopes[middle]) / 2
}
