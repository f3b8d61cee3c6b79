package gemini

import (
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		claim  string
		want   llm.Tokens
		reason string
	}{
		{`{"promptTokenCount":10,"candidatesTokenCount":4,"totalTokenCount":14}`, llm.Tokens{llm.Input: 10, llm.Output: 4}, ""},
		{
			`{"promptTokenCount":10,"cachedContentTokenCount":6,"candidatesTokenCount":4,"thoughtsTokenCount":3,"toolUsePromptTokenCount":5,"totalTokenCount":22}`,
			llm.Tokens{llm.Input: 9, llm.CacheRead: 6, llm.Output: 4, llm.Reasoning: 3},
			"",
		},
		{
			`{"promptTokenCount":20,"cachedContentTokenCount":6,"candidatesTokenCount":9,"promptTokensDetails":[{"modality":"TEXT","tokenCount":8},{"modality":"AUDIO","tokenCount":12}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":4}],"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":7}]}`,
			llm.Tokens{llm.Input: 6, llm.CacheRead: 6, llm.AudioIn: 8, llm.Output: 2, llm.AudioOut: 7},
			"",
		},
		{`{"promptTokenCount":10,"totalTokenCount":17}`, llm.Tokens{llm.Input: 10, llm.Reasoning: 7}, ""}, // generated unseen
		{`{"candidatesTokenCount":4}`, llm.Tokens{}, "prompt tokens are missing"},
		{`{"promptTokenCount":10,"cachedContentTokenCount":11}`, llm.Tokens{}, "more cached tokens than prompt"},
		{`{"promptTokenCount":10,"candidatesTokenCount":4,"totalTokenCount":13}`, llm.Tokens{}, "total is less than its parts"},
		{`{"promptTokenCount":1,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":2}]}`, llm.Tokens{}, "more audio tokens than prompt"},
		{`{"promptTokenCount":1,"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":2}]}`, llm.Tokens{}, "more audio tokens than answer"},
		{`{"promptTokenCount":-1}`, llm.Tokens{}, "negative prompt tokens"},
		{`{"promptTokenCount":"1"}`, llm.Tokens{}, "prompt tokens is not an integer"},
		{`[]`, llm.Tokens{}, "usage is not an object"},
	} {
		body := []byte(`{"candidates":[],"usageMetadata":` + c.claim + `}`)
		f := Dialect{}.Follow(&wire.Call{Endpoint: wire.GenerateContent})
		if err := f.Body(body); err != nil {
			t.Fatal(err)
		}
		u := f.Summary().Usage
		if u.Tokens != c.want || u.Reason != c.reason || string(u.Verbatim) != c.claim || (u.Status == llm.UsageClaimed) != (c.reason == "") {
			t.Errorf("%s: %+v", c.claim, u)
		}
	}
	f := Dialect{}.Follow(&wire.Call{Endpoint: wire.GenerateContent})
	if err := f.Body([]byte(`{"candidates":[],"usageMetadata":{"trafficType":"ON_DEMAND"}}`)); err != nil || f.Summary().Usage.Status != llm.UsageUnknown {
		t.Errorf("a claim of nothing: %v, %+v", err, f.Summary().Usage)
	}
}

func TestFrames(t *testing.T) {
	const said = `{"candidates":[{"content":{"parts":[{"text":"x"}]}}],"responseId":"r","modelVersion":"v"}`
	for _, c := range []struct {
		name   string
		asked  int64
		frames []string
		kinds  []wire.FrameKind
		want   llm.Summary
	}{
		{
			"text", 1,
			[]string{``, `{"usageMetadata":{"promptTokenCount":1}}`, `{"candidates":[{"content":{"parts":[{"text":""}]}}]}`, said, `{"candidates":[{"finishReason":"STOP"}]}`},
			[]wire.FrameKind{wire.FramePing, wire.FrameMeta, wire.FrameMeta, wire.FrameContent, wire.FrameContent},
			llm.Summary{Model: "v", ID: "r", Finish: "STOP", Complete: true},
		},
		{
			"two candidates", 2,
			[]string{`{"candidates":[{"index":1,"finishReason":"MAX_TOKENS"}]}`, `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}`},
			[]wire.FrameKind{wire.FrameContent, wire.FrameContent},
			llm.Summary{Finish: "MAX_TOKENS"},
		},
		{"unspecified", 1, []string{`{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}`}, []wire.FrameKind{wire.FrameMeta}, llm.Summary{}},
		{
			"blocked", 1,
			[]string{`{"promptFeedback":{"blockReason":"SAFETY"}}`},
			[]wire.FrameKind{wire.FrameContent},
			llm.Summary{Finish: "SAFETY", Complete: true},
		},
		{"error", 1, []string{`{"error":{"code":503}}`}, []wire.FrameKind{wire.FrameError}, llm.Summary{Failed: true}},
		{
			"invalid", 1,
			[]string{`{`, `[]`, `{"candidates":{}}`, `{"candidates":[1]}`},
			[]wire.FrameKind{wire.FrameInvalid, wire.FrameInvalid, wire.FrameInvalid, wire.FrameInvalid},
			llm.Summary{},
		},
	} {
		f := Dialect{}.Follow(&wire.Call{Endpoint: wire.GenerateContent, Choices: c.asked})
		for i, frame := range c.frames {
			if got := f.Frame(wire.Event{Data: []byte(frame)}); got != c.kinds[i] {
				t.Errorf("%s: frame %d is %d, want %d", c.name, i, got, c.kinds[i])
			}
		}
		got := f.Summary()
		if got.Model != c.want.Model || got.ID != c.want.ID || got.Finish != c.want.Finish || got.Complete != c.want.Complete || got.Failed != c.want.Failed {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		ep   wire.Endpoint
		body string
		ok   bool
	}{
		{wire.GenerateContent, `{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}`, true},
		{wire.GenerateContent, `{"promptFeedback":{"blockReason":"SAFETY"}}`, true},
		{wire.GenerateContent, `{"error":{"code":500}}`, true},
		{wire.GenerateContent, `{}`, false},
		{wire.GenerateContent, `{"candidates":[7]}`, false},
		{wire.CountContent, `{"totalTokens":7}`, true},
		{wire.CountContent, `{}`, false},
		{wire.EmbedContent, `{"embedding":{"values":[1]}}`, true},
		{wire.BatchEmbedContents, `{"embeddings":[]}`, true},
		{wire.EmbedContent, `{}`, false},
	} {
		f := Dialect{}.Follow(&wire.Call{Endpoint: c.ep})
		err := f.Body([]byte(c.body))
		s := f.Summary()
		if (err == nil) != c.ok || c.ok && s.Complete == s.Failed {
			t.Errorf("%s: %v, %+v", c.body, err, s)
		}
		if c.ep != wire.GenerateContent && f.Frame(wire.Event{Data: []byte(c.body)}) != wire.FrameInvalid {
			t.Errorf("%s has streams", c.ep)
		}
	}
}
