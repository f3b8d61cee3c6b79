package stat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// audit is what one simulated audit came to.
type audit struct {
	max   float64 // the largest log E
	early float64 // E after few observations, whose mean is at most 1 under the null
	n     int     // observations until E reached 100; 0 if never
}

// progress is what the simulations need of an e-process.
type progress interface {
	LogE() float64
	Max() float64
	N() int
}

const earlyN = 20

// follow runs an audit of at most n observations, to the end of the null's simulations
// and to the decision of the alternative's.
func follow(n int, e progress, decide bool, observe func(t int) error) audit {
	var a audit
	for t := range n {
		if err := observe(t); err != nil {
			panic(err)
		}
		if e.N() == earlyN {
			a.early = math.Exp(e.LogE())
		}
		if a.n == 0 && e.LogE() >= math.Log(100) {
			a.n = t + 1
			if decide {
				break
			}
		}
	}
	a.max = e.Max()
	return a
}

// simulate runs n audits, each on its own seed, on all processors.
func simulate(n int, name string, run func(r *rand.Rand) audit) []audit {
	audits := make([]audit, n)
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				audits[i] = run(Rand(Seed([32]byte{}, name, strconv.Itoa(i))))
			}
		})
	}
	group.Wait()
	return audits
}

// wantCalibrated fails when honest audits alarm more often than alpha and three
// standard deviations allow, or when the mean of E after earlyN observations is above 1
// by more than three standard errors.
func wantCalibrated(t *testing.T, name string, audits []audit) {
	t.Helper()
	n := float64(len(audits))
	for _, alpha := range []float64{.01, .05} {
		alarms := 0
		for _, a := range audits {
			if a.max >= -math.Log(alpha) {
				alarms++
			}
		}
		rate := float64(alarms) / n
		t.Logf("%s: false alarms %.4f of %d at alpha %v", name, rate, len(audits), alpha)
		if rate > alpha+3*math.Sqrt(alpha*(1-alpha)/n) {
			t.Errorf("%s: %d of %d honest audits alarm at alpha %v", name, alarms, len(audits), alpha)
		}
	}
	var sum, squares float64
	for _, a := range audits {
		sum, squares = sum+a.early, squares+a.early*a.early
	}
	mean := sum / n
	deviation := math.Sqrt((squares/n - mean*mean) / n)
	t.Logf("%s: mean of E after %d observations %.4f (standard error %.4f)", name, earlyN, mean, deviation)
	if mean > 1+3*deviation {
		t.Errorf("%s: mean of E is %v, standard error %v", name, mean, deviation)
	}
	if mean == 0 {
		t.Errorf("%s: no early values", name)
	}
}

// wantPower fails when fewer audits than the given share reach E = 100, or the median
// of those that do took longer than it may.
func wantPower(t *testing.T, name string, audits []audit, power float64, median int) {
	t.Helper()
	var decided []int
	for _, a := range audits {
		if a.n > 0 {
			decided = append(decided, a.n)
		}
	}
	slices.Sort(decided)
	share, middle := float64(len(decided))/float64(len(audits)), 0
	if len(decided) > 0 {
		middle = decided[len(decided)/2]
	}
	t.Logf("%s: power %.3f of %d, median %d", name, share, len(audits), middle)
	if share < power || middle > median {
		t.Errorf("%s: power %.3f with median %d, want at least %v within %d", name, share, middle, power, median)
	}
}

// shares of letters, cumulated for drawing.
type distribution struct{ shares, cumulated []float64 }

func newDistribution(shares []float64) distribution {
	d := distribution{shares, slices.Clone(shares)}
	for i := 1; i < len(shares); i++ {
		d.cumulated[i] += d.cumulated[i-1]
	}
	return d
}

func (d distribution) draw(r *rand.Rand) int {
	u, i := r.Float64(), 0
	for i < len(d.cumulated)-1 && d.cumulated[i] < u {
		i++
	}
	return i
}

// toward is the mixture of d and other with the weight of the other.
func (d distribution) toward(other distribution, weight float64) distribution {
	shares := make([]float64, len(d.shares))
	for i := range shares {
		shares[i] = (1-weight)*d.shares[i] + weight*other.shares[i]
	}
	return newDistribution(shares)
}

// dirichlet draws a symmetric one. Gamma variates of shape below 1 by Johnk's rejection
// would be exact and slow; this is Marsaglia and Tsang's with its boost.
func dirichlet(r *rand.Rand, letters int, concentration float64) distribution {
	shares, sum := make([]float64, letters), 0.0
	for i := range shares {
		shares[i] = gamma(r, concentration+1) * math.Pow(r.Float64(), 1/concentration)
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return newDistribution(shares)
}

func gamma(r *rand.Rand, shape float64) float64 {
	d := shape - 1.0/3
	for {
		x := r.NormFloat64()
		v := math.Pow(1+x/math.Sqrt(9*d), 3)
		if v > 0 && math.Log(r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// answers are the names of letters.
var answers = func() []string {
	names := make([]string, 24)
	for i := range names {
		names[i] = fmt.Sprintf("answer %d", i)
	}
	return names
}()
