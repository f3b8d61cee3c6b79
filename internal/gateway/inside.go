package gateway

import (
	"bytes"
	"context"
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
	return g.askInside(ctx, in, table[0], "", http.Header{"Content-Type": {"application/json"}}, body)
}

// askInside puts a body to a target and reads what it said; nil when nothing was said.
func (g *Gateway) askInside(ctx context.Context, in Inside, e endpoint, query string, header http.Header, body []byte) *Said {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://inside/v1"+e.path, bytes.NewReader(body))
	if err != nil || !g.enter() {
		return nil
	}
	defer g.leave()
	r.URL.RawQuery, r.Header, r.RemoteAddr = query, header.Clone(), "127.0.0.1:0"
	x := g.begin(&inner{header: http.Header{}}, r, e, &in.Principal)
	x.inside = &in
	x.serve()
	if g.Audited != nil {
		g.Audited(&x.record)
	}
	if x.record.State != string(llm.Complete) && x.record.State != string(llm.UpstreamStatus) {
		return nil
	}
	return x.heard
}

// inner is the client's side of an exchange that began inside: what was said is read on
// the upstream's.
type inner struct {
	header http.Header
}

// Header implements http.ResponseWriter.
func (w *inner) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *inner) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (w *inner) Write(b []byte) (int, error) { return len(b), nil }

// FlushError is what http.ResponseController looks for.
func (w *inner) FlushError() error { return nil }

// SetReadDeadline is what http.ResponseController looks for.
func (w *inner) SetReadDeadline(time.Time) error { return nil }
