package policy

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/label"
)

// The whole domain, and one value beyond each end that must deny.
var (
	labels  = []label.Label{label.Unlabelled, label.Public, label.Internal, label.Confidential, label.Restricted, label.Restricted + 1}
	classes = []label.Class{label.Any, label.Vetted, label.InRegion, label.OnSite, label.OnSite + 1}
)

// findings are all that Decide tells apart.
func findings() []label.Finding {
	var all []label.Finding
	for _, l := range labels {
		all = append(all, label.Finding{Label: l}, label.Finding{Label: l, Secret: true})
	}
	return all
}

// every calls f for every combination of facts with up to two findings.
func every(f func(Facts)) {
	sets := [][]label.Finding{nil}
	for _, a := range findings() {
		sets = append(sets, []label.Finding{a})
		for _, b := range findings() {
			sets = append(sets, []label.Finding{a, b})
		}
	}
	for _, l := range labels {
		for _, c := range classes {
			for _, set := range sets {
				for flags := range 4 {
					f(Facts{Label: l, Findings: set, Class: c, Quarantined: flags&1 != 0, Prohibited: flags&2 != 0})
				}
			}
		}
	}
}

// TestTable holds the table of the documentation, spelt out.
func TestTable(t *testing.T) {
	want := map[label.Label]string{ // any, vetted, in-region, local
		label.Public:       "allow allow allow allow",
		label.Internal:     "deny allow allow allow",
		label.Confidential: "deny tokenise tokenise allow",
		label.Restricted:   "deny deny deny allow",
	}
	for l, row := range want {
		var got []string
		for _, c := range classes[:4] {
			d := Decide(Facts{Label: l, Class: c})
			got = append(got, d.Effect.String())
			if rule := "table." + l.String() + "." + c.String(); !slices.Equal(d.Rules, []string{rule}) {
				t.Errorf("%v on %v: rules %q, want %s", l, c, d.Rules, rule)
			}
		}
		if g := strings.Join(got, " "); g != row {
			t.Errorf("%v: %s, want %s", l, g, row)
		}
	}
}

// TestMonotone walks the whole domain: adding a finding, raising a label,
// worsening the class, quarantine and prohibition never weaken a decision.
func TestMonotone(t *testing.T) {
	cases := 0
	every(func(f Facts) {
		base := Decide(f).Effect
		stricter := func(what string, g Facts) {
			cases++
			if e := Decide(g).Effect; e > base {
				t.Fatalf("%s weakens %v to %v: %+v to %+v", what, base, e, f, g)
			}
		}
		for _, extra := range findings() {
			g := f
			g.Findings = append(slices.Clone(f.Findings), extra)
			stricter("adding a finding", g)
		}
		for _, l := range labels {
			if l > f.Label && f.Label.Valid() {
				g := f
				g.Label = l
				stricter("raising the label", g)
			}
			for i := range f.Findings {
				if l > f.Findings[i].Label && f.Findings[i].Label.Valid() {
					g := f
					g.Findings = slices.Clone(f.Findings)
					g.Findings[i].Label = l
					stricter("raising a finding's label", g)
				}
			}
		}
		for _, c := range classes[:4] {
			if c < f.Class && f.Class <= label.OnSite {
				g := f
				g.Class = c
				stricter("worsening the class", g)
			}
		}
		g := f
		g.Quarantined = true
		stricter("quarantine", g)
		g = f
		g.Prohibited = true
		stricter("prohibition", g)
	})
	if cases < 100_000 {
		t.Fatalf("only %d cases", cases)
	}
}

// TestOrderOfFindingsDoesNotMatter: neither for the effect nor for which rules decided.
func TestOrderOfFindingsDoesNotMatter(t *testing.T) {
	every(func(f Facts) {
		if len(f.Findings) != 2 {
			return
		}
		g := f
		g.Findings = []label.Finding{f.Findings[1], f.Findings[0]}
		a, b := Decide(f), Decide(g)
		if a.Effect != b.Effect || !slices.Equal(sorted(a.Rules), sorted(b.Rules)) {
			t.Fatalf("%+v gives %+v, turned round %+v", f, a, b)
		}
	})
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// TestFailsClosed: what is unknown denies, floors come before everything, and
// every decision names its rules.
func TestFailsClosed(t *testing.T) {
	every(func(f Facts) {
		d := Decide(f)
		unknown := !f.Label.Valid() || f.Class > label.OnSite
		for _, finding := range f.Findings {
			unknown = unknown || !finding.Label.Valid()
		}
		if (unknown || f.Quarantined || f.Prohibited) && d.Effect != Deny {
			t.Fatalf("%+v gives %+v", f, d)
		}
		if len(d.Rules) == 0 {
			t.Fatalf("%+v gives a decision without a rule", f)
		}
		switch {
		case f.Prohibited && !slices.Equal(d.Rules, []string{RuleProhibited}),
			!f.Prohibited && f.Quarantined && !slices.Equal(d.Rules, []string{RuleQuarantined}):
			t.Fatalf("%+v is decided by %q", f, d.Rules)
		}
		for _, finding := range f.Findings {
			if finding.Secret && d.Effect == Allow {
				t.Fatalf("a secret leaves in clear: %+v gives %+v", f, d)
			}
		}
	})
	if d := Decide(Facts{}); d.Effect != Deny || (Decision{}).Effect != Deny {
		t.Errorf("no facts give %+v", d)
	}
}

func TestSecretIsRedactedEvenAtHome(t *testing.T) {
	f := Facts{Label: label.Public, Class: label.OnSite, Findings: []label.Finding{{Label: label.Public, Secret: true}}}
	if d := Decide(f); d.Effect != Redact || !slices.Equal(d.Rules, []string{RuleSecret}) {
		t.Errorf("a secret for a local model is decided %+v", d)
	}
}

func TestEffectNames(t *testing.T) {
	for e, want := range map[Effect]string{Deny: "deny", Tokenise: "tokenise", Redact: "redact", Allow: "allow", Allow + 1: "deny"} {
		if e.String() != want {
			t.Errorf("effect %d is called %s, want %s", e, e, want)
		}
	}
}
