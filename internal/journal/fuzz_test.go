package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
)

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"0.0.0", "1.2.3", "18446744073709551615.18446744073709551615.9223372036854775807", "1.2.-3", "01.2.3", "1.2", "a.b.c", "+1.2.3", "", "1.2.3.4", "18446744073709551616.0.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			if p != (Position{}) {
				t.Errorf("%q: %v with an error", s, p)
			}
			return
		}
		if p.String() != s || p.Offset < 0 {
			t.Errorf("%q is read as %s", s, p)
		}
	})
}

// sumFrames gives consecutive frames, of whatever length they claim to be, the
// checksums and as many right sequence numbers as asked for: what a fuzzer does
// not find by itself.
func sumFrames(b []byte, seq uint64, right int) {
	for i := 0; len(b) > frameHeader; i++ {
		n := int(binary.LittleEndian.Uint32(b))
		if n == 0 || n > len(b)-frameHeader {
			return
		}
		if i < right {
			binary.LittleEndian.PutUint64(b[8:], seq+uint64(i))
		}
		binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:frameHeader+n], castagnoli))
		b = b[frameHeader+n:]
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, sum := range []bool{false, true} {
		f.Add(appendFrame(nil, 7, []byte("payload")), uint64(7), sum)
		f.Add(appendFrame(appendFrame(nil, 0, []byte("a")), 1, []byte("b")), uint64(0), sum)
		f.Add(appendFrame(nil, 7, []byte("payload"))[:20], uint64(7), sum)
		f.Add(make([]byte, 40), uint64(0), sum)
		f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint64(0), sum)
	}
	f.Fuzz(func(t *testing.T, b []byte, seq uint64, sum bool) {
		if sum {
			b = bytes.Clone(b)
			sumFrames(b, seq, 1)
		}
		payload, st := parseFrame(b, seq)
		switch st {
		case frameWhole:
			if again := appendFrame(nil, seq, payload); !bytes.HasPrefix(b, again) || len(payload) == 0 {
				t.Errorf("%x is read as %x", b, payload)
			}
			if _, st := parseFrame(b[:frameHeader+len(payload)-1], seq); st == frameWhole {
				t.Error("a frame without its last byte is whole")
			}
			if _, st := parseFrame(b, seq+1); st == frameWhole {
				t.Error("a frame is whole as another record")
			}
		case frameNone:
			if len(trimZeros(b[:min(len(b), frameHeader)])) > 0 {
				t.Errorf("%x passes for the end", b)
			}
		case frameTorn:
			if payload != nil {
				t.Error("a torn frame has a payload")
			}
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	good := putHeader("abc234", 3, 9, [32]byte{1})
	for _, sum := range []bool{false, true} {
		f.Add(good, uint64(3), sum)
		f.Add(good, uint64(4), sum)
		f.Add(good[:50], uint64(3), sum)
		f.Add(putHeader("../etc", 3, 9, [32]byte{}), uint64(3), sum)
		f.Add(putHeader("", 3, 9, [32]byte{}), uint64(3), sum)
	}
	f.Fuzz(func(t *testing.T, b []byte, number uint64, sum bool) {
		if sum && len(b) >= headerSize {
			b = bytes.Clone(b)
			putHeaderSum(b)
		}
		id, s, err := readHeader(bytes.NewReader(b), number)
		if err != nil {
			if _, ok := errors.AsType[*CorruptError](err); !ok {
				t.Errorf("error is %v", err)
			}
			return
		}
		if again := putHeader(id, s.number, s.first, s.chain); !bytes.HasPrefix(b, again) || s.number != number || filepath.Base("x"+id) != "x"+id {
			t.Errorf("%x is read as the header of %q", b, id)
		}
	})
}

// FuzzOpen opens a journal whose second, last segment is anything at all. Either
// that is reported, or what is read is a prefix of the file's own frames, and the
// journal goes on behind it and survives another opening. Nothing is changed in a
// journal that does not open.
func FuzzOpen(f *testing.F) {
	const id = "abcdefghijklmnopqrstuvwxyz"
	first := putHeader(id, 0, 0, [32]byte{})
	first = appendFrame(first, 0, []byte("in the first segment"))
	chain := link([32]byte{}, []byte("in the first segment"))
	good := putHeader(id, 1, 1, chain)
	good = appendFrame(good, 1, []byte("second"))
	good = appendFrame(good, 2, bytes.Repeat([]byte("third"), 20))
	for _, seed := range [][]byte{good, append(bytes.Clone(good), make([]byte, 500)...), good[:len(good)-1], good[:headerSize], good[:30], {}, make([]byte, 200)} {
		f.Add(seed, false, byte(0))
		f.Add(seed[min(headerSize, len(seed)):], true, byte(2))
	}
	flipped := bytes.Clone(good)
	flipped[headerSize+20]++
	f.Add(flipped, false, byte(0))
	f.Fuzz(func(t *testing.T, b []byte, headed bool, right byte) {
		if headed {
			b = append(putHeader(id, 1, 1, chain), b...)
			sumFrames(b[headerSize:], 1, int(right))
		}
		disk := &faults{lazy: true}
		cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
		path := filepath.Join(cfg.Dir, "0000000000000001.seg")
		write(t, filepath.Join(cfg.Dir, "0000000000000000.seg"), first)
		write(t, path, b)
		j, err := Open(cfg)
		if err != nil {
			if _, ok := errors.AsType[*CorruptError](err); !ok {
				t.Fatalf("error is %v", err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
				t.Fatalf("the segment is changed, %v", err)
			}
			return
		}
		defer j.Close()
		got := readAll(t, j)
		if j.ID() == id && (len(got) == 0 || string(got[0]) != "in the first segment") {
			t.Fatalf("read %q", got)
		}
		rest := b[min(headerSize, len(b)):]
		for i, p := range got[min(1, len(got)):] {
			frame := appendFrame(nil, uint64(i)+1, p)
			if !bytes.HasPrefix(rest, frame) {
				t.Fatalf("record %d is %x, which is not in the file", i+1, p)
			}
			rest = rest[len(frame):]
		}
		if _, err := j.Append([]byte("new")); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, cfg)
		if now := readAll(t, again); again.ID() != j.ID() || len(now) > 0 && (len(now) != len(got)+1 || string(now[len(got)]) != "new") {
			t.Fatalf("read %q, and before it was reopened %q", now, got)
		}
	})
}

// readAll reads a journal whose first segment may belong to another, which only a
// reader notices.
func readAll(t *testing.T, j *Journal) (all [][]byte) {
	t.Helper()
	for e, err := range j.Records(Position{}) {
		if err != nil {
			if _, ok := errors.AsType[*CorruptError](err); !ok {
				t.Fatalf("error is %v", err)
			}
			return nil
		}
		all = append(all, e.Payload)
	}
	return all
}
