package wire

import (
	"math"
	"sync"

	"sallyport/internal/fault"
)

// MaxMembers is how many members one object of a request may have. It is far
// above any real request and bounds what the search for duplicates remembers.
const MaxMembers = 1 << 16

// MaxDepth is the deepest nesting that is ever accepted, whatever a limit allows;
// it bounds the stack. Answers, which echo parts of requests, have no other limit.
const MaxDepth = 1024

// Scan validates the whole body of a request as exactly one JSON object
// (RFC 8259) and finds the members of that object that names asks for: out[i]
// becomes the span of the value of the i-th name, or the zero Span when the
// member is absent. out must hold names.Len() spans; a nil names asks for none.
//
// Scan is stricter than most parsers, so that no two readers of the body can
// understand it differently. It refuses a byte-order mark, data after the object,
// invalid UTF-8, escapes of lone surrogates, unescaped control characters, two
// equal keys in one object at any depth (compared as decoded), nesting deeper
// than lim.Depth, objects with more than MaxMembers members and, when names is a
// guard, keys of the outermost object that differ from a name only in case.
//
// The error is a *fault.Error of kind BadRequest that holds a JSON pointer
// (RFC 6901) to the place; pointers are cut to the ancestor that fits in 256 bytes.
// Scan keeps no reference to its arguments and allocates nothing on success.
func Scan(body []byte, lim Limits, names *Names, out []Span) error {
	s := scanner{b: body, max: min(lim.Depth, MaxDepth), strict: true, room: rooms.Get().(*room)}
	defer s.room.release()
	if s.document(names, out) {
		return nil
	}
	e := fault.Newf(fault.BadRequest, "the request body %s (byte %d)", s.words(), s.at)
	e.Pointer = Pointer(body, s.upTo)
	return e
}

// ScanAnswer is Scan for what an upstream sent. It is as strict but for what a
// client's parser takes without harm: of equal keys the last counts, as in every
// common parser, and an escape may name half of a surrogate pair, which happens
// when a stream is cut within a character. Nesting is bounded by MaxDepth.
// The error is a *fault.Error of kind UpstreamInvalid.
func ScanAnswer(body []byte, names *Names, out []Span) error {
	s := scanner{b: body, max: MaxDepth}
	if s.document(names, out) {
		return nil
	}
	return fault.Newf(fault.UpstreamInvalid, "the upstream's answer %s (byte %d)", s.words(), s.at)
}

// Lookup finds members of an object inside a body that Scan or ScanAnswer has
// accepted; obj is the object's span. Of equal keys the last counts. It fails
// only when obj is not an object, or when names is a guard and a key differs from
// a name only in case; the error is like that of Scan.
func Lookup(body []byte, obj Span, names *Names, out []Span) error {
	s := scanner{b: body[:obj.End], max: math.MaxInt}
	clear(out[:names.Len()])
	if KindOf(body[obj.Start:obj.End]) != Object {
		s.fail(flawTop, obj.Start)
	} else if s.object(obj.Start, 0, names, out) >= 0 {
		return nil
	}
	e := fault.Newf(fault.BadRequest, "the request body %s (byte %d)", s.words(), s.at)
	e.Pointer = Pointer(body, s.upTo)
	return e
}

// Find is Lookup without demands: of a value that is no object it finds nothing.
func Find(body []byte, obj Span, names *Names, out []Span) {
	clear(out[:names.Len()])
	if KindOf(obj.Of(body)) == Object {
		s := scanner{b: body[:obj.End], max: math.MaxInt}
		s.object(obj.Start, 0, names, out)
	}
}

// flaw is why a text is refused.
type flaw uint8

const (
	sound flaw = iota
	flawMark
	flawTop
	flawTrailing
	flawEnd
	flawSyntax
	flawNumber
	flawControl
	flawEscape
	flawSurrogate
	flawUTF8
	flawDuplicate
	flawDepth
	flawMembers
	flawVariant
	flawSize
)

// flawWords complete a sentence that begins with what is refused.
var flawWords = [...]string{
	sound:         "is sound",
	flawMark:      "begins with a byte-order mark",
	flawTop:       "is not a JSON object where one is needed",
	flawTrailing:  "has data after its JSON object",
	flawEnd:       "ends within its JSON object",
	flawSyntax:    "is not valid JSON",
	flawNumber:    "has a number that is not valid JSON",
	flawControl:   "has an unescaped control character in a string",
	flawEscape:    "has an invalid escape in a string",
	flawSurrogate: "has half of a surrogate pair in a string",
	flawUTF8:      "is not valid UTF-8",
	flawDuplicate: "has the same key twice in one object",
	flawDepth:     "is nested too deeply",
	flawMembers:   "has an object with too many members",
	flawVariant:   "has a key that differs only in case from ",
	flawSize:      "is too large",
}

// scanner is one pass over a text. Its methods take the offset where something
// starts and return the offset after it, or -1 once fail has noted a flaw.
type scanner struct {
	b      []byte
	max    int   // deepest nesting
	strict bool  // refuse equal keys and lone surrogates; needs room
	room   *room // for the search for equal keys

	why     flaw
	at      int    // where the flaw is
	upTo    int    // what Pointer has to read to name the place
	variant string // the name that a key is a variant of
}

func (s *scanner) fail(why flaw, at int) int {
	s.why, s.at, s.upTo = why, at, at
	return -1
}

func (s *scanner) words() string {
	if s.why == flawVariant {
		return flawWords[s.why] + `"` + s.variant + `"`
	}
	return flawWords[s.why]
}

// document scans the whole text.
func (s *scanner) document(names *Names, out []Span) bool {
	b := s.b
	if names != nil {
		clear(out[:names.Len()])
	}
	if len(b) > math.MaxInt32 {
		s.fail(flawSize, 0)
		return false
	}
	if len(b) >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF {
		s.fail(flawMark, 0)
		return false
	}
	i := skip(b, 0)
	if i == len(b) {
		s.fail(flawEnd, i)
		return false
	}
	if b[i] != '{' {
		s.fail(flawTop, i)
		return false
	}
	if i = s.object(i, 1, names, out); i < 0 {
		return false
	}
	if i = skip(b, i); i < len(b) {
		s.fail(flawTrailing, i)
		return false
	}
	return true
}

// skip returns the offset of the first byte from i that is not white space.
func skip(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// value scans any JSON value; depth is that of the value itself.
func (s *scanner) value(i, depth int) int {
	b := s.b
	if i >= len(b) {
		return s.fail(flawEnd, i)
	}
	switch c := b[i]; c {
	case '"':
		end, _, why := scanString(b, i+1, !s.strict)
		if why != sound {
			return s.fail(why, end)
		}
		return end + 1
	case '{':
		return s.object(i, depth, nil, nil)
	case '[':
		return s.array(i, depth)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		if c == '-' || c-'0' <= 9 {
			return s.number(i)
		}
		return s.fail(flawSyntax, i)
	}
}

func (s *scanner) literal(i int, word string) int {
	end := min(i+len(word), len(s.b))
	switch string(s.b[i:end]) {
	case word:
		return end
	case word[:end-i]:
		return s.fail(flawEnd, end)
	}
	return s.fail(flawSyntax, i)
}

// number scans a number as RFC 8259 section 6 has it.
func (s *scanner) number(i int) int {
	b, start := s.b, i
	if b[i] == '-' {
		i++
	}
	first := i
	i = digits(b, i)
	if i == first || b[first] == '0' && i > first+1 {
		return s.fail(flawNumber, start)
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = digits(b, from); i == from {
			return s.fail(flawNumber, start)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		from := i + 1
		if from < len(b) && (b[from] == '+' || b[from] == '-') {
			from++
		}
		if i = digits(b, from); i == from {
			return s.fail(flawNumber, start)
		}
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func (s *scanner) array(i, depth int) int {
	if depth > s.max {
		return s.fail(flawDepth, i)
	}
	b := s.b
	i = skip(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth+1); i < 0 {
			return -1
		}
		if i = skip(b, i); i >= len(b) {
			return s.fail(flawEnd, i)
		}
		switch b[i] {
		case ']':
			return i + 1
		case ',':
			i = skip(b, i+1)
		default:
			return s.fail(flawSyntax, i)
		}
	}
}

// object scans an object; with names it notes the members that are asked for.
func (s *scanner) object(i, depth int, names *Names, out []Span) int {
	if depth > s.max {
		return s.fail(flawDepth, i)
	}
	b := s.b
	i = skip(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	var base int
	if s.strict {
		base = len(s.room.keys)
	}
	for {
		if i >= len(b) {
			return s.fail(flawEnd, i)
		}
		if b[i] != '"' {
			return s.fail(flawSyntax, i)
		}
		start := i + 1
		end, traits, why := scanString(b, start, !s.strict)
		if why != sound {
			return s.fail(why, end)
		}
		slot := -1
		if s.strict || names != nil {
			if slot = s.key(base, start, end, traits, names); slot == refused {
				s.upTo = end + 1
				return -1
			}
		}
		if i = skip(b, end+1); i >= len(b) {
			return s.fail(flawEnd, i)
		}
		if b[i] != ':' {
			return s.fail(flawSyntax, i)
		}
		from := skip(b, i+1)
		if i = s.value(from, depth+1); i < 0 {
			return -1
		}
		if slot >= 0 {
			out[slot] = Span{from, i}
		}
		if i = skip(b, i); i >= len(b) {
			return s.fail(flawEnd, i)
		}
		switch b[i] {
		case '}':
			if s.strict {
				s.room.close(base)
			}
			return i + 1
		case ',':
			i = skip(b, i+1)
		default:
			return s.fail(flawSyntax, i)
		}
	}
}

// refused is a slot that says that fail has been called.
const refused = -2

// key judges one key of an object: its slot in names, -1 when it is not asked
// for, refused when it is a duplicate or a variant. The key's text lies between
// start and end.
func (s *scanner) key(base, start, end int, traits traits, names *Names) int {
	text, off := s.b[start:end], uint32(start)
	if traits&escaped != 0 {
		text, off = s.decodedKey(text)
		traits |= high // it may decode to anything
	}
	m := mark(text)
	if s.strict {
		if why := s.room.admit(s.b, base, key{m, off, uint32(len(text))}, text); why != sound {
			s.fail(why, start-1)
			return refused
		}
	}
	if names == nil {
		return -1
	}
	slot, variant := names.match(text, m, traits&high != 0)
	if variant != "" {
		s.variant = variant
		s.fail(flawVariant, start-1)
		return refused
	}
	return slot
}

// decodedKey decodes a key with escapes. Where equal keys are looked for, the
// text stays in the room for as long as the scan lasts, and off says where.
func (s *scanner) decodedKey(raw []byte) (text []byte, off uint32) {
	if !s.strict {
		return appendDecoded(nil, raw), 0
	}
	from := len(s.room.decoded)
	s.room.decoded = appendDecoded(s.room.decoded, raw)
	return s.room.decoded[from:], uint32(from) | inRoom
}

// rooms are reused between scans.
var rooms = sync.Pool{New: func() any { return &room{keys: make([]key, 0, 64)} }}
