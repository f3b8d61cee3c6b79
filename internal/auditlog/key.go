package auditlog

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/store"
)

// signing is what the log signs with under one origin.
type signing struct {
	origin   string
	vkey     string
	signer   note.Signer
	verifier note.Verifier
}

// newSigning opens a signing key that must belong to the origin and, in full, to
// the verifier key: a key's hash has 32 bits, for which anybody finds another key.
func newSigning(skey, vkey, origin string) (s signing, err error) {
	s.origin, s.vkey = origin, vkey
	if s.signer, err = note.NewSigner(skey); err != nil {
		return s, errors.New("the stored signing key is malformed") // the cause could quote it
	}
	own, err := verifierOf(skey)
	if err != nil {
		return s, err
	}
	if s.signer.Name() != origin || own != vkey {
		return s, errors.New("signing key, verifier key and origin of the log do not belong together")
	}
	if s.verifier, err = note.NewVerifier(vkey); err != nil {
		return s, fmt.Errorf("stored verifier key: %w", err)
	}
	return s, nil
}

// openKey reads what the log signs with, and creates the log on first use.
func (l *Log) openKey(ctx context.Context) error {
	keys := l.keys()
	if len(keys) == 0 {
		return errNoSealing
	}
	aead, err := newSeal(keys[0])
	if err != nil {
		return err
	}
	return l.db.Batch(ctx, func(tx *store.Tx) error {
		if err := create(ctx, tx, aead); err != nil {
			return err
		}
		l.key, err = storedSigning(ctx, tx, keys)
		return err
	})
}

// storedSigning reads what the log in the database signs with.
func storedSigning(ctx context.Context, tx *store.Tx, keys [][]byte) (signing, error) {
	origin, skey, err := storedKey(ctx, tx, keys)
	if err != nil {
		return signing{}, err
	}
	vkey, err := tx.Meta(ctx, metaVK)
	if err != nil {
		return signing{}, err
	}
	return newSigning(skey, vkey, origin)
}

// storedKey opens the stored signing key with the first of the sealing keys that fits.
func storedKey(ctx context.Context, tx *store.Tx, keys [][]byte) (origin, skey string, err error) {
	head, err := tx.Head(ctx)
	if err != nil {
		return "", "", err
	}
	sealed, err := tx.Meta(ctx, metaKey)
	if err != nil {
		return "", "", err
	}
	err = errNoSealing
	for _, key := range keys {
		aead, sealErr := newSeal(key)
		if sealErr != nil {
			return "", "", sealErr
		}
		if skey, err = unseal(aead, sealed, head.Origin); err == nil {
			break
		}
	}
	return head.Origin, skey, err
}

var errNoSealing = errors.New("there is no key to open the stored signing key with")

// OwnVerifierKey is the public half of the stored signing key, opened with the
// first of the sealing keys that fits. It changes nothing. The table's own word
// for the verifier key may have been changed by whoever changed the log.
func OwnVerifierKey(ctx context.Context, db *store.DB, sealing ...[]byte) (string, error) {
	var skey string
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		_, skey, err = storedKey(ctx, tx, sealing)
		return err
	})
	if err != nil {
		return "", err
	}
	return verifierOf(skey)
}

// verifierOf is the verifier key of a signing key in the form of
// note.GenerateKey: PRIVATE+KEY+name+hash+base64(algorithm || Ed25519 seed).
func verifierOf(skey string) (string, error) {
	malformed := errors.New("the stored signing key is malformed") // a cause could quote it
	parts := strings.SplitN(skey, "+", 5)
	if len(parts) != 5 {
		return "", malformed
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", malformed
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", malformed
	}
	return note.NewEd25519VerifierKey(parts[2], public)
}

// create makes head and key in one transaction; where they exist they stay.
func create(ctx context.Context, tx *store.Tx, aead cipher.AEAD) error {
	_, err := tx.Head(ctx)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	origin := newOrigin()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return fmt.Errorf("generate signing key: %w", err)
	}
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		return err
	}
	// The head comes first: of two replicas that start at once the second waits
	// here, and then changes nothing.
	if err := tx.CreateHead(ctx, origin, store.Hash(empty)); err != nil {
		return err
	}
	if err := tx.InitMeta(ctx, metaKey, seal(aead, skey, origin)); err != nil {
		return err
	}
	return tx.InitMeta(ctx, metaVK, vkey)
}

// newSeal is AES-256-GCM with random nonces (NIST SP 800-38D section 8.2.2).
func newSeal(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("the key that seals the signing key has %d bytes, want 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts the signing key, bound to the origin.
func seal(aead cipher.AEAD, skey, origin string) string {
	return base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, []byte(skey), []byte(origin)))
}

func unseal(aead cipher.AEAD, sealed, origin string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(sealed))
	if err != nil {
		return "", errors.New("the stored signing key is malformed")
	}
	skey, err := aead.Open(nil, nil, raw, []byte(origin))
	if err != nil {
		return "", errors.New("the secret does not open the stored signing key: it is another secret, or the row was changed")
	}
	return string(skey), nil
}
