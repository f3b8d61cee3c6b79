package upstreamtest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestMessagesUnary(t *testing.T) {
	s := start(t, Config{Vendor: Anthropic})
	for _, version := range []string{Anthropic2023, Anthropic2026} {
		r := request(t, s, http.MethodPost, "/v1/messages", messagesBody("hi nonce-Z1", `,"system":[{"type":"text","text":"be brief"}]`))
		r.Header.Set("Anthropic-Version", version)
		if version == Anthropic2026 {
			r.Header.Del("X-Api-Key")
			r.Header.Set("Authorization", "Bearer "+testKey)
		}
		a := do(t, client(t), r)
		v := decode(t, a.body)
		sum := sha256.Sum256([]byte("system: be brief\nuser: hi nonce-Z1\n"))
		text := v.text("content.0.text")
		if !strings.HasPrefix(text, "digest:"+hex.EncodeToString(sum[:8])+" nonce:Z1 ") {
			t.Errorf("%s: %s", version, a.body)
		}
		equal(t, "type", v.text("type"), "message")
		equal(t, "stop_reason", v.text("stop_reason"), "end_turn")
		equal(t, "model", v.text("model"), "claude-sonnet-4-5-20250929")
		equal(t, "input_tokens", v.num("usage.input_tokens"), strconv.Itoa((35+3)/4+8+3))
		equal(t, "output_tokens", v.num("usage.output_tokens"), strconv.Itoa((len(text)+3)/4))
		if a.Header.Get("Request-Id") == "" || a.Header.Get("X-Request-Id") != "" {
			t.Errorf("%s: request id headers %v", version, a.Header)
		}
		for _, name := range []string{"Anthropic-Organization-Id", "Anthropic-Ratelimit-Requests-Remaining", "Cf-Ray", "Set-Cookie"} {
			if a.Header.Get(name) == "" {
				t.Errorf("no %s", name)
			}
		}
	}
}

// names lists the event names of a stream; each must equal its data's type.
func names(t *testing.T, all []event) []string {
	t.Helper()
	var ns []string
	for _, e := range all {
		equal(t, "event name", e.name, decode(t, []byte(e.data)).text("type"))
		ns = append(ns, e.name)
	}
	return ns
}

func TestMessagesStream(t *testing.T) {
	s := start(t, Config{Vendor: Anthropic})
	unary := decode(t, ok(t, s, "/v1/messages", messagesBody("stream", "")).body)
	all := events(t, ok(t, s, "/v1/messages", messagesBody("stream", `,"stream":true`)).body)
	want := slices.Concat([]string{"message_start", "content_block_start", "ping"},
		slices.Repeat([]string{"content_block_delta"}, 8), []string{"content_block_stop", "message_delta", "message_stop"})
	if got := names(t, all); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	begin := decode(t, []byte(all[0].data))
	equal(t, "content at the start", begin.len("message.content"), 0)
	equal(t, "stop_reason at the start", begin.at("message.stop_reason"), nil)
	equal(t, "input_tokens", begin.num("message.usage.input_tokens"), unary.num("usage.input_tokens"))
	var text strings.Builder
	for _, e := range all {
		text.WriteString(decode(t, []byte(e.data)).text("delta.text"))
	}
	equal(t, "text", text.String(), unary.text("content.0.text"))
	end := decode(t, []byte(all[len(all)-2].data))
	equal(t, "stop_reason", end.text("delta.stop_reason"), "end_turn")
	equal(t, "output_tokens", end.num("usage.output_tokens"), unary.num("usage.output_tokens"))
}

const anthropicTools = `,"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}},
	{"name":"get_time","input_schema":{"type":"object"}}]`

func TestMessagesTools(t *testing.T) {
	s := start(t, Config{Vendor: Anthropic})
	v := decode(t, ok(t, s, "/v1/messages", messagesBody("get_weather and get_time", anthropicTools)).body)
	equal(t, "stop_reason", v.text("stop_reason"), "tool_use")
	equal(t, "blocks", v.len("content"), 2)

	all := events(t, ok(t, s, "/v1/messages", messagesBody("get_weather and get_time", anthropicTools+`,"stream":true`)).body)
	args := map[string]string{}
	for _, e := range all {
		d := decode(t, []byte(e.data))
		args[d.num("index")] += d.text("delta.partial_json")
		if e.name == "content_block_start" {
			equal(t, "input at the start", len(d.at("content_block.input").(map[string]any)), 0)
		}
	}
	equal(t, "streamed input", decode(t, []byte(args["0"])).text("city"), v.text("content.0.input.city"))
	equal(t, "empty input", args["1"], "{}")

	one := decode(t, ok(t, s, "/v1/messages",
		messagesBody("get_weather and get_time", anthropicTools+`,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`)).body)
	equal(t, "blocks without parallel", one.len("content"), 1)
	forced := decode(t, ok(t, s, "/v1/messages", messagesBody("x", anthropicTools+`,"tool_choice":{"type":"tool","name":"get_time"}`)).body)
	equal(t, "forced", forced.text("content.0.name"), "get_time")

	id := v.text("content.0.id")
	turn := `{"model":"claude-sonnet-4-5","max_tokens":99,"messages":[{"role":"user","content":"get_weather"},
		{"role":"assistant","content":[{"type":"tool_use","id":"` + id + `","name":"get_weather","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"` + id + `","content":"rain"}]}]` + anthropicTools + `}`
	equal(t, "after the result", decode(t, ok(t, s, "/v1/messages", turn).body).text("stop_reason"), "end_turn")
	if a := post(t, s, "/v1/messages", strings.ReplaceAll(turn, `"tool_use_id":"`+id, `"tool_use_id":"toolu_other`)); a.StatusCode != 400 {
		t.Errorf("a result without its use has status %d", a.StatusCode)
	}
}

func TestThinking(t *testing.T) {
	s := start(t, Config{Vendor: Anthropic})
	const more = `,"thinking":{"type":"enabled","budget_tokens":1024}`
	v := decode(t, ok(t, s, "/v1/messages", messagesBody("x", more)).body)
	equal(t, "first block", v.text("content.0.type"), "thinking")
	thought, signed := "", ""
	for _, e := range events(t, ok(t, s, "/v1/messages", messagesBody("x", more+`,"stream":true`)).body) {
		d := decode(t, []byte(e.data))
		thought += d.text("delta.thinking")
		signed += d.text("delta.signature")
	}
	equal(t, "thinking", thought, v.text("content.0.thinking"))
	equal(t, "signature", signed, v.text("content.0.signature"))
}

func TestCountTokensEqualsUsage(t *testing.T) {
	s := start(t, Config{Vendor: Anthropic})
	v := decode(t, ok(t, s, "/v1/messages", messagesBody("count é me", "")).body)
	n := decode(t, ok(t, s, "/v1/messages/count_tokens", `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"count é me"}]}`).body)
	equal(t, "input_tokens", n.num("input_tokens"), v.num("usage.input_tokens"))
}

func TestAnthropicModels(t *testing.T) {
	s := start(t, Config{Vendor: Anthropic, Models: []Model{{ID: "a"}, {ID: "b"}, {ID: "c"}}})
	get := func(path string) value {
		return decode(t, do(t, client(t), request(t, s, http.MethodGet, path, "")).body)
	}
	first := get("/v1/models?limit=2")
	equal(t, "has_more", first.at("has_more"), true)
	equal(t, "last_id", first.text("last_id"), "b")
	second := get("/v1/models?limit=2&after_id=b")
	equal(t, "has_more", second.at("has_more"), false)
	equal(t, "first_id", second.text("first_id"), "c")
	equal(t, "id", get("/v1/models/b").text("id"), "b")
}

// TestAnthropicErrors holds the vendor's error bodies and what the newer version
// refuses.
func TestAnthropicErrors(t *testing.T) {
	s := start(t, Config{Vendor: Anthropic})
	const document = `{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"},
		{"role":"assistant","content":[{"type":"document","source":{}}]}]}`
	const citations = `{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"x","citations":[{}]}]}]}`
	newer := map[string]string{"Anthropic-Version": Anthropic2026}
	for _, c := range []struct {
		name, path, body string
		header           map[string]string
		status           int
		kind, message    string
	}{
		{"no key", "/v1/messages", messagesBody("x", ""), map[string]string{"X-Api-Key": ""}, 401, "authentication_error", "x-api-key header is required"},
		{"wrong key", "/v1/messages", messagesBody("x", ""), map[string]string{"X-Api-Key": "no"}, 401, "authentication_error", "invalid x-api-key"},
		{"two keys", "/v1/messages", messagesBody("x", ""), map[string]string{"Authorization": "Bearer no"}, 401, "authentication_error", "invalid bearer token"},
		{"no version", "/v1/messages", messagesBody("x", ""), map[string]string{"Anthropic-Version": ""}, 400, "invalid_request_error", "anthropic-version: header is required"},
		{"unknown version", "/v1/messages", messagesBody("x", ""), map[string]string{"Anthropic-Version": "2024-01-01"}, 400, "invalid_request_error", "is not a valid version"},
		{"content type", "/v1/messages", messagesBody("x", ""), map[string]string{"Content-Type": "text/plain"}, 400, "invalid_request_error", "content-type"},
		{"unknown model", "/v1/messages", `{"model":"m","messages":[{"role":"user","content":"x"}]}`, nil, 404, "not_found_error", "model: m"},
		{"no max_tokens", "/v1/messages", `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"x"}]}`, nil, 400, "invalid_request_error", "max_tokens: Field required"},
		{"no messages", "/v1/messages", `{"model":"claude-sonnet-4-5"}`, nil, 400, "invalid_request_error", "messages: Field required"},
		{"system role", "/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"system","content":"x"}]}`, nil, 400, "invalid_request_error", `Unexpected role "system"`},
		{"not JSON", "/v1/messages", `[`, nil, 400, "invalid_request_error", "not valid JSON"},
		{"no route", "/v1/nothing", `{}`, nil, 404, "not_found_error", "Not found"},
		{"method", "/v1/models", `{}`, nil, 405, "invalid_request_error", "Method Not Allowed"},
		{"temperature", "/v1/messages", messagesBody("x", `,"temperature":1`), newer, 400, "invalid_request_error", "temperature"},
		{"top_k in count", "/v1/messages/count_tokens", messagesBody("x", `,"top_k":1`), newer, 400, "invalid_request_error", "top_k"},
		{"document", "/v1/messages", document, newer, 400, "invalid_request_error", "document"},
		{"citations", "/v1/messages", citations, newer, 400, "invalid_request_error", "citations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(t, s, http.MethodPost, c.path, c.body)
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			a := do(t, client(t), r)
			v := decode(t, a.body)
			equal(t, "status", a.StatusCode, c.status)
			equal(t, "type", v.text("type"), "error")
			equal(t, "error.type", v.text("error.type"), c.kind)
			equal(t, "request_id", v.text("request_id"), a.Header.Get("Request-Id"))
			equal(t, "details", v.has("error.details.error_code"), r.Header.Get("Anthropic-Version") == Anthropic2026)
			if !strings.Contains(v.text("error.message"), c.message) {
				t.Errorf("error is %s", a.body)
			}
		})
	}
	for _, body := range []string{document, citations, messagesBody("x", `,"temperature":1,"top_p":1,"top_k":1`)} {
		ok(t, s, "/v1/messages", body) // the older version accepts what the newer refuses
	}
}
