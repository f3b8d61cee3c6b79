package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// TestVisible: nothing that steers a terminal or misleads a reader gets through,
// and what is harmless stays as it is.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"gpt-5-mini":          "gpt-5-mini",
		"naïve 新しい 🚀 \\u001b": "naïve 新しい 🚀 \\u001b",
		"\x1b[31mred\x1b[0m":  `\u001b[31mred\u001b[0m`,
		"\x1b]0;title\x07":    `\u001b]0;title\u0007`,
		"a\nb\rc\td\x00":      `a\u000ab\u000dc\u0009d\u0000`,
		"\u009b31m":           `\u009b31m`, // the C1 form of the same sequence
		"\x7f":                `\u007f`,
		"gpt\u202etxt.exe":    `gpt\u202etxt.exe`, // right-to-left override
		"a\u200bb\u2060c":     `a\u200bb\u2060c`,
		"a\u2028b\u2029c":     `a\u2028b\u2029c`,
		"a\ufeffb":            `a\ufeffb`,
		"\U000e0041":          `\ue0041`, // a tag character
		"bad\xff\xc3(":        `bad\xff\xc3(`,
		"\xed\xa0\x80":        `\xed\xa0\x80`, // a surrogate
		"replaced \ufffd":     "replaced \ufffd",
	} {
		if got := visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got, want := visibleText("a\n\tb\x1b[2J\r\nc"), "a\n\tb\\u001b[2J\\u000d\nc"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// unsafeRune reports whether a terminal must not be given a character.
func unsafeRune(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b\u202e\xff\n\u2028")
	f.Fuzz(func(t *testing.T, in string) {
		for _, r := range visible(in) {
			if unsafeRune(r) {
				t.Fatalf("%q holds %U", visible(in), r)
			}
		}
		for _, r := range visibleText(in) {
			if r != '\n' && r != '\t' && unsafeRune(r) {
				t.Fatalf("%q holds %U", visibleText(in), r)
			}
		}
		if visible(visible(in)) != visible(in) {
			t.Fatalf("%q changes again", visible(in))
		}
	})
}

// TestTable: columns begin below their heads, numbers end there, and a cell
// cannot begin a row of its own.
func TestTable(t *testing.T) {
	var b bytes.Buffer
	o := output{out: &b}
	head := []string{"NAME", ">USD", "NOTE"}
	o.table(head, [][]string{
		{"a", "1.50", ""}, {"nämlich\nID  0.00", "1234.00", "x"}, {"新", "-", "\x1b[31m"},
	})
	want := strings.Join([]string{
		"NAME                       USD  NOTE",
		"a                         1.50",
		`nämlich\u000aID  0.00  1234.00  x`,
		`新                            -  \u001b[31m`, "",
	}, "\n")
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
	if head[1] != ">USD" {
		t.Error("the head of the caller was changed")
	}
	b.Reset()
	o.table([]string{"A", "B"}, nil)
	if b.String() != "A  B\n" {
		t.Errorf("%q", b.String())
	}
}

// TestColumns: a table in parts has one head and keeps its columns.
func TestColumns(t *testing.T) {
	var b bytes.Buffer
	c := newColumns([]string{"A", "B"})
	c.print(&b, [][]string{{"wide cell", "1"}})
	c.print(&b, nil)
	c.print(&b, [][]string{{"x", "2"}})
	if want := "A          B\nwide cell  1\nx          2\n"; b.String() != want {
		t.Errorf("got:\n%s", b.String())
	}
}

// TestJSONLines: one document a line, whatever is in it.
func TestJSONLines(t *testing.T) {
	var b bytes.Buffer
	o := output{out: &b, json: true}
	in := []map[string]string{{"name": "a\nb\x1b<script>\u2028"}, {"name": "=1+1"}}
	people := func() { t.Error("the table was printed") }
	if err := lines(o, in, people); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(got) != len(in) {
		t.Fatalf("%d lines: %q", len(got), got)
	}
	for i, line := range got {
		var v map[string]string
		if err := json.Unmarshal([]byte(line), &v); err != nil || v["name"] != in[i]["name"] {
			t.Errorf("%q: %v", line, err)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < 0x20 }) {
			t.Errorf("%q holds a control character", line)
		}
	}
	b.Reset()
	if err := lines(o, []int{}, people); err != nil || b.Len() != 0 {
		t.Errorf("%v, %q", err, b.String())
	}
}

// TestRefused: the admin API's answers become the exit codes.
func TestRefused(t *testing.T) {
	problem := []byte(`{"type":"about:blank","title":"t","status":1,"detail":"what failed"}`)
	for status, want := range map[int]int{400: exitUsage, 401: exitAuth, 403: exitAuth, 404: exitFailure, 500: exitFailure, 503: exitFailure} {
		err := refused(status, problem)
		if code(err) != want || err.Error() != "what failed" {
			t.Errorf("status %d: code %d, %v", status, code(err), err)
		}
	}
	if err := refused(500, []byte("<html>")); !strings.Contains(err.Error(), "500") {
		t.Errorf("%v", err)
	}
	for status, want := range map[int]int{401: exitAuth, 403: exitFailure, 404: exitFailure, 502: exitUnreachable, 503: exitUnreachable, 504: exitUnreachable} {
		if got := code(refusedAnswer(status, "x")); got != want {
			t.Errorf("answer with status %d: code %d, want %d", status, got, want)
		}
	}
}
