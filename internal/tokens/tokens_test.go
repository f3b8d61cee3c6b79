package tokens

import "testing"

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
		}
	}
}
