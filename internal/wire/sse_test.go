package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// block is an Event whose bytes have been copied.
type block struct{ Raw, Name, Data string }

// split feeds a stream in chunks of the given sizes, used in turn.
func split(stream string, limit int, sizes ...int) (blocks []block, rest string, err error) {
	s := NewSplitter(limit)
	drain := func() {
		for s.Next() {
			ev := s.Event()
			blocks = append(blocks, block{string(ev.Raw), string(ev.Name), string(ev.Data)})
		}
	}
	for i := 0; len(stream) > 0; i++ {
		n := min(max(sizes[i%len(sizes)], 1), len(stream))
		chunk := []byte(stream[:n])
		s.Feed(chunk)
		drain()
		clear(chunk) // the splitter must have taken what it still needs
		stream = stream[n:]
	}
	s.End()
	drain()
	return blocks, string(s.Rest()), s.Err()
}

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		want         []block
		rest         string
	}{
		{"empty", "", nil, ""},
		{"one", "data: x\n\n", []block{{"data: x\n\n", "", "x"}}, ""},
		{"no space", "data:x\n\n", []block{{"data:x\n\n", "", "x"}}, ""},
		{"one space only is taken", "data:  x \n\n", []block{{"data:  x \n\n", "", " x "}}, ""},
		{"named", "event: ping\ndata: {}\n\n", []block{{"event: ping\ndata: {}\n\n", "ping", "{}"}}, ""},
		{"last name counts", "event: a\nevent: b\ndata: 1\n\n", []block{{"event: a\nevent: b\ndata: 1\n\n", "b", "1"}}, ""},
		{"lines are joined", "data: a\ndata\ndata: b\n\n", []block{{"data: a\ndata\ndata: b\n\n", "", "a\n\nb"}}, ""},
		{"CRLF", "data: a\r\ndata: b\r\n\r\n", []block{{"data: a\r\ndata: b\r\n\r\n", "", "a\nb"}}, ""},
		{"CR", "data: a\r\rdata: b\r\r", []block{{"data: a\r\r", "", "a"}, {"data: b\r\r", "", "b"}}, ""},
		{"all kinds", "data: a\r\ndata: b\rdata: c\n\r\ndata: d\n\r", []block{{"data: a\r\ndata: b\rdata: c\n\r\n", "", "a\nb\nc"}, {"data: d\n\r", "", "d"}}, ""},
		{"comment", ": hello\n\ndata: x\n\n", []block{{": hello\n\n", "", ""}, {"data: x\n\n", "", "x"}}, ""},
		{"comment inside", "data: x\n: c\ndata: y\n\n", []block{{"data: x\n: c\ndata: y\n\n", "", "x\ny"}}, ""},
		{"stray blank lines", "\n\ndata: x\n\n\n", []block{{"\n", "", ""}, {"\n", "", ""}, {"data: x\n\n", "", "x"}, {"\n", "", ""}}, ""},
		{"other fields", "id: 1\nretry: 5\nfoo\ndatax: 1\n data: 2\n\n", []block{{"id: 1\nretry: 5\nfoo\ndatax: 1\n data: 2\n\n", "", ""}}, ""},
		{"field names have case", "Data: 1\nEVENT: e\n\n", []block{{"Data: 1\nEVENT: e\n\n", "", ""}}, ""},
		{"mark", "\xEF\xBB\xBFdata: x\n\n", []block{{"\xEF\xBB\xBFdata: x\n\n", "", "x"}}, ""},
		{"mark and blank line", "\xEF\xBB\xBF\ndata: x\n\n", []block{{"\xEF\xBB\xBF\n", "", ""}, {"data: x\n\n", "", "x"}}, ""},
		{"mark later", "data: x\n\n\xEF\xBB\xBFdata: y\n\n", []block{{"data: x\n\n", "", "x"}, {"\xEF\xBB\xBFdata: y\n\n", "", ""}}, ""},
		{"part of a mark", "\xEF\xBB", nil, "\xEF\xBB"},
		{"not a mark", "\xEF\xBBdata: x\n\n", []block{{"\xEF\xBBdata: x\n\n", "", ""}}, ""},
		{"unterminated", "data: x\n\ndata: y\n", []block{{"data: x\n\n", "", "x"}}, "data: y\n"},
		{"unterminated line", "data: x", nil, "data: x"},
		{"CR at the end", "data: x\n\r", []block{{"data: x\n\r", "", "x"}}, ""},
		{"colon in value", "data: a: b\n\n", []block{{"data: a: b\n\n", "", "a: b"}}, ""},
		{"other bytes", "data: \x00\xff\u2028\v\n\n", []block{{"data: \x00\xff\u2028\v\n\n", "", "\x00\xff\u2028\v"}}, ""},
	} {
		for n := 1; n <= len(c.stream)+1; n++ {
			got, rest, err := split(c.stream, 100, n)
			if diff := cmp.Diff(c.want, got); diff != "" || rest != c.rest || err != nil {
				t.Errorf("%s in chunks of %d: rest %q, %v (-want +got):\n%s", c.name, n, rest, err, diff)
			}
		}
	}
}

func TestSplitterLimit(t *testing.T) {
	const limit = 20
	event := func(n int) string { return "data: " + strings.Repeat("x", n-8) + "\n\n" }
	for n := 1; n < 60; n++ {
		if got, _, err := split(event(limit)+event(limit), limit, n); len(got) != 2 || err != nil {
			t.Errorf("chunks of %d: %d events, %v", n, len(got), err)
		}
		got, rest, err := split(event(limit)+event(limit+1)+event(9), limit, n)
		if len(got) != 1 || !errors.Is(err, ErrEventTooLarge) || !strings.HasPrefix(rest, "data: xxxxx") {
			t.Errorf("chunks of %d: %d events, %v, rest %q", n, len(got), err, rest)
		}
		if _, _, err := split(strings.Repeat(":\n", limit), limit, n); !errors.Is(err, ErrEventTooLarge) {
			t.Errorf("chunks of %d: an endless event gave %v", n, err)
		}
	}
}

// TestSplitterIsLinear takes well under a second, and many minutes when lines
// are searched or bytes are moved over and over.
func TestSplitterIsLinear(t *testing.T) {
	const n = 1 << 21
	begin := time.Now()
	for _, c := range []struct {
		line  string
		chunk int
	}{{"a\r", n}, {"a\n", n}, {":", 1}} {
		stream := strings.Repeat(c.line, n/len(c.line)) + "\n\n"
		if got, _, err := split(stream, 2*n, c.chunk); err != nil || len(got) == 0 {
			t.Errorf("%q in chunks of %d: %d events, %v", c.line, c.chunk, len(got), err)
		}
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

func TestSplitterAllocatesNothing(t *testing.T) {
	s := NewSplitter(1 << 20)
	stream := []byte("event: content_block_delta\ndata: {\"a\":1}\n\ndata: x\ndata: y\n\n: c\n\n")
	s.Feed(stream)
	for s.Next() {
	}
	if n := testing.AllocsPerRun(100, func() {
		s.Feed(stream[:30])
		for s.Next() {
		}
		s.Feed(stream[30:])
		for s.Next() {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// splitByStandard follows the text of the WHATWG HTML standard, section 9.2.6,
// character by character.
func splitByStandard(stream string) (blocks []block, rest string) {
	var lines, raws []string
	line, from := "", 0
	at := 0
	if strings.HasPrefix(stream, byteOrderMark) {
		at = len(byteOrderMark)
	}
	for i := at; i < len(stream); i++ {
		c := stream[i]
		if c != '\n' && c != '\r' {
			line += string([]byte{c})
			continue
		}
		if c == '\r' && i+1 < len(stream) && stream[i+1] == '\n' {
			i++
		}
		lines, raws = append(lines, line), append(raws, stream[from:i+1])
		line, from = "", i+1
	}
	var b block
	data, has := "", false
	for i, line := range lines {
		b.Raw += raws[i]
		if line == "" {
			if has {
				b.Data = strings.TrimSuffix(data, "\n")
			}
			blocks = append(blocks, b)
			b, data, has = block{}, "", false
			continue
		}
		field, value := line, ""
		if colon := strings.IndexByte(line, ':'); colon == 0 {
			continue
		} else if colon > 0 {
			field, value = line[:colon], strings.TrimPrefix(line[colon+1:], " ")
		}
		switch field {
		case "event":
			b.Name = value
		case "data":
			data, has = data+value+"\n", true
		}
	}
	return blocks, b.Raw + stream[from:]
}

func FuzzSplitter(f *testing.F) {
	f.Add("data: a\r\ndata: b\rdata: c\n\r\n\xEF\xBB\xBFevent: x\n\n", []byte{1, 2, 3})
	f.Add("\xEF\xBB\xBF\r\n\rdata\n\n:\r\r", []byte{4})
	f.Add("event:a\nid:7\ndata: {\"x\":1}\n\ndata: [DONE]\n\ndata: tail", []byte{255, 1})
	f.Fuzz(func(t *testing.T, stream string, cuts []byte) {
		if len(stream) > 1<<14 {
			return
		}
		sizes := []int{len(stream) + 1}
		for _, c := range cuts {
			sizes = append(sizes, int(c))
		}
		want, wantRest := splitByStandard(stream)
		for _, sizes := range [][]int{{len(stream) + 1}, {1}, sizes[min(1, len(sizes)-1):]} {
			got, rest, err := split(stream, 1<<20, sizes...)
			if diff := cmp.Diff(want, got); diff != "" || rest != wantRest || err != nil {
				t.Fatalf("chunks %v of %q: rest %q, want %q, %v (-want +got):\n%s", sizes, stream, rest, wantRest, err, diff)
			}
			var all strings.Builder
			for _, b := range got {
				all.WriteString(b.Raw)
			}
			if all.String()+rest != stream {
				t.Fatalf("%q came back as %q", stream, all.String()+rest)
			}
		}
		const limit = 9
		a, _, errA := split(stream, limit, len(stream)+1)
		b, _, errB := split(stream, limit, sizes...)
		if diff := cmp.Diff(a, b); diff != "" || errors.Is(errA, ErrEventTooLarge) != errors.Is(errB, ErrEventTooLarge) {
			t.Fatalf("the limit depends on chunks: %v, %v\n%s", errA, errB, diff)
		}
	})
}

func BenchmarkSplitter(b *testing.B) {
	frame := `data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	stream := []byte(strings.Repeat(frame, 40))
	for _, size := range []int{len(frame), 4096, 100} {
		b.Run(fmt.Sprintf("chunks=%d", size), func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			s := NewSplitter(1 << 20)
			for b.Loop() {
				n := 0
				for rest := stream; len(rest) > 0; {
					c := min(size, len(rest))
					s.Feed(rest[:c])
					for s.Next() {
						n += len(s.Event().Data)
					}
					rest = rest[c:]
				}
				if n == 0 || s.Err() != nil {
					b.Fatal(n, s.Err())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*40), "ns/event")
		})
	}
	if !bytes.HasSuffix(stream, []byte("\n\n")) {
		b.Fatal("the stream must end with an event")
	}
}
