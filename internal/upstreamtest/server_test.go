package upstreamtest

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestExpect: what Expect computes is what arrives, on every route.
func TestExpect(t *testing.T) {
	oa, an := start(t, Config{}), start(t, Config{Vendor: Anthropic})
	for _, c := range []struct {
		s          *Server
		path, body string
		text       string
		in, out    string
	}{
		{oa, "/v1/chat/completions", chatBody("hello nonce-X1 [[frames=30]]", ""), "choices.0.message.content", "usage.prompt_tokens", "usage.completion_tokens"},
		{oa, "/v1/responses", `{"model":"gpt-5-mini","input":"hello nonce-X2"}`, "output.0.content.0.text", "usage.input_tokens", "usage.output_tokens"},
		{an, "/v1/messages", messagesBody("hello nonce-X3", `,"system":"s"`), "content.0.text", "usage.input_tokens", "usage.output_tokens"},
	} {
		want, err := Expect(c.path, []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		v := decode(t, ok(t, c.s, c.path, c.body).body)
		got := [3]string{v.text(c.text), v.num(c.in), v.num(c.out)}
		if diff := cmp.Diff([3]string{want.Text, fmt.Sprint(want.Prompt), fmt.Sprint(want.Completion)}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
		if !strings.Contains(want.Text, "nonce:"+want.Nonce+" ") || want.Nonce == "-" {
			t.Errorf("%s: nonce %q in %q", c.path, want.Nonce, want.Text)
		}
	}
	tools, err := Expect("/v1/chat/completions", []byte(chatBody("get_time", weatherTools)))
	if err != nil || len(tools.Calls) != 1 || tools.Stop != StopTool {
		t.Errorf("%+v, %v", tools, err)
	}
	for path, body := range map[string]string{"/v1/embeddings": "{}", "/v1/messages": "{", "/v1/responses": "{}"} {
		if a, err := Expect(path, []byte(body)); err == nil {
			t.Errorf("%s %s gave %+v", path, body, a)
		}
	}
}

// TestJournal: requests are kept as they arrived, with their connection.
func TestJournal(t *testing.T) {
	s := start(t, Config{})
	c := client(t)
	body := chatBody("one nonce-J1", "")
	r := request(t, s, http.MethodPost, chatPath+"?q=1", body)
	r.Header.Set("X-Custom", "kept")
	do(t, c, r)
	do(t, c, request(t, s, http.MethodPost, chatPath, chatBody("two nonce-J2", "")))
	do(t, client(t), request(t, s, http.MethodGet, "/v1/models", ""))
	got, err := s.Journal().Wait(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	first := got[0]
	if first.Target != chatPath+"?q=1" || string(first.Body) != body || first.Nonce != "J1" || first.Header.Get("X-Custom") != "kept" ||
		first.Length != int64(len(body)) || first.Header.Get("Authorization") != "Bearer "+testKey {
		t.Errorf("%+v", first)
	}
	equal(t, "same connection", got[1].Conn == first.Conn && got[1].Use == 2, true)
	equal(t, "other connection", got[2].Conn != first.Conn && got[2].Use == 1, true)
	equal(t, "by nonce", len(s.Journal().ByNonce("J2")), 1)
	for i, want := range []Ending{{Answered, 200, 0}, {Answered, 200, 0}, {Answered, 200, 0}} {
		e, err := s.Journal().WaitEnd(t.Context(), i+1)
		if err != nil || e != want {
			t.Errorf("ending %d is %+v, %v", i, e, err)
		}
	}
	a := post(t, s, chatPath, chatBody("[[cut=2]]", `,"stream":true`))
	if e, err := s.Journal().WaitEnd(t.Context(), 4); err != nil || e != (Ending{WasCut, 200, 2}) || a.err == nil {
		t.Errorf("cut ended %+v, %v", e, err)
	}
}

// TestMirrorBeforeAnswer: the line is in the file when the first byte of the
// answer arrives, also for a request that is never answered.
func TestMirrorBeforeAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seen.jsonl")
	s := start(t, Config{LogPath: path, LogBody: 10, LogHeaders: true})
	resp, err := client(t).Do(request(t, s, http.MethodPost, chatPath, chatBody("nonce-M1 [[stall=1]]", `,"stream":true`)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var l line
	if err := json.Unmarshal(bytes.TrimSpace(b), &l); err != nil {
		t.Fatal(err)
	}
	if l.Nonce != "M1" || l.Seq != 1 || l.Method != "POST" || len(l.Body) != 10 || l.Header.Get("Authorization") == "" || len(l.SHA256) != 64 {
		t.Errorf("%s", b)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestMirrorFailure: a request that cannot be recorded is not answered.
func TestMirrorFailure(t *testing.T) {
	s := start(t, Config{LogPath: filepath.Join(t.TempDir(), "seen.jsonl")})
	s.journal.mirror.Close()
	equal(t, "status", post(t, s, chatPath, chatBody("x", "")).StatusCode, 500)
	equal(t, "recorded", s.Journal().Len(), 0)
	s.journal.mirror = nil
}

// TestEarly: the whole answer arrives before the body has been sent, and the
// request is recorded afterwards.
func TestEarly(t *testing.T) {
	s := start(t, Config{})
	s.Next(Behaviour{Early: true, Frames: 5})
	body := chatBody("nonce-E1", "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		chatPath, testKey, len(body))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stream []byte
	for !bytes.Contains(stream, []byte("[DONE]\n\n")) { // the message ends only after the body
		b := make([]byte, 4096)
		n, err := resp.Body.Read(b)
		if stream = append(stream, b[:n]...); err != nil {
			t.Fatalf("%v after %q", err, stream)
		}
	}
	equal(t, "recorded before the body", s.Journal().Len(), 0)
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	got, err := s.Journal().Wait(t.Context(), 1)
	if err != nil || got[0].Nonce != "E1" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestTLS: over HTTP/2 the answers are the same and a cut aborts the stream.
func TestTLS(t *testing.T) {
	cert, pool := selfSigned(t)
	s := start(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr}
	a := do(t, c, request(t, s, http.MethodPost, chatPath, chatBody("x", `,"stream":true`)))
	equal(t, "protocol", a.Proto, "HTTP/2.0")
	chatStream(t, a)
	a = do(t, c, request(t, s, http.MethodPost, chatPath, chatBody("[[cut=2]]", `,"stream":true`)))
	equal(t, "frames", len(events(t, a.body)), 2)
	equal(t, "broken", a.err != nil, true)
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestStartRefuses(t *testing.T) {
	for _, cfg := range []Config{{Listen: "0.0.0.0:0"}, {Listen: "nonsense"}, {Vendor: "acme"}, {LogPath: t.TempDir()}} {
		if s, err := Start(cfg); err == nil {
			s.Close()
			t.Errorf("%+v started", cfg)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	s := start(t, Config{MaxBody: 100})
	if a := post(t, s, chatPath, chatBody(strings.Repeat("x", 200), "")); a.StatusCode != 500 {
		t.Errorf("status %d", a.StatusCode)
	}
	equal(t, "kept", len(s.Journal().Requests()[0].Body), 100)
}

// FuzzRequest: no body makes a server panic, and what it calls success is JSON
// or a stream that ends.
func FuzzRequest(f *testing.F) {
	f.Add(true, chatPath, chatBody("hello", weatherTools))
	f.Add(true, "/v1/responses", `{"model":"gpt-5-mini","input":[{"role":"user","content":"x"}],"stream":true}`)
	f.Add(true, "/v1/embeddings", `{"model":"text-embedding-3-small","input":["a",[1,2]]}`)
	f.Add(false, "/v1/messages", messagesBody("get_time", anthropicTools))
	f.Add(false, "/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result"}]}]}`)
	servers := map[bool]*Server{
		true:  start(f, Config{NoDirectives: true}),
		false: start(f, Config{NoDirectives: true, Vendor: Anthropic}),
	}
	f.Fuzz(func(t *testing.T, openai bool, path, body string) {
		if strings.ContainsAny(path, " \r\n\x00%?#") || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.Path = path
		r.Header.Set("Authorization", "Bearer "+testKey)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Anthropic-Version", Anthropic2023)
		w := httptest.NewRecorder()
		servers[openai].ServeHTTP(w, r)
		switch {
		case strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"):
			if !bytes.HasSuffix(w.Body.Bytes(), []byte("\n\n")) {
				t.Errorf("stream ends in %q", w.Body.Bytes()[max(0, w.Body.Len()-40):])
			}
		case !json.Valid(w.Body.Bytes()):
			t.Errorf("status %d with %q", w.Code, w.Body.Bytes())
		}
	})
}
