package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sallyport/internal/auditlog"
	"sallyport/internal/ledger"
)

// verify recomputes the whole audit log and the ledger.
func (a *App) verify(ctx context.Context, against []byte) (auditlog.Report, error) {
	_ = a.auditLog.Follow(ctx) // an origin that it does not follow to becomes a finding
	return auditlog.Verify(ctx, a.store, auditlog.VerifyOptions{
		Entry: ledger.Entry, Count: ledger.Count, HeadsFile: a.folder.Path(headsFile), Against: against, VKey: a.auditLog.VerifierKey(),
	})
}

// Verify recomputes the audit log and the ledger of a data folder that no
// process has open. Nothing is recovered, projected or signed: the evidence is
// judged as it was found, and a log that no gateway could go on from gets its
// report as well. What waits in the journal is not part of it. It fails with
// ErrRunning when a process has the folder.
func Verify(ctx context.Context, opts Options, against []byte) (report auditlog.Report, err error) {
	a := &App{opts: opts, log: opts.Logger}
	defer func() { err = errors.Join(err, a.Stop(context.WithoutCancel(ctx))) }()
	if a.config, err = a.loadConfig(); err != nil {
		return report, err
	}
	if err := a.present(); err != nil {
		return report, err
	}
	if err := a.openFolder(); err != nil {
		return report, err
	}
	if err := a.openStore(ctx); err != nil {
		return report, err
	}
	vkey, keyErr := a.ownVerifierKey(ctx)
	return auditlog.Verify(ctx, a.store, auditlog.VerifyOptions{
		Entry: ledger.Entry, Count: ledger.Count, HeadsFile: a.folder.Path(headsFile), Against: against,
		VKey: vkey, KeyError: keyErr, Moved: a.folder.Moved,
	})
}

// present fails when there is nothing to verify: opening would make it.
func (a *App) present() error {
	path := a.config.Data
	if a.config.Database.URL.Secret().Empty() {
		path = filepath.Join(path, databaseFile)
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is nothing to verify; name another data folder with --data: %w", err)
	}
	return nil
}

// ownVerifierKey is the verifier key that belongs to the log's signing key, which
// only the master secret opens.
func (a *App) ownVerifierKey(ctx context.Context) (string, error) {
	if a.config.Secret.IsZero() {
		if _, err := os.Stat(a.folder.Path("secret")); err != nil {
			return "", fmt.Errorf("the master secret is not there: %w", err)
		}
	}
	if err := a.openMaster(); err != nil {
		return "", err
	}
	return auditlog.OwnVerifierKey(ctx, a.store, a.sealing()...)
}
