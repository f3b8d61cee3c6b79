package record

import (
	"strings"
	"testing"
)

// usual is the outcome of an ordinary exchange.
func usual() *Exchange {
	hash := strings.Repeat("0123456789abcdef", 4)
	return &Exchange{
		TS: 1790000000123456, RID: "req_01k5z7x9v3q8w2r4t6y8u0p1a3", Principal: "key", Key: "key_01k5z7x9v3q8w2r4", Project: "search",
		Client: "OpenAI/Python", Dialect: "openai", Endpoint: "chat", Model: "fast", Label: "internal", Effect: "allow",
		Rules: []string{"class.label"}, Config: hash, InBytes: 1024, Req: hash, Hold: 123456, Salt: strings.Repeat("Qm9v", 10) + "abc",
		End: 1790000000987654, TTFB: 864198, State: "complete", Status: 200, Upstream: "openai", Target: "gpt-5-mini",
		Declared: "gpt-5-mini-2025-08-07", AnswerID: "chatcmpl-01k5z7x9v3q8w2r4t6y8", Finish: "stop",
		Attempts: []Try{{N: 1, Upstream: "openai", Model: "gpt-5-mini", State: "complete", Status: 200, Start: 1790000000123999, End: 1790000000987650}},
		OutBytes: 1100, Forwarded: hash, Answer: hash, Returned: hash, Usage: "claimed", Claimed: &Counts{300, 0, 0, 0, 120},
		Verbatim: `{"prompt_tokens":300,"completion_tokens":120,"total_tokens":420}`, Counted: "not sampled", Money: "priced",
		Amount: 315000, Card: "openai/gpt-5-mini@2025-08-07", CardHash: hash,
	}
}

// BenchmarkUsual encodes, decodes and peeks at an ordinary outcome.
func BenchmarkUsual(b *testing.B) {
	enc := usual().Append(nil, KindOutcome)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		x, buf := usual(), make([]byte, 0, 4096)
		for b.Loop() {
			buf = x.Append(buf[:0], KindOutcome)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var d Decoder
		for b.Loop() {
			if _, err := d.Decode(enc); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("peek", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := Peek(enc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
