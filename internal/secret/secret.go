// Package secret holds text that must never be seen: a String does not print,
// log, marshal or format itself, whatever verb or encoder meets it.
package secret

import (
	"fmt"
	"log/slog"
)

const hidden = "[secret]"

// String is a secret text. Its zero value is the empty secret. Only Reveal
// gives the text, and each call to it is a place to review. Compare what Reveal
// returns, never two Strings.
type String struct {
	// A pointer, because fmt asks no method of a String in another type's
	// unexported field: it would print a plain string, and prints an address.
	text *string
}

// New wraps a text.
func New(text string) String { return String{&text} }

// Reveal returns the text itself.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty reports whether there is no secret.
func (s String) Empty() bool { return s.Reveal() == "" }

// String implements fmt.Stringer without the text.
func (s String) String() string { return hidden }

// GoString implements fmt.GoStringer without the text.
func (s String) GoString() string { return hidden }

// Format implements fmt.Formatter, so that no verb (%x, %q, %v) reaches the text.
func (s String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer without the text.
func (s String) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler without the text; encoding/json
// and YAML encoders use it.
func (s String) MarshalText() ([]byte, error) { return []byte(hidden), nil }
