package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"sallyport/internal/exam"
	"sallyport/internal/llm"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
)

// oracle is a simulated model: it does with stated probabilities what the lab's models
// are too small to do.
type oracle struct {
	solves  float64 // share of generated items
	departs float64 // share of questions for a number to which it does not give the claimed model's answer
	tools   model   // how often it calls which tool, by task; a tool's text is its number
	loud    bool    // it writes in another style
}

// oracles are a claimed model and its honest deployments, and what audits ask of them.
// They are safe for concurrent use.
type oracles struct {
	settings *oracleSettings
	learnt   *learnt
	mixture  *reference.Accuracy // without counts
	items    map[string]exam.Item
	variants []*oracle // the first is the reference proper
}

// exams are the kinds of items that oracles are asked: those whose answer is a number,
// of which a wrong one is easily made.
var exams = []reference.Share{{Family: "sql", Difficulty: 4}, {Family: "contract", Difficulty: 4}, {Family: "json", Difficulty: 4}, {Family: "regex", Difficulty: 4}}

func newOracles(s *oracleSettings, l *learnt, variants ...*oracle) (*oracles, error) {
	o := &oracles{settings: s, learnt: l, variants: variants}
	var err error
	if o.mixture, err = probe.NewAccuracy(exams, false); err != nil {
		return nil, fmt.Errorf("make items: %w", err)
	}
	if o.items, err = probe.Items([32]byte{}, facts, recorded, o.mixture, s.Budgets["D5"]); err != nil {
		return nil, fmt.Errorf("make items: %w", err)
	}
	return o, nil
}

// habits draws how often a model calls which tool: of each task uniformly among all
// distributions.
func habits(tools map[string][]string, r *rand.Rand) model {
	m := model{}
	for _, task := range sortedKeys(tools) {
		mass := map[string]float64{}
		for i := range tools[task] {
			mass[fmt.Sprint(i)] = r.ExpFloat64()
		}
		m[task] = newDistribution(mass)
	}
	return m
}

// sharpened is a model at another temperature.
func (m model) sharpened(temperature float64) model {
	served := model{}
	for cell, d := range m {
		mass := map[string]float64{}
		for text, p := range d.shares() {
			mass[text] = math.Pow(p, 1/temperature)
		}
		served[cell] = newDistribution(mass)
	}
	return served
}

// far is the mean total variation between the tool choices of two oracles.
func far(a, b *oracle) float64 {
	sum := 0.0
	for cell := range a.tools {
		sum += apart(a.tools[cell], b.tools[cell])
	}
	return sum / float64(len(a.tools))
}

// reference is a fresh one: its samples and counts are drawn from the oracles.
func (o *oracles) reference(r *rand.Rand) *reference.Opened {
	ref := simulated(len(o.variants))
	wanted := samples(len(o.variants), o.settings.Budgets["D6"], len(o.learnt.tools))
	for _, task := range sortedKeys(o.learnt.tools) {
		cell := reference.Cell{ID: task, Letters: o.learnt.tools[task]}
		for _, v := range o.variants {
			sample := func(n int) []int {
				drawn := make([]int, n)
				for i := range drawn {
					drawn[i] = v.tools[task].draw(r) // texts are numbers in order
				}
				return drawn
			}
			cell.Train, cell.Bank = append(cell.Train, sample(o.settings.Train)), append(cell.Bank, sample(wanted))
		}
		ref.Tools = append(ref.Tools, cell)
	}
	solved := *o.mixture
	solved.Mixture = nil
	for _, kind := range o.mixture.Mixture {
		n := o.settings.Calibration / len(o.mixture.Mixture)
		for _, v := range o.variants {
			kind.Solved, kind.Asked = append(kind.Solved, successes(r, n, v.solves)), append(kind.Asked, n)
		}
		solved.Mixture = append(solved.Mixture, kind)
	}
	known := *o.learnt.numbers
	known.Departed = successes(r, known.Asked, o.variants[0].departs)
	ref.Accuracy, ref.Numbers = &solved, &known
	return ref
}

// successes draws from the binomial distribution.
func successes(r *rand.Rand, n int, p float64) int {
	k := 0
	for range n {
		if r.Float64() < p {
			k++
		}
	}
	return k
}

// audit runs one audit of a row: the product's own, on a fresh reference.
func (o *oracles) audit(ctx context.Context, w *row, i int, seed [32]byte) (result, error) {
	r := stat.Rand(stat.Seed(seed, "relay"))
	report, _, err := probe.Run(ctx, probe.Config{
		Subject:   &oracleEndpoint{oracles: o, chosen: w.oracle(r), r: r},
		Reference: o.reference(stat.Rand(stat.Seed(seed, "reference"))),
		Profile:   probe.Profile{Name: "lab", Budgets: o.settings.Budgets}, Parallel: 1, Price: free,
		Beacon: seededBeacon(seed),
		Now:    func() time.Time { return recorded },
	})
	if err != nil {
		return result{}, fmt.Errorf("audit %s: %w", w.id, err)
	}
	seen := curves{}
	seen.add(report)
	return seen.result(i)
}

// oracleEndpoint is an endpoint behind which oracles answer. Its questions come one at
// a time.
type oracleEndpoint struct {
	*oracles
	chosen func(n int) *oracle
	r      *rand.Rand
	n      int
}

// Facts implements probe.Subject.
func (e *oracleEndpoint) Facts() probe.Facts { return facts }

// Ask implements probe.Subject.
func (e *oracleEndpoint) Ask(_ context.Context, a *probe.Ask) *probe.Reply {
	reply := &probe.Reply{Outcome: probe.Answered, Status: 200, Finish: llm.FinishStop, Text: "Hello."}
	o, text := e.chosen(e.n), a.Turns[0].Text
	e.n++
	item, isItem := e.items[text]
	switch {
	case isItem:
		reply.Text = answer(item.Answer, e.r.Float64() < o.solves)
	case len(a.Tools) > 1:
		task := e.learnt.tasks[a.Tools[0].Name]
		reply.Calls = []probe.Call{{Name: e.learnt.tools[task][o.tools[task].draw(e.r)]}}
	case asksNumber(text):
		reply.Text = answer(remembered(text), e.r.Float64() >= o.departs)
	}
	if o.loud {
		reply.Text = "**" + reply.Text + "**\n"
	}
	return reply
}

// answer is a number as it is told, or another one.
func answer(number string, right bool) string {
	if !right {
		number = "9" + strings.TrimPrefix(number, "-")
	}
	return "Answer: " + number
}
