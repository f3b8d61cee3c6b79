package gateway

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// reply is the client's side of an exchange. The exchange's goroutine writes to
// it; while a start is awaited a timer may write heartbeats.
type reply struct {
	w       http.ResponseWriter
	control *http.ResponseController
	dialect wire.Dialect
	name    wire.Endpoint
	id      string

	mu       sync.Mutex
	begun    bool        // status and header are out
	ended    bool        // nothing more may be written
	status   int         // that was written; 0 when none was
	written  int64       // bytes of the body
	inserts  []wire.Edit // what Sallyport added to the upstream's bytes, by offset into them
	broken   bool        // the client cannot be written to any more
	beat     *time.Timer // of heartbeats; nil when there are none
	unread   bool        // the connection may still bring some of the request's body
	allow    string      // methods that the route accepts, for a request with another
	formless bool        // the answer has no form for errors
	deaf     bool        // pieces of a stream that the client does not take are no reason to stop
	array    *array      // turns events into what the client gets; nil when it gets events
}

func newReply(w http.ResponseWriter, r *http.Request, d wire.Dialect, name wire.Endpoint, id string) *reply {
	return &reply{
		w: w, control: http.NewResponseController(w), dialect: d, name: name, id: id,
		unread: r.ContentLength != 0 && r.ProtoMajor == 1, // HTTP/2 ends a stream by itself
	}
}

// readBy bounds how long the rest of the request's body may take.
func (p *reply) readBy(t time.Time) error { return p.control.SetReadDeadline(t) }

// sent is the status and the number of body bytes that were written.
func (p *reply) sent() (status, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.status), p.written
}

// own sets the headers that are always ours.
func (p *reply) own(h http.Header) {
	h[headerRequestID] = []string{p.id}
	h[headerAnthropic] = []string{p.id}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
}

// header gives the header to fill before begin.
func (p *reply) header() http.Header { return p.w.Header() }

// begin writes status and header; the caller holds mu. Of a connection that may
// still bring a body net/http would wait for that body, without a limit and before
// it sends the answer: such a connection is closed, and what comes until then has
// one drainTime.
func (p *reply) begin(status int) {
	if p.begun {
		return
	}
	if p.unread {
		p.w.Header()["Connection"] = []string{"close"}
		_ = p.readBy(time.Now().Add(drainTime))
	}
	p.own(p.w.Header())
	p.begun, p.status = true, status
	p.w.WriteHeader(status)
}

// whole writes a complete answer. It reports whether the client took it.
func (p *reply) whole(status int, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun {
		p.w.Header()["Content-Length"] = []string{strconv.Itoa(len(b))}
	}
	p.begin(status)
	return p.write(b)
}

// stream writes a piece of a stream and flushes it.
func (p *reply) stream(status int, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun {
		p.streamHeader()
	}
	p.begin(status)
	return p.write(p.array.elements(b)) && p.flush() || p.deaf
}

// persist goes on taking a stream when the client has left.
func (p *reply) persist() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}

func (p *reply) streamHeader() {
	h := p.w.Header()
	h["Content-Type"] = []string{"text/event-stream; charset=utf-8"}
	if p.array != nil {
		h["Content-Type"] = []string{"application/json; charset=utf-8"}
	}
	h["X-Accel-Buffering"] = []string{"no"}
}

// write writes body bytes; the caller holds mu.
func (p *reply) write(b []byte) bool {
	if p.broken || p.ended {
		return false
	}
	p.array.sent(b)
	n, err := p.w.Write(b)
	p.written += int64(n)
	p.broken = err != nil
	return err == nil
}

func (p *reply) flush() bool {
	if err := p.control.Flush(); err != nil {
		p.broken = true
	}
	return !p.broken
}

// fault answers with an error in the route's own format: as a reply when nothing
// was written yet, else as the format's error frame. It returns the frame.
func (p *reply) fault(e *fault.Error) (frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil
	}
	if p.begun && p.formless {
		p.ended = true
		return nil
	}
	if p.begun {
		frame = p.dialect.Fault(p.name, e, p.id, true)
		p.write(p.array.last(frame))
		p.flush()
		p.ended = true
		return frame
	}
	b := p.dialect.Fault(p.name, e, p.id, false)
	h := p.w.Header()
	clear(h)
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	h[headerReason] = []string{string(e.Reason())}
	if e.RetryAfter > 0 {
		h["Retry-After"] = []string{seconds(min(e.RetryAfter, fault.MaxRetryAfter))}
	}
	if !e.Kind.Retryable() {
		h[headerRetry] = []string{"false"}
	}
	if p.allow != "" {
		h["Allow"] = []string{p.allow}
	}
	p.begin(e.Status())
	p.write(b)
	p.ended = true
	return nil
}

// keepAlive writes a heartbeat every interval until quiet is called, so that a
// streaming client does not give up while a start is awaited.
func (p *reply) keepAlive(interval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beat = time.AfterFunc(interval, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.beat == nil || p.ended || p.broken {
			return
		}
		if !p.begun {
			p.streamHeader()
		}
		p.begin(http.StatusOK)
		frame := p.dialect.Heartbeat(p.name)
		p.inserts = append(p.inserts, wire.Edit{With: frame})
		p.write(frame)
		p.flush()
		p.beat.Reset(interval)
	})
}

// quiet ends the heartbeats: once it has returned, nobody but the exchange's own
// goroutine touches the client's side. It reports whether status and header are out.
func (p *reply) quiet() (begun bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.beat != nil {
		p.beat.Stop()
		p.beat = nil
	}
	return p.begun
}

// gone reports whether the client cannot be written to any more.
func (p *reply) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}
