package gateway

import (
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
	"sallyport/internal/llm"
	"sallyport/internal/policy"
	"sallyport/internal/record"
	"sallyport/internal/route"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// attempt is one request to one upstream and what came back.
type attempt struct {
	exchange  *Exchange
	candidate route.Candidate
	upstream  *upstream.Upstream
	edits     []wire.Edit // between the client's body and what is sent
	dropUsage bool        // usage was asked for by us alone: its frame is taken out again
	follower  wire.Follower

	state     llm.Terminal
	status    int          // HTTP status of the upstream; 0 when none came
	fault     *fault.Error // what the client is told, when nothing better came
	wrote     bool         // the request may have reached the upstream
	committed bool         // the answer, or an error of the upstream, is on its way to the client
	removed   []wire.Edit  // between the upstream's stream and what the client gets
	answer    string       // hex SHA-256 of the upstream's body
}

// attempts tries the candidates in order until one commits, and returns the last.
func (x *Exchange) attempts() *attempt {
	end := time.Now().Add(x.snapshot.Limits.Total)
	if x.call.Stream {
		quiet := x.reply.keepAlive(x.snapshot.Limits.Heartbeat)
		defer quiet()
	}
	var last *attempt
	for i, c := range x.candidates {
		if i > 0 && !x.again(i+1, c) {
			break
		}
		start := now()
		last = x.try(c, end)
		x.record.Upstream, x.record.Target = string(c.Upstream), c.Model
		x.record.Attempts = append(x.record.Attempts, record.Try{
			N: int64(i + 1), Upstream: string(c.Upstream), Model: c.Model,
			State: string(last.state), Status: int64(last.status), Start: start, End: now(),
		})
		x.gateway.metrics.attempt(last)
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

// again asks policy anew and records the next attempt; false ends the chain.
func (x *Exchange) again(n int, c route.Candidate) bool {
	if policy.Decide(x.facts(c)).Effect != policy.Allow {
		return false
	}
	_, err := x.gateway.Journal.Append(x.attemptRecord(n, c).Append(nil))
	return err == nil
}

// next reports whether another candidate may do better.
func (a *attempt) next() bool {
	switch a.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return false
	}
	return true
}

// unbilled reports whether the attempt certainly generated nothing: it did not
// leave, or the upstream refused it.
func (a *attempt) unbilled() bool {
	return !a.wrote || a.state == llm.UpstreamStatus
}

func (a *attempt) summary() llm.Summary {
	if a.follower == nil {
		return llm.Summary{}
	}
	return a.follower.Summary()
}

// try sends the request to one candidate and passes the answer on, within the
// time that is left of the whole.
func (x *Exchange) try(c route.Candidate, end time.Time) *attempt {
	a := &attempt{exchange: x, candidate: c, upstream: x.snapshot.Upstreams[c.Upstream], follower: x.dialect.Follow(x.call)}
	a.edit()
	ctx, cancel := context.WithCancelCause(x.request.Context())
	defer cancel(nil)
	if total := time.Now().Add(a.upstream.Total); a.upstream.Total > 0 && total.Before(end) {
		end = total
	}
	watch := newWatch(cancel, cmp.Or(a.upstream.FirstFrame, x.snapshot.Limits.FirstFrame), end)
	defer watch.stop()

	sent, err := wire.Splice(x.body.bytes, a.edits)
	if err != nil {
		a.end(llm.InternalFailure, fault.From(err))
		return a
	}
	// The transport may still be reading when the answer is complete; once closed
	// the body is no longer touched, and its memory can be used again.
	out := &outgoing{ReadCloser: sent.Reader()}
	defer out.Close()
	resp, err := a.upstream.Do(ctx, upstream.Request{
		Method: http.MethodPost, Path: x.endpoint.forward, Query: x.request.URL.RawQuery,
		Header: x.forwardHeader(a.upstream.Kind), Body: out, Length: sent.Len(),
	})
	a.wrote = out.touched()
	if err != nil {
		a.failed(ctx, err, llm.Unreachable)
		return a
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		a.passError(ctx, resp)
	case encodedAnswer(resp):
		a.end(llm.Malformed, fault.New(fault.UpstreamInvalid, "the upstream compressed its answer though it was not asked to"))
	case x.call.Stream:
		a.passStream(ctx, resp, watch)
	default:
		a.passWhole(ctx, resp)
	}
	return a
}

// edit prepares what is changed on the way: the model's name, and the wish for
// usage in a stream.
func (a *attempt) edit() {
	call := a.exchange.call
	if a.candidate.Model != call.Model {
		a.edits = append(a.edits, wire.Edit{Span: call.ModelSpan, With: record.AppendString(nil, a.candidate.Model)})
	}
	if call.UsageEdit != nil && a.upstream.AddUsage {
		a.edits = append(a.edits, *call.UsageEdit)
		a.dropUsage = true
	}
	slices.SortFunc(a.edits, func(p, q wire.Edit) int { return cmp.Compare(p.Start, q.Start) })
}

// end fixes how the attempt ended and what the client is told about it.
func (a *attempt) end(state llm.Terminal, f *fault.Error) {
	a.state, a.fault = state, f
}

// failed maps an error of the connection: our own limits and the client's going
// come before whatever net/http says about it.
func (a *attempt) failed(ctx context.Context, err error, otherwise llm.Terminal) {
	cause := context.Cause(ctx)
	switch {
	case a.exchange.request.Context().Err() != nil && !errors.Is(cause, errTotal):
		a.end(llm.CutByClient, fault.New(fault.BadRequest, "the client went away"))
	case errors.Is(cause, errFirstFrame):
		a.end(llm.TimedOut, fault.Wrap(fault.UpstreamTimeout, "the upstream sent no first frame in time", err))
	case errors.Is(cause, errStall):
		a.end(llm.Stalled, fault.Wrap(fault.UpstreamTimeout, "the upstream stopped sending", err))
	case errors.Is(cause, errTotal):
		a.end(llm.TimedOut, fault.Wrap(fault.UpstreamTimeout, "the answer took longer than allowed", err))
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
func (a *attempt) passError(ctx context.Context, resp *http.Response) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody+1))
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
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		f.Public = "the upstream refused the gateway's own credential"
		x.gateway.Logger.Error("upstream refuses our credential", "upstream", a.candidate.Upstream, "status", resp.StatusCode)
	case resp.StatusCode < 400 || len(b) > maxErrorBody:
		a.state = llm.Malformed
	case x.lastCandidate(a) && !x.reply.started() || !a.next() && !x.reply.started():
		a.committed = true
		x.record.Fault = fault.UpstreamFailed.String()
		copyAnswerHeader(x.reply.header(), resp.Header, a.upstream)
		x.reply.header()[headerReason] = []string{string(fault.ReasonUpstream)}
		x.reply.whole(resp.StatusCode, b)
	}
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
func (a *attempt) passWhole(ctx context.Context, resp *http.Response) {
	x := a.exchange
	buf := buffers.Get().(*buffer)
	b := &body{buf: buf}
	var err error
	b.bytes, err = readAll(buf.b[:0], resp.Body, x.snapshot.Limits.Answer, resp.ContentLength, nil)
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
		x.record.Fault = fault.UpstreamFailed.String()
	}
	x.record.TTFB = now() - x.record.TS
	copyAnswerHeader(x.reply.header(), resp.Header, a.upstream)
	a.committed = true
	if !x.reply.whole(resp.StatusCode, b.bytes) {
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
func (x *Exchange) commitHashes(a *attempt) {
	if x.gateway.SkipHashes || a == nil {
		return
	}
	sum := wire.Commit(x.body.sum, a.edits)
	x.record.Forwarded = hex.EncodeToString(sum[:])
	x.record.Answer, x.record.Returned = a.answer, a.answer
	var answer [32]byte
	if _, err := hex.Decode(answer[:], []byte(a.answer)); err != nil || a.answer == "" {
		return
	}
	x.reply.mu.Lock()
	edits := slices.Concat(x.reply.inserts, a.removed)
	x.reply.mu.Unlock()
	if len(edits) > 0 {
		sum = wire.Commit(answer, edits)
		x.record.Returned = hex.EncodeToString(sum[:])
	}
}
