package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// ErrInUse is the cause when a version of the master secret was to be dropped
// while credentials depend on it.
var ErrInUse = errors.New("credentials depend on this version of the master secret")

// rewriteTimeout bounds a change of every row.
const rewriteTimeout = 5 * time.Minute

// Rotation is the result of rotating the master secret.
type Rotation struct {
	Version    int64 // now in force
	Rows       int   // bound under it
	OldLookups int   // still under older versions; each moves when its credential is next used
}

// RotateSecret puts a new version of the master secret in force. Every row is
// bound under it at once. A look-up cannot be moved before its credential is
// presented again, so older versions are held until DropSecret.
//
// With a secret file the new version is made and written to the file first. A
// secret from the configuration is rotated in two steps, so that no replica ever
// meets rows that it cannot read: put a new version (NewSecretText) in front of
// the others on every replica and restart them; then rotate on any one.
func (a *Auth) RotateSecret(ctx context.Context, journal Journal) (Rotation, error) {
	a.change.Lock()
	defer a.change.Unlock()
	known, _, _, _ := a.known()
	if a.master.Newest() <= known.SecretVersion {
		if a.master.file == "" {
			return Rotation{}, fault.Newf(fault.BadRequest,
				"the master secret comes from the configuration: put a version %d in front of it on every replica, restart them, and rotate again",
				known.SecretVersion+1)
		}
		if _, err := a.master.add(); err != nil {
			return Rotation{}, err
		}
	}
	rs := newRings(a.master)
	a.hold(rs)
	to := rs[a.master.Newest()]
	out := Rotation{Version: to.version}
	err := a.rewrite(ctx, journal, rs, func(w *rewrite) (Act, error) {
		if !w.intact {
			return Act{}, ErrSeal
		}
		w.under = to
		for _, c := range w.rows {
			if c.damage != "" {
				c.element = to.element(c)
				continue
			}
			c.bind(to, w.epoch)
			w.changed = append(w.changed, c)
		}
		out.Rows = len(w.changed)
		return Act{"secret.rotate", strconv.FormatInt(to.version, 10), map[string]string{
			"former": strconv.FormatInt(known.SecretVersion, 10), "rows": strconv.Itoa(out.Rows), "epoch": strconv.FormatInt(w.epoch, 10),
		}}, nil
	})
	if err != nil {
		return Rotation{}, err
	}
	out.OldLookups = a.Status().OldLookups
	return out, nil
}

// Resealed is the result of resealing.
type Resealed struct {
	Rows    int `json:"rows"`    // sealed as they are
	Damaged int `json:"damaged"` // of these, edited ones; they stay refused
	Revoked int `json:"revoked"` // of these, older than what this process knew; they were revoked
}

// Reseal accepts the rows of credentials as they now are, after somebody deleted
// some or put a table back. It does not make an edited row valid. A row that
// this process has known in a newer state is revoked. An operator should have
// looked at the list of keys and administrators before.
func (a *Auth) Reseal(ctx context.Context, journal Journal) (Resealed, error) {
	a.change.Lock()
	defer a.change.Unlock()
	if err := a.initState(ctx); err != nil {
		return Resealed{}, unavailable(err)
	}
	_, _, _, rs := a.known()
	var out Resealed
	err := a.rewrite(ctx, journal, rs, func(w *rewrite) (Act, error) {
		out.Rows = len(w.rows)
		for _, c := range w.rows {
			old := a.row(c.row())
			switch {
			case c.damage != "":
				out.Damaged++
			case old != nil && c.epoch < old.epoch && c.revoked == 0:
				c.revoked = w.now
				c.bind(w.under, w.epoch)
				w.changed = append(w.changed, c)
				out.Revoked++
			}
		}
		return Act{"credentials.reseal", strconv.FormatInt(w.epoch, 10), map[string]string{
			"rows": strconv.Itoa(out.Rows), "damaged": strconv.Itoa(out.Damaged), "revoked": strconv.Itoa(out.Revoked),
		}}, nil
	})
	if err == nil {
		err = a.check(ctx, true)
	}
	return out, err
}

// rewrite is a change that reads every row.
type rewrite struct {
	rows    []*credential // judged under the ring in force
	intact  bool          // they match their seal
	under   *ring         // to seal them under
	epoch   int64         // of the change
	now     int64
	changed []*credential // of the rows, those to write
}

// rewrite makes a change of every row; the caller holds change.
func (a *Auth) rewrite(ctx context.Context, journal Journal, rs rings, plan func(*rewrite) (Act, error)) error {
	if journal == nil {
		return errors.New("auth: a change without a journal")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rewriteTimeout)
	defer cancel()
	w := &rewrite{now: time.Now().UnixMicro()}
	var next store.CredentialState
	err := a.batch(ctx, journal, func(tx *store.Tx) (Act, error) {
		state, err := tx.NextCredentialState(ctx)
		if err != nil {
			return Act{}, err
		}
		if w.under, err = rs.of(state); err != nil {
			return Act{}, err
		}
		if w.rows, err = load(w.under, tx.Keys(ctx), tx.Admins(ctx)); err != nil {
			return Act{}, err
		}
		known, _, _, _ := a.known()
		before := state
		before.Epoch--
		w.epoch = max(state.Epoch, known.Epoch+1)
		w.intact = sumOf(w.rows) == w.under.opened(before) && before.Epoch >= known.Epoch
		act, err := plan(w)
		if err != nil {
			return Act{}, err
		}
		next = w.under.sealed(w.epoch, sumOf(w.rows))
		return act, write(ctx, tx, next, w.changed)
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.book.state.Epoch < next.Epoch { // else a poll saw it first
		b := a.book.reconcile(rs, next, w.rows)
		a.logDamage(ctx, a.book, b)
		a.book = b
		a.snapshot.Store(b.snapshot())
	}
	return nil
}

// hold serves with the sub-keys of the versions that are held from now on.
func (a *Auth) hold(rs rings) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.book.rings = rs
	a.snapshot.Store(a.book.snapshot())
}

func sumOf(rows []*credential) (sum total) {
	for _, c := range rows {
		sum = sum.plus(c.element)
	}
	return sum
}

// Dependent is a credential that loses something when a version of the master
// secret is dropped.
type Dependent struct {
	Kind   identity.Kind
	ID     string
	Name   string
	Former bool // only the secret before its last rotation
}

// DropSecret forgets an old version of the master secret, in the file too when
// there is one; from the configuration an operator takes it out. While live
// credentials can only be found under it, the error has ErrInUse in its chain and
// the list tells which; with force they are revoked, and the list tells what died.
// Whatever else was sealed under the version must have been moved before.
func (a *Auth) DropSecret(ctx context.Context, version int64, force bool, journal Journal) ([]Dependent, error) {
	known, _, _, rs := a.known()
	if rs[version] == nil {
		return nil, fault.Newf(fault.NotFound, "version %d of the master secret is not held", version)
	}
	if version >= known.SecretVersion {
		return nil, fault.Newf(fault.BadRequest, "version %d of the master secret is in force or newer; rotate first", version)
	}
	var list []Dependent
	err := a.transact(ctx, journal, func(e *edit) (Act, error) {
		list = nil
		for _, c := range a.dependents(version, time.UnixMicro(e.now)) {
			former := c.lookup.version != version
			list = append(list, Dependent{c.principal.Kind, c.id(), c.principal.Name, former})
			if former {
				c = c.clone()
				c.prior, c.priorUntil = versioned{}, 0
				e.put(c)
			} else {
				e.revoke(c)
			}
		}
		if len(list) > 0 && !force {
			return Act{}, fault.Wrap(fault.BadRequest,
				fmt.Sprintf("%d credentials were not used since the rotation and would die with version %d", len(list), version), ErrInUse)
		}
		d := map[string]string{"epoch": strconv.FormatInt(e.epoch, 10), "died": strconv.Itoa(len(list))}
		return Act{"secret.drop", strconv.FormatInt(version, 10), d}, nil
	})
	if err != nil {
		return list, err
	}
	if err := a.master.drop(version); err != nil {
		return list, err
	}
	a.hold(newRings(a.master))
	return list, nil
}

// dependents are the live credentials that are found under a version, by id.
func (a *Auth) dependents(version int64, now time.Time) []*credential {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []*credential
	for _, c := range a.book.rows {
		if c.live(now) && (c.lookup.version == version || c.prior.version == version && c.state(true, now) == "") {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(x, y *credential) int { return strings.Compare(x.id(), y.id()) })
	return found
}

// upgrade is a look-up to be moved to the version in force.
type upgrade struct {
	row  rowID
	from mac
	to   versioned
}

// Bounds of moving look-ups.
const (
	maxUpgrades = 1024 // queued; one that finds no room is queued at its next use
	maxMoved    = 256  // in one change
)

// queueUpgrade has the look-up of a credential that was just presented moved to
// the version in force, in the background.
func (a *Auth) queueUpgrade(ref reference, to *ring, token string) {
	c := ref.credential
	if !c.moving.CompareAndSwap(false, true) {
		return
	}
	u := upgrade{c.row(), ref.mac, versioned{to.version, to.lookup.sumDigest(digest(token))}}
	select {
	case a.upgrades <- u:
	default:
		c.moving.Store(false)
		a.metrics.dropped.Inc()
	}
}

// upgrade moves queued look-ups until ctx ends.
func (a *Auth) upgrade(ctx context.Context) {
	for {
		var batch []upgrade
		select {
		case <-ctx.Done():
			return
		case u := <-a.upgrades:
			batch = append(batch, u)
		}
		for len(batch) < maxMoved && len(a.upgrades) > 0 {
			batch = append(batch, <-a.upgrades)
		}
		if err := a.move(ctx, batch); err != nil {
			a.log.WarnContext(ctx, "look-ups not moved to the new master secret yet", "count", len(batch), "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(a.cfg.PollEvery):
			}
		}
	}
}

// move writes the new look-ups of rows that still have the old ones. It grants
// and takes nothing, so it is not an act.
func (a *Auth) move(ctx context.Context, batch []upgrade) error {
	err := a.transact(ctx, func(Act) error { return nil }, func(e *edit) (Act, error) {
		moved := map[rowID]*credential{}
		for _, u := range batch {
			c := moved[u.row]
			if c == nil {
				old := a.row(u.row)
				if old == nil || old.damage != "" {
					continue
				}
				c = old.clone()
			}
			switch {
			case u.to.version != e.ring.version:
				continue
			case c.lookup.mac == u.from:
				c.lookup = u.to
			case c.prior.mac == u.from:
				c.prior = u.to
			default:
				continue
			}
			moved[u.row] = c
		}
		if len(moved) == 0 {
			return Act{}, errDone
		}
		for _, c := range moved {
			e.put(c)
		}
		return Act{}, nil
	})
	if errors.Is(err, errDone) {
		return nil
	}
	if err != nil {
		for _, u := range batch {
			if c := a.row(u.row); c != nil {
				c.moving.Store(false)
			}
		}
	}
	return err
}
