package route

import (
	"slices"
	"testing"
)

func TestOrder(t *testing.T) {
	given := []Candidate{{Upstream: "c", Position: 2}, {Upstream: "a", Position: 0}, {Upstream: "b2", Position: 1, Model: "y"}, {Upstream: "b1", Position: 1, Model: "x"}}
	before := slices.Clone(given)
	var got []string
	for _, c := range Order(given) {
		got = append(got, string(c.Upstream))
	}
	// The configured order; at one place, as they came.
	if want := []string{"a", "b2", "b1", "c"}; !slices.Equal(got, want) {
		t.Errorf("order is %q, want %q", got, want)
	}
	if !slices.Equal(given, before) {
		t.Errorf("the argument was changed to %v", given)
	}
	if got := Order(nil); len(got) != 0 {
		t.Errorf("nothing is ordered as %v", got)
	}
}
