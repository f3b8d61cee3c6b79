package openai

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// asked is a request whose members a response repeats.
const asked = `{"model":"m","instructions":"be \u00e9","input":"hi","tools":[{"type":"function","name":"f"},{"type":"custom","name":"patch"},{"type":"namespace","name":"team","tools":[{"type":"function","name":"send"}]}],"temperature":0.5,"reasoning":{"effort":"low"},"text":{"verbosity":"low"},"store":true,"metadata":{"a":"b"},"max_output_tokens":9}`

// repeats is how it repeats them.
const repeats = `"background":false,"completed_at":null,"frequency_penalty":0,"presence_penalty":0,"previous_response_id":null,"service_tier":"default","store":true,"top_logprobs":0,"truncation":"disabled","instructions":"be \u00e9","max_output_tokens":9,"max_tool_calls":null,"metadata":{"a":"b"},"parallel_tool_calls":true,"prompt_cache_key":null,"safety_identifier":null,"temperature":0.5,"tool_choice":"auto","top_p":1,"user":null,"tools":[{"description":null,"parameters":null,"strict":null,"type":"function","name":"f"},{"type":"custom","name":"patch"},{"type":"namespace","name":"team","tools":[{"type":"function","name":"send"}]}],"reasoning":{"summary":null,"effort":"low"},"text":{"format":{"type":"text"},"verbosity":"low"}`

func answering(t *testing.T) wire.Answering {
	t.Helper()
	r, err := readResponses([]byte(asked))
	if err != nil {
		t.Fatal(err)
	}
	return wire.Answering{ID: "x", Created: 7, Model: "m", Request: r, Body: []byte(asked)}
}

// lits makes the deltas of a part.
func lits(index int, texts ...string) (events []llm.Event) {
	for _, text := range texts {
		events = append(events, llm.Event{Kind: llm.PartDelta, Index: index, Text: wire.Quote(text)})
	}
	return events
}

// everyPart is a streamed answer with every kind of part.
func everyPart() []llm.Event {
	var all []llm.Event
	index := 0
	part := func(p llm.Part, seal llm.Seal, texts ...string) {
		all = append(all, llm.Event{Kind: llm.PartStart, Index: index, Part: p})
		all = append(all, lits(index, texts...)...)
		if seal.Origin != "" {
			all = append(all, llm.Event{Kind: llm.PartSeal, Index: index, Seal: seal})
		}
		all = append(all, llm.Event{Kind: llm.PartEnd, Index: index})
		index++
	}
	call := func(c llm.Call) llm.Part { return llm.Part{Kind: llm.ToolCall, Call: c} }
	all = append(all, llm.Event{Kind: llm.Start, ID: "up", Model: "theirs"})
	part(llm.Part{Kind: llm.Thought}, llm.Seal{Origin: llm.ByOpenAI, Data: "s1"}, "let ", "me")
	part(llm.Part{Kind: llm.Thought, Seal: llm.Seal{Origin: llm.ByOpenAI, Data: "s2", Hidden: true}}, llm.Seal{})
	part(llm.Part{Kind: llm.Text}, llm.Seal{}, "a", "b")
	part(llm.Part{Kind: llm.Refusal}, llm.Seal{}, "no")
	part(call(llm.Call{ID: "c1", Name: "f"}), llm.Seal{}, `{"x"`, `:1}`)
	part(call(llm.Call{ID: "c2", Name: "patch", Free: true}), llm.Seal{}, "free")
	return append(all, llm.Event{Kind: llm.Finished, Finish: llm.FinishCalls})
}

func encode(t *testing.T, e wire.Encoder, events []llm.Event, u llm.Usage) string {
	t.Helper()
	var out []byte
	for _, ev := range events {
		var err error
		if out, err = e.Event(out, &ev); err != nil {
			t.Fatal(err)
		}
	}
	return string(e.End(out, u))
}

// golden reads a stream from testdata, in which REPEATS stands for what a
// response repeats of its request.
func golden(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "REPEATS", repeats)
}

func lines(s string) []string { return strings.Split(s, "\n") }

func allClasses() llm.Usage {
	var tokens llm.Tokens
	tokens[llm.Input], tokens[llm.CacheRead], tokens[llm.CacheWrite5m], tokens[llm.Output], tokens[llm.Reasoning] = 5, 3, 2, 7, 4
	return llm.Claim(tokens, nil)
}

// TestResponsesEvents pins the exact events of answers.
func TestResponsesEvents(t *testing.T) {
	start := llm.Event{Kind: llm.Start}
	end := llm.Event{Kind: llm.PartEnd}
	for _, c := range []struct {
		file   string
		events []llm.Event
		usage  llm.Usage
	}{
		{"every_part.sse", everyPart(), allClasses()},
		{"cut.sse", append(append([]llm.Event{start, {Kind: llm.PartStart}}, lits(0, "a")...), end, llm.Event{Kind: llm.Finished, Finish: llm.FinishLength}), llm.Usage{}},
		{"calls.sse", []llm.Event{
			{Kind: llm.PartStart, Part: llm.Part{Kind: llm.ToolCall, Call: llm.Call{ID: "c1", Name: "team__send"}, Seal: llm.Seal{Origin: llm.ByGemini, Data: "g"}}},
			end,
			{Kind: llm.Finished, Finish: llm.FinishStop},
		}, llm.Usage{Status: llm.UsageImplausible}},
		{"empty.sse", nil, llm.Usage{}},
	} {
		got := encode(t, Responses().Encode(answering(t)), c.events, c.usage)
		if diff := cmp.Diff(lines(golden(t, c.file)), lines(got)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.file, diff)
		}
	}
	_, err := Responses().Encode(answering(t)).Event(nil, &llm.Event{Kind: llm.PartStart, Choice: 1})
	if fault.From(err).Kind != fault.UpstreamInvalid {
		t.Errorf("a second answer: %v", err)
	}
}

// decodeAll reads a stream, and copies what the events refer to.
func decodeAll(t *testing.T, stream string) ([]llm.Event, error) {
	t.Helper()
	d := Responses().Decode()
	s := wire.NewSplitter(1 << 20)
	s.Feed([]byte(stream))
	var all []llm.Event
	for s.Next() {
		events, err := d.Frame(nil, s.Event())
		for _, ev := range events {
			ev.Text = bytes.Clone(ev.Text)
			all = append(all, ev)
		}
		if err != nil {
			return all, err
		}
	}
	return d.End(all), nil
}

// TestResponsesComeBack: what the encoder writes, the decoder reads as it was,
// streamed and whole.
func TestResponsesComeBack(t *testing.T) {
	want := everyPart()
	want[0].ID = "resp_x"
	for i := range want { // thoughts begin with whose they are
		if p := &want[i].Part; want[i].Kind == llm.PartStart && p.Kind == llm.Thought {
			p.Seal.Origin = llm.ByOpenAI
		}
	}
	stream := encode(t, Responses().Encode(answering(t)), everyPart(), allClasses())
	got, err := decodeAll(t, stream)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_, last, _ := strings.Cut(stream, "event: response.completed\n")
	object := wire.Root([]byte(strings.TrimPrefix(last, "data: "))).Fields().Take("response").Lit()
	answer, err := Responses().Decode().Whole(object)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Responses().Encode(answering(t)).Whole(answer, allClasses())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(object), string(again)); diff != "" {
		t.Errorf("whole (-stream +again)\n%s", diff)
	}
}

// TestResponsesDecode: what servers send that is less tidy than the vendor.
func TestResponsesDecode(t *testing.T) {
	data := func(events ...string) string {
		var s strings.Builder
		for _, e := range events {
			s.WriteString("data: " + e + "\n\n")
		}
		return s.String()
	}
	const created, completed = `{"type":"response.created","response":{"id":"r","model":"m"}}`, `{"type":"response.completed","response":{"status":"completed"}}`
	start := llm.Event{Kind: llm.Start, ID: "r", Model: "m"}
	openText := llm.Event{Kind: llm.PartStart}
	byText := llm.Seal{Origin: llm.ByText}
	finished := func(f llm.Finish) llm.Event { return llm.Event{Kind: llm.Finished, Finish: f} }
	end := llm.Event{Kind: llm.PartEnd}
	for name, c := range map[string]struct {
		stream string
		want   []llm.Event
	}{
		"no parts announced": {
			data(created, `{"type":"response.output_text.delta","delta":"a"}`, completed, `[DONE]`),
			[]llm.Event{start, openText, lits(0, "a")[0], end, finished(llm.FinishStop)},
		},
		"told in done only": {
			data(created, `{"type":"response.output_item.added","item":{"type":"message"}}`, `{"type":"response.output_text.done","text":"a"}`, `{"type":"response.output_item.done","item":{"type":"message"}}`,
				`{"type":"response.output_item.added","item":{"type":"function_call","call_id":"c","name":"f"}}`, `{"type":"response.output_item.done","item":{"type":"function_call","arguments":"{}"}}`, completed),
			[]llm.Event{
				start, openText, lits(0, "a")[0], end,
				{Kind: llm.PartStart, Index: 1, Part: llm.Part{Kind: llm.ToolCall, Call: llm.Call{ID: "c", Name: "f"}}},
				lits(1, "{}")[0],
				{Kind: llm.PartEnd, Index: 1},
				finished(llm.FinishCalls),
			},
		},
		"thoughts as plain text": {
			data(created, `{"type":"response.output_item.added","item":{"type":"reasoning"}}`, `{"type":"response.reasoning_text.delta","delta":"t"}`, `{"type":"response.reasoning_text.done","text":"t"}`,
				`{"type":"response.output_item.done","item":{"type":"reasoning","content":[{}]}}`, `{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}`),
			[]llm.Event{
				start,
				{Kind: llm.PartStart, Part: llm.Part{Kind: llm.Thought, Seal: byText}},
				lits(0, "t")[0],
				{Kind: llm.PartSeal, Seal: byText},
				end, finished(llm.FinishLength),
			},
		},
		"summaries in parts, unknown events": {
			data(created, `{"type":"response.new"}`, `{"type":"response.reasoning_summary_part.added"}`, `{"type":"response.reasoning_summary_text.delta","delta":"t"}`,
				`{"type":"response.reasoning_summary_part.added"}`, `{"type":"response.reasoning_summary_text.delta","delta":"u"}`),
			[]llm.Event{
				start,
				{Kind: llm.PartStart, Part: llm.Part{Kind: llm.Thought, Seal: llm.Seal{Origin: llm.ByOpenAI}}},
				lits(0, "t")[0], lits(0, "\n\n")[0], lits(0, "u")[0], end,
			},
		},
	} {
		got, err := decodeAll(t, c.stream)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	for _, bad := range []string{
		`{"type":"response.failed","response":{"status":"failed"}}`,
		`{"type":"response.output_item.added","item":{"type":"web_search_call"}}`,
		`{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}`,
		`{"type":"response.function_call_arguments.delta","delta":"{"}`,
	} {
		if _, err := decodeAll(t, data(created, bad)); err == nil || fault.From(err).Kind != fault.UpstreamInvalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, bad := range []string{
		`{"status":"failed","output":[]}`, `{"output":[{"type":"web_search_call"}]}`, `{"output":[{"type":"function_call"}]}`,
		`{"output":[{"type":"message","role":"user","content":"x"}]}`, `{"output":[{"id":"x"}]}`,
	} {
		if _, err := Responses().Decode().Whole([]byte(bad)); err == nil || fault.From(err).Kind != fault.UpstreamInvalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestResponsesRefused: bad requests are refused with a pointer to the place.
func TestResponsesRefused(t *testing.T) {
	for body, pointer := range map[string]string{
		`{"input":7}`:     "/input",
		`{"input":[]}`:    "/input",
		`{"input":["a"]}`: "/input/0",
		`{"input":[{}]}`:  "/input/0",
		`{"input":[{"role":"critic","content":"x"}]}`:                                                   "/input/0/role",
		`{"input":[{"type":"message","content":"x"}]}`:                                                  "/input/0",
		`{"input":[{"role":"user"}]}`:                                                                   "/input/0",
		`{"input":[{"role":"user","content":[{"type":"video"}]}]}`:                                      "/input/0/content/0/type",
		`{"input":[{"role":"user","content":[{"type":"input_text"}]}]}`:                                 "/input/0/content/0",
		`{"input":[{"role":"user","content":[{"type":"input_image"}]}]}`:                                "/input/0/content/0",
		`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png,x"}]}]}`: "/input/0/content/0/image_url",
		`{"input":[{"role":"user","content":[{"type":"input_file","file_data":"?"}]}]}`:                 "/input/0/content/0/file_data",
		`{"input":[{"type":"function_call","name":"f","arguments":"{}"}]}`:                              "/input/0",
		`{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"["}]}`:                 "/input/0/arguments",
		`{"input":[{"type":"custom_tool_call","call_id":"c","name":"f"}]}`:                              "/input/0",
		`{"input":[{"type":"function_call_output","call_id":"c","output":"x"}]}`:                        "/input/0",
		`{"input":[{"type":"reasoning","summary":"x"}]}`:                                                "/input/0/summary",
		`{"input":"x","tools":{}}`:                                                                      "/tools",
		`{"input":"x","tools":[{"type":"namespace","tools":[]}]}`:                                       "/tools/0",
		`{"input":"x","tools":[{"type":"custom","name":"n","format":{"type":"grammar","syntax":"l"}}]}`: "/tools/0/format",
		`{"input":"x","tool_choice":{"type":"function","name":"f"}}`:                                    "/tool_choice/name",
		`{"input":"x","text":{"format":{"type":"xml"}}}`:                                                "/text/format",
		`{"input":"x","reasoning":"high"}`:                                                              "/reasoning",
		`{"input":"x","include":"all"}`:                                                                 "/include",
		`{"input":"x","max_output_tokens":"9"}`:                                                         "/max_output_tokens",
		`{"input":"x","instructions":["a"]}`:                                                            "/instructions",
		`{"input":"x","parallel_tool_calls":1}`:                                                         "/parallel_tool_calls",
	} {
		_, err := readResponses([]byte(body))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.BadRequest || f.Pointer != pointer {
			t.Errorf("%s: %v, pointer %v", body, err, f)
		}
	}
	// What refers to the provider's memory is not carried, and not an error of the client.
	for _, body := range []string{
		`{"input":[{"id":"fc_1"},{"type":"function_call_output","call_id":"c","output":"x"}]}`,
		`{"input":"x","previous_response_id":"resp_1"}`, `{"prompt":{"id":"p"}}`, `{"input":"x","background":true}`,
	} {
		if r, err := readResponses([]byte(body)); err != nil || !r.Asks(llm.StoredState) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestWriteResponses pins what the vendor, and a compatible server, are asked.
func TestWriteResponses(t *testing.T) {
	r, err := readChat([]byte(`{"model":"m","messages":[{"role":"system","content":"sys"},{"role":"user","content":"u"},{"role":"assistant","content":"a","reasoning_content":"t","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"res"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","reasoning_effort":"low","max_tokens":9,"verbosity":"low"}`))
	if err != nil {
		t.Fatal(err)
	}
	const head = `"instructions":"sys","input":[{"type":"message","role":"user","content":"u"},`
	const thought = `{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"t"}]},`
	const rest = `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"res"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}],"tool_choice":"required","text":{"verbosity":"low"},"reasoning":{"effort":"low"},`
	for _, c := range []struct {
		vendor bool
		want   string
		lost   int
	}{
		{true, `{"model":"gpt-5",` + head + rest + `"include":["reasoning.encrypted_content"],"max_output_tokens":9,"store":false}`, 1},
		{false, `{"model":"gpt-5",` + head + thought + rest + `"max_output_tokens":9,"store":false}`, 0},
	} {
		got, lost := writeResponses(r, wire.Target{Model: "gpt-5", Carries: Responses().For("gpt-5", 0), Vendor: c.vendor})
		if diff := cmp.Diff(c.want, string(got)); diff != "" || len(lost) != c.lost {
			t.Errorf("vendor %t: lost %v (-want +got)\n%s", c.vendor, lost, diff)
		}
	}
}

// FuzzResponsesAnswer: whatever an upstream streams, nothing panics and what
// clients of both formats get is valid.
func FuzzResponsesAnswer(f *testing.F) {
	for _, name := range []string{"every_part.sse", "cut.sse", "calls.sse"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.ReplaceAll(b, []byte("REPEATS"), []byte(`"x":1`)))
	}
	request := &llm.Request{Tools: []llm.Tool{{Name: "f", Free: true}}}
	f.Fuzz(func(t *testing.T, stream []byte) {
		follow, decode := Dialect{}.Follow(&wire.Call{Endpoint: wire.Responses}), wire.Unwrap(Responses().Decode(), request)
		encoders := []wire.Encoder{Responses().Encode(wire.Answering{ID: "x"}), Chat().Encode(wire.Answering{ID: "x"})}
		s := wire.NewSplitter(1 << 20)
		s.Feed(stream)
		for s.Next() {
			if kind := follow.Frame(s.Event()); kind == wire.FrameInvalid || kind == wire.FrameError {
				return
			}
			events, err := decode.Frame(nil, s.Event())
			for _, e := range encoders {
				for i := range events {
					frames, encodeErr := e.Event(nil, &events[i])
					if encodeErr != nil {
						t.Fatal(encodeErr)
					}
					validFrames(t, frames)
				}
			}
			if err != nil {
				return
			}
		}
		ends := decode.End(nil)
		for _, e := range encoders {
			for _, ev := range ends {
				frames, err := e.Event(nil, &ev)
				if err != nil {
					t.Fatal(err)
				}
				validFrames(t, frames)
			}
			validFrames(t, e.End(nil, llm.Usage{}))
		}
	})
}

// validFrames checks that the data of every frame are a JSON object.
func validFrames(t *testing.T, frames []byte) {
	t.Helper()
	for line := range bytes.Lines(frames) {
		data, found := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("data: "))
		if found && string(data) != "[DONE]" && !wire.Valid(data) {
			t.Fatalf("not JSON: %q", data)
		}
	}
}
