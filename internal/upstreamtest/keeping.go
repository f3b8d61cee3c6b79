package upstreamtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// keepResponse keeps an answer of the Responses API, unless the client declines.
func keepResponse(x *exchange, t *response) {
	if t.q.Store != nil && !*t.q.Store {
		return
	}
	var output list
	for i := range t.items() {
		output = append(output, t.item(i, true))
	}
	o := &x.s.objects
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, &object{sort: "responses", id: t.id, fields: t.object(t.status(), output, t.usage())})
}

// storedResponses serves what stands below /v1/responses/{id}.
func storedResponses(x *exchange, id, rest string) (reply, *fault) {
	o := &x.s.objects
	one := o.find("responses", id)
	switch method := x.r.Method; {
	case one == nil:
		return noObject(x, "Response", id)
	case rest == "" && method == http.MethodGet, rest == "cancel" && method == http.MethodPost:
		return shown(x, one.fields)
	case rest == "" && method == http.MethodDelete:
		return deleted(x, one, "response")
	case rest == "input_items" && method == http.MethodGet:
		return listed(x, nil)
	}
	return wrongMethod(x)
}

// conversations serves /v1/conversations. The items of one are not told apart.
func conversations(x *exchange, id, rest string) (reply, *fault) {
	o := &x.s.objects
	one := o.find("conversations", id)
	rest, item, _ := strings.Cut(rest, "/")
	switch method := x.r.Method; {
	case id == "" && method == http.MethodPost:
		one = o.add("conversations", "conv_", func(id string) raw {
			return obj("id", id, "object", "conversation", "created_at", 1754073306, "metadata", obj())
		})
		return shown(x, one.fields)
	case one == nil:
		return noObject(x, "Conversation", id)
	case rest == "" && method == http.MethodDelete:
		return deleted(x, one, "conversation.deleted")
	case rest == "" && method != http.MethodPut, item != "" && method == http.MethodDelete:
		return shown(x, one.fields)
	case rest == "items" && item == "":
		return listed(x, nil)
	case rest == "items" && method == http.MethodGet:
		return shown(x, obj("type", "message", "id", item, "role", "user", "status", "completed", "content", list{}))
	}
	return wrongMethod(x)
}

// vectorStores serves /v1/vector_stores and the files in them.
func vectorStores(x *exchange, id, rest string) (reply, *fault) {
	o := &x.s.objects
	one := o.find("vector_stores", id)
	rest, item, _ := strings.Cut(rest, "/")
	switch method := x.r.Method; {
	case id == "" && method == http.MethodPost:
		one = o.add("vector_stores", "vs_", func(id string) raw {
			return obj("id", id, "object", "vector_store", "created_at", 1754073306, "name", nil, "status", "completed", "usage_bytes", 0)
		})
		return shown(x, one.fields)
	case id == "" && method == http.MethodGet:
		return listed(x, o.those("vector_stores"))
	case one == nil:
		return noObject(x, "Vector store", id)
	case rest == "" && method == http.MethodDelete:
		return deleted(x, one, "vector_store.deleted")
	case rest == "":
		return shown(x, one.fields)
	case rest == "search" && method == http.MethodPost, rest == "files" && item == "" && method == http.MethodGet:
		return listed(x, nil)
	case rest == "files" && item == "" && method == http.MethodPost:
		var q struct {
			ID string `json:"file_id"`
		}
		if f := decodeOpenAI(x, &q); f != nil {
			return reply{}, f
		}
		if o.find("files", q.ID) == nil {
			return reply{}, badRequest("file_id", "Invalid file: "+q.ID)
		}
		return shown(x, storedFile(q.ID, id))
	case rest == "files":
		return shown(x, storedFile(item, id))
	}
	return wrongMethod(x)
}

func storedFile(id, store string) raw {
	return obj("id", id, "object", "vector_store.file", "created_at", 1754073306, "vector_store_id", store, "status", "completed")
}

// messageBatches serves /v1/messages/batches of Anthropic. A batch has ended when
// it is looked at for the first time.
func messageBatches(x *exchange, id, rest string) (reply, *fault) {
	o := &x.s.objects
	one := o.find("message_batches", id)
	switch method := x.r.Method; {
	case id == "" && method == http.MethodPost:
		return newMessageBatch(x)
	case id == "" && method == http.MethodGet:
		return listed(x, o.those("message_batches"))
	case one == nil:
		return noObject(x, "message batch", id)
	case rest == "" && method == http.MethodGet:
		one.fields = messageBatch(one.id, "ended", x.s.url+"/v1/messages/batches/"+one.id+"/results")
		return shown(x, one.fields)
	case rest == "" && method == http.MethodDelete:
		return deleted(x, one, "message_batch")
	case rest == "cancel" && method == http.MethodPost:
		one.fields = messageBatch(one.id, "canceling", nil)
		return shown(x, one.fields)
	case rest == "results" && method == http.MethodGet:
		h := anthropicHeaders(x)
		h.Set("Content-Type", "application/x-jsonl")
		return reply{status: http.StatusOK, header: h, body: one.content}, nil
	}
	return wrongMethod(x)
}

func newMessageBatch(x *exchange) (reply, *fault) {
	var q struct {
		Requests []struct {
			ID     string          `json:"custom_id"`
			Params messagesRequest `json:"params"`
		} `json:"requests"`
	}
	if json.Unmarshal(x.body, &q) != nil || len(q.Requests) == 0 {
		return reply{}, invalid("requests: Field required")
	}
	var lines strings.Builder
	for i, one := range q.Requests {
		m, f := anthropicModel(x, one.Params.Model)
		if f != nil {
			return reply{}, invalid(fmt.Sprintf("requests.%d.params.%s", i, f.message))
		}
		message := obj("type", "message", "id", bodyID("msg_", []byte(one.ID)), "role", "assistant", "model", x.declared(m))
		fmt.Fprintf(&lines, "%s\n", obj("custom_id", one.ID, "result", obj("type", "succeeded", "message", message)))
	}
	one := x.s.objects.add("message_batches", "msgbatch_", func(id string) raw { return messageBatch(id, "in_progress", nil) })
	one.content = []byte(lines.String())
	return shown(x, one.fields)
}

func messageBatch(id, status string, results any) raw {
	return obj("id", id, "type", "message_batch", "processing_status", status, "created_at", "2026-11-22T00:00:00Z", "expires_at", "2026-11-23T00:00:00Z",
		"ended_at", nil, "cancel_initiated_at", nil, "archived_at", nil, "results_url", results,
		"request_counts", obj("processing", 0, "succeeded", 1, "errored", 0, "canceled", 0, "expired", 0))
}

// cutCaches finds what stands behind cachedContents in a path of Gemini's.
func cutCaches(path string) (id string, ok bool) {
	for _, prefix := range []string{"/v1beta/cachedContents", "/v1/cachedContents"} {
		if rest, found := strings.CutPrefix(path, prefix); found && (rest == "" || rest[0] == '/') {
			return strings.TrimPrefix(rest, "/"), true
		}
	}
	return "", false
}

// cachedContents serves /v1beta/cachedContents. Lists have one page.
func cachedContents(x *exchange, id string) (reply, *fault) {
	o := &x.s.objects
	o.mu.Lock()
	defer o.mu.Unlock()
	one := o.find("cachedContents", id)
	switch method := x.r.Method; {
	case id == "" && method == http.MethodPost:
		var q struct {
			Model string `json:"model"`
		}
		if json.Unmarshal(x.body, &q) != nil {
			return reply{}, &fault{status: http.StatusBadRequest, kind: "INVALID_ARGUMENT", message: "Invalid JSON payload received."}
		}
		if _, f := geminiModel(x, strings.TrimPrefix(q.Model, "models/")); f != nil {
			return reply{}, f
		}
		one = o.add("cachedContents", "", func(id string) raw {
			return obj("name", "cachedContents/"+id, "model", q.Model, "createTime", "2026-11-22T00:00:00Z", "expireTime", "2026-11-22T01:00:00Z")
		})
		return unaryGemini(x, one.fields), nil
	case id == "" && method == http.MethodGet:
		all := list{}
		for _, one := range o.those("cachedContents") {
			all = append(all, one.fields)
		}
		if len(all) == 0 {
			return unaryGemini(x, obj()), nil
		}
		return unaryGemini(x, obj("cachedContents", all)), nil
	case one == nil || method == http.MethodPost:
		return reply{}, &fault{status: http.StatusNotFound, kind: "NOT_FOUND", message: "Requested entity was not found."}
	case method == http.MethodDelete:
		o.drop(one)
		return unaryGemini(x, obj()), nil
	}
	return unaryGemini(x, one.fields), nil
}
