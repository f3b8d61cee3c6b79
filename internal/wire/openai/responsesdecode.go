package openai

import (
	"slices"
	"strings"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// responsesDecoder implements wire.Decoder for responses. An item becomes as many
// parts as its content has; thoughts and calls are one.
type responsesDecoder struct {
	begun  bool
	parts  int  // that have begun
	open   bool // the last of them goes on
	kind   llm.PartKind
	told   bool // of the open part something was told
	called bool // a tool call was told
}

var (
	errItem   = fault.New(fault.UpstreamInvalid, "the upstream's answer has an item that was not asked for")
	errClosed = fault.New(fault.UpstreamInvalid, "the upstream's answer goes on with a tool call that is not open")
	errFailed = fault.New(fault.UpstreamInvalid, "the upstream reports that its answer failed")
)

// spoken are the events that tell more of a part, without .delta or .done: what
// part, and the member of a .done event that holds all of it.
var spoken = map[string]struct {
	kind   llm.PartKind
	member string
	seal   llm.Seal // of thoughts that begin with it
}{
	"response.output_text":             {llm.Text, "text", llm.Seal{}},
	"response.refusal":                 {llm.Refusal, "refusal", llm.Seal{}},
	"response.reasoning_summary_text":  {llm.Thought, "text", llm.Seal{Origin: llm.ByOpenAI}},
	"response.reasoning_text":          {llm.Thought, "text", llm.Seal{Origin: llm.ByText}},
	"response.function_call_arguments": {llm.ToolCall, "arguments", llm.Seal{}},
	"response.custom_tool_call_input":  {llm.ToolCall, "input", llm.Seal{}},
}

// Frame implements wire.Decoder.
func (d *responsesDecoder) Frame(dst []llm.Event, ev wire.Event) ([]llm.Event, error) {
	if kind, known := common(ev); known || kind != 0 {
		return dst, nil
	}
	top := wire.Root(ev.Data).Fields()
	typ := top.Take("type").String()
	switch typ {
	case "response.created", "response.queued", "response.in_progress":
		if !d.begun {
			d.begun = true
			f := top.Take("response").Fields()
			dst = append(dst, llm.Event{Kind: llm.Start, ID: f.Take("id").String(), Model: f.Take("model").String()})
		}
	case "response.output_item.added":
		return d.itemAdded(dst, top.Take("item").Fields())
	case "response.output_item.done":
		return d.itemDone(dst, top.Take("item").Fields()), nil
	case "response.content_part.done":
		if d.kind == llm.Text || d.kind == llm.Refusal {
			dst = d.End(dst)
		}
	case "response.reasoning_summary_part.added":
		if d.open && d.kind == llm.Thought && d.told {
			dst = append(dst, llm.Event{Kind: llm.PartDelta, Index: d.parts - 1, Text: blankLine})
		}
	case "response.completed", "response.incomplete":
		dst = d.End(dst)
		dst = append(dst, llm.Event{Kind: llm.Finished, Finish: finishOf(top.Take("response").Fields(), d.called)})
	case "response.failed", "response.cancelled":
		return dst, errFailed
	default:
		return d.spoken(dst, typ, top)
	}
	return dst, nil
}

// spoken reads an event that tells more of a part. Some servers tell all of it in
// the .done event only.
func (d *responsesDecoder) spoken(dst []llm.Event, typ string, top *wire.Fields) ([]llm.Event, error) {
	base, more := strings.CutSuffix(typ, ".delta")
	if !more {
		base, _ = strings.CutSuffix(typ, ".done")
	}
	s, known := spoken[base]
	if !known {
		return dst, nil
	}
	text := top.Take("delta")
	if !more {
		text = top.Take(s.member)
	}
	if text.Kind() != wire.String || !wire.Filled(text.Lit()) || !more && d.told {
		return dst, nil
	}
	if !d.open || d.kind != s.kind {
		if s.kind == llm.ToolCall {
			return dst, errClosed
		}
		dst = d.start(dst, llm.Part{Kind: s.kind, Seal: s.seal})
	}
	d.told = true
	return append(dst, llm.Event{Kind: llm.PartDelta, Index: d.parts - 1, Text: text.Lit()}), nil
}

// start begins a part.
func (d *responsesDecoder) start(dst []llm.Event, p llm.Part) []llm.Event {
	dst = d.End(dst)
	d.open, d.told, d.kind = true, false, p.Kind
	d.parts++
	return append(dst, llm.Event{Kind: llm.PartStart, Index: d.parts - 1, Part: p})
}

// End implements wire.Decoder.
func (d *responsesDecoder) End(dst []llm.Event) []llm.Event {
	if d.open {
		d.open = false
		dst = append(dst, llm.Event{Kind: llm.PartEnd, Index: d.parts - 1})
	}
	return dst
}

// itemAdded begins a call. Texts and thoughts begin with what they say.
func (d *responsesDecoder) itemAdded(dst []llm.Event, f *wire.Fields) ([]llm.Event, error) {
	d.told = false
	switch typ := f.Take("type").String(); typ {
	case "message", "reasoning":
		return d.End(dst), nil
	case "function_call", "custom_tool_call":
		call := llm.Call{ID: f.Take("call_id").String(), Name: f.Take("name").String(), Free: typ == "custom_tool_call"}
		if call.ID == "" || call.Name == "" {
			return dst, fault.New(fault.UpstreamInvalid, "the upstream's answer has a tool call without an id or a name")
		}
		d.called = true
		return d.start(dst, llm.Part{Kind: llm.ToolCall, Call: call}), nil
	}
	return dst, errItem
}

// itemDone ends an item: its seal is known only now.
func (d *responsesDecoder) itemDone(dst []llm.Event, f *wire.Fields) []llm.Event {
	switch f.Take("type").String() {
	case "reasoning":
		seal := llm.Seal{Origin: llm.ByOpenAI, Data: f.Take("encrypted_content").String()}
		switch {
		case d.open && seal.Data != "":
			dst = append(dst, llm.Event{Kind: llm.PartSeal, Index: d.parts - 1, Seal: seal})
		case seal.Data != "":
			seal.Hidden = true
			dst = d.start(dst, llm.Part{Kind: llm.Thought, Seal: seal})
		case d.open && wire.Filled(f.Take("content").Lit()):
			dst = append(dst, llm.Event{Kind: llm.PartSeal, Index: d.parts - 1, Seal: llm.Seal{Origin: llm.ByText}})
		}
	case "function_call", "custom_tool_call":
		for _, name := range []string{"arguments", "input"} {
			if text := f.Take(name); d.open && !d.told && text.Kind() == wire.String && wire.Filled(text.Lit()) {
				dst = append(dst, llm.Event{Kind: llm.PartDelta, Index: d.parts - 1, Text: text.Lit()})
			}
		}
	}
	return d.End(dst)
}

// finishOf is why a response ended.
func finishOf(f *wire.Fields, called bool) llm.Finish {
	switch reason := f.Take("incomplete_details").Fields().Take("reason"); {
	case reason.Is("max_output_tokens"):
		return llm.FinishLength
	case reason.Is("content_filter"):
		return llm.FinishFilter
	case f.Take("status").Is("incomplete"):
		return llm.FinishUnknown
	case called:
		return llm.FinishCalls
	}
	return llm.FinishStop
}

// Whole implements wire.Decoder. The items of an answer are those of a request.
func (d *responsesDecoder) Whole(body []byte) (*llm.Answer, error) {
	top := wire.Root(body).Fields()
	a := &llm.Answer{ID: top.Take("id").String(), Model: top.Take("model").String()}
	if top.Take("status").Is("failed") {
		return nil, errFailed
	}
	r := reader{&llm.Request{}}
	for v := range top.Take("output").Elements() {
		if err := r.item(v); err != nil {
			return nil, fault.Wrap(fault.UpstreamInvalid, "the upstream's answer has an item that is not valid", err)
		}
	}
	if r.Asks(llm.ForeignPart) || r.Asks(llm.StoredState) {
		return nil, errItem
	}
	var c llm.ChoiceAnswer
	for _, m := range r.Messages {
		if m.Role != llm.Assistant {
			return nil, errItem
		}
		c.Parts = append(c.Parts, m.Parts...)
	}
	called := slices.ContainsFunc(c.Parts, func(p llm.Part) bool { return p.Kind == llm.ToolCall })
	c.Finish = finishOf(top, called)
	a.Choices = []llm.ChoiceAnswer{c}
	return a, nil
}

// Failure implements wire.Decoder.
func (d *responsesDecoder) Failure(body []byte) llm.Failure { return failure(body) }
