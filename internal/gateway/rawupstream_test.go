package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/llm"
)

// rawUpstream is a peer that reads one request a connection and answers with bytes
// that no HTTP library would write. It returns its base URL.
func rawUpstream(t testing.TB, answer func(q *http.Request, body []byte) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				q, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				body, _ := io.ReadAll(q.Body) // a body that breaks off is still to be answered
				_, _ = io.WriteString(conn, answer(q, body))
				if q.Header.Get("Idempotency-Key") == "stay" {
					_, _ = io.Copy(io.Discard, in) // until the gateway hangs up
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return "http://" + l.Addr().String() + "/v1"
}

func pointedAt(t testing.TB, address string) func(*gateway.Snapshot) {
	return func(s *gateway.Snapshot) {
		s.Upstreams[oa] = newUpstream(t, oa, vendorOf(formatNamed("chat")), address, plan{})
	}
}

const goodChat = `{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`

// TestRawAnswers: answers that are hostile below what an HTTP library would write.
// None hangs the exchange, allocates what it declares, or shows the credential in
// the logs (the rig looks for it there).
func TestRawAnswers(t *testing.T) {
	chat := formatNamed("chat")
	for _, c := range []struct {
		name   string
		answer string // with $KEY for the authorization header that was received
		state  llm.Terminal
		kind   fault.Kind
	}{
		{"not http", "SSH-2.0-OpenSSH_9.2\r\n", llm.Unreachable, fault.UpstreamFailed},
		{"the credential as status line", "$KEY\r\n\r\n", llm.Unreachable, fault.UpstreamFailed},
		{"the credential as header line", "HTTP/1.1 200 OK\r\n$KEY\r\n\r\n", llm.Unreachable, fault.UpstreamFailed},
		{"the credential as chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n$KEY\r\n", llm.CutByUpstream, fault.UpstreamCut},
		{"the credential in a trailer", "HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n$KEY\r\n\r\n", llm.CutByUpstream, fault.UpstreamCut},
		{"switching protocols", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello", llm.Malformed, fault.UpstreamFailed},
		{"an endless length", "HTTP/1.1 200 OK\r\nContent-Length: 4611686018427387904\r\n\r\n{}", llm.TooLarge, fault.UpstreamInvalid},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", llm.Unreachable, fault.UpstreamFailed},
		{"a long header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n{}", llm.Unreachable, fault.UpstreamFailed},
		{"many hints", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </"+strings.Repeat("x", 1000)+">\r\n\r\n", 100), llm.Unreachable, fault.UpstreamFailed},
		{"status 199", "HTTP/1.1 199 Hm\r\nContent-Length: 0\r\n\r\n", llm.Unreachable, fault.UpstreamFailed},
		{"status 204", "HTTP/1.1 204 No Content\r\n\r\n", llm.Malformed, fault.UpstreamInvalid},
		{"status 304", "HTTP/1.1 304 Not Modified\r\n\r\n", llm.Malformed, fault.UpstreamFailed},
		{"status 302", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/$KEY\r\nContent-Length: 0\r\n\r\n", llm.Malformed, fault.UpstreamFailed},
		{"status 999", "HTTP/1.1 999 Hm\r\nContent-Length: 2\r\n\r\n{}", llm.Malformed, fault.UpstreamFailed},
		{"nothing", "", llm.Unreachable, fault.UpstreamFailed},
		{"a byte-order mark", "HTTP/1.1 200 OK\r\n\r\n\xef\xbb\xbf" + goodChat, llm.Malformed, fault.UpstreamInvalid},
		{"two documents", "HTTP/1.1 200 OK\r\n\r\n" + goodChat + goodChat, llm.Malformed, fault.UpstreamInvalid},
		{"not utf-8", "HTTP/1.1 200 OK\r\n\r\n" + strings.Replace(goodChat, "hi", "h\xff", 1), llm.Malformed, fault.UpstreamInvalid},
		{"deep", "HTTP/1.1 200 OK\r\n\r\n" + strings.Replace(goodChat, `"hi"`, strings.Repeat("[", 5000)+strings.Repeat("]", 5000), 1), llm.Malformed, fault.UpstreamInvalid},
		{"an array", "HTTP/1.1 200 OK\r\n\r\n[]", llm.Malformed, fault.UpstreamInvalid},
		{"no choices", "HTTP/1.1 200 OK\r\n\r\n{}", llm.Malformed, fault.UpstreamInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := rawUpstream(t, func(q *http.Request, _ []byte) string {
				return strings.ReplaceAll(c.answer, "$KEY", q.Header.Get("Authorization"))
			})
			r := newRig(t, plan{snapshot: pointedAt(t, address), limits: narrow})
			q := chat.call("hello")
			setHeader(&q, "Idempotency-Key", map[bool]string{true: "stay"}[strings.Contains(c.answer, " 101 ")])
			got := r.do(t, q)
			chat.isFault(t, got, c.kind)
			o := r.outcome(t, got)
			if o.State != string(c.state) || o.Fault != c.kind.String() {
				t.Errorf("state %s, fault %s", o.State, o.Fault)
			}
		})
	}
}

// TestRawHeaders: a header that is passed on by its name is not when it holds the
// credential, and no header of an upstream stands for one of ours.
func TestRawHeaders(t *testing.T) {
	address := rawUpstream(t, func(q *http.Request, _ []byte) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Ratelimit-Limit: 5\r\nX-Ratelimit-Note: " + q.Header.Get("Authorization") +
			"\r\nX-Request-Id: theirs\r\nRequest-Id: theirs\r\nX-Sallyport-Reason: theirs\r\nCache-Control: public\r\nX-Content-Type-Options: theirs\r\n" +
			"Set-Cookie: a=b\r\nAccess-Control-Allow-Origin: *\r\nAlt-Svc: h3\r\nCf-Ray: x\r\nContent-Encoding: identity\r\nConnection: close\r\n\r\n" + goodChat
	})
	r := newRig(t, plan{snapshot: pointedAt(t, address)})
	got := r.do(t, formatNamed("chat").call("hello"))
	sameHeader(t, got.header, http.Header{
		"Content-Type": {"application/json"}, "X-Ratelimit-Limit": {"5"}, "X-Request-Id": {got.rid}, "Request-Id": {got.rid},
		"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "Content-Length": {strconv.Itoa(len(goodChat))}, "Date": got.header["Date"],
	})
	if string(got.body) != goodChat {
		t.Errorf("%s", got.body)
	}
}
