package stat

import (
	"math"
	"testing"
)

// near fails when got is not want within a relative error.
func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if !(math.Abs(got-want) <= relative*max(math.Abs(want), 1e-12)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// Reference values: SciPy 1.17.1 and statsmodels 0.15.0.

func TestBinomialTails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x, n                 int
		p, atLeast, atMostOf float64
	}{
		{3, 10, .1, 0.0701908264, 0.9872048016},
		{40, 364, .05, 3.432041333117853e-06, 0.9999985975574598},
		{364, 364, .99, 0.025775721668980935, 1},
		{100, 100000, .0005, 3.160344787481181e-10, 0.9999999998450515},
		{0, 5, .3, 1, math.Pow(.7, 5)},
		{6, 5, .3, 0, 1},
		{1, 5, 0, 0, 1},
		{5, 5, 1, 1, 1},
	} {
		near(t, "at least", BinomialAtLeast(c.x, c.n, c.p), c.atLeast, 1e-9)
		near(t, "at most", BinomialAtMost(c.x, c.n, c.p), c.atMostOf, 1e-9)
	}
	if !math.IsNaN(BinomialAtLeast(1, 2, math.NaN())) {
		t.Error("a probability that is none gives a tail")
	}
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x, n          int
		confidence    float64
		exact, wilson Interval
	}{
		{0, 20, .95, Interval{0, 0.1684334709830853}, Interval{0, 0.16112515805281938}},
		{7, 20, .95, Interval{0.1539092047845412, 0.5921885345328282}, Interval{0.18119182410108206, 0.5671457233147638}},
		{20, 20, .95, Interval{0.8315665290169147, 1}, Interval{0.8388748419471806, 1}},
		{960, 1000, .998, Interval{0.9370924439060302, 0.976554123240661}, Interval{0.9360996814912385, 0.9751978501910955}},
		{3, 100000, .99, Interval{3.3786619663850127e-06, 0.00010977039641065204}, Interval{7.577617147522687e-06, 0.00011876296629561287}},
	} {
		exact, err := ClopperPearson(c.x, c.n, c.confidence)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "exact low", exact.Low, c.exact.Low, 1e-8)
		near(t, "exact high", exact.High, c.exact.High, 1e-8)
		wilson, err := Wilson(c.x, c.n, c.confidence)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "wilson low", wilson.Low+1, c.wilson.Low+1, 1e-12)
		near(t, "wilson high", wilson.High, c.wilson.High, 1e-12)
	}
	for _, c := range [][3]float64{{-1, 5, .9}, {6, 5, .9}, {0, 0, .9}, {1, 5, 0}, {1, 5, 1}, {1, 5, math.NaN()}} {
		if _, err := ClopperPearson(int(c[0]), int(c[1]), c[2]); err == nil {
			t.Errorf("exact interval of %v: no error", c)
		}
		if _, err := Wilson(int(c[0]), int(c[1]), c[2]); err == nil {
			t.Errorf("wilson's interval of %v: no error", c)
		}
	}
}

// A bound is where the tail has exactly the error allowed.
func TestBinomialBounds(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]int{{1, 1}, {285, 300}, {960, 1000}, {3, 5000}, {99_000, 100_000}} {
		x, n := c[0], c[1]
		for _, confidence := range []float64{.95, .99, .999} {
			low, err := BinomialLower(x, n, confidence)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "lower", BinomialAtLeast(x, n, low), 1-confidence, 1e-6)
			high, err := BinomialUpper(x, n, confidence)
			if err != nil {
				t.Fatal(err)
			}
			if x < n {
				near(t, "upper", BinomialAtMost(x, n, high), 1-confidence, 1e-6)
			} else if high != 1 {
				t.Errorf("upper bound of %d of %d: %v", x, n, high)
			}
		}
	}
	// The audits without an alarm that certify a rate of 1 %: 299 and not 298.
	enough, _ := BinomialUpper(0, 299, .95)
	few, _ := BinomialUpper(0, 298, .95)
	if enough > .01 || few <= .01 {
		t.Errorf("no alarm in 299 certifies %v, in 298 %v", enough, few)
	}
}

func TestNewcombe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x1, n1, x2, n2 int
		want           Interval
	}{
		{56, 70, 48, 80, Interval{0.05243147240236498, 0.33387265403690614}},
		{9, 10, 3, 10, Interval{0.1705227239345029, 0.809017973535488}},
		{10, 10, 0, 20, Interval{0.6790860371419145, 1}},
	} {
		got, err := Newcombe(c.x1, c.n1, c.x2, c.n2, .95)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "low", got.Low, c.want.Low, 1e-12)
		near(t, "high", got.High, c.want.High, 1e-12)
	}
	if _, err := Newcombe(1, 2, 3, 2, .95); err == nil {
		t.Error("3 of 2: no error")
	}
}

func TestFisher(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		table [4]int
		want  FisherP
	}{
		{[4]int{3, 1, 1, 3}, FisherP{0.24285714285714283, 0.9857142857142858, 0.48571428571428565}},
		{[4]int{8, 2, 1, 5}, FisherP{0.024475524475524483, 0.9991258741258742, 0.034965034965034975}},
		{[4]int{0, 50, 12, 400}, FisherP{1, 0.24854114890976503, 0.3788090166639103}},
		{[4]int{12, 5, 29, 2}, FisherP{0.9945252060218822, 0.04455473783507688, 0.08026855207410463}},
		{[4]int{0, 4, 0, 6}, FisherP{1, 1, 1}},
	} {
		got, err := Fisher(c.table[0], c.table[1], c.table[2], c.table[3])
		if err != nil {
			t.Fatal(err)
		}
		near(t, "greater", got.Greater, c.want.Greater, 1e-10)
		near(t, "less", got.Less, c.want.Less, 1e-10)
		near(t, "two-sided", got.TwoSided, c.want.TwoSided, 1e-10)
	}
	for _, table := range [][4]int{{}, {-1, 2, 3, 4}} {
		if _, err := Fisher(table[0], table[1], table[2], table[3]); err == nil {
			t.Errorf("table %v: no error", table)
		}
	}
}
