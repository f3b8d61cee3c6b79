package reference

import (
	"bytes"
	"testing"
	"time"
)

// TestAccuracy: an accuracy that is none of a reference's sources is refused.
func TestAccuracy(t *testing.T) {
	now := time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		share Share
		good  bool
	}{
		"whole":              {Share{"percent", 3, []int{9, 8}, []int{10, 10}}, true},
		"of one source only": {Share{"percent", 3, []int{9}, []int{10}}, false},
		"more than asked":    {Share{"percent", 3, []int{9, 11}, []int{10, 10}}, false},
		"less than nothing":  {Share{"percent", 3, []int{-1, 8}, []int{10, 10}}, false},
	} {
		r := &Reference{Model: "m", Recorded: now, Expires: now.Add(time.Hour), Variants: make([]Variant, 2), Accuracy: &Accuracy{Mixture: []Share{c.share, c.share}}}
		o, err := Seal(new(bytes.Buffer), nil, r)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if solved, asked := o.Accuracy.Total(1); solved != 16 || asked != 20 {
			t.Errorf("%d of %d", solved, asked)
		}
		if _, err := Open(bytes.NewReader(o.File)); err != nil {
			t.Error(err)
		}
	}
	if _, err := Seal(new(bytes.Buffer), nil, &Reference{Model: "m", Recorded: now, Expires: now.Add(time.Hour), Variants: make([]Variant, 1), Accuracy: &Accuracy{}}); err == nil {
		t.Error("an accuracy on nothing is sealed")
	}
}
