// Package route orders the candidates that policy permits. It knows facts about
// upstreams, not upstreams: it does no I/O.
package route

import (
	"cmp"
	"slices"

	"sallyport/internal/identity"
	"sallyport/internal/label"
)

// Candidate is one upstream that could serve a model.
type Candidate struct {
	Upstream identity.Upstream
	Model    string      // the upstream's own name of the model
	Class    label.Class // effective class
	Position int         // place in the configuration, 0 first
	Lowered  bool        // an audit verdict puts it behind all others
}

// Order returns the candidates in the order they are tried. Targets are tried as
// the operator listed them, but for those that an audit lowered: they come last. The argument is not changed.
func Order(candidates []Candidate) []Candidate {
	ordered := slices.Clone(candidates)
	slices.SortStableFunc(ordered, func(a, b Candidate) int {
		return cmp.Or(compareBool(a.Lowered, b.Lowered), cmp.Compare(a.Position, b.Position))
	})
	return ordered
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
