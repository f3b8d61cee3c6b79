//go:build !race

package wire

import "testing"

// TestScanAllocatesNothing is not built with the race detector, under which pools
// drop what they are given.
func TestScanAllocatesNothing(t *testing.T) {
	names := NewGuard("model", "messages")
	body := chatBody(10<<10, texts["mixed"])
	if n := testing.AllocsPerRun(100, func() {
		var out [2]Span
		if err := Scan(body, Limits{Depth: 16}, names, out[:]); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
