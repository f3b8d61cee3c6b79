package journal

import (
	"syscall"
	"testing"
)

// TestFailedSync makes a sync fail: the segment is sealed, records are refused until
// the header of the next is synced, what was acknowledged stays, and the file whose
// sync failed is never synced again.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, SyncRecords: 2, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	fresh := newGate()
	disk.with(func(d *faults) {
		d.sync = func(segment uint64) error {
			if segment == 0 {
				return syscall.EIO
			}
			return fresh.pass(segment)
		}
	})
	want := []string{appended(t, j, "first")}
	pos, err := j.Append([]byte("second"), []byte("third")) // now it syncs
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, "second", "third")
	refused(t, j.Sync(pos), syscall.EIO)
	if n := receive(t, fresh.entered); n != 1 {
		t.Fatalf("segment %d is synced", n)
	}
	before := disk.syncs()[0]
	for range 10 {
		_, err := j.Append([]byte("refused"))
		refused(t, err, syscall.EIO)
	}
	refused(t, j.Healthy(), syscall.EIO)
	disk.with(func(d *faults) { d.sync = nil })
	fresh.leave <- nil
	want = append(want, resumed(t, j, "fourth"))
	if err := j.Sync(j.Tail()); err != nil {
		t.Fatal(err)
	}
	mustReadCopy(t, cfg, want...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if after := disk.syncs()[0]; after != before {
		t.Errorf("the file was synced %d times after its sync had failed", after-before)
	}
	mustRead(t, open(t, cfg), cfg, want...)
}

// TestFailedSyncDuringWrite makes a sync fail while a write to the same segment is
// under way and others gather behind it: neither may be acknowledged in a segment
// that was given up.
func TestFailedSyncDuringWrite(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, SyncRecords: 1, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	writing, syncing := newGate(), newGate()
	disk.with(func(d *faults) {
		d.sync = func(segment uint64) error {
			if segment == 0 {
				return syncing.pass(segment)
			}
			return nil
		}
	})
	want := []string{appended(t, j, "first")}
	receive(t, syncing.entered)
	disk.with(func(d *faults) {
		d.write = func(segment uint64, b []byte) (int, error) {
			if segment == 0 {
				return len(b), writing.pass(segment)
			}
			return 0, nil
		}
	})
	errs := together(j, "lost 1")
	receive(t, writing.entered)
	more := together(j, "lost 2", "lost 3")
	gathered(t, j, 2)
	syncing.leave <- syscall.EIO
	refused(t, receive(t, more), syscall.EIO) // at once: it is not to be written at all
	refused(t, receive(t, more), syscall.EIO)
	writing.leave <- nil // the write itself succeeds
	refused(t, receive(t, errs), syscall.EIO)
	want = append(want, resumed(t, j, "second"))
	mustRead(t, j, cfg, want...)
}

// TestFailedSyncOfOldSegment makes the sync of a segment fail that the journal has
// rolled on from: the present one is given up as well, but synced, for it holds
// acknowledged records and has not failed.
func TestFailedSyncOfOldSegment(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, SyncRecords: 1 << 20, SyncEvery: 1 << 50, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	var want []string
	for range 3 {
		want = append(want, appended(t, j, string(make([]byte, 40000))))
	}
	disk.with(func(d *faults) {
		d.sync = func(segment uint64) error {
			if segment == 1 {
				return syscall.EIO
			}
			return nil
		}
	})
	before := disk.syncs()
	refused(t, j.Sync(j.Tail()), syscall.EIO)
	want = append(want, resumed(t, j, "fourth"))
	after := disk.syncs()
	if after[1]-before[1] != 1 || after[2]-before[2] != 1 || after[3] == 0 || j.Tail().Segment != 3 {
		t.Errorf("syncs before %d, after %d; the tail is %s", before, after, j.Tail())
	}
	mustRead(t, j, cfg, want...)
}

// TestStrict blocks the sync: Append does not return and nobody reads the record
// before it is over.
func TestStrict(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Durability: Strict, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	g := newGate()
	disk.with(func(d *faults) { d.sync = g.pass })
	one := together(j, "first")
	receive(t, g.entered)
	more := together(j, "second", "third")
	gathered(t, j, 2)
	if len(one) > 0 || len(more) > 0 || j.Tail().Seq != 0 || len(texts(t, j)) > 0 {
		t.Fatalf("%d and %d calls returned, the tail is %s", len(one), len(more), j.Tail())
	}
	g.leave <- nil
	if err := receive(t, one); err != nil {
		t.Fatal(err)
	}
	receive(t, g.entered)
	if len(more) > 0 || j.Tail().Seq != 1 || len(texts(t, j)) != 1 {
		t.Fatalf("%d calls returned, the tail is %s", len(more), j.Tail())
	}
	disk.with(func(d *faults) { d.sync = nil })
	g.leave <- nil
	for range 2 {
		if err := receive(t, more); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Sync(j.Tail()); err != nil || j.Tail().Seq != 3 {
		t.Fatalf("the tail is %s, %v", j.Tail(), err)
	}
}

// TestStrictFailedSync makes the sync of a batch fail, with others gathering behind
// it: none of them is acknowledged, and so none is ever read.
func TestStrictFailedSync(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Durability: Strict, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	want := []string{appended(t, j, "first")}
	g, fresh := newGate(), newGate()
	disk.with(func(d *faults) {
		d.sync = func(segment uint64) error {
			if segment == 0 {
				return g.pass(segment)
			}
			return fresh.pass(segment)
		}
	})
	one := together(j, "lost 1")
	receive(t, g.entered)
	more := together(j, "lost 2", "lost 3")
	gathered(t, j, 2)
	before := disk.syncs()[0]
	g.leave <- syscall.EIO
	refused(t, receive(t, one), syscall.EIO)
	for range 2 {
		refused(t, receive(t, more), syscall.EIO)
	}
	receive(t, fresh.entered)
	mustReadCopy(t, cfg, want...)
	disk.with(func(d *faults) { d.sync = nil })
	fresh.leave <- nil
	want = append(want, resumed(t, j, "second"))
	j.Close()
	if after := disk.syncs()[0]; after != before {
		t.Errorf("the file was synced %d times after its sync had failed", after-before)
	}
	mustRead(t, open(t, cfg), cfg, want...)
}

// TestFailedSyncOfSealedSegment makes the sync fail that a segment gets when it is
// sealed because of a write: it is the last.
func TestFailedSyncOfSealedSegment(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	settled(t, j)
	want := []string{appended(t, j, "first")}
	if err := j.Sync(j.Tail()); err != nil {
		t.Fatal(err)
	}
	before := disk.syncs()[0]
	failing := func(segment uint64) error {
		if segment == 0 {
			return syscall.EIO
		}
		return nil
	}
	headers := 0
	disk.with(func(d *faults) {
		d.write = func(segment uint64, _ []byte) (int, error) {
			if headers++; headers < 5 { // it takes some attempts to repair
				return 0, syscall.EIO
			}
			return 0, failing(segment)
		}
		d.sync = failing
	})
	_, err := j.Append([]byte("lost"))
	refused(t, err, syscall.EIO)
	want = append(want, resumed(t, j, "second"))
	disk.with(func(d *faults) { d.write, d.sync = nil, nil })
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if after := disk.syncs()[0]; after != before+1 {
		t.Errorf("%d syncs of the sealed segment", after-before)
	}
	mustRead(t, open(t, cfg), cfg, want...)
}
