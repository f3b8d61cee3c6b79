package exam

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// textOp changes a text; again does the same in another way.
type textOp struct {
	say   string
	apply func(string) string
	again func(string) string
}

func mapWords(s string, f func(string) string) string {
	words := strings.Fields(s)
	for i, w := range words {
		words[i] = f(w)
	}
	return strings.Join(words, " ")
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// caesar shifts small letters forward by n.
func caesar(s string, n int) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return r
		}
		return 'a' + (r-'a'+rune(n))%26
	}, s)
}

// textOps draws one operation of each sort.
func textOps(d draw, words int) []textOp {
	const alphabet = "abcdefghijklmnopqrstuvwxyz"
	n, v := d.between(1, 4), pick(d, []string{"a", "e", "o"})
	k := d.between(1, words-1)
	return []textOp{
		{"reverse the order of the words", func(s string) string {
			w := strings.Fields(s)
			slices.Reverse(w)
			return strings.Join(w, " ")
		}, func(s string) string { return mapWords(reversed(s), reversed) }},
		{"reverse the letters of every word, leaving the words in place", func(s string) string { return mapWords(s, reversed) }, func(s string) string {
			w := strings.Fields(reversed(s))
			slices.Reverse(w)
			return strings.Join(w, " ")
		}},
		{fmt.Sprintf("shift every letter %d places forward in the alphabet (z is followed by a)", n), func(s string) string { return caesar(s, n) }, func(s string) string {
			var pairs []string
			for i := range alphabet {
				pairs = append(pairs, alphabet[i:i+1], (alphabet + alphabet)[i+n:i+n+1])
			}
			return strings.NewReplacer(pairs...).Replace(s)
		}},
		{"remove every letter " + v + ", if there is any", func(s string) string { return strings.ReplaceAll(s, v, "") }, func(s string) string { return strings.Join(strings.Split(s, v), "") }},
		{fmt.Sprintf("move the first %d words to the end, keeping their order", k), func(s string) string {
			w := strings.Fields(s)
			return strings.Join(append(slices.Clone(w[k:]), w[:k]...), " ")
		}, func(s string) string {
			w := strings.Fields(s + " " + s)
			return strings.Join(w[k:k+len(w)/2], " ")
		}},
		{"swap the first and the last letter of every word", func(s string) string {
			return mapWords(s, func(w string) string {
				b := []byte(w)
				b[0], b[len(b)-1] = b[len(b)-1], b[0]
				return string(b)
			})
		}, func(s string) string { return swapEnds.ReplaceAllString(s, "$3$2$1") }},
	}
}

var swapEnds = regexp.MustCompile(`\b(\w)(\w*)(\w)\b`)

// buildStrings applies operations on words, and may count or pick at the end.
func buildStrings(d draw, _ string, level int) (problem, bool) {
	n, steps := 2+level/2, 1+level/3
	words := sample(d, plainWords, n)
	text := strings.Join(words, " ")
	ops := sample(d, textOps(d, n), steps)
	one1, two := text, text
	var lines []string
	for i, op := range ops {
		one1, two = op.apply(one1), op.again(two)
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, op.say))
	}
	p := problem{size: n * (steps + 1), kind: Text, answer: one1, fields: []string{"text", text}}
	p.solve = func() []string { return one(two) }
	switch d.IntN(3) {
	case 0:
		letter := pick(d, []string{"a", "e", "n", "r"})
		lines = append(lines, fmt.Sprintf("%d. count how often the letter %s occurs; that number is the result", steps+1, letter))
		p.kind, p.answer = Number, itoa(strings.Count(one1, letter))
		p.solve = func() []string { return one(itoa(len(strings.Split(two, letter)) - 1)) }
		if p.answer == "0" {
			return problem{}, false
		}
	case 1:
		k := d.between(1, n)
		lines = append(lines, fmt.Sprintf("%d. take word number %d only; that word is the result", steps+1, k))
		p.answer = strings.Fields(one1)[k-1]
		p.solve = func() []string { return one(strings.SplitN(two, " ", n)[k-1]) }
	}
	p.body = strings.Join(lines, "\n")
	return p, true
}

var closer = map[byte]byte{'(': ')', '[': ']', '{': '}'}

// buildBrackets asks for the brackets that close a text.
func buildBrackets(d draw, _ string, level int) (problem, bool) {
	n := 4 + 3*level
	var text, stack []byte
	for len(text) < n {
		if len(stack) > 0 && d.IntN(5) < 2 {
			text, stack = append(text, stack[len(stack)-1]), stack[:len(stack)-1]
			continue
		}
		open := pick(d, []byte("([{"))
		text, stack = append(text, open), append(stack, closer[open])
	}
	slices.Reverse(stack)
	answer := string(stack)
	return problem{
		size: n, body: string(text), kind: Text, answer: answer, fields: []string{"n", itoa(len(answer))},
		solve: func() []string { return closings(string(text)) },
	}, len(stack) >= 2 && len(stack) <= 4+level
}

// closings tries every continuation that is not hopeless, shortest first.
func closings(text string) []string {
	var found []string
	level := []string{""}
	for len(level) > 0 && len(found) == 0 {
		var next []string
		for _, tail := range level {
			rest := erased(text + tail)
			if rest == "" {
				found = append(found, tail)
			}
			if strings.ContainsAny(rest, ")]}") {
				continue
			}
			for _, c := range []string{")", "]", "}"} {
				next = append(next, tail+c)
			}
		}
		level = next
	}
	return found
}

// erased takes out pairs until none is left; what is balanced leaves nothing.
func erased(s string) string {
	for {
		t := strings.NewReplacer("()", "", "[]", "", "{}", "").Replace(s)
		if t == s {
			return s
		}
		s = t
	}
}

// buildJSON is a JSON text from which one character was lost; its place is asked for.
func buildJSON(d draw, _ string, level int) (problem, bool) {
	keys := sample(d, plainWords, 4+2*level)
	var lines []string
	var places []int
	depth := 0
	lines = append(lines, "{")
	for i, key := range keys {
		last := i == len(keys)-1
		if !last && depth < 1+level/2 && d.IntN(3) == 0 {
			depth++
			lines = append(lines, indent(depth)+`"`+key+`": {`)
			continue
		}
		value := itoa(d.between(1, 9000))
		if d.even() {
			value = `"` + d.code() + `"`
		}
		line := indent(depth+1) + `"` + key + `": ` + value
		if !last {
			places = append(places, len(lines))
			line += ","
		}
		lines = append(lines, line)
	}
	for ; depth >= 0; depth-- {
		lines = append(lines, indent(depth)+"}")
	}
	bad := pick(d, places)
	lines[bad] = pick(d, jsonFaults(lines[bad]))
	text := strings.Join(lines, "\n")
	return problem{
		size: len(keys), body: text, kind: Number, answer: itoa(bad + 1),
		solve: func() []string { return brokenLines(lines) },
	}, true
}

func indent(n int) string { return strings.Repeat("  ", n) }

// jsonFaults are ways to lose one character of a member.
func jsonFaults(line string) []string {
	colon := strings.Index(line, ":")
	return []string{
		strings.TrimSuffix(line, ","),            // the comma after it
		line[:colon] + line[colon+1:],            // the colon
		line[:colon-1] + line[colon:],            // the quote that ends the key
		strings.Replace(line, `"`, "", 1),        // the quote that begins the key
		line[:colon] + line[colon:colon+1] + ",", // the value
	}
}

var (
	jsonMember = regexp.MustCompile(`^ *"[a-z]+": ([0-9]+|"[A-Z]{2}-[0-9]+"),$`)
	jsonOpen   = regexp.MustCompile(`^ *"[a-z]+": \{$`)
)

// brokenLines are the lines that break the form every line of such a text has.
func brokenLines(lines []string) []string {
	var bad []string
	for i, line := range lines {
		next := ""
		if i+1 < len(lines) {
			next = strings.TrimSpace(lines[i+1])
		}
		switch {
		case i == 0 || strings.Trim(line, " }") == "" || jsonOpen.MatchString(line):
		case next == "}" && jsonMember.MatchString(line+","):
		case jsonMember.MatchString(line):
		default:
			bad = append(bad, itoa(i+1))
		}
	}
	return bad
}
