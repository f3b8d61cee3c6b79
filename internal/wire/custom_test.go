package wire_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// scripted is a Decoder that gives out the pieces of one call's input.
type scripted struct {
	wire.Decoder
	pieces []string
	whole  string
}

func (s *scripted) Frame(dst []llm.Event, _ wire.Event) ([]llm.Event, error) {
	dst = append(dst, llm.Event{Kind: llm.PartStart, Part: llm.Part{Kind: llm.ToolCall, Call: llm.Call{ID: "c", Name: "free"}}})
	for _, p := range s.pieces {
		dst = append(dst, llm.Event{Kind: llm.PartDelta, Text: wire.Quote(p)})
	}
	return append(dst, llm.Event{Kind: llm.PartEnd}, llm.Event{Kind: llm.Finished, Finish: llm.FinishCalls}), nil
}

func (s *scripted) End(dst []llm.Event) []llm.Event { return dst }

func (s *scripted) Whole([]byte) (*llm.Answer, error) {
	call := llm.Part{Kind: llm.ToolCall, Call: llm.Call{ID: "c", Name: "free", Input: []byte(s.whole)}}
	other := llm.Part{Kind: llm.ToolCall, Call: llm.Call{ID: "d", Name: "plain", Input: []byte(`{"input":"x"}`)}}
	return &llm.Answer{Choices: []llm.ChoiceAnswer{{Parts: []llm.Part{call, other}}}}, nil
}

var freeTool = &llm.Request{Tools: []llm.Tool{{Name: "free", Free: true}, {Name: "plain"}}}

// unwrapStream is the input of the call as a client of the stream gathers it.
func unwrapStream(t testing.TB, pieces []string) string {
	t.Helper()
	events, err := wire.Unwrap(&scripted{pieces: pieces}, freeTool).Frame(nil, wire.Event{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(events); n < 3 || !events[0].Part.Call.Free || events[n-1].Kind != llm.Finished || events[n-2].Kind != llm.PartEnd {
		t.Fatalf("events %+v", events)
	}
	var text strings.Builder
	for _, ev := range events[1 : len(events)-2] {
		if ev.Kind != llm.PartDelta || !wire.Filled(ev.Text) {
			t.Fatalf("events %+v", events)
		}
		var piece string
		if err := json.Unmarshal(ev.Text, &piece); err != nil {
			t.Fatal(err)
		}
		text.WriteString(piece)
	}
	return text.String()
}

// cuts are the ways to cut a text in two, and into single bytes where they are
// characters.
func cuts(text string) [][]string {
	all := [][]string{{text}, strings.Split(text, "")}
	for i := range text {
		all = append(all, []string{text[:i], text[i:]})
	}
	return all
}

// TestUnwrap: the text comes out of its object wherever the pieces are cut, and
// what is not such an object comes out as it is.
func TestUnwrap(t *testing.T) {
	for _, c := range []struct{ input, want string }{
		{`{"input":"*** Begin\n+a \"b\" \\ \u00e9 \ud83d\ude00 é😀\n"}`, "*** Begin\n+a \"b\" \\ é 😀 é😀\n"},
		{" {\n \"input\" : \"\" , \"more\": 1 } ", ""},
		{`{"input":"\ud83d x"}`, "\ufffd x"},
		{`{"input":"\ud83d\u0041"}`, "\ufffdA"},
		{`{"input":"\q"}`, "\ufffd"},
		{`{"input":7}`, `{"input":7}`},
		{`{"patch":"x"}`, `{"patch":"x"}`},
		{`{}`, `{}`},
		{`{"input":"cut of`, "cut of"},
		{`{"inp`, `{"inp`},
		{``, ``},
	} {
		for _, pieces := range cuts(c.input) {
			if got := unwrapStream(t, pieces); got != c.want {
				t.Errorf("%q became %q, want %q", pieces, got, c.want)
			}
		}
		if !json.Valid([]byte(c.input)) {
			continue
		}
		a, err := wire.Unwrap(&scripted{whole: c.input}, freeTool).Whole(nil)
		if err != nil {
			t.Fatal(err)
		}
		parts := a.Choices[0].Parts
		if got := string(parts[0].Call.Input); got != c.want || !parts[0].Call.Free {
			t.Errorf("the whole %q became %q, want %q", c.input, got, c.want)
		}
		if parts[1].Call.Free || string(parts[1].Call.Input) != `{"input":"x"}` {
			t.Errorf("a function was unwrapped: %+v", parts[1].Call)
		}
	}
}

// TestWithFunctions: custom tools, their calls and results become functions for
// whoever knows no others, and the request itself stays as it was.
func TestWithFunctions(t *testing.T) {
	r := &llm.Request{
		Choice: llm.Choice{Mode: llm.ChoiceNamed, Name: "free", Free: true},
		Tools: []llm.Tool{{
			Name: "free", Free: true, Description: llm.Lit(`"desc"`),
			Grammar: llm.Grammar{Syntax: llm.Lit(`"lark"`), Definition: llm.Lit(`"start: X"`)},
		}},
		Messages: []llm.Message{
			{Role: llm.Assistant, Parts: []llm.Part{{Kind: llm.ToolCall, Call: llm.Call{ID: "c", Name: "free", Input: []byte("a\"b"), Free: true}}}},
			{Parts: []llm.Part{{Kind: llm.ToolResult, Result: llm.Result{ID: "c", Free: true}}}},
		},
		Uses: []llm.Use{{Feature: llm.CustomTools, At: 1}, {Feature: llm.ToolGrammar, At: 2}},
	}
	before := *r
	if wire.WithFunctions(r, llm.Set(llm.Tools, llm.CustomTools)) != r || wire.WithFunctions(r, 0) != r {
		t.Error("changed for a target that knows custom tools, or none at all")
	}
	w := wire.WithFunctions(r, llm.Set(llm.Tools))
	if !slices.Equal(w.Uses, []llm.Use{{Feature: llm.ToolGrammar, At: 2}}) {
		t.Errorf("uses %v", w.Uses)
	}
	tool := w.Tools[0]
	if tool.Free || !json.Valid(tool.Schema) || string(tool.Description) != `"desc\n\nThe input must follow this grammar (lark):\n\nstart: X"` || w.Choice.Free {
		t.Errorf("%+v %s", tool, tool.Description)
	}
	if call := w.Messages[0].Parts[0].Call; call.Free || string(call.Input) != `{"input":"a\"b"}` || w.Messages[1].Parts[0].Result.Free {
		t.Errorf("%+v %s", call, call.Input)
	}
	if diff := cmp.Diff(before, *r); diff != "" {
		t.Errorf("the request was changed: %s", diff)
	}
}

// FuzzUnwrap: whatever a model writes, in whatever pieces, the client gets its
// text as valid JSON strings, and all of it when it was as asked for.
func FuzzUnwrap(f *testing.F) {
	f.Add(`{"input":"a\ud83d\ude00"}`, uint8(9))
	f.Add(`{"x":1}`, uint8(2))
	f.Fuzz(func(t *testing.T, input string, at uint8) {
		if !utf8.ValidString(input) {
			return // frames are
		}
		cut := min(int(at), len(input))
		for cut > 0 && cut < len(input) && !utf8.RuneStart(input[cut]) {
			cut--
		}
		got := unwrapStream(t, []string{input[:cut], input[cut:]})
		if one := unwrapStream(t, []string{input}); one != got {
			t.Errorf("in one piece %q, in two %q", one, got)
		}
		wrapped := wire.NewBuilder(nil).Open().Key("input").Str(input).Close().Bytes()
		if got := unwrapStream(t, []string{string(wrapped)}); got != input {
			t.Errorf("%q became %q", input, got)
		}
	})
}
