package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/wire"
)

// usageOption is what Sallyport adds to a chat stream whose client does not ask for usage.
const usageOption = `"stream_options":{"include_usage":true},`

// replaced is what a text of a body is replaced by on the way to the upstream.
type replaced struct {
	at       int // byte offset into the client's body
	old, new string
}

// edits are the replacements as commitments name them.
func edits(list []replaced) []wire.Edit {
	var es []wire.Edit
	for _, e := range list {
		es = append(es, wire.Edit{Span: wire.Span{Start: e.at, End: e.at + len(e.old)}, With: []byte(e.new)})
	}
	return es
}

// apply makes the replacements, which are in order.
func apply(body string, list []replaced) string {
	for i := len(list) - 1; i >= 0; i-- {
		e := list[i]
		body = body[:e.at] + e.new + body[e.at+len(e.old):]
	}
	return body
}

// usageChunks finds the events of a chat stream that exist only because usage was
// asked for: no choices, but a usage.
func usageChunks(stream []byte) (spans []wire.Edit) {
	at := 0
	for at < len(stream) {
		end := len(stream)
		for _, blank := range []string{"\n\n", "\r\n\r\n", "\r\r"} {
			if i := bytes.Index(stream[at:], []byte(blank)); i >= 0 {
				end = min(end, at+i+len(blank))
			}
		}
		var chunk struct {
			Choices []any `json:"choices"`
			Usage   any   `json:"usage"`
		}
		data := bytes.TrimPrefix(bytes.TrimSpace(stream[at:end]), []byte("data: "))
		if json.Unmarshal(data, &chunk) == nil && len(chunk.Choices) == 0 && chunk.Usage != nil {
			spans = append(spans, wire.Edit{Span: wire.Span{Start: at, End: end}})
		}
		at = end
	}
	return spans
}

// without removes the spans of edits that put nothing in their place.
func without(b []byte, spans []wire.Edit) []byte {
	s, err := wire.Splice(b, spans)
	if err != nil {
		panic(err)
	}
	return s.Append(nil)
}

// sameFormat sends a body and checks that nothing but the replacements changed on
// the way there, nothing but the usage chunk (when drop is set) on the way back,
// and that the record commits to exactly that.
func (r *rig) sameFormat(t testing.TB, f format, body string, list []replaced, drop bool) {
	t.Helper()
	got := r.do(t, call{path: f.at(f.model), body: body})
	if got.err != nil {
		t.Fatalf("read the answer: %v", got.err)
	}
	o := r.outcome(t, got)
	up := r.taps[f.up].take(t)
	if want := apply(body, list); string(up.body) != want {
		t.Errorf("the upstream received\n%s\nwant\n%s", up.body, want)
	}
	var removed []wire.Edit
	if drop {
		removed = usageChunks(up.answered)
	}
	if want := without(up.answered, removed); !bytes.Equal(got.body, want) {
		t.Errorf("the client received\n%q\nwant\n%q", got.body, want)
	}
	commits(t, "req", o.Req, []byte(body), nil)
	commits(t, "fwd", o.Forwarded, []byte(body), edits(list))
	commits(t, "upres", o.Answer, up.answered, nil)
	commits(t, "res", o.Returned, up.answered, removed)
	if o.OutBytes != int64(len(got.body)) || o.InBytes != int64(len(body)) || o.Status != int64(got.status) {
		t.Errorf("in %d, out %d, status %d in the record; body %d, answer %d, status %d", o.InBytes, o.OutBytes, o.Status, len(body), len(got.body), got.status)
	}
}

// edited are the replacements that a body needs: those of its format, found by
// the text that the test itself wrote.
func (f format) edited(body string) (list []replaced, drop bool) {
	if f.name == "chat stream" && !strings.Contains(body, `"stream_options"`) {
		list = append(list, replaced{strings.Index(body, "{") + 1, "", usageOption})
		drop = true
	}
	name, sent := f.names()
	if name == "" {
		return list, drop
	}
	return append(list, replaced{strings.LastIndex(body, name), name, sent}), drop
}

// names are the public name of the model as it stands in a body, and what the
// upstream receives instead; empty when only the path has it.
func (f format) names() (public, sent string) {
	switch {
	case f.google() && f.embeds():
		return quote("models/" + f.model), quote("models/" + f.sent)
	case f.google():
		return "", ""
	}
	return quote(f.model), quote(f.sent)
}

// strange are members that only survive when bytes are kept.
const strange = "\"x_n\" :\t1.0E+2 ,\r\n\"x_z\":0.10,\"neg\":-0,\"big\":123456789012345678901234567890,\"tiny\":1e-400,\"esc\":\"\\u0041\\/\\u00e9\\ud83d\\ude00 \u2028 é\"," +
	"\"nested\":[ [ ],{ } , null,{\"model\":\"inner\",\"stream\":true}],\"\":0"

func TestSameFormatBytes(t *testing.T) {
	r := newRig(t, plan{tap: true})
	knobs := []string{
		"", "odd=1", "duplicate=1", "odd=1 duplicate=1 eol=crlf", "eol=cr", "no-done=1", "no-done=1 eol=crlf", "chunked=1",
		"usage=none", "usage=each", "usage=finish", "hints=1", "pings=3", "pings=2 eol=cr", "batch=3", "batch=100", "frames=40",
		"frame-bytes=9000 frames=3", "split=1 frames=2", "split=2 frames=2 eol=crlf", "split=3 frames=2 odd=1", "split=7", "split=64 eol=cr",
	}
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			for _, k := range knobs {
				if f.stream && f.ep != wire.Chat && strings.HasPrefix(k, "no-done") {
					continue // without their last event these are broken off
				}
				prompt := "say something"
				if k != "" {
					prompt += " [[" + k + "]]"
				}
				body := "\n { " + strange + ", " + f.body(f.model, prompt)[1:] + " \r\n"
				list, drop := f.edited(body)
				r.sameFormat(t, f, body, list, drop)
				if t.Failed() {
					t.Fatalf("knobs %q", k)
				}
			}
		})
	}
}

// TestUsageOption covers every way in which a client's stream_options may stand.
func TestUsageOption(t *testing.T) {
	r := newRig(t, plan{tap: true})
	f := formatNamed("chat stream")
	const name = `"fast"`
	for _, c := range []struct {
		options  string
		old, new string // what is replaced in the body
		drop     bool
	}{
		{`"stream_options":{"include_usage":true}`, "", "", false},
		{`"stream_options" : { "include_usage" : true , "x":1.0}`, "", "", false},
		{`"stream_options":null`, `null`, `{"include_usage":true}`, true},
		{`"stream_options":{}`, `{}`, `{"include_usage":true}`, true},
		{`"stream_options":{ }`, `{ }`, `{"include_usage":true }`, true},
		{`"stream_options":{"include_obfuscation":false}`, `{"include_obfuscation"`, `{"include_usage":true,"include_obfuscation"`, true},
		{`"stream_options":{"include_usage": false}`, `false`, `true`, true},
		{`"stream_options":{"include_usage":null ,"x":[]}`, `null`, `true`, true},
	} {
		body := `{` + c.options + `,"messages":[{"role":"user","content":"hi"}],"stream":true,"model":` + name + `}`
		var list []replaced
		if c.new != "" {
			old, add := c.old, c.new
			at := strings.Index(body, old)
			if insert := strings.TrimSuffix(strings.TrimPrefix(add, "{"), strings.TrimPrefix(old, "{")); old[0] == '{' {
				at, old, add = at+1, "", insert // insertions commit as such
			}
			list = append(list, replaced{at, old, add})
		}
		list = append(list, replaced{strings.LastIndex(body, name), name, `"gpt-5-mini"`})
		r.sameFormat(t, f, body, list, c.drop)
		if t.Failed() {
			t.Fatalf("options %s", c.options)
		}
	}
}

// TestNoUsageOption: an upstream for which usage is not asked for gets and gives
// every byte unchanged, and its usage is unknown.
func TestNoUsageOption(t *testing.T) {
	r := newRig(t, plan{tap: true, upstream: noUsage})
	f := formatNamed("chat stream")
	body := f.body(f.model, "hi")
	at := strings.LastIndex(body, `"fast"`)
	r.sameFormat(t, f, body, []replaced{{at, `"fast"`, `"gpt-5-mini"`}}, false)
}

// TestSameNameIsNotEdited: when the public name is the upstream's own, nothing is
// changed at all, however the name is spelt.
func TestSameNameIsNotEdited(t *testing.T) {
	r := newRig(t, plan{tap: true, snapshot: alias("gpt-5-mini", oa, "gpt-5-mini")})
	f := formatNamed("chat")
	for _, name := range []string{`"gpt-5-mini"`, `"gpt-5\u002dmini"`, `"\u0067pt-5-mini"`} {
		r.sameFormat(t, f, fmt.Sprintf(`{"messages":[{"role":"user","content":"hi"}], "model" : %s}`, name), nil, false)
	}
	// A name that is written with escapes is replaced as it was written.
	r.Snapshot().Models["fäst"] = r.Snapshot().Models[fast]
	body := `{"model":"f\u00e4st","messages":[{"role":"user","content":"hi"}]}`
	r.sameFormat(t, f, body, []replaced{{9, `"f\u00e4st"`, `"gpt-5-mini"`}}, false)
}
