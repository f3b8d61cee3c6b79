package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// clients are the users of the organisation: several at a time, each with questions of
// their own, through the data plane with a virtual key.
type clients struct {
	cancel  context.CancelFunc
	working sync.WaitGroup
	sent    atomic.Int64
	failed  chan error // the first failure
}

// Bounds of the traffic: users at a time, and how many requests they are ahead of the
// comparisons, which a person who watches shall not have to wait for.
const (
	users    = 4
	maxAhead = 24
)

// startClients lets traffic flow until stop.
func (s *story) startClients(ctx context.Context) (*clients, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &clients{cancel: cancel, failed: make(chan error, 1)}
	questions := make(chan []byte)
	for range users {
		c.working.Go(func() {
			for body := range questions {
				if err := s.askOne(ctx, body); err != nil && ctx.Err() == nil {
					select {
					case c.failed <- err:
					default:
					}
				}
			}
		})
	}
	c.working.Go(func() {
		defer close(questions)
		random := rand.New(rand.NewPCG(1, 2))
		for {
			if int(c.sent.Load())-s.settled() < maxAhead {
				select {
				case questions <- question(random):
					c.sent.Add(1)
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-time.After(s.pace.gap):
			case <-ctx.Done():
				return
			}
		}
	})
	return c, nil
}

// stop ends the traffic and waits for it.
func (c *clients) stop() {
	c.cancel()
	c.working.Wait()
}

// askOne puts one question to the gateway as an SDK would, and reads the answer.
func (s *story) askOne(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.app.DataAddr.String()+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask the gateway: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("a client got status %d: %s", resp.StatusCode, answer)
	}
	s.saw(answer)
	return nil
}

var (
	openings = []string{
		"Explain to a new colleague", "Write a short note about", "Describe in plain words", "Summarise for the management", "Draft an answer to a customer who asks about",
		"List the main points of", "Compare the usual ways of dealing with", "Write two paragraphs on", "Explain why people worry about", "Describe step by step how we handle",
	}
	matters = []string{
		"late deliveries from the warehouse", "the new travel policy", "passwords and how they are kept", "returns of damaged goods", "the quarterly maintenance of the lifts",
		"solar panels on an office roof", "the onboarding of suppliers", "how a heat pump works", "the retention of invoices", "working from home on Fridays",
		"the recycling of batteries", "a refund for a cancelled course", "the history of the bicycle", "parking for visitors", "backups of the accounting system",
		"noise in open offices", "the difference between leasing and renting", "allergens in the canteen", "a fair rota for the night shift", "roof gardens in dry summers",
	}
	details = []string{
		"Keep it friendly and leave out anything that a lawyer would have to check first.", "The reader has five minutes and no background in the matter; name one example from daily work.",
		"Last year's version was too long, so be brief, and end with what to do next.", "Mention what it costs roughly and who has to agree before anything is ordered.",
		"Assume that the reader is sceptical and has heard the usual arguments before; be concrete.",
	}
)

// question is a request as people make them. It says temperature, top_p and a limit, so
// that it means the same to every deployment, and half of them stream.
func question(r *rand.Rand) []byte {
	text := openings[r.IntN(len(openings))] + " " + matters[r.IntN(len(matters))] + ". " + details[r.IntN(len(details))] +
		" This is for the internal handbook of a company with several hundred people in three countries, so avoid local expressions."
	q := map[string]any{
		"model": claimed, "messages": []map[string]string{{"role": "user", "content": text}},
		"temperature": .8, "top_p": 1, "max_tokens": 400,
	}
	if r.IntN(2) == 0 {
		q["stream"] = true
	}
	body, err := json.Marshal(q)
	if err != nil {
		panic("demo: a question without a JSON form: " + err.Error()) // texts and numbers only
	}
	return body
}
