package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/label"
	"sallyport/internal/secret"
)

// vendorServer counts words, and a number more for each message, as vendors do whose
// messages cost something. It is reached as a proxy, so that the host is the vendor's.
type vendorServer struct {
	*httptest.Server
	asked  atomic.Int64
	status atomic.Int64
	word   atomic.Int64 // what a word costs
}

func startVendor(t *testing.T) *vendorServer {
	v := &vendorServer{}
	v.status.Store(http.StatusOK)
	v.word.Store(1)
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.asked.Add(1)
		var q struct {
			Model    string `json:"model"`
			Messages []struct{ Role, Content string }
			Contents []struct{ Parts []struct{ Text string } }
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		w.WriteHeader(int(v.status.Load()))
		words := func(text string) int64 { return v.word.Load() * int64(len(strings.Fields(text))) }
		switch r.Host + r.URL.Path {
		case "api.anthropic.com/v1/messages/count_tokens":
			if r.Header.Get("X-Api-Key") != "k-0123456789" || r.Header.Get("Anthropic-Version") == "" || q.Model != "claude-x" {
				t.Errorf("%v, model %q", r.Header, q.Model)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"input_tokens": 7 + words(q.Messages[0].Content)})
		case "generativelanguage.googleapis.com/v1beta/models/gemini-x:countTokens":
			if r.Header.Get("X-Goog-Api-Key") != "k-0123456789" {
				t.Errorf("%v", r.Header)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"totalTokens": words(q.Contents[0].Parts[0].Text)})
		default:
			t.Errorf("asked for %s%s", r.Host, r.URL.Path)
		}
	}))
	t.Cleanup(v.Close)
	return v
}

// through is an upstream behind the server.
func (v *vendorServer) through(t *testing.T, kind Kind, base string) *Upstream {
	t.Helper()
	u, err := New(Config{
		Name: "u", Kind: kind, BaseURL: base, Key: secret.New("k-0123456789"), Class: label.Vetted, Proxy: v.URL,
		Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no names are known here")
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// asking is a request to an upstream's own counting endpoint.
func (v *vendorServer) asking(u *Upstream, model string) Asking {
	return func(ctx context.Context, body []byte) ([]byte, error) {
		path, h := "/models/"+model+":countTokens", http.Header{"Content-Type": {"application/json"}}
		if u.Kind == Anthropic {
			path = "/messages/count_tokens"
			h.Set("Anthropic-Version", "2023-06-01")
		}
		resp, err := u.Do(ctx, Request{Method: http.MethodPost, Path: path, Header: h, Body: io.NopCloser(bytes.NewReader(body)), Length: int64(len(body)), Model: model})
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("status %d", resp.StatusCode)
		}
		return io.ReadAll(resp.Body)
	}
}

// TestCountTokens: what a message costs beside its text is measured once and taken off.
func TestCountTokens(t *testing.T) {
	v := startVendor(t)
	for kind, at := range map[Kind]struct{ base, model string }{
		Anthropic: {"http://api.anthropic.com/v1", "claude-x"},
		Gemini:    {"http://generativelanguage.googleapis.com/v1beta", "gemini-x"},
	} {
		u := v.through(t, kind, at.base)
		before := v.asked.Load()
		for text, want := range map[string]int64{"": 0, "hello": 1, "one two three": 3} {
			if n, err := u.CountTokens(t.Context(), at.model, text, v.asking(u, at.model)); n != want || err != nil {
				t.Errorf("%s %q: %d, %v", kind, text, n, err)
			}
		}
		if asked := v.asked.Load() - before; asked != 4 {
			t.Errorf("%s was asked %d times, want 2 for what stands around a text and 2 for texts", kind, asked)
		}
		v.status.Store(http.StatusTooManyRequests)
		if n, err := u.CountTokens(t.Context(), at.model, "x", v.asking(u, at.model)); err == nil || errors.Is(err, ErrNoTokenizer) {
			t.Errorf("%s: status 429 counts %d, %v", kind, n, err)
		}
		v.status.Store(http.StatusOK)
	}
	v.word.Store(2)
	u := v.through(t, Anthropic, "http://api.anthropic.com/v1")
	if n, err := u.CountTokens(t.Context(), "claude-x", "hello", v.asking(u, "claude-x")); err == nil {
		t.Errorf("a word of two tokens: %d", n)
	}
}

// TestCountTokensStaysAtHome: a text goes to the vendor's own host and to no other.
func TestCountTokensStaysAtHome(t *testing.T) {
	v := startVendor(t)
	for kind, base := range map[Kind]string{
		Anthropic: "http://api.anthropic.com.example.org/v1", Gemini: "http://relay.example.org/v1beta", OpenAI: "http://api.openai.com/v1",
	} {
		if _, err := v.through(t, kind, base).CountTokens(t.Context(), "claude-x", "secret", nil); !errors.Is(err, ErrNoTokenizer) {
			t.Errorf("%s: %v", base, err)
		}
	}
	if v.asked.Load() != 0 {
		t.Error("a text left")
	}
}
