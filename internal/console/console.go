// Package console is the admin plane: the API that the command line, the socket
// of the data folder and the web console speak, with roles on every route. Its
// errors are RFC 9457 problem documents.
package console

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sallyport/internal/auditlog"
	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/record"
	"sallyport/internal/secret"
	"sallyport/internal/store"
)

// Config is what a Console is made of. Functions stand for decisions and facts
// that other parts own.
type Config struct {
	Auth     *auth.Auth
	Store    *store.DB
	Logger   *slog.Logger
	Gatherer prometheus.Gatherer

	Version      string
	VerifierKey  func() string // of the audit log
	Hosts        []string      // values of the Host header that are ours, without port
	MetricsToken secret.String // what /metrics demands; empty admits loopback callers only
	Proxied      bool          // a reverse proxy stands before the admin listener: no peer is the caller itself
	ReadyError   func() error  // nil when the data plane can serve

	Journal   func(actor string, a auth.Act) error // writes an admin record
	Sync      func(context.Context) error          // waits until what was recorded is projected
	Verify    func(ctx context.Context, against []byte) (auditlog.Report, error)
	Prove     func(ctx context.Context, rid string) (auditlog.Proof, error)
	Reopen    func(ctx context.Context, actor, reason string) (Reopened, error)
	Moved     func(context.Context) error // moves what else is sealed under the master secret to its newest version
	Models    func() []Model
	Upstreams func() []Upstream
	Test      func(ctx context.Context, name string) (UpstreamTest, error)
	Confirm   func(ctx context.Context, actor, name, class string) error
	Explain   func(model, label string) (Explanation, error)
	Reload    func(ctx context.Context, actor string) error
	Doctor    func(context.Context) []Check
	Overrule  func(actor string, act record.Act, o Overruling) (Verdict, error)
	Begin     func(actor string, b Beginning) (Verdict, error)
	Register  func(actor string, r Registration) (Verdict, error)
	Watching  func() ([]Watching, bool) // false where nothing serves and so nothing is watched
}

// Console serves the admin plane. It is safe for concurrent use.
type Console struct {
	Config
	hosts map[string]bool
}

// New returns a console.
func New(cfg Config) *Console {
	c := &Console{Config: cfg, hosts: map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}}
	for _, h := range cfg.Hosts {
		c.hosts[strings.ToLower(h)] = true
	}
	return c
}

// call is one request after authentication.
type call struct {
	*http.Request
	who identity.Principal
}

// actor names the principal in records.
func (c *call) actor() string {
	if c.who.Kind == identity.Local {
		return string(identity.Local)
	}
	return string(c.who.Admin)
}

// endpoint is one route of the admin API: who may call it and what it answers.
type endpoint struct {
	pattern string
	need    identity.Role
	serve   func(*call) (any, error)
}

// endpoints is the whole admin API below /api/v1. A route that is not here does
// not exist; a route without a role cannot be written.
func (c *Console) endpoints() []endpoint {
	const (
		auditor  = identity.RoleAuditor
		operator = identity.RoleOperator
		admin    = identity.RoleAdmin
	)
	return []endpoint{
		{"GET /api/v1/version", auditor, c.version},
		{"GET /api/v1/doctor", auditor, c.doctor},
		{"GET /api/v1/keys", auditor, c.listKeys},
		{"GET /api/v1/keys/{id}", auditor, c.showKey},
		{"POST /api/v1/keys", admin, c.newKey},
		{"POST /api/v1/keys/{id}/rotate", admin, c.rotateKey},
		{"POST /api/v1/keys/{id}/revoke", admin, c.revokeKey},
		{"GET /api/v1/admins", auditor, c.listAdmins},
		{"POST /api/v1/admins", admin, c.newAdmin},
		{"POST /api/v1/admins/{id}/revoke", admin, c.revokeAdmin},
		{"POST /api/v1/secret/rotate", admin, c.rotateSecret},
		{"POST /api/v1/secret/drop/{version}", admin, c.dropSecret},
		{"POST /api/v1/credentials/reseal", admin, c.reseal},
		{"GET /api/v1/usage", auditor, c.usage},
		{"GET /api/v1/logs", auditor, c.logs},
		{"GET /api/v1/logs/{rid}", auditor, c.logEntry},
		{"GET /api/v1/logs/{rid}/proof", auditor, c.proof},
		{"POST /api/v1/log/verify", auditor, c.verify},
		{"POST /api/v1/log/reopen", admin, c.reopen},
		{"GET /api/v1/models", auditor, c.models},
		{"GET /api/v1/upstreams", auditor, c.upstreams},
		{"POST /api/v1/upstreams/{name}/test", operator, c.testUpstream},
		{"POST /api/v1/upstreams/{name}/confirm", admin, c.confirmUpstream},
		{"GET /api/v1/policy/explain", auditor, c.explain},
		{"POST /api/v1/reload", operator, c.reload},
		{"GET /api/v1/verdicts", auditor, c.verdicts},
		{"GET /api/v1/watch", auditor, c.watch},
		{"POST /api/v1/verdicts/override", operator, c.overrideVerdict},
		{"POST /api/v1/verdicts/release", operator, c.releaseVerdict},
		{"POST /api/v1/verdicts/begin", operator, c.beginAudit},
		{"POST /api/v1/verdicts/register", operator, c.registerAudit},
	}
}

// Handler serves the admin listener: every route demands a credential, except
// liveness, readiness, the set-up page with its one-time token, and metrics when
// no token is configured.
func (c *Console) Handler() http.Handler {
	mux := c.mux(nil)
	mux.HandleFunc("GET /metrics", c.metrics)
	mux.HandleFunc("POST /api/v1/setup", c.setup)
	c.static(mux)
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, fault.New(fault.Forbidden, "requests from pages of other origins are refused"))
	}))
	return secure(c.checkHost(protection.Handler(plainPaths(mux))))
}

// Trusted serves the data folder's socket: its peers are the folder's owner and
// act as the principal.
func (c *Console) Trusted(p identity.Principal) http.Handler { return plainPaths(c.mux(&p)) }

func (c *Console) mux(as *identity.Principal) *http.ServeMux {
	mux := http.NewServeMux()
	for _, e := range c.endpoints() {
		mux.Handle(e.pattern, c.handle(e, as))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { c.ready(w, as != nil) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { problem(w, fault.New(fault.NotFound, "")) })
	return mux
}

// handle wraps an endpoint with its authorisation.
func (c *Console) handle(e endpoint, as *identity.Principal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := c.principal(r, as)
		if err == nil {
			err = auth.RequireRole(who, e.need)
		}
		if err != nil {
			problem(w, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer, err := e.serve(&call{r, who})
		if err != nil {
			if f := fault.From(err); f.Kind == fault.Internal {
				c.Logger.Error("admin request failed", "route", e.pattern, "error", err)
			}
			problem(w, err)
			return
		}
		reply(w, http.StatusOK, answer)
	})
}

// principal authenticates whoever asks; which role that is worth is decided after.
func (c *Console) principal(r *http.Request, as *identity.Principal) (identity.Principal, error) {
	if as != nil {
		return *as, nil
	}
	return c.Auth.Request(r.Header, nil, source(r))
}

// checkHost refuses names that are not ours, against DNS rebinding.
func (c *Console) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostName(r.Host); !c.hosts[host] && !dialled(r, host) {
			problem(w, fault.New(fault.Forbidden, "this Host is not served here"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// dialled reports whether a host is the address that the client connected to.
// Nothing can be rebound to an address.
func dialled(r *http.Request, host string) bool {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.AddrPort().Addr().Unmap().WithZone("") == a.Unmap()
}

// plainPaths answers paths that ServeMux would redirect to their clean form: its
// redirects are no problem documents.
func plainPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.EscapedPath(); p != path.Clean("/"+p) || r.Method == http.MethodConnect {
			problem(w, fault.New(fault.NotFound, ""))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is a Host header without its port and brackets, in lower case.
func hostName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// secure sets the headers that hold for every answer of the admin listener.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// ready answers whether the data plane can serve. Why not is told to the owner
// of the data folder only: it may name files.
func (c *Console) ready(w http.ResponseWriter, owner bool) {
	if err := c.ReadyError(); err != nil {
		answer := map[string]string{"status": "unavailable"}
		if owner {
			answer["reason"] = err.Error()
		}
		reply(w, http.StatusServiceUnavailable, answer)
		return
	}
	reply(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (c *Console) metrics(w http.ResponseWriter, r *http.Request) {
	if !c.mayScrape(r) {
		problem(w, fault.New(fault.Unauthenticated, ""))
		return
	}
	promhttp.HandlerFor(c.Gatherer, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// mayScrape reports whether a caller may read the metrics: with the token where
// one is configured, else from loopback only. What a proxy passes on came from
// elsewhere, wherever the proxy runs.
func (c *Console) mayScrape(r *http.Request) bool {
	if c.MetricsToken.Empty() {
		return source(r).IsLoopback() && !c.Proxied && r.Header.Get("Forwarded") == "" && r.Header.Get("X-Forwarded-For") == ""
	}
	want := "Bearer " + c.MetricsToken.Reveal()
	return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) == 1
}

// maxBody bounds a request to the admin API.
const maxBody = 1 << 20

// decode reads a request's JSON body strictly. An empty body is an empty object.
func decode[T any](c *call) (T, error) {
	var v T
	b, err := io.ReadAll(c.Body)
	if err != nil {
		return v, fault.New(fault.TooLarge, "")
	}
	if len(b) == 0 {
		return v, nil
	}
	return v, strict(b, &v)
}

func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		problem(w, fmt.Errorf("encode the answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// Problem is an error of the admin API (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func problem(w http.ResponseWriter, err error) {
	f := fault.From(err)
	if errors.Is(err, store.ErrNotFound) {
		f = fault.New(fault.NotFound, "")
	}
	b, _ := json.Marshal(Problem{"about:blank", f.Kind.String(), f.Kind.Status(), f.Message()})
	w.Header().Set("Content-Type", "application/problem+json")
	if f.RetryAfter > 0 {
		wait := min(f.RetryAfter, fault.MaxRetryAfter)
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	w.WriteHeader(f.Kind.Status())
	_, _ = w.Write(append(b, '\n'))
}
