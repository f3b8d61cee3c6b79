// Package probe is the audit of endpoints: it asks questions, compares the answers
// with what the vendor documents and with recorded references, and concludes with a
// stated error rate. It accuses nobody: "could not run" is never a pass, and a finite
// number of questions never proves that an endpoint is clean.
package probe

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sallyport/internal/exam"
	"sallyport/internal/price"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// Config is one audit.
type Config struct {
	Program    string
	Subject    Subject
	Trusted    Subject           // a live endpoint that is trusted; nil for none
	Why        string            // it is trusted
	Second     Subject           // the audited endpoint under a key of another account; nil for none
	Reference  *reference.Opened // nil for none
	Profile    Profile
	Tolerance  float64
	Parallel   int // questions at a time; 8 when 0
	Cap        price.Nano
	Price      Price                                                            // nil when no price is known
	ItemKey    [32]byte                                                         // secret of the organisation that generated items follow from
	Beacon     func(ctx context.Context, commit string) (verdict.Beacon, error) // drawn after the commitment; an error and nothing is asked
	Quality    []exam.PublicItem                                                // published questions, shown without weight; at most MaxQuality
	Detectable bool                                                             // tell what share of another model's answers the audit would have found
	Library    []*reference.Opened                                              // of other models, the nearest of which it is told against
	Camouflage bool                                                             // tell how well the questions can be told from traffic
	Traffic    *Traffic                                                         // that they are compared with; built-in requests when nil
	Pace       time.Duration                                                    // mean time between questions, as of a Poisson process; 0 for as fast as may be
	Tokenizer  *tokens.Vocabulary                                               // of a file, by which the model counts; nil for the published one, if there is one
	Progress   func(Progress)                                                   // called now and then, never at once; nil for nobody
	Now        func() time.Time
}

// Progress is how far an audit is.
type Progress struct {
	Detector string
	Done     int // detectors
	Of       int
	Asked    int
	Planned  int // questions at most, of the detector
	Spent    verdict.Spent
	LogE     map[verdict.Null]float64 // decimal
}

// audit is one audit at work.
type audit struct {
	*Config
	plan  *Plan
	meter *meter
	fused *fusion
	seed  [32]byte
	pacer *pacer // nil for no pace

	mu      sync.Mutex
	records []exchange // guarded by mu
	ended   Outcome    // why nothing more is asked: Capped or Interrupted; guarded by mu
	now     Progress   // guarded by mu

	kept map[place]*exchange // of an audit that is gone on with: what need not be asked again

	// Of an audit that is done again from its record.
	recorded map[place]*exchange
	strayed  string // the first deviation from it; guarded by mu
}

// UnusableError says that the endpoint could not be audited at all, and why.
type UnusableError struct {
	Outcome Outcome
	Text    string
}

// Error implements error.
func (e *UnusableError) Error() string { return e.Text }

// Run audits an endpoint. It returns what was found and the record that the findings
// can be recomputed from, also when it could not go on: then the error is an
// *UnusableError or that of ctx, and the report says what was seen until then. Without
// a beacon nothing is asked and the report is nil.
func Run(ctx context.Context, cfg Config) (*verdict.Report, *Record, error) {
	cfg.Parallel = cmp.Or(cfg.Parallel, 8)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	plan := &Plan{
		Program: cfg.Program, Facts: cfg.Subject.Facts(), Profile: cfg.Profile, Started: cfg.Now().UTC(), Alpha: Alpha, Tolerance: cfg.Tolerance,
		Parallel: cfg.Parallel, Cap: int64(cfg.Cap), Questions: QuestionsVersion, FactsDate: theFacts().Date.Format(time.DateOnly),
		Live: cfg.Trusted != nil, Why: cfg.Why, Second: cfg.Second != nil, Quality: cfg.Quality[:min(len(cfg.Quality), MaxQuality)],
	}
	if cfg.Trusted != nil {
		plan.Trusted = new(cfg.Trusted.Facts())
	}
	plan.Camouflage, plan.Pace = cfg.Camouflage, cfg.Pace
	if cfg.Camouflage && cfg.Traffic != nil {
		plan.Traffic = cfg.Traffic.sample()
	}
	plan.Tokenizer, plan.vocabulary = tokenizerOf(cfg.Tokenizer), cfg.Tokenizer
	if cfg.Reference != nil {
		plan.Reference, plan.RefID = newBaseline(cfg.Reference), cfg.Reference.ID
		plan.Questions = versionOf(plan.dress())
		if plan.Detectable = cfg.Detectable; cfg.Detectable {
			plan.Rival = nearest(plan.Reference, cfg.Library)
		}
	}
	item := itemKey(cfg.ItemKey, plan.Facts, plan.Started)
	plan.ItemKey = hex.EncodeToString(item[:])
	commit := plan.commit()
	beacon, err := cfg.Beacon(ctx, commit)
	if err != nil {
		return nil, nil, fmt.Errorf("the audit does not begin: %w", err)
	}
	return newAudit(&cfg, plan).run(ctx, beacon)
}

func newAudit(cfg *Config, plan *Plan) *audit {
	return &audit{Config: cfg, plan: plan, meter: newMeter(cfg.Price, cfg.Cap), pacer: newPacer(plan.Pace)}
}

// run executes the plan and makes the record of it.
func (a *audit) run(ctx context.Context, beacon verdict.Beacon) (*verdict.Report, *Record, error) {
	report, err := a.execute(ctx, beacon)
	report.Decided = a.Now().UTC()
	report.Spent.Took = report.Decided.Sub(report.Started)
	return report, &Record{Plan: a.plan, Beacon: beacon, Exchanges: a.records, Report: report, Reference: a.Reference, Tokenizer: a.Tokenizer}, err
}

// execute runs the plan. All that it concludes follows from the plan, the beacon and
// the answers.
func (a *audit) execute(ctx context.Context, beacon verdict.Beacon) (*verdict.Report, error) {
	commit := a.plan.commit()
	a.seed = runSeed(commit, beacon.Value)
	a.plan.refused, a.fused = a.plan.recordedWithout(), newFusion(nil)
	report := &verdict.Report{
		Schema: verdict.Schema, Program: a.plan.Program, Profile: a.plan.Profile.Name, Started: a.plan.Started,
		Commit: commit, Beacon: beacon, Seed: hex.EncodeToString(a.seed[:]),
		Target: verdict.Target{Name: a.plan.Facts.Name, URL: a.plan.Facts.URL, Host: a.plan.Facts.Host, Kind: a.plan.Facts.Kind, Model: a.plan.Facts.Model},
	}
	unusable := a.preflight(ctx)
	a.fused = newFusion(a.plan.applicable())
	for i := range detectors {
		report.Detectors = append(report.Detectors, a.trial(ctx, &detectors[i], unusable))
	}
	if unusable == nil {
		report.LeftOut = a.plan.refused.leftOut()
	}
	report.Detectable = a.detectable(report.Detectors)
	report.Camouflage = a.camouflage()
	a.conclude(report, unusable)
	switch {
	case unusable != nil:
		return report, unusable
	case ctx.Err() != nil:
		report.Stopped = "interrupted"
		return report, context.Cause(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended == Capped {
		report.Stopped = "the spend cap was reached"
	}
	return report, nil
}

// trial runs one detector, or says why not.
func (a *audit) trial(ctx context.Context, d *detector, unusable *UnusableError) verdict.Result {
	result := verdict.Result{ID: d.id, Name: d.name, Layer: d.layer, Null: d.null, Nulls: d.nulls, Cost: -1}
	state, why := a.plan.state(d)
	switch {
	case state != verdict.Ran:
		result.State, result.Reason = state, why
		return result
	case unusable != nil:
		result.State, result.Reason = verdict.NotRun, "the endpoint is unusable"
		return result
	case a.over():
		result.State, result.Reason = verdict.NotRun, "the audit ended before"
		return result
	}
	before := a.meter.total()
	a.begin(d)
	a.fused.mark()
	t := &Trial{Plan: a.plan, Seed: stat.Seed(a.seed, string(d.id)), Budget: a.plan.Profile.Budgets[d.id], compares: d.compares, result: &result, fused: a.fused, audit: a}
	d.run(ctx, t)
	t.end()
	if after := a.meter.total(); before.Cost >= 0 && after.Cost >= 0 {
		result.Cost = after.Cost - before.Cost
	}
	return result
}

// begin tells that a detector begins.
func (a *audit) begin(d *detector) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now.Detector, a.now.Asked, a.now.Planned = string(d.id)+" "+d.name, 0, a.plan.Profile.Budgets[d.id]
	a.now.Done, a.now.Of = 0, 0
	for i := range detectors {
		if s, _ := a.plan.state(&detectors[i]); s == verdict.Ran {
			a.now.Of++
			if detectors[i].id == d.id {
				a.now.Done = a.now.Of - 1
			}
		}
	}
	a.tell()
}

// tell tells the progress; the caller holds mu.
func (a *audit) tell() {
	if a.Progress == nil {
		return
	}
	p := a.now
	p.Spent = a.meter.total()
	p.LogE = map[verdict.Null]float64{}
	for n, x := range a.fused.nulls {
		if len(x.curve) > 0 {
			p.LogE[n] = x.curve[len(x.curve)-1].Y
		}
	}
	a.Progress(p)
}

// over reports whether nothing more may be asked.
func (a *audit) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended != ""
}

// ask sends one question of a detector, and records it.
func (a *audit) ask(ctx context.Context, by verdict.ID, to arm, n int, q *Ask) *Reply {
	if a.recorded != nil {
		return a.replay(place{by, to.String(), n}, q)
	}
	x := a.reuse(place{by, to.String(), n}, q)
	if x == nil {
		x = a.send(ctx, by, to, n, q)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, *x)
	a.end(x.Reply)
	a.now.Asked++
	if a.now.Asked%4 == 0 {
		a.tell()
	}
	return x.Reply
}

// send sends one question.
func (a *audit) send(ctx context.Context, by verdict.ID, to arm, n int, q *Ask) *exchange {
	subject := a.Subject
	switch to {
	case trusted:
		subject = a.Trusted
	case second:
		subject = a.Second
	}
	a.pacer.wait(ctx)
	x := &exchange{By: by, To: to.String(), N: n, Sent: time.Since(a.plan.Started), Ask: q}
	if ctx.Err() == nil {
		x.Reply = a.meter.ask(ctx, subject, q)
	}
	if ctx.Err() != nil && (x.Reply == nil || !x.Reply.OK()) {
		x.Reply = &Reply{Outcome: Interrupted, Error: "the audit was interrupted"}
	}
	return x
}

// end notes that nothing more is asked after this reply; the caller holds mu.
func (a *audit) end(r *Reply) {
	if r.Outcome == Capped || r.Outcome == Interrupted {
		a.ended = r.Outcome
	}
}

// exchanges are the questions that were asked so far, and the answers.
func (a *audit) exchanges() []exchange {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.recorded == nil {
		return slices.Clone(a.records)
	}
	var all []exchange
	for x := range maps.Values(a.recorded) {
		all = append(all, *x)
	}
	return all
}

// Greeting is the first question of audits and of recordings, on whose answer nothing
// depends.
const Greeting = "Say hello."

// preflight asks one plain question to tell an endpoint that works from one that does
// not, before anything is concluded from its answers, and finds the settings of most
// questions that it refuses.
func (a *audit) preflight(ctx context.Context) *UnusableError {
	q := Ask{Turns: User(Greeting), MaxTokens: 64, Temperature: new(wordTemperature), TopP: new(wordTopP)}
	if a.plan.dressed() && a.plan.Reference.comparable(a.plan) == "" && len(a.plan.Reference.Words) > 0 {
		q = workAsk(a.plan.Reference.Words[0].ID, a.plan.dress(), stat.Rand(stat.Seed(a.seed, "preflight")))
		q.Temperature = new(wordTemperature) // as a quarter of its kind have
	}
	a.plan.refused.fit(&q)
	r := a.plan.refused.settle(q, func(n int, q *Ask) *Reply { return a.ask(ctx, "preflight", suspect, n, q) })
	text := ""
	switch r.Outcome {
	case Answered, Interrupted:
		return nil
	case Denied:
		text = "the endpoint refuses the key" + said(r)
	case RateLimited:
		text = "the endpoint says that too many requests are made, also after pauses" + said(r)
	case TimedOut:
		text = "the endpoint does not answer in time"
	case Unreachable:
		text = "the endpoint cannot be reached: " + r.Error
	case Malformed:
		text = fmt.Sprintf("this does not look like an API of language models (status %d): %s", r.Status, r.Error)
	case Capped:
		text = "the spend cap does not allow a single question, or no price is known to hold it by"
	case Forbidden:
		text = "the policy of the gateway does not allow questions to this upstream: " + r.Error
	case Failed:
		text = fmt.Sprintf("the endpoint fails (status %d)%s", r.Status, said(r))
	default:
		text = fmt.Sprintf("the endpoint refuses a plain question for model %q (status %d)%s", a.plan.Facts.Model, r.Status, said(r))
		if r.Status == 404 && r.Failure == nil {
			text = "there is no API of language models at this address (status 404); the address must end with the version, such as /v1"
		}
	}
	return &UnusableError{r.Outcome, text}
}

// said is what the endpoint said of a failure.
func said(r *Reply) string {
	if r.Failure == nil || r.Failure.Message == "" {
		return ""
	}
	return ": " + r.Failure.Message
}
