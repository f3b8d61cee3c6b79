package main

import (
	"fmt"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// row is one line of the grid: an endpoint, and what is expected of the detectors.
type row struct {
	id        string
	what      string
	relay     relay
	shadow    *shadow         // how it treats traffic; nil when no text was recorded
	prose     *writing        // how it continues texts; nil when none was recorded
	oracle    choice[*oracle] // of rows on oracles, who answers
	against   *oracles        // and what they claim to be
	honest    bool            // no hypothesis that is listed in quiet may be rejected
	quiet     []verdict.Null
	bars      []bar
	published string
	note      string  // measured distances, and what is assumed
	variants  []model // recorded honest deployments, where they are not those of the scenario
}

// bar is what was promised of a row before it was run.
type bar struct {
	column string
	power  float64 // at least; at most when blind
	within int     // observations
	blind  bool
}

var bothNulls = []verdict.Null{verdict.Same, verdict.Honest}

// rows are the lines of the grid that are run on the banks.
func (d *deployments) rows() []row {
	rows := d.honestRows()
	tv := fmt.Sprintf("TV %.2f", d.distance(d.claimed, d.other))
	rows = append(
		rows,
		row{id: "R1", what: "swap: " + d.Substitute, relay: always(d.other), shadow: d.traffic(d.Substitute, 1), prose: d.writes(d.Substitute, 1), note: tv, published: publishedSwap, bars: []bar{
			{column("D3", verdict.Same), .99, 100, false}, {column("D3", verdict.Honest), .99, 100, false},
		}},
		row{id: "R1 sibling", what: "swap by a model at TV .4", relay: always(d.claimed.toward(d.other, .4)), note: "oracle, no bar"},
	)
	for _, suffix := range d.settings.Quantised {
		arm := d.Claimed + suffix
		if m := d.models[arm]; m != nil {
			rows = append(rows, row{
				id: "R2 " + arm, what: "the weights quantised again", relay: always(m), shadow: d.traffic(arm, 1), prose: d.writes(arm, 1),
				note: fmt.Sprintf("TV %.2f; %s", d.distance(d.claimed, m), d.library.banks[wordBank(arm)].types()), published: publishedQuantised,
			})
		}
	}
	for _, sigma := range d.Noise {
		m := d.served(serving{noise: sigma, seed: stat.Seed([32]byte{}, "noise", fmt.Sprint(sigma))})
		rows = append(rows, row{
			id: fmt.Sprintf("R2 noise %g", sigma), what: "Gaussian noise on the logits", relay: always(m),
			note: fmt.Sprintf("TV %.2f, simulated", d.distance(d.claimed, m)), published: publishedQuantised,
		})
	}
	for _, eps := range d.Eps {
		rows = append(rows, row{
			id: fmt.Sprintf("R3 %g", eps), what: "dilution with " + d.Substitute, relay: diluted(d.claimed, d.other, eps),
			shadow: d.traffic(d.Substitute, eps), prose: d.writes(d.Substitute, eps), published: publishedDilution, bars: dilutionBars[eps],
		})
	}
	rows = append(rows, d.conditionalRows()...)
	return append(rows, d.settingsRows()...)
}

// dilutionBars are those on dilutions, by share.
var dilutionBars = map[float64][]bar{
	.3: {{column("D3", verdict.Same), .95, 300, false}},
	.1: {{column("D3", verdict.Same), .80, 1500, false}},
}

// honestRows are the endpoints that may not be accused.
func (d *deployments) honestRows() []row {
	rows := []row{{id: "R0", what: "honest", relay: always(d.claimed), shadow: d.traffic("", 0), prose: d.writes("", 0), honest: true, quiet: bothNulls, published: publishedHonest}}
	for i, m := range d.variants[1:] {
		rows = append(rows, row{
			id: "R0b " + d.names[i+1], what: "honest, a recorded variant", relay: always(m), shadow: d.traffic(d.names[i+1], 1), prose: d.writes(d.names[i+1], 1), honest: true, quiet: bothNulls[1:],
			note: fmt.Sprintf("TV %.3f", d.distance(d.claimed, m)), published: publishedHonest,
		})
	}
	for _, suffix := range d.settings.Builds {
		arm := d.Claimed + suffix
		if m := d.models[arm]; m != nil {
			rows = append(rows, row{
				id: "R0b " + arm, what: "honest, another build that is not recorded", relay: always(m), honest: true, quiet: bothNulls[1:],
				note: fmt.Sprintf("TV %.3f", d.distance(d.claimed, m)), published: publishedHonest,
			})
		}
	}
	last, unlike := d.variants[len(d.variants)-1], d.claimed.toward(d.other, .11)
	both := []model{d.claimed, unlike}
	return append(
		rows,
		row{
			id: "R0c", what: "honest failover, every 25 answers", relay: alternating(d.claimed, last, 25), shadow: d.traffic(d.Claimed+"-cache", .5),
			honest: true, quiet: bothNulls[1:], published: publishedHonest,
		},
		row{id: "R0b oracle", what: "honest, a recorded variant at TV .11", relay: always(unlike), honest: true, quiet: bothNulls[1:], variants: both, note: "oracle"},
		row{id: "R0c oracle", what: "honest failover to it, every 25 answers", relay: alternating(d.claimed, unlike, 25), honest: true, quiet: bothNulls[1:], variants: both, note: "oracle"},
		row{id: "R0 unrecorded", what: "a variant at TV .11 that is not recorded", relay: always(unlike), note: "oracle; outside of both hypotheses, no bar"},
	)
}

// conditionalRows are relays that treat requests differently.
func (d *deployments) conditionalRows() []row {
	blind := []bar{{column("D3", verdict.Same), .1, 1500, true}, {column("D4", verdict.Same), .95, 500, false}}
	return []row{
		{id: "R4", what: "another model every second 600 answers", relay: alternating(d.claimed, d.other, 600), shadow: d.traffic(d.Substitute, .5), note: "ten minutes at an answer a second; traffic as half diluted", published: publishedUpdate},
		{id: "R5", what: "real for probes, another model for traffic", relay: always(d.claimed), shadow: d.traffic(d.Substitute, 1), prose: d.writes("", 0), bars: blind, published: publishedNone},
		{id: "R6", what: "real for a new key's questions, another model for traffic", relay: always(d.claimed), shadow: d.traffic(d.Substitute, 1), prose: d.writes("", 0), note: "probes under a key of their own", published: publishedNone},
		{id: "R7", what: "another model for the longer half of prompts", relay: always(d.claimed), shadow: d.traffic(d.Substitute, .5), prose: d.writes("", 0), note: "word questions and beginnings are short; traffic as half diluted", published: publishedNone},
		{id: "R8", what: "another model that knows half of the cells", relay: spoofed(d.claimed, d.other, d.known()), shadow: d.traffic(d.Substitute, 1), prose: d.writes(d.Substitute, 1), published: publishedSpoof},
		{id: "R9", what: "another model, restyled", relay: restyled(d.other), note: "words alone; no traffic", published: publishedNone},
		{id: "R13", what: "one answer a cell, from a cache", relay: cached(d.claimed), note: "words alone"},
	}
}

// settingsRows are other settings of the same model, and hidden prompts.
func (d *deployments) settingsRows() []row {
	var rows []row
	for _, c := range []struct {
		name string
		serving
	}{{"temperature x1.2", serving{temperature: 1.2}}, {"temperature x0.8", serving{temperature: .8}}, {"top_p .8", serving{topP: .8}}} {
		m := d.served(c.serving)
		rows = append(rows, row{id: "R10 " + c.name, what: "other sampling", relay: always(m), note: fmt.Sprintf("TV %.2f", d.distance(d.claimed, m))})
	}
	for _, n := range d.settings.Hidden {
		arm := fmt.Sprintf("%s-hidden%d", d.Claimed, n)
		if m := d.models[arm]; m != nil {
			rows = append(rows, row{
				id: fmt.Sprintf("R11 %d", n), what: "hidden prompt of about so many tokens", relay: always(m), shadow: d.traffic(arm, 1),
				note: fmt.Sprintf("TV %.2f; words and traffic alone: named by D1, below", d.distance(d.claimed, m)), published: publishedPrompt,
			})
		}
	}
	return rows
}

// What was published of comparable cases, to stand beside.
const (
	publishedHonest    = "OTE: 29 % of honest pairs beyond the impostors' 5th percentile; IRIS: 14 of 15 flagged; RUT .058-.094"
	publishedSwap      = "OTE AUC .971; MET 1.00 (4-bit class), .88 in CISPA's testbed; KBF 155/155; AgentProv 630/630; LLMmap .953"
	publishedQuantised = "MET nf4 1.00, int8 .08-.79; RUT AUC 4-bit .39-.64; IRIS q4 .42-1.00"
	publishedDilution  = "IRIS .3: .85 in 80 queries; KBF finds 5-10 % far, 43 % hardest; MET at 70B only from 60 %"
	publishedUpdate    = "B3IT AUC .9; LT AUC .915"
	publishedSpoof     = "GhostPrint evades 95 %, 96.7 %, 23-60 %"
	publishedPrompt    = "false substitution: AgentProv .07, LLMmap .20, RUT .53, MET .67"
	publishedNone      = "none"
)
