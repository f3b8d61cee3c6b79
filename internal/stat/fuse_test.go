package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFusion(t *testing.T) {
	t.Parallel()
	weights := map[string]float64{"D3": .35, "D4": .35, "D5": .2, "D6": .1}
	f, err := NewFusion(weights, "D5", "D3", "D3")
	if err != nil {
		t.Fatal(err)
	}
	if w := f.Weights(); len(w) != 2 || math.Abs(w["D3"]-.35/.55) > 1e-15 || math.Abs(w["D5"]-.2/.55) > 1e-15 {
		t.Errorf("weights %v", w)
	}
	if f.LogE() != 0 && math.Abs(f.LogE()) > 1e-15 {
		t.Errorf("log E is %v at the start", f.LogE())
	}
	set := func(name string, logE, want float64) {
		t.Helper()
		if err := f.Set(name, logE); err != nil || math.Abs(math.Exp(f.LogE())/want-1) > 1e-12 {
			t.Errorf("E is %v, want %v: %v", math.Exp(f.LogE()), want, err)
		}
	}
	set("D3", math.Log(100), (.35*100+.2)/.55)
	set("D5", math.Log(.01), (.35*100+.2*.01)/.55)
	set("D3", math.Inf(-1), .2*.01/.55)
	if math.Abs(math.Exp(f.Max())-(.35*100+.2)/.55) > 1e-9 {
		t.Errorf("the largest E was %v", math.Exp(f.Max()))
	}
	if err := f.Set("D3", 5000); err != nil || math.IsInf(f.LogE(), 0) {
		t.Errorf("log E is %v: %v", f.LogE(), err)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		if f.Set("D3", bad) == nil {
			t.Errorf("log E %v: no error", bad)
		}
	}
	if f.Set("D4", 0) == nil {
		t.Error("a detector that was not declared: no error")
	}
	for _, names := range [][]string{nil, {"D3", "D9"}} {
		if _, err := NewFusion(weights, names...); err == nil {
			t.Errorf("detectors %v: no error", names)
		}
	}
}

func TestLogMean(t *testing.T) {
	t.Parallel()
	if got := LogMean(math.Log(2), math.Log(4)); math.Abs(got-math.Log(3)) > 1e-15 {
		t.Errorf("log mean %v", got)
	}
	if got := LogMean(1000, math.Inf(-1)); math.Abs(got-(1000-math.Ln2)) > 1e-9 {
		t.Errorf("log mean %v", got)
	}
	if got := LogMean(); got != 0 {
		t.Errorf("log mean of none %v", got)
	}
}

func TestLogWeighted(t *testing.T) {
	t.Parallel()
	got, err := LogWeighted([]float64{3, 1}, []float64{math.Log(2), math.Inf(-1)})
	if err != nil || math.Abs(got-math.Log(1.5)) > 1e-15 {
		t.Errorf("log mean %v: %v", got, err)
	}
	for _, weights := range [][]float64{nil, {1}, {1, 2, 3}, {1, 0}, {1, -1}, {1, math.NaN()}, {1, math.Inf(1)}} {
		if _, err := LogWeighted(weights, []float64{1, 2}); err == nil {
			t.Errorf("weights %v: no error", weights)
		}
	}
}

func TestLogFact(t *testing.T) {
	t.Parallel()
	mismatch, err := LogFact(.01, true)
	if err != nil || math.Abs(math.Exp(mismatch)-50.5) > 1e-12 {
		t.Errorf("a mismatch has e %v: %v", math.Exp(mismatch), err)
	}
	pass, err := LogFact(.01, false)
	if err != nil || math.Abs(.01*math.Exp(mismatch)+.99*math.Exp(pass)-1) > 1e-12 {
		t.Errorf("the mean is %v: %v", .01*math.Exp(mismatch)+.99*math.Exp(pass), err)
	}
	for _, pi0 := range []float64{0, -1, 1.1, math.NaN()} {
		if _, err := LogFact(pi0, true); err == nil {
			t.Errorf("probability %v: no error", pi0)
		}
	}
}

func TestLogFromP(t *testing.T) {
	t.Parallel()
	for p, want := range map[float64]float64{1: .5, .25: 1, .0001: 50} {
		if got, err := LogFromP(p); err != nil || math.Abs(math.Exp(got)-want) > 1e-12 {
			t.Errorf("p %v has e %v, want %v: %v", p, math.Exp(got), want, err)
		}
	}
	for _, p := range []float64{0, -.1, 1.1, math.NaN()} {
		if _, err := LogFromP(p); err == nil {
			t.Errorf("p %v: no error", p)
		}
	}
	// The mean over p = k/1000 for k = 1 .. 1000, as a permutation test gives it.
	var mean float64
	for k := 1; k <= 1000; k++ {
		e, _ := LogFromP(float64(k) / 1000)
		mean += math.Exp(e) / 1000
	}
	if mean > 1 {
		t.Errorf("mean of e %v", mean)
	}
}

func TestHolmE(t *testing.T) {
	t.Parallel()
	logs := func(e ...float64) []float64 {
		for i := range e {
			e[i] = math.Log(e[i])
		}
		return e
	}
	for _, c := range []struct {
		logs []float64
		want []bool
	}{
		{logs(1, 301, 101, 201), []bool{false, false, false, false}}, // the largest needs 400
		{logs(1, 401, 101, 301), []bool{false, true, false, true}},   // the third needs 200
		{logs(101, 401, 201, 301), []bool{true, true, true, true}},
		{[]float64{math.NaN()}, []bool{false}},
		{nil, []bool{}},
	} {
		if got := HolmE(c.logs, .01); !slices.Equal(got, c.want) {
			t.Errorf("%v: rejected %v, want %v", c.logs, got, c.want)
		}
	}
	if got := BenjaminiHochbergE(logs(1, 30, 41, 25), .1); !slices.Equal(got, []bool{false, true, true, true}) {
		t.Errorf("flagged %v", got) // 13.3 is enough for three, though 40 is for one only
	}
	if got := BenjaminiHochbergE([]float64{math.NaN(), 9}, .1); !slices.Equal(got, []bool{false, true}) {
		t.Errorf("flagged %v beside no number", got)
	}
}

// Among 100 streams that share a common shock, 30 of which cheat, e-BH keeps its false
// discovery rate.
func TestFalseDiscoveryRate(t *testing.T) {
	t.Parallel()
	const streams, cheating, q, runs = 100, 30, .05, 2000
	var rates, powers float64
	r := Rand(Seed([32]byte{}, "e-bh"))
	for range runs {
		shock := r.NormFloat64()
		logs := make([]float64, streams)
		for i := range logs {
			x := math.Sqrt(.5)*shock + math.Sqrt(.5)*r.NormFloat64()
			if i < cheating {
				x += 4
			}
			logs[i] = 3*x - 4.5 // a likelihood ratio: mean 1 under the null
		}
		var right, wrong float64
		for i, flagged := range BenjaminiHochbergE(logs, q) {
			if flagged && i < cheating {
				right++
			} else if flagged {
				wrong++
			}
		}
		rates += wrong / max(right+wrong, 1)
		powers += right / cheating
	}
	t.Logf("false discovery rate %.4f at q %v, power %.2f", rates/runs, q, powers/runs)
	if rates/runs > q || powers/runs < .5 {
		t.Errorf("false discovery rate %v, power %v", rates/runs, powers/runs)
	}
}

// The mean of dependent e-processes is calibrated: eight detectors on shared payoffs.
func TestFusionCalibrated(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	weights := map[string]float64{}
	for i, name := range names {
		weights[name] = float64(1 + i)
	}
	wantCalibrated(t, "fused", simulate(2000, "fused", func(r *rand.Rand) audit {
		f, err := NewFusion(weights, names...)
		if err != nil {
			panic(err)
		}
		detectors := make([]*Mixture, len(names))
		for i := range detectors {
			if detectors[i], err = NewMixture(Symmetric()); err != nil {
				panic(err)
			}
		}
		var a audit
		for n := range 100 {
			shared := fair(r)
			for i, d := range detectors {
				g := shared
				if r.Float64() < .3 {
					g = fair(r)
				}
				if d.Bet(g) != nil || f.Set(names[i], d.LogE()) != nil {
					panic("refused")
				}
			}
			if n+1 == earlyN {
				a.early = math.Exp(f.LogE())
			}
		}
		a.max = f.Max()
		return a
	}))
}
