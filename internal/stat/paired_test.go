package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

const gaussianDims = 40

// gaussian is the features of an answer: independent and standard normal, shifted
// along the diagonal.
func gaussian(features []Feature, r *rand.Rand, shift float64) {
	shift /= math.Sqrt(gaussianDims)
	for i := range features {
		features[i] = Feature{i, r.NormFloat64() + shift}
	}
}

// pairedAudit shifts the suspect's features by shift in a share of the answers.
type pairedAudit struct {
	shift, share float64
	variants     []float64 // shifts of the recorded variants
	suspect      func(t int) float64
	strata       []float64
	only         int // the stratum that is shifted, of as many as there are; 0 for all
	n            int
	decide       bool
	honest       bool
}

func (a pairedAudit) run(r *rand.Rand) audit {
	p, err := NewPaired(gaussianDims, len(a.variants), a.strata...)
	if err != nil {
		panic(err)
	}
	e := p.Same()
	if a.honest {
		e = p.Honest()
	}
	suspect, variants := make([]Feature, gaussianDims), make([][]Feature, len(a.variants))
	for i := range variants {
		variants[i] = make([]Feature, gaussianDims)
	}
	return follow(a.n, e, a.decide, func(t int) error {
		var shift float64
		var strata []int
		if a.suspect != nil {
			shift = a.suspect(t)
		}
		if len(a.strata) > 0 {
			strata = []int{r.IntN(len(a.strata))}
		}
		if r.Float64() < a.share && (a.only == 0 || strata[0] == a.only-1) {
			shift += a.shift
		}
		gaussian(suspect, r, shift)
		for i, v := range a.variants {
			gaussian(variants[i], r, v)
		}
		_, err := p.Observe(strata, suspect, variants...)
		return err
	})
}

func TestPairedSame(t *testing.T) {
	t.Parallel()
	honest := pairedAudit{variants: []float64{0}, n: 120}
	wantCalibrated(t, "honest", simulate(2000, "paired", honest.run))
	honest.strata = []float64{1, 2, 1}
	wantCalibrated(t, "honest, strata", simulate(2000, "paired strata", honest.run))
	for _, c := range []struct {
		name         string
		shift, share float64
		n, median    int
		power        float64
	}{
		{"d 3", 3, 1, 100, 25, .99},
		{"d 3, .5", 3, .5, 500, 90, .99},
		{"d 3, .3", 3, .3, 1000, 260, .99},
		{"d 3, .1", 3, .1, 5000, 2359, .9},
		{"d 2", 2, 1, 500, 40, .99},
		{"d 2, .5", 2, .5, 1000, 155, .99},
		{"d 1", 1, 1, 1000, 130, .99},
	} {
		a := pairedAudit{shift: c.shift, share: c.share, variants: []float64{0}, n: c.n, decide: true}
		wantPower(t, c.name, simulate(100, c.name, a.run), c.power, c.median)
	}
}

// With one stratum in eight cheated on, its own process finds it before the pooled one.
func TestPairedStratum(t *testing.T) {
	t.Parallel()
	a := pairedAudit{shift: 3, share: 1, variants: []float64{0}, n: 3000, decide: true, only: 3}
	a.strata = []float64{1, 1, 1, 1, 1, 1, 1, 1}
	wantPower(t, "stratum", simulate(100, "stratum", a.run), .99, 600)
}

func TestPairedHonest(t *testing.T) {
	t.Parallel()
	base := pairedAudit{variants: []float64{0, .5}, n: 80, honest: true}
	for name, suspect := range map[string]func(t int) float64{
		"reference": func(int) float64 { return 0 },
		"variant":   func(int) float64 { return .5 },
		"failover":  func(t int) float64 { return float64(t/25%2) * .5 },
	} {
		a := base
		a.suspect = suspect
		wantCalibrated(t, "honest "+name, simulate(2000, "paired "+name, a.run))
	}
	cheat := base
	cheat.decide, cheat.shift, cheat.share, cheat.n = true, 3, 1, 500
	wantPower(t, "d 3", simulate(100, "paired swap", cheat.run), .99, 40)
}

func TestPairedRefuses(t *testing.T) {
	t.Parallel()
	p, err := NewPaired(4, 1, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	good := []Feature{{0, 1}, {3, -1}}
	for name, bad := range map[string][]Feature{
		"unordered": {{3, 1}, {0, 1}}, "twice": {{1, 1}, {1, 1}}, "beyond": {{4, 1}}, "negative": {{-1, 1}},
		"not a number": {{0, math.NaN()}}, "infinite": {{0, math.Inf(1)}}, "huge": {{0, 1e300}},
	} {
		if _, err := p.Observe(nil, bad, good); err == nil {
			t.Errorf("suspect %s: no error", name)
		}
		if _, err := p.Observe(nil, good, bad); err == nil {
			t.Errorf("reference %s: no error", name)
		}
	}
	for _, strata := range [][]int{{2}, {-1}, {0, 0}} {
		if _, err := p.Observe(strata, good, good); err == nil {
			t.Errorf("strata %v: no error", strata)
		}
	}
	if _, err := p.Observe(nil, good); err == nil {
		t.Error("no variant: no error")
	}
	if p.Same().N() != 0 || slices.ContainsFunc(p.learner.weights, func(w float64) bool { return w != 0 }) {
		t.Error("what was refused was counted or learnt")
	}
	if p.Honest() != nil {
		t.Error("an honest null with one variant")
	}
}

// Sparse vectors say the same as dense ones, and equal answers pay and teach nothing.
func TestPairedSparse(t *testing.T) {
	t.Parallel()
	if got := subtract([]Feature{{0, 1}, {2, 5}, {7, 1}}, []Feature{{1, 2}, {2, 5}, {8, 3}}); !slices.Equal(got,
		[]Feature{{0, 1}, {1, -2}, {7, 1}, {8, -3}}) {
		t.Errorf("difference %v", got)
	}
	p, err := NewPaired(9, 1)
	if err != nil {
		t.Fatal(err)
	}
	answer := []Feature{{2, 3}, {5, 1}}
	if g, err := p.Observe(nil, answer, answer); err != nil || g.Same != 0 || p.Same().LogE() != 0 {
		t.Errorf("equal answers pay %v: %v", g, err)
	}
}
