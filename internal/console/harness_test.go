package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/auditlog"
	"sallyport/internal/auth"
	"sallyport/internal/identity"
	"sallyport/internal/record"
	"sallyport/internal/secret"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

// logs collects what is logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// rig is a console over real credentials in a real database. What other parts
// own is stood for by the facts in its fields.
type rig struct {
	*Console
	url    string // of the admin listener
	socket string // of the data folder's socket, here a second listener
	store  *store.DB
	logs   *logs

	mu       sync.Mutex
	acts     []string // "actor act target", as they were recorded
	ready    error
	models   []Model
	reloaded error
}

// trusted is the principal of the socket.
var trusted = identity.Principal{Kind: identity.Local, Name: "local", Project: "local", Role: identity.RoleAdmin}

func newRig(t *testing.T, change ...func(*Config)) *rig { return newRigWith(t, 5000, change...) }

// newRigWith makes a rig on which a source may fail so many times before it is
// throttled.
func newRigWith(t *testing.T, failures int, change ...func(*Config)) *rig {
	t.Helper()
	r := bare(t, failures, change...)
	r.url = serve(t, r.Handler())
	r.socket = serve(t, r.Trusted(trusted))
	return r
}

// bare makes a rig without listeners, which a synctest bubble cannot hold.
func bare(t *testing.T, failures int, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{logs: &logs{}, store: storetest.Open(t, storetest.SQLite)}
	logger := slog.New(slog.NewJSONHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	master, _, err := auth.LoadMaster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	a, err := auth.New(t.Context(), auth.Config{Store: r.store, Master: master, Logger: logger, Registerer: registry, FailureBurst: failures})
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(context.Context) error { return nil }
	cfg := Config{
		Auth: a, Store: r.store, Logger: logger, Gatherer: registry, Version: "1.2.3", VerifierKey: func() string { return "vkey" },
		ReadyError: func() error { r.mu.Lock(); defer r.mu.Unlock(); return r.ready },
		Journal: func(actor string, act auth.Act) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.acts = append(r.acts, actor+" "+act.Act+" "+act.Target)
			return nil
		},
		Sync: nothing, Moved: nothing,
		Verify: func(context.Context, []byte) (auditlog.Report, error) {
			return auditlog.Report{Trust: auditlog.SelfSigned}, nil
		},
		Prove: func(context.Context, string) (auditlog.Proof, error) {
			return auditlog.Proof{}, store.ErrNotFound
		},
		Reopen: func(_ context.Context, actor, reason string) (Reopened, error) {
			return Reopened{Origin: actor + " " + reason}, nil
		},
		Models:    func() []Model { r.mu.Lock(); defer r.mu.Unlock(); return r.models },
		Upstreams: func() []Upstream { return nil },
		Test:      func(_ context.Context, name string) (UpstreamTest, error) { return UpstreamTest{Name: name}, nil },
		Confirm:   func(context.Context, string, string, string) error { return nil },
		Explain:   func(model, _ string) (Explanation, error) { return Explanation{Model: model}, nil },
		Reload:    func(context.Context, string) error { return r.reloaded },
		Doctor:    func(context.Context) []Check { return nil },
		Overrule: func(actor string, act record.Act, o Overruling) (Verdict, error) {
			return Verdict{Actor: actor, Act: act, Upstream: o.Upstream, Model: o.Model, Reason: o.Reason}, nil
		},
		Watching: func() ([]Watching, bool) { return []Watching{}, true },
		Begin: func(actor string, b Beginning) (Verdict, error) {
			return Verdict{Actor: actor, Act: record.ActBegin, Commitment: b.Commitment}, nil
		},
		Register: func(actor string, g Registration) (Verdict, error) {
			return Verdict{Actor: actor, Act: record.ActAudit, Bundle: g.Bundle}, nil
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	r.Console = New(cfg)
	return r
}

func serve(t *testing.T, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func (r *rig) record(auth.Act) error { return nil }

// admin makes an administrator and returns its credential.
func (r *rig) admin(t *testing.T, role identity.Role) string {
	t.Helper()
	_, clear, err := r.Auth.NewAdmin(t.Context(), auth.AdminSpec{Name: string(role), Role: role}, r.record)
	if err != nil {
		t.Fatal(err)
	}
	return clear.Reveal()
}

// adminID makes an administrator and returns its id.
func (r *rig) adminID(t *testing.T) string {
	t.Helper()
	a, _, err := r.Auth.NewAdmin(t.Context(), auth.AdminSpec{Name: "somebody", Role: identity.RoleAuditor}, r.record)
	if err != nil {
		t.Fatal(err)
	}
	return string(a.ID)
}

// key makes a virtual key.
func (r *rig) key(t *testing.T) (id, clear string) {
	t.Helper()
	k, c, err := r.Auth.NewKey(t.Context(), auth.KeySpec{Project: "p"}, r.record)
	if err != nil {
		t.Fatal(err)
	}
	return string(k.ID), c.Reveal()
}

// expired makes an administrator whose credential has expired.
func (r *rig) expired(t *testing.T) string {
	t.Helper()
	a, clear, err := r.Auth.NewAdmin(t.Context(), auth.AdminSpec{Name: "late", Role: identity.RoleAdmin, Lifetime: time.Second}, r.record)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Until(a.Expires))
	return clear.Reveal()
}

// revoked makes an administrator whose credential was revoked.
func (r *rig) revoked(t *testing.T) string {
	t.Helper()
	a, clear, err := r.Auth.NewAdmin(t.Context(), auth.AdminSpec{Name: "gone", Role: identity.RoleAdmin}, r.record)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Auth.RevokeAdmin(t.Context(), a.ID, true, r.record); err != nil {
		t.Fatal(err)
	}
	return clear.Reveal()
}

// answer is one answer of the console.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem decodes the answer as a problem document.
func (a answer) problem(t *testing.T) Problem {
	t.Helper()
	var p Problem
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("status %d with content type %q, want a problem document: %s", a.status, ct, a.body)
		return p
	}
	if err := strict([]byte(a.body), &p); err != nil {
		t.Errorf("problem document: %v: %s", err, a.body)
	}
	if p.Status != a.status || p.Title == "" || p.Detail == "" || p.Type != "about:blank" {
		t.Errorf("problem document of status %d is incomplete: %s", a.status, a.body)
	}
	return p
}

// request is one call; empty fields are left out.
type request struct {
	method, url, body string
	credential        string
	host              string
	header            map[string]string
}

func do(t *testing.T, q request) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), q.method, q.url, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	if q.credential != "" {
		req.Header.Set("Authorization", "Bearer "+q.credential)
	}
	for name, v := range q.header {
		req.Header.Set(name, v)
	}
	if q.host != "" {
		req.Host = q.host
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// into decodes the body of an answer that must be OK.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// noSecrets fails when any of the texts was logged.
func (r *rig) noSecrets(t *testing.T, texts ...string) {
	t.Helper()
	logged := r.logs.String()
	for _, s := range texts {
		if s == "" || strings.Contains(logged, s) {
			t.Errorf("the log holds a secret (or the test looked for an empty one): %s", logged)
		}
	}
}

var errDisk = errors.New("write /secret/path: no space left on device")

// setupToken makes a setup token.
func (r *rig) setupToken() secret.String { return r.Auth.MintSetup() }
