package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// result is what one audit came to: by column, after how many of its observations the
// e-value was first at 20 and at 100.
type result struct {
	Audit   int                 `json:"audit"`
	Crossed map[string]crossing `json:"crossed"`
	Labels  []string            `json:"labels,omitempty"` // of what was found
}

// crossing is when evidence reached the levels; 0 for never.
type crossing struct {
	Five int `json:"five,omitempty"` // E >= 20
	One  int `json:"one,omitempty"`  // E >= 100
	N    int `json:"n"`              // observations in all
}

// The levels, as decimal logarithms: an e-process that reaches them rejects at 5 % and
// at 1 %.
var fivePercent, onePercent = math.Log10(20), 2.0

// crossings of a curve whose points may have been thinned out; highest is the largest
// value of the whole. A level that was reached between two points counts as reached at
// the end.
func crossings(curve []verdict.Point, highest float64) crossing {
	c := crossing{}
	if len(curve) > 0 {
		c.N = int(curve[len(curve)-1].X)
	}
	reached := func(level float64) int {
		i := slices.IndexFunc(curve, func(p verdict.Point) bool { return p.Y >= level })
		switch {
		case i >= 0:
			return int(curve[i].X)
		case highest >= level:
			return c.N
		}
		return 0
	}
	c.Five, c.One = reached(fivePercent), reached(onePercent)
	return c
}

// pool is what audits of one claimed model are made of.
type pool struct {
	settings *settings
	variants []model  // the recorded honest deployments; the first is the reference proper
	cells    []string // those that questions are drawn from
	stems    map[string]string
	wanted   int // bank samples of a cell and variant
}

// newPool prepares audits on the given cells.
func newPool(s *settings, asked []Question, cells []string, variants ...model) (*pool, error) {
	p := &pool{settings: s, variants: variants, cells: cells, stems: map[string]string{}}
	for _, q := range asked {
		p.stems[stem(q.Text)] = q.Cell
	}
	usable := len(p.usable())
	if usable == 0 {
		return nil, errNoCells
	}
	p.wanted = samples(len(variants), s.Budget, usable)
	return p, nil
}

// samples are how many of a cell and variant a bank needs for so many questions. Which
// cells count is decided on each audit's own train split, so there may be fewer.
func samples(variants, questions, cells int) int {
	perAnswer := 4 // samples of the reference beside one answer; see probe's detectors of cells
	if variants > 1 {
		perAnswer = 16
	}
	return perAnswer * (questions*3/(2*cells) + 8)
}

// simulated is a reference of so many deployments without anything recorded. It is not
// sealed: only its samples matter to a detector.
func simulated(variants int) *reference.Opened {
	o := &reference.Opened{ID: "lab", Reference: reference.Reference{
		Name: "lab", Model: facts.Model, Recorded: recorded, Expires: recorded.AddDate(100, 0, 0), Protocol: reference.Protocol{Questions: probe.QuestionsVersion},
	}}
	for v := range variants {
		o.Variants = append(o.Variants, reference.Variant{Name: fmt.Sprint(v), Class: "local"})
	}
	return o
}

// usable are the cells whose exact entropy is within the detector's bounds.
func (p *pool) usable() []string {
	var in []string
	for _, c := range p.cells {
		if p.variants[0][c].counts() {
			in = append(in, c)
		}
	}
	return in
}

// reference is a fresh one, whose samples are drawn from the recorded distributions.
func (p *pool) reference(r *rand.Rand) *reference.Opened {
	o := simulated(len(p.variants))
	for _, id := range p.cells {
		cell := reference.Cell{ID: id}
		index := map[string]int{}
		sample := func(d *distribution, numbers []int, n int) []int {
			drawn := make([]int, n)
			for i := range drawn {
				k := d.draw(r)
				if numbers[k] < 0 {
					at, known := index[d.words[k]]
					if !known {
						at = len(cell.Letters)
						index[d.words[k]], cell.Letters = at, append(cell.Letters, d.words[k])
					}
					numbers[k] = at
				}
				drawn[i] = numbers[k]
			}
			return drawn
		}
		for _, m := range p.variants {
			d := m[id]
			numbers := slices.Repeat([]int{-1}, len(d.texts))
			cell.Train = append(cell.Train, sample(d, numbers, p.settings.Train))
			cell.Bank = append(cell.Bank, sample(d, numbers, p.wanted))
		}
		o.Words = append(o.Words, cell)
	}
	return o
}

// recorded is when simulated references were; audits of them run at the same time.
var recorded = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// subject is a simulated endpoint. Its questions come one at a time.
type subject struct {
	stems  map[string]string
	answer answerer
	n      int
}

// Facts implements probe.Subject.
func (s *subject) Facts() probe.Facts { return facts }

// Ask implements probe.Subject.
func (s *subject) Ask(_ context.Context, a *probe.Ask) *probe.Reply {
	reply := &probe.Reply{Outcome: probe.Answered, Status: 200, Finish: llm.FinishStop, Text: "Hello."}
	if cell, word := s.stems[stem(a.Turns[0].Text)]; word {
		reply.Text = s.answer(s.n, cell)
		s.n++
	}
	return reply
}

// words runs one audit by word questions: the product's own, on a fresh reference.
func (p *pool) words(ctx context.Context, seed [32]byte, endpoint relay, budget int) (*verdict.Report, error) {
	cfg := probe.Config{
		Subject:   &subject{stems: p.stems, answer: endpoint(stat.Rand(stat.Seed(seed, "relay")))},
		Reference: p.reference(stat.Rand(stat.Seed(seed, "reference"))),
		Profile:   probe.Profile{Name: "lab", Budgets: map[verdict.ID]int{"D3": budget}},
		Parallel:  1, Price: free,
		Beacon: seededBeacon(seed),
		Now:    func() time.Time { return recorded },
	}
	report, _, err := probe.Run(ctx, cfg)
	return report, err
}

// curves are the evidence of one audit, by detector and hypothesis.
type curves map[string]verdict.Evidence

// column names a detector's evidence on a hypothesis.
func column(id verdict.ID, n verdict.Null) string { return string(id) + " " + string(n) }

// add takes the evidence of a report's detectors that came to an end. That of one which
// compares once came after all of its questions.
func (c curves) add(r *verdict.Report) {
	for _, d := range r.Detectors {
		for _, e := range d.Evidence {
			if e.P > 0 {
				e.N, e.Curve = d.Queries, []verdict.Point{{X: float64(d.Queries), Y: e.LogE}}
			}
			if d.State == verdict.Ran {
				c[column(d.ID, e.Null)] = e
			}
		}
	}
}

// result is what the curves, and those of the fused verdicts, came to in one audit. A
// detector that compares once rejects by its p-value: the e-value made of it is worth
// less.
func (c curves) result(audit int) (result, error) {
	res := result{Audit: audit, Crossed: map[string]crossing{}}
	for _, n := range bothNulls {
		fused, err := c.fused(n)
		if err != nil {
			return result{}, err
		}
		if fused.Curve != nil {
			res.Crossed[column("FUSED", n)] = crossings(fused.Curve, fused.MaxLogE)
		}
	}
	for key, e := range c {
		x := crossings(e.Curve, e.MaxLogE)
		if e.P > 0 {
			x = crossing{N: e.N}
			if e.P <= .05 {
				x.Five = e.N
			}
			if e.P <= .01 {
				x.One = e.N
			}
		}
		res.Crossed[key] = x
	}
	return res, nil
}

// fused is the weighted mean of the detectors' e-values on a hypothesis, one
// observation of each after the other, by the product's weights.
func (c curves) fused(n verdict.Null) (verdict.Evidence, error) {
	var applicable []verdict.ID
	weights, names := map[string]float64{}, []string{}
	for _, key := range sortedKeys(c) {
		if id, of, _ := strings.Cut(key, " "); of == string(n) {
			applicable = append(applicable, verdict.ID(id))
		}
	}
	if len(applicable) == 0 {
		return verdict.Evidence{}, nil
	}
	for id, w := range verdict.Weights(n, applicable) {
		weights[string(id)], names = w, append(names, string(id))
	}
	f, err := stat.NewFusion(weights, names...)
	if err != nil {
		return verdict.Evidence{}, fmt.Errorf("fuse %s: %w", n, err)
	}
	type step struct {
		x   float64
		id  string
		log float64
	}
	var steps []step
	for _, id := range applicable {
		for _, p := range c[column(id, n)].Curve {
			steps = append(steps, step{p.X, string(id), p.Y * math.Ln10})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return int(a.x - b.x) })
	e := verdict.Evidence{Null: n}
	for _, s := range steps {
		if err := f.Set(s.id, s.log); err != nil {
			return verdict.Evidence{}, fmt.Errorf("fuse %s: %w", n, err)
		}
		y := f.LogE() / math.Ln10
		e.MaxLogE = max(e.MaxLogE, y)
		e.Curve = append(e.Curve, verdict.Point{X: s.x, Y: y})
	}
	return e, nil
}

// seededBeacon is the beacon that a seed gives.
func seededBeacon(seed [32]byte) func(context.Context, string) (verdict.Beacon, error) {
	return func(context.Context, string) (verdict.Beacon, error) {
		return verdict.Beacon{Value: fmt.Sprintf("%x", seed), Source: "lab"}, nil
	}
}
