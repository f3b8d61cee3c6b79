package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/upstream"
)

// TestToldObjects: what an answer tells of containers and files that its code made is
// the project's own from then on, and nobody else's; what the model writes never is.
func TestToldObjects(t *testing.T) {
	const (
		tools     = `"tools":[{"type":"code_execution_20250825","name":"code_execution"}]`
		container = `{"id":"container_a","expires_at":"2026-12-01T00:00:00Z"}`
		content   = `[{"type":"tool_use","id":"toolu_1","name":"f","input":{"file_id":"file_b"}},` +
			`{"type":"text","text":"{\"file_id\":\"file_c\"}"},` +
			`{"type":"bash_code_execution_tool_result","tool_use_id":"srvtoolu_1","content":{"type":"bash_code_execution_result","content":[{"type":"bash_code_execution_output","file_id":"file_a"}],"stdout":"{\"file_id\":\"file_d\"}"}}]`
		whole = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-1","content":` + content + `,"stop_reason":"end_turn","container":` + container + `,"usage":{"input_tokens":1,"output_tokens":1}}`
	)
	var streamed strings.Builder
	streamed.WriteString("event: message_start\n" + `data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-1","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}` + "\n\n")
	for i, block := range []string{
		`{"type":"tool_use","id":"toolu_1","name":"f","input":{"file_id":"file_b"}}`,
		`{"type":"bash_code_execution_tool_result","tool_use_id":"srvtoolu_1","content":{"type":"bash_code_execution_result","content":[{"type":"bash_code_execution_output","file_id":"file_a"}]}}`,
	} {
		n := string(rune('0' + i))
		streamed.WriteString("event: content_block_start\n" + `data: {"type":"content_block_start","index":` + n + `,"content_block":` + block + "}\n\n" + "event: content_block_stop\n" + `data: {"type":"content_block_stop","index":` + n + "}\n\n")
	}
	streamed.WriteString("event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn","container":` + container + `},"usage":{"output_tokens":1}}` + "\n\n" + "event: message_stop\n" + `data: {"type":"message_stop"}` + "\n\n")
	for name, body := range map[string]string{"whole": `"stream":false,`, "streamed": `"stream":true,`} {
		t.Run(name, func(t *testing.T) {
			unique := strings.NewReplacer("container_a", "container_a"+name, "file_a", "file_a"+name, "file_b", "file_b"+name, "file_c", "file_c"+name, "file_d", "file_d"+name).Replace
			one, other := against(t, func(w http.ResponseWriter, r *http.Request) {
				asked, _ := io.ReadAll(r.Body)
				switch {
				case r.Method == http.MethodGet:
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, unique(`{"id":"file_a","type":"file"}`))
				case strings.Contains(string(asked), `"stream":true`):
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = io.WriteString(w, unique(streamed.String()))
				default:
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, unique(whole))
				}
			}).tenants(t)
			ask := func(n tenant, more string) int {
				t.Helper()
				return n.as(t, upstream.Anthropic, "", "/v1/messages", `{"model":"claude","max_tokens":9,`+body+more+`"messages":[{"role":"user","content":"hi"}]}`).status
			}
			again := `"container":"container_a` + name + `",`
			if got := ask(one, again); got != http.StatusNotFound {
				t.Fatalf("a container that nothing told of: %d", got)
			}
			if got := ask(one, ""); got != http.StatusOK {
				t.Fatalf("status %d", got)
			}
			if got := ask(one, again); got != http.StatusNotFound {
				t.Errorf("an answer to a request that runs no code told: %d", got)
			}
			if got := ask(one, tools+","); got != http.StatusOK {
				t.Fatalf("status %d", got)
			}
			for _, c := range []struct {
				of     tenant
				who    string
				status int
			}{{one, "one", http.StatusOK}, {other, "other", http.StatusNotFound}} {
				if got := ask(c.of, again); got != c.status {
					t.Errorf("%s names the container: %d", c.who, got)
				}
				if got := c.of.as(t, upstream.Anthropic, http.MethodGet, "/v1/files/file_a"+name, ""); got.status != c.status {
					t.Errorf("%s reads the file: %d %s", c.who, got.status, got.body)
				}
				for _, id := range []string{"file_b", "file_c", "file_d"} {
					if got := c.of.as(t, upstream.Anthropic, http.MethodGet, "/v1/files/"+id+name, ""); got.status != http.StatusNotFound {
						t.Errorf("%s reads %s: %d", c.who, id, got.status)
					}
				}
			}
		})
	}
}
