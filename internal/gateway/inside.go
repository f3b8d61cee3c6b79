package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
)

// Inside is an exchange that Sallyport begins itself, for an audit. It takes the way
// of every other one: policy, journal, ledger. Only its target is fixed.
type Inside struct {
	Principal identity.Principal
	Target    Target
	Label     label.Label // of what is sent
	Suspect   bool        // the target is what is audited: a verdict against it does not hold
}

// Ask puts a chat completion to a target and reads what it said, whatever format the
// target speaks; nil when nothing was said.
func (g *Gateway) Ask(ctx context.Context, in Inside, body []byte) *Said {
	return g.askInside(ctx, in, table[0], http.Header{"Content-Type": {"application/json"}}, body)
}

// askInside puts a body to a target and reads what it said; nil when nothing was said.
func (g *Gateway) askInside(ctx context.Context, in Inside, e endpoint, header http.Header, body []byte) *Said {
	format, known := g.format(e.name)
	r, err := http.NewRequestWithContext(ctx, e.method, "http://inside/v1"+e.path, bytes.NewReader(body))
	if err != nil || !known || !g.enter() {
		return nil
	}
	defer g.leave()
	r.Header, r.RemoteAddr = header.Clone(), "127.0.0.1:0"
	var kept bytes.Buffer
	w := &inner{header: http.Header{}, body: &kept}
	x := g.begin(w, r, e, &in.Principal)
	x.inside = &in
	x.serve()
	if g.Audited != nil {
		g.Audited(&x.record)
	}
	if x.call == nil || x.record.State != string(llm.Complete) && x.record.State != string(llm.UpstreamStatus) {
		return nil
	}
	s := &Said{Failed: true}
	if w.status == http.StatusOK {
		s = read(format, x.call.Stream, kept.Bytes())
	}
	return s
}

// inner is the client's side of an exchange that began inside.
type inner struct {
	header http.Header
	status int
	body   io.Writer
}

// Header implements http.ResponseWriter.
func (w *inner) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *inner) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *inner) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// FlushError is what http.ResponseController looks for.
func (w *inner) FlushError() error { return nil }

// SetReadDeadline is what http.ResponseController looks for.
func (w *inner) SetReadDeadline(time.Time) error { return nil }
