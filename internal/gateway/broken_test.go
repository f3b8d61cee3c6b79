package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// received is how many bytes of a stream the gateway had read when it hashed them.
func received(t testing.TB, stream []byte, answer string) int {
	t.Helper()
	h := sha256.New()
	for n := 0; ; n++ {
		if hex.EncodeToString(h.Sum(nil)) == answer {
			return n
		}
		if n == len(stream) {
			t.Fatalf("the record's hash %s is of no beginning of the upstream's stream", answer)
		}
		h.Write(stream[n : n+1])
	}
}

// impatient limits are for tests that wait for them to be exceeded.
func impatient(l *gateway.Limits) { l.Stall, l.FirstFrame = 400*time.Millisecond, 400*time.Millisecond }

// narrow limits are for tests that exceed them.
func narrow(l *gateway.Limits) { l.Answer, l.Event = 1<<17, 1<<16 }

// TestBrokenStream breaks streams after their first content: the client gets
// everything up to there and the format's own error frame, never a clean end, and
// the record commits to exactly that.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	patient, hasty := newRig(t, plan{tap: true, limits: narrow}), newRig(t, plan{tap: true, limits: impatient})
	for _, c := range []struct {
		knobs   string
		state   llm.Terminal
		kind    fault.Kind
		theirs  bool // the error frame is the upstream's own
		inexact bool // how much the gateway has read is not known
	}{
		{"cut=6", llm.CutByUpstream, fault.UpstreamCut, false, false},
		{"cut=6 eol=crlf split=5", llm.CutByUpstream, fault.UpstreamCut, false, false},
		{"cut=6 how=reset", llm.CutByUpstream, fault.UpstreamCut, false, true},
		{"cut=6 how=end", llm.CutByUpstream, fault.UpstreamCut, false, false},
		{"cut=6 how=end eol=cr", llm.CutByUpstream, fault.UpstreamCut, false, false},
		{"cut=6 usage=each", llm.CutByUpstream, fault.UpstreamCut, false, false},
		{"no-done=1", llm.CutByUpstream, fault.UpstreamCut, false, false},
		{"stall=6", llm.Stalled, fault.UpstreamTimeout, false, false},
		{"malformed=6", llm.Malformed, fault.UpstreamInvalid, false, false},
		{"malformed=6 batch=100", llm.Malformed, fault.UpstreamInvalid, false, false},
		{"error=6", llm.ErrorFrame, fault.UpstreamFailed, true, false},
		{"error=6 batch=100", llm.ErrorFrame, fault.UpstreamFailed, true, false},
		{"frames=20 frame-bytes=10000", llm.TooLarge, fault.UpstreamInvalid, false, true},
	} {
		for _, f := range formats {
			if !f.stream || f.ep == wire.Chat && c.knobs == "no-done=1" { // whole: every choice has its finish reason
				continue
			}
			r := patient
			if strings.HasPrefix(c.knobs, "stall") {
				r = hasty
			}
			t.Run(f.name+" "+c.knobs, func(t *testing.T) {
				call := f.call("break off [[" + c.knobs + "]]")
				if f.anthropic() {
					call.body = chatBody(`,"max_tokens":1000000,"stream":true`)(f.model, "break off [["+c.knobs+"]]")
				}
				got := r.do(t, call)
				rest, frame := f.splitFrame(t, got)
				o := r.outcome(t, got)
				up := r.taps[f.up].take(t)
				if o.State != string(c.state) || o.Fault != c.kind.String() || o.Status != http.StatusOK {
					t.Errorf("state %s, fault %s, status %d", o.State, o.Fault, o.Status)
				}
				if c.knobs == "no-done=1" && f.anthropic() { // the last event but one claims it all
					if o.Usage != string(llm.UsageClaimed) || o.Finish == "" {
						t.Errorf("usage %s, finish %q", o.Usage, o.Finish)
					}
				} else if o.Usage != string(llm.UsageUnknown) || o.Money != "unknown" || o.Amount != 0 || o.Hold == 0 {
					t.Errorf("usage %s, money %s, amount %d, hold %d", o.Usage, o.Money, o.Amount, o.Hold)
				}
				if !c.theirs {
					f.isFrame(t, frame, got.rid)
					if !bytes.HasPrefix(up.answered, rest) || len(rest) == 0 {
						t.Errorf("not a beginning of the upstream's stream: %q", rest)
					}
				} else if !bytes.HasPrefix(up.answered, got.body) {
					t.Errorf("not a beginning of the upstream's stream: %q", got.body)
				}
				if c.inexact {
					return
				}
				n := received(t, up.answered, o.Answer)
				var es []wire.Edit
				switch {
				case !c.theirs:
					es = []wire.Edit{{Span: wire.Span{Start: len(rest), End: n}, With: frame}}
				case n > len(got.body):
					es = []wire.Edit{{Span: wire.Span{Start: len(got.body), End: n}}}
				}
				commits(t, "res", o.Returned, up.answered[:n], es)
			})
		}
	}
}

// TestCutInsideAnEvent cuts a stream at every byte: what the client gets is whole
// events followed by an error frame, or the whole answer.
func TestCutInsideAnEvent(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		if !f.stream {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			var stream []byte
			var cut int
			raw := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = w.Write(stream[:cut])
			})
			r := newRig(t, plan{tap: true})
			r.do(t, f.call("[[frames=2]]"))
			stream = r.taps[f.up].take(t).answered
			p := newTap(t, raw)
			s := newRig(t, plan{snapshot: func(s *gateway.Snapshot) {
				s.Upstreams[f.up] = newUpstream(t, f.up, vendorOf(f), p.url, plan{upstream: noUsage})
			}})
			whole := 0
			for cut = 0; cut <= len(stream); cut++ {
				if cut%97 != 0 && len(stream)-cut > 6 && !bytes.HasSuffix(stream[:cut], []byte("\n")) {
					continue // every byte takes too long; these are where it matters
				}
				got := s.do(t, f.call("hello"))
				p.take(t)
				o := s.outcome(t, got)
				switch {
				case o.State == string(llm.Complete):
					whole++
					if !bytes.HasPrefix(stream[:cut], got.body) || o.Finish == "" {
						t.Fatalf("cut at %d: %q", cut, got.body)
					}
					var es []wire.Edit
					if n := len(got.body); n < cut { // what clients would discard as well
						es = []wire.Edit{{Span: wire.Span{Start: n, End: cut}}}
					}
					commits(t, "res", o.Returned, stream[:cut], es)
				case got.status != http.StatusOK:
					f.isFault(t, got, fault.UpstreamCut)
				default:
					rest, frame := f.splitFrame(t, got)
					f.isFrame(t, frame, got.rid)
					if !bytes.HasPrefix(stream, rest) || !bytes.HasSuffix(rest, []byte("\n\n")) {
						t.Fatalf("cut at %d: not whole events of the stream: %q", cut, rest)
					}
					commits(t, "res", o.Returned, stream[:cut], []wire.Edit{{Span: wire.Span{Start: len(rest), End: cut}, With: frame}})
				}
				if o.State != string(llm.Complete) && (o.State != string(llm.CutByUpstream) || o.Usage != string(llm.UsageUnknown) && o.Finish == "") {
					t.Errorf("cut at %d: state %s, usage %s", cut, o.State, o.Usage)
				}
				if t.Failed() {
					t.Fatalf("cut at %d", cut)
				}
			}
			if whole == 0 {
				t.Error("no cut left the answer whole")
			}
		})
	}
}
