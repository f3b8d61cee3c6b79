package openai

import (
	"cmp"
	"strconv"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// responsesEncoder implements wire.Encoder for responses. Every part of an answer
// becomes one output item, and every item is kept until the end: the last event
// repeats them all.
type responsesEncoder struct {
	to       wire.Answering
	model    string
	echo     []member // of the response object, that repeat the request
	sequence int64    // number of the next event
	begun    bool
	items    int64    // that have begun
	part     llm.Part // of the item that goes on
	form     *form    // of that item, until its end is written; nil when there is none
	text     []byte   // of the item, as it stands within a string literal
	output   []byte   // the items that are done, as elements of an array
	finish   llm.Finish
}

// form is how one kind of part is told.
type form struct {
	prefix string // of the item's id
	part   string // events around the text, with .added and .done; empty for calls
	typ    string // of the part
	event  string // events with the text, with .delta and .done
	text   string // the member that holds the text
	index  string // the member that numbers the part within the item
}

var (
	textForm    = form{"msg_", "response.content_part", "output_text", "response.output_text", "text", "content_index"}
	refusalForm = form{"msg_", "response.content_part", "refusal", "response.refusal", "refusal", "content_index"}
	thoughtForm = form{"rs_", "response.reasoning_summary_part", "summary_text", "response.reasoning_summary_text", "text", "summary_index"}
	callForm    = form{prefix: "fc_", event: "response.function_call_arguments", text: "arguments"}
	freeForm    = form{prefix: "ctc_", event: "response.custom_tool_call_input", text: "input"}
)

func formOf(p *llm.Part) *form {
	switch {
	case p.Kind == llm.ToolCall && p.Call.Free:
		return &freeForm
	case p.Kind == llm.ToolCall:
		return &callForm
	case p.Kind == llm.Thought:
		return &thoughtForm
	case p.Kind == llm.Refusal:
		return &refusalForm
	}
	return &textForm
}

// frame writes one event; fill writes what its data hold besides type and number.
func (e *responsesEncoder) frame(dst []byte, typ string, fill func(w *wire.Builder)) []byte {
	dst = append(append(append(dst, "event: "...), typ...), "\ndata: "...)
	w := wire.NewBuilder(dst)
	w.Open().StrMember("type", typ).Key("sequence_number").Int(e.sequence)
	e.sequence++
	fill(w)
	return append(w.Close().Bytes(), '\n', '\n')
}

// Event implements wire.Encoder.
func (e *responsesEncoder) Event(dst []byte, ev *llm.Event) ([]byte, error) {
	if ev.Choice != 0 {
		return dst, fault.New(fault.UpstreamInvalid, "the upstream gave more answers than one")
	}
	switch ev.Kind {
	case llm.Start:
		e.model = cmp.Or(ev.Model, e.to.Model)
		dst = e.begin(dst)
	case llm.PartStart:
		dst = e.done(e.begin(dst), "completed")
		if ev.Part.Kind == llm.ToolCall {
			dst = e.sealBefore(dst, ev.Part.Seal)
		}
		dst = e.open(dst, ev.Part)
	case llm.PartDelta:
		dst = e.say(dst, ev.Text)
	case llm.PartSeal:
		ev.Seal.Hidden = e.part.Seal.Hidden
		e.part.Seal = ev.Seal
	case llm.Finished: // how an item ends depends on what follows its part
		e.finish = ev.Finish
	}
	return dst, nil
}

// begin writes the events that open a response, once.
func (e *responsesEncoder) begin(dst []byte) []byte {
	if e.begun {
		return dst
	}
	e.begun = true
	for _, typ := range []string{"response.created", "response.in_progress"} {
		dst = e.frame(dst, typ, func(w *wire.Builder) {
			e.response(w.Key("response").Open(), "in_progress", llm.Usage{})
			w.Close()
		})
	}
	return dst
}

// open begins an item. What it says comes in deltas.
func (e *responsesEncoder) open(dst []byte, p llm.Part) []byte {
	e.items++
	e.part, e.form, e.text = p, formOf(&p), e.text[:0]
	dst = e.frame(dst, "response.output_item.added", func(w *wire.Builder) {
		w.Key("output_index").Int(e.items - 1).Key("item")
		e.item(w, &p, e.items-1, nil, "in_progress")
	})
	if e.form.part != "" && !p.Seal.Hidden {
		dst = e.partFrame(dst, ".added", emptyText)
	}
	return dst
}

var emptyText = llm.Lit(`""`)

// partFrame writes that the part of an item begins or is done.
func (e *responsesEncoder) partFrame(dst []byte, what string, text llm.Lit) []byte {
	return e.frame(dst, e.form.part+what, func(w *wire.Builder) {
		e.where(w)
		e.content(w.Key("part"), e.form, text)
	})
}

// where writes which item, and which part of it, an event is about.
func (e *responsesEncoder) where(w *wire.Builder) {
	w.StrMember("item_id", e.itemID(e.form, e.items-1)).Key("output_index").Int(e.items - 1)
	if e.form.index != "" {
		w.Key(e.form.index).Int(0)
	}
}

func (e *responsesEncoder) itemID(f *form, index int64) string {
	return f.prefix + e.to.ID + "_" + strconv.FormatInt(index, 10)
}

// say writes more of the item that goes on.
func (e *responsesEncoder) say(dst []byte, text llm.Lit) []byte {
	if e.form == nil || !wire.Filled(text) {
		return dst
	}
	e.text = append(e.text, text[1:len(text)-1]...)
	return e.frame(dst, e.form.event+".delta", func(w *wire.Builder) {
		e.where(w)
		w.Key("delta").Lit(text)
		if e.form == &textForm {
			w.Key("logprobs").List().EndList()
		}
	})
}

// done ends the item that goes on, if any.
func (e *responsesEncoder) done(dst []byte, status string) []byte {
	if e.form == nil {
		return dst
	}
	if e.form == &callForm && len(e.text) == 0 { // clients parse it
		dst = e.say(dst, emptyObject)
	}
	text := llm.Lit(append(append([]byte{'"'}, e.text...), '"'))
	if !e.part.Seal.Hidden || e.form != &thoughtForm {
		dst = e.frame(dst, e.form.event+".done", func(w *wire.Builder) {
			e.where(w)
			w.Key(e.form.text).Lit(text)
			if e.form == &textForm {
				w.Key("logprobs").List().EndList()
			}
		})
		if e.form.part != "" {
			dst = e.partFrame(dst, ".done", text)
		}
	}
	dst = e.frame(dst, "response.output_item.done", func(w *wire.Builder) {
		w.Key("output_index").Int(e.items - 1).Key("item")
		from := len(w.Bytes())
		e.item(w, &e.part, e.items-1, text, status)
		e.keep(w.Bytes()[from:])
	})
	e.form = nil
	return dst
}

// keep remembers an item for the response object at the end.
func (e *responsesEncoder) keep(item []byte) {
	if len(e.output) > 0 {
		e.output = append(e.output, ',')
	}
	e.output = append(e.output, item...)
}

// sealBefore writes what another provider attached to a call as an item before
// it: this format has no place within a call, and clients send such items back.
func (e *responsesEncoder) sealBefore(dst []byte, s llm.Seal) []byte {
	if s.Portable() == "" {
		return dst
	}
	s.Hidden = true
	return e.done(e.open(dst, llm.Part{Kind: llm.Thought, Seal: s}), "completed")
}

// item writes an output item; without a text it has only begun. Seals are always
// told, whether or not the client asked to include them: without its seal the next
// turn would lose the thought, and nobody but the client keeps it.
func (e *responsesEncoder) item(w *wire.Builder, p *llm.Part, index int64, text llm.Lit, status string) {
	f := formOf(p)
	w.Open().StrMember("id", e.itemID(f, index))
	switch p.Kind {
	case llm.ToolCall:
		e.call(w, f, &p.Call, text, status)
	case llm.Thought:
		w.StrMember("type", "reasoning").Key("summary").List()
		if text != nil && !p.Seal.Hidden {
			e.content(w, f, text)
		}
		w.EndList()
		if s := sealed(p.Seal); s != "" && text != nil {
			w.StrMember("encrypted_content", s)
		}
	default:
		w.StrMember("type", "message").StrMember("status", status).StrMember("role", "assistant").Key("content").List()
		if text != nil {
			e.content(w, f, text)
		}
		w.EndList()
	}
	w.Close()
}

// sealed is a seal as clients of this format carry it.
func sealed(s llm.Seal) string {
	if s.Origin == llm.ByOpenAI {
		return s.Data
	}
	return s.Portable()
}

// call writes the members of a tool call.
func (e *responsesEncoder) call(w *wire.Builder, f *form, c *llm.Call, text llm.Lit, status string) {
	typ := "function_call"
	if c.Free {
		typ = "custom_tool_call"
	}
	w.StrMember("type", typ).StrMember("status", status).StrMember("call_id", c.ID)
	space, name := e.unspaced(c.Name)
	if space != "" {
		w.StrMember("namespace", space)
	}
	w.StrMember("name", name).Key(f.text).Lit(wire.Join(nil, text))
}

// unspaced takes the name of a tool apart that spaced has made.
func (e *responsesEncoder) unspaced(name string) (space, own string) {
	if e.to.Request != nil {
		for _, t := range e.to.Request.Tools {
			if t.Space != "" && t.Name == name {
				return t.Space, name[len(spaced(t.Space, "")):]
			}
		}
	}
	return "", name
}

// content writes one part of an item.
func (e *responsesEncoder) content(w *wire.Builder, f *form, text llm.Lit) {
	w.Open().StrMember("type", f.typ).Key(f.text).Lit(text)
	if f == &textForm {
		w.Key("annotations").List().EndList().Key("logprobs").List().EndList()
	}
	w.Close()
}

// End implements wire.Encoder.
func (e *responsesEncoder) End(dst []byte, u llm.Usage) []byte {
	status := statusOf(e.finish)
	dst = e.done(e.begin(dst), status)
	return e.frame(dst, "response."+status, func(w *wire.Builder) {
		e.response(w.Key("response").Open(), status, u)
		w.Close()
	})
}

// incomplete are the reasons for answers that are cut short.
var incomplete = map[llm.Finish]string{
	llm.FinishLength: "max_output_tokens", llm.FinishFilter: "content_filter", llm.FinishRefusal: "content_filter",
}

func statusOf(f llm.Finish) string {
	if incomplete[f] != "" {
		return "incomplete"
	}
	return "completed"
}

// Whole implements wire.Encoder.
func (e *responsesEncoder) Whole(a *llm.Answer, u llm.Usage) ([]byte, error) {
	if len(a.Choices) != 1 {
		return nil, fault.Newf(fault.UpstreamInvalid, "the upstream gave %d answers", len(a.Choices))
	}
	c := a.Choices[0]
	e.model, e.finish = cmp.Or(a.Model, e.to.Model), c.Finish
	status := statusOf(c.Finish)
	for i, p := range c.Parts {
		own := "completed"
		if i == len(c.Parts)-1 {
			own = status
		}
		text := wire.Join(nil, p.Text)
		if p.Kind == llm.ToolCall {
			text = wire.Quote(string(p.Call.Input))
			if s := p.Seal; s.Portable() != "" {
				s.Hidden = true
				e.add(&llm.Part{Kind: llm.Thought, Seal: s}, emptyText, own)
			}
		}
		e.add(&p, text, own)
	}
	w := wire.NewBuilder(make([]byte, 0, 4096))
	e.response(w.Open(), status, u)
	return w.Close().Bytes(), nil
}

// add keeps a whole item.
func (e *responsesEncoder) add(p *llm.Part, text llm.Lit, status string) {
	w := wire.NewBuilder(nil)
	e.item(w, p, e.items, text, status)
	e.keep(w.Bytes())
	e.items++
}

// response writes the members of the response object.
func (e *responsesEncoder) response(w *wire.Builder, status string, u llm.Usage) {
	w.StrMember("id", "resp_"+e.to.ID).StrMember("object", "response").Key("created_at").Int(e.to.Created)
	w.StrMember("status", status).StrMember("model", cmp.Or(e.model, e.to.Model))
	w.Key("output").List()
	if status != "in_progress" && len(e.output) > 0 {
		w.Lit(e.output)
	}
	w.EndList().Key("error").Null().Key("incomplete_details")
	if status == "incomplete" {
		w.Open().StrMember("reason", incomplete[e.finish]).Close()
	} else {
		w.Null()
	}
	responseUsageMember(w, u)
	if e.echo == nil {
		e.echo = echo(e.to.Body)
	}
	for _, m := range e.echo {
		w.Key(m.name).Lit(m.lit)
	}
}

// member is one of an object that is written.
type member struct {
	name string
	lit  llm.Lit
}

// settings are the members of a response object that do not depend on the answer:
// the request's own where they repeat it, with what stands for those that it lacks.
// Most are required (openresponses.org, schema ResponseResource).
var settings = []struct {
	member
	repeats bool
}{
	{member{"background", llm.Lit(`false`)}, false},
	{member{"completed_at", nil}, false},
	{member{"frequency_penalty", llm.Lit(`0`)}, false},
	{member{"presence_penalty", llm.Lit(`0`)}, false},
	{member{"previous_response_id", nil}, true},
	{member{"service_tier", llm.Lit(`"default"`)}, false},
	{member{"store", llm.Lit(`true`)}, true},
	{member{"top_logprobs", llm.Lit(`0`)}, false},
	{member{"truncation", llm.Lit(`"disabled"`)}, false},
	{member{"instructions", nil}, true},
	{member{"max_output_tokens", nil}, true},
	{member{"max_tool_calls", nil}, true},
	{member{"metadata", llm.Lit(`{}`)}, true},
	{member{"parallel_tool_calls", llm.Lit(`true`)}, true},
	{member{"prompt_cache_key", nil}, true},
	{member{"safety_identifier", nil}, true},
	{member{"temperature", llm.Lit(`1`)}, true},
	{member{"tool_choice", llm.Lit(`"auto"`)}, true},
	{member{"top_p", llm.Lit(`1`)}, true},
	{member{"user", nil}, true},
}

// echo makes the members that repeat a request.
func echo(body []byte) []member {
	var all []member
	top := wire.Root(body).Fields()
	for _, m := range settings {
		if v := top.Take(m.name); m.repeats && v.Given() {
			m.lit = v.Lit()
		}
		all = append(all, m.member)
	}
	tools := wire.NewBuilder(nil).List()
	for v := range top.Take("tools").Elements() {
		if lit := v.Lit(); v.Fields().Take("type").Is("function") {
			tools.Lit(completed(v, member{"description", nil}, member{"parameters", nil}, member{"strict", nil}))
		} else {
			tools.Lit(lit)
		}
	}
	return append(all,
		member{"tools", tools.EndList().Bytes()},
		member{"reasoning", completed(top.Take("reasoning"), member{"effort", nil}, member{"summary", nil})},
		member{"text", completed(top.Take("text"), member{"format", llm.Lit(`{"type":"text"}`)})},
	)
}

// completed is an object of the request with the members that it lacks.
func completed(v wire.Value, required ...member) llm.Lit {
	w := wire.NewBuilder(nil).Open()
	f := v.Fields()
	for _, m := range required {
		if f.Take(m.name).Kind() == wire.Absent {
			w.Key(m.name).Lit(m.lit)
		}
	}
	if lit := v.Lit(); wire.Filled(lit) {
		w.Lit(lit[1 : len(lit)-1])
	}
	return w.Close().Bytes()
}

// responseUsageMember writes a claim in this API's members. What is unknown is
// null: it is not 0.
func responseUsageMember(w *wire.Builder, u llm.Usage) {
	w.Key("usage")
	if u.Status != llm.UsageClaimed {
		w.Null()
		return
	}
	t := u.Tokens
	w.Open().Key("input_tokens").Int(t.Prompt()).Key("input_tokens_details").Open()
	w.Key("cached_tokens").Int(t[llm.CacheRead]).Key("cache_write_tokens").Int(t[llm.CacheWrite5m] + t[llm.CacheWrite1h]).Close()
	w.Key("output_tokens").Int(t.Completion()).Key("output_tokens_details").Open().Key("reasoning_tokens").Int(t[llm.Reasoning]).Close()
	w.Key("total_tokens").Int(t.Prompt() + t.Completion()).Close()
}
