// Package upstream is one configured endpoint of a provider: its address, its
// credential, and an HTTP client that reaches only what the operator allowed.
// It retries nothing and follows no redirect: only the gateway decides to try
// again.
package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/secret"
	"sallyport/internal/wire"
)

// Config describes one upstream. The zero value of every optional field is safe.
type Config struct {
	Name           identity.Upstream
	Kind           Kind
	BaseURL        string                   // up to and including the version, such as https://api.openai.com/v1
	Key            secret.String            // sent as the kind demands; empty for keyless servers
	KeyID          secret.String            // of kind bedrock: the access key id that Key, the secret access key, belongs to
	Token          secret.String            // of kind azure: a bearer token in the place of Key; of kind bedrock: a session token beside it
	Region         string                   // of kind bedrock, such as eu-central-1
	TokenURL       string                   // of kind vertex: where tokens come from; Google's own when empty, as always outside tests
	APIVersion     string                   // of kind azure, such as 2024-10-21; the API without versions when empty
	Class          label.Class              // how far it is trusted with data; Any when absent
	Provider       string                   // whose price cards apply; "local" means free by declaration
	Headers        map[string]string        // sent with every request
	SecretHeaders  map[string]secret.String // sent as well; credentials like Key
	Proxy          string                   // URL of an HTTP proxy; none when empty, never taken from the environment
	CA             []byte                   // PEM roots that replace the system's; nil for the system's
	AllowPrivate   bool                     // may resolve to a private or loopback address though not local
	ExposeUnlisted bool                     // its models are reachable as upstream/model
	AddUsage       bool                     // ask for usage in streams when the client did not
	Endpoints      []wire.Endpoint          // of its API that it serves; nil for all
	Lacks          llm.Features             // what its format can express and it does not understand
	Models         []string                 // known models, where the upstream cannot list them
	ConnectTimeout time.Duration            // dial and TLS handshake; 10 s when 0
	IdleTimeout    time.Duration            // of unused connections; 90 s when 0
	FirstFrame     time.Duration            // to the first frame of an answer; the gateway's default when 0
	Stall          time.Duration            // between frames; the gateway's default when 0
	Total          time.Duration            // of a whole attempt; the gateway's default when 0
	Resolver       *net.Resolver            // nil for the system's
}

// Upstream is one endpoint, ready to be called. It is safe for concurrent use.
type Upstream struct {
	Config
	base        *url.URL
	transport   *http.Transport
	catalog     atomic.Pointer[Catalog]
	tokens      *tokens         // of kind vertex; nil for others
	signer      *v4.Signer      // of kind bedrock; nil for others
	beside      sync.Map        // what a message costs beside its text, int64 by model
	credentials []secret.String // what no answer may hold, in each form it may be written in
}

// New checks the configuration and prepares the client; it opens no connection.
func New(cfg Config) (*Upstream, error) {
	base, err := url.Parse(strings.TrimRight(cfg.BaseURL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, fmt.Errorf("upstream %s: base_url is not an http or https URL", cfg.Name)
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("upstream %s: base_url must not hold a credential, a query or a fragment", cfg.Name)
	}
	if _, known := kinds[cfg.Kind]; !known {
		return nil, fmt.Errorf("upstream %s: kind %q is none of %s", cfg.Name, cfg.Kind, slices.Sorted(maps.Keys(kinds)))
	}
	u := &Upstream{Config: cfg, base: base}
	if u.Family() == "" {
		return nil, fmt.Errorf("upstream %s: base_url does not end with /publishers/google or /publishers/anthropic", cfg.Name)
	}
	g := &guard{
		name: cfg.Name, onSite: cfg.Class == label.OnSite, plain: base.Scheme == "http",
		private: cfg.AllowPrivate || cfg.Class == label.OnSite, resolver: cfg.Resolver, host: base.Hostname(),
		dialer: net.Dialer{Timeout: orDefault(cfg.ConnectTimeout, 10*time.Second), KeepAlive: 30 * time.Second},
	}
	u.transport = &http.Transport{
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    orDefault(cfg.ConnectTimeout, 10*time.Second),
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        orDefault(cfg.IdleTimeout, 90*time.Second),
		MaxResponseHeaderBytes: 64 << 10,
		ReadBufferSize:         8 << 10,
		WriteBufferSize:        8 << 10,
	}
	if cfg.CA != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(cfg.CA) {
			return nil, fmt.Errorf("upstream %s: ca holds no PEM certificate", cfg.Name)
		}
		u.transport.TLSClientConfig.RootCAs = pool
	}
	if cfg.Proxy != "" {
		proxy, err := url.Parse(cfg.Proxy)
		if err != nil || proxy.Host == "" || (proxy.Scheme != "http" && proxy.Scheme != "https") {
			return nil, fmt.Errorf("upstream %s: proxy is not an http or https URL", cfg.Name)
		}
		g.proxied = true
		u.transport.Proxy = http.ProxyURL(proxy)
	}
	u.catalog.Store(&Catalog{Models: cfg.Models})
	if err := u.prepare(); err != nil {
		return nil, err
	}
	return u, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// Host is the host name of the base URL, for operators' eyes only.
func (u *Upstream) Host() string { return u.base.Hostname() }

// Close closes idle connections; running requests go on.
func (u *Upstream) Close() { u.transport.CloseIdleConnections() }

// Request is one request to an upstream.
type Request struct {
	Method string
	Path   string        // below the base URL, with a leading slash; {model} in it stands for Model
	Query  string        // encoded; usually empty
	Header http.Header   // owned by Do from then on; nil for none
	Body   io.ReadCloser // nil for none
	Length int64         // of the body

	// What the kind may place requests by.
	Endpoint wire.Endpoint
	Model    string // the upstream's own name
	Stream   bool

	// Sum is the SHA-256 of the body, for kinds that sign it; nil without a body.
	Sum func() ([sha256.Size]byte, error)

	// Alone keeps the connection from being used again.
	Alone bool
}

// Do sends one request, exactly once. Credential, Host and length are set here.
// GetBody stays nil: net/http would otherwise resend a POST by itself on a lost
// connection. The caller closes the response's body.
func (u *Upstream) Do(ctx context.Context, r Request) (*http.Response, error) {
	u.place(&r)
	r.Path = u.base.Path + r.Path
	return u.send(ctx, r)
}

// send is Do with the path counted from the root of the host.
func (u *Upstream) send(ctx context.Context, r Request) (*http.Response, error) {
	target := *u.base
	target.Path, target.RawQuery = strings.Replace(r.Path, "{model}", r.Model, 1), r.Query
	if target.Path != r.Path { // a model is one segment, whatever its name
		target.RawPath = strings.Replace((&url.URL{Path: r.Path}).EscapedPath(), "%7Bmodel%7D", u.segment(r.Model), 1)
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if err := u.authorize(ctx, r.Header); err != nil {
		return nil, err
	}
	for name, value := range u.Headers {
		r.Header.Set(name, value)
	}
	for name, value := range u.SecretHeaders {
		r.Header.Set(name, value.Reveal())
	}
	req := (&http.Request{
		Method: r.Method, URL: &target, Host: u.base.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header, Body: r.Body, ContentLength: r.Length, Close: r.Alone,
	}).WithContext(ctx)
	if u.signer != nil {
		if err := u.sign(ctx, req, r.Sum); err != nil {
			return nil, err
		}
	}
	resp, err := u.transport.RoundTrip(req)
	if err != nil {
		return nil, u.clean(err)
	}
	return resp, nil
}

// clean keeps URLs and addresses out of errors that travel: what the operator
// needs is the upstream's name and the kind of failure.
func (u *Upstream) clean(err error) error {
	if refused, ok := errors.AsType[*RefusedAddressError](err); ok {
		return refused
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("upstream %s: %s: %w", u.Name, op.Op, op.Err)
	}
	return fmt.Errorf("upstream %s: %w", u.Name, err)
}
