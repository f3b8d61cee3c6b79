package tokens

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for model, want := range map[string]string{
		"gpt-5-mini": "o200k_base", "gpt-4o-2024-08-06": "o200k_base", "openai/gpt-oss-120b": "o200k_base", "o3": "o200k_base",
		"o1-preview": "o200k_base", "gpt-4.1-nano": "o200k_base", "gpt-4-turbo": "cl100k_base", "gpt-4": "cl100k_base",
		"gpt-3.5-turbo": "cl100k_base", "gpt-5.1": "o200k_base",
		"claude-sonnet-4-5": "", "o365-model": "", "gpt-50": "", "gpt-4x": "", "": "", "gemini-2.5-pro": "",
	} {
		got := ""
		if v := Of(model); v != nil {
			got = v.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", model, got, want)
		}
	}
}

// TestCount compares with what tiktoken counts: the first two are the examples of
// github.com/openai/openai-cookbook, How_to_count_tokens_with_tiktoken.
func TestCount(t *testing.T) {
	for text, want := range map[string][2]int64{ // o200k_base, cl100k_base
		"antidisestablishmentarianism": {6, 6},
		"お誕生日おめでとう":                    {8, 9},
		"2 + 2 = 4":                    {7, 7},
		"":                             {0, 0},
	} {
		for i, v := range []*Vocabulary{o200k, cl100k} {
			if got, err := v.Count(text); err != nil || got != want[i] {
				t.Errorf("%s of %q: %d, %v, want %d", v.Name, text, got, err, want[i])
			}
			if parts, err := v.Split(text); err != nil || int64(len(parts)) != want[i] || strings.Join(parts, "") != text {
				t.Errorf("%s splits %q into %q, %v", v.Name, text, parts, err)
			}
		}
	}
}

// TestText names tokens whose ids the vocabularies' own files give: the byte at the
// head of both, and "hello" of cl100k_base and o200k_base.
func TestText(t *testing.T) {
	for _, c := range []struct {
		v    *Vocabulary
		id   uint
		want string
	}{{o200k, 0, "!"}, {cl100k, 0, "!"}, {cl100k, 15339, "hello"}, {o200k, 24912, "hello"}} {
		if got, err := c.v.Text(c.id); err != nil || got != c.want {
			t.Errorf("%s: token %d is %q, %v, want %q", c.v.Name, c.id, got, err, c.want)
		}
	}
	if got, err := o200k.Text(1 << 30); err == nil {
		t.Errorf("an id beyond the vocabulary stands for %q", got)
	}
}
