package openai

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// TestUsage holds one case for every way in which gateways are known to have
// counted wrongly, and for every convention of a provider. Where a case is named
// after an issue, the figures are those reported there or follow its description.
func TestUsage(t *testing.T) {
	const claimed, impossible = llm.UsageClaimed, llm.UsageImplausible
	chat := func(usage string) (wire.Endpoint, string) {
		return wire.Chat, `{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":` + usage + `}`
	}
	responses := func(usage string) (wire.Endpoint, string) {
		return wire.Responses, `{"id":"x","model":"m","status":"completed","output":[],"usage":` + usage + `}`
	}
	embeddings := func(usage string) (wire.Endpoint, string) {
		return wire.Embeddings, `{"model":"m","data":[],"usage":` + usage + `}`
	}
	for _, c := range []struct {
		name   string
		of     func(string) (wire.Endpoint, string)
		usage  string
		status llm.UsageStatus
		want   llm.Tokens
		reason string
	}{
		{
			"plain", chat, `{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}`, claimed,
			llm.Tokens{llm.Input: 9, llm.Output: 12},
			"",
		},
		{
			"all OpenAI details", chat, `{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":6},"completion_tokens_details":{"reasoning_tokens":192,"audio_tokens":8,"accepted_prediction_tokens":5,"rejected_prediction_tokens":7}}`, claimed,
			llm.Tokens{llm.Input: 80, llm.CacheRead: 1920, llm.AudioIn: 6, llm.Output: 100, llm.Reasoning: 192, llm.AudioOut: 8},
			"",
		},
		{
			"cached tokens are not also input (BerriAI/litellm 11364)", chat, `{"prompt_tokens":1000,"completion_tokens":1,"total_tokens":1001,"prompt_tokens_details":{"cached_tokens":1000}}`, claimed,
			llm.Tokens{llm.CacheRead: 1000, llm.Output: 1},
			"",
		},
		{
			"cache writes are billed (QuantumNous/new-api 5756)", responses, `{"input_tokens":2600,"output_tokens":10,"total_tokens":2610,"input_tokens_details":{"cached_tokens":2000,"cache_write_tokens":400},"output_tokens_details":{"reasoning_tokens":4}}`, claimed,
			llm.Tokens{llm.Input: 200, llm.CacheRead: 2000, llm.CacheWrite5m: 400, llm.Output: 6, llm.Reasoning: 4},
			"",
		},
		{
			"cache writes by duration", responses, `{"input_tokens":100,"output_tokens":0,"total_tokens":100,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":90,"cache_write_tokens_details":{"ttl_12h_tokens":60,"ttl_30m_tokens":30}}}`, claimed,
			llm.Tokens{llm.Input: 10, llm.CacheWrite5m: 30, llm.CacheWrite1h: 60},
			"",
		},
		{
			"unadjusted cache writes", chat, `{"prompt_tokens":2600,"completion_tokens":1,"total_tokens":2601,"prompt_tokens_details":{"cached_tokens":2000,"cache_write_tokens":2400}}`, claimed,
			llm.Tokens{llm.Input: 200, llm.CacheRead: 2000, llm.CacheWrite5m: 400, llm.Output: 1},
			"",
		},
		{
			"DeepSeek", chat, `{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}`, claimed,
			llm.Tokens{llm.Input: 36, llm.CacheRead: 64, llm.Output: 5},
			"",
		},
		{
			"DeepSeek says it twice", chat, `{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_tokens_details":{"cached_tokens":64},"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}`, claimed,
			llm.Tokens{llm.Input: 36, llm.CacheRead: 64, llm.Output: 5},
			"",
		},
		{
			"Moonshot", chat, `{"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10}`, claimed,
			llm.Tokens{llm.Input: 9, llm.CacheRead: 10, llm.Output: 21},
			"",
		},
		{
			"xAI counts reasoning beside the completion (Wei-Shaw/sub2api 5771)", chat, `{"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":14428,"prompt_tokens_details":{"cached_tokens":128,"text_tokens":10120,"image_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":2809}}`, claimed,
			llm.Tokens{llm.Input: 9992, llm.CacheRead: 128, llm.Output: 1499, llm.Reasoning: 2809},
			"",
		},
		{
			"xAI with little reasoning", chat, `{"prompt_tokens":10,"completion_tokens":50,"total_tokens":65,"completion_tokens_details":{"reasoning_tokens":5}}`, claimed,
			llm.Tokens{llm.Input: 10, llm.Output: 50, llm.Reasoning: 5},
			"",
		},
		{
			"thoughts only in the total (mozilla-ai/any-llm 1290)", chat, `{"prompt_tokens":20,"completion_tokens":198,"total_tokens":623}`, claimed,
			llm.Tokens{llm.Input: 20, llm.Output: 198, llm.Reasoning: 405},
			"",
		},
		{
			"reasoning within, and more in the total", chat, `{"prompt_tokens":10,"completion_tokens":50,"total_tokens":63,"completion_tokens_details":{"reasoning_tokens":40}}`, claimed,
			llm.Tokens{llm.Input: 10, llm.Output: 10, llm.Reasoning: 43},
			"",
		},
		{
			"cached audio", chat, `{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101,"prompt_tokens_details":{"cached_tokens":80,"audio_tokens":60}}`, claimed,
			llm.Tokens{llm.CacheRead: 80, llm.AudioIn: 20, llm.Output: 1},
			"",
		},
		{
			"images are input", chat, `{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101,"prompt_tokens_details":{"image_tokens":85,"text_tokens":15}}`, claimed,
			llm.Tokens{llm.Input: 100, llm.Output: 1},
			"",
		},
		{
			"nulls and strangers", chat, `{"cost":0.1,"prompt_tokens":3,"completion_tokens":4,"total_tokens":null,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}`, claimed,
			llm.Tokens{llm.Input: 3, llm.Output: 4},
			"",
		},
		{
			"the last of two equal keys counts", chat, `{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens":5}`, claimed,
			llm.Tokens{llm.Input: 5, llm.Output: 4},
			"",
		},
		{"a true zero", chat, `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`, claimed, llm.Tokens{}, ""},
		{
			"responses", responses, `{"input_tokens":36,"input_tokens_details":{"cached_tokens":6},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":7},"total_tokens":123}`, claimed,
			llm.Tokens{llm.Input: 30, llm.CacheRead: 6, llm.Output: 80, llm.Reasoning: 7},
			"",
		},
		{"embeddings", embeddings, `{"prompt_tokens":8,"total_tokens":8}`, claimed, llm.Tokens{llm.Input: 8}, ""},
		{"embeddings of vLLM", embeddings, `{"prompt_tokens":8,"total_tokens":8,"completion_tokens":0,"prompt_tokens_details":null}`, claimed, llm.Tokens{llm.Input: 8}, ""},

		{"absent is unknown, not 0 (mozilla-ai/otari 256)", chat, `null`, llm.UsageUnknown, llm.Tokens{}, ""},
		{"empty is unknown, not 0", chat, `{}`, llm.UsageUnknown, llm.Tokens{}, ""},
		{"nulls are unknown, not 0", responses, `{"input_tokens":null,"output_tokens":null}`, llm.UsageUnknown, llm.Tokens{}, ""},

		{"negative input (QuantumNous/new-api 5003)", chat, `{"prompt_tokens":-12,"completion_tokens":4,"total_tokens":-8}`, impossible, llm.Tokens{}, "negative prompt tokens"},
		{"cached beyond the prompt", chat, `{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":11}}`, impossible, llm.Tokens{}, "more cached tokens than prompt"},
		{"cached and written beyond the prompt", responses, `{"input_tokens":10,"output_tokens":1,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":3}}`, impossible, llm.Tokens{}, "more cached and written tokens than prompt"},
		{"long writes beyond writes", responses, `{"input_tokens":10,"output_tokens":1,"input_tokens_details":{"cache_write_tokens":3,"cache_write_tokens_details":{"ttl_12h_tokens":4}}}`, impossible, llm.Tokens{}, "more long cache writes than cache writes"},
		{"audio beyond the prompt", chat, `{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"audio_tokens":11}}`, impossible, llm.Tokens{}, "more audio tokens than prompt"},
		{"images beyond the prompt", chat, `{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"image_tokens":11}}`, impossible, llm.Tokens{}, "more image tokens than prompt"},
		{"reasoning beyond the completion", chat, `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":6}}`, impossible, llm.Tokens{}, "more reasoning tokens than completion"},
		{"audio beyond the completion", chat, `{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":2,"audio_tokens":4}}`, impossible, llm.Tokens{}, "more audio tokens than completion"},
		{"total below its parts", chat, `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":14}`, impossible, llm.Tokens{}, "total is less than its parts"},
		{"total above the prompt of embeddings", embeddings, `{"prompt_tokens":8,"total_tokens":9}`, impossible, llm.Tokens{}, "total is more than its parts"},
		{"fraction", chat, `{"prompt_tokens":9.5,"completion_tokens":12}`, impossible, llm.Tokens{}, "prompt tokens is not an integer"},
		{"float", chat, `{"prompt_tokens":9,"completion_tokens":12.0}`, impossible, llm.Tokens{}, "completion tokens is not an integer"},
		{"text", chat, `{"prompt_tokens":"9","completion_tokens":12}`, impossible, llm.Tokens{}, "prompt tokens is not an integer"},
		{"huge", chat, `{"prompt_tokens":9007199254740993,"completion_tokens":12}`, impossible, llm.Tokens{}, "excessive prompt tokens"},
		{"beyond 64 bits", chat, `{"prompt_tokens":1,"completion_tokens":123456789012345678901234}`, impossible, llm.Tokens{}, "completion tokens is not an integer"},
		{"no completion", chat, `{"prompt_tokens":1}`, impossible, llm.Tokens{}, "completion tokens are missing"},
		{"no prompt", responses, `{"output_tokens":1,"total_tokens":1}`, impossible, llm.Tokens{}, "prompt tokens are missing"},
		{"hits and misses do not add up", chat, `{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":30}`, impossible, llm.Tokens{}, "cache hits and misses are not the prompt"},
		{"two figures differ", chat, `{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":10},"prompt_cache_hit_tokens":64}`, impossible, llm.Tokens{}, "two figures of cached tokens differ"},
		{"not an object", chat, `17`, impossible, llm.Tokens{}, "usage is not an object"},
	} {
		ep, body := c.of(c.usage)
		f := Dialect{}.Follow(&wire.Call{Endpoint: ep})
		if err := f.Body([]byte(body)); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := llm.Usage{Status: c.status, Tokens: c.want, Reason: c.reason}
		if c.status != llm.UsageUnknown {
			want.Verbatim = []byte(c.usage)
		}
		if diff := cmp.Diff(want, f.Summary().Usage); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
