package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A segment is one file: a header, then frames, then zeros up to its
// preallocated size. All integers are little-endian.
//
//	header  magic[8] version[4] id[32] number[8] first[8] chain[32] crc[4]
//	frame   length[4] crc[4] seq[8] payload[length]
//
// The CRC (CRC-32C) of a frame covers seq and payload; length is never 0, so a
// zero length marks the end.
const (
	magic        = "SALLYJNL"
	formatVer    = 1
	headerSize   = 8 + 4 + idSize + 8 + 8 + sha256.Size + 4
	idSize       = 32
	frameHeader  = 4 + 4 + 8
	minSegment   = 64 << 10
	segmentNames = "%016x.seg"
)

// MaxPayload bounds one record, in bytes.
const MaxPayload = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// file is what a segment needs of an operating system's file.
type file interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Allocate(size int64) error // does not change what the file holds
	Truncate(size int64) error
	Close() error
}

// osFile is a real file.
type osFile struct{ *os.File }

func openFile(path string, create bool) (file, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Sync writes data, and what is needed to read it back, to the disk (fdatasync(2)).
func (f osFile) Sync() error {
	return uninterrupted(func() error { return unix.Fdatasync(int(f.Fd())) })
}

// Allocate makes the file at least size bytes long and reserves its blocks
// (fallocate(2)).
func (f osFile) Allocate(size int64) error {
	err := uninterrupted(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.fill(size)
	}
	return err
}

// fill appends zeros where the file system cannot preallocate.
func (f osFile) fill(size int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() >= size {
		return err
	}
	return zero(f, info.Size(), size)
}

// uninterrupted repeats a system call that a signal interrupts, as package os
// does for its own: the runtime sends signals to preempt goroutines.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// segment is one open segment file.
type segment struct {
	f      file
	number uint64
	first  uint64            // sequence number of its first record
	chain  [sha256.Size]byte // running hash before its first record
	size   int64             // preallocated
	unsafe bool              // its sync failed: it is not synced again
}

// start is the place of its first record.
func (s *segment) start() state { return state{s.first, headerSize, s.chain} }

func putHeader(id string, number, first uint64, chain [sha256.Size]byte) []byte {
	b := make([]byte, headerSize)
	n := copy(b, magic)
	binary.LittleEndian.PutUint32(b[n:], formatVer)
	n += 4
	copy(b[n:n+idSize], id)
	n += idSize
	binary.LittleEndian.PutUint64(b[n:], number)
	binary.LittleEndian.PutUint64(b[n+8:], first)
	n += 16
	n += copy(b[n:], chain[:])
	binary.LittleEndian.PutUint32(b[n:], crc32.Checksum(b[:n], castagnoli))
	return b
}

// CorruptError says where a journal is damaged. Nothing beyond that place is
// read, and nothing is skipped.
type CorruptError struct {
	Segment uint64
	Offset  int64
	Why     string
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal segment "+segmentNames+" is damaged at offset %d: %s", e.Segment, e.Offset, e.Why)
}

// checkHeader reports whether b is a header, of whatever format version.
func checkHeader(b []byte) bool {
	return len(b) == headerSize && string(b[:len(magic)]) == magic &&
		crc32.Checksum(b[:headerSize-4], castagnoli) == binary.LittleEndian.Uint32(b[headerSize-4:])
}

// readHeader checks a segment's header and returns the journal id in it.
func readHeader(f io.ReaderAt, number uint64) (id string, s segment, err error) {
	b := make([]byte, headerSize)
	n, err := f.ReadAt(b, 0)
	if err := ignoreEOF(err); err != nil {
		return "", s, fmt.Errorf("read the header of journal segment "+segmentNames+": %w", number, err)
	}
	if !checkHeader(b[:n]) {
		return "", s, &CorruptError{number, 0, "the header does not check"}
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVer {
		return "", s, &CorruptError{number, 8, fmt.Sprintf("format version %d is not %d", v, formatVer)}
	}
	id = string(trimZeros(b[12 : 12+idSize]))
	if id == "" || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") != "" { // it becomes a folder's name
		return "", s, &CorruptError{number, 12, "the journal's id is not one"}
	}
	n = 12 + idSize
	s = segment{number: binary.LittleEndian.Uint64(b[n:]), first: binary.LittleEndian.Uint64(b[n+8:])}
	copy(s.chain[:], b[n+16:])
	switch {
	case s.number != number:
		return "", s, &CorruptError{number, int64(n), fmt.Sprintf("the header is of segment %d", s.number)}
	case s.number > 1<<62 || s.first > 1<<62: // there is room to count on
		return "", s, &CorruptError{number, int64(n), "its numbers cannot have been reached"}
	}
	return id, s, nil
}

func trimZeros(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// appendFrame appends one frame to b.
func appendFrame(b []byte, seq uint64, payload []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = append(b, payload...)
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+8:], castagnoli))
	return b
}

// link extends the running hash by one record.
func link(chain [sha256.Size]byte, payload []byte) (next [sha256.Size]byte) {
	h := sha256.New()
	h.Write(chain[:])
	h.Write(payload)
	h.Sum(next[:0])
	return next
}

// frameState is what a place in a segment holds.
type frameState uint8

const (
	frameWhole frameState = iota // a record
	frameNone                    // zeros: the end
	frameTorn                    // neither
)

// parseFrame reads the frame at the start of b. The payload is part of b.
func parseFrame(b []byte, seq uint64) (payload []byte, state frameState) {
	if len(b) < frameHeader {
		for _, c := range b {
			if c != 0 {
				return nil, frameTorn
			}
		}
		return nil, frameNone
	}
	n := binary.LittleEndian.Uint32(b)
	switch {
	case n == 0 && binary.LittleEndian.Uint64(b[4:]) == 0 && binary.LittleEndian.Uint32(b[12:]) == 0:
		return nil, frameNone
	case n == 0 || n > MaxPayload || int(n) > len(b)-frameHeader:
		return nil, frameTorn
	case binary.LittleEndian.Uint64(b[8:]) != seq:
		return nil, frameTorn
	case crc32.Checksum(b[8:frameHeader+int(n)], castagnoli) != binary.LittleEndian.Uint32(b[4:]):
		return nil, frameTorn
	}
	return b[frameHeader : frameHeader+int(n)], frameWhole
}

// readAhead is how much of a segment is read at once.
const readAhead = 256 << 10

// cursor reads the frames of one segment in their order.
type cursor struct {
	f    io.ReaderAt
	at   state
	buf  []byte // of the segment, from base on
	base int64  // at most at.off
}

// seek moves to a place.
func (c *cursor) seek(f io.ReaderAt, at state) {
	c.f, c.at = f, at
	c.buf, c.base = c.buf[:0], at.off
}

// next returns the payload of the frame at the present place and moves behind it,
// or says that there is none. The payload is valid until the next call.
func (c *cursor) next() ([]byte, frameState, error) {
	have := c.buf[min(int64(len(c.buf)), c.at.off-c.base):]
	payload, st := parseFrame(have, c.at.seq)
	for _, size := range []int{readAhead, frameHeader + MaxPayload} {
		if st == frameWhole {
			break
		}
		if cap(c.buf) < size {
			c.buf = make([]byte, size)
		}
		n, err := c.f.ReadAt(c.buf[:size], c.at.off)
		if err := ignoreEOF(err); err != nil {
			c.buf = c.buf[:0]
			return nil, frameTorn, err
		}
		c.buf, c.base = c.buf[:n], c.at.off
		if payload, st = parseFrame(c.buf, c.at.seq); st == frameNone {
			break
		}
	}
	if st == frameWhole {
		c.at = state{c.at.seq + 1, c.at.off + frameHeader + int64(len(payload)), link(c.at.chain, payload)}
	}
	return payload, st, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
