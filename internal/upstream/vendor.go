package upstream

import (
	"context"
	"encoding/json"
	"fmt"
)

// counters are the vendors that count tokens on demand, with how they are asked for
// those of one message
// (platform.claude.com, build-with-claude/token-counting; ai.google.dev, api/tokens).
var counters = map[Kind]struct {
	body   func(model, text string) any
	figure string
}{
	Anthropic: {func(model, text string) any {
		return map[string]any{"model": model, "messages": []any{map[string]any{"role": "user", "content": text}}}
	}, "input_tokens"},
	Gemini: {func(_, text string) any {
		return map[string]any{"contents": []any{map[string]any{"role": "user", "parts": []any{map[string]any{"text": text}}}}}
	}, "totalTokens"},
}

// Asking puts a body to the endpoint by which a vendor counts, and returns its answer.
type Asking func(ctx context.Context, body []byte) ([]byte, error)

// CountTokens counts the tokens of a text as the vendor does whose own host this is;
// ErrNoTokenizer for all others. Vendors count messages, so what a message costs beside
// its text is taken off: it is measured by texts of one token and of two, once for each
// model. What the vendor does to white space at the ends, and what merges with what
// stands around the text, is off by a token or two; Anthropic calls its counts
// estimates. The text leaves: only what the upstream wrote itself should be sent.
func (u *Upstream) CountTokens(ctx context.Context, model, text string, ask Asking) (int64, error) {
	if _, counts := counters[u.Kind]; !counts || !u.Official() {
		return 0, ErrNoTokenizer
	}
	if text == "" {
		return 0, nil
	}
	around, err := u.around(ctx, model, ask)
	if err != nil {
		return 0, err
	}
	n, err := u.countMessage(ctx, model, text, ask)
	return max(n-around, 0), err
}

// around is what a message costs beside its text.
func (u *Upstream) around(ctx context.Context, model string, ask Asking) (int64, error) {
	if n, known := u.beside.Load(model); known {
		return n.(int64), nil
	}
	one, err := u.countMessage(ctx, model, "a", ask)
	if err != nil {
		return 0, err
	}
	two, err := u.countMessage(ctx, model, "a a", ask)
	if err != nil {
		return 0, err
	}
	if two-one != 1 {
		return 0, fmt.Errorf("upstream %s: a word more is counted as %d tokens, so what a message costs beside its text is not known", u.Name, two-one)
	}
	u.beside.Store(model, one-1)
	return one - 1, nil
}

// countMessage is what the vendor counts of a message with a text.
func (u *Upstream) countMessage(ctx context.Context, model, text string, ask Asking) (int64, error) {
	c := counters[u.Kind]
	body, err := json.Marshal(c.body(model, text))
	if err != nil {
		return 0, fmt.Errorf("upstream %s: count tokens: %w", u.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, tokenizeTime)
	defer cancel()
	said, err := ask(ctx, body)
	if err != nil {
		return 0, fmt.Errorf("upstream %s: count tokens: %w", u.Name, err)
	}
	var answer map[string]json.RawMessage
	var n int64
	if err := json.Unmarshal(said, &answer); err != nil || json.Unmarshal(answer[c.figure], &n) != nil || n <= 0 {
		return 0, fmt.Errorf("upstream %s: count tokens: the answer has no %s", u.Name, c.figure)
	}
	return n, nil
}
