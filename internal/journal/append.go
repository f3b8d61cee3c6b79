package journal

import "fmt"

// batch is a run of frames that one write takes to the disk. Appenders that come
// while a write is under way gather in the next batch; one of them writes it.
type batch struct {
	b       []byte
	records int
	joined  int // appenders
	at      int64
	end     state
	done    bool
	err     error
}

// Append writes the payloads as consecutive records and returns the position
// after the last. It returns when they are written, and with Strict durability
// when they are synced. Any error means that none of them is in the journal:
// ErrFull that space is short or reserved, ErrUnavailable that writing fails,
// ErrTooLarge that a payload is empty, exceeds MaxPayload, or that all together
// do not fit into a segment.
func (j *Journal) Append(payloads ...[]byte) (Position, error) {
	return j.append(payloads, nil)
}

// frameBytes is what payloads take in a segment.
func frameBytes(payloads [][]byte) (int64, error) {
	var n int64
	for _, p := range payloads {
		if len(p) == 0 || len(p) > MaxPayload {
			return 0, ErrTooLarge
		}
		n += frameHeader + int64(len(p))
	}
	return n, nil
}

// append is Append that may use the room of a reservation.
func (j *Journal) append(payloads [][]byte, r *Reservation) (Position, error) {
	need, err := frameBytes(payloads)
	if err != nil {
		return Position{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.admit(need, r); err != nil {
		return Position{}, err
	}
	used := r.use(need)
	b := j.join(payloads)
	pos := j.position(j.head)
	for !b.done {
		if j.writing {
			j.changed.Wait()
		} else {
			j.write(b)
		}
	}
	err = b.err
	if b.joined--; b.joined == 0 {
		j.spare = b
	}
	if err != nil {
		r.giveBack(used)
		return Position{}, err
	}
	return pos, nil
}

// gate waits for the end of a Restart and says why nothing can be appended. The
// caller holds mu.
func (j *Journal) gate() error {
	for j.restarting && !j.closed {
		j.changed.Wait()
	}
	if j.closed {
		return errClosed
	}
	return j.failed
}

// admit makes sure that need bytes fit into the present segment now, rolling if
// they do not, without touching what is promised to others. The caller holds mu,
// which is released while waiting, and uses the room before releasing it again.
func (j *Journal) admit(need int64, r *Reservation) error {
	for {
		if err := j.gate(); err != nil {
			return err
		}
		kept := j.reserved - r.has(need)
		switch {
		case j.fits(need, kept):
			return nil
		case need > j.capacity():
			return ErrTooLarge
		case j.fitsNext(need, kept):
			if !j.writing && j.batch == nil && len(j.old) < maxOld {
				j.roll()
				continue
			}
			if len(j.old) >= maxOld {
				j.startSync()
			}
			j.changed.Wait()
		case !j.another():
			return j.full()
		}
	}
}

// maxOld bounds the segments that wait for a sync: a disk that does not sync
// holds up appends at last.
const maxOld = 16

// maxNext bounds the segments that are prepared for reservations.
const maxNext = 64

// another has one more segment prepared, waits for it, and reports whether it is
// worth looking again. The caller holds mu.
func (j *Journal) another() bool {
	if len(j.next) < maxNext && j.mendErr == nil { // else mend is called after a pause
		j.short = true
		j.mend()
	}
	if !j.mending {
		return false
	}
	j.changed.Wait()
	return true
}

// full is ErrFull with its cause, if one is known. The caller holds mu.
func (j *Journal) full() error {
	if j.mendErr != nil {
		return fmt.Errorf("%w: %w", ErrFull, j.mendErr)
	}
	return ErrFull
}

// capacity is the room of an empty segment.
func (j *Journal) capacity() int64 { return j.cfg.SegmentBytes - headerSize }

// promise is what reservations can count on with so much left in the present
// segment and so many prepared ones: each segment but the last may lose less than
// the largest reservation, because what does not fit goes to the next. It never
// falls by more than a reservation uses when that is appended, nor when another
// segment is prepared, so whatever was promised is kept.
func (j *Journal) promise(left int64, prepared int, largest int64) int64 {
	if prepared == 0 {
		return left
	}
	n := int64(prepared)
	return max(left-largest, 0) + n*j.capacity() - (n-1)*largest
}

// fits reports whether need bytes fit into the present segment, beside what is
// kept for reservations. The caller holds mu.
func (j *Journal) fits(need, kept int64) bool {
	left := j.cur.size - j.head.off - need
	return left >= 0 && kept <= j.promise(left, len(j.next), j.largest)
}

// fitsNext is fits for the first prepared segment.
func (j *Journal) fitsNext(need, kept int64) bool {
	left := j.capacity() - need
	return len(j.next) > 0 && left >= 0 && kept <= j.promise(left, len(j.next)-1, j.largest)
}

// join adds frames to the batch that gathers. The caller holds mu.
func (j *Journal) join(payloads [][]byte) *batch {
	b := j.batch
	if b == nil {
		b = j.takeBatch()
		j.batch = b
	}
	for _, p := range payloads {
		b.b = appendFrame(b.b, j.head.seq, p)
		j.head = state{j.head.seq + 1, j.head.off + frameHeader + int64(len(p)), link(j.head.chain, p)}
	}
	b.records += len(payloads)
	b.joined++
	b.end = j.head
	return b
}

func (j *Journal) takeBatch() *batch {
	b := j.spare
	j.spare = nil
	if b == nil || cap(b.b) > 4<<20 {
		b = &batch{}
	}
	*b = batch{b: b.b[:0], at: j.head.off}
	return b
}

// write takes the batch that gathered to the disk. The caller holds mu, which is
// released for the write itself.
func (j *Journal) write(b *batch) {
	j.batch = nil
	j.writing = true
	s := j.cur
	j.mu.Unlock()
	_, err := s.f.WriteAt(b.b, b.at)
	if err != nil {
		err = fmt.Errorf("write: %w", err)
	}
	written := err == nil
	if written && j.cfg.Durability == Strict {
		err = j.syncOne(s)
	}
	j.mu.Lock()
	j.metrics.writes.Inc()
	if err != nil {
		if written {
			j.distrust(s, err)
		}
		j.fail(err)
	}
	if j.failed != nil { // by this write, or by a sync meanwhile
		b.err = j.failed
		j.mu.Unlock()
		// What it left must not be found when the journal is opened again. Should
		// this fail too, the segment made by repair says where to stop.
		_ = s.f.Truncate(b.at)
		j.mu.Lock()
	} else {
		j.tail = b.end
		j.metrics.records.Add(float64(b.records))
		j.metrics.bytes.Add(float64(len(b.b)))
		if j.cfg.Durability == Strict {
			j.durable = j.tail.seq
		} else {
			j.wrote(b.records)
		}
		j.announce()
	}
	j.writing, b.done = false, true
	j.changed.Broadcast()
}

// Reservation is room kept for later records, so that what has begun can be
// finished on a full disk. It is used by one goroutine at a time.
type Reservation struct {
	j        *Journal
	left     int64 // guarded by j.mu, as is released
	released bool
}

// Reserve keeps room for records of so many bytes, the framing of up to four of
// them not counted. ErrFull means that the room is not there, ErrUnavailable that
// the journal cannot be written, ErrTooLarge that bytes are negative or more than
// half a segment.
func (j *Journal) Reserve(bytes int64) (*Reservation, error) {
	if bytes < 0 || bytes > j.capacity()/2-4*frameHeader {
		return nil, ErrTooLarge
	}
	bytes += 4 * frameHeader
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		if err := j.gate(); err != nil {
			return nil, err
		}
		largest := bytes
		if j.reserved > 0 {
			largest = max(j.largest, bytes)
		}
		if j.reserved+bytes <= j.promise(j.cur.size-j.head.off, len(j.next), largest) {
			j.reserved += bytes
			j.largest = largest
			return &Reservation{j: j, left: bytes}, nil
		}
		if !j.another() {
			return nil, j.full()
		}
	}
}

// Append is Journal.Append that uses the reserved room first. While that
// suffices it does not fail with ErrFull. After an error the room is back.
func (r *Reservation) Append(payloads ...[]byte) (Position, error) {
	return r.j.append(payloads, r)
}

// Release gives back what is left of the room. It may be called more than once.
func (r *Reservation) Release() {
	r.j.mu.Lock()
	defer r.j.mu.Unlock()
	r.j.reserved -= r.left
	r.left, r.released = 0, true
}

// has is how much of need the reservation covers; a nil one covers nothing. The
// caller holds j.mu.
func (r *Reservation) has(need int64) int64 {
	if r == nil {
		return 0
	}
	return min(need, r.left)
}

// use takes from the room what covers need. The caller holds j.mu.
func (r *Reservation) use(need int64) int64 {
	n := r.has(need)
	if n > 0 {
		r.left -= n
		r.j.reserved -= n
	}
	return n
}

// giveBack undoes use. The caller holds j.mu.
func (r *Reservation) giveBack(n int64) {
	if n > 0 && !r.released {
		r.left += n
		r.j.reserved += n
		r.j.largest = max(r.j.largest, r.left)
	}
}
