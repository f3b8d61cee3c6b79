package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/gateway"
)

// raw sends bytes over a fresh connection and closes its sending half, then reads
// every response until the gateway closes.
func (r *rig) raw(t testing.TB, text string) (statuses []int, last answer) {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	// The gateway may answer and close before it has taken everything.
	_, _ = io.WriteString(conn, text)
	_ = conn.(*net.TCPConn).CloseWrite()
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Fatalf("the gateway does not answer %q", clipped([]byte(text)))
			}
			return statuses, last
		}
		last = read(resp)
		statuses = append(statuses, resp.StatusCode)
	}
}

// hostile is one request that must not be forwarded.
type hostile struct {
	name string
	raw  string // with $KEY, $OTHER and $ADMIN for credentials
	want []int  // statuses in order; what follows the last is not looked at
}

// post is a request with a key and a body; more are header lines.
func post(path, body string, more ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer $KEY\r\nContent-Type: application/json\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n", len(body)) + lines(more) + "\r\n" + body
}

// with is a request of which only the given header lines are sent.
func with(line, body string, more ...string) string {
	return line + "\r\n" + lines(more) + "\r\n" + body
}

func lines(more []string) string {
	if len(more) == 0 {
		return ""
	}
	return strings.Join(more, "\r\n") + "\r\n"
}

// authorized is the beginning of most header sections.
const authorized = "Host: gateway\r\nAuthorization: Bearer $KEY\r\nContent-Type: application/json"

// good is a body that would be forwarded.
const good = `{"model":"fast","messages":[{"role":"user","content":"hi"}]}`

const chatLine = "POST /v1/chat/completions HTTP/1.1"

// TestHostileRequests sends every hostile request over bare TCP.
func TestHostileRequests(t *testing.T) {
	r := newRig(t, plan{limits: func(l *gateway.Limits) { l.BodyTime = 2 * time.Second }})
	other := r.newKey(t, auth.KeySpec{Project: "q"})
	creds := strings.NewReplacer("$KEY", r.key, "$OTHER", other, "$ADMIN", r.admin)
	table := slices.Concat(framing(), targets(), credentialTricks(), documents())
	if len(table) < 60 {
		t.Fatalf("only %d hostile requests", len(table))
	}
	for _, c := range table {
		statuses, last := r.raw(t, creds.Replace(c.raw))
		if len(statuses) < len(c.want) || !slices.Equal(statuses[:len(c.want)], c.want) {
			t.Errorf("%s: statuses %v, want %v: %s", c.name, statuses, c.want, clipped(last.body))
		}
		if strings.HasPrefix(last.rid, "req_") && last.status >= 400 {
			ours(t, last)
			if !json.Valid(last.body) {
				t.Errorf("%s: not JSON: %s", c.name, last.body)
			}
		}
		if bytes.Contains(last.body, []byte(r.key)) || bytes.Contains(last.body, []byte(r.admin)) {
			t.Errorf("%s: the credential comes back: %s", c.name, last.body)
		}
		for name, up := range r.ups {
			if n := up.Journal().Len(); n > 0 {
				t.Fatalf("%s: %d requests reached %s: %q", c.name, n, name, up.Journal().Requests()[0].Body)
			}
		}
	}
	if got := r.post(t, "/v1/chat/completions", good); got.status != http.StatusOK || r.ups[oa].Journal().Len() != 1 {
		t.Errorf("afterwards a good request has status %d", got.status)
	}
	t.Logf("%d hostile requests", len(table))
}

// TestUnreadBodies: whoever is answered before the body was read gets the answer at
// once, and keeps no connection by never sending that body.
func TestUnreadBodies(t *testing.T) {
	r := newRig(t, plan{limits: func(l *gateway.Limits) { l.BodyTime = time.Hour }})
	for _, c := range []struct {
		line, more string
		status     int
	}{
		{chatLine, "", http.StatusUnauthorized},
		{chatLine, "Authorization: Bearer sp_a\r\nX-Api-Key: sp_b\r\n", http.StatusBadRequest},
		{chatLine, "Authorization: Bearer $KEY\r\nContent-Type: text/plain\r\n", http.StatusUnsupportedMediaType},
		{chatLine, "Authorization: Bearer $KEY\r\nContent-Encoding: br\r\n", http.StatusUnsupportedMediaType},
		{chatLine, "Authorization: Bearer $KEY\r\nX-Sallyport-Hop: A\r\n", http.StatusBadRequest},
		{"PUT /v1/messages HTTP/1.1", "Authorization: Bearer $KEY\r\n", http.StatusMethodNotAllowed},
		{"POST /v1/uploads HTTP/1.1", "Authorization: Bearer $KEY\r\n", http.StatusNotFound},
		{"GET /v1/models HTTP/1.1", "Authorization: Bearer $KEY\r\n", http.StatusOK},
	} {
		for _, length := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
				t.Fatal(err)
			}
			text := c.line + "\r\nHost: gateway\r\n" + strings.ReplaceAll(c.more, "$KEY", r.key) + length + "\r\n\r\n"
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%s %q: no answer: %v", c.line, c.more, err)
			}
			if got := read(resp); got.status != c.status || !got.closed {
				t.Errorf("%s %q: status %d, closed %t", c.line, c.more, got.status, got.closed)
			}
			if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("%s %q: the connection stays: %v", c.line, c.more, err)
			}
		}
	}
}
