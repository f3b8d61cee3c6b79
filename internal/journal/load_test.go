package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// follow reads records as they come until it has seen so many, checks their order
// and the chain, and calls see for each.
func follow(t *testing.T, j *Journal, n uint64, see func(Entry)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var at Position
	var chain [32]byte
	for at.Seq < n {
		if err := j.Wait(ctx, at); err != nil {
			t.Error(err)
			return
		}
		for e, err := range j.Records(at) {
			if err != nil {
				t.Error(err)
				return
			}
			chain = link(chain, e.Payload)
			if e.At.Seq != at.Seq || e.Next.Seq != at.Seq+1 || e.Chain != chain ||
				e.At.Segment != e.Next.Segment || e.At != at && e.At != (Position{at.Seq, at.Segment + 1, headerSize}) && at != (Position{}) {
				t.Errorf("record at %s, next %s, comes after %s", e.At, e.Next, at)
				return
			}
			see(e)
			at = e.Next
			if at.Seq%97 == 0 { // stop in the middle and go on
				break
			}
		}
	}
	if got, err := j.Chain(at); err != nil || got != chain {
		t.Errorf("the chain at %s differs, %v", at, err)
	}
}

// TestRollUnderLoad appends from many goroutines to segments so small that the
// journal rolls all the time, while others read and wait.
func TestRollUnderLoad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg     Config
		records int
	}{
		"grouped":       {Config{SyncRecords: 16}, 400},
		"rarely synced": {Config{SyncRecords: 1 << 20, SyncEvery: time.Hour}, 400},
		"strict":        {Config{Durability: Strict}, 150},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const writers = 8
			cfg := c.cfg
			cfg.Dir, cfg.SegmentBytes = t.TempDir(), minSegment
			j := open(t, cfg)
			var mu sync.Mutex
			acked := map[string]uint64{}
			total := uint64(2 * writers * c.records)
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := range c.records {
						a := fmt.Appendf(nil, "%d-%d-a %0*d", w, i, (w*i*31)%3000, 0)
						b := fmt.Appendf(nil, "%d-%d-b", w, i)
						pos, err := j.Append(a, b)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						acked[string(a)], acked[string(b)] = pos.Seq-1, pos.Seq
						mu.Unlock()
					}
				})
			}
			read := make([]map[string]uint64, 3)
			for r := range read {
				read[r] = map[string]uint64{}
				wg.Go(func() {
					follow(t, j, total, func(e Entry) { read[r][string(e.Payload)] = e.Next.Seq })
				})
			}
			wg.Wait()
			if j.Tail().Segment < 10 || j.Tail().Seq != total || uint64(len(acked)) != total {
				t.Fatalf("the tail is %s, %d acknowledged", j.Tail(), len(acked))
			}
			for r := range read {
				if len(read[r]) != len(acked) {
					t.Fatalf("reader %d saw %d records of %d", r, len(read[r]), len(acked))
				}
				for text, seq := range acked {
					if read[r][text] != seq {
						t.Fatalf("reader %d saw %.20q at %d, acknowledged at %d", r, text, read[r][text], seq)
					}
				}
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j = open(t, cfg)
			follow(t, j, total, func(e Entry) {
				if acked[string(e.Payload)] != e.Next.Seq {
					t.Fatalf("reopened: %.20q is at %d", e.Payload, e.Next.Seq)
				}
			})
		})
	}
}

// TestUnsyncedSegmentsAreBounded blocks the disk's sync: appends are held up once
// so many segments wait for it, and go on when it ends.
func TestUnsyncedSegmentsAreBounded(t *testing.T) {
	t.Parallel()
	disk := &faults{lazy: true}
	j := open(t, Config{Dir: t.TempDir(), SegmentBytes: minSegment, SyncRecords: 1, open: disk.open})
	g := newGate()
	disk.with(func(d *faults) { d.sync = g.pass })
	big := make([]byte, minSegment*3/4)
	done := make(chan error, 1)
	go func() {
		for range maxOld + 5 {
			if _, err := j.Append(big); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	receive(t, g.entered)
	held := 0
	eventually(t, "appends are held up", func() bool {
		if locked(j, func() bool { return len(j.old) == maxOld && len(j.next) > 0 && !j.writing }) {
			held++
		}
		return held > 10
	})
	if len(done) > 0 || j.Tail().Seq != maxOld+1 {
		t.Fatalf("the tail is %s", j.Tail())
	}
	disk.with(func(d *faults) { d.sync = nil })
	g.leave <- nil
	if err := receive(t, done); err != nil || j.Tail().Seq != maxOld+5 {
		t.Fatalf("the tail is %s, %v", j.Tail(), err)
	}
}

// tally counts what a journal granted and refused, and its records.
type tally struct {
	mu                        sync.Mutex
	granted, refused, records int
}

func (c *tally) add(err error, records int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.refused++
		return
	}
	c.granted++
	c.records += records
}

// TestReservations appends at random, with and without reservations, in many
// goroutines, while space comes and goes: a record with room reserved for it is
// never refused, and no room is lost.
func TestReservations(t *testing.T) {
	t.Parallel()
	disk := &faults{lazy: true}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, SyncRecords: 8, open: disk.open, lastPause: time.Millisecond}
	j := open(t, cfg)
	var dice dice
	disk.with(func(d *faults) { d.allocate = func(uint64) error { return dice.fail(2) } })
	var c tally
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for done := 0; done < 80; {
				room := 1 + dice.roll(20000)
				r, err := j.Reserve(int64(room))
				c.add(err, 0)
				switch {
				case err == nil:
					done++
					useReservation(t, j, r, room, &dice, &c)
					r.Release()
					r.Release()
				case errors.Is(err, ErrFull):
					runtime.Gosched()
				default:
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for done := 0; done < 200; {
				_, err := j.Append(make([]byte, 1+dice.roll(8000)))
				c.add(err, 1)
				switch {
				case err == nil:
					done++
				case errors.Is(err, ErrFull):
					runtime.Gosched()
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if c.granted < 500 || c.refused < 50 {
		t.Fatalf("%d granted and %d refused: the test shows nothing", c.granted, c.refused)
	}
	if left := locked(j, func() int64 { return j.reserved }); left != 0 {
		t.Fatalf("%d bytes stay reserved", left)
	}
	if j.Tail().Seq != uint64(c.records) {
		t.Fatalf("%d records, want %d", j.Tail().Seq, c.records)
	}
	disk.with(func(d *faults) { d.allocate = nil })
	follow(t, j, j.Tail().Seq, func(Entry) {})
}

// useReservation appends up to four records that fill a reservation more or less,
// and perhaps one that it does not cover.
func useReservation(t *testing.T, j *Journal, r *Reservation, room int, dice *dice, c *tally) {
	for frames := 4; room > 0 && frames > 0; frames-- {
		n := 1 + dice.roll(room)
		payloads := [][]byte{make([]byte, n)}
		if n > 1 && frames > 1 {
			payloads = [][]byte{make([]byte, n/2), make([]byte, n-n/2)}
			frames--
		}
		_, err := r.Append(payloads...)
		if err != nil {
			t.Errorf("%d bytes of the %d that are left are refused: %v", n, room, err)
		}
		c.add(err, len(payloads))
		room -= n
		if dice.roll(4) == 0 {
			break
		}
	}
	if dice.roll(3) > 0 {
		return
	}
	before := locked(j, func() int64 { return r.left })
	_, err := r.Append(make([]byte, 30000)) // may be refused, and costs nothing then
	c.add(err, 1)
	if after := locked(j, func() int64 { return r.left }); err != nil && (!errors.Is(err, ErrFull) || before != after) {
		t.Errorf("%d bytes left after %v, %d before", after, err, before)
	}
}

// TestManyReservations reserves more than one segment holds: more are prepared, up
// to a bound, and all that was promised is kept on a full disk, however badly the
// records fit into segments.
func TestManyReservations(t *testing.T) {
	t.Parallel()
	disk := &faults{lazy: true}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, SyncRecords: 1 << 10, open: disk.open}
	j := open(t, cfg)
	size := (minSegment-headerSize)/3 + 10 // a third of each segment is lost
	var rooms []*Reservation
	for range 40 {
		r, err := j.Reserve(int64(size - 4*frameHeader))
		if err != nil {
			t.Fatal(err)
		}
		rooms = append(rooms, r)
	}
	settled(t, j)
	disk.with(func(d *faults) { d.allocate = func(uint64) error { return errors.New("no space") } })
	for i, r := range rooms {
		if _, err := r.Append(bytes.Repeat([]byte{byte(i + 1)}, size-frameHeader)); err != nil {
			t.Fatalf("reservation %d: %v", i, err)
		}
		r.Release()
	}
	disk.with(func(d *faults) { d.allocate = nil })
	var held []*Reservation
	for len(held) < 10*maxNext {
		r, err := j.Reserve(30000)
		if err == ErrFull { // and not because of the disk, which would be told
			break
		}
		if err == nil {
			held = append(held, r)
		}
	}
	if n := locked(j, func() int { return len(j.next) }); n != maxNext || len(held) > 10*maxNext-1 {
		t.Fatalf("%d segments are prepared for %d reservations", n, len(held))
	}
	for _, r := range held {
		r.Release()
	}
	for _, bytes := range []int64{-1, minSegment, 1 << 62} {
		if _, err := j.Reserve(bytes); !errors.Is(err, ErrTooLarge) {
			t.Errorf("reserve %d: %v", bytes, err)
		}
	}
	follow(t, j, j.Tail().Seq, func(Entry) {})
}

// TestTooLarge appends what cannot be a record.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	j := open(t, Config{Dir: t.TempDir(), SegmentBytes: 4 << 20})
	for _, payloads := range [][][]byte{{{}}, {nil}, {make([]byte, MaxPayload+1)}, {[]byte("x"), nil}, {
		make([]byte, MaxPayload), make([]byte, MaxPayload), make([]byte, MaxPayload), make([]byte, MaxPayload),
	}} {
		if _, err := j.Append(payloads...); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d payloads: %v", len(payloads), err)
		}
	}
	if pos, err := j.Append(); err != nil || pos != j.Tail() || pos.Seq != 0 {
		t.Errorf("nothing: %s, %v", pos, err)
	}
	largest := bytes.Repeat([]byte("x"), MaxPayload)
	for range 5 {
		if _, err := j.Append(largest); err != nil {
			t.Fatal(err)
		}
	}
	follow(t, j, 5, func(e Entry) {
		if !bytes.Equal(e.Payload, largest) {
			t.Errorf("record %d differs", e.At.Seq)
		}
	})
}
