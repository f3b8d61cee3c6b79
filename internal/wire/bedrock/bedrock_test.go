package bedrock

import (
	"strings"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
	"sallyport/internal/wire/anthropic"
)

const model = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"

// written translates a messages request for a model.
func written(t *testing.T, model, body string) (string, []string) {
	t.Helper()
	r, err := anthropic.Format().Read([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	target := wire.Target{Model: model, Carries: Format().For(model, 0)}
	out, lost := write(r.Less(target.Carries), target)
	var at []string
	for _, use := range append(r.Lost(target.Carries), lost...) {
		at = append(at, wire.Pointer([]byte(body), use.At))
	}
	if !wire.Valid(out) {
		t.Fatalf("not JSON: %s", out)
	}
	return string(out), at
}

func TestWrite(t *testing.T) {
	const user = `"max_tokens":9000,"messages":[{"role":"user","content":"a"}`
	const used = `,{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{"x":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":"no"}]}`
	const f, g = `{"name":"f","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}`, `{"name":"g","input_schema":{"type":"object"}}`
	for name, c := range map[string]struct {
		model, body string
		want        []string // that the request holds
		not         string   // that it does not hold
		lost        string   // pointers
	}{
		"system": {
			model, `{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],` + user + `]}`,
			[]string{`"system":[{"text":"s"},{"cachePoint":{"type":"default"}}]`},
			"stream", "",
		},
		"media": {
			model, `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"aW1n"}},{"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"ZG9j"}},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"plain"}}]}]}`,
			[]string{`{"image":{"format":"jpeg","source":{"bytes":"aW1n"}}},{"text":"a.pdf"},{"document":{"format":"pdf","name":"document 1","source":{"bytes":"ZG9j"}}},{"document":{"format":"txt","name":"document 2","source":{"text":"plain"}}}`},
			"", "",
		},
		"tools": {
			model, `{"tools":[` + f + `,` + g + `],"tool_choice":{"type":"tool","name":"g"},` + user + `]}`,
			[]string{`{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}},{"cachePoint":{"type":"default"}},{"toolSpec":{"name":"g"`, `"toolChoice":{"tool":{"name":"g"}}`},
			"", "",
		},
		"results without tools": {
			model, `{` + user + used + `]}`,
			[]string{`"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{}}}}}]}`, `"status":"error"`},
			"toolChoice", "",
		},
		"no tools": {model, `{"tools":[` + f + `],"tool_choice":{"type":"none"},` + user + `]}`, nil, "tool", "/tools/0"},
		"no tools after results": {
			model, `{"tools":[` + f + `,` + g + `],"tool_choice":{"type":"none"},` + user + used + `]}`,
			[]string{`"name":"f"`},
			`"name":"g"`, "/tool_choice /tools/1",
		},
		"adaptive": {
			"anthropic.claude-opus-4-6-v1", `{"thinking":{"type":"adaptive"},"output_config":{"effort":"low"},"top_k":3,` + user + `]}`,
			[]string{`"additionalModelRequestFields":{"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}}`},
			"top_k", "/top_k",
		},
		"top_k": {model, `{"top_k":3,` + user + `]}`, []string{`"additionalModelRequestFields":{"top_k":3}`}, "", ""},
		"nova": {
			"amazon.nova-pro-v1:0", `{"top_k":3,"thinking":{"type":"enabled","budget_tokens":2000},"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],` + user + `]}`,
			[]string{`{"cachePoint":{"type":"default"}}`},
			"additional", "/top_k /thinking",
		},
		"another": {"meta.llama3-1-70b-instruct-v1:0", `{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],` + user + `]}`, []string{`{"text":"s"}`}, "cachePoint", "/system/0/cache_control"},
		"schema": {
			model, `{"output_config":{"format":{"type":"json_schema","schema":{"type":"object","title":"t"}}},` + user + `]}`,
			[]string{`"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\",\"title\":\"t\"}"}}}}`},
			"additional", "",
		},
	} {
		got, lost := written(t, c.model, strings.Replace(c.body, "{", `{"model":"m",`, 1))
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", name, want, got)
			}
		}
		if c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: %s in %s", name, c.not, got)
		}
		if strings.Join(lost, " ") != c.lost {
			t.Errorf("%s: lost %q, want %q", name, lost, c.lost)
		}
	}
}

func TestCallIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{"", "tooluse_a-1", strings.Repeat("a", 64), strings.Repeat("a", 65), "call.1", "call:1"} {
		got := callID(id)
		if seen[got] || got == "" || len(got) > 64 || strings.ContainsAny(got, ".:") || len(id) == 64 && got != id {
			t.Errorf("%q became %q", id, got)
		}
		seen[got] = true
	}
}

// TestUsage: what cannot be is no claim; a claim without details is of the short
// cache.
func TestUsage(t *testing.T) {
	for usage, want := range map[string]llm.Usage{
		`{"inputTokens":3,"outputTokens":2,"totalTokens":5}`:                                                         {Status: llm.UsageClaimed, Tokens: llm.Tokens{llm.Input: 3, llm.Output: 2}},
		`{"inputTokens":3,"outputTokens":2,"cacheWriteInputTokens":4}`:                                               {Status: llm.UsageClaimed, Tokens: llm.Tokens{llm.Input: 3, llm.Output: 2, llm.CacheWrite5m: 4}},
		`{"inputTokens":3,"outputTokens":2,"cacheWriteInputTokens":4,"cacheDetails":[{"ttl":"1h","inputTokens":5}]}`: {Status: llm.UsageImplausible},
		`{"inputTokens":-3,"outputTokens":2}`:                                                                        {Status: llm.UsageImplausible},
		`{"outputTokens":2}`:                                                                                         {Status: llm.UsageImplausible},
		`[]`:                                                                                                         {Status: llm.UsageImplausible},
		`null`:                                                                                                       {Status: llm.UsageUnknown},
	} {
		c := &converse{}
		if err := c.Body([]byte(`{"output":{},"stopReason":"end_turn","usage":` + usage + `}`)); err != nil {
			t.Fatal(err)
		}
		got := c.Summary().Usage
		if got.Status != want.Status || got.Tokens != want.Tokens || (got.Status == llm.UsageImplausible) != (got.Reason != "") {
			t.Errorf("%s is %+v", usage, got)
		}
	}
}

// TestFollow: metadata ends an answer only behind its stop; without it an answer is
// whole all the same.
func TestFollow(t *testing.T) {
	c := &converse{}
	for i, step := range []struct {
		name, data string
		want       wire.FrameKind
		complete   bool
	}{
		{"messageStart", `{"role":"assistant"}`, wire.FrameMeta, false},
		{"metadata", `{"usage":{"inputTokens":1,"outputTokens":1}}`, wire.FrameMeta, false},
		{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"a"}}`, wire.FrameContent, false},
		{"contentBlockStop", `{"contentBlockIndex":0}`, wire.FrameMeta, false},
		{"contentBlockStop", `{"contentBlockIndex"`, wire.FrameInvalid, false},
		{"somethingNew", `{}`, wire.FrameMeta, false},
		{"messageStop", `{"stopReason":"end_turn"}`, wire.FrameContent, true},
		{"metadata", `{"usage":{"inputTokens":1,"outputTokens":1}}`, wire.FrameEnd, true},
		{"exception", `{"message":"x"}`, wire.FrameError, true},
	} {
		got := c.Frame(wire.Event{Name: []byte(step.name), Data: []byte(step.data)})
		if s := c.Summary(); got != step.want || s.Complete != step.complete {
			t.Errorf("step %d, %s: %d, complete %v", i, step.name, got, s.Complete)
		}
	}
	if !c.Summary().Failed || c.Summary().Finish != "end_turn" {
		t.Errorf("%+v", c.Summary())
	}
}
