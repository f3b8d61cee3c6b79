package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/tokens"
)

// Prompt tokens are counted by difference: a base text, then the same text with one
// more copy of a unit, and so on. What a copy adds is the unit's count by whatever
// tokenizer made the number; what remains without any is what a request of that shape
// costs before its text, hidden prompts included.

// countUnit is a text that vocabularies split differently.
type countUnit struct{ name, text string }

// countUnits are the units. References hold what each adds, by name, so a changed text
// needs a new name. Byte-pair encoding never merges across the lines that each is put
// between, so counts are linear in the number of copies, to the token.
var countUnits = []countUnit{
	{"prose", "The committee met on Thursday to discuss how the old harbour could be used by the town after the last ferry had left, and agreed to ask the residents first."},
	{"han", "今天下午我们在图书馆讨论了新的城市规划方案，大家都觉得很有意思"},
	{"emoji", "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🧑‍🚀🦑🪗🫠"},
	{"cyrillic", "Съешь же ещё этих мягких французских булок да выпей чаю, говорил смотритель"},
	{"arabic", "ذهب الأولاد إلى المدرسة صباحا ثم عادوا إلى بيوتهم قبل غروب الشمس"},
	{"digits", "3141592653589793238462643383279502884197169399375105820974"},
	{"spaces", "a" + strings.Repeat(" ", 37) + "b\t\t\t\tc" + strings.Repeat(" ", 11) + "d"},
	{"camel", "getUserAccountByExternalReferenceIdOrDefault(currentHttpRequestContext, maxRetryCountPerShard)"},
}

// countCopies is the largest number of copies in a differential.
const countCopies = 3

// countShape is a shape of request; what a relay adds may depend on it.
type countShape struct {
	name   string
	system string
	tools  []Tool
}

// countShapes are the shapes in the order of reports.
var countShapes = []countShape{
	{name: "plain"},
	{name: "system", system: "You are helpful. Answer in English."},
	{name: "tool", tools: []Tool{{
		Name: "get_opening_hours", Description: "Returns the opening hours of a public building.",
		Parameters: json.RawMessage(`{"type":"object","properties":{"building":{"type":"string"}},"required":["building"]}`),
	}}},
}

// digitNonce is every digit twice, in an order of its own: no two requests are alike,
// and all have the same number of tokens by any vocabulary.
func digitNonce(r *rand.Rand) string {
	digits := strings.Fields(strings.Repeat("0 1 2 3 4 5 6 7 8 9 ", 2))
	r.Shuffle(len(digits), func(i, j int) { digits[i], digits[j] = digits[j], digits[i] })
	return strings.Join(digits, " ")
}

// copies are lines with so many copies of a unit.
func (u countUnit) copies(k int) string { return strings.Repeat("\n"+u.text+"\ndone", k) }

// countText is the base text, followed by more lines.
func countText(nonce, lines string) string {
	return "Read the lines below and reply with the word done. Reference " + nonce + "\ndone" + lines
}

// countAsk asks for next to nothing, so that its prompt is counted.
func countAsk(s countShape, nonce, lines string, limit int64) Ask {
	return Ask{System: s.system, Tools: s.tools, Turns: User(countText(nonce, lines)), MaxTokens: limit}
}

// countLimits are the bounds on answers to try: some endpoints refuse a bound of one
// token, and reasoning models refuse what their thoughts do not fit into.
var countLimits = []int64{1, 16, 1024}

// asker sends questions and returns the answers in the same order.
type asker func(context.Context, []Ask) []*Reply

// promptCount is the number of prompt tokens that an answer reports.
func promptCount(r *Reply) (int64, bool) { return r.Tokens.Prompt(), r.OK() && r.Usable() }

// openDifferential asks the base text alone, with the smallest bound on the answer
// that the endpoint takes.
func openDifferential(ctx context.Context, ask asker, nonce string) (limit int64, r *Reply) {
	for _, limit = range countLimits {
		r = ask(ctx, []Ask{countAsk(countShapes[0], nonce, "", limit)})[0]
		if r.Outcome != Refused {
			break
		}
	}
	return limit, r
}

// differential is what copies of each unit add to the base, by unit and copies less 1.
type differential struct {
	base  int64
	added [][countCopies]int64
}

var errNoCounts = errors.New("the endpoint does not report the tokens of prompts")

// measure asks for every unit and number of copies. It fails when an answer is
// missing or tells no usage.
func measure(ctx context.Context, ask asker, nonce string, limit, base int64) (*differential, []*Reply, error) {
	var asks []Ask
	for _, u := range countUnits {
		for k := range countCopies {
			asks = append(asks, countAsk(countShapes[0], nonce, u.copies(k+1), limit))
		}
	}
	replies := ask(ctx, asks)
	d := &differential{base: base, added: make([][countCopies]int64, len(countUnits))}
	for i, r := range replies {
		n, told := promptCount(r)
		switch {
		case !r.OK():
			return nil, replies, fmt.Errorf("a question that counts tokens led to no answer (%s)", r.Outcome)
		case !told:
			return nil, replies, errNoCounts
		}
		d.added[i/countCopies][i%countCopies] = n - base
	}
	return d, replies, nil
}

// linear reports whether each copy of a unit adds the same.
func (d *differential) linear(unit int) bool {
	a := d.added[unit]
	return a[1] == 2*a[0] && a[2] == 3*a[0]
}

// last is what all copies of each unit add.
func (d *differential) last() []float64 {
	all := make([]float64, len(d.added))
	for i, a := range d.added {
		all[i] = float64(a[countCopies-1])
	}
	return all
}

// countedCopies is what all copies of each unit add by a vocabulary.
func countedCopies(v *tokens.Vocabulary) ([]float64, error) {
	base, err := v.Count(countText("0", ""))
	if err != nil {
		return nil, err
	}
	var all []float64
	for _, u := range countUnits {
		n, err := v.Count(countText("0", u.copies(countCopies)))
		if err != nil {
			return nil, err
		}
		all = append(all, float64(n-base))
	}
	return all, nil
}

// shapeRepeats is how often the request of each shape is counted.
const shapeRepeats = 3

// shapeAsks are the questions that measure what each shape costs, shape after shape.
func shapeAsks(nonces *rand.Rand, limit int64) []Ask {
	var asks []Ask
	for _, s := range countShapes {
		for range shapeRepeats {
			asks = append(asks, countAsk(s, digitNonce(nonces), "", limit))
		}
	}
	return asks
}

// shapeCounts are the counts of each shape that were told.
func shapeCounts(replies []*Reply) [][]int64 {
	counts := make([][]int64, len(countShapes))
	for i, r := range replies {
		if n, told := promptCount(r); told {
			counts[i/shapeRepeats] = append(counts[i/shapeRepeats], n)
		}
	}
	return counts
}

// median is the middle of some counts, the lower one of two; there must be one.
func median(counts []int64) int64 {
	sorted := slices.Sorted(slices.Values(counts))
	return sorted[(len(sorted)-1)/2]
}

// recordAccounting measures how a trusted endpoint reports the tokens of prompts.
// Nil, and why, when it does not do so or its counts are not linear. named is a
// vocabulary that it may count by, besides the published ones; it may be nil.
func recordAccounting(ctx context.Context, ask asker, seed [32]byte, named *tokens.Vocabulary) (*reference.Accounting, string) {
	nonces := stat.Rand(stat.Seed(seed, "accounting"))
	nonce := digitNonce(nonces)
	limit, first := openDifferential(ctx, ask, nonce)
	base, told := promptCount(first)
	if !told {
		return nil, errNoCounts.Error()
	}
	d, _, err := measure(ctx, ask, nonce, limit, base)
	if err != nil {
		return nil, err.Error()
	}
	a := &reference.Accounting{Slopes: map[string]int64{}, Intercepts: map[string]int64{}}
	for i, u := range countUnits {
		if !d.linear(i) {
			return nil, fmt.Sprintf("reported tokens are not linear in the text (unit %s)", u.name)
		}
		a.Slopes[u.name] = d.added[i][0]
	}
	for i, counts := range shapeCounts(ask(ctx, shapeAsks(nonces, limit))) {
		if len(counts) == shapeRepeats { // a shape that some endpoints refuse, such as tools, is left out
			a.Intercepts[countShapes[i].name] = median(counts)
		}
	}
	candidates := tokens.Vocabularies()
	if named != nil {
		candidates = append(candidates, named)
	}
	for _, v := range candidates {
		if counted, err := countedCopies(v); err == nil && slices.Equal(counted, d.last()) {
			a.Vocabulary, a.SHA256 = v.Name, v.SHA256
		}
	}
	return a, ""
}

// templateTokens is what a chat completion without tools costs by a vocabulary of
// OpenAI's, as github.com/openai/openai-cookbook, How_to_count_tokens_with_tiktoken
// says: three tokens a message and one for its role, and three that open the answer.
func templateTokens(v *tokens.Vocabulary, s countShape, nonce string) (int64, error) {
	texts := []string{countText(nonce, "")}
	if s.system != "" {
		texts = append(texts, s.system)
	}
	n := int64(3)
	for _, text := range texts {
		c, err := v.Count(text)
		if err != nil {
			return 0, err
		}
		n += 4 + c
	}
	return n, nil
}
