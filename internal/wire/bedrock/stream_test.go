package bedrock

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// message is one message of an event stream: pairs of headers, then the payload.
func message(t testing.TB, parts ...string) []byte {
	t.Helper()
	m := eventstream.Message{Payload: []byte(parts[len(parts)-1])}
	for i := 0; i+1 < len(parts); i += 2 {
		m.Headers.Set(parts[i], eventstream.StringValue(parts[i+1]))
	}
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// whole is a stream of every kind of message, and what it becomes.
func whole(t testing.TB) (stream []byte, events string) {
	t.Helper()
	return bytes.Join([][]byte{
			message(t, ":message-type", "event", ":event-type", "messageStart", ":content-type", "application/json", `{"role":"assistant"}`),
			message(t, ":message-type", "event", ":event-type", "contentBlockDelta", "{\n\"contentBlockIndex\":0,\r\n\"delta\":{\"text\":\"a\"}}"),
			message(t, ":message-type", "event", ":event-type", "new", ""),
			message(t, ":message-type", "exception", ":exception-type", "throttlingException", `{"message":"slow"}`),
			message(t, ":message-type", "error", ":error-code", "500", ":error-message", "line\n\"two\"", ""),
		}, nil), "event: messageStart\ndata: {\"role\":\"assistant\"}\n\n" +
			"event: contentBlockDelta\ndata: { \"contentBlockIndex\":0,  \"delta\":{\"text\":\"a\"}}\n\n" +
			"event: new\ndata: \n\n" +
			"event: exception\ndata: {\"message\":\"slow\"}\n\n" +
			"event: exception\ndata: {\"message\":\"line\\n\\\"two\\\"\"}\n\n"
}

// TestStream: a stream becomes the same events however it is cut.
func TestStream(t *testing.T) {
	all, want := whole(t)
	for size := 1; size <= len(all); size++ {
		feed := openStream(1 << 10)
		var got []byte
		for rest := all; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			var err error
			if got, err = feed(got, rest[:min(size, len(rest))]); err != nil {
				t.Fatalf("in pieces of %d: %v", size, err)
			}
		}
		if string(got) != want {
			t.Fatalf("in pieces of %d:\n%s\nwant\n%s", size, got, want)
		}
	}
}

// TestStreamIsChecked: no flipped bit passes.
func TestStreamIsChecked(t *testing.T) {
	one := message(t, ":message-type", "event", ":event-type", "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"a"}}`)
	for i := range one {
		for bit := range 8 {
			bad := bytes.Clone(one)
			bad[i] ^= 1 << bit
			got, err := openStream(1<<10)(nil, bad)
			if err == nil || len(got) > 0 || fault.From(err).Kind != fault.UpstreamInvalid {
				t.Fatalf("bit %d of byte %d: %q, %v", bit, i, got, err)
			}
		}
	}
}

func TestStreamRefuses(t *testing.T) {
	for name, m := range map[string][]byte{
		"no type":       message(t, ":event-type", "messageStart", "{}"),
		"unknown type":  message(t, ":message-type", "news", ":event-type", "messageStart", "{}"),
		"broken name":   message(t, ":message-type", "event", ":event-type", "a\ndata: x", "{}"),
		"name in bytes": message(t, ":message-type", "event", ":event-type", "a b", "{}"),
	} {
		if got, err := openStream(1<<10)(nil, m); err == nil || len(got) > 0 || fault.From(err).Kind != fault.UpstreamInvalid {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	long := message(t, ":message-type", "event", ":event-type", "messageStart", strings.Repeat(" ", 1<<10))
	if _, err := openStream(1<<10)(nil, long[:preludeLen]); !errors.Is(err, wire.ErrEventTooLarge) {
		t.Errorf("a message beyond the limit: %v", err)
	}
}

// FuzzStream: whatever comes, nothing panics, and what passes is events of one line
// each that go through the splitter whole.
func FuzzStream(f *testing.F) {
	all, _ := whole(f)
	f.Add(all, 3)
	f.Add(all[:40], 1)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = max(1, min(size, 64))
		feed := openStream(1 << 12)
		split := wire.NewSplitter(1 << 13)
		c, d := &converse{}, &decoder{}
		for rest := b; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			out, err := feed(nil, rest[:min(size, len(rest))])
			split.Feed(out)
			for split.Next() {
				ev := split.Event()
				if len(ev.Name) == 0 || bytes.ContainsAny(ev.Data, "\n\r") {
					t.Fatalf("%q became %q", b, out)
				}
				if kind := c.Frame(ev); kind != wire.FrameInvalid && kind != wire.FrameError {
					if _, err := d.Frame(nil, ev); err != nil {
						return
					}
				}
			}
			if err != nil {
				return
			}
			if len(split.Rest()) > 0 {
				t.Fatalf("%q became %q", b, out)
			}
		}
	})
}
