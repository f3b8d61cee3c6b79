//go:build long

package probe

import (
	"math"
	"slices"
	"testing"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// TestPairsNeeded measures how many real requests show one answer in ten of another
// model with a chance of .9, against how many show every answer at the level of a
// quarantine.
func TestPairsNeeded(t *testing.T) {
	for name, other := range map[string]talker{"far": cheaper, "nearer": {append(vocabulary[:20:20], "indeed", "sure"), 36, .08}} {
		first := func(share float64, logE float64, run int) int {
			p, err := NewPaired(2)
			if err != nil {
				t.Fatal(err)
			}
			r := stat.Rand(stat.Seed([32]byte{}, name, string(rune('a'+run))))
			at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
			for i := range 8000 {
				suspect := claimed
				if r.Float64() < share {
					suspect = other
				}
				if _, err := p.Observe(StrataOf(100+i%3*4000, i%4 == 0, at), Features(suspect.say(r)), Features(claimed.say(r)), Features(honest2.say(r))); err != nil {
					t.Fatal(err)
				}
				e := p.Same().LogE()
				if share == 1 {
					e = p.Honest().LogE()
				}
				if e >= logE {
					return i + 1
				}
			}
			return math.MaxInt32
		}
		var whole, tenth []int
		for run := range 20 {
			whole = append(whole, first(1, math.Log(360_000), run))
			tenth = append(tenth, first(residual, verdict.LevelNotice.Threshold()*math.Ln10, run))
		}
		slices.Sort(whole)
		slices.Sort(tenth)
		t.Logf("%s: all answers after %d pairs (median), one in ten after %d (median) and %d (nine in ten): %.0f times as many",
			name, whole[10], tenth[10], tenth[17], float64(tenth[17])/float64(whole[10]))
		if tenth[17] < math.MaxInt32 && tenth[17] > pairsFor*whole[10] {
			t.Errorf("%s: %d pairs are needed, %d were thought to be enough", name, tenth[17], pairsFor*whole[10])
		}
	}
}
