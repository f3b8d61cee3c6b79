package gateway_test

import (
	"encoding/hex"
	"slices"
	"sync"
	"testing"

	"sallyport/internal/journal"
	"sallyport/internal/llm"
	"sallyport/internal/record"
	"sallyport/internal/wire"
)

// trail is everything that the journal holds about one exchange.
type trail struct {
	kinds    []record.Kind // in order
	intent   *record.Exchange
	attempts []*record.Attempt
	outcome  *record.Exchange
	refused  *record.Exchange
}

// end is the outcome or the refusal.
func (tr *trail) end() *record.Exchange {
	if tr.outcome != nil {
		return tr.outcome
	}
	return tr.refused
}

// seen follows a journal.
type seen struct {
	journal *journal.Journal

	mu        sync.Mutex
	at        journal.Position
	exchanges map[string]*trail
	other     []record.Record // what belongs to no exchange
}

// read takes in what is new.
func (s *seen) read(t testing.TB) {
	t.Helper()
	for e, err := range s.journal.Records(s.at) {
		if err != nil {
			t.Fatalf("read the journal: %v", err)
		}
		r, err := record.Decode(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		s.at = e.Next
		var rid string
		switch {
		case r.Exchange != nil:
			rid = r.Exchange.RID
		case r.Attempt != nil:
			rid = r.Attempt.RID
		default:
			s.other = append(s.other, r)
			continue
		}
		tr := s.exchanges[rid]
		if tr == nil {
			tr = &trail{}
			s.exchanges[rid] = tr
		}
		tr.kinds = append(tr.kinds, r.Kind)
		switch r.Kind {
		case record.KindIntent:
			tr.intent = r.Exchange
		case record.KindAttempt:
			tr.attempts = append(tr.attempts, r.Attempt)
		case record.KindOutcome:
			tr.outcome = r.Exchange
		case record.KindRefused:
			tr.refused = r.Exchange
		}
	}
}

// trail waits until an exchange has ended and returns what the journal holds of
// it, after checking what must hold for every exchange.
func (r *rig) trail(t testing.TB, rid string) *trail {
	t.Helper()
	s := r.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.read(t)
		if tr := s.exchanges[rid]; tr != nil && tr.end() != nil {
			tr.check(t)
			return tr
		}
		if err := s.journal.Wait(t.Context(), s.at); err != nil {
			t.Fatalf("wait for the end of %q: %v", rid, err)
		}
	}
}

// outcome waits for the outcome of an exchange whose request was sent on.
func (r *rig) outcome(t testing.TB, a answer) *record.Exchange {
	t.Helper()
	tr := r.trail(t, a.rid)
	if tr.outcome == nil {
		t.Fatalf("refused instead of sent on: %+v", *tr.refused)
	}
	return tr.outcome
}

// refusal waits for the refusal of an exchange of which nothing was sent.
func (r *rig) refusal(t testing.TB, a answer) *record.Exchange {
	t.Helper()
	tr := r.trail(t, a.rid)
	if tr.refused == nil {
		t.Fatalf("sent on instead of refused: %+v", *tr.outcome)
	}
	return tr.refused
}

// all waits for n exchanges to end and returns them.
func (r *rig) all(t testing.TB, n int) map[string]*trail {
	t.Helper()
	s := r.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.read(t)
		ended := 0
		for _, tr := range s.exchanges {
			if tr.end() != nil {
				ended++
			}
		}
		if ended >= n {
			for _, tr := range s.exchanges {
				tr.check(t)
			}
			return s.exchanges
		}
		if err := s.journal.Wait(t.Context(), s.at); err != nil {
			t.Fatalf("wait for %d exchanges, %d ended: %v", n, ended, err)
		}
	}
}

// check checks what holds for every exchange.
func (tr *trail) check(t testing.TB) {
	t.Helper()
	x := tr.end()
	if x == nil {
		return
	}
	if x.Salt == "" || x.Principal == "" || x.Config == "" {
		t.Errorf("%s: the record lacks salt, principal or configuration: %+v", x.RID, *x)
	}
	if tr.refused != nil {
		if want := []record.Kind{record.KindRefused}; !slices.Equal(tr.kinds, want) {
			t.Errorf("%s: a refusal among %v", x.RID, tr.kinds)
		}
		if x.State != string(llm.Refused) || x.Usage != string(llm.UsageNone) || x.Money != "none" || len(x.Attempts) > 0 || x.Fault == "" {
			t.Errorf("%s: state %q, usage %q, money %q, fault %q, %d attempts of a refusal", x.RID, x.State, x.Usage, x.Money, x.Fault, len(x.Attempts))
		}
		return
	}
	want := []record.Kind{record.KindIntent}
	for range tr.attempts {
		want = append(want, record.KindAttempt)
	}
	if want = append(want, record.KindOutcome); !slices.Equal(tr.kinds, want) || len(tr.attempts) == 0 {
		t.Errorf("%s: records %v, want %v", x.RID, tr.kinds, want)
	}
	if len(x.Attempts) != len(tr.attempts) {
		t.Errorf("%s: %d attempts in the outcome, %d announced", x.RID, len(x.Attempts), len(tr.attempts))
		return
	}
	for i, a := range tr.attempts {
		if try := x.Attempts[i]; try.N != int64(i+1) || a.N != try.N || a.Upstream != try.Upstream || a.Model != try.Model || try.State == "" {
			t.Errorf("%s: attempt %+v was announced as %+v", x.RID, try, *a)
		}
	}
	last := x.Attempts[len(x.Attempts)-1]
	if x.Upstream != last.Upstream || x.Target != last.Model || x.State != last.State {
		t.Errorf("%s: upstream %s, model %s, state %s do not match the last attempt %+v", x.RID, x.Upstream, x.Target, x.State, last)
	}
	if tr.intent.Salt != x.Salt || tr.intent.Req != x.Req || tr.intent.Hold != x.Hold {
		t.Errorf("%s: intent and outcome differ", x.RID)
	}
}

// commits checks a commitment of a record against a body and edits.
func commits(t testing.TB, what, commit string, body []byte, edits []wire.Edit) {
	t.Helper()
	var sum [32]byte
	if n, err := hex.Decode(sum[:], []byte(commit)); err != nil || n != len(sum) {
		t.Errorf("%s: commitment %q", what, commit)
		return
	}
	if !wire.VerifyCommit(body, edits, sum) {
		t.Errorf("%s: the commitment %s is not to %q with %d edits", what, commit, clipped(body), len(edits))
	}
}

func clipped(b []byte) []byte { return b[:min(len(b), 300)] }
