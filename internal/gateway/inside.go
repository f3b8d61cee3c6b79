package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
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
	x := g.inside(ctx, in, e, query, header, body, &inner{header: http.Header{}})
	if x == nil || x.record.State != string(llm.Complete) && x.record.State != string(llm.UpstreamStatus) {
		return nil
	}
	return x.heard
}

// inside is an exchange that began and ended inside; nil when none could begin.
func (g *Gateway) inside(ctx context.Context, in Inside, e endpoint, query string, header http.Header, body []byte, w *inner) *Exchange {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://inside/v1"+e.path, bytes.NewReader(body))
	if err != nil || !g.enter() {
		return nil
	}
	defer g.leave()
	r.URL.RawQuery, r.Header, r.RemoteAddr = query, header.Clone(), "127.0.0.1:0"
	x := g.begin(w, r, e, &in.Principal)
	x.inside = &in
	x.serve()
	if g.Audited != nil {
		g.Audited(&x.record)
	}
	return x
}

// counts asks an upstream to count tokens in its own format, by an exchange that
// begins inside.
func (g *Gateway) counts(u *upstream.Upstream, model string, l label.Label) upstream.Asking {
	e, _ := verbRoute(strings.TrimPrefix(model, "models/"), "countTokens")
	header := http.Header{"Content-Type": {"application/json"}}
	if u.Family() == upstream.Anthropic {
		e = table[slices.IndexFunc(table, func(e endpoint) bool { return e.name == wire.CountTokens })]
		header.Set("Anthropic-Version", "2023-06-01")
	}
	target := Target{u.Name, model}
	return func(ctx context.Context, body []byte) ([]byte, error) {
		w := &inner{header: http.Header{}, kept: &bytes.Buffer{}}
		x := g.inside(ctx, Inside{Principal: Auditor(target), Target: target, Label: l, Suspect: true}, e, "", header, body, w)
		if x == nil || x.record.State != string(llm.Complete) {
			return nil, errors.New("it was not counted")
		}
		return w.kept.Bytes(), nil
	}
}

// inner is the client's side of an exchange that began inside. What a model said is read
// on the upstream's.
type inner struct {
	header http.Header
	kept   *bytes.Buffer // what it would have been sent; nil where nobody reads that
}

// Header implements http.ResponseWriter.
func (w *inner) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *inner) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (w *inner) Write(b []byte) (int, error) {
	if w.kept != nil {
		w.kept.Write(b)
	}
	return len(b), nil
}

// FlushError is what http.ResponseController looks for.
func (w *inner) FlushError() error { return nil }

// SetReadDeadline is what http.ResponseController looks for.
func (w *inner) SetReadDeadline(time.Time) error { return nil }
