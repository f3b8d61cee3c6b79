package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"sallyport/internal/report"
)

// output prints what a verb found: JSON for programs, a table for people. Text in
// it may come from clients and upstreams and is made visible before it reaches a
// terminal.
type output struct {
	out  io.Writer
	json bool
}

// value prints v as JSON, one document a line, or hands over to people.
func (o output) value(v any, people func()) error {
	if !o.json {
		people()
		return nil
	}
	e := json.NewEncoder(o.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// lines prints every element as one JSON line, or hands over to people.
func lines[T any](o output, vs []T, people func()) error {
	if !o.json {
		people()
		return nil
	}
	for _, v := range vs {
		if err := o.value(v, nil); err != nil {
			return err
		}
	}
	return nil
}

// table prints rows under a head, columns aligned; columns whose head starts
// with ">" are aligned right.
func (o output) table(head []string, rows [][]string) { newColumns(head).print(o.out, rows) }

// columns prints a table in parts, each as wide as what came before it demands.
type columns struct {
	head  []string
	right []bool
	width []int
	begun bool // the head is printed
}

func newColumns(head []string) *columns {
	c := &columns{head: make([]string, len(head)), right: make([]bool, len(head)), width: make([]int, len(head))}
	for i, h := range head {
		c.head[i], c.right[i] = strings.CutPrefix(h, ">")
		c.width[i] = utf8.RuneCountInString(c.head[i])
	}
	return c
}

// print prints rows, the first time under the head.
func (c *columns) print(w io.Writer, rows [][]string) {
	shown := make([][]string, 0, len(rows)+1)
	if !c.begun {
		c.begun = true
		shown = append(shown, c.head)
	}
	for _, r := range rows {
		cells := make([]string, len(r))
		for i := range r {
			cells[i] = visible(r[i])
			c.width[i] = max(c.width[i], utf8.RuneCountInString(cells[i]))
		}
		shown = append(shown, cells)
	}
	for _, r := range shown {
		fmt.Fprintln(w, c.line(r))
	}
}

func (c *columns) line(cells []string) string {
	var b strings.Builder
	for i, cell := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := strings.Repeat(" ", c.width[i]-utf8.RuneCountInString(cell))
		if c.right[i] {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func visible(s string) string { return report.Visible(s) }

// visibleText is visible for text of several lines: line feeds and tabs stay.
func visibleText(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		i := strings.IndexAny(s, "\n\t")
		if i < 0 {
			b.WriteString(visible(s))
			break
		}
		b.WriteString(visible(s[:i]))
		b.WriteByte(s[i])
		s = s[i+1:]
	}
	return b.String()
}

// terminal reports whether f is a terminal that a person watches.
func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" }
