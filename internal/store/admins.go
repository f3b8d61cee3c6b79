package store

import (
	"context"
	"database/sql"
	"iter"
	"slices"
	"strings"

	"sallyport/internal/identity"
)

// Admin is the row of one administrator's credential. The credential itself is
// not in it.
type Admin struct {
	ID   identity.AdminID
	Name string
	Role identity.Role
	Proof
}

var (
	adminColumns = append([]string{"id", "name", "role"}, proofColumns...)
	selectAdmin  = `SELECT ` + strings.Join(adminColumns, ", ") + ` FROM admin`
	upsertAdmin  = insert{"admin", adminColumns, 4, overwrite(adminColumns)}
)

// PutAdmins writes administrators' rows whole, each over an earlier one of its id.
func (t *Tx) PutAdmins(ctx context.Context, admins []Admin) error {
	return t.insertRows(ctx, &upsertAdmin, len(admins), func(i int, dst []any) []any {
		a := &admins[i]
		return a.values(append(dst, string(a.ID), a.Name, string(a.Role)))
	})
}

// Admins reads every administrator in order of id.
func (t *Tx) Admins(ctx context.Context) iter.Seq2[Admin, error] {
	return collect(ctx, t, scanAdmin(), selectAdmin+` ORDER BY id`)
}

// AdminsSince reads the administrators that were written after an epoch.
func (t *Tx) AdminsSince(ctx context.Context, epoch int64) iter.Seq2[Admin, error] {
	return collect(ctx, t, scanAdmin(), selectAdmin+` WHERE epoch > $1 ORDER BY epoch, id`, epoch)
}

// scanAdmin returns a scanner that reuses its destinations.
func scanAdmin() func(*sql.Rows) (Admin, error) {
	var a Admin
	into := slices.Concat([]any{&a.ID, &a.Name, &a.Role}, a.into())
	return func(rows *sql.Rows) (Admin, error) { err := rows.Scan(into...); return a, err }
}
