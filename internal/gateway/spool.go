package gateway

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"sallyport/internal/wire"
)

// spoolChunk is how many bytes are sealed together.
const spoolChunk = 64 << 10

// spool is a request body on the disk. It is sealed with AES-256-GCM in chunks, the
// number of each being its nonce, under a key that only this process holds and only
// for this body. The file has no name, so it is gone with the process at the latest.
type spool struct {
	room *spoolRoom
	file *os.File
	seal cipher.AEAD
	size int64
	rest []byte // what does not fill a chunk yet
	n    int64  // sealed chunks
}

// PrepareSpool makes the folder of spooled bodies, or empties it: a process that died
// may have left files there that nobody can read any more.
func PrepareSpool(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("empty the folder of spooled bodies: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of spooled bodies: %w", err)
	}
	return nil
}

// spoolRoom counts what all spooled bodies take on the disk.
type spoolRoom struct {
	max  int64
	used atomic.Int64
}

var errSpoolFull = errors.New("the spooled bodies take all the room they may")

func newSpool(dir string, room *spoolRoom) (*spool, error) {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, "body-") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("spool a request body: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("spool a request body: %w", err)
	}
	return &spool{room: room, file: file, seal: seal, rest: make([]byte, 0, spoolChunk+seal.Overhead())}, nil
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	for left := p; len(left) > 0; {
		n := min(len(left), spoolChunk-len(s.rest))
		s.rest = append(s.rest, left[:n]...)
		left = left[n:]
		if len(s.rest) == spoolChunk {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
	}
	s.size += int64(len(p))
	return len(p), nil
}

// flush seals what has come together. Only the last chunk may be short.
func (s *spool) flush() error {
	if s.room.used.Add(s.at(1)) > s.room.max {
		s.room.used.Add(-s.at(1))
		return errSpoolFull
	}
	sealed := s.seal.Seal(s.rest[:0], s.nonce(s.n), s.rest, nil)
	if _, err := s.file.WriteAt(sealed, s.at(s.n)); err != nil {
		s.room.used.Add(-s.at(1))
		return fmt.Errorf("spool a request body: %w", err)
	}
	s.n++
	s.rest = s.rest[:0]
	return nil
}

// finish says that the body is whole.
func (s *spool) finish() error {
	if len(s.rest) == 0 {
		return nil
	}
	err := s.flush()
	s.rest = nil
	return err
}

func (s *spool) nonce(chunk int64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, s.seal.NonceSize()-8, s.seal.NonceSize()), uint64(chunk))
}

func (s *spool) at(chunk int64) int64 { return chunk * (spoolChunk + int64(s.seal.Overhead())) }

// close gives the file up.
func (s *spool) close() {
	if s != nil {
		s.room.used.Add(-s.at(s.n))
		s.n = 0
		s.file.Close()
	}
}

// spoolView opens a spooled body. It remembers one chunk and is for one goroutine.
type spoolView struct {
	*spool
	chunk int64
	plain []byte // of chunk; empty when none was opened yet
	buf   []byte
}

// ReadAt implements io.ReaderAt within one chunk.
func (v *spoolView) ReadAt(p []byte, off int64) (int, error) {
	if off >= v.size {
		return 0, io.EOF
	}
	if chunk := off / spoolChunk; chunk != v.chunk || len(v.plain) == 0 {
		if err := v.open(chunk); err != nil {
			return 0, err
		}
	}
	return copy(p, v.plain[off%spoolChunk:]), nil
}

func (v *spoolView) open(chunk int64) (err error) {
	if v.buf == nil {
		v.buf = make([]byte, spoolChunk+v.seal.Overhead())
	}
	sealed := v.buf[:min(spoolChunk, v.size-chunk*spoolChunk)+int64(v.seal.Overhead())]
	if _, err := v.file.ReadAt(sealed, v.at(chunk)); err != nil {
		return fmt.Errorf("read a spooled body: %w", err)
	}
	v.chunk = chunk
	if v.plain, err = v.seal.Open(sealed[:0], v.nonce(chunk), sealed, nil); err != nil {
		return fmt.Errorf("a spooled body was changed on the disk: %w", err)
	}
	return nil
}

// spooled is a spooled body with edits applied.
type spooled struct {
	*spool
	edits []wire.Edit
}

// Len implements payload.
func (s spooled) Len() int64 {
	n := s.size
	for _, e := range s.edits {
		n += int64(len(e.With) - (e.End - e.Start))
	}
	return n
}

// Reader implements payload.
func (s spooled) Reader() io.ReadCloser {
	view := &spoolView{spool: s.spool}
	var pieces []io.Reader
	at := 0
	for _, e := range s.edits {
		pieces = append(pieces, io.NewSectionReader(view, int64(at), int64(e.Start-at)), &plainReader{e.With})
		at = e.End
	}
	pieces = append(pieces, io.NewSectionReader(view, int64(at), s.size-int64(at)))
	return &closable{r: io.MultiReader(pieces...)}
}

// plainReader reads a few bytes.
type plainReader struct{ b []byte }

// Read implements io.Reader.
func (r *plainReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// closable may be closed while it is read, as HTTP transports do: once Close has
// returned, nothing is read any more.
type closable struct {
	mu sync.Mutex
	r  io.Reader // nil once closed
}

// Read implements io.Reader.
func (c *closable) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.r == nil {
		return 0, os.ErrClosed
	}
	return c.r.Read(p)
}

// Close implements io.Closer.
func (c *closable) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r = nil
	return nil
}
