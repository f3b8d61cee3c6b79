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

// openKey reads the log's head and signing key, and creates both on first use.
func (l *Log) openKey(ctx context.Context, sealing []byte) error {
	aead, err := newSeal(sealing)
	if err != nil {
		return err
	}
	var sealed, skey string
	err = l.db.Batch(ctx, func(tx *store.Tx) error {
		if err := create(ctx, tx, aead); err != nil {
			return err
		}
		head, err := tx.Head(ctx)
		if err != nil {
			return err
		}
		l.origin = head.Origin
		if sealed, err = tx.Meta(ctx, metaKey); err != nil {
			return err
		}
		l.vkey, err = tx.Meta(ctx, metaVK)
		return err
	})
	if err != nil {
		return err
	}
	if skey, err = unseal(aead, sealed, l.origin); err != nil {
		return err
	}
	if l.signer, err = note.NewSigner(skey); err != nil {
		return errors.New("the stored signing key is malformed") // the cause could quote it
	}
	own, err := verifierOf(skey)
	if err != nil {
		return err
	}
	// In full: a key's hash has 32 bits, for which anybody finds another key.
	if l.signer.Name() != l.origin || own != l.vkey {
		return errors.New("signing key, verifier key and origin of the log do not belong together")
	}
	if l.verifier, err = note.NewVerifier(l.vkey); err != nil {
		return fmt.Errorf("stored verifier key: %w", err)
	}
	return nil
}

// OwnVerifierKey is the public half of the stored signing key, opened with the
// first of the sealing keys that fits. It changes nothing. The table's own word
// for the verifier key may have been changed by whoever changed the log.
func OwnVerifierKey(ctx context.Context, db *store.DB, sealing ...[]byte) (string, error) {
	var origin, sealed string
	err := db.View(ctx, func(tx *store.Tx) error {
		head, err := tx.Head(ctx)
		if err != nil {
			return err
		}
		origin = head.Origin
		sealed, err = tx.Meta(ctx, metaKey)
		return err
	})
	if err != nil {
		return "", err
	}
	err = errors.New("there is no key to open the stored signing key with")
	for _, key := range sealing {
		aead, sealErr := newSeal(key)
		if sealErr != nil {
			return "", sealErr
		}
		var skey string
		if skey, err = unseal(aead, sealed, origin); err == nil {
			return verifierOf(skey)
		}
	}
	return "", err
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
