package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
	"sallyport/internal/store/storetest"
)

func TestKeyLife(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		before := time.Now().Truncate(time.Microsecond)
		k, token, err := a.NewKey(t.Context(), KeySpec{
			Project: "search", Name: "Ada's laptop", Models: []identity.Model{"smart", "fast", "fast"}, Slots: 2,
		}, a.acts.record)
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Authenticate(Credential{String: token}, here)
		if err != nil {
			t.Fatal(err)
		}
		want := identity.Principal{
			Kind: identity.Key, Key: k.ID, Name: "Ada's laptop", Project: "search", Models: []identity.Model{"fast", "smart"},
		}
		if d := cmp.Diff(want, p); d != "" {
			t.Error(d)
		}
		if life := k.Expires.Sub(k.Created); life != 90*day || k.Created.Before(before) || k.State != StateActive {
			t.Errorf("lives %s from %s, %s", life, k.Created, k.State)
		}

		other, otherToken := a.newKey(t, "other")
		// A second process on the same database serves the same.
		b := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b} {
			r.want(t, token, "", "fresh key")
			r.want(t, otherToken, "", "other key")
			if d := cmp.Diff([]Key{other, k}, r.Keys(KeyFilter{})); d != "" {
				t.Error(d)
			}
			if got, err := r.Key(k.ID); err != nil || !cmp.Equal(got, k) {
				t.Error(got, err)
			}
			if got := r.Keys(KeyFilter{Project: "search"}); len(got) != 1 || got[0].ID != k.ID {
				t.Error(got)
			}
			if got := r.Keys(KeyFilter{After: other.ID, Limit: 5}); len(got) != 1 || got[0].ID != k.ID {
				t.Error(got)
			}
			if got, state, err := r.Identify(token); err != nil || got.Key != k.ID || state != StateActive {
				t.Error(got, state, err)
			}
		}

		if k, err = a.RevokeKey(t.Context(), k.ID, a.acts.record); err != nil || k.State != StateRevoked || k.Revoked.IsZero() {
			t.Fatal(k, err)
		}
		a.want(t, token, Revoked, "at once here")
		a.want(t, otherToken, "", "the other key")
		if _, err := a.RevokeKey(t.Context(), k.ID, a.acts.record); err != nil {
			t.Error("revoked twice:", err)
		}
		if err := b.check(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		b.want(t, token, Revoked, "elsewhere after a poll")
		b.want(t, otherToken, "", "the other key elsewhere")
		if got := a.acts.names(); got != "key.create key.create key.revoke" {
			t.Error(got)
		}
		if _, err := a.Key("key_none"); kindOf(err) != fault.NotFound {
			t.Error(err)
		}
		if _, err := a.RevokeKey(t.Context(), "key_none", a.acts.record); kindOf(err) != fault.NotFound {
			t.Error(err)
		}
	})
}

func TestKeySpecs(t *testing.T) {
	a := newAuth(t, onSQLite(t).store, testMaster(t))
	long := strings.Repeat("x", 300)
	for name, spec := range map[string]KeySpec{
		"no project":            {},
		"project with a slash":  {Project: "a/b"},
		"project with a blank":  {Project: "a b"},
		"project in Greek":      {Project: "αβγ"},
		"long project":          {Project: identity.ProjectID(long)},
		"long name":             {Project: "p", Name: long},
		"name with an escape":   {Project: "p", Name: "a\x1b[2Jb"},
		"name with a newline":   {Project: "p", Name: "a\nb"},
		"name with a reversal":  {Project: "p", Name: "a\u202eb"},
		"name that is not text": {Project: "p", Name: "a\xff"},
		"empty model":           {Project: "p", Models: []identity.Model{""}},
		"model with a newline":  {Project: "p", Models: []identity.Model{"a\nb"}},
		"too many models":       {Project: "p", Models: slices.Repeat([]identity.Model{"m"}, 257)},
		"negative slots":        {Project: "p", Slots: -1},
		"past lifetime":         {Project: "p", Lifetime: -time.Hour},
		"endless lifetime":      {Project: "p", Lifetime: 731 * day},
	} {
		if _, _, err := a.NewKey(t.Context(), spec, a.acts.record); kindOf(err) != fault.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := a.NewKey(t.Context(), KeySpec{Project: "p", Lifetime: 730 * day}, a.acts.record); err != nil {
		t.Error(err)
	}
	if _, _, err := a.NewKey(t.Context(), KeySpec{Project: "p"}, nil); err == nil {
		t.Error("a key was made without a journal")
	}
	if got := a.acts.names(); got != "key.create" {
		t.Error(got)
	}
}

func TestRotateKey(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, first := a.newKey(t, "p")
		rotated, second, err := a.RotateKey(t.Context(), k.ID, RotateSpec{Overlap: time.Hour}, a.acts.record)
		if err != nil {
			t.Fatal(err)
		}
		if rotated.ID != k.ID || rotated.Issued.Before(k.Issued) || rotated.PriorUntil.Sub(rotated.Issued) != time.Hour {
			t.Error(rotated)
		}
		if got := rotated.Expires.Sub(rotated.Issued); got != 90*day {
			t.Errorf("the new secret lives %s", got)
		}
		b := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b} {
			r.want(t, first, "", "former secret in the overlap")
			r.want(t, second, "", "new secret")
		}
		now := time.Now()
		c := a.row(rowID{identity.Key, string(k.ID)})
		for _, tt := range []struct {
			prior bool
			at    time.Time
			want  Refusal
		}{
			{true, now.Add(59 * time.Minute), ""},
			{true, now.Add(61 * time.Minute), Superseded},
			{false, now.Add(61 * time.Minute), ""},
			{false, now.Add(89 * day), ""},
			{false, now.Add(91 * day), Expired},
			{true, now.Add(91 * day), Expired},
		} {
			if got := c.state(tt.prior, tt.at); got != tt.want {
				t.Errorf("prior %v after %s: %q, want %q", tt.prior, tt.at.Sub(now), got, tt.want)
			}
		}

		_, third, err := a.RotateKey(t.Context(), k.ID, RotateSpec{AtOnce: true}, a.acts.record)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.check(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		for _, r := range []rig{a, b} {
			r.want(t, first, Unknown, "secret before the last but one")
			r.want(t, second, Unknown, "former secret without an overlap")
			r.want(t, third, "", "new secret")
		}

		fourthKey, _, err := a.RotateKey(t.Context(), k.ID, RotateSpec{}, a.acts.record)
		if err != nil || fourthKey.PriorUntil.Sub(fourthKey.Issued) != DefaultOverlap {
			t.Error(fourthKey, err)
		}
		if _, err := a.RevokeKey(t.Context(), k.ID, a.acts.record); err != nil {
			t.Fatal(err)
		}
		a.want(t, third, Revoked, "former secret of a revoked key")
		for _, spec := range []RotateSpec{{}, {Overlap: 31 * day}, {Overlap: -1}} {
			if _, _, err := a.RotateKey(t.Context(), k.ID, spec, a.acts.record); kindOf(err) != fault.BadRequest {
				t.Error(err)
			}
		}
	})
}

// A change whose record fails is not made, and one whose commit fails is
// recorded as unconfirmed.
func TestRecordAndRowsDoNotDiverge(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, token := a.newKey(t, "p")
		admin, adminToken := a.newAdmin(t, identity.RoleAdmin)
		full := errors.New("disk full")
		broken := func(Act) error { return full }
		before := a.Status()
		_, _, err1 := a.NewKey(t.Context(), KeySpec{Project: "p"}, broken)
		_, _, err2 := a.RotateKey(t.Context(), k.ID, RotateSpec{}, broken)
		_, err3 := a.RevokeKey(t.Context(), k.ID, broken)
		_, _, err4 := a.NewAdmin(t.Context(), AdminSpec{Name: "x", Role: identity.RoleAdmin}, broken)
		_, err5 := a.RevokeAdmin(t.Context(), admin.ID, true, broken)
		_, _, err6 := a.ExchangeSetup(t.Context(), a.MintSetup(), "x", here, broken)
		_, err7 := a.Reseal(t.Context(), broken)
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
			if !errors.Is(err, full) || kindOf(err) != fault.Unavailable {
				t.Errorf("change %d: %v", i+1, err)
			}
		}
		b := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b} {
			r.want(t, token, "", "key after failed changes")
			r.want(t, adminToken, "", "administrator after failed changes")
			if got := r.Status(); got.Epoch != before.Epoch || got.Keys != 1 || got.Admins != 1 || !got.Intact {
				t.Errorf("%+v, was %+v", got, before)
			}
		}
	})
}

// When the commit fails after the record was written, a second record says so.
func TestCommitThatFails(t *testing.T) {
	db := openDatabase(t, storetest.Postgres)
	a := newAuth(t, db.store, testMaster(t))
	k, token := a.newKey(t, "p")
	cut := func(act Act) error { // the server drops the connection after the record
		if !strings.HasSuffix(act.Act, ".unconfirmed") {
			db.exec(t, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
				WHERE datname = current_database() AND state = 'idle in transaction'`)
		}
		return a.acts.record(act)
	}
	if _, err := a.RevokeKey(t.Context(), k.ID, cut); kindOf(err) != fault.Unavailable || !strings.Contains(fault.From(err).Message(), "not known") {
		t.Fatal(err)
	}
	if got := a.acts.names(); got != "key.create key.revoke key.revoke.unconfirmed" {
		t.Error(got)
	}
	a.want(t, token, "", "after a revocation that was not stored")
	if _, err := a.RevokeKey(t.Context(), k.ID, a.acts.record); err != nil {
		t.Error(err)
	}
	a.want(t, token, Revoked, "after the second try")
}

func TestExpiredKeySaysSo(t *testing.T) {
	a := newAuth(t, onSQLite(t).store, testMaster(t))
	k, token := a.newKey(t, "p")
	c := a.row(rowID{identity.Key, string(k.ID)}).clone()
	c.expires = time.Now().UnixMicro()
	a.mu.Lock()
	a.publish(a.book.state, []*credential{c})
	a.mu.Unlock()
	_, err := a.Authenticate(Credential{String: token}, here)
	if !errors.Is(err, Expired) || !strings.Contains(fault.From(err).Message(), "expired") {
		t.Error(err)
	}
	unknown := newToken(prefixKey)
	_, revokedErr := a.Authenticate(Credential{String: unknown}, here)
	if m := fault.From(revokedErr).Message(); m != Revoked.fault().Message() || m != Altered.fault().Message() {
		t.Errorf("an unknown key is told %q, a revoked one %q", m, Revoked.fault().Message())
	}
	if _, state, err := a.Identify(token); err != nil || state != StateExpired {
		t.Error(state, err)
	}
	if _, _, err := a.Identify(unknown); kindOf(err) != fault.NotFound {
		t.Error(err)
	}
	if _, _, err := a.Identify(secret.New("hello")); kindOf(err) != fault.BadRequest {
		t.Error(err)
	}
}

// Two processes that change one database at once lose nothing.
func TestConcurrentChanges(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		const each = 15
		rigs := []rig{newAuth(t, db.store, testMaster(t)), newAuth(t, db.store, testMaster(t))}
		tokens := make(chan secret.String, 2*each)
		failed := make(chan error, 2*each)
		for _, r := range rigs {
			go func() {
				for i := range each {
					_, token, err := r.NewKey(t.Context(), KeySpec{Project: "p", Name: fmt.Sprint(i)}, r.acts.record)
					tokens <- token
					failed <- err
				}
			}()
		}
		var all []secret.String
		for range 2 * each {
			all = append(all, <-tokens)
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
		for _, r := range rigs {
			if err := r.check(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			for _, token := range all {
				r.want(t, token, "", "key made under contention")
			}
			if err := r.check(t.Context(), true); err != nil {
				t.Error("after contention:", err)
			}
		}
	})
}
