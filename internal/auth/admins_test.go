package auth

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

func TestAdminLife(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		if a.HasAdmin() {
			t.Error("an empty database has an administrator")
		}
		auditor, auditorToken := a.newAdmin(t, identity.RoleAuditor)
		if a.HasAdmin() {
			t.Error("an auditor is taken for an administrator")
		}
		root, rootToken := a.newAdmin(t, identity.RoleAdmin)
		b := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b} {
			if !r.HasAdmin() || len(r.Admins()) != 2 || r.Admins()[0].ID != root.ID {
				t.Error(r.Admins())
			}
			p, err := r.Authenticate(Credential{String: auditorToken}, here)
			if err != nil || p.Kind != identity.Admin || p.Admin != auditor.ID || p.Role != identity.RoleAuditor || p.MayInfer() {
				t.Error(p, err)
			}
			r.want(t, rootToken, "", "administrator")
		}
		if _, err := a.RevokeAdmin(t.Context(), root.ID, false, a.acts.record); !errors.Is(err, ErrLastAdmin) || kindOf(err) != fault.BadRequest {
			t.Error(err)
		}
		second, _ := a.newAdmin(t, identity.RoleAdmin)
		if got, err := a.RevokeAdmin(t.Context(), root.ID, false, a.acts.record); err != nil || got.State != StateRevoked {
			t.Error(got, err)
		}
		a.want(t, rootToken, Revoked, "revoked administrator")
		if _, err := a.RevokeAdmin(t.Context(), auditor.ID, false, a.acts.record); err != nil {
			t.Error(err)
		}
		if _, err := a.RevokeAdmin(t.Context(), second.ID, true, a.acts.record); err != nil || a.HasAdmin() {
			t.Error(err)
		}
		if _, err := a.RevokeAdmin(t.Context(), "adm_none", true, a.acts.record); kindOf(err) != fault.NotFound {
			t.Error(err)
		}
		for _, spec := range []AdminSpec{{Role: identity.RoleAdmin}, {Name: " ", Role: identity.RoleAdmin}, {Name: "x"}, {Name: "x", Role: "root"}, {Name: "x\n", Role: identity.RoleAdmin}} {
			if _, _, err := a.NewAdmin(t.Context(), spec, a.acts.record); kindOf(err) != fault.BadRequest {
				t.Errorf("%+v: %v", spec, err)
			}
		}
	})
}

func TestRequire(t *testing.T) {
	admin := identity.Principal{Kind: identity.Admin, Role: identity.RoleOperator}
	key := identity.Principal{Kind: identity.Key, Role: identity.RoleAdmin} // no row gives a key a role
	local := identity.Principal{Kind: identity.Local, Role: identity.RoleAdmin}
	for _, tt := range []struct {
		p         identity.Principal
		need      identity.Role
		role      fault.Kind
		inference fault.Kind
	}{
		{admin, identity.RoleAuditor, 0, fault.Forbidden},
		{admin, identity.RoleOperator, 0, fault.Forbidden},
		{admin, identity.RoleAdmin, fault.Forbidden, fault.Forbidden},
		{admin, "", fault.Forbidden, fault.Forbidden},
		{key, identity.RoleAuditor, fault.Forbidden, 0},
		{local, identity.RoleAdmin, 0, 0},
		{identity.Principal{}, identity.RoleAuditor, fault.Unauthenticated, fault.Unauthenticated},
	} {
		if err := RequireRole(tt.p, tt.need); (err == nil) != (tt.role == 0) || err != nil && kindOf(err) != tt.role {
			t.Errorf("%s as %q: %v", tt.p.Kind, tt.need, err)
		}
		if err := RequireInference(tt.p); (err == nil) != (tt.inference == 0) || err != nil && kindOf(err) != tt.inference {
			t.Errorf("%s infers: %v", tt.p.Kind, err)
		}
	}
}

func TestSetupToken(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		exchange := func(token secret.String) error {
			_, _, err := a.ExchangeSetup(t.Context(), token, "root", here, a.acts.record)
			return err
		}
		if err := exchange(newToken(prefixSetup)); kindOf(err) != fault.Unauthenticated {
			t.Error("before any token was minted:", err)
		}
		if err := exchange(secret.String{}); kindOf(err) != fault.Unauthenticated {
			t.Error("the empty token before any was minted:", err)
		}
		old, token := a.MintSetup(), a.MintSetup()
		if err := exchange(old); kindOf(err) != fault.Unauthenticated {
			t.Error("a token that was replaced:", err)
		}
		a.want(t, token, Malformed, "a setup token as a credential")

		var made atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if exchange(token) == nil {
					made.Add(1)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 || len(a.Admins()) != 1 || !a.HasAdmin() {
			t.Errorf("%d administrators from one token", made.Load())
		}
		if a.acts.names() != "admin.create" || a.acts.list[0].Detail["via"] != "setup" {
			t.Error(a.acts.list)
		}
	})
}

func TestSetupTokenSurvivesAFailedRecord(t *testing.T) {
	a := newAuth(t, onSQLite(t).store, testMaster(t))
	token := a.MintSetup()
	broken := func(Act) error { return errors.New("no space") }
	if _, _, err := a.ExchangeSetup(t.Context(), token, "root", here, broken); kindOf(err) != fault.Unavailable {
		t.Fatal(err)
	}
	if _, credential, err := a.ExchangeSetup(t.Context(), token, "root", here, a.acts.record); err != nil {
		t.Fatal(err)
	} else {
		a.want(t, credential, "", "administrator from the setup token")
	}
}

func TestSetupTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuth(t, onSQLite(t).store, testMaster(t))
		token := a.MintSetup()
		<-time.After(SetupLifetime)
		_, _, err := a.ExchangeSetup(t.Context(), token, "root", here, a.acts.record)
		if kindOf(err) != fault.Unauthenticated || !strings.Contains(fault.From(err).Message(), "setup link") {
			t.Error(err)
		}
		token = a.MintSetup()
		<-time.After(SetupLifetime - time.Second)
		if _, _, err := a.ExchangeSetup(t.Context(), token, "root", here, a.acts.record); err != nil {
			t.Error(err)
		}
	})
}
