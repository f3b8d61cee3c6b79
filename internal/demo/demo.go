// Package demo tells, with a real gateway, how a relay that begins to cheat is found
// and loses its traffic.
//
// Only the providers are simulated: three models of package upstreamtest and a relay
// in front of one of them, which from some request on answers with a cheaper model and
// forges everything by which that could be noticed. Gateway, policy, ledger, journal,
// audit log, comparison and verdict are those of every installation, with the alarm
// levels of the default settings. All of it listens on loopback.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Config says how the story is told. Tell is required.
type Config struct {
	Version string
	Keep    string // folder for what the gateway wrote, new or empty; a temporary one when empty
	Fast    bool   // as fast as the machine can, for tests
	Tell    func(Event)
}

// Event is one thing that happened. Text is a sentence, or lines, for people.
type Event struct {
	Seconds float64 `json:"seconds"` // since the start
	Name    string  `json:"event"`
	Text    string  `json:"text"`
	Data    any     `json:"data,omitempty"`
}

// The names of events, in the order in which they first come.
const (
	Setting  = "setting"  // who takes part
	Traffic  = "traffic"  // who answered so far and what is concluded; again and again
	Answer   = "answer"   // what a client sees
	Honest   = "honest"   // the end of the honest phase, with nothing concluded
	Cheating = "cheating" // the relay serves another model from now on
	Verdict  = "verdict"  // a level of alarm was reached
	Route    = "route"    // the first request after it that another upstream answered
	Truth    = "truth"    // what the relay really did, which nobody else could know
	Bundle   = "bundle"   // the verdict recomputed from its sealed observations
	Proof    = "proof"    // that the verdict is in the audit log
	Log      = "log"      // the audit log recomputed
	Ledger   = "ledger"   // who paid what
	Files    = "files"
	End      = "end"
)

// Bounds of the story: requests before the relay cheats, those after that within which
// the verdict must fall, and those that are watched after it.
const (
	honestRequests = 120
	cheatRequests  = 400
	afterRequests  = 40
)

// pace is how fast the story goes.
type pace struct {
	gap   time.Duration // between two requests
	look  time.Duration // between two looks at where things stand
	tell  time.Duration // between two lines about traffic
	first time.Duration // that a model takes to its first token
	rate  float64       // tokens a second of a model
}

var (
	usual = pace{gap: 110 * time.Millisecond, look: 100 * time.Millisecond, tell: time.Second, first: 80 * time.Millisecond, rate: 700}
	fast  = pace{look: 20 * time.Millisecond, tell: 500 * time.Millisecond}
)

// Run tells the story. It fails when anything did not happen as told.
func Run(ctx context.Context, cfg Config) (err error) {
	s := &story{cfg: cfg, pace: usual, started: time.Now(), answered: map[string]int{}}
	if cfg.Fast {
		s.pace = fast
	}
	dir, err := s.folder()
	if err != nil {
		return err
	}
	if cfg.Keep == "" {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if s.world, err = build(ctx, dir, s.pace, cfg.Version); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.setting()
	clients, err := s.startClients(ctx)
	if err != nil {
		return err
	}
	err = s.untilMoved(ctx, clients)
	clients.stop()
	if err != nil {
		return err
	}
	return s.evidence(ctx)
}

// folder is where the gateway keeps its data.
func (s *story) folder() (string, error) {
	if s.cfg.Keep == "" {
		dir, err := os.MkdirTemp("", "sallyport-demo-")
		if err != nil {
			return "", fmt.Errorf("make a folder for the demo: %w", err)
		}
		return dir, nil
	}
	dir, err := filepath.Abs(s.cfg.Keep)
	if err != nil {
		return "", fmt.Errorf("find the folder %s: %w", s.cfg.Keep, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the folder of the demo: %w", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return "", errors.Join(fmt.Errorf("the folder %s is not empty; name a new one", dir), err)
	}
	return dir, nil
}
