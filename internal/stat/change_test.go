package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

// fair has mean 0 and the size of payoffs of the two-sample test.
func fair(r *rand.Rand) float64 {
	if r.Float64() < .5 {
		return -.3
	}
	return .3
}

// The mean time to a false alarm at level A is at least A observations.
func TestShiryaevRobertsRunLength(t *testing.T) {
	t.Parallel()
	for _, level := range []float64{100, 1000} {
		audits := simulate(1000, "run length", func(r *rand.Rand) audit {
			s, err := NewShiryaevRoberts(Symmetric())
			if err != nil {
				panic(err)
			}
			for s.LogM() < math.Log(level) {
				if err := s.Bet(fair(r)); err != nil {
					panic(err)
				}
			}
			return audit{n: s.N()}
		})
		var sum, squares float64
		for _, a := range audits {
			sum, squares = sum+float64(a.n), squares+float64(a.n)*float64(a.n)
		}
		n := float64(len(audits))
		mean := sum / n
		deviation := math.Sqrt((squares/n - mean*mean) / n)
		t.Logf("A %v: mean run length %.0f (standard error %.0f)", level, mean, deviation)
		if mean < level-3*deviation {
			t.Errorf("mean run length %v at level %v", mean, level)
		}
	}
}

// After 20,000 honest observations, in which E has become nothing, a change is found as
// fast as at the start.
func TestShiryaevRobertsAfterLongPeace(t *testing.T) {
	t.Parallel()
	r := Rand(Seed([32]byte{}, "peace"))
	s, err := NewShiryaevRoberts(Symmetric())
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMixture(Symmetric())
	if err != nil {
		t.Fatal(err)
	}
	bet := func(g float64) {
		if s.Bet(g) != nil || m.Bet(g) != nil {
			t.Fatalf("payoff %v refused", g)
		}
	}
	for range 20_000 {
		bet(fair(r) - .05)
	}
	if m.LogE() > -10 {
		t.Fatalf("log E is %v after the peace", m.LogE())
	}
	delay := 0
	for ; s.LogM() < math.Log(100_000) && delay < 1000; delay++ {
		bet(fair(r) + .2)
	}
	t.Logf("found after %d observations; log E is then %.0f", delay, m.LogE())
	if delay > 150 || m.LogE() > 0 {
		t.Errorf("found after %d observations with log E %v", delay, m.LogE())
	}
	s.Restart()
	if s.N() != 0 || !math.IsInf(s.LogM(), -1) {
		t.Error("a restart remembers")
	}
}

// The logarithms say what the recurrence says.
func TestShiryaevRoberts(t *testing.T) {
	t.Parallel()
	s, err := NewShiryaevRoberts(Stakes{Lambdas: []float64{.2, .7}, Least: -1, Most: 1})
	if err != nil {
		t.Fatal(err)
	}
	var a, b float64
	for _, g := range []float64{.3, -1, 1, .5, .5, -.2} {
		if err := s.Bet(g); err != nil {
			t.Fatal(err)
		}
		a, b = (a+1)*(1+.2*g), (b+1)*(1+.7*g)
		if math.Abs(math.Exp(s.LogM())-(a+b)/2) > 1e-12 {
			t.Errorf("M is %v, want %v", math.Exp(s.LogM()), (a+b)/2)
		}
	}
}
