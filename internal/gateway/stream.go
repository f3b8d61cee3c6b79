package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// drainTime is how long the connection may stay open after the end of an answer
// before it is given up.
const drainTime = time.Second

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// maxHeld bounds the frames that are held back until the first content frame.
const maxHeld = 1 << 20

// pump passes one stream on. Frames are held until the first content frame
// commits the attempt; from then on each read is written and flushed at once.
type pump struct {
	a      *attempt
	status int
	header http.Header
	split  *wire.Splitter
	hash   hash.Hash // of what the upstream sent; nil when hashes are skipped
	watch  *watch
	stall  time.Duration // between frames
	buf    []byte        // of reads
	out    []byte        // what the present read adds to the client's stream, or what is held
	ended  bool          // the dialect's end was seen
	stop   bool          // nothing more is to be read

	// reframe turns what the upstream sends into server-sent events, in events; nil
	// when it sends those.
	reframe func(dst, chunk []byte) ([]byte, error)
	events  []byte

	// Offsets into the upstream's stream, and what the client gets in the place
	// of the bytes between settled and total when no more is read.
	offset  int // behind the last whole event
	settled int // behind what was passed on or taken out
	total   int // behind what was read
	instead []byte
}

var chunks = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// passStream passes a stream of events on until its end, and fixes how it ended.
func (a *attempt) passStream(ctx context.Context, resp *http.Response, watch *watch) {
	kind, framing := eventStream, a.framing()
	if framing != nil {
		kind = framing.MIME
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != kind {
		a.end(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream did not answer with a stream"))
		return
	}
	x := a.exchange
	limits := x.snapshot.Limits
	chunk := chunks.Get().(*[]byte)
	defer chunks.Put(chunk)
	p := &pump{
		a: a, status: resp.StatusCode, header: resp.Header, split: wire.NewSplitter(limits.Event), buf: *chunk,
		watch: watch, stall: a.stall(),
	}
	if framing != nil {
		p.reframe = framing.Open(limits.Event)
	}
	if !x.gateway.SkipHashes {
		p.hash = sha256.New()
	}
	for !p.stop {
		n, err := resp.Body.Read(p.buf)
		if n > 0 {
			p.read(p.buf[:n])
		}
		if int64(p.total) > limits.Answer {
			p.abort(llm.TooLarge, fault.New(fault.UpstreamInvalid, "the upstream's answer is too large"))
		}
		if err != nil && !p.stop {
			p.eof(ctx, err)
		}
	}
	if p.hash != nil {
		a.answer = hex.EncodeToString(p.hash.Sum(nil))
	}
	if a.translation == nil && (p.settled < p.total || len(p.instead) > 0) {
		a.removed = append(a.removed, wire.Edit{Span: wire.Span{Start: p.settled, End: p.total}, With: p.instead})
	}
	if a.committed {
		x.reply.closeArray()
	}
	if a.state == llm.Complete && x.reply.gone() {
		a.state = llm.CutByClient
	}
}

// read takes what one read brought. A client that is slow to take it is not the
// upstream's fault, so the watch rests meanwhile; what follows the end of the
// answer has one drainTime altogether.
func (p *pump) read(b []byte) {
	ended := p.ended
	if p.offset > 0 && !ended {
		p.watch.stop()
	}
	p.feed(b)
	switch {
	case p.ended && !ended:
		p.watch.alive(drainTime)
	case p.offset > 0 && !p.ended:
		p.watch.alive(p.stall)
	}
}

// feed takes what one read brought, frame by frame, and writes what may go on.
func (p *pump) feed(b []byte) {
	p.total += len(b)
	if p.hash != nil {
		p.hash.Write(b)
	}
	var err error
	if p.reframe != nil {
		p.events, err = p.reframe(p.events[:0], b)
		b = p.events
	}
	p.split.Feed(b)
	p.frames()
	switch err = cmp.Or(p.split.Err(), err); {
	case err == nil || p.stop:
	case errors.Is(err, wire.ErrEventTooLarge):
		p.abort(llm.TooLarge, fault.Wrap(fault.UpstreamInvalid, "an event of the upstream's stream is too large", err))
	default:
		p.abort(llm.Malformed, fault.From(err))
	}
	p.flush()
}

// frames takes the events that are whole by now.
func (p *pump) frames() {
	for !p.stop && p.split.Next() {
		p.frame(p.split.Event())
	}
}

// frame decides about one event.
func (p *pump) frame(ev wire.Event) {
	a := p.a
	p.offset += len(ev.Raw)
	if a.upstream.Leaks(ev.Raw) {
		p.abort(llm.CredentialEcho, fault.New(fault.UpstreamInvalid, "the rest of the upstream's answer was withheld"))
		return
	}
	if p.ended { // the answer is complete; what follows changes nothing
		if a.translation == nil {
			p.pass(ev.Raw)
		}
		return
	}
	a.adopt(ev.Data)
	a.exchange.sample.add(ev.Raw)
	switch kind := a.follower.Frame(ev); kind {
	case wire.FrameUsage:
		if a.dropUsage {
			a.removed = append(a.removed, wire.Edit{Span: wire.Span{Start: p.settled, End: p.offset}})
			p.settled = p.offset
			return
		}
	case wire.FrameContent:
		p.commit()
	case wire.FrameEnd:
		s := a.follower.Summary()
		if !s.Complete { // the mark without what it marks
			p.abort(llm.CutByUpstream, fault.New(fault.UpstreamCut, ""))
			return
		}
		if s.Failed && p.passOver() {
			return
		}
		p.carry(ev)
		p.complete()
		return
	case wire.FrameError, wire.FrameFailed:
		p.reported(ev, kind == wire.FrameError)
		return
	case wire.FrameInvalid:
		p.abort(llm.Malformed, fault.New(fault.UpstreamInvalid, ""))
		return
	}
	p.carry(ev)
	if !a.committed && len(p.out) > maxHeld {
		p.commit()
	}
}

// reported ends the stream with an error that the upstream reports, unless the next
// candidate is to answer. Behind one that clients do not take for an error comes
// our own frame: they would read a clean end.
func (p *pump) reported(ev wire.Event, taken bool) {
	if p.passOver() {
		return
	}
	if a := p.a; a.translation != nil {
		p.abort(llm.ErrorFrame, a.failure(http.StatusBadGateway, ev.Data))
		return
	}
	p.stop = true
	p.commit()
	p.a.exchange.record.Fault = fault.UpstreamFailed.String()
	p.pass(ev.Raw)
	if !taken {
		p.tell()
	}
}

// passOver notes that the upstream reported an error, and reports whether that is
// left to the next candidate: the client has seen nothing of this one yet.
func (p *pump) passOver() bool {
	a := p.a
	a.end(llm.ErrorFrame, fault.New(fault.UpstreamFailed, "the upstream reported an error"))
	if a.committed || a.exchange.lastCandidate(a) {
		return false
	}
	p.stop = true
	return true
}

// pass adds an event, or the last bytes of a stream, to what the client gets.
func (p *pump) pass(raw []byte) {
	p.out = append(p.out, raw...)
	p.settled += len(raw)
}

// complete notes that the answer is whole.
func (p *pump) complete() {
	a := p.a
	p.finish()
	if p.stop {
		return
	}
	a.exchange.leave(a, terminal(p.out))
	p.ended = true
	p.commit()
	a.state = llm.Complete
	if a.follower.Summary().Failed {
		a.state = llm.ErrorFrame
		a.exchange.record.Fault = fault.UpstreamFailed.String()
	}
}

// commit decides for this attempt: from here on the client sees its answer.
func (p *pump) commit() {
	a := p.a
	if a.committed {
		return
	}
	x := a.exchange
	a.committed = true
	x.record.TTFB = now() - x.record.TS
	if !x.reply.quiet() {
		a.answerHeader(p.header)
	}
	if t := a.translation; t != nil && t.told != nil {
		for _, heartbeat := range x.reply.inserts {
			t.told.Write(heartbeat.With)
		}
	}
}

// flush writes what has come together since the last write.
func (p *pump) flush() {
	a := p.a
	if !a.committed || len(p.out) == 0 {
		return
	}
	if a.translation != nil && a.translation.told != nil {
		a.translation.told.Write(p.out)
	}
	if !a.exchange.reply.stream(p.status, p.out) && !p.ended {
		a.end(llm.CutByClient, fault.New(fault.BadRequest, "the client went away"))
		p.stop = true
	}
	p.out = p.out[:0]
}

// abort ends the stream with our own error: as a frame when the client has seen
// a part of it, else as a failed attempt that another candidate may follow.
func (p *pump) abort(state llm.Terminal, f *fault.Error) {
	if p.stop {
		return
	}
	p.stop = true
	switch {
	case !p.ended:
		p.a.end(state, f)
		p.tell()
	case state == llm.CredentialEcho: // the answer is out whole, but this must be known
		p.a.end(state, f)
		p.a.exchange.record.Fault = f.Kind.String()
	}
}

// tell sends the error frame for a committed attempt that did not complete.
func (p *pump) tell() {
	a := p.a
	if !a.committed {
		return
	}
	f := a.fault
	p.flush()
	if a.state != llm.CutByClient {
		a.exchange.record.Fault = f.Kind.String()
	}
	// A client that has only closed its sending half looks as if it had left: for
	// it, too, the stream must not end as if it were complete.
	p.instead = a.exchange.reply.fault(f)
	if t := a.translation; t != nil && t.told != nil {
		t.told.Write(p.instead)
	}
}

// eof ends the stream when the upstream's connection did.
func (p *pump) eof(ctx context.Context, err error) {
	if errors.Is(err, io.EOF) {
		p.rest()
	}
	if p.stop || p.ended {
		p.stop = true
		return
	}
	p.stop = true
	p.a.failed(ctx, err, llm.CutByUpstream)
	p.tell()
}

// rest looks at what stands behind the last whole event of a stream that ended:
// an event whose last CR an LF could have followed, or one without its blank
// line, which clients discard. Such an event is passed on when the answer is
// complete with it; else it is dropped, so that an error frame can follow. Some
// servers leave out the dialect's end mark: the answer is complete without it
// when the dialect says so.
func (p *pump) rest() {
	a := p.a
	p.split.End()
	p.frames()
	tail := p.split.Rest()
	if a.upstream.Leaks(tail) {
		p.abort(llm.CredentialEcho, fault.New(fault.UpstreamInvalid, "the rest of the upstream's answer was withheld"))
		return
	}
	if len(tail) > 0 && !p.stop && !p.ended {
		tail = append(slices.Clone(tail), "\n\n"...)
		last := wire.NewSplitter(len(tail))
		last.Feed(tail)
		if last.Next() {
			a.exchange.sample.add(tail)
			kind := a.follower.Frame(last.Event())
			if kind != wire.FrameInvalid && kind != wire.FrameError && kind != wire.FrameFailed && a.follower.Summary().Complete && !(kind == wire.FrameUsage && a.dropUsage) {
				p.pass(tail[:len(tail)-2])
			}
		}
	}
	if !p.stop && !p.ended && a.follower.Summary().Complete {
		p.complete()
	}
	p.flush()
}
