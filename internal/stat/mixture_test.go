package stat

import (
	"math"
	"testing"
)

// The logarithms say what the products say, and Max remembers.
func TestMixture(t *testing.T) {
	t.Parallel()
	m, err := NewMixture(Symmetric())
	if err != nil {
		t.Fatal(err)
	}
	wealth := make([]float64, len(m.Stakes().Lambdas))
	for i := range wealth {
		wealth[i] = 1
	}
	r, largest := Rand(Seed([32]byte{}, "mixture")), 1.0
	for n := range 200 {
		g := 2*r.Float64() - 1
		if err := m.Bet(g); err != nil {
			t.Fatal(err)
		}
		var mean float64
		for i, lambda := range m.Stakes().Lambdas {
			wealth[i] *= 1 + lambda*g
			mean += wealth[i] / float64(len(wealth))
		}
		largest = max(largest, mean)
		if math.Abs(math.Exp(m.LogE())/mean-1) > 1e-10 || math.Abs(math.Exp(m.Max())/largest-1) > 1e-10 || m.N() != n+1 {
			t.Fatalf("after %d: E %v, largest %v; products %v, %v", m.N(), math.Exp(m.LogE()), math.Exp(m.Max()), mean, largest)
		}
	}
}

// A long run neither overflows nor reaches 0.
func TestMixtureExtremes(t *testing.T) {
	t.Parallel()
	for _, g := range []float64{-1, 1} {
		m, err := NewMixture(Symmetric())
		if err != nil {
			t.Fatal(err)
		}
		for range 200_000 {
			if err := m.Bet(g); err != nil {
				t.Fatal(err)
			}
		}
		if math.IsInf(m.LogE(), 0) || math.IsNaN(m.LogE()) || m.LogE()*g <= 0 {
			t.Errorf("200,000 payoffs of %v: log E %v", g, m.LogE())
		}
	}
}

func TestMixtureRefuses(t *testing.T) {
	t.Parallel()
	m, err := NewMixture(Symmetric())
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewShiryaevRoberts(Symmetric())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []float64{1.1, -1.1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		if m.Bet(g) == nil || s.Bet(g) == nil {
			t.Errorf("payoff %v: no error", g)
		}
	}
	if m.N() != 0 || m.LogE() != 0 || s.N() != 0 || !math.IsInf(s.LogM(), -1) {
		t.Error("what was refused was counted")
	}
	if err := m.Bet(1 + 1e-12); err != nil {
		t.Errorf("a payoff that is 1 but for rounding: %v", err)
	}
	nan := math.NaN()
	for _, stakes := range []Stakes{
		{},
		{Lambdas: []float64{.5}},
		{Lambdas: []float64{.5, 0}, Least: -1, Most: 1},
		{Lambdas: []float64{-.5}, Least: -1, Most: 1},
		{Lambdas: []float64{1}, Least: -1, Most: 1},
		{Lambdas: []float64{nan}, Least: -1, Most: 1},
		{Lambdas: []float64{.5}, Least: nan, Most: 1},
		{Lambdas: []float64{.5}, Least: -1, Most: math.Inf(1)},
		{Lambdas: []float64{.5}, Least: .5, Most: 1},
	} {
		if _, err := NewMixture(stakes); err == nil {
			t.Errorf("stakes %v: no error", stakes)
		}
		if _, err := NewShiryaevRoberts(stakes); err == nil {
			t.Errorf("stakes %v: no error of the detector of change", stakes)
		}
	}
}
