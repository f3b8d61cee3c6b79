package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

// peculiar is an upstream that is one handler.
func peculiar(t testing.TB, h http.HandlerFunc) func(*gateway.Snapshot) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return pointedAt(t, s.URL+"/v1")
}

// emit writes a piece of an answer at once.
func emit(w http.ResponseWriter, text string) bool {
	if _, err := io.WriteString(w, text); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

// tick waits for a little while, or until the gateway leaves.
func tick(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

const (
	contentChunk = `data: {"id":"x","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}` + "\n\n"
	finishChunk  = `data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	doneChunk    = "data: [DONE]\n\n"
)

// TestTrickle: a whole answer, or an error, that comes slowly but steadily is not stalled.
func TestTrickle(t *testing.T) {
	t.Parallel()
	for status, state := range map[int]llm.Terminal{200: llm.Complete, 429: llm.UpstreamStatus} {
		r := newRig(t, plan{limits: func(l *gateway.Limits) { l.Stall, l.FirstFrame = time.Second, time.Second }, snapshot: peculiar(t, func(w http.ResponseWriter, q *http.Request) {
			w.WriteHeader(status)
			for i := range len(goodChat) {
				if i%20 == 0 && !tick(q, 150*time.Millisecond) || !emit(w, goodChat[i:i+1]) {
					return
				}
			}
		})})
		got := r.do(t, formatNamed("chat").call("hello"))
		if o := r.outcome(t, got); o.State != string(state) || got.status != status || string(got.body) != goodChat {
			t.Errorf("state %s, status %d: %s", o.State, got.status, got.body)
		}
	}
}

// TestNoCleanEnd: streams that official clients would read to a clean end, though the
// upstream reported an error or never ended its answer, end with our own frame.
func TestNoCleanEnd(t *testing.T) {
	const (
		created = `event: response.created` + "\n" + `data: {"type":"response.created","response":{"id":"r","status":"in_progress"}}` + "\n\n"
		delta   = `event: response.output_text.delta` + "\n" + `data: {"type":"response.output_text.delta","delta":"hi"}` + "\n\n"
		block   = `event: content_block_delta` + "\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}` + "\n\n"
		flat    = "event: error\n" + `data: {"message":"overloaded"}` + "\n\n"
		other   = "event: message\n" + `data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}` + "\n\n"
	)
	for _, c := range []struct {
		format, sent, passed string
		state                llm.Terminal
	}{
		{"chat stream", contentChunk + flat, contentChunk + flat, llm.ErrorFrame},
		{"chat stream", contentChunk + `data: {"error":{}}` + "\n\n" + doneChunk, contentChunk + `data: {"error":{}}` + "\n\n", llm.ErrorFrame},
		{"chat stream", flat, flat, llm.ErrorFrame},
		{"responses stream", created + delta + flat, created + delta + flat, llm.ErrorFrame},
		{"responses stream", created + delta + doneChunk, created + delta, llm.CutByUpstream},
		{"messages stream", block + other, block + other, llm.ErrorFrame},
	} {
		f := formatNamed(c.format)
		r := newRig(t, plan{tap: true, snapshot: func(s *gateway.Snapshot) {
			at := newTap(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				emit(w, c.sent)
			}))
			s.Upstreams[f.up] = newUpstream(t, f.up, vendorOf(f), at.url, plan{})
		}})
		got := r.do(t, f.call("hello"))
		rest, frame := f.splitFrame(t, got)
		f.isFrame(t, frame, got.rid)
		o := r.outcome(t, got)
		if string(rest) != c.passed || o.State != string(c.state) || o.Fault == "" {
			t.Errorf("%s: state %s, fault %s: %s", c.format, o.State, o.Fault, got.body)
		}
		commits(t, "res", o.Returned, []byte(c.sent), []wire.Edit{{Span: wire.Span{Start: len(c.passed), End: len(c.sent)}, With: frame}})
	}
}

// TestEchoInTheTail: a credential behind the last whole event of a stream that ends
// without its end mark is withheld, and known of.
func TestEchoInTheTail(t *testing.T) {
	r := newRig(t, plan{snapshot: peculiar(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		emit(w, contentChunk+finishChunk+": "+q.Header.Get("Authorization"))
	})})
	f := formatNamed("chat stream")
	got := r.do(t, f.call("hello"))
	rest, frame := f.splitFrame(t, got)
	f.isFrame(t, frame, got.rid)
	if o := r.outcome(t, got); o.State != string(llm.CredentialEcho) || string(rest) != contentChunk+finishChunk {
		t.Errorf("state %s: %s", o.State, got.body)
	}
}

// TestAfterTheEnd: once the answer is complete the client has it, and what an
// upstream does afterwards (stays, talks on, or gives its credential away) changes
// nothing and does not keep the exchange.
func TestAfterTheEnd(t *testing.T) {
	t.Parallel()
	f := formatNamed("chat stream")
	for name, c := range map[string]struct {
		after func(w http.ResponseWriter, q *http.Request)
		state llm.Terminal
		extra string // that reaches the client all the same
	}{
		"stays": {func(_ http.ResponseWriter, q *http.Request) { tick(q, time.Minute) }, llm.Complete, ""},
		"talks on": {func(w http.ResponseWriter, q *http.Request) {
			for tick(q, 50*time.Millisecond) && emit(w, ": still here\n\n") {
			}
		}, llm.Complete, ": still here\n\n"},
		"reports an error": {func(w http.ResponseWriter, _ *http.Request) { emit(w, `data: {"error":{"message":"late"}}`+"\n\n") }, llm.Complete, `data: {"error":{"message":"late"}}` + "\n\n"},
		"gives its credential away": {func(w http.ResponseWriter, q *http.Request) {
			emit(w, ": "+q.Header.Get("Authorization")+"\n\n")
		}, llm.CredentialEcho, ""},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) { emit(w, "data: {"); panic(http.ErrAbortHandler) }, llm.Complete, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, plan{snapshot: peculiar(t, func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				if emit(w, contentChunk+finishChunk+doneChunk) {
					c.after(w, q)
				}
			})})
			start := time.Now()
			got := r.do(t, f.call("hello"))
			whole := contentChunk + finishChunk + doneChunk
			if rest, ok := strings.CutPrefix(string(got.body), whole); !ok || strings.ReplaceAll(rest, c.extra, "") != "" || got.err != nil {
				t.Errorf("%v: %s", got.err, got.body)
			}
			if o := r.outcome(t, got); o.State != string(c.state) {
				t.Errorf("state %s", o.State)
			}
			if took := time.Since(start); took > 15*time.Second { // the stall limit is 20 s
				t.Errorf("the exchange lasted %s", took)
			}
		})
	}
}

// TestManyFramesBeforeContent: what is held back until the first content is bounded.
func TestManyFramesBeforeContent(t *testing.T) {
	seen := make(chan struct{})
	r := newRig(t, plan{snapshot: peculiar(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 20 {
			if !emit(w, ": "+strings.Repeat("x", 64<<10)+"\n\n") {
				return
			}
		}
		select { // nothing more until the client has some of it
		case <-seen:
			emit(w, contentChunk+finishChunk+doneChunk)
		case <-q.Context().Done():
		}
	})})
	f := formatNamed("chat stream")
	resp, err := r.client.Do(r.request(t, t.Context(), f.call("hello")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	close(seen)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.HasSuffix(rest, []byte(doneChunk)) || len(rest) < 20*64<<10 {
		t.Errorf("%v after %d bytes", err, len(rest))
	}
}

// TestSlowClient: a client that takes its time is not mistaken for an upstream
// that is silent.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	const frames = 300
	r := newRig(t, plan{limits: func(l *gateway.Limits) { l.Stall = 400 * time.Millisecond }, snapshot: peculiar(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		large := strings.Replace(contentChunk, "hi", strings.Repeat("words ", 150), 1)
		for range frames {
			if !emit(w, large) {
				return
			}
		}
		emit(w, doneChunk)
	})})
	// Small buffers on both ends, so that they are full soon.
	front := httptest.NewUnstartedServer(r.Gateway)
	front.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetWriteBuffer(8 << 10); err != nil {
			t.Error(err)
		}
		return ctx
	}
	front.Start()
	t.Cleanup(front.Close)
	r.url = front.URL
	r.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(8 << 10)
		}
		return conn, err
	}}}
	resp, err := r.client.Do(r.request(t, t.Context(), formatNamed("chat stream").call("much")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	<-time.After(1200 * time.Millisecond) // longer than the stall limit
	rest, err := io.ReadAll(in)
	if err != nil || !strings.HasSuffix(string(rest), doneChunk) {
		t.Errorf("%v after %d bytes: %s", err, len(rest), rest[max(0, len(rest)-300):])
	}
	o := r.outcome(t, answer{rid: resp.Header.Get("X-Request-Id")})
	if o.State != string(llm.Complete) {
		t.Errorf("state %s", o.State)
	}
}

// TestClassWorsensMeanwhile: a local server that comes to say that a model runs
// elsewhere is not asked, though it was permitted when the exchange began.
func TestClassWorsensMeanwhile(t *testing.T) {
	var remote, asked atomic.Bool
	var r *rig
	local := func(c *upstream.Config) { c.Class = label.OnSite }
	serve := func(chat http.HandlerFunc) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			switch {
			case q.URL.Path == "/v1/models":
				emit(w, `{"data":[{"id":"m"}]}`)
			case q.URL.Path == "/api/tags" && remote.Load():
				emit(w, `{"models":[{"name":"m","remote_host":"https://elsewhere.example"}]}`)
			case q.URL.Path == "/api/tags":
				emit(w, `{"models":[{"name":"m"}]}`)
			default:
				chat(w, q)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL + "/v1"
	}
	then := newUpstream(t, oa2, upstreamtest.OpenAI, serve(func(http.ResponseWriter, *http.Request) { asked.Store(true) }), plan{upstream: local})
	first := newUpstream(t, oa, upstreamtest.OpenAI, serve(func(w http.ResponseWriter, q *http.Request) {
		remote.Store(true)
		if err := then.Refresh(q.Context()); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}), plan{upstream: local})
	r = newRig(t, plan{snapshot: func(s *gateway.Snapshot) {
		s.Label = label.Restricted
		s.Upstreams = map[identity.Upstream]*upstream.Upstream{oa: first, oa2: then}
		s.Models[fast] = []gateway.Target{{Upstream: oa, Model: "m"}, {Upstream: oa2, Model: "m"}}
	}})
	clear(r.ups) // nobody asks them
	f := formatNamed("chat")
	got := r.do(t, f.call("hello"))
	f.isFault(t, got, fault.UpstreamFailed)
	if o := r.outcome(t, got); len(o.Attempts) != 1 || asked.Load() {
		t.Errorf("attempts %+v", o.Attempts)
	}
}

// TestLoop: a request that has passed here before is refused on every route.
func TestLoop(t *testing.T) {
	r := newRig(t, plan{})
	for _, route := range gateway.Routes() {
		c, f := routeCall(t, route)
		setHeader(&c, "X-Sallyport-Hop", "elsewhere,instance0000")
		f.isFault(t, r.do(t, c), fault.LoopDetected)
	}
	if n := r.ups[oa].Journal().Len() + r.ups[an].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}
