package probe

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"sallyport/internal/verdict"
)

// resumable is how long after its start an audit may be gone on with: what an endpoint
// serves changes, and a verdict is about one time.
const resumable = 24 * time.Hour

// ResumeError says why an audit cannot be gone on with.
type ResumeError struct{ text string }

// Error implements error.
func (e *ResumeError) Error() string { return "the audit cannot be gone on with: " + e.text }

// Resume goes on with an audit that ended before its plan did: plan, beacon and seed are
// those of its record, whose answers are taken over. Asked are the questions that are
// missing, and again those that were not sent or found nobody. Of cfg it takes the
// subjects, prices and cap (of all that is spent, before and now), and the sample of
// traffic. It ends as an audit that nothing interrupted would have with these answers.
//
// Whoever calls it answers for the record: that a bundle verifies does not say who
// wrote its answers.
func Resume(ctx context.Context, cfg Config, from *Record) (*verdict.Report, *Record, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if from.Reference != nil {
		from.Plan.Reference = newBaseline(from.Reference)
	}
	if why := from.ended(&cfg); why != "" {
		return nil, nil, &ResumeError{why}
	}
	if err := from.Plan.take(cfg.Tokenizer); err != nil {
		return nil, nil, &ResumeError{err.Error()}
	}
	cfg.Reference = from.Reference
	a := newAudit(&cfg, from.Plan)
	a.kept = map[place]*exchange{}
	for i := range from.Exchanges {
		x := &from.Exchanges[i]
		if o := x.Reply.Outcome; o != Capped && o != Interrupted && o != Unreachable {
			a.kept[place{x.By, x.To, x.N}] = x
			a.meter.expect(x.Ask, x.Reply, 1)
		}
	}
	return a.run(ctx, from.Beacon)
}

// ended says why nothing can be added to a record; empty when it can.
func (r *Record) ended(cfg *Config) string {
	p, now, dress := r.Plan, cfg.Now(), PlainDress
	if r.Reference != nil {
		dress = r.Reference.Protocol.Dress
	}
	switch {
	case p.commit() != r.Report.Commit:
		return "its plan is not the one that was committed to"
	case p.Program != cfg.Program:
		return fmt.Sprintf("it was begun by version %s, and this is %s", p.Program, cfg.Program)
	case p.FactsDate != theFacts().Date.Format(time.DateOnly) || p.Questions != versionOf(dress):
		return "this version asks other questions"
	case now.Sub(p.Started) > resumable:
		return fmt.Sprintf("it was begun on %s, more than %g hours ago", p.Started.Format(time.RFC3339), resumable.Hours())
	case cfg.Subject.Facts() != p.Facts:
		return fmt.Sprintf("it is one of the model %q at %s", p.Facts.Model, p.Facts.URL)
	case p.Live != (cfg.Trusted != nil):
		return "it was begun with another live reference, or without one"
	case p.Second != (cfg.Second != nil):
		return "it was begun with a second key, or without one"
	case (r.Reference == nil) != (p.RefID == "") || r.Reference != nil && r.Reference.ID != p.RefID:
		return "the reference in it is not the one that its plan names"
	case cfg.Traffic != nil && (p.Traffic == nil || *p.Traffic != *cfg.Traffic.sample()):
		return "its plan names another sample of traffic"
	}
	if r.Reference != nil {
		return r.Reference.Stale(now)
	}
	return ""
}

// reuse is the answer to a question from the record that is gone on with, or nil.
func (a *audit) reuse(at place, q *Ask) *exchange {
	x := a.kept[at]
	if x == nil || !bytes.Equal(jsonOf(x.Ask), jsonOf(q)) {
		return nil
	}
	a.meter.expect(q, x.Reply, -1)
	a.meter.count(q, x.Reply)
	return x
}
