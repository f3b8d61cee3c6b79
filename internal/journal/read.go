package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"
)

// Position is a place between two records.
type Position struct {
	Seq     uint64 // records before it, in the whole journal
	Segment uint64
	Offset  int64
}

// String is the position as text that ParsePosition reads.
func (p Position) String() string {
	return strconv.FormatUint(p.Seq, 10) + "." + strconv.FormatUint(p.Segment, 10) + "." + strconv.FormatInt(p.Offset, 10)
}

// ParsePosition reads what String writes.
func ParsePosition(s string) (Position, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return Position{}, fmt.Errorf("%q is not a journal position", s)
	}
	seq, err1 := strconv.ParseUint(parts[0], 10, 64)
	segment, err2 := strconv.ParseUint(parts[1], 10, 64)
	off, err3 := strconv.ParseInt(parts[2], 10, 64)
	p := Position{seq, segment, off}
	if err := errors.Join(err1, err2, err3); err != nil || off < 0 || p.String() != s {
		return Position{}, fmt.Errorf("%q is not a journal position", s)
	}
	return p, nil
}

// Entry is one record as it is read.
type Entry struct {
	At      Position          // before it
	Next    Position          // after it
	Chain   [sha256.Size]byte // running hash after it
	Payload []byte            // the reader's own
}

// Records reads the records from a position on, up to the tail as it is when the
// reader gets there. The zero Position is the oldest record that is kept. An
// error ends the sequence: a *CorruptError where the journal is damaged,
// ErrUnknownPosition when the position is not one of this journal (any more, after
// Forget or Restart).
func (j *Journal) Records(from Position) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		r, err := j.reader(from)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer r.close()
		for {
			e, err := r.read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(Entry{}, r.explain(err))
				return
			}
			if !yield(e, nil) {
				break
			}
		}
		r.remember()
	}
}

// Chain is the running hash at a position, or ErrUnknownPosition when the
// position is not between two records of this journal. At the zero Position it
// is the hash before the oldest record that is kept.
func (j *Journal) Chain(pos Position) ([sha256.Size]byte, error) {
	r, err := j.reader(pos)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	defer r.close()
	return r.at.chain, nil
}

// Wait returns when there is a record after pos, or with ctx's error,
// ErrUnavailable when the journal is closed, or ErrUnknownPosition when it is
// restarted.
func (j *Journal) Wait(ctx context.Context, pos Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiters++
	defer func() { j.waiters-- }()
	for id := j.id; ; {
		switch {
		case j.id != id:
			return fmt.Errorf("%w: the journal was restarted", ErrUnknownPosition)
		case j.tail.seq > pos.Seq:
			return nil
		case j.closed:
			return errClosed
		}
		more := j.more
		j.mu.Unlock()
		var err error
		select {
		case <-more:
		case <-ctx.Done():
			err = ctx.Err()
		}
		j.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// Forget removes the segments that lie wholly before pos and were last written
// longer ago than Config.Keep, the oldest first. The segment in use and those
// that are not synced yet always stay.
func (j *Journal) Forget(pos Position) error {
	j.folder.Lock()
	defer j.folder.Unlock()
	end := min(pos.Segment, j.oldestOpen())
	ns, err := j.numbers()
	if err != nil {
		return err
	}
	for _, n := range ns {
		if n >= end {
			break
		}
		info, err := os.Stat(j.path(n))
		if err != nil {
			return fmt.Errorf("forget a journal segment: %w", err)
		}
		if time.Since(info.ModTime()) < j.cfg.Keep {
			break
		}
		if err := os.Remove(j.path(n)); err != nil {
			return fmt.Errorf("forget a journal segment: %w", err)
		}
	}
	return nil
}

// oldestOpen is the number of the oldest segment that is not closed.
func (j *Journal) oldestOpen() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.old) > 0 {
		return j.old[0].number
	}
	return j.cur.number
}

// reader walks the records of consecutive segments.
type reader struct {
	cursor
	j      *Journal
	id     string // of the journal when the reader was made: Restart changes it
	file   file
	number uint64
	limit  uint64 // sequence number that ends what may be read of this segment
	last   bool   // this was the segment in use when limit was taken
}

// reader opens the segment of a position and finds the running hash there.
func (j *Journal) reader(from Position) (*reader, error) {
	r := &reader{j: j}
	id, tail := j.where()
	r.id = id
	var err error
	if from == (Position{}) {
		err = r.enterOldest()
	} else if from.Segment > tail.Segment { // perhaps prepared, not in use
		err = ErrUnknownPosition
	} else if err = r.enter(from.Segment); err == nil {
		err = r.find(from)
	}
	if err != nil {
		r.close()
		return nil, r.explain(err)
	}
	return r, nil
}

// where is the journal's id and its tail.
func (j *Journal) where() (string, Position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.id, j.position(j.tail)
}

// explain turns an error of a reader whose files went away into what it means.
func (r *reader) explain(err error) error {
	switch id, _ := r.j.where(); {
	case id != r.id:
		return fmt.Errorf("%w: the journal was restarted", ErrUnknownPosition)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: its segment is gone", ErrUnknownPosition)
	}
	return err
}

func (r *reader) pos() Position { return Position{r.at.seq, r.number, r.at.off} }

// enterOldest opens the oldest segment that is kept.
func (r *reader) enterOldest() error {
	for tried := false; ; tried = true {
		ns, err := r.j.numbers()
		if err != nil {
			return err
		}
		if len(ns) == 0 || tried && ns[0] == r.number {
			return ErrUnknownPosition
		}
		// Forget may remove the segment, and the one after it, before they are open.
		r.close()
		r.number = ns[0]
		if err := r.enter(r.number); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// find moves from the start of the present segment to a position in it.
func (r *reader) find(pos Position) error {
	if chain, ok := r.recall(pos); ok {
		r.seek(r.file, state{pos.Seq, pos.Offset, chain})
		return nil
	}
	for r.at.off < pos.Offset && r.at.seq < r.limit {
		if _, err := r.record(); err != nil {
			return err
		}
	}
	if r.pos() != pos {
		return ErrUnknownPosition
	}
	return nil
}

// open opens a segment. One that is missing after one that is there is damage:
// Forget and Restart take the oldest away first.
func (r *reader) open(number uint64) (file, error) {
	f, err := r.j.cfg.open(r.j.path(number), false)
	if errors.Is(err, fs.ErrNotExist) && r.file != nil {
		if _, err := os.Stat(r.j.path(r.number)); err == nil {
			return nil, &CorruptError{number, 0, "the segment is missing"}
		}
	}
	return f, err
}

// enter opens a segment; the one before must have ended where it begins.
func (r *reader) enter(number uint64) error {
	f, err := r.open(number)
	if err != nil {
		return err
	}
	id, s, err := readHeader(f, number)
	switch {
	case err != nil:
	case id != r.id:
		err = &CorruptError{number, 12, "it belongs to another journal"}
	case r.file != nil && (s.first != r.at.seq || s.chain != r.at.chain):
		err = &CorruptError{number, 12 + idSize, "it does not continue the segment before it"}
	}
	if err != nil {
		f.Close()
		return err
	}
	r.close()
	r.file, r.number = f, number
	r.seek(f, s.start())
	return r.bound()
}

// bound finds where the records of the present segment end: at the tail, or where
// the next segment begins. A sealed segment may hold more than that: what a
// failed write left.
func (r *reader) bound() error {
	id, tail := r.j.where()
	if id != r.id {
		return ErrUnknownPosition
	}
	if r.last = r.number == tail.Segment; r.last {
		r.limit = tail.Seq
		return nil
	}
	f, err := r.open(r.number + 1)
	if err != nil {
		return err
	}
	defer f.Close()
	_, next, err := readHeader(f, r.number+1)
	r.limit = next.first
	return err
}

func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

// read returns the next record, in this segment or the one after it, or io.EOF
// at the tail.
func (r *reader) read() (Entry, error) {
	for r.at.seq >= r.limit {
		var err error
		if r.last {
			if err = r.bound(); err == nil && r.last && r.at.seq >= r.limit {
				err = io.EOF
			}
		} else if err = r.enter(r.number + 1); err != nil {
			err = fmt.Errorf("read on in the journal: %w", err)
		}
		if err != nil {
			return Entry{}, err
		}
	}
	e := Entry{At: r.pos()}
	payload, err := r.record()
	if err != nil {
		return Entry{}, err
	}
	e.Payload = append([]byte(nil), payload...)
	e.Next, e.Chain = r.pos(), r.at.chain
	return e, nil
}

// record returns the payload of the next record of this segment, which must be
// there, until the next call.
func (r *reader) record() ([]byte, error) {
	payload, st, err := r.next()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the journal: %w", err)
	case st == frameNone:
		return nil, &CorruptError{r.number, r.at.off, "a record is missing"}
	case st == frameTorn:
		return nil, &CorruptError{r.number, r.at.off, "a record does not check"}
	}
	return payload, nil
}

// remember keeps the running hash of the place where a reader stopped, so that
// the next one need not derive it again.
func (r *reader) remember() {
	j := r.j
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.id == r.id {
		j.marks[j.marked%len(j.marks)] = mark{r.pos(), r.at.chain}
		j.marked++
	}
}

func (r *reader) recall(pos Position) (chain [sha256.Size]byte, ok bool) {
	j := r.j
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range j.marks {
		if j.id == r.id && m.pos == pos {
			return m.chain, true
		}
	}
	return chain, false
}
