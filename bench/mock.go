package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// mock is an upstream that costs as little as it can: a fixed answer, or a stream
// of fixed frames, over hand-written HTTP/1.1. It speaks Chat Completions and, under
// the path /v1/messages, Anthropic's Messages. How a stream runs is asked for by the
// name of the user in the request's body, which every proxy hands on and every
// translation carries: "bench gap=10ms frames=40".
type mock struct {
	early string   // what of a stream to write before reading the body: "", "first" or "all"
	log   *os.File // append-only; one line a request, written before the answer
	conns sync.WaitGroup
}

// runMock is the verb: it prints its address and serves until it is stopped.
func runMock(ctx context.Context, o options) error {
	m := &mock{early: o.early}
	if o.log != "" {
		f, err := os.OpenFile(o.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		m.log = f
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	m.serve(ctx, l)
	return nil
}

// serve accepts until the context ends, then closes every connection.
func (m *mock) serve(ctx context.Context, l net.Listener) {
	ctx, cancel := context.WithCancel(ctx)
	defer m.conns.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		m.conns.Go(func() {
			end := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer end()
			defer c.Close()
			m.handle(ctx, c)
		})
	}
}

// handle serves the requests of one connection until it breaks.
func (m *mock) handle(ctx context.Context, c net.Conn) {
	in := bufio.NewReaderSize(c, 64<<10)
	var b []byte
	for {
		h, err := readHead(in)
		if err != nil {
			return
		}
		if h.post && m.early != "" {
			if err := write(c, map[string][]byte{"first": firstOfStream, "all": wholeStream}[m.early]); err != nil {
				return
			}
		}
		if b, err = h.body(in, b[:0]); err != nil {
			return
		}
		if h.post && m.early == "all" {
			continue
		}
		if err := m.answer(ctx, c, h, b); err != nil {
			return
		}
	}
}

var nonceForm = regexp.MustCompile(`nonce-([0-9a-z]+)`)

func (m *mock) answer(ctx context.Context, c net.Conn, h head, b []byte) error {
	if !h.post {
		return write(c, modelsAnswer)
	}
	if m.log != nil {
		nonce := nonceForm.FindSubmatch(b)
		if nonce == nil {
			return errors.New("no nonce")
		}
		line := fmt.Appendf(nil, "%s %d\n", nonce[1], time.Now().UnixMicro())
		if _, err := m.log.Write(line); err != nil {
			return err
		}
	}
	v := chatVoice
	if h.messages {
		v = messagesVoice
	}
	// What matters stands before the conversation or behind it.
	asked := append(bytes.Clone(b[:min(len(b), 4<<10)]), b[max(0, len(b)-1<<10):]...)
	if !bytes.Contains(asked, []byte(`"stream":true`)) {
		return write(c, v.unary)
	}
	end := v.end
	if bytes.Contains(asked, []byte(`"include_usage":true`)) {
		end = v.endWithUsage
	}
	k := readControl(asked)
	if m.early == "first" {
		return restOfStream(ctx, c, k, v.content, end)
	}
	if k.gap <= 0 {
		return write(c, slices.Concat(v.begin, bytes.Repeat(v.content, k.frames), end))
	}
	if err := write(c, slices.Concat(v.begin, v.content)); err != nil {
		return err
	}
	return restOfStream(ctx, c, k, v.content, end)
}

// control is how a stream runs.
type control struct {
	gap    time.Duration
	frames int
}

func readControl(b []byte) control {
	k := control{frames: frames}
	_, after, ok := bytes.Cut(b, []byte(`:"bench gap=`)) // "user", or "user_id" of Messages
	if !ok {
		return k
	}
	words, _, _ := bytes.Cut(append([]byte("gap="), after...), []byte(`"`))
	for word := range strings.FieldsSeq(string(words)) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "gap":
			k.gap, _ = time.ParseDuration(value)
		case "frames":
			k.frames, _ = strconv.Atoi(value)
		}
	}
	return k
}

// restOfStream writes what follows the first frame, a gap apart.
func restOfStream(ctx context.Context, c net.Conn, k control, content, end []byte) error {
	tick := time.NewTicker(max(k.gap, time.Microsecond))
	defer tick.Stop()
	for range k.frames - 1 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := write(c, content); err != nil {
			return err
		}
	}
	return write(c, end)
}

func write(c net.Conn, b []byte) error {
	_, err := c.Write(b)
	return err
}

// voice is what the mock says in one format. Both say the same.
type voice struct {
	unary             []byte
	begin             []byte // head of a stream and what stands before its content
	content           []byte // one frame
	end, endWithUsage []byte
}

const (
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunkStart = `{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1763800000,"model":"gpt-5-b",`
	lastChunk  = "0\r\n\r\n"
	frameText  = " once upon a time"
)

var (
	chatVoice = voice{
		unary: withLength(`{"id":"chatcmpl-bench","object":"chat.completion","created":1763800000,"model":"gpt-5-b","choices":[{"index":0,` +
			`"message":{"role":"assistant","content":"` + story + `"},"finish_reason":"stop"}],` +
			`"usage":{"prompt_tokens":300,"completion_tokens":160,"total_tokens":460}}`),
		begin:        []byte(streamHead),
		content:      chunk("", chunkStart+`"choices":[{"index":0,"delta":{"content":"`+frameText+`"},"finish_reason":null}]}`),
		end:          slices.Concat(finishFrame, doneFrame),
		endWithUsage: slices.Concat(finishFrame, usageFrame, doneFrame),
	}
	finishFrame = chunk("", chunkStart+`"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
	usageFrame  = chunk("", chunkStart+`"choices":[],"usage":{"prompt_tokens":300,"completion_tokens":160,"total_tokens":460}}`)
	doneFrame   = append(chunk("", "[DONE]"), lastChunk...)

	messagesVoice = voice{
		unary: withLength(`{"id":"msg_bench","type":"message","role":"assistant","model":"gpt-5-b","content":[{"type":"text","text":"` + story + `"}],` +
			`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":300,"output_tokens":160}}`),
		begin: slices.Concat([]byte(streamHead),
			chunk("message_start", `{"type":"message_start","message":{"id":"msg_bench","type":"message","role":"assistant","model":"gpt-5-b","content":[],`+
				`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":300,"output_tokens":1}}}`),
			chunk("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)),
		content:      chunk("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"`+frameText+`"}}`),
		end:          messagesEnd,
		endWithUsage: messagesEnd, // usage is always told
	}
	messagesEnd = slices.Concat(
		chunk("content_block_stop", `{"type":"content_block_stop","index":0}`),
		chunk("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":160}}`),
		chunk("message_stop", `{"type":"message_stop"}`), []byte(lastChunk))

	firstOfStream = slices.Concat(chatVoice.begin, chatVoice.content)
	wholeStream   = slices.Concat(chatVoice.begin, bytes.Repeat(chatVoice.content, frames), chatVoice.endWithUsage)
	modelsAnswer  = withLength(`{"object":"list","data":[{"id":"gpt-5-b","object":"model","created":1763800000,"owned_by":"bench"}]}`)

	// story is as long as makes an answer of Chat Completions 1 KB.
	story = strings.Repeat("once upon a time ", 50)[:771]
)

// chunk is one server-sent event, which may have a name, as one HTTP chunk.
func chunk(name, data string) []byte {
	event := "data: " + data + "\n\n"
	if name != "" {
		event = "event: " + name + "\n" + event
	}
	return fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event)
}

func withLength(body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// head is what the mock needs of a request's head.
type head struct {
	post     bool
	messages bool  // Anthropic's format is asked for
	length   int64 // -1: chunked
}

func readHead(in *bufio.Reader) (head, error) {
	var h head
	line, err := in.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	h.post, h.messages = bytes.HasPrefix(line, []byte("POST ")), bytes.HasPrefix(line, []byte("POST /v1/messages"))
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if h.length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return h, err
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			h.length = -1
		}
	}
}

// maxBody bounds what the mock reads of one request.
const maxBody = 64 << 20

// body appends the request's body to b.
func (h head) body(in *bufio.Reader, b []byte) ([]byte, error) {
	if h.length >= 0 {
		return readN(in, b, h.length)
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return b, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 64)
		if err != nil {
			return b, err
		}
		if b, err = readN(in, b, n); err != nil {
			return b, err
		}
		if _, err := in.Discard(len("\r\n")); err != nil {
			return b, err
		}
		if n == 0 {
			return b, nil
		}
	}
}

func readN(in *bufio.Reader, b []byte, n int64) ([]byte, error) {
	if n < 0 || int64(len(b))+n > maxBody {
		return b, errors.New("body too large")
	}
	at := len(b)
	if need := at + int(n); need > cap(b) {
		grown := make([]byte, at, need+need/4)
		copy(grown, b)
		b = grown
	}
	b = b[:at+int(n)]
	_, err := io.ReadFull(in, b[at:])
	return b, err
}
