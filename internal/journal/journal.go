// Package journal is an append-only file of records in numbered segments: each
// record is framed, checksummed and linked to all before it by a running hash.
// The package knows nothing of what records mean.
//
// A record that Append acknowledged survives the death of the process at once,
// and the death of the machine once it was synced (Config.Durability). A place
// that does not check is reported, never skipped; only the torn end of the last
// segment is cut off when a journal is opened.
//
// A write or a sync that fails seals the segment: records are refused until a
// fresh segment, which begins after the last acknowledged record, is on the disk.
// A file whose sync failed is not synced again, because the kernel may have
// dropped the pages and reports that once only (Rebello et al., "Can Applications
// Recover from fsync Failures?", USENIX ATC 2020).
package journal

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Durability says when an appended record must be on the disk.
type Durability uint8

// The durabilities.
const (
	Grouped Durability = iota // at most SyncEvery, or SyncRecords records, later
	Strict                    // before Append returns, and before Records shows it
)

// Errors that callers branch on.
var (
	ErrFull            = errors.New("journal: no space for another record")
	ErrUnavailable     = errors.New("journal: not writable")
	ErrUnknownPosition = errors.New("journal: no such position")
	ErrTooLarge        = errors.New("journal: record is empty or too large")
)

var errClosed = fmt.Errorf("%w: closed", ErrUnavailable)

// Config describes a journal. Dir is required; every other zero value has a
// default.
type Config struct {
	Dir          string
	SegmentBytes int64 // size of a segment; 64 MiB when 0, at least 64 KiB
	Durability   Durability
	SyncEvery    time.Duration // 50 ms when 0
	SyncRecords  int           // 64 when 0
	Keep         time.Duration // how long Forget leaves a segment after its last write; 7 days when 0
	Logger       *slog.Logger  // discards when nil
	Registerer   prometheus.Registerer

	open      func(path string, create bool) (file, error) // set by tests that inject faults
	lastPause time.Duration                                // likewise
}

// Journal is one open journal. It is safe for concurrent use; one process at a
// time may have a folder open.
type Journal struct {
	cfg     Config
	metrics *metrics
	close   func() error // once
	folder  sync.Mutex   // one Restart or Forget at a time; taken before mu

	mu      sync.Mutex
	changed sync.Cond // on mu: told of whatever somebody may wait for, but new records
	id      string
	cur     *segment
	next    []*segment // prepared for the rolls to come, numbered on from cur
	head    state      // where the next record goes, counting batches under way
	tail    state      // what is before it is acknowledged and may be read; head minus batches under way
	batch   *batch     // gathering while a write is under way
	spare   *batch
	writing bool

	reserved int64 // bytes kept for reservations (see promise)
	largest  int64 // at least the largest reservation

	old       []*segment // left by rolls and not synced yet
	syncing   bool
	durable   uint64 // records before it are on the disk
	unsynced  int    // records since the last sync began
	syncTimer *time.Timer
	doubts    int   // syncs that failed
	doubt     error // of the last one

	failed    error // the present segment is sealed: nothing is appended
	short     bool  // another prepared segment is wanted
	mending   bool  // a segment is being made
	mendErr   error // of the last attempt to make one
	mendTimer *time.Timer
	pause     time.Duration // before the next attempt
	trouble   time.Time     // when the last failure was

	restarting bool
	closed     bool
	tasks      sync.WaitGroup // syncs, preparations and repairs; begun only while not closed

	waiters int
	more    chan struct{} // closed when the tail moves and there are waiters
	marks   [8]mark       // places of this journal whose running hash is known
	marked  int
}

// state is a place together with the running hash there.
type state struct {
	seq   uint64
	off   int64
	chain [sha256.Size]byte
}

// mark remembers the running hash at a position.
type mark struct {
	pos   Position
	chain [sha256.Size]byte
}

// Open opens the journal in cfg.Dir, or makes a new one when the folder is empty.
// A torn end is cut off; other damage is a *CorruptError. It uses a few MiB of
// memory, however large the segments are.
func Open(cfg Config) (*Journal, error) {
	cfg.SegmentBytes = max(orDefault(cfg.SegmentBytes, 64<<20), minSegment)
	cfg.SyncEvery = orDefault(cfg.SyncEvery, 50*time.Millisecond)
	cfg.SyncRecords = orDefault(cfg.SyncRecords, 64)
	cfg.Keep = orDefault(cfg.Keep, 7*24*time.Hour)
	cfg.lastPause = orDefault(cfg.lastPause, lastPause)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.open == nil {
		cfg.open = openFile
	}
	if err := makeDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("make the journal's folder: %w", err)
	}
	j := &Journal{cfg: cfg, metrics: newMetrics(), more: make(chan struct{})}
	j.changed.L = &j.mu
	j.close = sync.OnceValue(j.shut)
	j.syncTimer = stoppedTimer(&j.mu, j.startSync)
	j.mendTimer = stoppedTimer(&j.mu, j.mend)
	if err := j.load(); err != nil {
		return nil, err
	}
	j.metrics.register(cfg.Registerer)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mend()
	return j, nil
}

// makeDir makes a folder that outlives the death of the machine.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// stoppedTimer is a timer, not running yet, that calls f with the lock held.
func stoppedTimer(mu *sync.Mutex, f func()) *time.Timer {
	t := time.AfterFunc(time.Hour, func() {
		mu.Lock()
		defer mu.Unlock()
		f()
	})
	t.Stop()
	return t
}

// newID makes the name of a journal.
func newID() string { return strings.ToLower(rand.Text()) }

// ID names the journal: random, made with it, in every segment's header.
func (j *Journal) ID() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.id
}

// Tail is the position after the last acknowledged record.
func (j *Journal) Tail() Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.position(j.tail)
}

func (j *Journal) position(s state) Position { return Position{s.seq, j.cur.number, s.off} }

// Healthy says why records are refused, or would soon be, or nothing.
func (j *Journal) Healthy() error {
	const some = minSegment / 2 // what an exchange needs, and more
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return errClosed
	case j.failed != nil:
		return j.failed
	case j.fits(some, j.reserved) || j.fitsNext(some, j.reserved):
		return nil
	case j.mending && j.mendErr == nil:
		return nil
	}
	return j.full()
}

// Close refuses what comes from now on, waits for what is under way, syncs, and
// closes the files. It returns why the journal was not writable, if it was not.
// Later calls wait for the first and return the same.
func (j *Journal) Close() error { return j.close() }

func (j *Journal) shut() error {
	j.mu.Lock()
	j.closed = true
	j.syncTimer.Stop()
	j.mendTimer.Stop()
	j.changed.Broadcast()
	j.announce()
	for j.busy() || j.restarting {
		j.changed.Wait()
	}
	j.mu.Unlock()
	j.tasks.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.closeFiles()
	if j.failed != nil {
		return j.failed
	}
	if err == nil {
		j.durable = j.tail.seq
	}
	return err
}

// busy reports whether files are in use outside the lock. The caller holds mu.
func (j *Journal) busy() bool {
	return j.writing || j.batch != nil || j.syncing || j.mending
}

// announce wakes everybody in Wait. The caller holds mu.
func (j *Journal) announce() {
	if j.waiters > 0 {
		close(j.more)
		j.more = make(chan struct{})
	}
}

// closeFiles syncs and closes every open segment. The caller holds mu; nothing
// else uses them any more.
func (j *Journal) closeFiles() error {
	var errs []error
	for _, s := range append(j.old, j.cur) {
		if !s.unsafe {
			errs = append(errs, s.f.Sync())
			s.unsafe = true // it is closed
		}
		errs = append(errs, s.f.Close())
	}
	for _, s := range j.next {
		errs = append(errs, s.f.Close())
	}
	j.old, j.next = nil, nil
	return errors.Join(errs...)
}

// Restart sets the present segments aside in the folder "orphaned-<id>" and goes
// on as a new, empty journal with a fresh ID. Appenders wait meanwhile and go on
// in the new journal, reservations stay; readers and waiters of the old one get
// ErrUnknownPosition. When it fails, the journal keeps its ID and goes on in a
// fresh segment as soon as one can be made.
func (j *Journal) Restart() error {
	j.folder.Lock()
	defer j.folder.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.restarting = true
	for j.busy() {
		j.changed.Wait()
	}
	defer func() {
		j.restarting = false
		j.changed.Broadcast()
		j.announce()
		j.mend()
	}()
	if j.closed {
		return errClosed
	}
	if err := j.setAside(); err != nil {
		j.fail(err)
		return fmt.Errorf("restart the journal: %w", err)
	}
	return nil
}

// setAside does what Restart says. The caller holds mu, and the journal is not
// busy. The oldest segments go first: what is left in the folder, should it not
// come to an end, is the rest of the same journal.
func (j *Journal) setAside() error {
	unused := j.next
	if err := j.closeFiles(); err != nil && j.failed == nil {
		return err
	}
	for _, s := range unused {
		if err := os.Remove(j.path(s.number)); err != nil {
			return err
		}
	}
	aside := filepath.Join(j.cfg.Dir, "orphaned-"+j.id)
	if err := makeDir(aside); err != nil {
		return err
	}
	ns, err := j.numbers()
	if err != nil {
		return err
	}
	for _, n := range ns {
		if err := os.Rename(j.path(n), filepath.Join(aside, filepath.Base(j.path(n)))); err != nil {
			return err
		}
	}
	if err := syncDir(aside); err != nil {
		return err
	}
	id, at := newID(), state{off: headerSize}
	s, err := j.create(id, 0, at)
	if err != nil {
		return err
	}
	j.id, j.cur, j.head, j.tail = id, s, at, at
	j.unsynced, j.durable, j.failed, j.marks = 0, 0, nil, [8]mark{}
	return nil
}
