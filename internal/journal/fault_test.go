package journal

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// texts are the payloads of a journal as text.
func texts(t *testing.T, j *Journal) []string {
	t.Helper()
	var all []string
	for _, p := range payloads(t, j, Position{}) {
		all = append(all, string(p))
	}
	return all
}

// appended appends a record and returns its text, for a list of what must be read.
func appended(t *testing.T, j *Journal, text string) string {
	t.Helper()
	if _, err := j.Append([]byte(text)); err != nil {
		t.Fatalf("append %s: %v", text, err)
	}
	return text
}

// resumed appends a record as soon as the journal takes one again.
func resumed(t *testing.T, j *Journal, text string) string {
	t.Helper()
	eventually(t, "records are taken again", func() bool {
		_, err := j.Append([]byte(text))
		if err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		return err == nil
	})
	return text
}

// mustRead checks what is read now, by a process that finds the folder as it is now,
// and after closing and opening it.
func mustRead(t *testing.T, j *Journal, cfg Config, want ...string) {
	t.Helper()
	if got := texts(t, j); !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	mustReadCopy(t, cfg, want...)
	j.Close()
	if got := texts(t, open(t, cfg)); !slices.Equal(got, want) {
		t.Errorf("reopened: read %q, want %q", got, want)
	}
}

// mustReadCopy checks what another process would read if this one died now.
func mustReadCopy(t *testing.T, cfg Config, want ...string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, open(t, Config{Dir: dir, SegmentBytes: minSegment})); !slices.Equal(got, want) {
		t.Errorf("after death: read %q, want %q", got, want)
	}
}

// together appends texts at once, one appender each, and returns their errors.
func together(j *Journal, texts ...string) <-chan error {
	errs := make(chan error, len(texts))
	for _, text := range texts {
		go func() {
			_, err := j.Append([]byte(text))
			errs <- err
		}()
	}
	return errs
}

// refused checks that an error is ErrUnavailable with its cause.
func refused(t *testing.T, err, cause error) {
	t.Helper()
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, cause) {
		t.Errorf("error is %v, want %v because of %v", err, ErrUnavailable, cause)
	}
}

// TestFullDisk takes the space away: records are refused once the prepared room is
// used or promised, those that have a reservation are still taken, and all are
// when there is space again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	disk.with(func(d *faults) { d.allocate = func(uint64) error { return syscall.ENOSPC } })
	var rooms []*Reservation
	for {
		r, err := j.Reserve(5000)
		if err != nil {
			if !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
		rooms = append(rooms, r)
	}
	if len(rooms) < minSegment/5100-1 {
		t.Fatalf("only %d reservations", len(rooms))
	}
	rooms[0].Release() // some for the others
	rooms = rooms[1:]
	var want []string
	for i := 0; ; i++ {
		text := fmt.Sprintf("%04d %01000d", i, 0)
		_, err := j.Append([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
		want = append(want, text)
	}
	if len(want) == 0 {
		t.Fatal("nothing was taken of what is not reserved")
	}
	if err := j.Healthy(); !errors.Is(err, ErrFull) {
		t.Fatalf("healthy: %v", err)
	}
	for i, r := range rooms {
		text := fmt.Sprintf("reserved %04d %02485d", i, 0)
		if _, err := r.Append([]byte(text), []byte(text)); err != nil {
			t.Fatalf("reservation %d of %d: %v", i, len(rooms), err)
		}
		want = append(want, text, text)
		if _, err := j.Append(make([]byte, 5000)); !errors.Is(err, ErrFull) {
			t.Fatalf("reservation %d was given away: %v", i, err)
		}
		if i%2 == 0 {
			r.Release()
		}
	}
	disk.with(func(d *faults) { d.allocate = nil })
	eventually(t, "the journal is healthy", func() bool { return j.Healthy() == nil })
	want = append(want, appended(t, j, "there is space again"))
	if r, err := j.Reserve(20000); err != nil {
		t.Fatal(err)
	} else {
		r.Release()
	}
	mustRead(t, j, cfg, want...)
}

// TestHealthyHasRoom: a journal that has no room left for an exchange is not
// healthy, or a gateway that refuses every request would count as ready.
func TestHealthyHasRoom(t *testing.T) {
	t.Parallel()
	const exchange = 24 << 10
	for used := 1000; used < 40000; used += 1000 {
		disk := &faults{}
		j := open(t, Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open})
		settled(t, j)
		disk.with(func(d *faults) { d.allocate = func(uint64) error { return syscall.ENOSPC } })
		if _, err := j.Append(make([]byte, used)); err != nil {
			t.Fatal(err)
		}
		for err := error(nil); err == nil; {
			_, err = j.Reserve(exchange)
		}
		if err := j.Healthy(); !errors.Is(err, ErrFull) {
			t.Errorf("after %d bytes there is no room for an exchange, and the journal is healthy: %v", used, err)
		}
	}
}

// TestFailedWrite makes a write fail after some of its bytes, with others gathering
// behind it. All of them are refused, a fresh segment takes over, and nothing of
// them is ever read: whether or not the bytes left behind can be removed, and
// whether or not the process lives to make the fresh segment.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	for _, durability := range []Durability{Grouped, Strict} {
		for name, kept := range map[string]func(n int) int{
			"nothing": func(int) int { return 0 },
			"half":    func(n int) int { return n / 2 },
			"all":     func(n int) int { return n },
		} {
			for _, stuck := range []bool{false, true} {
				t.Run(fmt.Sprintf("durability %d, %s written, stuck %v", durability, name, stuck), func(t *testing.T) {
					disk := &faults{}
					cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Durability: durability, open: disk.open}
					testFailedWrite(t, disk, cfg, kept, stuck)
				})
			}
		}
	}
}

func testFailedWrite(t *testing.T, disk *faults, cfg Config, kept func(int) int, stuck bool) {
	j := open(t, cfg)
	settled(t, j)
	want := []string{appended(t, j, "first"), appended(t, j, "second")}
	chain, err := j.Chain(j.Tail())
	if err != nil {
		t.Fatal(err)
	}
	g, fresh := newGate(), newGate()
	disk.with(func(d *faults) {
		d.write = func(segment uint64, b []byte) (int, error) {
			if segment != 0 {
				return 0, fresh.pass(segment)
			}
			return kept(len(b)), g.pass(segment)
		}
		if stuck {
			d.truncate = func(uint64) error { return syscall.EIO }
		}
	})
	one := together(j, "lost 1")
	receive(t, g.entered)
	more := together(j, "lost 2", "lost 3")
	gathered(t, j, 2)
	g.leave <- syscall.EIO
	refused(t, receive(t, one), syscall.EIO)
	refused(t, receive(t, more), syscall.EIO)
	refused(t, receive(t, more), syscall.EIO)

	receive(t, fresh.entered) // the fresh segment's header is about to be written
	_, err = j.Append([]byte("refused"))
	refused(t, err, syscall.EIO)
	_, err = j.Reserve(1)
	refused(t, err, syscall.EIO)
	refused(t, j.Healthy(), syscall.EIO)
	if got := texts(t, j); !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	if !stuck {
		mustReadCopy(t, cfg, want...)
	}
	disk.with(func(d *faults) { d.write = nil })
	fresh.leave <- nil

	want = append(want, resumed(t, j, "third"))
	if got := j.Tail(); got.Segment != 1 || got.Seq != 3 {
		t.Errorf("the tail is %s", got)
	}
	if again, err := j.Chain(Position{2, 1, headerSize}); err != nil || again != chain {
		t.Errorf("the fresh segment does not continue the chain: %v", err)
	}
	mustRead(t, j, cfg, want...)
}

// TestFailedWriteOnFullDisk seals a segment while nothing can be allocated: the
// prepared segment takes over and the reservations are still good for their room.
func TestFailedWriteOnFullDisk(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	r, err := j.Reserve(30000)
	if err != nil {
		t.Fatal(err)
	}
	before := locked(j, func() int64 { return j.reserved })
	disk.with(func(d *faults) {
		d.allocate = func(uint64) error { return syscall.ENOSPC }
		d.write = func(segment uint64, _ []byte) (int, error) {
			if segment == 0 {
				return 0, syscall.EIO
			}
			return 0, nil
		}
	})
	_, err = r.Append(make([]byte, 10000))
	refused(t, err, syscall.EIO)
	if after := locked(j, func() int64 { return j.reserved }); after != before {
		t.Fatalf("%d bytes are reserved after the refusal, %d before", after, before)
	}
	eventually(t, "the reservation is honoured", func() bool {
		_, err := r.Append([]byte("outcome"))
		return err == nil
	})
	rest := string(make([]byte, 29000))
	if _, err := r.Append([]byte(rest)); err != nil {
		t.Fatal(err)
	}
	r.Release()
	if left := locked(j, func() int64 { return j.reserved }); left != 0 {
		t.Fatalf("%d bytes stay reserved", left)
	}
	disk.with(func(d *faults) { d.allocate, d.write = nil, nil })
	mustRead(t, j, cfg, "outcome", rest)
}

// TestFailedHeader makes the header of the next segment fail when the journal
// rolls, and again when it is repaired.
func TestFailedHeader(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	want := []string{appended(t, j, string(make([]byte, 40000)))}
	times := 0
	disk.with(func(d *faults) {
		d.write = func(segment uint64, b []byte) (int, error) {
			if segment == 1 && times < 3 {
				times++
				return len(b) / 2, syscall.EIO
			}
			return 0, nil
		}
	})
	_, err := j.Append(make([]byte, 40000))
	refused(t, err, syscall.EIO)
	want = append(want, resumed(t, j, string(make([]byte, 40001))))
	if j.Tail().Segment != 1 || times != 3 {
		t.Fatalf("the tail is %s after %d failures", j.Tail(), times)
	}
	mustRead(t, j, cfg, want...)
}

// TestCloseWhileFailed closes a journal that cannot go on: Close says why, and what
// was acknowledged is there.
func TestCloseWhileFailed(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	want := []string{appended(t, j, "first")}
	disk.with(func(d *faults) { d.write = func(_ uint64, b []byte) (int, error) { return len(b), syscall.EROFS } })
	for range 3 { // it is tried time and again
		_, err := j.Append([]byte("lost"))
		refused(t, err, syscall.EROFS)
	}
	before := disk.syncs()[0]
	refused(t, j.Close(), syscall.EROFS)
	if disk.syncs()[0] == before {
		t.Error("what was acknowledged is not synced")
	}
	if _, err := j.Append([]byte("closed")); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	disk.with(func(d *faults) { d.write = nil })
	mustRead(t, open(t, cfg), cfg, want...)
}

// TestReadError makes reading fail: readers say so, and go on when it is over.
func TestReadError(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	appended(t, j, "first")
	pos := j.Tail()
	for after := range 3 {
		calls := 0
		disk.with(func(d *faults) {
			d.read = func(uint64) error {
				if calls++; calls > after {
					return syscall.EIO
				}
				return nil
			}
		})
		_, err := j.Chain(pos)
		if after < 2 && !errors.Is(err, syscall.EIO) || after == 2 && err != nil { // header and record
			t.Errorf("after %d reads: %v", after, err)
		}
		if _, ok := errors.AsType[*CorruptError](err); ok {
			t.Errorf("a disk that does not read passes for damage: %v", err)
		}
	}
	disk.with(func(d *faults) { d.read = nil })
	if got := texts(t, j); !slices.Equal(got, []string{"first"}) {
		t.Errorf("read %q", got)
	}
}

// TestCopiedFolderOnFullDisk opens a journal whose room is not preallocated and
// cannot be: records go to the next segment, which is.
func TestCopiedFolderOnFullDisk(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	want := []string{appended(t, j, "first")}
	j.Close()
	disk.with(func(d *faults) {
		d.allocate = func(segment uint64) error {
			if segment == 0 {
				return syscall.ENOSPC
			}
			return nil
		}
	})
	j = open(t, cfg)
	want = append(want, appended(t, j, "second"))
	if j.Tail().Segment != 1 {
		t.Errorf("the tail is %s", j.Tail())
	}
	mustRead(t, j, cfg, want...)
}

// TestFill grows files where the file system does not preallocate: what they hold
// stays.
func TestFill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	f, err := openFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := []byte("held")
	if _, err := f.WriteAt(want, 0); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{2, 3 << 20, 1, 3<<20 + 5} {
		if err := f.(osFile).fill(size); err != nil {
			t.Fatal(err)
		}
		want = append(want, make([]byte, max(0, size-int64(len(want))))...)
		if got := contents(t, path); string(got) != string(want) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
		if err := f.Allocate(size); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFaultsUnderLoad lets writes, syncs and allocations fail at random while
// appenders with and without reservations and a reader are at work: what was
// acknowledged is read once, in order, and nothing else is.
func TestFaultsUnderLoad(t *testing.T) {
	t.Parallel()
	for _, durability := range []Durability{Grouped, Strict} {
		t.Run(fmt.Sprintf("durability %d", durability), func(t *testing.T) {
			t.Parallel()
			disk := &faults{lazy: true}
			cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Durability: durability, SyncRecords: 4, open: disk.open, lastPause: time.Millisecond}
			testFaultsUnderLoad(t, disk, cfg)
		})
	}
}

func testFaultsUnderLoad(t *testing.T, disk *faults, cfg Config) {
	j := open(t, cfg)
	var dice dice
	disk.with(func(d *faults) {
		d.write = func(_ uint64, b []byte) (int, error) { return dice.roll(len(b) + 1), dice.fail(150) }
		d.sync = func(uint64) error { return dice.fail(60) }
		d.allocate = func(uint64) error { return dice.fail(5) }
		d.truncate = func(uint64) error { return dice.fail(2) }
	})
	acked := make([]map[string]uint64, 8)
	refusals := make([]int, 8)
	var wg sync.WaitGroup
	for w := range acked {
		acked[w] = map[string]uint64{}
		wg.Go(func() {
			for i := 0; len(acked[w]) < 150; i++ {
				text := fmt.Sprintf("%d-%d %0*d", w, i, 1+dice.roll(2000), 0)
				pos, err := appendOnFaultyDisk(t, j, text, w%2 == 0)
				switch {
				case err == nil:
					acked[w][text] = pos.Seq
				case errors.Is(err, ErrUnavailable), errors.Is(err, ErrFull):
					refusals[w]++
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	disk.with(func(d *faults) { d.write, d.sync, d.allocate, d.truncate = nil, nil, nil, nil })
	if reserved := locked(j, func() int64 { return j.reserved }); reserved != 0 {
		t.Errorf("%d bytes stay reserved", reserved)
	}
	resumed(t, j, "last")
	all, refusedAll := map[string]uint64{"last": j.Tail().Seq}, 0
	for w := range acked {
		maps.Copy(all, acked[w])
		refusedAll += refusals[w]
	}
	if refusedAll == 0 || j.Tail().Segment == 0 {
		t.Fatalf("%d refusals in %d segments: the test shows nothing", refusedAll, j.Tail().Segment)
	}
	mustHold(t, j, all)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, cfg)
	mustHold(t, j, all)
	if names, err := filepath.Glob(filepath.Join(cfg.Dir, "*")); err != nil || len(names) > int(j.Tail().Segment)+1+maxNext {
		t.Fatalf("%d files for %d segments, %v", len(names), j.Tail().Segment, err)
	}
}

// appendOnFaultyDisk appends a record, or tries three times to append it with a
// reservation, which must have its room unless a segment failed and no other can
// be made.
func appendOnFaultyDisk(t *testing.T, j *Journal, text string, plain bool) (Position, error) {
	if plain {
		return j.Append([]byte(text))
	}
	room, err := j.Reserve(int64(len(text)))
	if err != nil {
		return Position{}, err
	}
	defer room.Release()
	var pos Position
	for range 3 {
		pos, err = room.Append([]byte(text))
		if errors.Is(err, ErrFull) && !errors.Is(err, syscall.EIO) {
			t.Errorf("a reserved record is refused: %v", err)
		}
		if err == nil {
			break
		}
	}
	return pos, err
}

// mustHold checks that a journal has exactly these records, each before the
// sequence number that was acknowledged, and that the chain holds.
func mustHold(t *testing.T, j *Journal, acked map[string]uint64) {
	t.Helper()
	var chain [32]byte
	n := uint64(0)
	for e, err := range j.Records(Position{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if chain = link(chain, e.Payload); chain != e.Chain || acked[string(e.Payload)] != n || e.Next.Seq != n {
			t.Fatalf("record %d is %.20q, which was acknowledged at %d", n, e.Payload, acked[string(e.Payload)])
		}
	}
	if n != uint64(len(acked)) {
		t.Fatalf("%d records are read, %d were acknowledged", n, len(acked))
	}
}
