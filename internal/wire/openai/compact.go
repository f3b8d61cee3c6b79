package openai

import (
	"cmp"
	"encoding/base64"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// Compact is how the compaction of a conversation is translated. Where the
// provider has no such thing, its model is asked for a summary, and the item that
// stands for the conversation holds it.
func Compact() wire.Format {
	return wire.Format{
		Endpoint: wire.Compact, Carries: responsesCarries, Fit: fit, Read: readCompact, Write: writeResponses, Follow: Dialect{}.Follow,
		Decode: func() wire.Decoder { return &responsesDecoder{} },
		Encode: func(a wire.Answering) wire.Encoder { return &compactEncoder{to: a} },
	}
}

// summarize is what a model is asked for instead of a compaction.
const summarize = "Summarize this conversation so that it can be continued from the summary alone. " +
	"Keep every fact, name, number, decision, open question and instruction that may matter later, and what tools returned. " +
	"Write nothing but the summary."

// readCompact implements wire.Format.Read for compactions.
func readCompact(body []byte) (*llm.Request, error) {
	r, err := readResponses(body)
	if err != nil {
		return nil, err
	}
	r.Messages = append(r.Messages, llm.Message{
		At: len(body) - 1, Parts: []llm.Part{{Kind: llm.Text, Text: wire.Quote(summarize), At: len(body) - 1}},
	})
	return r, nil
}

// compactionItem reads an item that stands for a conversation. Only Sallyport's own
// can be read by another model than its maker.
func (r reader) compactionItem(f *wire.Fields, v wire.Value) {
	seal := llm.OpenSeal(f.Take("encrypted_content").String())
	f.Take("created_by")
	text, err := base64.RawURLEncoding.DecodeString(seal.Data)
	if seal.Origin != llm.BySummary || err != nil {
		r.Use(llm.ForeignPart, v.Start)
		return
	}
	lit := wire.Quote("Summary of the conversation so far:\n\n" + string(text))
	r.Messages = append(r.Messages, llm.Message{At: v.Start, Parts: []llm.Part{{Kind: llm.Text, Text: lit, At: v.Start}}})
}

// compactEncoder implements wire.Encoder for compactions, which are never streamed.
type compactEncoder struct{ to wire.Answering }

// Event implements wire.Encoder.
func (*compactEncoder) Event(dst []byte, _ *llm.Event) ([]byte, error) {
	return dst, fault.New(fault.UpstreamInvalid, "a compaction is not streamed")
}

// End implements wire.Encoder.
func (*compactEncoder) End(dst []byte, _ llm.Usage) []byte { return dst }

// Whole implements wire.Encoder.
func (e *compactEncoder) Whole(a *llm.Answer, u llm.Usage) ([]byte, error) {
	if len(a.Choices) != 1 {
		return nil, fault.Newf(fault.UpstreamInvalid, "the upstream gave %d answers", len(a.Choices))
	}
	summary := wire.Unquote(wire.Join(nil, textsOf(a.Choices[0].Parts, llm.Text)...))
	if len(summary) == 0 {
		return nil, fault.New(fault.UpstreamInvalid, "the upstream's model gave no summary")
	}
	seal := llm.Seal{Origin: llm.BySummary, Data: base64.RawURLEncoding.EncodeToString(summary)}
	w := wire.NewBuilder(make([]byte, 0, 2*len(summary)+512))
	w.Open().StrMember("id", "resp_"+e.to.ID).StrMember("object", "response.compaction").Key("created_at").Int(e.to.Created)
	w.StrMember("model", cmp.Or(a.Model, e.to.Model))
	w.Key("output").List().Open().StrMember("id", "cmp_"+e.to.ID).StrMember("type", "compaction").StrMember("encrypted_content", seal.Portable()).Close().EndList()
	responseUsageMember(w, u)
	return w.Close().Bytes(), nil
}
