package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The scores have many ties, and u is uniform all the same: by chi-squared in 20
// classes, and by the test made for it.
func TestRankUniform(t *testing.T) {
	t.Parallel()
	r := Rand(Seed([32]byte{}, "rut"))
	const n, classes = 20_000, 20
	counts, reference, values := make([]int, classes), make([]float64, 10), make([]float64, 0, n)
	for range n {
		for i := range reference {
			reference[i] = float64(r.IntN(4))
		}
		u, err := RankUniform(float64(r.IntN(4)), reference, r.Float64())
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, u)
		counts[int(u*classes)]++
	}
	var chi float64
	for _, c := range counts {
		d := float64(c) - n/classes
		chi += d * d / (n / classes)
	}
	_, corrected, err := CramerVonMises(values)
	t.Logf("chi-squared %.1f in 19 degrees of freedom, corrected W2 %.3f", chi, corrected)
	if chi > 43.8 || err != nil || corrected > CramerVonMisesCritical()[.001] { // 43.8 has p = .001
		t.Errorf("chi-squared %v, corrected W2 %v: %v", chi, corrected, err)
	}
}

func TestRankUniformValues(t *testing.T) {
	t.Parallel()
	reference := []float64{1, 2, 2, 3}
	for _, c := range []struct{ score, v, want float64 }{
		{2, 0, .2}, {2, .5, .5}, {0, .5, .1}, {9, .5, .9}, {1.5, .25, .25},
	} {
		if got, err := RankUniform(c.score, reference, c.v); err != nil || math.Abs(got-c.want) > 1e-15 {
			t.Errorf("score %v at %v has u %v, want %v: %v", c.score, c.v, got, c.want, err)
		}
	}
	for _, c := range [][2]float64{{math.NaN(), .5}, {1, 1}, {1, -.1}, {1, math.NaN()}} {
		if _, err := RankUniform(c[0], reference, c[1]); err == nil {
			t.Errorf("score and v %v: no error", c)
		}
	}
}

func TestCramerVonMises(t *testing.T) {
	t.Parallel()
	values := []float64{.92, .05, .11, .2, .21, .5, .61}
	w2, corrected, err := CramerVonMises(values)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "W2", w2, 0.18339047619047621, 1e-14) // SciPy 1.17.1
	near(t, "corrected", corrected, (w2-.4/7+.6/49)*8/7, 1e-14)
	if !slices.Equal(values, []float64{.92, .05, .11, .2, .21, .5, .61}) {
		t.Error("the values were sorted in place")
	}
	p, err := CramerVonMisesTest(values, Permutations{Most: 9999}, Rand(Seed([32]byte{}, "cvm")))
	if err != nil || math.Abs(p.P-.3065) > .015 { // SciPy's asymptotic p
		t.Errorf("p %v: %v", p.P, err)
	}
	for _, bad := range [][]float64{nil, {1.1}, {-.1}, {math.NaN()}} {
		if _, _, err := CramerVonMises(bad); err == nil {
			t.Errorf("values %v: no error", bad)
		}
	}
}

// The critical values are found again, by fewer simulations with their own error.
func TestCramerVonMisesCritical(t *testing.T) {
	t.Parallel()
	const n, samples = 100, 40_000
	r := Rand(Seed([32]byte{}, "critical values, again"))
	all, values := make([]float64, samples), make([]float64, n)
	for i := range all {
		for j := range values {
			values[j] = r.Float64()
		}
		slices.Sort(values)
		all[i] = (cramerVonMises(values) - .4/n + .6/(n*n)) * (1 + 1.0/n)
	}
	for level, critical := range CramerVonMisesCritical() {
		above := 0
		for _, w := range all {
			if w > critical {
				above++
			}
		}
		rate := float64(above) / samples
		if math.Abs(rate-level) > 4*math.Sqrt(level*(1-level)/samples) {
			t.Errorf("%v is exceeded with probability %v, not %v", critical, rate, level)
		}
	}
}

func TestSmirnov(t *testing.T) {
	t.Parallel()
	x, y := []float64{.1, .5, .9, 1.3, 2.2, 2.9}, []float64{.4, 1.1, 1.6, 2.5, 3.0, 3.5}
	s, err := Smirnov(x, y)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "D", s.Distance, 1.0/3, 1e-15) // SciPy 1.17.1, exact
	near(t, "p", s.P, 0.5357142857142857, 1e-12)
	s, err = Smirnov(x, append(y, 3.6, 3.8, 4.1))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "D", s.Distance, 5.0/9, 1e-15)
	near(t, "p", s.P, math.Exp(-2*25.0/81*54/15), 1e-12)
	if s, err = Smirnov([]float64{1, 1, 2}, []float64{1, 1, 2}); err != nil || s.Distance != 0 || s.P != 1 {
		t.Errorf("equal samples: %v, %v", s, err)
	}
	if s, err = Smirnov(y, x); err != nil || s.Distance > .2 {
		t.Errorf("larger values: %v, %v", s, err)
	}
	for _, bad := range [][]float64{nil, {math.NaN()}} {
		if _, err := Smirnov(bad, y); err == nil {
			t.Errorf("sample %v: no error", bad)
		}
		if _, err := Smirnov(x, bad); err == nil {
			t.Errorf("sample %v: no error", bad)
		}
	}
}

// Both forms of p are valid for timings of the sizes that caches are tested with, and
// find a shift of half a standard deviation at the published level.
func TestSmirnovCalibrated(t *testing.T) {
	t.Parallel()
	for _, m := range []int{250, 180} {
		below := 0
		r := Rand(Seed([32]byte{}, "smirnov"))
		for range 2000 {
			if s, err := Smirnov(normals(r, 250, 0), normals(r, m, 0)); err != nil {
				t.Fatal(err)
			} else if s.P <= .05 {
				below++
			}
		}
		t.Logf("250 and %d values: p <= .05 in %.4f", m, float64(below)/2000)
		if below > 129 {
			t.Errorf("p <= .05 in %d of 2000", below)
		}
		if s, err := Smirnov(normals(r, 250, -.8), normals(r, m, 0)); err != nil || s.P > 1e-8 {
			t.Errorf("a shift has p %v: %v", s.P, err)
		}
	}
}

func normals(r *rand.Rand, n int, mean float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = mean + r.NormFloat64()
	}
	return values
}
