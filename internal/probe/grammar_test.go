package probe

import (
	"encoding/json"
	"strings"
	"testing"

	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
)

// frames are the streams of the API references, cut down.
var frames = map[string][]string{
	"openai": {
		`{"id":"c1","model":"m","created":1,"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}`,
		`{"id":"c1","model":"m","created":1,"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}`,
		`{"id":"c1","model":"m","created":1,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
		`{"id":"c1","model":"m","created":1,"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`,
		`[DONE]`,
	},
	"anthropic": {
		`{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking"}}`,
		`{"type":"ping"}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"abc"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":9,"output_tokens":5}}`,
		`{"type":"message_stop"}`,
	},
	"gemini": {
		`{"candidates":[{"content":{"parts":[{"text":"hi"}]}}],"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}}`,
		`{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"thoughtsTokenCount":4,"totalTokenCount":9}}`,
	},
}

// TestStreamFlaw breaks a stream of each API in every way that is told.
func TestStreamFlaw(t *testing.T) {
	for kind, good := range frames {
		if flaw := streamFlaw(kind, &Reply{Frames: good}); flaw != "" {
			t.Errorf("%s: %s", kind, flaw)
		}
	}
	for name, x := range map[string]struct {
		kind     string
		frame    int
		old, new string
		want     string
	}{
		"another id":        {"openai", 1, `"c1"`, `"c2"`, "id, model or time change"},
		"another model":     {"openai", 2, `"m"`, `"n"`, "id, model or time change"},
		"another time":      {"openai", 2, `"created":1`, `"created":2`, "id, model or time change"},
		"another choice":    {"openai", 1, `"index":0`, `"index":1`, "a choice is numbered"},
		"ended twice":       {"openai", 1, `null`, `"stop"`, "it says 2 times"},
		"never ended":       {"openai", 2, `"stop"`, `null`, "it says 0 times"},
		"no end":            {"openai", 4, `[DONE]`, `{}`, "it does not end with [DONE]"},
		"no chunk":          {"openai", 0, `{"id"`, `["id"`, "a chunk cannot be read"},
		"two starts":        {"anthropic", 2, `"ping"`, `"message_start"`, "message_start"},
		"no start":          {"anthropic", 0, `message_start`, `content_block_start`, "message_start"},
		"an unknown event":  {"anthropic", 2, `"ping"`, `"pong"`, `an event "pong" is unknown`},
		"no signature":      {"anthropic", 3, `"abc"`, `""`, "a signature is empty"},
		"fewer tokens":      {"anthropic", 5, `"output_tokens":5`, `"output_tokens":0`, "the tokens"},
		"another input":     {"anthropic", 5, `"input_tokens":9`, `"input_tokens":8`, "the tokens"},
		"no stop":           {"anthropic", 6, `message_stop`, `content_block_stop`, "it does not end"},
		"no event":          {"anthropic", 1, `{"type"`, `{"type`, "an event cannot be read"},
		"a wrong total":     {"gemini", 1, `:9}`, `:10}`, "the tokens do not add up"},
		"no reason":         {"gemini", 1, `"finishReason":"STOP"`, `"index":0`, "the last response"},
		"no response":       {"gemini", 0, `{"candidates"`, `"candidates"`, "a response cannot be read"},
		"null":              {"openai", 1, frames["openai"][1], `null`, "id, model or time change"},
		"an empty message":  {"anthropic", 6, frames["anthropic"][6], `{}`, "an event"},
		"an empty response": {"gemini", 1, frames["gemini"][1], `{}`, "the last response"},
	} {
		bad := append([]string(nil), frames[x.kind]...)
		bad[x.frame] = strings.Replace(bad[x.frame], x.old, x.new, 1)
		if flaw := streamFlaw(x.kind, &Reply{Frames: bad}); !strings.HasPrefix(flaw, x.want) {
			t.Errorf("%s: %q, want %q", name, flaw, x.want)
		}
	}
}

// TestStreamTold tells of a stream without an end, and of one that never came.
func TestStreamTold(t *testing.T) {
	s := serve(t, upstreamtest.Config{Oracle: oracle("gpt-4o-mini"), Behaviour: upstreamtest.Behaviour{NoDone: true}})
	r := auditing{url: s.BaseURL(), model: "gpt-4o-mini"}.run(t)
	silent(t, r)
	told(t, r, "consistency: stream", "it does not end with [DONE]")
	url := claude(t, func(thinking, changed bool) (int, bool) { return 9, true })
	r = auditing{url: url, kind: upstream.Anthropic, model: "claude-opus-4-6"}.run(t)
	told(t, r, "consistency: stream", "none came: a whole answer came")
}

// TestErrorForm knows the error of each API from those of the others.
func TestErrorForm(t *testing.T) {
	errors := map[string]string{
		"openai":    `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"model_not_found"}}`,
		"anthropic": `{"type":"error","error":{"type":"not_found_error","message":"m"},"request_id":"r"}`,
		"gemini":    `{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}`,
	}
	for kind := range errors {
		for of, body := range errors {
			want := kind == of || kind == "openai" && of == "anthropic" // which has all that OpenAI's has
			if got := errorForm(kind, json.RawMessage(body)); got != want {
				t.Errorf("the error of %s as one of %s: %v", of, kind, got)
			}
		}
		for _, body := range []string{``, `null`, `[]`, `{"error":"no"}`, `{"error":{}}`, `{"detail":"Not Found"}`} {
			if errorForm(kind, json.RawMessage(body)) {
				t.Errorf("%s as an error of %s", body, kind)
			}
		}
	}
}

// TestRelayErrors recognises the programs that relays are made of, by errors that were
// published (github.com/Pythagora-io/gpt-pilot/issues/1022, github.com/yuanjua/chiken/issues/21).
func TestRelayErrors(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"message":"Unrecognized request argument supplied: stream_options. (request id: 20240617161152391779276mx4XTBdF)","type":"invalid_request_error"}}`: "One API or New API",
		`{"error":{"message":"litellm.BadRequestError: OpenAIException - Unrecognized request argument supplied: num_ctx"}}`:                                           "LiteLLM",
		`{"error":{"message":"The model does not exist (request id: req_12)","type":"invalid_request_error"}}`:                                                         "",
	} {
		got := ""
		for _, f := range relayErrors {
			if f.text.MatchString(body) {
				got = f.name
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// TestRepeated finds the text that an answer repeats.
func TestRepeated(t *testing.T) {
	for text, want := range map[string]string{
		" word word word": "word", "abcabcab": "", "abcabcabca": "abc", "aaa": "a", "": "", "May": "", "January and May": "", "ha ha ha ha": "ha",
		"\ufffd\ufffd\ufffd": "\ufffd",
	} {
		if got := repeated(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestModelEcho accuses nobody of another spelling of the same name.
func TestModelEcho(t *testing.T) {
	for names, want := range map[[2]string]came{
		{"gpt-4o", "gpt-4o-2024-08-06"}: asClaimed, {"openai/gpt-4o", "gpt-4o"}: asClaimed, {"gpt-4o", "some-alias"}: asClaimed,
		{"claude-opus-4-6", "us.anthropic.claude-opus-4-6-v1:0"}: asClaimed, {"claude-opus-4-6", "gpt-4o"}: foreign, {"gpt-4o", "Qwen2.5-7B"}: foreign,
		{"gemini-2.5-pro", "gemma-3-27b"}: foreign, {"o3-mini", "qwen-o3-mini-like"}: asClaimed, {"o3-mini", "gpt-4o"}: asClaimed, {"o3-mini", "claude-opus-4-6"}: foreign, {"gpt-4o", "ollama/house-model"}: asClaimed, {"gpt-4o", ""}: unclear,
	} {
		c := &causal{Facts: Facts{Model: names[0]}, own: []*Reply{{Outcome: Answered, Model: names[1]}, {Outcome: Answered, Model: names[1]}}}
		if got, saw := modelEcho(c, nil); got != want {
			t.Errorf("%s declared as %s: %s (%s), want %s", names[0], names[1], got, saw, want)
		}
	}
}
