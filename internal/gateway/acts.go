package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"sallyport/internal/price"
	"sallyport/internal/record"
)

// NewSalt returns 32 random bytes in the form that records carry.
func NewSalt() string {
	var salt [32]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(salt[:])
}

// NewRecordID returns a random id for a record that is not an exchange.
func NewRecordID() string { return "rec_" + strings.ToLower(rand.Text()) }

// recordCard journals a price card the first time that this process applies it.
func (g *Gateway) recordCard(c price.Card) {
	r := record.Card{TS: now(), ID: NewRecordID(), Card: c.ID, Hash: c.Hash(), Text: c.Canonical(), Salt: NewSalt()}
	if _, err := g.Journal.Append(r.Append(nil)); err != nil {
		g.Ledger.Forget(r.Hash)
		g.Logger.Error("price card not recorded", "card", c.ID, "error", err)
	}
}

// reportStrangers journals how many requests had no valid credential.
func (g *Gateway) reportStrangers(n int64) {
	r := record.Strangers{TS: now(), ID: NewRecordID(), Count: n, Salt: NewSalt()}
	if _, err := g.Journal.Append(r.Append(nil)); err != nil {
		g.Logger.Error("refused strangers not recorded", "count", n, "error", err)
	}
}

// strangers counts refusals of unauthenticated callers and reports one sum a
// minute, so that strangers cannot fill the journal.
type strangers struct {
	report func(n int64)

	mu    sync.Mutex
	n     int64
	timer *time.Timer // running while n > 0
}

func (s *strangers) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n++; s.n == 1 {
		s.timer = time.AfterFunc(time.Minute, s.flush)
	}
}

func (s *strangers) flush() {
	s.mu.Lock()
	n := s.n
	s.n = 0
	s.mu.Unlock()
	if n > 0 {
		s.report(n)
	}
}

func (s *strangers) stop() {
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.flush()
}
