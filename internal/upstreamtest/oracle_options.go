package upstreamtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are how a request wants its answer drawn, in any form.
type options struct {
	Temperature *float64           `json:"temperature"`
	TopP        *float64           `json:"top_p"`
	Seed        *int64             `json:"seed"`
	Stop        json.RawMessage    `json:"stop"`
	Sequences   []string           `json:"stop_sequences"`
	LogitBias   map[string]float64 `json:"logit_bias"`
	Logprobs    bool               `json:"logprobs"`
	TopLogprobs *int               `json:"top_logprobs"`
	Effort      string             `json:"reasoning_effort"`
	MaxTokens   *int64             `json:"max_tokens"`
	MaxNew      *int64             `json:"max_completion_tokens"`
	Frequency   *float64           `json:"frequency_penalty"`
	Presence    *float64           `json:"presence_penalty"`
	Generation  struct {
		Temperature *float64 `json:"temperature"`
		TopP        *float64 `json:"topP"`
		Seed        *int64   `json:"seed"`
		Sequences   []string `json:"stopSequences"`
	} `json:"generationConfig"`
}

func (o *options) temperature() float64 {
	if o.Temperature == nil {
		return 1
	}
	return *o.Temperature
}

func (o *options) stops() []string {
	var one string
	var many []string
	if json.Unmarshal(o.Stop, &one) == nil && one != "" {
		return []string{one}
	}
	if json.Unmarshal(o.Stop, &many) == nil && many != nil {
		return many
	}
	return o.Sequences
}

// The members that the vendors' APIs know; an Oracle refuses others as they do
// (platform.openai.com/docs/api-reference/chat/create,
// platform.claude.com/docs/en/api/messages).
var (
	chatMembers = strings.Fields("audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages " +
		"metadata modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort " +
		"response_format safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p " +
		"user verbosity web_search_options")
	messagesMembers = strings.Fields("cache_control container context_management inference_geo max_tokens mcp_servers messages metadata model output_config " +
		"service_tier stop_sequences stream system temperature thinking tool_choice tools top_k top_p")
)

// readOptions reads them, and refuses what the vendor refuses: members that it does
// not know and values out of range.
func readOptions(v Vendor, path string, body []byte) (options, *fault) {
	var o options
	members := map[string]json.RawMessage{}
	if json.Unmarshal(body, &members) != nil {
		return o, invalidType(v, "")
	}
	known := map[string][]string{"/v1/chat/completions": chatMembers, "/v1/messages": messagesMembers}[path]
	for _, name := range sortedKeys(members) {
		if known == nil || slices.Contains(known, name) {
			continue
		}
		if v == Anthropic {
			return o, invalid(name + ": Extra inputs are not permitted")
		}
		f := badRequest(name, fmt.Sprintf("Unknown parameter: '%s'.", name))
		f.kind = "unknown_parameter"
		return o, f
	}
	if err := json.Unmarshal(body, &o); err != nil {
		var field string
		if wrong, ok := err.(*json.UnmarshalTypeError); ok {
			field = wrong.Field
		}
		return o, invalidType(v, field)
	}
	if v == Gemini {
		o.Temperature, o.TopP, o.Seed, o.Sequences = o.Generation.Temperature, o.Generation.TopP, o.Generation.Seed, o.Generation.Sequences
	}
	return o, o.check(v)
}

// refuse refuses the members that the model does not take, in OpenAI's words
// (platform.openai.com/docs/guides/reasoning).
func (o *Oracle) refuse(body []byte) *fault {
	var members map[string]json.RawMessage
	if len(o.Refuses) == 0 || json.Unmarshal(body, &members) != nil {
		return nil
	}
	for _, r := range o.Refuses {
		name, only, one := strings.Cut(r, "=")
		got, given := members[name]
		switch {
		case !given || one && string(got) == only:
			continue
		case one:
			f := badRequest(name, fmt.Sprintf("Unsupported value: '%s' does not support %s with this model. Only the default (%s) value is supported.", name, got, only))
			f.kind = "unsupported_value"
			return f
		}
		f := badRequest(name, fmt.Sprintf("Unsupported parameter: '%s' is not supported with this model.", name))
		if f.kind = "unsupported_parameter"; name == "max_tokens" {
			f.message += " Use 'max_completion_tokens' instead."
		}
		return f
	}
	return nil
}

func invalidType(v Vendor, field string) *fault {
	if v == Anthropic {
		return invalid(field + ": Input should be of another type")
	}
	f := badRequest(field, fmt.Sprintf("Invalid type for '%s'.", field))
	f.kind = "invalid_type"
	return f
}

// check refuses values out of range.
func (o *options) check(v Vendor) *fault {
	hottest := 2.0
	if v == Anthropic {
		hottest = 1
	}
	type bound struct {
		name      string
		value     *float64
		low, high float64
	}
	real := func(n *int64) *float64 {
		if n == nil {
			return nil
		}
		return new(float64(*n))
	}
	bounds := []bound{
		{"temperature", o.Temperature, 0, hottest},
		{"top_p", o.TopP, 0, 1},
		{"frequency_penalty", o.Frequency, -2, 2},
		{"presence_penalty", o.Presence, -2, 2},
		{"max_tokens", real(o.MaxTokens), 1, math.MaxInt64},
		{"max_completion_tokens", real(o.MaxNew), 1, math.MaxInt64},
	}
	for _, id := range sortedKeys(o.LogitBias) {
		bounds = append(bounds, bound{"logit_bias." + id, new(o.LogitBias[id]), -100, 100})
	}
	if o.TopLogprobs != nil {
		bounds = append(bounds, bound{"top_logprobs", new(float64(*o.TopLogprobs)), 0, 20})
		if !o.Logprobs {
			return badRequest("top_logprobs", "Invalid value for 'top_logprobs': it is only allowed when 'logprobs' is enabled.")
		}
	}
	for _, b := range bounds {
		if b.value != nil && !(*b.value >= b.low && *b.value <= b.high) {
			return outOfRange(v, b.name, *b.value, b.low, b.high)
		}
	}
	return nil
}

func outOfRange(v Vendor, name string, got, low, high float64) *fault {
	side, sign, bound := "below_min", ">=", low
	words := "below minimum"
	if got > high {
		side, sign, bound, words = "above_max", "<=", high, "above maximum"
	}
	if v == Anthropic {
		return invalid(fmt.Sprintf("%s: Input should be %s %v", name, map[string]string{">=": "greater than or equal to", "<=": "less than or equal to"}[sign], bound))
	}
	kind := "decimal"
	if strings.HasPrefix(name, "max_") || name == "top_logprobs" {
		kind = "integer"
	}
	f := badRequest(name, fmt.Sprintf("Invalid '%s': %s %s value. Expected a value %s %v, but got %v instead.", name, kind, words, sign, bound, got))
	f.kind = kind + "_" + side + "_value"
	return f
}

// token is what an id stands for in the model's vocabulary. Where it has none, ids
// stand for words of a list of its own.
func (o *Oracle) token(id string) (string, bool) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return "", false
	}
	if o.Tokens == nil {
		return " " + foreignWords[n%uint64(len(foreignWords))], true
	}
	text, err := o.Tokens.Text(uint(n))
	return text, err == nil
}

// logprobs are the log probabilities of the tokens of a text, null when none were
// asked for. Those of a cell's answer are the cell's own; others are made up.
func (x *exchange) logprobs(text string) any {
	d := &x.drawn
	if x.s.cfg.Oracle == nil || !d.o.Logprobs || text == "" {
		return nil
	}
	content := list{}
	for _, piece := range x.pieces(text, 0) {
		odds := Distribution{piece: .9, piece + "s": .1}
		if d.odds[piece] > 0 {
			odds = d.odds
		}
		entry := logprob(piece, odds[piece])
		top := list{}
		if d.o.TopLogprobs != nil {
			for _, token := range odds.likeliest(*d.o.TopLogprobs) {
				top = append(top, logprob(token, odds[token]))
			}
		}
		content = append(content, entry.with("top_logprobs", top))
	}
	return obj("content", content, "refusal", nil)
}

func logprob(token string, p float64) raw {
	bytes := list{}
	for _, b := range []byte(token) {
		bytes = append(bytes, appendJSON(nil, int(b)))
	}
	return obj("token", token, "logprob", math.Log(p), "bytes", bytes)
}

// pace is when the parts of an Oracle's answer come.
type pace struct {
	first  time.Duration
	tokens int64
	step   func() time.Duration // from one token to the next
}

// pace draws the times of an answer.
func (x *exchange) pace() pace {
	o, d := x.s.cfg.Oracle, &x.drawn
	if o == nil || d.random == nil {
		return pace{}
	}
	random := source(o.Seed, "pace", d.number)
	p := pace{first: jittered(random, o.First, o.Jitter), tokens: d.generated}
	if o.Rate > 0 {
		p.step = func() time.Duration { return jittered(random, time.Duration(float64(time.Second)/o.Rate), o.Jitter) }
		for range x.b.Reasoning { // hidden tokens take their time before the first that is seen
			p.first += p.step()
		}
		p.tokens = max(p.tokens-x.b.Reasoning, 0)
	}
	return p
}

// jittered draws from the log-normal distribution of a mean and a coefficient of
// variation.
func jittered(r *rand.Rand, mean time.Duration, cv float64) time.Duration {
	sigma := math.Sqrt(math.Log(1 + cv*cv))
	return time.Duration(float64(mean) * math.Exp(sigma*r.NormFloat64()-sigma*sigma/2))
}

func (p pace) gap() time.Duration {
	if p.step == nil {
		return 0
	}
	return p.step()
}

// whole is how long an answer takes that is written when all of it is there.
func (p pace) whole(stream bool) time.Duration {
	if stream {
		return 0
	}
	t := p.first
	for range p.tokens {
		t += p.gap()
	}
	return t
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
