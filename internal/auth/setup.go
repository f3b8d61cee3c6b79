package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// SetupLifetime is how long a setup token can be exchanged.
const SetupLifetime = 15 * time.Minute

// setup is the one-time token that may be open. Only its hash is kept, in memory.
type setup struct {
	// mu guards the token and is held while it is exchanged, so that it is
	// exchanged once.
	mu      sync.Mutex
	hash    [sha256.Size]byte
	expires time.Time // zero when there is none
}

// MintSetup returns a one-time token that ExchangeSetup takes for an
// administrator's credential within SetupLifetime. An earlier token ends. It is
// not recorded: what it makes is.
func (a *Auth) MintSetup() secret.String {
	token := newToken(prefixSetup)
	a.setup.mu.Lock()
	defer a.setup.mu.Unlock()
	a.setup.hash = digest(token.Reveal())
	a.setup.expires = time.Now().Add(SetupLifetime)
	return token
}

// ExchangeSetup makes an administrator's credential with the role admin for
// whoever holds the setup token. A token that is wrong, used or late is a fault
// of kind Unauthenticated and counts against its source. When the credential
// cannot be made, the token stays valid.
func (a *Auth) ExchangeSetup(ctx context.Context, token secret.String, name string, source netip.Addr, journal Journal) (Admin, secret.String, error) {
	a.setup.mu.Lock()
	defer a.setup.mu.Unlock()
	given := digest(token.Reveal())
	right := subtle.ConstantTimeCompare(given[:], a.setup.hash[:]) == 1
	if !right || !time.Now().Before(a.setup.expires) {
		err := a.refuse(Unknown, source)
		if err.Kind == fault.Unauthenticated {
			err.Public = "the setup link is not valid any more; make an administrator with: sallyport admin new"
		}
		return Admin{}, secret.String{}, err
	}
	admin, credential, err := a.newAdmin(ctx, AdminSpec{Name: name, Role: identity.RoleAdmin}, "setup", journal)
	if err == nil {
		a.setup.hash, a.setup.expires = [sha256.Size]byte{}, time.Time{}
	}
	return admin, credential, err
}
