package wire

import (
	"bytes"
	"iter"
	"strconv"
	"unicode/utf8"
)

// Kind is what sort of JSON value a literal is.
type Kind uint8

// The kinds of JSON value. The zero value stands for a member that is absent.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// KindOf tells the kind of a scanned literal; an empty one is Absent.
func KindOf(lit []byte) Kind {
	if len(lit) == 0 {
		return Absent
	}
	switch lit[0] {
	case 'n':
		return Null
	case 't', 'f':
		return Bool
	case '"':
		return String
	case '[':
		return Array
	case '{':
		return Object
	}
	return Number
}

// Of returns the bytes of the span in the body it was found in; they are empty
// for the zero Span.
func (s Span) Of(body []byte) []byte { return body[s.Start:s.End] }

// Filled reports whether a scanned literal is a string, array or object that
// holds anything.
func Filled(lit []byte) bool {
	switch KindOf(lit) {
	case String:
		return len(lit) > 2
	case Array, Object:
		i := skip(lit, 1)
		return lit[i] != ']' && lit[i] != '}'
	}
	return false
}

// Text decodes a scanned string literal, whole or cut to at most limit bytes at a
// character. A literal of another kind gives "" and is not whole. Half a
// surrogate pair becomes U+FFFD.
func Text(lit []byte, limit int) (text string, whole bool) {
	if KindOf(lit) != String {
		return "", false
	}
	raw := lit[1 : len(lit)-1]
	if len(raw) <= limit && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	// No escape is longer than six bytes for each byte of its text, so this much
	// decodes to more than limit bytes, and what the cut breaks is cut off below.
	if cut := 6*limit + 64; len(raw) > cut {
		raw = raw[:cut]
		for i := cut - 1; i > cut-7; i-- { // leave no part of an escape
			if raw[i] == '\\' {
				raw = raw[:wholeEscapes(raw)]
				break
			}
		}
	}
	whole = len(raw) == len(lit)-2
	decoded := appendDecoded(make([]byte, 0, min(len(raw), limit+utf8.UTFMax)), raw)
	if len(decoded) > limit {
		decoded, whole = cutText(decoded, limit), false
	}
	return string(decoded), whole
}

// wholeEscapes returns how much of a cut string holds no part of an escape.
func wholeEscapes(raw []byte) int {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		n := 2
		if i+1 < len(raw) && raw[i+1] == 'u' {
			n = 6
		}
		if i+n > len(raw) {
			return i
		}
		i += n - 1
	}
	return len(raw)
}

// cutText cuts text to at most limit bytes without breaking a character.
func cutText(text []byte, limit int) []byte {
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// Bounded returns a copy of a literal in dst's memory, cut to at most limit bytes
// at a character. It is for keeping hostile text as evidence.
func Bounded(dst, lit []byte, limit int) []byte {
	if len(lit) > limit {
		lit = cutText(lit, limit)
	}
	return append(dst[:0], lit...)
}

// True reports whether a scanned literal is true.
func True(lit []byte) bool { return len(lit) > 0 && lit[0] == 't' }

// Int reads a scanned literal as an integer. It refuses everything that is not
// written as one: fractions, exponents, and what does not fit.
func Int(lit []byte) (int64, bool) {
	if KindOf(lit) != Number {
		return 0, false
	}
	if len(lit) > 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(lit), 10, 64)
	return n, err == nil
}

// Elements yields the spans of the elements of an array inside a body that Scan
// or ScanAnswer has accepted. For another kind of value it yields nothing.
func Elements(body []byte, array Span) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		if KindOf(array.Of(body)) != Array {
			return
		}
		b := body[:array.End]
		for i := skip(b, array.Start+1); i < len(b) && b[i] != ']'; {
			end := past(b, i)
			if end < 0 || !yield(Span{i, end}) {
				return
			}
			if i = skip(b, end); i < len(b) && b[i] == ',' {
				i = skip(b, i+1)
			}
		}
	}
}

// Members yields the spans of the keys, as string literals, and of the values of
// an object inside a body that Scan or ScanAnswer has accepted. For another kind
// of value it yields nothing.
func Members(body []byte, object Span) iter.Seq2[Span, Span] {
	return func(yield func(key, value Span) bool) {
		if KindOf(object.Of(body)) != Object {
			return
		}
		b := body[:object.End]
		for i := skip(b, object.Start+1); i < len(b) && b[i] != '}'; {
			key := Span{i, past(b, i)}
			if key.End < 0 {
				return
			}
			from := skip(b, skip(b, key.End)+1)
			end := past(b, from)
			if end < 0 || !yield(key, Span{from, end}) {
				return
			}
			if i = skip(b, end); i < len(b) && b[i] == ',' {
				i = skip(b, i+1)
			}
		}
	}
}

// past returns the offset behind the value at i, or -1 when the text ends within
// it. The text has been accepted, so that nothing is checked again: values are read
// once at each level that they are nested in.
func past(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			if i = pastString(b, i+1); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
			continue
		default: // a number or a word
			for i++; i < len(b) && (b[i] == '.' || b[i] == '-' || b[i] == '+' || b[i]-'0' <= 9 || b[i]|0x20-'a' < 26); {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return -1
}

// pastString is past for a string, from behind its opening quote.
func pastString(b []byte, i int) int {
	for from := i; ; i++ {
		at := bytes.IndexByte(b[i:], '"')
		if at < 0 {
			return -1
		}
		i += at
		slashes := 0
		for i-slashes > from && b[i-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
}
