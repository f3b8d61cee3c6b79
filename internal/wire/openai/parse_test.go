package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

var limits = wire.Limits{Depth: 32}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name string
		ep   wire.Endpoint
		body string
		want wire.Call // spans and edit apart
	}{
		{"chat", wire.Chat, `{"model":"m","messages":[]}`, wire.Call{Model: "m", Choices: 1}},
		{"chat stream", wire.Chat, `{"stream":true,"messages":[{}],"model":"gpt-5\u002dmini"}`, wire.Call{Model: "gpt-5-mini", Stream: true, Choices: 1}},
		{"usage asked", wire.Chat, `{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}`, wire.Call{Model: "m", Stream: true, UsageAsked: true, Choices: 1}},
		{"bounds", wire.Chat, `{"model":"m","messages":[],"max_tokens":5,"max_completion_tokens":7,"n":3}`, wire.Call{Model: "m", MaxOutput: 7, Choices: 3}},
		{"no bounds", wire.Chat, `{"model":"m","messages":[],"max_tokens":-1,"max_completion_tokens":null,"n":null,"stream":null,"stream_options":null}`, wire.Call{Model: "m", Choices: 1}},
		{"slashes", wire.Chat, `{"model":"up/vendor/mödel:free","messages":[]}`, wire.Call{Model: "up/vendor/mödel:free", Choices: 1}},
		{"responses", wire.Responses, `{"model":"m","input":"hi","stream":true,"max_output_tokens":9,"store":false}`, wire.Call{Model: "m", Stream: true, MaxOutput: 9, Choices: 1}},
		{"responses from a prompt", wire.Responses, `{"model":"m","prompt":{"id":"p"}}`, wire.Call{Model: "m", Choices: 1}},
		{"responses from another", wire.Responses, `{"model":"m","input":null,"previous_response_id":"r"}`, wire.Call{Model: "m", Choices: 1}},
		{"responses in a conversation", wire.Responses, `{"model":"m","conversation":"c"}`, wire.Call{Model: "m", Choices: 1}},
		{"responses do not know max_tokens", wire.Responses, `{"model":"m","input":[],"max_tokens":"x"}`, wire.Call{Model: "m", Choices: 1}},
		{"embeddings", wire.Embeddings, `{"model":"m","input":[[1,2],[3]]}`, wire.Call{Model: "m", Choices: 1}},
		{"embeddings never stream", wire.Embeddings, `{"model":"m","input":"x","stream":true}`, wire.Call{Model: "m", Choices: 1}},
	} {
		got, err := Dialect{}.Parse(c.ep, []byte(c.body), limits)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var want struct{ Model json.RawMessage }
		if err := json.Unmarshal([]byte(c.body), &want); err != nil {
			t.Fatal(err)
		}
		if span := got.ModelSpan.Of([]byte(c.body)); !bytes.Equal(span, want.Model) {
			t.Errorf("%s: the model span holds %s", c.name, span)
		}
		if wanted := c.ep == wire.Chat && got.Stream && !got.UsageAsked; (got.UsageEdit != nil) != wanted {
			t.Errorf("%s: usage edit %v", c.name, got.UsageEdit)
		}
		c.want.Endpoint = c.ep
		got.ModelSpan, got.UsageEdit = wire.Span{}, nil
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, *got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	chat := func(members string) string { return `{"model":"m","messages":[],"stream":true,` + members + `}` }
	for _, c := range []struct {
		name, body, pointer string
		ep                  wire.Endpoint
	}{
		{"not JSON", `{"model":`, "/model", wire.Chat},
		{"no model", `{"messages":[]}`, "/model", wire.Chat},
		{"null model", `{"model":null,"messages":[]}`, "/model", wire.Chat},
		{"model of another kind", `{"model":["m"],"messages":[]}`, "/model", wire.Chat},
		{"empty model", `{"model":"","messages":[]}`, "/model", wire.Chat},
		{"long model", `{"model":"` + strings.Repeat("m", 257) + `","messages":[]}`, "/model", wire.Chat},
		{"long model of escapes", `{"model":"` + strings.Repeat(`\u0041`, 257) + `","messages":[]}`, "/model", wire.Chat},
		{"control in model", `{"model":"m\u001b[2J","messages":[]}`, "/model", wire.Chat},
		{"C1 control in model", `{"model":"m\u009b","messages":[]}`, "/model", wire.Chat},
		{"two models", `{"model":"a","messages":[],"model":"b"}`, "/model", wire.Chat},
		{"variant of model", `{"model":"a","messages":[],"Model":"b"}`, "/Model", wire.Chat},
		{"variant of tools", chat(`"Tools":[]`), "/Tools", wire.Chat},
		{"variant of n", chat(`"N":99`), "/N", wire.Chat},
		{"variant of store", chat(`"\u017ftore":true`), "/ſtore", wire.Chat},
		{"stream is text", `{"model":"m","messages":[],"stream":"true"}`, "/stream", wire.Chat},
		{"stream is 1", `{"model":"m","messages":[],"stream":1}`, "/stream", wire.Chat},
		{"no messages", `{"model":"m"}`, "/messages", wire.Chat},
		{"messages of another kind", `{"model":"m","messages":{}}`, "/messages", wire.Chat},
		{"fractional bound", chat(`"max_tokens":1.5`), "/max_tokens", wire.Chat},
		{"bound with exponent", chat(`"max_completion_tokens":1e3`), "/max_completion_tokens", wire.Chat},
		{"bound as text", chat(`"n":"2"`), "/n", wire.Chat},
		{"bound that does not fit", chat(`"n":99999999999999999999`), "/n", wire.Chat},
		{"options of another kind", chat(`"stream_options":[]`), "/stream_options", wire.Chat},
		{"include_usage of another kind", chat(`"stream_options":{"include_usage":"yes"}`), "/stream_options/include_usage", wire.Chat},
		{"variant of include_usage", chat(`"stream_options":{"Include_usage":true}`), "/stream_options/Include_usage", wire.Chat},
		{"two include_usage", chat(`"stream_options":{"include_usage":true,"include_usage":false}`), "/stream_options/include_usage", wire.Chat},
		{"no input", `{"model":"m"}`, "/input", wire.Responses},
		{"null input", `{"model":"m","input":null,"prompt":null}`, "/input", wire.Responses},
		{"fractional output bound", `{"model":"m","input":"","max_output_tokens":0.5}`, "/max_output_tokens", wire.Responses},
		{"nothing to embed", `{"model":"m"}`, "/input", wire.Embeddings},
	} {
		_, err := Dialect{}.Parse(c.ep, []byte(c.body), limits)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.BadRequest || f.Pointer != c.pointer || f.Public == "" {
			t.Errorf("%s: %#v, want BadRequest at %s", c.name, err, c.pointer)
		}
	}
	if _, err := (Dialect{}).Parse(wire.Messages, []byte(`{"model":"m"}`), limits); fault.From(err).Kind != fault.Internal {
		t.Errorf("an endpoint of another dialect gave %v", err)
	}
}

func TestUsageEdit(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"no options": {
			` { "messages":[],"stream":true, "model":"m" }`,
			` {"stream_options":{"include_usage":true}, "messages":[],"stream":true, "model":"m" }`,
		},
		"null options": {
			`{"model":"m","stream_options" : null ,"messages":[],"stream":true}`,
			`{"model":"m","stream_options" : {"include_usage":true} ,"messages":[],"stream":true}`,
		},
		"empty options": {
			`{"model":"m","stream_options":{ },"messages":[],"stream":true}`,
			`{"model":"m","stream_options":{"include_usage":true },"messages":[],"stream":true}`,
		},
		"other options": {
			`{"model":"m","stream_options":{ "include_obfuscation":false},"messages":[],"stream":true}`,
			`{"model":"m","stream_options":{"include_usage":true, "include_obfuscation":false},"messages":[],"stream":true}`,
		},
		"usage is off": {
			`{"model":"m","stream_options":{"a":1,"include_usage": false },"messages":[],"stream":true}`,
			`{"model":"m","stream_options":{"a":1,"include_usage": true },"messages":[],"stream":true}`,
		},
		"usage is null": {
			`{"model":"m","stream_options":{"includ\u0065_usage":null},"messages":[],"stream":true}`,
			`{"model":"m","stream_options":{"includ\u0065_usage":true},"messages":[],"stream":true}`,
		},
	} {
		call, err := Dialect{}.Parse(wire.Chat, []byte(c.body), limits)
		if err != nil || call.UsageEdit == nil {
			t.Errorf("%s: %v, edit %v", name, err, call)
			continue
		}
		s, err := wire.Splice([]byte(c.body), []wire.Edit{*call.UsageEdit})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := string(s.Append(nil)); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
}

// FuzzParse checks what must hold for every body that is accepted: encoding/json
// reads the same members, and the edits change what they name and nothing else.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":null,"x":1}}`,
		`{ "stream_options":{ },"stream":true,"model":"a\"b","messages":[],"max_tokens":-5,"n":2}`,
		`{"model":"m","input":["x"],"max_output_tokens":12,"stream_options":null}`, `{"model":"m","prompt":1}`,
		`{"messages":[],"model":"m","temperature":4e444,"stream":true,"stream_options":{"x":-0.0}}`,
		`{"messages":[],"model":"\ud83d\ude00","stream":false,"stream_options":{"include_usage":true}}`,
	} {
		f.Add([]byte(s), byte(0))
		f.Add([]byte(s), byte(1))
		f.Add([]byte(s), byte(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, which byte) {
		ep := []wire.Endpoint{wire.Chat, wire.Responses, wire.Embeddings}[which%3]
		call, err := Dialect{}.Parse(ep, body, limits)
		if err != nil {
			if e := fault.From(err); e.Kind != fault.BadRequest || e.Public == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		before := members(t, body)
		if before["model"] != call.Model || call.Model == "" {
			t.Fatalf("model %q, but %q", call.Model, before["model"])
		}
		edits := []wire.Edit{{Span: call.ModelSpan, With: wire.AppendString(nil, "other/model")}}
		before["model"] = "other/model"
		if e := call.UsageEdit; e != nil {
			if edits = append(edits, *e); e.Start < call.ModelSpan.Start {
				edits[0], edits[1] = edits[1], edits[0]
			}
			options, _ := before["stream_options"].(map[string]any)
			if options == nil {
				options = map[string]any{}
			}
			options["include_usage"] = true
			before["stream_options"] = options
		}
		s, err := wire.Splice(body, edits)
		if err != nil {
			t.Fatal(err)
		}
		after := s.Append(nil)
		again, err := Dialect{}.Parse(ep, after, limits)
		if err != nil {
			t.Fatalf("%q is refused after the edits: %v", after, err)
		}
		if again.Model != "other/model" || again.UsageEdit != nil || again.Stream != call.Stream || call.UsageEdit != nil && !again.UsageAsked {
			t.Fatalf("%q parses as %+v", after, again)
		}
		if diff := cmp.Diff(before, members(t, after)); diff != "" {
			t.Fatalf("the edits changed more than they name (-want +got):\n%s", diff)
		}
	})
}

// members decodes a body that was accepted; numbers keep their spelling.
func members(t *testing.T, body []byte) (m map[string]any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("accepted what is not JSON: %v", err)
	}
	return m
}

func BenchmarkParse(b *testing.B) {
	body := []byte(`{"model":"gpt-5-mini","stream":true,"temperature":0.2,"messages":[{"role":"user","content":"` +
		strings.Repeat("An ordinary sentence of an ordinary prompt, with a line break.\\n", 150) + `"}],"max_completion_tokens":500}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Dialect{}).Parse(wire.Chat, body, limits); err != nil {
			b.Fatal(err)
		}
	}
}
