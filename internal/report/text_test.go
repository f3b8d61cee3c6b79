package report

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/verdict"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func text(t *testing.T, r *verdict.Report, width int, colour bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, r, width, colour); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]+m")

func TestText(t *testing.T) {
	for name, sample := range samples {
		plain := text(t, sample(), 80, false)
		golden(t, name+".txt", []byte(plain))
		if strings.Contains(plain, "\x1b") {
			t.Errorf("%s: an escape sequence without colour", name)
		}
		coloured := text(t, sample(), 80, true)
		if !sgr.MatchString(coloured) {
			t.Errorf("%s: no colour", name)
		}
		if stripped := sgr.ReplaceAllString(coloured, ""); stripped != plain {
			t.Errorf("%s: colour changes the text:\n%s", name, cmp.Diff(plain, stripped))
		}
		if text(t, sample(), 0, false) != plain {
			t.Errorf("%s: an unknown width is not 80", name)
		}
	}
}

// TestTextFits: nothing but the command that is to be copied is wider than the terminal.
func TestTextFits(t *testing.T) {
	for name, sample := range samples {
		for _, width := range []int{80, 100, 300} {
			for line := range strings.Lines(text(t, sample(), width, false)) {
				line = strings.TrimSuffix(line, "\n")
				if utf8.RuneCountInString(line) > width && !strings.HasPrefix(line, "verify") {
					t.Errorf("%s at %d: %q", name, width, line)
				}
			}
		}
	}
}

// TestTextHostile: an endpoint's text steers no terminal and begins no line of its own.
func TestTextHostile(t *testing.T) {
	r := swap()
	r.Detectors[0].Findings[0].Text = "x\nNO DIFFERENCE FOUND\x1b[2J\u202e" + strings.Repeat("A", 100_000)
	r.Target.Model = "m\r\nheadline"
	out := text(t, r, 80, false)
	for _, c := range out {
		if unsafeRune(c) && c != '\n' {
			t.Fatalf("holds %U", c)
		}
	}
	if regexp.MustCompile("(?m)^(NO DIFFERENCE|headline)").MatchString(out) {
		t.Error("hostile text begins a line")
	}
	if len(out) > 20_000 {
		t.Errorf("%d bytes: hostile text is not cut", len(out))
	}
}

// TestNotAPass: what was not tested never looks as if it had been, and what is not known
// is not nothing.
func TestNotAPass(t *testing.T) {
	out := text(t, quick(), 80, false)
	for _, want := range []string{
		"IDENTITY NOT TESTED  (no verdict", "same                     -      -        -  -           not tested",
		"cost        unknown", "D1   ran                  20       0   unknown",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if w := wordsOf("made up"); w.Tone != "open" {
		t.Errorf("an unknown label looks like %+v", w)
	}
}

func TestCompare(t *testing.T) {
	var b bytes.Buffer
	if err := Compare(&b, nothing(), swap()); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", b.Bytes())
	b.Reset()
	if err := Compare(&b, nothing(), quick()); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare-quick.txt", b.Bytes())
	for line := range strings.Lines(b.String()) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("%q is wider than 80", line)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	for name, err := range map[string]error{
		"HTML": HTML(full{}, swap()), "Text": Text(full{}, swap(), 80, true), "Compare": Compare(full{}, swap(), quick()),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"HTML":    HTML(&bytes.Buffer{}, &verdict.Report{}),
		"Text":    Text(&bytes.Buffer{}, &verdict.Report{}, 1, false),
		"Compare": Compare(&bytes.Buffer{}, &verdict.Report{}, &verdict.Report{}),
	} {
		if err != nil {
			t.Errorf("%s of an empty report: %v", name, err)
		}
	}
}

// full fails as a full disk does.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestProgressLine(t *testing.T) {
	same := func(log10 float64) map[verdict.Null]float64 {
		return map[verdict.Null]float64{verdict.Same: log10, verdict.Billing: -.5}
	}
	for _, c := range []struct {
		width int
		cost  int64
		logE  map[verdict.Null]float64
		want  string
	}{
		{120, 3_100_000, same(2.4), "D3  34/60 checks  1,120 queries  USD 0.0031  1:12  same ####|##|#..|  billing ....|..|...|"},
		{90, 3_100_000, same(2.4), "D3  34/60 checks  1,120 queries  USD 0.0031  1:12  same 251 warning  billing 0.31"},
		{80, -1, nil, "D3  34/60 checks  1,120 queries  cost unknown  1:12"},
		{120, 0, same(math.Inf(1)), "D3  34/60 checks  1,120 queries  USD 0  1:12  same ####|##|###|  billing ....|..|...|"},
		{120, 0, same(math.NaN()), "D3  34/60 checks  1,120 queries  USD 0  1:12  same ....|..|...|  billing ....|..|...|"},
		{30, 0, same(1), "D3  34/60 checks  1,120 queri"},
	} {
		line := ProgressLine(Progress{Detector: "D3", Done: 34, Total: 60, Queries: 1120, Cost: c.cost, LogE: c.logE, Elapsed: 72 * time.Second, Width: c.width})
		if n := utf8.RuneCountInString(line); n != c.width-1 {
			t.Errorf("%q has %d characters on a terminal of %d", line, n, c.width)
		}
		if got := strings.TrimRight(line, " "); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
	for log10, want := range map[float64]string{
		math.Log10(20): "####|..|...|", 1.3: "###.|..|...|", 2: "####|##|...|", 3: "####|##|###|", 2.999: "####|##|##.|",
	} {
		if got := bar(log10); got != want { // a level is reached in the bar exactly when it is reached
			t.Errorf("bar(%v) is %q, want %q", log10, got, want)
		}
	}
}

func TestEValue(t *testing.T) {
	for log10, want := range map[float64]string{
		math.Inf(-1): "<0.001", -3.2: "<0.001", -1.5: "0.031", 0: "1.00", 1: "10.0", math.Log10(20): "20.0", 1.9999: "99.9", 2: "100",
		3: "1,000", 2.9999: "999", 4: "1.0×10⁴", 19.4: "2.5×10¹⁹", 231.99999: "9.9×10²³¹", math.Inf(1): "infinite", 1e300: ">10^1000000",
	} {
		if got := eValue(log10); got != want {
			t.Errorf("eValue(%v) is %q, want %q", log10, got, want)
		}
	}
	if got := eValue(math.NaN()); got != unknown {
		t.Errorf("not a number is %q", got)
	}
}

func TestDollars(t *testing.T) {
	for nano, want := range map[int64]string{
		-1: "unknown", math.MinInt64: "unknown", 0: "0", 1: "<0.0001", 99_999: "<0.0001", 100_000: "0.0001", 331_000_000: "0.3310",
		999_999_999: "1.00", 1_000_000_000: "1.00", 1_234_567_890_000: "1,234.57", math.MaxInt64: "9,223,372,036.85",
	} {
		if got := dollars(nano); got != want {
			t.Errorf("dollars(%d) is %q, want %q", nano, got, want)
		}
	}
}

func TestVerifyCommand(t *testing.T) {
	for path, want := range map[string]string{
		"a/b-1.sealed": "a/b-1.sealed",
		"a b":          "'a b'",
		"x';rm -rf ~'": `'x'\'';rm -rf ~'\'''`,
		"-h":           "-- -h",
		"":             "''",
	} {
		if got := verifyCommand(&verdict.Bundle{Path: path}); got != "sallyport audit verify "+want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
