package anthropic

import (
	"cmp"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// finishWords are the stop reasons of messages.
var finishWords = map[llm.Finish]string{
	llm.FinishUnknown: "end_turn", llm.FinishStop: "end_turn", llm.FinishSequence: "stop_sequence", llm.FinishLength: "max_tokens",
	llm.FinishCalls: "tool_use", llm.FinishFilter: "refusal", llm.FinishRefusal: "refusal", llm.FinishPause: "pause_turn",
}

// encoder implements wire.Encoder for messages. Its content blocks are its own
// count: a part can become two.
type encoder struct {
	to       wire.Answering
	begun    bool
	blocks   int64 // that have begun
	part     llm.Part
	finish   llm.Finish
	sequence llm.Lit
	called   bool // a tool call was written
}

// frame writes one event; fill writes what its data hold besides the type.
func frame(dst []byte, name string, fill func(w *wire.Builder)) []byte {
	dst = append(append(append(dst, "event: "...), name...), "\ndata: "...)
	w := wire.NewBuilder(dst)
	w.Open().StrMember("type", name)
	fill(w)
	return append(w.Close().Bytes(), '\n', '\n')
}

// Event implements wire.Encoder.
func (e *encoder) Event(dst []byte, ev *llm.Event) ([]byte, error) {
	if ev.Choice != 0 {
		return dst, fault.New(fault.UpstreamInvalid, "the upstream gave more answers than one")
	}
	switch ev.Kind {
	case llm.Start:
		dst = e.start(dst, ev.Model)
	case llm.PartStart:
		e.part = ev.Part
		if ev.Part.Kind == llm.ToolCall {
			e.called = true
			dst = e.sealBefore(dst, ev.Part.Seal)
		}
		dst = e.open(dst, ev.Part)
	case llm.PartDelta:
		dst = e.delta(dst, deltaNames[e.part.Kind].typ, func(w *wire.Builder) { w.Key(deltaNames[e.part.Kind].text).Lit(ev.Text) })
	case llm.PartSeal:
		if text := signature(ev.Seal); text != "" && e.part.Kind == llm.Thought && !e.part.Seal.Hidden {
			dst = e.delta(dst, "signature_delta", func(w *wire.Builder) { w.StrMember("signature", text) })
		}
	case llm.PartEnd:
		dst = frame(dst, "content_block_stop", func(w *wire.Builder) { w.Key("index").Int(e.blocks - 1) })
	case llm.Finished:
		e.finish, e.sequence = ev.Finish, append(llm.Lit(nil), ev.Sequence...)
	}
	return dst, nil
}

// start writes message_start. How long the prompt was is told at the end, when the
// upstream's claim is known.
func (e *encoder) start(dst []byte, model string) []byte {
	e.begun = true
	return frame(dst, "message_start", func(w *wire.Builder) {
		w.Key("message").Open()
		e.head(w, model)
		w.Key("content").List().EndList().Key("stop_reason").Null().Key("stop_sequence").Null()
		w.Key("usage").Open().Key("input_tokens").Int(0).Key("output_tokens").Int(0).Close().Close()
	})
}

func (e *encoder) head(w *wire.Builder, model string) {
	w.StrMember("id", "msg_"+e.to.ID).StrMember("type", "message").StrMember("role", "assistant").StrMember("model", cmp.Or(model, e.to.Model))
}

// deltaNames are the types of deltas and the members that hold their text.
var deltaNames = [...]struct{ typ, text string }{
	llm.Text: {"text_delta", "text"}, llm.Refusal: {"text_delta", "text"}, llm.Thought: {"thinking_delta", "thinking"},
	llm.ToolCall: {"input_json_delta", "partial_json"}, llm.ToolResult: {},
}

func (e *encoder) delta(dst []byte, typ string, fill func(w *wire.Builder)) []byte {
	return frame(dst, "content_block_delta", func(w *wire.Builder) {
		w.Key("index").Int(e.blocks-1).Key("delta").Open().StrMember("type", typ)
		fill(w)
		w.Close()
	})
}

// open begins a content block. What it says comes in deltas.
func (e *encoder) open(dst []byte, p llm.Part) []byte {
	e.blocks++
	p.Text = nil
	if p.Kind == llm.ToolCall {
		p.Call.Input = []byte("{}")
	}
	if !p.Seal.Hidden {
		p.Seal = llm.Seal{}
	}
	return frame(dst, "content_block_start", func(w *wire.Builder) {
		w.Key("index").Int(e.blocks - 1).Key("content_block").Open()
		contentBlock(w, p)
		w.Close()
	})
}

// sealBefore writes what another provider attached to a call as a block before
// it: this format has no place within a call, and clients send such blocks back.
func (e *encoder) sealBefore(dst []byte, s llm.Seal) []byte {
	if s.Portable() == "" {
		return dst
	}
	s.Hidden = true
	dst = e.open(dst, llm.Part{Kind: llm.Thought, Seal: s})
	return frame(dst, "content_block_stop", func(w *wire.Builder) { w.Key("index").Int(e.blocks - 1) })
}

// signature is a seal as clients of this format carry it.
func signature(s llm.Seal) string {
	if s.Origin == llm.ByAnthropic {
		return s.Data
	}
	return s.Portable()
}

// contentBlock writes the members of one block of an answer.
func contentBlock(w *wire.Builder, p llm.Part) {
	switch {
	case p.Kind == llm.ToolCall:
		w.StrMember("type", "tool_use").StrMember("id", p.Call.ID).StrMember("name", p.Call.Name).Key("input").Lit(p.Call.Input)
	case p.Kind == llm.Thought && p.Seal.Hidden:
		w.StrMember("type", "redacted_thinking").StrMember("data", signature(p.Seal))
	case p.Kind == llm.Thought:
		w.StrMember("type", "thinking").Key("thinking").Lit(wire.Join(nil, p.Text)).StrMember("signature", signature(p.Seal))
	default:
		w.StrMember("type", "text").Key("text").Lit(wire.Join(nil, p.Text))
	}
}

// End implements wire.Encoder.
func (e *encoder) End(dst []byte, u llm.Usage) []byte {
	if !e.begun {
		dst = e.start(dst, e.to.Model)
	}
	dst = frame(dst, "message_delta", func(w *wire.Builder) {
		w.Key("delta").Open()
		e.stopped(w, e.finish, e.sequence, e.called)
		w.Close()
		usage(w, u)
	})
	return frame(dst, "message_stop", func(*wire.Builder) {})
}

// stopped writes why an answer ended. Some servers say that the model was done
// where it calls tools, which clients of this format would not run then.
func (e *encoder) stopped(w *wire.Builder, f llm.Finish, sequence llm.Lit, called bool) {
	if called && (f == llm.FinishStop || f == llm.FinishUnknown) {
		f = llm.FinishCalls
	}
	w.StrMember("stop_reason", finishWords[f]).Key("stop_sequence").Lit(sequence)
}

// usage writes a claim in this API's members. What is unknown is null: it is not 0.
func usage(w *wire.Builder, u llm.Usage) {
	w.Key("usage").Open()
	defer w.Close()
	if u.Status != llm.UsageClaimed {
		w.Key("input_tokens").Null().Key("output_tokens").Null()
		return
	}
	t := u.Tokens
	written := t[llm.CacheWrite5m] + t[llm.CacheWrite1h]
	w.Key("input_tokens").Int(t.Prompt() - t[llm.CacheRead] - written)
	w.Key("cache_creation_input_tokens").Int(written).Key("cache_read_input_tokens").Int(t[llm.CacheRead])
	w.Key("output_tokens").Int(t.Completion())
}

// Whole implements wire.Encoder.
func (e *encoder) Whole(a *llm.Answer, u llm.Usage) ([]byte, error) {
	if len(a.Choices) != 1 {
		return nil, fault.Newf(fault.UpstreamInvalid, "the upstream gave %d answers", len(a.Choices))
	}
	w := wire.NewBuilder(make([]byte, 0, 4096))
	e.head(w.Open(), a.Model)
	w.Key("content").List()
	called := false
	c := a.Choices[0]
	for _, p := range c.Parts {
		if p.Kind == llm.ToolCall {
			called = true
			if s := p.Seal; s.Portable() != "" {
				s.Hidden = true
				contentBlock(w.Open(), llm.Part{Kind: llm.Thought, Seal: s})
				w.Close()
			}
		}
		contentBlock(w.Open(), p)
		w.Close()
	}
	w.EndList()
	e.stopped(w, c.Finish, c.Sequence, called)
	usage(w, u)
	return w.Close().Bytes(), nil
}
