package journal

import (
	"errors"
	"fmt"
	"time"
)

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
// when they are synced. ErrFull means that nothing was written because space is
// short or reserved; ErrUnavailable that writing fails.
func (j *Journal) Append(payloads ...[]byte) (Position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	need, err := frameBytes(payloads)
	if err != nil {
		return Position{}, err
	}
	if err := j.room(need, 0); err != nil {
		return Position{}, err
	}
	return j.append(need, payloads)
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

// slack is the part of a segment that a roll may leave unused.
const slack = 32 << 10

// free is how many bytes of records still fit into the segments at hand; the
// caller holds mu.
func (j *Journal) free() int64 {
	left := j.cur.size - j.head.off
	if j.next == nil {
		return max(left, 0)
	}
	return max(left-slack, 0) + j.next.size - headerSize
}

// room waits for a segment under preparation when space is short, and says
// whether need bytes fit beside what is reserved, of which mine may be used.
func (j *Journal) room(need, mine int64) error {
	for {
		switch {
		case j.closed:
			return fmt.Errorf("%w: closed", ErrUnavailable)
		case j.failed != nil:
			return j.failed
		case need <= j.free()-j.reserved+mine && (need <= j.cur.size-j.head.off || j.next != nil):
			return nil
		case need > j.cfg.SegmentBytes-headerSize:
			return ErrTooLarge
		case j.preparing:
			j.changed.Wait()
		case j.next == nil && time.Since(j.prepareTime) > time.Second:
			j.prepare()
		default:
			return ErrFull
		}
	}
}

// append places frames, whose room is granted, and sees to their write. The
// caller holds mu; it is released while waiting.
func (j *Journal) append(need int64, payloads [][]byte) (Position, error) {
	for need > j.cur.size-j.head.off {
		if j.writing || j.batch != nil {
			j.changed.Wait()
			if j.failed != nil {
				return Position{}, j.failed
			}
			continue
		}
		if err := j.roll(); err != nil {
			return Position{}, err
		}
	}
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
	pos := j.position(j.head)
	for j.writing && !b.done {
		j.changed.Wait()
	}
	if !b.done {
		j.write(b)
	}
	err := b.err
	if b.joined--; b.joined == 0 {
		j.spare = b
	}
	if err == nil && j.cfg.Durability == Strict {
		err = j.awaitSync(pos.Seq)
	}
	return pos, err
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

// write takes a batch to the disk. The caller holds mu, which is released for
// the write itself.
func (j *Journal) write(b *batch) {
	j.batch = nil
	j.writing = true
	f := j.cur.f
	j.mu.Unlock()
	_, err := f.WriteAt(b.b, b.at)
	j.mu.Lock()
	j.writing = false
	b.done = true
	j.metrics.writes.Inc()
	if err != nil {
		b.err = j.fail(fmt.Errorf("write: %w", err))
		if j.batch != nil { // its frames continue a chain that is not on the disk
			j.batch.done, j.batch.err = true, b.err
			j.batch = nil
		}
		j.head = j.tail
	} else {
		j.tail = b.end
		j.metrics.records.Add(float64(b.records))
		j.metrics.bytes.Add(float64(len(b.b)))
		j.wrote(b.records)
	}
	j.changed.Broadcast()
	if j.waiters > 0 {
		close(j.more)
		j.more = make(chan struct{})
	}
}

// roll goes on in the prepared segment. The caller holds mu, and nothing is
// being written.
func (j *Journal) roll() error {
	if j.failed != nil {
		return j.failed
	}
	if j.next == nil {
		return ErrFull
	}
	next := j.next
	if err := j.begin(next, j.tail); err != nil {
		return j.fail(err)
	}
	j.next = nil
	j.old = append(j.old, j.cur)
	j.cur = next
	j.head = state{j.tail.seq, headerSize, j.tail.chain}
	j.tail = j.head
	j.metrics.segments.Inc()
	j.prepare()
	return nil
}

// prepare makes the next segment in the background. The caller holds mu.
func (j *Journal) prepare() {
	if j.preparing || j.next != nil || j.closed || j.failed != nil {
		return
	}
	j.preparing = true
	number := j.cur.number + 1
	j.tasks.Go(func() {
		s, err := j.allocate(number)
		j.mu.Lock()
		defer j.mu.Unlock()
		j.preparing = false
		if err != nil {
			j.prepareErr, j.prepareTime = err, time.Now()
			j.metrics.failures.Inc()
			j.cfg.Logger.Error("next journal segment cannot be prepared", "error", err)
		} else if j.closed || j.next != nil {
			s.f.Close()
		} else {
			j.next, j.prepareErr = s, nil
		}
		j.changed.Broadcast()
	})
}

// Reservation is room kept for later records, so that what has begun can be
// finished on a full disk. It is used by one goroutine at a time.
type Reservation struct {
	j    *Journal
	left int64 // guarded by j.mu
}

// Reserve keeps room for records of so many bytes, framing not counted for the
// first few. It fails with ErrFull when the room is not there, or ErrUnavailable
// when the journal cannot be written.
func (j *Journal) Reserve(bytes int64) (*Reservation, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	bytes += 4 * frameHeader
	if err := j.room(bytes, 0); err != nil {
		return nil, err
	}
	j.reserved += bytes
	return &Reservation{j, bytes}, nil
}

// Append is Journal.Append that may use the reserved room.
func (r *Reservation) Append(payloads ...[]byte) (Position, error) {
	j := r.j
	j.mu.Lock()
	defer j.mu.Unlock()
	need, err := frameBytes(payloads)
	if err != nil {
		return Position{}, err
	}
	if err := j.room(need, r.left); err != nil {
		return Position{}, err
	}
	used := min(need, r.left)
	r.left -= used
	j.reserved -= used
	return j.append(need, payloads)
}

// Release gives back what is left of the room. It may be called more than once.
func (r *Reservation) Release() {
	r.j.mu.Lock()
	defer r.j.mu.Unlock()
	r.j.reserved -= r.left
	r.left = 0
}

// fail seals the present segment: nothing more is written to it, and appends are
// refused until another one is on the disk. The caller holds mu.
func (j *Journal) fail(err error) error {
	j.metrics.failures.Inc()
	j.cfg.Logger.Error("journal segment sealed", "segment", j.cur.number, "error", err)
	if j.failed == nil {
		j.failed = errors.Join(ErrUnavailable, err)
		j.repair()
	}
	j.changed.Broadcast()
	return j.failed
}
