package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
	"sallyport/internal/wire/anthropic"
	"sallyport/internal/wire/bedrock"
	"sallyport/internal/wire/gemini"
	"sallyport/internal/wire/openai"
)

// dialect is a format with what parses its requests.
type dialect struct {
	wire.Dialect
	wire.Format
}

var dialects = []dialect{
	{openai.Dialect{}, openai.Chat()},
	{openai.Dialect{}, openai.Responses()},
	{anthropic.Dialect{}, anthropic.Format()},
	{gemini.Dialect{}, gemini.Format()},
}

// targets are the formats that requests are translated to: also what only upstreams
// speak.
var targets = append(slices.Clone(dialects), dialect{unspoken{}, bedrock.Format()})

// unspoken is in the place of the dialect of a format that no client speaks.
type unspoken struct{ wire.Dialect }

func (unspoken) Parse(_ wire.Endpoint, body []byte, lim wire.Limits) (*wire.Call, error) {
	return nil, wire.Scan(body, lim, wire.NewGuard(), nil)
}

// requests are bodies with as much in them as a format has. Every value that is
// not a word of the format stands in them once.
var requests = map[wire.Endpoint][]string{
	wire.Chat: {
		`{"model":"m-1","messages":[{"role":"system","content":"sys-1"},{"role":"developer","content":[{"type":"text","text":"dev-1"}]},{"role":"user","name":"name-1","content":[{"type":"text","text":"us\u00e9r-1","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,aW1nMQ==","detail":"low"}},{"type":"image_url","image_url":{"url":"https://pic-1.example/a.png"}},{"type":"file","file":{"filename":"file-1.pdf","file_data":"data:application/pdf;base64,ZG9jMQ=="}}]},{"role":"assistant","content":"ans-1","reasoning_content":"think-1","tool_calls":[{"id":"call_1","type":"function","function":{"name":"fn_1","arguments":"{\"arg-1\":\"val-1\"}"}}]},{"role":"tool","tool_call_id":"call_1","content":"res-1"},{"role":"user","content":"end-1"}],"tools":[{"type":"function","function":{"name":"fn_1","description":"desc-1","strict":true,"parameters":{"type":"object","properties":{"arg-1":{"type":"string","description":"pdesc-1"}}}}}],"tool_choice":{"type":"function","function":{"name":"fn_1"}},"parallel_tool_calls":false,"temperature":0.251,"top_p":0.252,"seed":253,"stop":["stop-1"],"max_tokens":254,"frequency_penalty":0.255,"presence_penalty":0.256,"logit_bias":{"257":258},"user":"user-1","metadata":{"meta-1":"meta-2"},"store":true,"service_tier":"flex","prompt_cache_key":"key-1","verbosity":"low","reasoning_effort":"low","x_unknown":{"x-1":["x-2",261]},"response_format":{"type":"json_schema","json_schema":{"name":"schema_1","description":"sdesc-1","strict":true,"schema":{"type":"object","title":"title-1"}}}}`,
		`{"model":"m-2","messages":[{"role":"user","content":"a\\\"b\nc\ud83d\ude00"}],"stop":"stop-2","max_completion_tokens":255,"max_tokens":256,"tool_choice":"required","tools":[{"type":"custom","custom":{"name":"fn_2","description":"desc-2","format":{"type":"grammar","grammar":{"syntax":"syntax-2","definition":"grammar-2"}}}}],"stream":true,"stream_options":{"include_usage":true}}`,
		`{"model":"m-5","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"c291bmQx","format":"mp3"}}]}]}`,
		`{"model":"m-7","messages":[{"role":"user","content":[{"type":"file","file":{"filename":"file-7.pdf","file_data":"data:application/pdf;base64,ZG9jNw=="}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"call_7","type":"custom","custom":{"name":"fn_7","input":"in-7"},"extra_content":{"sallyport":"sallyport.gemini.sig-7"}}]},{"role":"tool","tool_call_id":"call_7","content":"res-7"}],"user":"user-7","safety_identifier":"safe-7"}`,
		`{"model":"m-9","messages":[{"role":"user","content":[{"type":"text","text":"user-9","cache_control":"mark-9"}]},{"role":"assistant","reasoning":"think-9"},{"role":"user","content":"on-9"},{"role":"assistant","content":"ans-9","reasoning_content":"more-9","reasoning":"other-9","tool_calls":[{"id":"call_9","type":"function","function":{"name":"fn_9","arguments":"{}"},"extra_content":{"sallyport":"foreign-9"}}]},{"role":"tool","tool_call_id":"call_9","content":"res-9"}],"tools":[{"type":"function","function":{"name":"fn_9"}}],"tool_choice":{"type":"function","function":{"name":"fn_9","extra":"extra-9"}}}`,
		`{"model":"m-6","messages":[{"role":"user","content":"user-6"},{"role":"assistant","content":null,"reasoning_details":[{"index":0,"type":"reasoning.text","text":"think-6"},{"index":0,"type":"reasoning.text","signature":"sallyport.anthropic.sig-6"},{"index":1,"type":"reasoning.encrypted","data":"sallyport.anthropic.red-6"}],"tool_calls":[{"id":"call.6","type":"function","function":{"name":"fn_6","arguments":""}}]},{"role":"tool","tool_call_id":"call.6","content":[{"type":"text","text":"res-6"}]}],"reasoning_effort":"high","max_tokens":9000}`,
		`{"model":"m-2","messages":[{"role":"user","content":"a\\\"b\nc\ud83d\ude00"}],"stop":"stop-2","max_completion_tokens":255,"tool_choice":"required","tools":[{"type":"custom","custom":{"name":"fn_2","description":"desc-2","format":{"type":"text"}}}],"stream":true,"stream_options":{"include_usage":true}}`,
		`{"model":"m-2","messages":[{"role":"user","content":"a\\\"b\nc\ud83d\ude00"}],"stop":"stop-2","max_tokens":256,"max_completion_tokens":255,"user":"user-2","safety_identifier":"safe-2","tool_choice":"required","tools":[{"type":"custom","custom":{"name":"fn_2","description":"desc-2","format":{"type":"text"}}}],"stream":true,"stream_options":{"include_usage":true}}`,
		`{"model":"m-9","messages":[{"role":"user","content":"user-9"},{"role":"assistant","tool_calls":[{"id":"call_9","type":"custom","custom":{"name":"fn_9","input":"free-9"}}]},{"role":"tool","tool_call_id":"call_9","content":"res-9"}]}`,
		`{"model":"m-7","messages":[{"role":"user","content":"user-7"},{"role":"assistant","reasoning":"think-7"},{"role":"user","content":"end-7"}]}`,
		`{"model":"m-6","messages":[{"role":"user","content":"user-6"},{"role":"assistant","content":null,"reasoning_details":[{"index":0,"type":"reasoning.text","text":"think-6"},{"index":0,"type":"reasoning.text","signature":"sallyport.anthropic.sig-6","x_format":"form-6"},{"type":"reasoning.encrypted","data":"foreign-6"},{"index":1,"type":"reasoning.encrypted","data":"sallyport.anthropic.red-6"}],"tool_calls":[{"id":"call.6","type":"function","function":{"name":"fn_6","arguments":""}}]},{"role":"tool","tool_call_id":"call.6","content":[{"type":"text","text":"res-6"}]}],"reasoning_effort":"high","max_tokens":9000}`,
	},
	wire.Responses: {
		`{"model":"m-10","instructions":"sys-10","input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"dev-10"}]},{"role":"user","content":[{"type":"input_text","text":"us\u00e9r-10","prompt_cache_breakpoint":{"mode":"explicit","ttl":"12h"}},{"type":"input_image","image_url":"data:image/png;base64,aW1nMTA=","detail":"low"},{"type":"input_image","image_url":"https://pic-10.example/","detail":"auto"},{"type":"input_file","filename":"file-10.pdf","file_data":"data:application/pdf;base64,ZG9jMTA="}]},{"type":"reasoning","id":"rs_10","summary":[{"type":"summary_text","text":"think-10"},{"type":"summary_text","text":"think-11"}],"encrypted_content":"sallyport.anthropic.sig-10"},{"type":"message","id":"msg_10","status":"completed","role":"assistant","content":[{"type":"output_text","text":"ans-10","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no-10"}]},{"type":"function_call","id":"fc_10","call_id":"call_10","name":"fn_10","arguments":"{\"arg-10\":\"val-10\"}","status":"completed"},{"type":"function_call","call_id":"call_11","namespace":"space_10","name":"fn_11","arguments":""},{"type":"function_call_output","call_id":"call_10","output":"res-10"},{"type":"function_call_output","call_id":"call_11","output":[{"type":"input_text","text":"res-11"},{"type":"input_image","image_url":"data:image/png;base64,cmVzMTE=","detail":"high"}]},{"role":"user","content":"end-10"}],"tools":[{"type":"function","name":"fn_10","description":"desc-10","strict":true,"parameters":{"type":"object","properties":{"arg-10":{"type":"string","description":"pdesc-10"}}}},{"type":"namespace","name":"space_10","description":"space-desc-10","tools":[{"type":"function","name":"fn_11","description":"desc-11","strict":false,"parameters":{"type":"object","properties":{}}}]}],"tool_choice":{"type":"function","name":"fn_10"},"parallel_tool_calls":false,"reasoning":{"effort":"low","summary":"auto"},"text":{"format":{"type":"json_schema","name":"schema_10","description":"sdesc-10","strict":true,"schema":{"type":"object","title":"title-10"}},"verbosity":"low"},"include":["reasoning.encrypted_content"],"max_output_tokens":9010,"temperature":0.1001,"top_p":0.1002,"truncation":"auto","store":false,"metadata":{"meta-10":"meta-11"},"user":"user-10","safety_identifier":"safe-10","prompt_cache_key":"key-10","prompt_cache_retention":"24h","service_tier":"flex","max_tool_calls":1003,"client_metadata":{"client-10":"client-11"}}`,
		`{"model":"m-12","input":"user-12","tools":[{"type":"custom","name":"fn_12","description":"desc-12","format":{"type":"grammar","syntax":"syntax-12","definition":"grammar-12"}}],"tool_choice":{"type":"custom","name":"fn_12"},"stream":true,"stream_options":{"include_obfuscation":false}}`,
		`{"model":"m-13","input":[{"role":"user","content":"user-13"},{"type":"reasoning","summary":[],"encrypted_content":"sallyport.gemini.sig-13"},{"type":"custom_tool_call","call_id":"call_13","name":"fn_13","input":"in-13"},{"type":"custom_tool_call_output","call_id":"call_13","output":"res-13"},{"type":"reasoning","summary":[{"type":"summary_text","text":"think-13"}],"encrypted_content":"sealed-13"},{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"think-14"}]},{"role":"assistant","content":"ans-13","phase":"commentary"},{"role":"assistant","content":"ans-14"},{"role":"system","content":"sys-13"}],"tools":[{"type":"custom","name":"fn_13"}]}`,
		`{"model":"m-15","input":[{"role":"user","content":[{"type":"input_file","filename":"file-15.pdf","file_url":"https://doc-15.example/"}]}]}`,
	},
	wire.Messages: {
		`{"model":"m-8","max_tokens":801,"messages":[{"role":"user","content":"user-8"},{"role":"assistant","content":[{"type":"thinking","thinking":"think-8","signature":"sallyport.openai.sig-8"},{"type":"thinking","thinking":"think-9","signature":"sallyport.text.x"},{"type":"redacted_thinking","data":"sallyport.openai.red-8"},{"type":"text","text":"ans-8"},{"type":"tool_use","id":"toolu_8","name":"fn_8","input":{"arg-8":"val-8"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_8","content":[{"type":"text","text":"res-8"},{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"cmVzaW04"}}]},{"type":"document","title":"title-8","source":{"type":"url","url":"https://doc-8.example/"}}]}],"tools":[{"name":"fn_8","description":"desc-8","input_schema":{"type":"object"}}],"thinking":{"type":"adaptive"}}`,
		`{"model":"m-3","max_tokens":301,"system":[{"type":"text","text":"sys-3","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"user-3"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aW1nMw=="}},{"type":"image","source":{"type":"url","url":"https://pic-3.example/"}},{"type":"document","title":"title-3","source":{"type":"base64","media_type":"application/pdf","data":"ZG9jMw=="}},{"type":"document","title":"title-5","source":{"type":"text","media_type":"text/plain","data":"plain-3"}}]},{"role":"assistant","content":[{"type":"thinking","thinking":"think-3","signature":"sig-3"},{"type":"redacted_thinking","data":"red-3"},{"type":"text","text":"ans-3"},{"type":"tool_use","id":"toolu_3","name":"fn_3","input":{"arg-3":"val-3"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_3","is_error":true,"content":[{"type":"text","text":"res-3"},{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"cmVzaW1n"}}]}]}],"tools":[{"name":"fn_3","description":"desc-3","strict":true,"input_schema":{"type":"object","properties":{"arg-3":{"type":"string"}}}}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"temperature":0.302,"top_p":0.303,"top_k":304,"stop_sequences":["stop-3"],"metadata":{"user_id":"user-id-3"},"service_tier":"standard_only","thinking":{"type":"enabled","budget_tokens":305},"output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object","title":"title-4"}}},"x_unknown":"x-3"}`,
		`{"model":"m-3","max_tokens":301,"system":[{"type":"text","text":"sys-3","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"user-3"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aW1nMw=="}},{"type":"image","source":{"type":"url","url":"https://pic-3.example/"}},{"type":"document","title":"title-3","source":{"type":"base64","media_type":"application/pdf","data":"ZG9jMw=="}},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"plain-3"}}]},{"role":"assistant","content":[{"type":"thinking","thinking":"think-3","signature":"sig-3"},{"type":"redacted_thinking","data":"red-3"},{"type":"text","text":"ans-3"},{"type":"tool_use","id":"toolu_3","name":"fn_3","input":{"arg-3":"val-3"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_3","is_error":true,"content":[{"type":"text","text":"res-3"},{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"cmVzaW1n"}}]}]}],"tools":[{"name":"fn_3","description":"desc-3","strict":true,"input_schema":{"type":"object","properties":{"arg-3":{"type":"string"}}}}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"temperature":0.302,"top_p":0.303,"top_k":304,"stop_sequences":["stop-3"],"metadata":{"user_id":"user-id-3"},"service_tier":"standard_only","thinking":{"type":"enabled","budget_tokens":305},"output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object","title":"title-4"}}},"x_unknown":"x-3"}`,
		`{"model":"m-8","max_tokens":801,"messages":[{"role":"user","content":"user-8"},{"role":"assistant","content":[{"type":"thinking","thinking":"think-8","signature":"sallyport.text."},{"type":"text","text":"ans-8"},{"type":"redacted_thinking","data":"sallyport.gemini.sig-8"},{"type":"redacted_thinking","data":"sallyport.gemini.sig-9"},{"type":"tool_use","id":"toolu_8","name":"fn_8","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_8","content":"res-8"}]}],"thinking":{"type":"adaptive"},"tools":[{"name":"fn_8","input_schema":{"type":"object"}}]}`,
		`{"model":"m-4","max_tokens":401,"system":"sys-4","messages":[{"role":"user","content":"user-4"}],"stream":true}`,
	},
	wire.GenerateContent: {
		`{"systemInstruction":{"role":"system","parts":[{"text":"sys-5"}]},"contents":[{"role":"user","parts":[{"text":"user-5"},{"inlineData":{"mimeType":"image/png","data":"aW1nNQ=="}},{"inlineData":{"mimeType":"application/pdf","data":"ZG9jNQ=="}}]},{"role":"model","parts":[{"text":"think-5","thought":true,"thoughtSignature":"c2lnLTU="},{"text":"ans-5","thoughtSignature":"c2lnLTY="},{"functionCall":{"id":"call-5","name":"fn_5","args":{"arg-5":"val-5"}},"thoughtSignature":"c2lnLTc="},{"functionCall":{"name":"fn_6"}}]},{"role":"user","parts":[{"functionResponse":{"id":"call-5","name":"fn_5","response":{"output":"res-5"}}},{"functionResponse":{"name":"fn_6","response":{"error":"res-6"}}}]},{"parts":[{"text":"end-5"}]}],"tools":[{"functionDeclarations":[{"name":"fn_5","description":"desc-5","parameters":{"type":"OBJECT","properties":{"arg-5":{"type":"STRING","nullable":true,"description":"pdesc-5","maxLength":"505"}}}},{"name":"fn_6","parametersJsonSchema":{"type":"object","title":"title-6"},"behavior":"behave-6"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["fn_5"]}},"generationConfig":{"temperature":0.501,"topP":0.502,"topK":503,"seed":504,"maxOutputTokens":5505,"stopSequences":["stop-5"],"presencePenalty":0.506,"frequencyPenalty":0.507,"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","title":"title-5"},"thinkingConfig":{"includeThoughts":true,"thinkingBudget":2508},"mediaResolution":"MEDIA_RESOLUTION_LOW"},"safetySettings":[{"category":"HARM_CATEGORY_1","threshold":"BLOCK_1"}],"labels":{"label-5":"label-6"},"xUnknown":{"x-5":["x-6",509]}}`,
		`{"system_instruction":{"parts":[{"text":"sys-7"}]},"contents":[{"parts":[{"text":"user-7"},{"inline_data":{"mime_type":"image/jpeg","data":"aW1nNw"}}]}],"generation_config":{"max_output_tokens":7505,"stop_sequences":["stop-7"],"thinking_config":{"thinking_level":"LOW"}},"tool_config":{"function_calling_config":{"mode":"NONE"}},"tools":[{"function_declarations":[{"name":"fn_7","parameters_json_schema":{"type":"object","title":"title-7"}}]}]}`,
		`{"contents":[{"role":"user","parts":[{"text":"user-9"},{"inlineData":{"mimeType":"audio/mp3","data":"c291bmQ5"}},{"inlineData":{"mimeType":"text/plain","data":"cGxhaW4tOQ=="}}]}],"generationConfig":{"candidateCount":2,"responseMimeType":"application/json","thinkingConfig":{"thinkingBudget":0}},"serviceTier":"flex"}`,
		`{"contents":[{"role":"user","parts":[{"text":"user-10"}]}],"generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}}`,
	},
}

// escaped is a key as it stands in a JSON pointer (RFC 6901).
var escaped = strings.NewReplacer("~", "~0", "/", "~1")

// leaves calls f with every string and number in a value and the JSON pointer to it.
func leaves(v any, at string, f func(pointer, leaf string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			leaves(e, at+"/"+escaped.Replace(k), f)
		}
	case []any:
		for i, e := range v {
			leaves(e, fmt.Sprintf("%s/%d", at, i), f)
		}
	case string:
		f(at, v)
	case json.Number:
		f(at, v.String())
	}
}

func decode(t testing.TB, b []byte) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// everything is all text of a body, with that of JSON inside of strings.
func everything(t testing.TB, b []byte) string {
	var all strings.Builder
	leaves(decode(t, b), "", func(_, leaf string) {
		all.WriteString(leaf + "\n")
		var inner any
		if strings.HasPrefix(leaf, "{") && json.Unmarshal([]byte(leaf), &inner) == nil {
			leaves(inner, "", func(_, l string) { all.WriteString(l + "\n") })
		}
	})
	return all.String()
}

// words of the formats: they are understood or not, and a writer has its own.
func isWord(pointer, leaf string) bool {
	switch pointer[strings.LastIndexByte(pointer, '/')+1:] {
	case "role", "type", "model", "effort", "reasoning_effort", "budget_tokens", "ttl", "media_type", "format", "tool_choice", "tool_call_id", "tool_use_id", "call_id", "id", "status", "signature", "summary", "truncation", "mode",
		"thoughtSignature", "mimeType", "thinkingBudget", "thinkingLevel", "responseMimeType", "mime_type", "thinking_level":
		return true
	}
	return len(leaf) < 3 || leaf == "auto" || strings.HasPrefix(pointer, "/include/")
}

// inside is the part of a data URL that other formats carry.
func inside(leaf string) string {
	if _, data, ok := strings.Cut(leaf, ";base64,"); ok {
		return data
	}
	if _, data, ok := strings.Cut(strings.TrimPrefix(leaf, "sallyport."), "."); ok && strings.HasPrefix(leaf, "sallyport.") {
		return data
	}
	return leaf
}

// carriesAll checks that every leaf of a request is in what it was translated to,
// or that a use says it was dropped.
func carriesAll(t testing.TB, body, out []byte, lost []llm.Use) {
	t.Helper()
	dropped := make([]string, 0, len(lost))
	for _, use := range lost {
		dropped = append(dropped, wire.Pointer(body, use.At))
	}
	all := everything(t, out)
	leaves(decode(t, body), "", func(pointer, leaf string) {
		if isWord(pointer, leaf) {
			return
		}
		for _, d := range dropped {
			if pointer == d || strings.HasPrefix(pointer, d+"/") {
				return
			}
		}
		var inner any
		if strings.HasPrefix(leaf, "{") && json.Unmarshal([]byte(leaf), &inner) == nil {
			return // its leaves stand in the other
		}
		if plain, err := base64.StdEncoding.DecodeString(leaf); err == nil && len(plain) > 0 && strings.Contains(all, string(plain)) {
			return // a text that the other format does not encode
		}
		if !strings.Contains(all, strings.TrimRight(inside(leaf), "=")) {
			t.Errorf("%s %q is neither carried nor told as dropped (%v) in %.300s", pointer, leaf, dropped, out)
		}
	})
}

// pair is where a request came from and what it became.
type pair struct{ from, to wire.Endpoint }

// translate does what the gateway does, checks what comes out, and counts.
func translate(t testing.TB, body []byte, done map[pair]int) {
	t.Helper()
	for _, from := range dialects {
		if _, err := from.Parse(from.Endpoint, body, wire.Limits{Depth: 64}); err != nil {
			continue
		}
		r, err := from.Read(body)
		if err != nil {
			if fault.From(err).Kind != fault.BadRequest {
				t.Fatalf("%v for %s", err, body)
			}
			continue
		}
		for _, to := range targets {
			for _, model := range []string{"m", "gpt-5-mini", "gpt-4o", "claude-3-opus", "claude-sonnet-4-5", "claude-opus-5", "gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-flash", "eu.anthropic.claude-sonnet-4-5-v1:0", "anthropic.claude-opus-4-6-v1", "amazon.nova-pro-v1:0"} {
				target := wire.Target{Model: model, Carries: to.For(model, 0)}
				put := wire.WithFunctions(r, target.Carries)
				lost := put.Lost(target.Carries)
				meant := true
				for _, use := range lost {
					if use.At < 0 || use.At >= len(body) {
						t.Fatalf("a use at %d of %d", use.At, len(body))
					}
					meant = meant && use.Feature.Tunes()
				}
				if !meant {
					continue // refused
				}
				out, more := to.Write(put, target)
				if _, err := to.Parse(to.Endpoint, out, wire.Limits{Depth: 80}); err != nil {
					t.Fatalf("%v: %s became %s", err, body, out)
				}
				carriesAll(t, body, out, append(lost, more...))
				done[pair{from.Endpoint, to.Endpoint}]++
			}
		}
	}
}

func TestEveryLeafIsCarriedOrTold(t *testing.T) {
	done := map[pair]int{}
	for _, list := range requests {
		for _, body := range list {
			translate(t, []byte(body), done)
		}
	}
	for _, from := range dialects {
		for _, to := range targets {
			if done[pair{from.Endpoint, to.Endpoint}] < 6 {
				t.Errorf("%s to %s: %d translations", from.Endpoint, to.Endpoint, done[pair{from.Endpoint, to.Endpoint}])
			}
		}
	}
}

// TestMisplacedParts: what only the model or only the user may say is refused in
// other turns, with a pointer to it, before anything is translated.
func TestMisplacedParts(t *testing.T) {
	for _, c := range []struct {
		format  wire.Endpoint
		body    string
		pointer string
	}{
		{wire.Messages, `{"model":"m","messages":[{"role":"user","content":[{"type":"redacted_thinking","data":"000"}]}]}`, "/messages/0/content/0"},
		{wire.Messages, `{"model":"m","messages":[{"role":"user","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]}]}`, "/messages/0/content/0"},
		{wire.Messages, `{"model":"m","system":[{"type":"thinking","thinking":"t","signature":"s"}],"messages":[{"role":"user","content":"x"}]}`, "/system/0"},
		{wire.Messages, `{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}},{"type":"tool_result","tool_use_id":"a"}]}]}`, "/messages/0/content/1"},
		{wire.Messages, `{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"thinking","thinking":"t"}]}]}]}`, "/messages/1/content/0/content/0"},
		{wire.Chat, `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"a","file_data":"AAAA"}}]}]}`, "/messages/0/content/0/file"},
		{wire.GenerateContent, `{"contents":[{"role":"user","parts":[{"text":"x","inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}`, "/contents/0/parts/0"},
		{wire.GenerateContent, `{"contents":[{"role":"user","parts":[{"functionCall":{"name":"f"}}]}]}`, "/contents/0/parts/0"},
		{wire.GenerateContent, `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}},{"functionResponse":{"name":"f"}}]}]}`, "/contents/0/parts/1"},
		{wire.GenerateContent, `{"contents":[{"role":"user","parts":[{"functionResponse":{"name":"f"}}]}]}`, "/contents/0/parts/0"},
		{wire.GenerateContent, `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}}]},{"role":"user","parts":[{"functionResponse":{"name":"f"}},{"functionResponse":{"name":"f"}}]}]}`, "/contents/1/parts/1"},
		{wire.GenerateContent, `{"contents":[],"generationConfig":{"topP":1,"top_p":1}}`, "/contents"},
		{wire.GenerateContent, `{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"topP":1,"top_p":1}}`, "/generationConfig/top_p"},
		{wire.GenerateContent, `{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"a!"}}]}]}`, "/contents/0/parts/0/inlineData/data"},
	} {
		at := slices.IndexFunc(dialects, func(d dialect) bool { return d.Endpoint == c.format })
		_, err := dialects[at].Read([]byte(c.body))
		if e := fault.From(err); err == nil || e.Kind != fault.BadRequest || e.Pointer != c.pointer {
			t.Errorf("%v at %q, want %s: %s", err, e.Pointer, c.pointer, c.body)
		}
	}
}

func FuzzTranslate(f *testing.F) {
	for _, list := range requests {
		for _, body := range list {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { translate(t, body, map[pair]int{}) })
}
