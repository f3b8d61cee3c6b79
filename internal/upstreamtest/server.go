package upstreamtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Vendor is whose API a Server speaks.
type Vendor string

// The vendors.
const (
	OpenAI    Vendor = "openai"
	Anthropic Vendor = "anthropic"
	Gemini    Vendor = "gemini"
)

// Model is one model that a Server offers.
type Model struct {
	ID       string
	Declared string // the name in answers; empty means ID
}

// DefaultModels are offered when Config names none. Names are ones that the
// vendors' SDKs know, since some SDKs treat unknown names differently.
func DefaultModels(v Vendor) []Model {
	switch v {
	case Anthropic:
		return []Model{
			{ID: "claude-sonnet-4-5", Declared: "claude-sonnet-4-5-20250929"},
			{ID: "claude-haiku-4-5", Declared: "claude-haiku-4-5-20251001"},
		}
	case Gemini:
		return []Model{
			{ID: "gemini-3-flash-preview", Declared: "gemini-3-flash-preview-12-2025"},
			{ID: "gemini-2.5-flash"},
			{ID: "gemini-embedding-001"},
		}
	}
	return []Model{
		{ID: "gpt-5-mini", Declared: "gpt-5-mini-2025-08-07"},
		{ID: "gpt-4o-mini", Declared: "gpt-4o-mini-2024-07-18"},
		{ID: "text-embedding-3-small"},
		{ID: "gpt-image-1"},
		{ID: "gpt-4o-mini-tts"},
		{ID: "gpt-4o-transcribe"},
		{ID: "whisper-1"},
		{ID: "omni-moderation-latest"},
		{ID: "rerank-v3.5"},
	}
}

// Config configures a Server. The zero value is an honest OpenAI on a free
// loopback port that asks for no credential, as local servers do.
type Config struct {
	Vendor       Vendor      // OpenAI when empty
	Listen       string      // loopback address; "127.0.0.1:0" when empty
	TLS          *tls.Config // serve https, and HTTP/2 to those who offer it; nil serves http
	Key          string      // the credential to insist on; none when empty
	Models       []Model     // DefaultModels when empty
	Behaviour    Behaviour   // of every request without a directive
	Oracle       *Oracle     // the model that answers; nil answers with digests
	NoDirectives bool        // text in double brackets is only text
	MaxBody      int64       // longest request body; 64 MiB when 0

	LogPath    string // append-only mirror of the journal; none when empty
	LogHeaders bool   // mirror headers, credentials included
	LogBody    int    // mirror this many bytes of each body
}

// Server is a running provider. It is safe for concurrent use.
type Server struct {
	cfg     Config
	journal *Journal
	http    *http.Server
	url     string
	serial  string // makes request ids unique to this server
	cancel  context.CancelFunc
	serving sync.WaitGroup // the accept loop
	handled sync.WaitGroup // handlers, hijacked connections included
	conns   atomic.Uint64
	ids     atomic.Uint64
	draws   atomic.Uint64 // answers that an Oracle drew
	objects objects

	mu        sync.Mutex
	behaviour Behaviour
	next      []Behaviour
	times     map[string]int          // requests that had each directive and prompt, for Times
	cells     map[string]Distribution // of an Oracle, by system prompt and question
}

// Start starts a Server. Close it.
func Start(cfg Config) (*Server, error) {
	cfg.Vendor = cmp.Or(cfg.Vendor, OpenAI)
	if cfg.Vendor != OpenAI && cfg.Vendor != Anthropic && cfg.Vendor != Gemini {
		return nil, fmt.Errorf("unknown vendor %q", cfg.Vendor)
	}
	if len(cfg.Models) == 0 {
		cfg.Models = DefaultModels(cfg.Vendor)
	}
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 64<<20)
	cfg.Listen = cmp.Or(cfg.Listen, "127.0.0.1:0")
	if err := errors.Join(loopback(cfg.Listen), cfg.Oracle.valid()); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, journal: newJournal(), behaviour: cfg.Behaviour,
		serial: rand.Text(), times: map[string]int{}, cells: map[string]Distribution{},
	}
	s.objects.serial = s.serial
	s.journal.headers, s.journal.bodies = cfg.LogHeaders, cfg.LogBody
	if cfg.LogPath != "" {
		f, err := os.OpenFile(cfg.LogPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open journal mirror: %w", err)
		}
		s.journal.mirror = f
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), s.closeMirror())
	}
	s.serve(l)
	return s, nil
}

func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listen address %q is not loopback", addr)
	}
	return nil
}

type connKey struct{}

// conn is what a Server knows of one connection.
type conn struct {
	id   uint64
	uses atomic.Int64
}

func (s *Server) serve(l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    1 << 20,
		TLSConfig:         s.cfg.TLS,
		ErrorLog:          log.New(io.Discard, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, &conn{id: s.conns.Add(1)})
		},
	}
	s.url = "http://" + l.Addr().String()
	if s.cfg.TLS != nil {
		s.url = "https://" + l.Addr().String()
	}
	s.serving.Go(func() {
		if s.cfg.TLS != nil {
			_ = s.http.ServeTLS(l, "", "") // returns when the server is closed
			return
		}
		_ = s.http.Serve(l)
	})
}

// URL is the server's address, such as "http://127.0.0.1:41234".
func (s *Server) URL() string { return s.url }

// BaseURL is what SDKs and gateways are configured with: URL and "/v1", or
// "/v1beta" of Gemini.
func (s *Server) BaseURL() string {
	if s.cfg.Vendor == Gemini {
		return s.url + "/v1beta"
	}
	return s.url + "/v1"
}

// Journal is what the server saw.
func (s *Server) Journal() *Journal { return s.journal }

// SetBehaviour replaces the behaviour of requests that bring no directive.
func (s *Server) SetBehaviour(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

// Next sets the behaviours of the coming requests, in order; each is used once
// and goes before directives.
func (s *Server) Next(bs ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, bs...)
}

// Close closes every connection, waits for the handlers and closes the mirror.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	s.serving.Wait()
	s.handled.Wait()
	return errors.Join(err, s.closeMirror())
}

func (s *Server) closeMirror() error {
	if s.journal.mirror == nil {
		return nil
	}
	return s.journal.mirror.Close()
}

// exchange is one request on its way to a reply.
type exchange struct {
	s      *Server
	r      *http.Request
	id     string // the vendor's request id
	body   []byte
	b      Behaviour
	queued bool // b came from Next: directives do not apply
	drawn  drawn
}

// ServeHTTP implements http.Handler. It serves the API under /v1, Gemini's also under /v1beta.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.handled.Add(1)
	defer s.handled.Done()
	c, _ := r.Context().Value(connKey{}).(*conn)
	if c == nil {
		c = &conn{id: s.conns.Add(1)} // served by another http.Server than our own
	}
	seen := Request{
		At: time.Now(), Conn: c.id, Use: int(c.uses.Add(1)), Method: r.Method, Target: r.RequestURI, Host: r.Host,
		Proto: r.Proto, Header: r.Header.Clone(), Length: r.ContentLength,
	}
	x := &exchange{s: s, r: r, id: s.requestID()}
	x.b, x.queued = s.take()
	if x.b.Early {
		s.early(w, x, seen)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	seen.Body, x.body = body, body
	seq, err := s.record(seen, err)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	ending := Ending{Outcome: WasCut} // stands when closeConn panics
	defer func() { s.journal.end(seq, ending) }()

	rep := s.answer(x)
	if x.b.DropReused && seen.Use > 1 {
		ending.Outcome = Dropped
		closeConn(http.NewResponseController(w), false)
		return
	}
	ending = send(r.Context(), w, x.b, rep)
}

// record journals a request. A body that broke off is recorded as far as it came.
func (s *Server) record(seen Request, bodyErr error) (int, error) {
	seq, err := s.journal.add(seen)
	if err != nil {
		return 0, err
	}
	if bodyErr != nil {
		s.journal.end(seq, Ending{Outcome: ClientGone})
		return 0, fmt.Errorf("read request body: %w", bodyErr)
	}
	return seq, nil
}

// early answers as to an empty prompt, then reads and records the request.
func (s *Server) early(w http.ResponseWriter, x *exchange, seen Request) {
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex() // an error means HTTP/2, which needs no permission
	x.body, x.queued = emptyPrompt(s.cfg, x.b.Frames > 0), true
	ending := send(x.r.Context(), w, x.b, s.answer(x))
	body, err := io.ReadAll(io.LimitReader(x.r.Body, s.cfg.MaxBody))
	seen.Body = body
	if seq, err := s.record(seen, err); err == nil {
		s.journal.end(seq, ending)
	}
}

// take returns the behaviour of the next request, and whether it was queued.
func (s *Server) take() (Behaviour, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.next) == 0 {
		return s.behaviour, false
	}
	b := s.next[0]
	s.next = s.next[1:]
	return b, true
}

// direct lets a directive in the prompt change the behaviour.
func (x *exchange) direct(p *prompt) *fault {
	words, ok := findDirective(p.last)
	if !ok || x.queued || x.s.cfg.NoDirectives {
		return nil
	}
	b, err := ParseBehaviour(x.b, words)
	if err != nil {
		return badRequest("", "upstreamtest directive: "+err.Error())
	}
	if b.Times > 0 {
		sum := sha256.Sum256([]byte(p.text.String()))
		if x.s.count(string(sum[:])) > b.Times {
			return nil
		}
	}
	x.b = b
	return nil
}

// count counts the requests with a key, and forgets all when there are too many.
func (s *Server) count(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.times) > 100_000 {
		clear(s.times)
	}
	s.times[key]++
	return s.times[key]
}

func (s *Server) requestID() string {
	sum := sha256.Sum256(fmt.Append(nil, s.serial, s.ids.Add(1)))
	return "req_" + hex.EncodeToString(sum[:12])
}

// model finds an offered model.
func (s *Server) model(id string) (Model, bool) {
	i := slices.IndexFunc(s.cfg.Models, func(m Model) bool { return m.ID == id })
	if i < 0 {
		return Model{}, false
	}
	return s.cfg.Models[i], true
}

// declared is the model name that an answer carries.
func (x *exchange) declared(m Model) string { return cmp.Or(x.b.Model, m.Declared, m.ID) }

// answer makes the reply to a recorded request.
func (s *Server) answer(x *exchange) reply {
	v := vendorOf(s.cfg.Vendor)
	rep, f := v.route(x)
	if f == nil && x.b.Redirect != "" {
		h := v.headers(x)
		h.Set("Location", x.b.Redirect)
		rep = reply{status: http.StatusTemporaryRedirect, header: h, body: raw("{}")}
	}
	if f == nil && x.b.Status > 0 {
		f = v.status(x.b.Status)
		f.kind = cmp.Or(x.b.Type, f.kind)
	}
	if f == nil {
		rep.pace = x.pace()
	}
	if f != nil {
		if x.echoes("error") {
			f.message += " " + x.headerText()
		}
		rep = v.fault(x, f)
	}
	if x.b.RetryAfter != "" {
		rep.header.Set("Retry-After", x.b.RetryAfter)
	}
	if x.b.RetryAfterMS != "" {
		rep.header.Set("Retry-After-Ms", x.b.RetryAfterMS)
	}
	if x.echoes("header") {
		for name, values := range x.r.Header {
			rep.header["X-Echo-"+name] = values
		}
	}
	return rep
}

func (x *exchange) echoes(where string) bool { return strings.Contains(x.b.Echo, where) }

// headerText is the request's headers as one line of text, credentials included.
func (x *exchange) headerText() string {
	var t strings.Builder
	_ = x.r.Header.Write(&t) // a strings.Builder does not fail
	return strings.ReplaceAll(strings.TrimSpace(t.String()), "\r\n", "; ")
}

// fault is an error that the provider reports.
type fault struct {
	status  int
	kind    string // Anthropic's type, OpenAI's code, Google's status
	class   string // OpenAI's type
	param   string // OpenAI's param
	message string
}

func badRequest(param, message string) *fault {
	return &fault{status: 400, kind: "", class: "invalid_request_error", param: param, message: message}
}

// vendor is what the APIs do differently.
type vendor struct {
	route   func(*exchange) (reply, *fault)
	headers func(*exchange) http.Header
	status  func(int) *fault
	fault   func(*exchange, *fault) reply
}

func vendorOf(v Vendor) vendor {
	switch v {
	case Gemini:
		return vendor{routeGemini, geminiHeaders, geminiStatus, geminiFault}
	case Anthropic:
		return vendor{routeAnthropic, anthropicHeaders, anthropicStatus, anthropicFault}
	}
	return vendor{routeOpenAI, openAIHeaders, openAIStatus, openAIFault}
}
