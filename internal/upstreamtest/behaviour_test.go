package upstreamtest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const chatPath = "/v1/chat/completions"

// stream is a chat stream under a directive.
func stream(t *testing.T, s *Server, directive string) answered {
	t.Helper()
	return post(t, s, chatPath, chatBody("hello "+directive, `,"stream":true,"stream_options":{"include_usage":true}`))
}

// knobTests show what each knob does. TestEveryKnob fails when one is missing.
var knobTests = map[string]func(t *testing.T, s *Server){
	"status": func(t *testing.T, s *Server) {
		for status, kind := range map[int]string{429: "requests", 500: "server_error", 503: "server_error", 401: "invalid_request_error"} {
			a := post(t, s, chatPath, chatBody(fmt.Sprintf("[[status=%d]]", status), ""))
			equal(t, "status", a.StatusCode, status)
			equal(t, "type", decode(t, a.body).text("error.type"), kind)
		}
	},
	"type": func(t *testing.T, s *Server) {
		a := post(t, s, chatPath, chatBody("[[status=429 type=insufficient_quota]]", ""))
		equal(t, "code", decode(t, a.body).text("error.code"), "insufficient_quota")
	},
	"retry-after": func(t *testing.T, s *Server) {
		a := post(t, s, chatPath, chatBody("[[status=429 retry-after=3]]", ""))
		equal(t, "retry-after", a.Header.Get("Retry-After"), "3")
	},
	"retry-after-ms": func(t *testing.T, s *Server) {
		a := post(t, s, chatPath, chatBody("[[status=429 retry-after-ms=250]]", ""))
		equal(t, "retry-after-ms", a.Header.Get("Retry-After-Ms"), "250")
	},
	"redirect": func(t *testing.T, s *Server) {
		a := post(t, s, chatPath, chatBody("[[redirect=http://127.0.0.1:9/elsewhere]]", ""))
		equal(t, "status", a.StatusCode, http.StatusTemporaryRedirect)
		equal(t, "location", a.Header.Get("Location"), "http://127.0.0.1:9/elsewhere")
	},
	"delay": func(t *testing.T, s *Server) {
		began := time.Now()
		ok(t, s, chatPath, chatBody("[[delay=50ms]]", ""))
		if took := time.Since(began); took < 50*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
	},
	"first": func(t *testing.T, s *Server) {
		// The headers come although the first frame does not.
		resp, err := client(t).Do(request(t, s, http.MethodPost, chatPath, chatBody("[[first=1h]]", `,"stream":true`)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		began := time.Now()
		chatStream(t, stream(t, s, "[[first=30ms]]"))
		if took := time.Since(began); took < 30*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
	},
	"gap": func(t *testing.T, s *Server) {
		began := time.Now()
		n := len(events(t, stream(t, s, "[[gap=5ms]]").body))
		if took := time.Since(began); took < time.Duration(n-1)*5*time.Millisecond {
			t.Errorf("%d frames came within %v", n, took)
		}
	},
	"pings": func(t *testing.T, s *Server) {
		equal(t, "comments", bytes.Count(stream(t, s, "[[pings=3]]").body, []byte(": keep-alive\n\n")), 3)
	},
	"frames": func(t *testing.T, s *Server) {
		// The role, the finish reason and the usage have a chunk each.
		equal(t, "chunks", len(chatStream(t, stream(t, s, "[[frames=40]]"))), 40+3)
	},
	"frame-bytes": func(t *testing.T, s *Server) {
		for i, c := range chatStream(t, stream(t, s, "[[frames=10 frame-bytes=500]]"))[1:11] {
			if n := len(c.text("choices.0.delta.content")); n < 490 || n > 530 {
				t.Errorf("frame %d has %d bytes", i, n)
			}
		}
	},
	"split": func(t *testing.T, s *Server) {
		for _, size := range chunks(t, s, "[[split=7]]") {
			if size > 7 {
				t.Errorf("a piece has %d bytes", size)
			}
		}
		chatStream(t, stream(t, s, "[[split=3]]")) // it is still a whole stream
	},
	"batch": func(t *testing.T, s *Server) {
		equal(t, "writes of one batch", len(chunks(t, s, "[[frames=40 batch=100000 gap=1ms]]")), 1)
		equal(t, "writes of four", len(chunks(t, s, "[[frames=8 batch=3]]")), 4) // 8 and role, finish reason, end mark
		equal(t, "chunks", len(chatStream(t, stream(t, s, "[[batch=3]]"))), 8+3)
	},
	"cut": func(t *testing.T, s *Server) {
		a := stream(t, s, "[[cut=3]]")
		if !errors.Is(a.err, io.ErrUnexpectedEOF) || len(events(t, a.body)) != 3 {
			t.Errorf("%v after %d frames", a.err, len(events(t, a.body)))
		}
		if a := post(t, s, chatPath, chatBody("[[cut=100]]", "")); !errors.Is(a.err, io.ErrUnexpectedEOF) || len(a.body) != 100 {
			t.Errorf("unary: %v after %d bytes", a.err, len(a.body))
		}
	},
	"how": func(t *testing.T, s *Server) {
		if a := stream(t, s, "[[cut=3 how=reset]]"); !errors.Is(a.err, syscall.ECONNRESET) {
			t.Errorf("reset gave %v", a.err)
		}
		a := stream(t, s, "[[cut=3 how=end]]")
		if a.err != nil || len(events(t, a.body)) != 3 {
			t.Errorf("end gave %v after %d frames", a.err, len(events(t, a.body)))
		}
		if a := post(t, s, chatPath, chatBody("[[cut=100 how=end]]", "")); a.err != nil || len(a.body) != 100 {
			t.Errorf("unary end gave %v after %d bytes", a.err, len(a.body))
		}
	},
	"stall": func(t *testing.T, s *Server) {
		seen := s.Journal().Len()
		resp, err := client(t).Do(request(t, s, http.MethodPost, chatPath, chatBody("[[stall=2]]", `,"stream":true`)))
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		n := 0
		for bytes.Count(buf[:n], []byte("\n\n")) < 2 {
			m, err := resp.Body.Read(buf[n:])
			if n += m; err != nil {
				t.Fatal(err)
			}
		}
		resp.Body.Close() // the client leaves: only that ends a stall
		e, err := s.Journal().WaitEnd(t.Context(), seen+1)
		if err != nil || e.Outcome != ClientGone || e.Frames != 2 {
			t.Errorf("%+v, %v", e, err)
		}
	},
	"error": func(t *testing.T, s *Server) {
		a := stream(t, s, "[[error=3 type=quota]]")
		all := events(t, a.body)
		equal(t, "frames", len(all), 4)
		equal(t, "code", decode(t, []byte(all[3].data)).text("error.code"), "quota")
		equal(t, "read", a.err, nil)
	},
	"malformed": func(t *testing.T, s *Server) {
		all := events(t, stream(t, s, "[[malformed=4]]").body)
		equal(t, "frames", len(all), 8+4)
		equal(t, "broken", strings.HasSuffix(all[4].data, `,"broken`), true)
		a := ok(t, s, chatPath, chatBody("[[malformed=0]]", ""))
		equal(t, "unary ends", a.body[len(a.body)-2] == '}', false)
	},
	"oversize": func(t *testing.T, s *Server) {
		const size = 3_000_001
		a := ok(t, s, chatPath, chatBody("[[oversize=3000001]]", ""))
		equal(t, "padding", len(decode(t, a.body).text("x_padding")), size)
		chunks := chatStream(t, stream(t, s, "[[oversize=3000001]]"))
		equal(t, "padding of a frame", len(chunks[1].text("x_padding")), size)
		equal(t, "frames", len(chunks), 8+3)
	},
	"empty": func(t *testing.T, s *Server) {
		equal(t, "bytes", len(ok(t, s, chatPath, chatBody("[[empty=1]]", "")).body), 0)
	},
	"no-done": func(t *testing.T, s *Server) {
		a := stream(t, s, "[[no-done=1]]")
		all := events(t, a.body)
		equal(t, "last", decode(t, []byte(all[len(all)-1].data)).has("usage"), true)
		equal(t, "read", a.err, nil)
	},
	"content-type": func(t *testing.T, s *Server) {
		equal(t, "type", ok(t, s, chatPath, chatBody("[[content-type=text/html]]", "")).Header.Get("Content-Type"), "text/html")
	},
	"usage": testUsage,
	"cached": func(t *testing.T, s *Server) {
		v := decode(t, ok(t, s, chatPath, chatBody("[[cached=7]]", "")).body)
		equal(t, "cached", v.num("usage.prompt_tokens_details.cached_tokens"), "7")
		an := start(t, Config{Vendor: Anthropic})
		v = decode(t, ok(t, an, "/v1/messages", messagesBody("[[cached=7]]", "")).body)
		plain := decode(t, ok(t, an, "/v1/messages", messagesBody("[[cached=0]]", "")).body)
		equal(t, "cached", v.num("usage.cache_read_input_tokens"), "7")
		equal(t, "disjoint input", atoi(v.num("usage.input_tokens"))+7, atoi(plain.num("usage.input_tokens")))
	},
	"cache-write": func(t *testing.T, _ *Server) {
		v := decode(t, ok(t, start(t, Config{Vendor: Anthropic}), "/v1/messages", messagesBody("[[cache-write=5 cache-hour=2]]", "")).body)
		equal(t, "sum", v.num("usage.cache_creation_input_tokens"), "7")
		equal(t, "5m", v.num("usage.cache_creation.ephemeral_5m_input_tokens"), "5")
	},
	"cache-hour": func(t *testing.T, _ *Server) {
		v := decode(t, ok(t, start(t, Config{Vendor: Anthropic}), "/v1/messages", messagesBody("[[cache-hour=3]]", "")).body)
		equal(t, "1h", v.num("usage.cache_creation.ephemeral_1h_input_tokens"), "3")
	},
	"reasoning": func(t *testing.T, s *Server) {
		v := decode(t, ok(t, s, chatPath, chatBody("[[reasoning=64]]", "")).body)
		equal(t, "reasoning", v.num("usage.completion_tokens_details.reasoning_tokens"), "64")
		equal(t, "completion", atoi(v.num("usage.completion_tokens")) > 64, true)
	},
	"model": func(t *testing.T, s *Server) {
		equal(t, "model", decode(t, ok(t, s, chatPath, chatBody("[[model=cheap-1]]", "")).body).text("model"), "cheap-1")
	},
	"drop-reused": func(t *testing.T, s *Server) {
		c := client(t)
		do(t, c, request(t, s, http.MethodPost, chatPath, chatBody("warm up", "")))
		n := s.Journal().Len()
		r := request(t, s, http.MethodPost, chatPath, chatBody("[[drop-reused=1]] nonce-D1", ""))
		r.GetBody = nil // else net/http itself sends the request again
		if resp, err := c.Do(r); err == nil {
			resp.Body.Close()
			t.Fatalf("status %d on a reused connection", resp.StatusCode)
		}
		reqs, err := s.Journal().Wait(t.Context(), n+1)
		if err != nil || len(reqs) != n+1 || reqs[n].Nonce != "D1" || reqs[n].Use != 2 {
			t.Errorf("journal has %d requests, %v", len(reqs)-n, err)
		}
		equal(t, "status on a fresh connection", do(t, client(t), request(t, s, http.MethodPost, chatPath, chatBody("[[drop-reused=1]]", ""))).StatusCode, 200)
	},
	"echo": func(t *testing.T, s *Server) {
		a := ok(t, s, chatPath, chatBody("[[echo=header,body]]", ""))
		equal(t, "header", a.Header.Get("X-Echo-Authorization"), "Bearer "+testKey)
		equal(t, "body", strings.Contains(decode(t, a.body).text("choices.0.message.content"), testKey), true)
		a = post(t, s, chatPath, chatBody("[[echo=error status=500]]", ""))
		equal(t, "error", strings.Contains(decode(t, a.body).text("error.message"), testKey), true)
		equal(t, "not asked", strings.Contains(string(ok(t, s, chatPath, chatBody("x", "")).body), testKey), false)
	},
	"gzip": func(t *testing.T, s *Server) {
		plain := stream(t, s, "[[gzip=0]]")
		for _, a := range []answered{stream(t, s, "[[gzip=1]]"), ok(t, s, chatPath, chatBody("[[gzip=1]]", ""))} {
			equal(t, "encoding", a.Header.Get("Content-Encoding"), "gzip")
			z, err := gzip.NewReader(bytes.NewReader(a.body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(z)
			if err != nil || len(b) == 0 {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		}
		equal(t, "encoding", plain.Header.Get("Content-Encoding"), "")
	},
	"chunked": func(t *testing.T, s *Server) {
		equal(t, "length", ok(t, s, chatPath, chatBody("[[chunked=1]]", "")).ContentLength, int64(-1))
		a := ok(t, s, chatPath, chatBody("[[chunked=0]]", ""))
		equal(t, "length", a.ContentLength, int64(len(a.body)))
	},
	"hints": func(t *testing.T, s *Server) {
		early := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { early = code; return nil }}
		r := request(t, s, http.MethodPost, chatPath, chatBody("[[hints=1]]", ""))
		a := do(t, client(t), r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		equal(t, "early", early, 103)
		equal(t, "status", a.StatusCode, 200)
		equal(t, "link", a.Header.Get("Link"), "")
	},
	"duplicate": func(t *testing.T, s *Server) {
		a := ok(t, s, chatPath, chatBody("[[duplicate=1]]", ""))
		equal(t, "models", bytes.Count(a.body, []byte("\n  \"model\":")), 2)
		equal(t, "last wins", decode(t, a.body).text("model"), "duplicate-model")
	},
	"odd": func(t *testing.T, s *Server) {
		for _, a := range []answered{ok(t, s, chatPath, chatBody("[[odd=1]]", "")), stream(t, s, "[[odd=1]]")} {
			equal(t, "spelling kept", bytes.Contains(a.body, []byte(`"n":1.0E+2, "z":0.10,"neg":-0`)), true)
		}
		chatStream(t, stream(t, s, "[[odd=1]]")) // every chunk is still JSON
	},
	"eol": func(t *testing.T, s *Server) {
		want := stream(t, s, "[[gap=0s]]").body
		for name, eol := range map[string]string{"crlf": "\r\n", "cr": "\r"} {
			a := stream(t, s, "[[eol="+name+"]]")
			all := chatStream(t, a)
			equal(t, name, bytes.Count(a.body, []byte(eol+eol)), len(all)+1)
			equal(t, name+" frames", len(all), len(chatStream(t, answered{a.Response, want, nil})))
		}
	},
	"times": func(t *testing.T, s *Server) {
		body := chatBody("once [[status=500 times=1]]", "")
		equal(t, "first", post(t, s, chatPath, body).StatusCode, 500)
		equal(t, "second", post(t, s, chatPath, body).StatusCode, 200)
		equal(t, "another prompt", post(t, s, chatPath, chatBody("twice [[status=500 times=1]]", "")).StatusCode, 500)
	},
}

func TestEveryKnob(t *testing.T) {
	s := start(t, Config{})
	for _, k := range Knobs() {
		t.Run(k.Name, func(t *testing.T) {
			check := knobTests[k.Name]
			if check == nil {
				t.Fatal("no test shows what the knob does")
			}
			check(t, s)
		})
	}
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1 << 40
	}
	return n
}

// chunks are the sizes of the HTTP chunks of a stream: what the server flushed
// together, however TCP delivered it.
func chunks(t *testing.T, s *Server, directive string) []int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := request(t, s, http.MethodPost, chatPath, chatBody(directive, `,"stream":true`)).Write(conn); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for line := "-"; strings.TrimSpace(line) != ""; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	var sizes []int
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return sizes
		}
		sizes = append(sizes, int(n))
		if _, err := in.Discard(int(n) + len("\r\n")); err != nil {
			t.Fatal(err)
		}
	}
}

func testUsage(t *testing.T, s *Server) {
	usage := func(kind string) value {
		return decode(t, ok(t, s, chatPath, chatBody("count [[usage="+kind+"]]", "")).body)
	}
	equal(t, "none", usage("none").has("usage"), false)
	equal(t, "negative", strings.HasPrefix(usage("negative").num("usage.completion_tokens"), "-"), true)
	v := usage("cached")
	equal(t, "cached", atoi(v.num("usage.prompt_tokens_details.cached_tokens")) > atoi(v.num("usage.prompt_tokens")), true)
	v = usage("reasoning")
	equal(t, "reasoning", atoi(v.num("usage.completion_tokens_details.reasoning_tokens")) > atoi(v.num("usage.completion_tokens")), true)
	equal(t, "huge", atoi(usage("huge").num("usage.prompt_tokens")) > 1<<59, true)
	equal(t, "fraction", strings.HasSuffix(usage("fraction").num("usage.prompt_tokens"), ".5"), true)
	equal(t, "text", usage("text").text("usage.prompt_tokens") != "", true)
	spelling := usage("exponent").num("usage.completion_tokens")
	f, err := strconv.ParseFloat(spelling, 64)
	want, expectErr := Expect(chatPath, []byte(chatBody("count [[usage=exponent]]", "")))
	if err != nil || expectErr != nil || !strings.Contains(spelling, "E+") || f != float64(want.Completion) {
		t.Errorf("exponent of %d is %s", want.Completion, spelling)
	}
	before := -1
	for _, c := range chatStream(t, post(t, s, chatPath, chatBody("[[usage=each]]", `,"stream":true`))) {
		n := atoi(c.num("usage.completion_tokens"))
		if n < before {
			t.Errorf("cumulative usage fell from %d to %d", before, n)
		}
		before = n
	}
	equal(t, "cumulative usage", before > 0, true)
	chunks := chatStream(t, stream(t, s, "[[usage=finish]]"))
	last := chunks[len(chunks)-1]
	equal(t, "finish with usage", last.text("choices.0.finish_reason") == "stop" && last.num("usage.total_tokens") != "", true)
	for _, c := range chatStream(t, stream(t, s, "[[usage=none]]")) {
		equal(t, "usage in a stream", c.has("usage"), false)
	}
	an := start(t, Config{Vendor: Anthropic})
	v = decode(t, ok(t, an, "/v1/messages", messagesBody("[[usage=cached]]", "")).body)
	equal(t, "breakdown", atoi(v.num("usage.cache_creation.ephemeral_5m_input_tokens")) > atoi(v.num("usage.cache_creation_input_tokens")), true)
}

func TestParseBehaviour(t *testing.T) {
	for _, bad := range []string{
		"x=1", "status", "status=200", "status=abc", "gap=5", "gap=-1s", "cut=-1", "how=softly", "usage=some",
		"gzip=maybe", "echo=all", "eol=lf", "frames=0", "oversize=-1",
	} {
		if b, err := ParseBehaviour(Behaviour{}, bad); err == nil {
			t.Errorf("%q became %+v", bad, b)
		}
	}
	b, err := ParseBehaviour(Behaviour{Gap: time.Second, Frames: 3}, " status=429  cut=0 gap=2ms ")
	if err != nil || b.Status != 429 || b.Cut == nil || *b.Cut != 0 || b.Gap != 2*time.Millisecond || b.Frames != 3 {
		t.Errorf("%+v, %v", b, err)
	}
}

// TestDirectiveForm: text in double brackets is not a directive unless every
// word is name=value, and the last directive counts.
func TestDirectiveForm(t *testing.T) {
	for text, want := range map[string]string{
		"see [[Wiki Page]] and [[1,2]]":     "",
		"[[status=500]]":                    "status=500",
		"a [[gap=1s]] b [[ cut=1 how=end]]": " cut=1 how=end",
		"[[status=500 please]]":             "",
	} {
		if got, _ := findDirective(text); got != want {
			t.Errorf("%q has directive %q, want %q", text, got, want)
		}
	}
	s := start(t, Config{NoDirectives: true})
	equal(t, "switched off", post(t, s, chatPath, chatBody("[[status=500]]", "")).StatusCode, 200)
}

func TestServerBehaviours(t *testing.T) {
	s := start(t, Config{Behaviour: Behaviour{Status: 503}})
	equal(t, "of the server", post(t, s, chatPath, chatBody("x", "")).StatusCode, 503)
	equal(t, "of a route without a body", do(t, client(t), request(t, s, http.MethodGet, "/v1/models", "")).StatusCode, 503)
	s.SetBehaviour(Behaviour{})
	s.Next(Behaviour{Status: 500}, Behaviour{}, Behaviour{Status: 529})
	for _, want := range []int{500, 200, 529, 200} {
		equal(t, "queued", post(t, s, chatPath, chatBody("x", "")).StatusCode, want)
	}
	s.Next(Behaviour{})
	equal(t, "queued before directive", post(t, s, chatPath, chatBody("[[status=400]]", "")).StatusCode, 200)
}

func TestAnthropicBehaviours(t *testing.T) {
	s := start(t, Config{Vendor: Anthropic})
	a := post(t, s, "/v1/messages", messagesBody("[[status=529]]", ""))
	equal(t, "status", a.StatusCode, 529)
	equal(t, "type", decode(t, a.body).text("error.type"), "overloaded_error")

	all := events(t, post(t, s, "/v1/messages", messagesBody("[[error=4 pings=2]]", `,"stream":true`)).body)
	equal(t, "pings first", all[0].name+all[1].name+all[2].name, "pingpingmessage_start")
	last := all[len(all)-1]
	equal(t, "event", last.name, "error")
	equal(t, "type", decode(t, []byte(last.data)).text("error.type"), "overloaded_error")

	all = events(t, post(t, s, "/v1/messages", messagesBody("[[no-done=1]]", `,"stream":true`)).body)
	equal(t, "last event", all[len(all)-1].name, "message_delta")
}

func TestResponsesBehaviours(t *testing.T) {
	s := start(t, Config{})
	all := events(t, post(t, s, "/v1/responses", `{"model":"gpt-5-mini","input":"[[error=5]]","stream":true}`).body)
	last := all[len(all)-1]
	equal(t, "event", last.name, "error")
	equal(t, "sequence_number", decode(t, []byte(last.data)).num("sequence_number"), "5")
	all = events(t, post(t, s, "/v1/responses", `{"model":"gpt-5-mini","input":"[[usage=none]]","stream":true}`).body)
	equal(t, "usage", decode(t, []byte(all[len(all)-1].data)).at("response.usage"), nil)
}

func FuzzParseBehaviour(f *testing.F) {
	f.Add("status=429 retry-after=3")
	f.Add("cut=3 how=reset gap=1ms")
	f.Fuzz(func(t *testing.T, words string) {
		base := Behaviour{Frames: 7}
		if b, err := ParseBehaviour(base, words); err != nil && b != base {
			t.Errorf("%q failed and changed the behaviour to %+v", words, b)
		}
	})
}
