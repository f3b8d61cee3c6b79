package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// gridColumns are the columns of the bank rows.
var gridColumns = []string{
	column("D3", verdict.Same), column("D3", verdict.Honest), column("D4", verdict.Same), column("D4", verdict.Honest),
	column("FUSED", verdict.Same), column("FUSED", verdict.Honest),
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

// print writes the table of one scenario as Markdown.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "## %s: %s claimed, %s substituted\n\n%d of %d cells count. Power at 1 %% [95 %% interval] / power at 5 %% / median observations at 1 %%.\n\n",
		t.scenario.Name, t.scenario.Claimed, t.scenario.Substitute, t.cells, len(t.scenario.cells()))
	fmt.Fprintf(w, "| row | endpoint | %s | published | note |\n|%s\n", strings.Join(gridColumns, " | "), strings.Repeat("---|", len(gridColumns)+4))
	for i := range t.rows {
		r := &t.rows[i]
		fmt.Fprintf(w, "| %s | %s |", r.id, r.what)
		for _, c := range gridColumns {
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
		for _, n := range r.quiet {
			for _, id := range []verdict.ID{"FUSED", "D3", "D4"} {
				c := tallied(t.results[r.id], column(id, n))
				if c.n == 0 {
					continue
				}
				limit := singleBar
				if id == "FUSED" {
					limit = fusedBar
				}
				lines = append(lines, fmt.Sprintf("%s, %s: false alarms at most %.1f %%: %s", r.id, column(id, n), 100*limit, certified(c, limit)))
			}
		}
		for _, b := range r.bars {
			lines = append(lines, r.bar(b, t.results[r.id]))
		}
	}
	return lines
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
	if r.within == "" {
		return ""
	}
	c := tallied(all, string(r.within))
	within, _ := slices.BinarySearch(c.after, 101)
	return fmt.Sprintf("%s within 100 answers: %s, %.2f", r.within, met(within == c.n && c.n > 0), share(within, c.n))
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
