package wire

import (
	"bytes"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds on a form. They are far above any real one.
const (
	maxParts      = 256
	maxPartHeader = 8 << 10 // bytes of the header of one part
	MaxField      = 1 << 10 // bytes of a field that is read
)

// Form reads a multipart/form-data body (RFC 7578) piece by piece and remembers
// where some of its fields stand. It keeps none of the rest.
//
// It is stricter than most parsers, so that no two readers of the body can
// understand it differently. It refuses text before the first and behind the last
// delimiter, lines that end in anything but CR LF around and within headers, lines
// of content that a lenient parser would take for a delimiter, folded or repeated
// headers, transfer encodings, nested multiparts, quotation marks within quoted
// parameters, extended field names; and, of the fields that it reads, a second
// one, one that is a file, and names that some parser could take for theirs.
// Errors are *fault.Error of kind BadRequest.
type Form struct {
	delim  []byte // "--" and the boundary
	names  []string
	fields map[string]Field
	buf    []byte // what is not understood yet stands from pos on
	pos    int
	at     int // offset of that in the body
	state  formState
	parts  int
	name   string // of the part that is being read, when it is one of names
	start  int    // of its content
	value  []byte
	err    error
}

// Field is a field of a form that was read.
type Field struct {
	Value []byte
	Span  Span // of the content in the body
}

type formState uint8

const (
	formOpens   formState = iota // before the first delimiter
	formBreaks                   // behind a delimiter
	formHeader                   // within the header of a part
	formContent                  // within its content
	formEnds                     // behind the last delimiter
)

// Boundary reads the boundary of a form from its content type; false means that
// this is not the content type of a form (RFC 2046 section 5.1.1).
func Boundary(contentType string) (string, bool) {
	t, params, err := mime.ParseMediaType(contentType)
	b := params["boundary"]
	if err != nil || t != "multipart/form-data" || b == "" || len(b) > 70 || b[len(b)-1] == ' ' {
		return "", false
	}
	for i := range len(b) {
		if c := b[i]; !isAlphanumeric(c) && !strings.ContainsRune("'()+_,-./:=? ", rune(c)) {
			return "", false
		}
	}
	return b, true
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// NewForm returns a reader of a body with the boundary that looks for fields.
func NewForm(boundary string, names ...string) *Form {
	return &Form{delim: []byte("--" + boundary), names: names, fields: map[string]Field{}}
}

// Field returns a field; false means that the form has none of that name.
func (f *Form) Field(name string) (Field, bool) {
	field, ok := f.fields[name]
	return field, ok
}

// Feed takes the next piece of the body. It keeps no reference to it.
func (f *Form) Feed(piece []byte) error {
	f.buf = append(f.buf, piece...)
	for f.err == nil && f.step() {
	}
	f.buf, f.pos = f.buf[:copy(f.buf, f.buf[f.pos:])], 0
	return f.err
}

// End says that the body is whole.
func (f *Form) End() error {
	if f.err == nil && (f.state != formEnds || len(f.rest()) == 1) {
		f.refuse("", "the form ends too early")
	}
	return f.err
}

func (f *Form) refuse(pointer, why string) bool {
	f.err = Refuse(pointer, why)
	return false
}

// take drops n bytes that are understood.
func (f *Form) take(n int) {
	if f.state == formContent && f.name != "" {
		f.value = append(f.value, f.rest()[:n]...)
	}
	f.pos += n
	f.at += n
}

// rest is what is not understood yet.
func (f *Form) rest() []byte { return f.buf[f.pos:] }

// step understands one more piece; false means that it needs more of the body.
func (f *Form) step() bool {
	switch f.state {
	case formOpens:
		return f.opens()
	case formBreaks:
		return f.breaks()
	case formHeader:
		return f.header()
	case formContent:
		return f.content()
	}
	if b := f.rest(); len(b) > 2 || !strings.HasPrefix("\r\n", string(b)) {
		return f.refuse("", "the form has data behind its last part")
	}
	return false
}

func (f *Form) opens() bool {
	n := min(len(f.delim), len(f.rest()))
	if !bytes.Equal(f.delim[:n], f.rest()[:n]) {
		return f.refuse("", "the form does not begin with its boundary")
	}
	if n < len(f.delim) {
		return false
	}
	f.take(n)
	f.state = formBreaks
	return true
}

func (f *Form) breaks() bool {
	if len(f.rest()) < 2 {
		return false
	}
	switch string(f.rest()[:2]) {
	case "\r\n":
		if f.parts++; f.parts > maxParts {
			return f.refuse("", "the form has too many parts")
		}
		f.state = formHeader
	case "--":
		if f.parts == 0 {
			return f.refuse("", "the form has no parts")
		}
		f.state = formEnds
	default:
		return f.refuse("", "the form has a line that only begins like its boundary")
	}
	f.take(2)
	return true
}

func (f *Form) header() bool {
	b := f.rest()
	end := bytes.Index(b[:min(len(b), maxPartHeader)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= maxPartHeader {
			return f.refuse("", "a part of the form has too long a header")
		}
		return false
	}
	name, file, why := partName(string(b[:end]))
	if why != "" {
		return f.refuse("", why)
	}
	if !f.claim(name, file) {
		return false
	}
	f.take(end + 4)
	f.state, f.start = formContent, f.at
	return true
}

// claim decides whether the content of a part is one of the fields to read.
func (f *Form) claim(name string, file bool) bool {
	f.name, f.value = "", nil
	for _, want := range f.names {
		if name != want {
			// What frameworks make of "a[b]", "a.b" and " a" depends on the framework.
			stem, _, _ := strings.Cut(strings.TrimSpace(name), "[")
			stem, _, _ = strings.Cut(stem, ".")
			if strings.EqualFold(strings.TrimSpace(stem), want) {
				return f.refuse("/"+want, "a field's name is nearly "+want)
			}
			continue
		}
		if _, twice := f.fields[name]; twice {
			return f.refuse("/"+want, "the form has this field twice")
		}
		if file {
			return f.refuse("/"+want, "this field must not be a file")
		}
		f.name = name
	}
	if strings.EqualFold(name, "_charset_") {
		return f.refuse("", "the form must be in UTF-8")
	}
	return true
}

// content looks for the delimiter at the end of a part's content.
func (f *Form) content() bool {
	b := f.rest()
	i := bytes.Index(b, f.delim)
	switch {
	case i < 0:
		// The delimiter may have begun, and before it come CR and LF.
		f.take(max(len(b)-len(f.delim)-1, 0))
		f.bound()
		return false
	case f.at+i > f.start && (i == 0 || b[i-1] != '\r' && b[i-1] != '\n'): // within a line
		f.take(i + len(f.delim))
		return true
	case i < 2 || b[i-2] != '\r' || b[i-1] != '\n':
		return f.refuse("", "the form has its boundary where only some parsers would see it")
	}
	f.take(i - 2)
	if f.bound(); f.name != "" && f.err == nil {
		f.fields[f.name] = Field{f.value, Span{f.start, f.at}}
		if !utf8.Valid(f.value) {
			return f.refuse("/"+f.name, "this field is not valid UTF-8")
		}
	}
	f.state = formBreaks
	f.take(2 + len(f.delim))
	return true
}

// bound makes sure that a field that is read is not too long.
func (f *Form) bound() {
	if len(f.value) > MaxField {
		f.refuse("/"+f.name, "this field is too long")
	}
}

// partName reads the header of a part: the name of its field, and whether it is a
// file. why says what is wrong with it.
func partName(header string) (name string, file bool, why string) {
	var seen []string
	for line := range strings.SplitSeq(header, "\r\n") {
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" || strings.ContainsFunc(key, func(r rune) bool { return !(r == '-' || r < 0x80 && isAlphanumeric(byte(r))) }) ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return "", false, "a part of the form has a header that is not valid"
		}
		key, value = strings.ToLower(key), strings.Trim(value, " \t")
		if slices.Contains(seen, key) {
			return "", false, "a part of the form has the same header twice"
		}
		seen = append(seen, key)
		switch key {
		case "content-disposition":
			if name, file, ok = disposition(value); !ok {
				return "", false, "a part of the form has a Content-Disposition that is not valid"
			}
		case "content-transfer-encoding":
			if v := strings.ToLower(value); v != "7bit" && v != "8bit" && v != "binary" {
				return "", false, "a part of the form has a transfer encoding"
			}
		case "content-type":
			if t, params, err := mime.ParseMediaType(value); err != nil || strings.HasPrefix(t, "multipart/") || strings.HasPrefix(t, "message/") ||
				params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") && !strings.EqualFold(params["charset"], "us-ascii") {
				return "", false, "a part of the form has a Content-Type that is not accepted"
			}
		}
	}
	if !slices.Contains(seen, "content-disposition") {
		return "", false, "a part of the form has no name"
	}
	return name, file, ""
}

// disposition reads the value of a part's Content-Disposition (RFC 7578 section
// 4.2). Parsers differ in what a backslash means, so none may stand where it
// would matter.
func disposition(value string) (name string, file, ok bool) {
	kind, rest, _ := strings.Cut(value, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "form-data") {
		return "", false, false
	}
	var seen []string
	for more := true; more; {
		var param, v string
		if param, v, rest, ok = parameter(rest); !ok || slices.Contains(seen, param) {
			return "", false, false
		}
		seen = append(seen, param)
		switch param {
		case "name":
			if v == "" || strings.ContainsAny(v, `\%`) {
				return "", false, false
			}
			name = v
		case "filename", "filename*":
			file = true
		default:
			return "", false, false
		}
		if more = rest != ""; more {
			if rest[0] != ';' {
				return "", false, false
			}
			rest = rest[1:]
		}
	}
	return name, file, name != ""
}

// parameter reads one parameter and returns what follows it, without white space.
func parameter(text string) (name, value, rest string, ok bool) {
	name, text, ok = strings.Cut(text, "=")
	name = strings.ToLower(strings.TrimLeft(name, " \t"))
	if !ok || text == "" {
		return "", "", "", false
	}
	if text[0] != '"' {
		end := strings.IndexAny(text, "; \t\"\\")
		if end < 0 {
			end = len(text)
		}
		return name, text[:end], strings.TrimLeft(text[end:], " \t"), end > 0
	}
	end := strings.IndexByte(text[1:], '"') + 1
	if end == 0 || text[end-1] == '\\' {
		return "", "", "", false
	}
	return name, text[1:end], strings.TrimLeft(text[end+1:], " \t"), true
}
