package journal

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// faults is a disk whose calls can be made to fail or to wait: each hook is asked
// before the real call, with the number of the segment. A nil hook lets all pass.
type faults struct {
	mu       sync.Mutex
	read     func(segment uint64) error
	allocate func(segment uint64) error
	write    func(segment uint64, b []byte) (keep int, err error) // with an error only keep bytes are written
	truncate func(segment uint64) error
	sync     func(segment uint64) error
	lazy     bool // nothing is synced, to be quick where durability is not the question
	synced   map[uint64]int
}

// with changes the hooks while the disk is in use.
func (d *faults) with(change func(d *faults)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// syncs is how often each segment was asked to be synced.
func (d *faults) syncs() map[uint64]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.synced)
}

// open is a Config.open.
func (d *faults) open(path string, create bool) (file, error) {
	f, err := openFile(path, create)
	if err != nil {
		return nil, err
	}
	var n uint64
	if _, err := fmt.Sscanf(filepath.Base(path), segmentNames, &n); err != nil {
		return nil, err
	}
	return &faultyFile{f, d, n}, nil
}

type faultyFile struct {
	file
	disk    *faults
	segment uint64
}

// ask calls the hook that pick returns, without the lock.
func (f *faultyFile) ask(pick func(d *faults) func(uint64) error) error {
	f.disk.mu.Lock()
	hook := pick(f.disk)
	f.disk.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(f.segment)
}

func (f *faultyFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.ask(func(d *faults) func(uint64) error { return d.read }); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, off)
}

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	hook := f.disk.write
	f.disk.mu.Unlock()
	if hook != nil {
		if keep, err := hook(f.segment, b); err != nil {
			n, _ := f.file.WriteAt(b[:keep], off)
			return n, err
		}
	}
	return f.file.WriteAt(b, off)
}

func (f *faultyFile) Allocate(size int64) error {
	if err := f.ask(func(d *faults) func(uint64) error { return d.allocate }); err != nil {
		return err
	}
	return f.file.Allocate(size)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.ask(func(d *faults) func(uint64) error { return d.truncate }); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f *faultyFile) Sync() error {
	f.disk.mu.Lock()
	if f.disk.synced == nil {
		f.disk.synced = map[uint64]int{}
	}
	f.disk.synced[f.segment]++
	lazy := f.disk.lazy
	f.disk.mu.Unlock()
	if err := f.ask(func(d *faults) func(uint64) error { return d.sync }); err != nil {
		return err
	}
	if lazy {
		return nil
	}
	return f.file.Sync()
}

// gate makes a hook wait: it says on entered that it was reached, and returns what
// is sent on leave.
type gate struct {
	entered chan uint64
	leave   chan error
}

func newGate() gate { return gate{make(chan uint64, 64), make(chan error)} }

func (g gate) pass(segment uint64) error {
	g.entered <- segment
	return <-g.leave
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it does not come to this: %s", what)
		}
	}
}

// receive is the next value of a channel that is expected to have one soon.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// locked evaluates f with the journal's lock held.
func locked[T any](j *Journal, f func() T) T {
	j.mu.Lock()
	defer j.mu.Unlock()
	return f()
}

// settled waits until the journal makes no segments in the background.
func settled(t *testing.T, j *Journal) {
	t.Helper()
	eventually(t, "no segment is being made", func() bool { return locked(j, func() bool { return !j.mending }) })
}

// gathered waits until so many appenders wait in the batch behind the one that is
// being written.
func gathered(t *testing.T, j *Journal, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d appenders gather", n), func() bool {
		return locked(j, func() bool { return j.batch != nil && j.batch.joined == n })
	})
}

// dice decides at random what fails; it is safe for concurrent use.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

// roll is a number below n.
func (d *dice) roll(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rng == nil {
		d.rng = rand.New(rand.NewPCG(1, 2))
	}
	return d.rng.IntN(n)
}

// fail is an error once in n times.
func (d *dice) fail(n int) error {
	if d.roll(n) == 0 {
		return syscall.EIO
	}
	return nil
}
