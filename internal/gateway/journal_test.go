package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/journal"
	"sallyport/internal/llm"
	"sallyport/internal/upstreamtest"
)

// TestJournalUnavailable: what cannot be recorded is not sent.
func TestJournalUnavailable(t *testing.T) {
	r := newRig(t, plan{})
	if got := r.do(t, call{path: "/readyz", key: "-"}); got.status != http.StatusOK {
		t.Errorf("readyz: status %d", got.status)
	}
	if err := r.journal.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range formats {
		got := r.do(t, f.call("hello"))
		if m := f.isFault(t, got, fault.Unavailable); !strings.Contains(m, "cannot record") {
			t.Errorf("%s: %s", f.name, m)
		}
	}
	if n := r.ups[oa].Journal().Len() + r.ups[an].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	if got := r.do(t, call{path: "/readyz", key: "-"}); got.status != http.StatusServiceUnavailable {
		t.Errorf("readyz: status %d", got.status)
	}
	if got := r.do(t, call{path: "/v1/models"}); got.status != http.StatusOK {
		t.Errorf("models: status %d", got.status)
	}
}

// TestJournalFull: when there is no room for one more outcome, new requests are
// refused and running ones end as they should.
func TestJournalFull(t *testing.T) {
	release := make(chan struct{})
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(goodChat))
		case <-r.Context().Done():
		}
	}))
	defer p.Close()
	r := newRig(t, plan{snapshot: pointedAt(t, p.URL+"/v1"), journal: func(c *journal.Config) { c.SegmentBytes = 64 << 10 }})
	f := formatNamed("chat")
	var clients sync.WaitGroup
	answers := make(chan answer, 256)
	full := false
	for n := 1; !full && n <= cap(answers); n++ {
		clients.Go(func() { answers <- r.do(t, f.call("hello")) })
		full = r.begun(t, n)
	}
	close(release)
	clients.Wait()
	close(answers)
	refused := 0
	for got := range answers {
		tr := r.trail(t, got.rid)
		if tr.refused != nil {
			refused++
			f.isFault(t, got, fault.Unavailable)
		} else if got.status != http.StatusOK || tr.outcome.State != string(llm.Complete) {
			t.Errorf("status %d, state %s", got.status, tr.outcome.State)
		}
	}
	if refused != 1 {
		t.Errorf("%d requests were refused", refused)
	}
	if got := r.do(t, f.call("hello")); got.status != http.StatusOK {
		t.Errorf("with room again: status %d", got.status)
	}
}

// begun waits until n exchanges stand in the journal, and reports whether one of
// them was refused.
func (r *rig) begun(t testing.TB, n int) (refused bool) {
	t.Helper()
	s := r.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.read(t); len(s.exchanges) < n; s.read(t) {
		if err := s.journal.Wait(t.Context(), s.at); err != nil {
			t.Fatal(err)
		}
	}
	for _, tr := range s.exchanges {
		refused = refused || tr.refused != nil
	}
	return refused
}

// TestJournalFailsBetweenAttempts: a second attempt that cannot be announced is not made.
func TestJournalFailsBetweenAttempts(t *testing.T) {
	var r *rig
	first := newTap(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r.journal.Close()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	p := twoTargets()
	inner := p.snapshot
	p.snapshot = func(s *gateway.Snapshot) {
		inner(s)
		s.Upstreams[oa] = newUpstream(t, oa, upstreamtest.OpenAI, first.url, plan{})
	}
	r = newRig(t, p)
	f := formatNamed("chat")
	f.isFault(t, r.do(t, f.call("hello")), fault.UpstreamFailed)
	first.take(t)
	if n := r.ups[oa2].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent to the second target", n)
	}
	for _, text := range []string{"attempt not recorded and therefore not made", "outcome not recorded"} {
		if !strings.Contains(r.logs.String(), text) {
			t.Errorf("the logs do not say %q: %s", text, r.logs.String())
		}
	}
}
