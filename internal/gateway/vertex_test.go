package gateway_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/secret"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

const vertexToken = "ya29.canary-vertex-token"

// vertexConfig is an upstream of Google Cloud whose tokens a real endpoint gives.
func vertexConfig(t testing.TB, publisher string, status int) upstream.Config {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "g@p.example",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600}`, vertexToken)
	}))
	t.Cleanup(s.Close)
	return upstream.Config{
		Kind: upstream.Vertex, BaseURL: "/v1/projects/p/locations/l/publishers/" + publisher, Key: secret.New(string(file)), TokenURL: s.URL + "/token",
	}
}

// TestVertexGemini: Gemini's formats reach Google Cloud byte for byte.
func TestVertexGemini(t *testing.T) {
	r := newRig(t, plan{})
	tap := r.withCloud(t, vertexConfig(t, "google", http.StatusOK), "gemini-2.5-flash", behind(t, upstreamtest.Gemini, "gemini-2.5-flash", func(path string) string {
		return "/v1beta" + strings.TrimPrefix(path, "/v1/projects/p/locations/l/publishers/google")
	}))
	for name, verb := range map[string]string{
		"gemini": "generateContent", "gemini stream": "streamGenerateContent?alt=sse", "gemini count": "countTokens",
		"chat": "generateContent", "chat stream": "streamGenerateContent?alt=sse", "messages stream": "streamGenerateContent?alt=sse",
	} {
		f := formatNamed(name)
		body := f.body(cloud, "hello")
		got := r.do(t, call{path: f.at(cloud), body: body})
		seen := tap.take(t)
		o := r.outcome(t, got)
		if got.status != http.StatusOK || o.State != string(llm.Complete) {
			t.Fatalf("%s: status %d, %s: %s", name, got.status, o.State, got.body)
		}
		if want := "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:" + verb; seen.target != want {
			t.Errorf("%s: asked %s, want %s", name, seen.target, want)
		}
		if f.google() && string(seen.body) != body {
			t.Errorf("%s: sent %s", name, seen.body)
		}
		if seen.header.Get("Authorization") != "Bearer "+vertexToken || seen.header.Get("X-Goog-Api-Key") != "" {
			t.Errorf("%s: header %v", name, seen.header)
		}
	}
}

// claudeInCloud answers as Anthropic does for what Google Cloud takes.
func claudeInCloud(t testing.TB) http.Handler {
	t.Helper()
	return behindWith(t, upstreamtest.Anthropic, "claude-sonnet-4-5", func(path string, body map[string]json.RawMessage) (string, error) {
		if string(body["anthropic_version"]) != `"vertex-2023-10-16"` {
			return "", fmt.Errorf("version %s", body["anthropic_version"])
		}
		delete(body, "anthropic_version")
		switch _, verb, _ := strings.Cut(path, "/publishers/anthropic/models/"); verb {
		case "count-tokens:rawPredict":
			return "/v1/messages/count_tokens", nil
		case "claude-sonnet-4-5:rawPredict", "claude-sonnet-4-5:streamRawPredict":
			if body["model"] != nil || (string(body["stream"]) == "true") != strings.Contains(verb, "stream") {
				return "", fmt.Errorf("model %s, stream %s", body["model"], body["stream"])
			}
			body["model"] = json.RawMessage(`"claude-sonnet-4-5"`)
			return "/v1/messages", nil
		}
		return "", fmt.Errorf("path %s", path)
	})
}

// TestVertexClaude: Messages reach Google Cloud byte for byte but for the members
// that it has elsewhere.
func TestVertexClaude(t *testing.T) {
	r := newRig(t, plan{})
	tap := r.withCloud(t, vertexConfig(t, "anthropic", http.StatusOK), "claude-sonnet-4-5", claudeInCloud(t))
	const rest = `"messages":[{"role":"user","content":"hello"}] , "max_tokens" : 64`
	const version = `"anthropic_version":"vertex-2023-10-16"`
	for _, c := range []struct{ path, body, want string }{
		{"/v1/messages", `{"model":"cloud",` + rest + `}`, `{` + version + `,` + rest + `}`},
		{"/v1/messages", `{ "model" : "cloud" , ` + rest + `}`, `{` + version + `, ` + rest + `}`},
		{"/v1/messages", ` {` + rest + `,"model":"cloud"}`, ` {` + version + `,` + rest + `}`},
		{"/v1/messages", `{` + rest + `,"model":"cloud","stream":true}`, `{` + version + `,` + rest + `,"stream":true}`},
		{"/v1/messages", `{"model":"cloud","anthropic_version":"bedrock-2023-05-31",` + rest + `}`, `{` + version + `,` + rest + `}`},
		{"/v1/messages", `{` + rest + `,"anthropic_version":"x","model":"cloud"}`, `{` + rest + `,` + version + `}`},
		{"/v1/messages/count_tokens", `{"model":"cloud","messages":[{"role":"user","content":"hello"}]}`, `{` + version + `,"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hello"}]}`},
	} {
		got := r.do(t, call{path: c.path, body: c.body})
		seen := tap.take(t)
		if got.status != http.StatusOK || string(seen.body) != c.want {
			t.Errorf("%s: status %d %s\nsent %s\nwant %s", c.body, got.status, got.body, seen.body, c.want)
		}
		if seen.header.Get("Authorization") != "Bearer "+vertexToken || seen.header.Get("X-Api-Key") != "" {
			t.Errorf("header %v", seen.header)
		}
		if o := r.outcome(t, got); o.State != string(llm.Complete) || o.Forwarded == "" {
			t.Errorf("%+v", o)
		}
	}
	for _, name := range []string{"chat", "chat stream", "responses stream", "gemini"} {
		f := formatNamed(name)
		got := r.do(t, call{path: f.at(cloud), body: f.body(cloud, "hello")})
		seen := tap.take(t)
		if o := r.outcome(t, got); got.status != http.StatusOK || o.Forwarded != fmt.Sprintf("%x", sha256.Sum256(seen.body)) || o.Spoken != string(wire.Messages) {
			t.Errorf("%s: status %d, %+v: %s", name, got.status, o, got.body)
		}
	}
}

// TestVertexWithoutToken: no token is a failure of the upstream, of which the client
// sees no more than that, and nothing has left.
func TestVertexWithoutToken(t *testing.T) {
	r := newRig(t, plan{})
	r.withCloud(t, vertexConfig(t, "google", http.StatusForbidden), "gemini", http.NotFoundHandler())
	got := r.post(t, "/v1/chat/completions", formatNamed("chat").body(cloud, "hello"))
	o := r.outcome(t, got)
	if got.status != http.StatusBadGateway || o.State != string(llm.Unreachable) || o.Forwarded != "" || strings.Contains(string(got.body), "token") {
		t.Errorf("status %d, %+v: %s", got.status, o, got.body)
	}
	if log := r.logs.String(); !strings.Contains(log, "the token endpoint answered with status 403") || strings.Contains(log, vertexToken) {
		t.Errorf("logged %s", log)
	}
}
