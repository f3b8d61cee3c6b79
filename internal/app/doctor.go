package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/auditlog"
	"sallyport/internal/auth"
	"sallyport/internal/console"
	"sallyport/internal/label"
	"sallyport/internal/store"
)

// lowDisk is the free space below which the doctor warns.
const lowDisk = 1 << 30

// doctor looks at everything that usually goes wrong; each finding names the
// next command.
func (a *App) doctor(ctx context.Context) []console.Check {
	var checks []console.Check
	add := func(name string, err error, detail, fix string) {
		c := console.Check{Name: name, OK: err == nil, Detail: detail}
		if err != nil {
			c.Detail, c.Fix = err.Error(), fix
		}
		checks = append(checks, c)
	}
	add("journal", a.journal.Healthy(), "writable, id "+a.journal.ID(), "free space in the data folder, or look at the log for the failed write")
	add("database", a.store.Ping(ctx), a.store.Engine()+" answers", "start the database; requests are recorded in the journal meanwhile")
	trouble := a.logTrouble(ctx)
	add("audit log", trouble, "takes what is recorded, and is signed", logFix(trouble))
	add("disk", a.diskSpace(), "enough space in the data folder", "free space: a full disk refuses new requests")
	keys := a.auth.Keys(auth.KeyFilter{State: auth.StateActive, Limit: 1})
	add("keys", some(len(keys) > 0, "no virtual key is valid"), "at least one key is valid", "sallyport keys new --project NAME")
	if a.auth.HasAdmin() {
		add("administrator", nil, "at least one exists", "")
	} else {
		add("administrator", nil, "none yet: listeners beyond loopback are refused until sallyport admin new", "")
	}
	add("models", some(len(a.models()) > 0, "no model is served"), fmt.Sprintf("%d models", len(a.models())), noModelFix)
	s := a.gateway.Snapshot()
	ups := a.parts.Load().upstreams
	for _, name := range slices.Sorted(maps.Keys(ups)) {
		u := ups[name]
		t, _ := a.test(ctx, string(name))
		add("upstream "+string(name), some(t.OK, t.Error), fmt.Sprintf("answers in %d ms, %d models, class %s", t.Millis, t.Models, u.Class), "sallyport upstreams test "+string(name))
		if u.Class == label.Any && s.Label > label.Public {
			fix := "set its class in the configuration file"
			if a.parts.Load().found[name] {
				fix = confirmCommand(name)
			}
			add("class of "+string(name), fmt.Errorf("class any may not carry data labelled %s", s.Label), "", fix)
		}
	}
	return checks
}

// logTrouble is what stands in the way of the audit log, which shows when it is tried.
func (a *App) logTrouble(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	_ = a.projector.Flush(ctx)
	return a.projector.Trouble()
}

// logFix is what to do about a log that is not written or signed.
func logFix(trouble error) string {
	if errors.Is(trouble, auditlog.ErrRolledBack) {
		return "sallyport log verify; when a backup was restored and the journals of all replicas are projected: sallyport log reopen --reason TEXT"
	}
	if errors.Is(trouble, store.ErrClaimed) {
		return "stop the gateway whose data folder is a copy of this one, or this one"
	}
	return "sallyport log verify"
}

func some(ok bool, why string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s", why)
}

func (a *App) diskSpace() error {
	var st unix.Statfs_t
	if err := unix.Statfs(a.config.Data, &st); err != nil {
		return fmt.Errorf("look at the data folder's disk: %w", err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < lowDisk {
		return fmt.Errorf("%d MiB are free in the data folder", free>>20)
	}
	return nil
}

// prove returns the proof of a request's leaf, waiting for the next checkpoint
// when none covers it yet.
func (a *App) prove(ctx context.Context, rid string) (auditlog.Proof, error) {
	if _, err := a.auditLog.Sign(ctx, time.Now().UnixMicro()); err != nil {
		return auditlog.Proof{}, err
	}
	return a.auditLog.Prove(ctx, rid)
}
