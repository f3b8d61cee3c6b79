//go:build lab

package probe

import (
	"os"
	"testing"
)

// TestCausalLab audits a real llama.cpp server, as nobody's model and by what was
// recorded of itself. SALLYPORT_LAB is the base URL of the lab's SmolLM2.
func TestCausalLab(t *testing.T) {
	base := os.Getenv("SALLYPORT_LAB")
	if base == "" {
		t.Fatal("SALLYPORT_LAB is not set: start the lab and set it to http://127.0.0.1:8080/v1")
	}
	const model = "smollm2-135m-instruct"
	r := auditing{url: base, model: model}.run(t)
	silent(t, r)
	t.Log(r.Facts)
	causal := recorded(t, base, model)
	r = auditing{url: base, model: model, reference: opened(t, model, causal)}.run(t)
	silent(t, r)
	t.Log(causal, r.Facts)
}
