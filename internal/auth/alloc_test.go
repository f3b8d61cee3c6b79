//go:build !race

package auth

import (
	"net/http"
	"testing"
)

// A request allocates once: the secret text that must not be
// printed. (The race detector makes sync.Pool forget, hence the build constraint.)
func TestRequestAllocatesOnce(t *testing.T) {
	a := newAuth(t, onSQLite(t).store, testMaster(t))
	token := fill(t, a, 1000)[0]
	h := http.Header{"Authorization": {"Bearer " + token.Reveal()}}
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := a.Request(h, nil, here); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 {
		t.Errorf("%.1f allocations", allocs)
	}
}
