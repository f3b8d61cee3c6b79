package auth

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"sallyport/internal/store"
)

// A binding proves that the master secret's holder wrote a row, not that the row
// is the latest one: whoever can write to the database could put a row back as it
// was before a revocation. The seal proves that the rows are the ones last
// written. It is a keyed multiset hash, MSet-Add-Hash of Clarke, Devadas, van
// Dijk, Gassend and Suh, "Incremental Multiset Hash Functions and Their
// Application to Memory Integrity Checking" (ASIACRYPT 2003): the sum modulo
// 2^256 of a MAC of every row, hidden under a MAC of a fresh nonce. A change of
// one row updates it without reading the others.

// total is a number modulo 2^256, least significant limb first.
type total [4]uint64

func (t total) plus(o total) (r total) {
	var carry uint64
	for i := range t {
		r[i], carry = bits.Add64(t[i], o[i], carry)
	}
	return r
}

func (t total) minus(o total) (r total) {
	var borrow uint64
	for i := range t {
		r[i], borrow = bits.Sub64(t[i], o[i], borrow)
	}
	return r
}

func totalOf(m mac) (t total) {
	for i := range t {
		t[i] = binary.LittleEndian.Uint64(m[8*i:])
	}
	return t
}

func (t total) mac() (m mac) {
	for i := range t {
		binary.LittleEndian.PutUint64(m[8*i:], t[i])
	}
	return m
}

// element is what one row adds to the sum.
func (r *ring) element(c *credential) total {
	f := fields("row").text(string(c.principal.Kind)).text(c.id()).text(string(c.binding[:]))
	return totalOf(r.seal.sum(f))
}

// mask hides the sum of one state. Its nonce must never be used for another.
func (r *ring) mask(s store.CredentialState) total {
	f := fields("state").text(s.Nonce).number(s.Epoch).number(s.SecretVersion)
	return totalOf(r.seal.sum(f))
}

// opened is the sum that a state claims.
func (r *ring) opened(s store.CredentialState) total {
	return totalOf(parseMAC(s.Seal)).minus(r.mask(s))
}

// sealed is the state with a fresh nonce and the seal of a sum.
func (r *ring) sealed(epoch int64, sum total) store.CredentialState {
	var nonce [16]byte
	rand.Read(nonce[:]) //nolint:errcheck // crypto/rand never fails
	s := store.CredentialState{
		Epoch: epoch, SecretVersion: r.version, SecretCheck: r.check.hex(), Nonce: hex.EncodeToString(nonce[:]),
	}
	s.Seal = r.mask(s).plus(sum).mac().hex()
	return s
}
