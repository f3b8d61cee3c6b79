package app

import (
	"cmp"
	"context"
	"errors"
	"time"

	"sallyport/internal/store"
)

// claimTime is how long a moved folder waits for its journal: a machine that died
// keeps its claim for a while, a live original keeps it for ever.
const claimTime = 30 * time.Second

// claimEvery is how often the claim is looked at: so long after a restart of
// PostgreSQL a copy of the folder may find the journal free though its original
// lives.
const claimEvery = time.Second

const claimLost = "another process has the claim of this journal: its data folder is a copy of this one; nothing of the journal is projected until it lets go"

// takeClaim takes the right to project the journal. A folder that is where it was
// does not wait: its lock shows that no other process here has it.
func (a *App) takeClaim(ctx context.Context) (bool, error) {
	a.claim = a.store.Claim(a.journal.ID())
	until := time.Now().Add(cmp.Or(a.opts.claimTime, claimTime))
	retry := time.NewTicker(claimEvery)
	defer retry.Stop()
	for {
		err := a.claim.Hold(ctx)
		if !errors.Is(err, store.ErrClaimed) {
			return err == nil, err
		}
		if !a.folder.Moved || time.Now().After(until) {
			return false, nil
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// watchClaim takes the claim again as soon as it is lost, as in a restart of
// PostgreSQL, and tells when another process was faster.
func (a *App) watchClaim(ctx context.Context) error {
	look := time.NewTicker(claimEvery)
	defer look.Stop()
	lost := false
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
		err := a.claim.Hold(ctx)
		switch {
		case errors.Is(err, store.ErrClaimed):
			if !lost {
				a.log.Error(claimLost, "alert", true, "journal", a.journal.ID())
			}
			lost = true
		case err == nil:
			if lost {
				a.log.Warn("the claim of the journal is held again", "journal", a.journal.ID())
			}
			lost = false
		}
	}
}
