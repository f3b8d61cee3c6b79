package auth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// Act describes one change of credentials for the record. Detail never holds a
// credential.
type Act struct {
	Act    string // such as "key.create"
	Target string // the id of what was changed
	Detail map[string]string
}

// Journal records an act. It is called after the change is prepared and before
// it is committed, while the database's write lock is held: it must not use the
// database. When it fails, the change is not made. Should the commit fail after
// it succeeded, it is called again with the act's name followed by
// ".unconfirmed", so that record and rows never differ in silence.
type Journal func(Act) error

// How changes are bounded.
const (
	changeTimeout = 15 * time.Second
	changeTries   = 3       // when the rows had to be read anew
	maxRows       = 1 << 20 // credentials of all kinds, dead ones included: they are never deleted
)

var (
	// errBehind means that another replica changed credentials first.
	errBehind = errors.New("credentials were changed elsewhere")
	// errDone ends a change that has nothing to do.
	errDone = errors.New("nothing to change")
)

// edit is one change while it is prepared.
type edit struct {
	auth    *Auth
	ring    *ring // what new rows are bound under
	epoch   int64 // of the change
	now     int64 // microseconds since the Unix epoch
	changed []*credential
}

// put takes part in the change with a row, new or cloned from an earlier one.
func (e *edit) put(c *credential) {
	c.bind(e.ring, e.epoch)
	e.changed = append(e.changed, c)
}

// issue makes a fresh token the present secret of a credential.
func (e *edit) issue(c *credential, token string, lifetime time.Duration) {
	c.lookup = versioned{e.ring.version, e.ring.lookup.sumDigest(digest(token))}
	c.issued = e.now
	c.expires = e.now + lifetime.Microseconds()
}

// transact makes one change: what plan prepares is written, sealed, recorded and
// committed together, and served before transact returns. It runs to its end
// even when the caller goes away.
func (a *Auth) transact(ctx context.Context, journal Journal, plan func(*edit) (Act, error)) error {
	if journal == nil {
		return errors.New("auth: a change without a journal")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
	defer cancel()
	a.change.Lock()
	defer a.change.Unlock()
	cause := errBehind
	for range changeTries {
		err := a.attempt(ctx, journal, plan)
		if !errors.Is(err, errBehind) {
			return err
		}
		if err := a.check(ctx, false); errors.Is(err, ErrSeal) {
			cause = err
		} else if err != nil {
			return unavailable(err)
		}
	}
	return unavailable(cause)
}

// unavailable is a failure of the database as an administrator sees it.
func unavailable(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	public := "credentials cannot be changed now"
	if errors.Is(err, ErrSeal) {
		public = ErrSeal.Error()
	}
	return fault.Wrap(fault.Unavailable, public, err)
}

// attempt is one try of transact.
func (a *Auth) attempt(ctx context.Context, journal Journal, plan func(*edit) (Act, error)) error {
	if a.checked.Load() == nil { // it never matched: there is nothing to build on
		return unavailable(ErrSeal)
	}
	var next store.CredentialState
	e := &edit{auth: a, now: time.Now().UnixMicro()}
	err := a.batch(ctx, journal, func(tx *store.Tx) (Act, error) {
		state, err := tx.NextCredentialState(ctx)
		if err != nil {
			return Act{}, err
		}
		before := state
		before.Epoch--
		if e.ring, err = a.catchUp(ctx, tx, before); err != nil {
			return Act{}, err
		}
		e.epoch = state.Epoch
		act, err := plan(e)
		if err != nil {
			return Act{}, err
		}
		sum := e.ring.opened(before)
		for _, c := range e.changed {
			if old := a.row(c.row()); old != nil {
				sum = sum.minus(old.element)
			}
			sum = sum.plus(c.element)
		}
		next = e.ring.sealed(state.Epoch, sum)
		return act, write(ctx, tx, next, e.changed)
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.book.state.Epoch < next.Epoch { // else a poll saw it first
		a.publish(next, e.changed)
	}
	return nil
}

// catchUp brings the book up to the state before a change, while the lock keeps
// other replicas from changing it again, and returns the ring in force. When the
// rows do not add up the error is errBehind, and a full check has to look.
func (a *Auth) catchUp(ctx context.Context, tx *store.Tx, before store.CredentialState) (*ring, error) {
	known, last, intact, rs := a.known()
	r, err := rs.of(before)
	if err != nil || before == known {
		return r, err
	}
	if !intact && before == last && before.Epoch > known.Epoch {
		return r, nil // nothing adds up, but this is what was last read: let it be changed, above all revoked
	}
	if !intact || before.Epoch <= known.Epoch || before.SecretVersion != known.SecretVersion {
		return nil, errBehind
	}
	rows, err := load(r, tx.KeysSince(ctx, known.Epoch), tx.AdminsSince(ctx, known.Epoch))
	if err != nil {
		return nil, err
	}
	if !a.follow(before, r, rows) {
		return nil, errBehind
	}
	if known, _, _, _ = a.known(); before != known {
		return nil, errBehind
	}
	return r, nil
}

// batch runs f in one transaction and records its act just before the commit.
func (a *Auth) batch(ctx context.Context, journal Journal, f func(*store.Tx) (Act, error)) error {
	var act Act
	recorded := false
	err := a.store.Batch(ctx, func(tx *store.Tx) error {
		var err error
		if act, err = f(tx); err != nil {
			return err
		}
		if act.Act == "" { // nothing to record, such as a moved look-up
			return nil
		}
		if err := journal(act); err != nil {
			return fault.Wrap(fault.Unavailable, "the change cannot be recorded and was not made", err)
		}
		recorded = true
		return nil
	})
	if err == nil || errors.Is(err, errBehind) || errors.Is(err, errDone) {
		return err
	}
	if recorded {
		act.Act += ".unconfirmed"
		if jerr := journal(act); jerr != nil {
			err = errors.Join(err, jerr)
		}
		return fault.Wrap(fault.Unavailable, "it is not known whether the change was stored; look before trying again", err)
	}
	return unavailable(err)
}

// write writes rows and the state that seals them.
func write(ctx context.Context, tx *store.Tx, s store.CredentialState, rows []*credential) error {
	var keys []store.Key
	var admins []store.Admin
	for _, c := range rows {
		if c.principal.Kind == identity.Admin {
			admins = append(admins, c.admin())
		} else {
			keys = append(keys, c.key())
		}
	}
	if err := tx.PutKeys(ctx, keys); err != nil {
		return err
	}
	if err := tx.PutAdmins(ctx, admins); err != nil {
		return err
	}
	return tx.SetCredentialState(ctx, s)
}

// row is a credential as known, or nil.
func (a *Auth) row(id rowID) *credential {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.book.rows[id]
}

// room reports whether there may be one more row.
func (a *Auth) room() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.book.rows) < maxRows
}

// State is what a credential can be used for now.
type State string

// The states.
const (
	StateActive  State = "active"
	StateExpired State = "expired"
	StateRevoked State = "revoked"
	StateDamaged State = "damaged" // its row is not believed
)

// stateOf names the state of a credential.
func stateOf(c *credential, now time.Time) State {
	switch c.state(false, now) {
	case "":
		return StateActive
	case Altered:
		return StateDamaged
	case Revoked:
		return StateRevoked
	}
	return StateExpired
}

// instant turns stored microseconds into a time; 0 is the zero time.
func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// stamp is how acts tell a time.
func stamp(micros int64) string { return instant(micros).Format(time.RFC3339) }

// shown is a text from outside, cut and quoted where it is not plain.
func shown(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	q := strconv.Quote(s)
	if q[1:len(q)-1] == s {
		return s
	}
	return q
}

// lifetime checks a wished lifetime against its default and the bound.
func (a *Auth) lifetime(wish, usual time.Duration) (time.Duration, error) {
	if wish == 0 {
		wish = min(usual, a.cfg.MaxLifetime)
	}
	if wish < time.Second || wish > a.cfg.MaxLifetime {
		return 0, fault.Newf(fault.BadRequest, "a credential may live from 1s to %s", days(a.cfg.MaxLifetime))
	}
	return wish, nil
}

// days writes a duration the way the command line takes it.
func days(d time.Duration) string {
	if d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}
