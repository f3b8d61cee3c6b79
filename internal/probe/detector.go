package probe

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"sallyport/internal/llm"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// detector is one check: what it tests, when it applies, and how it runs. What run
// does must follow from its trial's seed and the answers alone, so that a verifier
// who has the answers comes to the same end.
type detector struct {
	id    verdict.ID
	name  string
	layer verdict.Layer
	nulls []verdict.Null
	null  string // in words
	// applies says why the detector cannot run; empty when it can.
	applies func(p *Plan) string
	// silent says that a plan gives the detector nothing to say of one of its
	// hypotheses; nil when it always has.
	silent func(p *Plan, n verdict.Null) bool
	// compares says that answers are compared with those of a stored reference, where there
	// is one: then they must be given under the same settings.
	compares bool
	// run is nil of a detector that no audit runs; applies says where it does.
	run func(ctx context.Context, t *Trial)
}

// Trial is one detector at work.
type Trial struct {
	*Plan
	Seed     [32]byte
	Budget   int  // of questions
	compares bool // of the detector
	result   *verdict.Result
	fused    *fusion

	audit *audit
	other string // a setting of the reference's that the endpoint turned out to refuse
	asked [3]int // questions of each arm
	tried int
	lost  int
	short int // answers that ended for their length far below the bound asked for
}

// arm is whom a question goes to.
type arm int

// The arms: the endpoint that is audited, the trusted one that it is compared with, and
// the audited one under another key.
const (
	suspect arm = iota
	trusted
	second
)

// String returns the name that records bear.
func (a arm) String() string { return [...]string{"suspect", "reference", "second key"}[a] }

// Ask sends one question to the audited endpoint.
func (t *Trial) Ask(ctx context.Context, a Ask) *Reply { return t.AskAll(ctx, []Ask{a})[0] }

// AskAll sends questions to the audited endpoint, as many at a time as the plan
// allows, and returns the answers in the order of the questions.
func (t *Trial) AskAll(ctx context.Context, asks []Ask) []*Reply {
	return t.askArm(ctx, suspect, t.Parallel, asks)
}

// AskAlone sends questions to the audited endpoint one after the other, so that their
// times mean something.
func (t *Trial) AskAlone(ctx context.Context, asks []Ask) []*Reply {
	return t.askArm(ctx, suspect, 1, asks)
}

// AskTrusted sends questions to the live reference.
func (t *Trial) AskTrusted(ctx context.Context, asks []Ask) []*Reply {
	return t.askArm(ctx, trusted, t.Parallel, asks)
}

// AskSecond sends questions to the audited endpoint under the second key, one after the
// other.
func (t *Trial) AskSecond(ctx context.Context, asks []Ask) []*Reply {
	return t.askArm(ctx, second, 1, asks)
}

// askArm sends questions, without settings that were refused, and those again of which it
// turns out now. The questions become what was sent.
func (t *Trial) askArm(ctx context.Context, to arm, parallel int, asks []Ask) []*Reply {
	for i := range asks {
		t.fitted(&asks[i])
	}
	replies := t.send(ctx, to, parallel, asks)
	for !t.Over() {
		for i, r := range replies {
			t.refused.learn(&asks[i], r)
		}
		var again []int
		var better []Ask
		for i, r := range replies {
			if q := asks[i]; refusal(r) && t.fitted(&q) {
				again, better = append(again, i), append(better, q)
			}
		}
		if len(again) == 0 {
			break
		}
		for k, r := range t.send(ctx, to, parallel, better) {
			asks[again[k]], replies[again[k]] = better[k], r
		}
	}
	return replies
}

// fitted makes a question one that the endpoint takes, as far as is known, and reports
// whether it was another one. What is compared with a stored reference's answers is not
// the same then.
func (t *Trial) fitted(q *Ask) bool {
	limit := q.Limit
	left := t.refused.fit(q)
	for i := range settings {
		if s := &settings[i]; t.compares && t.Reference != nil && slices.Contains(left, s.name) && t.recordedWith(s) {
			t.other = s.name
			break
		}
	}
	return len(left) > 0 || q.Limit != limit
}

// send sends questions as they are.
func (t *Trial) send(ctx context.Context, to arm, parallel int, asks []Ask) []*Reply {
	first := t.asked[to]
	t.asked[to] += len(asks)
	replies := askAll(parallel, len(asks), func(i int) *Reply {
		q := asks[i] // the record's own
		return t.audit.ask(ctx, t.result.ID, to, first+i, &q)
	})
	for i, r := range replies {
		if to == suspect && cutShort(&asks[i], r) {
			t.short++
		}
		if r.Outcome == Capped || r.Outcome == Interrupted {
			continue // whoever runs the audit ended it, not the endpoint
		}
		t.tried++
		if failure(r) {
			t.lost++
		}
	}
	return replies
}

// askAll asks n questions, at most so many at a time, and returns the answers in the
// order of the questions.
func askAll(parallel, n int, ask func(i int) *Reply) []*Reply {
	replies := make([]*Reply, n)
	gate := make(chan struct{}, max(parallel, 1))
	var wg sync.WaitGroup
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			replies[i] = ask(i)
		})
	}
	wg.Wait()
	return replies
}

// cutShort reports whether an answer says that it reached its bound though it did not
// come near the one that was asked for. Hidden reasoning counts as length, where it is
// told.
func cutShort(a *Ask, r *Reply) bool {
	return a.MaxTokens >= 64 && r.OK() && r.Finish == llm.FinishLength && r.Usable() && 2*r.Tokens.Completion() < a.MaxTokens
}

// failure reports whether a question led to nothing that a detector can use. That
// an endpoint refuses a request is an answer to some questions.
func failure(r *Reply) bool {
	switch r.Outcome {
	case Answered, Refused, Denied:
		return false
	}
	return true
}

// Lose counts an answer as a failure that is an answer to other questions, such as a
// refusal of parameters.
func (t *Trial) Lose(r *Reply) {
	if !failure(r) {
		t.lost++
	}
}

// maxFailures is the share of failures above which a detector says nothing.
const maxFailures = .2

// Over reports whether the trial must end: the audit's money is used up, it was
// interrupted, or the reference's questions cannot be put. An answer says so, so that a
// replay ends where the audit did.
func (t *Trial) Over() bool { return t.audit.over() || t.other != "" }

// Find notes something that was seen.
func (t *Trial) Find(f verdict.Finding) { t.result.Findings = append(t.result.Findings, f) }

// Fact notes a measured figure.
func (t *Trial) Fact(name, format string, args ...any) {
	t.result.Facts = append(t.result.Facts, verdict.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
}

// Chart adds a plot.
func (t *Trial) Chart(c verdict.Chart) { t.result.Charts = append(t.result.Charts, c) }

// Inconclusive says that the detector ran and cannot tell.
func (t *Trial) Inconclusive(format string, args ...any) {
	t.result.State, t.result.Reason = verdict.Inconclusive, fmt.Sprintf(format, args...)
}

// Observe tells the e-value of the detector against a hypothesis after one more
// observation, as a natural logarithm.
func (t *Trial) Observe(n verdict.Null, logE float64) {
	log10 := logE / math.Ln10
	e := t.evidence(n)
	e.N++
	e.LogE, e.MaxLogE = log10, max(e.MaxLogE, log10)
	e.Curve = append(e.Curve, verdict.Point{X: float64(e.N), Y: log10})
	t.fused.update(n, t.result.ID, log10)
}

// ObserveFacts tells what facts that the vendor documents came to: how many were
// checked and how many were reproduced mismatches. It is said once in a trial.
func (t *Trial) ObserveFacts(n verdict.Null, mismatches, checked int) {
	if checked == 0 {
		return
	}
	var logs []float64
	for i := range checked {
		e, _ := stat.LogFact(FactPrior, i < mismatches) // the prior is in range
		logs = append(logs, e)
	}
	t.Observe(n, stat.LogMean(logs...))
}

// FactPrior is the assumed chance that an honest endpoint deviates from a documented
// fact in a way that repeats.
const FactPrior = .01

// evidence is the record of the detector's e-value against a hypothesis.
func (t *Trial) evidence(n verdict.Null) *verdict.Evidence {
	for i := range t.result.Evidence {
		if t.result.Evidence[i].Null == n {
			return &t.result.Evidence[i]
		}
	}
	t.result.Evidence = append(t.result.Evidence, verdict.Evidence{Null: n})
	return &t.result.Evidence[len(t.result.Evidence)-1]
}

// LogE is the detector's last e-value against a hypothesis, as a decimal logarithm.
func (t *Trial) LogE(n verdict.Null) float64 { return t.evidence(n).LogE }

// end closes the trial's books.
func (t *Trial) end() {
	t.result.Queries = t.tried
	t.result.Failures = t.lost
	if t.result.State == "" {
		t.result.State = verdict.Ran
	}
	switch {
	case t.tried == 0 && t.result.State == verdict.Ran:
		t.Inconclusive("nothing was asked before the audit ended")
	case t.tried > 0 && float64(t.lost) > maxFailures*float64(t.tried):
		t.Inconclusive("%d of %d questions led to no answer; above %.0f %% a detector says nothing", t.lost, t.tried, 100*maxFailures)
	}
	if t.other != "" {
		t.Inconclusive("the reference was recorded with %s, which the endpoint refuses: that is not the same protocol", t.other)
	}
	if t.result.State == verdict.Inconclusive {
		t.fused.withdraw(t.result.ID)
	}
}
