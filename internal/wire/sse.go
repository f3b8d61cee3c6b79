package wire

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrEventTooLarge says that an event of a stream exceeds the splitter's limit.
var ErrEventTooLarge = errors.New("server-sent event exceeds its size limit")

// Event is one block of a server-sent event stream: everything up to and with the
// blank line that ends it. Blocks that a client would not dispatch (comments,
// stray blank lines) are events as well, so that no byte is lost. The slices are
// valid until the splitter is used again.
type Event struct {
	Raw  []byte // the bytes as they came, line endings and blank line included
	Name []byte // value of the last event field; empty when there is none
	Data []byte // values of the data fields, joined by line feeds
}

// Splitter cuts a stream into events as the WHATWG HTML standard, section 9.2.6,
// has it: lines end in LF, CRLF or CR, a leading byte-order mark is passed over,
// comments and unknown fields are ignored but stay in Raw. The Raw of all events
// followed by Rest is the stream as it came, however it was cut into chunks, and
// so are the events themselves. Use:
//
//	s.Feed(chunk)
//	for s.Next() {
//		... s.Event() ...
//	}
//	if err := s.Err(); err != nil { ... }
//
// and at the end of the stream End instead of Feed, then Rest. A Splitter is not
// safe for concurrent use. It copies only what lies across chunks.
type Splitter struct {
	limit  int
	feed   []byte // bytes not yet given out: of the chunk, or of kept
	kept   []byte // what earlier chunks left over
	whole  bool   // feed is all of kept
	line   int    // offset in feed where the line being looked at begins
	look   int    // offset in feed up to which that line has been searched
	lf     int    // offset in feed before which, from look on, there is no LF
	begun  bool   // the start of the stream has been looked at for a mark
	marked bool   // the next event begins with the byte-order mark
	ended  bool
	event  Event
	joined []byte // memory for data of several lines
	err    error
}

// NewSplitter returns a splitter for events of at most limit bytes.
func NewSplitter(limit int) *Splitter { return &Splitter{limit: limit} }

// Feed adds the next bytes of the stream. The splitter refers to them until Next
// has returned false, which must happen before the next Feed.
func (s *Splitter) Feed(chunk []byte) {
	if len(s.kept) == 0 {
		s.feed, s.whole = chunk, false
		return
	}
	s.kept = append(s.kept, chunk...)
	s.feed, s.whole = s.kept, true
}

// End tells that the stream is over: an event whose last byte is a CR, which an
// LF could have followed, now becomes available.
func (s *Splitter) End() {
	s.ended = true
	s.feed, s.whole = s.kept, true
}

// Rest is what lies behind the last event: an event that was not ended, which
// clients discard. It is valid until the splitter is used again.
func (s *Splitter) Rest() []byte { return s.kept }

// Event is the event that the last Next found.
func (s *Splitter) Event() Event { return s.event }

// Err is why Next returned false: nil when it needs more bytes, else an error
// that wraps ErrEventTooLarge.
func (s *Splitter) Err() error { return s.err }

// Next moves to the next whole event.
func (s *Splitter) Next() bool {
	if s.err != nil {
		return false
	}
	if !s.begun && !s.begin() {
		s.keep()
		return false
	}
	end := s.search()
	if end > s.limit || end < 0 && len(s.feed) > s.limit {
		s.err = fmt.Errorf("%w of %d bytes", ErrEventTooLarge, s.limit)
		s.keep()
		return false
	}
	if end < 0 {
		s.keep()
		return false
	}
	raw := s.feed[:end:end]
	s.feed, s.whole = s.feed[end:], false
	s.parse(raw)
	s.line, s.look, s.lf = 0, 0, max(s.lf-end, 0)
	return true
}

const byteOrderMark = "\xEF\xBB\xBF"

// begin looks for a byte-order mark. It reports false while there are too few
// bytes to tell.
func (s *Splitter) begin() bool {
	n := min(len(s.feed), len(byteOrderMark))
	if string(s.feed[:n]) == byteOrderMark[:n] {
		if n < len(byteOrderMark) {
			return false
		}
		s.marked = true
		s.line, s.look = n, n
	}
	s.begun = true
	return true
}

// search returns the offset behind the blank line that ends the event, or -1.
func (s *Splitter) search() int {
	for {
		end, next := s.lineEnd()
		if next < 0 {
			return -1
		}
		blank := end == s.line
		s.line, s.look = next, next
		if blank {
			return next
		}
	}
}

// lineEnd finds where the line from s.line on ends and the next begins. next is
// -1 while that is not known.
func (s *Splitter) lineEnd() (end, next int) {
	s.lf = nextLF(s.feed, s.look, s.lf)
	if r := bytes.IndexByte(s.feed[s.look:s.lf], '\r'); r >= 0 {
		end = s.look + r
		switch {
		case end+1 < len(s.feed) && s.feed[end+1] == '\n':
			return end, end + 2
		case end+1 < len(s.feed) || s.ended:
			return end, end + 1
		}
		s.look = end // whether an LF follows is not known yet
		return 0, -1
	}
	if s.lf == len(s.feed) {
		s.look = s.lf
		return 0, -1
	}
	return s.lf, s.lf + 1
}

// nextLF returns the offset of the first LF from look on, or len(b). known is an
// earlier answer, so that a text of many CRs is not searched over and over.
func nextLF(b []byte, look, known int) int {
	from := max(look, known)
	if from < len(b) && b[from] != '\n' {
		if n := bytes.IndexByte(b[from:], '\n'); n >= 0 {
			return from + n
		}
		return len(b)
	}
	return from
}

// keep remembers what Next could not use.
func (s *Splitter) keep() {
	if s.whole {
		return
	}
	if len(s.feed) == 0 && cap(s.kept) > 1<<16 {
		s.kept = nil // one large event should not hold memory for the whole stream
	}
	s.kept = append(s.kept[:0], s.feed...)
	s.feed, s.whole = s.kept, true
}

// parse reads the fields of one event.
func (s *Splitter) parse(raw []byte) {
	s.event = Event{Raw: raw}
	at, lf := 0, 0
	if s.marked {
		at, s.marked = len(byteOrderMark), false
	}
	var data int // how many data fields
	for at < len(raw) {
		start := at
		lf = nextLF(raw, start, lf)
		line := raw[start:lf]
		at = lf + 1
		if r := bytes.IndexByte(line, '\r'); r >= 0 {
			line, at = line[:r], start+r+1
			if at < len(raw) && raw[at] == '\n' {
				at++
			}
		}
		field, value, _ := bytes.Cut(line, []byte{':'})
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
		}
		switch string(field) {
		case "event":
			s.event.Name = value
		case "data":
			if data++; data == 1 {
				s.event.Data = value
				continue
			}
			if data == 2 {
				s.joined = append(s.joined[:0], s.event.Data...)
			}
			s.joined = append(append(s.joined, '\n'), value...)
			s.event.Data = s.joined
		}
	}
	if cap(s.joined) > 1<<16 && data < 2 {
		s.joined = nil
	}
}
