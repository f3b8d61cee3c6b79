package wire

// strides says that stride is there.
const strides = true

// stride passes over blocks of 64 bytes that hold nothing but plain ASCII. It
// returns the offset of the first block with anything else and says of each of
// its bytes, the first in the lowest bit, whether it is a quote, a backslash, a
// control character, or beyond ASCII. With less than a block left nothing is
// marked. It uses SSE2, which every amd64 processor has.
//
//go:noescape
func stride(b []byte) (at int, quotes, slashes, controls, beyond uint64)
