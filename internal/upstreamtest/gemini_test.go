package upstreamtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const (
	newer = "/v1beta/models/gemini-3-flash-preview:"
	older = "/v1/models/gemini-2.5-flash:"
)

func TestGenerateUnary(t *testing.T) {
	s := start(t, Config{Vendor: Gemini})
	for _, body := range []string{
		generateBody("hi nonce-Z1", `,"systemInstruction":{"parts":[{"text":"be brief"}]}`),
		generateBody("hi nonce-Z1", `,"system_instruction":{"parts":[{"text":"be brief"}]},"generation_config":{"max_output_tokens":1000}`),
	} {
		a := ok(t, s, newer+"generateContent", body)
		v := decode(t, a.body)
		sum := sha256.Sum256([]byte("system: be brief\nuser: hi nonce-Z1\n"))
		text := v.text("candidates.0.content.parts.0.text")
		if !strings.HasPrefix(text, "digest:"+hex.EncodeToString(sum[:8])+" nonce:Z1 ") {
			t.Errorf("%s", a.body)
		}
		equal(t, "finishReason", v.text("candidates.0.finishReason"), "STOP")
		equal(t, "role", v.text("candidates.0.content.role"), "model")
		equal(t, "modelVersion", v.text("modelVersion"), "gemini-3-flash-preview-12-2025")
		equal(t, "promptTokenCount", v.num("usageMetadata.promptTokenCount"), strconv.Itoa((35+3)/4+8+3))
		equal(t, "candidatesTokenCount", v.num("usageMetadata.candidatesTokenCount"), strconv.Itoa((len(text)+3)/4))
		want, err := Expect(newer+"generateContent", []byte(body))
		if err != nil || want.Text != text {
			t.Errorf("expected %q, %v", want.Text, err)
		}
	}
}

// TestGenerateStream: events and the elements of the array are the same pieces.
func TestGenerateStream(t *testing.T) {
	s := start(t, Config{Vendor: Gemini})
	unary := decode(t, ok(t, s, older+"generateContent", generateBody("stream", "")).body)
	all := events(t, ok(t, s, older+"streamGenerateContent?alt=sse", generateBody("stream", "")).body)
	equal(t, "pieces", len(all), 9)
	var text strings.Builder
	for i, e := range all {
		equal(t, "name", e.name, "")
		v := decode(t, []byte(e.data))
		text.WriteString(v.text("candidates.0.content.parts.0.text"))
		equal(t, "finish", v.text("candidates.0.finishReason") != "", i == len(all)-1)
		equal(t, "prompt", v.num("usageMetadata.promptTokenCount"), unary.num("usageMetadata.promptTokenCount"))
	}
	equal(t, "text", text.String(), unary.text("candidates.0.content.parts.0.text"))
	last := decode(t, []byte(all[8].data))
	equal(t, "generated", last.num("usageMetadata.candidatesTokenCount"), unary.num("usageMetadata.candidatesTokenCount"))

	a := ok(t, s, older+"streamGenerateContent", generateBody("stream", ""))
	var elements []json.RawMessage
	if err := json.Unmarshal(a.body, &elements); err != nil || len(elements) != 9 || a.Header.Get("Content-Type") != "application/json; charset=UTF-8" {
		t.Errorf("%v: %d elements, %s", err, len(elements), a.Header.Get("Content-Type"))
	}
}

const geminiTools = `,"tools":[{"functionDeclarations":[{"name":"get_weather","parameters":{"type":"OBJECT","properties":{"city":{"type":"STRING"}}}},
	{"name":"get_time","parametersJsonSchema":{"type":"object"}}]}]`

func TestGenerateTools(t *testing.T) {
	s := start(t, Config{Vendor: Gemini})
	v := decode(t, ok(t, s, newer+"generateContent", generateBody("get_weather and get_time", geminiTools)).body)
	equal(t, "parts", v.len("candidates.0.content.parts"), 2)
	equal(t, "finish", v.text("candidates.0.finishReason"), "STOP")
	equal(t, "signature", v.text("candidates.0.content.parts.0.thoughtSignature"), geminiSignature)
	equal(t, "second signature", v.has("candidates.0.content.parts.1.thoughtSignature"), false)
	equal(t, "id", len(v.text("candidates.0.content.parts.0.functionCall.id")), 24)
	if v.text("candidates.0.content.parts.0.functionCall.args.city") == "" {
		t.Error("no arguments")
	}
	old := decode(t, ok(t, s, older+"generateContent", generateBody("get_weather", geminiTools)).body)
	equal(t, "id of an older model", old.has("candidates.0.content.parts.0.functionCall.id"), false)
	forced := decode(t, ok(t, s, older+"generateContent", generateBody("x", geminiTools+
		`,"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["get_time"]}}`)).body)
	equal(t, "forced", forced.text("candidates.0.content.parts.0.functionCall.name"), "get_time")

	turn := func(call, result string) string {
		return `{"contents":[{"role":"user","parts":[{"text":"get_weather"}]},{"role":"model","parts":[` + call + `]},{"role":"user","parts":[` + result + `]}]` + geminiTools + `}`
	}
	const call, result = `{"functionCall":{"name":"get_weather","args":{}}}`, `{"functionResponse":{"name":"get_weather","response":{"output":"rain"}}}`
	signed := strings.Replace(call, "}}}", `}},"thoughtSignature":"`+geminiSignature+`"}`, 1)
	after := decode(t, ok(t, s, newer+"generateContent", turn(signed, result)).body)
	equal(t, "after the result", after.has("candidates.0.content.parts.0.text"), true)
	ok(t, s, older+"generateContent", turn(call, result))
	ok(t, s, newer+"generateContent", turn(signed+`]},{"role":"model","parts":[`+call, result+","+result)) // as JavaScript's SDK keeps a stream
	for name, body := range map[string]string{
		"no signature": turn(call, result), "a wrong signature": turn(strings.Replace(signed, "dXB", "AAA", 1), result),
		"two results": turn(signed, result+","+result), "no result": turn(signed, `{"text":"x"}`),
	} {
		if a := post(t, s, newer+"generateContent", body); a.StatusCode != 400 {
			t.Errorf("%s: status %d", name, a.StatusCode)
		}
	}
}

func TestGenerateThoughtsAndSchema(t *testing.T) {
	s := start(t, Config{Vendor: Gemini})
	v := decode(t, ok(t, s, older+"generateContent", generateBody("x [[reasoning=7 cached=3]]", `,"generationConfig":{"candidateCount":2,"thinkingConfig":{"includeThoughts":true}}`)).body)
	equal(t, "candidates", v.len("candidates"), 2)
	equal(t, "thought", v.at("candidates.1.content.parts.0.thought"), true)
	equal(t, "thoughts", v.num("usageMetadata.thoughtsTokenCount"), "7")
	equal(t, "cached", v.num("usageMetadata.cachedContentTokenCount"), "3")
	const own = `{"type":"OBJECT","properties":{"city":{"type":"STRING"}}}`
	f := decode(t, ok(t, s, older+"generateContent", generateBody("x", `,"generationConfig":{"responseMimeType":"application/json","responseSchema":`+own+`}`)).body)
	if decode(t, []byte(f.text("candidates.0.content.parts.0.text"))).text("city") == "" {
		t.Error("the schema was not followed")
	}
}

func TestGeminiCountsAndEmbeds(t *testing.T) {
	s := start(t, Config{Vendor: Gemini})
	v := decode(t, ok(t, s, older+"generateContent", generateBody("count é me", "")).body)
	for _, body := range []string{generateBody("count é me", ""), `{"generateContentRequest":` + generateBody("count é me", "") + `}`} {
		n := decode(t, ok(t, s, older+"countTokens", body).body)
		equal(t, "totalTokens", n.num("totalTokens"), v.num("usageMetadata.promptTokenCount"))
	}
	const embed = "/v1beta/models/gemini-embedding-001:"
	one := decode(t, ok(t, s, embed+"embedContent", `{"content":{"parts":[{"text":"x"}]},"outputDimensionality":4}`).body)
	equal(t, "dimensions", one.len("embedding.values"), 4)
	many := decode(t, ok(t, s, embed+"batchEmbedContents", `{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"x"}]}},{"content":{"parts":[{"text":"y"}]}}]}`).body)
	equal(t, "embeddings", many.len("embeddings"), 2)
	if a := post(t, s, embed+"batchEmbedContents", `{"requests":[{"model":"models/other","content":{"parts":[{"text":"x"}]}}]}`); a.StatusCode != 400 {
		t.Errorf("another model in the body has status %d", a.StatusCode)
	}
}

func TestGeminiModels(t *testing.T) {
	s := start(t, Config{Vendor: Gemini})
	get := func(path string) value {
		return decode(t, do(t, client(t), request(t, s, http.MethodGet, path, "")).body)
	}
	first := get("/v1beta/models?pageSize=2")
	equal(t, "models", first.len("models"), 2)
	second := get("/v1beta/models?pageSize=2&pageToken=" + first.text("nextPageToken"))
	equal(t, "name", second.text("models.0.name"), "models/gemini-embedding-001")
	equal(t, "last", second.has("nextPageToken"), false)
	equal(t, "one", get("/v1/models/gemini-2.5-flash").text("name"), "models/gemini-2.5-flash")
}

func TestGeminiErrors(t *testing.T) {
	s := start(t, Config{Vendor: Gemini})
	for _, c := range []struct {
		name, path, body, key string
		code                  int
		status                string
	}{
		{"no key", older + "generateContent", generateBody("x", ""), "-", 403, "PERMISSION_DENIED"},
		{"wrong key", older + "generateContent", generateBody("x", ""), "no", 400, "INVALID_ARGUMENT"},
		{"unknown model", "/v1beta/models/m:generateContent", generateBody("x", ""), "", 404, "NOT_FOUND"},
		{"unknown verb", older + "generateVideo", `{}`, "", 404, "NOT_FOUND"},
		{"no contents", older + "generateContent", `{}`, "", 400, "INVALID_ARGUMENT"},
		{"role", older + "generateContent", `{"contents":[{"role":"assistant","parts":[{"text":"x"}]}]}`, "", 400, "INVALID_ARGUMENT"},
		{"base64", older + "generateContent", `{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"!"}}]}]}`, "", 400, "INVALID_ARGUMENT"},
		{"schema without type", older + "generateContent", generateBody("x", `,"generationConfig":{"responseSchema":{"type":"OBJECT"}}`), "", 400, "INVALID_ARGUMENT"},
		{"overloaded", older + "generateContent", generateBody("[[status=503]]", ""), "", 503, "UNAVAILABLE"},
		{"limited", older + "countTokens", generateBody("[[status=429]]", ""), "", 429, "RESOURCE_EXHAUSTED"},
	} {
		r := request(t, s, http.MethodPost, c.path, c.body)
		if c.key != "" {
			r.Header.Set("X-Goog-Api-Key", strings.Trim(c.key, "-"))
		}
		a := do(t, client(t), r)
		v := decode(t, a.body)
		equal(t, c.name+": status", a.StatusCode, c.code)
		equal(t, c.name+": code", v.num("error.code"), strconv.Itoa(c.code))
		equal(t, c.name+": word", v.text("error.status"), c.status)
	}
	broken := events(t, post(t, s, older+"streamGenerateContent?alt=sse", generateBody("[[error=2]]", "")).body)
	equal(t, "frames", len(broken), 3)
	equal(t, "error in the stream", decode(t, []byte(broken[2].data)).text("error.status"), "UNAVAILABLE")
}
