package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/label"
	"sallyport/internal/secret"
)

func TestAddressGuard(t *testing.T) {
	any := guard{name: "u"}
	private := guard{name: "u", private: true}
	onSite := guard{name: "u", private: true, onSite: true}
	plain := guard{name: "u", private: true, plain: true}
	cases := []struct {
		g       guard
		addr    string
		refused bool
	}{
		{any, "8.8.8.8", false},
		{any, "2001:4860:4860::8888", false},
		{any, "127.0.0.1", true},
		{any, "10.1.2.3", true},
		{any, "192.168.1.1", true},
		{any, "172.16.0.1", true},
		{any, "100.64.0.1", true},
		{any, "::1", true},
		{any, "fd00::1", true},
		{any, "::ffff:127.0.0.1", true},
		{any, "::ffff:10.0.0.1", true},
		{private, "127.0.0.1", false},
		{private, "10.1.2.3", false},
		{private, "8.8.8.8", false},
		{private, "169.254.169.254", true},
		{private, "::ffff:169.254.169.254", true},
		{private, "fe80::1", true},
		{private, "fd00:ec2::254", true},
		{private, "100.100.100.200", true},
		{private, "168.63.129.16", true},
		{private, "0.0.0.0", true},
		{private, "::", true},
		{private, "224.0.0.1", true},
		{onSite, "127.0.0.1", false},
		{onSite, "fd12::1", false},
		{onSite, "8.8.8.8", true},
		{plain, "10.0.0.1", false},
		{plain, "8.8.8.8", true},
	}
	for _, c := range cases {
		why := c.g.check(netip.MustParseAddr(c.addr).Unmap())
		if (why != "") != c.refused {
			t.Errorf("%+v: %s: refused %q, want refused %v", c.g, c.addr, why, c.refused)
		}
	}
}

// TestDialIsGuarded proves that the guard sits in the dialler: the same server is
// reached or not by what the configuration allows, by address and by name.
func TestDialIsGuarded(t *testing.T) {
	var hits atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hits.Add(1) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost"} {
		for _, c := range []struct {
			class   label.Class
			private bool
			ok      bool
		}{{label.Any, false, false}, {label.Vetted, false, false}, {label.Any, true, true}, {label.OnSite, false, true}} {
			u, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: "http://" + host + ":" + port + "/v1", Class: c.class, AllowPrivate: c.private})
			if err != nil {
				t.Fatal(err)
			}
			before := hits.Load()
			resp, err := u.Do(t.Context(), Request{Method: "GET", Path: "/models"})
			if err == nil {
				resp.Body.Close()
			}
			refused, isRefused := errors.AsType[*RefusedAddressError](err)
			if c.ok != (err == nil) || c.ok == isRefused || (hits.Load() > before) != c.ok {
				t.Errorf("%s class %s private %v: err %v (%v), hits %d", host, c.class, c.private, err, refused, hits.Load()-before)
			}
			u.Close()
		}
	}
}

// TestProxyIsGuarded proves that a proxy does not open the way to addresses that
// the upstream may not reach.
func TestProxyIsGuarded(t *testing.T) {
	var seen atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen.Add(1) }))
	defer proxy.Close()
	for base, ok := range map[string]bool{
		"http://169.254.169.254/v1": false,
		"http://127.0.0.1:1/v1":     false,
		"http://localhost:1/v1":     false,
	} {
		u, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: base, Proxy: proxy.URL})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := u.Do(t.Context(), Request{Method: "GET", Path: "/models"})
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != ok {
			t.Errorf("%s through the proxy: %v", base, err)
		}
	}
	if seen.Load() != 0 {
		t.Errorf("the proxy was asked %d times", seen.Load())
	}
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	u, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: "http://127.0.0.2:9/v1", AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Do(t.Context(), Request{Method: "GET", Path: "/models"}); err == nil || seen.Load() != 0 {
		t.Errorf("a proxy of the environment was used: err %v", err)
	}
}

func TestCredentialAndHeaders(t *testing.T) {
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer srv.Close()
	for kind, want := range map[Kind][3]string{OpenAI: {"Bearer k-canary-123"}, Anthropic: {1: "k-canary-123"}, Gemini: {2: "k-canary-123"}} {
		u, err := New(Config{Name: "u", Kind: kind, BaseURL: srv.URL + "/v1/", Class: label.OnSite, Key: secret.New("k-canary-123"), Headers: map[string]string{"X-Team": "a"}})
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{"Authorization": {"Bearer client"}, "X-Api-Key": {"client"}, "X-Goog-Api-Key": {"client"}}
		resp, err := u.Do(t.Context(), Request{Method: "POST", Path: "/x", Header: h, Body: io.NopCloser(strings.NewReader("{}")), Length: 2})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got.Get("Authorization") != want[0] || got.Get("X-Api-Key") != want[1] || got.Get("X-Goog-Api-Key") != want[2] || got.Get("X-Team") != "a" {
			t.Errorf("%s sent %v", kind, got)
		}
		if s := fmt.Sprintf("%v %+v", u.Config, u.Config); strings.Contains(s, "canary") {
			t.Errorf("the credential shows in %s", s)
		}
		if !u.Leaks([]byte("...k-canary-123...")) || u.Leaks([]byte("canary")) {
			t.Error("Leaks is wrong")
		}
	}
}

// TestSecretHeaders: a header with a credential is sent, does not show, and counts
// for Leaks like the key, without its scheme and as JSON may escape it.
func TestSecretHeaders(t *testing.T) {
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		fmt.Fprint(w, `{"data":[{"id":"small"},{"id":"canary-of/azure"}]}`)
	}))
	defer srv.Close()
	u, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: srv.URL + "/v1", Class: label.OnSite, SecretHeaders: map[string]secret.String{
		"api-key": secret.New("canary-of/azure"), "Authorization": secret.New("Basic canary-basic"), "x-short": secret.New("short"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Get("Api-Key") != "canary-of/azure" || got.Get("Authorization") != "Basic canary-basic" {
		t.Errorf("sent %v", got)
	}
	for _, text := range []string{"the key canary-of/azure is wrong", `{"m":"canary-of\/azure"}`, "canary-basic"} {
		if !u.Leaks([]byte(text)) {
			t.Errorf("%s passes", text)
		}
	}
	if u.Leaks([]byte("short of azure")) {
		t.Error("innocent text is taken for a credential")
	}
	if models := u.Catalog().Models; len(models) != 1 {
		t.Errorf("a model is called like the credential: %d models", len(models))
	}
	if s := fmt.Sprintf("%v %+v", u.Config, u); strings.Contains(s, "canary") {
		t.Errorf("the credential shows in %s", s)
	}
}

// TestNeverResends proves that a POST is sent once, with or without an
// Idempotency-Key, when a reused connection is closed after the body was read.
func TestNeverResends(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var requests atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for i := 0; ; i++ {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					requests.Add(1)
					if i > 0 {
						return // the second on a connection: read whole, then closed
					}
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				}
			}()
		}
	}()
	u, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: "http://" + l.Addr().String(), Class: label.OnSite})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		before := requests.Load()
		h := http.Header{"Idempotency-Key": {"k"}}
		resp, err := u.Do(t.Context(), Request{Method: "POST", Path: "/x", Header: h, Body: io.NopCloser(strings.NewReader("{}")), Length: 2})
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if n := requests.Load() - before; n != 1 {
			t.Fatalf("one call made %d requests (err %v)", n, err)
		}
	}
}

func TestNoRedirect(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect))
	defer srv.Close()
	u, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: srv.URL, Class: label.OnSite})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := u.Do(t.Context(), Request{Method: "GET", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestCatalog(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"small"},{"id":"far"},{"id":"small"},{"id":""}]}`)
	})
	mux.HandleFunc("GET /api/tags", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"models":[{"name":"small","model":"small"},{"name":"far","model":"far","remote_host":"https://example.org","remote_model":"far"}]}`)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	u, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: srv.URL + "/v1", Class: label.OnSite})
	if err != nil {
		t.Fatal(err)
	}
	if c := u.ClassOf("small"); c != label.Any {
		t.Errorf("before it was asked a local server's model is %s", c)
	}
	if err := u.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := u.Catalog().Models; len(got) != 2 || !u.Offers("small") || u.Offers("large") {
		t.Errorf("models %v", got)
	}
	for model, want := range map[string]label.Class{"small": label.OnSite, "far": label.Any, "big-cloud": label.Any, "big:cloud": label.Any} {
		if got := u.ClassOf(model); got != want {
			t.Errorf("%s is %s, want %s", model, got, want)
		}
	}
	srv.Close()
	if err := u.Refresh(t.Context()); err == nil || strings.Contains(err.Error(), "/v1") {
		t.Errorf("refresh of a dead server: %v", err)
	}
	if !u.Offers("small") {
		t.Error("the last list was forgotten")
	}
}

// TestGeminiCatalog: Google's list is asked for in one page, and its names are those
// that clients use.
func TestGeminiCatalog(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI != "/v1beta/models?pageSize=1000" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, `{"models":[{"name":"models/gemini-2.5-flash"},{"name":"tunedModels/mine"},{"name":""}]}`)
	}))
	defer srv.Close()
	u, err := New(Config{Name: "u", Kind: Gemini, BaseURL: srv.URL + "/v1beta", AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := u.Catalog().Models; len(got) != 2 || !u.Offers("gemini-2.5-flash") || !u.Offers("tunedModels/mine") {
		t.Errorf("models %q", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, base := range []string{"", "ftp://x/", "https://", "https://u:p@x/v1", "https://x/v1?key=1", "https://x/#f", "x"} {
		if _, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: base}); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("base_url %q: %v", base, err)
		}
	}
	if _, err := New(Config{Name: "u", Kind: "smtp", BaseURL: "https://x/v1"}); err == nil {
		t.Error("unknown kind accepted")
	}
	if _, err := New(Config{Name: "u", Kind: OpenAI, BaseURL: "https://x/v1", CA: []byte("none")}); err == nil {
		t.Error("empty CA accepted")
	}
}
