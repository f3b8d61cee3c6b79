package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// numbers lists the segments of the folder in order.
func (j *Journal) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(j.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the journal's segments: %w", err)
	}
	var ns []uint64
	for _, e := range entries {
		hex, ok := strings.CutSuffix(e.Name(), ".seg")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(hex, 16, 64)
		if err == nil && e.Name() == fmt.Sprintf(segmentNames, n) {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns, nil
}

func (j *Journal) path(number uint64) string {
	return filepath.Join(j.cfg.Dir, fmt.Sprintf(segmentNames, number))
}

// load opens the last segment that is in use and finds its end. Segments that
// were prepared for a roll and never used are removed.
func (j *Journal) load() error {
	ns, err := j.numbers()
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(ns) {
		f, err := j.cfg.open(j.path(n), false)
		if err != nil {
			return fmt.Errorf("open journal segment: %w", err)
		}
		used, err := j.inUse(f, n)
		if err == nil && used {
			err = j.resume(f, n)
		}
		if err != nil || !used {
			f.Close()
		}
		if err != nil || used {
			return err
		}
		if err := os.Remove(j.path(n)); err != nil {
			return fmt.Errorf("remove an unused journal segment: %w", err)
		}
	}
	id, at := newID(), state{off: headerSize}
	s, err := j.create(id, 0, at)
	if err != nil {
		return err
	}
	j.id, j.cur, j.head, j.tail = id, s, at, at
	return nil
}

// inUse reports whether a segment has a header, or anything where its records
// would be. One that has neither was prepared and never used, or the process or
// the machine died while its header was written.
func (j *Journal) inUse(f file, number uint64) (bool, error) {
	b := make([]byte, headerSize)
	n, err := f.ReadAt(b, 0)
	if err := ignoreEOF(err); err != nil {
		return false, fmt.Errorf("read journal segment "+segmentNames+": %w", number, err)
	}
	if n < headerSize { // the file was made, and not its room
		return len(trimZeros(b[:n])) > 0, nil
	}
	if checkHeader(b) {
		return true, nil
	}
	end, _, err := extent(f, headerSize)
	if err != nil {
		return false, fmt.Errorf("read journal segment "+segmentNames+": %w", number, err)
	}
	if end == headerSize && len(trimZeros(b)) > 0 {
		j.cfg.Logger.Warn("journal segment with half a header and no records is removed", "segment", number)
	}
	return end > headerSize, nil
}

// resume reads the last segment to its end and goes on there.
func (j *Journal) resume(f file, number uint64) error {
	id, s, err := readHeader(f, number)
	if err != nil {
		return err
	}
	s.f = f
	var c cursor
	c.seek(f, s.start())
	for st := frameWhole; st == frameWhole; {
		if _, st, err = c.next(); err != nil {
			return fmt.Errorf("read journal segment "+segmentNames+": %w", number, err)
		}
	}
	if s.size, err = j.cut(f, number, c.at); err != nil {
		return err
	}
	// What was preallocated is not any more when the folder was copied.
	if err := f.Allocate(s.size); err != nil {
		j.cfg.Logger.Warn("journal segment cannot be preallocated and is not written any more", "segment", number, "error", err)
		s.size = c.at.off
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync journal segment "+segmentNames+": %w", number, err)
	}
	j.id, j.cur, j.head, j.tail, j.durable = id, &s, c.at, c.at, c.at.seq
	return nil
}

// cut zeroes what a segment holds beyond its last whole frame, after making sure
// that it is a torn end, and returns the segment's size.
func (j *Journal) cut(f file, number uint64, at state) (size int64, err error) {
	end, size, err := extent(f, at.off)
	if err != nil {
		return 0, fmt.Errorf("read journal segment "+segmentNames+": %w", number, err)
	}
	if end == at.off {
		return size, nil
	}
	later, err := follows(f, at, end)
	if err != nil {
		return 0, fmt.Errorf("read journal segment "+segmentNames+": %w", number, err)
	}
	if later {
		return 0, &CorruptError{number, at.off, "a record does not check and later ones do"}
	}
	j.cfg.Logger.Warn("journal ends in a torn record, which is cut off", "segment", number, "offset", at.off, "bytes", end-at.off)
	if err := zero(f, at.off, end); err != nil {
		return 0, fmt.Errorf("cut the torn end of the journal: %w", err)
	}
	return size, nil
}

// chunk is how much of a file is looked through at once.
const chunk = 1 << 20

// extent returns the end of what is not zero in a file from an offset on, or the
// offset, and the file's size, which is taken to be at least the offset.
func extent(f io.ReaderAt, from int64) (end, size int64, err error) {
	b, zeros := make([]byte, chunk), make([]byte, chunk)
	end = from
	for size = from; ; {
		n, err := f.ReadAt(b, size)
		if !bytes.Equal(b[:n], zeros[:n]) {
			end = size + int64(len(trimZeros(b[:n])))
		}
		size += int64(n)
		if err != nil || n == 0 {
			return end, size, ignoreEOF(err)
		}
	}
}

// zero overwrites a part of a file.
func zero(f io.WriterAt, from, to int64) error {
	b := make([]byte, min(chunk, to-from))
	for ; from < to; from += int64(len(b)) {
		if _, err := f.WriteAt(b[:min(int64(len(b)), to-from)], from); err != nil {
			return err
		}
	}
	return nil
}

// follows reports whether a whole frame with another sequence number starts at a
// place, or one with a later number between it and an offset: the difference
// between a torn end and damage in the middle.
func follows(f io.ReaderAt, at state, to int64) (bool, error) {
	b, zeros := make([]byte, chunk+frameHeader+MaxPayload), make([]byte, chunk+frameHeader)
	for base := at.off; base < to; base += chunk {
		n, err := f.ReadAt(b, base)
		if err := ignoreEOF(err); err != nil {
			return false, err
		}
		if n >= len(zeros) && bytes.Equal(b[:len(zeros)], zeros) {
			continue
		}
		for o := range min(chunk, int(to-base), n-frameHeader) {
			if binary.LittleEndian.Uint32(b[o:]) == 0 {
				continue
			}
			s := binary.LittleEndian.Uint64(b[o+8:])
			// No more records lie between two places than there is room for. So a payload
			// that contains a frame passes for a record only if it guessed its number.
			between := uint64(base+int64(o)-at.off) / (frameHeader + 1)
			if between == 0 && base+int64(o) > at.off || between > 0 && (s <= at.seq || s-at.seq > between) {
				continue
			}
			if _, state := parseFrame(b[o:n], s); state == frameWhole {
				return true, nil
			}
		}
	}
	return false, nil
}
