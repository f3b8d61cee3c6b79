package probe

import (
	"context"
	"fmt"

	"sallyport/internal/exam"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// qualityDetector asks published questions that the operator brought. Whoever is
// audited may know them, and may answer them with another model than all others: they
// show quality to people and weigh nothing in any verdict.
var qualityDetector = detector{
	id: "Q", name: "Published questions", layer: verdict.Capability,
	null: "none: shown to people, without weight",
	applies: func(p *Plan) string {
		if len(p.Quality) == 0 {
			return "no published questions were given (--quality)"
		}
		return ""
	},
	run: runQuality,
}

// MaxQuality bounds the published questions of a plan.
const MaxQuality = 2000

// runQuality asks published questions in an order that the seed fixes, of a live
// reference as well where there is one, and grades the answers.
func runQuality(ctx context.Context, t *Trial) {
	r := stat.Rand(stat.Seed(t.Seed, "order"))
	var items []exam.Item
	var asks []Ask
	var families []string
	for _, i := range r.Perm(len(t.Quality))[:min(len(t.Quality), t.Budget)] {
		item := t.Quality[i].Item()
		items, families = append(items, item), append(families, t.Quality[i].Family)
		asks = append(asks, Ask{System: item.System, Turns: User(item.Prompt), MaxTokens: int64(max(item.MaxTokens, 512)), Temperature: new(0.0)})
	}
	here := gradeAll(items, families, t.AskAll(ctx, asks))
	t.Fact("questions", "%s; published, so they weigh nothing", t.Quality[0].Source+" ("+t.Quality[0].Licence+")")
	t.Fact("solved", "%s", here.text())
	chart := verdict.Chart{Title: "Published questions solved", Kind: verdict.Intervals, X: "family", Y: "share, with the Wilson interval of 95 %", Labels: here.names, Series: []verdict.Series{here.series("audited")}}
	if t.Live {
		there := gradeAll(items, families, t.AskTrusted(ctx, asks))
		t.Fact("solved by the live reference", "%s", there.text())
		if gap, err := stat.Newcombe(there.solved[0], there.asked[0], here.solved[0], here.asked[0], .95); err == nil {
			t.Fact("gap", "%.3f to %.3f (Newcombe interval of 95 %%)", gap.Low, gap.High)
		}
		chart.Series = append(chart.Series, there.series("live reference"))
	}
	t.Chart(chart)
}

// grades are how many questions were solved: of all, then by family.
type grades struct {
	names         []string
	solved, asked []int
}

func gradeAll(items []exam.Item, families []string, replies []*Reply) *grades {
	g := &grades{names: []string{"all"}, solved: []int{0}, asked: []int{0}}
	index := map[string]int{}
	for i, r := range replies {
		at, known := index[families[i]]
		if !known && families[i] != "" {
			at = len(g.names)
			index[families[i]] = at
			g.names, g.solved, g.asked = append(g.names, families[i]), append(g.solved, 0), append(g.asked, 0)
		}
		if !r.OK() {
			continue
		}
		right := exam.Grade(items[i], r.Text).Verdict == exam.Right
		g.add(0, right)
		if at > 0 {
			g.add(at, right)
		}
	}
	return g
}

func (g *grades) add(at int, right bool) {
	g.asked[at]++
	if right {
		g.solved[at]++
	}
}

func (g *grades) text() string { return fmt.Sprintf("%d of %d", g.solved[0], g.asked[0]) }

// series are the shares with their intervals.
func (g *grades) series(name string) verdict.Series {
	s := verdict.Series{Name: name}
	for i := range g.names {
		share, low, high := 0.0, 0.0, 1.0
		if w, err := stat.Wilson(g.solved[i], g.asked[i], .95); err == nil {
			share, low, high = float64(g.solved[i])/float64(g.asked[i]), w.Low, w.High
		}
		s.Y, s.Low, s.High = append(s.Y, share), append(s.Low, low), append(s.High, high)
	}
	return s
}
