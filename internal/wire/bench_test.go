package wire

import (
	"fmt"
	"strings"
	"testing"
)

// texts are what the benchmarks fill chat messages with.
var texts = map[string]string{
	"ascii": "The quick brown fox jumps over the lazy dog, and then it explains at length why it did so.\\n" +
		"Nobody had asked, but the dog was polite and listened: there were 17 reasons, all of them good. ",
	"code": "func (s *server) handle(w http.ResponseWriter, r *http.Request) {\\n\\tif r.Method != \\\"POST\\\" {\\n" +
		"\\t\\thttp.Error(w, \\\"no\\\", 405)\\n\\t\\treturn\\n\\t}\\n\\ts.log.Info(\\\"took\\\", \\\"path\\\", r.URL.Path)\\n}\\n",
	"mixed": "Der schnelle braune Fuchs springt \u00fcber den faulen Hund \u2013 \u201ewarum?\u201c, fragt der.\\n\\\"Darum\\\", sagt er, und geht. " +
		"Straße, Größe, naïve café; emoji \U0001F98A\U0001F415 sometimes, and \\u00e9 escaped.",
	"cyrillic": "Съешь же ещё этих мягких французских булок, да выпей чаю. ",
	"cjk":      "我能吞下玻璃而不伤身体。今天天气很好，我们去公园散步吧。",
}

// chatBody is a chat request of about size bytes with messages of at most 2000.
func chatBody(size int, text string) []byte {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-5-mini","stream":true,"temperature":0.2,"max_completion_tokens":1024,"messages":[{"role":"system","content":"You help."}`)
	for i := 0; b.Len() < size-150; i++ {
		fmt.Fprintf(&b, `,{"role":%q,"content":"`, []string{"user", "assistant"}[i%2])
		for from := b.Len(); b.Len() < from+2000 && b.Len() < size-100; {
			b.WriteString(text)
		}
		b.WriteString(`"}`)
	}
	b.WriteString(`],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"user":"u-1"}`)
	return []byte(b.String())
}

var sizes = []struct {
	name string
	n    int
}{{"1KB", 1 << 10}, {"10KB", 10 << 10}, {"100KB", 100 << 10}, {"1MB", 1 << 20}}

func BenchmarkScan(b *testing.B) {
	names := NewGuard("model", "stream", "stream_options", "max_tokens", "max_completion_tokens",
		"max_output_tokens", "messages", "input", "tools", "n", "user", "store", "previous_response_id", "metadata", "service_tier")
	for _, text := range []string{"ascii", "code", "mixed", "cyrillic", "cjk"} {
		for _, size := range sizes {
			body := chatBody(size.n, texts[text])
			b.Run(text+"/"+size.name, func(b *testing.B) {
				out := make([]Span, names.Len())
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := Scan(body, Limits{Depth: 64}, names, out); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkScanStructure scans what has few strings: numbers, and wide objects.
func BenchmarkScanStructure(b *testing.B) {
	var keys strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&keys, `,"key_number_%d":%d`, i, i)
	}
	for name, body := range map[string]string{
		"numbers": `{"input":[1` + strings.Repeat(",15496,2159,-0.00513", 5000) + `]}`,
		"objects": `{"tools":[{"a":1}` + strings.Repeat(`,{"type":"string","description":"a b c","enum":["a","b"],"x":{"y":null,"z":true}}`, 1000) + `]}`,
		"wide":    `{"a":1` + keys.String() + `}`,
		"spaced":  `{"messages":[1` + strings.Repeat(",\n        {\n            \"role\": \"user\",\n            \"content\": \"hello\"\n        }", 1000) + `]}`,
	} {
		b.Run(name, func(b *testing.B) {
			body := []byte(body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Scan(body, Limits{Depth: 64}, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
