package gateway

import (
	"cmp"
	"slices"

	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// raw reports whether an attempt is made at Anthropic's API as Google Cloud has it:
// the path names the model and the body the version.
func (a *attempt) raw() bool {
	return a.upstream.Kind == upstream.Vertex && a.upstream.Family() == upstream.Anthropic
}

// rawVersion is the one version that there is
// (platform.claude.com, build-with-claude/claude-on-vertex-ai).
const rawVersion = `"vertex-2023-10-16"`

// rawEdits makes a body of Anthropic's API one for Google Cloud: with
// anthropic_version and, but to count tokens, without model.
func rawEdits(body []byte, ep wire.Endpoint) []wire.Edit {
	root := wire.Root(body).Span
	version := wire.Edit{Span: wire.Span{Start: root.Start + 1, End: root.Start + 1}, With: []byte(`"anthropic_version":` + rawVersion + `,`)}
	var model wire.Edit
	before, open := root.Start+1, false // open: the model's span ends where the next member begins
	for key, value := range wire.Members(body, root) {
		if open {
			model.End, open = key.Start, false
		}
		switch name, _ := wire.Text(key.Of(body), wire.MaxNote); {
		case name == "anthropic_version":
			version = wire.Edit{Span: value, With: []byte(rawVersion)}
		case name == "model" && ep == wire.Messages:
			model.Span, open = wire.Span{Start: key.Start, End: value.End}, true
		}
		if !open {
			before = value.End
		}
	}
	if open { // the last member goes with the comma before it
		model.Start = before
	}
	edits := []wire.Edit{version}
	if model.Span != (wire.Span{}) {
		edits = append(edits, model)
	}
	slices.SortStableFunc(edits, func(p, q wire.Edit) int { return cmp.Compare(p.Start, q.Start) })
	return edits
}

// edited is a body with edits applied.
func edited(body []byte, edits []wire.Edit) ([]byte, error) {
	s, err := wire.Splice(body, edits)
	if err != nil {
		return nil, err
	}
	return s.Append(make([]byte, 0, s.Len())), nil
}
