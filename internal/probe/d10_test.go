package probe

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

func TestReplayHonest(t *testing.T) {
	for name, cfg := range map[string]upstreamtest.Config{
		"samples":      {Oracle: &upstreamtest.Oracle{}},
		"never varies": {},
		"local speed":  {Oracle: &upstreamtest.Oracle{Rate: 400, First: 20 * time.Millisecond, Jitter: .3}},
	} {
		t.Run(name, func(t *testing.T) {
			url := startServer(t, cfg)
			for seed := range map[bool]int{true: 2, false: 100}[cfg.Oracle != nil && cfg.Oracle.Rate > 0] {
				foundNothing(t, auditOnly(t, "D10", Quick.Budgets["D10"], url, seed))
			}
		})
	}
}

func TestReplayFound(t *testing.T) {
	backend := startModel(t, func(q question) spoken { return spoken{text: strings.Repeat("and then "+q.fresh+" ", 30)} })
	forged := func(c *upstreamtest.RelayConfig) {
		c.Forge = upstreamtest.Forge{IDs: true, Created: true, Bare: true}
	}
	for name, test := range map[string]struct {
		preset string
		change func(*upstreamtest.RelayConfig)
	}{
		"same bytes":             {"R13:exact", nil},
		"same bytes, ids forged": {"R13:exact", forged},
		"same words":             {"R13:normalised", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, budget := range []int{Quick.Budgets["D10"], Vet.Budgets["D10"]} {
				foundIntegrity(t, auditOnly(t, "D10", budget, startRelay(t, test.preset, backend, test.change), budget), "the very bytes of an earlier answer")
			}
		})
	}
}

// echoing is a model that writes the reference it is asked for and then something new.
func echoing(q question) spoken {
	_, rest, _ := strings.Cut(q.last, "reference ")
	reference, _, _ := strings.Cut(rest, " ")
	return spoken{text: strings.Trim(reference, ".") + strings.Repeat(" and then "+q.fresh, 30)}
}

func TestReplayStale(t *testing.T) {
	backend := startModel(t, echoing)
	foundNothing(t, auditOnly(t, "D10", 12, backend, 1))
	forged := func(c *upstreamtest.RelayConfig) {
		c.Forge = upstreamtest.Forge{IDs: true, Created: true, Bare: true}
	}
	r := auditOnly(t, "D10", 12, startRelay(t, "R13:normalised", backend, forged), 1)
	foundIntegrity(t, r, "made for another question")
}

func TestReplayFailures(t *testing.T) {
	backend := startServer(t, upstreamtest.Config{})
	url := startRelay(t, "R13:exact", backend, func(c *upstreamtest.RelayConfig) {
		c.Failures = []upstreamtest.Failure{{From: 3, To: 8, Status: 400}}
	})
	if r := auditOnly(t, "D10", 12, url, 1); r.State != verdict.Inconclusive {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
}

// restreamed is a subject whose streams come in other pieces.
type restreamed struct {
	Subject
	pieces *Reply
}

// Ask implements Subject.
func (s restreamed) Ask(ctx context.Context, a *Ask) *Reply {
	r := s.Subject.Ask(ctx, a)
	if a.Stream {
		r.Chunks, r.First, r.Took = s.pieces.Chunks, s.pieces.First, s.pieces.Took
	}
	return r
}

func TestStreamOfTimer(t *testing.T) {
	every := func(int) time.Duration { return 20 * time.Millisecond }
	for even, bad := range map[bool]bool{true: true, false: false} {
		subject := restreamed{endpoint(t, startModel(t, echoing)), pieces(100*time.Millisecond, 300, every, even)}
		r := auditSubject(t, "D10", 12, subject, 1)
		if bad {
			foundIntegrity(t, r, "a timer spaces")
		} else {
			foundNothing(t, r)
		}
	}
}

func TestStreamBuffered(t *testing.T) {
	every := func(int) time.Duration { return time.Millisecond }
	subject := restreamed{endpoint(t, startModel(t, echoing)), pieces(3*time.Second, 100, every, true)}
	r := auditSubject(t, "D10", 12, subject, 1)
	foundNothing(t, r)
	if !slices.ContainsFunc(r.Facts, func(f verdict.Fact) bool {
		return f.Name == "stream 1" && strings.HasPrefix(f.Value, "does not stream")
	}) {
		t.Errorf("the stream is not told to be none: %v", r.Facts)
	}
}

// pieces are chunks at distances that a function gives, of 12 bytes each, or of sizes
// that vary.
func pieces(first time.Duration, n int, gap func(i int) time.Duration, even bool) *Reply {
	r := &Reply{Outcome: Answered, First: first}
	at := first
	for i := range n {
		size := 12
		if !even {
			size = 1 + i*7%11
		}
		r.Chunks = append(r.Chunks, Chunk{at, size})
		at += gap(i)
	}
	r.Took = r.Chunks[n-1].At
	return r
}

func TestPace(t *testing.T) {
	every := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	uneven := func(i int) time.Duration { return time.Duration(5+i*13%17) * time.Millisecond }
	for name, test := range map[string]struct {
		reply *Reply
		want  pace
	}{
		"a model":                             {pieces(200*time.Millisecond, 300, uneven, false), flows},
		"a model that thinks first":           {pieces(20*time.Second, 300, uneven, false), flows},
		"a steady model, words of all sizes":  {pieces(100*time.Millisecond, 300, every(20*time.Millisecond), false), flows},
		"a timer, bytes counted out":          {pieces(100*time.Millisecond, 300, every(20*time.Millisecond), true), timed},
		"a timer, words, after a wait":        {pieces(4*time.Second, 300, every(5*time.Millisecond), false), timed},
		"at once after a wait":                {pieces(3*time.Second, 100, every(time.Millisecond), false), atOnce},
		"a fast local server":                 {pieces(30*time.Millisecond, 300, every(300*time.Microsecond), true), unknown},
		"too few pieces":                      {pieces(300*time.Millisecond, 6, every(100*time.Millisecond), true), unknown},
		"a stream that no stream was sent to": {&Reply{Outcome: Answered, Text: "hello"}, notAsked},
	} {
		if got := paceOf(test.reply).pace; got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
