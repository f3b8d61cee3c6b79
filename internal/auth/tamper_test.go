package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// columns lists the columns of a table.
func (d database) columns(t *testing.T, table string) []string {
	t.Helper()
	rows, err := d.raw.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// save copies the tables of credentials; restore puts the copy back.
func (d database) save(t *testing.T) {
	for _, table := range []string{"virtual_key", "admin", "credential_state"} {
		d.exec(t, "CREATE TABLE saved_"+table+" AS SELECT * FROM "+table)
	}
}

func (d database) restore(t *testing.T, where string, tables ...string) {
	for _, table := range tables {
		d.exec(t, "DELETE FROM "+table+where)
		d.exec(t, "INSERT INTO "+table+" SELECT * FROM saved_"+table+where)
	}
}

// An edit of any one column in the database makes the credential useless: at the
// next sweep of a process that runs, and from the start for a new one.
func TestEditedRowsAreRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, victim := a.newKey(t, "p")
		_, other := a.newKey(t, "q")
		k, victim2, err := a.RotateKey(t.Context(), k.ID, RotateSpec{}, a.acts.record)
		if err != nil {
			t.Fatal(err)
		}
		admin, adminToken := a.newAdmin(t, identity.RoleAuditor)
		_, otherAdmin := a.newAdmin(t, identity.RoleAdmin)
		db.save(t)
		for table, tt := range map[string]struct {
			id     string
			tokens []secret.String
		}{
			"virtual_key": {string(k.ID), []secret.String{victim, victim2}},
			"admin":       {string(admin.ID), []secret.String{adminToken}},
		} {
			for _, column := range db.columns(t, table) {
				t.Run(table+"."+column, func(t *testing.T) {
					edit := fmt.Sprintf("UPDATE %s SET %s = %s + 1 WHERE id = '%s'", table, column, column, tt.id)
					switch column {
					case "id", "project", "name", "models":
						edit = fmt.Sprintf("UPDATE %s SET %s = %s || 'x' WHERE id = '%s'", table, column, column, tt.id)
					case "role":
						edit = fmt.Sprintf("UPDATE admin SET role = 'admin' WHERE id = '%s'", tt.id)
					case "lookup", "prior", "binding":
						edit = fmt.Sprintf("UPDATE %s SET %s = '%064d' WHERE id = '%s'", table, column, 7, tt.id)
					}
					db.exec(t, edit)
					a.sweep(t)
					fresh, err := tryAuth(t, db.store, testMaster(t))
					if err != nil {
						t.Fatal(err)
					}
					for _, token := range tt.tokens {
						a.want(t, token, Altered, "in the running process")
						if got := fresh.with(token); got == "" {
							t.Error("accepted by a new process")
						}
					}
					a.want(t, other, "", "another key")
					a.want(t, otherAdmin, "", "another administrator")
					for _, r := range []rig{a, fresh} {
						if len(r.Status().Damaged) == 0 {
							t.Error("nothing is reported as damaged")
						}
						if !strings.Contains(r.logs.String(), "changed outside the program") || !strings.Contains(r.logs.String(), tt.id) {
							t.Error("nothing was logged")
						}
					}
					db.restore(t, "", table)
					a.sweep(t)
					for _, token := range tt.tokens {
						a.want(t, token, "", "after the row was put right")
					}
				})
			}
		}
	})
}

// An edited row can be revoked but not rotated.
func TestDamagedKeyCanOnlyBeRevoked(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, token := a.newKey(t, "p")
		db.exec(t, "UPDATE virtual_key SET project = 'rich'")
		a.sweep(t)
		if got, err := a.Key(k.ID); err != nil || got.State != StateDamaged || got.Damage != Edited || got.Project != "p" {
			t.Errorf("%+v, %v", got, err)
		}
		if _, _, err := a.RotateKey(t.Context(), k.ID, RotateSpec{}, a.acts.record); kindOf(err) != fault.BadRequest {
			t.Error(err)
		}
		got, err := a.RevokeKey(t.Context(), k.ID, a.acts.record)
		if err != nil || got.State != StateRevoked || got.Project != "p" {
			t.Errorf("%+v, %v", got, err)
		}
		b := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b} {
			r.sweep(t)
			r.want(t, token, Revoked, "damaged and revoked")
			if s := r.Status(); !s.Intact || len(s.Damaged) != 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// Revoking what was edited, even its binding, puts the seal right.
func TestRevokingPutsTheSealRight(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, token := a.newKey(t, "p")
		_, other := a.newKey(t, "q")
		db.exec(t, fmt.Sprintf("UPDATE virtual_key SET binding = '%064d' WHERE id = '%s'", 7, k.ID))
		if err := a.check(t.Context(), true); !errors.Is(err, ErrSeal) {
			t.Fatal(err)
		}
		if _, err := a.RevokeKey(t.Context(), k.ID, a.acts.record); err != nil {
			t.Fatal(err)
		}
		b := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b} {
			r.sweep(t)
			r.want(t, token, Revoked, "edited and revoked")
			r.want(t, other, "", "another key")
		}
	})
}

// A revocation cannot be taken back by putting the whole row back as it was.
func TestRollBackOfARow(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, stolen := a.newKey(t, "p")
		_, other := a.newKey(t, "q")
		db.save(t)
		if _, err := a.RevokeKey(t.Context(), k.ID, a.acts.record); err != nil {
			t.Fatal(err)
		}
		db.restore(t, fmt.Sprintf(" WHERE id = '%s'", k.ID), "virtual_key")

		if err := a.check(t.Context(), true); !errors.Is(err, ErrSeal) {
			t.Fatal(err)
		}
		a.want(t, stolen, Altered, "put back, where the revocation is known")
		a.want(t, other, "", "another key, until the snapshot is stale")
		if s := a.Status(); s.Intact || len(s.Damaged) != 1 || s.Damaged[0].Damage != RolledBack {
			t.Errorf("%+v", s)
		}
		// While the seal does not match, a revocation still works.
		k3, third := a.newKey(t, "r")
		if _, err := a.RevokeKey(t.Context(), k3.ID, a.acts.record); err != nil {
			t.Fatal(err)
		}
		a.want(t, third, Revoked, "revoked under a broken seal")

		b := newAuth(t, db.store, testMaster(t))
		b.want(t, stolen, Stale, "put back, in a new process")
		b.want(t, other, Stale, "another key, in a new process")
		if _, _, err := b.NewKey(t.Context(), KeySpec{Project: "p"}, b.acts.record); !errors.Is(err, ErrSeal) {
			t.Errorf("a new process built on rows it cannot believe: %v", err)
		}

		out, err := a.Reseal(t.Context(), a.acts.record)
		if err != nil || out.Revoked != 1 {
			t.Fatal(out, err)
		}
		b.sweep(t)
		c := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b, c} {
			r.want(t, stolen, Revoked, "after resealing where the revocation is known")
			r.want(t, other, "", "another key after resealing")
			if s := r.Status(); !s.Intact || !s.Fresh {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestDeletedAndInsertedRows(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, gone := a.newKey(t, "p")
		_, other := a.newKey(t, "q")
		db.save(t)
		db.exec(t, "DELETE FROM virtual_key WHERE id = '"+string(k.ID)+"'")
		a.sweep(t)
		a.want(t, gone, Altered, "deleted")
		a.want(t, other, "", "another key")
		b := newAuth(t, db.store, testMaster(t))
		b.want(t, other, Stale, "a new process on rows that do not match")
		if _, err := b.Reseal(t.Context(), b.acts.record); err != nil {
			t.Fatal(err)
		}
		b.want(t, gone, Unknown, "deleted and resealed")
		b.want(t, other, "", "another key, resealed")

		// Put back after resealing: b never knew it, and the seal does not have it.
		db.restore(t, fmt.Sprintf(" WHERE id = '%s'", k.ID), "virtual_key")
		b.sweep(t)
		b.want(t, gone, Altered, "a row that the seal does not have")
		b.want(t, other, "", "another key")
		if s := b.Status(); len(s.Damaged) != 1 || s.Damaged[0].Damage != Unexplained {
			t.Errorf("%+v", s)
		}
		if _, err := b.RevokeKey(t.Context(), k.ID, b.acts.record); err != nil {
			t.Fatal(err)
		}
		c := newAuth(t, db.store, testMaster(t))
		c.want(t, gone, Revoked, "put back and revoked")
		c.want(t, other, "", "another key, once all is in order")
	})
}

// A process that runs notices that the whole database was put back, and falls
// behind none of what it knew. (A new process cannot notice: package comment.)
func TestRollBackOfTheDatabase(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		k, stolen := a.newKey(t, "p")
		_, other := a.newKey(t, "q")
		db.save(t)
		if _, err := a.RevokeKey(t.Context(), k.ID, a.acts.record); err != nil {
			t.Fatal(err)
		}
		_, late := a.newKey(t, "r")
		db.restore(t, "", "virtual_key", "admin", "credential_state")
		for range 3 {
			if err := a.check(t.Context(), false); !errors.Is(err, ErrSeal) {
				t.Fatal(err)
			}
		}
		a.want(t, stolen, Altered, "revoked before the database was put back")
		a.want(t, late, Altered, "made after the copy")
		a.want(t, other, "", "another key")
		if _, _, err := a.NewKey(t.Context(), KeySpec{Project: "p"}, a.acts.record); !errors.Is(err, ErrSeal) {
			t.Errorf("built on a database that was put back: %v", err)
		}
		// A process that starts now believes it, and goes on from there; this one does not.
		early := newAuth(t, db.store, testMaster(t))
		for range 5 {
			early.newKey(t, "s")
		}
		for _, full := range []bool{false, true} {
			if err := a.check(t.Context(), full); err != nil {
				t.Fatal(err)
			}
			a.want(t, stolen, Altered, "revoked before the database was put back")
			a.want(t, other, "", "another key")
		}
		if out, err := a.Reseal(t.Context(), a.acts.record); err != nil || out.Revoked != 1 {
			t.Fatal(out, err)
		}
		b := newAuth(t, db.store, testMaster(t))
		for _, r := range []rig{a, b} {
			r.want(t, stolen, Revoked, "resealed where the revocation is known")
			r.want(t, late, Unknown, "its row is gone")
			r.want(t, other, "", "another key")
		}
	})
}

// The state row is as protected as the rows.
func TestEditedState(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		_, token := a.newKey(t, "p")
		db.save(t)
		for edit, refused := range map[string]error{
			"epoch = epoch + 1":                      ErrSeal,
			"epoch = epoch - 1":                      ErrSeal,
			"nonce = ''":                             ErrSeal,
			"seal = ''":                              ErrSeal,
			"secret_version = 2":                     ErrOtherSecret,
			fmt.Sprintf("secret_check = '%064d'", 0): ErrOtherSecret,
		} {
			db.exec(t, "UPDATE credential_state SET "+edit)
			if err := a.check(t.Context(), false); !errors.Is(err, refused) {
				t.Errorf("%s: %v", edit, err)
			}
			a.want(t, token, "", "for a while after "+edit)
			b, err := tryAuth(t, db.store, testMaster(t))
			if refused == ErrOtherSecret {
				if !errors.Is(err, ErrOtherSecret) {
					t.Errorf("a new process after %s: %v", edit, err)
				}
			} else {
				b.want(t, token, Stale, "a new process after "+edit)
			}
			db.restore(t, "", "credential_state")
			if err := a.check(t.Context(), true); err != nil {
				t.Errorf("put right after %s: %v", edit, err)
			}
		}
		db.exec(t, "DELETE FROM credential_state")
		b := newAuth(t, db.store, testMaster(t))
		b.want(t, token, Stale, "a new process without a state row")
	})
}

// One damaged row cannot hide another credential.
func TestDamagedRowHidesNobody(t *testing.T) {
	a := newAuth(t, onSQLite(t).store, testMaster(t))
	k1, token := a.newKey(t, "p")
	k2, _ := a.newKey(t, "q")
	good := a.row(rowID{identity.Key, string(k1.ID)})
	bad := a.row(rowID{identity.Key, string(k2.ID)}).damaged(Edited)
	bad.prior = good.lookup
	for _, order := range [][]*credential{{good, bad}, {bad, good}} {
		b := newBook(a.book.rings, a.book.state)
		for _, c := range order {
			b.put(c)
		}
		ref, _, ok := b.snapshot().find(token.Reveal())
		if !ok || ref.credential != good {
			t.Error("hidden")
		}
	}
}

func TestOtherSecretIsRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		a := newAuth(t, db.store, testMaster(t))
		_, token := a.newKey(t, "p")
		other, err := ParseMaster(NewSecretText(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tryAuth(t, db.store, other); !errors.Is(err, ErrOtherSecret) {
			t.Error(err)
		}
		newer, err := ParseMaster(NewSecretText(2))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tryAuth(t, db.store, newer)
		if !errors.Is(err, ErrOtherSecret) || !strings.Contains(err.Error(), "version 1") {
			t.Error(err)
		}
		a.sweep(t)
		a.want(t, token, "", "after strangers tried")
	})
}
