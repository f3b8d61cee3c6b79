package gemini

import (
	"cmp"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// finishWords are the finish reasons of this API.
var finishWords = map[llm.Finish]string{
	llm.FinishUnknown: "STOP", llm.FinishStop: "STOP", llm.FinishSequence: "STOP", llm.FinishLength: "MAX_TOKENS",
	llm.FinishCalls: "STOP", llm.FinishFilter: "SAFETY", llm.FinishRefusal: "SAFETY", llm.FinishPause: "OTHER",
}

// encoder implements wire.Encoder for the generation of content. Here a call comes
// in one piece, so its input is gathered; finish reasons come last, with the usage.
type encoder struct {
	to      wire.Answering
	model   string
	choices []said
}

// said is what is known of one candidate.
type said struct {
	part   llm.Part // the open one
	input  []byte   // of the open call
	finish llm.Finish
}

// head writes what every answer and every piece of one has.
func (e *encoder) head(w *wire.Builder) *wire.Builder {
	return w.Key("modelVersion").Str(cmp.Or(e.model, e.to.Model)).StrMember("responseId", e.to.ID)
}

// frame writes a piece of an answer with one part of one candidate.
func (e *encoder) frame(dst []byte, n int, p llm.Part) []byte {
	w := wire.NewBuilder(append(dst, "data: "...))
	w.Open().Key("candidates").List().Open().Key("content").Open().Key("parts").List()
	part(w, p)
	w.EndList().StrMember("role", "model").Close().Key("index").Int(int64(n)).Close().EndList()
	return append(e.head(w).Close().Bytes(), '\n', '\n')
}

// part writes one part of an answer.
func part(w *wire.Builder, p llm.Part) {
	w.Open()
	if p.Kind == llm.ToolCall {
		w.Key("functionCall").Open().StrMember("id", p.Call.ID).StrMember("name", p.Call.Name).Key("args").Lit(p.Call.Input).Close()
	} else {
		w.Key("text").Lit(wire.Join(nil, p.Text))
	}
	// What seals no thought of its own seals the text before it.
	if p.Kind == llm.Thought && (!p.Seal.Hidden || p.Seal.Origin != llm.ByGemini) {
		w.Key("thought").Bool(true)
	}
	if sig := sealText(p.Seal); sig != "" {
		w.StrMember("thoughtSignature", sig)
	}
	w.Close()
}

// Event implements wire.Encoder.
func (e *encoder) Event(dst []byte, ev *llm.Event) ([]byte, error) {
	n := ev.Choice
	for len(e.choices) <= n {
		e.choices = append(e.choices, said{})
	}
	c := &e.choices[n]
	switch ev.Kind {
	case llm.Start:
		e.model = ev.Model
	case llm.PartStart:
		c.part, c.input = ev.Part, c.input[:0]
		if ev.Part.Seal.Hidden {
			return e.frame(dst, n, ev.Part), nil
		}
	case llm.PartDelta:
		if c.part.Kind == llm.ToolCall {
			c.input = append(c.input, wire.Unquote(ev.Text)...)
			return dst, nil
		}
		return e.frame(dst, n, llm.Part{Kind: c.part.Kind, Text: ev.Text}), nil
	case llm.PartSeal:
		if c.part.Kind == llm.Thought && !c.part.Seal.Hidden && sealText(ev.Seal) != "" {
			return e.frame(dst, n, llm.Part{Kind: llm.Thought, Seal: ev.Seal}), nil
		}
	case llm.PartEnd:
		if c.part.Kind == llm.ToolCall {
			p, err := whole(c.part, c.input)
			return e.frame(dst, n, p), err
		}
	case llm.Finished:
		c.finish = ev.Finish
	}
	return dst, nil
}

// whole is a call with its input, which must be an object here.
func whole(p llm.Part, input []byte) (llm.Part, error) {
	if p.Call.Input = input; len(input) == 0 {
		p.Call.Input = []byte("{}")
	}
	if !wire.Valid(p.Call.Input) {
		return p, fault.New(fault.UpstreamInvalid, "the upstream's answer has a tool call whose input is not a JSON object")
	}
	return p, nil
}

// End implements wire.Encoder.
func (e *encoder) End(dst []byte, u llm.Usage) []byte {
	w := wire.NewBuilder(append(dst, "data: "...))
	w.Open().Key("candidates").List()
	for n, c := range e.choices {
		w.Open().Key("content").Open().Key("parts").List().Open().StrMember("text", "").Close().EndList().StrMember("role", "model").Close()
		w.StrMember("finishReason", finishWords[c.finish]).Key("index").Int(int64(n)).Close()
	}
	w.EndList()
	usage(w, u)
	return append(e.head(w).Close().Bytes(), '\n', '\n')
}

// usage writes a claim in this API's members. What is unknown is left out: it is
// not 0.
func usage(w *wire.Builder, u llm.Usage) {
	if u.Status != llm.UsageClaimed {
		return
	}
	t := u.Tokens
	w.Key("usageMetadata").Open().Key("promptTokenCount").Int(t.Prompt())
	if t[llm.CacheRead] > 0 {
		w.Key("cachedContentTokenCount").Int(t[llm.CacheRead])
	}
	w.Key("candidatesTokenCount").Int(t.Completion() - t[llm.Reasoning])
	if t[llm.Reasoning] > 0 {
		w.Key("thoughtsTokenCount").Int(t[llm.Reasoning])
	}
	w.Key("totalTokenCount").Int(t.Prompt() + t.Completion()).Close()
}

// Whole implements wire.Encoder.
func (e *encoder) Whole(a *llm.Answer, u llm.Usage) ([]byte, error) {
	e.model = a.Model
	w := wire.NewBuilder(make([]byte, 0, 4096))
	w.Open().Key("candidates").List()
	for n, c := range a.Choices {
		w.Open().Key("content").Open().Key("parts").List()
		for _, p := range c.Parts {
			if p.Kind == llm.ToolCall {
				var err error
				if p, err = whole(p, p.Call.Input); err != nil {
					return nil, err
				}
			}
			part(w, p)
		}
		w.EndList().StrMember("role", "model").Close().StrMember("finishReason", finishWords[c.Finish]).Key("index").Int(int64(n)).Close()
	}
	w.EndList()
	usage(w, u)
	return e.head(w).Close().Bytes(), nil
}
