package openai

import (
	"encoding/json"
	"strings"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// problem is the error object as SDKs read it.
type problem struct {
	Message string
	Type    string
	Param   *string
	Code    *string
}

// reply is a body or the data of a frame.
type reply struct {
	problem          // of the flat shape
	Error   *problem `json:"error"`
	Request string   `json:"request_id"`
	Number  *int     `json:"sequence_number"`
}

func decode(t *testing.T, b []byte) (r reply) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || r.Error == nil {
		t.Fatalf("%s: %v", b, err)
	}
	return r
}

func TestEveryFaultIsMapped(t *testing.T) {
	for kind := range fault.NumKinds {
		e := fault.New(kind, "say \"why\"\n\x1b[2J")
		e.Pointer = "/messages/0"
		for _, ep := range []wire.Endpoint{wire.Chat, wire.Responses, wire.Embeddings, wire.Models} {
			r := decode(t, Dialect{}.Fault(ep, e, "req_1", false))
			if r.Error.Message != e.Public || r.Error.Type == "" || *r.Error.Param != e.Pointer || r.Request != "req_1" {
				t.Errorf("%v on %s: %+v", kind, ep, r.Error)
			}
			if kind != fault.BadRequest && (r.Error.Code == nil || *r.Error.Code == "") {
				t.Errorf("%v on %s has no code", kind, ep)
			}
		}
	}
}

func TestFault(t *testing.T) {
	for _, c := range []struct {
		kind            fault.Kind
		ep              wire.Endpoint
		pointer         string
		typ, code       string
		message, public string
	}{
		{kind: fault.Unauthenticated, ep: wire.Chat, typ: "authentication_error", code: "invalid_api_key", message: "no valid API key was given"},
		{kind: fault.NotFound, ep: wire.Chat, pointer: "/model", typ: "invalid_request_error", code: "model_not_found", public: "no such model", message: "no such model"},
		{kind: fault.NotFound, ep: wire.Models, typ: "invalid_request_error", code: "model_not_found", message: "not found"},
		{kind: fault.NotFound, ep: wire.Chat, typ: "invalid_request_error", code: "not_found", message: "not found"},
		{kind: fault.OverBudget, ep: wire.Chat, typ: "insufficient_quota", code: "insufficient_quota", message: "the budget is spent"},
		{kind: fault.RateLimited, ep: wire.Responses, typ: "rate_limit_error", code: "rate_limit_exceeded", message: "too many requests"},
		{kind: fault.NumKinds + 3, ep: wire.Chat, typ: "server_error", code: "internal_error", message: "internal error"},
	} {
		e := fault.New(c.kind, c.public)
		e.Pointer = c.pointer
		r := decode(t, Dialect{}.Fault(c.ep, e, "", false))
		if r.Error.Type != c.typ || *r.Error.Code != c.code || r.Error.Message != c.message || (r.Error.Param != nil) != (c.pointer != "") || r.Request != "" {
			t.Errorf("%v: %+v", c.kind, r.Error)
		}
	}
	if r := decode(t, Dialect{}.Fault(wire.Chat, fault.New(fault.BadRequest, ""), "", false)); r.Error.Code != nil || r.Error.Param != nil {
		t.Errorf("an ordinary bad request: %+v", r.Error)
	}
}

// TestFaultFrames holds the frames against what SDKs do with them: Python raises
// when data has an error member, Node 7 also at the event "error" and takes
// data.error or data itself; both read message, type, code and param from there.
func TestFaultFrames(t *testing.T) {
	for _, ep := range []wire.Endpoint{wire.Chat, wire.Responses} {
		for kind := range fault.NumKinds {
			e := fault.New(kind, "it broke\n\ndata: [DONE]\r\n\r\n")
			frame := Dialect{}.Fault(ep, e, "req_1", true)
			s := wire.NewSplitter(1 << 16)
			s.Feed(frame)
			if !s.Next() || len(s.Event().Raw) != len(frame) {
				t.Fatalf("%q is not one event", frame)
			}
			ev := s.Event()
			r := decode(t, ev.Data)
			if r.Error.Message != e.Public {
				t.Errorf("message %q", r.Error.Message)
			}
			if ep == wire.Responses && (string(ev.Name) != "error" || r.Number == nil || r.Type != "error" || r.Message != e.Public) {
				t.Errorf("the flat shape is missing: %s", frame)
			}
			if got := (Dialect{}).Follow(&wire.Call{Endpoint: ep}).Frame(ev); got != wire.FrameError {
				t.Errorf("our own frame is of kind %v", got)
			}
		}
	}
}

func TestHeartbeat(t *testing.T) {
	s := wire.NewSplitter(100)
	s.Feed(Dialect{}.Heartbeat(wire.Chat))
	if !s.Next() || len(s.Event().Data) != 0 || len(s.Event().Name) != 0 || s.Next() || len(s.Rest()) != 0 {
		t.Error("a heartbeat must be one whole event that clients do not dispatch")
	}
}
