package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// watched are the members of requests that mean something to Sallyport. Other
// members must pass through untouched.
var watched = []string{
	"model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens", "messages", "input", "n", "prompt",
	"previous_response_id", "conversation", "background", "tools", "user", "store", "metadata", "service_tier", "system", "thinking",
	"contents", "content", "requests", "generationConfig", "generation_config", "generateContentRequest", "generate_content_request",
	"toolConfig", "tool_config", "systemInstruction", "system_instruction", "safetySettings", "safety_settings", "cachedContent",
	"cached_content", "labels",
}

// strictly judges a document by the standard library's decoder, token by token:
// one object in UTF-8, no key twice, no half of a surrogate pair, at most depth
// levels. It returns the keys of the outermost object.
func strictly(doc string, depth int) (keys []string, ok bool) {
	if !utf8.ValidString(doc) || !json.Valid([]byte(doc)) || loneSurrogate(doc) {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber() // some numbers are beyond any float
	type level struct {
		object bool
		seen   map[string]bool
		value  bool // a key was read, its value comes
	}
	var open []level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return keys, true
		}
		if err != nil {
			return nil, false
		}
		var top *level
		if len(open) > 0 {
			top = &open[len(open)-1]
		}
		key := top != nil && top.object && !top.value
		switch v := token.(type) {
		case json.Delim:
			if v == '}' || v == ']' {
				open = open[:len(open)-1]
				continue
			}
			if top == nil && v != '{' {
				return nil, false
			}
			if top != nil {
				top.value = false
			}
			if open = append(open, level{object: v == '{', seen: map[string]bool{}}); len(open) > depth {
				return nil, false
			}
			continue
		case string:
			if key {
				if top.seen[v] {
					return nil, false
				}
				top.seen[v], top.value = true, true
				if len(open) == 1 {
					keys = append(keys, v)
				}
				continue
			}
		}
		if top == nil {
			return nil, false
		}
		top.value = false
	}
}

var escapes = regexp.MustCompile(`\\(u[0-9A-Fa-f]{4}|.)`)

// loneSurrogate reports whether a valid document escapes half of a pair.
func loneSurrogate(doc string) bool {
	all := escapes.FindAllStringIndex(doc, -1)
	for i := 0; i < len(all); i++ {
		var unit, next rune
		if n, _ := fmt.Sscanf(strings.ToLower(doc[all[i][0]:all[i][1]]), `\u%04x`, &unit); n != 1 || unit < 0xD800 || unit > 0xDFFF {
			continue
		}
		if unit >= 0xDC00 || i+1 == len(all) || all[i+1][0] != all[i][1] {
			return true
		}
		if n, _ := fmt.Sscanf(strings.ToLower(doc[all[i+1][0]:all[i+1][1]]), `\u%04x`, &next); n != 1 || next < 0xDC00 || next > 0xDFFF {
			return true
		}
		i++
	}
	return false
}

// knobsOf turns a number into a behaviour of the upstream.
func knobsOf(n uint32, f format) string {
	var knobs []string
	pick := func(choices ...string) {
		if k := choices[n%uint32(len(choices))]; k != "" {
			knobs = append(knobs, k)
		}
		n /= uint32(len(choices))
	}
	pick("frames=2", "frames=1", "frames=5", "frames=8 frame-bytes=300")
	pick("split=100000", "split=1", "split=2", "split=3", "split=7", "split=33", "split=1000", "batch=2", "batch=100")
	pick("", "odd=1")
	pick("", "duplicate=1")
	pick("", "eol=crlf", "eol=cr")
	pick("", "usage=each", "usage=finish", "usage=none", "usage=negative", "usage=exponent")
	pick("", "pings=2")
	pick("", "chunked=1", "hints=1")
	if f.ep == wire.Chat {
		pick("", "no-done=1")
	}
	return strings.Join(knobs, " ")
}

// FuzzSameFormat sends bodies with arbitrary members through the real gateway to a
// provider that answers in every way: what is valid reaches the provider with
// exactly the named edits and comes back with exactly one named chunk less, the
// record commits to both, and what is not valid is refused and not sent.
func FuzzSameFormat(f *testing.F) {
	for i := range formats {
		f.Add(uint8(i), "", "hello", uint32(0))
		f.Add(uint8(i), strange, "nonce-1", uint32(i*7919))
	}
	f.Add(uint8(1), `"a":{"b":[1,2,{"c":null}]},"A":1`, "\x00\xff\"\\\u2028", uint32(123456))
	f.Add(uint8(0), `"a":1,"a":2`, "twice", uint32(1))
	f.Add(uint8(5), `"a":"\ud800"`, "half", uint32(2))
	f.Add(uint8(3), `"x":1}{"y":2`, "two", uint32(3))
	f.Add(uint8(6), `"x":`+strings.Repeat("[", 63)+strings.Repeat("]", 63), "deep", uint32(4))
	const depth = 64
	r := newRig(f, plan{tap: true})
	f.Fuzz(func(t *testing.T, which uint8, extra, prompt string, knobs uint32) {
		f := formats[int(which)%len(formats)]
		body := f.body(f.model, "p "+prompt+" [["+knobsOf(knobs, f)+"]]")
		at := 1
		if extra != "" {
			at += len(extra) + len(",")
			body = "{" + extra + "," + body[1:]
		}
		keys, ok := strictly(body, depth)
		own, _ := strictly("{"+body[at:], depth)
		if len(keys) > len(own) {
			for _, k := range keys[:len(keys)-len(own)] {
				if slices.ContainsFunc(watched, func(w string) bool { return strings.EqualFold(w, k) }) {
					t.Skip("a member that means something")
				}
			}
		}
		if !ok {
			got := r.do(t, call{path: f.at(f.model), body: body})
			f.isFault(t, got, fault.BadRequest)
			r.taps[f.up].none(t)
			r.refusal(t, got)
			r.seen.forget()
			return
		}
		var list []replaced
		if name, sent := f.names(); name != "" {
			list = []replaced{{at + strings.Index(body[at:], name), name, sent}}
		}
		drop := f.name == "chat stream"
		if drop {
			list = append([]replaced{{strings.Index(body, "{") + 1, "", usageOption}}, list...)
		}
		r.sameFormat(t, f, body, list, drop)
		r.seen.forget()
	})
}

// forget drops what was read of exchanges that have ended.
func (s *seen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.exchanges)
}

// replay is a provider that answers with given bytes, in pieces.
type replay struct {
	answer []byte
	piece  int
	stream bool
}

func (p *replay) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if p.stream {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	for rest := p.answer; len(rest) > 0; {
		n := min(p.piece, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush() // the gateway may have seen enough
		rest = rest[n:]
	}
}

// FuzzAnswer lets a provider answer anything at all: the client gets a beginning
// of it that is whole events and, unless the answer is complete, the format's
// error; the record says which and commits to every byte.
func FuzzAnswer(f *testing.F) {
	examples := newRig(f, plan{tap: true})
	for i, form := range formats {
		for _, knobs := range []string{"frames=1", "frames=2 eol=crlf odd=1", "frames=1 no-done=1", "error=3", "usage=each eol=cr"} {
			if got := examples.do(f, form.call("hello [["+knobs+"]]")); got.status == http.StatusOK {
				stream := examples.taps[form.up].take(f).answered
				f.Add(uint8(i), stream, uint16(1000))
				f.Add(uint8(i), stream[:len(stream)*2/3], uint16(1))
			}
		}
		f.Add(uint8(i), []byte("data: [DONE]"), uint16(3))
		f.Add(uint8(i), []byte("event: error\ndata: {\"error\":{}}\n\n"), uint16(1000))
		f.Add(uint8(i), []byte("event: x\ndata: {\"type\":\"error\"}\n\n"), uint16(1000))
		f.Add(uint8(i), []byte("\xef\xbb\xbfdata: {}\r\revent: x\rdata\n\n: c\n\n"), uint16(2))
	}
	p := &replay{}
	front := newTap(f, p)
	r := newRig(f, plan{snapshot: func(s *gateway.Snapshot) {
		for _, form := range formats {
			s.Upstreams[form.up] = newUpstream(f, form.up, vendorOf(form), front.url, plan{upstream: noUsage})
		}
	}})
	f.Fuzz(func(t *testing.T, which uint8, answered []byte, piece uint16) {
		form := formats[int(which)%len(formats)]
		if len(answered) > 32<<10 {
			t.Skip("too long")
		}
		*p = replay{answered, max(int(piece), len(answered)/200+1), form.stream}
		got := r.do(t, form.call("hello"))
		front.take(t)
		o := r.outcome(t, got)
		defer r.seen.forget()
		complete := o.State == string(llm.Complete)
		switch {
		case got.status != http.StatusOK:
			form.isFault(t, got, kindNamed(o.Fault))
			if complete {
				t.Errorf("status %d of a complete answer", got.status)
			}
			return
		case !form.stream:
			if !bytes.Equal(got.body, answered) {
				t.Errorf("got %q of %q", got.body, answered)
			}
			commits(t, "res", o.Returned, answered, nil)
			return
		}
		n := received(t, answered, o.Answer)
		rest, own := got.body, []byte(nil)
		// Behind an error of the upstream's own stands ours only where it is needed.
		if !complete && (o.State != string(llm.ErrorFrame) || !bytes.HasPrefix(answered[:n], rest)) {
			rest, own = form.splitOwn(t, got)
			form.isFrame(t, own, got.rid)
		}
		if !bytes.HasPrefix(answered[:n], rest) {
			t.Fatalf("%q is no beginning of %q", rest, answered)
		}
		var es []wire.Edit
		if len(rest) < n || len(own) > 0 {
			es = []wire.Edit{{Span: wire.Span{Start: len(rest), End: n}, With: own}}
		}
		commits(t, "res", o.Returned, answered[:n], es)
	})
}

// splitOwn takes our own error frame off the end of a stream, whatever stands before it.
func (f format) splitOwn(t testing.TB, a answer) (rest, own []byte) {
	t.Helper()
	mark := map[bool]string{true: "data: {\"error\":", false: "event: error\ndata: "}[f.ep == wire.Chat || f.google()]
	at := bytes.LastIndex(a.body, []byte(mark))
	if at < 0 {
		t.Fatalf("no error frame at the end of %q", a.body)
	}
	return a.body[:at], a.body[at:]
}

// kindNamed finds a kind of fault by its stable name.
func kindNamed(name string) fault.Kind {
	for k := range fault.NumKinds {
		if k.String() == name {
			return k
		}
	}
	return fault.NumKinds
}
