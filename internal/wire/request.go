package wire

import (
	"strings"

	"sallyport/internal/fault"
)

// MaxModelName is the longest model name a request may carry, in bytes.
const MaxModelName = 256

// ModelName reads the model member of a request. The error is a *fault.Error of
// kind BadRequest that points to /model.
func ModelName(lit []byte) (string, error) {
	switch KindOf(lit) {
	case Absent:
		return "", Refuse("/model", "the request names no model")
	case String:
	default:
		return "", Refuse("/model", "model must be a string")
	}
	name, whole := Text(lit, MaxModelName)
	if !whole {
		return "", Refuse("/model", "the model name is too long")
	}
	return name, CheckModel(name, "/model")
}

// CheckModel checks a model name. The error is a *fault.Error of kind BadRequest
// that points to the pointer.
func CheckModel(name, pointer string) error {
	switch {
	case len(name) > MaxModelName:
		return Refuse(pointer, "the model name is too long")
	case name == "":
		return Refuse(pointer, "the model name is empty")
	case strings.ContainsFunc(name, isControl):
		return Refuse(pointer, "the model name has a control character")
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7F && r <= 0x9F }

// Flag reads a member that may be true, false, null or absent. The error is a
// *fault.Error of kind BadRequest that points to the pointer.
func Flag(lit []byte, pointer string) (bool, error) {
	switch KindOf(lit) {
	case Bool, Null, Absent:
		return True(lit), nil
	}
	return false, Refuse(pointer, "this must be true or false")
}

// Bound reads a member that may be an integer, null or absent, and bounds
// something. Null, absent and numbers below 1, which some clients send for "no
// bound", give 0. The error is a *fault.Error of kind BadRequest that points to
// the pointer.
func Bound(lit []byte, pointer string) (int64, error) {
	switch KindOf(lit) {
	case Null, Absent:
		return 0, nil
	}
	n, ok := Int(lit)
	if !ok {
		return 0, Refuse(pointer, "this must be an integer")
	}
	return max(n, 0), nil
}

// Refuse returns the error of a request whose member at the JSON pointer is not
// acceptable: a *fault.Error of kind BadRequest.
func Refuse(pointer, why string) error {
	e := fault.New(fault.BadRequest, why)
	e.Pointer = pointer
	return e
}
