package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
	"sallyport/internal/wire/anthropic"
	"sallyport/internal/wire/openai"
)

// conversation is a request of about size bytes that Chat Completions and Messages
// both take: turns of 2 KB of prose with escapes and text beyond ASCII.
func conversation(size int) []byte {
	turn := strings.Repeat(`He said: \"naïve\" – is C:\\temp\\a 価格 or \u00fcber?\n\tif err != nil {\n\t\treturn err\n\t}\n Line 1729 held 4096 rows. `, 15)
	var b strings.Builder
	b.WriteString(`{"model":"bench","max_tokens":1024,"stream":true,"messages":[{"role":"user","content":"Hello."}`)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `,{"role":%q,"content":"%s"}`, [...]string{"assistant", "user"}[i%2], turn[:strings.LastIndexByte(turn[:min(len(turn), max(64, size-b.Len()))], ' ')])
	}
	b.WriteString(`],"temperature":0.5}`)
	return []byte(b.String())
}

// crossings are the pairs of formats that the benchmarks translate between.
var crossings = []struct {
	name     string
	from, to wire.Format
}{
	{"chat to messages", openai.Chat(), anthropic.Format()},
	{"messages to chat", anthropic.Format(), openai.Chat()},
}

// BenchmarkTranslateRequest reads a request that has been parsed, and writes it in
// the other format.
func BenchmarkTranslateRequest(b *testing.B) {
	for _, c := range crossings {
		for _, size := range []int{1, 10, 100} {
			body := conversation(size << 10)
			b.Run(fmt.Sprintf("%s/%dKB", c.name, size), func(b *testing.B) {
				target := wire.Target{Model: "bench-1", Carries: c.to.For("bench-1", 0), Size: len(body)}
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					r, err := c.from.Read(body)
					if err != nil {
						b.Fatal(err)
					}
					if out, lost := c.to.Write(r, target); len(out) < len(body)/2 || len(lost) > 0 {
						b.Fatalf("%d bytes, lost %v", len(out), lost)
					}
				}
			})
		}
	}
}

// BenchmarkTranslateFrame decodes one frame with text and encodes it in the other
// format.
func BenchmarkTranslateFrame(b *testing.B) {
	start := map[wire.Endpoint][]wire.Event{
		wire.Chat: {{Data: []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763800000,"model":"bench-1","choices":[{"index":0,"delta":{"role":"assistant","content":"Once"},"finish_reason":null}]}`)}},
		wire.Messages: {
			{Name: []byte("message_start"), Data: []byte(`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"bench-1","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}`)},
			{Name: []byte("content_block_start"), Data: []byte(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)},
		},
	}
	frame := map[wire.Endpoint]wire.Event{
		wire.Chat:     {Data: []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763800000,"model":"bench-1","choices":[{"index":0,"delta":{"content":" upon a time"},"finish_reason":null}]}`)},
		wire.Messages: {Name: []byte("content_block_delta"), Data: []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" upon a time"}}`)},
	}
	for _, c := range crossings {
		// An answer goes the other way: from the upstream's format to the client's.
		b.Run(fmt.Sprintf("%s to %s", c.to.Endpoint, c.from.Endpoint), func(b *testing.B) {
			dec := c.to.Decode()
			enc := c.from.Encode(wire.Answering{ID: "0123456789abcdef", Created: 1763800000, Model: "bench", Request: &llm.Request{}})
			var events []llm.Event
			var out []byte
			carry := func(ev wire.Event) {
				var err error
				if events, err = dec.Frame(events[:0], ev); err != nil {
					b.Fatal(err)
				}
				out = out[:0]
				for i := range events {
					if out, err = enc.Event(out, &events[i]); err != nil {
						b.Fatal(err)
					}
				}
			}
			for _, ev := range start[c.to.Endpoint] {
				carry(ev)
			}
			ev := frame[c.to.Endpoint]
			b.SetBytes(int64(len(ev.Data)))
			b.ReportAllocs()
			for b.Loop() {
				if carry(ev); len(out) == 0 {
					b.Fatal("nothing came of the frame")
				}
			}
		})
	}
}
