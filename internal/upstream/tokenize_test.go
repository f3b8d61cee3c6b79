package upstream

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"sallyport/internal/label"
)

// TestTokenize asks a server that counts runes, as llama.cpp's server is asked.
func TestTokenize(t *testing.T) {
	status, asked := http.StatusOK, 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"data":[{"id":"m"},{"id":"m-cloud"}]}`))
	})
	mux.HandleFunc("POST /tokenize", func(w http.ResponseWriter, r *http.Request) {
		asked++
		var q struct {
			Content string
			Special *bool `json:"add_special"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Special == nil || *q.Special {
			t.Errorf("%+v, %v", q, err)
		}
		w.WriteHeader(status)
		list := []int{}
		for _, c := range q.Content {
			list = append(list, int(c))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"tokens": list})
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	open := func(class label.Class) *Upstream {
		u, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: server.URL + "/v1", Class: class, AllowPrivate: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(u.Close)
		if err := u.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		return u
	}
	local := open(label.OnSite)
	for text, want := range map[string]int64{"": 0, "Grüße": 5, "a\n\"b": 4} {
		if n, err := local.Tokenize(t.Context(), "m", text); n != want || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	before := asked
	for _, u := range []*Upstream{open(label.Vetted), open(label.Any)} {
		if _, err := u.Tokenize(t.Context(), "m", "secret"); !errors.Is(err, ErrNoTokenizer) {
			t.Errorf("class %s: %v", u.Class, err)
		}
	}
	if _, err := local.Tokenize(t.Context(), "m-cloud", "secret"); !errors.Is(err, ErrNoTokenizer) {
		t.Errorf("a model that runs elsewhere: %v", err)
	}
	if asked != before {
		t.Error("a server that is not local was asked")
	}
	status = http.StatusNotFound
	if _, err := local.Tokenize(t.Context(), "m", "x"); !errors.Is(err, ErrNoTokenizer) {
		t.Errorf("status 404: %v", err)
	}
	status = http.StatusInternalServerError
	if _, err := local.Tokenize(t.Context(), "m", "x"); err == nil || errors.Is(err, ErrNoTokenizer) {
		t.Errorf("status 500: %v", err)
	}
}
