package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// ErrLastAdmin is the cause when the last credential with the role admin was to
// be revoked.
var ErrLastAdmin = errors.New("the last administrator")

// Admin is what may be told about an administrator's credential.
type Admin struct {
	ID   identity.AdminID
	Name string
	Role identity.Role

	Created time.Time
	Expires time.Time
	Revoked time.Time // zero while it is not
	State   State
	Damage  Damage // set when State is StateDamaged
}

// AdminSpec is what a new administrator's credential is to be.
type AdminSpec struct {
	Name     string // required
	Role     identity.Role
	Lifetime time.Duration // 0 means the configured one
}

// NewAdmin makes an administrator's credential. It is returned this once and is
// not kept. A specification that is not valid is a fault of kind BadRequest.
func (a *Auth) NewAdmin(ctx context.Context, spec AdminSpec, journal Journal) (Admin, secret.String, error) {
	return a.newAdmin(ctx, spec, "", journal)
}

func (a *Auth) newAdmin(ctx context.Context, spec AdminSpec, via string, journal Journal) (Admin, secret.String, error) {
	life, err := a.lifetime(spec.Lifetime, a.cfg.AdminLifetime)
	if err == nil {
		err = checkName(spec.Name, true)
	}
	if err == nil && !spec.Role.Valid() {
		err = fault.New(fault.BadRequest, "a role is one of admin, operator, auditor")
	}
	if err != nil {
		return Admin{}, secret.String{}, err
	}
	token := newToken(prefixAdmin)
	c := &credential{principal: identity.Principal{
		Kind: identity.Admin, Admin: identity.NewAdminID(), Name: spec.Name, Role: spec.Role,
	}}
	err = a.transact(ctx, journal, func(e *edit) (Act, error) {
		if !a.room() {
			return Act{}, fault.Newf(fault.BadRequest, "there are %d credentials already, which is the limit", maxRows)
		}
		c.created = e.now
		e.issue(c, token.Reveal(), life)
		e.put(c)
		d := c.detail(e.epoch)
		if via != "" {
			d["via"] = via
		}
		return Act{"admin.create", c.id(), d}, nil
	})
	if err != nil {
		return Admin{}, secret.String{}, err
	}
	return c.showAdmin(time.Now()), token, nil
}

// RevokeAdmin ends an administrator's credential for good. The last live one
// with the role admin is kept unless force is set: the error then has
// ErrLastAdmin in its chain. Revoking a revoked one changes nothing.
func (a *Auth) RevokeAdmin(ctx context.Context, id identity.AdminID, force bool, journal Journal) (Admin, error) {
	var c *credential
	err := a.transact(ctx, journal, func(e *edit) (Act, error) {
		old := a.row(rowID{identity.Admin, string(id)})
		if old == nil {
			return Act{}, fault.Newf(fault.NotFound, "there is no administrator %s", shown(string(id)))
		}
		if c = old; old.revoked != 0 && old.damage == "" {
			return Act{}, errDone
		}
		if old.live(time.Now()) && old.principal.Role == identity.RoleAdmin && a.liveAdmins() == 1 && !force {
			return Act{}, fault.Wrap(fault.BadRequest, "this is the last administrator: make another first, or force it", ErrLastAdmin)
		}
		c = e.revoke(old)
		return Act{"admin.revoke", c.id(), c.detail(e.epoch)}, nil
	})
	if err != nil && !errors.Is(err, errDone) {
		return Admin{}, err
	}
	return c.showAdmin(time.Now()), nil
}

// Admins lists administrators' credentials as this process enforces them, newest
// first, at most MaxPage.
func (a *Auth) Admins() []Admin {
	a.mu.Lock()
	found := slices.Collect(a.book.of(identity.Admin))
	a.mu.Unlock()
	slices.SortFunc(found, newestFirst)
	now := time.Now()
	var list []Admin
	for _, c := range found[:min(len(found), MaxPage)] {
		list = append(list, c.showAdmin(now))
	}
	return list
}

// HasAdmin reports whether anyone could log in with the role admin.
func (a *Auth) HasAdmin() bool { return a.liveAdmins() > 0 }

// liveAdmins counts the live credentials with the role admin.
func (a *Auth) liveAdmins() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, n := time.Now(), 0
	for c := range a.book.of(identity.Admin) {
		if c.principal.Role == identity.RoleAdmin && c.live(now) {
			n++
		}
	}
	return n
}

// showAdmin is what may be told of an administrator's credential.
func (c *credential) showAdmin(now time.Time) Admin {
	return Admin{
		ID: c.principal.Admin, Name: c.principal.Name, Role: c.principal.Role,
		Created: instant(c.created), Expires: instant(c.expires), Revoked: instant(c.revoked),
		State: stateOf(c, now), Damage: c.damage,
	}
}
