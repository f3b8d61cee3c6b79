package anthropic

import (
	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// finishes maps the stop reasons of messages.
var finishes = map[string]llm.Finish{
	"end_turn": llm.FinishStop, "stop_sequence": llm.FinishSequence, "max_tokens": llm.FinishLength, "tool_use": llm.FinishCalls,
	"refusal": llm.FinishRefusal, "pause_turn": llm.FinishPause, "model_context_window_exceeded": llm.FinishLength,
}

// decoder implements wire.Decoder for messages.
type decoder struct {
	index int64 // of the open block in the upstream's count
	parts int   // that have begun
	open  bool
	kind  llm.PartKind
}

var errForeign = fault.New(fault.UpstreamInvalid, "the upstream's answer has a content block that was not asked for")

// Frame implements wire.Decoder.
func (d *decoder) Frame(dst []llm.Event, ev wire.Event) ([]llm.Event, error) {
	if len(ev.Data) == 0 || len(ev.Name) == 0 {
		return dst, nil
	}
	top := wire.Root(ev.Data).Fields()
	switch top.Take("type").String() {
	case "message_start":
		m := top.Take("message").Fields()
		dst = append(dst, llm.Event{Kind: llm.Start, ID: m.Take("id").String(), Model: m.Take("model").String()})
	case "content_block_start":
		dst = d.End(dst)
		p, text, err := part(top.Take("content_block"))
		if err != nil {
			return dst, err
		}
		d.index, d.open, d.kind = top.Take("index").Int(), true, p.Kind
		d.parts++
		dst = append(dst, llm.Event{Kind: llm.PartStart, Index: d.parts - 1, Part: p})
		if wire.Filled(text) {
			dst = append(dst, llm.Event{Kind: llm.PartDelta, Index: d.parts - 1, Text: text})
		}
	case "content_block_delta":
		if !d.open || top.Take("index").Int() != d.index {
			return dst, fault.New(fault.UpstreamInvalid, "the upstream's answer goes on with a content block that is not open")
		}
		return d.delta(dst, top.Take("delta").Fields()), nil
	case "content_block_stop":
		dst = d.End(dst)
	case "message_delta":
		f := top.Take("delta").Fields()
		if reason := f.Take("stop_reason"); wire.Filled(reason.Lit()) {
			dst = d.End(dst)
			dst = append(dst, llm.Event{Kind: llm.Finished, Finish: finishes[reason.String()], Sequence: f.Take("stop_sequence").Maybe()})
		}
	}
	return dst, nil
}

// End implements wire.Decoder.
func (d *decoder) End(dst []llm.Event) []llm.Event {
	if d.open {
		d.open = false
		dst = append(dst, llm.Event{Kind: llm.PartEnd, Index: d.parts - 1})
	}
	return dst
}

func (d *decoder) delta(dst []llm.Event, f *wire.Fields) []llm.Event {
	for _, name := range []string{"text", "partial_json", "thinking"} {
		if text := f.Take(name); wire.KindOf(text.Lit()) == wire.String && wire.Filled(text.Lit()) {
			dst = append(dst, llm.Event{Kind: llm.PartDelta, Index: d.parts - 1, Text: text.Lit()})
		}
	}
	if sig := f.Take("signature"); sig.Kind() == wire.String {
		dst = append(dst, llm.Event{Kind: llm.PartSeal, Index: d.parts - 1, Seal: llm.Seal{Origin: llm.ByAnthropic, Data: sig.String()}})
	}
	return dst
}

// part reads a block that an answer holds or begins. text is what it says already
// when it is the beginning of a stream.
func part(v wire.Value) (p llm.Part, text llm.Lit, err error) {
	f := v.Fields()
	switch f.Take("type").String() {
	case "text":
		p.Kind, p.Text = llm.Text, f.Take("text").Maybe()
		return p, p.Text, nil
	case "thinking":
		p.Kind, p.Text = llm.Thought, f.Take("thinking").Maybe()
		p.Seal = llm.Seal{Origin: llm.ByAnthropic, Data: f.Take("signature").String()}
		return p, p.Text, nil
	case "redacted_thinking":
		p.Kind, p.Seal = llm.Thought, llm.Seal{Origin: llm.ByAnthropic, Data: f.Take("data").String(), Hidden: true}
		return p, nil, nil
	case "tool_use":
		p.Kind = llm.ToolCall
		p.Call = llm.Call{ID: f.Take("id").String(), Name: f.Take("name").String()}
		input := f.Take("input")
		if input.Kind() != wire.Object || p.Call.ID == "" || p.Call.Name == "" {
			return p, nil, fault.New(fault.UpstreamInvalid, "the upstream's answer has a tool call that is not valid")
		}
		p.Call.Input = input.Lit()
		if wire.Filled(p.Call.Input) { // a stream begins with {} and tells the rest in deltas
			text = wire.Quote(string(p.Call.Input))
		}
		return p, text, nil
	}
	return p, nil, errForeign
}

// Whole implements wire.Decoder.
func (d *decoder) Whole(body []byte) (*llm.Answer, error) {
	top := wire.Root(body).Fields()
	a := &llm.Answer{ID: top.Take("id").String(), Model: top.Take("model").String()}
	c := llm.ChoiceAnswer{Finish: finishes[top.Take("stop_reason").String()], Sequence: top.Take("stop_sequence").Maybe()}
	for v := range top.Take("content").Elements() {
		p, _, err := part(v)
		if err != nil {
			return nil, err
		}
		c.Parts = append(c.Parts, p)
	}
	a.Choices = []llm.ChoiceAnswer{c}
	return a, nil
}

// Failure implements wire.Decoder.
func (d *decoder) Failure(body []byte) llm.Failure {
	if !wire.Valid(body) {
		return llm.Failure{}
	}
	f := wire.Root(body).Fields().Take("error").Fields()
	return llm.Failure{Message: f.Take("message").String(), Code: f.Take("type").String()}
}
