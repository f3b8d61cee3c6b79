package stat

import (
	"math"
	"testing"
)

// TestTwoModes: two groups are told from one, one is seldom taken for two.
func TestTwoModes(t *testing.T) {
	const runs = 500
	r := Rand(Seed([32]byte{}, "modes"))
	draw := func(distance float64) []float64 {
		values := make([]float64, 20)
		for i := range values {
			values[i] = r.NormFloat64() + float64(i%2)*distance
		}
		return values
	}
	one, two := 0, 0
	for range runs {
		if m, err := TwoModes(draw(0)); err != nil || m.BIC > 10 {
			one++
		}
		m, err := TwoModes(draw(8))
		if err != nil || math.Abs(m.Low) > 2 || math.Abs(m.High-8) > 2 {
			t.Errorf("%+v, %v", m, err)
		}
		if m.BIC > 10 {
			two++
		}
	}
	t.Logf("above 10 in %d of %d samples of one group and %d of two", one, runs, two)
	if one > runs/50 || two < runs*9/10 {
		t.Errorf("above 10 in %d of %d samples of one group and %d of two", one, runs, two)
	}
	if m, err := TwoModes([]float64{3, 3, 3, 3, 3, 3, 3, 3}); err != nil || m.BIC != 0 || m.Low != 3 {
		t.Errorf("equal values: %+v, %v", m, err)
	}
	for _, bad := range [][]float64{nil, {1, 2, 3}, {1, 2, 3, 4, 5, 6, 7, math.NaN()}, {1, 2, 3, 4, 5, 6, 7, math.Inf(1)}} {
		if _, err := TwoModes(bad); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestTheilSen(t *testing.T) {
	x, y := []float64{1, 2, 3, 4, 5, 6, 7}, []float64{3, 5, 7, 9, 1000, 13, 15}
	if got := TheilSen(x, y); got != 2 {
		t.Errorf("slope %v beside one outlier, want 2", got)
	}
	if got := TheilSen([]float64{1, 1}, []float64{2, 3}); !math.IsNaN(got) {
		t.Errorf("slope %v of points above each other", got)
	}
	if got := TheilSen([]float64{0, 1, 2}, []float64{0, 1, 4}); got != 2 {
		t.Errorf("median of 1, 2 and 3: %v", got)
	}
}
