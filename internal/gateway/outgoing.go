package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync/atomic"
)

// payload is a body that is ready to be sent, as often as it must be.
type payload interface {
	Len() int64
	Reader() io.ReadCloser
}

// sumOf is the SHA-256 of what will be sent, for kinds of upstreams that sign it.
func sumOf(p payload) func() ([sha256.Size]byte, error) {
	return func() (sum [sha256.Size]byte, err error) {
		r := p.Reader()
		defer r.Close()
		h := sha256.New()
		_, err = io.Copy(h, r)
		h.Sum(sum[:0])
		return sum, err
	}
}

// outgoing hands a request body to net/http and notes whether any of it was
// asked for: before that, nothing can have reached the upstream.
type outgoing struct {
	io.ReadCloser
	hot atomic.Bool
}

// Read implements io.Reader.
func (o *outgoing) Read(p []byte) (int, error) {
	o.hot.Store(true)
	return o.ReadCloser.Read(p)
}

// touched reports whether the upstream may have seen any of the request.
func (o *outgoing) touched() bool { return o.hot.Load() }

// hexSum is the hex SHA-256 of b.
func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
