// Package price turns tokens into money with integers only: pico-USD per token
// on dated price cards, nano-USD for amounts. It does no I/O and reads no clock.
package price

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"

	"sallyport/internal/llm"
)

// Pico is a price in pico-USD (1e-12 USD) per token, which equals micro-USD per
// million tokens: 3 USD per million tokens is 3_000_000.
type Pico int64

// Nano is an amount of money in nano-USD (1e-9 USD).
type Nano int64

// Rates prices token classes. A class that is absent has no known price, which
// is not the same as a price of 0.
type Rates map[llm.Class]Pico

// Tier replaces rates for prompts above a size.
type Tier struct {
	Above int64 // prompt tokens (llm.Tokens.Prompt) must exceed this
	Rates Rates // only the classes that change
}

// Card is one dated price of one model. A card without rates says that the model
// is known and that its price is not per token.
type Card struct {
	ID       string // unique in a book; another price, date or source has another id
	Provider string // who charges it, such as "openai"; "local" is free by declaration
	Model    string // the provider's model name
	Names    []Rule // the names the card is for; nil means Model and nothing else
	From     int64  // valid from, microseconds since the Unix epoch, inclusive
	Until    int64  // valid until, exclusive; 0 means open
	Daily    Window // the part of each day the card is for; the zero Window is all of it
	Source   string // where the figures come from
	Rates    Rates
	Tiers    []Tier   // ascending by Above
	Omits    []string // the source's own names of prices that no token class carries, such as "web_searches_kcount"
}

// Local is the provider of upstreams that an operator runs; they are free by
// declaration.
const Local = "local"

// Declared is the card for upstreams that an operator runs: every class costs 0
// because the operator says so, not because nothing is known.
// Nobody may change its rates.
func Declared() Card { return declared }

var declared = Card{
	ID: "declared-local", Provider: Local, Model: "*", Source: "declared by the operator",
	Rates: Rates{
		llm.Input: 0, llm.CacheRead: 0, llm.CacheWrite5m: 0, llm.CacheWrite1h: 0, llm.Output: 0,
		llm.Reasoning: 0, llm.AudioIn: 0, llm.AudioOut: 0, llm.ImageIn: 0,
	},
}

// rate finds the price of a class for a prompt of the given size. Reasoning
// without a price of its own is charged as output, and both cache writes fall
// back to plain input never: an absent price stays unknown.
func (c Card) rate(class llm.Class, prompt int64) (Pico, bool) {
	p, ok := c.Rates[class]
	for _, t := range c.Tiers {
		if prompt > t.Above {
			if tp, has := t.Rates[class]; has {
				p, ok = tp, true
			}
		}
	}
	if !ok && class == llm.Reasoning {
		return c.rate(llm.Output, prompt)
	}
	return p, ok
}

// Cost is what the tokens cost on the card, rounded half up to a nano-USD once,
// on the sum. It fails when a class that occurs has no price, when a count is
// negative or above llm.MaxPlausibleTokens, or when the amount does not fit.
func (c Card) Cost(t llm.Tokens) (Nano, error) {
	for class, n := range t {
		if n < 0 || n > llm.MaxPlausibleTokens {
			return 0, fmt.Errorf("card %s: impossible count of %s", c.ID, llm.Class(class))
		}
	}
	var hi, lo uint64
	prompt := t.Prompt()
	for class, n := range t {
		if n == 0 {
			continue
		}
		p, ok := c.rate(llm.Class(class), prompt)
		if !ok {
			return 0, fmt.Errorf("card %s has no price for %s", c.ID, llm.Class(class))
		}
		if p < 0 {
			return 0, fmt.Errorf("card %s: negative price for %s", c.ID, llm.Class(class))
		}
		ph, pl := bits.Mul64(uint64(n), uint64(p))
		var carry uint64
		lo, carry = bits.Add64(lo, pl, 0)
		hi, carry = bits.Add64(hi, ph, carry)
		if carry != 0 {
			return 0, fmt.Errorf("card %s: amount overflows", c.ID)
		}
	}
	var carry uint64
	lo, carry = bits.Add64(lo, 500, 0)
	hi += carry
	if hi >= 1000 {
		return 0, fmt.Errorf("card %s: amount overflows", c.ID)
	}
	q, _ := bits.Div64(hi, lo, 1000)
	if q > 1<<63-1 {
		return 0, fmt.Errorf("card %s: amount overflows", c.ID)
	}
	return Nano(q), nil
}

// Hash commits to everything on the card that decides an amount: id, provider,
// model, validity, source, rates and tiers. It is hex SHA-256 over Canonical.
func (c Card) Hash() string {
	sum := sha256.Sum256([]byte(c.Canonical()))
	return hex.EncodeToString(sum[:])
}

// Canonical is the one text of a card: a line per fact, in a fixed order.
func (c Card) Canonical() string {
	b := []byte("sallyport price card v1\n")
	for _, s := range []string{c.ID, c.Provider, c.Model, c.Source} {
		b = strconv.AppendQuoteToASCII(b, s)
		b = append(b, '\n')
	}
	b = strconv.AppendInt(b, c.From, 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, c.Until, 10)
	b = append(b, '\n')
	if c.Daily != (Window{}) {
		b = append(b, "daily "+c.Daily.String()+"\n"...)
	}
	b = appendRates(b, c.Rates)
	for _, t := range c.Tiers {
		b = append(b, "above "...)
		b = strconv.AppendInt(b, t.Above, 10)
		b = append(b, '\n')
		b = appendRates(b, t.Rates)
	}
	return string(b)
}

func appendRates(b []byte, r Rates) []byte {
	for class := range llm.NumClasses {
		if p, ok := r[class]; ok {
			b = append(b, class.String()...)
			b = append(b, ' ')
			b = strconv.AppendInt(b, int64(p), 10)
			b = append(b, '\n')
		}
	}
	return b
}

// String formats an amount as decimal USD without rounding, such as "0.000292".
func (n Nano) String() string {
	sign, u := "", uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	whole, frac := u/1e9, u%1e9
	s := fmt.Sprintf("%09d", frac)
	for len(s) > 2 && s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	return sign + strconv.FormatUint(whole, 10) + "." + s
}
