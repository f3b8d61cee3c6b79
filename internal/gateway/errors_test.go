package gateway_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// openAIErrorBody is what OpenAI's SDKs read of an error: the object, its members,
// and that param and code may be null but not absent.
type openAIErrorBody struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
	RequestID string `json:"request_id"`
}

// anthropicErrorBody is what Anthropic's SDKs read of an error.
type anthropicErrorBody struct {
	Type  string `json:"type"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	RequestID string `json:"request_id"`
}

// anthropicTypes are the types that its API reference lists; SDKs make classes of them.
var anthropicTypes = map[string]bool{
	"invalid_request_error": true, "authentication_error": true, "billing_error": true, "permission_error": true,
	"not_found_error": true, "request_too_large": true, "rate_limit_error": true, "timeout_error": true,
	"api_error": true, "overloaded_error": true,
}

// googleErrorBody is what Google's SDKs read of an error.
type googleErrorBody struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Status  string `json:"status"`
		Details []struct {
			Type       string `json:"@type"`
			RequestID  string `json:"requestId,omitempty"`
			RetryDelay string `json:"retryDelay,omitempty"`
			Fields     []struct {
				Field       string `json:"field"`
				Description string `json:"description"`
			} `json:"fieldViolations,omitempty"`
		} `json:"details"`
	} `json:"error"`
}

// googleStatuses are the words of google.rpc.Code that stand for errors.
var googleStatuses = map[string]bool{
	"INVALID_ARGUMENT": true, "FAILED_PRECONDITION": true, "UNAUTHENTICATED": true, "PERMISSION_DENIED": true, "NOT_FOUND": true,
	"RESOURCE_EXHAUSTED": true, "INTERNAL": true, "UNAVAILABLE": true, "DEADLINE_EXCEEDED": true, "UNIMPLEMENTED": true,
}

// message checks an error object of a format and returns its message.
func (f format) message(t testing.TB, b []byte, rid string) string {
	t.Helper()
	strictly := json.NewDecoder(bytes.NewReader(b))
	strictly.DisallowUnknownFields()
	if f.google() {
		var e googleErrorBody
		if err := strictly.Decode(&e); err != nil {
			t.Fatalf("%s: %v in %s", f.name, err, b)
		}
		var id strings.Builder
		for _, d := range e.Error.Details {
			if !strings.HasPrefix(d.Type, "type.googleapis.com/google.rpc.") {
				t.Errorf("%s: a detail of type %q", f.name, d.Type)
			}
			id.WriteString(d.RequestID)
		}
		if e.Error.Code < 400 || e.Error.Code > 599 || e.Error.Message == "" || !googleStatuses[e.Error.Status] || id.String() != rid {
			t.Errorf("%s: not an error of Google's form: %s", f.name, b)
		}
		return e.Error.Message
	}
	if f.anthropic() {
		var e anthropicErrorBody
		if err := strictly.Decode(&e); err != nil {
			t.Fatalf("%s: %v in %s", f.name, err, b)
		}
		if e.Type != "error" || !anthropicTypes[e.Error.Type] || e.Error.Message == "" || e.RequestID != rid {
			t.Errorf("%s: not an error of Anthropic's form: %s", f.name, b)
		}
		return e.Error.Message
	}
	var e openAIErrorBody
	if err := strictly.Decode(&e); err != nil {
		t.Fatalf("%s: %v in %s", f.name, err, b)
	}
	if e.Error.Message == "" || e.Error.Type == "" || e.RequestID != rid || !bytes.Contains(b, []byte(`"param":`)) || !bytes.Contains(b, []byte(`"code":`)) {
		t.Errorf("%s: not an error of OpenAI's form: %s", f.name, b)
	}
	return e.Error.Message
}

// isFault checks that an answer is Sallyport's own error of a kind, in the
// format's own form, with everything that clients are promised. It returns the
// message.
func (f format) isFault(t testing.TB, a answer, kind fault.Kind) string {
	t.Helper()
	if a.err != nil {
		t.Fatalf("%s: read the answer: %v", f.name, a.err)
	}
	if a.status != kind.Status() {
		t.Errorf("%s: status %d, want %d for %s: %s", f.name, a.status, kind.Status(), kind, clipped(a.body))
	}
	if got := a.header.Get("X-Sallyport-Reason"); got != string(kind.Reason()) {
		t.Errorf("%s: x-sallyport-reason %q, want %q", f.name, got, kind.Reason())
	}
	if got := a.header.Get("X-Should-Retry"); (got == "false") == kind.Retryable() || got != "" && got != "false" {
		t.Errorf("%s: x-should-retry %q for %s", f.name, got, kind)
	}
	if v := a.header.Get("Retry-After"); v != "" {
		if n, err := strconv.Atoi(v); err != nil || n < 1 || n > 60 {
			t.Errorf("%s: retry-after %q", f.name, v)
		}
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: content type %q", f.name, got)
	}
	ours(t, a)
	return f.message(t, a.body, a.rid)
}

// ours checks the headers that are Sallyport's on every answer.
func ours(t testing.TB, a answer) {
	t.Helper()
	if !strings.HasPrefix(a.rid, "req_") || len(a.rid) != 30 || a.header.Get("Request-Id") != a.rid ||
		len(a.header["X-Request-Id"]) != 1 || len(a.header["Request-Id"]) != 1 {
		t.Errorf("request ids %q and %q", a.header["X-Request-Id"], a.header["Request-Id"])
	}
	if got := a.header["X-Content-Type-Options"]; len(got) != 1 || got[0] != "nosniff" {
		t.Errorf("x-content-type-options %q", got)
	}
	if got := a.header["Cache-Control"]; len(got) != 1 || got[0] != "no-store" {
		t.Errorf("cache-control %q", got)
	}
}

// splitFrame takes the error frame off the end of a stream. Nothing in the rest
// may pass for a clean end.
func (f format) splitFrame(t testing.TB, a answer) (rest, frame []byte) {
	t.Helper()
	if a.err != nil {
		t.Fatalf("%s: read the stream: %v", f.name, a.err)
	}
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%s: status %d, type %q: %s", f.name, a.status, a.header.Get("Content-Type"), clipped(a.body))
	}
	ours(t, a)
	mark := "event: error\n"
	if f.ep == wire.Chat || f.google() {
		mark = `data: {"error":`
	}
	at := bytes.LastIndex(a.body, []byte(mark))
	if at < 0 || at > 0 && !bytes.ContainsAny(a.body[at-1:at], "\n\r") {
		t.Fatalf("%s: no error frame at the end of %q", f.name, a.body[max(0, len(a.body)-400):])
	}
	rest, frame = a.body[:at], a.body[at:]
	for _, end := range []string{"data: [DONE]", "message_stop", `"type":"response.completed"`, `"type":"response.incomplete"`} {
		if bytes.Contains(bytes.ReplaceAll(rest, []byte(`"data: [DONE]`), nil), []byte("\n"+end)) || bytes.Contains(frame, []byte(end)) {
			t.Errorf("%s: a clean end %q in a broken stream", f.name, end)
		}
	}
	if !bytes.HasSuffix(frame, []byte("\n\n")) || bytes.Count(frame, []byte("\n\n")) != 1 {
		t.Errorf("%s: not one frame: %q", f.name, frame)
	}
	return rest, frame
}

// isFrame checks that a frame is Sallyport's own error in the format's form.
func (f format) isFrame(t testing.TB, frame []byte, rid string) string {
	t.Helper()
	_, data, _ := bytes.Cut(frame, []byte("data: "))
	data = bytes.TrimSpace(data)
	if f.ep != wire.Responses {
		return f.message(t, data, rid)
	}
	// SDKs raise on the error member; the flat members are those of the API reference.
	var e struct {
		Type     string `json:"type"`
		Sequence *int64 `json:"sequence_number"`
		Message  string `json:"message"`
		Error    struct {
			Message string `json:"message"`
			Type    string `json:"type"`
		} `json:"error"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatalf("%s: %v in %s", f.name, err, frame)
	}
	if e.Type != "error" || e.Sequence == nil || !bytes.Contains(data, []byte(`"code":`)) || e.Message == "" || e.Error.Message != e.Message || e.Error.Type == "" || e.RequestID != rid {
		t.Errorf("%s: not an error event: %s", f.name, frame)
	}
	return e.Message
}
