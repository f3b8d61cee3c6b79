package stat

import (
	"math"
	"testing"
)

// TestAUC checks areas that are known by hand, and the interval by its definition.
func TestAUC(t *testing.T) {
	for name, c := range map[string]struct {
		positive, negative []float64
		want               float64
	}{
		"all above": {[]float64{3, 4}, []float64{1, 2}, 1},
		"all below": {[]float64{1, 2}, []float64{3, 4}, 0},
		"ties":      {[]float64{1, 1}, []float64{1, 1}, .5},
		"mixed":     {[]float64{2, 4}, []float64{1, 3}, .75},
	} {
		area, interval, err := AUC(c.positive, c.negative, .95)
		if err != nil || area != c.want || !(interval.Low <= area && area <= interval.High) {
			t.Errorf("%s: %v %v %v", name, area, interval, err)
		}
	}
	if _, _, err := AUC(nil, []float64{1}, .95); err == nil {
		t.Error("an area of nothing")
	}
	var high, low []float64
	for i := range 50 {
		high, low = append(high, float64(100+i)), append(low, float64(i))
	}
	if _, i, _ := AUC(high, low, .95); i.High != 1 || i.Low < .9 || i.Low > .99 {
		t.Errorf("interval of a perfect separation: %v", i)
	}
}

// TestAUCInterval: of many samples from two normal distributions, the interval holds
// the true area about as often as it says.
func TestAUCInterval(t *testing.T) {
	r := Rand(Seed([32]byte{1}, "auc"))
	const rounds = 1000
	truth := .5 * math.Erfc(-1/math.Sqrt2/math.Sqrt2) // of means a distance 1 apart
	held := 0
	for range rounds {
		var x, y []float64
		for range 60 {
			x, y = append(x, 1+r.NormFloat64()), append(y, r.NormFloat64())
		}
		if _, i, _ := AUC(x, y, .95); i.Low <= truth && truth <= i.High {
			held++
		}
	}
	if held < 920 || held > 985 {
		t.Errorf("the interval of 95 %% holds the truth in %d of %d", held, rounds)
	}
}

// TestClassifier: what differs in a component is told apart on vectors that were not
// learnt from, what does not is not.
func TestClassifier(t *testing.T) {
	r := Rand(Seed([32]byte{2}, "classifier"))
	draw := func(shift float64) [][]Feature {
		var all [][]Feature
		for range 200 {
			var v []Feature
			for i := range 20 {
				x := r.NormFloat64()
				if i == 7 {
					x += shift
				}
				v = append(v, Feature{i, x})
			}
			all = append(all, v)
		}
		return all
	}
	for _, c := range []struct{ shift, low, high float64 }{{2, .88, .96}, {0, .4, .6}} {
		k, err := NewClassifier(20, .01, draw(c.shift), draw(0))
		if err != nil {
			t.Fatal(err)
		}
		var p, n []float64
		for _, v := range draw(c.shift) {
			p = append(p, k.Score(v))
		}
		for _, v := range draw(0) {
			n = append(n, k.Score(v))
		}
		if area, _, _ := AUC(p, n, .95); area < c.low || area > c.high {
			t.Errorf("shift %v: area %.3f", c.shift, area)
		}
	}
	if _, err := NewClassifier(2, .01, [][]Feature{{{5, 1}}}, [][]Feature{{{0, 1}}}); err == nil {
		t.Error("a component beyond the dimensions")
	}
}
