package console

import (
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// Key is a virtual key as the admin API shows it. Secret is set in the one
// answer that made it.
type Key struct {
	ID      identity.KeyID     `json:"id"`
	Key     string             `json:"key,omitempty"` // the clear key, shown once
	Project identity.ProjectID `json:"project"`
	Name    string             `json:"name"`
	Models  []identity.Model   `json:"models"` // empty: every configured model
	State   auth.State         `json:"state"`
	Created time.Time          `json:"created"`
	Expires time.Time          `json:"expires"`
	Revoked *time.Time         `json:"revoked,omitempty"`
	Overlap *time.Time         `json:"overlap_until,omitempty"` // until when the former secret works
}

func keyOf(k auth.Key, clear secret.String) Key {
	return Key{
		ID: k.ID, Key: clear.Reveal(), Project: k.Project, Name: k.Name, Models: append([]identity.Model{}, k.Models...), State: k.State,
		Created: k.Created, Expires: k.Expires, Revoked: some(k.Revoked), Overlap: some(k.PriorUntil),
	}
}

// some is nil for the zero time.
func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Admin is an administrator's credential as the admin API shows it.
type Admin struct {
	ID         identity.AdminID `json:"id"`
	Credential string           `json:"credential,omitempty"` // shown once
	Name       string           `json:"name"`
	Role       identity.Role    `json:"role"`
	State      auth.State       `json:"state"`
	Created    time.Time        `json:"created"`
	Expires    time.Time        `json:"expires"`
	Revoked    *time.Time       `json:"revoked,omitempty"`
}

func adminOf(a auth.Admin, clear secret.String) Admin {
	return Admin{
		ID: a.ID, Credential: clear.Reveal(), Name: a.Name, Role: a.Role, State: a.State,
		Created: a.Created, Expires: a.Expires, Revoked: some(a.Revoked),
	}
}

// journal is what a change is recorded with, in the caller's name.
func (c *Console) journal(actor string) auth.Journal {
	return func(a auth.Act) error { return c.Journal(actor, a) }
}

func (c *Console) listKeys(r *call) (any, error) {
	q := r.URL.Query()
	list := []Key{}
	for _, k := range c.Auth.Keys(auth.KeyFilter{Project: identity.ProjectID(q.Get("project")), After: identity.KeyID(q.Get("after"))}) {
		list = append(list, keyOf(k, secret.String{}))
	}
	return list, nil
}

// keyID is the id that the path names. A credential in its place is refused
// before anything repeats it.
func keyID(r *call) (identity.KeyID, error) {
	id := r.PathValue("id")
	if auth.ParseKey(id) == nil {
		return "", fault.New(fault.BadRequest, "that is a credential, not an id: find its id with sallyport keys ls")
	}
	return identity.KeyID(id), nil
}

func (c *Console) showKey(r *call) (any, error) {
	id, err := keyID(r)
	if err != nil {
		return nil, err
	}
	k, err := c.Auth.Key(id)
	if err != nil {
		return nil, err
	}
	return keyOf(k, secret.String{}), nil
}

// NewKey asks for a virtual key.
type NewKey struct {
	Project identity.ProjectID `json:"project"`
	Name    string             `json:"name"`
	Models  []identity.Model   `json:"models"`
	Expires string             `json:"expires"` // such as 90d; empty for the default
	Slots   int                `json:"slots"`
}

func (c *Console) newKey(r *call) (any, error) {
	want, err := decode[NewKey](r)
	if err != nil {
		return nil, err
	}
	lifetime, err := lifetime(want.Expires)
	if err != nil {
		return nil, err
	}
	k, clear, err := c.Auth.NewKey(r.Context(), auth.KeySpec{
		Project: want.Project, Name: want.Name, Models: want.Models, Lifetime: lifetime, Slots: want.Slots,
	}, c.journal(r.actor()))
	if err != nil {
		return nil, err
	}
	return keyOf(k, clear), nil
}

func lifetime(v string) (time.Duration, error) {
	if v == "" {
		return 0, nil
	}
	d, err := LookBack(v)
	if err != nil || d <= 0 {
		return 0, fault.Newf(fault.BadRequest, "%q is not a lifetime such as 12h or 90d", v)
	}
	return d, nil
}

// RotateKey asks for a new secret of a key.
type RotateKey struct {
	Overlap string `json:"overlap"` // how long the former secret still works; empty for the default
	AtOnce  bool   `json:"at_once"` // the former secret ends now
}

func (c *Console) rotateKey(r *call) (any, error) {
	want, err := decode[RotateKey](r)
	if err != nil {
		return nil, err
	}
	overlap, err := lifetime(want.Overlap)
	if err != nil {
		return nil, err
	}
	id, err := keyID(r)
	if err != nil {
		return nil, err
	}
	k, clear, err := c.Auth.RotateKey(r.Context(), id, auth.RotateSpec{Overlap: overlap, AtOnce: want.AtOnce}, c.journal(r.actor()))
	if err != nil {
		return nil, err
	}
	return keyOf(k, clear), nil
}

func (c *Console) revokeKey(r *call) (any, error) {
	id, err := keyID(r)
	if err != nil {
		return nil, err
	}
	k, err := c.Auth.RevokeKey(r.Context(), id, c.journal(r.actor()))
	if err != nil {
		return nil, err
	}
	return keyOf(k, secret.String{}), nil
}

func (c *Console) listAdmins(*call) (any, error) {
	list := []Admin{}
	for _, a := range c.Auth.Admins() {
		list = append(list, adminOf(a, secret.String{}))
	}
	return list, nil
}

// NewAdmin asks for an administrator's credential.
type NewAdmin struct {
	Name    string        `json:"name"`
	Role    identity.Role `json:"role"`
	Expires string        `json:"expires"`
}

func (c *Console) newAdmin(r *call) (any, error) {
	want, err := decode[NewAdmin](r)
	if err != nil {
		return nil, err
	}
	lifetime, err := lifetime(want.Expires)
	if err != nil {
		return nil, err
	}
	a, clear, err := c.Auth.NewAdmin(r.Context(), auth.AdminSpec{Name: want.Name, Role: want.Role, Lifetime: lifetime}, c.journal(r.actor()))
	if err != nil {
		return nil, err
	}
	return adminOf(a, clear), nil
}

func (c *Console) revokeAdmin(r *call) (any, error) {
	want, err := decode[struct {
		Force bool `json:"force"`
	}](r)
	if err != nil {
		return nil, err
	}
	id, err := keyID(r)
	if err != nil {
		return nil, err
	}
	a, err := c.Auth.RevokeAdmin(r.Context(), identity.AdminID(id), want.Force, c.journal(r.actor()))
	if err != nil {
		return nil, err
	}
	return adminOf(a, secret.String{}), nil
}

// Rotation is the result of rotating the master secret.
type Rotation struct {
	Version    int64 `json:"version"`     // now in force
	Rows       int   `json:"rows"`        // credentials bound under it
	OldLookups int   `json:"old_lookups"` // found under an older version until they are next used
}

func (c *Console) rotateSecret(r *call) (any, error) {
	out, err := c.Auth.RotateSecret(r.Context(), c.journal(r.actor()))
	if err != nil {
		return nil, err
	}
	if err := c.Moved(r.Context()); err != nil {
		return nil, err
	}
	return Rotation{Version: out.Version, Rows: out.Rows, OldLookups: out.OldLookups}, nil
}

func (c *Console) dropSecret(r *call) (any, error) {
	want, err := decode[struct {
		Force bool `json:"force"`
	}](r)
	if err != nil {
		return nil, err
	}
	version, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "a version is a number")
	}
	if err := c.Moved(r.Context()); err != nil {
		return nil, err
	}
	ended, err := c.Auth.DropSecret(r.Context(), version, want.Force, c.journal(r.actor()))
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, d := range ended {
		ids = append(ids, d.ID)
	}
	return ids, nil
}

func (c *Console) reseal(r *call) (any, error) {
	return c.Auth.Reseal(r.Context(), c.journal(r.actor()))
}

// maxSetup bounds a request of somebody who is not known yet.
const maxSetup = 4096

// setup exchanges the one-time token for the first administrator.
func (c *Console) setup(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Token string `json:"token"`
		Name  string `json:"name"`
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSetup))
	if err != nil {
		problem(w, fault.New(fault.TooLarge, ""))
		return
	}
	if err := strict(b, &want); err != nil {
		problem(w, err)
		return
	}
	a, clear, err := c.Auth.ExchangeSetup(r.Context(), secret.New(want.Token), want.Name, source(r), c.journal("setup"))
	if err != nil {
		problem(w, err)
		return
	}
	reply(w, http.StatusOK, adminOf(a, clear))
}

// source is the peer's address, which failed authentications are throttled by.
func source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}
