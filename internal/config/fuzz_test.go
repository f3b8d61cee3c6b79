package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse: whatever a file holds, Parse neither panics nor hangs, reports
// bounded problems in places that exist, and never shows what references lead to.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/reports/*.txt")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range txtar.Parse(b).Files {
			if part.Name == "sallyport.yaml" {
				f.Add(string(part.Data))
			}
		}
	}
	f.Add(string(Sample()))
	f.Add("key: |canary\n")
	const secretText = "cAnArY-5f1e"
	f.Fuzz(func(t *testing.T, text string) {
		lookup := func(string) (string, bool) { return secretText, true }
		readFile := func(name string) ([]byte, error) { return []byte(secretText), nil }
		c, err := Parse("f", []byte(text), lookup, readFile)
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Errorf("Parse accepts what Validate refuses: %v", err)
			}
			if shown := fmt.Sprintf("%+v %s", c, c.Hash()); strings.Contains(shown, secretText) && !strings.Contains(text, secretText) {
				t.Errorf("a secret shows: %s", shown)
			}
			for _, card := range c.Cards() {
				if err := card.Check(); err != nil {
					t.Error(err)
				}
			}
			return
		}
		problems, ok := errors.AsType[Errors](err)
		if !ok || len(problems) == 0 || len(problems) > maxProblems+1 || c != nil {
			t.Fatalf("%d problems, %T, %v", len(problems), err, c)
		}
		for _, p := range problems {
			if p.File != "f" || p.What == "" || p.Line < 0 || p.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+2 {
				t.Errorf("problem %+v", p)
			}
		}
		if strings.Contains(err.Error(), secretText) && !strings.Contains(text, secretText) {
			t.Errorf("a secret shows: %v", err)
		}
	})
}

// TestHostileFiles: files made to exhaust memory, stack or patience are refused
// quickly.
func TestHostileFiles(t *testing.T) {
	const size = maxFile / 8
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	var laughs strings.Builder
	laughs.WriteString("models: &a0 {}\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&laughs, "x%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	var wide strings.Builder
	wide.WriteString("upstreams:\n  - &u { name: a, kind: openai, base_url: \"https://a.example\", models: [")
	wide.WriteString(strings.TrimSuffix(strings.Repeat("m,", 3000), ",") + "] }\n")
	wide.WriteString(strings.Repeat("  - *u\n", 900))
	w := everywhere(t)
	for name, text := range map[string]string{
		"open brackets":        fill("["),
		"open braces":          fill("{a: "),
		"brackets in lines":    fill("[\n"),
		"dashes":               fill("- "),
		"question marks":       fill("? "),
		"anchors":              "a: " + fill("&a "),
		"tags":                 "a: " + fill("!a "),
		"aliases":              "a: [" + fill("*a,") + "]",
		"deep indentation":     deep(500),
		"a billion laughs":     laughs.String(),
		"wide aliases":         wide.String(),
		"an alias of itself":   "upstreams: &u [ *u ]\nmodels: &m { a: *m }\n",
		"one long line":        "data: " + fill("a"),
		"one long quoted line": "data: \"" + fill("a") + "\"",
		"comments":             fill("#\n"),
		"unknown fields":       unknownFields(),
		"a block text":         "data: |\n" + fill("  a\n"),
		"too large":            strings.Repeat("#", maxFile+1),
		"binary":               "data: \x00\x01",
		"not UTF-8":            "data: \xff\xfe",
		"a terminal escape":    "data: \"\x1b[2J\"",
		"an escaped escape":    `data: "\e[2J"`,
		"quotes":               fill("\""),
		"colons":               fill(": "),
		"carriage returns":     fill("a:\r"),
		"percent directives":   fill("%a\n"),
		"document marks":       fill("---\n") + "a: 1\n",
	} {
		begin := time.Now()
		_, err := w.parse(text)
		took := time.Since(begin)
		if name != "comments" && err == nil {
			t.Errorf("%s: accepted", name)
		}
		if err != nil && (len(err.Error()) > 64<<10 || strings.Contains(err.Error(), "\x1b")) {
			t.Errorf("%s: the report has %d bytes", name, len(err.Error()))
		}
		if took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		t.Logf("%-22s %8v", name, took.Round(time.Millisecond))
	}
}

func deep(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func unknownFields() string {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "field%d: 1\n", i)
	}
	return b.String()
}
