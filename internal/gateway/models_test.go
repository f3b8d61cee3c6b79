package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/record"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
)

// anthropicVersion is what tells Anthropic's clients apart on shared paths.
var anthropicVersion = http.Header{"Anthropic-Version": {"2023-06-01"}}

func TestModels(t *testing.T) {
	r := newRig(t, plan{snapshot: alias("vendor/mödel:1", oa, "gpt-5-mini")})
	few := r.newKey(t, auth.KeySpec{Project: "q", Models: []identity.Model{fast, "gone"}})
	for _, c := range []struct {
		name   string
		header http.Header
		key    string
		want   []string
	}{
		{"openai", nil, "", []string{"claude", "fast", "flash", "places", "vector", "vendor/mödel:1"}},
		{"anthropic", anthropicVersion, "", []string{"claude", "fast", "flash", "places", "vector", "vendor/mödel:1"}},
		{"openai, few", nil, few, []string{"fast"}},
		{"anthropic, few", anthropicVersion, few, []string{"fast"}},
	} {
		for _, path := range []string{"/v1/models", "/models", "/v1/models/"} {
			got := r.do(t, call{path: path, header: c.header, key: c.key})
			var list struct {
				Object  string            `json:"object"`
				Data    []json.RawMessage `json:"data"`
				HasMore *bool             `json:"has_more"`
				FirstID *string           `json:"first_id"`
				LastID  *string           `json:"last_id"`
			}
			if err := json.Unmarshal(got.body, &list); err != nil || got.status != http.StatusOK {
				t.Fatalf("%s: status %d, %v: %s", c.name, got.status, err, got.body)
			}
			ours(t, got)
			var ids []string
			for _, entry := range list.Data {
				ids = append(ids, isModel(t, entry, c.header != nil))
			}
			if !slices.Equal(ids, c.want) {
				t.Errorf("%s: %q, want %q", c.name, ids, c.want)
			}
			if c.header == nil && list.Object != "list" {
				t.Errorf("%s: %s", c.name, got.body)
			}
			if c.header != nil && (list.HasMore == nil || *list.HasMore || *list.FirstID != ids[0] || *list.LastID != ids[len(ids)-1]) {
				t.Errorf("%s: %s", c.name, got.body)
			}
		}
	}
	for _, c := range []struct {
		id     string
		header http.Header
		key    string
		found  bool
	}{
		{"fast", nil, "", true},
		{"fast", anthropicVersion, few, true},
		{"vendor/m%C3%B6del:1", nil, "", true},
		{"vendor%2Fm%C3%B6del:1", anthropicVersion, "", true},
		{"claude", nil, few, false},
		{"claude", anthropicVersion, few, false},
		{"nobody", nil, "", false},
		{"gone", nil, few, false},
		{"gpt-5-mini", nil, "", false},
	} {
		got := r.do(t, call{path: "/v1/models/" + c.id, header: c.header, key: c.key})
		f := formatNamed(map[bool]string{true: "messages", false: "chat"}[c.header != nil])
		if !c.found {
			f.isFault(t, got, fault.NotFound)
			continue
		}
		if got.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", c.id, got.status, got.body)
			continue
		}
		isModel(t, got.body, c.header != nil)
	}
	if n := r.ups[oa].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// isModel checks an entry against what SDKs demand and returns its id.
func isModel(t testing.TB, b []byte, anthropic bool) string {
	t.Helper()
	var m struct {
		ID          string  `json:"id"`
		Object      string  `json:"object"`
		Created     *int64  `json:"created"`
		OwnedBy     string  `json:"owned_by"`
		Type        string  `json:"type"`
		DisplayName string  `json:"display_name"`
		CreatedAt   *string `json:"created_at"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if anthropic && (m.Type != "model" || m.DisplayName == "" || m.CreatedAt == nil) || !anthropic && (m.Object != "model" || m.Created == nil || m.OwnedBy == "") {
		t.Errorf("not a model: %s", b)
	}
	return m.ID
}

// TestAllowedModels: a key reaches the models on its list and no others, and
// cannot tell the others from ones that do not exist.
func TestAllowedModels(t *testing.T) {
	r := newRig(t, plan{})
	few := r.newKey(t, auth.KeySpec{Project: "q", Models: []identity.Model{"vector"}})
	for _, f := range formats {
		c := f.call("hello")
		c.key = few
		got := r.do(t, c)
		if f.model == "vector" {
			if got.status != http.StatusOK {
				t.Errorf("%s: status %d", f.name, got.status)
			}
			continue
		}
		m := f.isFault(t, got, fault.NotFound)
		c.path, c.body = f.at("nobody"), f.body("nobody", "hello")
		if other := f.isFault(t, r.do(t, c), fault.NotFound); strings.ReplaceAll(other, "nobody", f.model) != m {
			t.Errorf("%s: %q and %q", f.name, m, other)
		}
		if x := r.refusal(t, got); x.Model != "" || x.Fault != "not_found" {
			t.Errorf("%s: model %q, fault %s", f.name, x.Model, x.Fault)
		}
	}
}

// TestUnlisted: the models of an upstream that exposes its list are reachable as
// upstream/model.
func TestUnlisted(t *testing.T) {
	r := newRig(t, plan{upstream: func(c *upstream.Config) { c.ExposeUnlisted = c.Name == oa }})
	if err := r.Snapshot().Upstreams[oa].Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range []format{formatNamed("chat"), formatNamed("responses stream")} {
		got := r.do(t, call{path: f.at("oa/gpt-4o-mini"), body: f.body("oa/gpt-4o-mini", "hello")})
		if o := r.outcome(t, got); o.State != string(llm.Complete) || o.Model != "oa/gpt-4o-mini" || o.Target != "gpt-4o-mini" {
			t.Errorf("%s: state %s, model %s, target %s", f.name, o.State, o.Model, o.Target)
		}
		for _, model := range []string{"oa/nobody", "an/claude-sonnet-4-5", "oa/", "/gpt-4o-mini", "oa"} {
			f.isFault(t, r.do(t, call{path: f.at(model), body: f.body(model, "hello")}), fault.NotFound)
		}
	}
	if got := r.do(t, call{path: "/v1/models"}); !strings.Contains(string(got.body), `"oa/gpt-4o-mini"`) {
		t.Errorf("%s", got.body)
	}
}

// TestLocalModels: a local upstream carries restricted data once it has listed its
// models, but not for models that it only passes on.
func TestLocalModels(t *testing.T) {
	r := newRig(t, plan{
		upstream: func(c *upstream.Config) { c.Class = label.OnSite },
		snapshot: func(s *gateway.Snapshot) {
			s.Label = label.Restricted
			s.Models["passed-on"] = []gateway.Target{{Upstream: oa, Model: "big-cloud"}}
		},
	})
	f := formatNamed("chat")
	if got := r.do(t, f.call("hello")); got.status != http.StatusOK {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	f.isFault(t, r.do(t, call{path: f.at("passed-on"), body: f.body("passed-on", "hello")}), fault.PolicyRefused)
	for _, q := range r.ups[oa].Journal().Requests() {
		if strings.Contains(string(q.Body), "big-cloud") {
			t.Errorf("the upstream received %s", q.Body)
		}
	}
	// One that does not list its models is not trusted.
	silent := newRig(t, plan{
		upstream: func(c *upstream.Config) { c.Class = label.OnSite },
		snapshot: func(s *gateway.Snapshot) {
			s.Label = label.Restricted
			s.Upstreams[oa] = newUpstream(t, oa, upstreamtest.OpenAI, closedPort(t), plan{upstream: func(c *upstream.Config) { c.Class = label.OnSite }})
		},
	})
	if m := f.isFault(t, silent.do(t, f.call("hello")), fault.PolicyRefused); !strings.Contains(m, "sallyport upstreams test oa") {
		t.Errorf("message %q does not say why", m)
	}
}

// TestTrusted: behind a listener that knows its peers otherwise no key is needed,
// and a query is cut all the same.
func TestTrusted(t *testing.T) {
	r := newRig(t, plan{})
	r.listen(t, r.Trusted(identity.Principal{Kind: identity.Local, Role: identity.RoleAdmin, Project: "local"}))
	for _, f := range formats {
		c := f.call("hello")
		c.key = "-"
		carriers["query"](&c, "whatever")
		got := r.do(t, c)
		if o := r.outcome(t, got); o.Principal != "local" || o.Project != "local" || o.State != string(llm.Complete) {
			t.Errorf("%s: principal %s, project %s, state %s", f.name, o.Principal, o.Project, o.State)
		}
	}
	for _, q := range slices.Concat(r.ups[oa].Journal().Requests(), r.ups[an].Journal().Requests(), r.ups[ge].Journal().Requests()) {
		if strings.Contains(strings.TrimSuffix(q.Target, "?alt=sse"), "?") {
			t.Errorf("the upstream saw %s", q.Target)
		}
	}
}

// TestStrangers: refusals of the unauthenticated write one sum.
func TestStrangers(t *testing.T) {
	r := newRig(t, plan{})
	for range 7 {
		r.do(t, call{path: "/v1/models", key: "-"})
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	r.seen.read(t)
	if len(r.seen.other) != 1 || r.seen.other[0].Kind != record.KindStrangers || r.seen.other[0].Strangers.Count != 7 || len(r.seen.exchanges) > 0 {
		t.Errorf("%d records, %d exchanges", len(r.seen.other), len(r.seen.exchanges))
	}
}

// TestSource: X-Forwarded-For is believed from trusted proxies alone, up to the
// first hop that is not one.
func TestSource(t *testing.T) {
	r := newRig(t, plan{config: func(c *gateway.Config) { c.TrustProxy = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }})
	for _, c := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"198.51.100.7"}, "192.0.2.1"},
		{"10.1.1.1:5", nil, "10.1.1.1"},
		{"10.1.1.1:5", []string{"198.51.100.7"}, "198.51.100.7"},
		{"10.1.1.1:5", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"10.1.1.1:5", []string{"203.0.113.9", "198.51.100.7, 10.2.2.2"}, "198.51.100.7"},
		{"10.1.1.1:5", []string{"198.51.100.7, nonsense"}, "10.1.1.1"},
		{"10.1.1.1:5", []string{"nonsense, 10.2.2.2"}, "10.2.2.2"},
		{"[::ffff:10.1.1.1]:5", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[::ffff:192.0.2.1]:5", nil, "192.0.2.1"},
		{"nonsense", []string{"198.51.100.7"}, "invalid IP"},
	} {
		q := httptest.NewRequestWithContext(context.Background(), "GET", "/", nil)
		q.RemoteAddr = c.peer
		q.Header["X-Forwarded-For"] = c.forwarded
		if got := r.Source(q).String(); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

// TestHTTP2: the same over TLS and HTTP/2, on both sides.
func TestHTTP2(t *testing.T) {
	up := newTLSUpstream(t)
	r := newRig(t, plan{slots: 1, snapshot: func(s *gateway.Snapshot) {
		s.Upstreams[oa] = newUpstream(t, oa, upstreamtest.OpenAI, up.URL+"/v1", plan{upstream: func(c *upstream.Config) { c.CA = certificateOf(up) }})
	}})
	front := newTLSServer(t, r.Gateway)
	r.url, r.client = front.URL, front.Client()
	for _, f := range formats {
		got := r.do(t, f.call("hello"))
		for got.status == http.StatusTooManyRequests && t.Context().Err() == nil { // the slot before is given back a moment later
			got = r.do(t, f.call("hello"))
		}
		if o := r.outcome(t, got); o.State != string(llm.Complete) || got.status != http.StatusOK {
			t.Errorf("%s: status %d, state %s", f.name, got.status, o.State)
		}
		ours(t, got)
		f.isFault(t, r.do(t, call{path: f.at(f.model), body: f.body(f.model, "hello"), key: "sp_bad"}), fault.Unauthenticated)
	}
	f := formatNamed("messages stream")
	before := r.ups[an].Journal().Len()
	c := r.begin(t, f, "[[stall=6]]")
	if _, err := r.ups[an].Journal().Wait(t.Context(), before+1); err != nil {
		t.Fatal(err)
	}
	c.leave(t)
	if end := r.ended(t, an); end.Outcome != upstreamtest.ClientGone {
		t.Errorf("the upstream saw %+v", end)
	}
}
