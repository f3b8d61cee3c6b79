// Package journal is an append-only file of records in numbered segments: each
// record is framed, checksummed and linked to all before it by a running hash.
// The package knows nothing of what records mean.
//
// A record that Append acknowledged survives the death of the process at once,
// and the death of the machine once it was synced (Config.Durability). A place
// that does not check is reported, never skipped; only the torn end of the last
// segment, which no caller was told of, is cut off when a journal is opened.
package journal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
	Strict                    // before Append returns
)

// Errors that callers branch on.
var (
	ErrFull            = errors.New("journal: no space for another record")
	ErrUnavailable     = errors.New("journal: not writable")
	ErrUnknownPosition = errors.New("journal: no such position")
	ErrTooLarge        = errors.New("journal: record exceeds 1 MiB")
)

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

	open func(path string, create bool) (file, error) // set by tests that inject faults
}

// Journal is one open journal. It is safe for concurrent use; one process at a
// time may have a folder open.
type Journal struct {
	cfg     Config
	metrics *metrics

	mu       sync.Mutex
	changed  sync.Cond // on mu: a write, a sync, a roll or a preparation ended
	id       string
	cur      *segment
	next     *segment // prepared for the roll; nil while there is none
	head     state    // where the next record goes, counting batches under way
	tail     state    // everything before it is written
	batch    *batch   // gathering while a write is under way
	spare    *batch
	writing  bool
	reserved int64 // bytes promised to reservations

	preparing   bool
	prepareErr  error
	prepareTime time.Time // of the last failure

	old       []*segment // left by rolls and not synced yet
	durable   uint64     // records before it are on the disk
	syncing   bool
	unsynced  int
	syncTimer *time.Timer
	failed    error // nothing is appended while set
	closed    bool

	syncFailed bool           // a sync failed: files are not synced again
	tasks      sync.WaitGroup // preparations, syncs and repairs

	waiters int
	more    chan struct{} // closed at an append when there are waiters
	marks   [8]mark       // places whose running hash is known
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
// A torn end is cut off; other damage is a *CorruptError.
func Open(cfg Config) (*Journal, error) {
	cfg.SegmentBytes = max(orDefault(cfg.SegmentBytes, 64<<20), minSegment)
	cfg.SyncEvery = orDefault(cfg.SyncEvery, 50*time.Millisecond)
	cfg.SyncRecords = orDefault(cfg.SyncRecords, 64)
	cfg.Keep = orDefault(cfg.Keep, 7*24*time.Hour)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.open == nil {
		cfg.open = openFile
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the journal's folder: %w", err)
	}
	j := &Journal{cfg: cfg, metrics: newMetrics(cfg.Registerer), more: make(chan struct{})}
	j.changed.L = &j.mu
	if err := j.load(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	j.prepare()
	j.mu.Unlock()
	return j, nil
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

func openFile(path string, create bool) (file, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// numbers lists the segments of the folder in order.
func (j *Journal) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(j.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the journal's segments: %w", err)
	}
	var ns []uint64
	for _, e := range entries {
		var n uint64
		if _, err := fmt.Sscanf(e.Name(), segmentNames, &n); err == nil && e.Name() == fmt.Sprintf(segmentNames, n) {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns, nil
}

func (j *Journal) path(number uint64) string {
	return filepath.Join(j.cfg.Dir, fmt.Sprintf(segmentNames, number))
}

// load opens the last segment that is in use and finds its end. Segments that
// were prepared for a roll and never used have no header and are removed.
func (j *Journal) load() error {
	ns, err := j.numbers()
	if err != nil {
		return err
	}
	for i := len(ns) - 1; i >= 0; i-- {
		f, err := j.cfg.open(j.path(ns[i]), false)
		if err != nil {
			return fmt.Errorf("open journal segment: %w", err)
		}
		if blank(f) {
			f.Close()
			if err := os.Remove(j.path(ns[i])); err != nil {
				return fmt.Errorf("remove an unused journal segment: %w", err)
			}
			continue
		}
		return j.resume(f, ns[i])
	}
	j.id = strings.ToLower(rand.Text())
	s, err := j.create(0, state{})
	if err != nil {
		return err
	}
	j.cur = s
	j.head = state{off: headerSize}
	j.tail = j.head
	return nil
}

// blank reports whether a segment holds no record: it was prepared and never
// used, or the machine died while its header was written.
func blank(f file) bool {
	b := make([]byte, headerSize)
	n, _ := f.ReadAt(b, 0)
	if len(trimZeros(b[:n])) == 0 {
		return true
	}
	if _, _, err := readHeader(f, binary.LittleEndian.Uint64(b[12+idSize:])); err == nil {
		return false
	}
	whole, _, err := readSegment(f)
	return err == nil && len(trimZeros(whole[min(headerSize, len(whole)):])) == 0
}

// resume reads the last segment to its end and goes on there.
func (j *Journal) resume(f file, number uint64) error {
	id, s, err := readHeader(f, number)
	if err != nil {
		return err
	}
	j.id, j.cur = id, &s
	at := state{seq: s.first, off: headerSize, chain: s.chain}
	whole, size, err := readSegment(f)
	if err != nil {
		return fmt.Errorf("read journal segment "+segmentNames+": %w", number, err)
	}
	s.size = size
	for {
		payload, st := parseFrame(whole[at.off:], at.seq)
		if st == frameWhole {
			at = state{at.seq + 1, at.off + frameHeader + int64(len(payload)), link(at.chain, payload)}
			continue
		}
		if st == frameTorn {
			if err := j.cut(f, whole, number, at); err != nil {
				return err
			}
		}
		break
	}
	j.head, j.tail, j.durable = at, at, at.seq
	return f.Sync()
}

// cut zeroes a torn end, after making sure that it is one.
func (j *Journal) cut(f file, whole []byte, number uint64, at state) error {
	rest := whole[at.off:]
	if follows(rest, at.seq) {
		return &CorruptError{number, at.off, "a record does not check and later ones do"}
	}
	torn := trimZeros(rest)
	j.cfg.Logger.Warn("journal ends in a torn record, which is cut off", "segment", number, "offset", at.off, "bytes", len(torn))
	if _, err := f.WriteAt(make([]byte, len(torn)), at.off); err != nil {
		return fmt.Errorf("cut the torn end of the journal: %w", err)
	}
	return nil
}

// readSegment reads a whole segment into memory.
func readSegment(f file) (b []byte, size int64, err error) {
	b = make([]byte, 0, 1<<20)
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, cap(b))
		}
		n, err := f.ReadAt(b[len(b):cap(b)], int64(len(b)))
		b = b[:len(b)+n]
		if err != nil || n == 0 {
			return b, int64(len(b)), ignoreEOF(err)
		}
	}
}

// create makes a segment that begins at a state, on the disk before it returns.
func (j *Journal) create(number uint64, at state) (*segment, error) {
	s, err := j.allocate(number)
	if err != nil {
		return nil, err
	}
	if err := j.begin(s, at); err != nil {
		s.f.Close()
		return nil, err
	}
	if err := s.f.Sync(); err != nil {
		s.f.Close()
		return nil, fmt.Errorf("sync a journal segment's header: %w", err)
	}
	return s, nil
}

// allocate makes an empty segment of full size.
func (j *Journal) allocate(number uint64) (*segment, error) {
	f, err := j.cfg.open(j.path(number), true)
	if errors.Is(err, fs.ErrExist) {
		if err = os.Remove(j.path(number)); err == nil {
			f, err = j.cfg.open(j.path(number), true)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make a journal segment: %w", err)
	}
	if err := f.Allocate(j.cfg.SegmentBytes); err != nil {
		f.Close()
		_ = os.Remove(j.path(number))
		return nil, fmt.Errorf("preallocate a journal segment: %w", err)
	}
	if err := syncDir(j.cfg.Dir); err != nil {
		f.Close()
		return nil, err
	}
	return &segment{f: f, number: number, size: j.cfg.SegmentBytes}, nil
}

// begin writes the header of an empty segment.
func (j *Journal) begin(s *segment, at state) error {
	s.first, s.chain = at.seq, at.chain
	if _, err := s.f.WriteAt(putHeader(j.id, s.number, at.seq, at.chain), 0); err != nil {
		return fmt.Errorf("write a journal segment's header: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open the journal's folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync the journal's folder: %w", err)
	}
	return nil
}

// ID names the journal: random, made with it, in every segment's header.
func (j *Journal) ID() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.id
}

// Tail is the position after the last written record.
func (j *Journal) Tail() Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.position(j.tail)
}

func (j *Journal) position(s state) Position { return Position{s.seq, j.cur.number, s.off} }

// Healthy says why records are refused, or nothing.
func (j *Journal) Healthy() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return fmt.Errorf("%w: closed", ErrUnavailable)
	case j.failed != nil:
		return j.failed
	case j.free() < minSegment/4:
		return ErrFull
	}
	return nil
}

// Close waits for what is under way, syncs, and closes the files. Reservations
// end; later calls fail.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.quiesce()
	j.closed = true
	if j.syncTimer != nil {
		j.syncTimer.Stop()
	}
	j.changed.Broadcast()
	close(j.more)
	j.mu.Unlock()
	j.tasks.Wait()
	err := j.closeFiles()
	if j.failed != nil {
		return j.failed
	}
	return err
}

// quiesce waits until no write is under way; the caller holds mu.
func (j *Journal) quiesce() {
	for j.writing || j.batch != nil {
		j.changed.Wait()
	}
}

// closeFiles syncs and closes every open segment; nothing else uses them any more.
func (j *Journal) closeFiles() error {
	var errs []error
	for _, s := range append(j.old, j.cur) {
		if j.failed == nil {
			errs = append(errs, s.f.Sync())
		}
		errs = append(errs, s.f.Close())
	}
	if j.next != nil {
		errs = append(errs, j.next.f.Close())
	}
	j.old, j.next = nil, nil
	return errors.Join(errs...)
}

// Restart sets the present segments aside in the folder "orphaned-<id>" and goes
// on as a new, empty journal with a fresh ID.
func (j *Journal) Restart() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.writing || j.batch != nil || j.preparing || j.syncing {
		j.changed.Wait()
	}
	if j.closed {
		return ErrUnavailable
	}
	if err := j.closeFiles(); err != nil {
		return fmt.Errorf("restart the journal: %w", err)
	}
	aside := filepath.Join(j.cfg.Dir, "orphaned-"+j.id)
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return fmt.Errorf("restart the journal: %w", err)
	}
	ns, err := j.numbers()
	if err != nil {
		return err
	}
	for _, n := range ns {
		if err := os.Rename(j.path(n), filepath.Join(aside, fmt.Sprintf(segmentNames, n))); err != nil {
			return fmt.Errorf("restart the journal: %w", err)
		}
	}
	j.marked, j.unsynced, j.durable, j.marks = 0, 0, 0, [8]mark{}
	if err := j.load(); err != nil {
		return err
	}
	j.prepare()
	return nil
}
