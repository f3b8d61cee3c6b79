package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/record"
	"sallyport/internal/store/storetest"
	"sallyport/internal/upstreamtest"
)

// TestKilled: 40 streams at a time, and the gateway dies three times in their
// midst. The upstream's own log, a file, says what must be in the database.
func TestKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	mirror := filepath.Join(t.TempDir(), "upstream.log")
	up := provider(t, upstreamtest.Config{LogPath: mirror})
	plan := childPlan{Config: configure(t, up.BaseURL(), ""), Data: t.TempDir()}
	first := offline(t, plan)
	_, key := first.newKey(t)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for round := range 3 {
		p := spawn(t, plan)
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan struct{}, 10_000)
		var wg sync.WaitGroup
		for w := range 40 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					q := ask{base: p.data, key: key, stream: true, text: fmt.Sprintf("nonce-r%dw%dn%d [[frames=20 gap=3ms]]", round, w, n)}
					resp, err := q.send(ctx)
					if err != nil {
						return // the gateway is gone
					}
					begun <- struct{}{}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
		for range 40 + moments.IntN(80) { // a random moment in the life of the streams
			<-begun
			sent++
		}
		p.kill()
		cancel()
		wg.Wait()
	}
	last := offline(t, plan)
	report := last.verified(t)
	states := judgeFile(t, last.App, mirror)
	t.Logf("%d leaves, rows by state: %v", report.Leaves, states)
	if states["lost"] == 0 || states["complete"] == 0 {
		t.Errorf("%d streams were sent; rows by state: %v: nothing was cut, or nothing was not", sent, states)
	}
}

// judgeFile is judge with the upstream's own file.
func judgeFile(t *testing.T, a *App, mirror string) map[string]int {
	t.Helper()
	f, err := os.Open(mirror)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l struct{ Method, SHA256 string }
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.Method == http.MethodPost {
			seen[l.SHA256]++
		}
	}
	return compare(t, a, seen)
}

// TestRestartSettles: what was under way when a gateway died is lost: one row, one
// leaf, and money that is not known rather than 0.
func TestRestartSettles(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	plan := childPlan{Config: configure(t, up.BaseURL(), ""), Data: t.TempDir()}
	first := offline(t, plan)
	_, key := first.newKey(t)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, plan)
	resp, err := ask{base: p.data, key: key, stream: true, text: "nonce-open [[frames=10 stall=2]]"}.send(t.Context())
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(err, resp)
	}
	defer resp.Body.Close()
	rid := resp.Header.Get("X-Request-Id")
	p.kill()
	for range 2 { // the second start has nothing left to settle
		again := offline(t, plan)
		again.verified(t)
		e, err := again.store.Entry(t.Context(), rid)
		if err != nil {
			t.Fatal(err)
		}
		if e.State != "lost" || e.Money != "unknown" || e.Amount != nil || e.Usage != "unknown" || e.Tokens != nil || e.Hold < 0 {
			t.Errorf("%+v", e)
		}
		if states := judge(t, again.App, up); states["lost"] != 1 || len(states) != 1 {
			t.Errorf("rows by state: %v", states)
		}
		if err := again.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCopiedFolder: a copy of a data folder is noticed where it is first started.
// It goes on under a journal id of its own, and says so.
func TestCopiedFolder(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), "")
	here, there := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "copy")
	first := start(t, options(here, file))
	for n := range 5 {
		ask{base: first.data, key: first.key, text: fmt.Sprintf("nonce-before%d", n)}.want(t, 200)
	}
	id, key := first.journal.ID(), first.key
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", here, there).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	original, twin := start(t, options(here, file)), start(t, options(there, file))
	for n, i := range []*instance{original, twin} {
		ask{base: i.data, key: key, text: fmt.Sprintf("nonce-after%d", n)}.want(t, 200)
		i.verified(t)
		if got := len(entries(t, i.store)); got != 6 {
			t.Errorf("%d rows, want 6", got)
		}
	}
	if original.journal.ID() != id || len(startNotes(t, original.App)) != 0 || strings.Contains(original.logs.String(), `"alert":true`) {
		t.Errorf("the original took itself for a copy: journal %s, notes %v", original.journal.ID(), startNotes(t, original.App))
	}
	if twin.journal.ID() == id {
		t.Error("the copy goes on under the journal id of the original")
	}
	if notes := startNotes(t, twin.App); len(notes) != 1 || notes[0] != "folder.moved" {
		t.Errorf("the copy's start record says %v", notes)
	}
	if logged := twin.logs.String(); !strings.Contains(logged, `"alert":true`) || !strings.Contains(logged, "copied or moved") {
		t.Errorf("the copy raised no alert: %s", logged)
	}
	if err := twin.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, options(there, file))
	if notes := startNotes(t, again.App); len(notes) != 0 {
		t.Errorf("a second start in the same place says %v", notes)
	}
}

// TestCopyOfALivingReplica: a copy of the folder of a replica that lives must not
// touch that replica's journal in the shared database. It goes on under an id of
// its own, and the original goes on as if nothing had happened.
func TestCopyOfALivingReplica(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), onPostgres(t, storetest.PostgresURL(t)))
	here, there := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "copy")
	original := start(t, options(here, file))
	for n := range 5 {
		ask{base: original.data, key: original.key, text: fmt.Sprintf("nonce-before%d", n)}.want(t, 200)
	}
	if out, err := exec.Command("cp", "-a", here, there).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := options(there, file)
	o.claimTime = 2 * time.Second
	twin := start(t, o)
	for n := range 5 {
		for name, i := range map[string]*instance{"original": original, "twin": twin} {
			ask{base: i.data, key: original.key, text: fmt.Sprintf("nonce-%s%d", name, n)}.want(t, 200)
		}
	}
	if twin.journal.ID() == original.journal.ID() {
		t.Error("the copy goes on under the journal id of the original")
	}
	if notes := startNotes(t, twin.App); len(notes) == 0 || notes[0] != "folder.copied" {
		t.Errorf("the copy's start record says %v", notes)
	}
	original.verified(t)
	twin.verified(t)
	if states := judge(t, original.App, up); states["complete"] != 15 || len(states) != 1 {
		t.Errorf("rows by state: %v", states)
	}
	id := original.journal.ID()
	if err := original.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, options(here, file))
	if again.journal.ID() != id {
		t.Error("the original lost its journal to the copy")
	}
	again.verified(t)
}

// TestCopyThatFailsToStart: a copy is still one when its first start came to nothing.
func TestCopyThatFailsToStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Settle(); err != nil {
		t.Fatal(err)
	}
	write(t, f.Path("home"), "inode 1 device 1 machine other\n")
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if f, err = OpenFolder(dir); err != nil || !f.Moved {
			t.Fatalf("moved: %v, %v", f.Moved, err)
		}
	}
	if err := f.Settle(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = OpenFolder(dir); err != nil || f.Moved {
		t.Fatalf("moved: %v, %v", f.Moved, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// startNotes are the notes of the newest start record.
func startNotes(t *testing.T, a *App) []string {
	t.Helper()
	if err := a.projector.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	leaves, err := a.store.Records(t.Context(), record.KindStart, 0, 1)
	if err != nil || len(leaves) != 1 {
		t.Fatal(leaves, err)
	}
	r, err := record.Decode(leaves[0].Record)
	if err != nil {
		t.Fatal(err)
	}
	return r.Start.Notes
}

// TestDiskFull: a full disk refuses what is new and finishes what runs.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not run: mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m,mode=0700"); err != nil {
		t.Skipf("not run: a tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	up := provider(t, upstreamtest.Config{})
	o := options(dir, configure(t, up.BaseURL(), ""))
	o.SegmentBytes = 64 << 10
	i := start(t, o)
	ask{base: i.data, key: i.key, text: "nonce-before"}.want(t, 200)

	var streams []*http.Response
	for n := range 5 {
		resp, err := ask{base: i.data, key: i.key, stream: true, text: fmt.Sprintf("nonce-running%d [[frames=400 gap=10ms]]", n)}.send(t.Context())
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		streams = append(streams, resp)
	}
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	// What was prepared before still takes records; then requests are refused.
	for n := 0; ; n++ {
		a := ask{base: i.data, key: i.key, text: fmt.Sprintf("nonce-full%d", n)}.do(t.Context())
		if a.status == 503 {
			break
		}
		if a.status != 200 || n > 2000 {
			t.Fatalf("request %d: status %d: %v: %s", n, a.status, a.err, a.body)
		}
	}
	if status, _ := get(t, i.data+"/readyz"); status != 503 {
		t.Errorf("readiness on a full disk: status %d", status)
	}
	for _, resp := range streams {
		b, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.HasSuffix(bytes.TrimSpace(b), []byte("data: [DONE]")) {
			t.Errorf("a running stream did not finish: %v: ...%s", err, b[max(0, len(b)-200):])
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	until(t, "requests are served again", func() bool {
		return ask{base: i.data, key: i.key, text: "nonce-after" + fmt.Sprint(time.Now().UnixNano())}.do(t.Context()).status == 200
	})
	i.verified(t)
	for _, resp := range streams {
		e, err := i.store.Entry(t.Context(), resp.Header.Get("X-Request-Id"))
		if err != nil || e.State != "complete" || e.Tokens == nil {
			t.Errorf("a running stream is recorded as %+v, %v", e, err)
		}
	}
	judge(t, i.App, up)
}

// fill takes all the space that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 4 {
		for b := make([]byte, size); ; {
			if _, err := f.Write(b); err != nil {
				break
			}
		}
	}
}
