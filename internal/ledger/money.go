// Package ledger turns what an exchange took into money: the hold before it
// leaves and the settlement after it ended, in tokens by class as claimed by the
// upstream, priced by dated cards. What is not known stays unknown; it never
// becomes 0.
package ledger

import (
	"sync"
	"sync/atomic"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/record"
)

// The states of the money of one exchange (record.Exchange.Money).
const (
	MoneyPriced   = "priced"   // the claim on a dated card
	MoneyDeclared = "declared" // free because the operator declares it: local upstreams, token counting
	MoneyUnpriced = "unpriced" // usage is known, a price is not
	MoneyUnknown  = "unknown"  // usage is not known; the hold stays counted until corrected
	MoneyHeld     = "held"     // the claim is impossible: charged at the hold
	MoneyNone     = "none"     // nothing was generated: nothing to charge
)

// What record.Exchange.Counted holds: whether the answer is handed over to be
// counted by Sallyport itself. What comes of that is a record of its own.
const (
	NotSampled = "not sampled"
	Sampled    = "sampled"
)

// FindingImplausible is the observation code of an impossible usage claim.
const FindingImplausible = "usage.implausible"

// bytesPerToken is a low estimate of prompt bytes per token, so that a hold errs
// on the high side; outputWithoutBound is assumed when a client names no bound,
// outputCeiling caps absurd bounds that some SDKs send by default, and
// choicesCeiling is the most answers that a provider gives to one request.
const (
	bytesPerToken      = 3
	outputWithoutBound = 4096
	outputCeiling      = 32768
	choicesCeiling     = 128
)

// Ledger prices exchanges. It is safe for concurrent use.
type Ledger struct {
	cards atomic.Pointer[cards]
	used  sync.Map // card hash -> struct{}: cards that were applied by this process
}

// cards is a book with the hashes of the cards that were looked up in it.
type cards struct {
	book   *price.Book
	hashes sync.Map // card id -> hash
}

// hash is the card's hash, computed once per book.
func (c *cards) hash(card price.Card) string {
	if h, ok := c.hashes.Load(card.ID); ok {
		return h.(string)
	}
	h := card.Hash()
	c.hashes.Store(card.ID, h)
	return h
}

// New returns a ledger that prices with the book.
func New(book *price.Book) *Ledger {
	l := &Ledger{}
	l.SetBook(book)
	return l
}

// SetBook replaces the price cards; exchanges that settle later use the new ones.
func (l *Ledger) SetBook(book *price.Book) { l.cards.Store(&cards{book: book}) }

// FirstUse reports whether the card with the hash was never applied by this
// process before. It answers true once per card, so that each is recorded once.
func (l *Ledger) FirstUse(cardHash string) bool {
	_, known := l.used.LoadOrStore(cardHash, struct{}{})
	return !known
}

// Forget takes back a FirstUse whose record could not be written.
func (l *Ledger) Forget(cardHash string) { l.used.Delete(cardHash) }

// Target is what money depends on besides tokens: who is paid for which model.
type Target struct {
	Provider string // price.Card.Provider; "local" is free by declaration
	Model    string // the upstream's model name
}

// Estimate is what is known about the size of a request before it is sent.
type Estimate struct {
	PromptBytes int64
	MaxOutput   int64 // the client's bound for one answer; 0 when it gave none
	Choices     int64 // answers asked for; 0 means one
	NoOutput    bool  // nothing is generated, as for embeddings
}

// tokens is a high estimate of what the request will take.
func (e Estimate) tokens() llm.Tokens {
	out := e.MaxOutput
	if out <= 0 {
		out = outputWithoutBound
	}
	out = min(out, outputCeiling) * min(max(e.Choices, 1), choicesCeiling)
	if e.NoOutput {
		out = 0
	}
	return llm.Tokens{llm.Input: e.PromptBytes/bytesPerToken + 1, llm.Output: out}
}

// Hold is what to reserve for an exchange before it leaves: the dearest of its
// possible targets. Targets without a price add nothing, which the settlement
// then shows as unpriced.
func (l *Ledger) Hold(e Estimate, targets []Target, micros int64) price.Nano {
	var hold price.Nano
	book := l.cards.Load().book
	for _, t := range targets {
		if card, ok := book.At(t.Provider, t.Model, micros); ok {
			if n, err := card.Cost(e.tokens()); err == nil {
				hold = max(hold, n)
			}
		}
	}
	return hold
}

// Settle writes usage and money into the outcome of an exchange. It returns the
// price card when one was applied, so that the caller can record it.
func (l *Ledger) Settle(x *record.Exchange, u llm.Usage, t Target) (price.Card, bool) {
	x.Counted = NotSampled
	x.Usage = string(u.Status)
	x.Verbatim = string(u.Verbatim)
	x.Amount, x.Card, x.CardHash = 0, "", ""
	switch u.Status {
	case llm.UsageNone:
		x.Money = MoneyNone
		return price.Card{}, false
	case llm.UsageImplausible:
		x.Implaus = u.Reason
		x.Findings = append(x.Findings, FindingImplausible)
		x.Money, x.Amount = MoneyHeld, x.Hold
		if x.Hold == 0 && !l.free(t, x.TS) {
			x.Money = MoneyUnpriced
		}
		return price.Card{}, false
	case llm.UsageClaimed:
		c := record.Counts(u.Tokens)
		x.Claimed = &c
		return l.price(x, u.Tokens, t)
	}
	x.Usage, x.Money = string(llm.UsageUnknown), MoneyUnknown
	return price.Card{}, false
}

// free reports whether a card prices the target at nothing. A hold of 0 is
// otherwise one for which no price was known.
func (l *Ledger) free(t Target, micros int64) bool {
	card, ok := l.cards.Load().book.At(t.Provider, t.Model, micros)
	if !ok {
		return false
	}
	n, err := card.Cost(llm.Tokens{llm.Input: llm.MaxPlausibleTokens, llm.Output: llm.MaxPlausibleTokens})
	return err == nil && n == 0
}

func (l *Ledger) price(x *record.Exchange, tokens llm.Tokens, t Target) (price.Card, bool) {
	cards := l.cards.Load()
	card, ok := cards.book.At(t.Provider, t.Model, x.TS)
	if !ok {
		x.Money = MoneyUnpriced
		return card, false
	}
	amount, err := card.Cost(tokens)
	if err != nil {
		x.Money = MoneyUnpriced
		return card, false
	}
	x.Money, x.Amount = MoneyPriced, int64(amount)
	if t.Provider == price.Local {
		x.Money = MoneyDeclared
	}
	x.Card, x.CardHash = card.ID, cards.hash(card)
	return card, true
}
