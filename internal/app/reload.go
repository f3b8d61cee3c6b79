package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"sallyport/internal/auth"
	"sallyport/internal/config"
	"sallyport/internal/upstream"
)

// Reload reads the configuration again, as SIGHUP demands.
func (a *App) Reload(ctx context.Context) error { return a.reload(ctx, "local") }

// reload builds the configuration as it is now and swaps it in. When anything is
// wrong with it nothing changes.
func (a *App) reload(ctx context.Context, actor string) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	former := a.parts.Load()
	p, err := a.buildParts(ctx, former)
	if err != nil {
		a.log.Error("configuration not reloaded: what was in force stays", "error", err)
		return err
	}
	if p.snapshot.Hash == former.snapshot.Hash && len(p.upstreams) == len(former.upstreams) {
		a.log.Debug("configuration is unchanged")
	}
	if fields := config.Diff(a.config, p.config); len(fields) > 0 {
		a.log.Warn("changes that need a restart are not in force", "fields", strings.Join(fields, ", "))
	}
	err = a.act(actor, auth.Act{Act: "config.reload", Target: "configuration", Detail: map[string]string{"from": former.snapshot.Hash, "to": p.snapshot.Hash}})
	if err != nil {
		return fmt.Errorf("record the reload: %w", err)
	}
	a.parts.Store(p)
	a.ledger.SetBook(p.book)
	a.swap(p.snapshot)
	for name, u := range former.upstreams {
		if p.upstreams[name] != u {
			u.Close()
		}
	}
	a.log.Info("configuration reloaded", "hash", p.snapshot.Hash)
	return nil
}

// settle is how long a changed file must rest before it is read: editors write
// in several steps.
const settle = 200 * time.Millisecond

// watchConfig reloads when the configuration file changes. The folder is watched,
// since editors and orchestrators replace files instead of writing them.
func (a *App) watchConfig(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the configuration file: %w", err)
	}
	defer w.Close()
	if err := w.Add(filepath.Dir(a.opts.ConfigFile)); err != nil {
		return fmt.Errorf("watch the configuration file: %w", err)
	}
	var seen fileStamp
	rest := time.NewTimer(settle) // once at first: the file may have changed before the watch began
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Events:
			if !ok {
				return errors.New("the watch of the configuration file ended")
			}
			// Whatever happens to other files there, a log among them, is no reason to look again.
			if now, ok := stampOf(a.opts.ConfigFile); ok && now != seen && e.Has(fsnotify.Write|fsnotify.Create|fsnotify.Rename) {
				seen = now
				rest.Reset(settle)
			}
		case err := <-w.Errors:
			a.log.Warn("the watch of the configuration file reports an error", "error", err)
		case <-rest.C:
			if changed, err := a.configChanged(); err == nil && !changed {
				continue
			}
			_ = a.reload(ctx, "file") // logged there
		}
	}
}

// fileStamp tells one state of a file from another, and one file from another.
type fileStamp struct {
	inode, device uint64
	size          int64
	modified      unix.Timespec
}

// stampOf is the stamp of a file, behind links, and whether there is one.
func stampOf(path string) (fileStamp, bool) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return fileStamp{}, false
	}
	return fileStamp{st.Ino, uint64(st.Dev), st.Size, st.Mtim}, true
}

// configChanged reports whether the file means something else than what is in
// force. A file that does not load has changed.
func (a *App) configChanged() (bool, error) {
	c, err := a.loadConfig()
	if err != nil {
		return true, err
	}
	return c.Hash() != a.parts.Load().snapshot.Hash, nil
}

// Intervals of asking upstreams for their models: soon again while one has not
// answered, rarely once it has.
const (
	catalogSoon   = 5 * time.Second
	catalogRarely = 5 * time.Minute
)

// refreshCatalogs keeps the model lists of upstreams that expose them, and of
// local ones, whose remote models must be known.
func (a *App) refreshCatalogs(ctx context.Context) error {
	asked := map[*upstream.Upstream]time.Time{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		asked = a.refreshDue(ctx, asked)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// refreshDue asks every upstream whose turn it is, all at once, and returns when
// each upstream of the configuration in force was last asked.
func (a *App) refreshDue(ctx context.Context, last map[*upstream.Upstream]time.Time) map[*upstream.Upstream]time.Time {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	asked := map[*upstream.Upstream]time.Time{}
	var wg sync.WaitGroup
	for _, u := range a.parts.Load().upstreams {
		known := u.Catalog().Known
		if t, ok := last[u]; ok {
			asked[u] = t
		} else if known { // while it was built
			asked[u] = time.Now()
		}
		pause := catalogRarely
		if !known {
			pause = catalogSoon
		}
		if !u.NeedsCatalog() || time.Since(asked[u]) < pause {
			continue
		}
		asked[u] = time.Now()
		wg.Go(func() {
			if err := u.Refresh(ctx); err != nil {
				a.log.Debug("model list not refreshed", "upstream", u.Name, "error", err)
			}
		})
	}
	wg.Wait()
	return asked
}
