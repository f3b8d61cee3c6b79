package upstreamtest

import (
	"cmp"
	"regexp"
	"strings"
)

var (
	codeWord   = regexp.MustCompile(`(?i)\bcode ?word is:? *["'` + "`" + `]?([^\s"'` + "`" + `]+)`)
	wantsCode  = regexp.MustCompile(`(?i)\bcode ?word\b`)
	wantsCopy  = regexp.MustCompile(`(?i)\b(verbatim|exactly|copy|repeat|echo|word for word)\b`)
	wantsNext  = regexp.MustCompile(`(?is)\b(?:verbatim|exactly|copy|repeat|echo|word for word)\b[^:\n]*:\s*(\S.*)$`)
	markerLine = regexp.MustCompile(`^\s*(?:[^\pL\pN\s]{3,}|[^\pL\pN\s]*\s*(?:BEGIN|START|END)\b.{0,40})\s*$`)
	fact       = regexp.MustCompile(`(?m)^\W*(KEY-[\w-]*\w)\s*[:=]\s*(\S.*?)\s*$`)
	factName   = regexp.MustCompile(`KEY-[\w-]*\w`)
	inQuotes   = regexp.MustCompile("`([^`\n]+)`|\"([^\"\n]+)\"|'([^'\n]+)'|“([^”\n]+)”")
)

// obey does what a prompt asks for outright, if anything: repeat the code word that
// it was told, look a key up in the context, copy a text.
func obey(p *prompt) (string, bool) {
	if wantsCode.MatchString(p.last) && !codeWord.MatchString(p.last) {
		for _, t := range p.turns {
			if m := codeWord.FindStringSubmatch(t.text); m != nil {
				return strings.TrimRight(m[1], ".,;!?)"), true
			}
		}
		return "I was not told a code word.", true
	}
	if text, ok := needle(p); ok {
		return text, true
	}
	return copied(p.last)
}

// needle answers a question for keys of lines such as "KEY-name: value", which may
// stand anywhere in the context.
func needle(p *prompt) (string, bool) {
	asked := factName.FindAllString(fact.ReplaceAllString(p.last, ""), -1)
	if len(asked) == 0 {
		return "", false
	}
	known := map[string]string{}
	for _, t := range p.turns {
		for _, m := range fact.FindAllStringSubmatch(t.text, -1) {
			known[m[1]] = m[2]
		}
	}
	var found []string
	for _, name := range asked {
		found = append(found, cmp.Or(known[name], "I cannot find "+name+" in the text."))
	}
	return strings.Join(found, ", "), true
}

// copied is the text that a prompt asks to copy: what stands between two marker
// lines, else what follows the colon.
func copied(text string) (string, bool) {
	if !wantsCopy.MatchString(text) {
		return "", false
	}
	var inside []string
	open := false
	for line := range strings.SplitSeq(text, "\n") {
		switch marker := markerLine.MatchString(line); {
		case marker && open:
			return strings.Join(inside, "\n"), true
		case marker:
			open = true
		case open:
			inside = append(inside, line)
		}
	}
	if m := wantsNext.FindStringSubmatch(text); m != nil {
		return strings.TrimSpace(m[1]), true
	}
	return "", false
}

// quoted is the string that a prompt asks to use: one to copy, else the last in quotes.
func quoted(text string) string {
	if m := inQuotes.FindAllStringSubmatch(text, -1); m != nil {
		return strings.Join(m[len(m)-1][1:], "")
	}
	t, _ := copied(text)
	return t
}

// arguments fills a tool's arguments with the string that the prompt asks to use.
func (o *Oracle) arguments(p *prompt, name, digest string) string {
	for _, t := range p.tools {
		if t.name == name {
			return string(fill(t.schema, digest, cmp.Or(quoted(p.last), digest), 0))
		}
	}
	return "{}"
}

// biased is the token that a logit bias of 100 leaves the model no choice about.
func (o *Oracle) biased(bias map[string]float64) (string, bool) {
	for _, id := range sortedKeys(bias) {
		if bias[id] < 100 {
			continue
		}
		if word, ok := o.token(id); ok {
			return word, true
		}
	}
	return "", false
}
