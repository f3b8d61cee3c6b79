package wire

// Framing is how streams come that are not server-sent events.
type Framing struct {
	MIME string // media type of such a stream
	// Open returns what reads one stream. It is shown the bytes as they come and
	// appends the messages that are whole by now to dst, as server-sent events of one
	// line of data each. limit bounds a message, in bytes. After an error, which wraps
	// ErrEventTooLarge or is of kind UpstreamInvalid, it must not be called again.
	Open func(limit int) func(dst, chunk []byte) ([]byte, error)
}
