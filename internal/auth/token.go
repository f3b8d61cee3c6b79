package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"strings"

	"sallyport/internal/secret"
)

// The kinds of token, told apart by their prefix.
const (
	prefixKey   = "sp_"  // a virtual key
	prefixAdmin = "spa_" // an administrator's credential
	prefixSetup = "sps_" // a one-time setup token
)

// A token is its prefix, 30 random base62 characters (178 bits) and a checksum
// of 6 base62 characters over what stands before it, CRC-32 (IEEE). The checksum
// tells a typing error from a wrong key without a look-up, and lets scanners find
// leaked keys with few false alarms; it protects nothing. The layout follows
// GitHub's token format ("Behind GitHub's new authentication token formats", 2021).
const (
	randomChars   = 30
	checksumChars = 6
	maxToken      = 64 // longer than every token
	alphabet      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newToken returns a fresh token of a kind.
func newToken(prefix string) secret.String {
	b := make([]byte, 0, maxToken)
	b = append(b, prefix...)
	var pool [64]byte
	for n := 0; n < randomChars; {
		rand.Read(pool[:]) //nolint:errcheck // crypto/rand never fails
		for _, r := range pool {
			// Six bits choose a character; 62 and 63 are thrown away, so that
			// every character is equally likely.
			if c := r & 63; int(c) < len(alphabet) && n < randomChars {
				b = append(b, alphabet[c])
				n++
			}
		}
	}
	sum := checksum(string(b))
	return secret.New(string(append(b, sum[:]...)))
}

// checksum is the CRC-32 of a text in base62, most significant digit first.
func checksum(text string) (sum [checksumChars]byte) {
	crc := ^uint32(0)
	for i := range len(text) { // by hand: a slice passed to hash/crc32 is moved to the heap
		crc = crc32.IEEETable[byte(crc)^text[i]] ^ crc>>8
	}
	crc = ^crc
	for i := checksumChars - 1; i >= 0; i-- {
		sum[i] = alphabet[crc%62]
		crc /= 62
	}
	return sum
}

// ParseKey says whether a text has the form of a credential (a virtual key or an
// administrator's) without looking anything up: its error is Malformed or
// Mistyped. Whether such a credential exists is another question.
func ParseKey(text string) error {
	switch {
	case strings.HasPrefix(text, prefixKey):
		return parseToken(text, prefixKey)
	case strings.HasPrefix(text, prefixAdmin):
		return parseToken(text, prefixAdmin)
	}
	return Malformed
}

// parseToken checks the form of a token whose prefix is known. Its errors are of
// type Refusal.
func parseToken(text, prefix string) error {
	if !strings.HasPrefix(text, prefix) {
		return Malformed
	}
	if len(text) != len(prefix)+randomChars+checksumChars {
		return Mistyped
	}
	for i := len(prefix); i < len(text); i++ {
		if c := text[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return Mistyped
		}
	}
	body := len(text) - checksumChars
	if sum := checksum(text[:body]); text[body:] != string(sum[:]) {
		return Mistyped
	}
	return nil
}

// digest is the SHA-256 of a token: what look-ups are made from.
func digest(token string) [sha256.Size]byte {
	var buf [maxToken]byte // keeps the copy off the heap
	if len(token) > len(buf) {
		return sha256.Sum256([]byte(token))
	}
	return sha256.Sum256(buf[:copy(buf[:], token)])
}
