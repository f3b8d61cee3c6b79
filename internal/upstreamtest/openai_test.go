package upstreamtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestChatUnary checks an answer against digest, nonce and token counts that are
// computed here from their stated rules.
func TestChatUnary(t *testing.T) {
	s := start(t, Config{})
	a := ok(t, s, "/v1/chat/completions", chatBody("hello nonce-A1b2", ""))
	v := decode(t, a.body)
	sum := sha256.Sum256([]byte("user: hello nonce-A1b2\n"))
	text := v.text("choices.0.message.content")
	if want := "digest:" + hex.EncodeToString(sum[:8]) + " nonce:A1b2 "; !strings.HasPrefix(text, want) {
		t.Errorf("text %q does not begin with %q", text, want)
	}
	prompt, completion := (23+3)/4+4+3, (len(text)+3)/4
	equal(t, "prompt_tokens", v.num("usage.prompt_tokens"), strconv.Itoa(prompt))
	equal(t, "completion_tokens", v.num("usage.completion_tokens"), strconv.Itoa(completion))
	equal(t, "total_tokens", v.num("usage.total_tokens"), strconv.Itoa(prompt+completion))
	equal(t, "object", v.text("object"), "chat.completion")
	equal(t, "model", v.text("model"), "gpt-5-mini-2025-08-07")
	equal(t, "finish_reason", v.text("choices.0.finish_reason"), "stop")
	equal(t, "role", v.text("choices.0.message.role"), "assistant")
	if !bytes.HasPrefix(a.body, []byte("{\n  \"id\": \"chatcmpl-")) {
		t.Errorf("not laid out as the vendor does: %.40q", a.body)
	}
	other := decode(t, ok(t, s, "/v1/chat/completions", chatBody("hello nonce-A1b3", "")).body)
	if other.text("choices.0.message.content") == text || other.text("id") == v.text("id") {
		t.Error("another prompt got the same answer")
	}
	again := ok(t, s, "/v1/chat/completions", chatBody("hello nonce-A1b2", ""))
	if !bytes.Equal(again.body, a.body) {
		t.Error("the same prompt got another answer")
	}
}

func TestOpenAIHeaders(t *testing.T) {
	s := start(t, Config{})
	one := ok(t, s, "/v1/chat/completions", chatBody("x", ""))
	two := ok(t, s, "/v1/chat/completions", chatBody("x", ""))
	for _, name := range []string{
		"X-Request-Id", "Openai-Organization", "Openai-Processing-Ms", "Openai-Version", "Cf-Ray", "Alt-Svc",
		"Access-Control-Allow-Origin", "Strict-Transport-Security", "X-Ratelimit-Remaining-Tokens",
	} {
		if one.Header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	equal(t, "set-cookie", len(one.Header.Values("Set-Cookie")), 2)
	if one.Header.Get("X-Request-Id") == two.Header.Get("X-Request-Id") {
		t.Error("two requests have one id")
	}
}

// chatStream reads a chat stream: the chunks before [DONE], which must be last.
func chatStream(t *testing.T, a answered) []value {
	t.Helper()
	equal(t, "content type", a.Header.Get("Content-Type"), "text/event-stream; charset=utf-8")
	all := events(t, a.body)
	if len(all) == 0 || all[len(all)-1].data != "[DONE]" {
		t.Fatalf("no [DONE] at the end of %q", a.body)
	}
	var chunks []value
	for _, e := range all[:len(all)-1] {
		equal(t, "event name", e.name, "")
		v := decode(t, []byte(e.data))
		equal(t, "object", v.text("object"), "chat.completion.chunk")
		chunks = append(chunks, v)
	}
	return chunks
}

func TestChatStream(t *testing.T) {
	s := start(t, Config{})
	unary := decode(t, ok(t, s, "/v1/chat/completions", chatBody("stream me", "")).body)
	plain := chatStream(t, ok(t, s, "/v1/chat/completions", chatBody("stream me", `,"stream":true`)))
	equal(t, "first role", plain[0].text("choices.0.delta.role"), "assistant")
	var text strings.Builder
	for i, c := range plain {
		text.WriteString(c.text("choices.0.delta.content"))
		equal(t, "id", c.text("id"), plain[0].text("id"))
		if c.has("usage") {
			t.Errorf("chunk %d has a usage that nobody asked for", i)
		}
		if c.len("choices") != 1 || !c.has("obfuscation") {
			t.Errorf("chunk %d is %v", i, c.v)
		}
		last := i == len(plain)-1
		equal(t, "finish_reason present", c.at("choices.0.finish_reason") != nil, last)
	}
	equal(t, "streamed text", text.String(), unary.text("choices.0.message.content"))

	asked := chatStream(t, ok(t, s, "/v1/chat/completions",
		chatBody("stream me", `,"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}`)))
	equal(t, "chunks", len(asked), len(plain)+1)
	for i, c := range asked {
		last := i == len(asked)-1
		if !c.has("usage") || c.has("obfuscation") {
			t.Errorf("chunk %d is %v", i, c.v)
		}
		equal(t, "usage present", c.at("usage") != nil, last)
		equal(t, "choices", c.len("choices") == 0, last)
	}
	end := asked[len(asked)-1]
	equal(t, "total", end.num("usage.total_tokens"), unary.num("usage.total_tokens"))
}

const weatherTools = `,"tools":[
	{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}}}}},
	{"type":"function","function":{"name":"get_time","parameters":{"type":"object","properties":{"zone":{"enum":["UTC","CET"]}}}}}]`

func TestChatTools(t *testing.T) {
	s := start(t, Config{})
	body := chatBody("use get_weather and get_time", weatherTools)
	v := decode(t, ok(t, s, "/v1/chat/completions", body).body)
	equal(t, "finish_reason", v.text("choices.0.finish_reason"), "tool_calls")
	equal(t, "content", v.at("choices.0.message.content"), nil)
	equal(t, "calls", v.len("choices.0.message.tool_calls"), 2)

	// A stream gives a call's id and name once, then pieces by index.
	got := map[int]*ToolCall{}
	for _, c := range chatStream(t, ok(t, s, "/v1/chat/completions", body[:len(body)-1]+`,"stream":true}`)) {
		if c.len("choices.0.delta.tool_calls") == 0 {
			continue
		}
		i, err := strconv.Atoi(c.num("choices.0.delta.tool_calls.0.index"))
		if err != nil {
			t.Fatal(err)
		}
		if id := c.text("choices.0.delta.tool_calls.0.id"); id != "" {
			if got[i] != nil {
				t.Errorf("call %d has its id twice", i)
			}
			got[i] = &ToolCall{ID: id, Name: c.text("choices.0.delta.tool_calls.0.function.name")}
		}
		got[i].Args += c.text("choices.0.delta.tool_calls.0.function.arguments")
	}
	for i, want := range []string{"get_weather", "get_time"} {
		at := "choices.0.message.tool_calls." + strconv.Itoa(i)
		equal(t, "name", v.text(at+".function.name"), want)
		equal(t, "streamed call", *got[i], ToolCall{v.text(at + ".id"), want, v.text(at + ".function.arguments")})
		if !json.Valid([]byte(got[i].Args)) {
			t.Errorf("arguments %q are not JSON", got[i].Args)
		}
	}

	one := decode(t, ok(t, s, "/v1/chat/completions", chatBody("use get_weather and get_time", weatherTools+`,"parallel_tool_calls":false`)).body)
	equal(t, "calls without parallel", one.len("choices.0.message.tool_calls"), 1)
	none := decode(t, ok(t, s, "/v1/chat/completions", chatBody("use get_weather", weatherTools+`,"tool_choice":"none"`)).body)
	equal(t, "calls with none", none.len("choices.0.message.tool_calls"), 0)
	forced := decode(t, ok(t, s, "/v1/chat/completions",
		chatBody("hello", weatherTools+`,"tool_choice":{"type":"function","function":{"name":"get_time"}}`)).body)
	equal(t, "forced call", forced.text("choices.0.message.tool_calls.0.function.name"), "get_time")

	id := v.text("choices.0.message.tool_calls.0.id")
	turn := `{"model":"gpt-5-mini","messages":[{"role":"user","content":"use get_weather"},{"role":"assistant","content":null,"tool_calls":[
		{"id":"` + id + `","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"` + id + `","content":"rain nonce-R7"}]` + weatherTools + `}`
	after := decode(t, ok(t, s, "/v1/chat/completions", turn).body)
	if text := after.text("choices.0.message.content"); !strings.Contains(text, "nonce:R7") {
		t.Errorf("the answer after a tool result is %q", text)
	}
	if a := post(t, s, "/v1/chat/completions", strings.ReplaceAll(turn, `"tool_call_id":"`+id, `"tool_call_id":"other`)); a.StatusCode != 400 {
		t.Errorf("a result without its call has status %d", a.StatusCode)
	}
}

func TestStructuredAnswer(t *testing.T) {
	s := start(t, Config{})
	v := decode(t, ok(t, s, "/v1/chat/completions", chatBody("x", `,"response_format":{"type":"json_schema","json_schema":{"name":"a",
		"schema":{"type":"object","properties":{"n":{"type":"integer"},"ok":{"type":"boolean"},"list":{"type":"array","items":{"type":"number"}}}}}}`)).body)
	got := decode(t, []byte(v.text("choices.0.message.content")))
	if _, isBool := got.at("ok").(bool); !isBool || got.num("n") == "" || got.len("list") != 1 {
		t.Errorf("%v does not fit its schema", got.v)
	}
}

func TestLengthAndChoices(t *testing.T) {
	s := start(t, Config{})
	v := decode(t, ok(t, s, "/v1/chat/completions", chatBody("x", `,"max_completion_tokens":5,"n":3`)).body)
	equal(t, "choices", v.len("choices"), 3)
	equal(t, "finish_reason", v.text("choices.2.finish_reason"), "length")
	equal(t, "completion_tokens", v.num("usage.completion_tokens"), "15")
}

func TestEmbeddings(t *testing.T) {
	s := start(t, Config{})
	const body = `{"model":"text-embedding-3-small","input":["one nonce-E1","two é"],"dimensions":64,"encoding_format":"`
	floats := decode(t, ok(t, s, "/v1/embeddings", body+`float"}`).body)
	packed := decode(t, ok(t, s, "/v1/embeddings", body+`base64"}`).body)
	equal(t, "vectors", floats.len("data"), 2)
	equal(t, "prompt_tokens", floats.num("usage.prompt_tokens"), strconv.Itoa((12+3)/4+(6+3)/4))
	equal(t, "total_tokens", floats.num("usage.total_tokens"), floats.num("usage.prompt_tokens"))
	for i := range 2 {
		at := "data." + strconv.Itoa(i) + ".embedding"
		b, err := base64.StdEncoding.DecodeString(packed.text(at))
		if err != nil || len(b) != 4*64 || floats.len(at) != 64 {
			t.Fatalf("embedding %d: %v, %d bytes, %d floats", i, err, len(b), floats.len(at))
		}
		sum := 0.0
		for k := range 64 {
			f, err := strconv.ParseFloat(floats.num(at+"."+strconv.Itoa(k)), 64)
			if err != nil {
				t.Fatal(err)
			}
			p := math.Float32frombits(binary.LittleEndian.Uint32(b[4*k:]))
			equal(t, "component", float32(f), p)
			sum += f * f
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("embedding %d has squared length %v", i, sum)
		}
	}
	if packed.text("data.0.embedding") == packed.text("data.1.embedding") {
		t.Error("two inputs have one vector")
	}
	long := decode(t, ok(t, s, "/v1/embeddings", `{"model":"text-embedding-3-small","input":[1,2,3]}`).body)
	equal(t, "default dimensions", long.len("data.0.embedding"), 1536)
}

func TestOpenAIModels(t *testing.T) {
	s := start(t, Config{})
	a := do(t, client(t), request(t, s, http.MethodGet, "/v1/models", ""))
	v := decode(t, a.body)
	equal(t, "object", v.text("object"), "list")
	equal(t, "models", v.len("data"), len(DefaultModels(OpenAI)))
	one := decode(t, do(t, client(t), request(t, s, http.MethodGet, "/v1/models/gpt-5-mini", "")).body)
	equal(t, "id", one.text("id"), "gpt-5-mini")
	equal(t, "object", one.text("object"), "model")
}

// order is the sequence of event types that the API reference lists for an
// answer of one text or one call.
func order(item []string, deltas int) []string {
	all := []string{"response.created", "response.in_progress", "response.output_item.added"}
	for _, e := range item {
		n := 1
		if strings.HasSuffix(e, ".delta") {
			n = deltas
		}
		all = append(all, slices.Repeat([]string{e}, n)...)
	}
	return append(all, "response.output_item.done", "response.completed")
}

func TestResponses(t *testing.T) {
	s := start(t, Config{})
	const body = `{"model":"gpt-5-mini","instructions":"be brief","input":[{"role":"user","content":[{"type":"input_text","text":"hi nonce-Q9"}]}]`
	v := decode(t, ok(t, s, "/v1/responses", body+`}`).body)
	equal(t, "object", v.text("object"), "response")
	equal(t, "status", v.text("status"), "completed")
	text := v.text("output.0.content.0.text")
	sum := sha256.Sum256([]byte("system: be brief\nuser: hi nonce-Q9\n"))
	if !strings.HasPrefix(text, "digest:"+hex.EncodeToString(sum[:8])+" nonce:Q9 ") {
		t.Errorf("text is %q", text)
	}

	var kinds []string
	var streamed strings.Builder
	all := events(t, ok(t, s, "/v1/responses", body+`,"stream":true}`).body)
	for i, e := range all {
		d := decode(t, []byte(e.data))
		equal(t, "event name", e.name, d.text("type"))
		equal(t, "sequence_number", d.num("sequence_number"), strconv.Itoa(i))
		kinds = append(kinds, e.name)
		if e.name == "response.output_text.delta" {
			streamed.WriteString(d.text("delta"))
		}
	}
	want := order([]string{"response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done"}, 8)
	if !slices.Equal(kinds, want) {
		t.Errorf("events %q, want %q", kinds, want)
	}
	equal(t, "streamed text", streamed.String(), text)
	last := decode(t, []byte(all[len(all)-1].data))
	equal(t, "usage", last.num("response.usage.total_tokens"), v.num("usage.total_tokens"))
	equal(t, "usage before the end", decode(t, []byte(all[0].data)).at("response.usage"), nil)
}

func TestResponsesTool(t *testing.T) {
	s := start(t, Config{})
	const body = `{"model":"gpt-5-mini","input":"call lookup","stream":true,"tools":[{"type":"function","name":"lookup",
		"parameters":{"type":"object","properties":{"q":{"type":"string"}}}}]}`
	var kinds []string
	args, deltas := "", 0
	var done value
	for _, e := range events(t, ok(t, s, "/v1/responses", body).body) {
		kinds = append(kinds, e.name)
		d := decode(t, []byte(e.data))
		switch e.name {
		case "response.function_call_arguments.delta":
			args += d.text("delta")
			deltas++
		case "response.output_item.done":
			done = d
		}
	}
	if want := order([]string{"response.function_call_arguments.delta", "response.function_call_arguments.done"}, deltas); !slices.Equal(kinds, want) {
		t.Errorf("events %q, want %q", kinds, want)
	}
	equal(t, "arguments", args, done.text("item.arguments"))
	equal(t, "name", done.text("item.name"), "lookup")
	if !json.Valid([]byte(args)) || deltas < 2 {
		t.Errorf("%d deltas make %q", deltas, args)
	}
}

func TestResponsesIncomplete(t *testing.T) {
	s := start(t, Config{})
	all := events(t, ok(t, s, "/v1/responses", `{"model":"gpt-5-mini","input":"x","max_output_tokens":4,"stream":true}`).body)
	last := decode(t, []byte(all[len(all)-1].data))
	equal(t, "type", last.text("type"), "response.incomplete")
	equal(t, "reason", last.text("response.incomplete_details.reason"), "max_output_tokens")
}

// TestOpenAIErrors holds the vendor's error bodies: status, type, param and code.
func TestOpenAIErrors(t *testing.T) {
	s := start(t, Config{})
	const chatPath = "/v1/chat/completions"
	for _, c := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		kind                     string
		param, code              any
		message                  string
	}{
		{"no key", "POST", chatPath, chatBody("x", ""), map[string]string{"Authorization": ""}, 401, "invalid_request_error", nil, nil, "You didn't provide an API key"},
		{"wrong key", "POST", chatPath, chatBody("x", ""), map[string]string{"Authorization": "Bearer sk-wrong-key-9876"}, 401, "invalid_request_error", nil, "invalid_api_key", "sk-**********9876"},
		{"unknown model", "POST", chatPath, `{"model":"m","messages":[{"role":"user","content":"x"}]}`, nil, 404, "invalid_request_error", nil, "model_not_found", "The model `m` does not exist"},
		{"no model", "POST", chatPath, `{}`, nil, 400, "invalid_request_error", nil, nil, "you must provide a model parameter"},
		{"no messages", "POST", chatPath, `{"model":"gpt-5-mini"}`, nil, 400, "invalid_request_error", "messages", "missing_required_parameter", "Missing required parameter: 'messages'."},
		{"empty messages", "POST", chatPath, `{"model":"gpt-5-mini","messages":[]}`, nil, 400, "invalid_request_error", "messages", "empty_array", "empty array"},
		{"not JSON", "POST", chatPath, `{`, nil, 400, "invalid_request_error", nil, nil, "could not parse the JSON body"},
		{"stream_options alone", "POST", chatPath, chatBody("x", `,"stream_options":{"include_usage":true}`), nil, 400, "invalid_request_error", "stream_options", nil, "only allowed when 'stream' is enabled"},
		{"bad role", "POST", chatPath, `{"model":"gpt-5-mini","messages":[{"role":"robot","content":"x"}]}`, nil, 400, "invalid_request_error", "messages.[0].role", "invalid_value", "Invalid value: 'robot'"},
		{"content type", "POST", chatPath, chatBody("x", ""), map[string]string{"Content-Type": "text/plain"}, 400, "invalid_request_error", nil, "unsupported_content_type", "Unsupported content type: 'text/plain'"},
		{"no route", "POST", "/v1/nothing", `{}`, nil, 404, "invalid_request_error", nil, nil, "Invalid URL (POST /v1/nothing)"},
		{"outside /v1", "POST", "/chat/completions", `{}`, nil, 404, "invalid_request_error", nil, nil, "Invalid URL"},
		{"method", "POST", "/v1/models", `{}`, nil, 405, "invalid_request_error", nil, "method_not_supported", "Not allowed to POST"},
		{"no input", "POST", "/v1/embeddings", `{"model":"text-embedding-3-small"}`, nil, 400, "invalid_request_error", "input", "missing_required_parameter", "'input'"},
		{"no input", "POST", "/v1/responses", `{"model":"gpt-5-mini"}`, nil, 400, "invalid_request_error", "input", "missing_required_parameter", "'input'"},
		{"unknown model", "GET", "/v1/models/none", ``, nil, 404, "invalid_request_error", nil, "model_not_found", "`none`"},
		{"misspelt knob", "POST", chatPath, chatBody("[[statsu=429]]", ""), nil, 400, "invalid_request_error", nil, nil, `unknown knob "statsu=429"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(t, s, c.method, c.path, c.body)
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			a := do(t, client(t), r)
			v := decode(t, a.body)
			equal(t, "status", a.StatusCode, c.status)
			equal(t, "type", v.text("error.type"), c.kind)
			equal(t, "param", v.at("error.param"), c.param)
			equal(t, "code", v.at("error.code"), c.code)
			if !strings.Contains(v.text("error.message"), c.message) || !v.has("error.param") || !v.has("error.code") {
				t.Errorf("error is %s", a.body)
			}
			if a.Header.Get("X-Request-Id") == "" || a.Header.Get("Content-Type") != "application/json" {
				t.Errorf("headers are %v", a.Header)
			}
		})
	}
}

// TestCumulativeUsageOfChoices compares the last cumulative report of a stream of two
// choices with the total.
func TestCumulativeUsageOfChoices(t *testing.T) {
	s := start(t, Config{})
	stream := events(t, ok(t, s, "/v1/chat/completions", chatBody("[[usage=each]]", `,"n":2,"stream":true,"stream_options":{"include_usage":true}`)).body)
	var so, all int64
	_, _ = fmt.Sscan(decode(t, []byte(stream[len(stream)-3].data)).num("usage.completion_tokens"), &so)
	_, _ = fmt.Sscan(decode(t, []byte(stream[len(stream)-2].data)).num("usage.completion_tokens"), &all)
	if so < all || so > all+all/4 { // pieces are rounded up one by one
		t.Errorf("%d tokens so far, %d in all", so, all)
	}
}
