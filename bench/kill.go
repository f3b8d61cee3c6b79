package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"
)

// killing is one run of the verb kill.
type killing struct {
	Kills     int       `json:"kills"`
	Streams   int       `json:"streams"`
	Seed      uint64    `json:"seed"`
	Seconds   float64   `json:"seconds"`
	Restart   spread    `json:"restart_ms"` // from start to ready, recovery included
	Judgement judgement `json:"judgement"`
	Verify    string    `json:"log_verify"`
}

// runKill is the verb kill: clients stream through the gateway without pause
// while it is killed with signal 9 at random moments and started again; then its
// rows are judged by the upstream's own log.
func runKill(ctx context.Context, o options) error {
	w, err := newWorkplace(o)
	if err != nil {
		return err
	}
	defer w.close()
	k := killing{Kills: o.kills, Streams: o.streams, Seed: o.seed}
	if k.Streams == 0 {
		k.Streams = 200
	}
	if k.Seed == 0 {
		k.Seed = uint64(time.Now().UnixNano())
	}
	banner("kill", fmt.Sprintf("%d concurrent streams, kill -9 %d times, seed %d", k.Streams, k.Kills, k.Seed))
	seen := w.path("upstream.log")
	_, upstream, err := w.child("mock", "-log", seen)
	if err != nil {
		return err
	}
	g, err := w.newGateway(ctx, upstream, "")
	if err != nil {
		return err
	}
	began := time.Now()
	clients, restarts, err := k.hammer(ctx, g)
	if err != nil {
		return err
	}
	k.Seconds, k.Restart = time.Since(began).Seconds(), spreadOf(restarts)
	received, err := readNonces(seen)
	if err != nil {
		return err
	}
	rows, err := g.rows(ctx)
	if err != nil {
		return err
	}
	k.Judgement = judge(clients, received, rows)
	verifyErr := k.verify(ctx, g)
	k.print()
	if err := o.save("kill", map[string]any{"frames": frames, "gap_ms": killGap.Milliseconds()}, k); err != nil {
		return err
	}
	if n := len(k.Judgement.Problems); n > 0 {
		verifyErr = errors.Join(verifyErr, fmt.Errorf("%d problems", n))
	}
	if k.Judgement.Received == 0 || k.Judgement.States[stateComplete] == 0 {
		verifyErr = errors.Join(verifyErr, errors.New("nothing got through, so nothing is shown"))
	}
	return verifyErr
}

// killGap makes a stream of 40 frames last a second.
const killGap = 25 * time.Millisecond

// hammer runs the clients and the killer and returns what the clients sent.
func (k *killing) hammer(ctx context.Context, g *gateway) ([]sent, []float64, error) {
	random := rand.New(rand.NewPCG(k.Seed, 1))
	enough := make(chan struct{})
	var group sync.WaitGroup
	all := make([][]sent, k.Streams)
	for i := range k.Streams {
		group.Go(func() { all[i] = g.client(ctx, enough) })
	}
	restarts, err := k.killer(ctx, g, random)
	close(enough)
	group.Wait()
	var clients []sent
	for _, s := range all {
		clients = append(clients, s...)
	}
	return clients, restarts, errors.Join(err, ctx.Err())
}

// killer kills and restarts the gateway; then it lets it run in peace for a while.
func (k *killing) killer(ctx context.Context, g *gateway, random *rand.Rand) ([]float64, error) {
	var restarts []float64
	for range k.Kills {
		if err := pause(ctx, between(random, 200*time.Millisecond, 2*time.Second)); err != nil {
			return restarts, err
		}
		g.proc.kill()
		if err := pause(ctx, between(random, 0, 300*time.Millisecond)); err != nil {
			return restarts, err
		}
		took, err := g.start(ctx)
		if err != nil {
			return restarts, fmt.Errorf("restart after kill: %w", err)
		}
		restarts = append(restarts, took.Seconds()*1e3)
	}
	return restarts, pause(ctx, 1500*time.Millisecond)
}

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// client streams through the gateway, one request after the other, until it is
// told that it is enough; the last one runs to its end.
func (g *gateway) client(ctx context.Context, enough <-chan struct{}) []sent {
	b, bodyAt := body(publicModel, 1<<10, true, scenario{gap: killGap}.control())
	req, at := request(g.addr, g.key, b, bodyAt)
	c := newConn(g.addr, 2*time.Minute)
	defer c.close()
	var all []sent
	for {
		select {
		case <-enough:
			return all
		case <-ctx.Done():
			return all
		default:
		}
		setNonce(req, at, nextNonce())
		sum := sha256.Sum256(req[len(req)-len(b):])
		r, err := c.do(ctx, req)
		all = append(all, sent{
			nonce: string(req[at : at+nonceLen]), req: hex.EncodeToString(sum[:]), id: r.id,
			whole: err == nil && r.status == 200 && r.done,
		})
		if err != nil || r.status != 200 {
			if pause(ctx, 50*time.Millisecond) != nil {
				return all
			}
		}
	}
}

// readNonces reads the upstream's own log: a nonce and a time a line.
func readNonces(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var nonces []string
	for line := range strings.Lines(string(b)) {
		nonce, _, _ := strings.Cut(line, " ")
		nonces = append(nonces, nonce)
	}
	return nonces, nil
}

// rows reads every exchange that the gateway recorded.
func (g *gateway) rows(ctx context.Context) ([]row, error) {
	out, err := g.cli(ctx, "logs", "--json", "--full", "--all")
	if err != nil {
		return nil, err
	}
	var rows []row
	for line := range bytes.Lines(out) {
		var r row
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("logs --json printed %q: %w", line, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// verify runs log verify, first beside the running gateway, then without it.
func (k *killing) verify(ctx context.Context, g *gateway) error {
	if _, err := g.cli(ctx, "log", "verify"); err != nil {
		k.Verify = "failed beside the running gateway"
		return err
	}
	if err := g.proc.stop(); err != nil {
		return err
	}
	out, err := g.cli(ctx, "log", "verify")
	if err != nil {
		k.Verify = "failed with the gateway stopped"
		return err
	}
	first, _, _ := strings.Cut(string(out), "\n")
	k.Verify = "ok: " + first
	return nil
}

func (k *killing) print() {
	j := k.Judgement
	fmt.Printf("  killed %d times in %.0f s; ready again after %.0f ms (%.0f..%.0f)\n", k.Kills, k.Seconds, k.Restart.Median, k.Restart.Low, k.Restart.High)
	fmt.Printf("  clients sent %d and got %d whole; the upstream received %d; %d rows: %v\n", j.Sent, j.Whole, j.Received, j.Rows, j.States)
	fmt.Printf("  log verify: %s\n", k.Verify)
	for _, p := range j.Problems {
		fmt.Println("  PROBLEM:", p)
	}
	if len(j.Problems) == 0 {
		fmt.Println("  every request that the upstream received has one row; nothing doubled, nothing lost unmarked")
	}
}
