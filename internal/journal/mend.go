package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// fail seals the present segment: nothing more is written to it, what was
// gathering is refused, and so is everything else until another segment is on
// the disk. The caller holds mu.
func (j *Journal) fail(err error) {
	j.metrics.failures.Inc()
	j.cfg.Logger.Error("journal segment sealed", "segment", j.cur.number, "error", err)
	if j.failed == nil {
		j.failed = fmt.Errorf("%w: %w", ErrUnavailable, err)
		j.retry()
	}
	if j.batch != nil { // its frames continue a chain that is not on the disk
		j.batch.done, j.batch.err = true, j.failed
		j.batch = nil
	}
	j.head = j.tail
	j.changed.Broadcast()
}

// The first pause between attempts, the longest, and after how long a failure
// counts as the first.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
	calm       = 10 * time.Second
)

// retry calls mend: at once after a long time without failures, else after a
// pause that grows with each. The caller holds mu.
func (j *Journal) retry() {
	if time.Since(j.trouble) > calm {
		j.pause = 0
	}
	j.trouble = time.Now()
	if !j.closed {
		j.mendTimer.Reset(j.pause)
	}
	j.pause = min(max(2*j.pause, firstPause), j.cfg.lastPause)
}

// mend makes a segment in the background if one is missing: to go on in after a
// failure, or for the next roll. The caller holds mu.
func (j *Journal) mend() {
	if j.closed || j.restarting || j.mending {
		return
	}
	switch {
	case j.failed != nil:
		j.mending = true
		j.tasks.Go(j.repair)
	case len(j.next) == 0 || j.short:
		number := j.cur.number + 1
		if n := len(j.next); n > 0 {
			number = j.next[n-1].number + 1
		}
		j.mending = true
		j.tasks.Go(func() { j.prepare(number) })
	}
}

// mended ends what mend began. The caller holds mu.
func (j *Journal) mended(err error) {
	j.mending = false
	switch {
	case err != nil:
		j.metrics.failures.Inc()
		if j.mendErr == nil || j.mendErr.Error() != err.Error() {
			j.cfg.Logger.Error("journal segment cannot be made", "error", err)
		}
		j.retry()
	case j.mendErr != nil:
		j.cfg.Logger.Info("journal segments can be made again")
	}
	j.mendErr = err
	if err == nil {
		j.mend()
	}
	j.changed.Broadcast()
}

// prepare makes a segment for a later roll.
func (j *Journal) prepare(number uint64) {
	s, err := j.allocate(number)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		j.next = append(j.next, s)
		j.short = false
	}
	j.mended(err)
}

// repair goes on in a segment after the sealed one: a prepared one if there is,
// for the disk may be full, else a new one.
func (j *Journal) repair() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.writing || j.syncing {
		j.changed.Wait()
	}
	id, number, at := j.id, j.cur.number+1, state{j.tail.seq, headerSize, j.tail.chain}
	sealed, end := append(slices.Clone(j.old), j.cur), j.tail.off
	var s *segment
	if len(j.next) > 0 && j.next[0].number == number {
		s, j.next = j.next[0], j.next[1:]
	}
	j.mu.Unlock()
	doubts := j.leave(sealed, end)
	var err error
	if s == nil {
		s, err = j.create(id, number, at)
	} else if err = j.begin(s, id, at, true); err != nil {
		discard(s, j.path(number))
	}
	j.mu.Lock()
	for s, err := range doubts {
		j.distrust(s, err)
	}
	if err == nil {
		for _, s := range sealed {
			s.f.Close()
		}
		j.old, j.cur, j.head, j.tail = nil, s, at, at
		j.unsynced, j.durable, j.failed = 0, at.seq, nil
		j.metrics.unsynced.Set(0)
		j.metrics.segments.Inc()
		j.cfg.Logger.Info("journal goes on in a new segment", "segment", number)
	}
	j.mended(err)
}

// leave does what can still be done for sealed segments: it syncs those whose
// sync has not failed, and frees the room that the last one does not use. It
// returns those whose sync fails now.
func (j *Journal) leave(sealed []*segment, end int64) map[*segment]error {
	last := sealed[len(sealed)-1]
	if err := last.f.Truncate(end); err != nil {
		j.cfg.Logger.Warn("sealed journal segment keeps room it does not use", "segment", last.number, "error", err)
	}
	doubts := map[*segment]error{}
	for _, s := range sealed {
		if s.unsafe {
			continue
		}
		if err := j.syncOne(s); err != nil {
			j.metrics.failures.Inc()
			j.cfg.Logger.Error("sealed journal segment cannot be synced", "segment", s.number, "error", err)
			doubts[s] = err
		}
	}
	return doubts
}

// roll goes on in the prepared segment. The caller holds mu, there is a prepared
// segment, and nothing is being written. An error seals the present segment.
func (j *Journal) roll() {
	s := j.next[0]
	j.next = j.next[1:]
	if err := j.begin(s, j.id, j.tail, false); err != nil {
		discard(s, j.path(s.number))
		j.fail(err)
		return
	}
	if j.cfg.Durability == Strict { // every record in it is synced
		j.cur.f.Close()
	} else {
		j.old = append(j.old, j.cur)
	}
	j.cur, j.head, j.tail = s, s.start(), s.start()
	j.metrics.segments.Inc()
	j.mend()
}

// create makes a segment that begins at a state, on the disk before it returns.
func (j *Journal) create(id string, number uint64, at state) (*segment, error) {
	s, err := j.allocate(number)
	if err != nil {
		return nil, err
	}
	if err := j.begin(s, id, at, true); err != nil {
		discard(s, j.path(number))
		return nil, err
	}
	return s, nil
}

// allocate makes an empty segment of full size.
func (j *Journal) allocate(number uint64) (*segment, error) {
	f, err := j.cfg.open(j.path(number), true)
	if errors.Is(err, fs.ErrExist) { // a leaving of an attempt that failed
		if err = os.Remove(j.path(number)); err == nil {
			f, err = j.cfg.open(j.path(number), true)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make a journal segment: %w", err)
	}
	s := &segment{f: f, number: number, size: j.cfg.SegmentBytes}
	if err := f.Allocate(s.size); err != nil {
		discard(s, j.path(number))
		return nil, fmt.Errorf("preallocate a journal segment: %w", err)
	}
	if err := syncDir(j.cfg.Dir); err != nil {
		discard(s, j.path(number))
		return nil, err
	}
	return s, nil
}

// begin writes the header of an empty segment, and syncs it when asked to.
func (j *Journal) begin(s *segment, id string, at state, sync bool) error {
	s.first, s.chain = at.seq, at.chain
	if _, err := s.f.WriteAt(putHeader(id, s.number, at.seq, at.chain), 0); err != nil {
		return fmt.Errorf("write a journal segment's header: %w", err)
	}
	if sync {
		if err := s.f.Sync(); err != nil {
			return fmt.Errorf("sync a journal segment's header: %w", err)
		}
	}
	return nil
}

// discard gives up a segment that holds no record.
func discard(s *segment, path string) {
	s.f.Close()
	_ = os.Remove(path) // else allocate removes it, or load
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
