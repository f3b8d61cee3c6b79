package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sallyport/internal/evidence"
	"sallyport/internal/reference"
	"sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// BundleKind is the kind of the sealed file of an audit.
const BundleKind = "sallyport.bundle/1"

// Record is one audit, complete: whoever has it can do the audit again but for the
// asking, and must come to the same end.
type Record struct {
	Plan      *Plan
	Beacon    verdict.Beacon
	Exchanges []exchange
	Report    *verdict.Report
	Reference *reference.Opened
	Tokenizer *tokens.Vocabulary // that the plan names; a bundle does not hold it
}

// exchange is one question and its answer.
type exchange struct {
	By    verdict.ID    `json:"by"`                // detector
	To    string        `json:"to"`                // suspect or reference
	N     int           `json:"n"`                 // of the detector's questions to it
	Sent  time.Duration `json:"sent_ns,omitempty"` // since the audit began
	Ask   *Ask          `json:"ask"`
	Reply *Reply        `json:"reply"`
}

// head is the first line of a bundle's payload.
type head struct {
	Plan      *Plan           `json:"plan"`
	Beacon    verdict.Beacon  `json:"beacon"`
	Reference []byte          `json:"reference,omitempty"` // its sealed file
	Imported  bool            `json:"reference_imported,omitempty"`
	Exchanges int             `json:"exchanges"`
	Report    *verdict.Report `json:"report"`
}

// Seal writes the record as a sealed bundle, signed where key is not nil. The report
// then names it.
func (r *Record) Seal(w io.Writer, key ed25519.PrivateKey) error {
	var payload bytes.Buffer
	e := json.NewEncoder(&payload)
	h := head{Plan: r.Plan, Beacon: r.Beacon, Exchanges: len(r.Exchanges), Report: r.Report}
	if r.Reference != nil {
		h.Reference, h.Imported = r.Reference.File, r.Reference.Imported
	}
	if err := e.Encode(h); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	for i := range r.Exchanges {
		if err := e.Encode(&r.Exchanges[i]); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
	}
	s, err := evidence.Seal(w, BundleKind, key, payload.Bytes())
	if err != nil {
		return err
	}
	r.Report.Bundle = &verdict.Bundle{SHA256: s.SHA256, Signer: s.Signer}
	return nil
}

// OpenBundle reads a sealed bundle. It checks the file, not what the report
// concludes; that is what Verify does.
func OpenBundle(r io.Reader) (*Record, *evidence.Sealed, error) {
	s, err := evidence.Open(r, BundleKind)
	if err != nil {
		return nil, nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(s.Payload))
	lines.Buffer(nil, len(s.Payload)+1)
	var h head
	if !lines.Scan() || strictly(lines.Bytes(), &h) != nil || h.Plan == nil || h.Report == nil {
		return nil, nil, fmt.Errorf("%w: its payload does not begin with a plan", evidence.ErrBroken)
	}
	rec := &Record{Plan: h.Plan, Beacon: h.Beacon, Report: h.Report}
	for lines.Scan() {
		var x exchange
		if strictly(lines.Bytes(), &x) != nil || x.Ask == nil || x.Reply == nil {
			return nil, nil, fmt.Errorf("%w: exchange %d cannot be read", evidence.ErrBroken, len(rec.Exchanges))
		}
		rec.Exchanges = append(rec.Exchanges, x)
	}
	if len(rec.Exchanges) != h.Exchanges {
		return nil, nil, fmt.Errorf("%w: it holds %d exchanges, not %d", evidence.ErrBroken, len(rec.Exchanges), h.Exchanges)
	}
	if h.Reference != nil {
		if rec.Reference, err = reference.Open(bytes.NewReader(h.Reference)); err != nil {
			return nil, nil, fmt.Errorf("open the reference in the bundle: %w", err)
		}
		rec.Reference.Imported = h.Imported
	}
	return rec, s, nil
}

// strictly decodes one JSON value without unknown members.
func strictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// ErrOtherEnd says that a record does not lead to the report it holds.
var ErrOtherEnd = errors.New("the bundle does not lead to the report that it holds")

// Verify does the audit again from the record: the beacon is what its proof gives,
// where it claims to be a log's, every question follows from the plan and the beacon,
// and every conclusion from the answers. It returns what it came to; the error wraps
// ErrOtherEnd when that is not what the report says, and is a *TokenizerError when the
// vocabulary of the plan is not at hand.
func (r *Record) Verify(ctx context.Context) (*verdict.Report, error) {
	if r.Reference != nil {
		r.Plan.Reference = newBaseline(r.Reference)
		if r.Reference.ID != r.Plan.RefID {
			return nil, fmt.Errorf("%w: the reference in it is not the one that the plan names", ErrOtherEnd)
		}
	}
	if now := theFacts().Date.Format(time.DateOnly); r.Plan.FactsDate != now {
		return nil, fmt.Errorf("the bundle rests on the vendors' facts of %s and this program knows those of %s; verify it with the version that made it, %s", r.Plan.FactsDate, now, r.Plan.Program)
	}
	if r.Plan.commit() != r.Report.Commit {
		return nil, fmt.Errorf("%w: the plan is not the one that was committed to", ErrOtherEnd)
	}
	if wrong := r.drawn(); wrong != "" {
		return nil, fmt.Errorf("%w: %s", ErrOtherEnd, wrong)
	}
	if err := r.Plan.take(r.Tokenizer); err != nil {
		return nil, err
	}
	again := &audit{Config: &Config{}, plan: r.Plan, meter: newMeter(nil, 0), recorded: map[place]*exchange{}}
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		again.recorded[place{x.By, x.To, x.N}] = x
	}
	report, err := again.execute(ctx, r.Beacon)
	if unusable := (*UnusableError)(nil); err != nil && !errors.As(err, &unusable) {
		return nil, err
	}
	if again.strayed != "" {
		return report, fmt.Errorf("%w: %s", ErrOtherEnd, again.strayed)
	}
	if where := differs(r.Report, report); where != "" {
		return report, fmt.Errorf("%w: %s", ErrOtherEnd, where)
	}
	return report, nil
}

// place is where a question stands in an audit.
type place struct {
	by verdict.ID
	to string
	n  int
}

// replay answers a question from the record.
func (a *audit) replay(at place, q *Ask) *Reply {
	x := a.recorded[at]
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case x == nil:
		a.stray("question %d of %s to the %s is not in the record", at.n, at.by, at.to)
		return &Reply{Outcome: Capped}
	case !bytes.Equal(jsonOf(x.Ask), jsonOf(q)):
		a.stray("question %d of %s to the %s is not the one that the seed gives", at.n, at.by, at.to)
	}
	a.end(x.Reply)
	return x.Reply
}

// stray notes the first deviation from the record.
func (a *audit) stray(format string, args ...any) {
	if a.strayed == "" {
		a.strayed = fmt.Sprintf(format, args...)
	}
}

// differs says in what two reports of one audit come to another end; empty when in
// nothing. What it cost and how long it took are not conclusions.
func differs(a, b *verdict.Report) string {
	if a.Headline != b.Headline || a.Summary != b.Summary {
		return fmt.Sprintf("the headline is %q and should be %q", a.Headline, b.Headline)
	}
	if a.Seed != b.Seed {
		return "the seed does not follow from the plan and the beacon"
	}
	target := a.Target
	target.CertKey = "" // was seen while asking
	if target != b.Target || a.Profile != b.Profile || a.Program != b.Program || !a.Started.Equal(b.Started) || !bytes.Equal(jsonOf(a.Reference), jsonOf(b.Reference)) {
		return "target, profile, program, time or reference are not those of the plan"
	}
	for i := range b.Verdicts {
		if i >= len(a.Verdicts) || !bytes.Equal(jsonOf(a.Verdicts[i]), jsonOf(b.Verdicts[i])) {
			return fmt.Sprintf("the verdict on %q does not follow from the answers", b.Verdicts[i].Null)
		}
	}
	if !slices.Equal(a.LeftOut, b.LeftOut) {
		return "the settings that were left out are not those that were refused"
	}
	if b.Camouflage != nil && !bytes.Equal(jsonOf(a.Camouflage), jsonOf(b.Camouflage)) {
		// Where the operator's sample of traffic is compared with, nobody else has it: the
		// plan commits to its features, and b has no figure.
		return "how well questions can be told from traffic does not follow from the questions"
	}
	if !bytes.Equal(jsonOf(a.Detectable), jsonOf(b.Detectable)) {
		return "the detectable share does not follow from the plan and the number of answers"
	}
	for i := range b.Detectors {
		if i >= len(a.Detectors) {
			return "a detector is missing"
		}
		x, y := a.Detectors[i], b.Detectors[i]
		x.Cost, y.Cost = 0, 0
		if !bytes.Equal(jsonOf(x), jsonOf(y)) {
			return fmt.Sprintf("what %s found does not follow from the answers", b.Detectors[i].ID)
		}
	}
	if len(a.Verdicts) != len(b.Verdicts) || len(a.Detectors) != len(b.Detectors) {
		return "the report holds more than the audit gave"
	}
	return ""
}
