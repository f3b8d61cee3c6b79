package stat

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Seed derives the seed of one random choice from that of the whole and the names of
// what it is for (detector, cell, counter), so that every choice can be made again
// alone and in any order. It is HMAC-SHA-256 under the parent over the labels, each
// preceded by its length in eight bytes: no two lists of labels share an input.
func Seed(parent [32]byte, labels ...string) [32]byte {
	mac := hmac.New(sha256.New, parent[:])
	for _, label := range labels {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(label)))
		mac.Write(length[:])
		mac.Write([]byte(label))
	}
	return [32]byte(mac.Sum(nil))
}

// Rand is a generator (ChaCha8) that gives the same numbers for the same seed. It is
// not safe for concurrent use.
func Rand(seed [32]byte) *rand.Rand { return rand.New(rand.NewChaCha8(seed)) }
