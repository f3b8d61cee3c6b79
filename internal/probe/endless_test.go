//go:build long

package probe

import (
	"testing"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// TestWatchEndless: 50,000 pairs of an honest deployment beside two others raise nothing
// under H_honest beyond what is promised. It takes minutes: go test -tags long -run Endless.
func TestWatchEndless(t *testing.T) {
	const pairs = 50_000
	c, err := newState(Stream{Upstream: "relay", Model: "m", References: []string{"a", "b"}, Monthly: Monthly{Pairs: 3000}, Streams: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := stat.Rand(stat.Seed([32]byte{}, "endless"))
	highest := map[verdict.Null]float64{}
	reached := map[verdict.Null]int{}
	for i := range pairs {
		at := time.Date(2026, 1, 1, 0, 10*i, 0, 0, time.UTC)
		suspect := []talker{claimed, honest2}[r.IntN(2)]
		err := c.observe(&Observed{
			At: at.UnixMicro(), Strata: StrataOf(100+i%3*4000, i%4 == 0, at), Suspect: Features(suspect.say(r)),
			Trusted: [][]stat.Feature{Features(claimed.say(r)), Features(honest2.say(r))}, Strange: make([]bool, 3),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c.nulls() {
			s := c.standing(n)
			highest[n] = max(highest[n], s.LogM)
			if s.Level.AtLeast(verdict.LevelWarning) && reached[n] == 0 {
				reached[n] = i + 1
			}
		}
	}
	t.Logf("highest M: %v; warning first reached: %v (of %d pairs, 16.7 months)", highest, reached, pairs)
	if reached[verdict.Honest] > 0 {
		t.Errorf("H_honest reached a warning after %d pairs", reached[verdict.Honest])
	}
}
