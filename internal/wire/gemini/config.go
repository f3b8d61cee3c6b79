package gemini

import (
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// config reads the generationConfig.
func (r reader) config(top *wire.Fields) error {
	f, err := open(top.Take("generationConfig"))
	if err != nil {
		return err
	}
	for _, o := range options {
		v := f.Take(o.name)
		if err := v.May(wire.Number); err != nil {
			return err
		}
		if v.Given() && !(o.feature == llm.Choices && v.Int() == 1) {
			r.Options[o.feature] = v.Lit()
			r.Use(o.feature, v.Start)
		}
	}
	for _, read := range []func(*wire.Fields) error{r.stop, r.penalties, r.format, r.modalities, r.thinking} {
		if err := read(f); err != nil {
			return err
		}
	}
	r.unknown(f)
	return nil
}

func (r reader) stop(f *wire.Fields) error {
	return wire.StopSequences(r.Request, f.Take("stopSequences"))
}

func (r reader) penalties(f *wire.Fields) error {
	for _, p := range []struct {
		name string
		to   *llm.Lit
	}{{"frequencyPenalty", &r.Penalty.Frequency}, {"presencePenalty", &r.Penalty.Presence}} {
		v := f.Take(p.name)
		if err := v.May(wire.Number); err != nil {
			return err
		}
		if v.Given() {
			*p.to = v.Lit()
			r.Use(llm.Penalties, v.Start)
		}
	}
	return nil
}

// format reads the form of the answer.
func (r reader) format(f *wire.Fields) error {
	mime, own, standard := f.Take("responseMimeType"), f.Take("responseSchema"), f.Take("responseJsonSchema")
	if err := mime.May(wire.String); err != nil {
		return err
	}
	schema, err := eitherSchema(own, standard)
	if err != nil {
		return err
	}
	switch kind := mime.String(); {
	case schema != nil && (kind == "application/json" || kind == ""):
		r.Format.Kind, r.Format.Schema = llm.FormatSchema, schema
		for _, v := range []wire.Value{own, standard} {
			if v.Given() {
				r.Use(llm.JSONSchema, v.Start)
			}
		}
	case kind == "application/json":
		r.Format.Kind = llm.FormatJSON
		r.Use(llm.JSONObject, mime.Start)
	case kind != "" && kind != "text/plain" || schema != nil: // one word of a list, for example
		for _, v := range []wire.Value{mime, own, standard} {
			if v.Given() {
				r.Use(llm.ForeignPart, v.Start)
			}
		}
	}
	return nil
}

// modalities reads what only some models of this API can do.
func (r reader) modalities(f *wire.Fields) error {
	list, probable := f.Take("responseModalities"), f.Take("responseLogprobs")
	if err := check(must{list, wire.Array}, must{probable, wire.Bool}); err != nil {
		return err
	}
	for v := range list.Elements() {
		if !strings.EqualFold(v.String(), "TEXT") {
			r.Use(llm.MediaOutput, v.Start)
		}
	}
	if wire.True(probable.Lit()) {
		r.Use(llm.Logprobs, probable.Start)
	}
	if v := f.Take("logprobs"); v.Given() {
		r.Use(llm.Logprobs, v.Start)
	}
	return nil
}

// thinking reads how much to think. A budget of -1 leaves it to the model.
func (r reader) thinking(f *wire.Fields) error {
	in, err := open(f.Take("thinkingConfig"))
	if err != nil {
		return err
	}
	show := in.Take("includeThoughts")
	if err := show.May(wire.Bool); err != nil {
		return err
	}
	if wire.True(show.Lit()) {
		r.Thinking.Show = true
		r.Use(llm.ThinkingSummary, show.Start)
	}
	if v := in.Take("thinkingBudget"); v.Given() {
		n, ok := wire.Int(v.Lit())
		if !ok {
			return v.Refuse("the budget must be an integer")
		}
		switch {
		case n < 0:
			r.Thinking.Mode = llm.ThinkingAdaptive
		case n == 0:
			r.Thinking.Mode = llm.ThinkingOff
		default:
			r.Thinking.Mode, r.Thinking.Budget = llm.ThinkingByBudget, n
		}
		r.Use(llm.ThinkingBudget, v.Start)
	}
	if v := in.Take("thinkingLevel"); v.Given() {
		if err := v.May(wire.String); err != nil {
			return err
		}
		r.Thinking.Mode, r.Thinking.Level = llm.ThinkingByLevel, llm.Level(strings.ToLower(v.String()))
		r.Use(llm.Effort, v.Start)
	}
	r.unknown(in)
	return nil
}
