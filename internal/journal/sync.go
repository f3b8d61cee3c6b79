package journal

import (
	"time"
)

// wrote notes records that are written and not synced, and sees to their sync.
// The caller holds mu.
func (j *Journal) wrote(records int) {
	first := j.unsynced == 0
	j.unsynced += records
	j.metrics.unsynced.Set(float64(j.unsynced))
	switch {
	case j.cfg.Durability == Strict || j.unsynced >= j.cfg.SyncRecords:
		j.startSync()
	case first && j.syncTimer == nil:
		j.syncTimer = time.AfterFunc(j.cfg.SyncEvery, j.tick)
	case first:
		j.syncTimer.Reset(j.cfg.SyncEvery)
	}
}

func (j *Journal) tick() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.startSync()
}

// startSync starts a sync unless one is under way, which starts the next one
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
		files := append([]*segment(nil), j.old...)
		files = append(files, j.cur)
		upTo := j.tail.seq
		j.unsynced = 0
		j.mu.Unlock()
		start := time.Now()
		var err error
		for _, s := range files {
			if err == nil {
				err = s.f.Sync()
			}
		}
		took := time.Since(start)
		j.mu.Lock()
		j.metrics.syncs.Observe(took.Seconds())
		if err != nil {
			// The kernel may have dropped the pages and will not report it twice:
			// syncing this file again would be a false promise.
			j.syncFailed = true
			_ = j.fail(err)
			break
		}
		j.durable = upTo
		for _, s := range files[:len(files)-1] {
			s.f.Close()
		}
		j.old = j.old[len(files)-1:]
		j.metrics.unsynced.Set(float64(j.unsynced))
		j.changed.Broadcast()
		if j.unsynced == 0 || j.cfg.Durability != Strict && j.unsynced < j.cfg.SyncRecords {
			break
		}
	}
	j.syncing = false
	if j.unsynced > 0 && j.failed == nil && !j.closed {
		j.syncTimer.Reset(j.cfg.SyncEvery)
	}
	j.changed.Broadcast()
}

// awaitSync waits until every record before seq is on the disk. The caller holds mu.
func (j *Journal) awaitSync(seq uint64) error {
	for j.durable < seq {
		if j.failed != nil {
			return j.failed
		}
		if j.closed && !j.syncing {
			return ErrUnavailable
		}
		j.startSync()
		j.changed.Wait()
	}
	return nil
}

// repair makes a fresh segment in the background, with growing pauses, until one
// is on the disk; then appends are accepted again. The caller holds mu.
func (j *Journal) repair() {
	j.tasks.Go(func() {
		pause := 20 * time.Millisecond
		for !j.tryRepair() {
			wait := time.NewTimer(pause)
			j.mu.Lock()
			more := j.more
			closed := j.closed
			j.waiters++
			j.mu.Unlock()
			if !closed {
				select {
				case <-wait.C:
				case <-more: // closed: Close was called
				}
			}
			wait.Stop()
			j.mu.Lock()
			j.waiters--
			j.mu.Unlock()
			pause = min(2*pause, 5*time.Second)
		}
	})
}

// tryRepair reports whether there is nothing left to repair.
func (j *Journal) tryRepair() bool {
	j.mu.Lock()
	for j.writing || j.preparing || j.syncing {
		j.changed.Wait()
	}
	if j.closed {
		j.mu.Unlock()
		return true
	}
	at := state{j.tail.seq, headerSize, j.tail.chain}
	s, number := j.next, j.cur.number+1
	j.next = nil
	j.mu.Unlock()
	if s != nil {
		s.f.Close()
	}
	s, err := j.create(number, at)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.metrics.failures.Inc()
		j.cfg.Logger.Error("journal cannot be repaired yet", "error", err)
		return false
	}
	for _, old := range append(j.old, j.cur) {
		if !j.syncFailed {
			_ = old.f.Sync() // best effort: what a failed write left behind is not read
		}
		old.f.Close()
	}
	j.syncFailed = false
	j.old = nil
	j.cur, j.head, j.tail = s, at, at
	j.unsynced, j.durable = 0, at.seq
	j.failed = nil
	j.metrics.segments.Inc()
	j.cfg.Logger.Info("journal goes on in a new segment", "segment", number)
	j.prepare()
	j.changed.Broadcast()
	return true
}

// Sync returns when every record before pos is on the disk, or with why it
// cannot be. What is derived from the journal and kept elsewhere must not run
// ahead of it: a power cut would leave the journal behind its own projection.
func (j *Journal) Sync(pos Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.awaitSync(pos.Seq)
}
