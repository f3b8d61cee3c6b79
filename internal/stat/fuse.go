package stat

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Fusion is the weighted mean of the e-processes of several detectors for one null: an
// e-process again whatever their dependence, as long as each detector's next payoff
// has a mean of at most 0 given all that all of them have seen (Vovk, Wang, arXiv
// 1912.06116). Weights are renormalised over the detectors that apply and never change
// afterwards.
type Fusion struct {
	names   []string
	weights []float64 // sum 1
	logs    []float64 // the last LogE of each
	max     float64
}

// NewFusion freezes the weights of the applicable detectors. Each must have a positive
// weight, and there must be one.
func NewFusion(weights map[string]float64, applicable ...string) (*Fusion, error) {
	f := &Fusion{names: slices.Compact(slices.Sorted(slices.Values(applicable)))}
	var sum float64
	for _, name := range f.names {
		w := weights[name]
		if !(w > 0) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("fusion: detector %q has weight %v", name, w)
		}
		sum += w
		f.weights = append(f.weights, w)
	}
	if len(f.names) == 0 {
		return nil, fmt.Errorf("fusion: no detector applies")
	}
	for i := range f.weights {
		f.weights[i] /= sum
	}
	f.logs = make([]float64, len(f.names))
	return f, nil
}

// Set records a detector's LogE; one that stops keeps its last.
func (f *Fusion) Set(name string, logE float64) error {
	i, known := slices.BinarySearch(f.names, name)
	if !known {
		return fmt.Errorf("fusion: detector %q was not declared applicable", name)
	}
	if math.IsNaN(logE) || math.IsInf(logE, 1) {
		return fmt.Errorf("fusion: detector %q has log E %v", name, logE)
	}
	f.logs[i] = logE
	f.max = max(f.max, f.LogE())
	return nil
}

// LogE is the natural logarithm of the weighted mean; 0 at the start.
func (f *Fusion) LogE() float64 { return logWeighted(f.weights, f.logs) }

// Max is the largest LogE after any Set, at least 0.
func (f *Fusion) Max() float64 { return f.max }

// Weights are the frozen ones by detector; their sum is 1.
func (f *Fusion) Weights() map[string]float64 {
	weights := make(map[string]float64, len(f.names))
	for i, name := range f.names {
		weights[name] = f.weights[i]
	}
	return weights
}

// LogMean is the logarithm of the plain mean of values given by their logarithms; 0
// of none. The facts of one detector are fused so.
func LogMean(logs ...float64) float64 {
	if len(logs) == 0 {
		return 0
	}
	return logMeanExp(logs)
}

// LogWeighted is the logarithm of the weighted mean of values given by their
// logarithms; weights are positive and renormalised. The values of several
// [ShiryaevRoberts] are combined so, with weights that never change.
func LogWeighted(weights, logs []float64) (float64, error) {
	var sum float64
	for _, w := range weights {
		if !(w > 0) || math.IsInf(w, 0) {
			return 0, fmt.Errorf("weighted mean: weight %v is not positive", w)
		}
		sum += w
	}
	if len(weights) == 0 || len(weights) != len(logs) {
		return 0, fmt.Errorf("weighted mean: %d weights for %d values", len(weights), len(logs))
	}
	return logWeighted(weights, logs) - math.Log(sum), nil
}

// logWeighted is log(sum w_i exp(logs_i)).
func logWeighted(weights, logs []float64) float64 {
	terms := make([]float64, len(logs))
	for i, w := range weights {
		terms[i] = math.Log(w) + logs[i]
	}
	return logSumExp(terms)
}

// LogFromP is the natural logarithm of the e-value 1/(2*sqrt(p)) of a p-value in
// (0, 1] (Vovk, Wang, arXiv 1912.06116): its mean is at most 1 when p is valid.
func LogFromP(p float64) (float64, error) {
	if !(p > 0 && p <= 1) {
		return 0, fmt.Errorf("p-value %v is not in (0, 1]", p)
	}
	return -math.Ln2 - math.Log(p)/2, nil
}

// LogFact is the natural logarithm of the e-value of a documented fact: 1/2 + 1/(2*pi0)
// when a mismatch was reproduced, 1/2 when the fact held. Null: an honest endpoint
// mismatches with a probability of at most pi0, in (0, 1], which is assumed and not
// measured. It counts once per fact and version of the reference.
func LogFact(pi0 float64, mismatch bool) (float64, error) {
	if !(pi0 > 0 && pi0 <= 1) {
		return 0, fmt.Errorf("fact: probability %v of an honest mismatch is not in (0, 1]", pi0)
	}
	if !mismatch {
		return -math.Ln2, nil
	}
	return math.Log(.5 + .5/pi0), nil
}

// HolmE says which of the nulls, given by their LogE, are rejected with a family-wise
// error of at most alpha under any dependence: in descending order, while
// e_(j) >= (K-j+1)/alpha.
func HolmE(logs []float64, alpha float64) []bool {
	rejected := make([]bool, len(logs))
	for j, i := range descending(logs) {
		if !(logs[i] >= math.Log(float64(len(logs)-j)/alpha)) {
			break
		}
		rejected[i] = true
	}
	return rejected
}

// BenjaminiHochbergE says which of many streams, given by their LogE, are flagged with
// a false discovery rate of at most q under any dependence (Wang, Ramdas, arXiv
// 2009.02824): the k largest, with the largest k for which e_(k) >= N/(q*k).
func BenjaminiHochbergE(logs []float64, q float64) []bool {
	flagged := make([]bool, len(logs))
	order, last := descending(logs), 0
	for j, i := range order {
		if logs[i] >= math.Log(float64(len(logs))/(q*float64(j+1))) {
			last = j + 1
		}
	}
	for _, i := range order[:last] {
		flagged[i] = true
	}
	return flagged
}

// descending are the indices of logs, the largest first.
func descending(logs []float64) []int {
	order := make([]int, len(logs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logs[b], logs[a]) })
	return order
}
