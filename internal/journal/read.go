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
// reader gets there. The zero Position is the oldest record that is kept. Damage
// and unknown positions end the sequence with an error.
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
				j.remember(r.pos(), r.at.chain)
				return
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !yield(e, nil) {
				j.remember(r.pos(), r.at.chain)
				return
			}
		}
	}
}

// Chain is the running hash at a position, or ErrUnknownPosition when the
// position is not between two records of this journal.
func (j *Journal) Chain(pos Position) ([sha256.Size]byte, error) {
	r, err := j.reader(pos)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	defer r.close()
	return r.at.chain, nil
}

// Wait returns when there is a record after pos, or with ctx's error.
func (j *Journal) Wait(ctx context.Context, pos Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiters++
	defer func() { j.waiters-- }()
	for j.tail.seq <= pos.Seq {
		if j.closed {
			return fmt.Errorf("%w: closed", ErrUnavailable)
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
	return nil
}

// Forget removes the segments that lie wholly before pos and were last written
// longer ago than Config.Keep.
func (j *Journal) Forget(pos Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	ns, err := j.numbers()
	if err != nil {
		return err
	}
	open := j.cur.number
	for _, s := range j.old {
		open = min(open, s.number)
	}
	for _, n := range ns {
		if n >= pos.Segment || n >= open {
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

// reader walks the records of consecutive segments.
type reader struct {
	j      *Journal
	f      file
	number uint64
	at     state
	limit  uint64 // sequence number that ends what may be read of this segment
	last   bool   // this was the segment in use when limit was taken
	buf    []byte // of the present segment, from base on
	base   int64
}

// reader opens the segment of a position and finds the running hash there.
func (j *Journal) reader(from Position) (*reader, error) {
	if from == (Position{}) {
		ns, err := j.numbers()
		if err != nil {
			return nil, err
		}
		if len(ns) == 0 {
			return nil, ErrUnknownPosition
		}
		r := &reader{j: j}
		return r, r.enter(ns[0])
	}
	r := &reader{j: j}
	if err := r.enter(from.Segment); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrUnknownPosition
		}
		return nil, err
	}
	if chain, ok := j.recall(from); ok {
		r.at = state{from.Seq, from.Offset, chain}
		return r, nil
	}
	for r.at.off < from.Offset {
		_, err := r.readHere()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.close()
			return nil, err
		}
	}
	if r.pos() != from {
		r.close()
		return nil, ErrUnknownPosition
	}
	return r, nil
}

func (r *reader) pos() Position { return Position{r.at.seq, r.number, r.at.off} }

// enter opens a segment; the one before must have ended where it begins.
func (r *reader) enter(number uint64) error {
	f, err := r.j.cfg.open(r.j.path(number), false)
	if err != nil {
		return err
	}
	id, s, err := readHeader(f, number)
	if err != nil {
		f.Close()
		return err
	}
	if id != r.j.ID() {
		f.Close()
		return &CorruptError{number, 12, "it belongs to another journal"}
	}
	if r.f != nil && (s.first != r.at.seq || s.chain != r.at.chain) {
		f.Close()
		return &CorruptError{number, 12 + idSize, "it does not continue the segment before it"}
	}
	r.close()
	r.f, r.number = f, number
	r.at = state{s.first, headerSize, s.chain}
	r.buf, r.base = r.buf[:0], headerSize
	return r.bound()
}

// bound finds where the records of the present segment end: at the tail, or where
// the next segment begins. A sealed segment may hold more than that: what a
// failed write left.
func (r *reader) bound() error {
	tail := r.j.Tail()
	if r.last = r.number >= tail.Segment; r.last {
		r.limit = tail.Seq
		return nil
	}
	f, err := r.j.cfg.open(r.j.path(r.number+1), false)
	if err != nil {
		return err
	}
	defer f.Close()
	_, next, err := readHeader(f, r.number+1)
	r.limit = next.first
	return err
}

func (r *reader) close() {
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
}

// read returns the next record, in this segment or the one after it, or io.EOF
// at the tail.
func (r *reader) read() (Entry, error) {
	for {
		e, err := r.readHere()
		if !errors.Is(err, io.EOF) {
			return e, err
		}
		if r.last {
			if err := r.bound(); err != nil {
				return e, err
			}
			if r.last && r.at.seq >= r.limit {
				return e, io.EOF
			}
			continue
		}
		if err := r.enter(r.number + 1); err != nil {
			return e, fmt.Errorf("read on in the journal: %w", err)
		}
	}
}

// readHere returns the next record of this segment, or io.EOF when it has no more.
func (r *reader) readHere() (Entry, error) {
	if r.at.seq >= r.limit {
		return Entry{}, io.EOF
	}
	payload, st, err := r.frame()
	switch {
	case err != nil:
		return Entry{}, fmt.Errorf("read the journal: %w", err)
	case st == frameNone:
		return Entry{}, &CorruptError{r.number, r.at.off, "a record is missing"}
	case st == frameTorn:
		return Entry{}, &CorruptError{r.number, r.at.off, "a record does not check"}
	}
	e := Entry{At: r.pos(), Payload: append([]byte(nil), payload...)}
	r.at = state{r.at.seq + 1, r.at.off + frameHeader + int64(len(payload)), link(r.at.chain, payload)}
	e.Next, e.Chain = r.pos(), r.at.chain
	return e, nil
}

// readAhead is how much of a segment is read at once.
const readAhead = 256 << 10

// frame parses the frame at the present place, reading more of the file when
// what is at hand does not hold it whole.
func (r *reader) frame() ([]byte, frameState, error) {
	have := r.buf[min(int64(len(r.buf)), r.at.off-r.base):]
	payload, st := parseFrame(have, r.at.seq)
	if st == frameWhole {
		return payload, st, nil
	}
	for _, size := range []int{readAhead, frameHeader + MaxPayload} {
		if cap(r.buf) < size {
			r.buf = make([]byte, size)
		}
		n, err := r.f.ReadAt(r.buf[:size], r.at.off)
		if ignoreEOF(err) != nil {
			return nil, frameTorn, err
		}
		r.buf, r.base = r.buf[:n], r.at.off
		if payload, st = parseFrame(r.buf, r.at.seq); st != frameTorn {
			break
		}
	}
	return payload, st, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// remember keeps the running hash of a place where a reader stopped, so that the
// next one need not derive it again.
func (j *Journal) remember(pos Position, chain [sha256.Size]byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.marks[j.marked%len(j.marks)] = mark{pos, chain}
	j.marked++
}

func (j *Journal) recall(pos Position) ([sha256.Size]byte, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range j.marks {
		if m.pos == pos && pos != (Position{}) {
			return m.chain, true
		}
	}
	return [sha256.Size]byte{}, false
}
