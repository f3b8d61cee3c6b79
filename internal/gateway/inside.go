package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
)

// Inside is an exchange that Sallyport begins itself, for an audit. It takes the way
// of every other one: policy, journal, ledger. Only its target is fixed, and that may
// be in quarantine, since whoever is there must be asked to get out again.
type Inside struct {
	Principal identity.Principal
	Target    Target
	Label     label.Label // of what is sent
}

// Answer is what came back of an exchange that began inside.
type Answer struct {
	RID    string
	Status int
	Header http.Header
	Body   io.ReadCloser
	Cost   int64 // nano-USD; known when Body was read to its end
}

// RoundTrip makes an exchange of a request of the data plane's API. The answer comes
// as it is written, so that times can be measured.
func (g *Gateway) RoundTrip(in Inside, r *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	w := &inner{header: http.Header{}, begun: make(chan struct{}), body: writer}
	r = r.Clone(r.Context())
	r.RemoteAddr = "127.0.0.1:0"
	go func() {
		defer writer.Close()
		defer w.begin(http.StatusServiceUnavailable) // unless it has begun
		g.serveInside(w, r, in)
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		reader.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: w.status, Header: w.header, Body: reader, Request: r, ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1}, nil
}

// serveInside serves one request as the route of its path would.
func (g *Gateway) serveInside(w http.ResponseWriter, r *http.Request, in Inside) *Exchange {
	for _, e := range table {
		if e.kind != generate || e.method != r.Method || e.path != strings.TrimPrefix(r.URL.Path, "/v1") {
			continue
		}
		return g.exchangeInside(w, r, in, e)
	}
	http.Error(w, "no such route", http.StatusNotFound)
	return nil
}

// exchangeInside runs one exchange on an endpoint.
func (g *Gateway) exchangeInside(w http.ResponseWriter, r *http.Request, in Inside, e endpoint) *Exchange {
	x := g.begin(w, r, e, &in.Principal)
	x.inside = &in
	if !g.enter() {
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
		return x
	}
	defer g.leave()
	x.serve()
	return x
}

// askInside puts a body to a target and reads what it said; nil when no answer came.
func (g *Gateway) askInside(ctx context.Context, in Inside, e endpoint, header http.Header, body []byte) *Said {
	r, err := http.NewRequestWithContext(ctx, e.method, "http://inside/v1"+e.path, bytes.NewReader(body))
	if err != nil {
		return nil
	}
	r.Header, r.RemoteAddr = header.Clone(), "127.0.0.1:0"
	var kept bytes.Buffer
	w := &inner{header: http.Header{}, begun: make(chan struct{}), body: nopCloser{&kept}}
	x := g.exchangeInside(w, r, in, e)
	if x.call == nil || x.record.State != string(llm.Complete) && x.record.State != string(llm.UpstreamStatus) {
		return nil
	}
	format, known := g.format(e.name)
	if !known {
		return nil
	}
	s := &Said{Failed: true}
	if w.status == http.StatusOK {
		s = read(format, x.call.Stream, kept.Bytes())
	}
	s.Tokens, s.Usage, s.Declared = x.record.Tokens(), llm.UsageStatus(x.record.Usage), x.record.Declared
	s.Cost = x.record.Amount
	return s
}

// inner is the client's side of an exchange that began inside.
type inner struct {
	header http.Header
	status int
	begun  chan struct{}
	body   io.WriteCloser
}

// Header implements http.ResponseWriter.
func (w *inner) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *inner) WriteHeader(status int) { w.begin(status) }

func (w *inner) begin(status int) {
	if w.status == 0 {
		w.status = status
		close(w.begun)
	}
}

// Write implements http.ResponseWriter.
func (w *inner) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.body.Write(b)
}

// FlushError is what http.ResponseController looks for.
func (w *inner) FlushError() error { return nil }

// SetReadDeadline is what http.ResponseController looks for.
func (w *inner) SetReadDeadline(time.Time) error { return nil }

type nopCloser struct{ io.Writer }

// Close implements io.Closer.
func (nopCloser) Close() error { return nil }
