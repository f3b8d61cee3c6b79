package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/llm"
)

// response is what a client of the Responses API keeps of an answer.
func response(t testing.TB, got answer) (id, text string) {
	t.Helper()
	body := got.body
	if strings.HasPrefix(got.header.Get("Content-Type"), "text/event-stream") {
		all := streamed(t, body)
		var last struct{ Response json.RawMessage }
		unmarshal(t, all[len(all)-1].Data, &last)
		body = last.Response
	}
	var a struct {
		ID     string
		Output []struct {
			Content []struct{ Text string }
		}
	}
	unmarshal(t, body, &a)
	for _, item := range a.Output {
		for _, part := range item.Content {
			text += part.Text
		}
	}
	if got.status != http.StatusOK || a.ID == "" || text == "" {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	return a.ID, text
}

// TestTurnsAreKept: a request that names the response before it reaches an
// upstream which keeps nothing with everything that was said.
func TestTurnsAreKept(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, stream := range []bool{false, true} {
		body := func(input, more string) string {
			return fmt.Sprintf(`{"model":"fast","input":%s,"stream":%t%s}`, input, stream, more)
		}
		first := r.post(t, "/v1/responses", body(`"one nonce-1"`, ""))
		id1, text1 := response(t, first)
		r.taps[oa].take(t)
		second := r.post(t, "/v1/responses", body(`[{"role":"user","content":"two"}]`, `,"previous_response_id":`+quote(id1)))
		id2, text2 := response(t, second)
		o := r.outcome(t, second)
		up := r.taps[oa].take(t)
		var sent struct {
			Previous any `json:"previous_response_id"`
			Input    []struct {
				Role, Type string
				Content    json.RawMessage
			}
		}
		unmarshal(t, up.body, &sent)
		if sent.Previous != nil || len(sent.Input) != 3 || sent.Input[0].Role != "user" || !strings.Contains(string(sent.Input[0].Content), "one nonce-1") ||
			!strings.Contains(string(sent.Input[1].Content), quote(text1)[1:20]) || !strings.Contains(string(sent.Input[2].Content), "two") {
			t.Errorf("the upstream received %s", up.body)
		}
		if o.State != string(llm.Complete) || o.Forwarded == o.Req {
			t.Errorf("state %s, forwarded %s", o.State, o.Forwarded)
		}
		third := r.post(t, "/v1/responses", fmt.Sprintf(`{"previous_response_id":%q,"model":"fast","stream":%t}`, id2, stream))
		response(t, third)
		unmarshal(t, r.taps[oa].take(t).body, &sent)
		if len(sent.Input) != 4 || !strings.Contains(string(sent.Input[3].Content), quote(text2)[1:20]) {
			t.Errorf("the third turn holds %d items", len(sent.Input))
		}
		r.keptIsOneProjects(t, id1, text1)
	}
}

// keptIsOneProjects checks who can read, use and delete a kept response.
func (r *rig) keptIsOneProjects(t *testing.T, id, text string) {
	t.Helper()
	stranger := r.newKey(t, auth.KeySpec{Project: "another"})
	f := formatNamed("responses")
	f.isFault(t, r.do(t, call{path: f.path, key: stranger, body: `{"model":"fast","input":"x","previous_response_id":` + quote(id) + `}`}), fault.NotFound)
	for _, c := range []call{
		{method: http.MethodGet, path: "/v1/responses/" + id},
		{method: http.MethodGet, path: "/v1/responses/" + id + "/input_items"},
		{method: http.MethodDelete, path: "/v1/responses/" + id},
	} {
		c.key = stranger
		f.isFault(t, r.do(t, c), fault.NotFound)
	}
	if _, got := response(t, r.do(t, call{method: http.MethodGet, path: "/v1/responses/" + id})); got != text {
		t.Errorf("GET gives %q, want %q", got, text)
	}
	var items struct {
		Data []struct{ ID, Content string }
	}
	unmarshal(t, r.do(t, call{method: http.MethodGet, path: "/responses/" + id + "/input_items"}).body, &items)
	if len(items.Data) != 1 || items.Data[0].ID == "" || items.Data[0].Content != "one nonce-1" {
		t.Errorf("input items %+v", items)
	}
	if got := r.do(t, call{method: http.MethodDelete, path: "/v1/responses/" + id}); got.status != http.StatusOK || !strings.Contains(string(got.body), `"deleted":true`) {
		t.Errorf("DELETE: %d %s", got.status, got.body)
	}
	f.isFault(t, r.do(t, call{method: http.MethodGet, path: "/v1/responses/" + id}), fault.NotFound)
}

// TestTurnsNotToBeKept: store false leaves nothing behind, and neither does an
// answer that broke off.
func TestTurnsNotToBeKept(t *testing.T) {
	r := newRig(t, plan{})
	f := formatNamed("responses")
	id, _ := response(t, r.post(t, f.path, `{"model":"fast","input":"one","store":false}`))
	f.isFault(t, r.do(t, call{method: http.MethodGet, path: "/v1/responses/" + id}), fault.NotFound)
	got := r.post(t, f.path, `{"model":"fast","input":"x","previous_response_id":`+quote(id)+`}`)
	f.isFault(t, got, fault.NotFound)
	if !strings.Contains(string(got.body), "previous_response_not_found") {
		t.Errorf("%s", got.body)
	}
	r.next(t, oa, "cut=6")
	broken := r.post(t, f.path, `{"model":"fast","input":"two","stream":true}`)
	var first struct{ Response struct{ ID string } }
	unmarshal(t, streamed(t, broken.body)[0].Data, &first)
	if _, err := credentials.keep.Get(context.Background(), "p", first.Response.ID); err == nil || first.Response.ID == "" {
		t.Errorf("the broken answer %q is kept", first.Response.ID)
	}
}

// TestCompact: where the upstream has no compaction, its model's summary stands
// for the conversation, and a later request is answered with it in mind.
func TestCompact(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, model := range []string{fast, claude} {
		up := map[string]*tap{fast: r.taps[oa], claude: r.taps[an]}[model]
		got := r.post(t, "/v1/responses/compact", `{"model":`+quote(model)+`,"input":[{"role":"user","content":"one nonce-c1"},{"role":"assistant","content":"two"}]}`)
		if sent := up.take(t); !strings.Contains(string(sent.body), "nonce-c1") || !strings.Contains(string(sent.body), "Summarize") {
			t.Errorf("%s: the upstream received %s", model, sent.body)
		}
		var compaction struct {
			ID, Object string
			Created    int64 `json:"created_at"`
			Output     []json.RawMessage
			Usage      struct {
				Output int64 `json:"output_tokens"`
			}
		}
		unmarshal(t, got.body, &compaction)
		if got.status != http.StatusOK || compaction.Object != "response.compaction" || compaction.ID == "" || compaction.Created == 0 || len(compaction.Output) != 1 || compaction.Usage.Output == 0 {
			t.Fatalf("%s: %d %s", model, got.status, got.body)
		}
		other := map[string]string{fast: claude, claude: fast}[model]
		next := r.post(t, "/v1/responses", `{"model":`+quote(other)+`,"store":false,"input":[`+string(compaction.Output[0])+`,{"role":"user","content":"go on"}]}`)
		up = map[string]*tap{fast: r.taps[oa], claude: r.taps[an]}[other]
		sent := up.take(t)
		if other == claude && (next.status != http.StatusOK || !strings.Contains(string(sent.body), "Summary of the conversation so far") || !strings.Contains(string(sent.body), "digest:")) {
			t.Errorf("%d: %s became %s", next.status, compaction.Output[0], sent.body)
		}
		r.outcome(t, got)
	}
	f := formatNamed("responses")
	f.isFault(t, r.post(t, "/v1/responses/compact", `{"input":"x"}`), fault.BadRequest)
	f.isFault(t, r.post(t, "/v1/responses", `{"model":"claude","input":[{"type":"compaction","encrypted_content":"gAAAA"},{"role":"user","content":"x"}]}`), fault.NotCarried)
}

// TestItemReferences: a reference to an item that was seen becomes the item, for
// an upstream of any format; another project's leads nowhere.
func TestItemReferences(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, model := range []string{fast, claude} {
		up := map[string]*tap{fast: r.taps[oa], claude: r.taps[an]}[model]
		first := r.post(t, "/v1/responses", `{"model":`+quote(model)+`,"input":"one nonce-r"}`)
		_, text := response(t, first)
		up.take(t)
		var a struct{ Output []struct{ ID string } }
		unmarshal(t, first.body, &a)
		id := a.Output[0].ID
		for _, reference := range []string{`{"type":"item_reference","id":` + quote(id) + `}`, `{"id":` + quote(id) + `}`} {
			body := `{"model":` + quote(model) + `,"input":[{"role":"user","content":"one"},` + reference + `,{"role":"user","content":"two"}]}`
			got := r.post(t, "/v1/responses", body)
			sent := up.take(t)
			if got.status != http.StatusOK || !strings.Contains(string(sent.body), quote(text)[1:20]) || strings.Contains(string(sent.body), "item_reference") {
				t.Errorf("%s: %d, the upstream received %s", model, got.status, sent.body)
			}
			f := formatNamed("responses")
			stranger := r.do(t, call{path: f.path, body: body, key: r.newKey(t, auth.KeySpec{Project: "another"})})
			if f.isFault(t, stranger, fault.NotFound); !strings.Contains(string(stranger.body), `"param":"/input/1"`) {
				t.Errorf("%s", stranger.body)
			}
		}
		// An item is no response.
		f := formatNamed("responses")
		f.isFault(t, r.do(t, call{method: http.MethodGet, path: "/v1/responses/" + id}), fault.NotFound)
		f.isFault(t, r.post(t, f.path, `{"model":`+quote(model)+`,"input":"x","previous_response_id":`+quote(id)+`}`), fault.NotFound)
	}
}
