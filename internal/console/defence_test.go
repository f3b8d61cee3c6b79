package console

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/auditlog"
	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

var keysAll = auth.KeyFilter{}

// TestHost: only names that are ours are served, so that a page whose name was
// pointed here (DNS rebinding) gets nothing.
func TestHost(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Hosts = []string{"Console.Example"} })
	admin := r.admin(t, identity.RoleAdmin)
	port := r.url[strings.LastIndexByte(r.url, ':'):]
	for host, want := range map[string]int{
		"127.0.0.1" + port: 200, "127.0.0.1": 200, "localhost" + port: 200, "LOCALHOST": 200, "[::1]" + port: 200, "[::1]": 200,
		"console.example": 200, "CONSOLE.example:443": 200,
		"evil.example": 403, "evil.example" + port: 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
		"evil.example:127.0.0.1": 403, "10.0.0.1" + port: 403, "0.0.0.0": 403, "console.example.": 403, "console.example.evil": 403,
		"localhost@evil.example": 403,
	} {
		for _, path := range []string{"/api/v1/version", "/setup", "/healthz", "/metrics"} {
			a := do(t, request{method: "GET", url: r.url + path, host: host, credential: admin})
			if a.status != want {
				t.Errorf("Host %s, %s: status %d, want %d", host, path, a.status, want)
			}
			if want == 403 {
				a.problem(t)
			}
		}
	}
}

// TestHostIsTheDialledAddress: beyond loopback the address that the client
// connected to is ours as well.
func TestHostIsTheDialledAddress(t *testing.T) {
	r := newRig(t)
	h := r.Handler()
	for host, want := range map[string]int{"192.0.2.1:8485": 200, "192.0.2.2:8485": 403, "[2001:db8::1]": 403} {
		req := httptest.NewRequest("GET", "http://"+host+"/healthz", nil)
		local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:8485"))
		req = req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, local))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("Host %s on 192.0.2.1: status %d, want %d", host, w.Code, want)
		}
	}
}

// TestOtherOrigins: a page elsewhere cannot post, whatever credential it has.
func TestOtherOrigins(t *testing.T) {
	r := newRig(t)
	admin := r.admin(t, identity.RoleAdmin)
	for _, tc := range []struct {
		name, method string
		header       map[string]string
		want         int
	}{
		{"no browser", "POST", nil, 200},
		{"own origin", "POST", map[string]string{"Origin": r.url, "Sec-Fetch-Site": "same-origin"}, 200},
		{"own origin of an old browser", "POST", map[string]string{"Origin": r.url}, 200},
		{"other origin", "POST", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403},
		{"other origin of an old browser", "POST", map[string]string{"Origin": "https://evil.example"}, 403},
		{"other port", "POST", map[string]string{"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, 403},
		{"sandboxed page", "POST", map[string]string{"Origin": "null"}, 403},
		{"form post", "POST", map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}, 403},
	} {
		for _, path := range []string{"/api/v1/log/verify", "/api/v1/setup"} {
			want := tc.want
			if path == "/api/v1/setup" && want == 200 {
				want = 400 // it has no body
			}
			a := do(t, request{method: tc.method, url: r.url + path, credential: admin, header: tc.header})
			if a.status != want {
				t.Errorf("%s, %s: status %d, want %d: %s", tc.name, path, a.status, want, a.body)
			}
			if want == 403 {
				a.problem(t)
			}
		}
	}
	a := do(t, request{method: "GET", url: r.url + "/api/v1/version", credential: admin, header: map[string]string{"Origin": "https://evil.example"}})
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the answer lets other origins read it: %s", name)
		}
	}
}

// TestSecurityHeaders: every answer, errors included, carries them.
func TestSecurityHeaders(t *testing.T) {
	r := newRig(t)
	for _, q := range []request{
		{method: "GET", url: r.url + "/setup"},
		{method: "GET", url: r.url + "/setup.js"},
		{method: "GET", url: r.url + "/"},
		{method: "GET", url: r.url + "/api/v1/keys"},
		{method: "GET", url: r.url + "/healthz"},
		{method: "GET", url: r.url + "/metrics"},
		{method: "POST", url: r.url + "/api/v1/setup"},
		{method: "GET", url: r.url + "/setup", host: "evil.example"},
		{method: "POST", url: r.url + "/api/v1/keys", header: map[string]string{"Origin": "https://evil.example"}},
		{method: "GET", url: r.url + "//setup"},
	} {
		h := do(t, q).header
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q lacks %q", q.url, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: policy %q", q.url, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", q.url, name, h.Get(name), want)
			}
		}
	}
	page := do(t, request{method: "GET", url: r.url + "/setup"}).body
	for _, inline := range []string{"<style", " style=", " onclick", " onload", "javascript:"} {
		if strings.Contains(page, inline) {
			t.Errorf("the page holds %q, which its policy forbids", inline)
		}
	}
	if strings.Count(page, "<script") != strings.Count(page, "<script src=\"/") {
		t.Error("the page holds a script of its own")
	}
}

// TestStrictBodies: what is not exactly what a route takes is refused, and
// nothing is made of it.
func TestStrictBodies(t *testing.T) {
	r := newRig(t)
	admin := r.admin(t, identity.RoleAdmin)
	for name, tc := range map[string]struct {
		body string
		want int
	}{
		"right":                      {`{"project":"p","name":"n","models":["a"],"expires":"1d"}`, 200},
		"white space":                {" {\"project\":\"p\"}\n", 200},
		"unknown member":             {`{"project":"p","admin":true}`, 400},
		"trailing value":             {`{"project":"p"}{}`, 400},
		"trailing text":              {`{"project":"p"} x`, 400},
		"other case":                 {`{"Project":"p"}`, 400},
		"both cases":                 {`{"project":"p","PROJECT":"q"}`, 400},
		"member twice":               {`{"project":"p","project":"q"}`, 400},
		"member twice, escaped":      {`{"project":"p","\u0070roject":"q"}`, 400},
		"long s for s":               {`{"project":"p","expireſ":"1d"}`, 400},
		"kelvin sign for k":          {`{"project":"p","K":"1d"}`, 400},
		"wrong type":                 {`{"project":1}`, 400},
		"array":                      {`["p"]`, 400},
		"null":                       {`null`, 400},
		"text":                       {`"p"`, 400},
		"no JSON":                    {`project=p`, 400},
		"cut":                        {`{"project":"p"`, 400},
		"byte-order mark":            {"\ufeff{\"project\":\"p\"}", 400},
		"invalid UTF-8":              {"{\"project\":\"p\",\"name\":\"\xff\"}", 400},
		"deep":                       {strings.Repeat("[", 20000), 400},
		"negative lifetime":          {`{"project":"p","expires":"-1d"}`, 400},
		"endless lifetime":           {`{"project":"p","expires":"99999999999d"}`, 400},
		"no project":                 {`{}`, 400},
		"hostile project":            {`{"project":"a b\u001b[31m"}`, 400},
		"too large":                  {`{"project":"` + strings.Repeat("p", maxBody) + `"}`, 413},
		"exactly the limit, no JSON": {strings.Repeat(" ", maxBody), 400},
	} {
		keys := len(r.Auth.Keys(keysAll))
		a := do(t, request{method: "POST", url: r.url + "/api/v1/keys", body: tc.body, credential: admin})
		if a.status != tc.want {
			t.Errorf("%s: status %d, want %d: %s", name, a.status, tc.want, a.body)
		}
		made := len(r.Auth.Keys(keysAll)) - keys
		if tc.want != 200 {
			a.problem(t)
			if len(a.body) > 1000 {
				t.Errorf("%s: the answer repeats the request: %d bytes", name, len(a.body))
			}
		}
		if (tc.want == 200) != (made == 1) {
			t.Errorf("%s: %d keys were made", name, made)
		}
	}
}

// TestSetup: the one-time token makes one administrator, for fifteen minutes.
func TestSetup(t *testing.T) {
	r := newRig(t)
	token := r.setupToken().Reveal()
	post := func(body string) answer {
		return do(t, request{method: "POST", url: r.url + "/api/v1/setup", body: body})
	}
	right := fmt.Sprintf(`{"token":%q,"name":"root"}`, token)
	for name, body := range map[string]string{
		"unknown member": fmt.Sprintf(`{"token":%q,"name":"root","role":"admin"}`, token),
		"token twice":    fmt.Sprintf(`{"token":"x","token":%q,"name":"root"}`, token),
		"other case":     fmt.Sprintf(`{"Token":%q,"name":"root"}`, token),
		"trailing":       right + "{}",
		"no name":        fmt.Sprintf(`{"token":%q}`, token),
		"nothing":        "",
	} {
		if a := post(body); a.status != 400 {
			t.Errorf("%s: status %d: %s", name, a.status, a.body)
		}
	}
	if a := post(`{"token":"` + strings.Repeat("x", maxSetup) + `"}`); a.status != 413 {
		t.Errorf("large body: status %d", a.status)
	}
	if a := post(`{"token":"sps_000000000000000000000000000000000000","name":"root"}`); a.status != 401 {
		t.Errorf("wrong token: status %d", a.status)
	}
	var admin Admin
	post(right).into(t, &admin)
	if admin.Role != identity.RoleAdmin || admin.Name != "root" || admin.Credential == "" {
		t.Errorf("%+v", admin)
	}
	if a := do(t, request{method: "GET", url: r.url + "/api/v1/keys", credential: admin.Credential}); a.status != 200 {
		t.Errorf("the new administrator gets status %d", a.status)
	}
	a := post(right)
	if a.status != 401 || !strings.Contains(a.problem(t).Detail, "sallyport admin new") {
		t.Errorf("a second use: status %d: %s", a.status, a.body)
	}
	if len(r.acts) != 1 || !strings.HasPrefix(r.acts[0], "setup admin.create adm_") {
		t.Errorf("recorded: %q", r.acts)
	}
	r.noSecrets(t, token, admin.Credential)
}

// TestSetupExpires runs the fifteen minutes.
func TestSetupExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bare(t, 5000)
		token := r.setupToken().Reveal()
		<-time.After(auth.SetupLifetime)
		w := httptest.NewRecorder()
		req := httptest.NewRequest("POST", "http://localhost/api/v1/setup", strings.NewReader(fmt.Sprintf(`{"token":%q,"name":"root"}`, token)))
		r.Handler().ServeHTTP(w, req)
		if w.Code != 401 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}

// TestGuessingIsThrottled: tokens and credentials cannot be tried at will, and
// whoever has the right one is not kept out by those who guess.
func TestGuessingIsThrottled(t *testing.T) {
	r, strict := newRig(t), newRigWith(t, 5)
	token := strict.setupToken().Reveal()
	var last answer
	for i := range 20 {
		body := fmt.Sprintf(`{"token":"wrong%d","name":"root"}`, i)
		if i%2 == 0 {
			last = do(t, request{method: "POST", url: strict.url + "/api/v1/setup", body: body})
			continue
		}
		last = do(t, request{method: "GET", url: strict.url + "/api/v1/keys", credential: fmt.Sprint("wrong", i)})
	}
	p := last.problem(t)
	wait, err := strconv.Atoi(last.header.Get("Retry-After"))
	if p.Status != 429 || err != nil || wait < 1 || wait > 60 {
		t.Errorf("status %d, retry-after %q", p.Status, last.header.Get("Retry-After"))
	}
	if a := do(t, request{method: "POST", url: strict.url + "/api/v1/setup", body: fmt.Sprintf(`{"token":%q,"name":"root"}`, token)}); a.status != 200 {
		t.Errorf("the right token: status %d: %s", a.status, a.body)
	}
	if a := do(t, request{method: "GET", url: r.url + "/api/v1/keys", credential: "wrong"}); a.status != 401 {
		t.Errorf("another gateway: status %d", a.status)
	}
}

// TestRetryAfter is bounded and rounded up, since some clients hammer on 0.
func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		time.Millisecond: "1", time.Second: "1", 1500 * time.Millisecond: "2", time.Minute: "60", math.MaxInt64: "60", 0: "",
	} {
		w := httptest.NewRecorder()
		e := fault.New(fault.RateLimited, "")
		e.RetryAfter = wait
		problem(w, e)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%v: %q, want %q", wait, got, want)
		}
	}
}

// TestMetrics: with a token for its holder, without one for loopback only, and
// never for what a proxy passes on.
func TestMetrics(t *testing.T) {
	token := "scrape-token-0123456789"
	open, closed := newRig(t), newRig(t, func(c *Config) { c.MetricsToken = secret.New(token) })
	proxied := newRig(t, func(c *Config) { c.Proxied = true })
	for _, tc := range []struct {
		name string
		r    *rig
		peer string
		head map[string]string
		want int
	}{
		{"loopback", open, "127.0.0.1:1", nil, 200},
		{"loopback, IPv6", open, "[::1]:1", nil, 200},
		{"loopback, mapped", open, "[::ffff:127.0.0.1]:1", nil, 200},
		{"elsewhere", open, "192.0.2.1:1", nil, 401},
		{"private network", open, "10.0.0.1:1", nil, 401},
		{"unknown peer", open, "@", nil, 401},
		{"passed on", open, "127.0.0.1:1", map[string]string{"X-Forwarded-For": "192.0.2.1"}, 401},
		{"passed on, new form", open, "127.0.0.1:1", map[string]string{"Forwarded": "for=192.0.2.1"}, 401},
		{"behind a proxy", proxied, "127.0.0.1:1", nil, 401},
		{"token, loopback without it", closed, "127.0.0.1:1", nil, 401},
		{"token, elsewhere with it", closed, "192.0.2.1:1", map[string]string{"Authorization": "Bearer " + token}, 200},
		{"token, passed on with it", closed, "127.0.0.1:1", map[string]string{"Authorization": "Bearer " + token, "X-Forwarded-For": "192.0.2.1"}, 200},
		{"token, other scheme", closed, "127.0.0.1:1", map[string]string{"Authorization": "Basic " + token}, 401},
		{"token, longer", closed, "127.0.0.1:1", map[string]string{"Authorization": "Bearer " + token + "x"}, 401},
		{"token, shorter", closed, "127.0.0.1:1", map[string]string{"Authorization": "Bearer " + token[1:]}, 401},
		{"token, empty", closed, "127.0.0.1:1", map[string]string{"Authorization": "Bearer "}, 401},
	} {
		req := httptest.NewRequest("GET", "http://localhost/metrics", nil)
		req.RemoteAddr = tc.peer
		for name, v := range tc.head {
			req.Header.Set(name, v)
		}
		w := httptest.NewRecorder()
		tc.r.Handler().ServeHTTP(w, req)
		if w.Code != tc.want {
			t.Errorf("%s: status %d, want %d", tc.name, w.Code, tc.want)
		}
		if ok := strings.Contains(w.Body.String(), "# TYPE sallyport_"); ok != (tc.want == 200) {
			t.Errorf("%s: metrics shown: %v", tc.name, ok)
		}
		if strings.Contains(w.Body.String(), token) {
			t.Errorf("%s: the answer holds the token", tc.name)
		}
	}
	closed.noSecrets(t, token)
	// A virtual key and an administrator are no scrapers.
	_, key := closed.key(t)
	for _, credential := range []string{key, closed.admin(t, identity.RoleAdmin)} {
		if a := do(t, request{method: "GET", url: closed.url + "/metrics", credential: credential}); a.status != 401 {
			t.Errorf("status %d", a.status)
		}
	}
}

// TestSecretsAreShownOnce: the answer that makes a secret shows it; no later
// answer and no log line does.
func TestSecretsAreShownOnce(t *testing.T) {
	r := newRig(t)
	root := r.admin(t, identity.RoleAdmin)
	post := func(path, body string, v any) {
		t.Helper()
		do(t, request{method: "POST", url: r.url + "/api/v1" + path, body: body, credential: root}).into(t, v)
	}
	var made, rotated Key
	post("/keys", `{"project":"p"}`, &made)
	post("/keys/"+string(made.ID)+"/rotate", `{"overlap":"1h"}`, &rotated)
	var admin Admin
	post("/admins", `{"name":"n","role":"auditor"}`, &admin)
	secrets := []string{root, made.Key, rotated.Key, admin.Credential}
	if made.Key == rotated.Key || !strings.HasPrefix(made.Key, "sp_") || !strings.HasPrefix(admin.Credential, "spa_") {
		t.Errorf("%q", secrets)
	}
	var later strings.Builder
	for _, path := range []string{"/keys", "/keys/" + string(made.ID), "/admins", "/doctor", "/logs", "/usage"} {
		later.WriteString(do(t, request{method: "GET", url: r.url + "/api/v1" + path, credential: root}).body)
	}
	later.WriteString(do(t, request{method: "GET", url: r.url + "/api/v1/keys/" + made.Key, credential: root}).body)
	later.WriteString(do(t, request{method: "POST", url: r.url + "/api/v1/keys/" + string(made.ID) + "/revoke", credential: root}).body)
	later.WriteString(do(t, request{method: "GET", url: r.url + "/metrics"}).body)
	do(t, request{method: "GET", url: r.url + "/api/v1/keys?key=" + made.Key, credential: root + "x"})
	for _, s := range secrets {
		if strings.Contains(later.String(), s) {
			t.Errorf("a later answer shows the secret: %s", later.String())
		}
	}
	r.noSecrets(t, secrets...)
	for _, act := range r.acts {
		for _, s := range secrets {
			if strings.Contains(act, s) {
				t.Errorf("a record holds the secret: %s", act)
			}
		}
	}
}

// TestQueryCarriesNoCredential: in a URL it would be kept by histories and
// proxies.
func TestQueryCarriesNoCredential(t *testing.T) {
	r := newRig(t)
	if a := do(t, request{method: "GET", url: r.url + "/api/v1/keys?key=" + r.admin(t, identity.RoleAdmin)}); a.status != 401 {
		t.Errorf("status %d", a.status)
	}
}

// TestActors: each change is recorded in the name of who made it.
func TestActors(t *testing.T) {
	r := newRig(t)
	a, clear, err := r.Auth.NewAdmin(t.Context(), auth.AdminSpec{Name: "n", Role: identity.RoleAdmin}, r.record)
	if err != nil {
		t.Fatal(err)
	}
	for base, actor := range map[string]string{r.url: string(a.ID), r.socket: "local"} {
		r.acts = nil
		do(t, request{method: "POST", url: base + "/api/v1/keys", body: `{"project":"p"}`, credential: clear.Reveal()})
		if len(r.acts) != 1 || !strings.HasPrefix(r.acts[0], actor+" key.create key_") {
			t.Errorf("recorded %q, want the actor %s", r.acts, actor)
		}
	}
}

// hostile is text of a kind that clients and upstreams can bring in.
const hostile = "a\x1b[31m\x00\n\r\u202e\u2028</script><script>alert(1)</script>&=cmd|'/C calc'!A0"

// TestHostileTextIsEscaped: an answer holds it as plain JSON text that neither
// steers a terminal nor ends a script.
func TestHostileTextIsEscaped(t *testing.T) {
	r := newRig(t)
	admin := r.admin(t, identity.RoleAuditor)
	r.models = []Model{{Name: hostile, Targets: []string{"u/" + hostile}}}
	a := do(t, request{method: "GET", url: r.url + "/api/v1/models", credential: admin})
	var back []Model
	a.into(t, &back)
	if back[0].Name != hostile || back[0].Targets[0] != "u/"+hostile {
		t.Errorf("the name came back as %q", back[0].Name)
	}
	bad := do(t, request{method: "GET", url: r.url + "/api/v1/usage?by=%3Cscript%3E", credential: admin})
	unknown := do(t, request{method: "POST", url: r.url + "/api/v1/log/verify", credential: admin, body: `{"</script>\u001b[31m":1}`})
	for _, a := range []answer{a, bad, unknown} {
		for i, c := range []byte(strings.TrimSuffix(a.body, "\n")) {
			if c < 0x20 || c == '<' || c == '>' || c == '&' {
				t.Errorf("byte %d of the answer is %q: %s", i, c, a.body)
				break
			}
		}
		if strings.Contains(a.body, "\u2028") {
			t.Errorf("the answer holds a line separator: %q", a.body)
		}
		if ct := a.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/") {
			t.Errorf("content type %s", ct)
		}
	}
}

// TestErrorsGiveNothingAway: what went wrong inside is logged and not told.
func TestErrorsGiveNothingAway(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Sync = func(context.Context) error { return errDisk }
		c.Verify = func(context.Context, []byte) (auditlog.Report, error) { return auditlog.Report{}, nil }
	})
	admin := r.admin(t, identity.RoleAdmin)
	a := do(t, request{method: "GET", url: r.url + "/api/v1/usage", credential: admin})
	if p := a.problem(t); p.Status != 500 || strings.Contains(a.body, "/secret/path") {
		t.Errorf("%s", a.body)
	}
	if !strings.Contains(r.logs.String(), "/secret/path") || !strings.Contains(r.logs.String(), "GET /api/v1/usage") {
		t.Errorf("the cause is not logged: %s", r.logs)
	}
	r.ready = errDisk
	if a := do(t, request{method: "GET", url: r.socket + "/readyz"}); a.status != 503 || !strings.Contains(a.body, "no space left") {
		t.Errorf("readiness on the socket: status %d: %s", a.status, a.body)
	}
	a = do(t, request{method: "GET", url: r.url + "/readyz"})
	if a.status != 503 || strings.Contains(a.body, "/secret/path") {
		t.Errorf("readiness: status %d: %s", a.status, a.body)
	}
}

// TestVerifyOfStuckLog: what keeps the projection from going on is what a
// verification is asked for, and it says that records wait.
func TestVerifyOfStuckLog(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Sync = func(context.Context) error { return errDisk }
		c.Verify = func(context.Context, []byte) (auditlog.Report, error) {
			return auditlog.Report{Findings: []auditlog.Finding{{Code: auditlog.CodeHead}}}, nil
		}
	})
	a := do(t, request{method: "POST", url: r.url + "/api/v1/log/verify", credential: r.admin(t, identity.RoleAuditor), body: `{}`})
	for _, code := range []string{auditlog.CodeHead, auditlog.CodeBehind} {
		if a.status != 200 || !strings.Contains(a.body, code) {
			t.Errorf("status %d without %s: %s", a.status, code, a.body)
		}
	}
	if strings.Contains(a.body, "/secret/path") {
		t.Errorf("the report tells of the inside: %s", a.body)
	}
}

// TestQueries: numbers and look-backs are checked, not guessed.
func TestQueries(t *testing.T) {
	r := newRig(t)
	admin := r.admin(t, identity.RoleAuditor)
	for path, want := range map[string]int{
		"/usage?by=key": 200, "/usage?by=project&since=30m": 200, "/usage?by=upstream": 200, "/usage?by=Key": 400, "/usage?since=yesterday": 400, "/usage?since=-1d": 400,
		"/usage?since=40000d": 400, "/logs?limit=1000": 200, "/logs?limit=1001": 400, "/logs?limit=0": 400, "/logs?limit=x": 400,
		"/logs?after_leaf=-1": 200, "/logs?after_leaf=-2": 400, "/logs?after_leaf=99999999999999999999": 400,
		"/logs?before=1&before_rid=x": 200, "/logs?full=1": 200, "/logs?since=1d&state=lost": 200,
	} {
		if a := do(t, request{method: "GET", url: r.url + "/api/v1" + path, credential: admin}); a.status != want {
			t.Errorf("%s: status %d, want %d: %s", path, a.status, want, a.body)
		}
	}
}

// TestLookBack reads lengths of time as people write them.
func TestLookBack(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"30m": 30 * time.Minute, "24h": day, "7d": 7 * day, "0d": 0, "36500d": 36500 * day} {
		if got, err := LookBack(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-1h", "1.5d", "36501d", "7", "7 d", "1w", "0x7d"} {
		if got, err := LookBack(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}
