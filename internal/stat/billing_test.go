package stat

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// honestCount is a canonical count and what an honest upstream reports for it: an end
// token, and now and then a split that is not canonical.
func honestCount(r *rand.Rand) (reported, counted int) {
	counted = 30 + r.IntN(300)
	return counted + 1 + r.IntN(1+counted/100), counted
}

func billingAudit(multiple float64, add, n int, decide bool) func(*rand.Rand) audit {
	return func(r *rand.Rand) audit {
		honest := make([]float64, 1000)
		for i := range honest {
			honest[i], _ = BillingExcess(honestCount(r))
		}
		h, err := BernsteinUpper(honest, -.5, .5, .999)
		if err != nil {
			panic(err)
		}
		b, err := NewBilling(h)
		if err != nil {
			panic(err)
		}
		return follow(n, b.Mixture(), decide, func(int) error {
			reported, counted := honestCount(r)
			_, err := b.Observe(int(math.Round(float64(reported)*multiple))+add, counted)
			return err
		})
	}
}

func TestBilling(t *testing.T) {
	t.Parallel()
	wantCalibrated(t, "honest", simulate(2000, "billing", billingAudit(1, 0, 100, false)))
	wantPower(t, "x1.1", simulate(200, "billing 1.1", billingAudit(1.1, 0, 100, true)), .99, 80)
	wantPower(t, "x1.5", simulate(200, "billing 1.5", billingAudit(1.5, 0, 100, true)), .99, 15)
	wantPower(t, "+50", simulate(200, "billing 50", billingAudit(1, 50, 100, true)), .99, 20)
}

// At the edge of the null, with as much variance as fits, billing is calibrated too.
func TestBillingEdge(t *testing.T) {
	t.Parallel()
	wantCalibrated(t, "edge", simulate(2000, "billing edge", func(r *rand.Rand) audit {
		b, err := NewBilling(.1)
		if err != nil {
			panic(err)
		}
		return follow(600, b.Mixture(), false, func(int) error {
			reported := 100
			if r.Float64() < .6 { // mean excess .6*.5 - .4*.5
				reported += 100
			} else {
				reported -= 100
			}
			_, err := b.Observe(reported, 100)
			return err
		})
	}))
}

func TestBillingExcess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reported, counted int
		excess            float64
		ok                bool
	}{{110, 100, .1, true}, {500, 100, .5, true}, {0, 100, -.5, true}, {90, 19, 0, false}, {-1, 100, 0, false}} {
		excess, ok := BillingExcess(c.reported, c.counted)
		if math.Abs(excess-c.excess) > 1e-12 || ok != c.ok {
			t.Errorf("%d reported of %d: excess %v, %v", c.reported, c.counted, excess, ok)
		}
	}
	b, err := NewBilling(.02)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := b.Observe(100, 10); g != 0 || err != nil || b.Mixture().N() != 0 {
		t.Errorf("a short answer pays %v and is observation %d: %v", g, b.Mixture().N(), err)
	}
	for _, h := range []float64{-.5, .5, math.NaN()} {
		if _, err := NewBilling(h); err == nil {
			t.Errorf("bound %v: no error", h)
		}
	}
}

// The bound covers the mean of a skewed variable, and is about as wide as its formula.
func TestBernsteinUpper(t *testing.T) {
	t.Parallel()
	r, below := Rand(Seed([32]byte{}, "bernstein")), 0
	for range 2000 {
		values := make([]float64, 200)
		for i := range values {
			if r.Float64() < .05 {
				values[i] = .5
			}
		}
		bound, err := BernsteinUpper(values, -.5, .5, .95)
		if err != nil {
			t.Fatal(err)
		}
		if bound < .025 {
			below++
		}
	}
	if below > 129 { // .05 and three standard deviations
		t.Errorf("%d of 2000 bounds are below the mean", below)
	}
	// 101 values of mean 1/101 and variance 1/101, in a range of 2.
	values := make([]float64, 101)
	values[7] = 1
	want := 1.0/101 + math.Sqrt(2.0/101*math.Log(20)/101) + 14*math.Log(20)/300
	if bound, err := BernsteinUpper(values, -1, 1, .9); err != nil || math.Abs(bound-want) > 1e-12 {
		t.Errorf("bound %v, want %v: %v", bound, want, err)
	}
	for _, values := range [][]float64{nil, {1}, {0, 2}, {0, math.NaN()}} {
		if _, err := BernsteinUpper(values, 0, 1, .9); err == nil {
			t.Errorf("values %v: no error", values)
		}
	}
}

func TestTimeBound(t *testing.T) {
	t.Parallel()
	if got := MostTokens(2500*time.Millisecond, 3000); got != 7500 {
		t.Errorf("at most %v tokens", got)
	}
	if got := MostTokens(-time.Second, 3000); got != 0 {
		t.Errorf("at most %v tokens before the start", got)
	}
	if got := VisibleMultiple(80, 3000); got != 37.5 {
		t.Errorf("smallest visible multiple %v", got)
	}
}
