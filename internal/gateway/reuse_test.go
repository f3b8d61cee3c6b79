package gateway_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/upstreamtest"
)

// TestSentOnce: an upstream that closes reused connections after it has read the
// request sees exactly as many requests as there are attempts on record, also when
// the client sends the header that lets net/http repeat requests by itself.
func TestSentOnce(t *testing.T) {
	p := twoTargets()
	for _, name := range []string{"one target", "two targets"} {
		t.Run(name, func(t *testing.T) {
			if name == "one target" {
				p = plan{}
			} else {
				p = twoTargets()
			}
			r := newRig(t, p)
			for _, up := range r.ups {
				up.SetBehaviour(upstreamtest.Behaviour{DropReused: true})
			}
			const rounds = 12
			n := 0
			for i := range rounds {
				var clients sync.WaitGroup
				for _, f := range formats {
					n++
					clients.Go(func() {
						c := f.call(fmt.Sprint("hello nonce-", i))
						setHeader(&c, "Idempotency-Key", fmt.Sprint("key-", i))
						r.do(t, c)
					})
				}
				clients.Wait()
			}
			attempts, failed := 0, 0
			for _, tr := range r.all(t, n) {
				attempts += len(tr.attempts)
				for _, try := range tr.outcome.Attempts {
					if try.State == string(llm.Unreachable) {
						failed++
					}
				}
				if tr.outcome.State == string(llm.Unreachable) && !strings.HasPrefix(tr.outcome.Endpoint, "count_") && tr.outcome.Usage != string(llm.UsageUnknown) {
					t.Errorf("usage %s of a request that was read and not answered", tr.outcome.Usage)
				}
			}
			requests, reused := 0, 0
			for _, up := range r.ups {
				for _, q := range up.Journal().Requests() {
					requests++
					if q.Use > 1 {
						reused++
					}
				}
			}
			if requests != attempts || reused == 0 || failed != reused {
				t.Errorf("%d requests arrived, %d of them over reused connections; %d attempts on record, %d of them failed", requests, reused, attempts, failed)
			}
		})
	}
}

// TestEarlyAnswers: of thousands of answers that come before the upstream has read
// the request not one is cut.
func TestEarlyAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("2,000 exchanges")
	}
	r := newRig(t, plan{})
	const exchanges, clients = 2000, 32
	f := formatNamed("chat stream")
	r.ups[oa].SetBehaviour(upstreamtest.Behaviour{Early: true, Frames: 2})
	large := strings.Repeat("words ", 40<<10)
	work := make(chan int)
	var pool sync.WaitGroup
	for range clients {
		pool.Go(func() {
			for i := range work {
				prompt := "hello"
				if i%25 == 0 {
					prompt = large // longer than socket buffers: still on its way when the answer comes
				}
				got := r.do(t, f.call(prompt))
				if got.err != nil || got.status != http.StatusOK || !bytes.HasSuffix(got.body, []byte("data: [DONE]\n\n")) {
					t.Errorf("exchange %d: status %d, %v: %s", i, got.status, got.err, clipped(got.body))
				}
			}
		})
	}
	for i := range exchanges {
		work <- i
	}
	close(work)
	pool.Wait()
	states := map[string]int{}
	for _, tr := range r.all(t, exchanges) {
		states[tr.outcome.State]++
		if tr.outcome.Forwarded == "" || tr.outcome.Returned == "" || tr.outcome.Usage == string(llm.UsageNone) {
			t.Fatalf("an answer to what was not sent: %+v", *tr.outcome)
		}
	}
	if states[string(llm.Complete)] != exchanges || len(states) != 1 {
		t.Errorf("states %v", states)
	}
	if n := r.ups[oa].Journal().Len(); n != exchanges {
		t.Errorf("%d requests arrived", n)
	}
}
