package probe

import (
	"slices"

	gonum "gonum.org/v1/gonum/stat"

	"sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// plot remembers the points of the regression: prompt tokens as counted here, by the
// vocabulary of the model or another one, and as reported.
func (b *books) plot(replies []*Reply) {
	v := b.known()
	if v == nil {
		v = tokens.Vocabularies()[0]
	}
	for i, u := range countUnits {
		s := verdict.Series{Name: u.name}
		for k := range countCopies {
			n, err := v.Count(countText(b.nonce, u.copies(k+1)))
			if told, ok := promptCount(replies[i*countCopies+k]); err == nil && ok {
				s.Points = append(s.Points, verdict.Point{X: float64(n), Y: float64(told)})
			}
		}
		b.points = append(b.points, s)
	}
	var x, y []float64
	for _, s := range b.points {
		for _, p := range s.Points {
			x, y = append(x, p.X), append(y, p.Y)
		}
	}
	if len(x) < 2 {
		return
	}
	intercept, slope := gonum.LinearRegression(x, y, nil, false)
	b.Fact("regression", "reported = %.1f + %.3f x counted by %s", intercept, slope, v.Name)
	line := verdict.Series{Name: "fitted line"}
	low, high := slices.Min(x), slices.Max(x)
	for i := range linePoints {
		at := low + (high-low)*float64(i)/(linePoints-1)
		line.Points = append(line.Points, verdict.Point{X: at, Y: intercept + slope*at})
	}
	b.Chart(verdict.Chart{
		Title: "Prompt tokens: reported against counted by " + v.Name, Kind: verdict.Scatter, X: "counted tokens", Y: "reported tokens",
		Series: append(slices.Clone(b.points), line),
	})
}

// linePoints is how many points stand for a line among points.
const linePoints = 25

// plotScale plots what a copy of each unit adds, here, in the reference and by
// vocabularies.
func (b *books) plotScale() {
	if b.counts == nil {
		return
	}
	chart := verdict.Chart{Title: "Tokens that one more copy of a text adds", Kind: verdict.Bars, X: "text", Y: "tokens"}
	add := func(name string, all []float64) {
		s := verdict.Series{Name: name}
		for _, n := range all {
			s.Y = append(s.Y, n/countCopies)
		}
		chart.Series = append(chart.Series, s)
	}
	for _, u := range countUnits {
		chart.Labels = append(chart.Labels, u.name)
	}
	add("reported", b.counts.last())
	if b.expected != nil && b.expected.vocab == nil {
		add("reference", b.expected.counts)
	}
	if b.expected != nil && b.expected.vocab != nil && b.expected.vocab == b.vocabulary {
		add(b.vocabulary.Name, b.expected.counts)
	}
	for _, c := range publishedCounts() {
		add(c.vocab.Name, c.counts)
	}
	b.Chart(chart)
}
