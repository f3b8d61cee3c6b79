package probe

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pacer spaces questions as independent clients do, at the times of a Poisson process.
// A nil pacer does not wait.
type pacer struct {
	mean time.Duration

	mu   sync.Mutex
	next time.Time // when the next question may be sent; guarded by mu
}

func newPacer(mean time.Duration) *pacer {
	if mean <= 0 {
		return nil
	}
	return &pacer{mean: mean}
}

// wait waits for the turn of one question, or until ctx ends. When a question is sent
// decides nothing, so its time needs no seed.
func (p *pacer) wait(ctx context.Context) {
	if p == nil {
		return
	}
	p.mu.Lock()
	now := time.Now()
	turn := now
	if p.next.After(now) {
		turn = p.next
	}
	p.next = turn.Add(time.Duration(rand.ExpFloat64() * float64(p.mean)))
	p.mu.Unlock()
	wait(ctx, turn.Sub(now))
}
