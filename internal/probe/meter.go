package probe

import (
	"context"
	"maps"
	"sync"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/verdict"
)

// Price says what tokens cost at a list price; false when no price is known.
type Price func(llm.Tokens) (price.Nano, bool)

// meter counts what an audit takes, and stops it at the spend cap. What an answer
// does not tell counts as the most that it may have cost, so that the cap holds.
type meter struct {
	price Price
	limit price.Nano // 0 for none

	mu       sync.Mutex
	spent    verdict.Spent
	cost     price.Nano // of what was told
	worst    price.Nano // the same, with the most that untold usage may have cost
	unpriced bool
}

// Bounds on repeating a question that met a rate limit or a failure.
const (
	maxTries   = 3
	firstPause = time.Second
	maxPause   = 20 * time.Second
)

func newMeter(p Price, limit price.Nano) *meter {
	if p == nil {
		p = func(llm.Tokens) (price.Nano, bool) { return 0, false }
	}
	return &meter{price: p, limit: limit, spent: verdict.Spent{Outcomes: map[string]int{}}}
}

// ask sends a question, again after a pause when the endpoint is busy. A rate limit
// that stays is an outcome of its own and is told as one.
func (m *meter) ask(ctx context.Context, s Subject, a *Ask) *Reply {
	pause := firstPause
	for try := 1; ; try++ {
		if m.reached(a) {
			return &Reply{Outcome: Capped, Error: "the spend cap is reached"}
		}
		if ctx.Err() != nil {
			return &Reply{Outcome: Interrupted}
		}
		r := s.Ask(ctx, a)
		if ctx.Err() != nil && !r.OK() {
			r = &Reply{Outcome: Interrupted}
		}
		m.count(a, r)
		if r.Outcome != RateLimited && r.Outcome != Failed && r.Outcome != Unreachable || try == maxTries {
			return r
		}
		if r.Retry > 0 {
			pause = min(r.Retry, maxPause)
		}
		if !wait(ctx, pause) {
			return r
		}
		pause = min(2*pause, maxPause)
	}
}

// wait waits; false means that ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// reached reports whether a question might exceed the cap.
func (m *meter) reached(a *Ask) bool {
	if m.limit == 0 {
		return false
	}
	most, known := m.most(a)
	m.mu.Lock()
	defer m.mu.Unlock()
	return !known || m.worst+most > m.limit
}

// most is the most that a question may cost: a token a byte, and all the tokens that
// the answer may have.
func (m *meter) most(a *Ask) (price.Nano, bool) {
	var t llm.Tokens
	t[llm.Input] = int64(len(a.System) + len(a.Native) + len(a.Schema) + 64)
	for _, turn := range a.Turns {
		t[llm.Input] += int64(len(turn.Text)) + 8
	}
	for _, tool := range a.Tools {
		t[llm.Input] += int64(len(tool.Description) + len(tool.Parameters) + 64)
	}
	t[llm.Output] = a.MaxTokens
	if a.MaxTokens == 0 {
		t[llm.Output] = 4096
	}
	return m.price(t)
}

// count adds what one question took.
func (m *meter) count(a *Ask, r *Reply) {
	most, _ := m.most(a)
	cost, known := m.price(r.Tokens)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spent.Queries++
	m.spent.Outcomes[string(r.Outcome)]++
	switch {
	case !r.OK():
		return // an error is not billed
	case !r.Usable():
		m.spent.Unknown++
		m.worst += most
		return
	}
	m.spent.Input += r.Tokens.Prompt()
	m.spent.Output += r.Tokens.Completion()
	if !known {
		m.unpriced = true
		return
	}
	m.cost += cost
	m.worst += cost
}

// total is what was taken so far. Without a price for all of it the cost is unknown.
func (m *meter) total() verdict.Spent {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.spent
	s.Outcomes = maps.Clone(m.spent.Outcomes)
	s.Cost, s.Cap = int64(m.cost), int64(m.limit)
	if m.unpriced || m.spent.Unknown > 0 {
		s.Cost = -1
	}
	return s
}
