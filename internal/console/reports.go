package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/auditlog"
	"sallyport/internal/fault"
	"sallyport/internal/label"
	"sallyport/internal/ledger"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/record"
	"sallyport/internal/store"
)

// Model is one public model as the data plane serves it.
type Model struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`    // API family of the first target
	Targets []string `json:"targets"` // upstream/model in the order they are tried
	Price   string   `json:"price"`   // USD per million tokens, input/output of the first target; "unknown" or "declared 0"
}

// Upstream is one upstream as it is configured and as it is.
type Upstream struct {
	Name        string      `json:"name"`
	Kind        string      `json:"kind"`
	Host        string      `json:"host"`
	Class       label.Class `json:"class"`
	Found       bool        `json:"found"` // discovered, not configured
	Models      int         `json:"models"`
	Quarantined string      `json:"quarantined,omitempty"` // why, when it is
}

// UpstreamTest is what one test request to an upstream showed.
type UpstreamTest struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Models int    `json:"models"`
	Millis int64  `json:"millis"`
	Error  string `json:"error,omitempty"`
}

// Explanation says what policy decides about every target of a model.
type Explanation struct {
	Model   string         `json:"model"`
	Label   string         `json:"label"`
	Targets []ExplainedWay `json:"targets"` // in the order they are tried
}

// ExplainedWay is the decision about one target.
type ExplainedWay struct {
	Upstream string      `json:"upstream"`
	Model    string      `json:"model"`
	Class    label.Class `json:"class"`
	Effect   string      `json:"effect"`
	Rules    []string    `json:"rules"`
	Fix      string      `json:"fix,omitempty"` // the command that would change it, where there is one
}

// Check is one finding of the doctor.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // the next command, when not OK
}

// UsageRow is one line of a usage report. The sums hold only what is known; the
// counts beside them say how many exchanges they leave out.
type UsageRow struct {
	Group        string           `json:"group"`
	Requests     int64            `json:"requests"`
	Refused      int64            `json:"refused"`
	Errors       int64            `json:"errors"`
	UnknownUsage int64            `json:"unknown_usage"` // exchanges whose tokens are not known
	Unpriced     int64            `json:"unpriced"`      // exchanges whose amount is not known
	Tokens       map[string]int64 `json:"tokens"`
	AmountNano   int64            `json:"amount_nano_usd"`
	AmountUSD    string           `json:"amount_usd"`
	Counted      *Counted         `json:"counted,omitempty"` // our own count; absent when no answer was sampled
}

// Counted compares what upstreams claim for the visible text of sampled answers with
// our own count of it.
type Counted struct {
	Sampled   int64   `json:"sampled"`          // answers
	Countable int64   `json:"countable"`        // of them, those that have a claim and a count
	Claimed   int64   `json:"claimed_tokens"`   // of the countable ones
	Counted   int64   `json:"counted_tokens"`   // of the countable ones
	Excess    *Excess `json:"excess,omitempty"` // absent when no answer was long enough to be compared
}

// Excess is the mean of claimed / counted - 1 over answers (ledger.Excess).
type Excess struct {
	Answers int64   `json:"answers"`
	Mean    float64 `json:"mean"`
	Low     float64 `json:"low"` // of the interval of 95 %
	High    float64 `json:"high"`
}

func counted(s store.CountSums) *Counted {
	if s.Sampled == 0 {
		return nil
	}
	c := &Counted{Sampled: s.Sampled, Countable: s.Countable, Claimed: s.Claimed, Counted: s.Counted}
	if e, some := ledger.NewExcess(s); some {
		c.Excess = &Excess{Answers: s.Compared, Mean: e.Mean, Low: e.Low, High: e.High}
	}
	return c
}

func usageRow(u store.Usage) UsageRow {
	return UsageRow{
		Group: u.Name, Requests: u.Requests, Refused: u.Refused, Errors: u.Errors,
		UnknownUsage: u.UnknownUsage, Unpriced: u.Unpriced, Tokens: named(llm.Tokens(u.Tokens)),
		AmountNano: u.Nano, AmountUSD: price.Nano(u.Nano).String(), Counted: counted(u.Counts),
	}
}

// Entry is one exchange in a log listing. Client, Declared and Claim are text
// from outside.
type Entry struct {
	RID      string           `json:"rid"`
	Leaf     int64            `json:"leaf"`
	Time     time.Time        `json:"time"`
	Millis   int64            `json:"millis"`
	Key      string           `json:"key"`
	Project  string           `json:"project"`
	Client   string           `json:"client"`
	Endpoint string           `json:"endpoint"`
	Model    string           `json:"model"`
	Upstream string           `json:"upstream"`
	Target   string           `json:"target"`
	Declared string           `json:"declared"`
	Label    string           `json:"label"`
	Decision string           `json:"decision"`
	State    string           `json:"state"`
	Fault    string           `json:"fault,omitempty"`
	Status   int64            `json:"status"`
	Usage    string           `json:"usage"`
	Tokens   map[string]int64 `json:"tokens,omitempty"` // as claimed; absent when not known
	Claim    string           `json:"claim,omitempty"`
	Counted  string           `json:"counted"`
	Money    string           `json:"money"`
	Amount   *int64           `json:"amount_nano_usd,omitempty"` // absent when not known
	Hold     int64            `json:"hold_nano_usd"`
	Card     string           `json:"card,omitempty"`
	Attempts json.RawMessage  `json:"attempts,omitempty"`
	Findings json.RawMessage  `json:"findings,omitempty"`
	Hashes   *Hashes          `json:"hashes,omitempty"` // in single views, and in lists with full=1
}

// Hashes are what the record of an exchange says about its bodies, hex SHA-256.
// Forwarded and Returned are the plain hash where nothing was changed on the way,
// else a commitment to hash and edits (wire.Commit).
type Hashes struct {
	Request   string `json:"request"`
	Forwarded string `json:"forwarded"`
	Answer    string `json:"answer"`
	Returned  string `json:"returned"`
}

// syncTime is how long a report waits for what was recorded to be in the database.
const syncTime = 15 * time.Second

// caughtUp waits until the database holds what was recorded before the call.
func (c *Console) caughtUp(r *call) error {
	ctx, cancel := context.WithTimeout(r.Context(), syncTime)
	defer cancel()
	err := c.Sync(ctx)
	if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil {
		return fault.Wrap(fault.Unavailable, "the database has not caught up with what was recorded; the journal keeps it, see: sallyport doctor", err)
	}
	return err
}

func (c *Console) version(*call) (any, error) { return map[string]string{"version": c.Version}, nil }

func (c *Console) doctor(r *call) (any, error) { return c.Doctor(r.Context()), nil }

func (c *Console) models(*call) (any, error) { return c.Models(), nil }

func (c *Console) upstreams(*call) (any, error) { return c.Upstreams(), nil }

func (c *Console) testUpstream(r *call) (any, error) { return c.Test(r.Context(), r.PathValue("name")) }

func (c *Console) reload(r *call) (any, error) {
	if err := c.Reload(r.Context(), r.actor()); err != nil {
		return nil, fault.New(fault.BadRequest, err.Error())
	}
	return map[string]string{"status": "reloaded"}, nil
}

func (c *Console) explain(r *call) (any, error) {
	q := r.URL.Query()
	return c.Explain(q.Get("model"), q.Get("label"))
}

func (c *Console) confirmUpstream(r *call) (any, error) {
	body, err := decode[struct {
		Class string `json:"class"`
	}](r)
	if err != nil {
		return nil, err
	}
	if err := c.Confirm(r.Context(), r.actor(), r.PathValue("name"), body.Class); err != nil {
		return nil, err
	}
	return map[string]string{"status": "confirmed"}, nil
}

func (c *Console) verify(r *call) (any, error) {
	body, err := decode[struct {
		Against string `json:"against"` // a remembered checkpoint, as a signed note
	}](r)
	if err != nil {
		return nil, err
	}
	behind := c.caughtUp(r) // above all then there may be something to find
	report, err := c.Verify(r.Context(), []byte(body.Against))
	if err == nil && behind != nil {
		report.Findings = append(report.Findings, auditlog.Finding{
			Code: auditlog.CodeBehind, Table: "journal", Where: "tail",
			Detail: "what was recorded last has not reached the database; the gateway's own log says why",
		})
	}
	return report, err
}

// maxReason bounds the reason for a reopening, which is kept for good.
const maxReason = 500

func (c *Console) reopen(r *call) (any, error) {
	body, err := decode[struct {
		Reason string `json:"reason"`
	}](r)
	if err != nil {
		return nil, err
	}
	if body.Reason == "" || len(body.Reason) > maxReason {
		return nil, fault.Newf(fault.BadRequest, "reason is a text of at most %d bytes: it is kept in the log for good", maxReason)
	}
	if err := c.caughtUp(r); err != nil { // what the journal holds may bring back what was signed
		return nil, err
	}
	return c.Reopen(r.Context(), r.actor(), body.Reason)
}

// Reopened is an audit log that goes on under a new origin.
type Reopened struct {
	Origin      string `json:"origin"`
	Size        int64  `json:"size"`
	VerifierKey string `json:"vkey"`
	Checkpoint  string `json:"checkpoint"` // the first under the new origin, to be kept elsewhere
}

func (c *Console) proof(r *call) (any, error) {
	if err := c.caughtUp(r); err != nil {
		return nil, err
	}
	p, err := c.Prove(r.Context(), r.PathValue("rid"))
	if err != nil {
		return nil, noExchange(r, err)
	}
	return Proof{Leaf: string(p.Leaf), Index: p.Index, Proof: string(p.Text), VerifierKey: c.VerifierKey()}, nil
}

// Proof is the evidence that an exchange is in the audit log. It verifies
// without the gateway: auditlog.VerifyProof.
type Proof struct {
	Leaf        string `json:"leaf"`
	Index       int64  `json:"index"`
	Proof       string `json:"proof"` // a .tlog-proof file (c2sp.org/tlog-proof)
	VerifierKey string `json:"vkey"`
}

// since reads a look-back such as 7d, 24h or 30m; the zero time when absent.
func since(q url.Values) (int64, error) {
	v := q.Get("since")
	if v == "" {
		return 0, nil
	}
	d, err := LookBack(v)
	if err != nil {
		return 0, fault.New(fault.BadRequest, err.Error())
	}
	return time.Now().Add(-d).UnixMicro(), nil
}

// LookBack parses a duration that may be in days, such as 7d.
func LookBack(v string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(v, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 32); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(v); err == nil && d >= 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%q is not a look-back such as 30m, 24h or 7d", v)
}

func (c *Console) usage(r *call) (any, error) {
	q := r.URL.Query()
	from, err := since(q)
	if err != nil {
		return nil, err
	}
	by := store.Dimension(q.Get("by"))
	switch by {
	case "":
		by = store.ByModel
	case store.ByModel, store.ByKey, store.ByProject, store.ByUpstream:
	default:
		return nil, fault.New(fault.BadRequest, "by is one of model, key, project, upstream")
	}
	if err := c.caughtUp(r); err != nil {
		return nil, err
	}
	sums, err := c.Store.Usage(r.Context(), by, from)
	if err != nil {
		return nil, err
	}
	rows := make([]UsageRow, 0, len(sums))
	for _, s := range sums {
		rows = append(rows, usageRow(s))
	}
	return rows, nil
}

// maxLogs bounds a page of the log.
const maxLogs = store.MaxPage

func (c *Console) logs(r *call) (any, error) {
	q := r.URL.Query()
	from, err := since(q)
	if err != nil {
		return nil, err
	}
	limit, err := number(q, "limit", 50, 1, maxLogs)
	if err != nil {
		return nil, err
	}
	f := store.Filter{
		Project: q.Get("project"), Key: q.Get("key"), Model: q.Get("model"),
		Upstream: q.Get("upstream"), State: q.Get("state"), Since: from,
	}
	if err := c.caughtUp(r); err != nil {
		return nil, err
	}
	var entries []store.Entry
	if q.Has("after_leaf") {
		after, err := number(q, "after_leaf", -1, -1, 1<<53)
		if err != nil {
			return nil, err
		}
		entries, err = c.Store.Follow(r.Context(), f, after, int(limit))
		if err != nil {
			return nil, err
		}
	} else {
		before, err := number(q, "before", 0, 0, 1<<53)
		if err != nil {
			return nil, err
		}
		entries, err = c.Store.Logs(r.Context(), f, store.Cursor{TS: before, RID: q.Get("before_rid")}, int(limit))
		if err != nil {
			return nil, err
		}
	}
	rows := make([]Entry, 0, len(entries))
	for i := range entries {
		rows = append(rows, entryOf(&entries[i]))
	}
	if q.Has("full") {
		return rows, c.addRecords(r.Context(), rows)
	}
	return rows, nil
}

// addRecords adds what only the records of exchanges hold: their body hashes.
func (c *Console) addRecords(ctx context.Context, rows []Entry) error {
	return c.Store.View(ctx, func(tx *store.Tx) error {
		for i := range rows {
			leaf, err := tx.LeafOf(ctx, rows[i].RID)
			if err != nil {
				return err
			}
			r, err := record.Decode(leaf.Record)
			if err != nil {
				return fmt.Errorf("leaf %d: %w", leaf.Index, err)
			}
			if r.Exchange == nil {
				return fmt.Errorf("leaf %d holds no exchange", leaf.Index)
			}
			x := r.Exchange
			rows[i].Hashes = &Hashes{Request: x.Req, Forwarded: x.Forwarded, Answer: x.Answer, Returned: x.Returned}
		}
		return nil
	})
}

func (c *Console) logEntry(r *call) (any, error) {
	if err := c.caughtUp(r); err != nil {
		return nil, err
	}
	e, err := c.Store.Entry(r.Context(), r.PathValue("rid"))
	if err != nil {
		return nil, noExchange(r, err)
	}
	rows := []Entry{entryOf(&e)}
	if err := c.addCount(r.Context(), &rows[0]); err != nil {
		return nil, err
	}
	return &rows[0], c.addRecords(r.Context(), rows)
}

// addCount says what was counted of an answer that was sampled.
func (c *Console) addCount(ctx context.Context, e *Entry) error {
	return c.Store.View(ctx, func(tx *store.Tx) error {
		n, err := tx.CountOf(ctx, e.RID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		case n.Why != "":
			e.Counted = "not countable: " + n.Why
		default:
			e.Counted = fmt.Sprintf("%d tokens of visible text by %s, %d claimed", n.Counted.V, n.Vocabulary, n.Claimed.V)
		}
		return nil
	})
}

// noExchange names the exchange that was not found.
func noExchange(r *call, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.Newf(fault.NotFound, "no exchange is called %q; the newest ones: sallyport logs", clip(r.PathValue("rid")))
	}
	return err
}

func number(q url.Values, name string, def, low, high int64) (int64, error) {
	v := q.Get(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fault.Newf(fault.BadRequest, "%s is a number from %d to %d", name, low, high)
	}
	return n, nil
}

func entryOf(e *store.Entry) Entry {
	v := Entry{
		RID: e.RID, Leaf: e.Leaf, Time: time.UnixMicro(e.TS).UTC(), Millis: (e.End - e.TS) / 1000,
		Key: e.Key, Project: e.Project, Client: e.Client, Endpoint: e.Endpoint, Model: e.Model,
		Upstream: e.Upstream, Target: e.Target, Declared: e.Declared, Label: e.Label, Decision: e.Decision,
		State: e.State, Fault: e.Fault, Status: e.Status, Usage: e.Usage, Claim: e.Claim, Counted: e.Counted,
		Money: e.Money, Hold: e.Hold, Card: e.Card,
	}
	if e.Tokens != nil {
		v.Tokens = named(llm.Tokens(*e.Tokens))
	}
	if e.Amount != nil {
		n := int64(*e.Amount)
		v.Amount = &n
	}
	if e.Attempts != "" {
		v.Attempts = json.RawMessage(e.Attempts)
	}
	if e.Findings != "" {
		v.Findings = json.RawMessage(e.Findings)
	}
	return v
}

// named gives tokens under their stable class names, without zeros.
func named(t llm.Tokens) map[string]int64 {
	m := map[string]int64{}
	for class, n := range t {
		if n != 0 {
			m[llm.Class(class).String()] = n
		}
	}
	return m
}
