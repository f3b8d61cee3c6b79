package upstreamtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const testKey = "sk-test-credential-0123456789"

// start starts a server with a credential and closes it with the test.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Key == "" {
		cfg.Key = testKey
	}
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is an HTTP client of its own pool that neither follows redirects nor
// asks for or undoes compression.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// request builds a request as the vendor's SDK would.
func request(t testing.TB, s *Server, method, path, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	switch s.cfg.Vendor {
	case Anthropic:
		r.Header.Set("X-Api-Key", testKey)
		r.Header.Set("Anthropic-Version", Anthropic2023)
	case Gemini:
		r.Header.Set("X-Goog-Api-Key", testKey)
	default:
		r.Header.Set("Authorization", "Bearer "+testKey)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// answered is an answer read whole. err is what reading it met.
type answered struct {
	*http.Response
	body []byte
	err  error
}

func do(t testing.TB, c *http.Client, r *http.Request) answered {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answered{resp, b, err}
}

func post(t testing.TB, s *Server, path, body string) answered {
	t.Helper()
	return do(t, client(t), request(t, s, http.MethodPost, path, body))
}

// ok is post for an answer that must be whole and have status 200.
func ok(t testing.TB, s *Server, path, body string) answered {
	t.Helper()
	a := post(t, s, path, body)
	if a.err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", a.StatusCode, a.err, a.body)
	}
	return a
}

// value is decoded JSON that is reached into by a path such as "choices.0.delta".
type value struct{ v any }

func decode(t testing.TB, b []byte) value {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	return value{v}
}

// at follows a path; what is absent is nil.
func (v value) at(path string) any {
	cur := v.v
	for step := range strings.SplitSeq(path, ".") {
		switch c := cur.(type) {
		case map[string]any:
			cur = c[step]
		case []any:
			i := 0
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(c) {
				return nil
			}
			cur = c[i]
		default:
			return nil
		}
	}
	return cur
}

func (v value) text(path string) string {
	s, _ := v.at(path).(string)
	return s
}

func (v value) num(path string) string {
	n, _ := v.at(path).(json.Number)
	return n.String()
}

// has reports whether the last member of a path is there, null or not.
func (v value) has(path string) bool {
	parent, name := v.v, path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = v.at(path[:i]), path[i+1:]
	}
	m, _ := parent.(map[string]any)
	_, ok := m[name]
	return ok
}

func (v value) len(path string) int {
	l, _ := v.at(path).([]any)
	return len(l)
}

// event is one server-sent event read by the letter of WHATWG HTML 9.2.6.
type event struct {
	name string
	data string
}

// events splits a stream whose lines end in \n, \r\n or \r.
func events(t testing.TB, stream []byte) []event {
	t.Helper()
	stream = bytes.ReplaceAll(stream, []byte("\r\n"), []byte("\n"))
	stream = bytes.ReplaceAll(stream, []byte("\r"), []byte("\n"))
	var all []event
	var cur event
	var data []string
	lines := bufio.NewScanner(bytes.NewReader(stream))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		field, rest, _ := strings.Cut(lines.Text(), ":")
		rest = strings.TrimPrefix(rest, " ")
		switch {
		case lines.Text() == "":
			if data != nil {
				cur.data = strings.Join(data, "\n")
				all = append(all, cur)
			}
			cur, data = event{}, nil
		case field == "event":
			cur.name = rest
		case field == "data":
			data = append(data, rest)
		case field == "": // a comment
		default:
			t.Fatalf("unknown field in %q", lines.Text())
		}
	}
	return all
}

// chatBody is a chat request with one user message.
func chatBody(text, more string) string {
	b, _ := json.Marshal(text)
	return fmt.Sprintf(`{"model":"gpt-5-mini","messages":[{"role":"user","content":%s}]%s}`, b, more)
}

func generateBody(text, more string) string {
	b, _ := json.Marshal(text)
	return fmt.Sprintf(`{"contents":[{"role":"user","parts":[{"text":%s}]}]%s}`, b, more)
}

func messagesBody(text, more string) string {
	b, _ := json.Marshal(text)
	return fmt.Sprintf(`{"model":"claude-sonnet-4-5","max_tokens":1000,"messages":[{"role":"user","content":%s}]%s}`, b, more)
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// serve serves on a free loopback port until the test ends, and returns its URL.
func serve(t testing.TB, s *http.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return "http://" + l.Addr().String()
}
