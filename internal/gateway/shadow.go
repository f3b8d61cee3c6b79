package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/policy"
	"sallyport/internal/route"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// Watch says which exchanges that a target answers are put to trusted upstreams as
// well, so that both answers can be compared. Nothing of it ever reaches the target:
// whoever is compared cannot know.
type Watch struct {
	References   []Target // the first is the reference; the others are further honest deployments
	Projects     map[identity.ProjectID]bool
	Share        float64 // of the exchanges that are eligible
	SameDefaults bool    // the operator's word that what a request leaves open means the same everywhere
}

// Pair is one request and what each side answered. It is in memory only.
type Pair struct {
	RID        string
	Target     Target
	At         int64 // microseconds
	Suspect    *Said
	References []*Said // in the order of the watch
	Request    []byte  // the body
	Tools      bool
	Dropped    string // why there is nothing to compare; empty when there is
}

// Said is what a model said, apart from every id, format and time.
type Said struct {
	Text    string
	Refusal string
	Calls   []llm.Call
	Finish  llm.Finish
	Failed  bool // an error instead of an answer
}

// Bounds on pairs that wait for their reference.
const (
	maxPairs     = 64
	maxPairBody  = 256 << 10
	pairWorkers  = 4
	pairDeadline = 60 * time.Second // from the question to the suspect to that to the reference
)

// pairing is a pair in the making, and how the references are asked.
type pairing struct {
	watch    Watch
	endpoint endpoint
	query    string
	header   http.Header
	body     []byte
	label    label.Label
	pair     Pair
}

// drawn reports whether an eligible exchange is compared: a function of the salt, as
// what is counted is, and independent of that.
func drawn(salt string, share float64) bool {
	sum := sha256.Sum256([]byte("sallyport shadow\n" + salt))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11)/(1<<53) < share
}

// pairUp decides, before anything is sent and so before any answer is known, whether
// the exchange is compared. One that is will be read to its end even if the client
// leaves: which answers are compared must not depend on them.
func (x *Exchange) pairUp() *pairing {
	if x.inside != nil || x.gateway.Paired == nil || x.endpoint.kind != generate {
		return nil
	}
	first := x.candidates[0]
	target := Target{first.Upstream, first.Model}
	w, watched := x.snapshot.Watches[target]
	if !watched || !w.Projects[x.principal.Project] || !drawn(x.record.Salt, x.share(target, w)) || !x.gateway.MayCompare(target) || !x.eligible(w) {
		return nil
	}
	p := &pairing{
		watch: w, endpoint: x.endpoint, query: x.request.URL.RawQuery, header: http.Header{}, body: bytes.Clone(x.body.bytes), label: x.label,
		pair: Pair{RID: x.record.RID, Target: target, At: now()},
	}
	for _, name := range []string{"Content-Type", "Anthropic-Version", "Anthropic-Beta", "Openai-Beta"} {
		if v := x.request.Header.Values(name); len(v) > 0 {
			p.header[name] = v
		}
	}
	p.pair.Request, p.pair.Tools = p.body, len(x.asked.Tools) > 0
	x.reply.persist()
	return p
}

// share is how many of the eligible exchanges are compared: all of those that a
// quarantined target gets, for they are what it can be released by.
func (x *Exchange) share(t Target, w Watch) float64 {
	if x.gateway.Snapshot().quarantines(t) {
		return 1
	}
	return w.Share
}

// eligible reports whether the request means the same to every side and may be sent
// to each. Policy is asked again for the references, which must be allowed the very
// same bytes.
func (x *Exchange) eligible(w Watch) bool {
	if x.body.bytes == nil || len(x.body.bytes) > maxPairBody || x.call.Choices > 1 || x.pinned != "" || x.turns != nil && (x.turns.previous != "" || len(x.turns.edits) > 0) || x.endpoint.name == wire.Compact {
		return false
	}
	r, err := x.neutral()
	if err != nil || r.Asks(llm.StoredState) || r.Asks(llm.FileID) || len(r.Hosted) > 0 || sealed(r) {
		return false
	}
	if !w.SameDefaults && !x.settled(r, x.candidates[0]) {
		return false
	}
	suspect := x.snapshot.Upstreams[x.candidates[0].Upstream]
	for _, t := range w.References {
		c, known := x.snapshot.Candidate(t, 0)
		if !known || policy.Decide(x.facts(c)).Effect != policy.Allow || !x.alike(suspect, x.snapshot.Upstreams[t.Upstream]) {
			return false
		}
	}
	return true
}

// settled reports whether the request says what defaults would decide otherwise, and
// still does when it is translated.
func (x *Exchange) settled(r *llm.Request, c route.Candidate) bool {
	if r.Options[llm.Temperature] == nil || r.Options[llm.TopP] == nil || x.call.MaxOutput == 0 {
		return false
	}
	u := x.snapshot.Upstreams[c.Upstream]
	if x.speaks(u) {
		return true
	}
	ep, _, _ := u.Native(x.call.Stream)
	to, _ := x.gateway.format(ep)
	carried := x.writeFor(to, u, c).Carries
	return carried.Has(llm.Temperature) && carried.Has(llm.TopP)
}

// alike reports whether two upstreams take the same bytes: the client's, or the same
// translation of them.
func (x *Exchange) alike(a, b *upstream.Upstream) bool {
	if x.speaks(a) || x.speaks(b) {
		return x.speaks(a) && x.speaks(b)
	}
	return a.Family() == b.Family() && a.Lacks == b.Lacks
}

// translated makes what was sent to the suspect what the references are asked. A client's
// request is not the same bytes for each of them once it is translated: what is written
// depends on the upstream.
func (p *pairing) translated(t *translation, stream bool) {
	if e, known := own(t.to.Endpoint, stream); known {
		p.endpoint, p.query, p.body = e, t.query, t.body
	}
}

// translatedModel stands in the paths of Google's API for the model that the client
// named, which nobody is asked for.
const translatedModel = "translated"

// own is the route whose clients speak a format that requests are translated to. Nobody
// speaks Bedrock's, whose references translate for themselves.
func own(name wire.Endpoint, stream bool) (endpoint, bool) {
	switch {
	case name == wire.GenerateContent && stream:
		return verbRoute(translatedModel, "streamGenerateContent")
	case name == wire.GenerateContent:
		return verbRoute(translatedModel, "generateContent")
	}
	i := slices.IndexFunc(table, func(e endpoint) bool { return e.name == name && e.kind == generate })
	if i < 0 {
		return endpoint{}, false
	}
	return table[i], true
}

// sealed reports whether the history holds thinking that only its author can read.
func sealed(r *llm.Request) bool {
	return slices.ContainsFunc(r.Messages, func(m llm.Message) bool {
		return slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.Seal.Data != "" })
	})
}

// pairs is where pairs wait for their reference.
type pairs struct {
	queue chan *pairing
}

// offer hands a pair over whose first half is done. When too many wait it is dropped
// and told, for a share of drops that is too large says that nothing is known.
func (x *Exchange) offerPair(last *attempt) {
	p := x.pair
	if p == nil {
		return
	}
	x.pair = nil
	if busy(x.record.Attempts[0].Status) {
		return // an outage says nothing of the model, and must not silence those who look
	}
	said := x.said(last)
	switch {
	case len(x.record.Attempts) > 1 || last.candidate.Upstream != p.pair.Target.Upstream:
		p.pair.Dropped = "another upstream answered"
	case said == nil:
		p.pair.Dropped = "the answer could not be kept"
	case last.state == llm.Unreachable || last.state == llm.TimedOut || last.state == llm.Stalled && len(x.sample.body) == 0:
		p.pair.Dropped = "no answer came"
	}
	if p.pair.Dropped != "" {
		x.gateway.Paired(&p.pair)
		return
	}
	p.pair.Suspect = said
	if last.translation != nil && !last.raw() {
		p.translated(last.translation, x.call.Stream)
	}
	select {
	case x.gateway.pairs.queue <- p:
	default:
		p.pair.Dropped = "too many pairs wait"
		x.gateway.Paired(&p.pair)
	}
}

// busy reports whether a status tells that a server is overloaded or out of order. An
// honest upstream's outages do not depend on what it would have answered, so leaving
// them out keeps every conclusion valid; counting them as dropped would let whoever is
// watched blind the watch by failing now and then.
func busy(status int64) bool { return status == http.StatusTooManyRequests || status >= 500 }

// said reads the upstream's answer in the upstream's own format, for a translation may
// lose what another upstream's has; nil when it could not be kept. An error is an outcome.
func (x *Exchange) said(last *attempt) *Said {
	s := x.sample
	if !s.known || s.dropped || s.why != "" {
		return nil
	}
	said := read(s.format, x.call.Stream, s.body)
	said.Failed = said.Failed || last.state == llm.UpstreamStatus || last.state == llm.ErrorFrame
	return said
}

// read reads an answer's events into what was said.
func read(format wire.Format, stream bool, body []byte) *Said {
	s, kinds, begun := &Said{}, map[int]llm.PartKind{}, false
	err := recount(format, stream, body, func(ev *llm.Event) {
		switch begun = true; {
		case ev.Choice != 0:
		case ev.Kind == llm.PartStart:
			kinds[ev.Index] = ev.Part.Kind
			s.part(ev.Part)
			s.text(ev.Part.Kind, ev.Part.Text)
		case ev.Kind == llm.PartDelta:
			s.text(kinds[ev.Index], ev.Text)
		case ev.Kind == llm.Finished:
			s.Finish = ev.Finish
		}
	})
	s.Failed = err != nil || !begun
	return s
}

func (s *Said) part(p llm.Part) {
	if p.Kind == llm.ToolCall {
		s.Calls = append(s.Calls, llm.Call{Name: p.Call.Name, Input: bytes.Clone(p.Call.Input)})
	}
}

func (s *Said) text(kind llm.PartKind, lit llm.Lit) {
	if len(lit) == 0 {
		return
	}
	text := wire.Unquote(lit)
	switch kind {
	case llm.Text:
		s.Text += string(text)
	case llm.Refusal:
		s.Refusal += string(text)
	case llm.ToolCall:
		if n := len(s.Calls); n > 0 {
			s.Calls[n-1].Input = append(s.Calls[n-1].Input, text...)
		}
	}
}

// Compare puts sampled requests to their references until ctx ends; what waits then
// is dropped.
func (g *Gateway) Compare(ctx context.Context) error {
	var wg sync.WaitGroup
	for range pairWorkers {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case p := <-g.pairs.queue:
					g.compare(ctx, p)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// compare asks the references what the suspect was asked, and hands the pair over. When
// the budget was used up while the pair waited there is none: that says nothing about
// any answer, and so it is not counted as dropped either.
func (g *Gateway) compare(ctx context.Context, p *pairing) {
	defer func() {
		if e := recover(); e != nil {
			g.Logger.Error("panic while comparing", "request_id", p.pair.RID, "panic", slog.AnyValue(e), "stack", string(debug.Stack()))
		}
	}()
	if !g.MayCompare(p.pair.Target) {
		return
	}
	asked := time.UnixMicro(p.pair.At)
	for _, t := range p.watch.References {
		if time.Since(asked) > pairDeadline || !sameDay(asked, time.Now()) {
			p.pair.Dropped = "no reference in time"
			break
		}
		said := g.askInside(ctx, Inside{Principal: Auditor(p.pair.Target), Target: t, Label: p.label}, p.endpoint, p.query, p.header, p.body)
		if said == nil {
			p.pair.Dropped = "the reference gave no answer"
			break
		}
		p.pair.References = append(p.pair.References, said)
	}
	g.Paired(&p.pair)
}

// sameDay reports whether two times are of one day in UTC: templates that tell the
// date differ across midnight.
func sameDay(a, b time.Time) bool {
	return a.UTC().YearDay() == b.UTC().YearDay() && a.UTC().Year() == b.UTC().Year()
}

// Auditor is the principal that the audit of a target acts as: its requests have
// records and money of their own, and never a user's key.
func Auditor(t Target) identity.Principal {
	return identity.Principal{Kind: identity.Audit, Key: identity.KeyID("audit:" + string(t.Upstream)), Name: "audit", Project: "audit"}
}
