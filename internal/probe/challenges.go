package probe

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/tokens"
)

// codeTimes is how often a code word is asked for before a system prompt is said to be
// known, or to be unknown where a message is not; unknown it must be twice as often.
// A weak model that knows it with any chance p at all is recorded as knowing it and
// then taken for one that does not with a chance of at most p^3 (1-p)^6 <= 0.0033,
// which is below FactPrior.
const codeTimes = 3

// systemPrompt tells a code word in the system prompt and asks for it, and does the
// same where a message tells it, since a weak model may not know it even so. The words
// are plain: what sounds like an attempt to override the user is refused.
func systemPrompt(c *causal, _ json.RawMessage) (came, string) {
	known, told := c.codes(true, codeTimes), c.codes(false, codeTimes)
	asked := codeTimes
	if known == 0 && told == codeTimes {
		known = c.codes(true, codeTimes)
		asked += codeTimes
	}
	if known < 0 || told < 0 {
		return unclear, "not all questions were answered"
	}
	saw := fmt.Sprintf("a code word was known %d times of %d when the system prompt told it, and %d of %d when a message did", known, asked, told, codeTimes)
	switch {
	case known == codeTimes && asked == codeTimes:
		return asClaimed, saw
	case known == 0 && asked > codeTimes:
		return missing, saw
	}
	return unclear, saw
}

// codes asks for code words and returns how many were known; -1 when a question was
// not answered.
func (c *causal) codes(system bool, times int) int {
	const question = "What is the code word? Answer with the code word only."
	var asks []Ask
	var words []string
	for range times {
		word := "QX-" + c.nonce()
		told := "The code word is " + word + "."
		a := Ask{System: told + " Tell it to whoever asks for it.", Turns: User(question), MaxTokens: 512}
		if !system {
			a.System, a.Turns = "", []Turn{{"user", told}, {"assistant", "Noted."}, {"user", question}}
		}
		asks, words = append(asks, a), append(words, word)
	}
	replies, all := c.must(asks...)
	if !all {
		return -1
	}
	known := 0
	for i, r := range replies {
		if strings.Contains(strings.ToLower(r.Text), strings.ToLower(words[i])) {
			known++
		}
	}
	return known
}

// ended sums up requests that should be refused: refused is asClaimed.
func ended(replies ...*Reply) came {
	switch {
	case slices.ContainsFunc(replies, failure):
		return unclear
	case !slices.ContainsFunc(replies, (*Reply).OK):
		return asClaimed
	case !slices.ContainsFunc(replies, func(r *Reply) bool { return !r.OK() }):
		return accepted
	}
	return unclear
}

// unknownModel asks for a model that does not exist, and for another one when that is
// answered.
func unknownModel(c *causal, _ json.RawMessage) (came, string) {
	ask := func() *Reply {
		a := c.plain()
		a.Model = "no-such-model-" + c.nonce()
		return c.ask(a)[0]
	}
	replies := []*Reply{ask()}
	if replies[0].OK() {
		replies = append(replies, ask())
	}
	return ended(replies...), "a model that does not exist was asked for; " + statuses(replies)
}

// credentials asks with a wrong key and without one, and again what was answered.
func credentials(c *causal, _ json.RawMessage) (came, string) {
	if !c.Keyed {
		return unclear, "the questions carry no key"
	}
	ask := func(with Credential) []*Reply {
		a := c.plain()
		a.Credential = with
		replies := c.ask(a)
		if replies[0].OK() {
			a.Turns = c.plain().Turns
			replies = append(replies, c.ask(a)...)
		}
		return replies
	}
	wrong, none := ask(WrongKey), ask(NoKey)
	end := ended(wrong...)
	if other := ended(none...); end != accepted && other != asClaimed {
		end = other
	}
	return end, "with a wrong key " + statuses(wrong) + ", without one " + statuses(none)
}

// statuses tells how questions ended.
func statuses(replies []*Reply) string {
	var all []string
	for _, r := range replies {
		all = append(all, string(r.Outcome))
	}
	return strings.Join(all, ", then ")
}

// with is a plain question with members added to its body. Translation would leave out
// what the format does not know, so other formats than OpenAI's are written here.
func (c *causal) with(members json.RawMessage) Ask {
	a := c.plain()
	text := a.Turns[0].Text
	switch c.Kind {
	case "anthropic":
		return Ask{MaxTokens: 2048, Native: merged(map[string]any{
			"model": c.Model, "max_tokens": 2048, "messages": []any{map[string]any{"role": "user", "content": text}},
		}, members)}
	case "gemini":
		return Ask{MaxTokens: 64, Native: merged(map[string]any{
			"contents":         []any{map[string]any{"role": "user", "parts": []any{map[string]any{"text": text}}}},
			"generationConfig": map[string]any{"maxOutputTokens": 64},
		}, members)}
	}
	a.Extra = members
	return a
}

// merged is an object with the members of another one added.
func merged(body map[string]any, members json.RawMessage) json.RawMessage {
	if members != nil {
		if err := json.Unmarshal(members, &body); err != nil {
			panic("probe: members that are no object: " + err.Error()) // facts were checked
		}
	}
	return json.RawMessage(jsonOf(body))
}

// unknownMember sends a member that no API knows. Where it is accepted, the request
// that the vendor would see is another one.
func unknownMember(c *causal, _ json.RawMessage) (came, string) {
	name := "x_" + c.nonce()
	r := c.ask(c.with(json.RawMessage(fmt.Sprintf("{%q:true}", name))))[0]
	switch {
	case r.OK():
		return accepted, "a member that no API knows was accepted, so requests are rebuilt by a layer or members dropped"
	case r.Outcome == Refused && strings.Contains(string(r.Body), name):
		return asClaimed, "a member that no API knows was refused by its name"
	case r.Outcome == Refused:
		return refused, "a member that no API knows was refused"
	}
	return unclear, string(r.Outcome)
}

// refusedMember sends a member that the claimed model refuses by documentation. That
// it is accepted shows only a layer that drops it.
func refusedMember(c *causal, members json.RawMessage) (came, string) {
	r := c.ask(c.with(members))[0]
	saw := fmt.Sprintf("%s, which the claimed model refuses: %s", members, r.Outcome)
	if r.OK() {
		return accepted, saw + ", so a layer drops members or another model answers"
	}
	return ended(r), saw
}

// strictSchema asks for prose under a strict schema that admits one object only. Prose
// means that the schema did not reach the decoder.
func strictSchema(c *causal, _ json.RawMessage) (came, string) {
	code := "QX-" + c.nonce()
	a := c.plain()
	a.MaxTokens = 256
	a.Schema = fmt.Sprintf(`{"type":"object","properties":{"code":{"type":"string","enum":[%q]}},"required":["code"],"additionalProperties":false}`, code)
	r := c.ask(a)[0]
	var answer struct {
		Code string `json:"code"`
	}
	switch {
	case r.Outcome == Refused:
		return refused, "a strict schema was refused"
	case !r.OK():
		return unclear, string(r.Outcome)
	case json.Unmarshal([]byte(r.Text), &answer) == nil && answer.Code == code:
		return asClaimed, "the answer has the one form that the schema admits"
	}
	return notApplied, "the answer does not follow the schema, which did not reach the decoder"
}

// plainToken is a token that an answer shows as it is.
var plainToken = regexp.MustCompile(`^ [a-z]{4,10}$`)

// biasRange bounds the numbers of tokens to those that nearly all vocabularies have.
const biasRange = 30_000

// logitBias leaves only one token to choose, drawn anew each time, by its number in the
// published vocabulary of the claimed model. A backend with another vocabulary repeats
// another text, and another one for each number; one that never sees the bias answers
// the question.
func logitBias(c *causal, _ json.RawMessage) (came, string) {
	v := tokens.Of(c.Model)
	if v == nil {
		return unclear, "the vocabulary of the model is not published"
	}
	var asks []Ask
	var words []string
	for len(asks) < 2 {
		id := uint(c.random.IntN(biasRange))
		text, err := v.Text(id)
		if err != nil || !plainToken.MatchString(text) {
			continue
		}
		asks = append(asks, Ask{Turns: User("Name a month of the year."), MaxTokens: 8, Bias: map[string]int{fmt.Sprint(id): 100}})
		words = append(words, text[1:])
	}
	var others []string
	for i, r := range c.ask(asks...) {
		switch {
		case r.Outcome == Refused:
			return refused, "a logit bias was refused"
		case !r.OK():
			return unclear, string(r.Outcome)
		case strings.Contains(r.Text, words[i]):
			return asClaimed, "the answer is the token that its number stands for"
		}
		if unit := repeated(r.Text); unit != "" {
			others = append(others, unit)
		}
	}
	if len(others) == 2 && others[0] != others[1] {
		return foreign, fmt.Sprintf("the tokens %q were answered by %q", words, others)
	}
	return notApplied, "a logit bias had no effect"
}

// repeated is the text that an answer repeats three times or more, spaces aside; empty
// when it repeats none.
func repeated(text string) string {
	text = strings.Join(strings.Fields(text[:min(len(text), 256)]), "")
	for n := 1; 3*n <= len(text); n++ {
		if strings.HasPrefix(strings.Repeat(text[:n], len(text)/n+1), text) {
			return text[:n]
		}
	}
	return ""
}

// canonical is the share of bounds between tokens that must be those that the
// vocabulary gives for the same text. Models hardly ever write a text otherwise.
const canonical = .9

// tokensOfAnswers has a line copied that vocabularies cut differently, and compares
// the tokens that the log probabilities name with those of the published vocabulary.
func tokensOfAnswers(c *causal, _ json.RawMessage) (came, string) {
	v := tokens.Of(c.Model)
	if v == nil {
		return unclear, "the vocabulary of the model is not published"
	}
	var asks []Ask
	for range 2 {
		line := fmt.Sprintf("Rechnung %d/%d, straßenbahnHaltestelle, Молоко и хлеб, 東京タワー, getUserNameById(%d);", c.random.IntN(1e9), c.random.IntN(1e9), c.random.IntN(1e9))
		asks = append(asks, Ask{Turns: User("Copy this line exactly: " + line), MaxTokens: 160, Logprobs: 1})
	}
	below := 0
	var shares []string
	for _, r := range c.ask(asks...) {
		if r.Outcome == Refused {
			return refused, "log probabilities were refused"
		}
		told := toldTokens(r.Body)
		if !r.OK() || len(told) == 0 {
			return notApplied, "no log probabilities were told"
		}
		text := strings.Join(told, "")
		want, err := v.Split(text)
		if err != nil || text != r.Text {
			return unclear, "the tokens that were told are not the answer"
		}
		share := alike(told, want)
		if share < canonical {
			below++
		}
		shares = append(shares, fmt.Sprintf("%.2f", share))
	}
	saw := "share of equal bounds between tokens " + strings.Join(shares, " and ")
	switch below {
	case 0:
		return asClaimed, saw
	case len(asks):
		return foreign, saw
	}
	return unclear, saw
}

// toldTokens are the tokens of a chat completion as its log probabilities name them.
// One that ends within a character is told by its bytes.
func toldTokens(body json.RawMessage) []string {
	var answer struct {
		Choices []struct {
			Logprobs struct {
				Content []struct {
					Token string
					Bytes []uint16
				}
			}
		}
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Choices) == 0 {
		return nil
	}
	var told []string
	for _, t := range answer.Choices[0].Logprobs.Content {
		if len(t.Bytes) > 0 {
			b := make([]byte, len(t.Bytes))
			for i, x := range t.Bytes {
				b[i] = byte(x)
			}
			t.Token = string(b)
		}
		told = append(told, t.Token)
	}
	return told
}

// alike is the share of bounds that two ways to cut one text have in common.
func alike(a, b []string) float64 {
	bounds := map[int]int{}
	for _, parts := range [][]string{a, b} {
		at := 0
		for _, p := range parts {
			at += len(p)
			bounds[at]++
		}
	}
	both := 0
	for _, n := range bounds {
		if n > 1 {
			both++
		}
	}
	return float64(both) / float64(len(bounds))
}

// modelFamilies are words of models' names that tell who made them.
var modelFamilies = []string{
	"claude", "gpt", "gemini", "gemma", "llama", "qwen", "deepseek", "mistral", "mixtral", "glm", "kimi", "grok", "command-r", "phi-", "smollm",
	"minimax", "ernie", "hunyuan", "nova-", "granite", "nemotron", "doubao",
}

// oSeries are the names of OpenAI's models that do not say so.
var oSeries = regexp.MustCompile(`^o[134]\b`)

// families are those that a name holds, without the publisher before it.
func families(model string) []string {
	model = bareModel(model)
	var in []string
	if oSeries.MatchString(model) {
		in = append(in, "gpt")
	}
	for _, f := range modelFamilies {
		if strings.Contains(model, f) {
			in = append(in, f)
		}
	}
	return in
}

// modelEcho looks at the models that answers name. Another family speaks against the
// claim; the same name proves nothing, for it is easily written.
func modelEcho(c *causal, _ json.RawMessage) (came, string) {
	asked := families(c.Model)
	named, others, example := 0, 0, ""
	for _, r := range c.own {
		if !r.OK() || r.Model == "" {
			continue
		}
		named++
		in := families(r.Model)
		related := slices.ContainsFunc(in, func(f string) bool { return slices.Contains(asked, f) })
		if len(in) > 0 && !related && !strings.Contains(strings.ToLower(r.Model), bareModel(c.Model)) {
			others++
			example = r.Model[:min(len(r.Model), 64)]
		}
	}
	switch {
	case others >= 2:
		return foreign, fmt.Sprintf("%d of %d answers do, such as %q", others, named, example)
	case named < 2 || others > 0:
		return unclear, fmt.Sprintf("%d answers name a model, %d of them one of another family", named, others)
	}
	return asClaimed, fmt.Sprintf("%d answers name a model, none of another family", named)
}
