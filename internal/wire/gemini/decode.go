package gemini

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// finishes maps the finish reasons (ai.google.dev/api/generate-content#FinishReason).
// Others, such as a call that could not be read, have no word in other formats.
var finishes = map[string]llm.Finish{
	"STOP": llm.FinishStop, "MAX_TOKENS": llm.FinishLength, "SAFETY": llm.FinishFilter, "RECITATION": llm.FinishFilter,
	"LANGUAGE": llm.FinishFilter, "BLOCKLIST": llm.FinishFilter, "PROHIBITED_CONTENT": llm.FinishFilter, "SPII": llm.FinishFilter,
	"IMAGE_SAFETY": llm.FinishFilter, "IMAGE_PROHIBITED_CONTENT": llm.FinishFilter, "IMAGE_RECITATION": llm.FinishFilter,
	"MODEL_ARMOR": llm.FinishFilter,
}

// decoder implements wire.Decoder for the generation of content.
type decoder struct {
	begun      bool
	candidates []candidate
	unique     string // makes the ids of calls that have none unique
	calls      int    // that got such an id
}

func newDecoder() *decoder { return &decoder{unique: rand.Text()[:16]} }

// candidate is where the stream of one candidate stands.
type candidate struct {
	parts  int  // that have begun
	open   bool // the last of them goes on
	kind   llm.PartKind
	plain  bool // the open thought began without a seal
	called bool
}

// maxCandidates bounds what a stream may open; it is more than the API gives.
const maxCandidates = 64

// Frame implements wire.Decoder.
func (d *decoder) Frame(dst []llm.Event, ev wire.Event) ([]llm.Event, error) {
	if len(ev.Data) == 0 {
		return dst, nil
	}
	top := wire.Root(ev.Data).Fields()
	if !d.begun {
		d.begun = true
		dst = append(dst, llm.Event{Kind: llm.Start, ID: top.Take("responseId").String(), Model: top.Take("modelVersion").String()})
	}
	for v := range top.Take("candidates").Elements() {
		f := v.Fields()
		n := int(f.Take("index").Int())
		if n >= maxCandidates {
			return dst, fault.New(fault.UpstreamInvalid, "the upstream's answer has too many candidates")
		}
		for len(d.candidates) <= n {
			d.candidates = append(d.candidates, candidate{})
		}
		c := &d.candidates[n]
		for p := range f.Take("content").Fields().Take("parts").Elements() {
			part, err := d.part(p)
			if err != nil {
				return dst, err
			}
			dst = c.add(dst, n, part)
		}
		if reason := f.Take("finishReason"); wire.Filled(reason.Lit()) && !reason.Is("FINISH_REASON_UNSPECIFIED") {
			dst = c.end(dst, n)
			dst = append(dst, llm.Event{Kind: llm.Finished, Choice: n, Finish: c.finish(reason)})
		}
	}
	if blocked(top) {
		dst = append(d.End(dst), llm.Event{Kind: llm.Finished, Finish: llm.FinishFilter})
	}
	return dst, nil
}

// blocked reports whether the provider refused the prompt.
func blocked(top *wire.Fields) bool {
	return wire.Filled(top.Take("promptFeedback").Fields().Take("blockReason").Lit())
}

// finish is why a candidate ended: this API says STOP where tools are to be run.
func (c *candidate) finish(reason wire.Value) llm.Finish {
	f := finishes[reason.String()]
	if f == llm.FinishStop && c.called {
		f = llm.FinishCalls
	}
	return f
}

// End implements wire.Decoder.
func (d *decoder) End(dst []llm.Event) []llm.Event {
	for n := range d.candidates {
		dst = d.candidates[n].end(dst, n)
	}
	return dst
}

// part reads one part of an answer.
func (d *decoder) part(v wire.Value) (p llm.Part, err error) {
	f := v.Fields()
	if sig := f.Take("thoughtSignature"); wire.Filled(sig.Lit()) {
		p.Seal = llm.Seal{Origin: llm.ByGemini, Data: sig.String()}
	}
	text, thought, call := f.Take("text"), f.Take("thought"), f.Take("functionCall")
	switch {
	case wire.True(thought.Lit()):
		p.Kind, p.Text = llm.Thought, text.Maybe()
	case call.Kind() == wire.Object:
		p.Kind = llm.ToolCall
		in := call.Fields()
		p.Call = llm.Call{ID: in.Take("id").String(), Name: in.Take("name").String(), Input: in.Take("args").Maybe()}
		if p.Call.Input == nil {
			p.Call.Input = []byte("{}")
		}
		if wire.KindOf(p.Call.Input) != wire.Object || p.Call.Name == "" {
			return p, fault.New(fault.UpstreamInvalid, "the upstream's answer has a function call that is not valid")
		}
		p.Call.Input = compact(p.Call.Input)
		if p.Call.ID == "" {
			d.calls++
			p.Call.ID = fmt.Sprintf("call_%s%d", d.unique, d.calls)
		}
	case text.Kind() == wire.String || p.Seal.Data != "":
		p.Kind, p.Text = llm.Text, text.Maybe()
	default:
		for range f.Rest() {
			return p, fault.New(fault.UpstreamInvalid, "the upstream's answer has a part that was not asked for")
		}
	}
	return p, nil
}

// compact leaves out the white space with which this API lays its answers out: in
// other formats the input of a call is a text that comes back with every turn.
func compact(input []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, input) != nil {
		return input
	}
	return b.Bytes()
}

// add tells one part, which goes on with the open one when that is of its kind.
func (c *candidate) add(dst []llm.Event, n int, p llm.Part) []llm.Event {
	switch p.Kind {
	case llm.ToolCall:
		c.called = true
		dst = c.begin(dst, n, llm.Part{Kind: llm.ToolCall, Call: llm.Call{ID: p.Call.ID, Name: p.Call.Name}, Seal: p.Seal})
		dst = append(dst, llm.Event{Kind: llm.PartDelta, Choice: n, Index: c.parts - 1, Text: wire.Quote(string(p.Call.Input))})
		return c.end(dst, n)
	case llm.Thought:
		if !c.open || c.kind != llm.Thought {
			origin := llm.ByGemini
			if p.Seal.Data == "" {
				origin = llm.ByText
			}
			dst = c.begin(dst, n, llm.Part{Kind: llm.Thought, Seal: llm.Seal{Origin: origin}})
			c.plain = origin == llm.ByText
		}
	default:
		if wire.Filled(p.Text) && (!c.open || c.kind != llm.Text) {
			dst = c.begin(dst, n, llm.Part{Kind: llm.Text})
		}
	}
	if wire.Filled(p.Text) {
		dst = append(dst, llm.Event{Kind: llm.PartDelta, Choice: n, Index: c.parts - 1, Text: p.Text})
	}
	if p.Seal.Data == "" {
		return dst
	}
	if p.Kind == llm.Thought && !c.plain {
		dst = append(dst, llm.Event{Kind: llm.PartSeal, Choice: n, Index: c.parts - 1, Seal: p.Seal})
		return c.end(dst, n)
	}
	p.Seal.Hidden = true // what seals a text, or a thought already told, is a thought of its own
	dst = c.begin(dst, n, llm.Part{Kind: llm.Thought, Seal: p.Seal})
	return c.end(dst, n)
}

// begin starts a part and ends the open one.
func (c *candidate) begin(dst []llm.Event, n int, p llm.Part) []llm.Event {
	dst = c.end(dst, n)
	c.open, c.kind, c.plain = true, p.Kind, false
	c.parts++
	return append(dst, llm.Event{Kind: llm.PartStart, Choice: n, Index: c.parts - 1, Part: p})
}

// end ends the open part. Thoughts without a seal get one that says they came as
// plain text.
func (c *candidate) end(dst []llm.Event, n int) []llm.Event {
	if !c.open {
		return dst
	}
	c.open = false
	if c.plain {
		dst = append(dst, llm.Event{Kind: llm.PartSeal, Choice: n, Index: c.parts - 1, Seal: llm.Seal{Origin: llm.ByText}})
	}
	return append(dst, llm.Event{Kind: llm.PartEnd, Choice: n, Index: c.parts - 1})
}

// Whole implements wire.Decoder.
func (d *decoder) Whole(body []byte) (*llm.Answer, error) {
	top := wire.Root(body).Fields()
	a := &llm.Answer{ID: top.Take("responseId").String(), Model: top.Take("modelVersion").String()}
	for v := range top.Take("candidates").Elements() {
		f := v.Fields()
		var c llm.ChoiceAnswer
		var state candidate
		for e := range f.Take("content").Fields().Take("parts").Elements() {
			p, err := d.part(e)
			if err != nil {
				return nil, err
			}
			if p.Kind == llm.Thought && p.Seal.Data == "" {
				p.Seal.Origin = llm.ByText
			}
			state.called = state.called || p.Kind == llm.ToolCall
			c.Parts = join(c.Parts, p)
		}
		c.Finish = state.finish(f.Take("finishReason"))
		a.Choices = append(a.Choices, c)
	}
	if blocked(top) && len(a.Choices) == 0 {
		a.Choices = []llm.ChoiceAnswer{{Finish: llm.FinishFilter}}
	}
	return a, nil
}

// Failure implements wire.Decoder.
func (d *decoder) Failure(body []byte) llm.Failure {
	if !wire.Valid(body) {
		return llm.Failure{}
	}
	f := wire.Root(body).Fields().Take("error").Fields()
	return llm.Failure{Message: f.Take("message").String(), Code: f.Take("status").String()}
}
