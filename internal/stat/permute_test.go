package stat

import (
	"math"
	"testing"
)

// tables are two samples of n answers to each cell.
func tables(reference, suspect model, n int, label string) []Table {
	r := Rand(Seed([32]byte{}, label))
	cells := make([]Table, len(reference))
	for i := range cells {
		cells[i] = Table{make([]int, len(answers)), make([]int, len(answers))}
		for range n {
			cells[i].X[reference[i].draw(r)]++
			cells[i].Y[suspect[i].draw(r)]++
		}
	}
	return cells
}

func TestTotalVariationTest(t *testing.T) {
	t.Parallel()
	reference, unrelated, _, _ := models()
	const runs = 400
	below, drawn := 0, 0
	r := Rand(Seed([32]byte{}, "tv"))
	for i := range runs {
		p, err := TotalVariationTest(tables(reference, reference, 5, string(rune(i))), Permutations{Most: 199, Enough: 20}, r)
		if err != nil {
			t.Fatal(err)
		}
		drawn += p.Drawn
		if p.P <= .05 {
			below++
		}
	}
	t.Logf("p <= .05 in %d of %d, %d permutations a test", below, runs, drawn/runs)
	if float64(below) > .05*runs+3*math.Sqrt(.05*.95*runs) {
		t.Errorf("p <= .05 in %d of %d honest tests", below, runs)
	}
	p, err := TotalVariationTest(tables(reference, reference.toward(unrelated, .3), 10, "cheat"), Permutations{Most: 999}, r)
	if err != nil || p.P != .001 || p.Drawn != 999 {
		t.Errorf("a dilution of .3: %v, %v", p, err)
	}
	for _, bad := range [][]Table{nil, {{}}, {{[]int{1}, []int{0}}}, {{[]int{1}, []int{1, 2}}}, {{[]int{-1, 2}, []int{1, 1}}}} {
		if _, err := TotalVariationTest(bad, Permutations{Most: 9}, r); err == nil {
			t.Errorf("tables %v: no error", bad)
		}
	}
}

// p-values of the sequential form are valid: at most u with a probability of at most u.
func TestPermutationsStopEarly(t *testing.T) {
	t.Parallel()
	r := Rand(Seed([32]byte{}, "besag"))
	const runs = 20_000
	for _, permutations := range []Permutations{{Most: 199}, {Most: 199, Enough: 5}, {Most: 199, Enough: 40}} {
		var p []float64
		for range runs {
			result, err := permutations.run(r.Float64(), r.Float64)
			if err != nil {
				t.Fatal(err)
			}
			p = append(p, result.P)
		}
		for _, level := range []float64{.005, .01, .05, .2, .5} {
			below := 0
			for _, x := range p {
				if x <= level {
					below++
				}
			}
			if float64(below) > level*runs+3*math.Sqrt(level*(1-level)*runs) {
				t.Errorf("%+v: p <= %v in %d of %d", permutations, level, below, runs)
			}
		}
	}
	equal := func() float64 { return 1 }
	if result, err := (Permutations{Most: 999, Enough: 7}).run(1, equal); err != nil || result.P != 1 || result.Drawn != 7 {
		t.Errorf("all as large: %+v, %v", result, err)
	}
	for _, bad := range []Permutations{{}, {Most: -1}, {Most: 9, Enough: -1}} {
		if _, err := bad.run(1, equal); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}
