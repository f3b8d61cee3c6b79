package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCLIWaits: a command is tried again while the gateway says that it is starting,
// and not when it fails otherwise.
func TestCLIWaits(t *testing.T) {
	dir := t.TempDir()
	p, _, err := launch("sleep", filepath.Join(dir, "log"), dir, nil, false, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	script := "#!/bin/sh\necho >>calls\n[ $(wc -l <calls) -ge 3 ] || exit 5\n[ \"$1\" = fine ] && echo done || exit 1\n"
	bin := filepath.Join(dir, "sallyport")
	if err := os.WriteFile(bin, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	g := &gateway{bin: bin, dir: dir, proc: p}
	if out, err := g.cli(t.Context(), "fine"); err != nil || string(out) != "done\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := g.cli(t.Context(), "other"); err == nil {
		t.Error("exit code 1 is no error")
	}
	if calls, err := os.ReadFile(filepath.Join(dir, "calls")); err != nil || len(calls) != 4 {
		t.Errorf("%d calls, %v", len(calls), err)
	}
}
