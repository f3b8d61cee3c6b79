package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func open(t *testing.T, cfg Config) *Journal {
	t.Helper()
	j, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func payloads(t *testing.T, j *Journal, from Position) [][]byte {
	t.Helper()
	var all [][]byte
	for e, err := range j.Records(from) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Payload)
	}
	return all
}

// TestAppendReadReopen writes across many segments, reads back everything from
// every position, and again after reopening.
func TestAppendReadReopen(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment}
	j := open(t, cfg)
	id := j.ID()
	var want [][]byte
	var at []Position
	for i := range 300 {
		p := bytes.Repeat([]byte{byte(i + 1)}, 1+i*7)
		pos, err := j.Append(p, []byte("second"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, p, []byte("second"))
		at = append(at, pos)
	}
	check := func(j *Journal) {
		t.Helper()
		if got := payloads(t, j, Position{}); len(got) != len(want) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
		for i, pos := range at {
			got := payloads(t, j, pos)
			if len(got) != len(want)-2*(i+1) || len(got) > 0 && !bytes.Equal(got[0], want[2*(i+1)]) {
				t.Fatalf("from %s: %d records", pos, len(got))
			}
			if p, err := ParsePosition(pos.String()); err != nil || p != pos {
				t.Fatalf("position %s: %v %v", pos, p, err)
			}
		}
		if _, err := j.Chain(Position{Seq: 1, Segment: at[0].Segment, Offset: at[0].Offset - 1}); !errors.Is(err, ErrUnknownPosition) {
			t.Fatalf("a position inside a record: %v", err)
		}
	}
	check(j)
	chain, err := j.Chain(j.Tail())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, cfg)
	check(j)
	if again, err := j.Chain(j.Tail()); err != nil || again != chain || j.ID() != id {
		t.Fatalf("reopened: chain or id differ, %v", err)
	}
}

// TestConcurrentAppends proves that every acknowledged record is there once, in
// the order of its position, and that the chain holds.
func TestConcurrentAppends(t *testing.T) {
	t.Parallel()
	j := open(t, Config{Dir: t.TempDir(), SegmentBytes: 1 << 20})
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := map[string]uint64{}
	for w := range 16 {
		wg.Go(func() {
			for i := range 200 {
				p := fmt.Sprintf("w%d-%d", w, i)
				pos, err := j.Append([]byte(p))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[p] = pos.Seq
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	n := 0
	var chain [32]byte
	for e, err := range j.Records(Position{}) {
		if err != nil {
			t.Fatal(err)
		}
		if acked[string(e.Payload)] != e.Next.Seq {
			t.Fatalf("%s is at %d, acknowledged at %d", e.Payload, e.Next.Seq, acked[string(e.Payload)])
		}
		if chain = link(chain, e.Payload); chain != e.Chain {
			t.Fatal("the chain does not hold")
		}
		n++
	}
	if n != len(acked) || n != 3200 {
		t.Fatalf("%d records, %d acknowledged", n, len(acked))
	}
}

// TestFlippedByte flips every byte of a small journal in turn: the damage is
// reported, or it is in the last record and the journal ends before it.
func TestFlippedByte(t *testing.T) {
	t.Parallel()
	disk := &faults{lazy: true}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	for i := range 4 {
		if _, err := j.Append(fmt.Appendf(nil, "record %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	tail := j.Tail()
	j.Close()
	path := filepath.Join(cfg.Dir, fmt.Sprintf(segmentNames, 0))
	clean, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := tail.Offset - int64(frameHeader+len("record 3"))
	for off := range tail.Offset {
		damaged := bytes.Clone(clean)
		damaged[off] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(cfg)
		if off < last {
			corrupt, ok := errors.AsType[*CorruptError](err)
			if !ok {
				t.Fatalf("offset %d: opened with error %v", off, err)
			}
			if off >= headerSize && (corrupt.Offset > off || off-corrupt.Offset > 40) {
				t.Fatalf("offset %d: reported at %d", off, corrupt.Offset)
			}
			continue
		}
		if err != nil {
			t.Fatalf("offset %d in the last record: %v", off, err)
		}
		if n := len(payloads(t, j, Position{})); n != 3 {
			t.Fatalf("offset %d: %d records", off, n)
		}
		j.Close()
	}
}
