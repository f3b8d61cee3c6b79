package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestWait waits for records that are there, that come, and that never will.
func TestWait(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment}
	j := open(t, cfg)
	waiting := func(ctx context.Context, pos Position) <-chan error {
		done := make(chan error, 1)
		n := locked(j, func() int { return j.waiters })
		go func() { done <- j.Wait(ctx, pos) }()
		eventually(t, "somebody waits", func() bool { return locked(j, func() bool { return j.waiters == n+1 }) })
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	start := j.Tail()
	one, two, cancelled := waiting(ctx, start), waiting(ctx, start), waiting(ctx, Position{Seq: 5})
	appended(t, j, "first")
	for _, done := range []<-chan error{one, two} {
		if err := receive(t, done); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Wait(ctx, start); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := receive(t, cancelled); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := j.Wait(ctx, start); err != nil {
		t.Fatalf("there is a record, whatever became of the context: %v", err)
	}
	restarted := waiting(t.Context(), j.Tail())
	if err := j.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, restarted); !errors.Is(err, ErrUnknownPosition) {
		t.Fatal(err)
	}
	closed := waiting(t.Context(), j.Tail())
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, closed); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	if n := locked(j, func() int { return j.waiters }); n != 0 {
		t.Fatalf("%d waiters are left", n)
	}
}

// TestClosed uses a journal that is closed.
func TestClosed(t *testing.T) {
	t.Parallel()
	j := open(t, Config{Dir: t.TempDir(), SegmentBytes: minSegment})
	want := []string{appended(t, j, "first")}
	r, err := j.Reserve(100)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, errAppend := j.Append([]byte("x"))
	_, errReserved := r.Append([]byte("x"))
	_, errReserve := j.Reserve(1)
	r.Release()
	for _, err := range []error{errAppend, errReserved, errReserve, j.Restart(), j.Healthy(), j.Wait(t.Context(), j.Tail())} {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("error is %v", err)
		}
	}
	if err := j.Sync(j.Tail()); err != nil {
		t.Errorf("Close has synced: %v", err)
	}
	if got := texts(t, j); !slices.Equal(got, want) {
		t.Errorf("read %q", got)
	}
	if err := j.Wait(t.Context(), Position{}); err != nil {
		t.Error(err)
	}
}

// TestCloseWhileBusy closes a journal while appenders keep coming: it comes to an
// end, those that were acknowledged are there, and the others were told.
func TestCloseWhileBusy(t *testing.T) {
	t.Parallel()
	for _, durability := range []Durability{Grouped, Strict} {
		cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Durability: durability, SyncRecords: 4}
		for round := range 8 {
			j := open(t, cfg)
			at := j.Tail()
			var mu sync.Mutex
			acked := map[string]uint64{}
			var wg sync.WaitGroup
			some := make(chan struct{}, 1<<16)
			for w := range 6 {
				wg.Go(func() {
					for i := 0; ; i++ {
						text := fmt.Sprintf("%d-%d-%d %0*d", round, w, i, 1+i*37%5000, 0)
						pos, err := j.Append([]byte(text))
						if errors.Is(err, ErrUnavailable) {
							return
						}
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						acked[text] = pos.Seq
						mu.Unlock()
						some <- struct{}{}
					}
				})
			}
			for range 20 * round {
				<-some
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			j = open(t, cfg)
			n := 0
			for e, err := range j.Records(at) {
				if err != nil {
					t.Fatal(err)
				}
				if acked[string(e.Payload)] != e.Next.Seq {
					t.Fatalf("%.20q is at %d, acknowledged at %d", e.Payload, e.Next.Seq, acked[string(e.Payload)])
				}
				n++
			}
			if n != len(acked) {
				t.Fatalf("%d records, %d acknowledged", n, len(acked))
			}
			j.Close()
		}
	}
}

// aside lists the folders of journals that were set aside.
func aside(t *testing.T, cfg Config) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(cfg.Dir, "orphaned-*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// TestRestart sets a journal of several segments aside: it is whole in its folder,
// and the new one begins at nothing under another name.
func TestRestart(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment}
	j := open(t, cfg)
	var want []string
	for i := range 5 {
		want = append(want, appended(t, j, fmt.Sprintf("%d %040000d", i, 0)))
	}
	r, err := j.Reserve(1000)
	if err != nil {
		t.Fatal(err)
	}
	id, tail := j.ID(), j.Tail()
	chain, err := j.Chain(tail)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Restart(); err != nil {
		t.Fatal(err)
	}
	if j.ID() == id || j.Tail() != (Position{0, 0, headerSize}) || len(texts(t, j)) != 0 || j.Healthy() != nil {
		t.Fatalf("id %s, before %s; tail %s", j.ID(), id, j.Tail())
	}
	for _, err := range []error{errOf(j.Chain(tail)), j.Sync(tail)} {
		if !errors.Is(err, ErrUnknownPosition) {
			t.Errorf("a position of the old journal: %v", err)
		}
	}
	if start, err := j.Chain(j.Tail()); err != nil || start != [32]byte{} {
		t.Errorf("the chain of the new journal begins at %x, %v", start, err)
	}
	if _, err := r.Append([]byte("reserved before")); err != nil {
		t.Fatal(err)
	}
	r.Release()
	if left := locked(j, func() int64 { return j.reserved }); left != 0 {
		t.Errorf("%d bytes stay reserved", left)
	}
	dirs := aside(t, cfg)
	if len(dirs) != 1 || filepath.Base(dirs[0]) != "orphaned-"+id {
		t.Fatalf("set aside in %q", dirs)
	}
	old := open(t, Config{Dir: dirs[0], SegmentBytes: minSegment})
	if got := texts(t, old); !slices.Equal(got, want) || old.ID() != id || old.Tail() != tail {
		t.Errorf("the old journal has %d records, want %d", len(got), len(want))
	}
	if again, err := old.Chain(tail); err != nil || again != chain {
		t.Errorf("the old journal's chain differs, %v", err)
	}
	mustRead(t, j, cfg, "reserved before")
}

func errOf[T any](_ T, err error) error { return err }

// TestRestartWhileBusy restarts a journal again and again under appenders, waiters
// and readers. Each acknowledged record is in one of the journals, at its place.
func TestRestartWhileBusy(t *testing.T) {
	t.Parallel()
	for _, durability := range []Durability{Grouped, Strict} {
		t.Run(fmt.Sprintf("durability %d", durability), func(t *testing.T) {
			t.Parallel()
			testRestartWhileBusy(t, Config{Dir: t.TempDir(), SegmentBytes: minSegment, Durability: durability, SyncRecords: 4})
		})
	}
}

func testRestartWhileBusy(t *testing.T, cfg Config) {
	const restarts = 12
	j := open(t, cfg)
	var mu sync.Mutex
	acked := map[string]uint64{}
	some := make(chan struct{}, 1<<16)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				text := fmt.Sprintf("%d-%d %0*d", w, i, 1+i*37%3900, 0)
				r, err := j.Reserve(4000)
				if err != nil {
					t.Error(err)
					return
				}
				pos, err := r.Append([]byte(text))
				r.Release()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[text] = pos.Seq
				mu.Unlock()
				some <- struct{}{}
			}
		})
	}
	for range 2 {
		wg.Go(func() { readAcrossRestarts(ctx, t, j) })
	}
	for range restarts {
		for range 60 {
			receive(t, some)
		}
		if err := j.Restart(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	dirs := aside(t, cfg)
	if len(dirs) != restarts {
		t.Fatalf("%d folders were set aside", len(dirs))
	}
	found := 0
	for _, dir := range append(dirs, cfg.Dir) {
		old := open(t, Config{Dir: dir, SegmentBytes: minSegment})
		for i, text := range texts(t, old) {
			if acked[text] != uint64(i)+1 {
				t.Fatalf("%.20q is at %d, acknowledged at %d", text, i+1, acked[text])
			}
			found++
		}
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if found != len(acked) {
		t.Fatalf("%d records are in the journals, %d were acknowledged", found, len(acked))
	}
}

// readAcrossRestarts reads records as they come, and from the beginning when its
// place is gone.
func readAcrossRestarts(ctx context.Context, t *testing.T, j *Journal) {
	var at Position
	for {
		if locked(j, func() bool { return j.tail.seq < at.Seq }) { // another journal, which will not get there
			at = Position{}
		}
		err := j.Wait(ctx, at)
		if err == nil {
			for e, failed := range j.Records(at) {
				if err = failed; err != nil {
					break
				}
				if e.At.Seq != at.Seq {
					t.Errorf("record %d comes after %d", e.At.Seq, at.Seq)
				}
				at = e.Next
			}
		}
		switch {
		case errors.Is(err, ErrUnknownPosition):
			at = Position{}
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			t.Error(err)
			return
		}
	}
}

// TestRestartOfFailedJournal restarts a journal whose segment is sealed.
func TestRestartOfFailedJournal(t *testing.T) {
	t.Parallel()
	disk := &faults{}
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, open: disk.open}
	j := open(t, cfg)
	appended(t, j, "first")
	settled(t, j)
	disk.with(func(d *faults) { d.write = func(uint64, []byte) (int, error) { return 0, syscall.EIO } })
	_, err := j.Append([]byte("lost"))
	refused(t, err, syscall.EIO)
	if err := j.Restart(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	disk.with(func(d *faults) { d.write = nil })
	if err := j.Restart(); err != nil {
		t.Fatal(err)
	}
	appended(t, j, "second")
	dirs := aside(t, cfg)
	if len(dirs) != 1 {
		t.Fatalf("set aside in %q", dirs)
	}
	if got := texts(t, open(t, Config{Dir: dirs[0], SegmentBytes: minSegment})); !slices.Equal(got, []string{"first"}) {
		t.Errorf("the old journal has %q", got)
	}
	mustRead(t, j, cfg, "second")
}

// TestFailedRestart makes a restart impossible: the journal stays what it is, and
// goes on.
func TestFailedRestart(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment}
	j := open(t, cfg)
	want := []string{appended(t, j, "first")}
	id := j.ID()
	write(t, filepath.Join(cfg.Dir, "orphaned-"+id), []byte("in the way"))
	if err := j.Restart(); err == nil {
		t.Fatal("it is said to have been set aside")
	}
	want = append(want, resumed(t, j, "second"))
	if j.ID() != id {
		t.Fatal("another id")
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "orphaned-"+id)); err != nil {
		t.Fatal(err)
	}
	mustRead(t, j, cfg, want...)
	j = open(t, cfg)
	if err := j.Restart(); err != nil || j.ID() == id {
		t.Fatal(err)
	}
}

// TestMetrics registers a journal's figures once it is open.
func TestMetrics(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), SegmentBytes: minSegment, Registerer: prometheus.NewRegistry()}
	write(t, filepath.Join(cfg.Dir, fmt.Sprintf(segmentNames, 0)), []byte("damage"))
	if _, err := Open(cfg); err == nil {
		t.Fatal("opened")
	}
	if err := os.Remove(filepath.Join(cfg.Dir, fmt.Sprintf(segmentNames, 0))); err != nil {
		t.Fatal(err)
	}
	j := open(t, cfg)
	if _, err := j.Append([]byte("a"), []byte("b")); err != nil {
		t.Fatal(err)
	}
	families, err := cfg.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue()
	}
	if got["sallyport_journal_records_total"] != 2 || got["sallyport_journal_bytes_total"] != 2*(frameHeader+1) || len(got) != 7 {
		t.Fatalf("figures %v", got)
	}
}
