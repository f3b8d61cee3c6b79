package app

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/auditlog"
)

// logSigning is the purpose of the sub-key that seals the log's signing key.
const logSigning = "log signing"

// headsFile is the file of the data folder that remembers signed checkpoints.
const headsFile = "heads"

// openLog opens the audit log. Its signing key is sealed under a version of the
// master secret.
func (a *App) openLog(ctx context.Context) (*auditlog.Log, error) {
	return auditlog.Open(ctx, auditlog.Config{DB: a.store, Keys: a.sealing, HeadsFile: a.folder.Path(headsFile), Logger: a.log})
}

// sealing are the keys that may seal the log's signing key, newest first.
func (a *App) sealing() [][]byte {
	var keys [][]byte
	for _, v := range a.master.Versions() {
		key, _ := a.master.Subkey(v, logSigning)
		keys = append(keys, key[:])
	}
	return keys
}

// moveSeals seals what is stored under older versions of the master secret under
// its newest: the log's signing key. It changes nothing when that is done already.
func (a *App) moveSeals(ctx context.Context) error {
	newest, ok := a.master.Subkey(a.master.Newest(), logSigning)
	if !ok {
		return errors.New("the newest version of the master secret is not held")
	}
	var errs []error
	for _, v := range a.master.Versions() {
		key, _ := a.master.Subkey(v, logSigning)
		err := auditlog.Reseal(ctx, a.store, key[:], newest[:])
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("seal the signing key anew: %w", errors.Join(errs...))
}

// documentKey is the sub-key of a version that seals kept documents.
func (a *App) documentKey(version int64) ([32]byte, bool) {
	key, held := a.master.Subkey(version, "kept documents")
	return key, held
}
