package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/auditlog"
	"sallyport/internal/auth"
	"sallyport/internal/identity"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
	"sallyport/internal/upstreamtest"
)

// childVariable holds a childPlan in the environment of a child process.
const childVariable = "SALLYPORT_TEST_CHILD"

func TestMain(m *testing.M) {
	if plan, ok := os.LookupEnv(childVariable); ok {
		os.Exit(child(plan))
	}
	os.Exit(storetest.Run(m))
}

// timeout bounds what a test waits for.
const timeout = 20 * time.Second

// logs collects what is logged, or told to a person.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// instance is a whole gateway in this process.
type instance struct {
	*App
	data, admin string // base URLs
	key         string // a virtual key
	logs        *logs
	notice      *logs
	stopped     bool
}

// options are those of a gateway on free ports that finds nothing by itself.
func options(dir, file string) Options {
	return Options{
		ConfigFile: file, Data: dir, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Version: "test",
		Env: func(string) (string, bool) { return "", false }, Ports: []Port{},
	}
}

// try starts a gateway.
func try(t testing.TB, o Options) (*instance, error) {
	t.Helper()
	i := &instance{logs: &logs{}, notice: &logs{}}
	o.Logger, o.Notice = slog.New(slog.NewJSONHandler(i.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), i.notice
	var err error
	i.App, err = New(t.Context(), o)
	if err != nil {
		return i, err
	}
	i.data, i.admin = "http://"+i.DataAddr.String(), "http://"+i.AdminAddr.String()
	t.Cleanup(func() {
		if err := i.stop(); err != nil {
			t.Error(err)
		}
	})
	return i, nil
}

// start starts a gateway that must start, and makes a key.
func start(t testing.TB, o Options) *instance {
	t.Helper()
	i, err := try(t, o)
	if err != nil {
		t.Fatal(err)
	}
	_, i.key = i.newKey(t)
	return i
}

func (i *instance) stop() error {
	if i.stopped {
		return nil
	}
	i.stopped = true
	return i.Stop(context.Background())
}

// newKey makes a virtual key.
func (i *instance) newKey(t testing.TB) (identity.KeyID, string) {
	t.Helper()
	k, clear, err := i.auth.NewKey(t.Context(), auth.KeySpec{Project: "p"}, func(a auth.Act) error { return i.act("local", a) })
	if err != nil {
		t.Fatal(err)
	}
	return k.ID, clear.Reveal()
}

// newAdmin makes an administrator.
func (i *instance) newAdmin(t testing.TB) string {
	t.Helper()
	_, clear, err := i.auth.NewAdmin(t.Context(), auth.AdminSpec{Name: "root", Role: identity.RoleAdmin}, func(a auth.Act) error { return i.act("local", a) })
	if err != nil {
		t.Fatal(err)
	}
	return clear.Reveal()
}

// verified recomputes the whole log, which must be green.
func (i *instance) verified(t testing.TB) auditlog.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := i.projector.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return green(t, i.App)
}

func green(t testing.TB, a *App) auditlog.Report {
	t.Helper()
	r, err := a.verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("log verify: %+v", f)
	}
	if r.Leaves == 0 {
		t.Error("log verify checked nothing")
	}
	return r
}

// entries are all exchanges of the database, oldest first.
func entries(t testing.TB, db *store.DB) []store.Entry {
	t.Helper()
	var all []store.Entry
	after := int64(-1)
	for {
		page, err := db.Follow(t.Context(), store.Filter{}, after, store.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Leaf
	}
}

// provider starts an upstream.
func provider(t testing.TB, cfg upstreamtest.Config) *upstreamtest.Server {
	t.Helper()
	s, err := upstreamtest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// model is served by every configuration of these tests.
const model = "gpt-5-mini"

// write writes a file of mode 0600 and returns its path.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// configure writes a configuration with one upstream, which is priced.
func configure(t testing.TB, base, more string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), configText(base, more))
}

func configText(base, more string) string {
	return fmt.Sprintf(`upstreams:
  - name: up
    kind: openai
    base_url: %s
    class: vetted
    allow_private: true
    provider: openai
models:
  %s: {targets: [{upstream: up}]}
%s
`, base, model, more)
}

// ask is one request to a data plane; the body may hold directives for the
// upstream.
type ask struct {
	base, key, model, text string
	stream                 bool
	client                 *http.Client
}

// body is the request's body; it asks for usage, so that the gateway has nothing
// to change and the upstream gets the same bytes.
func (q ask) body() []byte {
	if q.model == "" {
		q.model = model
	}
	v := map[string]any{"model": q.model, "messages": []map[string]string{{"role": "user", "content": q.text}}}
	if q.stream {
		v["stream"], v["stream_options"] = true, map[string]bool{"include_usage": true}
	}
	b, _ := json.Marshal(v)
	return b
}

// send sends the request. The caller closes the answer's body.
func (q ask) send(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, q.base+"/v1/chat/completions", bytes.NewReader(q.body()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+q.key)
	req.Header.Set("Content-Type", "application/json")
	client := q.client
	if client == nil {
		client = http.DefaultClient
	}
	return client.Do(req)
}

// answer is one answer, read whole.
type answer struct {
	status int
	rid    string
	body   string
	err    error
}

func (q ask) do(ctx context.Context) answer {
	resp, err := q.send(ctx)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Get("X-Request-Id"), string(b), err}
}

// want sends the request and demands a status.
func (q ask) want(t testing.TB, status int) answer {
	t.Helper()
	a := q.do(t.Context())
	if a.err != nil || a.status != status {
		t.Fatalf("status %d, want %d: %v: %s", a.status, status, a.err, a.body)
	}
	return a
}

// get fetches a path.
func get(t testing.TB, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// until polls a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v: %s", timeout, what)
		case <-tick.C:
		}
	}
}

// childPlan is what a gateway in a process of its own runs with.
type childPlan struct{ Config, Data string }

// child runs a gateway until its standard input ends, which is when its parent
// tells it to stop or is gone.
func child(text string) int {
	var plan childPlan
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	o := options(plan.Data, plan.Config)
	o.Logger, o.Notice = slog.New(slog.NewTextHandler(os.Stderr, nil)), io.Discard
	a, err := New(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("%s %s\n", a.DataAddr, a.AdminAddr)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := errors.Join(a.Run(ctx), a.Stop(context.Background())); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a gateway in a child process.
type process struct {
	cmd         *exec.Cmd
	leash       io.Closer
	data, admin string
	stderr      *logs
	ended       bool
}

// spawn starts a gateway in a child process and waits until it listens.
func spawn(t testing.TB, plan childPlan) *process {
	t.Helper()
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0]), stderr: &logs{}}
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.leash, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child did not start: %v: %s", err, p.stderr)
	}
	data, admin, _ := strings.Cut(strings.TrimSpace(line), " ")
	p.data, p.admin = "http://"+data, "http://"+admin
	return p
}

// kill ends the process as SIGKILL does: at once.
func (p *process) kill() {
	if !p.ended {
		p.ended = true
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// stop ends the process as it should.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.ended = true
	_ = p.leash.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the child ended with %v: %s", err, p.stderr)
	}
}

// offline opens a data folder that no process has open.
func offline(t testing.TB, plan childPlan) *instance {
	t.Helper()
	o := options(plan.Data, plan.Config)
	o.SocketOnly = true
	i := &instance{logs: &logs{}, notice: &logs{}}
	o.Logger, o.Notice = slog.New(slog.NewJSONHandler(i.logs, nil)), i.notice
	var err error
	if i.App, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.stop(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// overSocket calls the admin API as the owner of the data folder.
func overSocket(t testing.TB, dir, method, path string, into any) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return DialSocket(ctx, SocketPath(dir))
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://sallyport/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, resp.StatusCode, err, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// sharedSecret writes a master secret to a file.
func sharedSecret(t testing.TB) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "master"), auth.NewSecretText(1).Reveal()+"\n")
}
