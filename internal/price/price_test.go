package price

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"sallyport/internal/llm"
)

// usd is 1 USD per million tokens.
const usd Pico = 1_000_000

func TestCost(t *testing.T) {
	card := Card{
		ID: "c", Rates: Rates{llm.Input: 3 * usd, llm.CacheRead: 300_000, llm.CacheWrite5m: 3_750_000, llm.Output: 15 * usd},
		Tiers: []Tier{
			{Above: 200_000, Rates: Rates{llm.Input: 6 * usd}},
			{Above: 400_000, Rates: Rates{llm.Input: 7 * usd, llm.Output: 22_500_000}},
		},
	}
	cases := []struct {
		name   string
		tokens llm.Tokens
		want   Nano // -1: refused
	}{
		{"nothing", llm.Tokens{}, 0},
		{"input and output", llm.Tokens{llm.Input: 1000, llm.Output: 100}, 4_500_000},
		{"cached input is charged once, at the cached price", llm.Tokens{llm.Input: 5, llm.CacheRead: 4735, llm.Output: 255}, 15_000 + 1_420_500 + 3_825_000},
		{"cache writes are not input", llm.Tokens{llm.Input: 5, llm.CacheWrite5m: 4735}, 15_000 + 17_756_250},
		{"a one-hour write without a price is unknown, not a five-minute one", llm.Tokens{llm.Input: 5, llm.CacheWrite1h: 1}, -1},
		{"reasoning is charged as output", llm.Tokens{llm.Reasoning: 100}, 1_500_000},
		{"audio without a price is unknown", llm.Tokens{llm.AudioIn: 1}, -1},
		{"the tier begins above its size", llm.Tokens{llm.Input: 200_000}, 600_000_000},
		{"the tier holds for the whole prompt", llm.Tokens{llm.Input: 200_001}, 1_200_006_000},
		{"cached tokens count towards the size", llm.Tokens{llm.Input: 1, llm.CacheRead: 200_000}, 6_000 + 60_000_000},
		{"output does not", llm.Tokens{llm.Input: 1, llm.Output: 500_000}, 3_000 + 7_500_000_000},
		{"a class that no tier changes keeps its price", llm.Tokens{llm.Input: 200_001, llm.Output: 1}, 1_200_006_000 + 15_000},
		{"the highest tier wins", llm.Tokens{llm.Input: 400_001, llm.Reasoning: 2}, 2_800_007_000 + 45_000},
		{"negative", llm.Tokens{llm.Input: -1}, -1},
		{"negative in a class that offsets another", llm.Tokens{llm.Input: 10, llm.CacheRead: -5}, -1},
		{"beyond belief", llm.Tokens{llm.Input: llm.MaxPlausibleTokens + 1}, -1},
	}
	for _, c := range cases {
		got, err := card.Cost(c.tokens)
		if c.want < 0 {
			if err == nil {
				t.Errorf("%s: cost %d, want an error", c.name, got)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: cost %d, %v, want %d", c.name, got, err, c.want)
		}
	}
}

func TestCostRoundsOnceHalfUp(t *testing.T) {
	for _, c := range []struct {
		in, out Pico
		want    Nano
	}{{499, 0, 0}, {500, 0, 1}, {1499, 0, 1}, {1500, 0, 2}, {250, 250, 1}, {499, 500, 1}, {400, 0, 0}} {
		card := Card{Rates: Rates{llm.Input: c.in, llm.Output: c.out}}
		got, err := card.Cost(llm.Tokens{llm.Input: 1, llm.Output: 1})
		if err != nil || got != c.want {
			t.Errorf("%d + %d pico cost %d nano, %v, want %d", c.in, c.out, got, err, c.want)
		}
	}
}

// TestCostAtTheEdge: the largest amount that fits, and the smallest that does not,
// up to where the division itself would overflow.
func TestCostAtTheEdge(t *testing.T) {
	for _, c := range []struct {
		tokens int64
		price  Pico
		want   Nano
	}{
		{1000, 1<<63 - 1, 1<<63 - 1},
		{1001, 1<<63 - 1, -1},
		{1 << 32, 1000 << 32, -1}, // 1000 times 2^64
		{llm.MaxPlausibleTokens, 1<<63 - 1, -1},
		{1, -1, -1},
	} {
		card := Card{Rates: Rates{llm.Input: c.price}}
		got, err := card.Cost(llm.Tokens{llm.Input: c.tokens})
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%d tokens at %d cost %d, %v, want %d", c.tokens, c.price, got, err, c.want)
		}
	}
}

// TestCostAgainstBigInt compares with arithmetic that cannot overflow, over
// counts and prices of every magnitude.
func TestCostAgainstBigInt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	fits, overflows := 0, 0
	for range 20_000 {
		card, tokens, sum := Card{Rates: Rates{}}, llm.Tokens{}, new(big.Int)
		for class := range llm.NumClasses {
			p := r.Int64() >> r.IntN(63)
			n := r.Int64N(llm.MaxPlausibleTokens) >> r.IntN(32)
			card.Rates[class], tokens[class] = Pico(p), n
			sum.Add(sum, new(big.Int).Mul(big.NewInt(p), big.NewInt(n)))
		}
		want := sum.Div(sum.Add(sum, big.NewInt(500)), big.NewInt(1000))
		got, err := card.Cost(tokens)
		if !want.IsInt64() {
			overflows++
			if err == nil {
				t.Fatalf("%v on %v cost %d, want an overflow", tokens, card.Rates, got)
			}
			continue
		}
		fits++
		if err != nil || int64(got) != want.Int64() {
			t.Fatalf("%v on %v cost %d, %v, want %s", tokens, card.Rates, got, err, want)
		}
	}
	if fits < 1000 || overflows < 1000 {
		t.Fatalf("%d amounts fit and %d do not: the test tries one side only", fits, overflows)
	}
}

// TestCostNeverFallsWithMoreTokens holds for every built-in card whose tiers rise.
func TestCostNeverFallsWithMoreTokens(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range builtin(t) {
		less, more := llm.Tokens{}, llm.Tokens{}
		for class := range c.Rates {
			less[class] = r.Int64N(500_000)
			more[class] = less[class] + r.Int64N(500_000)
		}
		a, errA := c.Cost(less)
		b, errB := c.Cost(more)
		if errA != nil || errB != nil || b < a {
			t.Errorf("%s: %v cost %d (%v), %v cost %d (%v)", c.ID, less, a, errA, more, b, errB)
		}
	}
}

func TestNanoString(t *testing.T) {
	for n, want := range map[Nano]string{
		0: "0.00", 1: "0.000000001", 292_000: "0.000292", 1_500_000_000: "1.50", 10: "0.00000001",
		-2_059_000: "-0.002059", 1<<63 - 1: "9223372036.854775807", -1 << 63: "-9223372036.854775808",
	} {
		if got := n.String(); got != want {
			t.Errorf("%d is written %s, want %s", int64(n), got, want)
		}
	}
}

func example() Card {
	return Card{
		ID: "openai/o3@2025-06-10#1", Provider: "openai", Model: "o3", From: 1749513600000000, Source: "s",
		Rates: Rates{llm.Input: 2 * usd, llm.Output: 8 * usd},
		Tiers: []Tier{{Above: 200_000, Rates: Rates{llm.Input: 4 * usd}}},
	}
}

// TestHash pins the canonical text: ledger rows and log leaves commit to it, so
// that it may not change for a card that is already in use.
func TestHash(t *testing.T) {
	const text = `sallyport price card v1
"openai/o3@2025-06-10#1"
"openai"
"o3"
"s"
1749513600000000 0
input 2000000
output 8000000
above 200000
input 4000000
`
	if got := example().Canonical(); got != text {
		t.Errorf("canonical text is\n%s\nwant\n%s", got, text)
	}
	if got, want := example().Hash(), "bd5d7824f321684a3a9529141fd1a5397e4eb128d9de9fd23bb8d28f562f4c4a"; got != want {
		t.Errorf("hash is %s, want %s", got, want)
	}
}

// TestHashCommits changes every fact that decides an amount, one at a time.
func TestHashCommits(t *testing.T) {
	seen := map[string]string{example().Hash(): "the card itself"}
	for name, change := range map[string]func(*Card){
		"id":            func(c *Card) { c.ID += "x" },
		"provider":      func(c *Card) { c.Provider = "azure" },
		"model":         func(c *Card) { c.Model = "o1" },
		"from":          func(c *Card) { c.From++ },
		"until":         func(c *Card) { c.Until = c.From + 1 },
		"daily":         func(c *Card) { c.Daily = Window{0, 60} },
		"daily's end":   func(c *Card) { c.Daily = Window{0, 61} },
		"source":        func(c *Card) { c.Source = "t" },
		"a price":       func(c *Card) { c.Rates[llm.Input]++ },
		"a class":       func(c *Card) { c.Rates[llm.CacheRead] = 0 },
		"a class less":  func(c *Card) { delete(c.Rates, llm.Output) },
		"a tier":        func(c *Card) { c.Tiers[0].Above++ },
		"a tier's rate": func(c *Card) { c.Tiers[0].Rates[llm.Input]++ },
		"a tier less":   func(c *Card) { c.Tiers = nil },
		"a line moved":  func(c *Card) { c.Model, c.Source = "o3\"\n\"s", "" },
	} {
		c := example()
		change(&c)
		if other, dup := seen[c.Hash()]; dup {
			t.Errorf("changing %s gives the hash of changing %s", name, other)
		}
		seen[c.Hash()] = name
	}
}

func TestDeclaredIsFreeInEveryClass(t *testing.T) {
	var tokens llm.Tokens
	for class := range tokens {
		tokens[class] = 1000
	}
	card, ok := NewBook().At(Local, "anything", 0)
	if got, err := card.Cost(tokens); !ok || err != nil || got != 0 {
		t.Fatalf("a declared model costs %d, %v (found: %t)", got, err, ok)
	}
}
