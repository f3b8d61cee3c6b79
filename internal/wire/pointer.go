package wire

import (
	"bytes"
	"strconv"
)

// maxPointer bounds the pointers in errors, which hold keys that clients chose.
const maxPointer = 256

// step is one open array or object on the way to a place.
type step struct {
	array bool
	index int
	keyed bool // in an object: key is known
	key   []byte
}

// Pointer returns the JSON pointer (RFC 6901) of the innermost member or
// element that is open after the first upTo bytes, which a scan has accepted.
func Pointer(b []byte, upTo int) string {
	var open []step
	for i := 0; i < upTo; i++ {
		switch b[i] {
		case '{':
			open = append(open, step{})
		case '[':
			open = append(open, step{array: true})
		case '}', ']':
			open = open[:max(len(open)-1, 0)]
		case ',':
			if len(open) > 0 {
				top := &open[len(open)-1]
				top.index++
				top.keyed = false
			}
		case '"':
			end := closing(b[:upTo], i+1)
			if end < 0 {
				return pointer(open)
			}
			if len(open) > 0 {
				if top := &open[len(open)-1]; !top.array && !top.keyed {
					top.keyed, top.key = true, b[i+1:end]
				}
			}
			i = end
		}
	}
	return pointer(open)
}

// closing finds the quote that ends the string whose text begins at i, or -1.
func closing(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case '"':
			return i
		case '\\':
			i++
		}
		i++
	}
	return -1
}

// pointer writes the steps that fit.
func pointer(open []step) string {
	var p []byte
	for _, s := range open {
		from := len(p)
		switch {
		case s.array:
			p = strconv.AppendInt(append(p, '/'), int64(s.index), 10)
		case s.keyed:
			k := bytes.ReplaceAll(appendDecoded(nil, s.key), []byte("~"), []byte("~0"))
			p = append(append(p, '/'), bytes.ReplaceAll(k, []byte("/"), []byte("~1"))...)
		default:
			return string(p)
		}
		if len(p) > maxPointer {
			return string(p[:from])
		}
	}
	return string(p)
}
