package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"sallyport/internal/fault"
)

// strict reads one JSON object into a flat struct. Unlike encoding/json it takes
// every member once and under exactly its own name, and no invalid UTF-8; members
// that the struct does not have and trailing data are errors too. Each error is
// a fault of kind BadRequest.
func strict(b []byte, into any) error {
	if !utf8.Valid(b) {
		return fault.New(fault.BadRequest, "the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fault.Newf(fault.BadRequest, "the body is not what this route takes: %s", clip(err.Error()))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.BadRequest, "the body holds more than one value")
	}
	return exactNames(b, reflect.TypeOf(into).Elem())
}

// exactNames checks the members of an object, which is known to be valid JSON,
// against the fields of a struct.
func exactNames(b []byte, t reflect.Type) error {
	open := map[string]bool{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		open[name] = true
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return fault.New(fault.BadRequest, "the body is not a JSON object")
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fault.New(fault.BadRequest, "the body is not JSON")
		}
		name, _ := token.(string)
		if !open[name] {
			return fault.Newf(fault.BadRequest, "the body names %q twice, or in another spelling", clip(name))
		}
		open[name] = false
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fault.New(fault.BadRequest, "the body is not JSON")
		}
	}
	return nil
}

// clip bounds what an answer repeats of a request.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
