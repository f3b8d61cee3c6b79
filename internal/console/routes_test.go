package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/identity"
)

// row is what the test expects of one route: the least role, a call that is
// harmless, and how that is answered to those who may make it.
type row struct {
	role identity.Role
	path func(*testing.T, *rig) string // below /api/v1
	body string
	want int
}

func at(path string) func(*testing.T, *rig) string {
	return func(*testing.T, *rig) string { return path }
}

// table is what each route demands, written down a second time: a route whose
// role is changed, and a new route without a row here, fail the test.
var table = map[string]row{
	"GET /api/v1/version":                   {identity.RoleAuditor, at("/version"), "", 200},
	"GET /api/v1/doctor":                    {identity.RoleAuditor, at("/doctor"), "", 200},
	"GET /api/v1/keys":                      {identity.RoleAuditor, at("/keys"), "", 200},
	"GET /api/v1/keys/{id}":                 {identity.RoleAuditor, aKey(""), "", 200},
	"POST /api/v1/keys":                     {identity.RoleAdmin, at("/keys"), `{"project":"p"}`, 200},
	"POST /api/v1/keys/{id}/rotate":         {identity.RoleAdmin, aKey("/rotate"), "", 200},
	"POST /api/v1/keys/{id}/revoke":         {identity.RoleAdmin, aKey("/revoke"), "", 200},
	"GET /api/v1/admins":                    {identity.RoleAuditor, at("/admins"), "", 200},
	"POST /api/v1/admins":                   {identity.RoleAdmin, at("/admins"), `{"name":"n","role":"auditor"}`, 200},
	"POST /api/v1/admins/{id}/revoke":       {identity.RoleAdmin, anAdmin("/revoke"), "", 200},
	"POST /api/v1/secret/rotate":            {identity.RoleAdmin, at("/secret/rotate"), "", 200},
	"POST /api/v1/secret/drop/{version}":    {identity.RoleAdmin, at("/secret/drop/none"), "", 400},
	"POST /api/v1/credentials/reseal":       {identity.RoleAdmin, at("/credentials/reseal"), "", 200},
	"GET /api/v1/usage":                     {identity.RoleAuditor, at("/usage?since=1d"), "", 200},
	"GET /api/v1/logs":                      {identity.RoleAuditor, at("/logs"), "", 200},
	"GET /api/v1/logs/{rid}":                {identity.RoleAuditor, at("/logs/req_none"), "", 404},
	"GET /api/v1/logs/{rid}/proof":          {identity.RoleAuditor, at("/logs/req_none/proof"), "", 404},
	"POST /api/v1/log/verify":               {identity.RoleAuditor, at("/log/verify"), "", 200},
	"POST /api/v1/log/reopen":               {identity.RoleAdmin, at("/log/reopen"), `{"reason":"restored"}`, 200},
	"GET /api/v1/models":                    {identity.RoleAuditor, at("/models"), "", 200},
	"GET /api/v1/upstreams":                 {identity.RoleAuditor, at("/upstreams"), "", 200},
	"POST /api/v1/upstreams/{name}/test":    {identity.RoleOperator, at("/upstreams/u/test"), "", 200},
	"POST /api/v1/upstreams/{name}/confirm": {identity.RoleAdmin, at("/upstreams/u/confirm"), `{"class":"local"}`, 200},
	"GET /api/v1/policy/explain":            {identity.RoleAuditor, at("/policy/explain?model=m"), "", 200},
	"POST /api/v1/reload":                   {identity.RoleOperator, at("/reload"), "", 200},
	"GET /api/v1/verdicts":                  {identity.RoleAuditor, at("/verdicts?upstream=u"), "", 200},
	"GET /api/v1/watch":                     {identity.RoleAuditor, at("/watch"), "", 200},
	"POST /api/v1/verdicts/override":        {identity.RoleOperator, at("/verdicts/override"), overruling, 200},
	"POST /api/v1/verdicts/release":         {identity.RoleOperator, at("/verdicts/release"), overruling, 200},
	"POST /api/v1/verdicts/begin":           {identity.RoleOperator, at("/verdicts/begin"), beginning, 200},
	"POST /api/v1/verdicts/register":        {identity.RoleOperator, at("/verdicts/register"), registration, 200},
}

const overruling = `{"upstream":"u","model":"m","reason":"r"}`

var beginning = `{"commitment":"` + strings.Repeat("0b", 32) + `","upstream":"u","model":"m","profile":"quick","cap_nano_usd":5}`

var registration = `{"bundle":"` + strings.Repeat("0a", 32) + `","upstream":"h","model":"m","label":"not tested"}`

// aKey and anAdmin make what the call changes.
func aKey(rest string) func(*testing.T, *rig) string {
	return func(t *testing.T, r *rig) string { id, _ := r.key(t); return "/keys/" + id + rest }
}

func anAdmin(rest string) func(*testing.T, *rig) string {
	return func(t *testing.T, r *rig) string { return "/admins/" + r.adminID(t) + rest }
}

// TestEveryRouteWithEveryPrincipal walks the whole admin API as everybody.
func TestEveryRouteWithEveryPrincipal(t *testing.T) {
	r := newRig(t)
	_, key := r.key(t)
	const unknown, known = 401, 403
	principals := []struct {
		name, base, credential string
		role                   identity.Role // empty: may do nothing
		refused                int
	}{
		{"nobody", r.url, "", "", unknown},
		{"a stranger", r.url, "spa_000000000000000000000000000000000000", "", unknown},
		{"a virtual key", r.url, key, "", known},
		{"an expired admin", r.url, r.expired(t), "", unknown},
		{"a revoked admin", r.url, r.revoked(t), "", unknown},
		{"an auditor", r.url, r.admin(t, identity.RoleAuditor), identity.RoleAuditor, known},
		{"an operator", r.url, r.admin(t, identity.RoleOperator), identity.RoleOperator, known},
		{"an admin", r.url, r.admin(t, identity.RoleAdmin), identity.RoleAdmin, known},
		{"the socket's owner", r.socket, "", identity.RoleAdmin, known},
	}
	allowed := map[identity.Role]map[identity.Role]bool{ // by need, then by role
		identity.RoleAuditor:  {identity.RoleAuditor: true, identity.RoleOperator: true, identity.RoleAdmin: true},
		identity.RoleOperator: {identity.RoleOperator: true, identity.RoleAdmin: true},
		identity.RoleAdmin:    {identity.RoleAdmin: true},
	}
	seen := map[string]bool{}
	for _, e := range r.endpoints() {
		want, ok := table[e.pattern]
		if !ok {
			t.Errorf("%s has no row in this test", e.pattern)
			continue
		}
		seen[e.pattern] = true
		method, _, _ := strings.Cut(e.pattern, " ")
		for _, p := range principals {
			a := do(t, request{method: method, url: p.base + "/api/v1" + want.path(t, r), body: want.body, credential: p.credential})
			status := p.refused
			if allowed[want.role][p.role] {
				status = want.want
			}
			if a.status != status {
				t.Errorf("%s as %s: status %d, want %d: %s", e.pattern, p.name, a.status, status, a.body)
			}
			if a.status != http.StatusOK {
				a.problem(t)
			}
		}
	}
	for pattern := range table {
		if !seen[pattern] {
			t.Errorf("%s has a row here and is no route", pattern)
		}
	}
}

// TestRefusedCallsChangeNothing: what a role may not do is not done, rather than
// done and hidden.
func TestRefusedCallsChangeNothing(t *testing.T) {
	r := newRig(t)
	id, key := r.key(t)
	auditor := r.admin(t, identity.RoleAuditor)
	before := fmt.Sprint(r.Auth.Keys(keysAll), r.Auth.Admins())
	for _, credential := range []string{"", key, auditor, r.admin(t, identity.RoleOperator)} {
		do(t, request{method: "POST", url: r.url + "/api/v1/keys", body: `{"project":"p"}`, credential: credential})
		do(t, request{method: "POST", url: r.url + "/api/v1/keys/" + id + "/revoke", credential: credential})
		do(t, request{method: "POST", url: r.url + "/api/v1/admins", body: `{"name":"n","role":"admin"}`, credential: credential})
	}
	after := fmt.Sprint(r.Auth.Keys(keysAll), r.Auth.Admins()[1:]) // the operator came last
	if before != after {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if len(r.acts) != 0 {
		t.Errorf("recorded: %q", r.acts)
	}
}

// TestWhatNeedsNoCredential lists the routes outside the table.
func TestWhatNeedsNoCredential(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		method, path string
		want         int
		kind         string
	}{
		{"GET", "/healthz", 200, "application/json"},
		{"GET", "/readyz", 200, "application/json"},
		{"GET", "/metrics", 200, "text/plain"},
		{"GET", "/setup", 200, "text/html"},
		{"GET", "/setup.js", 200, "text/javascript"},
		{"GET", "/setup.css", 200, "text/css"},
		{"POST", "/api/v1/setup", 400, "application/problem+json"},
		{"GET", "/", 404, "application/problem+json"},
		{"GET", "/api/v1", 404, "application/problem+json"},
		{"GET", "/api/v1/nothing", 404, "application/problem+json"},
		{"DELETE", "/api/v1/keys", 404, "application/problem+json"},
		{"GET", "/api/v1/keys/", 404, "application/problem+json"},
		{"GET", "//api/v1/keys", 404, "application/problem+json"},
		{"GET", "/api/../api/v1/keys", 404, "application/problem+json"},
		{"GET", "/setup/../metrics", 404, "application/problem+json"},
		{"GET", "/static/setup.html", 404, "application/problem+json"},
		{"GET", "/debug/pprof/", 404, "application/problem+json"},
	} {
		a := do(t, request{method: tc.method, url: r.url + tc.path})
		if a.status != tc.want || !strings.HasPrefix(a.header.Get("Content-Type"), tc.kind) {
			t.Errorf("%s %s: status %d, %s, want %d, %s: %s", tc.method, tc.path, a.status, a.header.Get("Content-Type"), tc.want, tc.kind, a.body)
		}
	}
}
