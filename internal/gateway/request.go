package gateway

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/upstream"
)

// authenticate finds out who asks, from headers or ?key= alone: not a byte of
// the body has been read. The query is cut off at once, so that nothing later
// can log or forward the key in it.
func (x *Exchange) authenticate() error {
	r := x.request
	query := r.URL.Query()
	r.URL.RawQuery = ""
	r.RequestURI = r.URL.Path
	if query.Get("beta") == "true" {
		r.URL.RawQuery = "beta=true" // Anthropic's SDKs mark beta calls so
	}
	if x.principal.Kind == identity.Nobody {
		p, err := x.gateway.Auth.Request(r.Header, query["key"], x.gateway.source(r))
		if err != nil {
			return err
		}
		x.principal = p
	}
	if x.endpoint.speaks == upstream.Gemini {
		if err := x.form(query); err != nil {
			return err
		}
	}
	if x.endpoint.kind == object || x.endpoint.kind == kept {
		if err := x.keepQuery(query); err != nil {
			return err
		}
	}
	if err := auth.RequireInference(x.principal); err != nil {
		return err
	}
	return x.checkHops()
}

// takeSlot counts the request against its key's concurrency.
func (x *Exchange) takeSlot() (release func(), err error) {
	if x.principal.Kind != identity.Key {
		return func() {}, nil
	}
	release, ok := x.gateway.Auth.Acquire(x.principal.Key, x.snapshot.Limits.KeySlots)
	if !ok {
		return nil, &fault.Error{Kind: fault.RateLimited, Public: "this key has too many requests under way", RetryAfter: time.Second}
	}
	return release, nil
}

// body is a request body, decoded and whole.
type body struct {
	bytes []byte // nil when it is a form that is spooled
	size  int64
	sum   [sha256.Size]byte
	buf   *buffer
	form  *form // nil for JSON
}

// buffer is a reusable byte slice.
type buffer struct{ b []byte }

// buffers holds request bodies up to maxPooled; larger ones are left to the
// garbage collector.
var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 16<<10)} }}

const maxPooled = 2 << 20

// free gives the buffer back. Nobody may hold on to the bytes.
func (b *body) free() {
	if b != nil && b.form != nil {
		b.form.spool.close()
	}
	if b == nil || b.buf == nil || cap(b.bytes) > maxPooled {
		return
	}
	b.buf.b = b.bytes[:0]
	buffers.Put(b.buf)
	b.bytes, b.buf = nil, nil
}

// read takes the whole body in, within its limits of size and time.
func (x *Exchange) read() (err error) {
	r, limit := x.request, x.snapshot.Limits.Body
	b := &body{}
	if x.endpoint.form {
		b.form, err = x.newForm()
	} else {
		err = contentType(r.Header.Get("Content-Type"))
	}
	if err != nil {
		return err
	}
	if r.ContentLength > limit {
		return fault.Newf(fault.TooLarge, "the request body exceeds %d bytes", limit)
	}
	if err := x.reply.readBy(time.Now().Add(x.snapshot.Limits.BodyTime)); err != nil {
		return err
	}
	src, decode, err := decoded(r)
	if err != nil {
		return err
	}
	b.buf = buffers.Get().(*buffer)
	b.bytes = b.buf.b[:0]
	if b.form != nil {
		err = x.takeForm(b, src, limit, r.ContentLength, decode)
	} else {
		err = x.takeJSON(b, src, limit, r.ContentLength, decode)
	}
	if err == nil && decode != nil {
		err = decode.atEnd()
	}
	x.body = b
	if err != nil {
		b.free()
		return readFault(err, limit)
	}
	x.reply.unread = false
	_ = x.reply.readBy(time.Time{})
	x.record.InBytes = b.size
	if !x.gateway.SkipHashes {
		x.record.Req = hex.EncodeToString(b.sum[:])
	}
	return nil
}

// takeJSON reads a body into memory.
func (x *Exchange) takeJSON(b *body, src io.Reader, limit, hint int64, encoded *counter) (err error) {
	b.bytes, err = readAll(b.bytes, src, limit, hint, encoded)
	b.size = int64(len(b.bytes))
	if err == nil && !x.gateway.SkipHashes {
		b.sum = sha256.Sum256(b.bytes)
	}
	return err
}

func contentType(v string) error {
	if v == "" || v == "application/json" {
		return nil
	}
	t, params, err := mime.ParseMediaType(v)
	charset := params["charset"]
	if err != nil || t != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fault.New(fault.UnsupportedMedia, "the body must be application/json in UTF-8")
	}
	return nil
}

// maxRatio bounds how much larger than its encoded form a body may become, once
// it is longer than ratioFloor bytes.
const (
	maxRatio   = 100
	ratioFloor = 1 << 20
)

var (
	errTooLarge = errors.New("body exceeds its limit")
	errRatio    = errors.New("body expands too much")
	errTrailing = errors.New("data after the end of the encoded body")
)

// decoded undoes the request's Content-Encoding. The count it returns is of
// encoded bytes read so far; nil when the body was not encoded.
func decoded(r *http.Request) (io.Reader, *counter, error) {
	encodings := r.Header.Values("Content-Encoding")
	if len(encodings) == 0 || len(encodings) == 1 && (encodings[0] == "" || strings.EqualFold(encodings[0], "identity")) {
		return r.Body, nil, nil
	}
	c := &counter{r: r.Body}
	c.ahead = bufio.NewReader(c) // shared with the decoder, so that nothing it reads ahead is lost
	if len(encodings) == 1 {
		switch strings.ToLower(strings.TrimSpace(encodings[0])) {
		case "gzip", "x-gzip":
			z, err := gzip.NewReader(c.ahead)
			if err != nil {
				return nil, nil, fault.New(fault.BadRequest, "the body is not gzip as Content-Encoding says")
			}
			return z, c, nil
		case "deflate":
			z, err := zlib.NewReader(c.ahead)
			if err != nil {
				return nil, nil, fault.New(fault.BadRequest, "the body is not deflate as Content-Encoding says")
			}
			return z, c, nil
		}
	}
	return nil, nil, fault.New(fault.UnsupportedMedia, "Content-Encoding must be one of identity, gzip, deflate")
}

// counter counts the bytes read through it.
type counter struct {
	r     io.Reader
	n     int64
	ahead *bufio.Reader // reads through it
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// atEnd makes sure that nothing follows what the decoder took: no data that only
// other readers would see. It also lets net/http notice when the client leaves.
func (c *counter) atEnd() error {
	switch _, err := c.ahead.ReadByte(); err {
	case nil:
		return errTrailing
	case io.EOF:
		return nil
	default:
		return err
	}
}

// readAll appends everything from src to b. hint is the announced length, or -1.
func readAll(b []byte, src io.Reader, limit, hint int64, encoded *counter) ([]byte, error) {
	if hint > limit {
		return b, errTooLarge
	}
	if encoded == nil && hint > int64(cap(b)) {
		b = make([]byte, 0, hint+1)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := src.Read(b[len(b):min(int64(cap(b)), limit+1)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return b, errTooLarge
		case encoded != nil && len(b) > ratioFloor && int64(len(b)) > maxRatio*encoded.n:
			return b, errRatio
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		case encoded == nil && int64(len(b)) == hint:
			return b, nil
		}
	}
}

func readFault(err error, limit int64) error {
	if known, ok := errors.AsType[*fault.Error](err); ok {
		return known
	}
	switch {
	case errors.Is(err, errTooLarge):
		return fault.Newf(fault.TooLarge, "the request body exceeds %d bytes", limit)
	case errors.Is(err, errRatio):
		return fault.New(fault.TooLarge, "the request body expands too much")
	case errors.Is(err, errTrailing):
		return fault.New(fault.BadRequest, "the request body has data after its encoded content")
	}
	return fault.Wrap(fault.BadRequest, "the request body could not be read to its end", err)
}

// learn makes sure that a local server has said which of its models run
// elsewhere, before one of them is trusted with data.
func (x *Exchange) learn(u *upstream.Upstream) {
	if u.Class != label.OnSite || u.Catalog().Known {
		return
	}
	ctx, cancel := context.WithTimeout(x.request.Context(), 2*time.Second)
	defer cancel()
	if err := u.Refresh(ctx); err != nil {
		x.gateway.Logger.Warn("local upstream does not list its models", "upstream", u.Name, "error", err)
	}
}

// clientName is the product part of a User-Agent, such as "OpenAI/Python", in
// printable ASCII.
func clientName(agent string) string {
	name, _, _ := strings.Cut(agent, " ")
	b := make([]byte, 0, 48)
	for i := 0; i < len(name) && len(b) < 48; i++ {
		if c := name[i]; c > ' ' && c < 0x7f {
			b = append(b, c)
		}
	}
	return string(b)
}
