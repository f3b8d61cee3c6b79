package ledger

import (
	"database/sql"
	"math"
	"math/rand/v2"
	"testing"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

func TestCountRow(t *testing.T) {
	for _, c := range []struct {
		r      record.Count
		excess sql.Null[int64]
	}{
		{record.Count{Claimed: 110, Tokens: 100}, known(100_000)},
		{record.Count{Claimed: 100, Tokens: 100}, known(0)},
		{record.Count{Claimed: 90, Tokens: 100}, known(-100_000)},
		{record.Count{Claimed: 1 << 32, Tokens: 20}, known(500_000)}, // clipped
		{record.Count{Claimed: 0, Tokens: 20}, known(-500_000)},
		{record.Count{Claimed: 20, Tokens: 19}, sql.Null[int64]{}}, // too short
		{record.Count{Claimed: math.MaxInt64, Tokens: 1 << 40}, known(500_000)},
	} {
		row := Count(&c.r)
		if row.Excess != c.excess || row.Claimed != known(c.r.Claimed) || row.Counted != known(c.r.Tokens) {
			t.Errorf("%+v gives %+v", c.r, row)
		}
	}
	if row := Count(&record.Count{Why: "no vocabulary", Claimed: 30, Tokens: 30}); row.Claimed.Valid || row.Counted.Valid || row.Excess.Valid {
		t.Errorf("what is not countable has figures: %+v", row)
	}
}

// sums adds up excesses as the database does.
func sums(excesses ...float64) (s store.CountSums) {
	for _, y := range excesses {
		s.Compared++
		s.Excess += y
		s.Squares += y * y
	}
	return s
}

func TestExcess(t *testing.T) {
	if _, some := NewExcess(store.CountSums{Sampled: 3}); some {
		t.Error("an interval of nothing")
	}
	if e, _ := NewExcess(sums(.1)); e != (Excess{.1, -.5, .5}) {
		t.Errorf("one answer tells %+v", e)
	}
	// Two answers differ: variance .02, so the width is beyond the bounds.
	if e, _ := NewExcess(sums(0, .2)); e != (Excess{.1, -.5, .5}) {
		t.Errorf("two answers tell %+v", e)
	}
	// By hand: n = 101, all .1: 7 ln 80 / 300 = .10225.
	same := make([]float64, 101)
	for i := range same {
		same[i] = .1
	}
	if e, _ := NewExcess(sums(same...)); math.Abs(e.High-e.Mean-.10225) > 1e-4 || math.Abs(e.Mean-.1) > 1e-9 {
		t.Errorf("a hundred answers tell %+v", e)
	}
}

// TestExcessCovers: of 2,000 intervals at most 5 % miss the expectation, whatever
// the distribution.
func TestExcessCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, d := range map[string]struct {
		mean float64
		draw func() float64
	}{
		"honest, now and then a token more": {.005, func() float64 { return .05 * float64(r.IntN(10)/9) }},
		"uniform":                           {0, func() float64 { return r.Float64() - .5 }},
		"a rare large excess":               {.005, func() float64 { return .5 * float64(r.IntN(100)/99) }},
	} {
		missed := 0
		for range 2000 {
			var s store.CountSums
			for range 300 {
				one := sums(d.draw())
				s.Compared, s.Excess, s.Squares = s.Compared+1, s.Excess+one.Excess, s.Squares+one.Squares
			}
			if e, _ := NewExcess(s); d.mean < e.Low || d.mean > e.High {
				missed++
			}
		}
		if missed > 100 {
			t.Errorf("%s: %d of 2000 intervals miss", name, missed)
		}
	}
}
