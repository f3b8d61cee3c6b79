package probe

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/tokens"
	"sallyport/internal/upstreamtest"
)

// steadfast answers each question as its text alone says, whenever it is asked.
type steadfast struct {
	model *sampled
	asked atomic.Int64
	fate  func(n int64) *Reply // instead of the n-th answer; nil for the answer
}

func (s *steadfast) Facts() Facts { return s.model.Facts() }

func (s *steadfast) Ask(_ context.Context, a *Ask) *Reply {
	if s.fate != nil {
		if r := s.fate(s.asked.Add(1)); r != nil {
			return r
		}
	}
	own := sampled{oracle: s.model.oracle, r: stat.Rand(stat.Seed([32]byte{}, a.Turns[0].Text)), cells: map[string]upstreamtest.Distribution{}}
	r := own.Ask(context.Background(), a)
	r.Usage, r.Tokens[llm.Input], r.Tokens[llm.Output] = llm.UsageClaimed, 20, 2
	return r
}

func anSteadfast(fate func(int64) *Reply) *steadfast {
	return &steadfast{model: &sampled{oracle: &upstreamtest.Oracle{Seed: "one", Family: "claimed", Distance: .2}}, fate: fate}
}

// reopened is a record as its bundle gives it back, which must verify.
func reopened(t *testing.T, record *Record) *Record {
	t.Helper()
	checkFile(t, record)
	var file bytes.Buffer
	if err := record.Seal(&file, nil); err != nil {
		t.Fatal(err)
	}
	r, _, err := OpenBundle(&file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// resumeSetup is an audit of 200 word questions.
func resumeSetup(t *testing.T) Config {
	claimed := &sampled{oracle: &upstreamtest.Oracle{Seed: "one", Family: "claimed"}, r: stat.Rand([32]byte{7}), cells: map[string]upstreamtest.Distribution{}}
	ref, err := Enrol(t.Context(), Enrolment{
		Name: "test", Model: testModel, Lifetime: time.Hour, Train: 40, Bank: 160, Parallel: 1, Price: free, Languages: []string{"en"}, Now: testNow,
		Variants: []Source{{reference.Variant{Name: "a", Host: "127.0.0.1", Class: "local"}, claimed}},
	})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := reference.Seal(&bytes.Buffer{}, nil, ref)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Program: "test", Reference: opened, Profile: onlyWords(200), Price: perToken, Camouflage: true, Detectable: true,
		Beacon: testBeacon("1"), Now: testNow, // which decide how many questions are asked
	}
}

func perToken(tokens llm.Tokens) (price.Nano, bool) {
	return price.Nano(tokens.Prompt() + tokens.Completion()), true
}

// TestResume: an audit that was interrupted, reached its cap or lost its endpoint ends,
// when it is gone on with, as one that was not; nothing that was answered is asked
// again.
func TestResume(t *testing.T) {
	cfg := resumeSetup(t)
	down := func(n int64) *Reply {
		if n > 80 {
			return &Reply{Outcome: Unreachable, Error: "connection refused", Retry: time.Nanosecond}
		}
		return nil
	}
	for name, c := range map[string]struct {
		fate     func(int64) *Reply
		cap      price.Nano
		parallel int
		stop     int // after so many questions
	}{
		"interrupted":   {stop: 61},
		"at its cap":    {cap: 2500},
		"endpoint down": {fate: down, stop: 100, parallel: 1},
		"at once":       {fate: func(int64) *Reply { return down(1000) }},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			first := cfg
			first.Subject, first.Cap = anSteadfast(c.fate), c.cap
			first.Progress = func(p Progress) {
				if c.stop > 0 && p.Asked > c.stop {
					cancel()
				}
			}
			_, part, err := Run(ctx, first)
			if unusable := (*UnusableError)(nil); err != nil && !errors.Is(err, context.Canceled) && !errors.As(err, &unusable) {
				t.Fatal(err)
			}
			had := 0
			for _, x := range part.Exchanges {
				if x.Reply.OK() {
					had++
				}
			}
			nothing := reopened(t, part)
			nothing.Exchanges = nil
			again := cfg
			again.Subject, again.Cap = anSteadfast(nil), 1e9
			whole, _, err := Resume(t.Context(), again, nothing) // the same plan, without an interruption
			if err != nil {
				t.Fatal(err)
			}
			subject := anSteadfast(func(int64) *Reply { return nil })
			again.Subject, again.Cap = subject, 1e9
			r, record, err := Resume(t.Context(), again, reopened(t, part))
			if err != nil {
				t.Fatal(err)
			}
			if where := differs(whole, r); where != "" {
				t.Errorf("it ends otherwise than one that was not interrupted: %s", where)
			}
			if r.Spent.Queries != whole.Spent.Queries || r.Spent.Cost != whole.Spent.Cost {
				t.Errorf("it took %+v and would have taken %+v", r.Spent, whole.Spent)
			}
			if n := int(subject.asked.Load()); n+had != len(record.Exchanges) || len(record.Exchanges) < 100 {
				t.Errorf("%d answers were there, %d questions are asked, %d stand in the record", had, n, len(record.Exchanges))
			}
			if r.Stopped != "" || r.Seed != part.Report.Seed {
				t.Errorf("stopped %q, seed %s", r.Stopped, r.Seed)
			}
			checkFile(t, record)
		})
	}
}

// TestResumeCap: the cap is one of all that is spent, before and after.
func TestResumeCap(t *testing.T) {
	cfg := resumeSetup(t)
	cfg.Subject, cfg.Cap = anSteadfast(nil), 2500
	r, part, err := Run(t.Context(), cfg)
	if err != nil || r.Stopped == "" {
		t.Fatalf("%v, stopped %q", err, r.Stopped)
	}
	cfg.Cap = 2900
	more, record, err := Resume(t.Context(), cfg, reopened(t, part))
	if err != nil {
		t.Fatal(err)
	}
	if more.Spent.Cost > 2900 || more.Spent.Cost <= r.Spent.Cost || more.Stopped == "" {
		t.Errorf("at first %d, then %d, stopped %q", r.Spent.Cost, more.Spent.Cost, more.Stopped)
	}
	checkFile(t, record)
}

// TestNotResumed: what would not be the same audit is refused.
func TestNotResumed(t *testing.T) {
	cfg := resumeSetup(t)
	cfg.Subject = anSteadfast(nil)
	_, record, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	began := cfg.Now()
	elsewhere := &sampled{}
	for name, c := range map[string]struct {
		change func(*Config, *Record)
		want   string
	}{
		"too late":          {func(c *Config, _ *Record) { c.Now = func() time.Time { return began.Add(25 * time.Hour) } }, "more than 24 hours ago"},
		"expired reference": {func(c *Config, _ *Record) { c.Now = func() time.Time { return began.Add(2 * time.Hour) } }, "expired"},
		"other version":     {func(c *Config, _ *Record) { c.Program = "other" }, "begun by version test"},
		"other endpoint": {func(c *Config, _ *Record) {
			c.Subject = subjectAt{elsewhere, Facts{URL: "http://127.0.0.2/v1", Kind: "openai", Model: testModel}}
		}, "http://127.0.0.1/v1"},
		"live reference":    {func(c *Config, _ *Record) { c.Trusted = elsewhere }, "live reference"},
		"changed plan":      {func(_ *Config, r *Record) { r.Plan.Tolerance = .5 }, "committed to"},
		"no reference":      {func(_ *Config, r *Record) { r.Reference = nil }, "the reference in it"},
		"vocabulary":        {func(c *Config, _ *Record) { c.Tokenizer = &tokens.Vocabulary{Name: "v", SHA256: "00"} }, "counts by no file"},
		"sample of traffic": {func(c *Config, _ *Record) { c.Traffic = &Traffic{} }, "sample of traffic"},
	} {
		t.Run(name, func(t *testing.T) {
			other, from := cfg, reopened(t, record)
			c.change(&other, from)
			_, _, err := Resume(t.Context(), other, from)
			if e := (*ResumeError)(nil); !errors.As(err, &e) || !strings.Contains(e.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// subjectAt is a subject elsewhere.
type subjectAt struct {
	Subject
	facts Facts
}

func (s subjectAt) Facts() Facts { return s.facts }
