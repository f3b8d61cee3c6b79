package console

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/ledger"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// Verdict is what an audit concluded of a model of an upstream, or what was decided
// about it, as the admin API shows it.
type Verdict struct {
	ID        string     `json:"id"`
	Time      time.Time  `json:"time"`
	Upstream  string     `json:"upstream"`
	Model     string     `json:"model"`
	Act       record.Act `json:"act"`
	Label     string     `json:"label"`
	Level     string     `json:"level,omitempty"`
	Null      string     `json:"null,omitempty"`
	LogE      float64    `json:"log10_e"` // decimal logarithm of the largest e-value
	N         int64      `json:"n"`       // observations
	Reference string     `json:"reference,omitempty"`
	Bundle    string     `json:"bundle,omitempty"` // SHA-256
	Wording   string     `json:"wording,omitempty"`
	Actor     string     `json:"actor"`
	Reason    string     `json:"reason,omitempty"`

	// Of an audit by hand, at its beginning and its end.
	Commitment string `json:"commitment,omitempty"` // SHA-256 of its plan
	Profile    string `json:"profile,omitempty"`
	Cap        int64  `json:"cap_nano_usd,omitempty"`
	Asked      int64  `json:"asked,omitempty"`
	Money      string `json:"money,omitempty"` // status of Spent, as of an exchange
	Spent      *int64 `json:"nano_usd,omitempty"`
	Unfinished bool   `json:"unfinished,omitempty"` // of a beginning without an end: under way, or broken off
}

// VerdictOf is the verdict of a row.
func VerdictOf(v store.Verdict) Verdict {
	shown := Verdict{
		ID: v.ID, Time: time.UnixMicro(v.TS).UTC(), Upstream: v.Upstream, Model: v.Target, Act: v.Act, Label: v.Label, Level: v.Level, Null: v.Hypothesis,
		LogE: float64(v.EMilli) / 1000, N: v.Observations, Reference: v.Reference, Bundle: v.Bundle, Wording: v.Wording, Actor: v.Actor, Reason: v.Reason,
		Commitment: v.Commitment, Profile: v.Profile, Cap: v.Cap, Asked: v.Asked, Money: v.Money,
	}
	if v.Money == ledger.MoneyPriced {
		shown.Spent = &v.Nano
	}
	return shown
}

// Overruling asks that what a verdict did ends.
type Overruling struct {
	Upstream string `json:"upstream"`
	Model    string `json:"model"`  // the upstream's name of it
	Reason   string `json:"reason"` // kept in the log for good
}

// Beginning asks that an audit by hand is in the log before it asks anything.
type Beginning struct {
	Commitment string `json:"commitment"` // hex SHA-256 of its plan
	Upstream   string `json:"upstream"`   // or the host that will be asked
	Model      string `json:"model"`
	Profile    string `json:"profile"`
	Cap        int64  `json:"cap_nano_usd"` // 0 for no bound
	Wording    string `json:"wording"`      // what the rest does not say; cut at record.MaxWording
}

// Registration asks that the end of an audit by hand is in the log.
type Registration struct {
	Bundle    string `json:"bundle"`   // hex SHA-256; empty of a recording that left no reference
	Upstream  string `json:"upstream"` // or the host that was asked
	Model     string `json:"model"`
	Null      string `json:"null"`
	Label     string `json:"label"`
	Level     string `json:"level"`
	EMilli    int64  `json:"e_milli"`
	N         int64  `json:"n"`
	Reference string `json:"reference"`
	Wording   string `json:"wording"`

	Commitment string `json:"commitment"` // hex SHA-256 of its plan; empty where none is known
	Profile    string `json:"profile"`
	Cap        int64  `json:"cap_nano_usd"`
	Asked      int64  `json:"asked"`
	Money      string `json:"money"` // status of Spent, as of an exchange
	Spent      int64  `json:"nano_usd"`
}

// maxName bounds a name that is kept for good.
const maxName = 300

func (c *Console) verdicts(r *call) (any, error) {
	q := r.URL.Query()
	limit, err := number(q, "limit", 50, 1, store.MaxPage)
	if err != nil {
		return nil, err
	}
	if err := c.caughtUp(r); err != nil {
		return nil, err
	}
	rows, err := c.Store.VerdictsOf(r.Context(), q.Get("upstream"), q.Get("model"), int(limit))
	if err != nil {
		return nil, err
	}
	return listed(rows), nil
}

// listed are verdicts as they are shown, newest first. The end of an audit stands above
// its beginning, under the same upstream and model, so that a beginning whose end is not
// among the rows has none. An end is that of the beginning before it: of two with one
// plan the first has none.
func listed(rows []store.Verdict) []Verdict {
	list := make([]Verdict, 0, len(rows))
	ended := map[string]bool{}
	for _, row := range rows {
		v := VerdictOf(row)
		switch v.Act {
		case record.ActAudit:
			ended[v.Commitment] = true
		case record.ActBegin:
			v.Unfinished = !ended[v.Commitment]
			delete(ended, v.Commitment)
		}
		list = append(list, v)
	}
	return list
}

func (c *Console) overrideVerdict(r *call) (any, error) { return c.overrule(r, record.ActOverride) }
func (c *Console) releaseVerdict(r *call) (any, error)  { return c.overrule(r, record.ActRelease) }

func (c *Console) overrule(r *call, act record.Act) (any, error) {
	want, err := decode[Overruling](r)
	if err != nil {
		return nil, err
	}
	if want.Upstream == "" || want.Model == "" {
		return nil, fault.New(fault.BadRequest, "name the upstream and the upstream's name of the model; see: sallyport audit ls")
	}
	if want.Reason == "" || len(want.Reason) > record.MaxReason {
		return nil, fault.Newf(fault.BadRequest, "reason is a text of at most %d bytes: it is kept in the log for good", record.MaxReason)
	}
	return c.Overrule(r.actor(), act, want)
}

func (c *Console) registerAudit(r *call) (any, error) {
	want, err := decode[Registration](r)
	if err != nil {
		return nil, err
	}
	switch {
	case !isSum(want.Bundle) && (want.Bundle != "" || want.Profile != record.ProfileReference):
		return nil, fault.New(fault.BadRequest, "bundle is the SHA-256 of a bundle in lower-case hexadecimal digits")
	case want.Commitment != "" && !isSum(want.Commitment):
		return nil, errNoCommitment
	case want.Upstream == "" || want.Model == "" || want.Label == "":
		return nil, fault.New(fault.BadRequest, "name the host, the model and what was concluded")
	case len(want.Wording) > record.MaxWording:
		return nil, fault.Newf(fault.BadRequest, "wording is a text of at most %d bytes", record.MaxWording)
	case want.Cap < 0 || want.Asked < 0 || want.Spent < 0:
		return nil, errNoAmount
	case !slices.Contains([]string{"", ledger.MoneyPriced, ledger.MoneyUnpriced, ledger.MoneyUnknown, ledger.MoneyNone}, want.Money):
		return nil, fault.New(fault.BadRequest, "money is priced, unpriced, unknown or none")
	case want.Money != ledger.MoneyPriced && want.Spent != 0:
		return nil, fault.New(fault.BadRequest, "an amount is of what is priced")
	}
	if err := namesFit(want.Upstream, want.Model, want.Null, want.Label, want.Level, want.Reference, want.Profile); err != nil {
		return nil, err
	}
	return c.Register(r.actor(), want)
}

func (c *Console) beginAudit(r *call) (any, error) {
	want, err := decode[Beginning](r)
	if err != nil {
		return nil, err
	}
	switch {
	case !isSum(want.Commitment):
		return nil, errNoCommitment
	case want.Upstream == "" || want.Model == "" || want.Profile == "":
		return nil, fault.New(fault.BadRequest, "name the host, the model and the profile")
	case want.Cap < 0:
		return nil, errNoAmount
	}
	if err := namesFit(want.Upstream, want.Model, want.Profile); err != nil {
		return nil, err
	}
	return c.Begin(r.actor(), want)
}

var (
	errNoCommitment = fault.New(fault.BadRequest, "commitment is the SHA-256 of a plan in lower-case hexadecimal digits")
	errNoAmount     = fault.New(fault.BadRequest, "a cap, an amount and a number of questions are at least 0")
)

// isSum reports whether a text is a SHA-256 in the one spelling that is kept.
func isSum(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == sha256.Size && hex.EncodeToString(sum) == text
}

// namesFit refuses names that are too long to be kept for good.
func namesFit(names ...string) error {
	for _, name := range names {
		if len(name) > maxName {
			return fault.Newf(fault.BadRequest, "a name has at most %d bytes: it is kept in the log for good", maxName)
		}
	}
	return nil
}
