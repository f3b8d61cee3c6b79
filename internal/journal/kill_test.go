package journal

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// childDir names the variable that makes the test binary a process to be killed.
const (
	childDir  = "SALLYPORT_JOURNAL_TEST_DIR"
	childRun  = "SALLYPORT_JOURNAL_TEST_RUN"
	childMode = "SALLYPORT_JOURNAL_TEST_MODE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := appendForever(dir, os.Getenv(childRun), os.Getenv(childMode)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// killConfig rolls all the time and syncs rarely: what survives a killed process
// needs no sync.
func killConfig(dir, mode string) Config {
	cfg := Config{Dir: dir, SegmentBytes: minSegment, SyncEvery: time.Minute, SyncRecords: 200}
	if mode == "strict" {
		cfg.Durability = Strict
	}
	return cfg
}

// appendForever appends from several goroutines and says on standard output what
// Append acknowledged, one line a call, after it returned.
func appendForever(dir, run, mode string) error {
	j, err := Open(killConfig(dir, mode))
	if err != nil {
		return err
	}
	failed := make(chan error)
	var mu sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", run, w, i)
				pos, err := j.Append(killPayload(id+"-a"), killPayload(id+"-b"))
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Printf("%d %s\n", pos.Seq, id)
				mu.Unlock()
				if mode == "restart" && w == 0 && i%5 == 4 {
					if err := j.Restart(); err != nil {
						failed <- err
						return
					}
				}
			}
		}()
	}
	return <-failed
}

// killPayload is the payload of an id: the id and a padding that depends on it.
func killPayload(id string) []byte {
	h := fnv.New32a()
	io.WriteString(h, id)
	n := h.Sum32() % 700
	return append([]byte(id+" "), strings.Repeat(string(rune('a'+n%26)), int(n))...)
}

// killed starts a child, ends it with SIGKILL at a random moment, and returns what
// it acknowledged: sequence number after each call, and the call's id.
func killed(t *testing.T, dir, run, mode string) map[string]uint64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childRun+"="+run, childMode+"="+mode)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 1 + rand.IntN(150)
	if mode == "restart" { // after some restarts
		lines += 60
	}
	if rand.IntN(5) == 0 { // while it opens the journal, or soon after
		lines = -1
		time.AfterFunc(rand.N(30*time.Millisecond), func() { cmd.Process.Kill() })
	}
	acked := map[string]uint64{}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil { // half a line is no acknowledgement
			break
		}
		var seq uint64
		var id string
		if _, err := fmt.Sscanf(line, "%d %s\n", &seq, &id); err != nil {
			t.Fatalf("the child says %q", line)
		}
		acked[id] = seq
		if len(acked) == lines {
			cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended by itself: %v %s", err, &stderr)
	}
	return acked
}

// TestKill ends a process that appends with SIGKILL at random moments. Whatever it
// acknowledged is there when the journal is opened again, in order, and the chain
// holds.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journal")
	want := map[uint64]string{} // the id at a sequence number
	for round := range 36 {
		mode := []string{"grouped", "grouped", "strict"}[round%3]
		run := fmt.Sprintf("run%d", round)
		for id, seq := range killed(t, dir, run, mode) {
			want[seq-2], want[seq-1] = id+"-a", id+"-b"
		}
		j := open(t, killConfig(dir, mode))
		var chain [32]byte
		seen := map[string]bool{}
		var next uint64
		for e, err := range j.Records(Position{}) {
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if e.At.Seq != next {
				t.Fatalf("round %d: record %d comes after %d", round, e.At.Seq, next)
			}
			id, _, _ := strings.Cut(string(e.Payload), " ")
			if acked := want[next]; acked != "" && acked != id || seen[id] || string(killPayload(id)) != string(e.Payload) {
				t.Fatalf("round %d: record %d is %.40q, acknowledged was %q", round, next, e.Payload, acked)
			}
			if chain = link(chain, e.Payload); chain != e.Chain {
				t.Fatalf("round %d: the chain breaks at record %d", round, next)
			}
			want[next] = id // also what was not acknowledged stays from now on
			seen[id] = true
			next++
		}
		for seq, id := range want {
			if seq >= next {
				t.Fatalf("round %d: %s was acknowledged as record %d and is not there", round, id, seq)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) < 1000 {
		t.Fatalf("only %d records: the test shows nothing", len(want))
	}
}

// TestKillDuringRestart does the same while the process restarts its journal time
// and again: whatever was acknowledged is in the present journal or in one that
// was set aside.
func TestKillDuringRestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journal")
	want := map[string]bool{}
	for round := range 8 {
		for id := range killed(t, dir, fmt.Sprintf("run%d", round), "restart") {
			want[id+"-a"], want[id+"-b"] = true, true
		}
	}
	aside, err := filepath.Glob(filepath.Join(dir, "orphaned-*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(aside) == 0 {
		t.Fatal("no journal was set aside: the test shows nothing")
	}
	found := map[string]bool{}
	for _, dir := range append(aside, dir) {
		for _, p := range payloads(t, open(t, killConfig(dir, "grouped")), Position{}) {
			id, _, _ := strings.Cut(string(p), " ")
			if found[id] {
				t.Fatalf("%s is there twice", id)
			}
			found[id] = true
		}
	}
	for id := range want {
		if !found[id] {
			t.Fatalf("%s was acknowledged and is in none of %d journals", id, len(aside)+1)
		}
	}
}
