package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/policy"
	"sallyport/internal/record"
	"sallyport/internal/route"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// attempt is one request to one upstream and what came back.
type attempt struct {
	exchange    *Exchange
	candidate   route.Candidate
	upstream    *upstream.Upstream
	edits       []wire.Edit  // between the client's body and what is sent
	translation *translation // nil when the upstream speaks the client's format
	dropUsage   bool         // usage was asked for by us alone: its frame is taken out again
	follower    wire.Follower

	start     int64 // microseconds
	state     llm.Terminal
	status    int          // HTTP status of the upstream; 0 when none came
	fault     *fault.Error // what the client is told, when nothing better came
	denied    bool         // the upstream refuses our own credential
	wrote     bool         // the request may have reached the upstream
	committed bool         // the answer, or an error of the upstream, is on its way to the client
	removed   []wire.Edit  // between the upstream's stream and what the client gets
	answer    string       // hex SHA-256 of the upstream's body
	told      told         // objects that the answer tells of; nil when nobody listens
}

// attempts tries the candidates in order until one commits, and returns the last.
func (x *Exchange) attempts() *attempt {
	end := time.Now().Add(x.snapshot.Limits.Total)
	if x.call.Stream {
		if x.array {
			x.reply.asArray(x.snapshot.Limits.Answer, !x.gateway.SkipHashes)
		}
		x.reply.keepAlive(x.snapshot.Limits.Heartbeat)
		defer x.reply.quiet()
	}
	var last *attempt
	for i, c := range x.candidates {
		if i > 0 && !x.again(i+1, c) {
			break
		}
		x.mayOwe = x.mayOwe || last != nil && !last.unbilled()
		last = x.try(c, end)
		x.tried(last)
		if last.committed || x.request.Context().Err() != nil || !time.Now().Before(end) || !last.next() {
			break
		}
	}
	x.commitHashes(last)
	if !last.committed {
		x.record.Fault = last.fault.Kind.String()
		x.reply.fault(last.fault)
	}
	return last
}

// tried notes how an attempt went.
func (x *Exchange) tried(a *attempt) {
	c := a.candidate
	x.record.Upstream, x.record.Target = string(c.Upstream), c.Model
	x.record.Attempts = append(x.record.Attempts, record.Try{
		N: int64(len(x.record.Attempts) + 1), Upstream: string(c.Upstream), Model: c.Model,
		State: string(a.state), Status: int64(a.status), Start: a.start, End: now(),
	})
	x.gateway.metrics.attempt(a)
}

// again asks policy anew and records the next attempt; false ends the chain.
func (x *Exchange) again(n int, c route.Candidate) bool {
	c.Class = label.Worst(c.Class, x.snapshot.Upstreams[c.Upstream].ClassOf(c.Model))
	if policy.Decide(x.facts(c)).Effect != policy.Allow {
		return false
	}
	if _, err := x.gateway.Journal.Append(x.attemptRecord(n, c).Append(nil)); err != nil {
		x.gateway.Logger.Error("attempt not recorded and therefore not made", "request_id", x.record.RID, "error", err)
		return false
	}
	x.announced, x.trying = n, nil
	return true
}

// next reports whether another candidate may do better.
func (a *attempt) next() bool {
	if a.denied {
		return true
	}
	switch a.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return false
	}
	return true
}

// unbilled reports whether the attempt certainly generated nothing: it did not
// leave, or the upstream answered with a status that refuses it (RFC 9110 sections
// 15.4 to 15.6; Anthropic says 529 when it is overloaded). After another failure of
// the server the work may have been done.
func (a *attempt) unbilled() bool {
	switch a.status {
	case http.StatusNotImplemented, http.StatusServiceUnavailable, statusOverloaded:
		return true
	}
	return !a.wrote || a.status >= 300 && a.status < 500 && a.status != http.StatusRequestTimeout
}

// statusOverloaded is what Anthropic answers when it has no capacity.
const statusOverloaded = 529

func (a *attempt) summary() llm.Summary {
	if a.follower == nil {
		return llm.Summary{}
	}
	return a.follower.Summary()
}

// try sends the request to one candidate and passes the answer on, within the
// upstream's own time limit, or what is left of the whole when it has none.
func (x *Exchange) try(c route.Candidate, end time.Time) *attempt {
	a := &attempt{exchange: x, candidate: c, upstream: x.snapshot.Upstreams[c.Upstream], start: now()}
	x.trying = a
	if err := a.translate(); err != nil {
		a.end(llm.InternalFailure, fault.From(err))
		return a
	}
	a.follower = a.follow()
	x.sample.begin(a)
	a.edit()
	a.listen()
	ctx, cancel := context.WithCancelCause(x.reading())
	defer cancel(nil)
	if a.upstream.Total > 0 {
		end = time.Now().Add(a.upstream.Total)
	}
	watch := newWatch(cancel, cmp.Or(a.upstream.FirstFrame, x.snapshot.Limits.FirstFrame), end)
	defer watch.stop()

	sent, path, query, err := a.outgoing()
	if err != nil {
		a.end(llm.InternalFailure, fault.From(err))
		return a
	}
	// The transport may still be reading when the answer is complete; once closed
	// the body is no longer touched, and its memory can be used again.
	out := &outgoing{ReadCloser: sent.Reader()}
	defer out.Close()
	a.wrote = true // until it is known better
	resp, err := a.upstream.Do(ctx, upstream.Request{
		Method: http.MethodPost, Path: path, Query: query,
		Header: a.forwardHeader(), Body: out, Length: sent.Len(), Sum: sumOf(sent),
		Endpoint: a.asked(), Model: c.Model, Stream: x.call.Stream,
	})
	a.wrote = err == nil || out.touched()
	if err != nil {
		a.failed(ctx, err, llm.Unreachable)
		return a
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	if !x.call.Stream || a.status > 299 {
		watch.alive(a.stall())
	}
	switch {
	case a.status < 200: // only 101, whose body is the bare connection
		a.end(llm.Malformed, fault.Newf(fault.UpstreamFailed, "the upstream answered with status %d", a.status))
	case a.status > 299:
		a.passError(ctx, resp, watch)
	case encodedAnswer(resp):
		a.end(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream compressed its answer though it was not asked to"))
	case x.endpoint.kind == media:
		a.passMedia(ctx, resp, watch)
	case x.call.Stream:
		a.passStream(ctx, resp, watch)
	default:
		a.passWhole(ctx, resp, watch)
	}
	return a
}

// reading is the context that an answer is read in: the request's, unless the answer
// is read to its end whether the client stays or not.
func (x *Exchange) reading() context.Context {
	if x.pair != nil {
		return context.WithoutCancel(x.request.Context())
	}
	return x.request.Context()
}

// stall is how long the upstream may be silent once it has begun to answer.
func (a *attempt) stall() time.Duration {
	return cmp.Or(a.upstream.Stall, a.exchange.snapshot.Limits.Stall)
}

// lively reads from an upstream and tells the watch of every byte.
type lively struct {
	io.Reader
	watch *watch
	stall time.Duration
}

func (l lively) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 {
		l.watch.alive(l.stall)
	}
	return n, err
}

// edit prepares what is changed on the way: the model's name, and the wish for
// usage in a stream.
func (a *attempt) edit() {
	if a.translation != nil {
		return
	}
	call := a.exchange.call
	if t := a.exchange.turns; t != nil {
		a.edits = append(a.edits, t.edits...)
	}
	raw := a.raw()
	if raw {
		a.edits = append(a.edits, rawEdits(a.exchange.body.bytes, call.Endpoint)...)
	}
	if (a.candidate.Model != call.Model || call.Naming == wire.Unnamed) && !(raw && call.Endpoint == wire.Messages) {
		if call.ModelSpan != (wire.Span{}) {
			a.edits = append(a.edits, call.Rename(a.candidate.Model))
		}
		for _, at := range call.Repeats {
			a.edits = append(a.edits, wire.Edit{Span: at, With: record.AppendString(nil, resource(a.candidate.Model))})
		}
	}
	if call.UsageEdit != nil && a.upstream.AddUsage {
		a.edits = append(a.edits, *call.UsageEdit)
		a.dropUsage = true
	}
	slices.SortStableFunc(a.edits, func(p, q wire.Edit) int { return cmp.Compare(p.Start, q.Start) })
}

// end fixes how the attempt ended and what the client is told about it.
func (a *attempt) end(state llm.Terminal, f *fault.Error) {
	a.state, a.fault = state, f
}

// failed maps an error of the connection: our own limits and the client's going
// come before whatever net/http says about it.
func (a *attempt) failed(ctx context.Context, err error, otherwise llm.Terminal) {
	if a.upstream.Leaks([]byte(err.Error())) {
		err = errors.New("the text of the error holds the credential and is withheld")
	}
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errFirstFrame):
		a.end(llm.TimedOut, fault.Wrap(fault.UpstreamTimeout, "the upstream sent no first frame in time", err))
	case errors.Is(cause, errStall):
		a.end(llm.Stalled, fault.Wrap(fault.UpstreamTimeout, "the upstream stopped sending", err))
	case errors.Is(cause, errTotal):
		a.end(llm.TimedOut, fault.Wrap(fault.UpstreamTimeout, "the answer took longer than allowed", err))
	case a.exchange.request.Context().Err() != nil:
		a.end(llm.CutByClient, fault.New(fault.BadRequest, "the client went away"))
	case otherwise == llm.Unreachable:
		a.end(otherwise, fault.Wrap(fault.UpstreamFailed, "", err))
	default:
		a.end(otherwise, fault.Wrap(fault.UpstreamCut, "", err))
	}
	if a.state != llm.CutByClient {
		a.exchange.gateway.Logger.Warn("attempt failed", "request_id", a.exchange.record.RID, "upstream", a.candidate.Upstream, "state", a.state, "error", err)
	}
}

// maxErrorBody bounds an upstream's error body.
const maxErrorBody = 1 << 20

// passError passes an upstream's error status on unchanged, except for what
// would mislead or leak: our own credential's failure, redirects, statuses that
// are not errors, and bodies that hold the credential.
func (a *attempt) passError(ctx context.Context, resp *http.Response, watch *watch) {
	b, err := io.ReadAll(io.LimitReader(lively{resp.Body, watch, a.stall()}, maxErrorBody+1))
	if err != nil {
		a.failed(ctx, err, llm.CutByUpstream)
		return
	}
	a.sum(b)
	f := fault.Newf(fault.UpstreamFailed, "the upstream answered with status %d", resp.StatusCode)
	if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
		f.RetryAfter = d
	}
	a.end(llm.UpstreamStatus, f)
	x := a.exchange
	switch {
	case a.upstream.Leaks(b):
		a.end(llm.CredentialEcho, fault.New(fault.UpstreamInvalid, "the upstream's answer was withheld"))
	case a.denies(b):
		a.denied = true
		f.Public = "the upstream refused the gateway's own credential"
		x.gateway.Logger.Error("upstream refuses our credential", "upstream", a.candidate.Upstream, "status", a.status)
	case a.status < 400 || a.status > 599 || len(b) > maxErrorBody || encodedAnswer(resp):
		a.state = llm.Malformed
	case a.translation != nil:
		a.refused(b)
	case (x.lastCandidate(a) || !a.next()) && !x.reply.quiet():
		a.committed = true
		x.record.Fault = fault.UpstreamFailed.String()
		copyAnswerHeader(x.reply.header(), resp.Header, a.upstream)
		x.reply.header()[headerReason] = []string{string(fault.ReasonUpstream)}
		x.reply.whole(resp.StatusCode, b)
	}
}

// denies reports whether an error of the upstream is about our own credential.
// Google's API calls a wrong key a bad request.
func (a *attempt) denies(body []byte) bool {
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden ||
		a.upstream.Kind == upstream.Gemini && a.status == http.StatusBadRequest && bytes.Contains(body, []byte(`"API_KEY_INVALID"`))
}

// lastCandidate reports whether no other candidate would be tried after a.
func (x *Exchange) lastCandidate(a *attempt) bool {
	return x.candidates[len(x.candidates)-1] == a.candidate
}

func encodedAnswer(resp *http.Response) bool {
	e := resp.Header.Get("Content-Encoding")
	return e != "" && !strings.EqualFold(e, "identity")
}

// passWhole reads a unary answer to its end, checks it and passes it on byte for byte.
func (a *attempt) passWhole(ctx context.Context, resp *http.Response, watch *watch) {
	x := a.exchange
	buf := buffers.Get().(*buffer)
	b := &body{buf: buf}
	var err error
	b.bytes, err = readAll(buf.b[:0], lively{resp.Body, watch, a.stall()}, x.snapshot.Limits.Answer, resp.ContentLength, nil)
	defer b.free()
	switch {
	case errors.Is(err, errTooLarge):
		a.end(llm.TooLarge, fault.New(fault.UpstreamInvalid, "the upstream's answer is too large"))
		return
	case err != nil:
		a.failed(ctx, err, llm.CutByUpstream)
		return
	}
	a.sum(b.bytes)
	if a.upstream.Leaks(b.bytes) {
		a.end(llm.CredentialEcho, fault.New(fault.UpstreamInvalid, "the upstream's answer was withheld"))
		return
	}
	x.sample.add(b.bytes)
	if err := a.follower.Body(b.bytes); err != nil {
		a.end(llm.Malformed, fault.Wrap(fault.UpstreamInvalid, "", err))
		return
	}
	a.state = llm.Complete
	if a.follower.Summary().Failed { // an error under a status of success
		a.end(llm.ErrorFrame, fault.New(fault.UpstreamFailed, "the upstream reported an error"))
		if !x.lastCandidate(a) {
			return
		}
		if a.translation != nil {
			a.refused(b.bytes)
			return
		}
		x.record.Fault = fault.UpstreamFailed.String()
	}
	answer := b.bytes
	if a.translation != nil {
		if answer, err = a.render(b.bytes); err != nil {
			a.end(llm.Malformed, fault.From(err))
			return
		}
	}
	a.adopt(answer)
	x.leave(a, answer)
	x.record.TTFB = now() - x.record.TS
	a.answerHeader(resp.Header)
	a.committed = true
	if !x.reply.whole(resp.StatusCode, answer) {
		a.state = llm.CutByClient
	}
}

// sum commits to the upstream's whole body.
func (a *attempt) sum(b []byte) {
	if !a.exchange.gateway.SkipHashes {
		a.answer = hexSum(b)
	}
}

// commitHashes writes what was sent on and what was returned into the record:
// the plain hash where nothing was changed, else a commitment to hash and edits.
// Nothing is said of what did not leave, of an answer that was not passed on, and
// of how much a client that went away has taken.
func (x *Exchange) commitHashes(a *attempt) {
	if x.gateway.SkipHashes {
		return
	}
	x.record.Answer = a.answer
	if a.translation != nil {
		a.commitTranslated()
		return
	}
	if a.wrote && x.record.Req != "" {
		sum := wire.Commit(x.body.sum, a.edits)
		x.record.Forwarded = hex.EncodeToString(sum[:])
	}
	if sum := x.reply.arraySum(); sum != "" && a.committed && a.state != llm.CutByClient {
		x.record.Returned = sum
		return
	}
	var answer [32]byte
	if _, err := hex.Decode(answer[:], []byte(a.answer)); err != nil || a.answer == "" || !a.committed || a.state == llm.CutByClient {
		return
	}
	sum := wire.Commit(answer, slices.Concat(x.reply.inserts, a.removed))
	x.record.Returned = hex.EncodeToString(sum[:])
}
