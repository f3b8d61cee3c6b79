// Command grid measures the audit's detectors on relays of every kind and prints the
// table: how often each finds what is wrong, after how many observations, and how often
// it accuses an honest endpoint. Word questions are answered from distributions that
// lab/record.py recorded of real models, by the product's own code; lab/README.md says
// what is real and what is simulated.
//
//	grid questions       print the questions for words, for record.py
//	grid beginnings      print the questions that give the beginning of a text
//	grid dev             a small run on the dev scenario, to develop with
//	grid holdout         the run that counts: committed files only, once; writes holdout.md
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "grid:", err)
		stop()
		os.Exit(1)
	}
}

// command runs a verb. The working directory is the root of the repository.
func command(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("grid", flag.ContinueOnError)
	var (
		audits = flags.Int("audits", 60, "dev: audits of a row")
		honest = flags.Int("honest", 300, "dev: audits of an honest row")
		wire   = flags.Int("wire", 3, "dev: audits of a row over HTTP")
	)
	if len(arguments) == 0 {
		return errors.New("name a verb: questions, beginnings, dev or holdout")
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	if arguments[0] == "questions" || arguments[0] == "beginnings" {
		l, err := learn()
		if err != nil {
			return err
		}
		return printQuestions(os.Stdout, map[string][]Question{"questions": l.questions, "beginnings": l.beginnings}[arguments[0]])
	}
	s, err := readSettings(here)
	if err != nil {
		return err
	}
	l, err := openLibrary(filepath.Join("lab", "banks"))
	if err != nil {
		return err
	}
	switch arguments[0] {
	case "dev":
		s.Audits, s.Honest, s.Oracles.Honest, s.Wire = *audits, *honest, *honest, *wire
		return develop(ctx, s, l)
	case "holdout":
		return holdout(ctx, s, l)
	}
	return fmt.Errorf("no verb is called %q: questions, beginnings, dev or holdout", arguments[0])
}

// here is the folder of this command, from the root of the repository.
var here = filepath.Join("lab", "grid")

// develop runs the dev scenario. Results are kept for this very program, settings and
// banks.
func develop(ctx context.Context, s *settings, l *library) error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	key := sha256.Sum256(slices.Concat(program, []byte(s.sha256+l.hash)))
	r := newRun(s, l, sha256.Sum256([]byte("dev")), "dev-"+hex.EncodeToString(key[:6]))
	return r.print(ctx, os.Stdout, s.Dev, fmt.Sprintf("Dev run: settings %.12s, not frozen.", s.sha256))
}

// holdout runs the holdout scenarios, with seeds that follow from the commit of the
// frozen settings. An interrupted run goes on as the same run.
func holdout(ctx context.Context, s *settings, l *library) error {
	this, err := freeze(ctx, here, s, l.hash)
	if err != nil {
		return err
	}
	r := newRun(s, l, sha256.Sum256([]byte(this.Frozen)), "holdout-"+this.Head[:12])
	unfinished := filepath.Join(r.dir, "unfinished")
	if _, err := os.Stat(unfinished); err != nil {
		if err := announce(here, this); err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(r.dir), os.MkdirAll(r.dir, 0o755), os.WriteFile(unfinished, nil, 0o644)); err != nil {
			return fmt.Errorf("begin the holdout run: %w", err)
		}
	}
	runs, err := holdoutRuns(here)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("Holdout run %d of commit %.12s; settings %.12s, frozen by commit %.12s.", len(runs), this.Head, this.Settings, this.Frozen)
	var printed bytes.Buffer
	if err := r.print(ctx, io.MultiWriter(os.Stdout, &printed), s.Holdout, title); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(here, tableName), printed.Bytes(), 0o644), os.Remove(unfinished))
}

func newRun(s *settings, l *library, seed [32]byte, name string) *run {
	return &run{settings: s, library: l, seed: seed, dir: filepath.Join(".lab", "grid", name), told: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "grid: "+format+"\n", args...)
	}}
}

// print runs scenarios, the rows on oracles and those over HTTP, and writes what they
// came to.
func (r *run) print(ctx context.Context, w io.Writer, scenarios []scenario, title string) error {
	started := time.Now()
	var out []func(io.Writer)
	var took []string
	group := func(name string, run func() (func(io.Writer), error)) error {
		began := time.Now()
		write, err := run()
		out, took = append(out, write), append(took, fmt.Sprintf("%s %s", name, time.Since(began).Round(time.Second)))
		return err
	}
	for i := range scenarios {
		if err := group(scenarios[i].Name, func() (func(io.Writer), error) { return written(r.scenario(ctx, &scenarios[i])) }); err != nil {
			return err
		}
	}
	if err := group("simulated models", func() (func(io.Writer), error) { return written(r.oracles(ctx, &scenarios[0])) }); err != nil {
		return err
	}
	if err := group("over HTTP", func() (func(io.Writer), error) {
		results, err := r.wire(ctx)
		return func(w io.Writer) { printWire(w, results) }, err
	}); err != nil {
		return err
	}
	runs, err := holdoutRuns(here)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "# Grid\n\n%s Banks %.12s. Holdout runs so far: %d. This took %s: %s.\n\n",
		title, r.library.hash, len(runs), time.Since(started).Round(time.Second), strings.Join(took, ", "))
	for _, write := range out {
		write(w)
	}
	return nil
}

// written is how a table is written.
func written(t *table, err error) (func(io.Writer), error) {
	if err != nil {
		return nil, err
	}
	return t.print, nil
}
