package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

// keeping is a plan whose upstreams keep objects, as the vendors' own do.
func keeping() plan {
	return plan{upstream: func(cfg *upstream.Config) {
		switch cfg.Kind {
		case upstream.OpenAI:
			cfg.Endpoints = []wire.Endpoint{wire.Chat, wire.Responses, wire.Embeddings, wire.Files, wire.Batches, wire.Conversations, wire.VectorStores, wire.StoredResponses}
		case upstream.Gemini:
			cfg.Endpoints = []wire.Endpoint{wire.GenerateContent, wire.CountContent, wire.CachedContents}
		case upstream.Anthropic:
			cfg.Endpoints = []wire.Endpoint{wire.Messages, wire.CountTokens, wire.Files, wire.MessageBatches}
		}
	}}
}

// anthropicOnly is what marks a client of Anthropic's on paths that two APIs have.
var anthropicOnly = http.Header{"Anthropic-Version": {"2023-06-01"}, "Anthropic-Beta": {"files-api-2025-04-14"}}

// tenant is one of several projects behind one credential of an upstream.
type tenant struct {
	*rig
	key string
}

func (r *rig) tenants(t testing.TB) (one, other tenant) {
	t.Helper()
	return tenant{r, r.key}, tenant{r, r.newKey(t, auth.KeySpec{Project: "q"})}
}

// as sends a request of the tenant's in one of the formats.
func (n tenant) as(t testing.TB, kind upstream.Kind, method, path, body string) answer {
	t.Helper()
	c := call{method: method, path: path, body: body, key: n.key}
	if kind == upstream.Anthropic {
		c.header = anthropicOnly.Clone()
	}
	return n.do(t, c)
}

// form is a body with a file, and its content type.
func form(t testing.TB, content string) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.WriteField("purpose", "batch"); err != nil {
		t.Fatal(err)
	}
	f, err := w.CreateFormFile("file", "a file.jsonl")
	if err == nil {
		_, err = io.WriteString(f, content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

// upload sends a file.
func (n tenant) upload(t testing.TB, kind upstream.Kind, content string) answer {
	t.Helper()
	body, contentType := form(t, content)
	h := http.Header{}
	if kind == upstream.Anthropic {
		h = anthropicOnly.Clone()
	}
	h.Set("Content-Type", contentType)
	return n.do(t, call{path: "/v1/files", body: string(body), header: h, key: n.key})
}

// made is the id in an answer to a creation.
func made(t testing.TB, got answer) string {
	t.Helper()
	var one struct{ ID, Name string }
	unmarshal(t, got.body, &one)
	one.ID += strings.TrimPrefix(one.Name, "cachedContents/")
	if got.status != http.StatusOK || one.ID == "" {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	return one.ID
}

// make makes an object of a sort.
func (n tenant) make(t testing.TB, kind upstream.Kind, sort string) string {
	t.Helper()
	switch sort {
	case "file":
		return made(t, n.upload(t, kind, "content of "+n.key[:8]))
	case "batch":
		if kind == upstream.Anthropic {
			return made(t, n.as(t, kind, "", "/v1/messages/batches", messageBatch("claude", "claude")))
		}
		return made(t, n.as(t, kind, "", "/v1/batches", `{"input_file_id":`+quote(n.make(t, kind, "file"))+`,"endpoint":"/v1/chat/completions","completion_window":"24h"}`))
	}
	bodies := map[string][2]string{
		"conversation": {"/v1/conversations", "{}"}, "vector_store": {"/v1/vector_stores", "{}"},
		"cached_content": {"/v1beta/cachedContents", `{"model":"models/flash","contents":[{"parts":[{"text":"hi"}]}]}`},
		"response":       {"/v1/responses", fmt.Sprintf(`{"model":"fast","input":"one %d"}`, n.sent())},
	}
	if b, ok := bodies[sort]; ok {
		return made(t, n.as(t, kind, "", b[0], b[1]))
	}
	t.Fatalf("nothing is known that makes a %s", sort)
	return ""
}

// messageBatch is the body of a batch with one request for each model.
func messageBatch(models ...string) string {
	var requests []string
	for i, m := range models {
		requests = append(requests, fmt.Sprintf(`{"custom_id":"c%d","params":{"model":%q,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}}`, i, m))
	}
	return `{"requests":[` + strings.Join(requests, ",") + `]}`
}

// faultFormat is the format of errors of a kind's routes.
func faultFormat(kind upstream.Kind) format {
	return formatNamed(map[upstream.Kind]string{upstream.OpenAI: "chat", upstream.Anthropic: "messages", upstream.Gemini: "gemini"}[kind])
}

// TestObjectsAreOneProjects walks all routes with two projects on one credential:
// what is not a project's own does not exist for it, and nothing is sent for it.
func TestObjectsAreOneProjects(t *testing.T) {
	r := newRig(t, keeping())
	one, other := r.tenants(t)
	for _, route := range gateway.ObjectRoutes() {
		t.Run(fmt.Sprint(route.Speaks, " ", route.Method, " ", route.Path), func(t *testing.T) {
			id := one.make(t, route.Speaks, route.Sort)
			body := map[bool]string{true: "{}"}[route.Method == http.MethodPost || route.Method == http.MethodPatch]
			if body != "" && strings.HasSuffix(route.Path, "/{id}/files") {
				body = `{"file_id":` + quote(one.make(t, route.Speaks, "file")) + `}`
			}
			switch {
			case route.Lists:
				foreign := other.make(t, route.Speaks, route.Sort)
				for n, want := range map[tenant][2]string{one: {id, foreign}, other: {foreign, id}} {
					got := n.as(t, route.Speaks, http.MethodGet, route.Path, "")
					if got.status != http.StatusOK || !strings.Contains(string(got.body), want[0]+`"`) || strings.Contains(string(got.body), want[1]) {
						t.Errorf("status %d, want %s and not %s: %s", got.status, want[0], want[1], got.body)
					}
					r.isRecorded(t, got)
				}
				return
			case !strings.Contains(route.Path, "{id}"):
				return // made above
			}
			sent := r.sent()
			for _, wrong := range []string{id, "file-0", "..", "a%2Fb", "a%3Fb=c", strings.Repeat("a", 300)} {
				n := other
				if wrong != id {
					n = one
				}
				got := n.as(t, route.Speaks, route.Method, at(route.Path, wrong), body)
				if wrong == ".." { // no path of a route
					wrong = ""
				}
				if faultFormat(route.Speaks).isFault(t, got, fault.NotFound); r.refusal(t, got).Upstream != "" || r.sent() != sent {
					t.Errorf("%q was sent to an upstream", wrong)
				}
			}
			got := one.as(t, route.Speaks, route.Method, at(route.Path, id), body)
			if got.status != http.StatusOK || r.sent() != sent+1 {
				t.Fatalf("status %d, %d requests sent: %s", got.status, r.sent()-sent, got.body)
			}
			r.isRecorded(t, got)
			if route.Removes {
				faultFormat(route.Speaks).isFault(t, one.as(t, route.Speaks, route.Method, at(route.Path, id), ""), fault.NotFound)
			}
		})
	}
}

// at fills in the path of a route.
func at(path, id string) string {
	return strings.NewReplacer("{id}", id, "{item}", "item_1").Replace(path)
}

// sent is how many requests reached any upstream.
func (r *rig) sent() (n int) {
	for _, up := range r.ups {
		n += up.Journal().Len()
	}
	return n
}

// isRecorded checks the outcome of an exchange about an object.
func (r *rig) isRecorded(t testing.TB, got answer) {
	t.Helper()
	o := r.outcome(t, got)
	if o.State != string(llm.Complete) || o.Upstream == "" || o.Answer == "" || o.Returned == "" || o.OutBytes != int64(len(got.body)) || o.Effect != "allow" {
		t.Errorf("state %q, upstream %q, answer %q, returned %q, %d bytes, decision %q", o.State, o.Upstream, o.Answer, o.Returned, o.OutBytes, o.Effect)
	}
	if paid := o.Money == "unknown" && o.Usage == "unknown"; !paid && (o.Money != "none" || o.Usage != "none") {
		t.Errorf("usage %q, money %q", o.Usage, o.Money)
	}
	ours(t, got)
}

// TestObjectsInBodies: every member of a request that names an object takes only
// the project's own, and the request goes to the upstream that keeps it.
func TestObjectsInBodies(t *testing.T) {
	r := newRig(t, keeping())
	one, other := r.tenants(t)
	for _, c := range []struct {
		kind       upstream.Kind
		sort       string
		path, body string // %s stands for the id, as a literal
		pointer    string
	}{
		{upstream.OpenAI, "file", "/v1/batches", `{"input_file_id":%s,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, "/input_file_id"},
		{upstream.OpenAI, "file", "/v1/chat/completions", `{"model":"fast","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"file","file":{"file_id":%s}}]}]}`, "/messages/0/content/1/file/file_id"},
		{upstream.OpenAI, "file", "/v1/chat/completions", `{"model":"fast","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"file","file":{"fil\u0065_id":%s}}]}]}`, "/messages/0/content/1/file/file_id"},
		{upstream.OpenAI, "file", "/v1/responses", `{"model":"fast","input":[{"role":"user","content":[{"type":"input_file","file_id":%s}]}]}`, "/input/0/content/0/file_id"},
		{upstream.OpenAI, "file", "/v1/responses", `{"model":"fast","input":[{"role":"user","content":[{"type":"input_image","File_Id":%s}]}]}`, "/input/0/content/0/File_Id"},
		{upstream.OpenAI, "file", "/v1/responses", `{"model":"fast","input":"hi","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["file-none",%s]}}]}`, ""},
		{upstream.OpenAI, "file", "/v1/responses", `{"model":"fast","input":"hi","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":[%s]}}]}`, "/tools/0/container/file_ids/0"},
		{upstream.OpenAI, "vector_store", "/v1/responses", `{"model":"fast","input":"hi","tools":[{"type":"file_search","vector_store_ids":[%s]}]}`, "/tools/0/vector_store_ids/0"},
		{upstream.OpenAI, "conversation", "/v1/responses", `{"model":"fast","input":"hi","conversation":%s}`, "/conversation"},
		{upstream.OpenAI, "conversation", "/v1/responses", `{"model":"fast","input":"hi","conversation":{"id":%s}}`, "/conversation/id"},
		{upstream.OpenAI, "response", "/v1/responses", `{"model":"fast","input":"hi","previous_response_id":%s}`, "/previous_response_id"},
		{upstream.OpenAI, "file", "/v1/conversations", `{"items":[{"type":"message","role":"user","content":[{"type":"input_file","file_id":%s}]}]}`, "/items/0/content/0/file_id"},
		{upstream.OpenAI, "file", "/v1/vector_stores", `{"file_ids":[%s]}`, "/file_ids/0"},
		{upstream.Gemini, "cached_content", "/v1beta/models/flash:generateContent", `{"contents":[{"parts":[{"text":"hi"}]}],"cachedContent":%s}`, "/cachedContent"},
		{upstream.Gemini, "cached_content", "/v1beta/models/flash:generateContent", `{"contents":[{"parts":[{"text":"hi"}]}],"cached_content":%s}`, "/cached_content"},
		{upstream.Anthropic, "file", "/v1/messages/batches", `{"requests":[{"custom_id":"c","params":{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":%s}}]}]}}]}`, "/requests/0/params/messages/0/content/0/source/file_id"},
		{upstream.Anthropic, "file", "/v1/messages", `{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":%s}}]}]}`, "/messages/0/content/0/source/file_id"},
		{upstream.Anthropic, "file", "/v1/messages/count_tokens", `{"model":"claude","messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":%s}}]}]}`, "/messages/0/content/0/source/file_id"},
	} {
		own, foreign := one.make(t, c.kind, c.sort), other.make(t, c.kind, c.sort)
		sent := r.sent()
		for _, id := range []string{foreign, "file-none", "", "../files", strings.Repeat("x", 5000)} {
			got := one.as(t, c.kind, "", c.path, fmt.Sprintf(c.body, quote(id)))
			message := faultFormat(c.kind).isFault(t, got, fault.NotFound)
			if r.refusal(t, got); r.sent() != sent {
				t.Errorf("%s: %q was sent: %s", c.path, clip(id), message)
			}
			if c.kind == upstream.OpenAI && !strings.Contains(string(got.body), `"param":`+quote(c.pointer)) && c.pointer != "" {
				t.Errorf("%s: %s: %s", c.path, c.body, got.body)
			}
		}
		if c.pointer == "" {
			continue
		}
		got := one.as(t, c.kind, "", c.path, fmt.Sprintf(c.body, quote(own)))
		if got.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", c.path, got.status, got.body)
		}
	}
}

func clip(s string) string { return s[:min(len(s), 40)] }

// TestNamesThatAreNoObjects: what clients write freely names nothing, whatever it
// is called.
func TestNamesThatAreNoObjects(t *testing.T) {
	r := newRig(t, keeping())
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"fast","metadata":{"file_id":"x","conversation":"y"},"messages":[{"role":"user","content":"\"file_id\":\"x\""}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"file_id":{"type":"string","enum":["x"]},"container":{"type":"string"}},"required":["file_id"]}}}]}`,
		"/v1/responses":        `{"model":"fast","input":[{"role":"user","content":"conversation"}],"tools":[{"type":"function","name":"f","parameters":{"properties":{"file_id":{"default":"x"}}}}],"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{"file_id":{"const":"x"}}}}}}`,
		"/v1/messages":         `{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{"file_id":"x"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"}]}],"tools":[{"name":"f","input_schema":{"type":"object","properties":{"file_id":{"default":"x"}}}}]}`,
	} {
		if got := r.post(t, path, body); got.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
}

// TestFilesPassUnchanged: what is uploaded reaches the upstream byte for byte, and
// comes back so, with the hashes of both in the record.
func TestFilesPassUnchanged(t *testing.T) {
	r := newRig(t, keeping())
	one, _ := r.tenants(t)
	content := strings.Repeat("a line of a file that is larger than every limit of a body\n", 50_000) // 2.9 MB
	got := one.upload(t, upstream.OpenAI, content)
	id := made(t, got)
	o := r.outcome(t, got)
	requests := r.ups[oa].Journal().Requests()
	last := requests[len(requests)-1]
	if o.Req != "" || o.Forwarded != last.SHA256 || o.InBytes != last.Length || o.Money != "none" || o.AnswerID != id {
		t.Errorf("the record says %s, %d bytes, money %s, object %s; %s, %d bytes were sent", o.Forwarded, o.InBytes, o.Money, o.AnswerID, last.SHA256, last.Length)
	}
	got = one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files/"+id+"/content", "")
	if string(got.body) != content || got.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d bytes of %s came back", len(got.body), got.header.Get("Content-Type"))
	}
	r.isRecorded(t, got)
}

// TestBatchFilesBecomeOwn: the files that a batch writes are the project's own as
// soon as it learns of them.
func TestBatchFilesBecomeOwn(t *testing.T) {
	r := newRig(t, keeping())
	one, other := r.tenants(t)
	for _, path := range []string{"/v1/batches/{id}", "/v1/batches"} {
		id := one.make(t, upstream.OpenAI, "batch")
		if path == "/v1/batches" { // it is done once somebody has looked at it
			r.finishBatch(t, id)
		}
		var batch struct {
			Data   []map[string]any
			Output string `json:"output_file_id"`
			Error  string `json:"error_file_id"`
		}
		unmarshal(t, one.as(t, upstream.OpenAI, http.MethodGet, at(path, id), "").body, &batch)
		if len(batch.Data) > 0 {
			batch.Output, batch.Error = batch.Data[0]["output_file_id"].(string), batch.Data[0]["error_file_id"].(string)
		}
		for _, file := range []string{batch.Output, batch.Error} {
			content := "/v1/files/" + file + "/content"
			if got := other.as(t, upstream.OpenAI, http.MethodGet, content, ""); got.status != http.StatusNotFound {
				t.Errorf("another project reads %s: status %d", file, got.status)
			}
			if got := one.as(t, upstream.OpenAI, http.MethodGet, content, ""); got.status != http.StatusOK || !strings.Contains(string(got.body), "batch_req_") {
				t.Errorf("status %d: %s", got.status, got.body)
			}
		}
	}
}

// finishBatch looks at a batch without the gateway.
func (r *rig) finishBatch(t testing.TB, id string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.ups[oa].BaseURL()+"/batches/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+openAIKey)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// TestListsLookFurther: a page that holds only objects of others is passed over, and
// cursors are the project's own objects.
func TestListsLookFurther(t *testing.T) {
	r := newRig(t, keeping())
	one, other := r.tenants(t)
	var own []string
	for range 3 {
		own = append(own, one.make(t, upstream.OpenAI, "file"))
		for range 5 {
			other.make(t, upstream.OpenAI, "file")
		}
	}
	slices.Reverse(own)
	type page struct {
		Data        []struct{ ID string }
		HasMore     bool   `json:"has_more"`
		First, Last string `json:"-"`
	}
	var seen []string
	query := "?limit=2"
	for range 10 {
		got := one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files"+query, "")
		var p page
		unmarshal(t, got.body, &p)
		for _, f := range p.Data {
			seen = append(seen, f.ID)
		}
		r.isRecorded(t, got)
		if !p.HasMore || len(p.Data) == 0 {
			break
		}
		query = "?limit=2&after=" + p.Data[len(p.Data)-1].ID
	}
	if !slices.Equal(seen, own) {
		t.Errorf("saw %v, want %v", seen, own)
	}
	foreign := other.make(t, upstream.OpenAI, "file")
	sent := r.sent()
	for query, kind := range map[string]fault.Kind{"?after=" + foreign: fault.NotFound, "?order=desc&before=file-none": fault.NotFound, "?user=x": fault.BadRequest, "?after=" + own[0] + "&after=" + foreign: fault.BadRequest} {
		if faultFormat(upstream.OpenAI).isFault(t, one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files"+query, ""), kind); r.sent() != sent {
			t.Errorf("%s was sent", query)
		}
	}
}

// TestWhichUpstream: where several upstreams keep objects the client names one; what
// is refused by policy or not reached by the key is none of them.
func TestWhichUpstream(t *testing.T) {
	p := keeping()
	p.vendors = map[identity.Upstream]upstreamtest.Vendor{"ob": upstreamtest.OpenAI}
	p.snapshot = func(s *gateway.Snapshot) {
		s.Models["second"] = []gateway.Target{{Upstream: "ob", Model: "gpt-5-mini"}}
	}
	r := newRig(t, p)
	one, _ := r.tenants(t)
	f := faultFormat(upstream.OpenAI)
	list := func(key, named string) answer {
		return r.do(t, call{path: "/v1/files", key: key, header: http.Header{"X-Sallyport-Upstream": {named}}})
	}
	f.isFault(t, one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files", ""), fault.BadRequest)
	f.isFault(t, list(r.key, "an"), fault.NotCarried)
	f.isFault(t, list(r.key, "nowhere"), fault.NotCarried)
	if o := r.outcome(t, list(r.key, "ob")); o.Upstream != "ob" {
		t.Errorf("went to %s", o.Upstream)
	}
	limited := r.newKey(t, auth.KeySpec{Project: "p", Models: []identity.Model{"second"}})
	if o := r.outcome(t, r.do(t, call{path: "/v1/files", key: limited})); o.Upstream != "ob" {
		t.Errorf("a limited key went to %s", o.Upstream)
	}
	f.isFault(t, list(limited, "oa"), fault.NotCarried)
	f.isFault(t, r.do(t, call{path: "/v1/batches", key: limited, body: `{"input_file_id":"file-1"}`}), fault.Forbidden)

	quarantined := *r.Snapshot()
	quarantined.Quarantined = map[gateway.Target]string{{Upstream: "ob", Model: "m"}: "a test"}
	r.Swap(&quarantined)
	f.isFault(t, list(limited, "ob"), fault.PolicyRefused)
	if o := r.outcome(t, one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files", "")); o.Upstream != "oa" {
		t.Errorf("went to %s", o.Upstream)
	}
}

// TestContainersAreNobodys: no route makes a container that could be named later.
func TestContainersAreNobodys(t *testing.T) {
	r := newRig(t, keeping())
	for path, body := range map[string]string{
		"/v1/responses": `{"model":"fast","input":"hi","tools":[{"type":"code_interpreter","container":"cntr_1"}]}`,
		"/v1/messages":  `{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"container":{"id":"container_1"}}`,
	} {
		if got := r.post(t, path, body); got.status != http.StatusNotFound || r.sent() > 0 {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
}

// TestMessageBatches: the models that the requests of a batch name are the key's to
// use and become the upstream's own; results are fetched here and not there.
func TestMessageBatches(t *testing.T) {
	p := keeping()
	p.snapshot = alias("other", an, "claude-haiku-4-5")
	r := newRig(t, p)
	one, _ := r.tenants(t)
	got := one.as(t, upstream.Anthropic, "", "/v1/messages/batches", messageBatch("claude", "claude"))
	id := made(t, got)
	requests := r.ups[an].Journal().Requests()
	if sent := string(requests[len(requests)-1].Body); sent != messageBatch("claude-sonnet-4-5", "claude-sonnet-4-5") {
		t.Errorf("sent %s", sent)
	}
	if o := r.outcome(t, got); o.Model != "claude" || o.Target != "claude-sonnet-4-5" || o.Money != "unknown" || o.Forwarded == o.Req {
		t.Errorf("model %s, target %s, money %s", o.Model, o.Target, o.Money)
	}
	for _, path := range []string{"/v1/messages/batches/" + id, "/v1/messages/batches?limit=1"} {
		got := one.as(t, upstream.Anthropic, http.MethodGet, path, "")
		if want := `"results_url":"/v1/messages/batches/` + id + `/results"`; !strings.Contains(string(got.body), want) || strings.Contains(string(got.body), "127.0.0.1") {
			t.Errorf("%s: %s", path, got.body)
		}
		r.isRecorded(t, got)
	}
	if o := r.outcome(t, one.as(t, upstream.Anthropic, "", "/v1/messages/batches", messageBatch("claude", "other", "claude"))); o.Model != "" || o.State != string(llm.Complete) {
		t.Errorf("several models: model %q, state %s", o.Model, o.State)
	}
	f := faultFormat(upstream.Anthropic)
	limited := tenant{r, r.newKey(t, auth.KeySpec{Project: "p", Models: []identity.Model{"claude"}})}
	made(t, limited.as(t, upstream.Anthropic, "", "/v1/messages/batches", messageBatch("claude")))
	sent := r.sent()
	for body, kind := range map[string]fault.Kind{
		messageBatch("claude", "none"): fault.NotFound, messageBatch("claude", "fast"): fault.NotFound, messageBatch(): fault.BadRequest,
		`{"requests":[{"params":{"Model":"claude"}}]}`: fault.BadRequest, `{"requests":[{"custom_id":"c"}]}`: fault.BadRequest,
		`{"requests":[{"params":{"max_tokens":9}}]}`: fault.BadRequest, `{"requests":["claude"]}`: fault.BadRequest, `[]`: fault.BadRequest, ``: fault.BadRequest,
	} {
		if f.isFault(t, limited.as(t, upstream.Anthropic, http.MethodPost, "/v1/messages/batches", body), kind); r.sent() != sent {
			t.Errorf("%s was sent", body)
		}
	}
	if got := one.as(t, upstream.Anthropic, "", "/v1/messages/batches", messageBatch("claude", "fast")); got.status != http.StatusBadRequest || r.sent() != sent {
		t.Errorf("models of two upstreams: status %d: %s", got.status, got.body)
	}
}

// TestCachedContents: the model of which a text is cached is the key's to use and
// becomes the upstream's own, under whichever name it is written.
func TestCachedContents(t *testing.T) {
	r := newRig(t, keeping())
	one, _ := r.tenants(t)
	got := one.as(t, upstream.Gemini, http.MethodGet, "/v1beta/cachedContents?pageSize=5&alt=json", "")
	if r.isRecorded(t, got); got.status != http.StatusOK || strings.TrimSpace(string(got.body)) != "{}" {
		t.Errorf("an empty list is %s", got.body)
	}
	for _, path := range []string{"/v1beta/cachedContents", "/v1/cachedContents"} {
		for _, model := range []string{"models/flash", "flash"} {
			got := one.as(t, upstream.Gemini, "", path, `{"model":`+quote(model)+`}`)
			requests := r.ups[ge].Journal().Requests()
			if sent := string(requests[len(requests)-1].Body); got.status != http.StatusOK || sent != `{"model":"models/gemini-3-flash-preview"}` {
				t.Errorf("status %d, sent %s", got.status, sent)
			}
			if o := r.outcome(t, got); o.Model != "flash" || o.Target != "gemini-3-flash-preview" || o.Money != "unknown" {
				t.Errorf("model %s, target %s, money %s", o.Model, o.Target, o.Money)
			}
		}
	}
	f := faultFormat(upstream.Gemini)
	f.isFault(t, one.as(t, upstream.Gemini, "", "/v1beta/cachedContents", `{"model":"models/none"}`), fault.NotFound)
	f.isFault(t, one.as(t, upstream.Gemini, "", "/v1beta/cachedContents", `{"model":"models/fast"}`), fault.NotCarried)
	f.isFault(t, one.as(t, upstream.Gemini, "", "/v1beta/cachedContents", `{"contents":[]}`), fault.BadRequest)
}
