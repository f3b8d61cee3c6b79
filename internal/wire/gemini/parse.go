package gemini

import (
	"fmt"
	"strings"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// The members of a request that something here or behind depends on: variants of
// their names in other case are refused. Those with two spellings have two slots.
const (
	model    = iota
	contents // spelt one way only, as those before
	content1
	requests
	config
	configSnake
	inner
	innerSnake
	numRead // the members from here on are guarded, but not read
)

var guard = wire.NewGuard("model", "contents", "content", "requests", "generationConfig", "generation_config",
	"generateContentRequest", "generate_content_request",
	"tools", "toolConfig", "tool_config", "systemInstruction", "system_instruction", "safetySettings", "safety_settings",
	"cachedContent", "cached_content", "labels", "store")

const numMembers = numRead + 11

// The members of a generationConfig that are read.
const (
	maxOutput = iota
	maxOutputSnake
	candidates
	candidatesSnake
	numConfig
)

var (
	configGuard = wire.NewGuard("maxOutputTokens", "max_output_tokens", "candidateCount", "candidate_count")
	modelGuard  = wire.NewGuard("model")
)

// request is a scanned body and the call that is made of it.
type request struct {
	body []byte
	call *wire.Call
}

// Parse reads the body of a request. Members that nothing here depends on are left
// for the upstream to judge. The model is named by the path: where the body repeats
// it, in any of its places, call.Model is that name and call.Repeats says where;
// else it is empty, for the caller to fill in. Streams of this dialect always
// report usage, so there is never a UsageEdit.
func (Dialect) Parse(ep wire.Endpoint, body []byte, lim wire.Limits) (*wire.Call, error) {
	var at [numMembers]wire.Span
	if err := wire.Scan(body, lim, guard, at[:]); err != nil {
		return nil, err
	}
	r := request{body, &wire.Call{Endpoint: ep, Choices: 1, UsageAsked: true}}
	if err := r.repeats(at[model]); err != nil {
		return nil, err
	}
	var err error
	switch ep {
	case wire.GenerateContent:
		err = r.generate(&at)
	case wire.CountContent:
		err = r.count(&at)
	case wire.EmbedContent:
		if wire.KindOf(at[content1].Of(body)) != wire.Object {
			err = wire.Refuse("/content", "content must be an object")
		}
	case wire.BatchEmbedContents:
		err = r.batch(at[requests])
	default:
		err = fault.Wrap(fault.Internal, "", fmt.Errorf("endpoint %q of the gemini dialect takes no body", ep))
	}
	if err != nil {
		return nil, err
	}
	return r.call, nil
}

// one is the member that has two spellings; the error is of a body with both.
func (r request) one(camel, snake wire.Span) (wire.Span, error) {
	if camel == (wire.Span{}) {
		return snake, nil
	}
	if snake != (wire.Span{}) {
		return snake, wire.Refuse(wire.Pointer(r.body, snake.Start), "this member is given in two spellings")
	}
	return camel, nil
}

// repeats notes a place where the body names the model.
func (r request) repeats(at wire.Span) error {
	lit := at.Of(r.body)
	if k := wire.KindOf(lit); k == wire.Absent || k == wire.Null {
		return nil
	}
	name, whole := wire.Text(lit, wire.MaxModelName+len("models/"))
	if wire.KindOf(lit) != wire.String || !whole {
		return wire.Refuse(wire.Pointer(r.body, at.Start), "the model must be a name")
	}
	if name == "" {
		return nil
	}
	name = strings.TrimPrefix(name, "models/")
	if r.call.Model != "" && r.call.Model != name {
		return wire.Refuse(wire.Pointer(r.body, at.Start), "one request must be for one model")
	}
	r.call.Model = name
	r.call.Repeats = append(r.call.Repeats, at)
	return nil
}

func (r request) generate(at *[numMembers]wire.Span) error {
	if wire.KindOf(at[contents].Of(r.body)) != wire.Array {
		return wire.Refuse("/contents", "contents must be an array")
	}
	c, err := r.one(at[config], at[configSnake])
	if err != nil {
		return err
	}
	switch wire.KindOf(c.Of(r.body)) {
	case wire.Absent, wire.Null:
		return nil
	}
	var in [numConfig]wire.Span
	if err := wire.Lookup(r.body, c, configGuard, in[:]); err != nil {
		return err
	}
	if r.call.MaxOutput, err = r.bound(in[maxOutput], in[maxOutputSnake]); err != nil {
		return err
	}
	n, err := r.bound(in[candidates], in[candidatesSnake])
	r.call.Choices = max(n, 1)
	return err
}

// bound reads an integer that has two spellings.
func (r request) bound(camel, snake wire.Span) (int64, error) {
	at, err := r.one(camel, snake)
	if err != nil {
		return 0, err
	}
	n, ok := wire.Int(at.Of(r.body))
	if k := wire.KindOf(at.Of(r.body)); !ok && k != wire.Absent && k != wire.Null {
		return 0, wire.Refuse(wire.Pointer(r.body, at.Start), "this must be an integer")
	}
	return max(n, 0), nil
}

// count reads a request to count tokens: of contents, or of a whole request.
func (r request) count(at *[numMembers]wire.Span) error {
	whole, err := r.one(at[inner], at[innerSnake])
	if err != nil {
		return err
	}
	switch {
	case wire.KindOf(whole.Of(r.body)) == wire.Object:
		return r.within(whole)
	case wire.KindOf(at[contents].Of(r.body)) == wire.Array:
		return nil
	}
	return wire.Refuse("/contents", "the request has neither contents nor a generateContentRequest")
}

// within notes the model that an inner request names.
func (r request) within(object wire.Span) error {
	var at [1]wire.Span
	if err := wire.Lookup(r.body, object, modelGuard, at[:]); err != nil {
		return err
	}
	return r.repeats(at[0])
}

func (r request) batch(list wire.Span) error {
	if wire.KindOf(list.Of(r.body)) != wire.Array {
		return wire.Refuse("/requests", "requests must be an array")
	}
	for at := range wire.Elements(r.body, list) {
		if err := r.within(at); err != nil {
			return err
		}
	}
	return nil
}
