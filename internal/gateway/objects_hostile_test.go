package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/secret"
	"sallyport/internal/store"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// against is a rig whose upstream oa is a handler.
func against(t *testing.T, h http.HandlerFunc) *rig {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	p := keeping()
	p.snapshot = func(snap *gateway.Snapshot) {
		for _, c := range []upstream.Config{
			{Name: oa, Kind: upstream.OpenAI, BaseURL: s.URL + "/v1", Key: secret.New(openAIKey), Endpoints: []wire.Endpoint{wire.Files, wire.Batches}},
			{Name: an, Kind: upstream.Anthropic, BaseURL: s.URL, Key: secret.New(anthropicKey), Endpoints: []wire.Endpoint{wire.Messages, wire.Files}},
		} {
			c.Class, c.AllowPrivate = label.Vetted, true
			u, err := upstream.New(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(u.Close)
			snap.Upstreams[c.Name] = u
		}
	}
	return newRig(t, p)
}

// own makes an id the project's without asking an upstream.
func own(t *testing.T, id string) string {
	t.Helper()
	id += "-" + strings.NewReplacer("/", "-", " ", "-", "_", "-").Replace(t.Name())
	if err := credentials.keep.Own(t.Context(), "p", "file", id, oa); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestStrangersAndObjects: every route of objects asks who it is first.
func TestStrangersAndObjects(t *testing.T) {
	r := newRig(t, keeping())
	for _, route := range gateway.ObjectRoutes() {
		for key, kind := range map[string]fault.Kind{"-": fault.Unauthenticated, "sp_nonsense": fault.Unauthenticated, r.admin: fault.Forbidden} {
			c := call{method: route.Method, path: at(route.Path, "file-1"), key: key}
			if route.Speaks == upstream.Anthropic {
				c.header = anthropicOnly.Clone()
			}
			faultFormat(route.Speaks).isFault(t, r.do(t, c), kind)
		}
		c := call{method: route.Method, path: at(route.Path, "file-1"), header: http.Header{"X-Sallyport-Hop": {"instance0000"}}}
		if route.Speaks == upstream.Anthropic {
			c.header.Set("Anthropic-Version", "2023-06-01")
		}
		faultFormat(route.Speaks).isFault(t, r.do(t, c), fault.LoopDetected)
	}
	if r.sent() > 0 {
		t.Error("something was sent")
	}
}

// TestHostileFiles: a file that holds our credential, in one piece or several, or
// that breaks off, never looks whole.
func TestHostileFiles(t *testing.T) {
	filler := strings.Repeat("x", 300<<10)
	for name, c := range map[string]struct {
		pieces []string
		cut    bool
		state  llm.Terminal
		status int
	}{
		"a small echo":            {[]string{"a " + openAIKey + " b"}, false, llm.CredentialEcho, http.StatusBadGateway},
		"an echo in pieces":       {[]string{filler, openAIKey[:9], openAIKey[9:], filler}, false, llm.CredentialEcho, http.StatusOK},
		"an echo at the end":      {[]string{filler, filler, openAIKey}, false, llm.CredentialEcho, http.StatusOK},
		"cut at once":             {[]string{"abc"}, true, llm.CutByUpstream, http.StatusBadGateway},
		"cut in the middle":       {[]string{filler, filler}, true, llm.CutByUpstream, http.StatusOK},
		"whole":                   {[]string{filler, "\x00\xff", filler}, false, llm.Complete, http.StatusOK},
		"empty":                   {nil, false, llm.Complete, http.StatusOK},
		"shorter than the window": {[]string{"abc"}, false, llm.Complete, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			r := against(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/octet-stream")
				w.WriteHeader(http.StatusOK)
				for _, p := range c.pieces {
					_, _ = io.WriteString(w, p)
					_ = http.NewResponseController(w).Flush()
				}
				if c.cut {
					panic(http.ErrAbortHandler)
				}
			})
			got := r.do(t, call{path: "/v1/files/" + own(t, "file") + "/content"})
			o := r.outcome(t, got)
			if got.status != c.status || o.State != string(c.state) {
				t.Fatalf("status %d, state %s, want %d, %s: %s", got.status, o.State, c.status, c.state, clipped(got.body))
			}
			if whole := got.err == nil && got.status == http.StatusOK; whole != (c.state == llm.Complete) {
				t.Errorf("read %d bytes, then %v", len(got.body), got.err)
			}
			if c.state == llm.Complete && string(got.body) != strings.Join(c.pieces, "") || (o.Returned == "") != (c.status != http.StatusOK) {
				t.Errorf("%d bytes came, returned %q", len(got.body), o.Returned)
			}
		})
	}
}

// TestHostileObjects: an answer about an object is passed on only when it is one.
func TestHostileObjects(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, answer string
		state                llm.Terminal
	}{
		"no id":          {http.MethodPost, "/v1/batches", `{"object":"batch"}`, llm.Malformed},
		"a path as id":   {http.MethodPost, "/v1/batches", `{"id":"../files/file-1"}`, llm.Malformed},
		"no JSON":        {http.MethodGet, "/v1/files/{id}", `<html>`, llm.Malformed},
		"an echo":        {http.MethodGet, "/v1/files/{id}", `{"id":"` + openAIKey + `"}`, llm.CredentialEcho},
		"no list":        {http.MethodGet, "/v1/files", `{"data":{"id":"file-1"}}`, llm.Malformed},
		"an endless one": {http.MethodGet, "/v1/files", `{"data":[{"id":"file-1"}],"has_more":true,"first_id":"file-1","last_id":"file-1"}`, llm.Complete},
		"numbers as ids": {http.MethodGet, "/v1/files", `{"data":[{"id":1},null,"x"],"has_more":true}`, llm.Complete},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			r := against(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, c.answer)
			})
			body := map[string]string{http.MethodPost: `{}`}[c.method]
			got := r.do(t, call{method: c.method, path: at(c.path, own(t, "file")), body: body})
			o := r.outcome(t, got)
			if o.State != string(c.state) || (got.status == http.StatusOK) != (c.state == llm.Complete) {
				t.Errorf("status %d, state %s, want %s: %s", got.status, o.State, c.state, got.body)
			}
			if strings.Contains(string(got.body), "file-1") || asked.Load() > 50 {
				t.Errorf("%d pages: %s", asked.Load(), got.body)
			}
		})
	}
}

// endless is a form that never ends by itself.
type endless struct {
	head io.Reader
	left int64 // bytes until it fails
}

var errLeft = errors.New("the client leaves")

func (e *endless) Read(p []byte) (int, error) {
	if n, err := e.head.Read(p); err == nil {
		return n, nil
	}
	if e.left <= 0 {
		return 0, errLeft
	}
	n := int(min(int64(len(p)), e.left))
	clear(p[:n])
	e.left -= int64(n)
	return n, nil
}

// TestUploadsThatEndBadly: an upload that is too large, or whose client leaves, has
// one outcome, and nothing of it becomes anybody's.
func TestUploadsThatEndBadly(t *testing.T) {
	took := make(chan int64, 1)
	r := against(t, func(w http.ResponseWriter, q *http.Request) {
		n, err := io.Copy(io.Discard, q.Body)
		took <- n
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"id":"file-unseen"}`)
	})
	send := func(length int64, body io.Reader) (*http.Response, error) {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/files", body)
		if err != nil {
			t.Fatal(err)
		}
		q.ContentLength = length
		q.Header.Set("Authorization", "Bearer "+r.key)
		q.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		return r.client.Do(q)
	}
	f := faultFormat(upstream.OpenAI)
	resp, err := send(gateway.MaxObject+1, &endless{strings.NewReader("--b"), 1 << 10})
	if err == nil {
		f.isFault(t, read(resp), fault.TooLarge)
	}
	if _, err = send(-1, &endless{strings.NewReader("--b"), 4 << 20}); !errors.Is(err, errLeft) {
		t.Errorf("the client that left got %v", err)
	}
	if n := <-took; n > 4<<20+3 {
		t.Errorf("%d bytes arrived", n)
	}
	if !testing.Short() {
		r.uploadsTooMuch(t, send)
		if n := <-took; n > gateway.MaxObject {
			t.Errorf("%d bytes arrived", n)
		}
	}
	states := map[string]int{}
	for _, tr := range r.all(t, 2+strings.Count(fmt.Sprint(!testing.Short()), "true")) {
		states[tr.end().State+" "+tr.end().Fault]++
	}
	if states["refused too_large"] != 1 || states["cut_by_client bad_request"] != 1 || !testing.Short() && states["cut_by_client too_large"] != 1 {
		t.Errorf("states %v", states)
	}
	for _, contentType := range []string{"application/json", "multipart/form-data", "multipart/mixed; boundary=b", ""} {
		f.isFault(t, r.do(t, call{path: "/v1/files", body: "--b--", header: http.Header{"Content-Type": {contentType}}}), fault.UnsupportedMedia)
	}
}

// uploadsTooMuch sends an upload of unknown length that passes the bound.
func (r *rig) uploadsTooMuch(t testing.TB, send func(int64, io.Reader) (*http.Response, error)) {
	t.Helper()
	resp, err := send(-1, &endless{strings.NewReader("--b"), gateway.MaxObject + 1<<20})
	if err != nil {
		return // it was still sending when the connection ended
	}
	faultFormat(upstream.OpenAI).isFault(t, read(resp), fault.TooLarge)
}

// TestEarlyAnswerToUpload: an upstream that answers before it has read an upload is
// heard, and the client's connection ends with its answer.
func TestEarlyAnswerToUpload(t *testing.T) {
	r := against(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close") // Go's server would otherwise read on first
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"no such purpose"}}`)
	})
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	pr, pw := io.Pipe()
	defer pw.Close()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/v1/files", pr)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+r.key)
	q.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	go func() { _, _ = fmt.Fprint(pw, "--b\r\n") }()
	resp, err := r.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	got := read(resp)
	if o := r.outcome(t, got); got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "no such purpose") || o.State != string(llm.UpstreamStatus) {
		t.Errorf("status %d, state %s: %s", got.status, o.State, got.body)
	}
}

// TestObjectsOfTwoUpstreams: one request cannot refer to what different upstreams
// keep, nor to what another upstream than the model's keeps.
func TestObjectsOfTwoUpstreams(t *testing.T) {
	r := newRig(t, keeping())
	here := own(t, "here")
	there := here + "-there"
	if err := credentials.keep.Own(t.Context(), "p", "file", there, identity.Upstream("an")); err != nil {
		t.Fatal(err)
	}
	f := faultFormat(upstream.OpenAI)
	f.isFault(t, r.post(t, "/v1/vector_stores", `{"file_ids":[`+quote(here)+`,`+quote(there)+`]}`), fault.BadRequest)
	f.isFault(t, r.post(t, "/v1/batches", `{"input_file_id":`+quote(there)+`}`), fault.NotCarried)
	f.isFault(t, r.post(t, "/v1/chat/completions", `{"model":"fast","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":`+quote(there)+`}}]}]}`), fault.NotCarried)
	if r.sent() > 0 {
		t.Error("something was sent")
	}
}

// TestObjectsNobodyCanOwn: when nobody can write down whose an object is, the client
// does not learn that it exists; and what cannot be looked up is not asked for.
func TestObjectsNobodyCanOwn(t *testing.T) {
	db, err := store.Open(t.Context(), store.Config{SQLitePath: filepath.Join(t.TempDir(), "gone.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	p := keeping()
	p.config = func(cfg *gateway.Config) {
		broken := *cfg.Keep
		broken.Store = db
		cfg.Keep = &broken
	}
	r := newRig(t, p)
	one, _ := r.tenants(t)
	f := faultFormat(upstream.OpenAI)
	got := one.upload(t, upstream.OpenAI, "content")
	f.isFault(t, got, fault.Unavailable)
	if o := r.outcome(t, got); o.State != string(llm.InternalFailure) || r.sent() != 1 || strings.Contains(string(got.body), "file-") {
		t.Errorf("state %s, %d sent: %s", o.State, r.sent(), got.body)
	}
	f.isFault(t, one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files/file-1", ""), fault.Unavailable)
	f.isFault(t, one.as(t, upstream.OpenAI, "", "/v1/batches", `{"input_file_id":"file-1"}`), fault.Unavailable)
	if r.sent() != 1 {
		t.Errorf("%d requests were sent", r.sent())
	}
	got = one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files", "")
	if f.isFault(t, got, fault.Unavailable); r.outcome(t, got).State != string(llm.InternalFailure) {
		t.Errorf("%s", got.body)
	}
}

// TestObjectsAreWrittenDownFirst: without a journal nothing leaves.
func TestObjectsAreWrittenDownFirst(t *testing.T) {
	r := newRig(t, keeping())
	one, _ := r.tenants(t)
	id := one.make(t, upstream.OpenAI, "file")
	sent := r.sent()
	r.all(t, 1)
	r.journal.Close()
	for _, got := range []answer{
		one.upload(t, upstream.OpenAI, "content"), one.as(t, upstream.OpenAI, http.MethodDelete, "/v1/files/"+id, ""),
		one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files/"+id+"/content", ""), one.as(t, upstream.OpenAI, http.MethodGet, "/v1/files", ""),
	} {
		if faultFormat(upstream.OpenAI).isFault(t, got, fault.Unavailable); r.sent() != sent {
			t.Error("something was sent")
		}
	}
}
