package price

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/llm"
)

func builtin(t testing.TB) []Card {
	t.Helper()
	cards, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return cards
}

// TestBuiltinPrices holds what the vendors' price pages said of some models, in
// USD per million tokens, worked out by hand.
func TestBuiltinPrices(t *testing.T) {
	in := func(n int64) llm.Tokens { return llm.Tokens{llm.Input: n, llm.Output: 1000} }
	cases := []struct {
		provider, model, at string
		tokens              llm.Tokens
		want                string // USD; empty means unpriced
	}{
		// openai: 0.15 / 0.60, cached 0.075
		{"openai", "gpt-4o-mini", "2026-01-01", in(1000), "0.00075"},
		{"openai", "gpt-4o-mini-2024-07-18", "2026-01-01", llm.Tokens{llm.Input: 500, llm.CacheRead: 500, llm.Output: 1000}, "0.0007125"},
		{"openai", "gpt-4o-mini-20240718", "2026-01-01", in(1000), "0.00075"}, // the same snapshot, spelt as some hosts do
		// openai o3: 10 / 40 until 2025-06-10, 2 / 8 from then on
		{"openai", "o3", "2025-06-09", in(1000), "0.05"},
		{"openai", "o3", "2025-06-10", in(1000), "0.01"},
		// openai gpt-5.6-luna: 0.20 / 1.20, doubled and 1.5 fold from 272,000 prompt tokens
		{"openai", "gpt-5.6-luna", "2026-11-01", in(271_999), "0.0555998"},
		{"openai", "gpt-5.6-luna", "2026-11-01", in(272_000), "0.1106"},
		{"openai", "text-embedding-3-small", "2026-01-01", llm.Tokens{llm.Input: 1000}, "0.00002"},
		// anthropic claude-3-haiku: 0.25 / 1.25, cached 0.03, writes 0.30 and 0.50
		{"anthropic", "claude-3-haiku-20240307", "2026-01-01", llm.Tokens{llm.Input: 4, llm.CacheRead: 2000, llm.CacheWrite5m: 100, llm.Output: 10}, "0.0001035"},
		{"anthropic", "claude-3-haiku-20240307", "2026-01-01", llm.Tokens{llm.CacheWrite1h: 1000}, "0.0005"},
		// anthropic claude-sonnet-4-6: 6 / 22.5 above 200,000 until 2026-03-13, flat since
		{"anthropic", "claude-sonnet-4-6", "2026-03-12", in(200_001), "1.222506"},
		{"anthropic", "claude-sonnet-4-6", "2026-03-13", in(200_001), "0.615003"},
		// google gemini-2.5-pro: 1.25 / 10, above 200,000 2.50 / 15
		{"google", "gemini-2.5-pro", "2026-01-01", in(200_000), "0.26"},
		{"google", "gemini-2.5-pro", "2026-01-01", in(200_001), "0.5150025"},
		{"google", "gemini-3.6-flash", "2026-12-31", in(1000), "0.0045"},
		{"google", "gemini-3.6-flash", "2027-01-01", in(1000), "0.009"},
		// deepseek-v4-pro at midnight UTC: 0.435 / 0.87, from 2026-08-17 0.66 / 1.98
		{"deepseek", "deepseek-v4-pro", "2026-08-16", in(1000), "0.001305"},
		{"deepseek", "deepseek-v4-pro", "2026-08-17", in(1000), "0.00264"},
		{"mistral", "mistral-medium-latest", "2026-06-15", in(1000), "0.0024"},
		{"mistral", "mistral-medium-latest", "2026-06-16", in(1000), "0.009"},
		{"xai", "grok-4", "2026-01-01", in(1000), "0.018"},
		{"groq", "llama-3.3-70b-versatile", "2026-01-01", in(1000), "0.00138"},
		{"together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "2026-01-01", in(1000), "0.00176"},
		{"openrouter", "anthropic/claude-sonnet-4.5", "2026-01-01", in(1000), "0.018"},
		// azure charges the maker's list price where it has none of its own
		{"azure", "gpt-4o-mini", "2026-01-01", in(1000), "0.00075"},
		// no price per token, no such model, a class that the card does not price
		{"openai", "whisper-1", "2026-01-01", in(1000), ""},
		{"openai", "gpt-99", "2026-01-01", in(1000), ""},
		{"mistral", "mistral-nemo:free", "2026-01-01", in(1000), ""},
		{"openai", "gpt-image-1.5", "2026-01-01", in(1000), ""},
		{"openai", "o3", "2026-01-01", llm.Tokens{llm.CacheWrite1h: 1}, ""},
		{"nobody", "gpt-4o-mini", "2026-01-01", in(1000), ""},
	}
	book := NewBook(builtin(t))
	for _, c := range cases {
		card, ok := book.At(c.provider, c.model, day(t, c.at))
		cost, err := card.Cost(c.tokens)
		if c.want == "" {
			if ok && err == nil {
				t.Errorf("%s %s costs %s on %s, want no price", c.provider, c.model, cost, card.ID)
			}
			continue
		}
		if !ok || err != nil || cost.String() != c.want {
			t.Errorf("%s %s on %s costs %s, %v (card %q), want %s", c.provider, c.model, c.at, cost, err, card.ID, c.want)
		}
	}
}

// TestBuiltinPeakHours: DeepSeek doubles its prices from 01:00 to 04:00 and from
// 06:00 to 10:00 UTC.
func TestBuiltinPeakHours(t *testing.T) {
	book := NewBook(builtin(t))
	for hour := range int64(24) {
		peak := hour >= 1 && hour < 4 || hour >= 6 && hour < 10
		for _, c := range []struct {
			date string
			want Pico
		}{{"2026-11-20", 660_000}, {"2026-08-01", 435_000}} {
			card, _ := book.At("deepseek", "deepseek-v4-pro", day(t, c.date)+hour*3600*1e6)
			if peak && c.date == "2026-11-20" {
				c.want *= 2
			}
			if card.Rates[llm.Input] != c.want {
				t.Errorf("%s %02d:00: %d on %s, want %d", c.date, hour, card.Rates[llm.Input], card.ID, c.want)
			}
		}
	}
}

// TestBuiltinIsSane looks for what would be a slip of the source or of gen.
func TestBuiltinIsSane(t *testing.T) {
	const dearest = 1000 * usd
	cards := builtin(t)
	ids := map[string]bool{}
	perProvider := map[string]int{}
	for _, c := range cards {
		if ids[c.ID] {
			t.Errorf("%s occurs twice", c.ID)
		}
		ids[c.ID] = true
		if len(c.Rates) == 0 {
			continue
		}
		perProvider[c.Provider]++
		for _, r := range append([]Tier{{Rates: c.Rates}}, c.Tiers...) {
			for class, p := range r.Rates {
				if p < 0 || p > dearest {
					t.Errorf("%s: %d for %s", c.ID, p, class)
				}
			}
			if r.Rates[llm.CacheRead] > r.Rates[llm.Input] && r.Above == 0 {
				t.Errorf("%s: reading the cache costs more than input", c.ID)
			}
			if w, ok := r.Rates[llm.CacheWrite1h]; ok && w < r.Rates[llm.CacheWrite5m] {
				t.Errorf("%s: one hour of cache costs less than five minutes", c.ID)
			}
		}
	}
	for provider, least := range map[string]int{
		"openai": 80, "anthropic": 20, "google": 40, "mistral": 30, "deepseek": 10, "xai": 15, "groq": 25,
		"together": 70, "openrouter": 500, "azure": 15,
	} {
		if perProvider[provider] < least {
			t.Errorf("%s has %d priced cards, want at least %d", provider, perProvider[provider], least)
		}
	}
	if p := Providers(); len(p) != len(slices.Compact(slices.Sorted(slices.Values(p)))) || !slices.Contains(p, "openai") {
		t.Errorf("providers are %q", p)
	}
	for _, c := range cards {
		if !slices.Contains(Providers(), c.Provider) {
			t.Fatalf("%s is of no listed provider", c.ID)
		}
	}
}

// TestBuiltinIntervals: at no time do two cards of one model compete.
func TestBuiltinIntervals(t *testing.T) {
	byModel := map[[2]string][]Card{}
	for _, c := range builtin(t) {
		k := [2]string{c.Provider, c.Model}
		for _, o := range byModel[k] {
			overlap := (o.Until == 0 || c.From < o.Until) && (c.Until == 0 || o.From < c.Until)
			if overlap && c.Daily == o.Daily {
				t.Errorf("%s and %s overlap", o.ID, c.ID)
			}
		}
		byModel[k] = append(byModel[k], c)
	}
}

func TestParseCardsIsStrict(t *testing.T) {
	const head = "source s 1 2026-01-01\nprovider p\nmodel m\nmatch =m\n"
	for _, bad := range []string{
		"nonsense", "provider a b", "provider", "model", "source s", head + "source s 1 2026-01-01",
		"card input 1", "source s 1 2026-01-01\nprovider p\nmodel m\ncard input 1",
		head + "card input", head + "card input x", head + "card input -1", head + "card input 1.5",
		head + "card input 10000000001", head + "card input 99999999999999999999",
		head + "card gold 1", head + "card input 1 input 2", head + "card from 2026-13-01 input 1",
		head + "card until yesterday", head + "card daily 1-2 input 1", head + "card from 2026-01-02 until 2026-01-01 input 1",
		head + "card input 1\ncard input 2", head + "above 5 input 1", head + "omits x",
		head + "card input 1\nmatch =n", head + "card input 1\nabove 5", head + "card input 1\nabove x input 1",
		head + "card input 1\nabove 5 input", head + "card input 1\nabove 5 output 1",
		head + "card input 1\nabove 5 input 1\nabove 5 input 2",
		head + "card input 1\nabove -5 input 1", "match =x", head + "match", head + "match =", head + "match ?x", head + "match =a b",
	} {
		if cards, err := ParseCards(bad); err == nil {
			t.Errorf("%q parsed as %+v", bad, cards)
		} else if !strings.HasPrefix(err.Error(), "price cards") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	cards, err := ParseCards("# note\n\n" + head + "match ^m- unless -tts\ncard until 2026-01-01 input 1 output 2\ncard from 2026-01-01 input 3\nabove 5 input 4\nomits a b\n")
	if err != nil || len(cards) != 2 {
		t.Fatalf("%d cards, %v", len(cards), err)
	}
	second := cards[1]
	if second.ID != "p/m@2026-01-01#1" || second.Source != "s 1 (2026-01-01)" || second.From != day(t, "2026-01-01") ||
		len(second.Names) != 2 || second.Names[1] != (Rule{Prefix, "m-", "-tts"}) || len(second.Tiers) != 1 || len(second.Omits) != 2 {
		t.Errorf("the second card is %+v", second)
	}
}

// FuzzParseCards: whatever parses can be put into a book and asked.
func FuzzParseCards(f *testing.F) {
	f.Add("source s 1 2026-01-01\nprovider p\nmodel m\nmatch =m\ncard from 2026-01-01 daily 01:00:00-02:00:00 input 1\nabove 5 input 4\n", "p", "m")
	f.Add("source s 1 2026-01-01\nprovider azure\nmodel m\nmatch *#\ncard output 1\n", "azure", "x-20250807")
	f.Fuzz(func(t *testing.T, text, provider, name string) {
		cards, err := ParseCards(text)
		if err != nil {
			return
		}
		book := NewBook(cards)
		if book.Len() != len(cards) {
			t.Fatalf("%d of %d cards in the book", book.Len(), len(cards))
		}
		if c, ok := book.At(provider, name, 1_780_000_000_000_000); ok && provider != Local {
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkBuiltin(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		cards, err := Builtin()
		if err != nil || NewBook(cards).Len() == 0 {
			b.Fatal(err)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	book := NewBook(builtin(b))
	for _, c := range [][2]string{{"openai", "gpt-5-mini"}, {"anthropic", "claude-sonnet-4-5-20250929"}, {"azure", "my-deployment"}} {
		b.Run(c[1], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				book.At(c[0], c[1], 1_790_000_000_000_000)
			}
		})
	}
}
