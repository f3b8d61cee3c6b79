package bedrock

import (
	"cmp"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// finishes maps the stop reasons. Malformed outputs have no word in other formats.
var finishes = map[string]llm.Finish{
	"end_turn": llm.FinishStop, "tool_use": llm.FinishCalls, "max_tokens": llm.FinishLength, "stop_sequence": llm.FinishSequence,
	"guardrail_intervened": llm.FinishFilter, "content_filtered": llm.FinishFilter, "model_context_window_exceeded": llm.FinishLength,
}

// decoder implements wire.Decoder. Blocks of text and of thoughts begin with their
// first delta; only tool calls are announced.
type decoder struct {
	index  int64 // of the open block in the upstream's count
	parts  int   // that have begun
	open   bool
	kind   llm.PartKind
	sealed bool // the open thought has its seal
}

// Frame implements wire.Decoder.
func (d *decoder) Frame(dst []llm.Event, ev wire.Event) ([]llm.Event, error) {
	if len(ev.Data) == 0 {
		return dst, nil
	}
	f := wire.Root(ev.Data).Fields()
	index := f.Take("contentBlockIndex").Int()
	switch string(ev.Name) {
	case "messageStart":
		dst = append(dst, llm.Event{Kind: llm.Start})
	case "contentBlockStart":
		start := f.Take("start").Fields()
		use := start.Take("toolUse")
		for range start.Rest() { // of what the provider makes itself
			return dst, errForeign
		}
		if !use.Given() {
			return dst, nil
		}
		p, err := call(use, false)
		if err != nil {
			return dst, err
		}
		dst = d.begin(dst, index, p)
	case "contentBlockDelta":
		return d.delta(dst, index, f.Take("delta").Fields())
	case "contentBlockStop":
		dst = d.End(dst)
	case "messageStop":
		dst = append(d.End(dst), llm.Event{Kind: llm.Finished, Finish: finishes[f.Take("stopReason").String()]})
	}
	return dst, nil
}

var errForeign = fault.New(fault.UpstreamInvalid, "the upstream's answer has a content block that was not asked for")

func (d *decoder) delta(dst []llm.Event, index int64, f *wire.Fields) ([]llm.Event, error) {
	text, use, thought := f.Take("text"), f.Take("toolUse"), f.Take("reasoningContent")
	for range f.Rest() {
		return dst, errForeign
	}
	switch {
	case text.Given():
		dst = d.enter(dst, index, llm.Part{Kind: llm.Text})
		return d.say(dst, text), nil
	case use.Given():
		if !d.open || d.kind != llm.ToolCall || d.index != index {
			return dst, fault.New(fault.UpstreamInvalid, "the upstream's answer goes on with a tool call that is not open")
		}
		return d.say(dst, use.Fields().Take("input")), nil
	case thought.Given():
		return d.think(dst, index, thought.Fields()), nil
	}
	return dst, nil
}

// think tells a piece of a thought. Only Claude signs, as it does in its own API,
// and signatures hold across clouds (platform.claude.com,
// build-with-claude/extended-thinking); what is hidden is spelt in Bedrock's way.
func (d *decoder) think(dst []llm.Event, index int64, f *wire.Fields) []llm.Event {
	if hidden := f.Take("redactedContent"); wire.Filled(hidden.Lit()) {
		return d.begin(dst, index, llm.Part{Kind: llm.Thought, Seal: llm.Seal{Origin: llm.ByBedrock, Data: hidden.String(), Hidden: true}})
	}
	if text := f.Take("text"); text.Given() {
		dst = d.say(d.enter(dst, index, llm.Part{Kind: llm.Thought, Seal: llm.Seal{Origin: llm.ByAnthropic}}), text)
	}
	if sig := f.Take("signature"); wire.Filled(sig.Lit()) {
		dst = d.enter(dst, index, llm.Part{Kind: llm.Thought, Seal: llm.Seal{Origin: llm.ByAnthropic}})
		dst = append(dst, llm.Event{Kind: llm.PartSeal, Index: d.parts - 1, Seal: llm.Seal{Origin: llm.ByAnthropic, Data: sig.String()}})
		d.sealed = true
	}
	return dst
}

// enter begins a part unless it is the open one.
func (d *decoder) enter(dst []llm.Event, index int64, p llm.Part) []llm.Event {
	if d.open && d.index == index && d.kind == p.Kind {
		return dst
	}
	return d.begin(dst, index, p)
}

func (d *decoder) begin(dst []llm.Event, index int64, p llm.Part) []llm.Event {
	dst = d.End(dst)
	d.index, d.open, d.kind, d.sealed = index, true, p.Kind, p.Seal.Hidden
	d.parts++
	return append(dst, llm.Event{Kind: llm.PartStart, Index: d.parts - 1, Part: p})
}

func (d *decoder) say(dst []llm.Event, text wire.Value) []llm.Event {
	if text.Kind() != wire.String || !wire.Filled(text.Lit()) {
		return dst
	}
	return append(dst, llm.Event{Kind: llm.PartDelta, Index: d.parts - 1, Text: text.Lit()})
}

// End implements wire.Decoder. Thoughts that nobody signed came as plain text.
func (d *decoder) End(dst []llm.Event) []llm.Event {
	if !d.open {
		return dst
	}
	d.open = false
	if d.kind == llm.Thought && !d.sealed {
		dst = append(dst, llm.Event{Kind: llm.PartSeal, Index: d.parts - 1, Seal: llm.Seal{Origin: llm.ByText}})
	}
	return append(dst, llm.Event{Kind: llm.PartEnd, Index: d.parts - 1})
}

// call reads a tool call; one that only begins has no input yet.
func call(v wire.Value, whole bool) (p llm.Part, err error) {
	f := v.Fields()
	p.Kind, p.Call = llm.ToolCall, llm.Call{ID: f.Take("toolUseId").String(), Name: f.Take("name").String(), Input: []byte("{}")}
	input := f.Take("input")
	if p.Call.ID == "" || p.Call.Name == "" || whole && input.Kind() != wire.Object {
		return p, fault.New(fault.UpstreamInvalid, "the upstream's answer has a tool call that is not valid")
	}
	if whole {
		p.Call.Input = input.Lit()
	}
	return p, nil
}

// Whole implements wire.Decoder.
func (d *decoder) Whole(body []byte) (*llm.Answer, error) {
	top := wire.Root(body).Fields()
	c := llm.ChoiceAnswer{Finish: finishes[top.Take("stopReason").String()]}
	for v := range top.Take("output").Fields().Take("message").Fields().Take("content").Elements() {
		f := v.Fields()
		text, use, thought := f.Take("text"), f.Take("toolUse"), f.Take("reasoningContent")
		p := llm.Part{Kind: llm.Text, Text: text.Maybe()}
		var err error
		switch {
		case text.Given():
		case use.Given():
			p, err = call(use, true)
		case thought.Given():
			p = thoughtOf(thought.Fields())
		default:
			err = errForeign
		}
		if err != nil {
			return nil, err
		}
		c.Parts = append(c.Parts, p)
	}
	return &llm.Answer{Choices: []llm.ChoiceAnswer{c}}, nil
}

func thoughtOf(f *wire.Fields) llm.Part {
	if hidden := f.Take("redactedContent"); wire.Filled(hidden.Lit()) {
		return llm.Part{Kind: llm.Thought, Seal: llm.Seal{Origin: llm.ByBedrock, Data: hidden.String(), Hidden: true}}
	}
	in := f.Take("reasoningText").Fields()
	p := llm.Part{Kind: llm.Thought, Text: in.Take("text").Maybe(), Seal: llm.Seal{Origin: llm.ByAnthropic, Data: in.Take("signature").String()}}
	if p.Seal.Data == "" {
		p.Seal.Origin = llm.ByText
	}
	return p
}

// Failure implements wire.Decoder. Some layers before the service write Message.
func (d *decoder) Failure(body []byte) llm.Failure {
	if !wire.Valid(body) {
		return llm.Failure{}
	}
	f := wire.Root(body).Fields()
	message, other := f.Take("message").String(), f.Take("Message").String()
	return llm.Failure{Message: cmp.Or(message, other), Code: f.Take("__type").String()}
}
