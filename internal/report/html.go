package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"sallyport/internal/verdict"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// policy lets a page use its one stylesheet, and nothing else.
var policy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}()

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"amount":     amount,
	"camouflage": camouflageWords,
	"clock":      span,
	"command":    verifyCommand,
	"count":      func(n int) string { return count(n) },
	"count64":    func(n int64) string { return count(n) },
	"date":       date,
	"day":        day,
	"detectable": detectableWords,
	"eValue":     eValue,
	"idle":       idle,
	"number":     number,
	"outcomes":   func(by map[string]int) string { return strings.TrimPrefix(outcomes(by), ": ") },
	"percent":    percent,
	"reference":  referenceWords,
	"usd":        detectorCost,
	"words":      wordsOf,
}).Parse(pageText))

// page is what the template shows.
type page struct {
	*verdict.Report
	Policy   string
	Style    template.CSS
	Words    words
	Level    verdict.Level
	LevelSay string
	Fused    *drawing // nil when no hypothesis was tested
	Sections []section
}

// section is a detector that has something to show.
type section struct {
	verdict.Result
	Found        []verdict.Finding
	Figures      []verdict.Fact
	Drawings     []*drawing
	FoundMore    int
	FiguresMore  int
	DrawingsMore int
}

// maxCharts bounds the charts of one detector.
const maxCharts = 24

// HTML writes a report as one page that needs nothing else: no script, no request, and
// a policy that lets a browser do nothing but show it.
func HTML(w io.Writer, r *verdict.Report) error {
	r = safe(r)
	p := page{
		Report: r, Policy: policy, Style: template.CSS(pageStyle),
		Words: wordsOf(r.Headline), Level: level(r), LevelSay: levelWords(level(r)), Fused: fused(r.Verdicts),
	}
	for i, d := range r.Detectors {
		if s := sectionOf(d, i); len(s.Found)+len(s.Figures)+len(s.Drawings)+len(s.Evidence) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return fmt.Errorf("render the report's page: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func sectionOf(d verdict.Result, index int) section {
	s := section{Result: d}
	s.Found, s.FoundMore = first(d.Findings, maxItems)
	s.Figures, s.FiguresMore = first(d.Facts, maxItems)
	charts, more := first(d.Charts, maxCharts)
	for i, c := range charts {
		s.Drawings = append(s.Drawings, draw(c, fmt.Sprintf("d%d-%d", index, i)))
	}
	s.DrawingsMore = more
	return s
}

// fused charts the evidence of all hypotheses against the alarm levels.
func fused(verdicts []verdict.Verdict) *drawing {
	c := verdict.Chart{
		Title: "Each hypothesis against the alarm levels", Kind: verdict.Lines, X: "observations", Y: "log10 E",
		Levels: []verdict.Mark{
			{Name: "notice 20", Y: verdict.LevelNotice.Threshold()},
			{Name: "warning 100", Y: verdict.LevelWarning.Threshold()},
			{Name: "quarantine 1,000", Y: verdict.LevelQuarantine.Threshold()},
		},
	}
	for _, v := range verdicts {
		if v.Tested && len(v.Curve) > 0 {
			c.Series = append(c.Series, verdict.Series{Name: string(v.Null), Points: v.Curve})
		}
	}
	if len(c.Series) == 0 {
		return nil
	}
	return draw(c, "fused")
}
