package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// plan is what a load generator sends and expects.
type plan struct {
	addr    string
	key     string
	model   string
	s       scenario
	conns   int
	timeout time.Duration // of one exchange
}

// tally is what a load generator saw. Latencies are of successes.
type tally struct {
	n       int
	failed  int
	latency []time.Duration // to the whole answer; of a stream: to its first byte
	reasons map[string]int
	took    time.Duration
}

// nonces gives every request of this process its own nonce, and another run others.
var nonces atomic.Uint64

// firstNonce draws where the nonces of this process begin.
var firstNonce = sync.OnceValue(func() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return binary.LittleEndian.Uint64(b[:]) >> 16
})

func nextNonce() uint64 { return firstNonce() + nonces.Add(1) }

// worker is one connection with its own copy of the request.
type worker struct {
	c     *conn
	req   []byte
	at    int
	plan  plan
	tally tally
}

func (p plan) workers() []*worker {
	b, at := body(p.model, p.s.bytes, p.s.stream, p.s.control())
	req, at := request(p.addr, p.key, b, at)
	ws := make([]*worker, p.conns)
	for i := range ws {
		ws[i] = &worker{c: newConn(p.addr, p.timeout), req: bytes.Clone(req), at: at, plan: p, tally: tally{reasons: map[string]int{}}}
	}
	return ws
}

func (s scenario) control() string { return fmt.Sprintf("gap=%s frames=%d", s.gap, frames) }

// send sends one request with a fresh nonce. Latency counts from since.
func (w *worker) send(ctx context.Context, since time.Time) {
	setNonce(w.req, w.at, nextNonce())
	late := time.Since(since)
	r, err := w.c.do(ctx, w.req)
	w.tally.n++
	if err == nil {
		err = w.plan.s.verify(r)
	}
	if err != nil {
		w.tally.failed++
		if len(w.tally.reasons) < 20 || w.tally.reasons[err.Error()] > 0 {
			w.tally.reasons[err.Error()]++
		}
		return
	}
	took := r.total
	if w.plan.s.stream {
		took = r.first
	}
	w.tally.latency = append(w.tally.latency, late+took)
}

var errCut = errors.New("the stream ended without its end mark")

// verify says what is wrong with an answer: every frame must have arrived.
func (s scenario) verify(r result) error {
	switch {
	case r.status != 200:
		return fmt.Errorf("status %d", r.status)
	case !s.stream && r.bytes < 1000:
		return fmt.Errorf("%d bytes", r.bytes)
	case s.stream && !r.done:
		return errCut
	case s.stream && r.events < frames+2: // content, finish reason, end mark
		return fmt.Errorf("%d events", r.events)
	}
	return nil
}

// closed sends on every connection as soon as the last answer is in, for a time,
// and at least once.
func (p plan) closed(ctx context.Context, d time.Duration) tally {
	return p.each(func(w *worker, _ int, began time.Time) {
		for first := true; ctx.Err() == nil && (first || time.Since(began) < d); first = false {
			w.send(ctx, time.Now())
		}
	})
}

// count sends n requests in all, closed loop.
func (p plan) count(ctx context.Context, n int) tally {
	var sent atomic.Int64
	return p.each(func(w *worker, _ int, _ time.Time) {
		for ctx.Err() == nil && sent.Add(1) <= int64(n) {
			w.send(ctx, time.Now())
		}
	})
}

// open sends at fixed moments, whatever the answers do: a request that has to
// wait for its connection counts from when it should have left, so that a stall
// is not hidden (coordinated omission).
func (p plan) open(ctx context.Context, d time.Duration) tally {
	step := time.Duration(float64(time.Second) / p.s.rate)
	n := max(int(d/step), 1)
	return p.each(func(w *worker, i int, began time.Time) {
		for k := i; k < n && ctx.Err() == nil; k += p.conns {
			due := began.Add(time.Duration(k) * step)
			sleepUntil(due)
			w.send(ctx, due)
		}
	})
}

// sleepUntil sleeps in the kernel: the runtime's timers are rounded up to a
// millisecond when nothing else runs, which is longer than what is measured.
func sleepUntil(t time.Time) {
	for {
		left := time.Until(t)
		if left <= 0 {
			return
		}
		ts := syscall.NsecToTimespec(left.Nanoseconds())
		_ = syscall.Nanosleep(&ts, nil) // an interruption only loops
	}
}

// each runs every worker in its own goroutine and adds up what they saw.
// The requests are built before the time begins.
func (p plan) each(run func(w *worker, i int, began time.Time)) tally {
	ws := p.workers()
	began := time.Now()
	var group sync.WaitGroup
	for i, w := range ws {
		group.Go(func() {
			defer w.c.close()
			run(w, i, began)
		})
	}
	group.Wait()
	all := tally{reasons: map[string]int{}, took: time.Since(began)}
	for _, w := range ws {
		all.n += w.tally.n
		all.failed += w.tally.failed
		all.latency = append(all.latency, w.tally.latency...)
		for reason, n := range w.tally.reasons {
			all.reasons[reason] += n
		}
	}
	return all
}

// bad reports whether so much failed that figures mean nothing. The streams
// that a ReverseProxy cuts are counted and shown instead.
func (t tally) bad() bool { return 2*t.failed >= t.n }

// err is an error when anything failed.
func (t tally) err() error {
	if t.failed == 0 && t.n > 0 {
		return nil
	}
	return fmt.Errorf("%d of %d requests failed: %v", t.failed, t.n, t.reasons)
}
