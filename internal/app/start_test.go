package app

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/label"
	"sallyport/internal/secret"
	"sallyport/internal/upstreamtest"
)

// TestBeyondLoopback: a listener that others can reach needs TLS, or a proxy that
// does it, and an administrator.
func TestBeyondLoopback(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	proxied := configure(t, up.BaseURL(), "behind_proxy: [10.0.0.0/8]\nadmin: {listen: 127.0.0.1:0, behind_proxy: [10.0.0.0/8]}\n")
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string // in the error
	}{
		"data plane":         {func(o *Options) { o.Listen = "0.0.0.0:0" }, "listen: listens beyond loopback without TLS"},
		"data plane, IPv6":   {func(o *Options) { o.Listen = "[::]:0" }, "listen: listens beyond loopback without TLS"},
		"data plane, any":    {func(o *Options) { o.Listen = ":0" }, "listen: listens beyond loopback without TLS"},
		"admin":              {func(o *Options) { o.AdminListen = "0.0.0.0:0" }, "admin.listen: listens beyond loopback without TLS"},
		"without a file":     {func(o *Options) { o.ConfigFile, o.Listen = "", "0.0.0.0:0" }, "listen: listens beyond loopback without TLS"},
		"no administrator":   {func(o *Options) { o.ConfigFile, o.Listen = proxied, "0.0.0.0:0" }, "sallyport admin new"},
		"none for the admin": {func(o *Options) { o.ConfigFile, o.AdminListen = proxied, "0.0.0.0:0" }, "sallyport admin new"},
		"not an address":     {func(o *Options) { o.Listen = "8484" }, "listen: is not an address"},
		"the same address":   {func(o *Options) { o.Listen, o.AdminListen = "127.0.0.1:1", "127.0.0.1:1" }, "admin.listen: both listeners have the same address"},
	} {
		o := options(t.TempDir(), configure(t, up.BaseURL(), ""))
		tc.change(&o)
		if _, err := try(t, o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	o := options(t.TempDir(), proxied)
	first := start(t, o)
	first.newAdmin(t)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	o.Listen, o.AdminListen = "0.0.0.0:0", "0.0.0.0:0"
	second := start(t, o)
	for _, a := range []net.Addr{second.DataAddr, second.AdminAddr} {
		if !strings.HasPrefix(a.String(), "0.0.0.0:") {
			t.Errorf("an IPv4 address to listen on became %s", a)
		}
	}
}

// TestNoHashesIsOnRecord: what a benchmark leaves out, nobody leaves out unseen.
func TestNoHashesIsOnRecord(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir(), "")
	o.Env = func(name string) (string, bool) { return "1", name == "SALLYPORT_BENCH_NO_HASH" }
	i := start(t, o)
	if notes := startNotes(t, i.App); len(notes) != 1 || notes[0] != "hashes.off" || !strings.Contains(i.logs.String(), `"alert":true`) {
		t.Errorf("notes %v, log %s", notes, i.logs)
	}
}

// TestFirstStart: without a configuration and without a model it says what to do,
// and secrets go to files that only the owner can read.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	o := options(filepath.Join(t.TempDir(), "data"), "")
	i, err := try(t, o)
	if err != nil {
		t.Fatal(err)
	}
	told := i.notice.String()
	for _, want := range []string{"no model yet", "ollama serve", "export OPENAI_API_KEY", "sallyport serve --config", i.data + "/v1", i.admin, "starter-key", "setup-link"} {
		if !strings.Contains(told, want) {
			t.Errorf("the notice lacks %q: %s", want, told)
		}
	}
	key, link := secretFile(t, o.Data, "starter-key"), secretFile(t, o.Data, "setup-link")
	if !strings.HasPrefix(key, "sp_") || !strings.HasPrefix(link, i.admin+"/setup#sps_") {
		t.Errorf("key %q, link %q", key, link)
	}
	secretFile(t, o.Data, "secret")
	_, token, _ := strings.Cut(link, "#")
	for _, s := range []string{key, token} {
		if strings.Contains(told, s) || strings.Contains(i.logs.String(), s) {
			t.Errorf("a secret was printed: %s", told)
		}
	}
	if a := (ask{base: i.data, key: key, text: "x"}).do(t.Context()); a.status != 404 {
		t.Errorf("a model that does not exist: status %d: %s", a.status, a.body)
	}
	if info, err := os.Stat(o.Data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data folder: %v, %v", info.Mode(), err)
	}
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	if i, err = try(t, o); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(i.notice.String(), "starter-key") {
		t.Errorf("the second start made another key: %s", i.notice)
	}
}

// secretFile reads a file of a data folder that nobody else may read.
func secretFile(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", name, info.Mode())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// TestFirstStartOnATerminal shows the secrets once, there, and leaves no file.
func TestFirstStartOnATerminal(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir(), "")
	o.Terminal = true
	i, err := try(t, o)
	if err != nil {
		t.Fatal(err)
	}
	told := i.notice.String()
	if !strings.Contains(told, " sp_") || !strings.Contains(told, "/setup#sps_") {
		t.Errorf("the notice shows no secrets: %s", told)
	}
	for _, name := range []string{"starter-key", "setup-link"} {
		if _, err := os.Stat(filepath.Join(o.Data, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.Contains(i.logs.String(), "sp_") || strings.Contains(i.logs.String(), "sps_") {
		t.Errorf("the log holds a secret: %s", i.logs)
	}
}

// TestEnvironmentKeys: the official hosts of keys in the environment are vetted;
// a variable that names another address is not believed.
func TestEnvironmentKeys(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir(), "")
	o.SocketOnly = true
	env := map[string]string{"OPENAI_API_KEY": "sk-canary", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "HTTP_PROXY": "http://127.0.0.1:1"}
	o.Env = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	cfg := &App{opts: o}
	c, err := cfg.loadConfig()
	if err != nil || len(c.Upstreams) != 1 {
		t.Fatal(c, err)
	}
	if u := c.Upstreams[0]; u.Class != label.Vetted || u.BaseURL != "https://api.openai.com/v1" || u.Proxy != "" {
		t.Errorf("%+v", u)
	}
}

// TestDiscovered: a model server found here is of class any and may carry nothing
// until its operator confirms it, at the address where it was confirmed.
func TestDiscovered(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	o := options(t.TempDir(), "")
	o.Ports = []Port{{port(t, up.URL()), "ollama"}}
	i := start(t, o)
	const name = "ollama/" + model
	if told := i.notice.String(); !strings.Contains(told, "sallyport upstreams confirm ollama --class local") {
		t.Errorf("the notice does not tell how to use it: %s", told)
	}
	q := ask{base: i.data, key: i.key, model: name, text: "nonce-1"}
	if a := q.want(t, 403); !strings.Contains(a.body, "policy") {
		t.Errorf("the refusal does not name policy: %s", a.body)
	}
	if len(up.Journal().ByNonce("1")) != 0 {
		t.Error("the request reached an upstream that nobody confirmed")
	}
	if e, err := i.explain(name, ""); err != nil || e.Targets[0].Effect != "deny" || !strings.Contains(e.Targets[0].Fix, "sallyport upstreams confirm ollama --class local") {
		t.Errorf("%+v, %v", e, err)
	}
	var fixes strings.Builder
	for _, c := range i.doctor(t.Context()) {
		fixes.WriteString(c.Fix + "\n")
	}
	if !strings.Contains(fixes.String(), "sallyport upstreams confirm ollama --class local") {
		t.Errorf("the doctor does not tell how to use it: %s", fixes.String())
	}
	for _, class := range []string{"vetted", "in-region", "friend"} {
		if err := i.confirm(t.Context(), "local", "ollama", class); err == nil {
			t.Errorf("confirmed as %s", class)
		}
	}
	if err := i.confirm(t.Context(), "local", "nothing", "local"); err == nil {
		t.Error("an upstream that does not exist was confirmed")
	}
	if err := i.confirm(t.Context(), "local", "ollama", "local"); err != nil {
		t.Fatal(err)
	}
	q.text = "nonce-2"
	q.want(t, 200)
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}

	// The same name at the same address keeps the class, elsewhere it does not.
	again := start(t, o)
	ask{base: again.data, key: again.key, model: name, text: "nonce-3"}.want(t, 200)
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
	other := provider(t, upstreamtest.Config{})
	o.Ports = []Port{{port(t, other.URL()), "ollama"}}
	moved := start(t, o)
	ask{base: moved.data, key: moved.key, model: name, text: "nonce-4"}.want(t, 403)
	if err := moved.confirm(t.Context(), "local", "ollama", "local"); err != nil {
		t.Fatal(err)
	}
	ask{base: moved.data, key: moved.key, model: name, text: "nonce-5"}.want(t, 200)
	if err := moved.confirm(t.Context(), "local", "ollama", "any"); err != nil {
		t.Fatal(err)
	}
	ask{base: moved.data, key: moved.key, model: name, text: "nonce-6"}.want(t, 403)
	moved.verified(t)
}

func port(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// TestDiscoverySkips its own listeners and whatever is no model server.
func TestDiscoverySkips(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	redirecting := httptest.NewServer(http.RedirectHandler(up.BaseURL()+"/models", http.StatusFound))
	defer redirecting.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	defer page.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ports := []Port{
		{port(t, up.URL()), "good"},
		{port(t, redirecting.URL), "redirecting"},
		{port(t, page.URL), "page"},
		{port(t, "http://"+silent.Addr().String()), "silent"},
		{"1", "nobody"},
	}
	if f := discover(t.Context(), ports, nil); len(f) != 1 || f[0].name != "good" || f[0].baseURL != up.BaseURL() {
		t.Errorf("found %+v", f)
	}
	if f := discover(t.Context(), ports, []string{"127.0.0.1:8484", "localhost:" + ports[0].Number}); len(f) != 0 {
		t.Errorf("its own listener was found: %+v", f)
	}
}

// TestRemoteModels: what a local server only passes on is not local.
func TestRemoteModels(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			fmt.Fprint(w, `{"data":[{"id":"here"},{"id":"away"},{"id":"gpt-oss:120b-cloud"}]}`)
		case "/api/tags":
			fmt.Fprint(w, `{"models":[{"name":"here","model":"here"},{"name":"away","model":"away","remote_host":"https://ollama.com"}]}`)
		default:
			t.Errorf("the request %s reached the server", r.URL.Path)
		}
	}))
	defer s.Close()
	file := write(t, filepath.Join(t.TempDir(), "c.yaml"), fmt.Sprintf(
		"upstreams:\n  - {name: box, kind: openai, base_url: %s/v1, class: local, expose_unlisted: true}\n", s.URL))
	i := start(t, options(t.TempDir(), file))
	for name, class := range map[string]label.Class{"box/here": label.OnSite, "box/away": label.Any, "box/gpt-oss:120b-cloud": label.Any} {
		e, err := i.explain(name, "")
		if err != nil || e.Targets[0].Class != class {
			t.Errorf("%s: %+v, %v, want class %v", name, e, err, class)
		}
	}
	ask{base: i.data, key: i.key, model: "box/away", text: "x"}.want(t, 403)
	prices := map[string]string{}
	for _, m := range i.models() {
		prices[m.Name] = m.Price
	}
	want := map[string]string{"box/here": "declared 0", "box/away": "unknown", "box/gpt-oss:120b-cloud": "unknown"}
	if !maps.Equal(prices, want) {
		t.Errorf("prices %v, want %v", prices, want)
	}
}

// TestLocalMeansInside: class local is not believed of a public address.
func TestLocalMeansInside(t *testing.T) {
	t.Parallel()
	file := write(t, filepath.Join(t.TempDir(), "c.yaml"), "upstreams:\n  - {name: out, kind: openai, base_url: 'https://8.8.8.8/v1', class: local}\n")
	if _, err := try(t, options(t.TempDir(), file)); err == nil || !strings.Contains(err.Error(), "class local on a public address") {
		t.Errorf("%v", err)
	}
}

// TestSecretHeaders: a header whose value is a reference is a credential, one that
// is written in clear is not.
func TestSecretHeaders(t *testing.T) {
	set, err := settings(t.Context(), config.Upstream{Headers: map[string]config.Value{
		"X-Team": config.NewValue("core"), "Api-Key": {Ref: config.NewRef("env:AZURE", secret.New("canary"))},
	}})
	if err != nil || len(set.Headers) != 1 || set.Headers["X-Team"] != "core" || len(set.SecretHeaders) != 1 || set.SecretHeaders["Api-Key"].Reveal() != "canary" {
		t.Errorf("%v, %v, %d secret headers", err, set.Headers, len(set.SecretHeaders))
	}
}

// TestOneOwner: a second process does not open a folder that is in use.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir(), "")
	i := start(t, o)
	if _, err := try(t, o); !errors.Is(err, ErrRunning) {
		t.Errorf("%v", err)
	}
	if status, _ := get(t, i.data+"/healthz"); status != 200 {
		t.Errorf("the owner was disturbed: status %d", status)
	}
	var version map[string]string
	overSocket(t, o.Data, "GET", "/version", &version)
}

// TestStaleSocket: what a dead process left does not keep the next one out.
func TestStaleSocket(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir(), "")
	write(t, filepath.Join(o.Data, "lock"), "")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: SocketPath(o.Data), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	i := start(t, o)
	info, err := os.Stat(SocketPath(o.Data))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	var version map[string]string
	overSocket(t, o.Data, "GET", "/version", &version)
	if version["version"] != "test" {
		t.Errorf("%v", version)
	}
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(SocketPath(o.Data)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestLongPath: the address of a socket is short, the path of a data folder may
// not be.
func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120), strings.Repeat("e", 120))
	i := start(t, options(dir, ""))
	var version map[string]string
	overSocket(t, dir, "GET", "/version", &version)
	if version["version"] != "test" {
		t.Errorf("%v", version)
	}
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(SocketPath(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestForeignFolder: a folder that holds other things keeps its mode.
func TestForeignFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "letters"), "dear")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the mode became %v, %v", info.Mode(), err)
	}
	empty := t.TempDir()
	for range 2 { // empty, then with the lock of the first time
		if err := os.Chmod(empty, 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFolder(empty)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(empty); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}
	}
}

// TestPlanesAreApart: a key administers nothing and an administrator infers
// nothing, each on the other's listener.
func TestPlanesAreApart(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	i := start(t, options(t.TempDir(), configure(t, up.BaseURL(), "")))
	admin := i.newAdmin(t)
	ask{base: i.data, key: admin, text: "x"}.want(t, 403)
	ask{base: i.admin, key: i.key, text: "x"}.want(t, 404)
	for _, tc := range []struct {
		base, key, path string
		want            int
	}{
		{i.data, admin, "/v1/models", 403},
		{i.data, i.key, "/v1/models", 200},
		{i.data, i.key, "/api/v1/keys", 404},
		{i.data, i.key, "/metrics", 404},
		{i.admin, i.key, "/api/v1/keys", 403},
		{i.admin, admin, "/api/v1/keys", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", tc.base+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tc.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tc.want {
			t.Errorf("%s: status %d, want %d", tc.path, resp.StatusCode, tc.want)
		}
	}
	if len(up.Journal().Requests()) != 0 {
		t.Error("something reached the upstream")
	}
}

// TestUnsentBodies: no client keeps a connection by announcing a body that it never
// sends, whoever it is and whichever path it asks.
func TestUnsentBodies(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	i := start(t, options(t.TempDir(), configure(t, up.BaseURL(), "timeouts: {body: 300ms}\n")))
	for _, c := range []struct{ base, line string }{
		{i.data, "GET /healthz"},
		{i.data, "OPTIONS *"},
		{i.data, "POST /v1/chat/completions"},
		{i.admin, "GET /healthz"},
		{i.admin, "OPTIONS *"},
		{i.admin, "POST /api/v1/keys"},
		{i.admin, "POST /api/v1/setup"},
	} {
		host := strings.TrimPrefix(c.base, "http://")
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.line+" HTTP/1.1\r\nHost: "+host+"\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 ") {
			t.Errorf("%s: %v after %q", c.line, err, b)
		}
	}
}
