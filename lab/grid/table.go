package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// The columns of rows on banks, and of rows on oracles.
var (
	bankColumns = []string{
		column("D3", verdict.Same), column("D3", verdict.Honest), column("D4", verdict.Same), column("D4", verdict.Honest), column("D13", verdict.Same),
		column("FUSED", verdict.Same), column("FUSED", verdict.Honest),
	}
	oracleColumns = []string{
		column("D5", verdict.Same), column("D5", verdict.Honest), column("D6", verdict.Same), column("D6", verdict.Honest), column("D11", verdict.Same),
		column("FUSED", verdict.Same), column("FUSED", verdict.Honest),
	}
)

// table is what some rows came to.
type table struct {
	title, about string
	columns      []string
	rows         []row
	results      map[string][]result
}

// tally is what a column of a row came to.
type tally struct {
	n, one, five int
	after        []int // observations until E >= 100
}

func tallied(results []result, column string) tally {
	var t tally
	for _, r := range results {
		c, has := r.Crossed[column]
		if !has {
			continue
		}
		t.n++
		if c.Five > 0 {
			t.five++
		}
		if c.One > 0 {
			t.one++
			t.after = append(t.after, c.One)
		}
	}
	slices.Sort(t.after)
	return t
}

// String is the cell of the table: power at 1 % with its 95 % interval, power at 5 %,
// and the median of observations.
func (t tally) String() string {
	if t.n == 0 {
		return "-"
	}
	i, err := stat.ClopperPearson(t.one, t.n, .95)
	if err != nil {
		return "-"
	}
	median := "-"
	if len(t.after) > 0 {
		median = fmt.Sprint(t.after[len(t.after)/2])
	}
	return fmt.Sprintf("%.3f [%.2f, %.2f] / %.3f / %s", share(t.one, t.n), i.Low, i.High, share(t.five, t.n), median)
}

// alarms is the cell of an honest row: alarms at 1 % and 5 % with one-sided 95 % upper
// bounds.
func (t tally) alarms() string {
	if t.n == 0 {
		return "-"
	}
	one, err := stat.BinomialUpper(t.one, t.n, .95)
	if err != nil {
		return "-"
	}
	five, err := stat.BinomialUpper(t.five, t.n, .95)
	if err != nil {
		return "-"
	}
	return fmt.Sprintf("%d of %d (<= %.2f %%) / %d (<= %.2f %%)", t.one, t.n, 100*one, t.five, 100*five)
}

func share(x, n int) float64 { return float64(x) / float64(max(n, 1)) }

// print writes the table as Markdown.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "## %s\n\n%s Power at 1 %% [95 %% interval] / power at 5 %% / median observations at 1 %%; of honest rows alarms at 1 %% / 5 %% with upper bounds.\n\n", t.title, t.about)
	fmt.Fprintf(w, "| row | endpoint | %s | published | note |\n|%s\n", strings.Join(t.columns, " | "), strings.Repeat("---|", len(t.columns)+4))
	for i := range t.rows {
		r := &t.rows[i]
		fmt.Fprintf(w, "| %s | %s |", r.id, r.what)
		for _, c := range t.columns {
			cell := tallied(t.results[r.id], c)
			if r.honest {
				fmt.Fprintf(w, " %s |", cell.alarms())
			} else {
				fmt.Fprintf(w, " %s |", cell)
			}
		}
		fmt.Fprintf(w, " %s | %s |\n", r.published, r.note)
	}
	fmt.Fprint(w, "\nBars:\n\n")
	for _, line := range t.bars() {
		fmt.Fprintf(w, "- %s\n", line)
	}
	fmt.Fprintln(w)
}

// Bars on false alarms, as one-sided 95 % upper bounds: of the fused verdict at 1 %,
// and of a single detector.
const (
	fusedBar  = .01
	singleBar = .02
)

// bars say of each promise whether it was kept, with the number.
func (t *table) bars() []string {
	var lines []string
	for i := range t.rows {
		r := &t.rows[i]
		for _, column := range t.columns {
			c := tallied(t.results[r.id], column)
			if c.n == 0 || !r.silent(column) {
				continue
			}
			limit := singleBar
			if strings.HasPrefix(column, "FUSED") {
				limit = fusedBar
			}
			lines = append(lines, fmt.Sprintf("%s, %s: false alarms at most %.1f %%: %s", r.id, column, 100*limit, certified(c, limit)))
		}
		for _, b := range r.bars {
			lines = append(lines, r.bar(b, t.results[r.id]))
		}
	}
	return lines
}

// silent reports whether a column may not reject: one of the hypotheses that hold. That
// of D13 holds for every recorded deployment.
func (r *row) silent(name string) bool {
	return r.honest && name == column("D13", verdict.Same) || slices.ContainsFunc(r.quiet, func(n verdict.Null) bool { return strings.HasSuffix(name, " "+string(n)) })
}

// certified says whether the one-sided 95 % upper bound of a share of alarms is within
// a limit, or that no number of alarms could show it with so few audits.
func certified(c tally, limit float64) string {
	upper, err := stat.BinomialUpper(c.one, c.n, .95)
	if err != nil {
		return err.Error()
	}
	least, err := stat.BinomialUpper(0, c.n, .95)
	said := met(upper <= limit)
	if err == nil && least > limit {
		said = "too few audits to tell"
	}
	return fmt.Sprintf("%s, %d of %d, upper bound %.2f %%", said, c.one, c.n, 100*upper)
}

// bar says whether one promise on power was kept.
func (r *row) bar(b bar, results []result) string {
	c := tallied(results, b.column)
	if c.n == 0 {
		return fmt.Sprintf("%s, %s: not measured", r.id, b.column)
	}
	within, _ := slices.BinarySearch(c.after, b.within+1)
	power := share(within, c.n)
	if b.blind {
		return fmt.Sprintf("%s, %s: power at most %g within %d: %s, %.3f", r.id, b.column, b.power, b.within, met(power <= b.power), power)
	}
	return fmt.Sprintf("%s, %s: power %g within %d: %s, %.3f", r.id, b.column, b.power, b.within, met(power >= b.power), power)
}

func met(kept bool) string {
	if kept {
		return "met"
	}
	return "MISSED"
}

// printWire writes the rows that were run over HTTP.
func printWire(w io.Writer, results map[string][]result) {
	fmt.Fprint(w, "## Over HTTP\n\nSimulated models behind relays; E >= 100 / E >= 20, as shares, and the median of questions asked. A reproduced mismatch of one\n")
	fmt.Fprint(w, "documented fact is worth an E of 50.5 and no more: it counts at 5 % and never alone at 1 %.\n\n| row | relay |")
	for _, id := range wireColumns {
		fmt.Fprintf(w, " %s |", id)
	}
	fmt.Fprintf(w, " findings, of %d audits | expected | bar | published |\n|%s\n", len(results["R0"]), strings.Repeat("---|", len(wireColumns)+6))
	for i := range wireRows {
		r := &wireRows[i]
		all := results[r.name()]
		fmt.Fprintf(w, "| %s | %s |", r.preset, r.what)
		for _, id := range wireColumns {
			fmt.Fprintf(w, " %s |", wireCell(all, string(id)))
		}
		fmt.Fprintf(w, " %s | %s | %s | %s |\n", labels(all), orNothing(string(r.label)), r.bar(all), r.published)
	}
	fmt.Fprintln(w)
}

func wireCell(all []result, id string) string {
	c := tallied(all, id)
	if c.n == 0 {
		return "-"
	}
	var asked []int
	for _, r := range all {
		if x, has := r.Crossed[id]; has {
			asked = append(asked, x.N)
		}
	}
	slices.Sort(asked)
	return fmt.Sprintf("%.2f / %.2f / %d", share(c.one, c.n), share(c.five, c.n), asked[len(asked)/2])
}

// bar says whether a relay's bill is found out within 100 answers, and whether a hidden
// prompt is called one and nothing else.
func (r *wireRow) bar(all []result) string {
	if strings.HasPrefix(r.preset, "R11") {
		named, accused := 0, 0
		for _, x := range all {
			if slices.Contains(x.Labels, "D1: "+string(r.label)) {
				named++
			}
			if slices.Contains(x.Labels, "D1: "+string(verdict.Differs)) || slices.Contains(x.Labels, string(verdict.IdentityFailed)) {
				accused++
			}
		}
		return fmt.Sprintf("named .99, called another model .01: %s, %d and %d of %d", met(100*named >= 99*len(all) && 100*accused <= len(all)), named, accused, len(all))
	}
	if share, some := strings.CutPrefix(r.preset, "R15"); some {
		return r.rewritten(share)
	}
	if r.within == "" {
		return ""
	}
	c := tallied(all, string(r.within))
	within, _ := slices.BinarySearch(c.after, 101)
	return fmt.Sprintf("%s within 100 answers: %s, %.2f", r.within, met(within == c.n && c.n > 0), share(within, c.n))
}

// rewritten says what the number of answers alone allows: a rule is one that was seen
// three times, and a relay that spares an answer spares all that stands in it, so more
// commands in an answer do not help.
func (r *wireRow) rewritten(preset string) string {
	share, err := strconv.ParseFloat(cmp.Or(strings.TrimPrefix(preset, ":"), ".02"), 64)
	if err != nil || share == 1 {
		return ""
	}
	const seen, inCalls = 3, 6 // times that make a rule; questions that hold one command only
	power := func(n int) float64 { return stat.BinomialAtLeast(seen, n-inCalls, share) }
	n := inCalls + seen
	for power(n) < .8 {
		n++
	}
	asked := r.budgets()["D8"]
	return fmt.Sprintf("three answers in %d questions are rewritten with a chance of %.3f; for .8 it takes %d", asked, power(asked), n)
}

// labels counts the findings of all audits.
func labels(all []result) string {
	counts := map[string]int{}
	for _, r := range all {
		for _, l := range r.Labels[1:] {
			counts[l]++
		}
	}
	var parts []string
	for _, l := range sortedKeys(counts) {
		parts = append(parts, fmt.Sprintf("%s (%d)", l, counts[l]))
	}
	return orNothing(strings.Join(parts, ", "))
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
