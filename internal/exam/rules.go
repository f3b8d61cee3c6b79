package exam

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Rule is one demand on the form of a reply.
type Rule struct {
	Name string // of the table ruleChecks
	N    int    `json:",omitzero"`
	Word string `json:",omitzero"`
}

// Rules by name.
const (
	ruleLines   = "lines"   // exactly N lines
	ruleWords   = "words"   // exactly N words in every line
	ruleFirst   = "first"   // the first word is Word
	ruleLast    = "last"    // the last word is Word
	ruleTimes   = "times"   // Word occurs exactly N times as a word
	ruleWithout = "without" // the letter Word does not occur
	ruleLower   = "lower"   // no capital letter
	rulePlain   = "plain"   // letters, spaces and line ends only
	ruleLength  = "length"  // no word has more than N letters
	ruleOnce    = "once"    // no word but Word occurs twice
)

var ruleTexts = map[string][]string{
	ruleLines:   {"Write exactly «n» lines.", "The reply has «n» lines, no more and no fewer."},
	ruleWords:   {"Every line has exactly «n» words.", "Put «n» words in each line."},
	ruleFirst:   {"The very first word is \"«word»\".", "Begin with the word \"«word»\"."},
	ruleLast:    {"The very last word is \"«word»\".", "End with the word \"«word»\"."},
	ruleTimes:   {"Use the word \"«word»\" exactly «n» times in all.", "The word \"«word»\" occurs «n» times, counting every line."},
	ruleWithout: {"Do not use the letter \"«word»\" anywhere.", "The letter \"«word»\" must not occur."},
	ruleLower:   {"Use no capital letters.", "Write everything in small letters."},
	rulePlain:   {"Use only letters, single spaces and line breaks: no punctuation, no digits.", "No punctuation marks and no digits."},
	ruleLength:  {"No word may have more than «n» letters.", "Keep every word to at most «n» letters."},
	ruleOnce:    {"No word other than \"«word»\" may occur more than once.", "Except for \"«word»\", never repeat a word."},
}

// kept says whether a reply keeps the rule.
func (r Rule) kept(reply string) bool {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(reply, "\r\n", "\n")), "\n")
	words := strings.FieldsFunc(reply, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '-' && c != '\'' })
	switch r.Name {
	case ruleLines:
		return len(lines) == r.N
	case ruleWords:
		return !slices.ContainsFunc(lines, func(line string) bool { return len(strings.Fields(line)) != r.N })
	case ruleFirst:
		return len(words) > 0 && strings.EqualFold(words[0], r.Word)
	case ruleLast:
		return len(words) > 0 && strings.EqualFold(words[len(words)-1], r.Word)
	case ruleTimes:
		return count(words, r.Word) == r.N
	case ruleWithout:
		return !strings.Contains(strings.ToLower(reply), r.Word)
	case ruleLower:
		return !strings.ContainsFunc(reply, unicode.IsUpper)
	case rulePlain:
		return !strings.ContainsFunc(reply, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsSpace(c) })
	case ruleLength:
		return !slices.ContainsFunc(words, func(w string) bool { return len([]rune(w)) > r.N })
	case ruleOnce:
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.EqualFold(w, r.Word) && count(words, w) > 1 })
	}
	return false // an unknown rule is kept by nothing
}

func count(words []string, word string) int {
	n := 0
	for _, w := range words {
		if strings.EqualFold(w, word) {
			n++
		}
	}
	return n
}

// violations is how many rules a reply breaks; an empty reply breaks all.
func violations(rules []Rule, reply string) int {
	if strings.TrimSpace(reply) == "" {
		return len(rules)
	}
	n := 0
	for _, r := range rules {
		if !r.kept(reply) {
			n++
		}
	}
	return n
}

// buildFormat stacks rules of form: it writes a reply first and then demands what that reply keeps, so
// that all rules can be kept at once.
func buildFormat(d draw, _ string, level int) (problem, bool) {
	lines, width := 2+level/4, 3+level/3
	forbidden := pick(d, []string{"q", "j", "w", "z"})
	usable := slices.DeleteFunc(shuffled(d, plainWords), func(w string) bool { return strings.Contains(w, forbidden) })
	used := usable[:lines*width]
	word, times := used[0], d.between(2, min(3, lines))
	for i := 1; i < times; i++ {
		used[i*width] = word
	}
	longest := 0
	for _, w := range used {
		longest = max(longest, len(w))
	}
	var reply []string
	for line := range slices.Chunk(used, width) {
		reply = append(reply, strings.Join(line, " "))
	}
	first, last := used[0], used[len(used)-1]
	rules := []Rule{
		{Name: ruleLines, N: lines},
		{Name: ruleWords, N: width},
		{Name: ruleFirst, Word: first},
		{Name: ruleLast, Word: last},
		{Name: ruleTimes, Word: word, N: times},
		{Name: ruleWithout, Word: forbidden},
		{Name: ruleLower},
		{Name: rulePlain},
		{Name: ruleLength, N: longest},
		{Name: ruleOnce, Word: word},
	}
	rules = rules[:min(2+level, len(rules))]
	if level < 5 {
		rules = sample(d, rules[:7], 2+level)
	} else if level < 8 {
		rules = shuffled(d, rules)[:min(2+level, 9)]
	}
	rules = shuffled(d, rules)
	texts := make([]string, len(rules))
	for i, r := range rules {
		texts[i] = fmt.Sprintf("%d. %s", i+1, fill(pick(d, ruleTexts[r.Name]), "n", itoa(r.N), "word", r.Word))
	}
	example := strings.Join(reply, "\n")
	return problem{
		size: len(rules) + lines*width, body: strings.Join(texts, "\n"), kind: Format, answer: example, rules: rules,
		solve: func() []string {
			if violations(rules, example) > 0 {
				return nil
			}
			return one(example)
		},
	}, true
}
