package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/reference"
)

// What shows a slight change of an endpoint: the log probabilities of one token, which
// move with any change of the weights, and without these the answers to border inputs,
// near-ties that a slight change tips over.

// How the past is recorded.
const (
	pastAnswers  = 20 // log probabilities
	alternatives = 20 // of a token

	borderTries   = 3  // answers by which an input is found to be a near-tie
	borderRanked  = 20 // answers by which the closest ties are chosen
	borderAnswers = 40 // answers that are kept, none of which had a part in the choice
	mostBorders   = 10
	fewestBorders = 3
)

// logprobAsk is the question whose first token's log probabilities are compared. It
// is the same in each request: another text has other log probabilities.
func logprobAsk() Ask {
	return Ask{Turns: User("x"), MaxTokens: 1, Temperature: new(0.0), Logprobs: alternatives}
}

// Bounds on what is kept of an answer.
const (
	maxAlternative = 64   // bytes of a token
	leastLogprob   = -100 // what is less likely is as good as impossible
)

// logprobs are the log probabilities that an answer tells of its first token's
// alternatives; nil when it tells none.
func logprobs(r *Reply) map[string]float64 {
	var answer struct {
		Choices []struct {
			Logprobs struct {
				Content []struct {
					Top []struct {
						Token   string  `json:"token"`
						Logprob float64 `json:"logprob"`
					} `json:"top_logprobs"`
				} `json:"content"`
			} `json:"logprobs"`
		} `json:"choices"`
	}
	if !r.OK() || json.Unmarshal(r.Body, &answer) != nil || len(answer.Choices) == 0 || len(answer.Choices[0].Logprobs.Content) == 0 {
		return nil
	}
	told := map[string]float64{}
	for i, a := range answer.Choices[0].Logprobs.Content[0].Top {
		token := strings.ToValidUTF8(a.Token[:min(len(a.Token), maxAlternative)], "\uFFFD")
		if _, twice := told[token]; i < alternatives && !twice {
			told[token] = min(max(a.Logprob, leastLogprob), 0)
		}
	}
	if len(told) == 0 {
		return nil
	}
	return told
}

// borderAsk is one input, without chance in the answer.
func borderAsk(input string) Ask {
	return Ask{Turns: User(input), MaxTokens: 1, Temperature: new(0.0)}
}

// borderRead is the answer to a border input as it is compared.
func borderRead(r *Reply) string {
	text := cmp.Or(r.Text, r.Word())
	return strings.ToValidUTF8(text[:min(len(text), maxAlternative)], "\uFFFD")
}

// borderInputs are tried in this order: characters of many scripts, each of which is
// one token or a few.
func borderInputs() []string {
	var inputs []string
	for _, span := range [][2]rune{{'a', 'z'}, {'0', '9'}, {'A', 'Z'}, {'!', '/'}, {'à', 'ö'}, {'α', 'ω'}, {'а', 'я'}, {'א', 'ת'}, {'ا', 'غ'}, {'अ', 'ह'}, {'ก', 'ฮ'}, {'あ', 'ん'}, {'ア', 'ン'}, {'一', '丿'}, {'가', '갯'}} {
		for c := span[0]; c <= span[1]; c++ {
			inputs = append(inputs, string(c))
		}
	}
	return inputs
}

// past records what later shows a change of the reference proper.
func (r *recorder) past(ctx context.Context, ref *reference.Reference) error {
	asks := make([]Ask, pastAnswers)
	for i := range asks {
		asks[i] = logprobAsk()
	}
	replies, err := r.ask(ctx, 0, "log probabilities", asks)
	if _, unfit := errors.AsType[*unfitError](err); err != nil && !unfit {
		return err
	}
	past := &reference.Past{}
	for _, reply := range replies {
		if told := logprobs(reply); told != nil {
			past.Logprobs = append(past.Logprobs, told)
		}
	}
	if len(past.Logprobs) < pastAnswers/2 {
		past.Logprobs = nil
		if past.Borders, err = r.borders(ctx); err != nil {
			return err
		}
	}
	ref.Past = past
	return nil
}

// borders finds near-ties and records the answers to the closest ones.
func (r *recorder) borders(ctx context.Context) ([]reference.Border, error) {
	var ties []reference.Border
	inputs := borderInputs()
	const batch = 16
	for from := 0; from < len(inputs) && len(ties) < 2*mostBorders; from += batch {
		tried, err := r.answered(ctx, inputs[from:min(from+batch, len(inputs))], borderTries)
		if err != nil {
			return nil, err
		}
		for _, b := range tried {
			delete(b.Answers, "EMPTY")
			if len(b.Answers) > 1 {
				ties = append(ties, b)
			}
		}
		r.tell(min(from+batch, len(inputs)), len(inputs), "near-ties")
	}
	if len(ties) < fewestBorders {
		return nil, &unfitError{fmt.Sprintf("no log probabilities are told, and of %d inputs %d are near-ties, where %d are needed", len(inputs), len(ties), fewestBorders)}
	}
	ranked, err := r.answered(ctx, inputsOf(ties), borderRanked)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(ranked, func(a, b reference.Border) int { return cmp.Compare(balance(b), balance(a)) })
	return r.answered(ctx, inputsOf(ranked[:min(len(ranked), mostBorders)]), borderAnswers)
}

// answered puts each input to the reference proper n times.
func (r *recorder) answered(ctx context.Context, inputs []string, n int) ([]reference.Border, error) {
	var asks []Ask
	var answered []reference.Border
	for _, input := range inputs {
		answered = append(answered, reference.Border{Input: input, Answers: map[string]int{}})
		asks = append(asks, slices.Repeat([]Ask{borderAsk(input)}, n)...)
	}
	replies, err := r.ask(ctx, 0, "near-ties", asks)
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		if reply.OK() {
			answered[i/n].Answers[borderRead(reply)]++
		}
	}
	return slices.DeleteFunc(answered, func(b reference.Border) bool { return len(b.Answers) == 0 }), nil
}

func inputsOf(borders []reference.Border) []string {
	var inputs []string
	for _, b := range borders {
		inputs = append(inputs, b.Input)
	}
	return inputs
}

// balance is how often the second commonest answer came for one of the commonest.
func balance(b reference.Border) float64 {
	first, next := 0, 0
	for _, n := range b.Answers {
		switch {
		case n > first:
			first, next = n, first
		case n > next:
			next = n
		}
	}
	return float64(next) / float64(max(first, 1))
}
