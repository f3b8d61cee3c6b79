package gemini

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

func TestStandardSchema(t *testing.T) {
	for own, want := range map[string]string{
		`{"type":"OBJECT","properties":{"Type":{"type":"STRING","nullable":true},"any_of":{"type":"INTEGER"}},"required":["Type"],"property_ordering":["Type"]}`: `{"type":"object","properties":{"Type":{"type":["string","null"]},"any_of":{"type":"integer"}},"required":["Type"],"propertyOrdering":["Type"]}`,
		`{"type":"ARRAY","items":{"type":"NUMBER","nullable":false},"minItems":"2","max_items":"x"}`:                                                             `{"type":"array","items":{"type":"number"},"minItems":2,"maxItems":"x"}`,
		`{"any_of":[{"type":"STRING","enum":["STRING"]},{"type":"string"}],"properties":"x","nullable":"y"}`:                                                     `{"nullable":"y","anyOf":[{"type":"string","enum":["STRING"]},{"type":"string"}],"properties":"x"}`,
		`{"anyOf":[],"any_of":[]}`: `{"anyOf":[],"any_of":[]}`,
	} {
		if got := string(standardSchema(wire.Root([]byte(own)))); got != want {
			t.Errorf("%s became\n%s, want\n%s", own, got, want)
		}
	}
}

// TestSeals: what providers attach survives in a field of bytes that clients decode
// and encode again, and comes back as it was.
func TestSeals(t *testing.T) {
	for _, s := range []llm.Seal{
		{Origin: llm.ByGemini, Data: "c2ln+/8="}, {Origin: llm.ByAnthropic, Data: "EqQB+/=="}, {Origin: llm.ByOpenAI, Data: "gAAA-_", Hidden: true},
	} {
		text := sealText(s)
		spelt := []string{text}
		if s.Origin != llm.ByGemini {
			spelt = append(spelt, strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(text), "="))
		}
		for _, text := range spelt {
			if got := openSeal(wire.Root([]byte(`"` + text + `"`))); got != s {
				t.Errorf("%+v became %q and %+v", s, text, got)
			}
		}
	}
	if sealText(llm.Seal{Origin: llm.ByText}) != "" || sealText(llm.Seal{}) != "" {
		t.Error("a seal of nothing")
	}
}

// told writes events as lines.
func told(events []llm.Event) string {
	var b strings.Builder
	for _, e := range events {
		switch e.Kind {
		case llm.Start:
			fmt.Fprintf(&b, "start %s %s\n", e.ID, e.Model)
		case llm.PartStart:
			fmt.Fprintf(&b, "%d.%d begin %d %s %s%s\n", e.Choice, e.Index, e.Part.Kind, e.Part.Call.Name, e.Part.Seal.Origin, e.Part.Seal.Data)
		case llm.PartDelta:
			fmt.Fprintf(&b, "%d.%d %s\n", e.Choice, e.Index, e.Text)
		case llm.PartSeal:
			fmt.Fprintf(&b, "%d.%d seal %s%s\n", e.Choice, e.Index, e.Seal.Origin, e.Seal.Data)
		case llm.PartEnd:
			fmt.Fprintf(&b, "%d.%d end\n", e.Choice, e.Index)
		case llm.Finished:
			fmt.Fprintf(&b, "%d finished %d\n", e.Choice, e.Finish)
		}
	}
	return b.String()
}

func TestDecodeStream(t *testing.T) {
	frames := []string{
		`{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]}}],"responseId":"r","modelVersion":"v"}`,
		`{"candidates":[{"content":{"parts":[{"text":"m","thought":true},{"text":"a"}]}}]}`,
		`{"candidates":[{"content":{"parts":[{"text":"b"},{"functionCall":{"name":"f","args":{ "a": 1 }},"thoughtSignature":"S"}]}}]}`,
		`{"candidates":[{"content":{"parts":[{"text":"c"}]}},{"index":1,"content":{"parts":[{"text":"other"}]}}]}`,
		`{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"T"}]},"finishReason":"STOP"}]}`,
		`{"candidates":[{"index":1,"content":{"parts":[{"text":"t","thought":true,"thoughtSignature":"U"}]},"finishReason":"SAFETY"}]}`,
	}
	want := `start r v
0.0 begin 2  text
0.0 "hm"
0.0 "m"
0.0 seal text
0.0 end
0.1 begin 0  
0.1 "a"
0.1 "b"
0.1 end
0.2 begin 7 f geminiS
0.2 "{\"a\":1}"
0.2 end
0.3 begin 0  
0.3 "c"
1.0 begin 0  
1.0 "other"
0.3 end
0.4 begin 2  geminiT
0.4 end
0 finished 4
1.0 end
1.1 begin 2  gemini
1.1 "t"
1.1 seal geminiU
1.1 end
1 finished 5
`
	d := newDecoder()
	var got strings.Builder
	for _, f := range frames {
		events, err := d.Frame(nil, wire.Event{Data: []byte(f)})
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(told(events))
	}
	got.WriteString(told(d.End(nil)))
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, part := range []string{
		`{"inlineData":{"mimeType":"image/png","data":"x"}}`, `{"executableCode":{}}`, `{"functionCall":{"args":{}}}`, `{"functionCall":{"name":"f","args":7}}`,
	} {
		body := []byte(`{"candidates":[{"content":{"parts":[` + part + `]},"finishReason":"STOP"}]}`)
		if _, err := newDecoder().Whole(body); err == nil {
			t.Errorf("whole: %s", part)
		}
		if _, err := newDecoder().Frame(nil, wire.Event{Data: body}); err == nil {
			t.Errorf("stream: %s", part)
		}
	}
	if _, err := newDecoder().Frame(nil, wire.Event{Data: []byte(`{"candidates":[{"index":64}]}`)}); err == nil {
		t.Error("a candidate beyond the bound")
	}
}

// TestBlocked: a prompt that the provider refuses is an answer that the filter ended.
func TestBlocked(t *testing.T) {
	body := []byte(`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"responseId":"r"}`)
	a, err := newDecoder().Whole(body)
	if err != nil || len(a.Choices) != 1 || a.Choices[0].Finish != llm.FinishFilter {
		t.Errorf("%+v, %v", a, err)
	}
	events, err := newDecoder().Frame(nil, wire.Event{Data: body})
	if want := "start r \n0 finished 5\n"; err != nil || told(events) != want {
		t.Errorf("%q, %v", told(events), err)
	}
}

// TestEncodeGathersCalls: the pieces of a call's input become one object, and what is
// none is not passed off as one.
func TestEncodeGathersCalls(t *testing.T) {
	call := llm.Part{Kind: llm.ToolCall, Call: llm.Call{ID: "1", Name: "f"}}
	for input, want := range map[string]string{`{\"a\":|1}`: `"args":{"a":1}`, ``: `"args":{}`, `{\"a\"|:`: ""} {
		e := &encoder{to: wire.Answering{ID: "x", Model: "m"}}
		var out []byte
		events := []llm.Event{{Kind: llm.Start}, {Kind: llm.PartStart, Part: call}}
		for piece := range strings.SplitSeq(input, "|") {
			events = append(events, llm.Event{Kind: llm.PartDelta, Text: llm.Lit(`"` + piece + `"`)})
		}
		var err error
		for _, ev := range append(events, llm.Event{Kind: llm.PartEnd}) {
			if out, err = e.Event(out, &ev); err != nil {
				break
			}
		}
		if (err == nil) != (want != "") || want != "" && !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s", input, err, out)
		}
	}
}

// TestThinking: how much to think, in the words and numbers of each generation.
func TestThinking(t *testing.T) {
	effort := []llm.Use{{Feature: llm.Effort}}
	for _, c := range []struct {
		model string
		in    llm.Thinking
		want  string
		told  int // uses that are told as altered
	}{
		{"gemini-3-flash-preview", llm.Thinking{Mode: llm.ThinkingByLevel, Level: llm.LevelLow}, `{"thinkingLevel":"low"}`, 0},
		{"gemini-3-flash-preview", llm.Thinking{Mode: llm.ThinkingByLevel, Level: llm.LevelMax, Show: true}, `{"includeThoughts":true,"thinkingLevel":"high"}`, 1},
		{"gemini-3-pro", llm.Thinking{Mode: llm.ThinkingOff}, `{"thinkingLevel":"low"}`, 1},
		{"gemini-3-flash", llm.Thinking{Mode: llm.ThinkingOff}, `{"thinkingLevel":"minimal"}`, 1},
		{"gemini-3-flash", llm.Thinking{Mode: llm.ThinkingAdaptive}, `{}`, 0},
		{"models/gemini-2.5-flash", llm.Thinking{Mode: llm.ThinkingOff}, `{"thinkingBudget":0}`, 0},
		{"gemini-2.5-pro", llm.Thinking{Mode: llm.ThinkingOff}, `{"thinkingBudget":128}`, 1},
		{"gemini-2.5-pro", llm.Thinking{Mode: llm.ThinkingByLevel, Level: llm.LevelMedium}, `{"thinkingBudget":8192}`, 0},
		{"gemini-2.5-flash", llm.Thinking{Mode: llm.ThinkingAdaptive, Show: true}, `{"includeThoughts":true,"thinkingBudget":-1}`, 0},
		{"gemini-2.5-flash", llm.Thinking{Mode: llm.ThinkingByBudget, Budget: 2000}, `{"thinkingBudget":2000}`, 0},
		{"gemini-2.5-flash", llm.Thinking{Mode: llm.ThinkingByLevel, Level: "odd"}, `{}`, 1},
		{"gemini-2.0-flash", llm.Thinking{Mode: llm.ThinkingByLevel, Level: llm.LevelHigh}, ``, 0},
	} {
		out, lost := write(&llm.Request{Thinking: c.in, Uses: effort}, wire.Target{Model: c.model, Carries: fit(c.model, carries)})
		want := `"generationConfig":{}`
		if c.want != "" {
			want = `"generationConfig":{"thinkingConfig":` + c.want + `}`
		}
		if !strings.Contains(string(out), want) || len(lost) != c.told {
			t.Errorf("%s %+v: %s, told %v", c.model, c.in, out, lost)
		}
	}
}

// TestNeighbours: contents of one speaker are one turn, pieces of a thought in them
// one thought.
func TestNeighbours(t *testing.T) {
	r, err := read([]byte(`{"contents":[{"parts":[{"text":"x"}]},{"role":"user","parts":[{"text":"y"}]},{"role":"model","parts":[{"text":"a","thought":true}]},{"role":"model","parts":[{"text":"b","thought":true,"thoughtSignature":"c2ln"}]},{"role":"model","parts":[{"functionCall":{"name":"f"}},{}]},{"role":"user","parts":[{"functionResponse":{"name":"f"}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Messages) != 3 || len(r.Messages[0].Parts) != 2 || len(r.Messages[1].Parts) != 3 || r.Asks(llm.ForeignPart) {
		t.Fatalf("%+v", r.Messages)
	}
	if p := r.Messages[1].Parts[0]; string(p.Text) != `"ab"` || p.Seal.Data != "c2ln" {
		t.Errorf("%s %+v", p.Text, p.Seal)
	}
}

// TestUnsignedCalls: models that insist on a signature get the one that stands for
// none on the first call of a turn, others get nothing.
func TestUnsignedCalls(t *testing.T) {
	body := []byte(`{"contents":[{"parts":[{"text":"x"}]},{"role":"model","parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"g"}}]},{"parts":[{"functionResponse":{"name":"g","response":{"a":1}}},{"functionResponse":{"name":"f","response":{"error":"e"}}}]}]}`)
	r, err := read(body)
	if err != nil {
		t.Fatal(err)
	}
	for model, n := range map[string]int{"gemini-3-pro": 1, "gemini-2.5-pro": 0, "gemma-3": 0} {
		out, _ := write(r, wire.Target{Model: model, Carries: carries})
		if got := strings.Count(string(out), unsigned); got != n {
			t.Errorf("%s: %d in %s", model, got, out)
		}
		for _, want := range []string{`"id":"call_2","name":"g","response":{"output":"{\"a\":1}"}`, `"id":"call_1","name":"f","response":{"error":"e"}`} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %s in %s", model, want, out)
			}
		}
	}
}
