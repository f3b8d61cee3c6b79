package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

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
	Allocate(size int64) error
	Close() error
}

// osFile is a real file.
type osFile struct{ *os.File }

// Sync writes data, and what is needed to read it back, to the disk (fdatasync(2)).
func (f osFile) Sync() error { return unix.Fdatasync(int(f.Fd())) }

// Allocate makes the file size bytes long and reserves its blocks (fallocate(2)).
func (f osFile) Allocate(size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return f.fill(size)
	}
	return err
}

// fill writes zeros where the file system cannot preallocate.
func (f osFile) fill(size int64) error {
	zeros := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}

// segment is one open segment file.
type segment struct {
	f      file
	number uint64
	first  uint64            // sequence number of its first record
	chain  [sha256.Size]byte // running hash before its first record
	size   int64             // preallocated
}

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

// readHeader checks a segment's header and returns the journal id in it.
func readHeader(f file, number uint64) (id string, s segment, err error) {
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, 0); err != nil {
		return "", s, &CorruptError{number, 0, "the header cannot be read: " + err.Error()}
	}
	body := b[:headerSize-4]
	if string(b[:8]) != magic || crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[headerSize-4:]) {
		return "", s, &CorruptError{number, 0, "the header does not check"}
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVer {
		return "", s, &CorruptError{number, 8, fmt.Sprintf("format version %d is not %d", v, formatVer)}
	}
	n := 12 + idSize
	s = segment{f: f, number: binary.LittleEndian.Uint64(b[n:]), first: binary.LittleEndian.Uint64(b[n+8:])}
	copy(s.chain[:], b[n+16:])
	if s.number != number {
		return "", s, &CorruptError{number, int64(n), fmt.Sprintf("the header is of segment %d", s.number)}
	}
	return string(trimZeros(b[12 : 12+idSize])), s, nil
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

// follows reports whether a whole frame with a later sequence number starts
// anywhere in b: the difference between a torn end and damage in the middle.
func follows(b []byte, seq uint64) bool {
	const lookAhead = 1 << 24
	for o := 1; o+frameHeader < len(b); o++ {
		if b[o] == 0 && b[o+1] == 0 && b[o+2] == 0 && b[o+3] == 0 {
			continue
		}
		if s := binary.LittleEndian.Uint64(b[o+8:]); s > seq && s-seq < lookAhead {
			if _, state := parseFrame(b[o:], s); state == frameWhole {
				return true
			}
		}
	}
	return false
}
