package upstreamtest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// objects are what a Server keeps for whoever holds its credential: files, batches,
// conversations, vector stores and responses. It knows nothing of projects.
type objects struct {
	serial string // makes ids unique to this server

	mu   sync.Mutex
	made int
	all  []*object // in the order they were made
}

// object is one of them.
type object struct {
	sort    string // the first part of its path, such as "files"
	id      string
	fields  raw    // as it is shown
	content []byte // of a file; lines of a batch's answers
}

// add keeps a new object whose id begins with prefix.
func (o *objects) add(sort, prefix string, fields func(id string) raw) *object {
	o.made++
	sum := sha256.Sum256(fmt.Append(nil, o.serial, o.made))
	id := prefix + hex.EncodeToString(sum[:12])
	one := &object{sort: sort, id: id, fields: fields(id)}
	o.all = append(o.all, one)
	return one
}

func (o *objects) find(sort, id string) *object {
	i := slices.IndexFunc(o.all, func(one *object) bool { return one.sort == sort && one.id == id })
	if i < 0 {
		return nil
	}
	return o.all[i]
}

func (o *objects) drop(one *object) {
	o.all = slices.DeleteFunc(o.all, func(other *object) bool { return other == one })
}

// page lists objects, newest first, behind the one that a parameter names.
func page(x *exchange, all []*object, after string) (reply raw, f *fault) {
	shown := slices.Clone(all)
	slices.Reverse(shown)
	q := x.r.URL.Query()
	if id := q.Get(after); id != "" {
		i := slices.IndexFunc(shown, func(one *object) bool { return one.id == id })
		if i < 0 {
			return nil, badRequest(after, "Invalid cursor: "+id)
		}
		shown = shown[i+1:]
	}
	limit, err := strconv.Atoi(cmp.Or(q.Get("limit"), "20"))
	if err != nil || limit < 1 {
		return nil, badRequest("limit", "Invalid limit.")
	}
	more := len(shown) > limit
	shown = shown[:min(limit, len(shown))]
	data := list{}
	var first, last any
	for _, one := range shown {
		data = append(data, one.fields)
		first, last = cmp.Or(first, any(one.id)), one.id
	}
	return obj("object", "list", "data", data, "first_id", first, "last_id", last, "has_more", more), nil
}

// objectRoutes serve what stands below /v1, by the first part of the path. The lock
// of the objects is held meanwhile.
var objectRoutes = map[Vendor]map[string]func(x *exchange, id, rest string) (reply, *fault){
	OpenAI: {
		"files": files, "batches": batches, "responses": storedResponses, "conversations": conversations, "vector_stores": vectorStores,
	},
	Anthropic: {"files": files, "batches": messageBatches},
}

// routeObject serves a path of objects; known is false for others.
func routeObject(x *exchange, path string) (rep reply, f *fault, known bool) {
	if x.s.cfg.Vendor == Anthropic {
		path = strings.TrimPrefix(path, "messages/")
	}
	sort, rest, _ := strings.Cut(path, "/")
	serve := objectRoutes[x.s.cfg.Vendor][sort]
	if serve == nil || sort == "responses" && rest == "" {
		return reply{}, nil, false
	}
	id, rest, _ := strings.Cut(rest, "/")
	x.s.objects.mu.Lock()
	defer x.s.objects.mu.Unlock()
	rep, f = serve(x, id, rest)
	return rep, f, true
}

// shown answers with an object as the vendor lays it out.
func shown(x *exchange, body raw) (reply, *fault) {
	if x.s.cfg.Vendor == Anthropic {
		return reply{status: http.StatusOK, header: anthropicHeaders(x), body: disfigure(body, x.b)}, nil
	}
	return unaryOpenAI(x, body), nil
}

func noObject(x *exchange, sort, id string) (reply, *fault) {
	kind := ""
	if x.s.cfg.Vendor == Anthropic {
		kind = "not_found_error"
	}
	return reply{}, &fault{status: http.StatusNotFound, class: "invalid_request_error", kind: kind, param: "id", message: fmt.Sprintf("No such %s object: %s", sort, id)}
}

func wrongMethod(x *exchange) (reply, *fault) {
	return reply{}, &fault{
		status: http.StatusMethodNotAllowed, class: "invalid_request_error", kind: "invalid_request_error",
		message: fmt.Sprintf("Not allowed to %s on %s.", x.r.Method, x.r.URL.Path),
	}
}

// deleted is the answer to the deletion of an object.
func deleted(x *exchange, one *object, name string) (reply, *fault) {
	x.s.objects.drop(one)
	if x.s.cfg.Vendor == Anthropic {
		return shown(x, obj("id", one.id, "type", strings.ReplaceAll(name, ".", "_")+"_deleted"))
	}
	return shown(x, obj("id", one.id, "object", name, "deleted", true))
}

// after is the vendor's name of a list's cursor.
func after(x *exchange) string {
	if x.s.cfg.Vendor == Anthropic {
		return "after_id"
	}
	return "after"
}

// those are the objects of a sort.
func (o *objects) those(sort string) (all []*object) {
	for _, one := range o.all {
		if one.sort == sort {
			all = append(all, one)
		}
	}
	return all
}

// listed answers with a page of the objects of a sort.
func listed(x *exchange, all []*object) (reply, *fault) {
	body, f := page(x, all, after(x))
	if f != nil {
		return reply{}, f
	}
	return shown(x, body)
}

// files serves /v1/files of either vendor.
func files(x *exchange, id, rest string) (reply, *fault) {
	o := &x.s.objects
	one := o.find("files", id)
	switch method := x.r.Method; {
	case id == "" && method == http.MethodPost:
		return uploaded(x)
	case id == "" && method == http.MethodGet:
		return listed(x, o.those("files"))
	case one == nil:
		return noObject(x, "File", id)
	case rest == "content" && method == http.MethodGet:
		h := openAIHeaders(x)
		if x.s.cfg.Vendor == Anthropic {
			h = anthropicHeaders(x)
		}
		h.Set("Content-Type", "application/octet-stream")
		return reply{status: http.StatusOK, header: h, body: one.content}, nil
	case rest == "" && method == http.MethodGet:
		return shown(x, one.fields)
	case rest == "" && method == http.MethodDelete:
		return deleted(x, one, "file")
	}
	return wrongMethod(x)
}

// uploaded takes a file out of a form.
func uploaded(x *exchange) (reply, *fault) {
	t, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || t != "multipart/form-data" {
		return reply{}, badRequest("", "Unsupported content type: multipart/form-data is needed.")
	}
	var name, purpose string
	var content []byte
	for form := multipart.NewReader(bytes.NewReader(x.body), params["boundary"]); ; {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return reply{}, badRequest("", "The form could not be read: "+err.Error())
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return reply{}, badRequest("", "The form could not be read: "+err.Error())
		}
		switch part.FormName() {
		case "file":
			name, content = part.FileName(), b
		case "purpose":
			purpose = string(b)
		}
	}
	anthropic := x.s.cfg.Vendor == Anthropic
	switch {
	case name == "":
		return reply{}, missing("file")
	case purpose == "" && !anthropic:
		return reply{}, missing("purpose")
	}
	one := x.s.objects.add("files", map[bool]string{true: "file_", false: "file-"}[anthropic], func(id string) raw {
		if anthropic {
			return obj("type", "file", "id", id, "size_bytes", len(content), "created_at", "2026-11-22T00:00:00Z", "filename", name, "mime_type", "text/plain", "downloadable", true)
		}
		return obj("object", "file", "id", id, "purpose", purpose, "filename", name, "bytes", len(content), "created_at", 1754073306, "expires_at", nil, "status", "processed", "status_details", nil)
	})
	one.content = content
	return shown(x, one.fields)
}

// batches serves /v1/batches of OpenAI. A batch is done when it is looked at for
// the first time.
func batches(x *exchange, id, rest string) (reply, *fault) {
	o := &x.s.objects
	one := o.find("batches", id)
	switch method := x.r.Method; {
	case id == "" && method == http.MethodPost:
		var q struct {
			Input    string `json:"input_file_id"`
			Endpoint string `json:"endpoint"`
			Window   string `json:"completion_window"`
		}
		if f := decodeOpenAI(x, &q); f != nil {
			return reply{}, f
		}
		if o.find("files", q.Input) == nil {
			return reply{}, badRequest("input_file_id", "Invalid file: "+q.Input)
		}
		one = o.add("batches", "batch_", func(id string) raw { return batch(id, q.Endpoint, q.Input, q.Window, "validating", nil, nil) })
		one.content = []byte(q.Endpoint + "\n" + q.Input + "\n" + q.Window)
		return shown(x, one.fields)
	case id == "" && method == http.MethodGet:
		return listed(x, o.those("batches"))
	case one == nil:
		return noObject(x, "Batch", id)
	case rest == "" && method == http.MethodGet:
		o.complete(one)
		return shown(x, one.fields)
	case rest == "cancel" && method == http.MethodPost:
		words := strings.Split(string(one.content), "\n")
		one.fields = batch(one.id, words[0], words[1], words[2], "cancelling", nil, nil)
		return shown(x, one.fields)
	}
	return wrongMethod(x)
}

// complete ends a batch that is being validated: it writes its two files.
func (o *objects) complete(one *object) {
	if !bytes.Contains(one.fields, []byte(`"validating"`)) {
		return
	}
	write := func(content string) *object {
		f := o.add("files", "file-", func(id string) raw {
			return obj("object", "file", "id", id, "purpose", "batch_output", "filename", one.id+".jsonl", "bytes", len(content), "created_at", 1754073306, "status", "processed")
		})
		f.content = []byte(content)
		return f
	}
	out := write(`{"id":"batch_req_1","custom_id":"1","response":{"status_code":200,"body":{}},"error":null}` + "\n")
	bad := write(`{"id":"batch_req_2","custom_id":"2","response":null,"error":{"code":"x"}}` + "\n")
	words := strings.Split(string(one.content), "\n")
	one.fields = batch(one.id, words[0], words[1], words[2], "completed", out.id, bad.id)
}

func batch(id, endpoint, input, window, status string, out, bad any) raw {
	return obj("id", id, "object", "batch", "endpoint", endpoint, "errors", nil, "input_file_id", input, "completion_window", window,
		"status", status, "output_file_id", out, "error_file_id", bad, "created_at", 1754073306, "request_counts", obj("total", 2, "completed", 1, "failed", 1),
		"metadata", nil)
}
