package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// gateway is a Sallyport that bench configured. It can be killed and started
// again on the same data folder.
type gateway struct {
	w    *workplace
	bin  string
	dir  string // configuration and data
	addr string // data plane
	env  []string
	key  string
	proc *proc
}

// What clients call the models; the mock's own name is another, so that the gateway
// has to rewrite it. The translated one is asked for in Anthropic's format.
const (
	publicModel     = "bench"
	translatedModel = "bench-translated"
	upstreamModel   = "gpt-5-b" // which has a published vocabulary: a sample of the answers is counted
	upstreamKey     = "bench-upstream-credential"
)

// newGateway writes a configuration with more at its end, starts the gateway with it and makes a key.
func (w *workplace) newGateway(ctx context.Context, upstream, more string, env ...string) (*gateway, error) {
	bin, err := w.build(ctx)
	if err != nil {
		return nil, err
	}
	w.serve++
	g := &gateway{w: w, bin: bin, dir: w.path(fmt.Sprintf("gateway-%d", w.serve)), env: append(env, "BENCH_UPSTREAM_KEY="+upstreamKey)}
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		return nil, err
	}
	var admin string
	if g.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if admin, err = freeAddr(); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("listen: %s\nadmin: { listen: %s }\ndata: %s\n"+
		"upstreams:\n"+
		"  - { name: mock, kind: openai, base_url: \"http://%[4]s/v1\", key: \"env:BENCH_UPSTREAM_KEY\", class: local }\n"+
		"  - { name: trusted, kind: openai, base_url: \"http://%[4]s/v1\", key: \"env:BENCH_UPSTREAM_KEY\", class: local }\n"+
		"  - { name: trusted-too, kind: openai, base_url: \"http://%[4]s/v1\", key: \"env:BENCH_UPSTREAM_KEY\", class: local }\n"+
		"  - { name: messages, kind: anthropic, base_url: \"http://%[4]s/v1\", key: \"env:BENCH_UPSTREAM_KEY\", class: local }\n"+
		"models:\n"+
		"  %[5]s: { targets: [ { upstream: mock, model: %[7]s } ] }\n"+
		"  %[6]s: { targets: [ { upstream: messages, model: %[7]s } ] }\n%[8]s",
		g.addr, admin, g.data(), upstream, publicModel, translatedModel, upstreamModel, more)
	if err := os.WriteFile(filepath.Join(g.dir, "sallyport.yaml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	if _, err := g.start(ctx); err != nil {
		return nil, err
	}
	return g, g.newKey(ctx)
}

func (g *gateway) data() string { return filepath.Join(g.dir, "data") }

// freeAddr is a loopback address that was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// start starts the gateway and returns how long it took to be ready.
func (g *gateway) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	logPath := filepath.Join(g.dir, "serve.log")
	p, _, err := launch("sallyport", logPath, g.dir, g.env, false, g.bin, "serve", "--config", "sallyport.yaml")
	if err != nil {
		return 0, err
	}
	g.w.add(p)
	g.proc = p
	if err := ready(ctx, "http://"+g.addr+"/readyz", p); err != nil {
		tail, _ := os.ReadFile(logPath)
		return 0, fmt.Errorf("%w\n%s", err, tail[max(0, len(tail)-4000):])
	}
	return time.Since(began), nil
}

// ready polls until a GET gives 200. Every poll is a new connection, so that
// nothing stays open on what is measured.
func ready(ctx context.Context, url string, p *proc) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tr := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: tr, Timeout: 2 * time.Second}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !p.alive() {
			return fmt.Errorf("%s ended before it was ready", p.name)
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.name, ctx.Err())
		}
	}
}

func (g *gateway) newKey(ctx context.Context) error {
	out, err := g.cli(ctx, "keys", "new", "--project", "bench", "--name", "bench", "--json")
	if err != nil {
		return err
	}
	var made struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(out, &made); err != nil || made.Key == "" {
		return fmt.Errorf("keys new --json printed no key: %w", err)
	}
	g.key = made.Key
	return nil
}

// exitUnreachable is the exit code for a gateway that is starting: /readyz speaks of
// the data plane, which opens before the socket that commands speak to.
const exitUnreachable = 5

// cli runs a command against the gateway's data folder and returns its output. It
// tries again while the gateway is starting. An exit code that is not 0 is an error
// that shows what was printed to standard error.
func (g *gateway) cli(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for deadline := time.Now().Add(10 * time.Second); ; {
		out, err := g.cliOnce(ctx, args...)
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok || failed.ExitCode() != exitUnreachable || !g.proc.alive() || time.Now().After(deadline) {
			return out, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return out, err
		}
	}
}

func (g *gateway) cliOnce(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, g.bin, append(args, "--data", g.data())...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = &stdout, &stderr, g.dir, append(os.Environ(), g.env...)
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("sallyport %s: %w\n%s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// settle waits until the process uses no more processor time, so that work it
// put off (rows, leaves) is counted with the requests that caused it. It gives
// up after a limit and says so.
func settle(ctx context.Context, pid int, limit time.Duration) error {
	const quiet, pause = 2 * time.Millisecond, 60 * time.Millisecond
	deadline := time.Now().Add(limit)
	before, err := readCPU(pid)
	if err != nil {
		return err
	}
	for time.Now().Before(deadline) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		now, err := readCPU(pid)
		if err != nil {
			return err
		}
		if now.since(before) < quiet {
			return nil
		}
		before = now
	}
	return errBusy
}

var errBusy = errors.New("still busy")
