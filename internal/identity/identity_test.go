package identity

import (
	"regexp"
	"testing"
)

// TestRoles walks every pair: an admin may do what an operator may, an operator
// what an auditor may, and unknown roles deny on either side.
func TestRoles(t *testing.T) {
	roles := []Role{RoleAuditor, RoleOperator, RoleAdmin}
	for i, have := range roles {
		for j, need := range roles {
			if got := have.Covers(need); got != (i >= j) {
				t.Errorf("%s covers %s: %t", have, need, got)
			}
		}
		if !have.Valid() {
			t.Errorf("%s is not valid", have)
		}
	}
	for _, bad := range []Role{"", "root", "Admin"} {
		if bad.Valid() {
			t.Errorf("role %q is valid", bad)
		}
		for _, r := range append(roles, bad) {
			if bad.Covers(r) || r.Covers(bad) {
				t.Errorf("roles %q and %q cover each other", bad, r)
			}
		}
	}
}

func TestPrincipal(t *testing.T) {
	for _, c := range []struct {
		p               Principal
		infer, any, one bool
	}{
		{Principal{}, false, false, false},
		{Principal{Models: []Model{"m"}}, false, false, false},
		{Principal{Kind: Key}, true, true, true},
		{Principal{Kind: Key, Models: []Model{"m"}}, true, false, true},
		{Principal{Kind: Key, Models: []Model{"M", "m2"}}, true, false, false},
		{Principal{Kind: Local, Role: RoleAdmin}, true, true, true},
		{Principal{Kind: Admin, Role: RoleAdmin}, false, true, true},
		{Principal{Kind: "root"}, false, true, true},
	} {
		if c.p.MayInfer() != c.infer || c.p.MayUse("other") != c.any || c.p.MayUse("m") != c.one {
			t.Errorf("%+v: infer %t, any model %t, m %t", c.p, c.p.MayInfer(), c.p.MayUse("other"), c.p.MayUse("m"))
		}
	}
}

// TestIDs: ids are of their form, long enough, and do not repeat.
func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		for id, form := range map[string]string{
			string(NewRequestID(1764e12)): `^req_[0-9a-v]{26}$`, string(NewKeyID()): `^key_[a-z2-7]{16}$`, string(NewAdminID()): `^adm_[a-z2-7]{16}$`,
		} {
			if seen[id] || !regexp.MustCompile(form).MatchString(id) {
				t.Fatalf("id %s repeats or is not of the form %s", id, form)
			}
			seen[id] = true
		}
	}
}

// TestRequestIDsSortByTime proves that later requests have later ids, across
// every boundary of the encoding.
func TestRequestIDsSortByTime(t *testing.T) {
	last := RequestID("")
	for micros := int64(1); micros < 1<<57; micros = micros*3 + 1000 {
		id := NewRequestID(micros)
		if id <= last {
			t.Fatalf("%s at %d does not sort behind %s", id, micros, last)
		}
		last = id
	}
}
