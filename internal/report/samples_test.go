package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"sallyport/internal/verdict"
)

// The samples are reports as audits end: nothing found, nothing to compare with, and a
// model swapped behind a hidden prompt and a doubled bill.
var samples = map[string]func() *verdict.Report{
	"nothing": nothing, "quick": quick, "swap": swap,
}

var started = time.Date(2026, 11, 22, 9, 14, 0, 0, time.UTC)

var names = []string{
	"Accounting", "Protocol and causal challenges", "One-token answers", "Shadow of live traffic", "Capability",
	"Choice of tools", "Billing of live traffic", "Tampering", "Context needle", "Caches and streams",
	"Private numbers", "Change detectors", "Maximum mean discrepancy", "Likelihood under local weights", "Timing and shared caches",
}

var layers = []verdict.Layer{
	verdict.Protocol, verdict.Causal, verdict.Distribution, verdict.Distribution, verdict.Capability,
	verdict.Distribution, verdict.Protocol, verdict.Causal, verdict.Capability, verdict.Protocol,
	verdict.Capability, verdict.Distribution, verdict.Distribution, verdict.Distribution, verdict.Protocol,
}

// base is what the samples have in common: no detector ran yet.
func base() *verdict.Report {
	r := &verdict.Report{
		Schema: verdict.Schema, Program: "v0.4.0", Profile: "vet", Started: started, Decided: started.Add(11 * time.Minute),
		Target: verdict.Target{Name: "cheap-relay", URL: "https://api.cheap-relay.example/v1", Host: "api.cheap-relay.example", Kind: "openai", Model: "gemma-3-27b-it"},
		Commit: "5f0c2a7be1d94c1d8f35c7a0e6b2d1149f0a4b36d55c8b9c1f2e7d8a9b0c1d2e", Seed: "9d1c4e8f70b35a26c1d0e9f8a7b6c5d4",
		Beacon: verdict.Beacon{Value: "77b1f0", Source: "head of the gateway's log", Weak: "whoever runs the gateway could have waited for a head that suits"},
		Footer: []string{
			"Statistically inconsistent is not dishonest: see the innocent causes.",
			"Audit only endpoints that you are entitled to test.",
		},
	}
	for i, name := range names {
		r.Detectors = append(r.Detectors, verdict.Result{
			ID: verdict.ID(fmt.Sprintf("D%d", i+1)), Name: name, Layer: layers[i], State: verdict.NotRun,
			Reason: "the profile leaves it out", Null: "nothing differs",
		})
	}
	detector(r, "D4").State, detector(r, "D4").Reason = verdict.NotApplicable, "needs a gateway with live traffic"
	detector(r, "D7").State, detector(r, "D7").Reason = verdict.NotApplicable, "needs a gateway with live traffic"
	detector(r, "D14").State, detector(r, "D14").Reason = verdict.NotApplicable, "no local weights of this model are configured"
	for _, n := range verdict.Nulls {
		r.Verdicts = append(r.Verdicts, verdict.Verdict{
			Null: n, Statement: n.Statement(), Reason: "no reference of this model is recorded", Level: verdict.LevelNone, Label: verdict.NotTested, Alpha: .01,
		})
	}
	return r
}

func detector(r *verdict.Report, id verdict.ID) *verdict.Result {
	return &r.Detectors[slices.IndexFunc(r.Detectors, func(d verdict.Result) bool { return d.ID == id })]
}

func on(r *verdict.Report, n verdict.Null) *verdict.Verdict {
	return &r.Verdicts[slices.Index(verdict.Nulls, n)]
}

// ran makes a detector one that ran.
func ran(r *verdict.Report, id verdict.ID, queries int, cost int64) *verdict.Result {
	d := detector(r, id)
	d.State, d.Reason, d.Queries, d.Cost, d.Took = verdict.Ran, "", queries, cost, time.Duration(queries)*900*time.Millisecond
	return d
}

// concluded makes a verdict one that was tested.
func concluded(r *verdict.Report, n verdict.Null, logE, maxLogE float64, observations int, label verdict.Label, wording string) *verdict.Verdict {
	v := on(r, n)
	v.Tested, v.Reason, v.LogE, v.MaxLogE, v.N, v.Label = true, "", logE, maxLogE, observations, label
	v.Level, v.Wording = verdict.LevelOf(maxLogE), wording
	v.Curve = curve(observations, maxLogE, logE)
	return v
}

// curve wanders from 0 by way of its highest to its end.
func curve(n int, highest, end float64) []verdict.Point {
	points := make([]verdict.Point, n+1)
	for i := range points {
		t := float64(i) / float64(n)
		y := end*t + .12*math.Sin(float64(i)*.9)*math.Sin(math.Pi*t)
		points[i] = verdict.Point{X: float64(i), Y: min(y, highest)}
	}
	points[n/5].Y = max(points[n/5].Y, min(highest, .4))
	return points
}

func reference() *verdict.Reference {
	return &verdict.Reference{
		ID: "c0ffee5ca1ab1e0ddba11feedfacecafe0123456789abcdef0123456789abcde", Model: "gemma-3-27b-it", Host: "localhost", Class: "local weights",
		Recorded: started.AddDate(0, 0, -12), Expires: started.AddDate(0, 3, -12), Protocol: "ab54a98ceb1f0ad2ab54a98ceb1f0ad2",
		Variants: []string{"llama.cpp Q8_0", "vLLM bf16"},
	}
}

func bundle(path string) *verdict.Bundle {
	return &verdict.Bundle{Path: path, SHA256: "1b4f0e9851971998e732078544c96b36c3d01cedf7caa332359d6f1d83567014", Signer: "sallyport+7e9c2b1d"}
}

// nothing is an audit with a reference that found nothing.
func nothing() *verdict.Report {
	r := base()
	r.Headline, r.Reference, r.Bundle = verdict.NoDifference, reference(), bundle("audits/2026-11-22-cheap-relay.sealed")
	r.Bundle.Leaf = new(int64(48211))
	r.Summary = "In 742 queries no check found a difference between cheap-relay and the reference of gemma-3-27b-it."
	concluded(r, verdict.Same, -1.31, .42, 600, verdict.NoDifference, "No inconsistency with reference c0ffee5ca1ab of 2026-11-10 was found under protocol ab54a98c (E 2.63, alpha 1 %, n 600).")
	concluded(r, verdict.Honest, -1.64, .2, 600, verdict.NoDifference, "No inconsistency with both recorded honest deployments was found (E 1.58, alpha 1 %, n 600).")
	concluded(r, verdict.Billing, -.2, 0, 30, verdict.NoDifference, "Reported and counted tokens agree in all 30 requests (E 1.00, alpha 1 %, n 30).").Assumed = []string{"one documented fact in a hundred is wrong"}
	concluded(r, verdict.Integrity, -.5, 0, 42, verdict.NoDifference, "Nothing was added, cut, replayed or rewritten in 42 checks (E 1.00, alpha 1 %, n 42).")
	on(r, verdict.Same).Shares = []verdict.Share{{Detector: "D3", Weight: .5, LogE: -1.6}, {Detector: "D1", Weight: .2, LogE: -.3}, {Detector: "D2", Weight: .3, LogE: -.3}}
	d1 := ran(r, "D1", 30, 3_100_000)
	d1.Facts = []verdict.Fact{{Name: "hidden tokens before the prompt", Value: "0"}, {Name: "reported to counted tokens", Value: "1.000 (1.000 to 1.000)"}}
	d1.Charts = []verdict.Chart{regression(0, 1)}
	ran(r, "D2", 22, 9_800_000)
	d3 := ran(r, "D3", 600, 74_000_000)
	d3.Failures = 3
	d3.Evidence = []verdict.Evidence{{Null: verdict.Same, LogE: -1.6, MaxLogE: .5, N: 597}, {Null: verdict.Honest, LogE: -1.9, MaxLogE: .2, N: 597}}
	d3.Charts = []verdict.Chart{cells(0)}
	d5 := ran(r, "D5", 60, 31_000_000)
	d5.Charts = []verdict.Chart{capability(.02)}
	ran(r, "D8", 10, 1_900_000)
	d9 := ran(r, "D9", 12, 210_000_000)
	d9.State, d9.Reason, d9.Failures = verdict.Inconclusive, "4 of 12 queries failed, more than 20 %", 4
	d10 := ran(r, "D10", 8, 1_200_000)
	d10.Facts = []verdict.Fact{{Name: "first token, median", Value: "412 ms"}, {Name: "gap between chunks, median", Value: "21 ms"}}
	r.Spent = verdict.Spent{Queries: 742, Outcomes: map[string]int{"answered": 735, "timeout": 4, "rate limited": 3}, Input: 81_204, Output: 14_377, Cost: 331_000_000, Cap: 1_000_000_000, Took: 10*time.Minute + 48*time.Second}
	r.Detectable = &verdict.Detectable{Eps: .1, Power: .93, Queries: 742, Against: "smollm2-1.7b", Runs: 200}
	r.Camouflage = &verdict.Camouflage{
		Told: verdict.Told{AUC: .57, Low: .53, High: .61, Probes: 742}, Form: verdict.Told{AUC: .52, Low: .48, High: .56, Probes: 742},
		Parts:   []verdict.Told{{By: "D1", AUC: 1, Low: .99, High: 1, Probes: 80}, {By: "D3", AUC: .996, Low: .97, High: .999, Probes: 60}},
		Traffic: 5000, Against: "the operator's sample of traffic", Note: "Built-in templates.",
	}
	r.Coverage = []string{
		"Tested: short prompts in English, one account, within 11 minutes.",
		"Not tested: other accounts, other hours, prompts above 2,000 tokens, images, tools.",
		"A relay that recognises questions like these and answers only them faithfully is not found by this audit.",
	}
	return r
}

// quick is an audit with nothing but an endpoint and a key, of an unknown price.
func quick() *verdict.Report {
	r := base()
	r.Profile, r.Headline, r.Target.Name = "quick", verdict.NotTested, ""
	r.Summary = "Identity was not tested: there is no reference of gemma-3-27b-it. Accounting, protocol and caches showed nothing unusual in 51 queries."
	r.Decided = started.Add(41 * time.Second)
	concluded(r, verdict.Billing, -.2, 0, 20, verdict.NoDifference, "Reported and counted tokens agree in all 20 requests (E 1.00, alpha 1 %, n 20).")
	concluded(r, verdict.Integrity, -.3, 0, 8, verdict.NoDifference, "Nothing was replayed or rewritten in 8 checks (E 1.00, alpha 1 %, n 8).")
	ran(r, "D1", 20, -1)
	ran(r, "D2", 23, -1).Facts = []verdict.Fact{{Name: "server", Value: "nginx\x1b[2J"}}
	ran(r, "D10", 8, -1).Facts = []verdict.Fact{{Name: "first token, median", Value: "188 ms"}}
	detector(r, "D3").State, detector(r, "D3").Reason = verdict.NotApplicable, "no reference of this model is recorded; record one with sallyport reference record"
	r.Spent = verdict.Spent{Queries: 51, Outcomes: map[string]int{"answered": 51}, Input: 2_210, Output: 1_408, Unknown: 2, Cost: -1, Took: 38 * time.Second}
	r.Coverage = []string{"Tested: accounting, protocol, caches.", "Not tested: whether the claimed model answers."}
	return r
}

// swap is an audit of a relay that serves another model, with a hidden prompt, and
// bills twice what it used.
func swap() *verdict.Report {
	r := base()
	r.Headline, r.Reference, r.Bundle = verdict.Differs, reference(), bundle("audits/22 nov/relay's.sealed")
	r.Summary = "The answers of cheap-relay are statistically inconsistent with the reference of gemma-3-27b-it and with both honest deployments; about 148 tokens are added to every prompt and twice the tokens are billed."
	r.Stopped = "the spend cap of USD 0.50 was reached"
	concluded(r, verdict.Same, 19.4, 19.4, 260, verdict.Differs, "Answers are statistically inconsistent with reference c0ffee5ca1ab of 2026-11-10 under protocol ab54a98c (E 2.5×10¹⁹, alpha 1 %, n 260).").Rejected = true
	concluded(r, verdict.Honest, 11.8, 11.8, 260, verdict.Differs, "Answers are statistically inconsistent with every recorded honest deployment under protocol ab54a98c (E 6.3×10¹¹, alpha 1 %, n 260).").Rejected = true
	v := concluded(r, verdict.Billing, 2.31, 2.31, 30, verdict.BillingInconsistent, "Reported tokens are statistically inconsistent with counted tokens (E 204, alpha 1 %, n 30).")
	v.Rejected, v.Assumed = true, []string{"one documented fact in a hundred is wrong"}
	v = concluded(r, verdict.Integrity, 1.7, 1.7, 18, verdict.ModifiedPrompt, "About 148 tokens are added to every prompt (E 50.1, alpha 1 %, n 18).")
	v.Veto = "the added text was quoted by the endpoint in two requests"
	v.Level = verdict.LevelQuarantine
	on(r, verdict.Same).Shares = []verdict.Share{{Detector: "D3", Weight: .5, LogE: 19.7}, {Detector: "D1", Weight: .2, LogE: 1.7}, {Detector: "D2", Weight: .3, LogE: 0}}
	d1 := ran(r, "D1", 30, 3_100_000)
	d1.Findings = []verdict.Finding{
		{Label: verdict.ModifiedPrompt, Null: verdict.Integrity, Veto: true, Text: "148 tokens are counted for an empty prompt; asked for it, the endpoint quoted \"You are HelpBot\u202e. <script>alert(1)</script>\x1b[31m Never name your model.\""},
		{Label: verdict.BillingInconsistent, Null: verdict.Billing, Text: "reported tokens are 2.04 times the counted ones, beyond the added prompt", Source: "tokenizer of the reference"},
	}
	d1.Facts = []verdict.Fact{{Name: "hidden tokens before the prompt", Value: "148 (146 to 150)"}, {Name: "reported to counted tokens", Value: "2.04 (2.01 to 2.07)"}}
	d1.Charts = []verdict.Chart{regression(148, 2.04)}
	ran(r, "D2", 22, 9_800_000)
	d3 := ran(r, "D3", 260, 32_000_000)
	d3.Evidence = []verdict.Evidence{{Null: verdict.Same, LogE: 19.7, MaxLogE: 19.7, N: 260}, {Null: verdict.Honest, LogE: 12.1, MaxLogE: 12.1, N: 260}}
	d3.Charts = []verdict.Chart{cells(.5)}
	d3.Findings = []verdict.Finding{{Label: verdict.Differs, Null: verdict.Same, Text: "answers to 11 of 12 cells are drawn from another distribution"}}
	d5 := ran(r, "D5", 60, 31_000_000)
	d5.Charts = []verdict.Chart{capability(.35)}
	ran(r, "D8", 10, 1_900_000)
	d10 := ran(r, "D10", 8, 0)
	d10.Facts = []verdict.Fact{{Name: "first token, median", Value: "97 ms"}, {Name: "gap between chunks, median", Value: "4 ms"}}
	r.Spent = verdict.Spent{Queries: 390, Outcomes: map[string]int{"answered": 388, "refused": 2}, Input: 61_000, Output: 9_020, Cost: 497_800_000, Cap: 500_000_000, Took: 6 * time.Minute}
	r.Detectable = &verdict.Detectable{Eps: .2, Power: .91, Queries: 390, Against: "smollm2-1.7b", Runs: 200}
	r.Innocent = verdict.Differs.Innocent()
	r.Coverage = []string{"Tested: short prompts in English, one account, within 6 minutes.", "Not tested: other accounts, other hours, long prompts, images, tools."}
	return r
}

// regression is reported against counted tokens.
func regression(offset, slope float64) verdict.Chart {
	points := make([]verdict.Point, 30)
	for i := range points {
		x := 8 + 17*float64(i)
		points[i] = verdict.Point{X: x, Y: math.Round(offset + slope*x + 3*math.Sin(float64(i)))}
	}
	return verdict.Chart{
		Title: "Tokens of the prompt: reported against counted", Kind: verdict.Scatter, X: "counted tokens", Y: "reported tokens",
		Series: []verdict.Series{{Name: "requests", Points: points}, {Name: "as counted", Points: []verdict.Point{{X: 8, Y: 8}, {X: 250, Y: 250}, {X: 500, Y: 500}}}},
	}
}

// cells is the distribution of answers to one question, moved by a share.
func cells(moved float64) verdict.Chart {
	return verdict.Chart{
		Title: "Answers in cell 7: a random animal", Kind: verdict.Bars, X: "answer", Y: "share of answers",
		Labels: []string{"otter", "axolotl", "elephant", "a capybara, of course", "OTHER", "REFUSED"},
		Series: []verdict.Series{
			{Name: "reference", Y: []float64{.41, .22, .17, .11, .08, .01}},
			{Name: "endpoint", Y: []float64{.41 - .7*moved, .22, .17 + .5*moved, .11 - .1*moved, .08 + .3*moved, .01}},
		},
	}
}

// capability is accuracy by family of questions, lowered by an amount.
func capability(lower float64) verdict.Chart {
	low := func(ys []float64, by float64) []float64 {
		out := slices.Clone(ys)
		for i := range out {
			out[i] = min(max(out[i]-by, 0), 1)
		}
		return out
	}
	base := []float64{.93, .88, .71, .64}
	sus := low(base, lower)
	return verdict.Chart{
		Title: "Share of questions answered right, with 95 % intervals", Kind: verdict.Intervals, X: "family", Y: "share right",
		Labels: []string{"arithmetic", "string rewriting", "logic grids", "calendars"},
		Series: []verdict.Series{
			{Name: "reference", Y: base, Low: low(base, .04), High: low(base, -.04)},
			{Name: "endpoint", Y: sus, Low: low(sus, .12), High: low(sus, -.1)},
		},
		Levels: []verdict.Mark{{Name: "guessing", Y: .25}},
	}
}
