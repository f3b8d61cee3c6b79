package verdict

import (
	"math"
	"strings"
	"testing"
)

// ran is a detector that ran with evidence against a hypothesis.
func ran(id ID, layer Layer, n Null, logE float64, findings ...Finding) Result {
	return Result{ID: id, Name: string(id), Layer: layer, State: Ran, Evidence: []Evidence{{Null: n, LogE: logE, MaxLogE: logE, N: 10}}, Findings: findings}
}

func against(n Null, logE float64, ids ...ID) map[Null]Fused {
	f := Fused{LogE: logE, MaxLogE: max(logE, 0), N: 10, Weights: Weights(n, ids), Last: map[ID]float64{}}
	for _, id := range ids {
		f.Last[id] = logE
	}
	return map[Null]Fused{n: f}
}

func on(r *Report, n Null) Verdict {
	for _, v := range r.Verdicts {
		if v.Null == n {
			return v
		}
	}
	return Verdict{}
}

func TestWeights(t *testing.T) {
	for n, all := range weights {
		sum := 0.0
		for _, w := range all {
			sum += w
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("%s: the weights add up to %v", n, sum)
		}
	}
	if w := Weights(Same, []ID{"D3", "D9"}); len(w) != 1 || w["D3"] != 1 {
		t.Errorf("renormalised %v", w)
	}
	if w := Weights(Honest, nil); len(w) != 0 {
		t.Errorf("of none %v", w)
	}
}

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		e    float64
		want Level
	}{{19.99, LevelNone}, {20, LevelNotice}, {99.9, LevelNotice}, {100, LevelWarning}, {999, LevelWarning}, {1000, LevelQuarantine}} {
		if got := LevelOf(math.Log10(c.e) + 1e-12); got != c.want {
			t.Errorf("E = %v is %s, want %s", c.e, got, c.want)
		}
	}
	if !LevelWarning.AtLeast(LevelNotice) || LevelNotice.AtLeast(LevelWarning) || !LevelNone.AtLeast(LevelNone) {
		t.Error("the levels are out of order")
	}
}

// TestLabels: which label follows from which evidence, least cause first; one layer alone
// accuses nobody, and what was not tested is never a pass.
func TestLabels(t *testing.T) {
	two := &Reference{ID: "abc", Variants: []string{"a", "b"}}
	prompt := Finding{Label: ModifiedPrompt, Null: Integrity, Text: "more tokens"}
	settings := Finding{Label: SettingsChanged, Null: Integrity, Text: "cut short"}
	for name, c := range map[string]struct {
		reference *Reference
		detectors []Result
		fused     map[Null]Fused
		null      Null
		label     Label
		level     Level
		headline  Label
	}{
		"nothing ran":           {nil, nil, nil, Same, NotTested, LevelNone, NotTested},
		"only facts passed":     {nil, []Result{ran("D2", Causal, Same, -.3)}, against(Same, -.3, "D2"), Same, NotTested, LevelNone, NotTested},
		"nothing found":         {two, []Result{ran("D3", Distribution, Honest, 0)}, against(Honest, 0, "D3"), Honest, NoDifference, LevelNone, NoDifference},
		"one layer":             {two, []Result{ran("D3", Distribution, Honest, 4)}, against(Honest, 4, "D3"), Honest, Differs, LevelQuarantine, Differs},
		"two layers":            {two, []Result{ran("D3", Distribution, Honest, 4), ran("D5", Capability, Honest, 4)}, against(Honest, 4, "D3", "D5"), Honest, IdentityFailed, LevelQuarantine, IdentityFailed},
		"H_same alone":          {two, []Result{ran("D3", Distribution, Same, 4)}, against(Same, 4, "D3"), Same, Differs, LevelWarning, Differs},
		"a longer prompt":       {two, []Result{ran("D1", Protocol, Integrity, .5, prompt), ran("D3", Distribution, Honest, 4)}, against(Honest, 4, "D3"), Honest, ModifiedPrompt, LevelQuarantine, ModifiedPrompt},
		"other settings":        {two, []Result{ran("D10", Protocol, Integrity, 0, settings), ran("D3", Distribution, Honest, 4)}, against(Honest, 4, "D3"), Honest, SettingsChanged, LevelQuarantine, SettingsChanged},
		"a finding without E":   {nil, []Result{ran("D1", Protocol, Integrity, .5, prompt)}, against(Integrity, .5, "D1"), Integrity, ModifiedPrompt, LevelNotice, ModifiedPrompt},
		"an imported reference": {&Reference{Imported: true, Variants: []string{"a", "b"}}, []Result{ran("D3", Distribution, Honest, 4)}, against(Honest, 4, "D3"), Honest, Differs, LevelWarning, Differs},
		"a public reference":    {&Reference{Public: true, Variants: []string{"a", "b"}}, []Result{ran("D3", Distribution, Honest, 4)}, against(Honest, 4, "D3"), Honest, Differs, LevelNone, Differs},
		"a veto":                {nil, []Result{ran("D2", Causal, Same, 0, Finding{Label: IdentityFailed, Null: Same, Text: "accepted", Veto: true})}, against(Same, 0, "D2"), Same, IdentityFailed, LevelQuarantine, IdentityFailed},
		"inconclusive":          {two, []Result{{ID: "D3", Layer: Distribution, State: Inconclusive, Evidence: []Evidence{{Null: Honest, MaxLogE: 4, N: 9}}}}, against(Honest, 0, "D3"), Honest, NotTested, LevelNone, NotTested},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Report{Reference: c.reference, Detectors: c.detectors}
			r.Conclude(c.fused, .01, "")
			if v := on(r, c.null); v.Label != c.label || v.Level != c.level {
				t.Errorf("%s at %s, want %s at %s: %+v", v.Label, v.Level, c.label, c.level, v)
			}
			if r.Headline != c.headline || r.Summary == "" || len(r.Coverage) == 0 || len(r.Footer) == 0 {
				t.Errorf("headline %q, %q", r.Headline, r.Summary)
			}
		})
	}
	r := &Report{}
	r.Conclude(nil, .01, "no answer")
	if r.Headline != Unusable || !strings.Contains(r.Summary, "no answer") {
		t.Errorf("unusable: %q, %q", r.Headline, r.Summary)
	}
}

// TestWithinHonest: rejected against the reference and not against the honest
// deployments is an honest difference.
func TestWithinHonest(t *testing.T) {
	d := ran("D3", Distribution, Same, 4)
	d.Evidence = append(d.Evidence, Evidence{Null: Honest, N: 10})
	f := against(Same, 4, "D3")
	f[Honest] = against(Honest, 0, "D3")[Honest]
	r := &Report{Reference: &Reference{Variants: []string{"a", "b"}}, Detectors: []Result{d}}
	r.Conclude(f, .01, "")
	if r.Headline != WithinHonest || r.Headline.Finding() {
		t.Errorf("headline %q", r.Headline)
	}
}
