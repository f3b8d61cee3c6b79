package probe

import (
	"slices"
	"testing"
	"time"

	"sallyport/internal/reference"
	"sallyport/internal/verdict"
)

// TestTimeBound has endpoints of known speed. What exceeds the bound must be seen three
// times, and a fast endpoint beside a slow reference is not a lie.
func TestTimeBound(t *testing.T) {
	// answer is one that shows 100 tokens and hides others, all decoded at a rate, and
	// reports more than it hid.
	answer := func(rate float64, hidden, reported int, streams bool) billed {
		b := billed{shown: 100, generated: 100 + reported, took: time.Duration(float64(100+hidden) / rate * float64(time.Second))}
		if streams {
			b.rate = rate
		}
		return b
	}
	honest := answer(80, 300, 300, true)
	for name, test := range map[string]struct {
		seen []billed
		ref  float64 // tokens a second of the reference; 0 without one
		veto bool
	}{
		"honest":                      {seen: slices.Repeat([]billed{honest}, 10)},
		"honest, reference":           {seen: slices.Repeat([]billed{honest}, 10), ref: 80},
		"fast, slow reference":        {seen: slices.Repeat([]billed{answer(500, 1000, 1000, true)}, 10), ref: 40},
		"fast, whole, slow reference": {seen: slices.Repeat([]billed{answer(500, 1000, 1000, false)}, 10), ref: 40},
		"x 3 unseen":                  {seen: slices.Repeat([]billed{answer(80, 300, 900, true)}, 10)},
		"x 3, reference":              {seen: slices.Repeat([]billed{answer(80, 300, 900, true)}, 10), ref: 80, veto: true},
		"x 60":                        {seen: slices.Repeat([]billed{answer(80, 300, 18000, true)}, 10), veto: true},
		"twice only":                  {seen: append(slices.Repeat([]billed{honest}, 8), answer(80, 300, 18000, true), answer(80, 300, 18000, true))},
		"at once, hidden":             {seen: slices.Repeat([]billed{{shown: 100, generated: 1000, took: time.Millisecond}}, 10)},
		"at once":                     {seen: slices.Repeat([]billed{{shown: 100, generated: 101, took: time.Microsecond}}, 10)},
	} {
		plan := &Plan{Started: time.Unix(1, 0)}
		if test.ref > 0 {
			plan.Reference = &baseline{Opened: &reference.Opened{Reference: reference.Reference{
				Expires: time.Unix(2, 0), Protocol: reference.Protocol{Questions: QuestionsVersion}, Rates: map[string]float64{rateDecode: test.ref},
			}}}
		}
		b := &bills{Trial: &Trial{Plan: plan, result: &verdict.Result{}}, seen: test.seen}
		b.bound()
		if found := b.result.Findings; len(found) > 0 != test.veto || test.veto && !found[0].Veto {
			t.Errorf("%s: %+v, %+v", name, found, b.result.Facts)
		}
	}
}
