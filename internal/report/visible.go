// Package report shows an audit's report to people: as one page that needs nothing else,
// as text on a terminal, as a line of progress while it runs, and beside another report.
//
// Texts in a report may come from an endpoint that is hostile. Each goes through one gate
// before anything is rendered, which makes its characters visible and cuts its length.
// What was not tested, and what is not known, is said in words and never looks like a
// pass or like nothing.
package report

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/verdict"
)

// Limits on what one report may make a page or a terminal show.
const (
	maxText  = 2000 // characters of one text
	maxItems = 200  // items of one list
)

// Visible makes every character that could steer a terminal or mislead a reader
// visible: control characters, Unicode's format characters such as bidirectional
// overrides, code points that are no characters, and bytes that are no UTF-8.
func Visible(s string) string {
	if !strings.ContainsFunc(s, unsafeRune) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unsafeRune(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func unsafeRune(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Noncharacter_Code_Point) || r == '\u2028' || r == '\u2029'
}

// shown is a text made visible, cut to a number of characters.
func shown(s string, limit int) string {
	if len(s) <= limit {
		return Visible(s)
	}
	n := 0
	for i := range s {
		if n == limit {
			return fmt.Sprintf("%s… (%s more characters)", Visible(s[:i]), count(utf8.RuneCountInString(s[i:])))
		}
		n++
	}
	return Visible(s)
}

// safe copies a report with every string in it made visible and cut. It goes by
// the type, so that a field which is added later is covered too.
func safe(r *verdict.Report) *verdict.Report {
	out := new(verdict.Report)
	copySafe(reflect.ValueOf(out).Elem(), reflect.ValueOf(r).Elem())
	return out
}

func copySafe(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.String:
		dst.SetString(shown(src.String(), maxText))
	case reflect.Struct:
		dst.Set(src)
		for i := range src.NumField() {
			if dst.Field(i).CanSet() { // the fields of time.Time are not
				copySafe(dst.Field(i), src.Field(i))
			}
		}
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copySafe(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			copySafe(dst.Index(i), src.Index(i))
		}
	case reflect.Map:
		dst.Set(reflect.MakeMap(src.Type()))
		for key, value := range src.Seq2() {
			k, v := reflect.New(key.Type()).Elem(), reflect.New(value.Type()).Elem()
			copySafe(k, key)
			copySafe(v, value)
			dst.SetMapIndex(k, v)
		}
	default:
		dst.Set(src)
	}
}

// first is a list cut to a number of items, and how many it leaves out.
func first[T any](list []T, limit int) ([]T, int) {
	if len(list) <= limit {
		return list, 0
	}
	return list[:limit], len(list) - limit
}
