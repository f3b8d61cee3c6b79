package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// scenario is one kind of request.
type scenario struct {
	name   string
	bytes  int
	stream bool
	conns  int     // in a closed loop; 0 takes the flag
	rate   float64 // a second, in an open loop
	gap    time.Duration
}

// frames is how many content frames a stream has.
const frames = 40

func scenarios() []scenario {
	return []scenario{
		{name: "1KB", bytes: 1 << 10, rate: 200},
		{name: "10KB", bytes: 10 << 10, rate: 200},
		{name: "100KB", bytes: 100 << 10, rate: 40},
		{name: "1MB", bytes: 1 << 20, rate: 8, conns: 8},
		{name: "stream", bytes: 1 << 10, stream: true, rate: 20, gap: time.Millisecond},
	}
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// connsOf is how many connections a closed loop has.
func (s scenario) connsOf(o options) int {
	if s.conns > 0 {
		return min(o.conns, s.conns)
	}
	return o.conns
}

// turn is 2 KB of conversation in JSON spelling: prose with escapes, code,
// digits and text beyond ASCII, as agents send it.
var turn = strings.Repeat(`Please look at the file \"main.go\" — it says:\n\tif err != nil {\n\t\treturn fmt.Errorf(\"open %s: %w\", path, err)\n\t}\n`+
	`On 2026-03-14 at 15:09 the naïve résumé importer read 4096 rows in 271 ms; line 1729 held “façade”, 価格 and \u00fcber. `+
	`Could you check C:\\temp\\report and https://example.org/a/b?id=42#top for me? `, 16)[:2000]

// nonceLen is the length of the nonce in every body.
const nonceLen = 16

// body makes a chat request of exactly size bytes (or the least that holds the
// rest), in turns of 2 KB. The nonce stands at the returned offset, so that a
// request can be made unique without building it again.
func body(model string, size int, stream bool, control string) (b []byte, nonceAt int) {
	var t bytes.Buffer
	fmt.Fprintf(&t, `{"model":%q,`, model)
	if stream {
		t.WriteString(`"stream":true,`)
	}
	fmt.Fprintf(&t, `"user":"bench %s","messages":[{"role":"system","content":"nonce-`, control)
	nonceAt = t.Len()
	t.WriteString(strings.Repeat("0", nonceLen) + ` You are helpful."}`)
	const open, end, tail = `,{"role":"%s","content":"`, `"}`, `]}`
	for i := 0; ; i++ {
		head := fmt.Sprintf(open, [...]string{"user", "assistant"}[i%2])
		room := size - t.Len() - len(head) - len(end) - len(tail)
		if room <= 0 {
			break
		}
		t.WriteString(head)
		if room <= len(turn)+len(head)+len(end)+1 { // the last turn fills up
			t.WriteString(plain(room))
		} else {
			t.WriteString(whole(turn))
		}
		t.WriteString(end)
	}
	t.WriteString(tail)
	return t.Bytes(), nonceAt
}

// whole cuts JSON text so that no escape and no rune is cut.
func whole(s string) string { return s[:strings.LastIndexByte(s, ' ')] }

// plain is n bytes of JSON text: turns, then words for the rest.
func plain(n int) string {
	var t strings.Builder
	for t.Len()+len(whole(turn)) <= n {
		t.WriteString(whole(turn))
	}
	for t.Len() < n {
		t.WriteString("ok "[:min(3, n-t.Len())])
	}
	return t.String()
}

// setNonce writes a nonce made of n into a body.
func setNonce(b []byte, at int, n uint64) {
	digits := strconv.AppendUint(nil, n, 36)
	for i := range nonceLen {
		b[at+i] = '0'
	}
	copy(b[at+nonceLen-len(digits):], digits)
}

// request puts a request line and headers before a body and returns it with the
// offset of the nonce in the whole.
func request(host, key string, body []byte, nonceAt int) ([]byte, int) {
	head := fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", host, key, len(body))
	return append(head, body...), len(head) + nonceAt
}
