package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// filled makes a journal of small records and returns its configuration, the path
// of its only segment, and where each record begins; the last place is the tail.
func filled(t *testing.T, records int) (cfg Config, path string, places []int64) {
	t.Helper()
	disk := &faults{lazy: true}
	cfg = Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	places = []int64{headerSize}
	for i := range records {
		pos, err := j.Append(fmt.Appendf(nil, "rec %d", i))
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, pos.Offset)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg, j.path(0), places
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTornTail damages a journal from every offset of its last records to their
// end, in every way a write may be torn. What was before that is there, the rest
// is cut off, and what is appended afterwards is read back after another opening.
func TestTornTail(t *testing.T) {
	t.Parallel()
	const records, last = 6, 3
	tears := map[string]func(b []byte, off, tail int64) []byte{
		"truncated": func(b []byte, off, _ int64) []byte { return b[:off] },
		"zeroed":    func(b []byte, off, _ int64) []byte { clear(b[off:]); return b },
		"garbled": func(b []byte, off, tail int64) []byte {
			for i := off; i < tail; i++ {
				b[i] ^= 0xa5
			}
			return b
		},
		"garbled beyond the end": func(b []byte, off, tail int64) []byte {
			for i := off; i < tail+1000; i++ {
				b[i] ^= byte(i*7) | 1
			}
			return b
		},
	}
	for name, tear := range tears {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, path, places := filled(t, records)
			clean := contents(t, path)
			tail := places[records]
			for off := places[records-last]; off < tail; off++ {
				whole := 0
				for places[whole+1] <= off {
					whole++
				}
				write(t, path, tear(bytes.Clone(clean), off, tail))
				j := open(t, cfg)
				if got := j.Tail(); got != (Position{uint64(whole), 0, places[whole]}) {
					t.Fatalf("offset %d: the tail is %s, want %d records", off, got, whole)
				}
				var want [][]byte
				for i := range whole {
					want = append(want, fmt.Appendf(nil, "rec %d", i))
				}
				for _, p := range []string{"one", "two, which is longer"} {
					if _, err := j.Append([]byte(p)); err != nil {
						t.Fatalf("offset %d: %v", off, err)
					}
					want = append(want, []byte(p))
				}
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				j = open(t, cfg)
				if got := payloads(t, j, Position{}); !bytes.Equal(bytes.Join(got, []byte("|")), bytes.Join(want, []byte("|"))) {
					t.Fatalf("offset %d: %q, want %q", off, got, want)
				}
				j.Close()
				for _, n := range []uint64{1, 2} { // where the records went when the segment was truncated
					os.Remove(j.path(n))
				}
			}
		})
	}
}

// TestDamageBeforeRecords damages any byte, any record, or the header, of a journal
// whose later records are whole: that is no torn end, and opening changes nothing.
func TestDamageBeforeRecords(t *testing.T) {
	t.Parallel()
	const records = 4
	cfg, path, places := filled(t, records)
	clean := contents(t, path)
	check := func(what string, b []byte, at int64) {
		t.Helper()
		write(t, path, b)
		j, err := Open(cfg)
		corrupt, ok := errors.AsType[*CorruptError](err)
		if !ok {
			t.Errorf("%s: opened with %v", what, err)
		} else if corrupt.Offset != at || corrupt.Segment != 0 || corrupt.Error() == "" {
			t.Errorf("%s: reported as %v, want offset %d", what, corrupt, at)
		}
		if err == nil {
			j.Close()
		}
		if !bytes.Equal(contents(t, path), b) {
			t.Errorf("%s: opening changed the file", what)
		}
	}
	zeroed := bytes.Clone(clean)
	clear(zeroed[:headerSize])
	check("header zeroed", zeroed, 0)
	zeroed = bytes.Clone(clean)
	clear(zeroed[:places[1]])
	check("header and first record zeroed", zeroed, 0)
	check("half a header", clean[:headerSize/2], 0)
	version := bytes.Clone(clean)
	version[8]++
	putHeaderSum(version)
	check("another version", version, 8)
	id := bytes.Clone(clean)
	copy(id[12:], "../x")
	putHeaderSum(id)
	check("an id that is a path", id, 12)
	number := bytes.Clone(clean)
	number[12+idSize]++
	putHeaderSum(number)
	check("the header of another segment", number, 12+idSize)
	first := bytes.Clone(clean)
	copy(first[12+idSize+8:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	putHeaderSum(first)
	check("a first record that nobody reaches", first, 12+idSize)
	for i := range records - 1 {
		zeroed := bytes.Clone(clean)
		clear(zeroed[places[i]:places[i+1]])
		check(fmt.Sprintf("record %d zeroed", i), zeroed, places[i])
		for off := places[i]; off < places[i+1]; off++ {
			flipped := bytes.Clone(clean)
			flipped[off] ^= 0x10
			check(fmt.Sprintf("byte %d flipped", off), flipped, places[i])
		}
	}
}

func putHeaderSum(b []byte) {
	binary.LittleEndian.PutUint32(b[headerSize-4:], crc32.Checksum(b[:headerSize-4], castagnoli))
}

// TestStaleRecords puts whole records of a lost part of the file behind the end:
// they must neither be read now nor after the journal grows up to them.
func TestStaleRecords(t *testing.T) {
	t.Parallel()
	cfg, path, places := filled(t, 6)
	b := contents(t, path)
	copy(b[places[3]:], b[places[4]:places[5]]) // record 4 where record 3 should be
	clear(b[places[4]:])
	write(t, path, b)
	if _, err := Open(cfg); err == nil {
		t.Fatal("a record out of its order passes for the end")
	}
	b = contents(t, path)
	clear(b[places[3]:])
	copy(b[places[5]:], appendFrame(nil, 3, []byte("rec x"))) // not later than what is missing
	write(t, path, b)
	j := open(t, cfg)
	for i := range 2 {
		if _, err := j.Append(fmt.Appendf(nil, "new %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	j = open(t, cfg)
	if got := payloads(t, j, Position{}); len(got) != 5 || string(got[4]) != "new 1" {
		t.Fatalf("read %q", got)
	}
}

// TestUnusedSegments leaves what a process leaves that dies while it prepares
// segments: they are removed, and the journal goes on in the last used one.
func TestUnusedSegments(t *testing.T) {
	t.Parallel()
	cfg, _, places := filled(t, 3)
	name := func(n uint64) string { return filepath.Join(cfg.Dir, fmt.Sprintf(segmentNames, n)) }
	write(t, name(1), make([]byte, minSegment))
	write(t, name(2), nil)
	write(t, name(3), make([]byte, 7))
	half := make([]byte, minSegment)
	copy(half, putHeader("someid", 4, 3, [32]byte{})[:40])
	write(t, name(4), half)
	write(t, filepath.Join(cfg.Dir, "0000000000000005.seg.bak"), []byte("not a segment"))
	write(t, filepath.Join(cfg.Dir, "5.seg"), []byte("not a segment"))
	j := open(t, cfg)
	if j.Tail() != (Position{3, 0, places[3]}) {
		t.Fatalf("the tail is %s", j.Tail())
	}
	settled(t, j)
	j.Close()
	ns, err := j.numbers()
	if err != nil || len(ns) != 2 || ns[1] != 1 {
		t.Fatalf("segments %d, %v", ns, err)
	}
	id := j.ID()
	if j = open(t, cfg); j.ID() != id {
		t.Fatal("another journal")
	}
}

// TestUnreadableSegment makes reading fail when the journal is opened: that is no
// reason to take a segment for unused.
func TestUnreadableSegment(t *testing.T) {
	t.Parallel()
	cfg, path, _ := filled(t, 3)
	clean := contents(t, path)
	broken := errors.New("input/output error")
	for after := range 4 {
		disk, calls := &faults{}, 0
		disk.read = func(uint64) error {
			if calls++; calls > after {
				return broken
			}
			return nil
		}
		cfg.open = disk.open
		if _, err := Open(cfg); !errors.Is(err, broken) {
			t.Fatalf("after %d reads: %v", after, err)
		}
		if !bytes.Equal(contents(t, path), clean) {
			t.Fatal("the segment is changed")
		}
	}
}

// TestOpenMemory opens a journal whose segment is large and ends early: memory
// does not grow with it.
func TestOpenMemory(t *testing.T) {
	cfg, path, places := filled(t, 3)
	if err := os.Truncate(path, 96<<20); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("torn"), 80<<20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	disk := &faults{lazy: true, allocate: func(uint64) error { return errors.New("not now") }}
	cfg.open = disk.open
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	j, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	defer j.Close()
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Fatalf("opening took %d bytes of memory", got)
	}
	if j.Tail().Offset != places[3] {
		t.Fatalf("the tail is %s", j.Tail())
	}
}

// TestFollows finds a later record wherever it begins, across the parts in which a
// file is looked through, and not what only looks like one.
func TestFollows(t *testing.T) {
	t.Parallel()
	frame := appendFrame(nil, 9, append([]byte("later"), make([]byte, 3000)...)) // ends in zeros
	for _, off := range []int{200, chunk - 1, chunk, chunk + 1, 2*chunk - 10, 2*chunk + 500} {
		b := make([]byte, off, 4*chunk)
		b = append(b, frame...)
		end, size, err := extent(bytes.NewReader(b), 0)
		if err != nil || size != int64(len(b)) || end >= size || end < int64(off) {
			t.Fatalf("offset %d: ends at %d of %d, %v", off, end, size, err)
		}
		for seq, want := range map[uint64]bool{8: true, 9: false, 10: false} {
			if got, err := follows(bytes.NewReader(b), state{seq: seq}, end); err != nil || got != want {
				t.Errorf("offset %d: record %d follows %d: %v, %v", off, 9, seq, got, err)
			}
		}
		b[off+frameHeader+2]++
		if got, _ := follows(bytes.NewReader(b), state{seq: 8}, end); got {
			t.Errorf("offset %d: a record that does not check follows", off)
		}
	}
	// Three records cannot lie in 20 bytes.
	b := append(make([]byte, 20), appendFrame(nil, 9, []byte("x"))...)
	if got, _ := follows(bytes.NewReader(b), state{seq: 6}, int64(len(b))); got {
		t.Error("a sequence number that cannot be there")
	}
}
