package demo

import (
	"errors"
	"os"
	"testing"
)

// TestNotAsTold: where the verdict does not fall in time the demo fails.
func TestNotAsTold(t *testing.T) {
	early := fast
	early.honest, early.within = 10, 2
	var last Event
	err := run(t.Context(), Config{Tell: func(e Event) error { last = e; return nil }}, early)
	if !errors.Is(err, ErrNotAsTold) || last.Name == End {
		t.Errorf("%v after %+v", err, last)
	}
}

// TestNobodyListens: where nothing can be told any more the demo ends, and leaves
// nothing behind.
func TestNobodyListens(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	gone := errors.New("gone")
	if err := Run(t.Context(), Config{Fast: true, Tell: func(Event) error { return gone }}); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
