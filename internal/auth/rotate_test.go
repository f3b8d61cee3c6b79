package auth

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// until waits for a condition that background work brings about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !done(); <-tick.C {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("still not %s", what)
		}
	}
}

func loadMaster(t *testing.T, dir string) *Master {
	t.Helper()
	m, _, err := LoadMaster(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A rotation with a secret file: nobody notices, look-ups move as credentials are
// used, and the old version can be dropped when they have.
func TestRotateSecretFile(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		dir := t.TempDir()
		a := newAuth(t, db.store, loadMaster(t, dir))
		k, former := a.newKey(t, "p")
		k, token, err := a.RotateKey(t.Context(), k.ID, RotateSpec{}, a.acts.record)
		if err != nil {
			t.Fatal(err)
		}
		_, idle := a.newKey(t, "q")
		_, adminToken := a.newAdmin(t, identity.RoleAdmin)

		out, err := a.RotateSecret(t.Context(), a.acts.record)
		if err != nil || out != (Rotation{Version: 2, Rows: 3, OldLookups: 4}) {
			t.Fatalf("%+v, %v", out, err)
		}
		_, young := a.newKey(t, "r") // under the new version at once
		b := newAuth(t, db.store, loadMaster(t, dir))
		for _, r := range []rig{a, b} {
			for i, s := range []secret.String{token, former, idle, adminToken, young} {
				r.want(t, s, "", fmt.Sprintf("credential %d after the rotation", i))
			}
			if s := r.Status(); s.SecretVersion != 2 || !s.Intact || len(s.Damaged) != 0 {
				t.Errorf("%+v", s)
			}
		}

		// Only what is used from here on moves; b never ran, so nothing has moved yet.
		c := newAuth(t, db.store, loadMaster(t, dir))
		c.run(t)
		until(t, "moved", func() bool {
			for _, s := range []secret.String{token, former, adminToken} {
				c.want(t, s, "", "while it is moved")
			}
			return c.Status().OldLookups == 1
		})
		if strings.Contains(a.acts.names(), "key.move") || len(c.acts.list) != 0 {
			t.Error("a move was recorded as an act")
		}

		dead, err := c.DropSecret(t.Context(), 1, false, c.acts.record)
		if !errors.Is(err, ErrInUse) || kindOf(err) != fault.BadRequest || len(dead) != 1 || dead[0].Former {
			t.Fatal(dead, err)
		}
		for _, v := range []int64{2, 3, 0} {
			if _, err := c.DropSecret(t.Context(), v, true, c.acts.record); err == nil {
				t.Errorf("version %d was dropped", v)
			}
		}
		dead, err = c.DropSecret(t.Context(), 1, true, c.acts.record)
		if err != nil || len(dead) != 1 {
			t.Fatal(dead, err)
		}
		c.want(t, idle, Unknown, "never used since the rotation")
		if got := fmt.Sprint(loadMaster(t, dir).Versions()); got != "[2]" {
			t.Errorf("the file holds versions %s", got)
		}
		d := newAuth(t, db.store, loadMaster(t, dir))
		for _, r := range []rig{c, d} {
			for i, s := range []secret.String{token, former, adminToken, young} {
				r.want(t, s, "", fmt.Sprintf("credential %d after the drop", i))
			}
			if s := r.Status(); !s.Intact || len(s.Damaged) != 0 {
				t.Errorf("%+v", s)
			}
		}
		if got, err := d.Key(k.ID); err != nil || got.State != StateActive {
			t.Error(got, err)
		}
		if got := c.acts.names(); got != "secret.drop" || c.acts.list[0].Detail["died"] != "1" {
			t.Error(c.acts.list)
		}
	})
}

// With the secret in the configuration, replicas learn the new version before
// any row needs it, and one that did not is told so.
func TestRotateConfiguredSecret(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		v1, v2 := NewSecretText(1).Reveal(), NewSecretText(2).Reveal()
		parse := func(text string) *Master {
			m, err := ParseMaster(secret.New(text))
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		old := newAuth(t, db.store, parse(v1))
		_, token := old.newKey(t, "p")
		if _, err := old.RotateSecret(t.Context(), old.acts.record); kindOf(err) != fault.BadRequest || !strings.Contains(err.Error(), "version 2") {
			t.Fatal(err)
		}
		a, b := newAuth(t, db.store, parse(v2+","+v1)), newAuth(t, db.store, parse(v2+","+v1))
		a.want(t, token, "", "with the new version not in force yet")
		_, early := a.newKey(t, "p")
		old.sweep(t)
		old.want(t, early, "", "made before the rotation, at a replica without the new version")

		if _, err := a.RotateSecret(t.Context(), a.acts.record); err != nil {
			t.Fatal(err)
		}
		if err := b.check(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		for _, r := range []rig{a, b} {
			r.want(t, token, "", "after the rotation")
			r.want(t, early, "", "after the rotation")
		}
		if err := old.check(t.Context(), false); !errors.Is(err, ErrOtherSecret) {
			t.Errorf("a replica without the version in force: %v", err)
		}
		if _, err := tryAuth(t, db.store, parse(v1)); !errors.Is(err, ErrOtherSecret) {
			t.Errorf("a start without the version in force: %v", err)
		}
		if _, err := tryAuth(t, db.store, parse(v2)); err != nil {
			t.Errorf("a start without the old version: %v", err)
		}
	})
}

// After a rotation a row that somebody with the old version wrote is refused.
func TestOldBindingIsRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		dir := t.TempDir()
		a := newAuth(t, db.store, loadMaster(t, dir))
		_, token := a.newKey(t, "p")
		db.save(t)
		if _, err := a.RotateSecret(t.Context(), a.acts.record); err != nil {
			t.Fatal(err)
		}
		db.restore(t, "", "virtual_key")
		a.sweep(t)
		a.want(t, token, Altered, "bound under the old version")
	})
}

// Edited rows stay refused through a rotation, and rows that do not match their
// seal are not rotated at all: that would hide it.
func TestRotationLaundersNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		dir := t.TempDir()
		a := newAuth(t, db.store, loadMaster(t, dir))
		k, token := a.newKey(t, "p")
		gone, _ := a.newKey(t, "q")
		db.exec(t, "UPDATE virtual_key SET expires = expires + 1 WHERE id = '"+string(k.ID)+"'")
		out, err := a.RotateSecret(t.Context(), a.acts.record)
		if err != nil || out.Rows != 1 {
			t.Fatal(out, err)
		}
		a.want(t, token, Altered, "edited before the rotation")
		db.exec(t, "DELETE FROM virtual_key WHERE id = '"+string(gone.ID)+"'")
		if _, err := a.RotateSecret(t.Context(), a.acts.record); !errors.Is(err, ErrSeal) {
			t.Errorf("rotated over a deleted row: %v", err)
		}
		a.sweep(t)
		a.want(t, token, Altered, "after the failed rotation")
	})
}

// A rotation whose record fails changes no row; the new version in the file is
// used by the next one.
func TestFailedRotation(t *testing.T) {
	dir, db := t.TempDir(), onSQLite(t)
	a := newAuth(t, db.store, loadMaster(t, dir))
	_, token := a.newKey(t, "p")
	broken := errors.New("disk full")
	if _, err := a.RotateSecret(t.Context(), func(Act) error { return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	a.want(t, token, "", "after a failed rotation")
	b := newAuth(t, db.store, loadMaster(t, dir))
	b.want(t, token, "", "after a failed rotation and a start")
	if s := b.Status(); s.SecretVersion != 1 || !s.Intact {
		t.Errorf("%+v", s)
	}
	out, err := b.RotateSecret(t.Context(), b.acts.record)
	if err != nil || out.Version != 2 || fmt.Sprint(loadMaster(t, dir).Versions()) != "[2 1]" {
		t.Errorf("%+v, %v, %v", out, err, loadMaster(t, dir).Versions())
	}
}

// Authentication goes on while the secret is rotated and keys come and go.
func TestServingDuringChanges(t *testing.T) {
	dir, db := t.TempDir(), onSQLite(t)
	a := newAuth(t, db.store, loadMaster(t, dir), func(c *Config) { c.PollEvery, c.SweepEvery = time.Millisecond, 5*time.Millisecond })
	a.run(t)
	k, token := a.newKey(t, "p")
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if r := a.with(token); r != "" {
					t.Errorf("refused: %s", r)
					return
				}
				release, ok := a.Acquire(k.ID, 4)
				if !ok {
					t.Error("no slot")
					return
				}
				release()
			}
		})
	}
	for range 3 {
		if _, err := a.RotateSecret(t.Context(), a.acts.record); err != nil {
			t.Error(err)
		}
		other, _ := a.newKey(t, "q")
		if _, err := a.RevokeKey(t.Context(), other.ID, a.acts.record); err != nil {
			t.Error(err)
		}
		a.Keys(KeyFilter{})
	}
	close(done)
	wg.Wait()
	if err := a.check(t.Context(), true); err != nil {
		t.Error(err)
	}
}
