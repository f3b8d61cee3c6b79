package stat

import (
	"fmt"
	"math"
	"testing"
)

// TestLogprobs: p is at most .05 as often as it may be, a shift of one alternative by
// ten deviations is found, and equal answers are.
func TestLogprobs(t *testing.T) {
	r := Rand(Seed([32]byte{}, "logprobs"))
	sample := func(n int, shift float64) []map[string]float64 {
		var all []map[string]float64
		for range n {
			v := map[string]float64{}
			for k := range 20 {
				v[fmt.Sprint("token", k)] = -float64(k)/2 + .01*r.NormFloat64()
			}
			v["token3"] += shift
			v["token19"] = v["token18"] - .01
			if r.IntN(2) == 0 {
				delete(v, "token19") // an alternative at the edge
			}
			all = append(all, v)
		}
		return all
	}
	const runs = 400
	small, found := 0, 0
	for range runs {
		p, err := LogprobTest(sample(20, 0), sample(10, 0), Permutations{Most: 199}, r)
		if err != nil {
			t.Fatal(err)
		}
		if p.P <= .05 {
			small++
		}
		if p, _ := LogprobTest(sample(20, 0), sample(10, .1), Permutations{Most: 199}, r); p.P <= .05 {
			found++
		}
	}
	t.Logf("p at most .05 in %d of %d equal pairs and %d shifted ones", small, runs, found)
	// 400 draws at 5 % exceed 34 with a probability below .2 %.
	if small > 34 || found < runs*9/10 {
		t.Errorf("p at most .05 in %d of %d equal pairs and %d shifted ones", small, runs, found)
	}
	same := []map[string]float64{{"a": -1}, {"a": -1}}
	if p, err := LogprobTest(same, same, Permutations{Most: 99}, r); err != nil || p.P != 1 || p.Statistic != 0 {
		t.Errorf("equal answers: %+v, %v", p, err)
	}
	for _, bad := range [][]map[string]float64{nil, {{}}, {{"a": math.NaN()}}, {{"a": math.Inf(-1)}}} {
		if _, err := LogprobTest(same, bad, Permutations{Most: 99}, r); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}
