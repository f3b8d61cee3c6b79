package app

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"

	"sallyport/internal/auth"
	"sallyport/internal/config"
)

// evidenceSigning is the purpose of the sub-key that signs bundles and references.
const evidenceSigning = "evidence signing"

// EvidenceKey is the key by which the owner of a data folder signs bundles of audits
// and recorded references. It follows from the oldest version of the master secret
// that is held, so that it stays when the secret is rotated.
func EvidenceKey(c *config.Config, dir string) (ed25519.PrivateKey, error) {
	var master *auth.Master
	var err error
	if c == nil || c.Secret.IsZero() {
		master, _, err = auth.LoadMaster(dir)
	} else {
		master, err = auth.ParseMaster(c.Secret.Secret())
	}
	if err != nil {
		return nil, err
	}
	versions := master.Versions()
	seed, held := master.Subkey(versions[len(versions)-1], evidenceSigning)
	if !held {
		return nil, errors.New("no version of the master secret is held")
	}
	return ed25519.NewKeyFromSeed(seed[:]), nil
}

// ReferenceFolder is where a data folder keeps references.
func ReferenceFolder(dir string) string { return filepath.Join(dir, "references") }
