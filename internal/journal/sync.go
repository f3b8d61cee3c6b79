package journal

import (
	"fmt"
	"slices"
	"time"
)

// Sync returns when every record before pos is on the disk, or with why it
// cannot be. What is derived from the journal and kept elsewhere must not run
// ahead of it: a power cut would leave the journal behind its own projection.
// It fails when a sync fails meanwhile, and then until the journal has gone on in
// a fresh segment, whose header is on the disk and lies beyond all earlier
// records; those of the sealed segment are then as safe as they can be made.
func (j *Journal) Sync(pos Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, doubts := j.id, j.doubts; ; {
		switch {
		case j.id != id || pos.Seq > j.tail.seq:
			return ErrUnknownPosition
		case j.doubts != doubts: // by now it may be repaired
			return fmt.Errorf("%w: %w", ErrUnavailable, j.doubt)
		case pos.Seq <= j.durable:
			return nil
		case j.failed != nil:
			return j.failed
		case j.closed && !j.syncing:
			return errClosed
		}
		j.startSync()
		j.changed.Wait()
	}
}

// The rest serves Grouped durability; with Strict the appender that writes a batch
// syncs it as well.

// wrote notes records that are written and not synced, and sees to their sync.
// The caller holds mu.
func (j *Journal) wrote(records int) {
	first := j.unsynced == 0
	j.unsynced += records
	j.metrics.unsynced.Set(float64(j.unsynced))
	switch {
	case j.unsynced >= j.cfg.SyncRecords:
		j.startSync()
	case first && !j.syncing && !j.closed:
		j.syncTimer.Reset(j.cfg.SyncEvery)
	}
}

// startSync starts a sync unless one is under way, which sees to the next one
// itself. The caller holds mu.
func (j *Journal) startSync() {
	if j.syncing || j.unsynced == 0 || j.failed != nil || j.closed {
		return
	}
	j.syncing = true
	j.tasks.Go(j.sync)
}

// sync takes what is written to the disk, again while more has come than may wait.
func (j *Journal) sync() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.failed == nil {
		segments := append(slices.Clone(j.old), j.cur)
		upTo := j.tail.seq
		j.unsynced = 0
		j.mu.Unlock()
		bad, err := j.syncAll(segments)
		j.mu.Lock()
		if err != nil {
			j.distrust(bad, err)
			j.fail(err)
			break
		}
		j.durable = upTo
		for _, s := range segments[:len(segments)-1] {
			s.f.Close()
		}
		j.old = slices.Delete(j.old, 0, len(segments)-1)
		j.metrics.unsynced.Set(float64(j.unsynced))
		j.changed.Broadcast()
		if j.unsynced < j.cfg.SyncRecords {
			break
		}
	}
	j.syncing = false
	if j.unsynced > 0 && j.failed == nil && !j.closed {
		j.syncTimer.Reset(j.cfg.SyncEvery)
	}
	j.changed.Broadcast()
}

// syncAll syncs segments in their order and returns the first that fails.
func (j *Journal) syncAll(segments []*segment) (*segment, error) {
	for _, s := range segments {
		if err := j.syncOne(s); err != nil {
			return s, err
		}
	}
	return nil, nil
}

// distrust notes that a segment's sync failed. The caller holds mu.
func (j *Journal) distrust(s *segment, err error) {
	s.unsafe = true
	j.doubts++
	j.doubt = err
}

func (j *Journal) syncOne(s *segment) error {
	start := time.Now()
	err := s.f.Sync()
	j.metrics.syncs.Observe(time.Since(start).Seconds())
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}
