package wire

import (
	"strconv"

	"sallyport/internal/llm"
)

// Builder writes JSON: members and elements in the order of the calls, commas
// between them. The zero Builder is ready for use; a Builder keeps no reference to
// what it was given.
type Builder struct {
	b     []byte
	first bool // the next member or element is the first of its object or array
}

// NewBuilder returns a builder that appends to dst.
func NewBuilder(dst []byte) *Builder { return &Builder{b: dst, first: true} }

// Bytes is what was written.
func (w *Builder) Bytes() []byte { return w.b }

func (w *Builder) comma() {
	if !w.first {
		w.b = append(w.b, ',')
	}
	w.first = false
}

// Key begins a member; exactly one value follows. Keys are written by us and need
// no escapes.
func (w *Builder) Key(name string) *Builder {
	w.comma()
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
	w.first = true
	return w
}

// Name is Key for a key of any text.
func (w *Builder) Name(name string) *Builder {
	w.comma()
	w.b = append(AppendString(w.b, name), ':')
	w.first = true
	return w
}

// Open begins an object as an element, or as the value of a key.
func (w *Builder) Open() *Builder { return w.open('{') }

// List begins an array as an element, or as the value of a key.
func (w *Builder) List() *Builder { return w.open('[') }

func (w *Builder) open(c byte) *Builder {
	w.comma()
	w.b = append(w.b, c)
	w.first = true
	return w
}

// Close ends the object that was begun last.
func (w *Builder) Close() *Builder { return w.end('}') }

// EndList ends the array that was begun last.
func (w *Builder) EndList() *Builder { return w.end(']') }

func (w *Builder) end(c byte) *Builder {
	w.b = append(w.b, c)
	w.first = false
	return w
}

// Lit writes a JSON value as it is; null when it is empty.
func (w *Builder) Lit(lit llm.Lit) *Builder {
	w.comma()
	if len(lit) == 0 {
		w.b = append(w.b, "null"...)
		return w
	}
	w.b = append(w.b, lit...)
	return w
}

// Str writes a string.
func (w *Builder) Str(s string) *Builder {
	w.comma()
	w.b = AppendString(w.b, s)
	return w
}

// Text writes a text as a string literal; what it holds need not be valid UTF-8.
func (w *Builder) Text(text []byte) *Builder { return w.Str(string(text)) }

// Int writes a number.
func (w *Builder) Int(n int64) *Builder {
	w.comma()
	w.b = strconv.AppendInt(w.b, n, 10)
	return w
}

// Bool writes true or false.
func (w *Builder) Bool(t bool) *Builder {
	w.comma()
	w.b = strconv.AppendBool(w.b, t)
	return w
}

// Null writes null.
func (w *Builder) Null() *Builder { return w.Lit(nil) }

// Member writes a member with a literal, unless there is none.
func (w *Builder) Member(name string, lit llm.Lit) *Builder {
	if len(lit) > 0 {
		w.Key(name).Lit(lit)
	}
	return w
}

// StrMember writes a member with a string.
func (w *Builder) StrMember(name, s string) *Builder { return w.Key(name).Str(s) }
