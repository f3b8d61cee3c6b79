package gemini

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

var limits = wire.Limits{Depth: 32}

const hello = `"contents":[{"parts":[{"text":"hi"}]}]`

func TestParse(t *testing.T) {
	for _, c := range []struct {
		ep    wire.Endpoint
		body  string
		model string
		named int // places where the body names the model
		max   int64
		n     int64
	}{
		{wire.GenerateContent, `{` + hello + `}`, "", 0, 0, 1},
		{wire.GenerateContent, `{"model":"models/m",` + hello + `,"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}`, "m", 1, 7, 2},
		{wire.GenerateContent, `{"model":"m",` + hello + `,"generation_config":{"max_output_tokens":7,"candidate_count":0}}`, "m", 1, 7, 1},
		{wire.GenerateContent, `{"model":null,` + hello + `,"generationConfig":null}`, "", 0, 0, 1},
		{wire.CountContent, `{` + hello + `}`, "", 0, 0, 1},
		{wire.CountContent, `{"generateContentRequest":{"model":"models/m",` + hello + `}}`, "m", 1, 0, 1},
		{wire.CountContent, `{"generate_content_request":{` + hello + `}}`, "", 0, 0, 1},
		{wire.EmbedContent, `{"model":"models/m","content":{"parts":[]}}`, "m", 1, 0, 1},
		{wire.BatchEmbedContents, `{"requests":[{"model":"models/m","content":{}},{"model":"m"},{}]}`, "m", 2, 0, 1},
	} {
		got, err := Dialect{}.Parse(c.ep, []byte(c.body), limits)
		if err != nil {
			t.Errorf("%v: %s", err, c.body)
			continue
		}
		for _, at := range got.Repeats {
			if name, _ := wire.Text(at.Of([]byte(c.body)), 100); strings.TrimPrefix(name, "models/") != c.model {
				t.Errorf("a span holds %q: %s", name, c.body)
			}
		}
		want := wire.Call{Endpoint: c.ep, Model: c.model, Repeats: got.Repeats, MaxOutput: c.max, Choices: c.n, UsageAsked: true}
		if !reflect.DeepEqual(*got, want) || len(got.Repeats) != c.named {
			t.Errorf("%+v, want %+v: %s", *got, want, c.body)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		ep            wire.Endpoint
		body, pointer string
	}{
		{wire.GenerateContent, `{}`, "/contents"},
		{wire.GenerateContent, `{"contents":{}}`, "/contents"},
		{wire.GenerateContent, `{"Contents":[],` + hello + `}`, "/Contents"},
		{wire.GenerateContent, `{` + hello + `,"cachedcontent":"x"}`, "/cachedcontent"},
		{wire.GenerateContent, `{"model":7,` + hello + `}`, "/model"},
		{wire.GenerateContent, `{` + hello + `,"generationConfig":{},"generation_config":{}}`, "/generation_config"},
		{wire.GenerateContent, `{` + hello + `,"generationConfig":[]}`, "/generationConfig"},
		{wire.GenerateContent, `{` + hello + `,"generationConfig":{"maxOutputTokens":"many"}}`, "/generationConfig/maxOutputTokens"},
		{wire.GenerateContent, `{` + hello + `,"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}`, "/generationConfig/max_output_tokens"},
		{wire.GenerateContent, `{` + hello + `,"generationConfig":{"MaxOutputTokens":1}}`, "/generationConfig/MaxOutputTokens"},
		{wire.CountContent, `{}`, "/contents"},
		{wire.EmbedContent, `{"content":"x"}`, "/content"},
		{wire.BatchEmbedContents, `{"requests":{}}`, "/requests"},
		{wire.BatchEmbedContents, `{"requests":[1]}`, "/requests/0"},
		{wire.BatchEmbedContents, `{"requests":[{"model":"a"},{"model":"b"}]}`, "/requests/1/model"},
	} {
		_, err := Dialect{}.Parse(c.ep, []byte(c.body), limits)
		if e := fault.From(err); err == nil || e.Kind != fault.BadRequest || e.Pointer != c.pointer {
			t.Errorf("%v at %q, want %s: %s", err, e.Pointer, c.pointer, c.body)
		}
	}
	if _, err := (Dialect{}).Parse(wire.Chat, []byte(`{}`), limits); fault.From(err).Kind != fault.Internal {
		t.Errorf("an endpoint of another dialect: %v", err)
	}
}

// TestFault: every kind is told as Google's SDKs read it, whole and as a frame.
func TestFault(t *testing.T) {
	for k := range fault.NumKinds {
		e := fault.New(k, "a \"message\"\n")
		e.Pointer, e.RetryAfter = "/contents/0", 1500*time.Millisecond
		for _, frame := range []bool{false, true} {
			b := Dialect{}.Fault(wire.GenerateContent, e, "req_1", frame)
			if frame {
				rest, ok := strings.CutPrefix(string(b), "data: ")
				if !ok || !strings.HasSuffix(rest, "\n\n") || strings.Count(rest, "\n") != 2 {
					t.Errorf("%v: not one frame: %q", k, b)
				}
				b = []byte(rest)
			}
			var got struct {
				Error struct {
					Code            int
					Message, Status string
					Details         []map[string]any
				}
			}
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatalf("%v in %s", err, b)
			}
			d := got.Error.Details
			if got.Error.Code != k.Status() || got.Error.Message != e.Public || got.Error.Status == "" || len(d) != 3 ||
				d[0]["@type"] != "type.googleapis.com/google.rpc.BadRequest" || d[1]["retryDelay"] != "1.5s" || d[2]["requestId"] != "req_1" {
				t.Errorf("%v: %s", k, b)
			}
		}
	}
	if b := (Dialect{}).Fault(wire.Models, fault.New(fault.NotFound, ""), "", false); string(b) != `{"error":{"code":404,"message":"not found","status":"NOT_FOUND","details":[]}}` {
		t.Errorf("%s", b)
	}
}
