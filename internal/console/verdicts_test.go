package console

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/identity"
	"sallyport/internal/ledger"
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

// TestUnfinished: a beginning without an end is told, also where the list is cut.
func TestUnfinished(t *testing.T) {
	r := newRig(t)
	var rows []store.Verdict
	for i, c := range []struct {
		act        record.Act
		commitment string
	}{{record.ActBegin, "a"}, {record.ActBegin, "a"}, {record.ActNotice, ""}, {record.ActAudit, "a"}, {record.ActAudit, ""}, {record.ActBegin, "c"}} {
		v := record.Verdict{TS: 1e15, ID: fmt.Sprintf("v%d", i), Upstream: "u", Target: "m", Act: c.act, Commitment: c.commitment, Actor: "local"}
		if c.commitment == "a" && c.act == record.ActAudit {
			v.Profile, v.Asked, v.Money, v.Nano = "vet", 9, ledger.MoneyPriced, 7
		}
		rows = append(rows, store.VerdictOf(&v, int64(i)))
	}
	if err := r.store.Batch(t.Context(), func(tx *store.Tx) error { return tx.AddVerdicts(t.Context(), rows) }); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{1: "v5", 5: "v5", 6: "v5 v0"} {
		var got []Verdict
		do(t, request{method: "GET", url: fmt.Sprintf("%s/api/v1/verdicts?limit=%d", r.url, limit), credential: r.admin(t, identity.RoleAuditor)}).into(t, &got)
		var ids []string
		for _, v := range got {
			if v.Unfinished {
				ids = append(ids, v.ID)
			}
			if v.ID == "v3" && (v.Profile != "vet" || v.Asked != 9 || v.Spent == nil || *v.Spent != 7) || v.ID != "v3" && v.Spent != nil {
				t.Errorf("%+v", v)
			}
		}
		if strings.Join(ids, " ") != want {
			t.Errorf("of %d: %v are unfinished, want %s", limit, ids, want)
		}
	}
}

// TestOverruling: who did it is who asked, and what is kept for good is bounded.
func TestOverruling(t *testing.T) {
	r := newRig(t)
	operator := r.admin(t, identity.RoleOperator)
	sum := strings.Repeat("0a", 32)
	with := func(more string) string { return strings.TrimSuffix(registration, "}") + "," + more + "}" }
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
		{"begin", beginning, 200},
		{"begin", strings.Replace(beginning, "0b", "", 1), 400},
		{"begin", strings.Replace(beginning, "0b", "0B", 1), 400},
		{"begin", strings.Replace(beginning, `"quick"`, `""`, 1), 400},
		{"begin", strings.Replace(beginning, `"u"`, `"`+strings.Repeat("x", maxName+1)+`"`, 1), 400},
		{"begin", strings.Replace(beginning, `:5}`, `:-5}`, 1), 400},
		{"begin", strings.Replace(beginning, `:5}`, `:5,"act":"release"}`, 1), 400},
		{"register", registration, 200},
		{"register", strings.Replace(registration, sum, "", 1), 400}, // an audit has a bundle
		{"register", strings.Replace(with(`"profile":"reference","commitment":"`+sum[:62]+`0b"`), sum, "", 1), 200},
		{"register", with(`"commitment":"` + sum + `","profile":"quick","asked":3,"money":"priced","nano_usd":4`), 200},
		{"register", with(`"commitment":"` + sum[2:] + `"`), 400},
		{"register", with(`"money":"cheap"`), 400},
		{"register", with(`"money":"unknown","nano_usd":4`), 400},
		{"register", with(`"money":"priced","nano_usd":-4`), 400},
		{"register", with(`"asked":-1`), 400},
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
		if !strings.HasPrefix(v.Actor, "adm_") || (c.route == "override" || c.route == "release") && (string(v.Act) != c.route || v.Reason != "r") {
			t.Errorf("%s: %+v", c.route, v)
		}
	}
}
