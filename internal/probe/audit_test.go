package probe

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/evidence"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/reference"
	"sallyport/internal/secret"
	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

const testModel = "gpt-4o-mini"

// startOracle starts a model with chosen properties.
func startOracle(t *testing.T, o *upstreamtest.Oracle) *upstreamtest.Server {
	t.Helper()
	s, err := upstreamtest.Start(upstreamtest.Config{Oracle: o, Key: "sk-audit"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func auditedAt(t *testing.T, url string) *Endpoint {
	t.Helper()
	e, err := NewEndpoint(EndpointConfig{URL: url, Model: testModel, Key: secret.New("sk-audit"), Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// enrolled is a reference of honest deployments.
func enrolled(t *testing.T, variants ...*Endpoint) *reference.Opened {
	t.Helper()
	// One question at a time: what an oracle draws follows the number of the request.
	e := Enrolment{Name: "test", Model: testModel, Lifetime: time.Hour, Train: 40, Bank: 160, Parallel: 1, Price: free}
	for i, v := range variants {
		e.Variants = append(e.Variants, Source{reference.Variant{Name: string(rune('a' + i)), Host: "127.0.0.1", Class: "local"}, v})
	}
	ref, err := Enrol(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	opened, err := reference.Seal(&b, nil, ref)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func free(llm.Tokens) (price.Nano, bool) { return 0, true }

// testBeacon makes audits of tests repeat.
func testBeacon(value string) func(context.Context, string) (verdict.Beacon, error) {
	return func(context.Context, string) (verdict.Beacon, error) {
		return verdict.Beacon{Value: value, Source: "test"}, nil
	}
}

func run(t *testing.T, cfg Config) (*verdict.Report, *Record) {
	t.Helper()
	cfg.Price = free
	if cfg.Beacon == nil {
		cfg.Beacon = testBeacon("1")
	}
	r, record, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, record
}

func verdictOn(t *testing.T, r *verdict.Report, n verdict.Null) verdict.Verdict {
	t.Helper()
	for _, v := range r.Verdicts {
		if v.Null == n {
			return v
		}
	}
	t.Fatalf("no verdict on %q", n)
	return verdict.Verdict{}
}

// onlyWords is a profile of the word questions alone.
func onlyWords(n int) Profile { return Profile{"words", map[verdict.ID]int{"D3": n}} }

// TestSwap: another model behind the claimed name is told apart; two honest
// deployments, and a mixture of both, are not.
func TestSwap(t *testing.T) {
	one, two := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"}), startOracle(t, &upstreamtest.Oracle{Seed: "two", Family: "claimed", Distance: .1})
	other := startOracle(t, &upstreamtest.Oracle{Seed: "three", Family: "other"})
	ref := enrolled(t, auditedAt(t, one.BaseURL()), auditedAt(t, two.BaseURL()))
	for name, c := range map[string]struct {
		url   string
		label verdict.Label
	}{
		"reference itself": {one.BaseURL(), verdict.NoDifference},
		"other deployment": {two.BaseURL(), verdict.NoDifference},
		"another model":    {other.BaseURL(), verdict.Differs},
	} {
		t.Run(name, func(t *testing.T) {
			r, record := run(t, Config{Subject: auditedAt(t, c.url), Reference: ref, Profile: onlyWords(150)})
			if v := verdictOn(t, r, verdict.Honest); v.Label != c.label || v.Rejected != (c.label == verdict.Differs) || v.N == 0 {
				t.Errorf("H_honest: %+v", v)
			}
			if c.label == verdict.Differs {
				if v := verdictOn(t, r, verdict.Same); v.Level != verdict.LevelWarning {
					t.Errorf("H_same alone reaches level %s", v.Level)
				}
				if r.Headline != verdict.Differs {
					t.Errorf("headline %q: one layer alone accuses nobody", r.Headline)
				}
			}
			checkRecord(t, record)
		})
	}
}

// checkRecord seals a record, opens it, does the audit again, and then spoils it in
// several ways.
func checkRecord(t *testing.T, record *Record) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	var file bytes.Buffer
	if err := record.Seal(&file, key); err != nil {
		t.Fatal(err)
	}
	open := func() *Record {
		r, _, err := OpenBundle(bytes.NewReader(file.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if _, err := open().Verify(t.Context()); err != nil {
		t.Fatalf("the record does not verify: %v", err)
	}
	flipped := bytes.Clone(file.Bytes())
	flipped[len(flipped)/2] ^= 1
	if _, _, err := OpenBundle(bytes.NewReader(flipped)); !errors.Is(err, evidence.ErrBroken) {
		t.Errorf("a flipped byte: %v", err)
	}
	for name, spoil := range map[string]func(*Record){
		"an answer": func(r *Record) {
			r.Exchanges[len(r.Exchanges)/2].Reply.Outcome = Malformed
		},
		"a verdict":       func(r *Record) { r.Report.Verdicts[0].MaxLogE += .5 },
		"the headline":    func(r *Record) { r.Report.Headline = verdict.IntegrityFailed },
		"a question":      func(r *Record) { r.Exchanges[1].Ask.Turns[0].Text = "forged" },
		"a lost exchange": func(r *Record) { r.Exchanges = r.Exchanges[:len(r.Exchanges)/2] },
		"the beacon":      func(r *Record) { r.Beacon.Value = "2" },
		"the plan":        func(r *Record) { r.Plan.Tolerance = .5 },
		"the target":      func(r *Record) { r.Report.Target.Name = "another" },
		"the model":       func(r *Record) { r.Report.Target.Model = "another" },
		"the profile":     func(r *Record) { r.Report.Profile = "vet" },
		"the program":     func(r *Record) { r.Report.Program = "another" },
		"the time":        func(r *Record) { r.Report.Started = r.Report.Started.Add(-time.Hour) },
		"the reference":   func(r *Record) { r.Report.Reference = &verdict.Reference{ID: "another"} },
	} {
		r := open()
		spoil(r)
		if _, err := r.Verify(t.Context()); !errors.Is(err, ErrOtherEnd) {
			t.Errorf("%s was forged and the record verifies: %v", name, err)
		}
	}
}

// TestNoReference: what was not tested is never a pass.
func TestNoReference(t *testing.T) {
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one"})
	r, record := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Profile: onlyWords(20)})
	if r.Headline != verdict.NotTested || !strings.HasPrefix(r.Summary, "Identity not tested") {
		t.Errorf("headline %q, %q", r.Headline, r.Summary)
	}
	for _, v := range r.Verdicts {
		if v.Tested || v.Rejected || v.Label != verdict.NotTested {
			t.Errorf("%+v", v)
		}
	}
	checkFile(t, record)
}

func checkFile(t *testing.T, record *Record) {
	t.Helper()
	var file bytes.Buffer
	if err := record.Seal(&file, nil); err != nil {
		t.Fatal(err)
	}
	r, _, err := OpenBundle(&file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestUnusable: what cannot be audited is told in words, and partial evidence stays.
func TestUnusable(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello</html>")) }))
	t.Cleanup(web.Close)
	nothing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nothing.Close)
	honest := startOracle(t, &upstreamtest.Oracle{})
	wrongKey, err := NewEndpoint(EndpointConfig{URL: honest.BaseURL(), Model: testModel, Key: secret.New("sk-wrong")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wrongKey.Close)
	noModel, err := NewEndpoint(EndpointConfig{URL: honest.BaseURL(), Model: "no-such-model", Key: secret.New("sk-audit")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(noModel.Close)
	for name, c := range map[string]struct {
		subject *Endpoint
		outcome Outcome
		text    string
	}{
		"nobody listens":  {auditedAt(t, "http://127.0.0.1:1/v1"), Unreachable, "cannot be reached"},
		"a web page":      {auditedAt(t, web.URL), Malformed, "does not look like an API"},
		"another address": {auditedAt(t, nothing.URL), Refused, "must end with the version"},
		"a wrong key":     {wrongKey, Denied, "refuses the key"},
		"no such model":   {noModel, Refused, "no-such-model"},
	} {
		t.Run(name, func(t *testing.T) {
			r, record, err := Run(t.Context(), Config{Subject: c.subject, Profile: Quick, Price: free, Beacon: testBeacon("1")})
			unusable, is := errors.AsType[*UnusableError](err)
			if !is || unusable.Outcome != c.outcome || !strings.Contains(unusable.Text, c.text) {
				t.Fatalf("%v", err)
			}
			if r.Headline != verdict.Unusable || len(record.Exchanges) == 0 {
				t.Errorf("headline %q with %d exchanges", r.Headline, len(record.Exchanges))
			}
			checkFile(t, record)
		})
	}
}

// TestSpendCap: the cap holds, what was seen is kept, and the audit says so.
func TestSpendCap(t *testing.T) {
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	ref := enrolled(t, auditedAt(t, s.BaseURL()))
	const limit = 3000
	for _, parallel := range []int{1, 8, 64} {
		r, record, err := Run(t.Context(), Config{
			Subject: auditedAt(t, s.BaseURL()), Reference: ref, Profile: onlyWords(400), Price: perToken, Cap: limit, Parallel: parallel, Beacon: testBeacon("1"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Stopped == "" || r.Spent.Cost < limit*3/4 || r.Spent.Cost > limit || r.Spent.Outcomes[string(Capped)] != 0 {
			t.Errorf("%d at a time: stopped %q, spent %+v", parallel, r.Stopped, r.Spent)
		}
		if n := int(r.Spent.Queries); len(s.Journal().Requests()) == 0 || n >= 400 {
			t.Errorf("%d at a time: %d questions under the cap", parallel, n)
		}
		checkFile(t, record)
	}
}

// TestInterrupted: who stops an audit keeps what it saw.
func TestInterrupted(t *testing.T) {
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	ref := enrolled(t, auditedAt(t, s.BaseURL()))
	ctx, cancel := context.WithCancel(t.Context())
	r, record, err := Run(ctx, Config{
		Subject: auditedAt(t, s.BaseURL()), Reference: ref, Profile: onlyWords(400), Price: free, Parallel: 1, Beacon: testBeacon("1"),
		Progress: func(p Progress) {
			if p.Asked > 20 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || r.Stopped == "" {
		t.Errorf("%v, stopped %q", err, r.Stopped)
	}
	if v := verdictOn(t, r, verdict.Same); v.N < 10 {
		t.Errorf("%d observations are kept", v.N)
	}
	if len(record.Exchanges) < 20 {
		t.Errorf("%d exchanges are kept", len(record.Exchanges))
	}
}

// TestInterruptedInFlight: the same when questions are on their way, whatever detector
// they are of, and at the very first one.
func TestInterruptedInFlight(t *testing.T) {
	for _, after := range []int{0, 1, 30, 60} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
			ctx, cancel := context.WithCancel(t.Context())
			subject := auditedAt(t, s.BaseURL())
			asked := atomic.Int32{}
			r, record, err := Run(ctx, Config{
				Subject: asking{subject, func() {
					if int(asked.Add(1)) == after+1 {
						cancel()
					}
				}},
				Profile: Quick, Price: free, Parallel: 4, Beacon: testBeacon("1"),
			})
			if !errors.Is(err, context.Canceled) || r.Stopped != "interrupted" {
				t.Fatalf("%v, stopped %q", err, r.Stopped)
			}
			if r.Spent.Outcomes[string(TimedOut)] != 0 {
				t.Errorf("outcomes %v", r.Spent.Outcomes)
			}
			checkFile(t, record)
		})
	}
}

// asking is a subject that tells of each question before it is sent.
type asking struct {
	Subject
	before func()
}

func (s asking) Ask(ctx context.Context, a *Ask) *Reply {
	s.before()
	return s.Subject.Ask(ctx, a)
}

// TestFailuresAreNoEvidence: an endpoint that fails too often is not found to be
// anything.
func TestFailuresAreNoEvidence(t *testing.T) {
	one, other := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"}), startOracle(t, &upstreamtest.Oracle{Seed: "two", Family: "other"})
	ref := enrolled(t, auditedAt(t, one.BaseURL()))
	n := 0
	flaky := subjectFunc{auditedAt(t, other.BaseURL()), func(ctx context.Context, s Subject, a *Ask) *Reply {
		if n++; n%3 == 0 {
			return &Reply{Outcome: Malformed, Status: 200}
		}
		return s.Ask(ctx, a)
	}}
	r, record := run(t, Config{Subject: flaky, Reference: ref, Profile: onlyWords(90), Parallel: 1})
	if d := r.Detectors[0]; d.State != verdict.Inconclusive && d.ID == "D3" {
		t.Errorf("%+v", d)
	}
	if v := verdictOn(t, r, verdict.Same); v.Rejected || v.Tested || v.MaxLogE != 0 {
		t.Errorf("%+v", v)
	}
	checkFile(t, record)
}

// subjectFunc changes what a subject answers.
type subjectFunc struct {
	Subject
	ask func(context.Context, Subject, *Ask) *Reply
}

func (s subjectFunc) Ask(ctx context.Context, a *Ask) *Reply { return s.ask(ctx, s.Subject, a) }

// TestFalseAlarms: of many audits of the reference itself, no more than alpha reject.
func TestFalseAlarms(t *testing.T) {
	const audits = 1000
	claimed := &upstreamtest.Oracle{Seed: "one", Family: "claimed"}
	ref := enrolled(t, auditedAt(t, startOracle(t, claimed).BaseURL()))
	cells := map[string]upstreamtest.Distribution{}
	alarms, sum := 0, 0.0
	for i := range audits {
		seed := fmt.Sprint(i)
		subject := &sampled{oracle: claimed, r: stat.Rand(stat.Seed([32]byte{}, seed)), cells: cells}
		r, _ := run(t, Config{Subject: subject, Reference: ref, Profile: onlyWords(60), Parallel: 1, Beacon: testBeacon(seed)})
		v := verdictOn(t, r, verdict.Same)
		if v.Rejected {
			alarms++
		}
		sum += math.Pow(10, v.LogE)
	}
	// 1,000 draws at 1 % exceed 20 with a probability below .2 %. The audits share a
	// bank, so what this shows holds for this bank.
	if alarms > 20 {
		t.Errorf("%d of %d honest audits reject", alarms, audits)
	}
	if mean := sum / audits; mean > 1.3 {
		t.Errorf("the mean of E is %.2f", mean)
	}
}

// sampled answers word questions as an oracle does, without a network.
type sampled struct {
	oracle *upstreamtest.Oracle
	mu     sync.Mutex // of what follows
	r      *rand.Rand
	cells  map[string]upstreamtest.Distribution // by question without its nonce
}

func (s *sampled) Facts() Facts {
	return Facts{URL: "http://127.0.0.1/v1", Kind: "openai", Model: testModel}
}

func (s *sampled) Ask(_ context.Context, a *Ask) *Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	question, _, _ := strings.Cut(strings.ReplaceAll(a.Turns[0].Text, "（", "("), "(")
	answers := s.cells[question]
	if answers == nil {
		answers = s.oracle.Cell(a.System, a.Turns[0].Text)
		s.cells[question] = answers
	}
	words := slices.Sorted(maps.Keys(answers))
	sum := 0.0
	for _, w := range words {
		sum += answers[w]
	}
	at := s.r.Float64() * sum
	for _, w := range words {
		if at -= answers[w]; at < 0 {
			return &Reply{Outcome: Answered, Status: 200, Text: w, Finish: llm.FinishStop}
		}
	}
	return &Reply{Outcome: Answered, Status: 200, Finish: llm.FinishStop}
}

// TestEveryDetector: whatever the profile, a report names all fifteen and the published questions, and says why of
// each that did not run.
func TestEveryDetector(t *testing.T) {
	subject := writerOf("one", "every")
	for _, profile := range []Profile{Quick, Vet, {Name: "none"}} {
		r, _ := run(t, Config{Subject: subject, Profile: profile, Now: testNow})
		seen := map[verdict.ID]verdict.Result{}
		for _, d := range r.Detectors {
			if seen[d.ID].ID != "" || d.Name == "" || d.Null == "" || d.State != verdict.Ran && d.Reason == "" {
				t.Errorf("%s: %+v", profile.Name, d)
			}
			seen[d.ID] = d
		}
		for i := range 15 {
			if id := verdict.ID(fmt.Sprint("D", i+1)); seen[id].ID == "" {
				t.Errorf("%s: there is no %s", profile.Name, id)
			}
		}
		if d := seen["D4"]; len(seen) != 16 || d.State != verdict.NotApplicable || d.Queries != 0 {
			t.Errorf("%s: %d detectors, D4 %s", profile.Name, len(seen), d.State)
		}
	}
}
