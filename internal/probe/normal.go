package probe

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Normal is the first word of an answer in one spelling: compatibility-composed
// (Unicode NFKC), in lower case, without marks around it. It is empty when there is
// no word.
func Normal(text string) string {
	text = strings.ToLower(norm.NFKC.String(text[:min(len(text), maxWordText)]))
	for field := range strings.FieldsSeq(text) {
		word := strings.TrimFunc(field, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
		if word == "" {
			continue
		}
		if runes := []rune(word); len(runes) > maxWord {
			word = string(runes[:maxWord])
		}
		return word
	}
	return ""
}

// Bounds on what a word is looked for in, and on a word.
const (
	maxWordText = 1 << 10 // bytes
	maxWord     = 32      // runes
)
