package auth

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// snapshot is what authentication reads: every credential by its look-ups. It is
// immutable; a change of few rows copies only the shards that they are in.
type snapshot struct {
	shards  [256]map[[16]byte]reference // by the first byte, then the first half of a look-up
	lookups []*ring                     // the versions that look-ups are under, newest first
	active  *ring                       // the version that new look-ups are made under
}

// reference is one look-up of a credential, whole, for comparison in constant time.
type reference struct {
	mac        mac
	prior      bool // it is of the secret before the present one
	credential *credential
}

// find looks a token up. It reports false for one that is nobody's.
func (s *snapshot) find(token string) (ref reference, under *ring, ok bool) {
	d := digest(token)
	for _, r := range s.lookups {
		m := r.lookup.sumDigest(d)
		if ref, ok = s.shards[m[0]][[16]byte(m[:16])]; ok && m.equal(ref.mac) {
			return ref, r, true
		}
	}
	return reference{}, nil, false
}

// rowID names one row of the two tables.
type rowID struct {
	kind identity.Kind
	id   string
}

func (c *credential) row() rowID { return rowID{c.principal.Kind, c.id()} }

// book is every credential as last read, with the state that sealed them. It is
// not safe for concurrent use.
type book struct {
	rings  rings
	state  store.CredentialState // the newest that matched, or that this process wrote
	read   store.CredentialState // the last one read: another one when it did not match
	intact bool                  // the rows matched the seal when the state was read
	sum    total
	rows   map[rowID]*credential

	shards [256]map[[16]byte]reference
	shared [256]bool     // the shard is in a published snapshot and must be copied first
	under  map[int64]int // how many look-ups are under each version
}

func newBook(rs rings, s store.CredentialState) *book {
	return &book{rings: rs, state: s, read: s, rows: map[rowID]*credential{}, under: map[int64]int{}}
}

// put takes a row in, over an earlier state of it.
func (b *book) put(c *credential) {
	if old := b.rows[c.row()]; old != nil {
		b.sum = b.sum.minus(old.element)
		b.unindex(old.lookup, old)
		b.unindex(old.prior, old)
	}
	b.sum = b.sum.plus(c.element)
	b.rows[c.row()] = c
	b.index(c.lookup, c, false)
	b.index(c.prior, c, true)
}

// index makes a credential findable. One that is not believed never hides one
// that is.
func (b *book) index(v versioned, c *credential, prior bool) {
	if v.version == 0 {
		return
	}
	if had, ok := b.shards[v.mac[0]][[16]byte(v.mac[:16])]; ok {
		if c.damage != "" && had.credential.damage == "" {
			return
		}
		b.under[had.version()]--
	}
	b.shard(v)[[16]byte(v.mac[:16])] = reference{v.mac, prior, c}
	b.under[v.version]++
}

func (b *book) unindex(v versioned, c *credential) {
	if had, ok := b.shards[v.mac[0]][[16]byte(v.mac[:16])]; ok && had.credential == c {
		delete(b.shard(v), [16]byte(v.mac[:16]))
		b.under[had.version()]--
	}
}

// version is the version of the master secret that the look-up is under.
func (r reference) version() int64 {
	if r.prior {
		return r.credential.prior.version
	}
	return r.credential.lookup.version
}

// shard returns the shard of a look-up for writing.
func (b *book) shard(v versioned) map[[16]byte]reference {
	i := v.mac[0]
	switch {
	case b.shards[i] == nil:
		b.shards[i] = map[[16]byte]reference{}
	case b.shared[i]:
		b.shards[i] = maps.Clone(b.shards[i])
	}
	b.shared[i] = false
	return b.shards[i]
}

// snapshot is the book as authentication reads it.
func (b *book) snapshot() *snapshot {
	s := &snapshot{shards: b.shards, active: b.rings[b.state.SecretVersion]}
	for i := range b.shared {
		b.shared[i] = true
	}
	for v, n := range b.under {
		if r := b.rings[v]; r != nil && n > 0 {
			s.lookups = append(s.lookups, r)
		}
	}
	slices.SortFunc(s.lookups, func(a, b *ring) int { return cmp.Compare(b.version, a.version) })
	return s
}

// of iterates over the credentials of a kind, in no order.
func (b *book) of(kind identity.Kind) iter.Seq[*credential] {
	return func(yield func(*credential) bool) {
		for id, c := range b.rows {
			if id.kind == kind && !yield(c) {
				return
			}
		}
	}
}

// reconcile builds the next book from all rows of the tables as they were just
// read. When the rows match their seal they are taken as they are. When they do
// not, somebody other than the program changed them, and the result only ever
// takes rights away from what this process knew before: a row that is gone,
// edited, older than it was, or new is not believed. An edited row and one that
// is older than it was are not believed either way.
func (b *book) reconcile(rs rings, state store.CredentialState, rows []*credential) *book {
	next := newBook(rs, state)
	for _, c := range rows {
		next.sum = next.sum.plus(c.element)
	}
	next.intact = next.sum == rs[state.SecretVersion].opened(state) && state.Epoch >= b.state.Epoch
	if !next.intact && b.state.Epoch != 0 { // what does not match proves nothing: remember the last that did
		next.state = b.state
	}
	next.sum = total{}
	present := make(map[rowID]bool, len(rows))
	for _, c := range rows {
		present[c.row()] = true
		next.put(b.judged(c, next.intact))
	}
	if !next.intact {
		for id, old := range b.rows {
			if !present[id] {
				next.put(old.damaged(Removed))
			}
		}
	}
	return next
}

// judged decides what to believe of a row that was just read. What is known of a
// row that is not believed is kept, for whoever has to find out; so is what it
// counts for in the seal, unless the seal has it as it was read.
func (b *book) judged(c *credential, intact bool) *credential {
	old := b.rows[c.row()]
	refused := func(d Damage) *credential {
		r := old.damaged(d)
		if intact {
			r.element = c.element
		}
		return r
	}
	switch {
	case old != nil && c.damage != "":
		return refused(Edited)
	case old != nil && c.epoch < old.epoch: // even under a seal: another process may have accepted it
		return refused(RolledBack)
	case intact || c.damage != "":
		return c
	case old == nil || old.damage == Unexplained:
		r := c.damaged(Unexplained)
		r.element = total{} // the seal does not have it
		return r
	}
	return c
}
