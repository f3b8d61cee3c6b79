package bedrock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// exception is the name of the events that errors of the stream become.
const exception = "exception"

// A message begins with its length, that of its headers, and a checksum of the two;
// it ends with a checksum of the whole
// (docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html, smithy.io
// aws/amazon-eventstream).
const (
	preludeLen = 12
	leastLen   = preludeLen + 4
)

// stream reads messages of application/vnd.amazon.eventstream.
type stream struct {
	decoder *eventstream.Decoder
	limit   int
	kept    []byte // of a message that is not whole yet
	payload []byte // memory for payloads
}

// openStream implements wire.Framing.Open.
func openStream(limit int) func(dst, chunk []byte) ([]byte, error) {
	s := &stream{decoder: eventstream.NewDecoder(), limit: limit}
	return s.feed
}

func (s *stream) feed(dst, chunk []byte) ([]byte, error) {
	s.kept = append(s.kept, chunk...)
	rest := s.kept
	for len(rest) >= preludeLen {
		n, err := s.length(rest)
		if err != nil {
			return dst, err
		}
		if n > len(rest) {
			break
		}
		m, err := s.decoder.Decode(bytes.NewReader(rest[:n]), s.payload)
		if err != nil {
			return dst, fault.Wrap(fault.UpstreamInvalid, "", fmt.Errorf("read a message of the event stream: %w", err))
		}
		if cap(m.Payload) > cap(s.payload) {
			s.payload = m.Payload[:0]
		}
		if dst, err = appendEvent(dst, m); err != nil {
			return dst, err
		}
		rest = rest[n:]
	}
	s.kept = append(s.kept[:0], rest...)
	return dst, nil
}

// length is how long the message is that b begins with. It is believed only with
// its checksum, so that a broken one does not make the stream wait.
func (s *stream) length(b []byte) (int, error) {
	n := binary.BigEndian.Uint32(b)
	switch {
	case crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]):
		return 0, fault.New(fault.UpstreamInvalid, "a message of the upstream's event stream has a wrong checksum")
	case n < leastLen:
		return 0, fault.New(fault.UpstreamInvalid, "a message of the upstream's event stream is too short")
	case int64(n) > int64(s.limit):
		return 0, fmt.Errorf("%w of %d bytes", wire.ErrEventTooLarge, s.limit)
	}
	return int(n), nil
}

// appendEvent appends a message as a server-sent event. Errors, which the protocol
// tells in two ways, become events of one name.
func appendEvent(dst []byte, m eventstream.Message) ([]byte, error) {
	name, data := header(m, ":event-type"), m.Payload
	switch header(m, ":message-type") {
	case "event":
	case exception:
		name = exception
	case "error":
		name = exception
		w := wire.NewBuilder(nil)
		data = w.Open().StrMember("message", header(m, ":error-message")).Close().Bytes()
	default:
		return dst, fault.New(fault.UpstreamInvalid, "a message of the upstream's event stream is of no known type")
	}
	for _, c := range []byte(name) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return dst, fault.New(fault.UpstreamInvalid, "an event of the upstream's event stream has a name that is not valid")
		}
	}
	dst = append(append(append(dst, "event: "...), name...), "\ndata: "...)
	at := len(dst)
	dst = append(dst, data...)
	for i, c := range dst[at:] {
		if c == '\n' || c == '\r' { // JSON means the same without line ends
			dst[at+i] = ' '
		}
	}
	return append(dst, '\n', '\n'), nil
}

// header is the value of a header; empty when it is absent or no text.
func header(m eventstream.Message, name string) string {
	v, _ := m.Headers.Get(name).(eventstream.StringValue)
	return string(v)
}
