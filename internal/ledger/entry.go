package ledger

import (
	"strconv"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// Entry is the ledger row of an outcome or a refusal, but for its place in the
// audit log (store.Entry.Leaf), which the log assigns. It is a pure function of
// the record: projecting a journal again gives the same rows. The row shares the
// memory of x.
func Entry(x *record.Exchange) store.Entry {
	return store.Entry{
		RID:       x.RID,
		TS:        x.TS,
		End:       x.End,
		TTFB:      x.TTFB,
		Principal: x.Principal,
		Key:       x.Key,
		Project:   x.Project,
		Client:    x.Client,
		Dialect:   x.Dialect,
		Endpoint:  x.Endpoint,
		Model:     x.Model,
		Stream:    x.Stream,
		Label:     x.Label,
		Decision:  x.Effect,
		Upstream:  x.Upstream,
		Target:    x.Target,
		Declared:  x.Declared,
		State:     x.State,
		Fault:     x.Fault,
		Status:    x.Status,
		Usage:     x.Usage,
		Tokens:    x.Claimed,
		Claim:     x.Verbatim,
		Counted:   x.Counted,
		Money:     x.Money,
		Amount:    amount(x),
		Hold:      x.Hold,
		Card:      x.Card,
		CardHash:  x.CardHash,
		InBytes:   x.InBytes,
		OutBytes:  x.OutBytes,
		Attempts:  attempts(x.Attempts),
		Findings:  texts(x.Findings),
	}
}

// amount is the money of the exchange, or nil when it is not known. A status
// that this version does not know is not known money.
func amount(x *record.Exchange) *price.Nano {
	switch x.Money {
	case MoneyPriced, MoneyDeclared, MoneyHeld, MoneyNone:
		return (*price.Nano)(&x.Amount)
	}
	return nil
}

// Charged is what an exchange counts as against a budget: its amount, or while that is
// not known what was held for it; false when no price is known.
func Charged(x *record.Exchange) (price.Nano, bool) {
	if n := amount(x); n != nil {
		return *n, true
	}
	return price.Nano(x.Hold), x.Hold > 0
}

// attempts is the JSON text of the attempts in order.
func attempts(tries []record.Try) string {
	b := append(make([]byte, 0, 2+128*len(tries)), '[')
	for i := range tries {
		t := &tries[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"n":`...), t.N, 10)
		b = record.AppendString(append(b, `,"upstream":`...), t.Upstream)
		b = record.AppendString(append(b, `,"model":`...), t.Model)
		b = record.AppendString(append(b, `,"state":`...), t.State)
		b = strconv.AppendInt(append(b, `,"status":`...), t.Status, 10)
		b = strconv.AppendInt(append(b, `,"start":`...), t.Start, 10)
		b = strconv.AppendInt(append(b, `,"end":`...), t.End, 10)
		b = append(b, '}')
	}
	return string(append(b, ']'))
}

// texts is the JSON text of a list of strings.
func texts(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	b := []byte{'['}
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = record.AppendString(b, s)
	}
	return string(append(b, ']'))
}

// Lost is the outcome of an exchange whose gateway died before it saw the end:
// everything that the intent and the announced attempts tell, and nothing else.
// What it took is not known, so its hold stays counted until it is corrected.
// now is when the loss was noticed, in microseconds.
func Lost(intent *record.Exchange, announced []record.Attempt, now int64) record.Exchange {
	x := *intent
	x.End = now
	x.State = string(llm.Lost)
	x.Usage, x.Claimed, x.Verbatim, x.Counted = string(llm.UsageUnknown), nil, "", NotSampled
	x.Money, x.Amount, x.Card, x.CardHash = MoneyUnknown, 0, "", ""
	x.Attempts = make([]record.Try, 0, len(announced))
	for i := range announced {
		a := &announced[i]
		x.Attempts = append(x.Attempts, record.Try{
			N: a.N, Upstream: a.Upstream, Model: a.Model, State: string(llm.Lost), Start: a.TS, End: now,
		})
		x.Upstream, x.Target = a.Upstream, a.Model
		x.Hold = max(x.Hold, a.Hold)
	}
	return x
}
