package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration. None of its texts
// holds a secret.
type Problem struct {
	File   string // as it was named to Load or Parse; empty when there is no file
	Line   int    // from 1; 0 when no place applies
	Column int    // from 1, in characters
	Field  string // such as upstreams[0].base_url
	What   string // what is wrong
	Fix    string // what to do about it
}

// String writes the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
		}
		b.WriteByte(' ')
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.What)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// Errors are all problems of one configuration, in the order of the file.
type Errors []Problem

// maxProblems bounds a report; a file with more is of another kind altogether.
const maxProblems = 100

// Error implements error with one line per problem.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// place is where a field stands in a file.
type place struct{ line, column int }

// report collects problems and knows where fields stand.
type report struct {
	file     string
	places   map[string]place
	problems Errors
	dropped  int
}

// at adds a problem of a field at a place.
func (r *report) at(p place, field, what, fix string) {
	if len(r.problems) >= maxProblems {
		r.dropped++
		return
	}
	r.problems = append(r.problems, Problem{r.file, p.line, p.column, field, what, fix})
}

// add adds a problem of a field, at its place or that of the nearest field around it.
func (r *report) add(field, what, fix string) { r.at(r.find(field), field, what, fix) }

// reported says whether a field, or one below it, already has a problem.
func (r *report) reported(field string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return strings.HasPrefix(p.Field, field) })
}

func (r *report) find(field string) place {
	for {
		if p, ok := r.places[field]; ok {
			return p
		}
		cut := strings.LastIndexAny(field, ".[")
		if cut < 0 {
			return place{}
		}
		field = field[:cut]
	}
}

// err returns the collected problems, or nil when there are none.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if r.dropped > 0 {
		r.problems = append(r.problems, Problem{File: r.file, What: fmt.Sprintf("%d more problems", r.dropped), Fix: "mend these first"})
	}
	return r.problems
}

// near is nearest, spared when nothing more is going to be reported.
func (r *report) near(typed string, names []string) string {
	if len(r.problems) >= maxProblems {
		return ""
	}
	return nearest(typed, names)
}

// quote shows a short text from the file; a long one, which may be a secret that
// slipped into the wrong field, is only described.
func quote(text string) string {
	const shown = 40
	if len(text) > shown {
		return fmt.Sprintf("a text of %d bytes", len(text))
	}
	return fmt.Sprintf("%q", text)
}

// oneOf lists alternatives in words.
func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// nearest is the name that a mistyped one most likely meant, or nothing.
func nearest(typed string, names []string) string {
	best, distance := "", 3
	for _, n := range names {
		if strings.EqualFold(n, typed) || strings.EqualFold(strings.ReplaceAll(typed, "-", "_"), n) {
			return n
		}
		if d := edits(typed, n); d < distance && d < len(n)/2+1 {
			best, distance = n, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two short texts.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
