package main

import (
	"testing"

	"sallyport/internal/verdict"
)

// TestSpent: what is not known is not told as nothing.
func TestSpent(t *testing.T) {
	for _, c := range []struct {
		spent  verdict.Spent
		status string
		nano   int64
	}{
		{verdict.Spent{Queries: 3, Input: 9, Output: 2, Cost: 71}, "priced", 71},
		{verdict.Spent{Queries: 3, Input: 9, Output: 2, Cost: 0}, "priced", 0},
		{verdict.Spent{Queries: 3, Cost: 0}, "none", 0},
		{verdict.Spent{Queries: 3, Input: 9, Output: 2, Cost: -1}, "unpriced", 0},
		{verdict.Spent{Queries: 3, Unknown: 1, Cost: -1}, "unknown", 0},
		{verdict.Spent{Queries: 3, Input: 9, Output: 2, Unknown: 1, Cost: -1}, "unknown", 0},
	} {
		if status, nano := spent(&c.spent); status != c.status || nano != c.nano {
			t.Errorf("%+v: %s %d, want %s %d", c.spent, status, nano, c.status, c.nano)
		}
	}
}
