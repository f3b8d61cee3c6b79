package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is a keep-alive HTTP/1.1 connection that does no more than a load
// generator needs, so that the generator costs little beside what it measures.
// It is used by one goroutine.
type conn struct {
	addr    string
	timeout time.Duration // of one exchange
	tcp     net.Conn
	in      *bufio.Reader
}

func newConn(addr string, timeout time.Duration) *conn {
	return &conn{addr: addr, timeout: timeout, in: bufio.NewReaderSize(nil, 32<<10)}
}

// result is what came back for one request.
type result struct {
	status int
	bytes  int64
	id     string        // x-request-id
	events int           // blank lines in the body: events of a stream
	done   bool          // the body ended with the stream's end mark
	first  time.Duration // to the first byte of the body
	total  time.Duration
}

var (
	endMark = []byte("data: [DONE]\n\n")
	errEOF  = errors.New("the connection closed inside the message")
)

// do sends a whole request and reads its answer to the end. After an error the
// connection is closed; the next do opens another.
func (c *conn) do(ctx context.Context, req []byte) (result, error) {
	r, reuse, err := c.exchange(ctx, req)
	if err != nil || !reuse {
		c.close()
	}
	return r, err
}

func (c *conn) close() {
	if c.tcp != nil {
		_ = c.tcp.Close() // an error changes nothing: the connection is given up
		c.tcp = nil
	}
}

func (c *conn) exchange(ctx context.Context, req []byte) (r result, reuse bool, err error) {
	if c.tcp == nil {
		d := net.Dialer{Timeout: 5 * time.Second}
		if c.tcp, err = d.DialContext(ctx, "tcp", c.addr); err != nil {
			return r, false, err
		}
		c.in.Reset(c.tcp)
	}
	began := time.Now()
	if err := c.tcp.SetDeadline(began.Add(c.timeout)); err != nil {
		return r, false, err
	}
	if _, err := c.tcp.Write(req); err != nil {
		return r, false, err
	}
	length, reuse, err := c.head(&r)
	if err != nil {
		return r, false, err
	}
	m := meter{r: &r, began: began}
	if length >= 0 {
		err = c.copy(&m, length)
	} else {
		err = c.chunks(&m)
	}
	r.done = bytes.HasSuffix(m.tail, endMark)
	r.total = time.Since(began)
	return r, reuse, err
}

// head reads status line and headers. A length of -1 means chunked.
func (c *conn) head(r *result) (length int64, reuse bool, err error) {
	line, err := c.line()
	if err != nil {
		return 0, false, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, false, fmt.Errorf("status line %q", line)
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, fmt.Errorf("status line %q", line)
	}
	length, reuse = -2, true
	for {
		if line, err = c.line(); err != nil {
			return 0, false, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil || length < 0 {
				return 0, false, fmt.Errorf("content length %q", value)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			length = -1
		case bytes.EqualFold(name, []byte("connection")):
			reuse = !bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("x-request-id")):
			r.id = string(value)
		}
	}
	if length == -2 {
		return 0, false, errors.New("the answer has no length")
	}
	return length, reuse, nil
}

// line reads one line without its end. It is valid until the next read.
func (c *conn) line() ([]byte, error) {
	b, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, eof(err)
	}
	return bytes.TrimRight(b, "\r\n"), nil
}

func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return errEOF
	}
	return err
}

func (c *conn) chunks(m *meter) error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(line), 16, 64)
		if err != nil {
			return fmt.Errorf("chunk size %q", line)
		}
		if err := c.copy(m, n); err != nil {
			return err
		}
		if line, err = c.line(); err != nil { // also the end of empty trailers
			return err
		}
		if len(line) != 0 {
			return fmt.Errorf("%q after a chunk", line)
		}
		if n == 0 {
			return nil
		}
	}
}

// copy hands the next n bytes to the meter as they arrive.
func (c *conn) copy(m *meter, n int64) error {
	for n > 0 {
		if _, err := c.in.Peek(1); err != nil {
			return eof(err)
		}
		b, _ := c.in.Peek(int(min(n, int64(c.in.Buffered()))))
		m.see(b)
		n -= int64(len(b))
		if _, err := c.in.Discard(len(b)); err != nil {
			return err
		}
	}
	return nil
}

// meter counts what passes without keeping it.
type meter struct {
	r     *result
	began time.Time
	tail  []byte // the last bytes seen
}

func (m *meter) see(b []byte) {
	if m.r.bytes == 0 {
		m.r.first = time.Since(m.began)
	}
	m.r.bytes += int64(len(b))
	m.r.events += bytes.Count(b, []byte("\n\n"))
	if len(m.tail) > 0 && m.tail[len(m.tail)-1] == '\n' && b[0] == '\n' {
		m.r.events++
	}
	m.tail = append(m.tail, b[max(0, len(b)-len(endMark)):]...)
	m.tail = append(m.tail[:0], m.tail[max(0, len(m.tail)-len(endMark)):]...)
}
