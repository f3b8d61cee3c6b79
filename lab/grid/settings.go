package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/probe"
)

// settings are all that a run depends on but for the banks. They are frozen before a
// holdout run, in settings.json; the thresholds and weights are the product's own.
type settings struct {
	Temperature float64  `json:"temperature"` // at which recorded distributions are served
	Variants    []string `json:"variants"`    // arms that are honest deployments beside the claimed one, by suffix
	Builds      []string `json:"builds"`      // arms of other builds of the engine, by suffix, where they were recorded: honest, and in no reference
	Quantised   []string `json:"quantised"`   // arms whose weights were quantised again, by suffix, where they were recorded
	Hidden      []int    `json:"hidden"`      // lengths of hidden prompts, in tokens, where they were recorded
	Train       int      `json:"train"`       // reference samples of a cell and variant for alphabets
	Budget      int      `json:"budget"`      // word questions of an audit, at most
	Audits      int      `json:"audits"`      // of each row
	Honest      int      `json:"honest_audits"`
	Wire        int      `json:"wire_audits"` // of each row that is run over HTTP

	Oracles oracleSettings `json:"oracles"`

	Dev     []scenario `json:"dev"`
	Holdout []scenario `json:"holdout"`

	sha256 string
}

// scenario is one assignment of roles.
type scenario struct {
	Name       string    `json:"name"`
	Claimed    string    `json:"claimed"`
	Substitute string    `json:"substitute"`
	Tasks      int       `json:"tasks"` // 0 or 1: the even or the odd ones of the questions' tasks
	Eps        []float64 `json:"eps"`   // shares of dilution
	Noise      []float64 `json:"noise"` // standard deviations of noise on logits
}

// cells are those of the scenario: dev and holdout share none.
func (s *scenario) cells() []string {
	var mine []string
	tasks := map[string]int{}
	for _, id := range probe.WordCells() {
		task, _, _ := strings.Cut(id, ".")
		if _, known := tasks[task]; !known {
			tasks[task] = len(tasks)
		}
		if tasks[task]%2 == s.Tasks {
			mine = append(mine, id)
		}
	}
	return mine
}

// readSettings reads settings.json in dir.
func readSettings(dir string) (*settings, error) {
	raw, err := os.ReadFile(filepath.Join(dir, settingsName))
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	s := &settings{}
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	sum := sha256.Sum256(raw)
	s.sha256 = hex.EncodeToString(sum[:])
	return s, nil
}

// Files beside the code.
const (
	settingsName = "settings.json"
	runsName     = "holdout.jsonl"
	tableName    = "holdout.md"
)

// holdoutRun is one line of holdout.jsonl, which every holdout run is appended to
// before it begins.
type holdoutRun struct {
	Date     string `json:"date"`
	Head     string `json:"head"`     // commit that ran
	Frozen   string `json:"frozen"`   // commit that last changed the settings; seeds follow from it
	Settings string `json:"settings"` // SHA-256 of the file
	Banks    string `json:"banks"`    // SHA-256 of the manifest
}

// holdoutRuns are those so far.
func holdoutRuns(dir string) ([]holdoutRun, error) {
	raw, err := os.ReadFile(filepath.Join(dir, runsName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of holdout runs: %w", err)
	}
	var runs []holdoutRun
	for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
		var r holdoutRun
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("read the list of holdout runs: %w", err)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// freeze says which commit froze the settings, and refuses a tree with changes that
// are not committed: they could be the tuning that a holdout forbids. What runs
// write themselves may have changed.
func freeze(ctx context.Context, dir string, s *settings, banks string) (holdoutRun, error) {
	git := func(arguments ...string) (string, error) {
		c := exec.CommandContext(ctx, "git", arguments...)
		c.Dir = dir
		out, err := c.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w", arguments[0], err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	changed, err := git("status", "--porcelain", "--", ":/", ":(exclude,top)lab/grid/"+runsName, ":(exclude,top)lab/grid/"+tableName)
	if err != nil {
		return holdoutRun{}, err
	}
	if changed != "" {
		return holdoutRun{}, fmt.Errorf("the holdout runs on committed files only; these are not:\n%s", changed)
	}
	head, err := git("rev-parse", "HEAD")
	if err != nil {
		return holdoutRun{}, err
	}
	frozen, err := git("log", "-1", "--format=%H", "--", settingsName)
	if err != nil {
		return holdoutRun{}, err
	}
	if frozen == "" {
		return holdoutRun{}, fmt.Errorf("%s was never committed", settingsName)
	}
	return holdoutRun{Date: time.Now().UTC().Format(time.DateOnly), Head: head, Frozen: frozen, Settings: s.sha256, Banks: banks}, nil
}

// announce appends a run to the list.
func announce(dir string, r holdoutRun) error {
	f, err := os.OpenFile(filepath.Join(dir, runsName), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("announce the holdout run: %w", err)
	}
	return errors.Join(json.NewEncoder(f).Encode(r), f.Sync(), f.Close())
}
