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
	"sync"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// drainTime is how long the connection may stay open after the end of an answer
// before it is given up.
const drainTime = time.Second

// maxHeld bounds the frames that are held back until the first content frame.
const maxHeld = 1 << 20

// pump passes one stream on. Frames are held until the first content frame
// commits the attempt; from then on each read is written and flushed at once.
type pump struct {
	a      *attempt
	status int
	header http.Header
	split  *wire.Splitter
	hash   hash.Hash // nil when hashes are skipped
	buf    []byte    // of reads
	out    []byte    // what the present read adds to the client's stream, or what is held
	offset int       // into the upstream's stream: how much of it was seen whole
	ended  bool      // the dialect's end was seen
	stop   bool      // nothing more is to be read
}

var chunks = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// passStream passes a stream of events on until its end, and fixes how it ended.
func (a *attempt) passStream(ctx context.Context, resp *http.Response, watch *watch) {
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != "text/event-stream" {
		a.end(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream did not answer with a stream"))
		return
	}
	x := a.exchange
	limits := x.snapshot.Limits
	chunk := chunks.Get().(*[]byte)
	defer chunks.Put(chunk)
	p := &pump{a: a, status: resp.StatusCode, header: resp.Header, split: wire.NewSplitter(limits.Event), buf: *chunk}
	if !x.gateway.SkipHashes {
		p.hash = sha256.New()
	}
	stall := cmp.Or(a.upstream.Stall, limits.Stall)
	for !p.stop {
		n, err := resp.Body.Read(p.buf)
		if n > 0 {
			p.feed(p.buf[:n])
			if p.ended {
				stall = drainTime
			}
			if p.offset > 0 {
				watch.alive(stall)
			}
		}
		if int64(p.offset) > limits.Answer {
			p.abort(llm.TooLarge, fault.New(fault.UpstreamInvalid, "the upstream's answer is too large"))
		}
		if err != nil && !p.stop {
			p.eof(ctx, err)
		}
	}
	if p.hash != nil {
		a.answer = hex.EncodeToString(p.hash.Sum(nil))
	}
	if a.state == llm.Complete && x.reply.gone() {
		a.state = llm.CutByClient
	}
}

// feed takes what one read brought, frame by frame, and writes what may go on.
func (p *pump) feed(b []byte) {
	if p.hash != nil {
		p.hash.Write(b)
	}
	p.split.Feed(b)
	p.frames()
	if err := p.split.Err(); err != nil && !p.stop {
		p.abort(llm.TooLarge, fault.Wrap(fault.UpstreamInvalid, "an event of the upstream's stream is too large", err))
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
	start := p.offset
	p.offset += len(ev.Raw)
	if a.upstream.Leaks(ev.Raw) {
		p.abort(llm.CredentialEcho, fault.New(fault.UpstreamInvalid, "the rest of the upstream's answer was withheld"))
		return
	}
	switch a.follower.Frame(ev) {
	case wire.FrameUsage:
		if a.dropUsage {
			a.removed = append(a.removed, wire.Edit{Span: wire.Span{Start: start, End: p.offset}})
			return
		}
	case wire.FrameContent:
		p.commit()
	case wire.FrameEnd:
		p.ended = true
		p.commit()
		a.state = llm.Complete
		if a.follower.Summary().Failed {
			a.state = llm.ErrorFrame
			a.exchange.record.Fault = fault.UpstreamFailed.String()
		}
	case wire.FrameError:
		a.end(llm.ErrorFrame, fault.New(fault.UpstreamFailed, "the upstream reported an error"))
		p.stop = true
		if a.committed || a.exchange.lastCandidate(a) {
			p.commit()
			p.out = append(p.out, ev.Raw...)
			a.exchange.record.Fault = fault.UpstreamFailed.String()
		}
		return
	case wire.FrameInvalid:
		p.abort(llm.Malformed, fault.New(fault.UpstreamInvalid, ""))
		return
	}
	p.out = append(p.out, ev.Raw...)
	if !a.committed && len(p.out) > maxHeld {
		p.commit()
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
	if !x.reply.started() {
		copyAnswerHeader(x.reply.header(), p.header, a.upstream)
	}
}

// flush writes what has come together since the last write.
func (p *pump) flush() {
	a := p.a
	if !a.committed || len(p.out) == 0 {
		return
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
	p.stop = true
	if p.ended {
		return
	}
	p.a.end(state, f)
	p.tell()
}

// tell sends the error frame for a committed attempt that did not complete.
func (p *pump) tell() {
	a := p.a
	if !a.committed {
		return
	}
	p.flush()
	a.exchange.record.Fault = a.fault.Kind.String()
	frame := a.exchange.reply.fault(a.fault)
	a.removed = append(a.removed, wire.Edit{Span: wire.Span{Start: p.offset, End: p.offset}, With: frame})
}

// eof ends the stream when the upstream's connection did.
func (p *pump) eof(ctx context.Context, err error) {
	a := p.a
	whole := errors.Is(err, io.EOF) && !p.ended && p.rest()
	p.stop = true
	if p.ended || whole {
		return
	}
	if a.state == "" {
		a.failed(ctx, err, llm.CutByUpstream)
	}
	if a.state != llm.CutByClient {
		p.tell()
	}
}

// rest handles a last event without its blank line, and streams that end without
// the dialect's end mark though the answer was complete. It reports whether the
// stream is whole.
func (p *pump) rest() bool {
	a := p.a
	p.split.End()
	p.frames()
	if tail := len(p.split.Rest()); tail > 0 && !p.stop {
		start, held := p.offset, len(p.out)
		p.split.Feed([]byte("\n\n"))
		p.frames()
		// The line ends that completed the event are not the upstream's.
		p.offset = start + tail
		p.out = p.out[:min(len(p.out), held+tail)]
		if n := len(a.removed); n > 0 {
			a.removed[n-1].End = min(a.removed[n-1].End, p.offset)
		}
	}
	if !p.ended && a.state == "" && a.follower.Summary().Complete {
		p.ended = true
		p.commit()
		a.state = llm.Complete
	}
	p.flush()
	return p.ended
}
