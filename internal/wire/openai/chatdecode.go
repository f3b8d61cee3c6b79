package openai

import (
	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// finishes maps the finish reasons of chat completions.
var finishes = map[string]llm.Finish{
	"stop": llm.FinishStop, "length": llm.FinishLength, "tool_calls": llm.FinishCalls, "function_call": llm.FinishCalls,
	"content_filter": llm.FinishFilter,
}

// chatDecoder implements wire.Decoder for chat completions.
type chatDecoder struct {
	begun   bool
	choices []openChoice
}

// openChoice is where the stream of one choice stands.
type openChoice struct {
	parts int  // that have begun
	open  bool // the last of them goes on
	kind  llm.PartKind
	call  int64 // index of the open call among the calls
}

// maxChoices bounds what a stream may open; it is the API's own bound on n.
const maxChoices = 128

// Frame implements wire.Decoder.
func (d *chatDecoder) Frame(dst []llm.Event, ev wire.Event) ([]llm.Event, error) {
	if kind, known := common(ev); known || kind != 0 {
		return dst, nil
	}
	top := wire.Root(ev.Data).Fields()
	if !d.begun {
		d.begun = true
		dst = append(dst, llm.Event{Kind: llm.Start, ID: top.Take("id").String(), Model: top.Take("model").String()})
	}
	for v := range top.Take("choices").Elements() {
		f := v.Fields()
		n := int(f.Take("index").Int())
		if n >= maxChoices {
			return dst, fault.New(fault.UpstreamInvalid, "the upstream's answer has too many choices")
		}
		for len(d.choices) <= n {
			d.choices = append(d.choices, openChoice{})
		}
		var err error
		if dst, err = d.choices[n].delta(dst, n, f.Take("delta").Fields()); err != nil {
			return dst, err
		}
		if reason := f.Take("finish_reason"); wire.Filled(reason.Lit()) {
			dst = d.choices[n].end(dst, n)
			dst = append(dst, llm.Event{Kind: llm.Finished, Choice: n, Finish: finishes[reason.String()]})
		}
	}
	return dst, nil
}

// End implements wire.Decoder.
func (d *chatDecoder) End(dst []llm.Event) []llm.Event {
	for n := range d.choices {
		dst = d.choices[n].end(dst, n)
	}
	return dst
}

// delta reads one delta of a choice.
func (c *openChoice) delta(dst []llm.Event, n int, f *wire.Fields) ([]llm.Event, error) {
	thought := f.Take(reasoningContent)
	if !thought.Given() {
		thought = f.Take(reasoningShort)
	}
	for _, t := range []struct {
		kind llm.PartKind
		text wire.Value
	}{{llm.Thought, thought}, {llm.Text, f.Take("content")}, {llm.Refusal, f.Take("refusal")}} {
		if t.text.Kind() != wire.String || !wire.Filled(t.text.Lit()) {
			continue
		}
		dst = c.begin(dst, n, llm.Part{Kind: t.kind})
		dst = append(dst, llm.Event{Kind: llm.PartDelta, Choice: n, Index: c.parts - 1, Text: t.text.Lit()})
	}
	for v := range f.Take("tool_calls").Elements() {
		var err error
		if dst, err = c.callDelta(dst, n, v.Fields()); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// begin starts a part unless one of its kind is open. Calls are told apart before.
func (c *openChoice) begin(dst []llm.Event, n int, p llm.Part) []llm.Event {
	if c.open && c.kind == p.Kind && p.Kind != llm.ToolCall {
		return dst
	}
	dst = c.end(dst, n)
	c.open, c.kind = true, p.Kind
	if c.parts++; p.Kind == llm.Thought {
		p.Seal.Origin = llm.ByText
	}
	return append(dst, llm.Event{Kind: llm.PartStart, Choice: n, Index: c.parts - 1, Part: p})
}

// end ends the open part. Thoughts get a seal that says they came as plain text,
// so that they go back to such a server and to no other.
func (c *openChoice) end(dst []llm.Event, n int) []llm.Event {
	if !c.open {
		return dst
	}
	c.open = false
	if c.kind == llm.Thought {
		dst = append(dst, llm.Event{Kind: llm.PartSeal, Choice: n, Index: c.parts - 1, Seal: llm.Seal{Origin: llm.ByText}})
	}
	return append(dst, llm.Event{Kind: llm.PartEnd, Choice: n, Index: c.parts - 1})
}

func (c *openChoice) callDelta(dst []llm.Event, n int, f *wire.Fields) ([]llm.Event, error) {
	index := f.Take("index").Int()
	fn, free := f.Take("function"), f.Take("custom")
	args := "arguments"
	if free.Given() {
		fn, args = free, "input"
	}
	in := fn.Fields()
	name := in.Take("name").String()
	switch {
	case name != "" && (!c.open || c.kind != llm.ToolCall || c.call != index):
		c.call = index
		call := llm.Call{ID: f.Take("id").String(), Name: name, Free: free.Given()}
		if call.ID == "" {
			return dst, fault.New(fault.UpstreamInvalid, "the upstream's answer has a tool call without an id")
		}
		dst = c.begin(dst, n, llm.Part{Kind: llm.ToolCall, Call: call})
	case !c.open || c.kind != llm.ToolCall || c.call != index:
		return dst, fault.New(fault.UpstreamInvalid, "the upstream's answer goes on with a tool call that is not open")
	}
	if text := in.Take(args); text.Kind() == wire.String && wire.Filled(text.Lit()) {
		dst = append(dst, llm.Event{Kind: llm.PartDelta, Choice: n, Index: c.parts - 1, Text: text.Lit()})
	}
	return dst, nil
}

// Whole implements wire.Decoder.
func (d *chatDecoder) Whole(body []byte) (*llm.Answer, error) {
	top := wire.Root(body).Fields()
	a := &llm.Answer{ID: top.Take("id").String(), Model: top.Take("model").String()}
	for v := range top.Take("choices").Elements() {
		f := v.Fields()
		m := f.Take("message").Fields()
		c := llm.ChoiceAnswer{Finish: finishes[f.Take("finish_reason").String()]}
		r := reader{&llm.Request{}}
		c.Parts = r.thoughts(m)
		for _, t := range []struct {
			kind llm.PartKind
			text wire.Value
		}{{llm.Text, m.Take("content")}, {llm.Refusal, m.Take("refusal")}} {
			if t.text.Kind() == wire.String && wire.Filled(t.text.Lit()) {
				c.Parts = append(c.Parts, llm.Part{Kind: t.kind, Text: t.text.Lit()})
			}
		}
		for call := range m.Take("tool_calls").Elements() {
			p, err := r.toolCall(call)
			if err != nil {
				return nil, fault.Wrap(fault.UpstreamInvalid, "the upstream's answer has a tool call that is not valid", err)
			}
			c.Parts = append(c.Parts, p)
		}
		a.Choices = append(a.Choices, c)
	}
	return a, nil
}

// Failure implements wire.Decoder.
func (d *chatDecoder) Failure(body []byte) llm.Failure { return failure(body) }

// failure reads an error body; compatible servers have several shapes.
func failure(body []byte) llm.Failure {
	if !wire.Valid(body) {
		return llm.Failure{}
	}
	top := wire.Root(body).Fields()
	v := top.Take("error")
	if v.Kind() == wire.String {
		return llm.Failure{Message: v.String()}
	}
	in := top
	if v.Given() {
		in = v.Fields()
	}
	f := llm.Failure{Message: in.Take("message").String(), Code: in.Take("code").String()}
	if f.Message == "" {
		f.Message = in.Take("detail").String()
	}
	return f
}
