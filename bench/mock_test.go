package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mocked starts a mock in this process.
func mocked(t *testing.T, m *mock) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String()
}

// ask sends a body with net/http, whose reading of HTTP is not ours.
func ask(t *testing.T, addr, body string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestMockUnary(t *testing.T) {
	_, b := ask(t, mocked(t, &mock{}), `{"messages":[]}`)
	var v struct {
		Usage struct {
			Total int `json:"total_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(b), &v); err != nil || len(b) != 1<<10 || v.Usage.Total != 460 {
		t.Errorf("%d bytes, total %d, %v", len(b), v.Usage.Total, err)
	}
}

func TestMockStream(t *testing.T) {
	addr := mocked(t, &mock{})
	for _, usage := range []bool{false, true} {
		for _, gap := range []string{"0s", "100us"} {
			body := fmt.Sprintf(`{"stream":true,"user":"bench gap=%s frames=40","messages":[],"stream_options":{"include_usage":%v}}`, gap, usage)
			resp, b := ask(t, addr, body)
			want := frames + 2
			if usage {
				want++
			}
			if strings.Count(b, "\n\n") != want || strings.Contains(b, `"usage"`) != usage || !strings.HasSuffix(b, string(endMark)) {
				t.Errorf("gap %s, usage %v: %d events", gap, usage, strings.Count(b, "\n\n"))
			}
			if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
				t.Errorf("content type %q", ct)
			}
			for event := range strings.SplitSeq(strings.TrimSuffix(b, string(endMark)), "\n\n") {
				if data, ok := strings.CutPrefix(event, "data: "); ok && !json.Valid([]byte(data)) {
					t.Errorf("event %q", event)
				}
			}
		}
	}
}

// TestMockMessages: in Anthropic's format it says the same as in OpenAI's.
func TestMockMessages(t *testing.T) {
	addr := mocked(t, &mock{})
	said := map[bool]string{}
	for _, stream := range []bool{false, true} {
		body := fmt.Sprintf(`{"messages":[],"metadata":{"user_id":"bench gap=100us frames=3"},"stream":%v}`, stream)
		resp, err := http.Post("http://"+addr+"/v1/messages", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		said[stream] = string(b)
	}
	var v struct {
		Type    string
		Content []struct{ Text string }
		Usage   struct {
			Output int `json:"output_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(said[false]), &v); err != nil || v.Type != "message" || v.Content[0].Text != story || v.Usage.Output != 160 {
		t.Errorf("%s, %v", said[false], err)
	}
	var names []string
	for event := range strings.SplitSeq(strings.TrimSuffix(said[true], "\n\n"), "\n\n") {
		name, data, _ := strings.Cut(strings.TrimPrefix(event, "event: "), "\ndata: ")
		var v struct{ Type string }
		if err := json.Unmarshal([]byte(data), &v); err != nil || v.Type != name {
			t.Errorf("event %q, %v", event, err)
		}
		names = append(names, name)
	}
	delta := "content_block_delta"
	want := []string{"message_start", "content_block_start", delta, delta, delta, "content_block_stop", "message_delta", "message_stop"}
	if !slices.Equal(names, want) {
		t.Errorf("events %q", names)
	}
}

// TestMockLog: the line is there before the answer.
func TestMockLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	addr := mocked(t, &mock{log: f})
	b, at := body("m", 1<<10, true, "gap=1h")
	setNonce(b, at, 7)
	resp, err := http.Post("http://"+addr+"/v1/chat/completions", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // its second frame would come in an hour
	nonces, err := readNonces(path)
	if err != nil || len(nonces) != 1 || nonces[0] != strings.Repeat("0", 15)+"7" {
		t.Errorf("log holds %q, %v", nonces, err)
	}
}

// TestMockEarly: what is to come early is there before the body has been sent.
func TestMockEarly(t *testing.T) {
	for early, want := range map[string]int{"first": 1, "all": frames + 3} {
		c, err := net.Dial("tcp", mocked(t, &mock{early: early}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b, _ := body("m", 1<<10, true, "gap=1ms")
		req, _ := request("x", "k", b, 0)
		if _, err := c.Write(req[:len(req)-len(b)]); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(chunkStart)*want)
		if _, err := io.ReadFull(resp.Body, got); err != nil {
			t.Fatalf("%s: %v before the body was sent", early, err)
		}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(resp.Body)
		all := string(got) + string(rest)
		if err != nil || strings.Count(all, "\n\n") < frames+2 || !strings.HasSuffix(all, string(endMark)) {
			t.Errorf("%s: %d events in all, %v", early, strings.Count(all, "\n\n"), err)
		}
	}
}

// TestMockReadsChunkedBodies: a proxy may send them.
func TestMockReadsChunkedBodies(t *testing.T) {
	addr := mocked(t, &mock{})
	for range 2 { // twice on one connection: the first body was read to its end
		resp, err := http.Post("http://"+addr+"/", "application/json", io.MultiReader(strings.NewReader(`{"stream":true,`), strings.NewReader(`"messages":[]}`)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.HasSuffix(string(b), string(endMark)) {
			t.Errorf("%q, %v", b, err)
		}
	}
}

// TestProxies: both baselines hand on what the mock answers.
func TestProxies(t *testing.T) {
	to, err := url.Parse("http://" + mocked(t, &mock{}))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*httputil.ReverseProxy{"rp": bareProxy(to), "rpbuf": tunedProxy(to)} {
		addr := served(t, p.ServeHTTP)
		for _, s := range []scenario{{bytes: 10 << 10}, {bytes: 1 << 10, stream: true}} {
			seen := plan{addr: addr, model: "m", key: "k", s: s, conns: 2, timeout: 5 * time.Second}.count(t.Context(), 10)
			if err := seen.err(); err != nil || len(seen.latency) != 10 {
				t.Errorf("%s, stream %v: %v", name, s.stream, err)
			}
		}
	}
}
