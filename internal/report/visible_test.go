package report

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/verdict"
)

// TestVisible: nothing that steers a terminal or misleads a reader gets through, and
// what is harmless stays as it is.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"naïve 新しい 🚀 \\u001b":   "naïve 新しい 🚀 \\u001b",
		"\x1b[31mred\x1b[0m":    `\u001b[31mred\u001b[0m`,
		"a\nb\rc\td\x00":        `a\u000ab\u000dc\u0009d\u0000`,
		"gpt\u202etxt.exe":      `gpt\u202etxt.exe`,
		"a\u2028b\u2066c\u200b": `a\u2028b\u2066c\u200b`,
		"bad\xff\xc3(":          `bad\xff\xc3(`,
		"no\ufffe\U0001ffff":    `no\ufffe\u1ffff`,
		"replaced \ufffd":       "replaced \ufffd",
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b\u202e\xff\n\u2028\ufdd0")
	f.Fuzz(func(t *testing.T, in string) {
		out := Visible(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q is no UTF-8", out)
		}
		for _, r := range out {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) {
				t.Fatalf("%q holds %U", out, r)
			}
		}
		if Visible(out) != out {
			t.Fatalf("%q changes again", out)
		}
		if cut := shown(in, 10); utf8.RuneCountInString(cut) > 10*len(`\u10ffff`)+len("… (9,999,999 more characters)") {
			t.Fatalf("%q is not cut: %q", in, cut)
		}
	})
}

// TestSafe: the copy is cut and made visible in depth, and the report that it is made
// from stays as it was.
func TestSafe(t *testing.T) {
	r := swap()
	r.Spent.Outcomes = map[string]int{"a\x1b": 1}
	r.Detectors[0].Charts[0].Labels = []string{strings.Repeat("é", 5000)}
	s := safe(r)
	if r.Spent.Outcomes["a\x1b"] != 1 || s.Spent.Outcomes[`a\u001b`] != 1 {
		t.Errorf("outcomes: %v and %v", r.Spent.Outcomes, s.Spent.Outcomes)
	}
	if got, want := s.Detectors[0].Charts[0].Labels[0], strings.Repeat("é", maxText)+"… (3,000 more characters)"; got != want {
		t.Errorf("a long label became %d bytes, want %d", len(got), len(want))
	}
	if len(r.Detectors[0].Charts[0].Labels[0]) != 10_000 || !strings.Contains(r.Detectors[0].Findings[0].Text, "\x1b") {
		t.Error("the original was changed")
	}
	if strings.ContainsAny(s.Detectors[0].Findings[0].Text, "\x1b\u202e") {
		t.Errorf("a finding holds %q", s.Detectors[0].Findings[0].Text)
	}
	if !s.Started.Equal(started) || s.Reference.Variants[0] != "llama.cpp Q8_0" || s.Headline != verdict.Differs {
		t.Errorf("the copy is wrong: %+v", s)
	}
}
