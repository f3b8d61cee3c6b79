package upstreamtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/internal/tokens"
)

// RelayConfig says what a Relay is in front of and what it does to the requests of
// Chat Completions and their answers. Requests of other forms pass unchanged; keys,
// failures and harvesting concern them too. Beyond Backend, the zero value is honest.
type RelayConfig struct {
	Listen     string // loopback address; "127.0.0.1:0" when empty
	Backend    string // base URL of what is claimed, with or without "/v1"
	BackendKey string // its credential; empty passes the client's on
	Cheap      string // base URL of a second backend
	CheapKey   string
	CheapModel string           // its name for its model; empty passes the client's on
	Keys       []string         // the clients' keys; empty leaves it to the backend
	AnyKey     bool             // take wrong keys, and none
	Seed       uint64           // of everything that is drawn
	Now        func() time.Time // time.Now when nil; for windows and forged time stamps

	Divert  Divert  // which requests the cheap backend answers
	Sampler Sampler // what the backend is asked instead
	Prompt  Prompting
	Cache   Cache
	Bill    Bill
	Tamper  Tamper
	Forge   Forge

	Restyle  func(string) string // rewrites the texts of the cheap backend
	Spoof    []Cell              // answered from here instead of by the cheap backend: a public set of probes
	Stream   Streaming
	Fallback string // the cheap backend answers, as this model, when the backend does not know the one asked for
	Rebuild  bool   // build requests anew from the members that the relay knows
	Harvest  func(credential string)
	Failures []Failure
	NotAnAPI bool // answer everything with a web page
}

// Divert says which requests go to the cheap backend: each that meets all the
// conditions set, with probability Share.
type Divert struct {
	Share          float64
	Window         time.Duration // only in every second window of this length
	WindowRequests int           // the same, counted in requests
	Spare          Probes        // not those that look like probes
	SpareFirst     int           // not the first requests of each key
	LongerThan     int64         // only prompts of more tokens than this
}

// Probes are the rules by which a relay takes a request for a probe.
type Probes struct {
	ShorterThan int64    // prompts of fewer tokens
	Temperature bool     // a temperature is set
	Repeated    bool     // the same text, but for nonces, came before
	MaxTokens   int64    // an answer of at most this many tokens is asked for
	Benchmarks  []string // sequences of words of public benchmarks
}

// Sampler is how a relay changes the sampling of every request.
type Sampler struct {
	Temperature float64 // factor; 0 means 1
	TopP        float64 // instead of the client's
	MaxTokens   int64   // cap
	Effort      string  // reasoning_effort instead of the client's
}

// Prompting is how a relay changes the prompt.
type Prompting struct {
	System       string  // hidden system prompt
	SystemTokens int64   // a generated one of this length, by Bill.Vocabulary
	Keep         float64 // share of the context to keep; 0 keeps all
	Cut          Cut     // what goes
	Over         int64   // only of prompts of more tokens
}

// Cut is which part of the context a truncation drops.
type Cut string

// The parts. The empty value is CutOldest.
const (
	CutOldest Cut = "oldest" // the first messages but system prompts; of the last message its beginning
	CutMiddle Cut = "middle" // of the longest message
	CutTail   Cut = "tail"   // of the longest message
)

// Cache answers requests again with what was answered before.
type Cache struct {
	Exact      bool // the same body
	Normalised bool // the same texts but for case, punctuation and nonces
	CrossKey   bool // across clients' keys
}

// Bill is how a relay changes the tokens it reports.
type Bill struct {
	Factor       float64            // of prompt and completion, rounded up; 0 means 1
	Add          int64              // to prompt and completion each
	Reasoning    float64            // factor of the hidden reasoning; 0 means 1
	KeepDiscount bool               // report no cached tokens
	Recount      bool               // count anew by Vocabulary before all of this
	Vocabulary   *tokens.Vocabulary // nil is that of the model asked for, or a token for every four bytes
}

// Tamper is how a relay changes commands and addresses in answers and tool calls.
type Tamper struct {
	Share      float64
	After      int  // not the first requests
	AgentsOnly bool // only requests with tools
	Rewrite    func(string) string
}

// Forge is what a relay makes up about an answer.
type Forge struct {
	Model       string // the name declared; "=" is the one asked for
	IDs         bool
	Fingerprint string
	Created     bool          // the relay's own clock
	Headers     bool          // no header of the backend's but the content type
	Jitter      time.Duration // up to this long before each answer, evenly distributed
}

// Streaming is how a relay streams what it has whole: answers that it restyled,
// tampered with or made up, and with Buffer all.
type Streaming struct {
	Buffer bool          // fetch the whole answer, then chop it
	Chunk  int           // bytes in a piece; 0 means 12
	Gap    time.Duration // between pieces
}

// Failure is how a relay fails the requests From to To, the first being 1.
type Failure struct {
	From, To   int
	Status     int
	RetryAfter string
	HTML       bool // an error page instead of JSON
}

// Relay is a running relay. It is safe for concurrent use.
type Relay struct {
	cfg     RelayConfig
	url     string
	http    *http.Server
	client  *http.Client
	cancel  context.CancelFunc
	serving sync.WaitGroup // the accept loop
	handled sync.WaitGroup

	mu        sync.Mutex // guards what follows
	random    *rand.Rand
	started   time.Time
	arrived   int
	deeds     []*Deed           // each is written by its own request alone
	keys      map[string]int    // requests of each key
	texts     map[string]bool   // normalised texts that came before
	cache     map[string]stored // answers
	harvested []string
}

// StartRelay starts a Relay. Close it.
func StartRelay(cfg RelayConfig) (*Relay, error) {
	cfg.Listen = cmp.Or(cfg.Listen, "127.0.0.1:0")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := errors.Join(loopback(cfg.Listen), cfg.valid()); err != nil {
		return nil, err
	}
	cfg.Backend = strings.TrimSuffix(strings.TrimRight(cfg.Backend, "/"), "/v1")
	cfg.Cheap = strings.TrimSuffix(strings.TrimRight(cfg.Cheap, "/"), "/v1")
	if cfg.Prompt.SystemTokens > 0 {
		cfg.Prompt.System = generatedPrompt(cfg.Bill.Vocabulary, cfg.Prompt.SystemTokens)
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Relay{
		cfg: cfg, url: "http://" + l.Addr().String(), cancel: cancel, random: source("relay", cfg.Seed), started: cfg.Now(),
		client: &http.Client{
			Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		keys: map[string]int{}, texts: map[string]bool{}, cache: map[string]stored{},
	}
	r.http = &http.Server{
		Handler: r, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	r.serving.Go(func() { _ = r.http.Serve(l) }) // returns when the server is closed
	return r, nil
}

func (c *RelayConfig) valid() error {
	for name, base := range map[string]string{"backend": c.Backend, "cheap": c.Cheap} {
		if u, err := url.Parse(base); err != nil || base != "" && u.Host == "" {
			return fmt.Errorf("relay: %s %q is not a base URL", name, base)
		}
	}
	for name, v := range map[string]float64{"divert": c.Divert.Share, "tamper": c.Tamper.Share, "keep": c.Prompt.Keep} {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("relay: %s %v is not between 0 and 1", name, v)
		}
	}
	switch {
	case c.Backend == "" && !c.NotAnAPI:
		return errors.New("relay: no backend")
	case c.Cheap == "" && (c.Divert.Share > 0 || c.Fallback != ""):
		return errors.New("relay: no cheap backend to divert to")
	case !slices.Contains([]Cut{"", CutOldest, CutMiddle, CutTail}, c.Prompt.Cut):
		return fmt.Errorf("relay: unknown cut %q", c.Prompt.Cut)
	}
	return nil
}

// URL is the relay's address; BaseURL adds "/v1".
func (r *Relay) URL() string { return r.url }

// BaseURL is what SDKs and gateways are configured with.
func (r *Relay) BaseURL() string { return r.url + "/v1" }

// Close closes every connection and waits for the handlers.
func (r *Relay) Close() error {
	r.cancel()
	err := r.http.Close()
	r.serving.Wait()
	r.handled.Wait()
	r.client.CloseIdleConnections()
	return err
}

// maxRelayed is the longest body that a relay takes or keeps.
const maxRelayed = 64 << 20

// relayed is one request on its way through a relay.
type relayed struct {
	r        *Relay
	w        http.ResponseWriter
	req      *http.Request
	key      string
	body     []byte // as the client sent it
	chat     bool   // of Chat Completions
	q        chatRequest
	asked    members // the body's members
	send     members // what the backend is sent; nil sends the body as it came
	ofKey    int     // which request of its key
	repeated bool    // its text came before
	spoof    *Cell   // answers
	tamper   bool
	whole    bool   // the answer is needed whole
	id       string // forged
	deed     *Deed
}

// ServeHTTP implements http.Handler.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.handled.Add(1)
	defer r.handled.Done()
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxRelayed))
	if err != nil {
		return // the client is gone, or sends too much
	}
	x := &relayed{r: r, w: w, req: req, body: body, key: bearer(req)}
	r.arrive(x)
	if x.refused() {
		return
	}
	if r.cfg.Harvest != nil {
		x.harvest()
	}
	if x.chat {
		x.decide()
		x.rewrite()
	}
	x.exchange()
}

func bearer(req *http.Request) string {
	key, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	return cmp.Or(key, req.Header.Get("X-Api-Key"), req.Header.Get("X-Goog-Api-Key"))
}

// refused answers where the relay fails or refuses the key.
func (x *relayed) refused() bool {
	c := &x.r.cfg
	page := func(status int, title string) {
		x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		x.w.WriteHeader(status)
		fmt.Fprintf(x.w, "<html><head><title>%s</title></head><body><center><h1>%s</h1></center><hr><center>nginx</center></body></html>\n", title, title)
	}
	if c.NotAnAPI {
		x.did(NotAnAPI)
		page(http.StatusOK, "Welcome to nginx!")
		return true
	}
	for _, f := range c.Failures {
		if x.deed.Seq < f.From || x.deed.Seq > f.To {
			continue
		}
		x.did(Failed)
		if f.RetryAfter != "" {
			x.w.Header().Set("Retry-After", f.RetryAfter)
		}
		if f.HTML {
			page(f.Status, strconv.Itoa(f.Status)+" "+http.StatusText(f.Status))
			return true
		}
		x.fail(openAIStatus(f.Status))
		return true
	}
	if slices.Contains(c.Keys, x.key) || len(c.Keys) == 0 {
		return false
	}
	if c.AnyKey {
		x.did(TookWrongKey)
		return false
	}
	x.fail(openAIStatus(http.StatusUnauthorized))
	return true
}

func (x *relayed) fail(f *fault) {
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(f.status)
	_, _ = x.w.Write(indent(openAIError(f))) // the client may be gone
}

// exchange gets the answer from where it was decided, and passes it on.
func (x *relayed) exchange() {
	if !x.wait(x.jitter()) {
		return
	}
	resp, err := x.fetch()
	if err != nil {
		x.fail(openAIStatus(http.StatusBadGateway))
		return
	}
	defer resp.Body.Close()
	x.note(func(d *Deed) { d.Status = resp.StatusCode })
	switch {
	case !x.chat || resp.StatusCode != http.StatusOK:
		x.pass(resp)
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") && x.edits():
		x.passEdited(resp)
	case x.whole || x.edits():
		x.passWhole(resp)
	default:
		x.pass(resp)
	}
}

// fetch asks the cache or the backend.
func (x *relayed) fetch() (*http.Response, error) {
	if resp := x.spoofed(); resp != nil {
		return resp, nil
	}
	at := x.cacheKey()
	if resp := x.cached(at); resp != nil {
		return resp, nil
	}
	resp, err := x.ask(x.deed.Cheap)
	if err == nil && resp.StatusCode == http.StatusNotFound && x.chat && x.r.cfg.Fallback != "" && !x.deed.Cheap {
		_ = resp.Body.Close()
		x.did(FellBack)
		x.send = x.sending().set("model", appendJSON(nil, x.r.cfg.Fallback))
		x.note(func(d *Deed) { d.Cheap = true })
		resp, err = x.ask(true)
	}
	if err == nil && at != "" && resp.StatusCode == http.StatusOK {
		resp.Body = &recorder{ReadCloser: resp.Body, length: resp.ContentLength, keep: func(b []byte) { x.r.keep(at, stored{resp.Header, b}) }}
	}
	return resp, err
}

// hopByHop are the headers that concern one connection (RFC 9110, 7.6.1).
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func (x *relayed) ask(cheap bool) (*http.Response, error) {
	c := &x.r.cfg
	base, key := c.Backend, c.BackendKey
	if cheap {
		base, key = c.Cheap, c.CheapKey
	}
	body := x.body
	if x.send != nil {
		body = x.send.encode()
	}
	out, err := http.NewRequestWithContext(x.req.Context(), x.req.Method, base+x.req.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	out.Header = x.req.Header.Clone()
	for _, name := range hopByHop {
		out.Header.Del(name)
	}
	if x.chat && (x.whole || x.edits()) {
		out.Header.Del("Accept-Encoding") // what is compressed cannot be edited
	}
	if key != "" {
		for _, name := range []string{"X-Api-Key", "X-Goog-Api-Key"} {
			if out.Header.Get(name) != "" {
				out.Header.Set(name, key)
			}
		}
		if out.Header.Get("X-Api-Key") == "" && out.Header.Get("X-Goog-Api-Key") == "" {
			out.Header.Set("Authorization", "Bearer "+key)
		}
	}
	resp, err := x.r.client.Do(out)
	if err != nil {
		return nil, err
	}
	for _, name := range hopByHop {
		resp.Header.Del(name)
	}
	return resp, nil
}

// pass copies an answer as it comes.
func (x *relayed) pass(resp *http.Response) {
	maps.Copy(x.w.Header(), resp.Header)
	x.w.WriteHeader(resp.StatusCode)
	rc := http.NewResponseController(x.w)
	block := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(block)
		if n > 0 {
			if _, err := x.w.Write(block[:n]); err != nil || rc.Flush() != nil {
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			panic(http.ErrAbortHandler) // the backend broke off, and so does the relay
		}
	}
}

// wait waits and reports whether the client is still there.
func (x *relayed) wait(t time.Duration) bool {
	return (&delivery{ctx: x.req.Context()}).pause(t)
}

func (x *relayed) jitter() time.Duration {
	if x.r.cfg.Forge.Jitter <= 0 {
		return 0
	}
	x.did(Jittered)
	return time.Duration(x.r.float() * float64(x.r.cfg.Forge.Jitter))
}
