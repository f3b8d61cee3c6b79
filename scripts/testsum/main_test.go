package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const stream = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestQuiet","Output":"    p_test.go:9: not shown\n"}
{"Action":"pass","Package":"p","Test":"TestQuiet"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    p_test.go:3: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestAway","Output":"=== RUN   TestAway\n"}
{"Action":"output","Package":"p","Test":"TestAway","Output":"    p_test.go:5: no server\n"}
{"Action":"skip","Package":"p","Test":"TestAway"}
{"Action":"output","Package":"p","Test":"TestCrash","Output":"fatal error: out of luck\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.010s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.020s\n"}
{"Action":"pass","Package":"q"}
go: something else went wrong
`

func TestRun(t *testing.T) {
	summary, skipped := filepath.Join(t.TempDir(), "summary"), filepath.Join(t.TempDir(), "skipped")
	var out strings.Builder
	if err := run(strings.NewReader(stream), &out, summary, skipped); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"output", out.String(), "    p_test.go:3: got 1, want 2\nFAIL\tp\t0.010s\nfatal error: out of luck\nok  \tq\t0.020s\ngo: something else went wrong\n"},
		{"summary", read(t, summary), "FAIL\tp\t0.010s\nok  \tq\t0.020s\n"},
		{"skipped", read(t, skipped), "p TestAway: p_test.go:5: no server\n"},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
