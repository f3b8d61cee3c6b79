package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// routeCall is a request that succeeds on a route, and the format of its errors.
func routeCall(t testing.TB, route gateway.Route) (call, format) {
	t.Helper()
	for _, f := range formats {
		stream := strings.HasSuffix(route.Path, ":streamGenerateContent")
		if string(f.ep) == strings.Replace(route.Name, "compact", "responses", 1) && f.stream == stream && !strings.Contains(strings.Replace(route.Path, "{model}", "", 1), "{") {
			c := f.call("hello")
			c.path = strings.Replace(route.Path, "{model}", f.model, 1)
			return c, f
		}
	}
	path := strings.NewReplacer("{id...}", fast, "{id}", keptResponse).Replace(route.Path)
	if path == route.Path && route.Name != string(wire.Models) {
		t.Fatalf("no call is known for the route %+v", route)
	}
	f := formatNamed("chat")
	if strings.HasPrefix(path, "/v1beta/") {
		f = formatNamed("gemini")
	}
	return call{method: route.Method, path: path}, f
}

// keptResponse is the id of a response that is kept here.
const keptResponse = "resp_kept"

// carriers put a credential into a request.
var carriers = map[string]func(c *call, key string){
	"bearer": func(c *call, key string) { setHeader(c, "Authorization", "Bearer "+key) },
	"scheme": func(c *call, key string) { setHeader(c, "Authorization", "bEARER   "+key) },
	"x-api":  func(c *call, key string) { setHeader(c, "X-Api-Key", key) },
	"google": func(c *call, key string) { setHeader(c, "X-Goog-Api-Key", key) },
	"query": func(c *call, key string) {
		sep := "?"
		if strings.Contains(c.path, "?") {
			sep = "&"
		}
		c.path += sep + "key=" + url.QueryEscape(key)
	},
}

func setHeader(c *call, name, value string) {
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header.Add(name, value)
}

func TestCarriers(t *testing.T) {
	r := newRig(t, plan{})
	for _, route := range gateway.Routes() {
		for name, carry := range carriers {
			c, f := routeCall(t, route)
			c.key = "-"
			carry(&c, r.key)
			kept := strings.Contains(route.Path, "{id}")
			if kept {
				if err := credentials.keep.Put(t.Context(), "p", map[string][]byte{keptResponse: []byte(`{"items":[],"input":[],"response":{}}`)}); err != nil {
					t.Fatal(err)
				}
			}
			before := r.ups[f.up].Journal().Len()
			got := r.do(t, c)
			if got.status != http.StatusOK {
				t.Fatalf("%s by %s: status %d: %s", route.Path, name, got.status, got.body)
			}
			ours(t, got)
			if kept || route.Name == string(wire.Models) {
				continue
			}
			seen := r.ups[f.up].Journal().Requests()
			if len(seen) != before+1 || strings.Contains(seen[before].Target, "key=") || strings.Contains(seen[before].Target, "&") {
				t.Errorf("%s by %s: the upstream saw %d requests, the last to %s", route.Path, name, len(seen)-before, seen[len(seen)-1].Target)
			}
			if x := r.outcome(t, got); x.Principal != "key" || x.Project != "p" || x.Key == "" {
				t.Errorf("%s by %s: principal %q, project %q, key %q", route.Path, name, x.Principal, x.Project, x.Key)
			}
		}
	}
}

// TestRefusedCredentials: on every route, known or not, nothing happens without a
// valid key, and what is refused is told in the route's own form.
func TestRefusedCredentials(t *testing.T) {
	r := newRig(t, plan{})
	stranger := r.newKey(t, auth.KeySpec{Project: "q"})
	revoked, token, err := r.auth.NewKey(t.Context(), auth.KeySpec{Project: "q"}, discardAct)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.auth.RevokeKey(t.Context(), revoked.ID, discardAct); err != nil {
		t.Fatal(err)
	}
	two := func(a, b string) func(*call) {
		return func(c *call) { carriers[a](c, r.key); carriers[b](c, stranger) }
	}
	one := func(carrier, key string) func(*call) { return func(c *call) { carriers[carrier](c, key) } }
	routes := append(gateway.Routes(),
		gateway.Route{Name: "chat", Method: http.MethodPost, Path: "/v1/chat/completions/"},
		gateway.Route{Name: "chat", Method: http.MethodPost, Path: "/v2/chat/completions"},
		gateway.Route{Name: "models", Method: http.MethodDelete, Path: "/v1/models/fast"},
		gateway.Route{Name: "messages", Method: http.MethodPut, Path: "/v1/messages"},
		gateway.Route{Name: "models", Method: http.MethodGet, Path: "/"})
	for _, route := range routes {
		for _, c := range []struct {
			name string
			do   func(*call)
			kind fault.Kind
		}{
			{"nothing", func(*call) {}, fault.Unauthenticated},
			{"empty values", func(c *call) { carriers["x-api"](c, ""); carriers["query"](c, "") }, fault.Unauthenticated},
			{"basic", func(c *call) { setHeader(c, "Authorization", "Basic "+r.key) }, fault.Unauthenticated},
			{"no prefix", one("bearer", "nonsense"), fault.Unauthenticated},
			{"mistyped", one("bearer", r.key[:len(r.key)-1]+"!"), fault.Unauthenticated},
			{"the upstream's own", one("x-api", openAIKey), fault.Unauthenticated},
			{"revoked", one("bearer", token.Reveal()), fault.Unauthenticated},
			{"oversized", one("x-api", "sp_"+strings.Repeat("a", 4000)), fault.Unauthenticated},
			{"an administrator's", one("bearer", r.admin), fault.Forbidden},
			{"an administrator's in the query", one("query", r.admin), fault.Forbidden},
			{"two different", two("bearer", "x-api"), fault.BadRequest},
			{"two different with google", two("x-api", "google"), fault.BadRequest},
			{"two different with query", two("google", "query"), fault.BadRequest},
			{"two in the query", two("query", "query"), fault.BadRequest},
			{"two headers of one name", two("bearer", "bearer"), fault.BadRequest},
		} {
			q, f := routeCall(t, route)
			q.key, q.method = "-", route.Method
			c.do(&q)
			f.isFault(t, r.do(t, q), c.kind)
			if t.Failed() {
				t.Fatalf("%s %s with %s", route.Method, route.Path, c.name)
			}
		}
	}
	for name, up := range r.ups {
		if n := up.Journal().Len(); n > 0 {
			t.Errorf("upstream %s saw %d requests", name, n)
		}
	}
}

// TestSameKeyTwice: the same credential in several carriers is no conflict.
func TestSameKeyTwice(t *testing.T) {
	r := newRig(t, plan{})
	c := formatNamed("messages").call("hello")
	c.key = "-"
	for _, carry := range carriers {
		carry(&c, r.key)
	}
	if got := r.do(t, c); got.status != http.StatusOK {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}

// TestUnknownRoutes: who has a key is told what is wrong with the route.
func TestUnknownRoutes(t *testing.T) {
	r := newRig(t, plan{})
	for _, c := range []struct {
		method, path string
		kind         fault.Kind
	}{
		{"POST", "/v1/chat/completions/", fault.NotFound},
		{"POST", "/v1/chat", fault.NotFound},
		{"POST", "/", fault.NotFound},
		{"POST", "/v1/uploads", fault.NotFound},
		{"POST", "/v1/v1/chat/completions", fault.NotFound},
		{"POST", "//v1/chat/completions", fault.NotFound},
		{"POST", "/v1//chat/completions", fault.NotFound},
		{"POST", "/v1/./chat/completions", fault.NotFound},
		{"POST", "/v1/x/../chat/completions", fault.NotFound},
		{"POST", "/v1/chat%2Fcompletions", fault.NotFound},
		{"POST", "/V1/Chat/Completions", fault.NotFound},
		{"GET", "//v1/models", fault.NotFound},
		{"POST", "/v1/messages/threads", fault.NotFound},
		{"GET", "/messages/count_tokens/", fault.NotFound},
		{"GET", "/v1/chat/completions", fault.MethodNotAllowed},
		{"DELETE", "/v1/responses", fault.MethodNotAllowed},
		{"PUT", "/v1/embeddings", fault.MethodNotAllowed},
		{"PATCH", "/v1/messages", fault.MethodNotAllowed},
		{"OPTIONS", "/v1/messages/count_tokens", fault.MethodNotAllowed},
		{"POST", "/v1/models", fault.MethodNotAllowed},
		{"DELETE", "/v1/models/fast", fault.MethodNotAllowed},
	} {
		f := formatNamed("chat")
		if strings.Contains(c.path, "messages") {
			f = formatNamed("messages")
		}
		q, err := http.NewRequestWithContext(t.Context(), c.method, r.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.URL.Path, q.URL.RawPath, q.URL.RawQuery = strings.ReplaceAll(c.path, "%2F", "/"), c.path, "key="+r.key
		resp, err := r.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		got := read(resp)
		f.isFault(t, got, c.kind)
		if got.header.Get("Location") != "" {
			t.Errorf("%s %s: redirected to %s", c.method, c.path, got.header.Get("Location"))
		}
		if x := r.refusal(t, got); x.Fault != c.kind.String() {
			t.Errorf("%s %s: fault %s in the record", c.method, c.path, x.Fault)
		}
		allow := map[fault.Kind]string{fault.MethodNotAllowed: "POST"}[c.kind]
		if strings.Contains(c.path, "models") && allow != "" {
			allow = "GET"
		}
		if strings.Contains(c.path, "responses") && allow != "" {
			allow = "POST, GET"
		}
		if v := got.header.Get("Allow"); v != allow {
			t.Errorf("%s %s: allow %q, want %q", c.method, c.path, v, allow)
		}
		if t.Failed() {
			t.Fatalf("%s %s", c.method, c.path)
		}
	}
}

// TestForwardedHeader: an upstream gets exactly the headers named here, whatever
// the client sends.
func TestForwardedHeader(t *testing.T) {
	r := newRig(t, plan{upstream: noUsage})
	hostile := http.Header{
		"Cookie": {"session=" + r.key}, "Proxy-Authorization": {"Basic eDp5"}, "X-Forwarded-For": {"10.0.0.1"},
		"X-Forwarded-Host": {"evil"}, "X-Forwarded-Proto": {"http"}, "Forwarded": {"for=10.0.0.1"}, "X-Real-Ip": {"10.0.0.1"},
		"Openai-Organization": {"org-1"}, "Openai-Project": {"proj-1"}, "Anthropic-Organization-Id": {"org-2"},
		"Te": {"trailers"}, "Trailer": {"X-Late"}, "Keep-Alive": {"timeout=9"}, "Upgrade": {"h2c"}, "Proxy-Connection": {"keep-alive"},
		"Connection": {"X-Secret-Hop, keep-alive"}, "X-Secret-Hop": {"1"}, "Accept-Encoding": {"gzip, br"}, "Accept": {"text/html"},
		"Baggage": {"user=alice"}, "Tracestate": {"a=b"}, "Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		"X-Stainless-Lang": {"js"}, "User-Agent": {"OpenAI/JS 7.57.0"}, "Origin": {"https://evil"}, "Referer": {"https://evil/?key=" + r.key},
		"X-Http-Method-Override": {"DELETE"}, "X-Original-Url": {"/admin"}, "X-Unknown": {"x"}, "Range": {"bytes=0-1"}, "If-None-Match": {"x"},
		"Session-Id": {"s"}, "X-Client-Request-Id": {"c"}, "Accept-Language": {"de"}, "X-Goog-User-Project": {"p"},
		"X-Sallyport-Reason": {"x"}, "X-Sallyport-Hop": {"othergateway"}, "Api-Key": {"k"}, "Ocp-Apim-Subscription-Key": {"k"},
		"Idempotency-Key": {"idem-1"}, "Openai-Beta": {"assistants=v2"}, "Anthropic-Version": {"2026-10-21"}, "Anthropic-Beta": {"a", "b"},
	}
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			c := f.call("hello")
			c.header = hostile.Clone()
			if got := r.do(t, c); got.status != http.StatusOK {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			seen := r.ups[f.up].Journal().Requests()
			last := seen[len(seen)-1]
			want := http.Header{
				"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"sallyport"},
				"X-Sallyport-Hop": {"othergateway,instance0000"},
				"Content-Length":  {fmt.Sprint(len(last.Body))},
			}
			if f.stream {
				want["Accept"] = []string{"text/event-stream"}
			}
			switch {
			case f.google(): // its API knows no header that selects behaviour
				want["X-Goog-Api-Key"] = []string{geminiKey}
			case f.anthropic():
				want["X-Api-Key"], want["Idempotency-Key"] = []string{anthropicKey}, []string{"idem-1"}
				want["Anthropic-Version"], want["Anthropic-Beta"] = []string{"2026-10-21"}, []string{"a", "b"}
			default:
				want["Authorization"], want["Idempotency-Key"] = []string{"Bearer " + openAIKey}, []string{"idem-1"}
				want["Openai-Beta"] = []string{"assistants=v2"}
			}
			sameHeader(t, last.Header, want)
			if last.Length != int64(len(last.Body)) || last.Target != f.target() {
				t.Errorf("length %d of %d, target %s", last.Length, len(last.Body), last.Target)
			}
		})
	}
}

func sameHeader(t testing.TB, got, want http.Header) {
	t.Helper()
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("header %s: %q was not expected", name, got[name])
		}
	}
	for name, values := range want {
		if strings.Join(got[name], "|") != strings.Join(values, "|") {
			t.Errorf("header %s: %q, want %q", name, got[name], values)
		}
	}
}

// TestQuery: of a client's query nothing reaches an upstream but the mark that
// Anthropic's SDKs put on beta calls.
func TestQuery(t *testing.T) {
	r := newRig(t, plan{})
	f := formatNamed("messages")
	for query, want := range map[string]string{
		"?beta=true": "?beta=true", "?beta=true&key=" + r.key: "?beta=true", "?beta=false": "", "?x=1&alt=sse": "",
		"?key=" + r.key + ";beta=true": "", "?%zz": "", "?beta=true&beta=x": "?beta=true",
	} {
		c := f.call("hello")
		c.path += query
		if got := r.do(t, c); got.status != http.StatusOK {
			t.Errorf("%s: status %d", query, got.status)
			continue
		}
		seen := r.ups[an].Journal().Requests()
		if got := seen[len(seen)-1].Target; got != f.path+want {
			t.Errorf("%s: the upstream saw %s", query, got)
		}
	}
}

// TestReturnedHeader: a client gets exactly the headers named here.
func TestReturnedHeader(t *testing.T) {
	r := newRig(t, plan{tap: true})
	limits := map[identity.Upstream]http.Header{
		oa: {
			"Openai-Processing-Ms": {"42"}, "Openai-Version": {"2020-10-01"},
			"X-Ratelimit-Limit-Requests": {"5000"}, "X-Ratelimit-Remaining-Requests": {"4999"}, "X-Ratelimit-Reset-Requests": {"12ms"},
			"X-Ratelimit-Limit-Tokens": {"2000000"}, "X-Ratelimit-Remaining-Tokens": {"1999000"}, "X-Ratelimit-Reset-Tokens": {"30ms"},
		},
		an: {
			"Anthropic-Ratelimit-Requests-Limit": {"4000"}, "Anthropic-Ratelimit-Requests-Remaining": {"3999"},
			"Anthropic-Ratelimit-Requests-Reset": {"2026-11-22T00:00:01Z"}, "Anthropic-Ratelimit-Input-Tokens-Limit": {"2000000"},
			"Anthropic-Ratelimit-Input-Tokens-Remaining": {"1999000"},
		},
		ge: {},
	}
	for _, f := range formats {
		for _, knobs := range []string{"echo=header", "status=429 echo=header"} {
			got := r.do(t, f.call("hello [["+knobs+"]]"))
			want := limits[f.up].Clone()
			want["Content-Type"] = []string{"application/json"}
			if f.google() {
				want["Content-Type"] = []string{"application/json; charset=UTF-8"}
			}
			want["Cache-Control"], want["X-Content-Type-Options"] = []string{"no-store"}, []string{"nosniff"}
			want["X-Request-Id"], want["Request-Id"] = []string{got.rid}, []string{got.rid}
			want["Date"] = got.header["Date"]
			switch {
			case got.status == http.StatusTooManyRequests:
				want["X-Sallyport-Reason"] = []string{"upstream"}
				if f.anthropic() {
					want["X-Should-Retry"] = []string{"true"}
				}
			case f.stream:
				want["Content-Type"], want["X-Accel-Buffering"] = []string{"text/event-stream; charset=utf-8"}, []string{"no"}
			}
			if !f.stream || got.status != http.StatusOK {
				want["Content-Length"] = []string{fmt.Sprint(len(got.body))}
			}
			sameHeader(t, got.header, want)
			if t.Failed() {
				t.Fatalf("%s %s", f.name, knobs)
			}
		}
	}
}

// TestEcho: an upstream that repeats its credential in an answer is not passed on,
// wherever it does so.
func TestEcho(t *testing.T) {
	r := newRig(t, plan{})
	for _, f := range formats {
		for _, c := range []struct {
			knobs string
			of    kindOf
		}{
			{"status=400 echo=error", both},
			{"status=500 echo=error", both},
			{"status=401 echo=error", both},
			{"echo=body", unary},
			{"echo=body,header,error odd=1", unary},
			{"echo=body frames=1", streams},
		} {
			if !c.of.has(f) || strings.HasPrefix(c.knobs, "echo") && (f.embeds() || f.counts()) {
				continue
			}
			q := f.call("hello [[" + c.knobs + "]]")
			if f.anthropic() {
				q.body = strings.Replace(q.body, `"max_tokens":64`, `"max_tokens":4096`, 1)
			}
			got := r.do(t, q)
			f.isFault(t, got, fault.UpstreamInvalid)
			if o := r.outcome(t, got); o.State != string(llm.CredentialEcho) || o.Fault != fault.UpstreamInvalid.String() {
				t.Errorf("state %s, fault %s", o.State, o.Fault)
			}
			if t.Failed() {
				t.Fatalf("%s %s", f.name, c.knobs)
			}
		}
	}
}
