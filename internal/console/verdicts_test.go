package console

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/identity"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// TestVerdictList: newest first, by upstream and model, at most so many.
func TestVerdictList(t *testing.T) {
	r := newRig(t)
	var rows []store.Verdict
	for i, up := range []string{"a", "b", "a"} {
		v := record.Verdict{TS: 1e15, ID: fmt.Sprintf("v%d", i), Upstream: up, Target: "m/1", Act: record.ActQuarantine, EMilli: 1301, N: 40, Actor: "watch"}
		rows = append(rows, store.VerdictOf(&v, int64(i)))
	}
	if err := r.store.Batch(t.Context(), func(tx *store.Tx) error { return tx.AddVerdicts(t.Context(), rows) }); err != nil {
		t.Fatal(err)
	}
	auditor := r.admin(t, identity.RoleAuditor)
	for query, want := range map[string]string{
		"": "v2 v1 v0", "?upstream=a": "v2 v0", "?upstream=a&model=m%2F1&limit=1": "v2", "?model=none": "",
	} {
		var got []Verdict
		do(t, request{method: "GET", url: r.url + "/api/v1/verdicts" + query, credential: auditor}).into(t, &got)
		ids := make([]string, len(got))
		for i, v := range got {
			ids[i] = v.ID
			if v.LogE != 1.301 || v.N != 40 || v.Model != "m/1" || v.Time.Year() != 2001 {
				t.Errorf("%q: %+v", query, v)
			}
		}
		if strings.Join(ids, " ") != want {
			t.Errorf("%q: %v, want %s", query, ids, want)
		}
	}
	if a := do(t, request{method: "GET", url: r.url + "/api/v1/verdicts?limit=1001", credential: auditor}); a.status != 400 {
		t.Errorf("a limit of 1001: %d", a.status)
	}
}

// TestOverruling: who did it is who asked, and what is kept for good is bounded.
func TestOverruling(t *testing.T) {
	r := newRig(t)
	operator := r.admin(t, identity.RoleOperator)
	sum := strings.Repeat("0a", 32)
	for _, c := range []struct {
		route, body string
		want        int
	}{
		{"override", overruling, 200},
		{"release", overruling, 200},
		{"override", `{"upstream":"u","model":"m"}`, 400},
		{"release", `{"upstream":"u","model":"m","reason":""}`, 400},
		{"override", `{"upstream":"u","reason":"r"}`, 400},
		{"override", `{"model":"m","reason":"r"}`, 400},
		{"override", `{"upstream":"u","model":"m","reason":"r","act":"quarantine"}`, 400},
		{"override", `{"upstream":"u","model":"m","reason":"r","Reason":"s"}`, 400},
		{"override", `{"upstream":"u","model":"m","reason":"` + strings.Repeat("x", record.MaxReason+1) + `"}`, 400},
		{"register", registration, 200},
		{"register", `{"bundle":"` + sum[2:] + `","upstream":"h","model":"m","label":"l"}`, 400},
		{"register", `{"bundle":"` + strings.ToUpper(sum) + `","upstream":"h","model":"m","label":"l"}`, 400},
		{"register", `{"bundle":"` + sum + `","upstream":"h","model":"m"}`, 400},
		{"register", `{"bundle":"` + sum + `","upstream":"h","model":"m","label":"` + strings.Repeat("x", maxName+1) + `"}`, 400},
		{"register", `{"bundle":"` + sum + `","upstream":"h","model":"m","label":"l","wording":"` + strings.Repeat("x", record.MaxWording+1) + `"}`, 400},
	} {
		a := do(t, request{method: "POST", url: r.url + "/api/v1/verdicts/" + c.route, body: c.body, credential: operator})
		if a.status != c.want {
			t.Errorf("%s %.80s: status %d: %s", c.route, c.body, a.status, a.body)
			continue
		}
		if a.status != 200 {
			a.problem(t)
			continue
		}
		var v Verdict
		a.into(t, &v)
		if !strings.HasPrefix(v.Actor, "adm_") || c.route != "register" && (string(v.Act) != c.route || v.Reason != "r") {
			t.Errorf("%s: %+v", c.route, v)
		}
	}
}
