package gateway

import (
	"bytes"
	"cmp"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"sync"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/journal"
	"sallyport/internal/label"
	"sallyport/internal/ledger"
	"sallyport/internal/llm"
	"sallyport/internal/policy"
	"sallyport/internal/record"
	"sallyport/internal/route"
	"sallyport/internal/wire"
	"sallyport/internal/wire/openai"
)

// Exchange is one request and its answer. It is the one struct that travels
// through the gateway, is filled forward only, and belongs to one goroutine.
type Exchange struct {
	gateway  *Gateway
	snapshot *Snapshot
	endpoint endpoint
	dialect  wire.Dialect
	request  *http.Request
	reply    *reply

	principal  identity.Principal
	body       *body
	call       *wire.Call
	asked      *llm.Request      // the call in the shared vocabulary, once it was needed
	unread     error             // why it cannot be had
	turns      *recollection     // of a request of the Responses API
	pinned     identity.Upstream // that keeps what the request refers to; empty when any will do
	upload     *upload           // a body that is passed on as it comes; nil for others
	asks       []asked           // the models that a batch asks
	session    *session          // of a connection of many requests; nil for others
	array      bool              // a stream is to reach the client as one JSON array
	label      label.Label
	candidates []route.Candidate
	room       *journal.Reservation // journal space kept for the outcome
	announced  int                  // attempts in the journal: the candidates up to there
	trying     *attempt             // the last of them, once it has begun
	mayOwe     bool                 // an attempt before the last may have generated something
	sample     *sample              // the answer, when it is to be counted or compared; else nil
	pair       *pairing             // when the answer is compared with a trusted one; else nil
	inside     *Inside              // of an exchange that Sallyport itself began; else nil
	heard      *Said                // what its upstream said; nil when nothing was
	luck       float64              // from 0 to 1, drawn at random: see rationed
	record     record.Exchange
}

// outcomeRoom is the journal space that an intent reserves for its outcome. The
// texts of an outcome are cut so that it fits.
const outcomeRoom = 24 << 10

// begin starts an exchange; nothing has been checked yet.
func (g *Gateway) begin(w http.ResponseWriter, r *http.Request, e endpoint, as *identity.Principal) *Exchange {
	arrived := now()
	id := identity.NewRequestID(arrived)
	x := &Exchange{
		gateway: g, snapshot: g.Snapshot(), endpoint: e, dialect: g.dialect(e, r), request: r, luck: rand.Float64(),
		record: record.Exchange{
			TS: arrived, RID: string(id), Endpoint: string(e.name), Dialect: string(e.speaks),
			Client: clientName(r.UserAgent()), Counted: ledger.NotSampled,
		},
	}
	x.record.Config = x.snapshot.Hash
	x.reply = newReply(w, r, x.dialect, e.name, string(id))
	if as != nil {
		x.principal = *as
	}
	return x
}

// serve runs the exchange and answers whatever refuses it.
func (x *Exchange) serve() {
	defer x.recover()
	err := x.run()
	if err != nil {
		x.refuse(err)
	}
	if x.turns != nil && x.record.State != string(llm.Complete) {
		x.session.forget(x.turns.previous)
	}
}

// run is the way of one exchange. An error means that nothing was sent to any
// upstream; what happens afterwards is an outcome, not an error.
func (x *Exchange) run() error {
	if err := x.authenticate(); err != nil {
		return err
	}
	release, err := x.takeSlot()
	if err != nil {
		return err
	}
	defer release()
	if err := x.read(); err != nil {
		return err
	}
	defer x.body.free()
	if err := x.parse(); err != nil {
		return err
	}
	if err := x.recall(); err != nil {
		return err
	}
	if err := x.owners(); err != nil {
		return err
	}
	if err := x.decide(); err != nil {
		if x.endpoint.kind == count && x.inside == nil && fault.From(err).Kind == fault.NotCarried {
			return x.estimate()
		}
		return err
	}
	x.hold()
	if err := x.intend(); err != nil {
		return err
	}
	x.finish(x.attempts())
	return nil
}

// parse reads what the gateway must know of the request and checks the model.
func (x *Exchange) parse() error {
	call, err := x.understand()
	if err != nil {
		return err
	}
	if err := x.addressed(call); err != nil {
		return err
	}
	if err := x.nameModel(call); err != nil {
		return err
	}
	x.call = call
	if err := x.refuseOwned(); err != nil {
		return err
	}
	x.record.Stream = call.Stream
	model := identity.Model(call.Model)
	if x.inside == nil && (len(x.snapshot.Targets(model)) == 0 || !x.principal.MayUse(model)) {
		e := fault.Newf(fault.NotFound, "the model %q does not exist or this key may not use it", clip(call.Model, 128))
		if call.ModelSpan != (wire.Span{}) {
			e.Pointer = "/model"
		}
		return e
	}
	x.record.Model = call.Model
	return nil
}

// understand parses the body.
func (x *Exchange) understand() (*wire.Call, error) {
	if x.body.form != nil {
		return openai.ParseForm(x.endpoint.name, x.body.form.Form)
	}
	return x.dialect.Parse(x.endpoint.name, x.body.bytes, wire.Limits{Depth: x.snapshot.Limits.Depth})
}

// owned are the members of requests that refer to, or make, objects which the
// upstream keeps. The variants of their names are refused as well.
var owned = map[wire.Endpoint]ownedNames{
	wire.Responses: newOwned("background"),
}

type ownedNames struct {
	list  []string
	guard *wire.Names
}

func newOwned(names ...string) ownedNames { return ownedNames{names, wire.NewGuard(names...)} }

// refuseOwned refuses a request that uses objects kept by the upstream: nothing
// here knows yet whose they are, and one project must not reach another's.
func (x *Exchange) refuseOwned() error {
	names, some := owned[x.endpoint.name]
	if !some {
		return nil
	}
	b := x.body.bytes
	at := make([]wire.Span, len(names.list))
	top := wire.Span{Start: bytes.IndexByte(b, '{'), End: len(b)}
	if err := wire.Lookup(b, top, names.guard, at); err != nil {
		return err
	}
	for i, name := range names.list {
		lit := at[i].Of(b)
		if k := wire.KindOf(lit); k == wire.Absent || k == wire.Null || k == wire.Bool && !wire.True(lit) {
			continue
		}
		e := fault.Newf(fault.NotCarried, "%s is not carried: it refers to objects that the upstream keeps for everybody behind this gateway", name)
		e.Pointer = "/" + name
		return e
	}
	return nil
}

// decide labels the request and asks policy about every candidate; of those that
// are permitted the ones remain that can be asked this, in the order they are tried.
func (x *Exchange) decide() error {
	x.label = x.snapshot.label(x.principal.Project)
	targets := x.snapshot.Targets(identity.Model(x.call.Model))
	if x.inside != nil {
		x.label, targets = x.inside.Label, []Target{x.inside.Target}
	}
	x.record.Label = x.label.String()
	var able []route.Candidate
	var denied policy.Decision
	var uncarried error          // why the first permitted candidate cannot be asked
	var silent identity.Upstream // a local one that would be trusted if it said what it serves
	for i, t := range targets {
		u := x.snapshot.Upstreams[t.Upstream]
		if u == nil || x.pinned != "" && x.pinned != t.Upstream {
			continue
		}
		x.learn(u)
		c, _ := x.snapshot.Candidate(t, i)
		c.Lowered = c.Lowered && !x.rationed(t)
		d := policy.Decide(x.facts(c))
		if d.Effect != policy.Allow {
			if denied.Rules == nil {
				denied = d
			}
			if u.Class == label.OnSite && !u.Catalog().Known {
				silent = u.Name
			}
			continue
		}
		if err := x.carries(c); err != nil {
			uncarried = cmp.Or(uncarried, err)
			continue
		}
		if able = append(able, c); len(able) == 1 {
			x.record.Effect, x.record.Rules = d.Effect.String(), d.Rules
		}
	}
	switch {
	case len(able) > 0:
		x.candidates = route.Order(able)
		return nil
	case uncarried != nil:
		return uncarried
	case denied.Rules == nil && x.pinned != "":
		return fault.New(fault.NotCarried, "the upstream that keeps what the request refers to does not serve this model")
	case denied.Rules == nil:
		return fault.New(fault.NotCarried, "")
	}
	x.record.Effect, x.record.Rules = denied.Effect.String(), denied.Rules
	if denied.Rules[0] == policy.RuleQuarantined {
		return x.quarantined()
	}
	if silent != "" {
		return fault.Newf(fault.PolicyRefused, "no upstream of this model may carry data labelled %s: the local one has not told which models it serves itself; an operator can ask why with: sallyport upstreams test %s",
			x.label, silent)
	}
	return fault.Newf(fault.PolicyRefused, "no upstream of this model may carry data labelled %s (%s); an operator can ask why, and what to do, with: sallyport policy explain --model %q",
		x.label, denied.Rules[0], clip(x.call.Model, 128))
}

// facts are what policy is asked about one candidate. An upstream that was
// quarantined meanwhile is out, although the rest of the configuration that an
// exchange began with stays in force for it.
func (x *Exchange) facts(c route.Candidate) policy.Facts {
	t := Target{c.Upstream, c.Model}
	quarantined := x.gateway.Snapshot().quarantines(t) && !x.rationed(t)
	return policy.Facts{Label: x.label, Class: c.Class, Quarantined: quarantined}
}

// rationed reports whether the exchange is one of the few in which a verdict on a target
// does not hold.
func (x *Exchange) rationed(t Target) bool {
	if x.inside != nil {
		return x.inside.Suspect
	}
	s := x.gateway.Snapshot()
	if x.luck >= s.Rations[t] {
		return false
	}
	_, out := s.Quarantined[t]
	return !out || s.Watches[t].Projects[x.principal.Project]
}

// quarantined says which verdict took the last upstream out of routing, and how an
// operator overrides it.
func (x *Exchange) quarantined() error {
	s := x.gateway.Snapshot()
	for _, t := range s.Targets(identity.Model(x.call.Model)) {
		if why, out := s.Quarantined[t]; out {
			return fault.Newf(fault.Unavailable, "no upstream of this model is left: %s; an operator can override it with: sallyport audit override %s --model %q --reason WHY",
				why, t.Upstream, clip(t.Model, 128))
		}
	}
	return fault.New(fault.Unavailable, "no upstream of this model is left: an audit took them out of routing")
}

// hold reserves the money of the exchange.
func (x *Exchange) hold() {
	targets := make([]ledger.Target, 0, 4)
	for _, c := range x.candidates {
		targets = append(targets, x.target(c))
	}
	if x.endpoint.kind == count {
		return // free by declaration
	}
	e := ledger.Estimate{
		PromptBytes: x.body.weight(), MaxOutput: x.call.MaxOutput, Choices: x.call.Choices, NoOutput: x.endpoint.kind == embed,
	}
	x.record.Hold = int64(x.gateway.Ledger.Hold(e, targets, x.record.TS))
}

// target says who is paid for a candidate.
func (x *Exchange) target(c route.Candidate) ledger.Target {
	return ledger.Target{Provider: x.snapshot.Upstreams[c.Upstream].Payee(c.Model), Model: c.Model}
}

// scratch holds memory for encoding records.
var scratch = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 4<<10)} }}

// intend writes the intent and the first attempt: both exist before a byte leaves.
func (x *Exchange) intend() error {
	x.seal()
	x.pair = x.pairUp()
	x.sample = x.sampling()
	room, err := x.gateway.Journal.Reserve(outcomeRoom)
	if err == nil {
		b := scratch.Get().(*buffer)
		intent := x.record.Append(b.b[:0], record.KindIntent)
		both := x.attemptRecord(1, x.candidates[0]).Append(intent)
		_, err = x.gateway.Journal.Append(intent, both[len(intent):])
		b.b = both
		scratch.Put(b)
		if err != nil {
			room.Release()
		}
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "the gateway cannot record the request and therefore does not send it", err)
	}
	x.room = room
	x.announced = 1
	return nil
}

// seal gives the record its principal and its random salt.
func (x *Exchange) seal() {
	x.record.Principal = string(x.principal.Kind)
	x.record.Key = cmp.Or(string(x.principal.Key), string(x.principal.Admin))
	x.record.Project = string(x.principal.Project)
	x.record.Salt = NewSalt()
}

func (x *Exchange) attemptRecord(n int, c route.Candidate) *record.Attempt {
	return &record.Attempt{
		TS: now(), RID: x.record.RID, N: int64(n), Upstream: string(c.Upstream),
		Model: c.Model, Class: c.Class.String(), Hold: x.record.Hold,
	}
}

// finish settles the exchange and writes its outcome. It does not depend on the
// client any more.
func (x *Exchange) finish(last *attempt) {
	r := &x.record
	r.End = now()
	r.Status, r.OutBytes = x.reply.sent()
	s := last.summary()
	r.Declared, r.AnswerID, r.Finish = clip(s.Model, 256), clip(s.ID, 256), clip(s.Finish, 64)
	r.State = string(last.state)
	x.settle(last, s)
	if x.sample.counts() {
		r.Counted = ledger.Sampled
	}
	b := scratch.Get().(*buffer)
	b.b = r.Append(b.b[:0], record.KindOutcome)
	_, err := x.room.Append(b.b)
	scratch.Put(b)
	if err != nil {
		x.gateway.metrics.unrecorded.Inc()
		x.gateway.Logger.Error("outcome not recorded", "request_id", r.RID, "error", err)
	}
	x.room.Release()
	x.room = nil
	x.gateway.metrics.observe(&x.record)
	x.offerPair(last)
	if x.inside != nil {
		x.heard = x.said(last)
	}
	x.submit(last)
}

// findingEarlier is the observation code of an exchange whose usage is that of its
// last attempt while an earlier one may have generated something as well.
const findingEarlier = "usage.earlier_attempt_unknown"

// settle turns the claim of the last attempt into money.
func (x *Exchange) settle(last *attempt, s llm.Summary) {
	u := s.Usage
	known := u.Status == llm.UsageClaimed || u.Status == llm.UsageImplausible
	switch {
	case x.endpoint.kind == count, x.endpoint.free():
		u = llm.Usage{Status: llm.UsageNone}
	case known && x.call.Stream && !s.Complete && s.Finish == "" && u.Status == llm.UsageClaimed:
		u.Status = llm.UsageUnknown // what was claimed so far is not what it took in the end
	case !known && last.unbilled() && !x.mayOwe:
		u = llm.Usage{Status: llm.UsageNone}
	case known && x.mayOwe:
		x.record.Findings = append(x.record.Findings, findingEarlier)
	}
	u.Verbatim = u.Verbatim[:min(len(u.Verbatim), 4096)]
	card, priced := x.gateway.Ledger.Settle(&x.record, u, x.target(last.candidate))
	if x.endpoint.kind == count {
		x.record.Money = ledger.MoneyDeclared
	}
	if priced && x.gateway.Ledger.FirstUse(x.record.CardHash) {
		x.gateway.recordCard(card)
	}
}

// refuse records a refusal of a known principal, counts one of a stranger, and
// answers in the route's own format.
func (x *Exchange) refuse(err error) {
	e := fault.From(err)
	r := &x.record
	r.State, r.Fault = string(llm.Refused), e.Kind.String()
	if e.Kind == fault.Internal {
		x.gateway.Logger.Error("request failed", "request_id", r.RID, "error", err)
	}
	x.reply.fault(e)
	if x.principal.Kind == identity.Nobody {
		x.gateway.strangers.add()
		x.gateway.metrics.observe(&x.record)
		return
	}
	x.seal()
	r.End = now()
	r.Status, r.OutBytes = x.reply.sent()
	r.Usage, r.Money = string(llm.UsageNone), ledger.MoneyNone
	if _, err := x.gateway.Journal.Append(r.Append(nil, record.KindRefused)); err != nil && !errors.Is(e, err) {
		x.gateway.metrics.unrecorded.Inc()
		x.gateway.Logger.Error("refusal not recorded", "request_id", r.RID, "error", err)
	}
	x.gateway.metrics.observe(&x.record)
}

// recover turns a panic of this exchange into an internal error; a request that
// had left keeps its intent and gets its outcome.
func (x *Exchange) recover() {
	p := recover()
	if p == nil {
		return
	}
	x.gateway.Logger.Error("panic in an exchange", "request_id", x.record.RID, "panic", slog.AnyValue(p), "stack", string(debug.Stack()))
	if x.room == nil {
		x.refuse(fault.New(fault.Internal, ""))
		return
	}
	x.reply.fault(fault.New(fault.Internal, ""))
	x.record.Fault = fault.Internal.String()
	last := &attempt{exchange: x, candidate: x.candidates[x.announced-1], start: now(), state: llm.InternalFailure}
	if a := x.trying; a != nil { // its follower may be what panicked
		last.start, last.wrote, last.status = a.start, a.wrote, a.status
	}
	x.record.Attempts = x.record.Attempts[:x.announced-1]
	x.tried(last)
	x.finish(last)
}

// clip cuts hostile or long text to n bytes at a character boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
