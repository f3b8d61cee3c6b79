package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// maxObject bounds one file on its way in either direction. It is what OpenAI takes
// at most (512 MB; Anthropic takes 500). Files are passed on as they come and are
// never held in memory.
const maxObject = 512 << 20

// upload is a form with a file on its way from the client to an upstream. The
// transport reads it; what was read is known once it is closed.
type upload struct {
	exchange *Exchange
	ctx      context.Context
	alive    func()
	stop     func() bool // waiting for the end of ctx
	whole    atomic.Bool // the end was read

	mu  sync.Mutex
	src io.ReadCloser // nil once closed
	sum hash.Hash     // nil when hashes are skipped
	n   int64
	err error // why it broke off on the client's side
}

// openUpload checks what can be known of an upload before it is read.
func (x *Exchange) openUpload() error {
	r := x.request
	t, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil || t != "multipart/form-data" || params["boundary"] == "":
		return fault.New(fault.UnsupportedMedia, "the body must be multipart/form-data")
	case !slices.Contains([]string{"", "identity"}, r.Header.Get("Content-Encoding")):
		return fault.New(fault.UnsupportedMedia, "an upload must not have a Content-Encoding")
	case r.ContentLength > maxObject:
		return readFault(errTooLarge, maxObject)
	}
	x.record.InBytes = max(r.ContentLength, 0) // as announced
	x.upload = &upload{exchange: x, src: r.Body}
	if !x.gateway.SkipHashes {
		x.upload.sum = sha256.New()
	}
	return nil
}

// Read implements io.Reader. Each read has the time that another request has for
// its whole body; the time limit of the exchange bounds all of them.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.src == nil || u.ctx.Err() != nil {
		return 0, http.ErrBodyReadAfterClose
	}
	_ = u.exchange.reply.readBy(time.Now().Add(u.exchange.snapshot.Limits.BodyTime))
	n, err := u.src.Read(p[:min(int64(len(p)), maxObject-u.n+1)])
	if u.n += int64(n); u.n > maxObject {
		n, err = 0, errTooLarge
	}
	if u.sum != nil {
		u.sum.Write(p[:n])
	}
	u.alive()
	switch err {
	case nil:
	case io.EOF:
		u.whole.Store(true)
		_ = u.exchange.reply.readBy(time.Time{})
	default:
		u.err = err
	}
	return n, err
}

// Close implements io.Closer: once it has returned, the body is no longer touched.
func (u *upload) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.src = nil
	return nil
}

// note closes the upload and writes the hash of what was sent into the record. That
// of a whole request is in its intent already; this one was not known then. A client that
// still sends is waited for no longer.
func (u *upload) note() {
	u.stop()
	if !u.whole.Load() && !u.exchange.reply.quiet() {
		_ = u.exchange.reply.readBy(time.Now())
	}
	_ = u.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.whole.Load() && u.sum != nil {
		u.exchange.record.Forwarded = hex.EncodeToString(u.sum.Sum(nil))
	}
}

// blame ends an attempt that failed because the upload broke off.
func (u *upload) blame(a *attempt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil && a.exchange.request.Context().Err() == nil {
		a.end(llm.CutByClient, fault.From(readFault(u.err, maxObject)))
	}
}

// objectBody is what a request about an object sends, and its length: 0 for none,
// -1 when nobody knows. When ctx ends, the client is waited for no longer.
func (a *attempt) objectBody(ctx context.Context, alive func()) (*outgoing, int64, error) {
	x := a.exchange
	if u := x.upload; u != nil {
		u.ctx, u.alive = ctx, alive
		stop := context.AfterFunc(ctx, func() {
			if !u.whole.Load() {
				_ = x.reply.readBy(time.Now())
			}
		})
		u.stop = stop
		return &outgoing{ReadCloser: u}, x.request.ContentLength, nil
	}
	s, err := wire.Splice(x.body.bytes, a.edits)
	if err != nil {
		return nil, 0, err
	}
	return &outgoing{ReadCloser: s.Reader()}, s.Len(), nil
}
