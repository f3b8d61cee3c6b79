package gateway_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"

	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/record"
	"sallyport/internal/secret"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

const (
	bedrockModel  = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
	bedrockKeyID  = "AKIACANARYEXAMPLE123"
	bedrockSecret = "canary/secret+key/of/bedrock/1234567890a"
	bedrockToken  = "canary-session-token=="
)

var bedrockConfig = upstream.Config{
	Kind: upstream.Bedrock, KeyID: secret.New(bedrockKeyID), Key: secret.New(bedrockSecret), Token: secret.New(bedrockToken), Region: "eu-central-1",
}

// signed verifies a request's Signature Version 4 from the secret alone
// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
func signed(r *http.Request, body []byte) error {
	var credential, names, signature string
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	for part := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			names = value
		case "Signature":
			signature = value
		}
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	scope := date[:min(8, len(date))] + "/eu-central-1/bedrock/aws4_request"
	if !ok || err != nil || time.Since(at).Abs() > time.Minute || credential != bedrockKeyID+"/"+scope {
		return fmt.Errorf("credential %q at %q", credential, date)
	}
	var headers strings.Builder
	for name := range strings.SplitSeq(names, ";") {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-security-token"} {
		if !slices.Contains(strings.Split(names, ";"), must) {
			return fmt.Errorf("%s is not signed", must)
		}
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	segments := strings.Split(path, "/") // each is escaped once more than it was sent
	for i, s := range segments {
		segments[i] = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	}
	sum := sha256.Sum256(body)
	canonical := strings.Join([]string{r.Method, strings.Join(segments, "/"), "", headers.String(), names, hex.EncodeToString(sum[:])}, "\n")
	hashed := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + bedrockSecret)
	for _, step := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(hashed[:])) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	if want := hex.EncodeToString(key); want != signature || r.Header.Get("X-Amz-Security-Token") != bedrockToken {
		return fmt.Errorf("signature %q, want %q for\n%s", signature, want, canonical)
	}
	return nil
}

// bedrock answers what a test says, once the request is signed and where it should be.
type bedrockServer struct {
	t      testing.TB
	answer func(w http.ResponseWriter, stream bool)
}

func (s *bedrockServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	verb, found := strings.CutPrefix(r.RequestURI, "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/")
	if err = errors.Join(err, signed(r, body)); err != nil || !found || !json.Valid(body) {
		s.t.Errorf("%s: %v", r.RequestURI, err)
	}
	accept := map[string]string{"converse": "application/json", "converse-stream": "application/vnd.amazon.eventstream"}[verb]
	if r.Header.Get("Accept") != accept || accept == "" {
		s.t.Errorf("%s accepts %q", verb, r.Header.Get("Accept"))
	}
	s.answer(w, verb == "converse-stream")
}

// message is one message of an event stream.
func message(headers ...string) []byte {
	m := eventstream.Message{Payload: []byte(headers[len(headers)-1])}
	for i := 0; i+1 < len(headers); i += 2 {
		m.Headers.Set(headers[i], eventstream.StringValue(headers[i+1]))
	}
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
		panic(err) // of headers that tests write
	}
	return b.Bytes()
}

func said(name, payload string) []byte {
	return message(":message-type", "event", ":event-type", name, ":content-type", "application/json", payload)
}

// events are pairs of a name and a payload.
func events(pairs ...string) (all [][]byte) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, said(pairs[i], pairs[i+1]))
	}
	return all
}

// saying answers with a whole body, or the stream of the same.
func saying(whole string, stream ...[]byte) func(http.ResponseWriter, bool) {
	return func(w http.ResponseWriter, streamed bool) {
		if !streamed {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, whole)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		for _, b := range stream {
			for ; len(b) > 0; b = b[min(7, len(b)):] { // in pieces that cut everything
				_, _ = w.Write(b[:min(7, len(b))])
			}
			_ = http.NewResponseController(w).Flush()
		}
	}
}

const (
	bedrockUsage = `"usage":{"inputTokens":7,"outputTokens":5,"totalTokens":42,"cacheReadInputTokens":10,"cacheWriteInputTokens":20,"cacheDetails":[{"ttl":"1h","inputTokens":15},{"ttl":"5m","inputTokens":5}]}`
	bedrockEnd   = `{"metrics":{"latencyMs":1},` + bedrockUsage + `}`
)

var bedrockHello = saying(
	`{"metrics":{"latencyMs":1},"output":{"message":{"role":"assistant","content":[{"text":"Gr\u00fc\u00df Gott"}]}},"stopReason":"end_turn",`+bedrockUsage+`}`,
	events("messageStart", `{"role":"assistant","p":"abc"}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Gr\u00fc"}}`,
		"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"\u00df Gott"}}`, "contentBlockStop", `{"contentBlockIndex":0}`,
		"messageStop", `{"stopReason":"end_turn"}`, "metadata", bedrockEnd)...)

// withBedrock is a rig whose only cloud is Bedrock.
func withBedrock(t testing.TB, answer func(http.ResponseWriter, bool)) (*rig, *tap) {
	t.Helper()
	r := newRig(t, plan{})
	return r, r.withCloud(t, bedrockConfig, bedrockModel, &bedrockServer{t, answer})
}

// TestBedrock: every client format reaches Converse, whole and streamed, with
// requests that are signed; usage and finish survive, and the record commits to what
// the upstream sent.
func TestBedrock(t *testing.T) {
	r, tap := withBedrock(t, bedrockHello)
	for _, f := range formats {
		if readers[f.ep][0] == nil {
			continue
		}
		body := strings.Replace(f.body(cloud, "hello"), `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
		if f.ep != wire.Chat {
			body = f.body(cloud, "hello")
		}
		got := r.do(t, call{path: f.at(cloud), body: body})
		if got.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", f.name, got.status, got.body)
		}
		seen, o := tap.take(t), r.outcome(t, got)
		read := readers[f.ep][0]
		if f.stream {
			read = readers[f.ep][1]
		}
		a := read(t, got.body)
		if a.Text != "Grüß Gott" || a.Finish != "end" || a.Output != 5 {
			t.Errorf("%s: %+v of %s", f.name, a, got.body)
		}
		if !strings.Contains(string(seen.body), `"messages":[{"role":"user","content":[{"text":"hello"}]}]`) {
			t.Errorf("%s: sent %s", f.name, seen.body)
		}
		want := record.Counts{llm.Input: 7, llm.Output: 5, llm.CacheRead: 10, llm.CacheWrite5m: 5, llm.CacheWrite1h: 15}
		if o.State != string(llm.Complete) || o.Claimed == nil || *o.Claimed != want || o.Spoken != "converse" || o.Answer != fmt.Sprintf("%x", sha256.Sum256(seen.answered)) {
			t.Errorf("%s: %+v, claimed %v", f.name, o, o.Claimed)
		}
	}
}

var bedrockCall = saying(
	`{"output":{"message":{"role":"assistant","content":[{"text":"I look."},{"toolUse":{"toolUseId":"tooluse_1","name":"weather","input":{"city":"Köln"}}},{"toolUse":{"toolUseId":"tooluse_2","name":"clock","input":{}}}]}},"stopReason":"tool_use",`+bedrockUsage+`}`,
	events("messageStart", `{"role":"assistant"}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"I look."}}`, "contentBlockStop", `{"contentBlockIndex":0}`,
		"contentBlockStart", `{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"tooluse_1","name":"weather"}}}`,
		"contentBlockDelta", `{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"city\":"}}}`, "contentBlockDelta", `{"contentBlockIndex":1,"delta":{"toolUse":{"input":"\"K\u00f6ln\"}"}}}`,
		"contentBlockStop", `{"contentBlockIndex":1}`, "contentBlockStart", `{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"tooluse_2","name":"clock"}}}`,
		"contentBlockDelta", `{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{}"}}}`, "contentBlockStop", `{"contentBlockIndex":2}`,
		"messageStop", `{"stopReason":"tool_use"}`, "metadata", bedrockEnd)...)

// TestBedrockTools: tools, calls and results cross in both directions.
func TestBedrockTools(t *testing.T) {
	r, tap := withBedrock(t, bedrockCall)
	const tools = `"tools":[{"type":"function","function":{"name":"weather","description":"d","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]`
	for i, stream := range []string{"", `,"stream":true`} {
		got := r.post(t, "/v1/chat/completions", `{"model":"cloud","messages":[{"role":"user","content":"w"},{"role":"assistant","content":null,"tool_calls":[{"id":"call.1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Ulm\"}"}}]},{"role":"tool","tool_call_id":"call.1","content":"rain"}],`+tools+`,"tool_choice":"required","temperature":1.5,"stop":["END"],"max_tokens":99`+stream+`}`)
		seen := tap.take(t)
		a := readers[wire.Chat][i](t, got.body)
		if a.Text != "I look." || a.Finish != "tool" || len(a.Calls) != 2 || a.Calls[0].ID != "tooluse_1" || a.Calls[0].Args != `{"city":"Köln"}` || a.Calls[1].Name != "clock" || a.Calls[1].Args != "{}" {
			t.Errorf("%+v of %s", a, got.body)
		}
		var sent, want any
		unmarshal(t, seen.body, &sent)
		sum := sha256.Sum256([]byte("call.1"))
		id := "call_" + hex.EncodeToString(sum[:16])
		unmarshal(t, []byte(`{"messages":[{"role":"user","content":[{"text":"w"}]},
			{"role":"assistant","content":[{"toolUse":{"toolUseId":"`+id+`","name":"weather","input":{"city":"Ulm"}}}]},
			{"role":"user","content":[{"toolResult":{"toolUseId":"`+id+`","content":[{"text":"rain"}]}}]}],
			"toolConfig":{"tools":[{"toolSpec":{"name":"weather","description":"d","inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string"}}}}}}],"toolChoice":{"any":{}}},
			"inferenceConfig":{"maxTokens":99,"temperature":1,"stopSequences":["END"]}}`), &want)
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Error(diff)
		}
		if got.header.Get("X-Sallyport-Dropped") != "/temperature" {
			t.Errorf("dropped %q", got.header.Get("X-Sallyport-Dropped"))
		}
	}
}

// TestBedrockThinking: what Claude signs reaches clients of its own API as it is, and
// comes back; so does what Bedrock hides, for Bedrock alone.
func TestBedrockThinking(t *testing.T) {
	r, tap := withBedrock(t, saying(
		`{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig=="}}},{"reasoningContent":{"redactedContent":"aGlk"}},{"text":"so"}]}},"stopReason":"max_tokens",`+bedrockUsage+`}`,
		events("messageStart", `{"role":"assistant"}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}`,
			"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"sig=="}}}`, "contentBlockStop", `{"contentBlockIndex":0}`,
			"contentBlockDelta", `{"contentBlockIndex":1,"delta":{"reasoningContent":{"redactedContent":"aGlk"}}}`, "contentBlockStop", `{"contentBlockIndex":1}`,
			"contentBlockDelta", `{"contentBlockIndex":2,"delta":{"text":"so"}}`, "contentBlockStop", `{"contentBlockIndex":2}`,
			"messageStop", `{"stopReason":"max_tokens"}`, "metadata", bedrockEnd)...))
	got := r.post(t, "/v1/messages", `{"model":"cloud","max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2000},"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}`)
	var answer struct {
		Content json.RawMessage `json:"content"`
		Stop    string          `json:"stop_reason"`
	}
	unmarshal(t, got.body, &answer)
	const blocks = `[{"type":"thinking","thinking":"hm","signature":"sig=="},{"type":"redacted_thinking","data":"sallyport.bedrock.aGlk"},{"type":"text","text":"so"}]`
	if string(answer.Content) != blocks || answer.Stop != "max_tokens" {
		t.Errorf("got %s", got.body)
	}
	const asked = `{"messages":[{"role":"user","content":[{"text":"a"},{"cachePoint":{"type":"default","ttl":"1h"}}]}],"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000}},"inferenceConfig":{"maxTokens":4000}}`
	if seen := tap.take(t); string(seen.body) != asked {
		t.Errorf("sent %s\nwant %s", seen.body, asked)
	}
	got = r.post(t, "/v1/messages", `{"model":"cloud","max_tokens":4000,"stream":true,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":`+string(answer.Content)+`},{"role":"user","content":"b"}]}`)
	for _, want := range []string{`"thinking":"hm"`, `"signature":"sig=="`, `"data":"sallyport.bedrock.aGlk"`, `"text":"so"`, `"stop_reason":"max_tokens"`} {
		if !bytes.Contains(got.body, []byte(want)) {
			t.Errorf("no %s in %s", want, got.body)
		}
	}
	const turn = `{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig=="}}},{"reasoningContent":{"redactedContent":"aGlk"}},{"text":"so"}]}`
	if seen := tap.take(t); !bytes.Contains(seen.body, []byte(turn)) {
		t.Errorf("sent %s\nwant %s", seen.body, turn)
	}
}

// TestBedrockFails: errors keep their status and message, and no way in which a
// stream may break looks like an end.
func TestBedrockFails(t *testing.T) {
	failing := func(status int, body string) func(http.ResponseWriter, bool) {
		return func(w http.ResponseWriter, _ bool) {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	begin := events("messageStart", `{"role":"assistant"}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Grü"}}`)
	broken := slices.Clone(begin[1])
	broken[len(broken)-6] ^= 1
	long := slices.Clone(begin[1])
	long[1] = 0xFF // a length that its checksum does not hold for
	huge := said("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"`+strings.Repeat("x", 1<<20)+`"}}`)
	throttled := message(":message-type", "exception", ":exception-type", "throttlingException", `{"message":"Too many tokens"}`)
	lost := message(":message-type", "error", ":error-code", "500", ":error-message", "internal", "")
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, bool)
		status int
		state  llm.Terminal
		says   string
	}{
		"validation":     {failing(400, `{"message":"The model is not there"}`), 400, llm.UpstreamStatus, "The model is not there"},
		"forbidden":      {failing(403, `{"Message":"bad signature"}`), 502, llm.UpstreamStatus, "credential"},
		"missing":        {failing(404, `{"message":"Model not found"}`), 404, llm.UpstreamStatus, "Model not found"},
		"throttled":      {failing(429, `{"message":"Too many requests"}`), 429, llm.UpstreamStatus, "Too many requests"},
		"failed":         {failing(500, `{"message":"Oh"}`), 500, llm.UpstreamStatus, "Oh"},
		"unavailable":    {failing(503, `{"message":"Try later"}`), 503, llm.UpstreamStatus, "Try later"},
		"cut":            {saying("", begin...), 200, llm.CutByUpstream, "error"},
		"cut in message": {saying("", append(slices.Clone(begin), begin[1][:20])...), 200, llm.CutByUpstream, "error"},
		"checksum":       {saying("", append(slices.Clone(begin), broken)...), 200, llm.Malformed, "error"},
		"length":         {saying("", append(slices.Clone(begin), long)...), 200, llm.Malformed, "error"},
		"too large":      {saying("", append(slices.Clone(begin), huge)...), 200, llm.TooLarge, "error"},
		"exception":      {saying("", append(slices.Clone(begin), throttled)...), 200, llm.ErrorFrame, "Too many tokens"},
		"error":          {saying("", append(slices.Clone(begin), lost)...), 200, llm.ErrorFrame, "internal"},
		"at once":        {saying("", throttled), 502, llm.ErrorFrame, "Too many tokens"},
		"no JSON":        {saying("", append(slices.Clone(begin), said("contentBlockDelta", `{"x":`))...), 200, llm.Malformed, "error"},
		"events":         {func(w http.ResponseWriter, _ bool) { w.Header().Set("Content-Type", "text/event-stream") }, 502, llm.Malformed, ""},
	} {
		r, _ := withBedrock(t, c.answer)
		got := r.post(t, "/v1/chat/completions", `{"model":"cloud","messages":[{"role":"user","content":"a"}],"stream":true}`)
		o := r.outcome(t, got)
		if got.status != c.status || o.State != string(c.state) || !bytes.Contains(got.body, []byte(c.says)) || bytes.Contains(got.body, []byte("[DONE]")) {
			t.Errorf("%s: status %d, state %s: %s", name, got.status, o.State, got.body)
		}
		if c.status == 429 && got.header.Get("Retry-After") != "3" {
			t.Errorf("%s: header %v", name, got.header)
		}
	}
}

// TestBedrockHidesCredentials: no answer brings a credential out, not even the
// canonical request that the service tells when a signature does not match.
func TestBedrockHidesCredentials(t *testing.T) {
	for _, text := range []string{bedrockKeyID, strings.ReplaceAll(bedrockSecret, "/", `\/`), bedrockSecret, "x-amz-security-token:" + bedrockToken} {
		r, _ := withBedrock(t, saying(
			`{"output":{"message":{"role":"assistant","content":[{"text":"`+text+`"}]}},"stopReason":"end_turn"}`,
			events("messageStart", `{"role":"assistant"}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"`+text+`"}}`)...))
		for _, stream := range []string{"", `,"stream":true`} {
			got := r.post(t, "/v1/chat/completions", `{"model":"cloud","messages":[{"role":"user","content":"a"}]`+stream+`}`)
			if o := r.outcome(t, got); o.State != string(llm.CredentialEcho) || bytes.Contains(got.body, []byte(text)) {
				t.Errorf("state %s: %s", o.State, got.body)
			}
		}
		if log := r.logs.String(); strings.Contains(log, bedrockSecret) || strings.Contains(log, bedrockToken) || strings.Contains(log, "AWS4-HMAC") {
			t.Errorf("logged %s", log)
		}
	}
}

// TestBedrockFailsOver: an exception before any content leaves the answer to the
// next target, of whatever format.
func TestBedrockFailsOver(t *testing.T) {
	throttled := message(":message-type", "exception", ":exception-type", "throttlingException", `{"message":"Too many tokens"}`)
	r, tap := withBedrock(t, saying("", append(events("messageStart", `{"role":"assistant"}`), throttled)...))
	s := *r.Snapshot()
	s.Models = map[identity.Model][]gateway.Target{cloud: {{Upstream: cloud, Model: bedrockModel}, {Upstream: oa, Model: "gpt-5-mini"}}}
	r.Swap(&s)
	f := formatNamed("messages stream")
	got := r.do(t, call{path: f.path, body: f.body(cloud, "hello")})
	tap.take(t)
	o := r.outcome(t, got)
	if got.status != http.StatusOK || o.State != string(llm.Complete) || o.Upstream != string(oa) || len(o.Attempts) != 2 || o.Attempts[0].State != string(llm.ErrorFrame) {
		t.Errorf("status %d, %+v: %s", got.status, o, got.body)
	}
	if n := bytes.Count(got.body, []byte("event: message_start")); n != 1 {
		t.Errorf("%d starts in %s", n, got.body)
	}
}
