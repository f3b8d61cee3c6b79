package record

import (
	"bytes"
	"fmt"
	"strconv"
)

// Peek reads the kind and the id (member "rid") of a record without decoding the
// rest. It trusts nothing else about the bytes: only Decode says that a record is
// canonical.
func Peek(b []byte) (k Kind, rid string, err error) {
	k, id, err := peek(b)
	if err != nil || len(id) == 0 {
		return k, "", err
	}
	p := parser{s: string(id)}
	rid = p.text()
	return k, rid, p.end()
}

// peek finds the kind and the id, the latter still quoted, and checks the version.
func peek(b []byte) (k Kind, rid []byte, err error) {
	s := scanner{b: b}
	var kind, v []byte
	s.take('{')
	for more := true; more && s.bad == ""; {
		name := s.value()
		s.take(':')
		value := s.value()
		switch string(name) {
		case `"k"`:
			kind = value
		case `"rid"`:
			rid = value
		case `"v"`:
			v = value
		}
		if more = s.at(','); more {
			s.i++
		}
	}
	s.take('}')
	switch {
	case s.bad == "" && s.i != len(b):
		s.fail("trailing data")
	case s.bad == "" && (len(kind) < 2 || kind[0] != '"' || len(rid) > 0 && rid[0] != '"'):
		s.fail("no kind, or an id that is no text,")
	}
	if s.bad != "" {
		return "", nil, fmt.Errorf("decode record: %s", s.bad)
	}
	if string(v) != strconv.Itoa(version) {
		return "", nil, fmt.Errorf("decode record: version %.20q is not %d", v, version)
	}
	return kindOf(kind[1 : len(kind)-1]), rid, nil
}

// kindOf is the kind of a name, without a copy where it is a known one.
func kindOf(name []byte) Kind {
	for _, k := range [...]Kind{KindIntent, KindAttempt, KindOutcome} {
		if string(name) == string(k) {
			return k
		}
	}
	return Kind(name)
}

// scanner finds where the values of a JSON object begin and end.
type scanner struct {
	b   []byte
	i   int
	bad string // what was wrong; empty when nothing was
}

func (s *scanner) fail(why string) {
	if s.bad == "" {
		s.bad = why + " at byte " + strconv.Itoa(s.i)
	}
}

func (s *scanner) at(c byte) bool { return s.bad == "" && s.i < len(s.b) && s.b[s.i] == c }

func (s *scanner) take(c byte) {
	if !s.at(c) {
		s.fail("no " + strconv.QuoteRune(rune(c)))
		return
	}
	s.i++
}

// value moves past a value of any kind and returns its bytes.
func (s *scanner) value() []byte {
	start := s.i
	if s.bad == "" && start < len(s.b) {
		switch s.b[start] {
		case '"':
			s.text()
		case '{', '[':
			s.nested()
		default:
			s.atom()
		}
	}
	if s.i == start {
		s.fail("no value")
	}
	return s.b[start:s.i]
}

// nested moves past an object or an array.
func (s *scanner) nested() {
	start := s.i
	for depth := 0; s.bad == "" && s.i < len(s.b); {
		switch s.b[s.i] {
		case '"':
			s.text()
		case '{', '[':
			depth++
			s.i++
		case '}', ']':
			s.i++
			if depth--; depth == 0 {
				return
			}
		case ',', ':':
			s.i++
		default:
			s.atom()
		}
	}
	s.i = start
}

// atom moves past a number or a literal.
func (s *scanner) atom() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ',', ':', '}', ']', '"', '[', '{':
			return
		}
		s.i++
	}
}

// text moves past a string.
func (s *scanner) text() {
	s.i++
	for s.bad == "" {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			s.fail("a string without end")
			return
		}
		s.i += n + 1
		// The quote ends the string unless an odd number of backslashes is before it.
		slashes := 0
		for slashes < n && s.b[s.i-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return
		}
	}
}
