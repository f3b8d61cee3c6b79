package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

var limits = wire.Limits{Depth: 32}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name string
		ep   wire.Endpoint
		body string
		want wire.Call
	}{
		{"plain", wire.Messages, `{"model":"claude","max_tokens":1024,"messages":[{"role":"user","content":"hi"}]}`, wire.Call{Model: "claude", MaxOutput: 1024, Choices: 1}},
		{"stream", wire.Messages, `{"stream":true,"messages":[],"system":"s","model":"cl\u0061ude","thinking":{"type":"enabled"}}`, wire.Call{Model: "claude", Stream: true, Choices: 1}},
		{"count", wire.CountTokens, `{"model":"claude","messages":[],"stream":true,"max_tokens":"x"}`, wire.Call{Model: "claude", Choices: 1}},
	} {
		got, err := Dialect{}.Parse(c.ep, []byte(c.body), limits)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if name, whole := wire.Text(got.ModelSpan.Of([]byte(c.body)), 100); name != "claude" || !whole {
			t.Errorf("%s: the model span holds %q", c.name, name)
		}
		c.want.Endpoint, got.ModelSpan = c.ep, wire.Span{}
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, *got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, body, pointer string
		ep                  wire.Endpoint
	}{
		{"not JSON", `{"model":"m","messages":[`, "/messages/0", wire.Messages},
		{"no model", `{"messages":[]}`, "/model", wire.Messages},
		{"empty model", `{"model":"","messages":[]}`, "/model", wire.CountTokens},
		{"no messages", `{"model":"m"}`, "/messages", wire.Messages},
		{"nothing to count", `{"model":"m","messages":null}`, "/messages", wire.CountTokens},
		{"stream is text", `{"model":"m","messages":[],"stream":"yes"}`, "/stream", wire.Messages},
		{"fractional bound", `{"model":"m","messages":[],"max_tokens":1.0}`, "/max_tokens", wire.Messages},
		{"variant of system", `{"model":"m","messages":[],"SYSTEM":""}`, "/SYSTEM", wire.Messages},
		{"variant by folding", `{"model":"m","messages":[],"thin\u212Aing":{}}`, "/thin\u212aing", wire.Messages},
		{"two thinkings", `{"model":"m","messages":[],"thinking":{},"thinking":{}}`, "/thinking", wire.Messages},
	} {
		_, err := Dialect{}.Parse(c.ep, []byte(c.body), limits)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.BadRequest || f.Pointer != c.pointer || f.Public == "" {
			t.Errorf("%s: %#v, want BadRequest at %s", c.name, err, c.pointer)
		}
	}
	if _, err := (Dialect{}).Parse(wire.Chat, []byte(`{"model":"m","messages":[]}`), limits); fault.From(err).Kind != fault.Internal {
		t.Errorf("an endpoint of another dialect gave %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"model":"claude","max_tokens":1024,"messages":[{"role":"user","content":"hi"}],"stream":true}`), false)
	f.Add([]byte(`{"messages":[],"model":"\ud83d\ude00","system":[{"type":"text"}]}`), true)
	f.Fuzz(func(t *testing.T, body []byte, counting bool) {
		ep := wire.Messages
		if counting {
			ep = wire.CountTokens
		}
		call, err := Dialect{}.Parse(ep, body, limits)
		if err != nil {
			if e := fault.From(err); e.Kind != fault.BadRequest || e.Public == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		var before, after map[string]json.RawMessage
		if err := json.Unmarshal(body, &before); err != nil {
			t.Fatalf("accepted what is not JSON: %v", err)
		}
		var name string
		if err := json.Unmarshal(before["model"], &name); err != nil || name != call.Model || name == "" {
			t.Fatalf("model %q, but %q", call.Model, name)
		}
		s, err := wire.Splice(body, []wire.Edit{{Span: call.ModelSpan, With: wire.AppendString(nil, "other")}})
		if err != nil {
			t.Fatal(err)
		}
		edited := s.Append(nil)
		again, err := Dialect{}.Parse(ep, edited, limits)
		if err != nil || again.Model != "other" || again.Stream != call.Stream || again.MaxOutput != call.MaxOutput || call.UsageEdit != nil {
			t.Fatalf("%q parses as %+v, %v", edited, again, err)
		}
		if err := json.Unmarshal(edited, &after); err != nil {
			t.Fatal(err)
		}
		after["model"] = before["model"]
		if len(before) != len(after) {
			t.Fatal("the edit changed the members")
		}
		for k := range before {
			if !bytes.Equal(before[k], after[k]) {
				t.Fatalf("the edit changed %q", k)
			}
		}
	})
}

// reply is an error body as SDKs read it.
type reply struct {
	Type  string
	Error struct{ Type, Message string }
	ID    *string `json:"request_id"`
}

func TestEveryFaultIsMapped(t *testing.T) {
	// The types of the API reference; SDKs name others, none of which fits a fault.
	known := " invalid_request_error authentication_error billing_error permission_error not_found_error request_too_large rate_limit_error timeout_error api_error overloaded_error "
	for kind := range fault.NumKinds {
		e := fault.New(kind, "say \"why\"\r\n\r\ndata: x")
		for _, frame := range []bool{false, true} {
			for _, ep := range []wire.Endpoint{wire.Messages, wire.CountTokens, wire.Models} {
				b := Dialect{}.Fault(ep, e, "req_1", frame)
				if frame {
					s := wire.NewSplitter(1 << 16)
					s.Feed(b)
					if !s.Next() || len(s.Event().Raw) != len(b) || string(s.Event().Name) != "error" {
						t.Fatalf("%q is not one event", b)
					}
					if got := (Dialect{}).Follow(&wire.Call{Endpoint: wire.Messages}).Frame(s.Event()); got != wire.FrameError {
						t.Errorf("our own frame is of kind %v", got)
					}
					b = s.Event().Data
				}
				var r reply
				d := json.NewDecoder(bytes.NewReader(b))
				d.DisallowUnknownFields()
				if err := d.Decode(&r); err != nil {
					t.Fatalf("%s: %v", b, err)
				}
				if r.Type != "error" || !strings.Contains(known, " "+r.Error.Type+" ") || r.Error.Message != e.Public || r.ID == nil || *r.ID != "req_1" {
					t.Errorf("%v: %s", kind, b)
				}
			}
		}
	}
}

func TestFault(t *testing.T) {
	e := fault.New(fault.BadRequest, "messages must be an array")
	e.Pointer = "/messages"
	want := `{"type":"error","error":{"type":"invalid_request_error","message":"/messages: messages must be an array"}}`
	if got := string(Dialect{}.Fault(wire.Messages, e, "", false)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	want = `event: error` + "\n" + `data: {"type":"error","error":{"type":"overloaded_error","message":"the gateway cannot serve requests now"},"request_id":"r"}` + "\n\n"
	if got := string(Dialect{}.Fault(wire.Messages, fault.New(fault.Unavailable, ""), "r", true)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := string(Dialect{}.Fault(wire.Messages, fault.New(fault.NumKinds, "x"), "", false)); !strings.Contains(got, `"api_error"`) {
		t.Errorf("an unknown kind: %s", got)
	}
}

func TestHeartbeat(t *testing.T) {
	s := wire.NewSplitter(100)
	s.Feed(Dialect{}.Heartbeat(wire.Messages))
	if !s.Next() || string(s.Event().Name) != "ping" || string(s.Event().Data) != `{"type": "ping"}` || s.Next() || len(s.Rest()) != 0 {
		t.Error("a heartbeat must be the service's own ping")
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(`{"model":"claude-sonnet","stream":true,"max_tokens":500,"messages":[{"role":"user","content":"` +
		strings.Repeat("An ordinary sentence of an ordinary prompt, with a line break.\\n", 150) + `"}]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Dialect{}).Parse(wire.Messages, body, limits); err != nil {
			b.Fatal(err)
		}
	}
}
