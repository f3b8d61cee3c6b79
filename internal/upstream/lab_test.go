//go:build lab

package upstream

import (
	"os"
	"testing"

	"sallyport/internal/label"
)

// TestTokenizeByLab asks a real llama.cpp server (make lab), which says itself how
// many tokens it made. SALLYPORT_LAB is its base URL.
func TestTokenizeByLab(t *testing.T) {
	base, model := os.Getenv("SALLYPORT_LAB"), "smollm2-135m-instruct"
	if base == "" {
		t.Fatal("SALLYPORT_LAB is not set, such as http://127.0.0.1:8080/v1")
	}
	u, err := New(Config{Name: "lab", Kind: OpenAI, BaseURL: base, Class: label.OnSite})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := u.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int64{"": 0, "Hello world": 2, " Hello world, again.": 5} {
		if n, err := u.Tokenize(t.Context(), model, text); n != want || err != nil {
			t.Errorf("%q: %d tokens, %v; want %d", text, n, err, want)
		}
	}
}
