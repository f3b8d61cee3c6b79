// Package verdict is what an audit of an endpoint concludes, and by which rules:
// the hypotheses, the e-values against them, the labels and levels, and the report.
// It is pure; package probe gathers what it is made of.
//
// An e-value is evidence against a hypothesis: a non-negative number whose mean is at
// most 1 when the hypothesis holds, whenever one looks. So the chance that it ever
// reaches 1/alpha is at most alpha (Ville 1939; Ramdas et al., arXiv 2210.01948).
package verdict

import (
	"math"
	"slices"
)

// Null is a hypothesis that an audit tries to reject.
type Null string

// The hypotheses. Each has its own evidence; none is inferred from another.
const (
	Same      Null = "same"      // answers are drawn as the reference's are
	Honest    Null = "honest"    // each answer is drawn as one of the recorded honest deployments draws it
	Billing   Null = "billing"   // usage is reported truthfully
	Integrity Null = "integrity" // nothing is added, cut, replayed or rewritten on the way
)

// Unchanged is the hypothesis that an endpoint answers as it did itself when it was
// recorded. It identifies no model, so no verdict is on it and nothing is fused with it.
const Unchanged Null = "unchanged"

// Nulls lists the hypotheses that verdicts are on in the order of reports.
var Nulls = []Null{Same, Honest, Billing, Integrity}

// Statement says the hypothesis in words.
func (n Null) Statement() string {
	switch n {
	case Same:
		return "every answer is drawn from the same distribution as the reference's"
	case Honest:
		return "every answer is drawn from one of the recorded honest deployments of the model, whichever, in any order"
	case Unchanged:
		return "answers are drawn as those that the endpoint itself gave when it was recorded"
	case Billing:
		return "tokens are reported as the model's tokenizer counts them"
	case Integrity:
		return "prompts and answers are neither extended, cut, replayed nor rewritten on the way"
	}
	return "unknown"
}

// Level is how strong the evidence is.
type Level string

// The levels, by the e-value that reaches them.
const (
	LevelNone       Level = "none"
	LevelNotice     Level = "notice"     // E >= 20
	LevelWarning    Level = "warning"    // E >= 100: alpha 1 %
	LevelQuarantine Level = "quarantine" // E >= 1,000
)

// levels are the thresholds on log10 E, strongest first.
var levels = []struct {
	level Level
	log10 float64
}{{LevelQuarantine, 3}, {LevelWarning, 2}, {LevelNotice, math.Log10(20)}}

// LevelOf is the level that an e-value reaches, given as its decimal logarithm.
func LevelOf(log10E float64) Level {
	for _, l := range levels {
		if log10E >= l.log10 {
			return l.level
		}
	}
	return LevelNone
}

// Threshold is the decimal logarithm of the e-value at which a level begins.
func (l Level) Threshold() float64 {
	for _, known := range levels {
		if known.level == l {
			return known.log10
		}
	}
	return 0
}

// AtLeast reports whether the level is as strong as another one.
func (l Level) AtLeast(other Level) bool {
	order := []Level{LevelNone, LevelNotice, LevelWarning, LevelQuarantine}
	return slices.Index(order, l) >= slices.Index(order, other)
}

// Label is what an audit says of an endpoint, in neutral words. The list is closed.
type Label string

// The labels. None of them says that an endpoint is clean or dishonest: a finite
// number of questions cannot show the one, and intent shows in none.
const (
	IdentityFailed      Label = "identity check failed"
	Differs             Label = "differs from reference"
	WithinHonest        Label = "differs within honest range"
	ModifiedPrompt      Label = "modified prompt"
	SettingsChanged     Label = "settings changed"
	BillingInconsistent Label = "billing inconsistent"
	IntegrityFailed     Label = "integrity check failed"
	Unusable            Label = "unusable"
	NotTested           Label = "not tested"
	NoDifference        Label = "no difference found" // by the checks that ran; see the report's coverage
)

// innocent are the causes other than intent that a label is compatible with.
var innocent = map[Label][]string{
	IdentityFailed:      {"the vendor updated the model after the reference was recorded", "another chat template, precision or engine", "a documented alias that moved"},
	Differs:             {"the vendor updated the model after the reference was recorded", "quantisation or another engine", "a system prompt added by the platform", "other sampling defaults"},
	WithinHonest:        {"another engine, precision or batch size of the same weights"},
	ModifiedPrompt:      {"a platform's documented default system prompt", "a chat template with tools, a date or a preamble", "another model whose template is longer"},
	SettingsChanged:     {"sampling defaults of the platform", "a limit on the length of answers", "a lower effort of reasoning by default"},
	BillingInconsistent: {"another tokenizer version", "reasoning tokens that are billed but not shown", "tokens of the template or of tools"},
	IntegrityFailed:     {"a cache that is documented", "a content filter", "a proxy on your own side of the connection"},
	Unusable:            {"an outage", "a wrong key, model name or address", "a rate limit"},
}

// Innocent lists causes other than intent that the label is compatible with.
func (l Label) Innocent() []string { return innocent[l] }

// Finding reports whether the label is one that somebody has to look at.
func (l Label) Finding() bool {
	switch l {
	case IdentityFailed, Differs, ModifiedPrompt, SettingsChanged, BillingInconsistent, IntegrityFailed:
		return true
	}
	return false
}

// Layer says what kind of evidence a detector rests on. Findings of one layer alone
// accuse nobody.
type Layer string

// The layers, cheapest first.
const (
	Protocol     Layer = "protocol"     // accounting and protocol facts
	Causal       Layer = "causal"       // what only the real backend can do
	Distribution Layer = "distribution" // how answers are distributed, against a reference
	Capability   Layer = "capability"   // what the model can do
)

// ID names a detector, D1 to D15.
type ID string

// weights are fixed before any data are seen (section "fusion" of docs/audit.md):
// the share that each detector's evidence has in a hypothesis.
var weights = map[Null]map[ID]float64{
	Same:      {"D3": .25, "D4": .25, "D5": .15, "D1": .10, "D2": .10, "D6": .05, "D11": .05, "D13": .05},
	Honest:    {"D3": .35, "D4": .35, "D5": .20, "D6": .10},
	Billing:   {"D7": .6, "D1": .4},
	Integrity: {"D8": .4, "D1": .2, "D9": .2, "D10": .2},
}

// Weights are the shares of the detectors that apply, renormalised to 1. They must
// be computed from the plan, before the first observation, and then kept: a detector
// that stops keeps its last e-value and its share. Without any the map is empty.
func Weights(n Null, applicable []ID) map[ID]float64 {
	shares := map[ID]float64{}
	sum := 0.0
	for _, id := range applicable {
		if w := weights[n][id]; w > 0 {
			shares[id] = w
			sum += w
		}
	}
	for id := range shares {
		shares[id] /= sum
	}
	return shares
}
