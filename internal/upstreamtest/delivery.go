package upstreamtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// frame is one server-sent event.
type frame struct {
	event string // empty for an unnamed event
	data  raw
	last  bool // the dialect's end of stream
	text  bool // carries part of the answer
}

// reply is an answer before anything goes wrong with it: unary when frames is nil.
type reply struct {
	status int
	header http.Header
	body   raw
	frames []frame
	ping   string // a whole heartbeat event, line feeds as line ends
	broken frame  // the dialect's error frame
	pace   pace   // of an Oracle
}

// delivery writes one reply, and what goes wrong with it.
type delivery struct {
	ctx  context.Context
	b    Behaviour
	w    http.ResponseWriter
	rc   *http.ResponseController
	gz   *gzip.Writer
	sent int // frames written
}

// send writes the reply and says how that ended.
func send(ctx context.Context, w http.ResponseWriter, b Behaviour, r reply) Ending {
	d := &delivery{ctx: ctx, b: b, w: w, rc: http.NewResponseController(w)}
	if !d.pause(b.Delay + r.pace.whole(r.frames != nil)) {
		return Ending{Outcome: ClientGone}
	}
	if b.Hints {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
	}
	maps.Copy(w.Header(), r.header)
	if b.Gzip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	if b.MIME != "" {
		w.Header().Set("Content-Type", b.MIME)
	}
	var outcome Outcome
	if r.frames != nil {
		w.WriteHeader(r.status)
		outcome = d.stream(r)
	} else {
		outcome = d.unary(r)
	}
	if outcome == Answered && r.status >= 400 {
		outcome = Refused
	}
	return Ending{Outcome: outcome, Status: r.status, Frames: d.sent}
}

// unary writes a body that is known whole.
func (d *delivery) unary(r reply) Outcome {
	body := []byte(r.body)
	if d.b.Malformed != nil {
		body = body[:len(body)/2]
	}
	if d.b.Empty {
		body = nil
	}
	stop, hang := len(body), false
	if d.b.Cut != nil {
		stop = min(*d.b.Cut, len(body))
	} else if d.b.Stall != nil {
		stop, hang = min(*d.b.Stall, len(body)), true
	}
	properEnd := d.b.Cut != nil && d.b.How == CutEnd
	if !d.b.Chunked && !d.b.Gzip && !properEnd {
		d.w.Header().Set("Content-Length", strconv.FormatInt(int64(len(body))+d.padding(body), 10))
	}
	d.w.WriteHeader(r.status)
	if d.padding(body) > 0 {
		if !d.write([]byte(`{"x_padding":"`)) || !d.pad() || !d.write([]byte(`",`)) {
			return ClientGone
		}
		body, stop = body[1:], max(stop-1, 0)
	}
	if !d.write(body[:stop]) || !d.flush() {
		return ClientGone
	}
	switch {
	case hang:
		return d.hang()
	case d.b.Cut != nil:
		return d.cut()
	}
	return d.finish()
}

// padding is how many bytes Oversize adds to an object.
func (d *delivery) padding(body []byte) int64 {
	if d.b.Oversize == 0 || len(body) < 3 || body[0] != '{' {
		return 0
	}
	return d.b.Oversize + int64(len(`{"x_padding":"",`)) - 1
}

// pad writes Oversize bytes without holding them.
func (d *delivery) pad() bool {
	block := bytes.Repeat([]byte("padding "), 4096)
	for left := d.b.Oversize; left > 0; {
		n := min(left, int64(len(block)))
		if !d.write(block[:n]) {
			return false
		}
		left -= n
	}
	return true
}

// stream writes the frames.
func (d *delivery) stream(r reply) Outcome {
	if !d.flush() || !d.pause(d.b.First+r.pace.first) {
		return ClientGone
	}
	for range d.b.Pings {
		if !d.write(d.lineEnds([]byte(r.ping))) || !d.flush() || !d.pause(d.b.Gap) {
			return ClientGone
		}
	}
	var batch []byte
	for i, f := range r.frames {
		if d.at(d.b.Cut, i) || d.at(d.b.Stall, i) || d.at(d.b.Error, i) {
			break
		}
		if f.last && d.b.NoDone {
			continue
		}
		if i > 0 && d.b.Batch == 0 && !d.pause(d.b.Gap) {
			return ClientGone
		}
		if f.text && d.b.Batch == 0 && !d.pause(r.pace.gap()) {
			return ClientGone
		}
		if d.at(d.b.Malformed, i) {
			f.data = append(raw(nil), f.data[:len(f.data)-1]...)
			f.data = append(f.data, `,"broken`...)
		}
		if d.b.Oversize > 0 && f.text {
			if !d.giant(f) {
				return ClientGone
			}
			d.b.Oversize = 0
			d.sent++
			continue
		}
		batch = append(batch, d.encode(f)...)
		if d.b.Batch > 0 && (i+1)%d.b.Batch != 0 && i+1 < len(r.frames) {
			d.sent++
			continue
		}
		if !d.write(batch) || !d.flush() {
			return ClientGone
		}
		batch = batch[:0]
		d.sent++
	}
	if len(batch) > 0 && (!d.write(batch) || !d.flush()) {
		return ClientGone
	}
	return d.breakOff(r)
}

// breakOff does what stands after the last frame.
func (d *delivery) breakOff(r reply) Outcome {
	switch {
	case d.b.Cut != nil:
		return d.cut()
	case d.b.Stall != nil:
		return d.hang()
	case d.b.Error != nil:
		if !d.write(d.encode(r.broken)) {
			return ClientGone
		}
		d.sent++
	}
	return d.finish()
}

func (d *delivery) at(point *int, i int) bool { return point != nil && *point == i }

// giant writes a frame with padding inside its object.
func (d *delivery) giant(f frame) bool {
	head, tail, _ := strings.Cut(string(d.encode(f)), "{")
	return d.write([]byte(head+`{"x_padding":"`)) && d.pad() && d.write([]byte(`",`+tail)) && d.flush()
}

func (d *delivery) encode(f frame) []byte {
	var b []byte
	if f.event != "" {
		b = append(b, "event: "+f.event+"\n"...)
	}
	b = append(b, "data: "...)
	b = append(b, f.data...)
	return d.lineEnds(append(b, "\n\n"...))
}

func (d *delivery) lineEnds(b []byte) []byte {
	switch d.b.EOL {
	case CRLF:
		return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
	case CR:
		return bytes.ReplaceAll(b, []byte("\n"), []byte("\r"))
	}
	return b
}

// write writes in pieces of Split bytes, each flushed, and reports whether the
// client is still there.
func (d *delivery) write(b []byte) bool {
	var to io.Writer = d.w
	if d.b.Gzip {
		if d.gz == nil {
			d.gz = gzip.NewWriter(d.w)
		}
		to = d.gz
	}
	if d.b.Split == 0 {
		_, err := to.Write(b)
		return err == nil
	}
	for len(b) > 0 {
		n := min(d.b.Split, len(b))
		if _, err := to.Write(b[:n]); err != nil || !d.flush() {
			return false
		}
		b = b[n:]
	}
	return true
}

func (d *delivery) flush() bool {
	if d.gz != nil && d.gz.Flush() != nil {
		return false
	}
	return d.rc.Flush() == nil
}

func (d *delivery) finish() Outcome {
	if d.gz != nil && d.gz.Close() != nil {
		return ClientGone
	}
	if d.rc.Flush() != nil {
		return ClientGone
	}
	return Answered
}

// pause waits and reports whether the client is still there.
func (d *delivery) pause(t time.Duration) bool {
	if t <= 0 {
		return d.ctx.Err() == nil
	}
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.ctx.Done():
		return false
	}
}

// hang waits until the client or the server goes.
func (d *delivery) hang() Outcome {
	<-d.ctx.Done()
	return ClientGone
}

// cut ends the answer as How says.
func (d *delivery) cut() Outcome {
	if d.b.How == CutEnd {
		d.finish()
		return WasCut
	}
	closeConn(d.rc, d.b.How == CutReset)
	return WasCut
}

// closeConn closes the connection under a response. Where a connection carries
// several streams (HTTP/2), the stream is aborted instead.
func closeConn(rc *http.ResponseController, reset bool) {
	conn, _, err := rc.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's documented way to abort a response
	}
	if reset {
		tcp := conn
		if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
			tcp = wrapped.NetConn()
		}
		if t, ok := tcp.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
			_ = t.Close()
		}
	}
	_ = conn.Close()
}
