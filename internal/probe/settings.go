package probe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Models that reason refuse settings that others take: OpenAI's take no top_p, no
// temperature but 1, and max_completion_tokens in the place of max_tokens
// (platform.openai.com/docs/guides/reasoning). A setting that was refused is not sent
// again, to nobody, so that both sides of a comparison get the same. Which ones are
// follows from the replies in the order of the questions, so that a replay comes to the
// same. Settings that a question is about, as log probabilities, are not among them:
// that they are refused is the answer.

// setting is one that a question carries beside its text.
type setting struct {
	name  string
	usual string               // its default, which is refused only where the setting itself is
	value func(q *Ask) string  // empty where the question does not carry it
	leave func(q *Ask)         // takes it out, or makes it the next one
	stays func(p *Plan) string // how the plan's reference was recorded with it; empty where it was not
}

// settings are all of them. Where a refusal names several, as that temperature and top_p
// exclude each other, the first is left out.
var settings = []setting{
	{
		"top_p", "1", func(q *Ask) string { return decimalOf(q.TopP) }, func(q *Ask) { q.TopP = nil },
		func(p *Plan) string { return p.Reference.Protocol.TopP },
	},
	{
		"temperature", "1", func(q *Ask) string { return decimalOf(q.Temperature) }, func(q *Ask) { q.Temperature = nil },
		func(p *Plan) string { return p.Reference.Protocol.Temperature },
	},
	{
		oldLimit, "", func(q *Ask) string { return bounded(q, "") }, func(q *Ask) { q.Limit = newLimit },
		func(*Plan) string { return recordedDefault }, // by its other name it is the same
	},
	{
		newLimit, "", func(q *Ask) string { return bounded(q, newLimit) }, func(q *Ask) { q.Limit, q.MaxTokens = "", 0 },
		func(p *Plan) string { return strconv.FormatInt(p.Reference.Protocol.MaxTokens, 10) },
	},
}

// The names that bound answers: the usual one, and the one where that is refused.
const (
	oldLimit = "max_tokens"
	newLimit = "max_completion_tokens"
)

func decimalOf(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

func bounded(q *Ask, name string) string {
	if q.MaxTokens == 0 || q.Limit != name {
		return ""
	}
	return strconv.FormatInt(q.MaxTokens, 10)
}

// unwanted are the settings that were refused, by key.
type unwanted []string

// settle learns, from questions that carry all settings, what is refused, until one is
// answered or refused for something else. It returns the last reply.
func (p *unwanted) settle(q Ask, ask func(n int, q *Ask) *Reply) *Reply {
	r := ask(0, new(q))
	for n := 1; p.learn(&q, r) || p.suspectAll(&q, r); n++ {
		p.fit(&q)
		r = ask(n, new(q))
	}
	return r
}

// key is how a refused setting of a question is noted: by its name where it is refused
// whatever its value, as its usual one is, else with its value.
func (s *setting) key(q *Ask) string {
	if v := s.value(q); s.usual != "" && v != s.usual {
		return s.name + " " + v
	}
	return s.name
}

// fit takes out of a question what the endpoint was seen to refuse, and returns how it
// differs then; empty where it does not.
func (p *unwanted) fit(q *Ask) (left []string) {
	if q.Native != nil {
		return nil
	}
	for i := range settings {
		s := &settings[i]
		if s.value(q) == "" || !slices.Contains(*p, s.name) && !slices.Contains(*p, s.key(q)) {
			continue
		}
		if s.leave(q); s.name != oldLimit {
			left = append(left, s.name)
		}
	}
	return left
}

// unsupported matches what endpoints say of a setting that they do not take at all, or not
// at this value; not that a value is out of range.
var unsupported = regexp.MustCompile(`(?i)unsupported|not support|n't support|not permitted|not allowed|unrecognized|unknown|only the default|may only be set|cannot both|deprecated`)

// learn notes which setting of a question a reply refuses; false where it names none, or
// the question has members that should be refused.
func (p *unwanted) learn(q *Ask, r *Reply) bool {
	if !refusal(r) || q.Native != nil || q.Extra != nil || r.Failure == nil {
		return false
	}
	text := r.Failure.Code + " " + r.Failure.Message
	var body struct{ Error struct{ Param string } }
	_ = json.Unmarshal(r.Body, &body) // others than OpenAI's have no such member
	i := slices.IndexFunc(settings, func(s setting) bool {
		return s.value(q) != "" && (body.Error.Param == s.name || body.Error.Param == "" && strings.Contains(text, s.name))
	})
	if i < 0 || !unsupported.MatchString(text) {
		return false
	}
	p.note(settings[i].key(q))
	return true
}

// suspectAll notes all settings that a question carries but its bound: it is refused for one
// of them that is not named, if it is not without any.
func (p *unwanted) suspectAll(q *Ask, r *Reply) bool {
	if !refusal(r) || q.TopP == nil && q.Temperature == nil {
		return false
	}
	for i := range settings {
		if s := &settings[i]; s.usual != "" && s.value(q) != "" {
			p.note(s.key(q))
		}
	}
	return true
}

func (p *unwanted) note(key string) {
	if !slices.Contains(*p, key) {
		*p = append(*p, key)
	}
}

// leftOut are the settings that questions went without. By its other name a bound is none
// of them.
func (p unwanted) leftOut() []string {
	return slices.DeleteFunc(slices.Clone(p), func(key string) bool { return key == oldLimit })
}

// refusal reports whether a reply says that the request itself is wrong.
func refusal(r *Reply) bool {
	return r.Outcome == Refused && (r.Status == http.StatusBadRequest || r.Status == http.StatusUnprocessableEntity)
}

// recordedWithout are the settings that the plan's reference was recorded without, since
// its source refuses them: then nobody is sent them.
func (p *Plan) recordedWithout() (left unwanted) {
	if p.Reference == nil {
		return nil
	}
	protocol := p.Reference.Protocol
	if protocol.Temperature == recordedDefault {
		left.note("temperature")
	}
	if protocol.TopP == recordedDefault && (protocol.Dress == "" || protocol.Dress == PlainDress) { // dressed questions have none
		left.note("top_p")
	}
	return left
}

// recordedDefault is what a protocol says of a setting that was left to the endpoint.
const recordedDefault = "default"

// recordedWith reports whether the plan's reference was recorded with a setting.
func (p *Plan) recordedWith(s *setting) bool {
	had := s.stays(p)
	return had != recordedDefault && had != "0"
}

// otherwise says why answers cannot be compared with the reference's: it was recorded with
// a setting that the endpoint does not take. It is empty when they can.
func (p *Plan) otherwise() string {
	for i := range settings {
		s := &settings[i]
		if slices.Contains(p.refused, s.name) && p.recordedWith(s) {
			return fmt.Sprintf("the reference was recorded with %s, which the endpoint refuses: that is not the same protocol", s.name)
		}
	}
	return ""
}
