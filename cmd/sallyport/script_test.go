package main

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"sallyport/internal/app"
	"sallyport/internal/gateway"
	"sallyport/internal/journal"
	"sallyport/internal/llm"
	"sallyport/internal/probe"
	"sallyport/internal/record"
	"sallyport/internal/stat"
	vocabulary "sallyport/internal/tokens"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sallyport": main})
}

// TestScripts runs testdata/*.txt: every verb, with a running gateway and without
// one. UPSTREAM is the base URL of a provider whose
// model calls itself something that would steer a terminal; ORACLE one whose model
// can be audited; DOWN one of nobody.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			s, err := upstreamtest.Start(upstreamtest.Config{Behaviour: upstreamtest.Behaviour{Model: "evil\x1b[31m\u202e"}})
			if err != nil {
				return err
			}
			e.Defer(func() { _ = s.Close() })
			o, err := upstreamtest.Start(upstreamtest.Config{Oracle: &upstreamtest.Oracle{Tokens: vocabulary.Of("gpt-4o")}})
			if err != nil {
				return err
			}
			e.Defer(func() { _ = o.Close() })
			e.Setenv("GORACE", "atexit_sleep_ms=10") // else each command takes a second longer with -race
			e.Setenv("UPSTREAM", s.BaseURL())
			e.Setenv("ORACLE", o.BaseURL())
			e.Setenv("DOWN", "http://127.0.0.1:1/v1")
			e.Setenv("LONG", strings.Repeat("d", 150))
			return expandConfigs(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ready": ready, "jsonlines": jsonLines, "tamper": tamper, "judge": judge, "watched": watched, "flip": flip, "field": field, "checkpoint": checkpoint, "holds": holds, "private": private, "aligned": aligned, "printable": printable,
		},
	})
}

// expandConfigs puts the addresses into the configuration files of a script.
func expandConfigs(e *testscript.Env) error {
	files, err := filepath.Glob(filepath.Join(e.WorkDir, "*.yaml"))
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(f, []byte(os.Expand(string(b), e.Getenv)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// exits runs a command that must end with a code: exits 2 sallyport keys show.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("%s ended with code %d, want %d", strings.Join(args[1:], " "), code, want)
	}
}

// ready waits until the gateway of a data folder serves: ready data.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	socket := app.SocketPath(ts.MkAbs(args[0]))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return app.DialSocket(ctx, socket)
	}}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for range 1000 {
		resp, err := client.Get("http://sallyport/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		last = err
		<-tick.C
	}
	ts.Fatalf("the gateway of %s does not get ready: %v", args[0], last)
}

// jsonLines checks that the last output is JSON, one document a line, with
// exactly the members named; a name with ? may be absent: jsonlines id project name?
func jsonLines(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile("stdout")
	if text == "" {
		ts.Fatalf("no output")
	}
	for line := range strings.Lines(text) {
		var v map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &v); err != nil || !strings.HasSuffix(line, "\n") {
			ts.Fatalf("%v: not a JSON document on a line: %q", err, line)
		}
		for _, name := range args {
			name, optional := strings.CutSuffix(name, "?")
			if _, ok := v[name]; !ok && !optional {
				ts.Fatalf("no member %q: %s", name, line)
			}
		}
		for name := range v {
			if !slices.Contains(args, name) && !slices.Contains(args, name+"?") {
				ts.Fatalf("the member %q is not expected: %s", name, line)
			}
		}
	}
}

// field puts a member of the last output, a JSON document, into a variable:
// field key KEY.
func field(ts *testscript.TestScript, _ bool, args []string) {
	first, _, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	var v map[string]any
	ts.Check(json.Unmarshal([]byte(first), &v))
	text, ok := v[args[0]].(string)
	if !ok || text == "" {
		ts.Fatalf("no text %q in %s", args[0], first)
	}
	ts.Setenv(args[1], text)
}

// checkpoint writes the signed checkpoint of the last output, a proof as JSON,
// into a file: checkpoint FILE.
func checkpoint(ts *testscript.TestScript, _ bool, args []string) {
	var p struct{ Proof string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &p))
	_, note, ok := strings.Cut(p.Proof, "\n\n")
	if !ok {
		ts.Fatalf("no checkpoint in %q", p.Proof)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(note), 0o600))
}

// holds waits until a file of a pattern holds a text: holds FILE TEXT.
func holds(ts *testscript.TestScript, _ bool, args []string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		files, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, name := range files {
			if b, err := os.ReadFile(name); err == nil && strings.Contains(string(b), args[1]) {
				return
			}
		}
		<-tick.C
	}
	ts.Fatalf("%s does not get to hold %q", args[0], args[1])
}

// tamper changes a database behind the program's back: tamper data 'UPDATE ...'.
func tamper(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", filepath.Join(ts.MkAbs(args[0]), "sallyport.db"))
	ts.Check(err)
	defer db.Close()
	r, err := db.Exec(args[1])
	ts.Check(err)
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		ts.Fatalf("%d rows were changed, %v", n, err)
	}
}

// judge records a verdict in the journal of a data folder that no process has open,
// as if the process had died before the database got it: judge data UPSTREAM MODEL ACT.
func judge(ts *testscript.TestScript, _ bool, args []string) {
	j, err := journal.Open(journal.Config{Dir: filepath.Join(ts.MkAbs(args[0]), "journal")})
	ts.Check(err)
	v := record.Verdict{
		TS: time.Now().UnixMicro(), ID: gateway.NewRecordID(), Upstream: args[1], Target: args[2], Null: "honest", Label: "identity check failed", Level: "quarantine",
		Act: record.Act(args[3]), EMilli: 3100, N: 400, Actor: "watch", Salt: gateway.NewSalt(),
	}
	_, err = j.Append(v.Append(nil))
	ts.Check(errors.Join(err, j.Close()))
}

// watched leaves in a file what a watch seals when an upstream's answers are others than
// those of two trusted deployments: watched FILE.
func watched(ts *testscript.TestScript, _ bool, args []string) {
	dir, sum := ts.MkAbs("watch"), ""
	w, err := probe.OpenWatch(probe.WatchConfig{
		Dir: dir, Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), Logger: slog.New(slog.DiscardHandler),
		Streams: []probe.Stream{{Upstream: "relay\u202e", Model: "m", References: []string{"a", "b"}, Monthly: probe.Monthly{Pairs: 10}}},
		Concluded: func(s probe.Standing, bundle string) bool {
			if s.Level == verdict.LevelQuarantine {
				sum = bundle
			}
			return false
		},
	})
	ts.Check(err)
	say := func(text string) []stat.Feature {
		return probe.Features(&probe.Said{Text: text, Finish: llm.FinishStop})
	}
	for range 500 {
		if sum == "" {
			w.Observe("relay\u202e", "m", &probe.Observed{
				At: 1, Strange: make([]bool, 3), Strata: probe.StrataOf(100, false, time.UnixMicro(1)), Suspect: say("Certainly! I am happy to delve into it."),
				Trusted: [][]stat.Feature{say("The answer is a question of time."), say("The answer is a question of time and place.")},
			})
		}
	}
	ts.Check(w.Close())
	ts.Check(os.Rename(filepath.Join(dir, sum+".bundle"), ts.MkAbs(args[0])))
}

// flip changes a byte in the middle of a file: flip FILE.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}

// private checks that a file may be read by its owner only.
func private(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if info.Mode().Perm() != 0o600 {
		ts.Fatalf("%s has mode %v", args[0], info.Mode())
	}
}

// aligned checks that each column of the last output begins where its head does,
// or ends there when it is a column of numbers: aligned ID PROJECT NAME.
func aligned(ts *testscript.TestScript, _ bool, args []string) {
	rows := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n")
	at := []int{}
	rest, offset := rows[0], 0
	for _, head := range args {
		i := strings.Index(rest, head)
		if i < 0 {
			ts.Fatalf("no column %q in %q", head, rows[0])
		}
		at = append(at, offset+i)
		rest, offset = rest[i+len(head):], offset+i+len(head)
	}
	for _, row := range rows[1:] {
		for k, start := range at {
			if start >= len(row) {
				continue // empty cells at the end
			}
			if start >= 2 && row[start-2:start] != "  " {
				ts.Fatalf("column %q does not begin at %d: %q", args[k], start, row)
			}
		}
	}
	if len(rows) < 2 {
		ts.Fatalf("a table without rows")
	}
}

// printable checks that the last output holds no control character but line
// feeds and tabs.
func printable(ts *testscript.TestScript, _ bool, _ []string) {
	for _, name := range []string{"stdout", "stderr"} {
		for _, r := range ts.ReadFile(name) {
			if r != '\n' && r != '\t' && unsafeRune(r) {
				ts.Fatalf("%s holds %U", name, r)
			}
		}
	}
}
