package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/secret"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

// cloud is the name of the upstream in a cloud, and of the public model there.
const cloud = "cloud"

// withCloud adds an upstream in a cloud to a rig, with a handler as the cloud and a
// tap before it.
func (r *rig) withCloud(t testing.TB, cfg upstream.Config, model string, h http.Handler) *tap {
	t.Helper()
	p := &tap{next: h, seen: make(chan tapped, 16)}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL
	cfg.Name, cfg.BaseURL, cfg.Class, cfg.AllowPrivate = cloud, s.URL+cfg.BaseURL, label.Vetted, true
	u, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	next := *r.Snapshot()
	next.Upstreams = map[identity.Upstream]*upstream.Upstream{cloud: u}
	next.Models = map[identity.Model][]gateway.Target{cloud: {{Upstream: cloud, Model: model}}}
	maps.Copy(next.Upstreams, r.Snapshot().Upstreams)
	r.Swap(&next)
	return p
}

// behind lets a provider of a family answer for a cloud that serves one model: under
// another path.
func behind(t testing.TB, v upstreamtest.Vendor, model string, path func(string) string) http.Handler {
	t.Helper()
	return behindWith(t, v, model, func(at string, _ map[string]json.RawMessage) (string, error) { return path(at), nil })
}

// behindWith is behind with changes to the body. An error fails the test.
func behindWith(t testing.TB, v upstreamtest.Vendor, model string, change func(path string, body map[string]json.RawMessage) (string, error)) http.Handler {
	t.Helper()
	up, err := upstreamtest.Start(upstreamtest.Config{Vendor: v, Models: []upstreamtest.Model{{ID: model}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := up.Close(); err != nil {
			t.Error(err)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var body map[string]json.RawMessage
		err := json.NewDecoder(q.Body).Decode(&body)
		q = q.Clone(q.Context())
		if err == nil {
			q.URL.Path, err = change(q.URL.Path, body)
		}
		b, encodeErr := json.Marshal(body)
		if err = errors.Join(err, encodeErr); err != nil {
			t.Errorf("the cloud was asked %s: %v", q.RequestURI, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		q.URL.RawPath, q.Body, q.ContentLength = "", io.NopCloser(bytes.NewReader(b)), int64(len(b))
		up.ServeHTTP(w, q)
	})
}

// plainPath is where OpenAI has what Azure has at a path.
func plainPath(path string) string {
	if rest, ok := strings.CutSuffix(path, "/chat/completions"); ok {
		return "/v1" + path[len(rest):]
	}
	return "/v1" + path[strings.LastIndexByte(path, '/'):]
}

// TestAzure: OpenAI's formats reach deployments, byte for byte but for the model's
// name, by both addresses and with both credentials.
func TestAzure(t *testing.T) {
	const key, token = "azure-canary-key-123456", "azure.canary.token-123456"
	for _, c := range []struct {
		version    string
		key, token secret.String
		paths      map[wire.Endpoint]string
		header     [2]string
	}{
		{"2024-10-21", secret.New(key), secret.String{}, map[wire.Endpoint]string{
			wire.Chat:       "/openai/deployments/my%20gpt%2F5/chat/completions?api-version=2024-10-21",
			wire.Embeddings: "/openai/deployments/my%20gpt%2F5/embeddings?api-version=2024-10-21",
			wire.Responses:  "/openai/responses?api-version=2024-10-21",
		}, [2]string{"Api-Key", key}},
		{"", secret.String{}, secret.New(token), map[wire.Endpoint]string{
			wire.Chat: "/openai/v1/chat/completions", wire.Embeddings: "/openai/v1/embeddings", wire.Responses: "/openai/v1/responses",
		}, [2]string{"Authorization", "Bearer " + token}},
	} {
		r := newRig(t, plan{})
		tap := r.withCloud(t, upstream.Config{Kind: upstream.Azure, Key: c.key, Token: c.token, APIVersion: c.version}, "my gpt/5", behind(t, upstreamtest.OpenAI, "my gpt/5", plainPath))
		for _, f := range formats {
			if c.paths[f.ep] == "" {
				continue
			}
			body := f.body(cloud, "hello")
			got := r.do(t, call{path: f.path + "?api-version=1999-01-01", body: body, header: http.Header{"Api-Key": {"client"}}})
			seen := tap.take(t)
			o := r.outcome(t, got)
			if got.status != http.StatusOK || o.State != string(llm.Complete) || o.Target != "my gpt/5" {
				t.Fatalf("%s: status %d, %+v: %s", f.name, got.status, o, got.body)
			}
			if seen.target != c.paths[f.ep] {
				t.Errorf("%s: asked %s, want %s", f.name, seen.target, c.paths[f.ep])
			}
			if want := strings.Replace(body, `"cloud"`, `"my gpt/5"`, 1); string(seen.body) != want {
				t.Errorf("%s: sent %s, want %s", f.name, seen.body, want)
			}
			others := slices.DeleteFunc([]string{"Api-Key", "Authorization", "X-Api-Key"}, func(h string) bool { return h == c.header[0] })
			if seen.header.Get(c.header[0]) != c.header[1] || seen.header.Get(others[0])+seen.header.Get(others[1]) != "" {
				t.Errorf("%s: header %v", f.name, seen.header)
			}
		}
		for _, name := range []string{"messages", "messages stream", "gemini stream"} {
			f := formatNamed(name)
			got := r.do(t, call{path: f.at(cloud), body: f.body(cloud, "hello")})
			if seen := tap.take(t); got.status != http.StatusOK || seen.target != c.paths[wire.Chat] {
				t.Errorf("%s: status %d at %s: %s", name, got.status, seen.target, got.body)
			}
		}
		got := r.post(t, "/v1/responses/compact", `{"model":"cloud","input":"x"}`) // which only its inventor serves
		if seen := tap.take(t); got.status != http.StatusOK || seen.target != c.paths[wire.Chat] {
			t.Errorf("compact: status %d at %s: %s", got.status, seen.target, got.body)
		}
	}
}

// TestAzureHidesCredentials: neither credential comes back out of an answer.
func TestAzureHidesCredentials(t *testing.T) {
	for _, cfg := range []upstream.Config{
		{Kind: upstream.Azure, Key: secret.New("azure-canary-key-123456")}, {Kind: upstream.Azure, Token: secret.New("azure-canary-key-123456")},
	} {
		r := newRig(t, plan{})
		r.withCloud(t, cfg, "gpt", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"message":"bad azure-canary-key-123456"}}`))
		}))
		got := r.post(t, "/v1/chat/completions", formatNamed("chat").body(cloud, "hello"))
		o := r.outcome(t, got)
		if diff := cmp.Diff(string(llm.CredentialEcho), o.State); diff != "" || strings.Contains(string(got.body), "canary") {
			t.Errorf("%s: %s", diff, got.body)
		}
	}
}

// TestAzureFilterFrames: the frames that only Azure sends, about its filters before
// and after the answer, go through to clients of the same format and hurt no other.
func TestAzureFilterFrames(t *testing.T) {
	const (
		before = `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}` + "\n\n"
		text   = `data: {"choices":[{"content_filter_results":{},"delta":{"content":"Hi","role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4o","object":"chat.completion.chunk","usage":null}` + "\n\n"
		after  = `data: {"choices":[{"content_filter_offsets":{"check_offset":1,"start_offset":1,"end_offset":3},"content_filter_results":{},"finish_reason":null,"index":0}],"created":0,"id":"","model":"","object":""}` + "\n\n"
		stop   = `data: {"choices":[{"delta":{},"finish_reason":"stop","index":0}],"created":1,"id":"chatcmpl-1","model":"gpt-4o","object":"chat.completion.chunk","usage":null}` + "\n\n"
		usage  = `data: {"choices":[],"created":1,"id":"chatcmpl-1","model":"gpt-4o","object":"chat.completion.chunk","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}` + "\n\n"
		done   = "data: [DONE]\n\n"
	)
	r := newRig(t, plan{})
	r.withCloud(t, upstream.Config{Kind: upstream.Azure, AddUsage: true}, "gpt-4o", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, before+text+after+stop+usage+done)
	}))
	f := formatNamed("chat stream")
	got := r.do(t, call{path: f.path, body: f.body(cloud, "hello")})
	if want := before + text + after + stop + done; string(got.body) != want {
		t.Errorf("got %s", cmp.Diff(want, string(got.body)))
	}
	if o := r.outcome(t, got); o.State != string(llm.Complete) || o.AnswerID != "chatcmpl-1" || o.Declared != "gpt-4o" || o.Usage != string(llm.UsageClaimed) {
		t.Errorf("%+v", o)
	}
	f = formatNamed("messages stream")
	got = r.do(t, call{path: f.path, body: f.body(cloud, "hello")})
	if a := readers[wire.Messages][1](t, got.body); a.Text != "Hi" || a.Finish != "end" || a.Prompt != 3 || a.Output != 2 {
		t.Errorf("%+v of %s", a, got.body)
	}
}
