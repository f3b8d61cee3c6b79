package gateway_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"sallyport/internal/upstreamtest"
)

// tap stands in front of a provider and notes what it receives and answers, to
// the byte.
type tap struct {
	next http.Handler
	url  string
	seen chan tapped // room for more than a test sends before it looks
}

// tapped is one request to a provider and its answer.
type tapped struct {
	header   http.Header
	target   string
	body     []byte
	answered []byte // the body of the answer
}

func newTap(t testing.TB, next http.Handler) *tap {
	t.Helper()
	p := &tap{next: next, seen: make(chan tapped, 16)}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL + "/v1"
	return p
}

func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the gateway broke its own request off
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	tee := &tee{ResponseWriter: w}
	defer func() { p.seen <- tapped{r.Header, r.RequestURI, body, tee.b} }()
	p.next.ServeHTTP(tee, r)
}

// take waits for the next exchange.
func (p *tap) take(t testing.TB) tapped {
	t.Helper()
	select {
	case seen := <-p.seen:
		return seen
	case <-t.Context().Done():
		t.Fatal("the provider was not asked")
		return tapped{}
	}
}

// none fails the test when the provider was asked.
func (p *tap) none(t testing.TB) {
	t.Helper()
	select {
	case seen := <-p.seen:
		t.Errorf("the provider was asked: %s %q", seen.target, seen.body)
	default:
	}
}

// tee notes what is written.
type tee struct {
	http.ResponseWriter
	b []byte
}

func (t *tee) Write(b []byte) (int, error) {
	n, err := t.ResponseWriter.Write(b)
	t.b = append(t.b, b[:n]...)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// newTLSServer serves a handler over TLS and HTTP/2.
func newTLSServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// newTLSUpstream is an honest OpenAI over TLS and HTTP/2.
func newTLSUpstream(t testing.TB) *httptest.Server {
	t.Helper()
	up, err := upstreamtest.Start(upstreamtest.Config{Key: openAIKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := up.Close(); err != nil {
			t.Error(err)
		}
	})
	return newTLSServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("the gateway speaks %s", r.Proto)
		}
		up.ServeHTTP(w, r)
	}))
}

// certificateOf is the certificate of a server, in PEM.
func certificateOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}
