package openai

import (
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// finishWords are the finish reasons of chat completions.
var finishWords = map[llm.Finish]string{
	llm.FinishUnknown: "stop", llm.FinishStop: "stop", llm.FinishSequence: "stop", llm.FinishLength: "length",
	llm.FinishCalls: "tool_calls", llm.FinishFilter: "content_filter", llm.FinishRefusal: "content_filter", llm.FinishPause: "stop",
}

// chatEncoder implements wire.Encoder for chat completions.
type chatEncoder struct {
	to      wire.Answering
	model   string
	choices []said
}

// said is what the client was told of one choice.
type said struct {
	role     bool
	calls    int64    // that have begun
	thoughts int64    // that have begun and are sealed
	part     llm.Part // the open one
	empty    bool     // nothing of it was told yet
}

// chunk begins a frame up to and with the key of what it holds.
func (e *chatEncoder) chunk(dst []byte) *wire.Builder {
	w := wire.NewBuilder(append(dst, "data: "...))
	e.head(w.Open(), "chat.completion.chunk")
	return w
}

func (e *chatEncoder) head(w *wire.Builder, object string) {
	w.StrMember("id", "chatcmpl-"+e.to.ID).StrMember("object", object).Key("created").Int(e.to.Created)
	w.StrMember("model", e.model)
}

// delta writes a frame with one choice, whose delta is filled in by fill.
func (e *chatEncoder) delta(dst []byte, n int, finish string, fill func(w *wire.Builder)) []byte {
	w := e.chunk(dst)
	w.Key("choices").List().Open().Key("index").Int(int64(n)).Key("delta").Open()
	if !e.choices[n].role {
		e.choices[n].role = true
		w.StrMember("role", "assistant")
	}
	fill(w)
	w.Close().Key("logprobs").Null().Key("finish_reason")
	if finish == "" {
		w.Null()
	} else {
		w.Str(finish)
	}
	w.Close().EndList().Close()
	return append(w.Bytes(), '\n', '\n')
}

// Event implements wire.Encoder.
func (e *chatEncoder) Event(dst []byte, ev *llm.Event) ([]byte, error) {
	n := ev.Choice
	for len(e.choices) <= n {
		e.choices = append(e.choices, said{})
	}
	c := &e.choices[n]
	switch ev.Kind {
	case llm.Start:
		e.model = ev.Model
		if e.model == "" {
			e.model = e.to.Model
		}
	case llm.PartStart:
		c.part, c.empty = ev.Part, true
		switch {
		case ev.Part.Kind == llm.ToolCall:
			c.calls++
			return e.delta(dst, n, "", c.call), nil
		case ev.Part.Kind == llm.Thought && ev.Part.Seal.Origin != llm.ByText:
			c.thoughts++
			if ev.Part.Seal.Hidden {
				return e.delta(dst, n, "", func(w *wire.Builder) { c.detail(w, nil, ev.Part.Seal) }), nil
			}
		}
	case llm.PartDelta:
		c.empty = false
		return e.delta(dst, n, "", func(w *wire.Builder) { c.more(w, ev.Text) }), nil
	case llm.PartSeal:
		if ev.Seal.Origin != llm.ByText && ev.Seal.Data != "" && c.part.Kind == llm.Thought {
			return e.delta(dst, n, "", func(w *wire.Builder) { c.detail(w, nil, ev.Seal) }), nil
		}
	case llm.PartEnd: // clients parse the arguments, which therefore cannot be empty
		if c.empty && c.part.Kind == llm.ToolCall && !c.part.Call.Free {
			return e.delta(dst, n, "", func(w *wire.Builder) { c.more(w, emptyObject) }), nil
		}
	case llm.Finished:
		return e.delta(dst, n, finishWords[ev.Finish], func(*wire.Builder) {}), nil
	}
	return dst, nil
}

// emptyObject is the input of a call without any, as a text.
var emptyObject = llm.Lit(`"{}"`)

// call writes the beginning of the open tool call.
func (c *said) call(w *wire.Builder) {
	w.Key("tool_calls").List().Open().Key("index").Int(c.calls - 1)
	callMembers(w, &c.part, nil)
	w.Close().EndList()
}

// callMembers writes what a call consists of.
func callMembers(w *wire.Builder, p *llm.Part, input []byte) {
	w.StrMember("id", p.Call.ID)
	if p.Call.Free {
		w.StrMember("type", "custom").Key("custom").Open().StrMember("name", p.Call.Name).Key("input").Text(input).Close()
	} else {
		w.StrMember("type", "function").Key("function").Open().StrMember("name", p.Call.Name).Key("arguments").Text(input).Close()
	}
	if seal := p.Seal.Portable(); seal != "" {
		w.Key("extra_content").Open().StrMember("sallyport", seal).Close()
	}
}

// more writes more of the open part.
func (c *said) more(w *wire.Builder, text llm.Lit) {
	switch c.part.Kind {
	case llm.ToolCall:
		w.Key("tool_calls").List().Open().Key("index").Int(c.calls - 1)
		if c.part.Call.Free {
			w.Key("custom").Open().Key("input").Lit(text).Close()
		} else {
			w.Key("function").Open().Key("arguments").Lit(text).Close()
		}
		w.Close().EndList()
	case llm.Thought:
		w.Key(reasoningContent).Lit(text)
		if c.part.Seal.Origin != llm.ByText {
			c.detail(w, text, llm.Seal{})
		}
	case llm.Refusal:
		w.Key("refusal").Lit(text)
	default:
		w.Key("content").Lit(text)
	}
}

// detail writes a piece of thinking that must come back as it is, in the member
// that clients keep and return. Pieces of one thought have one index.
func (c *said) detail(w *wire.Builder, text llm.Lit, s llm.Seal) {
	w.Key(reasoningDetails).List()
	detail(w.Open(), c.thoughts-1, text, s)
	w.Close().EndList()
}

// detail writes the members of one entry.
func detail(w *wire.Builder, index int64, text llm.Lit, s llm.Seal) {
	w.Key("index").Int(index)
	if s.Hidden {
		w.StrMember("type", "reasoning.encrypted").StrMember("data", s.Portable())
		return
	}
	w.StrMember("type", "reasoning.text").Member("text", text)
	if seal := s.Portable(); seal != "" {
		w.StrMember("signature", seal)
	}
}

// End implements wire.Encoder.
func (e *chatEncoder) End(dst []byte, u llm.Usage) []byte {
	if e.to.Usage && u.Status == llm.UsageClaimed {
		w := e.chunk(dst)
		w.Key("choices").List().EndList()
		writeUsage(w, u)
		w.Close()
		dst = append(w.Bytes(), '\n', '\n')
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// writeUsage writes a claim in this API's members. What is unknown is left out: it is
// not 0.
func writeUsage(w *wire.Builder, u llm.Usage) {
	if u.Status != llm.UsageClaimed {
		return
	}
	t := u.Tokens
	w.Key("usage").Open()
	w.Key("prompt_tokens").Int(t.Prompt()).Key("completion_tokens").Int(t.Completion()).Key("total_tokens").Int(t.Prompt() + t.Completion())
	w.Key("prompt_tokens_details").Open().Key("cached_tokens").Int(t[llm.CacheRead]).Key("audio_tokens").Int(t[llm.AudioIn]).Close()
	w.Key("completion_tokens_details").Open().Key("reasoning_tokens").Int(t[llm.Reasoning]).Key("audio_tokens").Int(t[llm.AudioOut]).Close()
	w.Close()
}

// Whole implements wire.Encoder.
func (e *chatEncoder) Whole(a *llm.Answer, u llm.Usage) ([]byte, error) {
	e.model = a.Model
	if e.model == "" {
		e.model = e.to.Model
	}
	w := wire.NewBuilder(make([]byte, 0, 4096))
	e.head(w.Open(), "chat.completion")
	w.Key("choices").List()
	for n, c := range a.Choices {
		w.Open().Key("index").Int(int64(n)).Key("message").Open()
		message(w, c.Parts)
		w.Close().Key("logprobs").Null().StrMember("finish_reason", finishWords[c.Finish]).Close()
	}
	w.EndList()
	writeUsage(w, u)
	return w.Close().Bytes(), nil
}

// message writes the members of an answer's message.
func message(w *wire.Builder, parts []llm.Part) {
	w.StrMember("role", "assistant").Key("content")
	if texts := textsOf(parts, llm.Text); len(texts) > 0 {
		w.Lit(wire.Join(nil, texts...))
	} else {
		w.Null()
	}
	w.Key("refusal")
	if texts := textsOf(parts, llm.Refusal); len(texts) > 0 {
		w.Lit(wire.Join(nil, texts...))
	} else {
		w.Null()
	}
	if texts := textsOf(parts, llm.Thought); len(texts) > 0 {
		w.Key(reasoningContent).Lit(wire.Join(nil, texts...))
	}
	if sealed := partsOf(parts, func(p *llm.Part) bool { return p.Kind == llm.Thought && p.Seal.Data != "" }); len(sealed) > 0 {
		w.Key(reasoningDetails).List()
		for i, p := range sealed {
			detail(w.Open(), int64(i), p.Text, p.Seal)
			w.Close()
		}
		w.EndList()
	}
	if calls := partsOf(parts, func(p *llm.Part) bool { return p.Kind == llm.ToolCall }); len(calls) > 0 {
		w.Key("tool_calls").List()
		for _, p := range calls {
			callMembers(w.Open(), p, p.Call.Input)
			w.Close()
		}
		w.EndList()
	}
}

// partsOf are the parts that are wanted.
func partsOf(parts []llm.Part, wanted func(*llm.Part) bool) (some []*llm.Part) {
	for i := range parts {
		if wanted(&parts[i]) {
			some = append(some, &parts[i])
		}
	}
	return some
}

// textsOf are the texts of the parts of a kind.
func textsOf(parts []llm.Part, kind llm.PartKind) []llm.Lit {
	var texts []llm.Lit
	for _, p := range parts {
		if p.Kind == kind && p.Text != nil {
			texts = append(texts, p.Text)
		}
	}
	return texts
}
