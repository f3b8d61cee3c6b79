package gateway_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/llm"
)

// padded is a chat request of exactly n bytes.
func padded(n int) string {
	const head, tail = `{"model":"fast","messages":[{"role":"user","content":"`, `"}]}`
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

func TestBodySize(t *testing.T) {
	const limit = 50_000
	r := newRig(t, plan{limits: func(l *gateway.Limits) { l.Body = limit }})
	for _, f := range formats {
		for _, chunked := range []bool{false, true} {
			over := r.do(t, call{path: f.at(f.model), body: padded(limit + 1), chunked: chunked})
			f.isFault(t, over, fault.TooLarge)
			if x := r.refusal(t, over); x.InBytes != 0 || x.Req != "" {
				t.Errorf("%s: %d bytes and hash %q of a body that was not read", f.name, x.InBytes, x.Req)
			}
		}
	}
	if n := r.ups[oa].Journal().Len() + r.ups[an].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	for _, chunked := range []bool{false, true} {
		got := r.do(t, call{path: "/v1/chat/completions", body: padded(limit), chunked: chunked})
		if got.status != http.StatusOK || r.outcome(t, got).InBytes != limit {
			t.Errorf("status %d at the limit", got.status)
		}
	}
}

func gzipped(s string) string {
	return compressed(s, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func zlibbed(s string) string {
	return compressed(s, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

func compressed(s string, to func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := to(&b)
	_, err := io.WriteString(w, s)
	if err = cmpErr(err, w.Close()); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return b.String()
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestEncodedBody(t *testing.T) {
	r := newRig(t, plan{tap: true, limits: func(l *gateway.Limits) { l.Body = 3 << 20 }})
	f := formatNamed("responses stream")
	plain := f.body(f.model, "hello "+strings.Repeat("worlds ", 100))
	half := len(plain) / 2
	raw := compressed(plain, func(w io.Writer) io.WriteCloser { z, _ := flate.NewWriter(w, 6); return z })
	broken := []byte(gzipped(plain))
	broken[len(broken)-6] ^= 1 // the checksum
	for _, c := range []struct {
		name     string
		encoding []string
		body     string
		kind     fault.Kind
		good     bool
	}{
		{"gzip", []string{"gzip"}, gzipped(plain), 0, true},
		{"gzip in capitals", []string{" GZIP "}, gzipped(plain), 0, true},
		{"x-gzip", []string{"x-gzip"}, gzipped(plain), 0, true},
		{"two gzip members", []string{"gzip"}, gzipped(plain[:half]) + gzipped(plain[half:]), 0, true},
		{"deflate", []string{"deflate"}, zlibbed(plain), 0, true},
		{"identity", []string{"identity"}, plain, 0, true},
		{"no encoding", []string{""}, plain, 0, true},
		{"not gzip", []string{"gzip"}, plain, fault.BadRequest, false},
		{"not deflate", []string{"deflate"}, plain, fault.BadRequest, false},
		{"deflate without zlib", []string{"deflate"}, raw, fault.BadRequest, false},
		{"gzip cut off", []string{"gzip"}, gzipped(plain)[:60], fault.BadRequest, false},
		{"gzip with a wrong checksum", []string{"gzip"}, string(broken), fault.BadRequest, false},
		{"data after gzip", []string{"gzip"}, gzipped(plain) + "x", fault.BadRequest, false},
		{"data after deflate", []string{"deflate"}, zlibbed(plain) + `{"model":"other"}`, fault.BadRequest, false},
		{"data after the document", []string{"gzip"}, gzipped(plain) + gzipped(plain), fault.BadRequest, false},
		{"gzip of nothing", []string{"gzip"}, gzipped(""), fault.BadRequest, false},
		{"gzip of gzip", []string{"gzip"}, gzipped(gzipped(plain)), fault.BadRequest, false},
		{"br", []string{"br"}, plain, fault.UnsupportedMedia, false},
		{"zstd", []string{"zstd"}, plain, fault.UnsupportedMedia, false},
		{"gzip twice", []string{"gzip, gzip"}, gzipped(gzipped(plain)), fault.UnsupportedMedia, false},
		{"two encodings", []string{"gzip", "deflate"}, gzipped(plain), fault.UnsupportedMedia, false},
		{"identity twice", []string{"identity", "identity"}, plain, fault.UnsupportedMedia, false},
		{"bomb by size", []string{"gzip"}, gzipped(padded(4 << 20)), fault.TooLarge, false},
		{"bomb by size, deflate", []string{"deflate"}, zlibbed(padded(4 << 20)), fault.TooLarge, false},
		{"bomb by ratio", []string{"gzip"}, gzipped(padded(5 << 19)), fault.TooLarge, false},
		{"bomb by ratio, deflate", []string{"deflate"}, zlibbed(padded(5 << 19)), fault.TooLarge, false},
		{"high ratio of little", []string{"gzip"}, gzipped(`{"model":"fast","input":"hi","x":"` + strings.Repeat("x", 900_000) + `"}`), 0, true},
	} {
		for _, chunked := range []bool{false, true} {
			got := r.do(t, call{path: f.at(f.model), body: c.body, header: http.Header{"Content-Encoding": c.encoding}, chunked: chunked})
			if !c.good {
				f.isFault(t, got, c.kind)
				r.refusal(t, got)
				r.taps[oa].none(t)
			} else if o := r.outcome(t, got); got.status == http.StatusOK && o.State == string(llm.Complete) {
				up := r.taps[oa].take(t)
				if c.name != "high ratio of little" {
					commits(t, "req", o.Req, []byte(plain), nil)
				}
				if !bytes.Contains(up.body, []byte(`"gpt-5-mini"`)) || up.header.Get("Content-Encoding") != "" || o.InBytes <= int64(len(up.body)-20) {
					t.Errorf("%s: the upstream received %s", c.name, clipped(up.body))
				}
			} else {
				t.Errorf("status %d, state %s", got.status, o.State)
			}
			if t.Failed() {
				t.Fatalf("%s, chunked %t", c.name, chunked)
			}
		}
	}
}

func TestContentType(t *testing.T) {
	r := newRig(t, plan{})
	f := formatNamed("messages")
	for typ, good := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "Application/JSON;charset=\"UTF-8\"": true,
		"application/json; odata=verbose": true, "application/json;": true,
		"application/json; charset=utf-16": false, "application/json; charset=iso-8859-1": false, "text/plain": false, "text/json": false,
		"application/x-www-form-urlencoded": false, "multipart/form-data; boundary=x": false, "application/json, text/plain": false,
		"application/jsonp": false, "application/vnd.api+json": false, ";": false, "application/octet-stream": false,
	} {
		c := f.call("hello")
		c.header = http.Header{"Content-Type": {typ}}
		got := r.do(t, c)
		if good && got.status != http.StatusOK {
			t.Errorf("%s: status %d", typ, got.status)
		}
		if !good {
			f.isFault(t, got, fault.UnsupportedMedia)
		}
	}
	c := f.call("hello")
	c.header = http.Header{"Content-Type": nil}
	if got := r.do(t, c); got.status != http.StatusOK {
		t.Errorf("no content type: status %d", got.status)
	}
}

// TestSlowBody: a body that does not come in time frees its slot.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{slots: 1, limits: func(l *gateway.Limits) { l.BodyTime = 300 * time.Millisecond }})
	for _, f := range []format{formatNamed("chat"), formatNamed("messages")} {
		for _, encoding := range []string{"", "gzip"} {
			body, w := io.Pipe()
			go io.WriteString(w, `{"model":`) // nobody closes w in time
			q := r.request(t, t.Context(), call{method: http.MethodPost, path: f.at(f.model)})
			q.Body, q.ContentLength = body, -1
			q.Header.Set("Content-Type", "application/json")
			q.Header.Set("Content-Encoding", encoding)
			resp, err := r.client.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			got := read(resp)
			w.Close()
			f.isFault(t, got, fault.BadRequest)
			r.refusal(t, got)
			// The slot is free, and the time for a body bounds nothing that follows.
			if again := r.do(t, f.call("hello [[delay=500ms]]")); again.status != http.StatusOK {
				t.Errorf("afterwards: status %d", again.status)
			}
		}
	}
}

// TestTotalTime: an answer that never ends is ended, whole or streamed.
func TestTotalTime(t *testing.T) {
	t.Parallel()
	p := plan{limits: func(l *gateway.Limits) { l.Total = 600 * time.Millisecond }}
	all := newRig(t, p)
	one := newRig(t, plan{upstream: total})
	for _, f := range formats {
		for _, r := range []*rig{all, one} {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				knobs := "delay=1m"
				if f.stream {
					knobs = "frames=400 gap=20ms"
				}
				q := f.call("go on [[" + knobs + "]]")
				if f.anthropic() && f.stream {
					q.body = strings.Replace(q.body, `"max_tokens":64`, `"max_tokens":1000000`, 1)
				}
				got := r.do(t, q)
				if f.stream {
					_, frame := f.splitFrame(t, got)
					f.isFrame(t, frame, got.rid)
				} else {
					f.isFault(t, got, fault.UpstreamTimeout)
				}
				o := r.outcome(t, got)
				if o.State != string(llm.TimedOut) || o.Fault != fault.UpstreamTimeout.String() {
					t.Errorf("state %s, fault %s", o.State, o.Fault)
				}
				charged(t, f, o, false)
			})
		}
	}
}

// TestPingsKeepAlive: frames without content hold off the stall limit, not the total.
func TestPingsKeepAlive(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{tap: true, limits: func(l *gateway.Limits) { l.Stall, l.FirstFrame = time.Second, time.Second }})
	for _, f := range formats {
		if !f.stream {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			got := r.do(t, f.call("patience [[pings=15 gap=100ms frames=1]]"))
			up := r.taps[f.up].take(t)
			if o := r.outcome(t, got); o.State != string(llm.Complete) || !bytes.HasPrefix(got.body, up.answered[:100]) {
				t.Errorf("state %s: %s", o.State, got.body)
			}
		})
	}
}

// TestSlots: a key has no more exchanges under way than it may, and gets each slot back.
func TestSlots(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			r := newRig(t, plan{slots: 2})
			first, second := r.begin(t, f, "[[delay=1m]]"), r.begin(t, f, "[[delay=1m]]")
			if _, err := r.ups[f.up].Journal().Wait(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			got := r.do(t, f.call("hello"))
			f.isFault(t, got, fault.RateLimited)
			if got.header.Get("Retry-After") == "" || !got.closed {
				t.Errorf("retry-after %q, connection closed %t", got.header.Get("Retry-After"), got.closed)
			}
			r.refusal(t, got)
			first.leave(t)
			for r.do(t, f.call("hello")).status == http.StatusTooManyRequests { // until the slot is given back
				if t.Context().Err() != nil {
					t.Fatal("a slot is not given back")
				}
			}
			second.leave(t)
		})
	}
}

// TestUsualSlots: the configured number holds for a key that has none of its own,
// and other keys are not held up.
func TestUsualSlots(t *testing.T) {
	r := newRig(t, plan{limits: func(l *gateway.Limits) { l.KeySlots = 1 }})
	f := formatNamed("messages stream")
	c := r.begin(t, f, "[[delay=1m]]")
	if _, err := r.ups[an].Journal().Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	f.isFault(t, r.do(t, f.call("hello")), fault.RateLimited)
	// Not a byte of the body is asked for.
	waiting := post(f.at(f.model), f.body(f.model, "hello"), "Expect: 100-continue")
	if statuses, _ := r.raw(t, strings.ReplaceAll(waiting, "$KEY", r.key)); len(statuses) == 0 || statuses[0] != http.StatusTooManyRequests {
		t.Errorf("statuses %v", statuses)
	}
	if free := r.do(t, call{path: "/v1/models"}); free.status != http.StatusOK {
		t.Errorf("the list of models takes no slot, but has status %d", free.status)
	}
	other := f.call("hello")
	other.key = r.newKey(t, auth.KeySpec{Project: "q"})
	if got := r.do(t, other); got.status != http.StatusOK || r.outcome(t, got).Project != "q" {
		t.Errorf("another key: status %d", got.status)
	}
	c.leave(t)
}

// TestDrain: while the gateway stops nothing new begins and everything under way ends well.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{})
	if got := r.do(t, call{path: "/readyz", key: "-"}); got.status != http.StatusOK {
		t.Fatalf("readyz: status %d", got.status)
	}
	f := formatNamed("chat stream")
	q := r.request(t, t.Context(), f.call("slowly [[frames=10 gap=60ms]]"))
	running, err := r.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop(t.Context()) }()
	for !r.Draining() {
		r.do(t, call{path: "/healthz", key: "-"})
	}
	for _, f := range formats {
		f.isFault(t, r.do(t, f.call("hello")), fault.Unavailable)
	}
	for path, want := range map[string]int{"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK} {
		if got := r.do(t, call{path: path, key: "-"}); got.status != want {
			t.Errorf("%s: status %d, want %d", path, got.status, want)
		}
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with an exchange under way: %v", err)
	default:
	}
	got := read(running)
	if o := r.outcome(t, got); o.State != string(llm.Complete) || !bytes.HasSuffix(got.body, []byte("data: [DONE]\n\n")) {
		t.Errorf("state %s: %s", o.State, got.body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := r.ups[oa].Journal().Len(); n != 1 {
		t.Errorf("%d requests were sent", n)
	}
}
