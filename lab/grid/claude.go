package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
)

// claudeModel is a model whose vendor documents that changed thinking is refused.
const claudeModel = "claude-opus-4-6"

// startClaude serves the Messages API with thinking that bears a signature, which
// upstreamtest's does not check. With other it is another model behind that API, which
// takes any signature and counts what stands under it.
func startClaude(other bool) *httptest.Server {
	const signature = "EqQBCkYIBRgCKkDSallyportLabSignatureOfSomeLength=="
	var id atomic.Int64
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		body := string(raw)
		signed := strings.Contains(body, `"signature"`)
		w.Header().Set("Content-Type", "application/json")
		if err != nil || strings.Contains(body, "no-such-model") || !other && (strings.Contains(body, `"x_`) || signed && !strings.Contains(body, signature)) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"type":"error","error":{"type":"invalid_request_error","message":"no"}}`)
			return
		}
		prompt := count(body)
		if signed {
			prompt += 100 // of thinking that is kept
		}
		_, _ = fmt.Fprintf(w, `{"id":"msg_%024d","type":"message","role":"assistant","model":%q,"content":[`+
			`{"type":"thinking","thinking":"so","signature":%q},{"type":"text","text":"done"}],"stop_reason":"end_turn","usage":{"input_tokens":%d,"output_tokens":9}}`,
			id.Add(1), claudeModel, signature, prompt)
	}))
}
