package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"sallyport/internal/auth"
	"sallyport/internal/llm"
)

// dial opens a WebSocket with a key.
func (r *rig) dial(t testing.TB, key string) *websocket.Conn {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), r.url+"/v1/responses", &websocket.DialOptions{
		HTTPClient: r.client, HTTPHeader: http.Header{"Authorization": {"Bearer " + key}, "Idempotency-Key": {"one"}},
	})
	if err != nil {
		t.Fatalf("%v, %v", resp, err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// event is a message of the gateway.
type event struct {
	Type     string
	Sequence *int `json:"sequence_number"`
	Status   int
	Delta    string
	Error    struct{ Code, Message string }
	Response struct{ ID, Status string }
}

// turn sends a message and reads until the end of the answer.
func turn(t testing.TB, conn *websocket.Conn, message string) (last event, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var e event
		unmarshal(t, b, &e)
		text += e.Delta
		switch e.Type {
		case "error", "response.completed", "response.failed", "response.incomplete":
			if e.Sequence == nil {
				t.Errorf("no sequence number in %s", b)
			}
			return e, text
		}
	}
}

// TestSocket: one connection, several exchanges: each is recorded like any other,
// and the last response can be named though nothing is kept.
func TestSocket(t *testing.T) {
	r := newRig(t, plan{tap: true})
	conn := r.dial(t, r.key)
	const head = `{"type":"response.create","model":"fast","store":false,`
	first, text := turn(t, conn, head+`"input":"one nonce-7"}`)
	up := r.taps[oa].take(t)
	if first.Type != "response.completed" || !strings.Contains(text, "nonce:7") {
		t.Fatalf("%+v %q", first, text)
	}
	var sent map[string]json.RawMessage
	unmarshal(t, up.body, &sent)
	if string(sent["stream"]) != "true" || sent["type"] != nil || up.header.Get("Idempotency-Key") != "" || up.header.Get("Upgrade") != "" {
		t.Errorf("the upstream received %s with %v", up.body, up.header)
	}
	second, _ := turn(t, conn, head+`"previous_response_id":`+quote(first.Response.ID)+`,"input":"two"}`)
	up = r.taps[oa].take(t)
	if second.Type != "response.completed" || !strings.Contains(string(up.body), "one nonce-7") || !strings.Contains(string(up.body), `"two"`) {
		t.Errorf("%+v after %s", second, up.body)
	}
	// The one before the last is forgotten, and another connection never knew it.
	for _, c := range []*websocket.Conn{conn, r.dial(t, r.key)} {
		if e, _ := turn(t, c, head+`"previous_response_id":`+quote(first.Response.ID)+`,"input":"x"}`); e.Type != "error" || e.Error.Code != "previous_response_not_found" || e.Status != http.StatusNotFound {
			t.Errorf("%+v", e)
		}
	}
	// A request that fails takes what it went on from with it.
	third, _ := turn(t, conn, head+`"input":"three"}`)
	r.taps[oa].take(t)
	r.next(t, oa, "status=400")
	if e, _ := turn(t, conn, head+`"previous_response_id":`+quote(third.Response.ID)+`,"input":"x"}`); e.Type != "error" || e.Status != http.StatusBadRequest {
		t.Errorf("%+v", e)
	}
	r.taps[oa].take(t)
	if e, _ := turn(t, conn, head+`"previous_response_id":`+quote(third.Response.ID)+`,"input":"x"}`); e.Error.Code != "previous_response_not_found" {
		t.Errorf("%+v", e)
	}
	r.seen.read(t)
	complete := 0
	for _, tr := range r.seen.exchanges {
		if o := tr.end(); o != nil && o.State == string(llm.Complete) && o.Endpoint == "responses" && o.Stream {
			complete++
		}
	}
	if complete != 3 {
		t.Errorf("%d complete exchanges are recorded", complete)
	}
}

// TestSocketRefuses: what is no request is an error on the connection, which goes
// on; who has no key gets no connection.
func TestSocketRefuses(t *testing.T) {
	r := newRig(t, plan{})
	conn := r.dial(t, r.key)
	for message, code := range map[string]int{
		`{"type":"response.cancel"}`: 400, `{"model":"fast","input":"x"}`: 400, `nonsense`: 400, `{"type":"response.create","type":"x"}`: 400,
		`{"type":"response.create","Stream":true,"model":"fast","input":"x"}`: 400, `{"type":"response.create","model":"none","input":"x"}`: 404,
		`{"type":"response.create","model":"fast"}`: 400,
	} {
		if e, _ := turn(t, conn, message); e.Type != "error" || e.Status != code || e.Error.Message == "" {
			t.Errorf("%s: %+v", message, e)
		}
	}
	if n := r.ups[oa].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	if e, _ := turn(t, conn, `{"type":"response.create","model":"fast","input":"x"}`); e.Type != "response.completed" {
		t.Errorf("afterwards: %+v", e)
	}
	_, resp, err := websocket.Dial(t.Context(), r.url+"/responses", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer sp_wrong"}}})
	if err == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v, %v", resp, err)
	}
	if got := r.do(t, call{method: http.MethodGet, path: "/v1/responses"}); got.status != http.StatusMethodNotAllowed || !strings.Contains(got.header.Get("Allow"), "POST") {
		t.Errorf("GET without an upgrade: %d %v", got.status, got.header)
	}
}

// TestSocketKeyIsCheckedEachTime: a revoked key makes no further request.
func TestSocketKeyIsCheckedEachTime(t *testing.T) {
	r := newRig(t, plan{})
	k, token, err := r.auth.NewKey(t.Context(), auth.KeySpec{Project: "p"}, discardAct)
	if err != nil {
		t.Fatal(err)
	}
	conn := r.dial(t, token.Reveal())
	const message = `{"type":"response.create","model":"fast","input":"x"}`
	if e, _ := turn(t, conn, message); e.Type != "response.completed" {
		t.Fatalf("%+v", e)
	}
	if _, err := r.auth.RevokeKey(t.Context(), k.ID, discardAct); err != nil {
		t.Fatal(err)
	}
	if e, _ := turn(t, conn, message); e.Type != "error" || e.Status != http.StatusUnauthorized {
		t.Errorf("%+v", e)
	}
}

// TestSocketLeaves: a client that leaves ends the exchange that runs for it, and a
// gateway that stops closes the connection.
func TestSocketLeaves(t *testing.T) {
	r := newRig(t, plan{})
	conn := r.dial(t, r.key)
	message := func(prompt string) []byte {
		return fmt.Appendf(nil, `{"type":"response.create","model":"fast","input":%q}`, prompt)
	}
	if err := conn.Write(t.Context(), websocket.MessageText, message("hello [[gap=200ms frames=1000]]")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow()
	ending, err := r.ups[oa].Journal().WaitEnd(t.Context(), r.ups[oa].Journal().Requests()[0].Seq)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the upstream saw %+v", ending)

	idle := r.dial(t, r.key)
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop(context.Background()) }()
	if _, _, err := idle.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("%v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
