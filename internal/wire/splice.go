package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// Spliced is a body with edits applied, without a copy of the body. It is
// immutable and safe for concurrent use for as long as nobody changes the body
// or the edits.
type Spliced struct {
	body  []byte
	edits []Edit
	size  int64
}

// Splice applies edits to a body. Edits must be sorted by Start and not overlap;
// insertions at one place happen in their order. Both arguments are referred to,
// not copied.
func Splice(body []byte, edits []Edit) (*Spliced, error) {
	s := &Spliced{body: body, edits: edits, size: int64(len(body))}
	at := 0
	for i, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(body) {
			return nil, fmt.Errorf("edit %d of bytes %d to %d does not follow byte %d of a body of %d bytes", i, e.Start, e.End, at, len(body))
		}
		at = e.End
		s.size += int64(len(e.With) - (e.End - e.Start))
	}
	return s, nil
}

// Len is the length of the edited body in bytes.
func (s *Spliced) Len() int64 { return s.size }

// segment returns the i-th piece: even ones are of the body, odd ones of edits.
func (s *Spliced) segment(i int) []byte {
	n := i / 2
	if i%2 == 1 {
		return s.edits[n].With
	}
	from, to := 0, len(s.body)
	if n > 0 {
		from = s.edits[n-1].End
	}
	if n < len(s.edits) {
		to = s.edits[n].Start
	}
	return s.body[from:to]
}

// Append appends the edited body to dst.
func (s *Spliced) Append(dst []byte) []byte {
	for i := range 2*len(s.edits) + 1 {
		dst = append(dst, s.segment(i)...)
	}
	return dst
}

// Reader returns a fresh reader of the edited body. It implements io.WriterTo.
func (s *Spliced) Reader() io.ReadCloser { return &splicedReader{s: s} }

// splicedReader may be closed while it is read, as HTTP transports do: once Close
// has returned, the body is no longer touched.
type splicedReader struct {
	mu   sync.Mutex
	s    *Spliced // nil once closed
	next int      // segment to look at after rest
	rest []byte
}

var errClosed = errors.New("read of a closed request body")

// advance makes rest non-empty, or reports that the end is reached.
func (r *splicedReader) advance() error {
	if r.s == nil {
		return errClosed
	}
	for len(r.rest) == 0 {
		if r.next > 2*len(r.s.edits) {
			return io.EOF
		}
		r.rest = r.s.segment(r.next)
		r.next++
	}
	return nil
}

// Read implements io.Reader. One call fills as much of p as there is.
func (r *splicedReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) {
		if err := r.advance(); err != nil {
			if n > 0 && err == io.EOF {
				return n, nil
			}
			return n, err
		}
		c := copy(p[n:], r.rest)
		r.rest = r.rest[c:]
		n += c
	}
	return n, nil
}

// WriteTo implements io.WriterTo. Close waits for a write that is under way.
func (r *splicedReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		n, err := r.writeOne(w)
		total += n
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (r *splicedReader) writeOne(w io.Writer) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.advance(); err != nil {
		return 0, err
	}
	n, err := w.Write(r.rest)
	r.rest = r.rest[n:]
	return int64(n), err
}

// Close implements io.Closer.
func (r *splicedReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.s, r.rest = nil, nil
	return nil
}

// Commit commits to an edited body without hashing it again: the hash of the
// original body when nothing was changed, else SHA-256 over this text, in which
// every line ends in LF, hashes are lower-case hex and numbers are decimal:
//
//	sallyport splice v1
//	<SHA-256 of the original body>
//	<number of edits>
//	<start> <end> <SHA-256 of what stands there instead>     (for each edit)
//
// With the original body and the edits anyone can recompute it: VerifyCommit.
func Commit(bodySHA256 [32]byte, edits []Edit) [32]byte {
	if len(edits) == 0 {
		return bodySHA256
	}
	text := make([]byte, 0, 128+128*len(edits))
	text = append(text, "sallyport splice v1\n"...)
	text = hex.AppendEncode(text, bodySHA256[:])
	text = append(text, '\n')
	text = strconv.AppendInt(text, int64(len(edits)), 10)
	text = append(text, '\n')
	for _, e := range edits {
		text = strconv.AppendInt(text, int64(e.Start), 10)
		text = append(text, ' ')
		text = strconv.AppendInt(text, int64(e.End), 10)
		text = append(text, ' ')
		with := sha256.Sum256(e.With)
		text = hex.AppendEncode(text, with[:])
		text = append(text, '\n')
	}
	return sha256.Sum256(text)
}

// VerifyCommit reports whether commit is the commitment to the body with the
// edits. Edits that cannot be applied to the body are not committed to by anything.
func VerifyCommit(body []byte, edits []Edit, commit [32]byte) bool {
	if _, err := Splice(body, edits); err != nil {
		return false
	}
	return Commit(sha256.Sum256(body), edits) == commit
}
