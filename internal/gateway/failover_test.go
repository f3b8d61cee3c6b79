package gateway_test

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/policy"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

// Second upstreams, to which requests move on.
const (
	oa2 = identity.Upstream("oa2")
	an2 = identity.Upstream("an2")
	ge2 = identity.Upstream("ge2")
)

// commitsFirst reports whether a failure after one frame comes too late: all frames
// of Google's streams are content.
func (f format) commitsFirst(knobs string) bool {
	return f.google() && f.stream && slices.Contains([]string{"cut=1", "error=1", "stall=1"}, knobs)
}

func second(f format) identity.Upstream { return f.up + "2" }

// twoTargets is a plan in which every model has a second target.
func twoTargets() plan {
	return plan{
		vendors: map[identity.Upstream]upstreamtest.Vendor{oa2: upstreamtest.OpenAI, an2: upstreamtest.Anthropic, ge2: upstreamtest.Gemini},
		snapshot: func(s *gateway.Snapshot) {
			for name, targets := range s.Models {
				s.Models[name] = append(targets, gateway.Target{Upstream: targets[0].Upstream + "2", Model: targets[0].Model})
			}
		},
	}
}

// next makes the next answer of an upstream go wrong.
func (r *rig) next(t testing.TB, up identity.Upstream, knobs string) {
	t.Helper()
	b, err := upstreamtest.ParseBehaviour(upstreamtest.Behaviour{}, knobs)
	if err != nil {
		t.Fatal(err)
	}
	r.ups[up].Next(b)
}

// TestFailover: whatever goes wrong before the first content, the second target
// answers, and both attempts stand in the journal.
func TestFailover(t *testing.T) {
	p := twoTargets()
	p.limits = narrow
	patient := newRig(t, p)
	// These are passed on when there is no other target.
	more := []failure{
		{knobs: "error=0", of: streams, state: llm.ErrorFrame, status: 200},
		{knobs: "error=1", of: streams, state: llm.ErrorFrame, status: 200},
	}
	for status, free := range map[int64]bool{404: true, 408: false, 409: true, 429: true, 500: false, 502: false, 503: true, 504: false, 529: true} {
		more = append(more, failure{knobs: "status=" + strconv.FormatInt(status, 10), state: llm.UpstreamStatus, status: status, free: free})
	}
	for _, c := range slices.Concat(failures, more) {
		for _, f := range formats {
			if !c.of.has(f) || f.commitsFirst(c.knobs) || c.hasty && f.name != "chat" && f.name != "messages stream" {
				continue
			}
			t.Run(f.name+" "+c.knobs, func(t *testing.T) {
				r := patient
				if c.hasty {
					t.Parallel()
					p := twoTargets()
					p.limits = impatient
					r = newRig(t, p)
				}
				r.next(t, f.up, c.knobs)
				got := r.do(t, f.call("hello"))
				if got.status != http.StatusOK || got.err != nil {
					t.Fatalf("status %d, %v: %s", got.status, got.err, clipped(got.body))
				}
				tr := r.trail(t, got.rid)
				o := tr.outcome
				if o.State != string(llm.Complete) || o.Fault != "" || len(o.Attempts) != 2 || o.Upstream != string(second(f)) {
					t.Fatalf("state %s, fault %s, attempts %+v", o.State, o.Fault, o.Attempts)
				}
				if first := o.Attempts[0]; first.State != string(c.state) || first.Status != c.status || first.Upstream != string(f.up) {
					t.Errorf("first attempt %+v", first)
				}
				wantFinding := !c.free && !f.counts()
				if has := len(o.Findings) == 1 && o.Findings[0] == "usage.earlier_attempt_unknown"; has != wantFinding {
					t.Errorf("findings %q though the first attempt is free: %t", o.Findings, c.free)
				}
				if !f.counts() && (o.Usage != string(llm.UsageClaimed) || o.Money != "priced" || o.Amount == 0) {
					t.Errorf("usage %s, money %s", o.Usage, o.Money)
				}
			})
		}
	}
}

// TestFailedResponse: a response that fails before its first content is left to the
// second target, and passed on when there is none, or when content is out.
func TestFailedResponse(t *testing.T) {
	const (
		created = `event: response.created` + "\n" + `data: {"type":"response.created","response":{"id":"r","status":"in_progress"}}` + "\n\n"
		delta   = `event: response.output_text.delta` + "\n" + `data: {"type":"response.output_text.delta","delta":"hi"}` + "\n\n"
		failed  = `event: response.failed` + "\n" + `data: {"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"rate_limit_exceeded"}}}` + "\n\n"
	)
	f := formatNamed("responses stream")
	for _, c := range []struct {
		name, stream string
		alone, moved bool
	}{
		{"before content", created + failed, false, true},
		{"before content, alone", created + failed, true, false},
		{"after content", created + delta + failed, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			point := peculiar(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				emit(w, c.stream)
			})
			p := twoTargets()
			both := p.snapshot
			p.snapshot = func(s *gateway.Snapshot) {
				if point(s); !c.alone {
					both(s)
				}
			}
			r := newRig(t, p)
			got := r.do(t, f.call("hello"))
			o := r.outcome(t, got)
			if c.moved {
				if o.State != string(llm.Complete) || len(o.Attempts) != 2 || o.Attempts[0].State != string(llm.ErrorFrame) || bytes.Contains(got.body, []byte("failed")) {
					t.Errorf("state %s, attempts %+v: %s", o.State, o.Attempts, got.body)
				}
				return
			}
			if o.State != string(llm.ErrorFrame) || o.Fault != fault.UpstreamFailed.String() || len(o.Attempts) != 1 || string(got.body) != c.stream {
				t.Errorf("state %s, fault %s, attempts %+v: %s", o.State, o.Fault, o.Attempts, got.body)
			}
		})
	}
}

// TestRecordedBeforeSent: when an upstream sees a request, the journal already
// holds the attempt, the second like the first.
func TestRecordedBeforeSent(t *testing.T) {
	var r *rig
	look := func(n int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			found := 0
			r.seen.mu.Lock()
			r.seen.read(t)
			for _, tr := range r.seen.exchanges {
				if tr.intent != nil && tr.outcome == nil {
					found = len(tr.attempts)
				}
			}
			r.seen.mu.Unlock()
			if found != n {
				t.Errorf("attempt %d arrives and the journal holds %d", n, found)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		})
	}
	first, then := newTap(t, look(1)), newTap(t, look(2))
	r = newRig(t, plan{snapshot: func(s *gateway.Snapshot) {
		for name, p := range map[identity.Upstream]*tap{oa: first, oa2: then} {
			s.Upstreams[name] = newUpstream(t, name, upstreamtest.OpenAI, p.url, plan{})
		}
		s.Models[fast] = append(s.Models[fast], gateway.Target{Upstream: oa2, Model: "other"})
	}})
	got := r.do(t, formatNamed("chat").call("hello"))
	first.take(t)
	if sent := then.take(t); !bytes.Contains(sent.body, []byte(`"model":"other"`)) {
		t.Errorf("the second target received %s", sent.body)
	}
	if o := r.outcome(t, got); got.status != http.StatusServiceUnavailable || len(o.Attempts) != 2 || o.Usage != string(llm.UsageNone) {
		t.Errorf("status %d, usage %s, attempts %+v", got.status, o.Usage, o.Attempts)
	}
}

// TestNoFailover: an upstream's judgement of the request itself stands, and so
// does everything after the first content.
func TestNoFailover(t *testing.T) {
	r := newRig(t, twoTargets())
	for _, f := range formats {
		for _, knobs := range []string{"status=400", "status=413", "status=422", "cut=6", "error=6", "malformed=6"} {
			if !f.stream && !strings.HasPrefix(knobs, "status") {
				continue
			}
			before := r.ups[second(f)].Journal().Len()
			r.next(t, f.up, knobs)
			got := r.do(t, f.call("hello"))
			o := r.outcome(t, got)
			if len(o.Attempts) != 1 || o.State == string(llm.Complete) || r.ups[second(f)].Journal().Len() != before {
				t.Errorf("%s %s: state %s, attempts %+v", f.name, knobs, o.State, o.Attempts)
			}
		}
	}
}

// TestAllTargetsFail: the client hears of the last failure, and what an earlier
// attempt may have cost keeps the usage unknown.
func TestAllTargetsFail(t *testing.T) {
	r := newRig(t, twoTargets())
	for _, c := range []struct {
		first, then string
		kind        fault.Kind // of our own error; Internal when the upstream's is passed on
		usage       llm.UsageStatus
	}{
		{"cut=0", "status=401", fault.UpstreamFailed, llm.UsageUnknown},
		{"status=401", "cut=0", fault.UpstreamCut, llm.UsageUnknown},
		{"cut=0", "status=429", fault.Internal, llm.UsageUnknown},
		{"status=500", "status=503", fault.Internal, llm.UsageUnknown},
		{"status=429", "status=503", fault.Internal, llm.UsageNone},
		{"status=403", "redirect=http://127.0.0.1:9/", fault.UpstreamFailed, llm.UsageNone},
		{"gzip=1", "status=400", fault.Internal, llm.UsageUnknown},
	} {
		for _, f := range formats {
			r.next(t, f.up, c.first)
			r.next(t, second(f), c.then)
			got := r.do(t, f.call("hello"))
			if c.kind != fault.Internal {
				f.isFault(t, got, c.kind)
			}
			o := r.outcome(t, got)
			if len(o.Attempts) != 2 || !f.counts() && o.Usage != string(c.usage) || o.Fault == "" {
				t.Errorf("%s %s, %s: usage %s, fault %s, attempts %+v", f.name, c.first, c.then, o.Usage, o.Fault, o.Attempts)
			}
		}
	}
}

// out takes every target of some upstreams out of routing.
func out(s *gateway.Snapshot, names ...identity.Upstream) map[gateway.Target]string {
	all := map[gateway.Target]string{}
	for _, targets := range s.Models {
		for _, t := range targets {
			if slices.Contains(names, t.Upstream) {
				all[t] = "a verdict"
			}
		}
	}
	return all
}

// TestPolicy: what policy forbids is refused with a clear text and not sent.
func TestPolicy(t *testing.T) {
	class := func(c label.Class) func(*upstream.Config) {
		return func(u *upstream.Config) { u.Class = c }
	}
	quarantine := func(s *gateway.Snapshot) {
		s.Quarantined = out(s, oa, an, ge)
	}
	labelled := func(l label.Label) func(*gateway.Snapshot) { return func(s *gateway.Snapshot) { s.Label = l } }
	for _, c := range []struct {
		name string
		plan plan
		rule string
		text string
	}{
		{"class any, label internal", plan{upstream: class(label.Any)}, "table.internal.any", "labelled internal"},
		{"label confidential", plan{snapshot: labelled(label.Confidential)}, "table.confidential.vetted", "labelled confidential"},
		{"label restricted", plan{snapshot: labelled(label.Restricted)}, "table.restricted.vetted", "labelled restricted"},
		{"no label", plan{snapshot: labelled(label.Unlabelled)}, "floor.unlabelled", "unlabelled"},
		{"quarantined", plan{snapshot: quarantine}, "floor.quarantined", "a verdict; an operator can override it with: sallyport audit override"},
		{"the project's label", plan{snapshot: func(s *gateway.Snapshot) {
			s.Label, s.Labels = label.Public, map[identity.ProjectID]label.Label{"p": label.Restricted}
		}}, "table.restricted.vetted", "labelled restricted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.plan)
			for _, f := range formats {
				got := r.do(t, f.call("hello"))
				kind := fault.PolicyRefused
				if c.rule == policy.RuleQuarantined {
					kind = fault.Unavailable
				}
				if m := f.isFault(t, got, kind); !strings.Contains(m, c.text) {
					t.Errorf("%s: %s", f.name, m)
				}
				if x := r.refusal(t, got); x.Effect == "allow" || len(x.Rules) == 0 || x.Rules[0] != c.rule || x.Model != f.model {
					t.Errorf("%s: effect %s, rules %q, model %q", f.name, x.Effect, x.Rules, x.Model)
				}
				if n := r.ups[f.up].Journal().Len(); n > 0 {
					t.Errorf("%s: %d requests were sent", f.name, n)
				}
			}
		})
	}
}

// TestPermittedOnly: forbidden targets are passed over, also those that come to be
// forbidden while an exchange is under way.
func TestPermittedOnly(t *testing.T) {
	p := twoTargets()
	inner := p.snapshot
	p.snapshot = func(s *gateway.Snapshot) {
		inner(s)
		s.Quarantined = out(s, oa)
	}
	r := newRig(t, p)
	f := formatNamed("chat")
	o := r.outcome(t, r.do(t, f.call("hello")))
	if len(o.Attempts) != 1 || o.Upstream != string(oa2) || o.Effect != "allow" {
		t.Errorf("effect %s, attempts %+v", o.Effect, o.Attempts)
	}

	// The other way round: oa is free, oa2 is quarantined while oa is asked.
	free := *r.Snapshot()
	free.Quarantined = nil
	r.Swap(&free)
	r.next(t, oa, "delay=200ms status=503")
	seen := r.ups[oa].Journal().Len()
	done := make(chan answer, 1)
	go func() { done <- r.do(t, f.call("hello")) }()
	if _, err := r.ups[oa].Journal().Wait(t.Context(), seen+1); err != nil {
		t.Fatal(err)
	}
	shut := free
	shut.Quarantined = out(&shut, oa2)
	r.Swap(&shut)
	got := <-done
	f.isFault(t, got, fault.UpstreamFailed)
	if o := r.outcome(t, got); len(o.Attempts) != 1 || r.ups[oa2].Journal().Len() != 1 {
		t.Errorf("attempts %+v", o.Attempts)
	}
}

// TestNotCarried: a model whose upstreams speak another format cannot be reached
// through a route that is not translated.
func TestNotCarried(t *testing.T) {
	r := newRig(t, plan{})
	for _, f := range formats {
		switch f.ep { // translated, or answered without asking anybody
		case wire.Chat, wire.Responses, wire.Messages, wire.GenerateContent, wire.CountTokens, wire.CountContent:
			continue
		}
		other := map[bool]string{true: fast, false: claude}[f.anthropic()]
		got := r.do(t, call{path: f.at(other), body: f.body(other, "hello")})
		if m := f.isFault(t, got, fault.NotCarried); !strings.Contains(m, other) {
			t.Errorf("%s: %s", f.name, m)
		}
		r.refusal(t, got)
	}
	// A target that does not exist is passed over, and an order is an order.
	s := *r.Snapshot()
	s.Models = map[identity.Model][]gateway.Target{"mixed": {s.Models[claude][0], {Upstream: "gone", Model: "x"}, s.Models[fast][0]}}
	r.Swap(&s)
	for _, f := range []format{formatNamed("chat"), formatNamed("messages stream")} {
		o := r.outcome(t, r.do(t, call{path: f.at("mixed"), body: f.body("mixed", "hello")}))
		if len(o.Attempts) != 1 || o.Upstream != string(an) || o.State != string(llm.Complete) {
			t.Errorf("%s: state %s, attempts %+v", f.name, o.State, o.Attempts)
		}
	}
}

// TestObjectsOfOthers: a responses request cannot reach what the upstream keeps
// for everybody behind the gateway.
func TestObjectsOfOthers(t *testing.T) {
	r := newRig(t, plan{})
	f := formatNamed("responses")
	for _, c := range []struct {
		member, pointer string
		kind            fault.Kind
	}{
		{`"previous_response_id":"resp_1"`, "/previous_response_id", fault.NotFound},
		{`"previous_response_id":""`, "/previous_response_id", fault.NotFound},
		{`"previous_\u0072esponse_id":"resp_1"`, "/previous_response_id", fault.NotFound},
		{`"conversation":"conv_1"`, "/conversation", fault.NotFound},
		{`"conversation":{"id":"conv_1"}`, "/conversation/id", fault.NotFound},
		{`"background":true`, "/background", fault.NotCarried},
		{`"background":"true"`, "/background", fault.NotCarried},
		{`"background":1`, "/background", fault.NotCarried},
		{`"Background":true`, "/Background", fault.BadRequest},
		{`"bac\u212Aground":true`, "/bac\u212Aground", fault.BadRequest},
		{`"Previous_Response_Id":"resp_1"`, "/Previous_Response_Id", fault.BadRequest},
		{`"CONVERSATION":"conv_1"`, "/CONVERSATION", fault.BadRequest},
	} {
		for _, body := range []string{
			` {` + c.member + `,"model":"fast","input":"hi"}`, `{"model":"fast","input":"hi","stream":true,` + c.member + "}\n",
		} {
			got := r.post(t, f.at(f.model), body)
			f.isFault(t, got, c.kind)
			if !strings.Contains(string(got.body), `"param":`+quote(c.pointer)) {
				t.Errorf("%s: %s", body, got.body)
			}
			r.refusal(t, got)
		}
	}
	if n := r.ups[oa].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	for _, member := range []string{
		`"previous_response_id":null`, `"conversation":null`, `"background":false`, `"background":null`, `"metadata":{"conversation":"x"}`,
		`"tools":[{"type":"x","background":true}]`,
	} {
		if got := r.post(t, f.at(f.model), `{"model":"fast","input":"hi",`+member+`}`); got.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", member, got.status, got.body)
		}
	}
	// Other routes have no such members.
	if got := r.post(t, "/v1/chat/completions", `{"model":"fast","messages":[{"role":"user","content":"hi"}],"background":true}`); got.status != http.StatusOK {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}

// TestAttemptsHaveTimes: every attempt lies within its exchange.
func TestAttemptsHaveTimes(t *testing.T) {
	r := newRig(t, twoTargets())
	f := formatNamed("messages stream")
	r.next(t, an, "cut=0")
	o := r.outcome(t, r.do(t, f.call("hello")))
	at := o.TS
	for _, try := range o.Attempts {
		if try.Start < at || try.End < try.Start {
			t.Errorf("attempt from %d to %d after %d", try.Start, try.End, at)
		}
		at = try.End
	}
	if o.End < at || o.TTFB <= 0 || o.TTFB > o.End-o.TS || time.Duration(o.End-o.TS)*time.Microsecond > timeout {
		t.Errorf("from %d to %d, first frame after %d", o.TS, o.End, o.TTFB)
	}
}
