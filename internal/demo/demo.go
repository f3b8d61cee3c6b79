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
	"cmp"
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
	Keep    string            // folder for what the gateway wrote, new or empty; a temporary one when empty
	Fast    bool              // as fast as the machine can, for tests
	Tell    func(Event) error // its failure ends the story
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

// script is how much of everything there is, and how fast it goes.
type script struct {
	honest int           // requests before the relay cheats
	within int           // requests after that, within which the verdict must fall
	after  int           // requests that are watched when the route has moved
	gap    time.Duration // between two requests
	look   time.Duration // between two looks at where things stand
	tell   time.Duration // between two lines about traffic
	first  time.Duration // that a model takes to its first token
	rate   float64       // tokens a second of a model; 0 decodes at once
}

var (
	usual = script{150, 400, 40, 180 * time.Millisecond, 100 * time.Millisecond, time.Second, 80 * time.Millisecond, 700}
	fast  = script{100, 400, 20, 5 * time.Millisecond, 20 * time.Millisecond, time.Second, 0, 0}
)

// ErrNotAsTold is wrapped by the error of a story in which something else happened.
var ErrNotAsTold = errors.New("the demo did not go as it should")

// Run tells the story. It fails when anything did not happen as told.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Fast {
		return run(ctx, cfg, fast)
	}
	return run(ctx, cfg, usual)
}

func run(ctx context.Context, cfg Config, as script) (err error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	s := &story{cfg: cfg, script: as, started: time.Now(), abort: abort, answered: map[string]int{}}
	dir, err := s.folder()
	if err != nil {
		return err
	}
	if cfg.Keep == "" {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if s.world, err = build(ctx, dir, as, cfg.Version); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.setting()
	clients := s.startClients(ctx)
	err = s.untilMoved(ctx, clients)
	clients.stop()
	if err == nil {
		err = s.evidence(ctx)
	}
	return cmp.Or(context.Cause(ctx), err)
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
