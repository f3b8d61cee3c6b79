//go:build lab

package app

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/console"
)

// TestCountsByLab: a real model on a real llama.cpp server (make lab), counted by its
// own vocabulary. It claims the token that ends an answer as well, which no text
// shows. SALLYPORT_LAB is its base URL.
func TestCountsByLab(t *testing.T) {
	base := os.Getenv("SALLYPORT_LAB")
	if base == "" {
		t.Fatal("SALLYPORT_LAB is not set, such as http://127.0.0.1:8080/v1")
	}
	file := write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), fmt.Sprintf(`upstreams:
  - {name: lab, kind: openai, base_url: "%s", class: local}
models:
  small: {targets: [{upstream: lab, model: smollm2-135m-instruct}]}
count: {share: 1, cpu: 1}
`, base))
	data := t.TempDir()
	i := start(t, options(data, file))
	const n = 30
	for k := range n {
		ask{base: i.data, key: i.key, model: "small", text: fmt.Sprintf("Write three sentences about the number %d.", k), stream: k%2 == 0}.want(t, 200)
	}
	var c *console.Counted
	until(t, "all answers are counted", func() bool {
		var rows []console.UsageRow
		overSocket(t, data, "GET", "/usage?by=upstream&since=1h", &rows)
		c = rows[0].Counted
		return c != nil && c.Sampled == n
	})
	if c.Countable != n || c.Claimed < c.Counted || float64(c.Claimed) > 1.02*float64(c.Counted)+n {
		t.Errorf("%+v", c)
	}
	t.Logf("%+v, excess %+v", *c, *c.Excess)
}
