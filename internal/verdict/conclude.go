package verdict

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Fused is the fused evidence against one hypothesis.
type Fused struct {
	LogE    float64 // decimal logarithm
	MaxLogE float64
	N       int
	Weights map[ID]float64
	Last    map[ID]float64 // decimal logarithm of each detector's e-value
	Curve   []Point
}

// Conclude fills in what follows from the detectors' results and the fused evidence:
// the verdicts, the headline, and what must be said with them. unusable says why the
// endpoint could not be audited; empty when it could.
//
// Explanations are tried in a fixed order, so that a lesser cause is not taken for a
// greater one: unusable, then a modified prompt, then changed settings, then a
// difference within the honest range, and only then another model.
func (r *Report) Conclude(fused map[Null]Fused, alpha float64, unusable string) {
	r.Verdicts = nil
	for _, n := range Nulls {
		r.Verdicts = append(r.Verdicts, r.verdict(n, fused[n], alpha))
	}
	r.label()
	r.Headline, r.Summary = r.headline(unusable)
	r.Coverage = r.coverage()
	r.Innocent = r.Headline.Innocent()
	r.Footer = r.footer()
}

// verdict is the conclusion on one hypothesis, but for its label.
func (r *Report) verdict(n Null, f Fused, alpha float64) Verdict {
	v := Verdict{
		Null: n, Statement: n.Statement(), LogE: f.LogE, MaxLogE: f.MaxLogE, Alpha: alpha, N: f.N, Curve: f.Curve, Level: LevelNone, Label: NotTested,
	}
	for _, d := range r.Detectors {
		if w, has := f.Weights[d.ID]; has {
			v.Shares = append(v.Shares, Share{d.ID, w, f.Last[d.ID]})
		}
		if d.State == Ran && slices.ContainsFunc(d.Evidence, func(e Evidence) bool { return e.Null == n && e.N > 0 }) {
			v.Tested = true
			v.By = append(v.By, d.ID)
		}
	}
	for _, found := range r.findings(n) {
		if found.Veto {
			v.Veto, v.Tested = found.Text, true
		}
	}
	if (n == Same || n == Honest) && !r.compared(v) && v.Veto == "" && f.MaxLogE < LevelNotice.Threshold() {
		v.Tested = false // facts can speak against a model; that they do not is no test of it
	}
	if !v.Tested {
		v.Reason = r.untested(n)
		v.Wording = "not tested: " + v.Reason
		return v
	}
	v.Rejected = v.Veto != "" || f.MaxLogE >= -math.Log10(alpha)
	v.Level = LevelOf(f.MaxLogE)
	if v.Veto != "" {
		v.Level = LevelQuarantine
	}
	if (n == Same || n == Honest) && r.Reference != nil {
		v.Level, v.Reason = r.capped(v.Level)
	}
	if n == Same && v.Level == LevelQuarantine && v.Veto == "" {
		// An honest variant of the same model is rightly told apart from the reference.
		v.Level, v.Reason = LevelWarning, "only the hypothesis of honest deployments, or a veto, may take an endpoint out of routing"
	}
	v.Wording = r.wording(v)
	return v
}

// compared reports whether one of the detectors that have a share in a verdict compares
// answers with those of a trusted model.
func (r *Report) compared(v Verdict) bool {
	return slices.ContainsFunc(r.Detectors, func(d Result) bool {
		return (d.Layer == Distribution || d.Layer == Capability) && slices.Contains(v.By, d.ID) && v.weighs(d.ID)
	})
}

// weighs reports whether a detector's evidence has a share in the verdict. What has none
// is told and decides nothing.
func (v Verdict) weighs(id ID) bool {
	return slices.ContainsFunc(v.Shares, func(s Share) bool { return s.Detector == id })
}

// capped is the level that a reference of this origin may raise.
func (r *Report) capped(l Level) (Level, string) {
	switch {
	case r.Reference.Public:
		return LevelNone, "the reference is public, so whoever is audited may know it: it weighs nothing"
	case r.Reference.Imported && l.AtLeast(LevelQuarantine):
		return LevelWarning, "an imported reference raises at most a warning"
	}
	return l, ""
}

// untested says why a hypothesis was not tested.
func (r *Report) untested(n Null) string {
	switch {
	case (n == Same || n == Honest) && r.Reference == nil:
		return "there is no reference to compare with"
	case n == Honest && len(r.Reference.Variants) < 2:
		return "the reference holds one deployment only, so nothing is known of how far honest ones differ"
	}
	return "no detector that speaks to it ran to an end"
}

// findings are what detectors that ran found against a hypothesis.
func (r *Report) findings(n Null) []Finding {
	var all []Finding
	for _, d := range r.Detectors {
		if d.State != Ran {
			continue
		}
		for _, f := range d.Findings {
			if f.Null == n {
				all = append(all, f)
			}
		}
	}
	return all
}

// found reports whether some detector found something of the label.
func (r *Report) found(l Label) bool {
	return slices.ContainsFunc(Nulls, func(n Null) bool {
		return slices.ContainsFunc(r.findings(n), func(f Finding) bool { return f.Label == l })
	})
}

// label gives each verdict its label.
func (r *Report) label() {
	by := map[Null]*Verdict{}
	for i := range r.Verdicts {
		by[r.Verdicts[i].Null] = &r.Verdicts[i]
	}
	for _, n := range []Null{Billing, Integrity} {
		if v := by[n]; v.Tested {
			v.Label = r.factual(v)
		}
	}
	same, honest := by[Same], by[Honest]
	if honest.Tested {
		honest.Label = r.identity(honest)
	}
	if same.Tested {
		same.Label = r.identity(same)
		if same.Label == Differs && honest.Tested && !honest.Rejected {
			same.Label = WithinHonest
		}
	}
}

// factual is the label of a hypothesis that facts decide: what a detector found, or
// what the evidence as a whole comes to.
func (r *Report) factual(v *Verdict) Label {
	label := NoDifference
	if v.Rejected {
		label = map[Null]Label{Billing: BillingInconsistent, Integrity: IntegrityFailed}[v.Null]
	}
	for _, f := range r.findings(v.Null) {
		if label == NoDifference || f.Veto {
			label = f.Label
		}
		if v.Level == LevelNone {
			v.Level = LevelNotice
		}
		if !v.Rejected {
			v.Wording = strings.Replace(v.Wording, "not found to be inconsistent with", "by a check that repeats, and not by the evidence as a whole, inconsistent with", 1)
		}
	}
	if label == IntegrityFailed && v.Veto == "" && r.onlyPrompt() {
		return ModifiedPrompt
	}
	return label
}

// onlyPrompt reports whether all that was found against integrity is that the prompt
// is another one.
func (r *Report) onlyPrompt() bool {
	found := r.findings(Integrity)
	return len(found) > 0 && !slices.ContainsFunc(found, func(f Finding) bool { return f.Label != ModifiedPrompt })
}

// identity is the label of a rejected hypothesis about the model.
func (r *Report) identity(v *Verdict) Label {
	switch {
	case v.Veto != "":
		return IdentityFailed
	case !v.Rejected:
		return NoDifference
	}
	layers := map[Layer]bool{}
	modified := r.found(ModifiedPrompt)
	for _, d := range r.Detectors {
		if modified && swayed[d.ID] || !v.weighs(d.ID) {
			continue // a longer prompt moves the former as well
		}
		for _, e := range d.Evidence {
			if d.State == Ran && e.Null == v.Null && e.MaxLogE >= LevelNotice.Threshold() {
				layers[d.Layer] = true
			}
		}
	}
	switch {
	case len(layers) >= 2:
		return IdentityFailed
	case modified:
		return ModifiedPrompt
	case r.found(SettingsChanged):
		return SettingsChanged
	}
	return Differs
}

// swayed are the detectors whose answers a hidden prompt alone changes.
var swayed = map[ID]bool{"D3": true, "D4": true, "D11": true, "D13": true, "D14": true}

// precedence orders labels for the headline: the first that some verdict has.
var precedence = []Label{IdentityFailed, IntegrityFailed, BillingInconsistent, ModifiedPrompt, SettingsChanged, Differs, WithinHonest}

// headline is the label of the whole, and one sentence.
func (r *Report) headline(unusable string) (Label, string) {
	if unusable != "" {
		return Unusable, unusable
	}
	label := NoDifference
	for _, l := range slices.Backward(precedence) {
		if r.found(l) || slices.ContainsFunc(r.Verdicts, func(v Verdict) bool { return v.Label == l }) {
			label = l
		}
	}
	tested := slices.ContainsFunc(r.Verdicts, func(v Verdict) bool { return (v.Null == Same || v.Null == Honest) && v.Tested })
	if label == NoDifference && !tested {
		return NotTested, "Identity not tested: " + r.untested(Same) + ". The other checks that ran found nothing; see the coverage."
	}
	texts := []string{summaries[label]}
	if label != NoDifference && !tested {
		texts = append(texts, "Identity was not tested: "+r.untested(Same)+".")
	}
	return label, strings.Join(texts, " ")
}

// summaries say a label in a sentence.
var summaries = map[Label]string{
	IdentityFailed:      "The answers are inconsistent with the claimed model by evidence of more than one kind, or by a fact that decides alone.",
	Differs:             "The answers differ from the reference by more than chance, by evidence of one kind; that alone does not say which model answers.",
	WithinHonest:        "The answers differ from the reference, and by no more than honest deployments of the model differ among themselves.",
	ModifiedPrompt:      "The endpoint adds to the prompt or changes it: hidden prompt or other model. What else differs may follow from that.",
	SettingsChanged:     "The endpoint answers under other settings than it was asked for.",
	BillingInconsistent: "Tokens are reported that do not follow from what was sent and answered.",
	IntegrityFailed:     "Prompts or answers are changed, cut or replayed on the way.",
	NoDifference:        "The checks that ran found no difference. That is coverage, not proof; see what was not looked at.",
}

// coverage says what was looked at and what was not.
func (r *Report) coverage() []string {
	var ran, not []string
	for _, d := range r.Detectors {
		name := fmt.Sprintf("%s %s", d.ID, d.Name)
		if d.State == Ran {
			ran = append(ran, fmt.Sprintf("%s (%d questions)", name, d.Queries))
		} else {
			not = append(not, fmt.Sprintf("%s: %s, %s", name, d.State, d.Reason))
		}
	}
	lines := []string{"Looked at: " + list(ran) + "."}
	for _, n := range not {
		lines = append(lines, "Not looked at: "+n+".")
	}
	if len(r.LeftOut) > 0 {
		lines = append(lines, "Left out of questions, since the endpoint refuses it: "+list(r.LeftOut)+".")
	}
	return append(lines,
		"Questions of an audit are a sample at one time from one key: what an endpoint does at other times, to other keys or to requests it takes for others is not seen.")
}

func list(of []string) string {
	if len(of) == 0 {
		return "nothing"
	}
	return strings.Join(of, ", ")
}

// wording is the sentence about a verdict that may be quoted.
func (r *Report) wording(v Verdict) string {
	against := "the facts that its vendor documents"
	if r.Reference != nil && (v.Null == Same || v.Null == Honest) {
		against = fmt.Sprintf("reference %.12s of %s under protocol %.12s", r.Reference.ID, r.Reference.Recorded.UTC().Format(time.DateOnly), r.Reference.Protocol)
	}
	how := "not found to be inconsistent with"
	switch {
	case v.Veto != "":
		how = "inconsistent by a decisive fact with"
	case v.Rejected:
		how = "statistically inconsistent with"
	}
	return fmt.Sprintf("%s %s (E = %s, alpha = %g, n = %d)", how, against, FormatE(v.MaxLogE), v.Alpha, v.N)
}

// FormatE writes an e-value given as its decimal logarithm.
func FormatE(log10 float64) string {
	switch {
	case log10 >= 4 || log10 <= -3:
		return fmt.Sprintf("10^%.1f", log10)
	case log10 >= 1:
		return fmt.Sprintf("%.0f", math.Pow(10, log10))
	}
	return fmt.Sprintf("%.2g", math.Pow(10, log10))
}

// footer is what must stand below every report.
func (r *Report) footer() []string {
	return []string{
		fmt.Sprintf("Protocol: profile %s, plan %.12s, %s.", r.Profile, r.Commit, r.Started.UTC().Format(time.RFC3339)),
		"E is evidence against a hypothesis; under it, the chance that E ever reaches 1/alpha is at most alpha. 20 is worth a notice, 100 a warning, 1,000 action.",
		"No finding is an accusation: see the causes other than intent. Audit only endpoints that you are entitled to test.",
	}
}
