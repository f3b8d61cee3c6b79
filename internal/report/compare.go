package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/internal/verdict"
)

// Detectors whose facts are worth a comparison.
var (
	accounting = []verdict.ID{"D1", "D7"}
	latency    = []verdict.ID{"D10", "D15"}
)

// Compare prints two reports side by side, in 80 columns.
func Compare(w io.Writer, a, b *verdict.Report) error {
	a, b = safe(a), safe(b)
	t := &sides{paper: newPaper(80, false)}
	t.rows([][3]string{
		{"", "A", "B"},
		{"target", targetName(a.Target), targetName(b.Target)},
		{"url", a.Target.URL, b.Target.URL},
		{"model", a.Target.Model, b.Target.Model},
		{"date", date(a.Started), date(b.Started)},
		{"profile", a.Profile, b.Profile},
		{"reference", referenceID(a), referenceID(b)},
		{"result", wordsOf(a.Headline).Title, wordsOf(b.Headline).Title},
		{"level", string(level(a)), string(level(b))},
		{"queries", count(a.Spent.Queries), count(b.Spent.Queries)},
		{"cost", amount(a.Spent.Cost), amount(b.Spent.Cost)},
		{"time", span(a.Spent.Took), span(b.Spent.Took)},
		{"finds from", detectableShare(a), detectableShare(b)},
	})
	for _, warning := range incomparable(a, b) {
		t.text(0, "Note: "+warning)
	}
	t.verdicts(a, b)
	t.detectors(a, b)
	t.facts("Accounting", accounting, a, b)
	t.facts("Streams and latency", latency, a, b)
	t.line("")
	t.text(0, "Two results can differ by chance or by what was asked; a difference between them is no finding about either.")
	_, err := w.Write(t.out.Bytes())
	return err
}

// sides writes rows of a name and two texts.
type sides struct{ *paper }

func (t *sides) rows(rows [][3]string) {
	const name = 14
	column := (t.width - name - 2) / 2
	for _, row := range rows {
		heads, left, right := wrap(row[0], name-2), wrap(row[1], column), wrap(row[2], column)
		for i := range max(len(heads), len(left), len(right)) {
			t.line(pad(at(heads, i), name) + pad(at(left, i), column+2) + at(right, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func referenceID(r *verdict.Report) string {
	if r.Reference == nil {
		return "none"
	}
	return fmt.Sprintf("%s, %s", short(r.Reference.ID), day(r.Reference.Recorded))
}

func detectableShare(r *verdict.Report) string {
	switch {
	case r.Detectable == nil:
		return unknown
	case r.Detectable.Eps > 1:
		return "no share"
	}
	return percent(r.Detectable.Eps) + " swapped"
}

// incomparable lists why the two were not asked the same thing.
func incomparable(a, b *verdict.Report) []string {
	var notes []string
	if a.Target.Model != b.Target.Model {
		notes = append(notes, "the models differ.")
	}
	if a.Profile != b.Profile {
		notes = append(notes, "the profiles differ, so other detectors ran.")
	}
	switch {
	case a.Reference == nil && b.Reference == nil:
	case a.Reference == nil || b.Reference == nil, a.Reference.ID != b.Reference.ID:
		notes = append(notes, "the references differ, so E does not measure the same thing.")
	}
	return notes
}

func (t *sides) verdicts(a, b *verdict.Report) {
	t.section("Verdicts")
	var rows [][3]string
	for _, n := range verdict.Nulls {
		rows = append(rows, [3]string{string(n), verdictOn(a, n), verdictOn(b, n)})
	}
	t.rows(rows)
}

func verdictOn(r *verdict.Report, n verdict.Null) string {
	i := slices.IndexFunc(r.Verdicts, func(v verdict.Verdict) bool { return v.Null == n })
	if i < 0 || !r.Verdicts[i].Tested {
		return string(verdict.NotTested)
	}
	v := r.Verdicts[i]
	return fmt.Sprintf("%s; largest E %s, n %s, level %s", v.Label, eValue(v.MaxLogE), count(v.N), v.Level)
}

func (t *sides) detectors(a, b *verdict.Report) {
	t.section("Detectors")
	var rows [][3]string
	for _, id := range detectorIDs(a, b) {
		rows = append(rows, [3]string{string(id), detectorOf(a, id), detectorOf(b, id)})
	}
	t.rows(rows)
}

// detectorIDs lists the detectors of both reports, each once.
func detectorIDs(reports ...*verdict.Report) []verdict.ID {
	var ids []verdict.ID
	for _, r := range reports {
		for _, d := range r.Detectors {
			if !slices.Contains(ids, d.ID) {
				ids = append(ids, d.ID)
			}
		}
	}
	return ids
}

func detectorOf(r *verdict.Report, id verdict.ID) string {
	i := slices.IndexFunc(r.Detectors, func(d verdict.Result) bool { return d.ID == id })
	if i < 0 {
		return none
	}
	d := r.Detectors[i]
	parts := []string{string(d.State)}
	for _, e := range d.Evidence {
		parts = append(parts, fmt.Sprintf("%s E %s", e.Null, eValue(e.MaxLogE)))
	}
	for _, f := range d.Findings {
		if !slices.Contains(parts, string(f.Label)) {
			parts = append(parts, string(f.Label))
		}
	}
	parts, _ = first(parts, 12)
	return strings.Join(parts, "; ")
}

// facts prints the figures of some detectors by name, of both reports.
func (t *sides) facts(title string, ids []verdict.ID, a, b *verdict.Report) {
	left, names := factsOf(a, ids, nil)
	right, names := factsOf(b, ids, names)
	if len(names) == 0 {
		return
	}
	t.section(title)
	names, more := first(names, maxItems)
	var rows [][3]string
	for _, name := range names {
		rows = append(rows, [3]string{name, valueOf(left, name), valueOf(right, name)})
	}
	t.rows(rows)
	t.more(more)
}

// factsOf is the facts of some detectors, and their names behind those given.
func factsOf(r *verdict.Report, ids []verdict.ID, names []string) (map[string]string, []string) {
	facts := map[string]string{}
	for _, d := range r.Detectors {
		if !slices.Contains(ids, d.ID) {
			continue
		}
		for _, f := range d.Facts {
			facts[f.Name] = f.Value
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return facts, names
}

func valueOf(facts map[string]string, name string) string {
	if v, ok := facts[name]; ok {
		return v
	}
	return none
}
