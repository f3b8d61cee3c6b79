package exam

import (
	"regexp"
	"strings"
)

// piece is one quantified part of a pattern.
type piece struct {
	set      string // the letters it takes
	shown    string
	min, max int // max 99 stands for no limit
	mark     string
}

var pieceSets = []struct{ set, shown string }{
	{"a", "a"}, {"b", "b"}, {"x", "x"}, {"abc", "[abc]"}, {"0123456789", `\d`}, {"xyz", "[x-z]"}, {"ab", "[ab]"}, {"12345", "[1-5]"},
}

var pieceMarks = []piece{{min: 1, max: 1}, {min: 0, max: 1, mark: "?"}, {min: 1, max: 99, mark: "+"}, {min: 0, max: 99, mark: "*"}, {min: 2, max: 2, mark: "{2}"}, {min: 1, max: 3, mark: "{1,3}"}}

// buildRegex asks whether a text matches a pattern, or how many of several do.
func buildRegex(d draw, _ string, level int) (problem, bool) {
	var pattern []piece
	var source strings.Builder
	for range 2 + level/2 {
		p, s := pick(d, pieceMarks), pick(d, pieceSets)
		p.set, p.shown = s.set, s.shown
		pattern = append(pattern, p)
		source.WriteString(p.shown + p.mark)
	}
	n := 1
	if level > 3 {
		n = 2 + level/2
	}
	var texts []string
	matching := 0
	for range n {
		text := matchingText(d, pattern)
		if d.even() {
			text = spoil(d, text)
		}
		if text == "" {
			return problem{}, false
		}
		if derives(pattern, text) {
			matching++
		}
		texts = append(texts, text)
	}
	re := regexp.MustCompile("^(?:" + source.String() + ")$")
	count := func() int {
		sum := 0
		for _, t := range texts {
			if re.MatchString(t) {
				sum++
			}
		}
		return sum
	}
	p := problem{size: len(pattern) * (n + 1), kind: Number, answer: itoa(matching)}
	p.fields = []string{"pattern", source.String(), "ask", "how many of these texts does it match from the first character to the last"}
	p.body = strings.Join(texts, "\n")
	p.solve = func() []string { return one(itoa(count())) }
	if n == 1 {
		verdict := []string{"no", "yes"}
		p.kind, p.answer, p.others = YesNo, verdict[matching], without(verdict, verdict[matching])
		p.fields[3] = "does it match this text from the first character to the last"
		p.solve = func() []string { return one(verdict[count()]) }
	}
	return p, source.Len() > 3
}

// matchingText is a text that the pattern takes.
func matchingText(d draw, pattern []piece) string {
	var b strings.Builder
	for _, p := range pattern {
		for range d.between(p.min, min(p.max, p.min+3)) {
			b.WriteByte(p.set[d.IntN(len(p.set))])
		}
	}
	return b.String()
}

// spoil changes, drops or repeats one character.
func spoil(d draw, s string) string {
	if s == "" {
		return s
	}
	i := d.IntN(len(s))
	switch d.IntN(3) {
	case 0:
		return s[:i] + string("abcxyz0159"[d.IntN(10)]) + s[i+1:]
	case 1:
		return s[:i] + s[i+1:]
	}
	return s[:i+1] + s[i:]
}

// derives says whether the pattern takes the whole text: the set of prefixes that a part of the pattern
// can have taken, part by part.
func derives(pattern []piece, text string) bool {
	ends := map[int]bool{0: true}
	for _, p := range pattern {
		next := map[int]bool{}
		for from := range ends {
			for n := 0; n <= p.max; n++ {
				if n >= p.min {
					next[from+n] = true
				}
				if from+n >= len(text) || !strings.Contains(p.set, text[from+n:from+n+1]) {
					break
				}
			}
		}
		ends = next
	}
	return ends[len(text)]
}
