package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/wire"
)

// A WebSocket on GET /responses is a loop of ordinary exchanges: each message of
// type response.create is run as a streamed POST /responses would be, with its own
// authentication, decision and record, and each event of the answer becomes one
// message. What differs is the session: the last response on the connection can be
// named even when nothing is kept.

// Bounds on sockets.
const (
	maxSockets  = 1024             // open at one time
	socketIdle  = 10 * time.Minute // without a request
	socketWrite = 30 * time.Second // for one message to be taken
)

// sockets counts the open ones, and tells them when the gateway stops.
type sockets struct {
	open atomic.Int64
	quit chan struct{} // closed when draining
}

// serveSocket authenticates, accepts the connection and serves it to its end. as
// is the principal of a trusted listener, or nil.
func (x *Exchange) serveSocket(as *identity.Principal) {
	defer x.recover()
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	g := x.gateway
	if g.sockets.open.Add(1) > maxSockets {
		g.sockets.open.Add(-1)
		x.refuse(&fault.Error{Kind: fault.RateLimited, Public: "too many WebSockets are open", RetryAfter: time.Minute})
		return
	}
	defer g.sockets.open.Add(-1)
	if !strings.EqualFold(x.request.Header.Get("Upgrade"), "websocket") {
		x.reply.allow = http.MethodPost
		x.refuse(fault.New(fault.MethodNotAllowed, "GET of this route is for WebSockets; responses are made by POST"))
		return
	}
	conn, err := websocket.Accept(x.reply.w, x.request, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil { // it has answered
		return
	}
	defer conn.CloseNow() //nolint:errcheck // closed already, or of no use any more
	conn.SetReadLimit(x.snapshot.Limits.Body)
	s := &socket{gateway: g, conn: conn, handshake: x.request, endpoint: generates(x.endpoint.name), principal: as, session: &session{}}
	s.loop(x.request.Context())
}

// generates is the row of the route table by which answers of a format are asked for.
func generates(name wire.Endpoint) endpoint {
	i := slices.IndexFunc(table, func(e endpoint) bool { return e.name == name && e.kind == generate })
	return table[i]
}

// socket is one connection.
type socket struct {
	gateway   *Gateway
	conn      *websocket.Conn
	handshake *http.Request
	endpoint  endpoint
	principal *identity.Principal // of a trusted listener; nil where each request authenticates
	session   *session
}

// loop runs one exchange after the other. Messages are read ahead by one, so that
// a client that leaves ends the exchange that runs for it.
func (s *socket) loop(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan []byte)
	go func() {
		defer cancel()
		for {
			kind, b, err := s.conn.Read(ctx)
			if err != nil {
				return
			}
			if kind != websocket.MessageText {
				s.close(websocket.StatusUnsupportedData, "messages are JSON text")
				return
			}
			select {
			case messages <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		idle := time.NewTimer(socketIdle)
		select {
		case <-ctx.Done():
			idle.Stop()
			return
		case <-s.gateway.sockets.quit:
			idle.Stop()
			s.close(websocket.StatusGoingAway, "the gateway is shutting down")
			return
		case <-idle.C:
			s.close(websocket.StatusNormalClosure, "no request for "+socketIdle.String())
			return
		case b := <-messages:
			idle.Stop()
			s.serve(ctx, b)
		}
	}
}

func (s *socket) close(code websocket.StatusCode, why string) { _ = s.conn.Close(code, why) }

// serve runs the exchange that a message asks for.
func (s *socket) serve(ctx context.Context, message []byte) {
	w := &socketWriter{ctx: ctx, conn: s.conn, header: http.Header{}, split: wire.NewSplitter(s.gateway.Snapshot().Limits.Event)}
	body, err := create(message, s.gateway.Snapshot().Limits.Depth)
	r := s.handshake.Clone(ctx)
	r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Del("Content-Encoding")
	for _, name := range []string{"Idempotency-Key", "Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol"} {
		r.Header.Del(name)
	}
	x := s.gateway.begin(w, r, s.endpoint, s.principal)
	x.session = s.session
	switch {
	case err != nil:
		if refused := x.authenticate(); refused != nil {
			err = refused
		}
		x.refuse(err)
	case !s.gateway.enter():
		x.reply.fault(fault.New(fault.Unavailable, "the gateway is shutting down"))
	default:
		x.serve()
		s.gateway.leave()
	}
	w.end()
}

// create is the body of the POST that a message stands for: its members without
// the type, as a stream.
func create(message []byte, depth int) ([]byte, error) {
	if err := wire.Scan(message, wire.Limits{Depth: depth}, messageGuard, make([]wire.Span, messageGuard.Len())); err != nil {
		return nil, err
	}
	body := append(make([]byte, 0, len(message)+16), '{')
	typ := ""
	for key, value := range wire.Members(message, wire.Span{Start: bytes.IndexByte(message, '{'), End: len(message)}) {
		switch name, _ := wire.Text(key.Of(message), 64); name {
		case "type":
			typ, _ = wire.Text(value.Of(message), 64)
		case "stream":
		default:
			body = append(append(append(body, key.Of(message)...), ':'), value.Of(message)...)
			body = append(body, ',')
		}
	}
	if typ != "response.create" {
		return nil, wire.Refuse("/type", "the type of a message must be response.create")
	}
	return append(body, `"stream":true}`...), nil
}

var messageGuard = wire.NewGuard("type", "stream")

// socketWriter is the client's side of one exchange on a socket: an
// http.ResponseWriter that turns the events of a stream, or the body of an error,
// into messages.
type socketWriter struct {
	ctx    context.Context
	conn   *websocket.Conn
	header http.Header
	status int
	split  *wire.Splitter
	whole  []byte // of an answer that is no stream
	failed error
}

// Header implements http.ResponseWriter.
func (w *socketWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *socketWriter) WriteHeader(status int) { w.status = status }

// SetReadDeadline is asked for by the exchange; the body is in memory.
func (w *socketWriter) SetReadDeadline(time.Time) error { return nil }

// FlushError is asked for by the exchange; messages leave at once.
func (w *socketWriter) FlushError() error { return w.failed }

// Write implements http.ResponseWriter.
func (w *socketWriter) Write(b []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	if !strings.HasPrefix(w.header.Get("Content-Type"), "text/event-stream") {
		w.whole = append(w.whole, b...)
		return len(b), nil
	}
	w.split.Feed(b)
	for w.split.Next() {
		if data := w.split.Event().Data; len(data) > 0 && data[0] == '{' { // no comment and no [DONE]
			w.send(data)
		}
	}
	if err := w.split.Err(); err != nil && w.failed == nil {
		w.failed = err
	}
	if w.failed != nil {
		return 0, w.failed
	}
	return len(b), nil
}

func (w *socketWriter) send(message []byte) {
	if w.failed != nil {
		return
	}
	ctx, cancel := context.WithTimeout(w.ctx, socketWrite)
	defer cancel()
	w.failed = w.conn.Write(ctx, websocket.MessageText, message)
}

// end sends what was no stream: an error, as the event that clients raise on. They
// want a code, which the API's own errors do not always have.
func (w *socketWriter) end() {
	if len(w.whole) == 0 {
		return
	}
	if !wire.Valid(w.whole) {
		w.failed = errors.Join(w.failed, errors.New("an answer that is no JSON"))
		return
	}
	f := wire.Root(w.whole).Fields().Take("error").Fields()
	code := f.Take("code")
	if !code.Given() {
		code = f.Take("type")
	}
	b := wire.NewBuilder(nil).Open().StrMember("type", "error").Key("sequence_number").Int(0).Key("status").Int(int64(w.status))
	b.Key("error").Open().StrMember("type", f.Take("type").String()).StrMember("code", cmp.Or(code.String(), "error"))
	b.Key("message").Lit(f.Take("message").Lit()).Key("param").Lit(f.Take("param").Lit())
	w.send(b.Close().Close().Bytes())
}
