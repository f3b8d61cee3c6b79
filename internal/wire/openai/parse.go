package openai

import (
	"bytes"
	"fmt"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// The members of a request that something here or behind depends on: variants of
// their names in other case are refused.
const (
	model = iota
	stream
	streamOptions
	maxTokens
	maxCompletionTokens
	maxOutputTokens
	messages
	input
	choices
	prompt
	previousResponse
	conversation
	numRead // the members from here on are guarded, but not read
)

var guard = wire.NewGuard("model", "stream", "stream_options", "max_tokens", "max_completion_tokens",
	"max_output_tokens", "messages", "input", "n", "prompt", "previous_response_id", "conversation",
	"tools", "user", "store", "metadata", "service_tier")

const numMembers = numRead + 5

// parsed keeps a call and its edit in one piece of memory.
type parsed struct {
	call wire.Call
	edit wire.Edit
}

// request is a scanned body with the spans of the guarded members.
type request struct {
	body []byte
	at   [numMembers]wire.Span
}

func (r *request) lit(member int) []byte { return r.at[member].Of(r.body) }

// Parse reads the JSON body of a request. Members that
// nothing here depends on are left for the upstream to judge.
func (Dialect) Parse(ep wire.Endpoint, body []byte, lim wire.Limits) (*wire.Call, error) {
	r := request{body: body}
	if err := wire.Scan(body, lim, guard, r.at[:]); err != nil {
		return nil, err
	}
	p := &parsed{call: wire.Call{Endpoint: ep, ModelSpan: r.at[model], Choices: 1}}
	c := &p.call
	var err error
	if ep == wire.Moderations && wire.KindOf(r.lit(model)) == wire.Absent {
		r.unnamed(c)
	} else if c.Model, err = wire.ModelName(r.lit(model)); err != nil {
		return nil, err
	}
	if c.Stream, err = wire.Flag(r.lit(stream), "/stream"); err != nil {
		return nil, err
	}
	switch ep {
	case wire.Chat:
		err = r.chat(p)
	case wire.Responses:
		err = r.responses(c)
	case wire.Compact:
		c.Stream = false
		err = r.responses(c)
	case wire.Embeddings:
		c.Stream = false
		if k := wire.KindOf(r.lit(input)); k == wire.Absent || k == wire.Null {
			err = wire.Refuse("/input", "the request has no input")
		}
	case wire.Images, wire.Speech, wire.Moderations, wire.Rerank:
		err = r.media(c)
	default:
		err = fault.Wrap(fault.Internal, "", fmt.Errorf("endpoint %q of the openai dialect takes no body", ep))
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (r *request) chat(p *parsed) error {
	c := &p.call
	if wire.KindOf(r.lit(messages)) != wire.Array {
		return wire.Refuse("/messages", "messages must be an array")
	}
	old, err := wire.Bound(r.lit(maxTokens), "/max_tokens")
	if err != nil {
		return err
	}
	bound, err := wire.Bound(r.lit(maxCompletionTokens), "/max_completion_tokens")
	if err != nil {
		return err
	}
	c.MaxOutput = max(old, bound) // upstreams differ in which of the two counts
	n, err := wire.Bound(r.lit(choices), "/n")
	if err != nil {
		return err
	}
	c.Choices = max(n, 1)
	edit, err := r.usage(c)
	if err != nil {
		return err
	}
	if edit.With != nil && c.Stream {
		p.edit = edit
		c.UsageEdit = &p.edit
	}
	return nil
}

func (r *request) responses(c *wire.Call) (err error) {
	if c.MaxOutput, err = wire.Bound(r.lit(maxOutputTokens), "/max_output_tokens"); err != nil {
		return err
	}
	for _, source := range []int{input, prompt, previousResponse, conversation} {
		if k := wire.KindOf(r.lit(source)); k != wire.Absent && k != wire.Null {
			return nil
		}
	}
	return wire.Refuse("/input", "the request has neither input nor anything to take it from")
}

// What makes an upstream report usage in a chat stream. Never changed.
var (
	wholeOptions = []byte(`"stream_options":{"include_usage":true},`)
	newOptions   = []byte(`{"include_usage":true}`)
	onlyOption   = []byte(`"include_usage":true`)
	firstOption  = []byte(`"include_usage":true,`)
	optionOn     = []byte(`true`)
)

var optionGuard = wire.NewGuard("include_usage")

// usage reads stream_options: whether the client asks for usage, and else the
// edit that asks for it and changes nothing besides.
func (r *request) usage(c *wire.Call) (wire.Edit, error) {
	at := r.at[streamOptions]
	switch wire.KindOf(r.lit(streamOptions)) {
	case wire.Absent: // the body has at least a model, so a comma follows
		top := bytes.IndexByte(r.body, '{') + 1
		return wire.Edit{Span: wire.Span{Start: top, End: top}, With: wholeOptions}, nil
	case wire.Null:
		return wire.Edit{Span: at, With: newOptions}, nil
	case wire.Object:
	default:
		return wire.Edit{}, wire.Refuse("/stream_options", "stream_options must be an object")
	}
	var found [1]wire.Span
	if err := wire.Lookup(r.body, at, optionGuard, found[:]); err != nil {
		return wire.Edit{}, err
	}
	lit := found[0].Of(r.body)
	on, err := wire.Flag(lit, "/stream_options/include_usage")
	switch {
	case err != nil:
		return wire.Edit{}, err
	case on:
		c.UsageAsked = true
		return wire.Edit{}, nil
	case wire.KindOf(lit) != wire.Absent:
		return wire.Edit{Span: found[0], With: optionOn}, nil
	}
	e := wire.Edit{Span: wire.Span{Start: at.Start + 1, End: at.Start + 1}, With: firstOption}
	if !wire.Filled(r.lit(streamOptions)) {
		e.With = onlyOption
	}
	return e, nil
}
