package gateway

import (
	"crypto/sha256"
	"errors"
	"io"
	"mime"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
	"sallyport/internal/wire/openai"
)

// maxFormMemory is how large a form may be that stays in memory; larger ones are
// spooled.
const maxFormMemory = 8 << 20

// form is what a body is besides when it is multipart/form-data.
type form struct {
	*wire.Form
	boundary string
	spool    *spool // holds the body when memory does not
}

// contentType is the form's own, in one spelling.
func (f *form) contentType() string {
	return mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": f.boundary})
}

// fileRatio is how much less a byte of a file weighs than one of text: at 8 kbit/s,
// about the least that speech is sent at, 1000 bytes are 10 tokens of audio, where of
// text they would be 250; pictures are further below.
const fileRatio = 16

// weight is the size of a body in bytes of text, by which its tokens are estimated.
func (b *body) weight() int64 {
	if b.form != nil {
		return b.size / fileRatio
	}
	return b.size
}

// newForm reads from the header how the form is written.
func (x *Exchange) newForm() (*form, error) {
	types := x.request.Header["Content-Type"]
	if len(types) == 1 {
		if boundary, ok := wire.Boundary(types[0]); ok {
			return &form{Form: wire.NewForm(boundary, openai.FormFields...), boundary: boundary}, nil
		}
	}
	return nil, fault.New(fault.UnsupportedMedia, "the body must be multipart/form-data with a boundary")
}

// takeForm reads a form to its end. What is too large for memory goes to the disk.
func (x *Exchange) takeForm(b *body, src io.Reader, limit, hint int64, encoded *counter) error {
	if hint > maxFormMemory {
		if err := x.spoolForm(b); err != nil {
			return err
		}
	} else if hint > int64(cap(b.bytes)) {
		b.bytes = make([]byte, 0, hint)
	}
	chunk := chunks.Get().(*[]byte)
	defer chunks.Put(chunk)
	sum := sha256.New()
	for n := int64(0); ; {
		got, err := src.Read(*chunk)
		piece := (*chunk)[:got]
		switch n += int64(got); {
		case n > limit:
			return errTooLarge
		case encoded != nil && n > ratioFloor && n > maxRatio*encoded.n:
			return errRatio
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		if err := b.form.Feed(piece); err != nil {
			return err
		}
		if err := x.keepForm(b, piece); err != nil {
			return err
		}
		sum.Write(piece)
		if err != nil {
			b.size = n
			sum.Sum(b.sum[:0])
			return x.endForm(b)
		}
	}
}

// keepForm adds a piece to a body.
func (x *Exchange) keepForm(b *body, piece []byte) error {
	if b.form.spool == nil && len(b.bytes)+len(piece) > maxFormMemory {
		if err := x.spoolForm(b); err != nil {
			return err
		}
	}
	if b.form.spool == nil {
		b.bytes = append(b.bytes, piece...)
		return nil
	}
	_, err := b.form.spool.Write(piece)
	return unkept(err)
}

// spoolForm moves a body to the disk.
func (x *Exchange) spoolForm(b *body) (err error) {
	if b.form.spool, err = newSpool(x.gateway.Spool, &x.gateway.spooled); err == nil {
		_, err = b.form.spool.Write(b.bytes)
	}
	b.bytes = b.bytes[:0]
	if cap(b.bytes) > maxPooled {
		b.bytes = nil
	}
	return unkept(err)
}

func (x *Exchange) endForm(b *body) error {
	if err := b.form.End(); err != nil {
		return err
	}
	if b.form.spool == nil {
		return nil
	}
	return unkept(b.form.spool.finish())
}

func unkept(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, "the gateway cannot keep a request body of this size now", err)
}
