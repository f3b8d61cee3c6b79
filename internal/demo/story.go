package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/console"
	"sallyport/internal/probe"
	"sallyport/internal/record"
	"sallyport/internal/verdict"
)

// story is where things stand. Only the goroutine of Run changes it, but for what is
// told of clients.
type story struct {
	*world
	cfg     Config
	script  script
	started time.Time
	abort   context.CancelCauseFunc
	told    time.Time // traffic, last

	answered map[string]int // requests of the clients, by the upstream that answered, as the ledger has them
	leaf     int64          // of the ledger, seen last
	standing probe.Standing // of the relay, on the hypothesis that may take it out
	verdicts []console.Verdict
	settled  atomic.Int64 // requests that were compared or that another upstream answered

	mu   sync.Mutex
	seen glimpse // guarded by mu: the newest answer that was not streamed
}

// glimpse is what a client sees of an answer.
type glimpse struct {
	Model  string `json:"model"`
	Input  int64  `json:"input_tokens"`
	Output int64  `json:"output_tokens"`
	Text   string `json:"text"` // its beginning
}

// Tally is where things stand, as data of a Traffic event.
type Tally struct {
	Answered map[string]int `json:"answered"` // by upstream
	Pairs    int            `json:"pairs"`    // requests compared
	LogM     float64        `json:"log10_m"`
	Next     float64        `json:"log10_alarm"` // at which the next level is reached
	Level    verdict.Level  `json:"level"`
}

func (s *story) tell(name string, data any, format string, args ...any) {
	if err := s.cfg.Tell(Event{Seconds: time.Since(s.started).Seconds(), Name: name, Text: fmt.Sprintf(format, args...), Data: data}); err != nil {
		s.abort(fmt.Errorf("tell what happens: %w", err))
	}
}

// saw keeps what a client sees of a whole answer.
func (s *story) saw(answer []byte) {
	var a struct {
		Model   string `json:"model"`
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
		Usage struct {
			Prompt     int64 `json:"prompt_tokens"`
			Completion int64 `json:"completion_tokens"`
		} `json:"usage"`
	}
	if json.Unmarshal(answer, &a) != nil || len(a.Choices) == 0 {
		return // streamed
	}
	text := strings.Join(strings.Fields(a.Choices[0].Message.Content), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = glimpse{a.Model, a.Usage.Prompt, a.Usage.Completion, text[:min(len(text), 60)]}
}

func (s *story) setting() {
	s.tell(Setting, nil, "An organisation buys %s from a relay, at two thirds of its maker's price. Its gateway, on %s, tries the relay first and then the maker (\"direct\"). "+
		"What the relay answers is compared: the gateway puts the same requests, on a budget of the audit's own, to the maker and to a second deployment of the model. "+
		"The relay gets nothing but its traffic.\nM grows as the relay's answers can be told from the others'. Chance alone brings it to a notice no more than once in 3,000 comparisons, which is a month of the default settings; "+
		"to a warning once in a year of them, to quarantine once in ten.\n"+
		"Providers and relay are simulated on this machine; all else is real.", claimed, s.app.DataAddr)
}

// untilMoved watches until the route has moved for a while.
func (s *story) untilMoved(ctx context.Context, c *clients) error {
	tick := time.NewTicker(s.script.look)
	defer tick.Stop()
	cheating, moved := false, 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-c.failed:
			return err
		case <-tick.C:
		}
		honest := !cheating && !s.cheats()
		if err := s.look(ctx); err != nil {
			return err
		}
		switch {
		case honest && len(s.verdicts) > 0:
			return fmt.Errorf("%w: a verdict fell on an honest relay: %s", ErrNotAsTold, s.verdicts[0].Wording)
		case !honest && !cheating:
			cheating = true
			s.turn()
		}
		if out := s.condemned(); out != nil && s.answered["direct"] > 0 {
			if moved == 0 {
				s.moved(out)
			}
			moved = s.answered["direct"]
		}
		switch {
		case moved >= s.script.after:
			s.tellTraffic()
			s.glance()
			return nil
		case s.condemned() == nil && s.answered["relay"] > s.script.honest+s.script.within:
			return fmt.Errorf("%w: no verdict took the relay out of routing within %d requests of its cheating; M is at 10^%.1f", ErrNotAsTold, s.script.within, s.standing.LogM)
		}
		if time.Since(s.told) >= s.script.tell {
			s.tellTraffic()
		}
	}
}

// cheats reports whether the relay has begun to: only the demo can ask it.
func (s *story) cheats() bool { return s.diverted() > 0 }

func (s *story) diverted() (n int) {
	for _, d := range s.relay.Deeds() {
		if d.Cheap {
			n++
		}
	}
	return n
}

// look asks the gateway how things stand.
func (s *story) look(ctx context.Context) error {
	var entries []console.Entry
	if err := s.call(ctx, http.MethodGet, fmt.Sprintf("/logs?project=demo&limit=1000&after_leaf=%d", s.leaf), nil, &entries); err != nil {
		return err
	}
	for _, e := range entries {
		s.answered[e.Upstream]++
		s.leaf = e.Leaf
	}
	for _, st := range s.app.Standings() {
		if st.Null == verdict.Honest && st.N >= s.standing.N { // after the verdict a fresh stream begins
			s.standing = st
		}
	}
	s.settled.Store(int64(s.standing.N + s.standing.Sense("D4").Lost + s.answered["direct"]))
	var all []console.Verdict // newest first
	if err := s.call(ctx, http.MethodGet, "/verdicts?upstream=relay&limit=100", nil, &all); err != nil {
		return err
	}
	for i := len(all) - len(s.verdicts) - 1; i >= 0; i-- {
		v := all[i]
		s.verdicts = append(s.verdicts, v)
		if v.Act == record.ActQuarantine {
			s.glance() // what clients still saw when it fell
		}
		s.tellVerdict(v)
	}
	return nil
}

// tellVerdict tells of a level that was reached; of the one that acts, in its own words.
func (s *story) tellVerdict(v console.Verdict) {
	than := map[string]string{string(verdict.Same): "the reference", string(verdict.Honest): "any honest deployment"}[v.Null]
	text := fmt.Sprintf("VERDICT %s: the relay answers unlike %s (%d pairs, M 10^%.1f)", v.Level, than, v.N, v.LogE)
	if v.Act == record.ActQuarantine {
		text += fmt.Sprintf("\n%s: it is %s.", v.Label, v.Wording)
	}
	s.tell(Verdict, v, "%s", text)
}

// condemned is the verdict that took the relay out of routing.
func (s *story) condemned() *console.Verdict {
	for i := range s.verdicts {
		if s.verdicts[i].Act == record.ActQuarantine {
			return &s.verdicts[i]
		}
	}
	return nil
}

// turn tells that the honest phase is over.
func (s *story) turn() {
	s.tellTraffic()
	s.glance()
	s.tell(Honest, s.tally(), "So far the relay was honest, and nothing is concluded: %d pairs, M = 10^%.1f, and the lowest level of alarm is at 10^%.1f.",
		s.standing.N, s.standing.LogM, s.standing.Alarm)
	s.tell(Cheating, map[string]int{"requests": s.script.honest}, "THE RELAY NOW SECRETLY SERVES ANOTHER MODEL: %s, in place of %s. It forges the model's name, ids and fingerprint and counts tokens as the claimed model would. Neither clients nor the gateway are told.", cheap, claimed)
}

// moved tells that requests take another way.
func (s *story) moved(v *console.Verdict) {
	s.tell(Route, map[string]any{"verdict": v.ID, "upstream": "direct"}, "THE ROUTE MOVED: \"direct\" answers now; the relay is in quarantine by verdict %s. No client was refused.", v.ID)
}

// glance tells what a client sees.
func (s *story) glance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen.Model == "" {
		return
	}
	s.tell(Answer, s.seen, "a client sees status 200, model %q, %d + %d tokens:\n%q...", s.seen.Model, s.seen.Input, s.seen.Output, s.seen.Text)
}

func (s *story) tally() Tally {
	return Tally{s.answered, s.standing.N, s.standing.LogM, s.standing.Alarm, s.standing.Level}
}

func (s *story) tellTraffic() {
	if s.standing.N == 0 {
		return
	}
	s.told = time.Now()
	s.tell(Traffic, s.tally(), "relay %3d direct %3d pairs %3d M 10^%-4.1f %s", s.answered["relay"], s.answered["direct"], s.standing.N, s.standing.LogM, gauge(s.standing))
}

// gauge shows how far the detector of change is on its way to the next level.
func gauge(st probe.Standing) string {
	const cells = 10
	next := verdict.LevelNotice
	switch st.Level {
	case verdict.LevelNotice:
		next = verdict.LevelWarning
	case verdict.LevelWarning:
		next = verdict.LevelQuarantine
	case verdict.LevelQuarantine:
		return "[" + strings.Repeat("#", cells) + "] " + string(st.Level)
	}
	if st.Alarm <= 0 {
		return ""
	}
	full := min(max(int(cells*st.LogM/st.Alarm), 0), cells)
	return fmt.Sprintf("[%s%s] %s 10^%.1f", strings.Repeat("#", full), strings.Repeat(".", cells-full), next, st.Alarm)
}
