package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/probe"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// oracleSettings are what rows on oracles depend on.
type oracleSettings struct {
	Budgets     map[verdict.ID]int `json:"budgets"`       // questions of an audit, at most
	Honest      int                `json:"honest_audits"` // of each honest row
	Train       int                `json:"train"`         // reference samples of a task and deployment for alphabets
	Calibration int                `json:"calibration"`   // items by which the reference's accuracy is bounded
	Departs     float64            `json:"departs"`       // how often the claimed model departs from its own numbers
	Gaps        []gap              `json:"gaps"`
}

// gap is how far a substitute lies from the claimed model.
type gap struct {
	Claimed    float64 `json:"claimed"`    // share of items that it solves
	Substitute float64 `json:"substitute"` // that the substitute does
	Numbers    float64 `json:"numbers"`    // share of numbers at which the substitute departs
	Tools      float64 `json:"tools"`      // total variation of its tool choices; 1 for habits of its own
}

// away is an oracle whose tool choices lie at a total variation from another's.
func (o *oracle) away(other *oracle, tv float64) model { return o.tools.toward(other.tools, tv) }

// oracleRows are the lines of the grid that are run on oracles: of the first gap all
// relays that such questions can tell of, of the others swaps and dilutions.
func oracleRows(s *settings, sc *scenario, l *learnt) ([]row, error) {
	var rows []row
	for i, g := range s.Oracles.Gaps {
		habit := func(of string) model {
			return habits(l.tools, stat.Rand(stat.Seed([32]byte{}, "habits", sc.Name, fmt.Sprint(i), of)))
		}
		claimed := &oracle{solves: g.Claimed, departs: s.Oracles.Departs, tools: habit("claimed")}
		own := &oracle{tools: habit("substitute")}
		other := &oracle{solves: g.Substitute, departs: g.Numbers, tools: claimed.away(own, g.Tools)}
		variant := &oracle{solves: g.Claimed - .02, departs: s.Oracles.Departs + .02, tools: claimed.away(own, .08)}
		o, err := newOracles(&s.Oracles, l, claimed, variant)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf(", %g to %g", g.Claimed, g.Substitute)
		tv := fmt.Sprintf("items %g to %g; tools TV %.2f; numbers depart in %g to %g", g.Claimed, g.Substitute, far(claimed, other), s.Oracles.Departs, g.Numbers)
		rows = append(
			rows,
			row{id: "R0" + name, what: "honest", oracle: one(claimed), honest: true, quiet: bothNulls, published: publishedHonest},
			row{id: "R1" + name, what: "swap", oracle: one(other), note: tv, published: publishedSwap},
		)
		for _, eps := range sc.Eps {
			rows = append(rows, row{id: fmt.Sprintf("R3 %g%s", eps, name), what: "dilution", oracle: mixed(claimed, other, eps), published: publishedItems[[2]float64{g.Substitute, eps}]})
		}
		if i == 0 {
			rows = append(rows, o.relays(claimed, other, own, variant)...)
		}
		for k := range rows {
			if rows[k].against == nil {
				rows[k].against = o
			}
		}
	}
	return rows, nil
}

// relays are those of the first gap. What a quantisation, a temperature, an effort or a
// hidden prompt does to a model is assumed, and told.
func (o *oracles) relays(claimed, other, own, variant *oracle) []row {
	like := func(change func(*oracle)) *oracle {
		x := *claimed
		change(&x)
		return &x
	}
	quantised := like(func(x *oracle) { x.solves, x.departs, x.tools = x.solves-.05, .15, x.away(own, .15) })
	prompted := like(func(x *oracle) { x.solves, x.departs, x.tools = x.solves-.01, x.departs+.01, x.away(own, .05) })
	effort := func(solves float64) *oracle { return like(func(x *oracle) { x.solves = solves }) }
	hot, cold := like(func(x *oracle) { x.tools = x.tools.sharpened(1.2) }), like(func(x *oracle) { x.tools = x.tools.sharpened(.8) })
	spoof := like(func(x *oracle) { x.solves = other.solves })
	loud := *other
	loud.loud = true
	told := func(x *oracle) string {
		return fmt.Sprintf("items %.2f; tools TV %.2f; numbers depart in %g", x.solves, far(claimed, x), x.departs)
	}
	return []row{
		{id: "R0b", what: "honest, the recorded variant", oracle: one(variant), honest: true, quiet: bothNulls[1:], note: told(variant), published: publishedHonest},
		{id: "R0c", what: "honest failover to it, every 25 answers", oracle: turns(claimed, variant, 25), honest: true, quiet: bothNulls[1:], published: publishedHonest},
		{id: "R2", what: "quantised", oracle: one(quantised), note: told(quantised) + ", assumed", published: publishedQuantised},
		{id: "R4", what: "another model every second 600 answers", oracle: turns(claimed, other, 600), published: publishedUpdate},
		{id: "R5", what: "real for probes", oracle: one(claimed), note: "as R6 and R7: probes see nothing; see D4 above", published: publishedNone},
		{id: "R8", what: "another model that imitates choices and numbers", oracle: one(spoof), note: "items alone tell", published: publishedSpoof},
		{id: "R9", what: "another model, restyled", oracle: one(&loud), published: publishedNone},
		{id: "R10 effort lowered", what: "less reasoning", oracle: one(effort(claimed.solves - .15)), note: told(effort(claimed.solves - .15)), published: publishedEffort},
		{id: "R10 effort none", what: "no reasoning", oracle: one(effort(claimed.solves - .54)), note: told(effort(claimed.solves - .54)), published: publishedEffort},
		{id: "R10 temperature x1.2", what: "other sampling", oracle: one(hot), note: told(hot)},
		{id: "R10 temperature x0.8", what: "other sampling", oracle: one(cold), note: told(cold)},
		{id: "R11", what: "hidden prompt", oracle: one(prompted), note: told(prompted) + ", assumed; named by D1, below", published: publishedPrompt},
	}
}

// publishedItems are what was simulated of generated items for the design, with the
// accuracy of the reference known: by the substitute's accuracy and the share.
var publishedItems = map[[2]float64]string{
	{.5, .3}: "D5 1.00 (47), KBF .6 of 364: 1.00", {.5, .1}: "D5 .87 (270), KBF .6 of 364: .61", {.5, .5}: "D5 1.00 (21)", {.5, .2}: "D5 1.00 (95)",
	{.6, .3}: "D5 1.00 (152), KBF .3 of 364: .93", {.6, .1}: "D5 .25 (325)", {.6, .5}: "D5 1.00 (60), KBF .3 of 364: 1.00", {.6, .2}: "D5 .89 (280), KBF .3 of 364: .48",
	{.65, .3}: "D5 .73 (302), KBF .3 of 364: .93", {.65, .1}: "D5 .05 (264)", {.65, .5}: "D5 1.00 (162), KBF .3 of 364: 1.00", {.65, .2}: "D5 .30 (339), KBF .3 of 364: .48",
}

// publishedEffort is of frontier models.
const publishedEffort = "Heartwood: effort removed found in 4 queries, 50 % dilution in 14-33"

// oracles runs the rows on oracles.
func (r *run) oracles(ctx context.Context, sc *scenario) (*table, error) {
	rows, err := oracleRows(r.settings, sc, r.library.learnt)
	if err != nil {
		return nil, err
	}
	t := &table{columns: oracleColumns, rows: rows, results: map[string][]result{}}
	t.title = fmt.Sprintf("%s: simulated models", sc.Name)
	t.about = fmt.Sprintf("Models of stated accuracy, tool choices and memory. An audit puts at most %d items, %d tool choices and %d numbers; `vet` asks %d, %d and %d.",
		r.settings.Oracles.Budgets["D5"], r.settings.Oracles.Budgets["D6"], r.settings.Oracles.Budgets["D11"], probe.Vet.Budgets["D5"], probe.Vet.Budgets["D6"], probe.Vet.Budgets["D11"])
	for i := range t.rows {
		row, n := &t.rows[i], r.settings.Audits
		if row.honest {
			n = r.settings.Oracles.Honest
		}
		t.results[row.id], err = r.audits(ctx, sc.Name+" oracle "+row.id, n, func(i int, seed [32]byte) (result, error) {
			return row.against.audit(ctx, row, i, seed)
		})
		if err != nil {
			return nil, err
		}
		if !row.honest {
			row.note = strings.TrimPrefix(row.note+"; "+withinVet(t.results[row.id]), "; ")
		}
	}
	return t, nil
}

// withinVet tells the power of the questions that the product asks of a new endpoint,
// where a test may be looked at after each.
func withinVet(results []result) string {
	var parts []string
	for _, id := range []verdict.ID{"D5", "D6"} {
		c := tallied(results, column(id, verdict.Same))
		within, _ := slices.BinarySearch(c.after, probe.Vet.Budgets[id]+1)
		parts = append(parts, fmt.Sprintf("%s %.2f", id, share(within, c.n)))
	}
	return "within `vet`: " + strings.Join(parts, ", ")
}
