package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"mime"
	"net/http"
	"strconv"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// mediaTable lists the routes whose requests and answers are not translated: images,
// audio, moderations and rankings. Each is served with and without the /v1 prefix.
var mediaTable = []endpoint{
	{name: wire.Images, kind: media, path: "/images/generations"},
	{name: wire.ImageEdits, kind: media, form: true, path: "/images/edits"},
	{name: wire.ImageVariations, kind: media, form: true, path: "/images/variations"},
	{name: wire.Speech, kind: media, path: "/audio/speech"},
	{name: wire.Transcriptions, kind: media, form: true, path: "/audio/transcriptions"},
	{name: wire.Translations, kind: media, form: true, path: "/audio/translations"},
	{name: wire.Moderations, kind: embed, path: "/moderations"},
	{name: wire.Rerank, kind: embed, path: "/rerank"},
}

// rerankV2 is where clients of Cohere's newer API look for rankings. Which version an
// upstream is asked in is a matter of its base URL.
const rerankV2 = "/v2/rerank"

// mediaRoutes adds these routes to the data plane, and to what its patterns mean.
func (g *Gateway) mediaRoutes(mux *http.ServeMux, byPattern map[string]endpoint, as *identity.Principal) {
	for _, e := range mediaTable {
		e.method, e.speaks, e.forward = http.MethodPost, upstream.OpenAI, e.path
		paths := []string{e.path, "/v1" + e.path}
		if e.name == wire.Rerank {
			paths = append(paths, rerankV2)
		}
		for _, path := range paths {
			pattern := e.method + " " + path
			byPattern[pattern] = e
			mux.Handle(pattern, g.handle(e, as))
		}
	}
}

// defaultModeration is the model that OpenAI takes for moderations that name none.
const defaultModeration = "omni-moderation-latest"

// nameModel completes a call that names no model by the default of its endpoint, as
// long as that is a model here.
func (x *Exchange) nameModel(call *wire.Call) error {
	if call.Naming != wire.Unnamed {
		return nil
	}
	if len(x.snapshot.Targets(defaultModeration)) == 0 {
		return wire.Refuse("/model", "the request names no model, and there is no model "+defaultModeration+" here")
	}
	call.Model = defaultModeration
	return nil
}

// passMedia passes on whatever the upstream made of the request: a stream only when
// one was asked for, but that wish it may ignore, as OpenAI does for some models.
func (a *attempt) passMedia(ctx context.Context, resp *http.Response, watch *watch) {
	call := a.exchange.call
	t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	events := t == "text/event-stream"
	switch {
	case events && call.Stream:
		a.passStream(ctx, resp, watch)
		return
	case events:
		a.end(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream answered with a stream that was not asked for"))
		return
	case call.Stream && a.exchange.reply.quiet():
		a.end(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream did not answer with a stream"))
		return
	}
	watch.alive(a.stall())
	if call.Raw && t != "application/json" {
		a.passRaw(ctx, resp, watch, a.exchange.snapshot.Limits.Answer)
		return
	}
	a.passWhole(ctx, resp, watch)
}

// rawChunk is how much is read of an answer that is no JSON at once.
const rawChunk = 32 << 10

// raw passes one answer on that is no JSON. What it has read it holds back as far as
// it could be the beginning of a credential.
type raw struct {
	a      *attempt
	resp   *http.Response
	hold   int
	length int64 // that was read
	passed int64
	held   []byte
	sum    hash.Hash
}

// passRaw passes an answer on as it comes. Its first byte commits the attempt; if it
// breaks off later the connection to the client does as well, since nothing in the
// answer itself could say so.
func (a *attempt) passRaw(ctx context.Context, resp *http.Response, watch *watch, limit int64) {
	if resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor == 1 {
		a.end(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream does not say where its answer ends"))
		return
	}
	if resp.ContentLength > limit {
		a.end(llm.TooLarge, fault.New(fault.UpstreamInvalid, "the upstream's answer is too large"))
		return
	}
	p := &raw{a: a, resp: resp, hold: max(a.upstream.Longest()-1, 0), sum: sha256.New()}
	defer p.note()
	chunk, src := make([]byte, rawChunk), lively{resp.Body, watch, a.stall()}
	for {
		n, err := src.Read(chunk)
		p.sum.Write(chunk[:n])
		p.length += int64(n)
		if p.length > limit {
			p.abort(llm.TooLarge, fault.New(fault.UpstreamInvalid, "the upstream's answer is too large"))
			return
		}
		// A client that is slow to take it is not the upstream's fault.
		watch.stop()
		if !p.pass(chunk[:n], errors.Is(err, io.EOF)) {
			return
		}
		watch.alive(a.stall())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			a.failed(ctx, err, llm.CutByUpstream)
			p.abort(a.state, a.fault)
			return
		}
	}
	a.state = llm.Complete
}

// note commits to what was read, and to how much of it was passed on.
func (p *raw) note() {
	p.a.answer = hex.EncodeToString(p.sum.Sum(nil))
	if p.passed < p.length {
		p.a.removed = append(p.a.removed, wire.Edit{Span: wire.Span{Start: int(p.passed), End: int(p.length)}})
	}
}

// pass takes what one read brought and passes on what may go. It reports whether
// the answer goes on.
func (p *raw) pass(b []byte, last bool) bool {
	p.held = append(p.held, b...)
	if p.a.upstream.Leaks(p.held) {
		p.abort(llm.CredentialEcho, fault.New(fault.UpstreamInvalid, "the upstream's answer was withheld"))
		return false
	}
	n := max(len(p.held)-p.hold, 0)
	if last {
		n = len(p.held)
	}
	if last && p.length == 0 && p.a.exchange.endpoint.name == wire.Speech {
		p.abort(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream's answer is empty"))
		return false
	}
	if n == 0 && !last {
		return true
	}
	p.commit()
	if !p.a.exchange.reply.raw(p.resp.StatusCode, p.held[:n]) {
		p.a.end(llm.CutByClient, fault.New(fault.BadRequest, "the client went away"))
		return false
	}
	p.passed += int64(n)
	p.held = p.held[:copy(p.held, p.held[n:])]
	return true
}

// commit decides for this attempt: from here on the client sees its answer.
func (p *raw) commit() {
	a := p.a
	if a.committed {
		return
	}
	a.committed = true
	a.exchange.reply.bare()
	a.exchange.record.TTFB = now() - a.exchange.record.TS
	a.answerHeader(p.resp.Header)
	if p.resp.ContentLength >= 0 {
		a.exchange.reply.header()["Content-Length"] = []string{strconv.FormatInt(p.resp.ContentLength, 10)}
	}
}

// abort ends the answer without its end.
func (p *raw) abort(state llm.Terminal, f *fault.Error) {
	a := p.a
	a.end(state, f)
	if a.committed {
		if state != llm.CutByClient {
			a.exchange.record.Fault = f.Kind.String()
		}
		a.exchange.reply.fault(f)
	}
}

// bare says that the answer has no form for errors: one that is told after it has
// begun tears the connection.
func (p *reply) bare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.formless = true
}

// raw writes a piece of an answer that is no stream of events.
func (p *reply) raw(status int, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin(status)
	return p.write(b) && p.flush()
}

// torn reports whether the answer must not look as if it had ended well.
func (p *reply) torn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.formless && p.begun && p.ended
}
