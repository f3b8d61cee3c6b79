package console

import (
	"encoding/hex"
	"time"

	"sallyport/internal/fault"
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
}

// VerdictOf is the verdict of a row.
func VerdictOf(v store.Verdict) Verdict {
	return Verdict{
		ID: v.ID, Time: time.UnixMicro(v.TS).UTC(), Upstream: v.Upstream, Model: v.Target, Act: v.Act, Label: v.Label, Level: v.Level, Null: v.Hypothesis,
		LogE: float64(v.EMilli) / 1000, N: v.Observations, Reference: v.Reference, Bundle: v.Bundle, Wording: v.Wording, Actor: v.Actor, Reason: v.Reason,
	}
}

// Overruling asks that what a verdict did ends.
type Overruling struct {
	Upstream string `json:"upstream"`
	Model    string `json:"model"`  // the upstream's name of it
	Reason   string `json:"reason"` // kept in the log for good
}

// Registration asks that an audit by hand is in the log.
type Registration struct {
	Bundle    string `json:"bundle"`   // hex SHA-256
	Upstream  string `json:"upstream"` // the host that was asked
	Model     string `json:"model"`
	Null      string `json:"null"`
	Label     string `json:"label"`
	Level     string `json:"level"`
	EMilli    int64  `json:"e_milli"`
	N         int64  `json:"n"`
	Reference string `json:"reference"`
	Wording   string `json:"wording"`
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
	list := make([]Verdict, 0, len(rows))
	for _, v := range rows {
		list = append(list, VerdictOf(v))
	}
	return list, nil
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
	if sum, err := hex.DecodeString(want.Bundle); err != nil || len(sum) != 32 || hex.EncodeToString(sum) != want.Bundle {
		return nil, fault.New(fault.BadRequest, "bundle is the SHA-256 of a bundle in lower-case hexadecimal digits")
	}
	if want.Upstream == "" || want.Model == "" || want.Label == "" {
		return nil, fault.New(fault.BadRequest, "name the host, the model and what was concluded")
	}
	for _, name := range []string{want.Upstream, want.Model, want.Null, want.Label, want.Level, want.Reference} {
		if len(name) > maxName {
			return nil, fault.Newf(fault.BadRequest, "a name has at most %d bytes: it is kept in the log for good", maxName)
		}
	}
	if len(want.Wording) > record.MaxWording {
		return nil, fault.Newf(fault.BadRequest, "wording is a text of at most %d bytes", record.MaxWording)
	}
	return c.Register(r.actor(), want)
}
