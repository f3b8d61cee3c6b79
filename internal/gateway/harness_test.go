package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/auth"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/journal"
	"sallyport/internal/keep"
	"sallyport/internal/label"
	"sallyport/internal/ledger"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/secret"
	"sallyport/internal/store"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
	"sallyport/internal/wire/anthropic"
	"sallyport/internal/wire/bedrock"
	"sallyport/internal/wire/gemini"
	"sallyport/internal/wire/openai"
)

// Credentials of the upstreams. They must never be seen anywhere but in the one
// header that is meant for them.
const (
	openAIKey    = "sk-canary-openai-0123456789abcdef"
	anthropicKey = "sk-ant-canary-fedcba9876543210"
	geminiKey    = "AIza-canary-9876543210fedcba"
)

// keys are the credentials by vendor, carriers of them by the kind of upstream.
var (
	keys = map[upstreamtest.Vendor]string{
		upstreamtest.OpenAI: openAIKey, upstreamtest.Anthropic: anthropicKey, upstreamtest.Gemini: geminiKey,
	}
	carried = map[upstream.Kind][2]string{
		upstream.OpenAI: {"Authorization", "Bearer " + openAIKey}, upstream.Anthropic: {"X-Api-Key", anthropicKey},
		upstream.Gemini: {"X-Goog-Api-Key", geminiKey},
	}
)

// Names that most tests use.
const (
	oa = identity.Upstream("oa") // upstreams
	an = identity.Upstream("an")
	ge = identity.Upstream("ge")

	fast   = "fast" // public models
	claude = "claude"
	vector = "vector"
	flash  = "flash"
	places = "places"
)

// credentials is the Auth that all rigs share, on a real database: each rig has its
// own key in it.
var credentials struct {
	auth *auth.Auth
	keep *keep.Keep
	logs logs
}

// timeout is longer than any exchange of these tests takes.
const timeout = 30 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests that are parallel wait for limits to be exceeded; they take no CPU.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code, err := withCredentials(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withCredentials opens the shared Auth while run runs.
func withCredentials(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "gateway-test-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := store.Open(context.Background(), store.Config{SQLitePath: filepath.Join(dir, "sallyport.db")})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	master, err := auth.ParseMaster(auth.NewSecretText(1))
	if err != nil {
		return 1, err
	}
	credentials.auth, err = auth.New(context.Background(), auth.Config{
		Store: db, Master: master, Logger: slog.New(slog.NewJSONHandler(&credentials.logs, nil)),
		Registerer: prometheus.NewRegistry(), FailureBurst: 100_000,
	})
	credentials.keep = keep.New(keep.Config{
		Store: db, Newest: master.Newest, Lifetime: time.Hour, Logger: slog.New(slog.NewJSONHandler(&credentials.logs, nil)),
		Subkey: func(v int64) ([32]byte, bool) { key, ok := master.Subkey(v, "test"); return key, ok },
	})
	if err != nil {
		return 1, err
	}
	return run(), nil
}

// plan says what a rig is made of. The zero plan is an honest OpenAI, an honest
// Anthropic and an honest Gemini upstream.
type plan struct {
	limits   func(*gateway.Limits)
	config   func(*gateway.Config)
	snapshot func(*gateway.Snapshot)
	upstream func(*upstream.Config) // of every upstream
	journal  func(*journal.Config)
	vendors  map[identity.Upstream]upstreamtest.Vendor // more upstreams than oa, an and ge
	tap      bool                                      // put a tap in front of every upstreamtest.Server
	slots    int                                       // of the key
}

// rig is a gateway with everything around it that is real: credentials in a
// database, a journal on the disk, providers and a listener on loopback.
type rig struct {
	*gateway.Gateway
	url     string
	addr    string
	client  *http.Client
	key     string // of the project "p"
	admin   string // an administrator's credential
	auth    *auth.Auth
	ups     map[identity.Upstream]*upstreamtest.Server
	taps    map[identity.Upstream]*tap
	logs    *logs
	journal *journal.Journal
	ledger  *ledger.Ledger
	seen    *seen
	metrics *prometheus.Registry
}

// cards price the models of the upstreams, in pico-USD a token.
var cards = []price.Card{
	{ID: "oa-1", Provider: "openai", Model: "gpt-5-mini", Source: "test", Rates: price.Rates{
		llm.Input: 250_000, llm.CacheRead: 25_000, llm.Output: 2_000_000,
	}},
	{ID: "oa-2", Provider: "openai", Model: "text-embedding-3-small", Source: "test", Rates: price.Rates{llm.Input: 20_000}},
	{ID: "an-1", Provider: "anthropic", Model: "claude-sonnet-4-5", Source: "test", Rates: price.Rates{
		llm.Input: 3_000_000, llm.CacheRead: 300_000, llm.CacheWrite5m: 3_750_000, llm.CacheWrite1h: 6_000_000, llm.Output: 15_000_000,
	}},
	{ID: "ge-1", Provider: "gemini", Model: "gemini-3-flash-preview", Source: "test", Rates: price.Rates{
		llm.Input: 500_000, llm.CacheRead: 50_000, llm.Output: 3_000_000,
	}},
	{ID: "ge-2", Provider: "gemini", Model: "gemini-embedding-001", Source: "test", Rates: price.Rates{llm.Input: 150_000}},
}

func newRig(t testing.TB, p plan) *rig {
	t.Helper()
	r := &rig{ups: map[identity.Upstream]*upstreamtest.Server{}, taps: map[identity.Upstream]*tap{}, logs: &logs{}, metrics: prometheus.NewRegistry()}
	logger := slog.New(slog.NewJSONHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.openAuth(t, p.slots)
	r.openJournal(t, p)
	r.ledger = ledger.New(price.NewBook(cards))
	cfg := gateway.Config{
		Auth: r.auth, Journal: r.journal, Ledger: r.ledger, Keep: credentials.keep,
		Dialects: map[upstream.Kind]wire.Dialect{upstream.OpenAI: openai.Dialect{}, upstream.Anthropic: anthropic.Dialect{}, upstream.Gemini: gemini.Dialect{}},
		Formats:  []wire.Format{openai.Chat(), openai.Responses(), openai.Compact(), anthropic.Format(), gemini.Format(), bedrock.Format()},
		Logger:   logger, Registerer: r.metrics, Instance: "instance0000", Spool: t.TempDir(),
	}
	if p.config != nil {
		p.config(&cfg)
	}
	r.Gateway = gateway.New(cfg, r.build(t, p))
	t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		r.canaries(t)
	})
	r.listen(t, r.Gateway)
	return r
}

func (r *rig) openAuth(t testing.TB, slots int) {
	t.Helper()
	r.auth = credentials.auth
	r.key = r.newKey(t, auth.KeySpec{Project: "p", Slots: slots})
	_, admin, err := r.auth.NewAdmin(t.Context(), auth.AdminSpec{Name: "root", Role: identity.RoleAdmin}, discardAct)
	if err != nil {
		t.Fatal(err)
	}
	r.admin = admin.Reveal()
}

func discardAct(auth.Act) error { return nil }

func (r *rig) newKey(t testing.TB, spec auth.KeySpec) string {
	t.Helper()
	_, key, err := r.auth.NewKey(t.Context(), spec, discardAct)
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

func (r *rig) openJournal(t testing.TB, p plan) {
	t.Helper()
	cfg := journal.Config{Dir: t.TempDir(), SegmentBytes: 1 << 20, Registerer: r.metrics}
	if p.journal != nil {
		p.journal(&cfg)
	}
	var err error
	if r.journal, err = journal.Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.journal.Close() })
	r.seen = &seen{journal: r.journal, exchanges: map[string]*trail{}}
}

// build starts the upstreams and makes the snapshot.
func (r *rig) build(t testing.TB, p plan) *gateway.Snapshot {
	t.Helper()
	s := &gateway.Snapshot{
		Hash: "config-hash", Label: label.Internal, Upstreams: map[identity.Upstream]*upstream.Upstream{},
		Models: map[identity.Model][]gateway.Target{
			fast: {{Upstream: oa, Model: "gpt-5-mini"}}, claude: {{Upstream: an, Model: "claude-sonnet-4-5"}},
			vector: {{Upstream: oa, Model: "text-embedding-3-small"}},
			flash:  {{Upstream: ge, Model: "gemini-3-flash-preview"}}, places: {{Upstream: ge, Model: "gemini-embedding-001"}},
		},
		Limits: gateway.Limits{
			Body: 1 << 20, Depth: 64, Answer: 4 << 20, Event: 1 << 20, BodyTime: 10 * time.Second, FirstFrame: 20 * time.Second,
			Stall: 20 * time.Second, Total: 30 * time.Second, Heartbeat: 20 * time.Second,
		},
	}
	if p.limits != nil {
		p.limits(&s.Limits)
	}
	vendors := map[identity.Upstream]upstreamtest.Vendor{oa: upstreamtest.OpenAI, an: upstreamtest.Anthropic, ge: upstreamtest.Gemini}
	maps.Copy(vendors, p.vendors)
	for name, v := range vendors {
		up, err := upstreamtest.Start(upstreamtest.Config{Vendor: v, Key: keys[v]})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := up.Close(); err != nil {
				t.Error(err)
			}
		})
		r.ups[name] = up
		address := up.BaseURL()
		if p.tap {
			r.taps[name] = newTap(t, up)
			address = r.taps[name].url
		}
		s.Upstreams[name] = newUpstream(t, name, v, address, p)
	}
	if p.snapshot != nil {
		p.snapshot(s)
	}
	return s
}

func newUpstream(t testing.TB, name identity.Upstream, v upstreamtest.Vendor, address string, p plan) *upstream.Upstream {
	t.Helper()
	cfg := upstream.Config{
		Name: name, Kind: upstream.Kind(v), BaseURL: address, Key: secret.New(keys[v]), Class: label.Vetted,
		Provider: string(v), AllowPrivate: true, AddUsage: true,
	}
	if p.upstream != nil {
		p.upstream(&cfg)
	}
	u, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// listen serves a handler until the test ends. The header limit is that of the
// product's own listener.
func (r *rig) listen(t testing.TB, h http.Handler) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(slog.NewJSONHandler(r.logs, nil), slog.LevelError),
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) }) // returns when the server is closed
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}
	r.addr, r.url, r.client = l.Addr().String(), "http://"+l.Addr().String(), &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.Close()
		serving.Wait()
	})
}

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

// canaries fails the test when a credential was seen where it does not belong:
// the logs, the journal, or what upstreams received.
func (r *rig) canaries(t testing.TB) {
	t.Helper()
	all := []string{openAIKey, anthropicKey, geminiKey, r.key, r.admin}
	inspect := func(where, text string, but ...string) {
		for _, canary := range all {
			if !slices.Contains(but, canary) && strings.Contains(text, canary) {
				t.Errorf("a credential shows in %s: %.300s", where, text)
			}
		}
	}
	inspect("the logs", r.logs.String()+credentials.logs.String())
	for e, err := range r.journal.Records(journal.Position{}) {
		if err != nil {
			break // the journal was closed by the test
		}
		inspect("the journal", string(e.Payload))
	}
	for name, up := range r.ups {
		for _, q := range up.Journal().Requests() {
			h := q.Header.Clone()
			carrier, own := carried[r.Snapshot().Upstreams[name].Kind][0], carried[r.Snapshot().Upstreams[name].Kind][1]
			if got := strings.Join(h[carrier], "|"); got != own {
				t.Errorf("upstream %s: %s is %q", name, carrier, got)
			}
			h.Del(carrier)
			inspect("a request to "+string(name), fmt.Sprint(q.Method, q.Target, q.Host, h, string(q.Body)))
		}
	}
}

// call is one request of a client.
type call struct {
	method  string // POST when there is a body, else GET
	path    string
	body    string
	header  http.Header
	key     string // "-" for none; empty for the rig's own
	chunked bool
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // while the body was read
	rid    string
	closed bool // the gateway announced to close the connection
}

func (r *rig) request(t testing.TB, ctx context.Context, c call) *http.Request {
	t.Helper()
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
		if c.chunked {
			body = io.MultiReader(body)
		}
	}
	method := cmp.Or(c.method, map[bool]string{true: http.MethodPost, false: http.MethodGet}[c.body != ""])
	q, err := http.NewRequestWithContext(ctx, method, r.url+c.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if c.body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(q.Header, c.header)
	if c.key != "-" {
		q.Header.Set("Authorization", "Bearer "+cmp.Or(c.key, r.key))
	}
	return q
}

// do sends a request and reads the answer to its end.
func (r *rig) do(t testing.TB, c call) answer {
	t.Helper()
	resp, err := r.client.Do(r.request(t, t.Context(), c))
	if err != nil {
		t.Fatalf("%s: %v", c.path, err)
	}
	a := read(resp)
	for _, canary := range []string{openAIKey, anthropicKey, geminiKey, r.key, r.admin} {
		if bytes.Contains(a.body, []byte(canary)) || strings.Contains(fmt.Sprint(a.header), canary) {
			t.Errorf("%s: a credential shows in the answer: %v %s", c.path, a.header, a.body)
		}
	}
	return a
}

func read(resp *http.Response) answer {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, b, err, resp.Header.Get("X-Request-Id"), resp.Close}
}

// post sends a body with the rig's key.
func (r *rig) post(t testing.TB, path, body string) answer {
	t.Helper()
	return r.do(t, call{path: path, body: body})
}

// format is one way to call the gateway: a route with a body that is fit for it.
type format struct {
	name   string
	path   string // {model} stands for the model
	up     identity.Upstream
	model  string // public
	sent   string // the upstream's name of the model
	stream bool
	body   func(model, prompt string) string
	ep     wire.Endpoint
}

func chatBody(stream string) func(model, prompt string) string {
	return func(model, prompt string) string {
		return `{"model":` + quote(model) + `,"messages":[{"role":"user","content":` + quote(prompt) + `}]` + stream + `}`
	}
}

// formats lists every way that makes an exchange.
var formats = []format{
	{"chat", "/v1/chat/completions", oa, fast, "gpt-5-mini", false, chatBody(""), wire.Chat},
	{"chat stream", "/v1/chat/completions", oa, fast, "gpt-5-mini", true, chatBody(`,"stream":true`), wire.Chat},
	{"responses", "/v1/responses", oa, fast, "gpt-5-mini", false, func(m, p string) string {
		return `{"model":` + quote(m) + `,"input":` + quote(p) + `}`
	}, wire.Responses},
	{"responses stream", "/v1/responses", oa, fast, "gpt-5-mini", true, func(m, p string) string {
		return `{"model":` + quote(m) + `,"input":` + quote(p) + `,"stream":true}`
	}, wire.Responses},
	{"embeddings", "/v1/embeddings", oa, vector, "text-embedding-3-small", false, func(m, p string) string {
		return `{"model":` + quote(m) + `,"input":` + quote(p) + `,"dimensions":8}`
	}, wire.Embeddings},
	{"messages", "/v1/messages", an, claude, "claude-sonnet-4-5", false, chatBody(`,"max_tokens":64`), wire.Messages},
	{"messages stream", "/v1/messages", an, claude, "claude-sonnet-4-5", true, chatBody(`,"max_tokens":64,"stream":true`), wire.Messages},
	{"count", "/v1/messages/count_tokens", an, claude, "claude-sonnet-4-5", false, chatBody(""), wire.CountTokens},
	{"gemini", "/v1beta/models/{model}:generateContent", ge, flash, "gemini-3-flash-preview", false, contents, wire.GenerateContent},
	{"gemini stream", "/v1/models/{model}:streamGenerateContent?alt=sse", ge, flash, "gemini-3-flash-preview", true, contents, wire.GenerateContent},
	{"gemini count", "/v1/models/{model}:countTokens", ge, flash, "gemini-3-flash-preview", false, contents, wire.CountContent},
	{"gemini embed", "/v1beta/models/{model}:embedContent", ge, places, "gemini-embedding-001", false, func(m, p string) string {
		return `{"model":` + quote("models/"+m) + `,"content":{"parts":[{"text":` + quote(p) + `}]},"outputDimensionality":8}`
	}, wire.EmbedContent},
	{"gemini batch", "/v1/models/{model}:batchEmbedContents", ge, places, "gemini-embedding-001", false, func(m, p string) string {
		return `{"requests":[{"model":` + quote("models/"+m) + `,"content":{"parts":[{"text":` + quote(p) + `}]},"outputDimensionality":8}]}`
	}, wire.BatchEmbedContents},
}

func contents(_, prompt string) string {
	return `{"contents":[{"role":"user","parts":[{"text":` + quote(prompt) + `}]}]}`
}

func formatNamed(name string) format {
	return formats[slices.IndexFunc(formats, func(f format) bool { return f.name == name })]
}

// call sends a prompt in the format; directives may stand in it.
func (f format) call(prompt string) call {
	return call{path: f.at(f.model), body: f.body(f.model, prompt)}
}

// at is the path for a model.
func (f format) at(model string) string { return strings.Replace(f.path, "{model}", model, 1) }

// target is what the upstream is asked.
func (f format) target() string {
	if !f.google() {
		return f.path
	}
	return strings.Replace(f.at(f.sent), "/v1/", "/v1beta/", 1)
}

// anthropic reports whether the format is Anthropic's.
func (f format) anthropic() bool { return f.ep == wire.Messages || f.ep == wire.CountTokens }

// google reports whether the format is Google's.
func (f format) google() bool { return strings.Contains(f.path, "{model}") }

// counts reports whether the format counts tokens, embeds whether it makes vectors.
func (f format) counts() bool { return f.ep == wire.CountTokens || f.ep == wire.CountContent }

func (f format) embeds() bool {
	return f.ep == wire.Embeddings || f.ep == wire.EmbedContent || f.ep == wire.BatchEmbedContents
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

// alias adds a public model.
func alias(name identity.Model, up identity.Upstream, model string) func(*gateway.Snapshot) {
	return func(s *gateway.Snapshot) { s.Models[name] = []gateway.Target{{Upstream: up, Model: model}} }
}

// noUsage keeps the gateway from asking for usage.
func noUsage(c *upstream.Config) { c.AddUsage = false }

// vendorOf is whose API a format is.
func vendorOf(f format) upstreamtest.Vendor {
	switch {
	case f.google():
		return upstreamtest.Gemini
	case f.anthropic():
		return upstreamtest.Anthropic
	}
	return upstreamtest.OpenAI
}

// total bounds one attempt.
func total(c *upstream.Config) { c.Total = 500 * time.Millisecond }
