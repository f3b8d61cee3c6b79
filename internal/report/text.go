package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport/internal/verdict"
)

// Text prints a report for a terminal of so many columns (80 when it is not known).
// Without colour it holds no escape sequence at all; with colour nothing is told by
// colour alone.
func Text(w io.Writer, r *verdict.Report, width int, colour bool) error {
	r = safe(r)
	t := newPaper(width, colour)
	t.headline(r)
	t.verdicts(r)
	t.detectors(r.Detectors)
	t.findings(r.Detectors)
	t.list("Innocent causes", r.Innocent)
	t.list("Coverage", r.Coverage)
	t.power(r)
	t.spent(r.Spent)
	t.evidence(r)
	t.section("")
	for _, line := range r.Footer {
		t.text(0, line)
	}
	t.text(0, fmt.Sprintf("Decided %s. Protocol %s, sallyport %s.", date(r.Decided), r.Schema, r.Program))
	_, err := w.Write(t.out.Bytes())
	return err
}

// paper is what is written on: so many columns, in colour or not.
type paper struct {
	out    bytes.Buffer
	width  int
	colour bool
}

// The colours, as SGR parameters.
const (
	bold   = "1"
	red    = "1;31"
	yellow = "33"
)

// newPaper is no narrower than a table needs, and no wider than one reads well.
func newPaper(width int, colour bool) *paper {
	return &paper{width: min(max(cmp.Or(width, 80), 48), 120), colour: colour}
}

// paint colours a text, when colours are wanted.
func (t *paper) paint(sgr, s string) string {
	if !t.colour || sgr == "" || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

func (t *paper) line(s string) { t.out.WriteString(strings.TrimRight(s, " ") + "\n") }

// section begins a part of the report.
func (t *paper) section(title string) {
	t.line("")
	if title != "" {
		t.line(t.paint(bold, strings.ToUpper(title)))
	}
}

// text writes a paragraph, indented.
func (t *paper) text(indent int, s string) {
	for _, line := range wrap(s, t.width-indent) {
		t.line(strings.Repeat(" ", indent) + line)
	}
}

// item writes a paragraph that hangs behind a mark or a name.
func (t *paper) item(name string, indent int, s string) {
	for i, line := range wrap(s, t.width-indent) {
		if i > 0 {
			name = ""
		}
		t.line(pad(name, indent) + line)
	}
}

func (t *paper) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	t.section(title)
	items, more := first(items, maxItems)
	for _, item := range items {
		t.item("-", 2, item)
	}
	t.more(more)
}

// more says how many items of a list are left out.
func (t *paper) more(n int) {
	if n > 0 {
		t.text(2, fmt.Sprintf("and %s more, in the report's JSON", count(n)))
	}
}

func (t *paper) headline(r *verdict.Report) {
	words := wordsOf(r.Headline)
	sgr := map[string]string{"finding": red, "note": yellow, "open": yellow, "plain": bold}[words.Tone]
	title := strings.ToUpper(words.Title)
	t.line(t.paint(sgr, title) + fmt.Sprintf("  (%s; level: %s)", strings.ToLower(words.Tag), level(r)))
	if r.Summary != "" {
		t.text(0, r.Summary)
	}
	t.line("")
	t.text(0, words.Means)
	t.text(0, words.Not)
	if r.Stopped != "" {
		t.text(0, "The audit ended before its plan did: "+r.Stopped)
	}
	t.line("")
	t.item("target", 12, strings.TrimSpace(r.Target.Name+"  "+r.Target.URL))
	t.item("model", 12, r.Target.Model)
	t.item("api", 12, r.Target.Kind)
	t.item("date", 12, fmt.Sprintf("%s, profile %s", date(r.Started), r.Profile))
	t.item("reference", 12, referenceWords(r.Reference))
}

func (t *paper) verdicts(r *verdict.Report) {
	t.section("Verdicts")
	t.line("HYPOTHESIS       LARGEST E  ALPHA        N  LEVEL       LABEL")
	for _, v := range r.Verdicts {
		e, alpha, n, lvl := none, none, none, none
		if v.Tested {
			e, alpha, n, lvl = eValue(v.MaxLogE), percent(v.Alpha), count(v.N), string(v.Level)
		}
		row := fmt.Sprintf("%-15s  %s  %5s  %7s  %-10s  ", v.Null, padLeft(e, 9), alpha, n, lvl)
		t.line(row + t.paint(tone(v), string(v.Label)))
	}
	for _, v := range r.Verdicts {
		t.line("")
		t.text(0, fmt.Sprintf("%s: %s.", v.Null, cmp.Or(v.Statement, v.Null.Statement())))
		if !v.Tested {
			t.text(2, "Not tested: "+cmp.Or(v.Reason, "no reason is given")+". This is not a pass.")
			continue
		}
		t.text(2, v.Wording)
		if v.Veto != "" {
			t.text(2, "Decides alone: "+v.Veto)
		}
		if len(v.Assumed) > 0 {
			t.text(2, "Assumed: "+strings.Join(v.Assumed, "; "))
		}
	}
}

// tone is the colour of a verdict's label.
func tone(v verdict.Verdict) string {
	switch {
	case v.Tested && v.Label.Finding():
		return red
	case !v.Tested || v.Label == verdict.WithinHonest || v.Label == verdict.Unusable:
		return yellow
	}
	return ""
}

func (t *paper) detectors(list []verdict.Result) {
	t.section("Detectors")
	t.line("ID   STATE           QUERIES  FAILED       USD  WHAT")
	for _, d := range list {
		queries, failures := none, none
		if !idle(d) {
			queries, failures = count(d.Queries), count(d.Failures)
		}
		sgr := ""
		if d.State == verdict.Inconclusive {
			sgr = yellow
		}
		row := fmt.Sprintf("%-3s  %s  %7s  %6s  %8s  ", d.ID, t.paint(sgr, pad(string(d.State), 14)), queries, failures, detectorCost(d))
		names := wrap(d.Name, t.width-48)
		t.line(row + names[0])
		for _, rest := range names[1:] {
			t.line(strings.Repeat(" ", 48) + rest)
		}
		if d.State != verdict.Ran {
			t.text(5, cmp.Or(d.Reason, "no reason is given"))
		}
	}
	t.text(0, "Only detectors that ran are evidence. None of the other states is a pass.")
}

func (t *paper) findings(list []verdict.Result) {
	t.section("Findings")
	any := false
	for _, d := range list {
		found, more := first(d.Findings, maxItems)
		for _, f := range found {
			any = true
			head := fmt.Sprintf("%s: %s (%s)", f.Label, f.Text, f.Null)
			if f.Veto {
				head += ", decides alone"
			}
			t.item(string(d.ID), 5, head)
			if f.Source != "" {
				t.text(5, "source: "+f.Source)
			}
		}
		t.more(more)
	}
	if !any {
		t.text(0, "none")
	}
}

func (t *paper) power(r *verdict.Report) {
	t.section("Smallest share of swapped answers that this audit finds")
	t.text(0, detectableWords(r.Detectable))
	if r.Camouflage != nil {
		t.text(0, camouflageWords(r.Camouflage))
	}
}

func (t *paper) spent(s verdict.Spent) {
	t.section("Spent")
	t.item("queries", 12, count(s.Queries)+outcomes(s.Outcomes))
	tokens := fmt.Sprintf("%s in, %s out", count(s.Input), count(s.Output))
	if s.Unknown > 0 {
		tokens += fmt.Sprintf(", without %s queries whose usage is unknown", count(s.Unknown))
	}
	t.item("tokens", 12, tokens)
	cost := amount(s.Cost)
	if s.Cap > 0 {
		cost += ", at most " + amount(s.Cap) + " allowed"
	}
	t.item("cost", 12, cost)
	t.item("time", 12, span(s.Took))
}

// outcomes is how the queries ended, most frequent first.
func outcomes(by map[string]int) string {
	if len(by) == 0 {
		return ""
	}
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b)) })
	names, more := first(names, 20)
	parts := make([]string, len(names), len(names)+1)
	for i, name := range names {
		parts[i] = fmt.Sprintf("%s %s", count(by[name]), name)
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("%d other outcomes", more))
	}
	return ": " + strings.Join(parts, ", ")
}

func (t *paper) evidence(r *verdict.Report) {
	t.section("Evidence")
	t.item("plan sha256", 14, r.Commit)
	t.item("beacon", 14, fmt.Sprintf("%s (%s)", r.Beacon.Value, r.Beacon.Source))
	if r.Beacon.Weak != "" {
		t.text(14, "weak: "+r.Beacon.Weak)
	}
	t.item("seed", 14, r.Seed)
	if r.Bundle == nil {
		t.item("bundle", 14, "none was written: nobody else can check this report")
		return
	}
	t.item("bundle sha256", 14, r.Bundle.SHA256)
	if r.Bundle.Leaf != nil {
		t.item("log", 14, "leaf "+count(*r.Bundle.Leaf))
	}
	if r.Bundle.Record != "" {
		t.line(pad("its proof", 14) + "sallyport log proof " + r.Bundle.Record)
	}
	t.line(pad("verify", 14) + verifyCommand(r.Bundle)) // whole, to be copied
}

// wrap breaks a text into lines of at most so many characters, at spaces where
// there are any. It is never empty.
func wrap(s string, width int) []string {
	width = max(width, 8)
	var lines []string
	line, length := "", 0
	flush := func() { lines, line, length = append(lines, line), "", 0 }
	for word := range strings.FieldsSeq(s) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			flush()
		}
		for n > width {
			cut := cutAt(word, width)
			lines, word, n = append(lines, word[:cut]), word[cut:], n-width
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+n
	}
	if line != "" || lines == nil {
		flush()
	}
	return lines
}

// cutAt is the index of the n-th character.
func cutAt(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// pad fills a text up to a number of characters.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s))) + s
}
