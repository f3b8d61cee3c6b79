//go:build !amd64

package wire

// strides says that there is no stride for this processor: scanWords does it all.
const strides = false

func stride([]byte) (at int, quotes, slashes, controls, beyond uint64) { panic("not built") }
