package journal

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// segments makes a journal of n+1 segments with one record each, and returns the
// position after each record.
func segments(t *testing.T, cfg Config, n int) (*Journal, []Position) {
	t.Helper()
	j := open(t, cfg)
	var at []Position
	for i := range n + 1 {
		pos, err := j.Append(bytes.Repeat([]byte{byte(i + 1)}, 40000))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, pos)
	}
	if err := j.Sync(j.Tail()); err != nil {
		t.Fatal(err)
	}
	settled(t, j)
	return j, at
}

// TestForget removes segments that lie before a position and are old enough.
func TestForget(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Keep: time.Hour}
	j, at := segments(t, cfg, 6)
	chain, err := j.Chain(at[2])
	if err != nil {
		t.Fatal(err)
	}
	kept := func(want ...uint64) {
		t.Helper()
		ns, err := j.numbers()
		if err != nil || !slices.Equal(ns, append(want, 6, 7)) { // in use, and prepared
			t.Fatalf("segments %d are left, want %d, %v", ns, want, err)
		}
	}
	age := func(n uint64, d time.Duration) {
		t.Helper()
		if err := os.Chtimes(j.path(n), time.Time{}, time.Now().Add(-d)); err != nil {
			t.Fatal(err)
		}
	}
	forget := func(pos Position) {
		t.Helper()
		if err := j.Forget(pos); err != nil {
			t.Fatal(err)
		}
	}
	forget(j.Tail())
	kept(0, 1, 2, 3, 4, 5) // nothing is old
	for _, n := range []uint64{0, 1, 2, 4, 5, 6, 7} {
		age(n, 2*time.Hour)
	}
	age(3, 30*time.Minute)
	forget(Position{})
	kept(0, 1, 2, 3, 4, 5)
	forget(at[0]) // its segment is needed to find the position
	kept(0, 1, 2, 3, 4, 5)
	forget(at[2])
	kept(2, 3, 4, 5)
	forget(j.Tail())
	kept(3, 4, 5) // 3 is too young, and what follows it stays
	for _, pos := range []Position{at[0], at[1], at[2], {0, 0, headerSize}} {
		if err := errOf(j.Chain(pos)); !errors.Is(err, ErrUnknownPosition) {
			t.Errorf("position %s: %v", pos, err)
		}
	}
	if first, err := j.Chain(Position{}); err != nil || first != chain {
		t.Errorf("the chain where the journal begins now: %v", err)
	}
	if got := payloads(t, j, Position{}); len(got) != 4 || got[0][0] != 4 {
		t.Errorf("%d records are left", len(got))
	}
	age(3, 2*time.Hour)
	forget(Position{Seq: 1 << 40, Segment: 1 << 40})
	kept() // never the one in use
	j.Close()
	j = open(t, cfg)
	if got := payloads(t, j, Position{}); len(got) != 1 || j.Tail() != at[6] {
		t.Errorf("%d records are left, the tail is %s", len(got), j.Tail())
	}
}

// TestForgetUnsynced keeps segments that are not synced, however old they look.
func TestForgetUnsynced(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Keep: 1, SyncEvery: time.Hour, SyncRecords: 1 << 20, open: disk.open}
	j := open(t, cfg)
	for range 4 {
		appended(t, j, string(make([]byte, 40000)))
	}
	if err := j.Forget(j.Tail()); err != nil {
		t.Fatal(err)
	}
	if got := len(payloads(t, j, Position{})); got != 4 {
		t.Fatalf("%d records are left", got)
	}
	if err := j.Sync(j.Tail()); err != nil {
		t.Fatal(err)
	}
	if err := j.Forget(j.Tail()); err != nil {
		t.Fatal(err)
	}
	if got := len(payloads(t, j, Position{})); got != 1 {
		t.Fatalf("%d records are left", got)
	}
}

// TestForgetWhileReading removes segments under readers that start at the oldest:
// they read on without a gap, or are told that their place is gone.
func TestForgetWhileReading(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Keep: 1, SyncRecords: 1}
	j := open(t, cfg)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				next := uint64(0)
				for e, err := range j.Records(Position{}) {
					if errors.Is(err, ErrUnknownPosition) {
						break
					}
					if err != nil || next > 0 && e.At.Seq != next {
						t.Errorf("record %d comes after %d, %v", e.At.Seq, next, err)
						return
					}
					next = e.Next.Seq
				}
			}
		})
	}
	for range 150 {
		pos, err := j.Append(make([]byte, 30000))
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Forget(pos); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if ns, err := j.numbers(); err != nil || len(ns) > maxOld+2 {
		t.Fatalf("%d segments are left, %v", len(ns), err)
	}
}

// TestPositions asks for places that are none.
func TestPositions(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment}
	j, at := segments(t, cfg, 3)
	tail := j.Tail()
	for _, pos := range []Position{
		{tail.Seq + 1, tail.Segment, tail.Offset},
		{tail.Seq, tail.Segment, tail.Offset + 1},
		{tail.Seq + 1, tail.Segment, tail.Offset + 40016}, // where the next record will end
		{tail.Seq, tail.Segment + 1, headerSize},          // prepared
		{tail.Seq, tail.Segment + 100, headerSize},
		{1, 0, at[0].Offset - 1},
		{1, 0, at[0].Offset + 1},
		{0, 0, at[0].Offset},
		{2, 0, at[0].Offset},
		{1, 0, 0},
		{1, 0, -5},
		{1, 0, 1 << 62},
		{0, 0, headerSize - 1},
		{0, 1, headerSize},
	} {
		for range 2 { // what is remembered does not help
			if err := errOf(j.Chain(pos)); !errors.Is(err, ErrUnknownPosition) {
				t.Errorf("the chain at %s: %v", pos, err)
			}
			for _, err := range j.Records(pos) {
				if !errors.Is(err, ErrUnknownPosition) {
					t.Errorf("records from %s: %v", pos, err)
				}
			}
		}
	}
	if err := j.Sync(Position{Seq: tail.Seq + 1}); !errors.Is(err, ErrUnknownPosition) {
		t.Errorf("sync beyond the tail: %v", err)
	}
	// The end of a segment and the beginning of the next are the same place.
	for i, pos := range at[:3] {
		a, err1 := j.Chain(pos)
		b, err2 := j.Chain(Position{pos.Seq, pos.Segment + 1, headerSize})
		if a != b || err1 != nil || err2 != nil || len(payloads(t, j, pos)) != 3-i {
			t.Errorf("at %s: %v, %v", pos, err1, err2)
		}
	}
}

// TestDamagedSegments damages segments before the last: the reader gets as far as
// that and says where, and nothing is skipped.
func TestDamagedSegments(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment}
	j, at := segments(t, cfg, 3)
	other, _ := segments(t, Config{Dir: t.TempDir(), SegmentBytes: minSegment}, 3)
	patch := func(off int64, b ...byte) func(old []byte) []byte {
		return func(old []byte) []byte { copy(old[off:], b); return old }
	}
	for name, c := range map[string]struct {
		segment uint64
		damage  func(old []byte) []byte
		records int
		at      CorruptError
	}{
		"a byte of the first":     {0, patch(headerSize+100, 0xff), 0, CorruptError{0, headerSize, ""}},
		"zeros":                   {2, func([]byte) []byte { return make([]byte, minSegment) }, 1, CorruptError{2, 0, ""}},
		"a record is missing":     {2, func(b []byte) []byte { clear(b[headerSize:]); return b }, 2, CorruptError{2, headerSize, ""}},
		"it is cut":               {2, func(b []byte) []byte { return b[:headerSize+500] }, 2, CorruptError{2, headerSize, ""}},
		"it is missing":           {2, func([]byte) []byte { return nil }, 1, CorruptError{2, 0, ""}},
		"of another journal":      {2, func([]byte) []byte { return contents(t, other.path(2)) }, 2, CorruptError{2, 12, ""}},
		"does not continue":       {2, func(b []byte) []byte { b[90]++; putHeaderSum(b); return b }, 2, CorruptError{2, 12 + idSize, ""}},
		"begins before it should": {2, func(b []byte) []byte { b[12+idSize+8]--; putHeaderSum(b); return b }, 1, CorruptError{2, 12 + idSize, ""}},
		"begins after it should":  {2, func(b []byte) []byte { b[12+idSize+8]++; putHeaderSum(b); return b }, 2, CorruptError{1, at[1].Offset, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			clean := contents(t, j.path(c.segment))
			defer write(t, j.path(c.segment), clean)
			if b := c.damage(bytes.Clone(clean)); b != nil {
				write(t, j.path(c.segment), b)
			} else if err := os.Remove(j.path(c.segment)); err != nil {
				t.Fatal(err)
			}
			n := 0
			var last error
			for _, err := range j.Records(Position{}) {
				if last = err; err == nil {
					n++
				}
			}
			corrupt, ok := errors.AsType[*CorruptError](last)
			if !ok || corrupt.Segment != c.at.Segment || corrupt.Offset != c.at.Offset || n != c.records {
				t.Fatalf("%d records, then %v; want %d, then segment %d offset %d", n, last, c.records, c.at.Segment, c.at.Offset)
			}
		})
	}
	if n := len(payloads(t, j, Position{})); n != 4 {
		t.Fatalf("%d records when all is repaired", n)
	}
}
