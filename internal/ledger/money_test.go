package ledger

import (
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/record"
)

func testBook() *price.Book {
	return price.NewBook([]price.Card{{
		ID: "c1", Provider: "p", Model: "m", Source: "test",
		Rates: price.Rates{llm.Input: 3_000_000, llm.CacheRead: 300_000, llm.Output: 15_000_000},
	}})
}

func TestSettle(t *testing.T) {
	l := New(testBook())
	claim := func(tokens llm.Tokens) llm.Usage { return llm.Claim(tokens, []byte(`{"x":1}`)) }
	cases := []struct {
		name   string
		usage  llm.Usage
		target Target
		status llm.UsageStatus
		money  string
		amount int64
		tokens bool
	}{
		{"priced by class", claim(llm.Tokens{llm.Input: 1000, llm.CacheRead: 2000, llm.Output: 10}), Target{"p", "m"}, llm.UsageClaimed, MoneyPriced, 3_000_000 + 600_000 + 150_000, true},
		{"reasoning costs as output", claim(llm.Tokens{llm.Reasoning: 10}), Target{"p", "m"}, llm.UsageClaimed, MoneyPriced, 150_000, true},
		{"a class without a price", claim(llm.Tokens{llm.AudioIn: 1}), Target{"p", "m"}, llm.UsageClaimed, MoneyUnpriced, 0, true},
		{"a model without a card", claim(llm.Tokens{llm.Input: 1}), Target{"p", "other"}, llm.UsageClaimed, MoneyUnpriced, 0, true},
		{"local is free by declaration", claim(llm.Tokens{llm.Input: 1, llm.Output: 1}), Target{price.Local, "m"}, llm.UsageClaimed, MoneyDeclared, 0, true},
		{"unknown stays unknown", llm.Usage{}, Target{"p", "m"}, llm.UsageUnknown, MoneyUnknown, 0, false},
		{"unknown at a local upstream", llm.Usage{Status: llm.UsageUnknown}, Target{price.Local, "m"}, llm.UsageUnknown, MoneyUnknown, 0, false},
		{"an unheard-of status is unknown", llm.Usage{Status: "gold"}, Target{"p", "m"}, llm.UsageUnknown, MoneyUnknown, 0, false},
		{"nothing was generated", llm.Usage{Status: llm.UsageNone}, Target{"p", "m"}, llm.UsageNone, MoneyNone, 0, false},
		{"impossible: negative", claim(llm.Tokens{llm.Input: -1}), Target{"p", "m"}, llm.UsageImplausible, MoneyHeld, 777, false},
		{"impossible: excessive", claim(llm.Tokens{llm.Output: llm.MaxPlausibleTokens + 1}), Target{"p", "m"}, llm.UsageImplausible, MoneyHeld, 777, false},
	}
	for _, c := range cases {
		x := record.Exchange{Hold: 777, Amount: 5, Card: "old"}
		_, priced := l.Settle(&x, c.usage, c.target)
		if x.Usage != string(c.status) || x.Money != c.money || x.Amount != c.amount || (x.Claimed != nil) != c.tokens {
			t.Errorf("%s: usage %s money %s amount %d tokens %v", c.name, x.Usage, x.Money, x.Amount, x.Claimed)
		}
		if priced != (c.money == MoneyPriced || c.money == MoneyDeclared) || priced != (x.Card != "") || priced != (x.CardHash != "") {
			t.Errorf("%s: card %q applied %v", c.name, x.Card, priced)
		}
		if (c.money == MoneyHeld) != (len(x.Findings) == 1) {
			t.Errorf("%s: findings %v", c.name, x.Findings)
		}
	}
}

// TestImplausibleWithoutPrice: where nothing could be held because no price is
// known, an impossible claim does not cost 0 either.
func TestImplausibleWithoutPrice(t *testing.T) {
	l := New(testBook())
	for target, want := range map[Target]string{
		{"p", "other"}: MoneyUnpriced, {"p", "m"}: MoneyHeld, {price.Local, "m"}: MoneyHeld,
	} {
		var x record.Exchange
		l.Settle(&x, llm.Claim(llm.Tokens{llm.Input: -1}, nil), target)
		if x.Usage != string(llm.UsageImplausible) || x.Money != want || x.Amount != 0 || len(x.Findings) != 1 {
			t.Errorf("%v: usage %s, money %s, amount %d, findings %v", target, x.Usage, x.Money, x.Amount, x.Findings)
		}
		if row := Entry(&x); (row.Amount == nil) != (want == MoneyUnpriced) {
			t.Errorf("%v: the row has amount %v", target, row.Amount)
		}
	}
}

func TestHold(t *testing.T) {
	l := New(testBook())
	one := l.Hold(Estimate{PromptBytes: 3000, MaxOutput: 100}, []Target{{"p", "m"}}, 0)
	if one != 1001*3000+100*15000 {
		t.Errorf("hold %d", one)
	}
	if both := l.Hold(Estimate{PromptBytes: 3000, MaxOutput: 100}, []Target{{price.Local, "x"}, {"p", "m"}, {"p", "unknown"}}, 0); both != one {
		t.Errorf("the hold of several targets is %d, not that of the dearest %d", both, one)
	}
	if l.Hold(Estimate{MaxOutput: 1 << 40}, []Target{{"p", "m"}}, 0) != l.Hold(Estimate{MaxOutput: outputCeiling}, []Target{{"p", "m"}}, 0) {
		t.Error("an absurd bound is not capped")
	}
	if l.Hold(Estimate{}, []Target{{"p", "m"}}, 0) <= l.Hold(Estimate{MaxOutput: 1}, []Target{{"p", "m"}}, 0) {
		t.Error("no bound holds less than a bound of one token")
	}
}

func TestFirstUse(t *testing.T) {
	l := New(testBook())
	if !l.FirstUse("h") || l.FirstUse("h") {
		t.Error("a card is first used once")
	}
	l.Forget("h")
	if !l.FirstUse("h") {
		t.Error("a forgotten card is not first used again")
	}
}

func BenchmarkSettle(b *testing.B) {
	l := New(testBook())
	u := llm.Claim(llm.Tokens{llm.Input: 1000, llm.Output: 10}, nil)
	b.ReportAllocs()
	for b.Loop() {
		x := record.Exchange{}
		l.Settle(&x, u, Target{"p", "m"})
	}
}
