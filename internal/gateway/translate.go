package gateway

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"regexp"
	"strings"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/route"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// translation is how one attempt speaks another format than its client.
type translation struct {
	to      wire.Format // of the upstream
	path    string
	query   string
	dropped []llm.Use
	body    []byte // the request in the upstream's format
	decoder wire.Decoder
	encoder wire.Encoder
	events  []llm.Event // memory for those of one frame
	told    hash.Hash   // of what the client got; nil when hashes are skipped
}

// format finds how an endpoint is translated.
func (g *Gateway) format(ep wire.Endpoint) (wire.Format, bool) {
	for _, f := range g.Formats {
		if f.Endpoint == ep {
			return f, true
		}
	}
	return wire.Format{}, false
}

// speaks reports whether an upstream takes the client's format as it is.
func (x *Exchange) speaks(u *upstream.Upstream) bool {
	return u.Family() == x.endpoint.speaks && u.Serves(x.endpoint.name)
}

// carries finds out whether a candidate can be asked what the client asks: in the
// client's own format anything, in another one what that can express. The error
// is what the client is told when no candidate can.
func (x *Exchange) carries(c route.Candidate) error {
	u := x.snapshot.Upstreams[c.Upstream]
	if x.speaks(u) {
		return nil
	}
	ep, _, _ := u.Native(false)
	to, possible := x.gateway.format(ep)
	if _, known := x.gateway.format(x.endpoint.name); !known || !possible {
		return fault.Newf(fault.NotCarried, "no upstream of the model %q speaks this API", clip(x.call.Model, 128))
	}
	r, err := x.neutral()
	if err != nil {
		return err
	}
	target := x.writeFor(to, u, c)
	put := wire.WithFunctions(r, target.Carries)
	lost := put.Lost(target.Carries)
	if x.snapshot.RejectTuning {
		_, more := to.Write(put.Less(target.Carries), target)
		lost = append(lost, more...)
	}
	for _, use := range lost {
		if use.Feature.Tunes() && x.snapshot.RejectTuning || !use.Feature.Tunes() && !x.snapshot.DropMeaning {
			e := fault.Newf(fault.NotCarried, "the API of this model's upstream cannot express this (%s)", use.Feature)
			e.Pointer = wire.Pointer(x.whole(), use.At)
			return e
		}
	}
	return nil
}

// writeFor is what the request is written for when it goes to a candidate.
func (x *Exchange) writeFor(to wire.Format, u *upstream.Upstream, c route.Candidate) wire.Target {
	return wire.Target{Model: c.Model, Carries: to.For(c.Model, u.Lacks), Vendor: u.Official(), Size: len(x.whole())}
}

// neutral is the request in the vocabulary that all formats share, read once.
func (x *Exchange) neutral() (*llm.Request, error) {
	if x.asked == nil && x.unread == nil {
		from, _ := x.gateway.format(x.endpoint.name)
		if x.asked, x.unread = from.Read(x.whole()); x.unread == nil {
			x.asked.Model, x.asked.Stream = x.call.Model, x.call.Stream
		}
	}
	return x.asked, x.unread
}

// whole is the request's body with the turns before it.
func (x *Exchange) whole() []byte {
	if x.turns == nil || len(x.turns.edits) == 0 {
		return x.body.bytes
	}
	if x.turns.whole == nil {
		if s, err := wire.Splice(x.body.bytes, x.turns.edits); err == nil {
			x.turns.whole = s.Append(make([]byte, 0, s.Len()))
		}
	}
	return x.turns.whole
}

// translate prepares an attempt at an upstream of another format.
func (a *attempt) translate() error {
	x := a.exchange
	if x.speaks(a.upstream) {
		return nil
	}
	from, _ := x.gateway.format(x.endpoint.name)
	ep, path, query := a.upstream.Native(x.call.Stream)
	to, _ := x.gateway.format(ep)
	r, err := x.neutral()
	if err != nil {
		return err
	}
	target := x.writeFor(to, a.upstream, a.candidate)
	t := &translation{
		to: to, path: path, query: query, decoder: to.Decode(),
		encoder: from.Encode(wire.Answering{
			ID: x.record.RID, Created: x.record.TS / 1e6, Model: x.call.Model, Usage: x.call.UsageAsked, Request: r, Body: x.body.bytes,
		}),
	}
	put := wire.WithFunctions(r, target.Carries)
	if put != r {
		t.decoder = wire.Unwrap(t.decoder, r)
	}
	t.body, t.dropped = to.Write(put.Less(target.Carries), target)
	if a.raw() {
		if t.body, err = edited(t.body, rawEdits(t.body, to.Endpoint)); err != nil {
			return err
		}
	}
	t.dropped = append(put.Lost(target.Carries), t.dropped...)
	if !x.gateway.SkipHashes {
		t.told = sha256.New()
	}
	a.translation = t
	return nil
}

// maxDropped bounds how many places are named that were not carried.
const maxDropped = 32

// pointers lists what was not carried, each place once.
func (x *Exchange) pointers(dropped []llm.Use) []string {
	var list []string
	seen := map[string]bool{}
	for _, use := range dropped {
		if len(list) == maxDropped {
			break
		}
		if p := wire.Pointer(x.whole(), use.At); !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	return list
}

// tellDropped says in header and record what the answer that the client gets did
// not take into account.
func (a *attempt) tellDropped() {
	x := a.exchange
	x.record.Spoken = string(a.translation.to.Endpoint)
	if x.record.Dropped = x.pointers(a.translation.dropped); len(x.record.Dropped) > 0 {
		x.reply.header()[headerDropped] = []string{headerText(strings.Join(x.record.Dropped, ", "))}
	}
}

// headerText makes a text fit for a header: what is not printable ASCII, which
// JSON pointers can hold, becomes a question mark.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

// render turns a whole answer of the upstream into the client's format.
func (a *attempt) render(body []byte) ([]byte, error) {
	t := a.translation
	answer, err := t.decoder.Whole(body)
	if err != nil {
		return nil, err
	}
	b, err := t.encoder.Whole(answer, a.follower.Summary().Usage)
	if err == nil && t.told != nil {
		t.told.Write(b)
	}
	return b, err
}

// carry adds one event of the upstream's stream to what the client gets.
func (p *pump) carry(ev wire.Event) {
	t := p.a.translation
	if t == nil {
		p.pass(ev.Raw)
		return
	}
	var err error
	if t.events, err = t.decoder.Frame(t.events[:0], ev); err == nil {
		err = p.encode(t.events)
	}
	if err != nil {
		p.abort(llm.Malformed, fault.From(err))
	}
}

// encode adds events to what the client gets.
func (p *pump) encode(events []llm.Event) (err error) {
	for i := range events {
		if p.out, err = p.a.translation.encoder.Event(p.out, &events[i]); err != nil {
			return err
		}
	}
	return nil
}

// finish adds the end of the answer to what the client gets.
func (p *pump) finish() {
	t := p.a.translation
	if t == nil {
		return
	}
	if err := p.encode(t.decoder.End(t.events[:0])); err != nil {
		p.abort(llm.Malformed, fault.From(err))
		return
	}
	p.out = t.encoder.End(p.out, p.a.follower.Summary().Usage)
}

// failure is the client's view of an error that an upstream of another format
// told: the status, and the message without names that are the operator's.
func (a *attempt) failure(status int, body []byte) *fault.Error {
	return fault.Pass(status, a.scrub(a.translation.decoder.Failure(body).Message))
}

// refused ends an attempt with the error that the upstream told in its own format.
func (a *attempt) refused(body []byte) {
	after := time.Duration(0)
	if a.fault != nil {
		after = a.fault.RetryAfter
	}
	status := a.status
	if status < http.StatusBadRequest { // an error under a status of success
		status = http.StatusBadGateway
	}
	a.fault = a.failure(status, body)
	a.fault.RetryAfter = after
}

// inside matches what names a host or an address in an upstream's message.
var inside = regexp.MustCompile(`(?i)\bhttps?://[^\s"'<>]+|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\blocalhost(?::\d+)?\b|\[[0-9a-f:]{2,}\](?::\d+)?`)

// scrub takes hosts, addresses and URLs out of an upstream's message and bounds it.
func (a *attempt) scrub(message string) string {
	message = inside.ReplaceAllString(message, "(address)")
	if host := a.upstream.Host(); host != "" {
		message = strings.ReplaceAll(message, host, "(address)")
	}
	return clip(message, 2048)
}

// callOf is the call that an upstream's answer is followed by.
func (a *attempt) callOf() *wire.Call {
	x := a.exchange
	if a.translation == nil {
		return x.call
	}
	return &wire.Call{Endpoint: a.translation.to.Endpoint, Model: a.candidate.Model, Stream: x.call.Stream, Choices: x.call.Choices, UsageAsked: true}
}

// asked is the endpoint that the upstream is asked for.
func (a *attempt) asked() wire.Endpoint {
	if a.translation != nil {
		return a.translation.to.Endpoint
	}
	return a.exchange.endpoint.name
}

// follow returns what follows the answer in the upstream's format.
func (a *attempt) follow() wire.Follower {
	if a.translation != nil {
		return a.translation.to.Follow(a.callOf())
	}
	return a.exchange.gateway.Dialects[a.upstream.Family()].Follow(a.callOf())
}

// framing is how a stream comes in the upstream's format; nil for server-sent events.
func (a *attempt) framing() *wire.Framing {
	if a.translation == nil {
		return nil
	}
	return a.translation.to.Framing
}

// outgoing is what an attempt sends, and where to.
func (a *attempt) outgoing() (body payload, path, query string, err error) {
	x := a.exchange
	path, query = x.endpoint.forward, x.request.URL.RawQuery
	if f := x.body.form; f != nil && f.spool != nil {
		body = spooled{f.spool, a.edits}
	} else if t := a.translation; t != nil {
		body, err = wire.Splice(t.body, nil)
		path, query = t.path, t.query
	} else {
		body, err = wire.Splice(x.body.bytes, a.edits)
	}
	if a.upstream.Family() == upstream.Gemini {
		path = strings.Replace(path, "{model}", resource(a.candidate.Model), 1)
	}
	return body, path, query, err
}

// answerHeader fills in the header of an answer: what may come back from an
// upstream that speaks the client's format, and nothing from another.
func (a *attempt) answerHeader(from http.Header) {
	h := a.exchange.reply.header()
	if a.translation == nil {
		copyAnswerHeader(h, from, a.upstream)
		return
	}
	if !a.exchange.call.Stream {
		h["Content-Type"] = []string{"application/json"}
	}
	a.tellDropped()
}

// commitTranslated writes the hashes of what was sent and of what was returned,
// which are not the client's and the upstream's bytes, into the record.
func (a *attempt) commitTranslated() {
	x, t := a.exchange, a.translation
	if a.wrote {
		x.record.Forwarded = hexSum(t.body)
	}
	if a.committed && a.state != llm.CutByClient {
		x.record.Returned = cmp.Or(x.reply.arraySum(), hex.EncodeToString(t.told.Sum(nil)))
	}
}
