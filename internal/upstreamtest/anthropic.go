package upstreamtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The versions of the Anthropic API that a Server speaks
// (platform.claude.com/docs/en/api/versioning).
const (
	Anthropic2023 = "2023-06-01"
	Anthropic2026 = "2026-10-21" // no sampling parameters, stricter content
)

// routeAnthropic serves one request as api.anthropic.com does.
func routeAnthropic(x *exchange) (reply, *fault) {
	if f := anthropicAuth(x); f != nil {
		return reply{}, f
	}
	switch v := x.r.Header.Get("Anthropic-Version"); v {
	case Anthropic2023, Anthropic2026:
	case "":
		return reply{}, invalid("anthropic-version: header is required")
	default:
		return reply{}, invalid(fmt.Sprintf("anthropic-version: %q is not a valid version", v))
	}
	if rep, f, known := routeObject(x, strings.TrimPrefix(x.r.URL.Path, "/v1/")); known {
		return rep, f
	}
	method := http.MethodPost
	var handle func(*exchange) (reply, *fault)
	id, one := strings.CutPrefix(x.r.URL.Path, "/v1/models/")
	switch path := x.r.URL.Path; {
	case path == "/v1/messages":
		handle = messages
	case path == "/v1/messages/count_tokens":
		handle = countTokens
	case path == "/v1/models":
		method, handle = http.MethodGet, listAnthropic
	case one && id != "":
		method, handle = http.MethodGet, func(x *exchange) (reply, *fault) { return modelAnthropic(x, id) }
	default:
		return reply{}, &fault{status: http.StatusNotFound, kind: "not_found_error", message: "Not found"}
	}
	if x.r.Method != method {
		return reply{}, &fault{status: http.StatusMethodNotAllowed, kind: "invalid_request_error", message: "Method Not Allowed"}
	}
	if method == http.MethodPost {
		if t, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || t != "application/json" {
			return reply{}, invalid("content-type: must be application/json")
		}
	}
	return handle(x)
}

// anthropicAuth takes the key from x-api-key or as a bearer token; the newer
// SDKs send the latter. Two different credentials are refused.
func anthropicAuth(x *exchange) *fault {
	key := x.s.cfg.Key
	if key == "" {
		return nil
	}
	got := x.r.Header.Get("X-Api-Key")
	bearer, _ := strings.CutPrefix(x.r.Header.Get("Authorization"), "Bearer ")
	f := &fault{status: http.StatusUnauthorized, kind: "authentication_error"}
	switch {
	case got == "" && bearer == "":
		f.message = "x-api-key header is required"
	case got != "" && got != key:
		f.message = "invalid x-api-key"
	case bearer != "" && bearer != key:
		f.message = "invalid bearer token"
	default:
		return nil
	}
	return f
}

func invalid(message string) *fault {
	return &fault{status: http.StatusBadRequest, kind: "invalid_request_error", message: message}
}

func anthropicHeaders(x *exchange) http.Header {
	h := http.Header{}
	for name, v := range map[string]string{
		"Content-Type": "application/json", "Request-Id": x.id,
		"Anthropic-Organization-Id":                  "00000000-0000-4000-8000-000000000000",
		"Anthropic-Ratelimit-Requests-Limit":         "4000",
		"Anthropic-Ratelimit-Requests-Remaining":     "3999",
		"Anthropic-Ratelimit-Requests-Reset":         "2026-11-22T00:00:01Z",
		"Anthropic-Ratelimit-Input-Tokens-Limit":     "2000000",
		"Anthropic-Ratelimit-Input-Tokens-Remaining": "1999000",
		"Strict-Transport-Security":                  "max-age=31536000; includeSubDomains; preload",
		"X-Robots-Tag":                               "none", "Via": "1.1 google", "Access-Control-Allow-Origin": "*",
	} {
		h.Set(name, v)
	}
	cdnHeaders(h, "api.anthropic.com")
	return h
}

// anthropicStatus is the vendor's error of a status
// (platform.claude.com/docs/en/api/errors).
func anthropicStatus(status int) *fault {
	kinds := map[int][2]string{
		400: {"invalid_request_error", "Invalid request"},
		401: {"authentication_error", "invalid x-api-key"},
		402: {"billing_error", "There is an issue with your billing information."},
		403: {"permission_error", "Your API key does not have permission to use the specified resource."},
		404: {"not_found_error", "The requested resource could not be found."},
		409: {"conflict_error", "The request conflicts with the current state of the resource."},
		413: {"request_too_large", "Request exceeds the maximum size"},
		429: {"rate_limit_error", "This request would exceed your organization's rate limit of 50 requests per minute."},
		504: {"timeout_error", "The request timed out while processing."},
		529: {"overloaded_error", "Overloaded"},
	}
	k, ok := kinds[status]
	switch {
	case ok:
	case status < 500:
		k = kinds[400]
	default:
		k = [2]string{"api_error", "Internal server error"}
	}
	return &fault{status: status, kind: k[0], message: k[1]}
}

// anthropicError is the error object; the newer version adds details.
func anthropicError(x *exchange, f *fault) raw {
	e := obj("type", f.kind, "message", f.message)
	if x.r.Header.Get("Anthropic-Version") == Anthropic2026 {
		e = e.with("details", obj("error_code", strings.TrimSuffix(f.kind, "_error")))
	}
	return obj("type", "error", "error", e)
}

func anthropicFault(x *exchange, f *fault) reply {
	h := anthropicHeaders(x)
	if f.status == http.StatusTooManyRequests || f.status >= 500 {
		h.Set("X-Should-Retry", "true")
	}
	return reply{status: f.status, header: h, body: anthropicError(x, f).with("request_id", x.id)}
}

// listAnthropic serves GET /v1/models with its cursor.
func listAnthropic(x *exchange) (reply, *fault) {
	q := x.r.URL.Query()
	limit := 20
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 1000 {
			return reply{}, invalid("limit: must be between 1 and 1000")
		}
		limit = n
	}
	models := x.s.cfg.Models
	index := func(id string) int { return slices.IndexFunc(models, func(m Model) bool { return m.ID == id }) }
	if after := q.Get("after_id"); after != "" {
		i := index(after)
		if i < 0 {
			return reply{}, invalid("after_id: unknown model")
		}
		models = models[i+1:]
	}
	more := len(models) > limit
	models = models[:min(limit, len(models))]
	data := list{}
	for _, m := range models {
		data = append(data, describeAnthropic(m))
	}
	var first, last any
	if len(models) > 0 {
		first, last = models[0].ID, models[len(models)-1].ID
	}
	body := obj("data", data, "has_more", more, "first_id", first, "last_id", last)
	return reply{status: http.StatusOK, header: anthropicHeaders(x), body: disfigure(body, x.b)}, nil
}

func modelAnthropic(x *exchange, id string) (reply, *fault) {
	m, f := anthropicModel(x, id)
	if f != nil {
		return reply{}, f
	}
	return reply{status: http.StatusOK, header: anthropicHeaders(x), body: disfigure(describeAnthropic(m), x.b)}, nil
}

func describeAnthropic(m Model) raw {
	return obj("type", "model", "id", m.ID, "display_name", m.ID, "created_at", "2025-09-29T00:00:00Z")
}

func anthropicModel(x *exchange, id string) (Model, *fault) {
	m, ok := x.s.model(id)
	if !ok {
		return m, &fault{status: http.StatusNotFound, kind: "not_found_error", message: "model: " + id}
	}
	return m, nil
}

// anthropicUsage renders the usage of an answer; input excludes what a cache
// served or took, which Anthropic counts apart.
func anthropicUsage(b Behaviour, a Answer, out int64, start bool) any {
	n := spell(b)
	read := min(b.Cached, a.Prompt)
	short := min(b.CacheWrite, a.Prompt-read)
	hour := min(b.CacheHour, a.Prompt-read-short)
	in, shown := a.Prompt-read-short-hour, short+hour
	switch b.Usage {
	case UsageNone:
		return nil
	case UsageNegative:
		out = -out
	case UsageCached:
		short += 100 // more in the breakdown than in the sum
	}
	u := obj("input_tokens", n(in), "cache_creation_input_tokens", n(shown), "cache_read_input_tokens", n(read))
	if start {
		u = u.with("cache_creation", obj("ephemeral_5m_input_tokens", n(short), "ephemeral_1h_input_tokens", n(hour)))
	}
	u = u.with("output_tokens", n(out))
	if start {
		u = u.with("service_tier", "standard")
	}
	return u
}

// versionChecks are what only the newer version refuses.
func versionChecks(x *exchange, q *messagesRequest) *fault {
	if x.r.Header.Get("Anthropic-Version") != Anthropic2026 {
		return nil
	}
	for _, p := range []struct {
		name  string
		value json.RawMessage
	}{{"temperature", q.Temperature}, {"top_p", q.TopP}, {"top_k", q.TopK}} {
		if p.value != nil {
			return invalid(p.name + ": Extra inputs are not permitted")
		}
	}
	for i, m := range q.Messages {
		for j, b := range m.blocks() {
			at := fmt.Sprintf("messages.%d.content.%d", i, j)
			switch {
			case m.Role == "assistant" && b.Type == "document":
				return invalid(at + ": `document` blocks are not permitted in assistant messages")
			case m.Role == "user" && b.Type == "text" && len(b.Citations) > 0:
				return invalid(at + ".citations: Extra inputs are not permitted")
			}
		}
	}
	return nil
}

// emptyPrompt is the request that Early answers.
func emptyPrompt(cfg Config, stream bool) []byte {
	p := obj("model", cfg.Models[0].ID, "max_tokens", 64, "stream", stream, "input", "",
		"messages", list{obj("role", "user", "content", "")},
		"contents", list{obj("parts", list{obj("text", "")})}, "content", obj("parts", list{obj("text", "")}))
	return p
}

// anthropicStreamError is the error that the broken frame of a stream reports.
func anthropicStreamError(x *exchange) *fault {
	f := anthropicStatus(529)
	f.kind = cmp.Or(x.b.Type, f.kind)
	return f
}
