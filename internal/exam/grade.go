package exam

import (
	"regexp"
	"strings"
)

// Verdict is what a reply is worth.
type Verdict string

// Verdicts. Unparsed is a reply in which no single answer was found; it is not Right, and an audit may
// count it apart from Wrong.
const (
	Unparsed Verdict = "unparsed"
	Wrong    Verdict = "wrong"
	Right    Verdict = "right"
)

// Graded is the result of Grade.
type Graded struct {
	Verdict    Verdict
	Parsed     string // the answer that was found, in canonical form; empty when Unparsed or a Format
	Violations int    // broken rules of a Format
}

// maxReply bounds what is read of a reply; a longer one is Unparsed.
const maxReply = 1 << 20

// Grade reads the answer out of a reply and compares it. It accepts many spellings of a value and no
// doubt: a reply that names two different answers, or denies one, is Unparsed.
func Grade(item Item, reply string) Graded {
	if len(reply) > maxReply {
		return Graded{Verdict: Unparsed}
	}
	if _, after, found := lastCut(reply, "</think>"); found {
		reply = after
	}
	if item.Kind == Format {
		n := violations(item.Rules, reply)
		if n > 0 || len(item.Rules) == 0 {
			return Graded{Verdict: Wrong, Violations: n}
		}
		return Graded{Verdict: Right}
	}
	parsed, ok := parse(item, reply)
	switch {
	case !ok || item.Answer == "":
		return Graded{Verdict: Unparsed}
	case parsed == item.Answer:
		return Graded{Verdict: Right, Parsed: parsed}
	}
	return Graded{Verdict: Wrong, Parsed: parsed}
}

// parse finds the one answer of the item's kind in canonical form.
func parse(item Item, reply string) (string, bool) {
	part := final(reply)
	if part.line == "" {
		return "", false
	}
	switch item.Kind {
	case Number, Date, Clock:
		if doubtful.MatchString(part.line) || strings.ContainsAny(part.after, "0123456789") {
			return "", false
		}
		line := ascii(part.line)
		switch item.Kind {
		case Date:
			return readDate(line, item.Language)
		case Clock:
			return readClock(line)
		}
		return readNumber(line, item)
	case Word:
		if doubtful.MatchString(part.line) {
			return "", false
		}
		return readWord(part.line, item)
	case YesNo:
		return readYesNo(part.line)
	case List:
		return readList(part, item.Answer)
	case Text:
		return readText(part, item.Answer)
	case Choice:
		if doubtful.MatchString(part.line) {
			return "", false
		}
		return readChoice(part.line, item.Choices)
	}
	return "", false
}

// finalPart is where a reply gives its answer.
type finalPart struct {
	line   string // the rest of the line after the last "Answer:", or the last line
	after  string // what follows that line
	marked bool   // there was an "Answer:"
}

var (
	marker   = regexp.MustCompile(`(?i)(?:\b(?:answer|antwort|respuesta|ergebnis|resultado|result|output)\b|答案|结果)[*_]*\s*(?:(?:is|ist|lautet|es)\b\s*:?|(?:[:：=]|是|为|爲)[:：]?)[*_]*`)
	doubtful = regexp.MustCompile(`(?i)\b(?:not|isn't|nicht|kein\w*|unknown|unclear|cannot|can't|either|or|oder|nor|maybe|perhaps|vielleicht|quizás)\b|\bno es\b|不是|或者?|也许|可能|\?|？`)
	fence    = regexp.MustCompile("^\\s*```\\w*\\s*$")
)

// final finds the part of a reply that gives the answer.
func final(reply string) finalPart {
	var lines []string
	for line := range strings.Lines(reply) {
		if line = strings.TrimSpace(line); line != "" && !fence.MatchString(line) {
			lines = append(lines, line)
		}
	}
	for i := len(lines) - 1; i >= 0; i-- {
		spans := marker.FindAllStringIndex(lines[i], -1)
		if spans == nil {
			continue
		}
		rest := undress(lines[i][spans[len(spans)-1][1]:])
		if rest == "" && i+1 < len(lines) {
			i++
			rest = undress(lines[i])
		}
		return finalPart{rest, strings.Join(lines[i+1:], "\n"), true}
	}
	if len(lines) == 0 {
		return finalPart{}
	}
	return finalPart{line: undress(lines[len(lines)-1])}
}

// undress takes away the emphasis, quotes and code marks around a text.
func undress(s string) string {
	s = strings.TrimSpace(s)
	for {
		t := strings.TrimSpace(s)
		t = strings.TrimSuffix(strings.TrimPrefix(t, "**"), "**")
		for _, pair := range []string{"``", `""`, "''", "“”", "「」", "„“", "__", "$$"} {
			runes := []rune(pair)
			open, shut := string(runes[0]), string(runes[1])
			if len(t) >= len(open)+len(shut) && strings.HasPrefix(t, open) && strings.HasSuffix(t, shut) {
				t = t[len(open) : len(t)-len(shut)]
			}
		}
		if inner, found := strings.CutPrefix(t, `\boxed{`); found {
			t = strings.TrimSuffix(inner, "}")
		}
		if t == s {
			return s
		}
		s = t
	}
}

var wide = strings.NewReplacer("０", "0", "１", "1", "２", "2", "３", "3", "４", "4", "５", "5", "６", "6", "７", "7", "８", "8", "９", "9",
	"：", ":", "，", ",", "．", ".", "。", ". ", "％", "%", "−", "-", "–", "-", "\u00a0", " ", "\u202f", " ", "\u2009", " ", "’", "'", "**", "", "`", "", `\,`, "", `\%`, "%")

// ascii writes the wide and typographic forms of digits and signs in their plain form.
func ascii(s string) string { return wide.Replace(s) }

func lastCut(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}
