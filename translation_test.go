package sallyport

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
	"sallyport/internal/wire/anthropic"
	"sallyport/internal/wire/bedrock"
	"sallyport/internal/wire/gemini"
	"sallyport/internal/wire/openai"
)

var update = flag.Bool("update", false, "write docs/translation.md anew")

// formats are the columns of the table in docs/translation.md.
var formats = []struct {
	title string
	wire.Format
}{
	{"Chat Completions", openai.Chat()},
	{"Responses", openai.Responses()},
	{"Messages", anthropic.Format()},
	{"generateContent", gemini.Format()},
	{"Converse", bedrock.Format()},
}

const tableMark = "<!-- The table is made from the code: go test . -run TestTranslationTable -update -->\n"

// TestTranslationTable holds the table of docs/translation.md to what the formats
// say of themselves.
func TestTranslationTable(t *testing.T) {
	page, err := os.ReadFile("docs/translation.md")
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(page), tableMark)
	if !found {
		t.Fatalf("docs/translation.md has no line %q", tableMark)
	}
	want := before + tableMark + table()
	if *update {
		if err := os.WriteFile("docs/translation.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Error("docs/translation.md is not what the code says; run: go test . -run TestTranslationTable -update")
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("\n| name | what it is | otherwise |")
	for _, f := range formats {
		fmt.Fprintf(&b, " %s |", f.title)
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(formats)) + "\n")
	for f := range llm.NumFeatures {
		if f.String() == "" {
			continue
		}
		otherwise := "rejected"
		if f.Tunes() {
			otherwise = "dropped"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |", f, f.About(), otherwise)
		for _, format := range formats {
			carried := " - |"
			if format.Carries.Has(f) {
				carried = " yes |"
			}
			b.WriteString(carried)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
