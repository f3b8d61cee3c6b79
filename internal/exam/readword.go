package exam

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// weekdayAliases are further names of the days of the week, from Sunday.
var weekdayAliases = map[string][7][]string{
	"en": {{"sun"}, {"mon"}, {"tue", "tues"}, {"wed"}, {"thu", "thurs"}, {"fri"}, {"sat"}},
	"de": {{"so"}, {"mo"}, {"di"}, {"mi"}, {"do"}, {"fr"}, {"sa", "sonnabend"}},
	"es": {{}, {}, {}, {"miercoles"}, {}, {}, {"sabado"}},
	"zh": {{"星期天", "周日", "周天", "礼拜天"}, {"周一", "礼拜一"}, {"周二", "礼拜二"}, {"周三", "礼拜三"}, {"周四", "礼拜四"}, {"周五", "礼拜五"}, {"周六", "礼拜六"}},
}

// idle are words around a name that say nothing.
var idle = []string{"the", "it", "is", "a", "an", "voucher", "name", "person", "number", "id", "word", "text", "line", "row", "final", "correct", "option", "letter", "choice", "answer"}

// words splits a text into words; a hyphen belongs to a word.
func words(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '-' })
}

// readWord finds the one word of a line.
func readWord(line string, item Item) (string, bool) {
	if days := datesTexts[item.Language].weekdays; slices.Contains(days, item.Answer) {
		return readWeekday(line, item.Language)
	}
	found := slices.DeleteFunc(words(line), func(w string) bool { return slices.Contains(idle, strings.ToLower(w)) })
	if len(found) != 1 {
		return "", false
	}
	if strings.EqualFold(found[0], item.Answer) {
		return item.Answer, true
	}
	return found[0], true
}

// readWeekday finds the one day of the week in a line.
func readWeekday(line, language string) (string, bool) {
	line = strings.ToLower(line)
	has := func(name string) bool { return slices.Contains(words(line), name) }
	if language == "zh" {
		has = func(name string) bool { return strings.Contains(line, name) }
	}
	var found []string
	for i, day := range datesTexts[language].weekdays {
		if slices.ContainsFunc(append([]string{strings.ToLower(day)}, weekdayAliases[language][i]...), has) {
			found = append(found, day)
		}
	}
	if len(found) != 1 {
		return "", false
	}
	return found[0], true
}

// readYesNo takes a line with one of the two words.
func readYesNo(line string) (string, bool) {
	found := slices.DeleteFunc(words(strings.ToLower(line)), func(w string) bool { return w != "yes" && w != "no" })
	if len(slices.Compact(found)) != 1 {
		return "", false
	}
	return found[0], true
}

var (
	numbering = regexp.MustCompile(`(?m)^\s*(?:\d+[.)]|[-*•])\s+`)
	listSplit = regexp.MustCompile(`\s*(?:,\s*and\s|[,;\n>、→]|->|\band\b)\s*`)
)

// readList takes names divided by commas, arrows or lines.
func readList(part finalPart, answer string) (string, bool) {
	text := part.line
	if part.after != "" && part.marked {
		text += "\n" + part.after
	}
	text = numbering.ReplaceAllString(strings.ReplaceAll(text, "**", ""), "")
	right := strings.Split(answer, ", ")
	var found []string
	for _, cell := range listSplit.Split(text, -1) {
		cell = strings.Trim(undress(cell), " .[]-")
		if cell == "" {
			continue
		}
		if strings.ContainsAny(cell, " :") {
			return "", false // prose
		}
		if i := len(found); i < len(right) && strings.EqualFold(cell, right[i]) {
			cell = right[i]
		}
		found = append(found, cell)
	}
	return strings.Join(found, ", "), len(found) > 0
}

// readText takes a line as it is.
func readText(part finalPart, answer string) (string, bool) {
	text := strings.Join(strings.Fields(part.line), " ")
	if !strings.ContainsFunc(answer, unicode.IsLetter) { // brackets may stand apart
		text = strings.ReplaceAll(text, " ", "")
	} else if text != answer {
		text = strings.TrimSuffix(text, ".")
	}
	if text != answer && !part.marked && len(strings.Fields(text)) != len(strings.Fields(answer)) {
		return "", false
	}
	return text, text != ""
}

var choiceLetter = regexp.MustCompile(`^(?i:(?:the )?(?:correct )?(?:option|choice|letter|answer)?(?: is)?) ?[(\[]?([A-Ja-j])(?:[)\].:,]+|$)\s*(.*)$`)

// readChoice takes the letter of an option, with or without the option's text, or that text alone.
func readChoice(line string, choices []string) (string, bool) {
	line = undress(strings.TrimSuffix(line, "."))
	if i := slices.IndexFunc(choices, func(c string) bool { return strings.EqualFold(c, line) }); i >= 0 {
		return letters[i : i+1], true
	}
	m := choiceLetter.FindStringSubmatch(strings.ReplaceAll(line, "**", ""))
	if m == nil {
		return "", false
	}
	i := strings.Index(letters, strings.ToUpper(m[1]))
	if i < 0 || i >= len(choices) || m[2] != "" && !strings.EqualFold(undress(m[2]), choices[i]) {
		return "", false
	}
	return letters[i : i+1], true
}
