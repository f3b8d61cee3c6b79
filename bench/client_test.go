package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// served starts a net/http server and returns its address.
func served(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestClient reads what net/http writes, in every framing.
func TestClient(t *testing.T) {
	addr := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "id-1")
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		rc := http.NewResponseController(w)
		switch kind := string(b); kind {
		case "length":
			fmt.Fprint(w, strings.Repeat("x", 1234))
		case "status":
			w.WriteHeader(http.StatusTeapot)
		case "close":
			w.Header().Set("Connection", "close")
			fmt.Fprint(w, "bye")
		case "stream", "unfinished":
			for _, piece := range []string{"data: 1\n", "\ndata: 2\n\n", "data: [DO", "NE]\n", "\n"} {
				if kind == "unfinished" && strings.HasPrefix(piece, "NE]") {
					return
				}
				fmt.Fprint(w, piece)
				if err := rc.Flush(); err != nil {
					t.Error(err)
				}
			}
		case "cut":
			fmt.Fprint(w, "data: 1\n\n")
			if err := rc.Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler)
		}
	})
	c := newConn(addr, 5*time.Second)
	defer c.close()
	for _, want := range []struct {
		kind   string
		status int
		bytes  int64
		events int
		done   bool
		err    error
	}{
		{"length", 200, 1234, 0, false, nil},
		{"status", 418, 0, 0, false, nil},
		{"stream", 200, 32, 3, true, nil},
		{"close", 200, 3, 0, false, nil},
		{"unfinished", 200, 27, 2, false, nil},
		{"cut", 200, 9, 1, false, errEOF},
		{"stream", 200, 32, 3, true, nil},
	} {
		req, _ := request(addr, "k", []byte(want.kind), 0)
		r, err := c.do(t.Context(), req)
		if !errors.Is(err, want.err) || r.status != want.status || r.bytes != want.bytes || r.events != want.events || r.done != want.done || r.id != "id-1" {
			t.Errorf("%s: %+v, %v", want.kind, r, err)
		}
	}
}

// TestClientTimeout: an answer that never comes ends the exchange.
func TestClientTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newConn(l.Addr().String(), 30*time.Millisecond)
	defer c.close()
	req, _ := request("x", "k", []byte("{}"), 0)
	var timeout net.Error
	if _, err := c.do(t.Context(), req); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v", err)
	}
}

// TestOpenLoop: requests that wait behind a slow one count from when they should
// have left, so that the stall shows in all of them.
func TestOpenLoop(t *testing.T) {
	const stall = 200 * time.Millisecond
	n := 0
	addr := served(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 { // one connection: handlers do not overlap
			<-time.After(stall)
		}
		fmt.Fprint(w, strings.Repeat("x", 1<<10))
	})
	p := plan{addr: addr, s: scenario{bytes: 1 << 10, rate: 100}, conns: 1, timeout: 5 * time.Second}
	seen := p.open(t.Context(), 150*time.Millisecond)
	if seen.n != 15 || seen.failed != 0 {
		t.Fatalf("%d sent, %d failed: %v", seen.n, seen.failed, seen.reasons)
	}
	// The second was due 10 ms after the first and had to wait out the stall.
	if waited := time.Duration(quantile(seen.latency[1:2], 1)); waited < stall-20*time.Millisecond {
		t.Errorf("the second request counts %v", waited)
	}
	if median := time.Duration(quantile(seen.latency, 0.5)); median < stall/2 {
		t.Errorf("the median of requests behind a stall is %v", median)
	}
}

func TestCountAndClosed(t *testing.T) {
	addr := served(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1<<10)) })
	p := plan{addr: addr, s: scenario{bytes: 1 << 10}, conns: 3, timeout: 5 * time.Second}
	if seen := p.count(t.Context(), 20); seen.n != 20 || seen.err() != nil {
		t.Errorf("%d sent, %v", seen.n, seen.err())
	}
	if seen := p.closed(t.Context(), time.Nanosecond); seen.n != 3 {
		t.Errorf("%d sent on three connections", seen.n)
	}
	p.s.stream = true
	if seen := p.count(t.Context(), 5); seen.failed != 5 || !seen.bad() || seen.reasons[errCut.Error()] != 5 {
		t.Errorf("an answer that is no stream passed: %+v", seen)
	}
}
