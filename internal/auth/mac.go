package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"
)

// mac is an HMAC-SHA-256 (RFC 2104).
type mac [sha256.Size]byte

// equal compares in constant time.
func (m mac) equal(o mac) bool { return hmac.Equal(m[:], o[:]) }

// hex is how a mac stands in a row.
func (m mac) hex() string { return hex.EncodeToString(m[:]) }

// parseMAC reads what hex writes; anything else is the zero mac, which no key produces.
func parseMAC(s string) (m mac) {
	if len(s) == hex.EncodedLen(len(m)) {
		if _, err := hex.Decode(m[:], []byte(s)); err != nil {
			return mac{}
		}
	}
	return m
}

// keyed computes MACs under one key. It is safe for concurrent use and does not
// allocate once warm.
type keyed struct{ pool sync.Pool }

// keyedState is one keyed hash with room for what would otherwise be allocated.
type keyedState struct {
	hash hash.Hash
	in   [sha256.Size]byte
	out  mac
}

func newKeyed(key Subkey) *keyed {
	k := &keyed{}
	k.pool.New = func() any { return &keyedState{hash: hmac.New(sha256.New, key[:])} }
	return k
}

// sum is the MAC of a message. The message may be moved to the heap.
func (k *keyed) sum(message []byte) mac {
	s := k.pool.Get().(*keyedState)
	defer k.pool.Put(s)
	s.hash.Reset()
	s.hash.Write(message)
	s.hash.Sum(s.out[:0])
	return s.out
}

// sumDigest is sum for a message of one digest, which stays on the stack.
func (k *keyed) sumDigest(message [sha256.Size]byte) mac {
	s := k.pool.Get().(*keyedState)
	defer k.pool.Put(s)
	s.in = message
	s.hash.Reset()
	s.hash.Write(s.in[:])
	s.hash.Sum(s.out[:0])
	return s.out
}

// The purposes of the sub-keys that this package derives.
const (
	purposeLookup  = "key lookup"
	purposeBinding = "key binding"
	purposeSeal    = "credential seal"
	purposeCheck   = "secret check"
)

// ring holds the sub-keys of one version of the master secret.
type ring struct {
	version int64
	lookup  *keyed // credential -> look-up
	binding *keyed // row -> binding
	seal    *keyed // rows -> seal
	check   mac    // what the database keeps to tell another secret
}

// newRing derives the sub-keys of a version; false means it is not held.
func newRing(m *Master, number int64) (*ring, bool) {
	var keys [4]*keyed
	for i, purpose := range []string{purposeLookup, purposeBinding, purposeSeal, purposeCheck} {
		sub, ok := m.Subkey(number, purpose)
		if !ok {
			return nil, false
		}
		keys[i] = newKeyed(sub)
	}
	return &ring{
		version: number, lookup: keys[0], binding: keys[1], seal: keys[2],
		check: keys[3].sum(fmt.Appendf(nil, "sallyport secret version %d", number)),
	}, true
}

// rings are the rings of every version held, by version.
type rings map[int64]*ring

func newRings(m *Master) rings {
	rs := rings{}
	for _, n := range m.Versions() {
		if r, ok := newRing(m, n); ok {
			rs[n] = r
		}
	}
	return rs
}

// fields writes values so that no two different lists give the same bytes: every
// text after its length, every number in eight bytes.
type fields []byte

func (f fields) text(s string) fields {
	return append(binary.BigEndian.AppendUint64(f, uint64(len(s))), s...)
}

func (f fields) number(n int64) fields { return binary.BigEndian.AppendUint64(f, uint64(n)) }
