package gateway_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// trap is a dialect with a defect: it panics at one point.
type trap struct {
	wire.Dialect
	at    *atomic.Value // the point, as a string
	spare *atomic.Int64 // how often the point is passed unharmed first
}

func (d trap) spring(point string) {
	if d.at.Load() == point && d.spare.Add(-1) < 0 {
		panic("a defect")
	}
}

func (d trap) Parse(ep wire.Endpoint, body []byte, lim wire.Limits) (*wire.Call, error) {
	d.spring("parse")
	return d.Dialect.Parse(ep, body, lim)
}

func (d trap) Follow(c *wire.Call) wire.Follower {
	d.spring("follow")
	return trapFollower{d.Dialect.Follow(c), d}
}

type trapFollower struct {
	wire.Follower
	trap trap
}

func (f trapFollower) Frame(ev wire.Event) wire.FrameKind {
	f.trap.spring("frame")
	return f.Follower.Frame(ev)
}

func (f trapFollower) Body(b []byte) error {
	f.trap.spring("body")
	return f.Follower.Body(b)
}

func (f trapFollower) Summary() llm.Summary {
	f.trap.spring("summary")
	return f.Follower.Summary()
}

// TestPanic: a defect in one exchange ends that exchange alone, with its outcome
// on record, its slot given back and nothing said of it to the client.
func TestPanic(t *testing.T) {
	for _, c := range []struct {
		point string
		spare int64
		of    kindOf
		first string // knobs of the first target
		sent  int    // requests that left
		usage llm.UsageStatus
	}{
		{"parse", 0, both, "", 0, llm.UsageNone},
		{"follow", 0, both, "", 0, llm.UsageNone},
		{"body", 0, unary, "", 1, llm.UsageUnknown},
		{"frame", 0, streams, "", 1, llm.UsageUnknown},
		{"frame", 6, streams, "", 1, llm.UsageUnknown},
		{"summary", 0, both, "", 1, llm.UsageUnknown},
		{"follow", 1, both, "status=503", 1, llm.UsageNone},
		{"follow", 1, both, "status=500", 1, llm.UsageUnknown},
		{"body", 0, unary, "status=429", 2, llm.UsageUnknown},
	} {
		t.Run(c.point+" "+c.first, func(t *testing.T) {
			var at atomic.Value
			var spare atomic.Int64
			p := twoTargets()
			p.slots = 1
			p.config = func(g *gateway.Config) {
				for kind, d := range g.Dialects {
					g.Dialects[kind] = trap{d, &at, &spare}
				}
			}
			r := newRig(t, p)
			for _, f := range formats {
				if !c.of.has(f) {
					continue
				}
				before := r.ups[f.up].Journal().Len() + r.ups[second(f)].Journal().Len()
				if c.first != "" {
					r.next(t, f.up, c.first)
				}
				spare.Store(c.spare)
				at.Store(c.point)
				prompt := "hello"
				if c.spare > 1 {
					prompt += " [[gap=20ms]]" // so that the frames before are out
				}
				got := r.do(t, f.call(prompt))
				at.Store("")
				// Whatever was written before the defect: no details of it.
				if strings.Contains(string(got.body), "a defect") || strings.Contains(string(got.body), "goroutine") {
					t.Errorf("%s: the defect shows: %s", f.name, got.body)
				}
				switch {
				case c.point == "frame" && c.spare > 0:
					_, frame := f.splitFrame(t, got)
					f.isFrame(t, frame, got.rid)
				case c.point != "summary": // that comes when the answer is out already
					f.isFault(t, got, fault.Internal)
				}
				tr := r.trail(t, got.rid)
				x := tr.end()
				usage := c.usage
				if f.counts() {
					usage = llm.UsageNone
				}
				if x.Usage != string(usage) || x.Fault != fault.Internal.String() {
					t.Errorf("%s: usage %s, fault %s", f.name, x.Usage, x.Fault)
				}
				if tr.outcome != nil && x.State != string(llm.InternalFailure) {
					t.Errorf("%s: state %s", f.name, x.State)
				}
				if n := r.ups[f.up].Journal().Len() + r.ups[second(f)].Journal().Len() - before; n != c.sent {
					t.Errorf("%s: %d requests were sent, want %d", f.name, n, c.sent)
				}
				// The slot comes back a moment after the outcome is on record.
				for again := r.do(t, f.call("hello")); again.status != http.StatusOK; again = r.do(t, f.call("hello")) {
					if again.status != http.StatusTooManyRequests || t.Context().Err() != nil {
						t.Fatalf("%s: afterwards status %d: %s", f.name, again.status, again.body)
					}
				}
			}
			if !strings.Contains(r.logs.String(), "panic in an exchange") {
				t.Error("the logs do not tell of the defect")
			}
		})
	}
}
