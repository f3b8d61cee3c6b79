package auth

import (
	"strings"
	"sync/atomic"
	"time"

	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// credential is one row, decoded and judged. It does not change once it is
// published; a change of the row is a new credential.
type credential struct {
	principal identity.Principal // what authentication answers; Models is shared and never written
	slots     int64              // most exchanges at once; 0 is the default
	created   int64              // all times in microseconds since the Unix epoch
	issued    int64              // when the present secret was made
	expires   int64
	revoked   int64 // 0 while it is not

	lookup     versioned // of the present secret
	prior      versioned // of the one before, valid until priorUntil
	priorUntil int64

	epoch   int64       // of the change that wrote the row
	binding mac         // over everything above and its own version
	bound   int64       // version of the master secret that the binding is under
	damage  Damage      // why the row is not believed; empty when it is
	element total       // what the row counts for in the seal
	moving  atomic.Bool // an upgrade of its look-ups is queued
}

// versioned is a look-up MAC and the version of the master secret it is under.
// The zero value matches nothing.
type versioned struct {
	version int64
	mac     mac
}

// Damage is what is wrong with a row that is not believed.
type Damage string

// The kinds of damage.
const (
	Edited      Damage = "edited"      // its content does not match its binding
	RolledBack  Damage = "rolled_back" // an earlier version of it was put back
	Removed     Damage = "removed"     // it is gone, and credentials are never deleted
	Unexplained Damage = "unexplained" // it appeared while the seal does not match
)

func (c *credential) id() string {
	if c.principal.Kind == identity.Admin {
		return string(c.principal.Admin)
	}
	return string(c.principal.Key)
}

// content is the canonical bytes that the binding covers: every column but the
// binding itself.
func (c *credential) content() []byte {
	p := &c.principal
	f := make(fields, 0, 512).text("sallyport credential v1").text(string(p.Kind)).text(c.id()).
		text(string(p.Project)).text(p.Name).text(string(p.Role)).number(int64(len(p.Models)))
	for _, m := range p.Models {
		f = f.text(string(m))
	}
	for _, n := range [...]int64{c.slots, c.created, c.issued, c.expires, c.revoked, c.priorUntil, c.epoch, c.bound} {
		f = f.number(n)
	}
	for _, v := range [...]*versioned{&c.lookup, &c.prior} {
		f = f.number(v.version).text(string(v.mac[:]))
	}
	return f
}

// bind writes the binding and what follows from it.
func (c *credential) bind(r *ring, epoch int64) {
	c.epoch, c.bound, c.damage = epoch, r.version, ""
	c.binding = r.binding.sum(c.content())
	c.element = r.element(c)
}

// judge checks a credential that was read from a row.
func (c *credential) judge(r *ring) {
	c.element = r.element(c)
	if c.bound != r.version || !r.binding.sum(c.content()).equal(c.binding) {
		c.damage = Edited
	}
}

// clone is a copy to change.
func (c *credential) clone() *credential {
	return &credential{
		principal: c.principal, slots: c.slots, created: c.created, issued: c.issued, expires: c.expires,
		revoked: c.revoked, lookup: c.lookup, prior: c.prior, priorUntil: c.priorUntil,
		epoch: c.epoch, binding: c.binding, bound: c.bound, damage: c.damage, element: c.element,
	}
}

// damaged is the credential as one that is not believed.
func (c *credential) damaged(d Damage) *credential {
	c = c.clone()
	c.damage = d
	return c
}

// state says whether the credential, presented by its present or its prior
// secret, is good at a time; the empty Refusal means yes.
func (c *credential) state(prior bool, now time.Time) Refusal {
	at := now.UnixMicro()
	switch {
	case c.damage != "":
		return Altered
	case c.revoked != 0:
		return Revoked
	case at >= c.expires:
		return Expired
	case prior && at >= c.priorUntil:
		return Superseded
	}
	return ""
}

// live reports whether the credential can still be used, by either secret.
func (c *credential) live(now time.Time) bool { return c.state(false, now) == "" }

// fromKey decodes the row of a virtual key.
func fromKey(k store.Key) *credential {
	c := fromProof(k.Proof)
	c.principal = identity.Principal{Kind: identity.Key, Key: k.ID, Name: k.Name, Project: k.Project}
	if k.Models != "" {
		for m := range strings.SplitSeq(k.Models, "\n") {
			c.principal.Models = append(c.principal.Models, identity.Model(m))
		}
	}
	c.slots = k.Slots
	return c
}

// fromAdmin decodes the row of an administrator's credential.
func fromAdmin(a store.Admin) *credential {
	c := fromProof(a.Proof)
	c.principal = identity.Principal{Kind: identity.Admin, Admin: a.ID, Name: a.Name, Role: a.Role}
	return c
}

func fromProof(p store.Proof) *credential {
	c := &credential{
		created: p.Created, issued: p.Issued, expires: p.Expires, revoked: p.Revoked,
		lookup:     versioned{p.LookupVersion, parseMAC(p.Lookup)},
		prior:      versioned{p.PriorVersion, parseMAC(p.Prior)},
		priorUntil: p.PriorUntil,
		epoch:      p.Epoch, binding: parseMAC(p.Binding), bound: p.BindingVersion,
	}
	if c.proof() != p { // another spelling of the same hashes was not written here
		c.damage = Edited
	}
	return c
}

// proof is the part of the row that both tables share.
func (c *credential) proof() store.Proof {
	p := store.Proof{
		Created: c.created, Issued: c.issued, Expires: c.expires, Revoked: c.revoked,
		Lookup: c.lookup.mac.hex(), LookupVersion: c.lookup.version,
		PriorVersion: c.prior.version, PriorUntil: c.priorUntil,
		Epoch: c.epoch, Binding: c.binding.hex(), BindingVersion: c.bound,
	}
	if c.prior.version != 0 {
		p.Prior = c.prior.mac.hex()
	}
	return p
}

// key is the row of a virtual key.
func (c *credential) key() store.Key {
	p := &c.principal
	names := make([]string, len(p.Models))
	for i, m := range p.Models {
		names[i] = string(m)
	}
	return store.Key{
		ID: p.Key, Project: p.Project, Name: p.Name, Models: strings.Join(names, "\n"), Slots: c.slots, Proof: c.proof(),
	}
}

// admin is the row of an administrator's credential.
func (c *credential) admin() store.Admin {
	p := &c.principal
	return store.Admin{ID: p.Admin, Name: p.Name, Role: p.Role, Proof: c.proof()}
}
