package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/upstreamtest"
)

// client is one whose request is under way.
type client struct {
	cancel context.CancelFunc
	done   chan error
}

// begin sends a request and leaves it under way.
func (r *rig) begin(t testing.TB, f format, prompt string) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &client{cancel, make(chan error, 1)}
	q := r.request(t, ctx, f.call(prompt))
	go func() {
		resp, err := r.client.Do(q)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		c.done <- err
	}()
	return c
}

// leave makes the client go away.
func (c *client) leave(t testing.TB) {
	t.Helper()
	c.cancel()
	if err := <-c.done; !errors.Is(err, context.Canceled) {
		t.Errorf("the client ended with %v", err)
	}
}

// ended waits until an upstream has seen the end of every request.
func (r *rig) ended(t testing.TB, up identity.Upstream) (last upstreamtest.Ending) {
	t.Helper()
	j := r.ups[up].Journal()
	for seq := 1; seq <= j.Len(); seq++ {
		var err error
		if last, err = j.WaitEnd(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// TestClientLeaves: when the client goes, the upstream is told at once, whatever
// the exchange is waiting for, and what it took is not known.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		knobs  string
		of     kindOf
		after  bool // go after the first content
		encode func(string) string
	}{
		{"[[delay=1m]]", both, false, nil},
		{"[[delay=1m]]", both, false, gzipped},
		{"[[stall=0]]", both, false, nil},
		{"[[first=1m]]", streams, false, nil},
		{"[[stall=5]]", streams, true, nil},
		{"[[frames=2000 gap=5ms]]", streams, true, nil},
	} {
		r := newRig(t, plan{})
		for _, f := range formats {
			if !c.of.has(f) {
				continue
			}
			t.Run(f.name+" "+c.knobs, func(t *testing.T) {
				q := f.call("I shall leave " + c.knobs)
				q.body = strings.Replace(q.body, `"max_tokens":64`, `"max_tokens":100000`, 1)
				if c.encode != nil {
					q.body = c.encode(q.body)
					setHeader(&q, "Content-Encoding", "gzip")
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				seen := r.ups[f.up].Journal().Len()
				done := make(chan error, 1)
				begun := make(chan struct{})
				request := r.request(t, ctx, q)
				go func() {
					resp, err := r.client.Do(request)
					if err == nil {
						in := bufio.NewReader(resp.Body)
						_, _ = in.ReadString('\n')
						close(begun)
						_, err = io.Copy(io.Discard, in)
						resp.Body.Close()
					}
					done <- err
				}()
				if _, err := r.ups[f.up].Journal().Wait(t.Context(), seen+1); err != nil {
					t.Fatal(err)
				}
				if c.after {
					<-begun
				}
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("the client ended with %v", err)
				}
				if end := r.ended(t, f.up); end.Outcome != upstreamtest.ClientGone {
					t.Errorf("the upstream saw %+v", end)
				}
				for _, tr := range r.all(t, seen+1-r.otherSeen(f)) {
					if o := tr.outcome; o.State != string(llm.CutByClient) || o.Fault != "" && o.Fault != "bad_request" || o.Returned != "" {
						t.Errorf("state %s, fault %s, returned %s", o.State, o.Fault, o.Returned)
					} else {
						charged(t, formatOf(o.Endpoint, o.Stream), o, false)
					}
				}
			})
		}
	}
}

// otherSeen is how many fewer requests an upstream has seen than there were exchanges.
func (r *rig) otherSeen(f format) int {
	n := 0
	for name, up := range r.ups {
		if name != f.up {
			n -= up.Journal().Len()
		}
	}
	return n
}

func formatOf(endpoint string, stream bool) format {
	for _, f := range formats {
		if string(f.ep) == endpoint && f.stream == stream {
			return f
		}
	}
	return format{}
}

// TestHalfClosed: a client that closes its sending half looks as if it had left. If
// it reads on, nothing that it reads passes for a clean end.
func TestHalfClosed(t *testing.T) {
	r := newRig(t, plan{})
	for _, f := range formats {
		for _, knobs := range []string{"[[stall=6]]", "[[delay=1m]]"} {
			if !f.stream && knobs == "[[stall=6]]" {
				continue
			}
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			body := f.body(f.model, "hello "+knobs)
			if _, err := io.WriteString(conn, strings.ReplaceAll(post(f.at(f.model), body), "$KEY", r.key)); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			if knobs == "[[stall=6]]" {
				if _, err := in.Peek(1); err != nil { // the first content is on its way
					t.Fatal(err)
				}
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := read(resp)
			switch {
			case got.err != nil: // broken off
			case got.status == http.StatusOK:
				_, frame := f.splitFrame(t, got)
				f.isFrame(t, frame, got.rid)
			default:
				f.isFault(t, got, fault.BadRequest)
			}
			if o := r.outcome(t, got); o.State != string(llm.CutByClient) {
				t.Errorf("%s %s: state %s", f.name, knobs, o.State)
			}
		}
	}
}

// TestStopDeadline: Stop does not wait longer than it is told to.
func TestStopDeadline(t *testing.T) {
	r := newRig(t, plan{})
	f := formatNamed("messages")
	c := r.begin(t, f, "[[delay=1m]]")
	if _, err := r.ups[an].Journal().Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Stop(ctx); !errors.Is(err, gateway.ErrDraining) {
		t.Errorf("stopped with %v", err)
	}
	c.leave(t)
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
