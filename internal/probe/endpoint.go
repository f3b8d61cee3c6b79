package probe

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/label"
	"sallyport/internal/secret"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
	"sallyport/internal/wire/anthropic"
	"sallyport/internal/wire/bedrock"
	"sallyport/internal/wire/gemini"
	"sallyport/internal/wire/openai"
)

// EndpointConfig says which endpoint to audit, and how it is reached.
type EndpointConfig struct {
	URL        string        // up to and including the version, such as https://api.example.org/v1
	Kind       upstream.Kind // OpenAI when empty
	Key        secret.String // none when empty
	Model      string
	Timeout    time.Duration   // of one question; DefaultTimeout when 0
	CA         []byte          // PEM roots that replace the system's
	Configured upstream.Config // a configured upstream in the place of URL, Kind, Key and CA; the zero value is none
}

// DefaultTimeout bounds one question.
const DefaultTimeout = 2 * time.Minute

// maxAnswer bounds the bytes read of one answer.
const maxAnswer = 8 << 20

// Endpoint is an endpoint that is asked directly, without a gateway. It is safe for
// concurrent use.
type Endpoint struct {
	name    string // of the configuration; empty for an address
	model   string
	timeout time.Duration
	own     *upstream.Upstream
	others  map[Credential]*upstream.Upstream
	url     string

	mu      sync.Mutex
	certKey string // SHA-256 of the last certificate's public key
}

// NewEndpoint checks the configuration. It opens no connection. Loopback and private
// addresses are allowed: whoever names an endpoint to audit means it.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	if cfg.Kind == "" {
		cfg.Kind = upstream.OpenAI
	}
	if cfg.Model == "" || len(cfg.Model) > wire.MaxModelName {
		return nil, fmt.Errorf("the model's name is missing or longer than %d bytes", wire.MaxModelName)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	base := cfg.Configured
	if base.BaseURL == "" {
		base = upstream.Config{Name: "audited", Kind: cfg.Kind, BaseURL: cfg.URL, CA: cfg.CA, Key: cfg.Key, Class: label.Any, AllowPrivate: true}
	}
	e := &Endpoint{name: string(cfg.Configured.Name), model: cfg.Model, timeout: cfg.Timeout, url: base.BaseURL, others: map[Credential]*upstream.Upstream{}}
	var err error
	if e.own, err = upstream.New(base); err != nil {
		return nil, err
	}
	for credential, key := range map[Credential]string{WrongKey: "sk-0000000000000000000000000000000000000000", NoKey: ""} {
		base.Key = secret.New(key)
		if e.others[credential], err = upstream.New(base); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Close closes idle connections.
func (e *Endpoint) Close() {
	e.own.Close()
	for u := range maps.Values(e.others) {
		u.Close()
	}
}

// Class is how far the operator trusts the endpoint; Any for one that was only named.
func (e *Endpoint) Class() label.Class { return e.own.Class }

// CertKey is the SHA-256 of the public key of the certificate last seen; empty without
// TLS.
func (e *Endpoint) CertKey() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.certKey
}

// Facts implements Subject.
func (e *Endpoint) Facts() Facts {
	return Facts{
		Name: e.name, URL: e.url, Host: e.own.Host(), Kind: string(e.own.Family()), Model: e.model, Class: e.own.Class.String(),
		Official: e.own.Official() && e.own.Kind != upstream.Azure, Keyed: !e.own.Key.Empty(),
	}
}

// formats are the formats that endpoints are spoken to in, by family.
func formats(family upstream.Kind) (wire.Format, wire.Dialect) {
	switch family {
	case upstream.Anthropic:
		return anthropic.Format(), anthropic.Dialect{}
	case upstream.Gemini:
		return gemini.Format(), gemini.Dialect{}
	case upstream.Bedrock:
		return bedrock.Format(), nil
	}
	return openai.Chat(), openai.Dialect{}
}

// Ask implements Subject.
func (e *Endpoint) Ask(ctx context.Context, a *Ask) *Reply {
	u := e.own
	if other := e.others[a.Credential]; other != nil {
		u = other
	}
	model := a.Model
	if model == "" {
		model = e.model
	}
	format, _ := formats(u.Family())
	body, err := write(a, format, u, model)
	if err != nil {
		return &Reply{Outcome: Malformed, Error: "the question cannot be put in the endpoint's format: " + err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	endpoint, path, query := u.Native(a.Stream)
	path = strings.ReplaceAll(path, "{model}", inPath(u.Family(), model))
	header := http.Header{"Content-Type": {"application/json"}, "Accept-Encoding": {"identity"}}
	if u.Family() == upstream.Anthropic {
		header.Set("Anthropic-Version", "2023-06-01")
	}
	maps.Copy(header, a.Header)
	sent := time.Now()
	resp, err := u.Do(ctx, upstream.Request{
		Method: http.MethodPost, Path: path, Query: query, Header: header, Body: io.NopCloser(strings.NewReader(string(body))), Length: int64(len(body)),
		Endpoint: endpoint, Model: model, Stream: a.Stream,
		Sum: func() ([sha256.Size]byte, error) { return sha256.Sum256(body), nil },
	})
	if err != nil {
		return failed(ctx, err)
	}
	defer resp.Body.Close()
	e.seen(resp)
	r := &reading{
		reply: &Reply{Status: resp.StatusCode, Header: telling(resp.Header)}, format: format, sent: sent, stream: a.Stream,
		call: &wire.Call{Endpoint: format.Endpoint, Model: model, Stream: a.Stream, Choices: 1, UsageAsked: true},
	}
	r.read(ctx, resp)
	return r.reply
}

// write renders a question in the format of an upstream.
func write(a *Ask, format wire.Format, u *upstream.Upstream, model string) ([]byte, error) {
	if a.Native != nil {
		return a.Native, nil
	}
	limit := "max_tokens"
	if u.Official() && u.Family() == upstream.OpenAI {
		limit = "max_completion_tokens" // platform.openai.com: max_tokens is not compatible with reasoning models
	}
	body := a.body(model, cmp.Or(a.Limit, limit))
	if u.Family() == upstream.OpenAI {
		return body, nil
	}
	r, err := openai.Chat().Read(body)
	if err != nil {
		return nil, err
	}
	carries := format.For(model, u.Lacks)
	out, _ := format.Write(r.Less(carries), wire.Target{Model: model, Carries: carries, Vendor: u.Official(), Size: len(body)})
	return out, nil
}

// inPath is a model's name in a path.
func inPath(family upstream.Kind, model string) string {
	if family == upstream.Gemini && !strings.Contains(model, "/") {
		return "models/" + url.PathEscape(model)
	}
	if family == upstream.Gemini {
		return model
	}
	return url.PathEscape(model)
}

// seen remembers the certificate of an answer.
func (e *Endpoint) seen(resp *http.Response) {
	if resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return
	}
	der, err := x509.MarshalPKIXPublicKey(resp.TLS.PeerCertificates[0].PublicKey)
	if err != nil {
		return
	}
	sum := sha256.Sum256(der)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.certKey = hex.EncodeToString(sum[:])
}

// failed is the reply when no answer came at all.
func failed(ctx context.Context, err error) *Reply {
	var refused *upstream.RefusedAddressError
	switch {
	case errors.As(err, &refused):
		return &Reply{Outcome: Unreachable, Error: refused.Error()}
	case ctx.Err() != nil:
		return &Reply{Outcome: TimedOut, Error: "no answer came in time"}
	}
	return &Reply{Outcome: Unreachable, Error: connectError(err)}
}

// connectError says why a connection failed without the address, which may hold a
// credential.
func connectError(err error) string {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return strings.TrimPrefix(err.Error(), "upstream audited: ")
}

// tellingHeaders say something of the way that an answer went.
var tellingHeaders = []string{
	"Server", "Via", "X-Request-Id", "Request-Id", "Openai-Processing-Ms", "Openai-Organization", "Openai-Version", "Anthropic-Organization-Id",
	"Cf-Ray", "X-Cache", "X-Cache-Hits", "Age", "Cf-Cache-Status", "X-Litellm-Version", "X-Oneapi-Request-Id", "X-New-Api-Version", "X-Powered-By",
	"Retry-After", "Content-Type", "X-Ratelimit-Limit-Requests", "X-Generation-Id",
}

// telling keeps those headers, each cut to a bound.
func telling(h http.Header) map[string]string {
	kept := map[string]string{}
	for _, name := range tellingHeaders {
		if v := h.Get(name); v != "" {
			kept[name] = v[:min(len(v), wire.MaxNote)]
		}
	}
	return kept
}

// outcomes by status.
func outcomeOf(status int) Outcome {
	switch {
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Denied
	case status >= 500:
		return Failed
	case status >= 400:
		return Refused
	}
	return Malformed // a redirect, or an informational status: no API of models answers so
}

// retryAfter reads the header of a rate limit, in seconds (RFC 9110 section 10.2.3).
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, fault.MaxRetryAfter)
}
