// Package policy decides which upstream may carry which data. Decide is a pure
// function of facts; everything it does not know denies.
package policy

import (
	"slices"

	"sallyport/internal/label"
)

// Effect is what a decision demands. Effects are ordered by strictness; the
// zero value is Deny, so an absent decision lets nothing through.
type Effect uint8

// The effects. A larger value is less strict.
const (
	Deny     Effect = iota // this candidate may not carry the request
	Tokenise               // only with the findings replaced by surrogates that are restored later
	Redact                 // only with the findings removed
	Allow                  // as it is
)

var effectNames = [...]string{"deny", "tokenise", "redact", "allow"}

// String returns the stable name of the effect.
func (e Effect) String() string {
	if int(e) >= len(effectNames) {
		return "deny"
	}
	return effectNames[e]
}

// Facts are what one decision is made from: the request and one candidate.
type Facts struct {
	Label    label.Label     // of the whole request
	Findings []label.Finding // what raised it

	Class       label.Class // effective: worst of configured, vetting cap and verdict cap
	Quarantined bool        // an audit verdict took the upstream out of routing
	Prohibited  bool        // an operator or a threat indicator forbids the upstream
}

// Decision is the outcome for one candidate, with the rules that made it in the
// order they applied.
type Decision struct {
	Effect Effect
	Rules  []string
}

// The codes of the rules, stable: they are stored in records and leaves.
const (
	RuleProhibited  = "floor.prohibited"
	RuleQuarantined = "floor.quarantined"
	RuleUnlabelled  = "floor.unlabelled"
	RuleSecret      = "floor.secret"
	RuleTable       = "table" // followed by ".<label>.<class>"
)

// table is the default label x class table of ARCHITECTURE.md, indexed by label
// (public first) and class (any first).
var table = [4][4]Effect{
	//          any   vetted    in-region local
	{Allow, Allow, Allow, Allow},      // public
	{Deny, Allow, Allow, Allow},       // internal
	{Deny, Tokenise, Tokenise, Allow}, // confidential
	{Deny, Deny, Deny, Allow},         // restricted
}

// Decide says whether one candidate may carry the request, and how. The
// strictest action that any floor, the label or any finding asks for remains.
// Adding a finding, raising the label or worsening the class never weakens it.
func Decide(f Facts) Decision {
	switch {
	case f.Prohibited:
		return Decision{Deny, []string{RuleProhibited}}
	case f.Quarantined:
		return Decision{Deny, []string{RuleQuarantined}}
	case !f.Label.Valid():
		return Decision{Deny, []string{RuleUnlabelled}}
	}
	d := cell(f.Label, f.Class)
	for _, finding := range f.Findings {
		if finding.Secret {
			d = stricter(d, Decision{Redact, []string{RuleSecret}})
		}
		d = stricter(d, cell(finding.Label, f.Class))
	}
	return d
}

func cell(l label.Label, c label.Class) Decision {
	if !l.Valid() || int(c) >= len(table[0]) {
		return Decision{Deny, []string{RuleUnlabelled}}
	}
	return Decision{table[l-label.Public][c], []string{RuleTable + "." + l.String() + "." + c.String()}}
}

// stricter keeps the stricter effect; at a tie the rules of both.
func stricter(a, b Decision) Decision {
	switch {
	case b.Effect < a.Effect:
		return b
	case b.Effect == a.Effect:
		for _, r := range b.Rules {
			if !slices.Contains(a.Rules, r) {
				a.Rules = append(a.Rules[:len(a.Rules):len(a.Rules)], r)
			}
		}
	}
	return a
}
