package gateway_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// heartbeats are the frames that clients of each format skip.
func (f format) heartbeat() []byte {
	if f.google() {
		return []byte("\n\n")
	}
	if f.anthropic() {
		return []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n")
	}
	return []byte(": heartbeat\n\n")
}

// splitBeats takes the heartbeats off the front of a stream.
func (f format) splitBeats(body []byte) (beats int, rest []byte) {
	for bytes.HasPrefix(body, f.heartbeat()) {
		body = body[len(f.heartbeat()):]
		beats++
	}
	return beats, body
}

// inserted are the edits that the heartbeats are.
func (f format) inserted(n int) (es []wire.Edit) {
	for range n {
		es = append(es, wire.Edit{With: f.heartbeat()})
	}
	return es
}

func beating(l *gateway.Limits) { l.Heartbeat = 60 * time.Millisecond }

// TestHeartbeat: while a start is awaited a streaming client gets heartbeats, and
// none after it; the record commits to them.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{tap: true, limits: beating})
	for _, f := range formats {
		if !f.stream && f.ep != wire.Messages {
			continue
		}
		for _, knobs := range []string{"delay=600ms", "delay=500ms frames=2 gap=100ms"} {
			t.Run(f.name+" "+knobs, func(t *testing.T) {
				got := r.do(t, f.call("wait [["+knobs+"]]"))
				up := r.taps[f.up].take(t)
				o := r.outcome(t, got)
				beats, rest := f.splitBeats(got.body)
				if !f.stream {
					if beats > 0 || !bytes.Equal(got.body, up.answered) {
						t.Errorf("%d heartbeats in a whole answer: %s", beats, got.body)
					}
					return
				}
				ours(t, got)
				var removed []wire.Edit
				if f.ep == wire.Chat {
					removed = usageChunks(up.answered)
				}
				if beats < 2 || !bytes.Equal(rest, without(up.answered, removed)) {
					t.Errorf("%d heartbeats before %q", beats, rest)
				}
				if o.State != string(llm.Complete) || o.Usage != string(llm.UsageClaimed) {
					t.Errorf("state %s, usage %s", o.State, o.Usage)
				}
				commits(t, "res", o.Returned, up.answered, append(f.inserted(beats), removed...))
			})
		}
	}
}

// TestFailureAfterHeartbeat: once a heartbeat is out the status cannot be changed,
// so every failure is told by an error frame.
func TestFailureAfterHeartbeat(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{limits: func(l *gateway.Limits) { beating(l); l.FirstFrame = 500 * time.Millisecond }})
	for _, c := range []struct {
		knobs string
		state llm.Terminal
		kind  fault.Kind
	}{
		{"delay=200ms status=429", llm.UpstreamStatus, fault.UpstreamFailed},
		{"delay=200ms status=400", llm.UpstreamStatus, fault.UpstreamFailed},
		{"delay=200ms status=401", llm.UpstreamStatus, fault.UpstreamFailed},
		{"delay=200ms cut=0", llm.CutByUpstream, fault.UpstreamCut},
		{"delay=200ms malformed=0", llm.Malformed, fault.UpstreamInvalid},
		{"delay=200ms content-type=text/html", llm.Malformed, fault.UpstreamInvalid},
		{"delay=200ms error=0", llm.ErrorFrame, fault.UpstreamFailed},
		{"delay=1m", llm.TimedOut, fault.UpstreamTimeout},
		{"first=1m", llm.TimedOut, fault.UpstreamTimeout},
		{"delay=200ms cut=6", llm.CutByUpstream, fault.UpstreamCut},
	} {
		for _, f := range formats {
			if !f.stream {
				continue
			}
			t.Run(f.name+" "+c.knobs, func(t *testing.T) {
				t.Parallel()
				got := r.do(t, f.call("wait [["+c.knobs+"]]"))
				rest, frame := f.splitFrame(t, got)
				if c.state != llm.ErrorFrame {
					f.isFrame(t, frame, got.rid)
				}
				if beats, _ := f.splitBeats(rest); beats < 1 {
					t.Errorf("no heartbeat before %q", rest)
				}
				o := r.outcome(t, got)
				if o.State != string(c.state) || o.Fault != c.kind.String() || o.Status != http.StatusOK {
					t.Errorf("state %s, fault %s, status %d", o.State, o.Fault, o.Status)
				}
			})
		}
	}
}

// TestFailoverAfterHeartbeat: a heartbeat is no content, so the next target may
// still answer.
func TestFailoverAfterHeartbeat(t *testing.T) {
	t.Parallel()
	p := twoTargets()
	p.limits = beating
	r := newRig(t, p)
	for _, f := range formats {
		if !f.stream {
			continue
		}
		r.next(t, f.up, "delay=150ms status=503")
		r.next(t, second(f), "first=150ms")
		got := r.do(t, f.call("hello"))
		o := r.outcome(t, got)
		if o.State != string(llm.Complete) || len(o.Attempts) != 2 || got.err != nil {
			t.Errorf("%s: state %s, attempts %+v, %v", f.name, o.State, o.Attempts, got.err)
		}
		if beats, rest := f.splitBeats(got.body); beats < 3 || bytes.Contains(rest, f.heartbeat()) && !f.anthropic() && !f.google() {
			t.Errorf("%s: %d heartbeats before %q", f.name, beats, rest)
		}
		if got.header.Get("X-Ratelimit-Limit-Requests") != "" {
			t.Errorf("%s: a header came after the heartbeat: %v", f.name, got.header)
		}
	}
}
