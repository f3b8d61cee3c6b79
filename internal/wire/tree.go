package wire

import (
	"bytes"
	"iter"
	"strings"

	"sallyport/internal/llm"
)

// Value is one JSON value inside a body that Scan or ScanAnswer has accepted. The
// zero Value is absent.
type Value struct {
	body []byte
	Span
}

// Root is the outermost object of a body.
func Root(body []byte) Value { return Value{body, Span{skip(body, 0), len(body)}} }

// Lit is the value as it stands in the body; empty when it is absent.
func (v Value) Lit() llm.Lit { return v.Of(v.body) }

// Kind tells the sort of the value.
func (v Value) Kind() Kind { return KindOf(v.Lit()) }

// Given reports whether the value is there and not null.
func (v Value) Given() bool { return v.Kind() > Null }

// Refuse is the error of a request that cannot be translated because of this
// value: a *fault.Error of kind BadRequest with a pointer to it.
func (v Value) Refuse(why string) error { return Refuse(Pointer(v.body, v.Start), why) }

// String decodes a string; of another kind it is "". It is for names and ids, not
// for texts, which are carried as they stand.
func (v Value) String() string {
	s, _ := Text(v.Lit(), len(v.Lit()))
	return s
}

// Is reports whether the value is the string s.
func (v Value) Is(s string) bool { return spells(v.Lit(), s) }

// spells reports whether a literal is the string s.
func spells(lit []byte, s string) bool {
	raw, ok := inner(lit)
	if ok && bytes.IndexByte(raw, '\\') >= 0 {
		return string(appendDecoded(nil, raw)) == s
	}
	return ok && string(raw) == s
}

// Int is the value as an integer that is not negative; 0 when it is not one.
func (v Value) Int() int64 {
	n, _ := Int(v.Lit())
	return max(n, 0)
}

// Elements yields the elements of an array.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		for s := range Elements(v.body, v.Span) {
			if !yield(Value{v.body, s}) {
				return
			}
		}
	}
}

// Fields opens an object. A value of another kind has no members, but is itself
// what remains.
func (v Value) Fields() *Fields {
	f := &Fields{body: v.body}
	f.members = f.few[:0]
	if v.Kind() != Object {
		f.members = append(f.members, member{value: v.Span})
	}
	for key, value := range Members(v.body, v.Span) {
		f.members = append(f.members, member{key: key, value: value})
	}
	return f
}

// Fields are the members of an object that is being read. They know which of them
// were not taken, so that whoever translates it cannot lose one without a word.
type Fields struct {
	body    []byte
	members []member
	few     [8]member // memory for the members of most objects
}

type member struct {
	key, value Span
	name       string // in camelCase, after Camel; until then the key says it
	taken      bool
}

// Take returns a member; it is absent when there is none. Of equal names the last
// counts.
func (f *Fields) Take(name string) (v Value) {
	for i := range f.members {
		if m := &f.members[i]; m.name == name || m.name == "" && spells(m.key.Of(f.body), name) {
			m.taken = true
			v = Value{f.body, m.value}
		}
	}
	return v
}

// Camel gives members that are spelt in snake_case their name in camelCase: the
// JSON form of protocol buffers takes both for the same. It refuses an object that
// has a member in both spellings.
func (f *Fields) Camel() error {
	seen := make(map[string]bool, len(f.members))
	for i := range f.members {
		m := &f.members[i]
		m.name = camel(f.name(m))
		if seen[m.name] {
			return Value{f.body, m.value}.Refuse("this member is given in two spellings")
		}
		seen[m.name] = true
	}
	return nil
}

// camel is a name in camelCase.
func camel(name string) string {
	first, rest, snake := strings.Cut(name, "_")
	for snake {
		var word string
		word, rest, snake = strings.Cut(rest, "_")
		if word != "" {
			first += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return first
}

// name is what a member is called.
func (f *Fields) name(m *member) string {
	if m.name != "" {
		return m.name
	}
	name, _ := Text(m.key.Of(f.body), m.key.End-m.key.Start)
	return name
}

// Rest yields the members that were not taken and are not null.
func (f *Fields) Rest() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := range f.members {
			m := &f.members[i]
			if v := (Value{f.body, m.value}); !m.taken && v.Given() && !yield(f.name(m), v) {
				return
			}
		}
	}
}

// Need checks the kind of a member that must be there.
func (v Value) Need(k Kind, in Value, name string) error {
	if v.Kind() == Absent {
		return in.Refuse("this needs a member " + name)
	}
	return v.May(k)
}

// kindNames are what the kinds are called in errors.
var kindNames = [...]string{Absent: "absent", Null: "null", Bool: "true or false", Number: "a number", String: "a string", Array: "an array", Object: "an object"}

// May checks the kind of a member that may be absent or null.
func (v Value) May(k Kind) error {
	if got := v.Kind(); got > Null && got != k {
		return v.Refuse("this must be " + kindNames[k])
	}
	return nil
}

// Maybe is the literal of a value, or nil when it is absent or null.
func (v Value) Maybe() llm.Lit {
	if !v.Given() {
		return nil
	}
	return v.Lit()
}

// Join appends string literals to one literal: their texts one after the other.
func Join(dst []byte, lits ...llm.Lit) []byte {
	dst = append(dst, '"')
	for _, lit := range lits {
		if len(lit) >= 2 {
			dst = append(dst, lit[1:len(lit)-1]...)
		}
	}
	return append(dst, '"')
}

// Quote is s as a string literal.
func Quote(s string) llm.Lit { return AppendString(make([]byte, 0, len(s)+2), s) }

// Unquote is the text of a string literal of any length.
func Unquote(lit llm.Lit) []byte {
	if KindOf(lit) != String {
		return nil
	}
	return appendDecoded(make([]byte, 0, len(lit)), lit[1:len(lit)-1])
}

// Valid reports whether b is one JSON object, as strictly as an answer is read.
func Valid(b []byte) bool { return ScanAnswer(b, nil, nil) == nil }

// Base64 checks that a string is base64 (RFC 4648 section 4) and not empty.
func Base64(v Value) error {
	if raw, ok := inner(v.Lit()); !ok || !isBase64(raw) {
		return v.Refuse("this must be a string of base64")
	}
	return nil
}

// AnyBase64 is Base64 for the JSON form of protocol buffers, which also takes the
// alphabet for URLs and leaves padding out (RFC 4648 section 5). It returns the
// text in the standard form.
func AnyBase64(v Value) (llm.Lit, error) {
	raw, ok := inner(v.Lit())
	if !ok {
		return nil, v.Refuse("this must be a string of base64")
	}
	if isBase64(raw) {
		return v.Lit(), nil
	}
	plain := []byte{'"'}
	for _, c := range raw {
		switch c {
		case '-':
			c = '+'
		case '_':
			c = '/'
		}
		plain = append(plain, c)
	}
	for (len(plain)-1-bytes.Count(plain, []byte{'\\'}))%4 != 0 {
		plain = append(plain, '=')
	}
	if !isBase64(plain[1:]) {
		return nil, v.Refuse("this must be a string of base64")
	}
	return append(plain, '"'), nil
}

// inner is what stands between the quotes of a string literal.
func inner(lit llm.Lit) (raw []byte, ok bool) {
	if KindOf(lit) != String {
		return nil, false
	}
	return lit[1 : len(lit)-1], true
}

// isBase64 reports whether the text of a string literal is base64; slashes may be
// escaped, as some encoders do.
func isBase64(raw []byte) bool {
	n := 0
	for i := range raw {
		switch c := raw[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '/':
		case c == '\\' && i+1 < len(raw) && raw[i+1] == '/':
			continue
		case c == '=' && i >= len(raw)-2 && raw[len(raw)-1] == '=':
		default:
			return false
		}
		n++
	}
	return n > 0 && n%4 == 0
}

// DataURL takes a data URL apart (RFC 2397); ok is false when it is another URL.
// The data is a string literal of base64.
func DataURL(v Value) (mimeType string, data llm.Lit, ok bool, err error) {
	raw, _ := inner(v.Lit())
	if len(raw) < 5 || !bytes.EqualFold(raw[:5], []byte("data:")) {
		return "", nil, false, nil
	}
	head, body, found := bytes.Cut(raw[5:], []byte{','})
	kind, encoded := bytes.CutSuffix(head, []byte(";base64"))
	if !found || !encoded || !isBase64(body) {
		return "", nil, true, v.Refuse("a data URL must hold base64")
	}
	mimeType = string(appendDecoded(nil, kind))
	if !IsMIME(mimeType) {
		return "", nil, true, v.Refuse("the media type of this data URL is not valid")
	}
	return mimeType, Join(make([]byte, 0, len(body)+2), raw[len(raw)-len(body)-1:len(raw)+1]), true, nil
}

// IsMIME reports whether a media type is one that goes into a request as it is.
func IsMIME(s string) bool {
	kind, sub, ok := strings.Cut(s, "/")
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-+.", c)
	}
	return ok && kind != "" && sub != "" && len(s) < 128 && !strings.ContainsFunc(kind+sub, func(c rune) bool { return !plain(c) })
}
