package auth

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// Key is what may be told about a virtual key.
type Key struct {
	ID      identity.KeyID
	Project identity.ProjectID
	Name    string
	Models  []identity.Model // empty means every configured model
	Slots   int              // exchanges at once; 0 means the configured number

	Created    time.Time
	Issued     time.Time // when the present secret was made
	Expires    time.Time
	Revoked    time.Time // zero while it is not
	PriorUntil time.Time // until when the secret before the last rotation works; zero when it does not
	State      State
	Damage     Damage // set when State is StateDamaged
}

// KeySpec is what a new key is to be.
type KeySpec struct {
	Project  identity.ProjectID // required: letters, digits and ._- only
	Name     string             // optional
	Models   []identity.Model   // empty means every configured model
	Lifetime time.Duration      // 0 means the configured one
	Slots    int                // 0 means the configured number
}

// KeyFilter selects keys. Empty fields select everything.
type KeyFilter struct {
	Project identity.ProjectID
	State   State
	After   identity.KeyID // only keys that are listed after this one
	Limit   int            // at most so many; 0 or more than MaxPage means MaxPage
}

// MaxPage bounds one list.
const MaxPage = 1000

// RotateSpec says how a key is rotated.
type RotateSpec struct {
	Overlap  time.Duration // for which the former secret stays valid; 0 means DefaultOverlap
	AtOnce   bool          // the former secret ends now, as after a leak
	Lifetime time.Duration // of the new secret; 0 means that of the former
}

// Bounds of what a key may hold.
const (
	maxName    = 128
	maxProject = 64
	maxModels  = 256
	maxModel   = 256
	maxSlots   = 1 << 20
)

// NewKey makes a virtual key. The clear key is returned this once and is not
// kept. A specification that is not valid is a fault of kind BadRequest.
func (a *Auth) NewKey(ctx context.Context, spec KeySpec, journal Journal) (Key, secret.String, error) {
	life, err := a.lifetime(spec.Lifetime, a.cfg.KeyLifetime)
	if err == nil {
		err = spec.check()
	}
	if err != nil {
		return Key{}, secret.String{}, err
	}
	token := newToken(prefixKey)
	models := slices.Clone(spec.Models)
	slices.Sort(models)
	c := &credential{
		principal: identity.Principal{
			Kind: identity.Key, Key: identity.NewKeyID(), Name: spec.Name, Project: spec.Project, Models: slices.Compact(models),
		},
		slots: int64(spec.Slots),
	}
	err = a.transact(ctx, journal, func(e *edit) (Act, error) {
		if !a.room() {
			return Act{}, fault.Newf(fault.BadRequest, "there are %d credentials already, which is the limit", maxRows)
		}
		c.created = e.now
		e.issue(c, token.Reveal(), life)
		e.put(c)
		return Act{"key.create", c.id(), c.detail(e.epoch)}, nil
	})
	if err != nil {
		return Key{}, secret.String{}, err
	}
	return c.show(time.Now()), token, nil
}

// RotateKey gives a key a new secret under the same id, so that its spending and
// limits go on. The former secret stays valid for the overlap, never beyond its
// own expiry; a secret from an earlier rotation ends at once. A revoked key is
// not rotated.
func (a *Auth) RotateKey(ctx context.Context, id identity.KeyID, spec RotateSpec, journal Journal) (Key, secret.String, error) {
	if spec.Overlap < 0 || spec.Overlap > MaxOverlap {
		return Key{}, secret.String{}, fault.Newf(fault.BadRequest, "the overlap may be at most %s", days(MaxOverlap))
	}
	overlap := cmp.Or(spec.Overlap, DefaultOverlap)
	if spec.AtOnce {
		overlap = 0
	}
	token := newToken(prefixKey)
	var c *credential
	err := a.transact(ctx, journal, func(e *edit) (Act, error) {
		old, err := a.keyRow(id)
		if err != nil {
			return Act{}, err
		}
		if old.damage != "" || old.revoked != 0 {
			return Act{}, fault.Newf(fault.BadRequest, "the key %s is %s and cannot be rotated; make a new one", shown(string(id)), stateOf(old, time.Now()))
		}
		former := time.Duration(old.expires-old.issued) * time.Microsecond
		life, err := a.lifetime(spec.Lifetime, min(former, a.cfg.MaxLifetime))
		if err != nil {
			return Act{}, err
		}
		c = old.clone()
		c.prior, c.priorUntil = old.lookup, min(old.expires, e.now+overlap.Microseconds())
		if c.priorUntil <= e.now {
			c.prior, c.priorUntil = versioned{}, 0
		}
		e.issue(c, token.Reveal(), life)
		e.put(c)
		d := c.detail(e.epoch)
		d["former_until"] = stamp(c.priorUntil)
		if c.priorUntil == 0 {
			d["former_until"] = "now"
		}
		return Act{"key.rotate", c.id(), d}, nil
	})
	if err != nil {
		return Key{}, secret.String{}, err
	}
	return c.show(time.Now()), token, nil
}

// RevokeKey ends a key for good, both its secrets, here before it returns and on
// other replicas at their next poll. Revoking a revoked key changes nothing.
func (a *Auth) RevokeKey(ctx context.Context, id identity.KeyID, journal Journal) (Key, error) {
	var c *credential
	err := a.transact(ctx, journal, func(e *edit) (Act, error) {
		old, err := a.keyRow(id)
		if err != nil {
			return Act{}, err
		}
		if c = old; old.revoked != 0 && old.damage == "" {
			return Act{}, errDone
		}
		c = e.revoke(old)
		return Act{"key.revoke", c.id(), c.detail(e.epoch)}, nil
	})
	if err != nil && !errors.Is(err, errDone) {
		return Key{}, err
	}
	return c.show(time.Now()), nil
}

// revoke takes part in the change with a revoked copy of a row.
func (e *edit) revoke(old *credential) *credential {
	c := old.clone()
	c.revoked = e.now
	e.put(c)
	return c
}

// Key tells about one key; one that does not exist is a fault of kind NotFound.
func (a *Auth) Key(id identity.KeyID) (Key, error) {
	c, err := a.keyRow(id)
	if err != nil {
		return Key{}, err
	}
	return c.show(time.Now()), nil
}

// Keys lists keys as this process enforces them, newest first.
func (a *Auth) Keys(f KeyFilter) []Key {
	now := time.Now()
	var found []*credential
	a.mu.Lock()
	after := a.book.rows[rowID{identity.Key, string(f.After)}]
	for c := range a.book.of(identity.Key) {
		if (f.Project == "" || c.principal.Project == f.Project) && (f.State == "" || stateOf(c, now) == f.State) &&
			(after == nil || newestFirst(after, c) < 0) {
			found = append(found, c)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(found, newestFirst)
	limit := MaxPage
	if f.Limit > 0 {
		limit = min(f.Limit, MaxPage)
	}
	keys := make([]Key, 0, min(len(found), limit))
	for _, c := range found[:min(len(found), limit)] {
		keys = append(keys, c.show(now))
	}
	return keys
}

// Identify tells whose credential a text is and what it is good for, such as of
// one that was found in a leak. An unknown one is a fault of kind NotFound. It
// does not count as an authentication.
func (a *Auth) Identify(text secret.String) (identity.Principal, State, error) {
	if err := ParseKey(text.Reveal()); err != nil {
		return identity.Principal{}, "", fault.Wrap(fault.BadRequest, "this is not a whole Sallyport credential", err)
	}
	ref, _, ok := a.snapshot.Load().find(text.Reveal())
	if !ok {
		return identity.Principal{}, "", fault.New(fault.NotFound, "no such credential")
	}
	now := time.Now()
	state := stateOf(ref.credential, now)
	if state == StateActive && ref.credential.state(ref.prior, now) != "" {
		state = StateExpired
	}
	return ref.credential.principal, state, nil
}

// newestFirst orders by creation, then by id.
func newestFirst(x, y *credential) int {
	return cmp.Or(cmp.Compare(y.created, x.created), cmp.Compare(x.id(), y.id()))
}

func (a *Auth) keyRow(id identity.KeyID) (*credential, error) {
	c := a.row(rowID{identity.Key, string(id)})
	if c == nil {
		return nil, fault.Newf(fault.NotFound, "there is no key %s", shown(string(id)))
	}
	return c, nil
}

// show is what may be told of a key.
func (c *credential) show(now time.Time) Key {
	k := Key{
		ID: c.principal.Key, Project: c.principal.Project, Name: c.principal.Name, Models: slices.Clone(c.principal.Models),
		Slots: int(c.slots), Created: instant(c.created), Issued: instant(c.issued), Expires: instant(c.expires),
		Revoked: instant(c.revoked), State: stateOf(c, now), Damage: c.damage,
	}
	if c.state(true, now) == "" {
		k.PriorUntil = instant(c.priorUntil)
	}
	return k
}

// detail is what an act tells of a credential.
func (c *credential) detail(epoch int64) map[string]string {
	p := &c.principal
	d := map[string]string{
		"name": p.Name, "expires": stamp(c.expires), "epoch": strconv.FormatInt(epoch, 10),
		"project": string(p.Project), "role": string(p.Role),
	}
	if len(p.Models) > 0 {
		names := make([]string, len(p.Models))
		for i, m := range p.Models {
			names[i] = string(m)
		}
		d["models"] = strings.Join(names, " ")
	}
	if c.slots > 0 {
		d["slots"] = strconv.FormatInt(c.slots, 10)
	}
	maps.DeleteFunc(d, func(_, v string) bool { return v == "" })
	return d
}

// check says what is wrong with a specification.
func (s KeySpec) check() error {
	if err := checkName(s.Name, false); err != nil {
		return err
	}
	plain := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r))
	}
	if p := string(s.Project); p == "" || len(p) > maxProject || strings.TrimFunc(p, plain) != "" {
		return fault.Newf(fault.BadRequest, "a key needs a project: 1 to %d letters, digits and ._-", maxProject)
	}
	if len(s.Models) > maxModels {
		return fault.Newf(fault.BadRequest, "a key may name at most %d models", maxModels)
	}
	for _, m := range s.Models {
		if m == "" || len(m) > maxModel || !printable(string(m)) || strings.ContainsRune(string(m), ' ') {
			return fault.Newf(fault.BadRequest, "a model's name is 1 to %d printable bytes without blanks", maxModel)
		}
	}
	if s.Slots < 0 || s.Slots > maxSlots {
		return fault.Newf(fault.BadRequest, "a key may have 0 to %d exchanges at once", maxSlots)
	}
	return nil
}

// checkName says what is wrong with the name of a credential.
func checkName(name string, required bool) error {
	if len(name) > maxName || !printable(name) || required && strings.TrimSpace(name) == "" {
		return fault.Newf(fault.BadRequest, "a name is at most %d bytes of printable text", maxName)
	}
	return nil
}

// printable reports whether a text is valid UTF-8 without control or format
// characters, which would let it pose as another on a terminal.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
