package gateway

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/route"
	"sallyport/internal/tokens"
	"sallyport/internal/upstream"
)

// Snapshot is one effective configuration of the data plane. It is immutable.
type Snapshot struct {
	Hash      string // of the effective configuration, stored in every record
	Models    map[identity.Model][]Target
	Upstreams map[identity.Upstream]*upstream.Upstream
	Labels    map[identity.ProjectID]label.Label // default label of a project
	Label     label.Label                        // default label of every other project
	Limits    Limits
	Count     Count

	// What happens to requests whose upstream speaks another format, which cannot
	// express all that they ask for. By default what changes an answer's meaning is
	// refused, and what tunes it is dropped and told.
	DropMeaning  bool
	RejectTuning bool

	// Quarantined targets are out of routing, Lowered ones are tried after all others;
	// the reason is told to operators. Rations are the shares of exchanges in which that
	// does not hold, so that what the target answers shows whether it may come back: of a
	// quarantined one among those of projects whose requests are compared.
	Quarantined map[Target]string
	Lowered     map[Target]string
	Rations     map[Target]float64

	Watches map[Target]Watch
}

// Target is one way to serve a public model.
type Target struct {
	Upstream identity.Upstream
	Model    string // the upstream's own name
}

// Limits bound one exchange. All are required.
type Limits struct {
	Body       int64         // request body after decoding, bytes
	Depth      int           // nesting of the request's JSON
	Answer     int64         // one unary answer, or all of a stream, bytes
	Event      int           // one event of a stream, bytes
	BodyTime   time.Duration // to read the request body
	FirstFrame time.Duration // to the first frame of an answer
	Stall      time.Duration // between frames
	Total      time.Duration // the whole exchange
	Heartbeat  time.Duration // how long a streaming client waits in silence
	KeySlots   int           // concurrent exchanges of one key; 0 means no limit
}

// Count says how many answers are counted by Sallyport itself, and at what cost. The
// zero value counts none.
type Count struct {
	Share float64 // of the exchanges, from 0 to 1
	CPU   float64 // of one core that counting may take, above 0 and at most 1

	Vocabularies map[string]*tokens.Vocabulary // by the pattern of a model's name at its upstream (path.Match)
	Vendor       bool                          // vendors are asked to count what they wrote
}

// vocabulary is that of a model, by its name at the upstream: of the patterns that fit
// the longest one's, else the published one; nil when none is known. A pattern without a
// slash is compared with what follows the name's last one.
func (c *Count) vocabulary(model string) *tokens.Vocabulary {
	best := ""
	for pattern := range c.Vocabularies {
		whole, _ := path.Match(pattern, model) // a bad pattern fits nothing
		end, _ := path.Match(pattern, path.Base(model))
		if (whole || end) && cmp.Or(cmp.Compare(len(pattern), len(best)), cmp.Compare(best, pattern)) > 0 {
			best = pattern
		}
	}
	return cmp.Or(c.Vocabularies[best], tokens.Of(model))
}

// label is the label of a request in which nothing was found.
func (s *Snapshot) label(p identity.ProjectID) label.Label {
	if l, ok := s.Labels[p]; ok {
		return l
	}
	return s.Label
}

// quarantines reports whether a target is out of routing. What is kept at an upstream
// belongs to no model: it is out as soon as one of the models is.
func (s *Snapshot) quarantines(t Target) bool {
	if t.Model != "" {
		_, out := s.Quarantined[t]
		return out
	}
	for q := range s.Quarantined {
		if q.Upstream == t.Upstream {
			return true
		}
	}
	return false
}

// Targets resolves a public model name: the configured targets, or, for names of
// the form upstream/model, the model of an upstream that exposes its list.
func (s *Snapshot) Targets(m identity.Model) []Target {
	if t, ok := s.Models[m]; ok {
		return t
	}
	name, model, ok := strings.Cut(string(m), "/")
	if !ok {
		return nil
	}
	u := s.Upstreams[identity.Upstream(name)]
	if u == nil || !u.ExposeUnlisted || !u.Offers(model) {
		return nil
	}
	return []Target{{u.Name, model}}
}

// Names lists every public model name that is reachable, sorted.
func (s *Snapshot) Names() []identity.Model {
	var names []identity.Model
	for m := range s.Models {
		names = append(names, m)
	}
	for name, u := range s.Upstreams {
		if u.ExposeUnlisted {
			for _, m := range u.Catalog().Models {
				names = append(names, identity.Model(string(name)+"/"+m))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Candidate is the routing view of a target.
func (s *Snapshot) Candidate(t Target, position int) (route.Candidate, bool) {
	u := s.Upstreams[t.Upstream]
	if u == nil {
		return route.Candidate{}, false
	}
	_, lowered := s.Lowered[t]
	return route.Candidate{Upstream: t.Upstream, Model: t.Model, Class: u.ClassOf(t.Model), Position: position, Lowered: lowered}, true
}
