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
	settled  sync.Cond  // on mu: a question under way is counted
	held     price.Nano // the most that questions under way may cost
	spent    verdict.Spent
	cost     price.Nano // of what was told
	worst    price.Nano // the same, with the most that untold usage may have cost
	before   price.Nano // the same, of answers of an earlier run that were not counted yet
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
	m := &meter{price: p, limit: limit, spent: verdict.Spent{Outcomes: map[string]int{}}}
	m.settled.L = &m.mu
	return m
}

// ask sends a question, again after a pause when the endpoint is busy. A rate limit
// that stays is an outcome of its own and is told as one.
func (m *meter) ask(ctx context.Context, s Subject, a *Ask) *Reply {
	pause := firstPause
	for try := 1; ; try++ {
		held, within := m.hold(a)
		if !within {
			return &Reply{Outcome: Capped, Error: "the spend cap is reached"}
		}
		r := s.Ask(ctx, a)
		if ctx.Err() != nil && !r.OK() {
			r = &Reply{Outcome: Interrupted, Error: "the audit was interrupted"} // whatever else it looks like
		}
		m.count(a, r)
		m.release(held)
		if r.Outcome != RateLimited && r.Outcome != Failed && r.Outcome != Unreachable || try == maxTries || ctx.Err() != nil {
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

// hold takes the most that a question may cost out of the cap while it is under way;
// false when it might exceed the cap. Where only those under way stand against it, it
// waits for what they really cost.
func (m *meter) hold(a *Ask) (price.Nano, bool) {
	if m.limit == 0 {
		return 0, true
	}
	most, known := m.most(a)
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.held > 0 && m.before+m.worst+m.held+most > m.limit {
		m.settled.Wait()
	}
	if !known || m.before+m.worst+m.held+most > m.limit {
		return 0, false
	}
	m.held += most
	return most, true
}

// release gives back what hold took.
func (m *meter) release(held price.Nano) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held -= held
	m.settled.Broadcast()
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

// expect holds the cap also by answers that an audit which is gone on with will take
// over: what they cost is spent, whenever they are counted.
func (m *meter) expect(a *Ask, r *Reply, sign price.Nano) {
	cost, known := m.price(r.Tokens)
	if !r.OK() {
		return
	}
	if !r.Usable() || !known {
		cost, _ = m.most(a)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before += sign * cost
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
