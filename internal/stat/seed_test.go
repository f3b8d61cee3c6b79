package stat

import (
	"encoding/hex"
	"testing"
)

func TestSeed(t *testing.T) {
	t.Parallel()
	// Computed apart with Python's hmac.
	const want = "97891236615d9ff4195e51eb865e9a36523fe1d22e341b34c1af56eecd725309"
	seed := Seed([32]byte{}, "betting", "cell 3", "17")
	if got := hex.EncodeToString(seed[:]); got != want {
		t.Errorf("seed %s, want %s", got, want)
	}
	seen := map[[32]byte]int{}
	for i, s := range [][32]byte{
		Seed([32]byte{}), Seed([32]byte{}, ""), Seed([32]byte{}, "", ""), Seed([32]byte{}, "ab"),
		Seed([32]byte{}, "a", "b"), Seed([32]byte{}, "", "ab"), Seed([32]byte{1}, "ab"),
	} {
		if other, known := seen[s]; known {
			t.Errorf("seeds %d and %d are equal", other, i)
		}
		seen[s] = i
	}
	a, b := Rand(seed), Rand(seed)
	for range 100 {
		if a.Uint64() != b.Uint64() {
			t.Fatal("one seed, two sequences")
		}
	}
}
