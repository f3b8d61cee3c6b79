package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// chooser calls tools by its own habit.
type chooser struct {
	habit   string
	silent  float64 // share of answers without a call
	fails   float64
	hostile bool

	mu sync.Mutex
	r  *rand.Rand // guarded by mu
}

func (c *chooser) Facts() Facts { return (&solver{}).Facts() }

func (c *chooser) Ask(_ context.Context, a *Ask) *Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &Reply{Outcome: Answered, Status: 200, Text: "hello", Finish: llm.FinishStop}
	if len(a.Tools) == 0 {
		return r
	}
	switch u := c.r.Float64(); {
	case u < c.fails:
		return &Reply{Outcome: Refused, Status: 400}
	case u < c.fails+c.silent:
		return r
	case c.hostile:
		r.Calls = []Call{{Name: "<script>alert(1)</script>"}}
		return r
	}
	r.Calls = []Call{{Name: c.prefers(a)}}
	return r
}

// prefers draws a tool: four times in five the one that the habit names.
func (c *chooser) prefers(a *Ask) string {
	favourite := stat.Rand(stat.Seed([32]byte{}, c.habit, a.Tools[0].Name)).IntN(len(a.Tools))
	if c.r.Float64() < .8 {
		return a.Tools[favourite].Name
	}
	return a.Tools[c.r.IntN(len(a.Tools))].Name
}

func chooserOf(habit, seed string) *chooser {
	return &chooser{habit: habit, r: stat.Rand(stat.Seed([32]byte{}, seed))}
}

// recordedTools is a reference of the tool choices of some deployments.
func recordedTools(t *testing.T, subjects ...Subject) *reference.Opened {
	t.Helper()
	ref := &reference.Reference{
		Model: testModel, Recorded: testTime.Add(-time.Hour), Expires: testTime.Add(time.Hour), Protocol: reference.Protocol{Questions: QuestionsVersion},
	}
	r := &recorder{Enrolment: Enrolment{Train: 60, Bank: 240, Parallel: 1}, meter: newMeter(free, 0)}
	for i, s := range subjects {
		ref.Variants = append(ref.Variants, reference.Variant{Name: fmt.Sprint(i)})
		r.Variants = append(r.Variants, Source{ref.Variants[i], s})
	}
	if err := r.tools(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	return sealed(t, ref)
}

func onlyTools(n int) Profile { return Profile{"tools", map[verdict.ID]int{"D6": n}} }

// TestTools: a model of another habit is told apart, and one of a recorded habit is
// not; what is no call is told from calls, and failures are no evidence.
func TestTools(t *testing.T) {
	one := recordedTools(t, chooserOf("one", "a"))
	two := recordedTools(t, chooserOf("one", "b"), chooserOf("two", "c"))
	for name, c := range map[string]struct {
		ref          *reference.Opened
		subject      *chooser
		same, honest bool
		state        verdict.State
	}{
		"the same":                 {one, chooserOf("one", "d"), false, false, verdict.Ran},
		"another":                  {one, chooserOf("other", "e"), true, false, verdict.Ran},
		"another deployment":       {two, chooserOf("two", "f"), true, false, verdict.Ran},
		"neither of them":          {two, chooserOf("other", "g"), true, true, verdict.Ran}, // see below
		"no calls":                 {one, &chooser{silent: 1, r: stat.Rand([32]byte{1})}, true, false, verdict.Ran},
		"calls of unknown tools":   {one, &chooser{hostile: true, r: stat.Rand([32]byte{2})}, true, false, verdict.Ran},
		"refuses tools":            {one, &chooser{fails: 1, r: stat.Rand([32]byte{3})}, false, false, verdict.Inconclusive},
		"refuses a third of tools": {one, &chooser{habit: "other", fails: .33, r: stat.Rand([32]byte{4})}, false, false, verdict.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			r, record := run(t, Config{Subject: c.subject, Reference: c.ref, Profile: onlyTools(120), Now: testNow})
			if d := resultOf(t, r, "D6"); d.State != c.state || len(d.Findings) != 0 {
				t.Fatalf("%s: %s, %+v", d.State, d.Reason, d.Findings)
			}
			if v := verdictOn(t, r, verdict.Same); v.Rejected != c.same || v.Tested != (c.state == verdict.Ran) {
				t.Errorf("H_same: %+v", v)
			}
			// Of 120 questions with two deployments to choose from, only three swaps in ten
			// reject; the evidence must point there all the same.
			if v := verdictOn(t, r, verdict.Honest); c.honest && v.MaxLogE < .5 || !c.honest && v.Rejected {
				t.Errorf("H_honest: %+v", v)
			}
			shown, _ := json.Marshal(r)
			if strings.Contains(string(shown), "alert") {
				t.Error("a hostile name is in the report")
			}
			checkFile(t, record)
		})
	}
}

// TestToolsFalseAlarms: of many audits of the reference itself, no more than alpha
// reject, and a swap is found.
func TestToolsFalseAlarms(t *testing.T) {
	const audits = 600
	ref := recordedTools(t, chooserOf("one", "a"), chooserOf("two", "b"))
	alarms, swaps, neither, halves, sum := map[verdict.Null]int{}, 0, 0, 0, 0.0
	for i := range audits {
		seed := fmt.Sprint(i)
		cfg := Config{Subject: chooserOf("one", seed), Reference: ref, Profile: onlyTools(60), Parallel: 1, Now: testNow, Beacon: testBeacon(seed)}
		r, _ := run(t, cfg)
		for _, n := range []verdict.Null{verdict.Same, verdict.Honest} {
			if verdictOn(t, r, n).Rejected {
				alarms[n]++
			}
		}
		sum += math.Pow(10, verdictOn(t, r, verdict.Same).LogE)
		if i%6 == 0 {
			cfg.Profile = onlyTools(120)
			other, n := chooserOf("other", "y"+seed), 0
			cfg.Subject = other
			r, _ := run(t, cfg)
			if verdictOn(t, r, verdict.Same).Rejected {
				swaps++
			}
			if verdictOn(t, r, verdict.Honest).Rejected {
				neither++
			}
			cfg.Subject = subjectFunc{chooserOf("one", "x"+seed), func(ctx context.Context, s Subject, a *Ask) *Reply {
				if n++; n%2 == 0 {
					return other.Ask(ctx, a)
				}
				return s.Ask(ctx, a)
			}}
			if r, _ := run(t, cfg); verdictOn(t, r, verdict.Same).Rejected {
				halves++
			}
		}
	}
	// 600 draws at 1 % exceed 14 with a probability below .2 %.
	if alarms[verdict.Same] > 14 || alarms[verdict.Honest] > 14 {
		t.Errorf("of %d honest audits %v reject", audits, alarms)
	}
	if mean := sum / audits; mean > 1.3 {
		t.Errorf("the mean of E is %.2f", mean)
	}
	if swaps < 95 {
		t.Errorf("%d of 100 swaps are found", swaps)
	}
	t.Logf("alarms %v of %d, mean E %.2f; of 100 each, %d swaps are found (%d against H_honest) and %d dilutions of one half", alarms, audits, sum/audits, swaps, neither, halves)
}

// TestToolsOverHTTP records and audits tool choices of a model that always calls the
// first tool, and records none of one that has no tools.
func TestToolsOverHTTP(t *testing.T) {
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one"})
	ref := recordedTools(t, auditedAt(t, s.BaseURL()))
	if len(ref.Tools) != len(toolTasks) {
		t.Fatalf("%d cells", len(ref.Tools))
	}
	for _, c := range ref.Tools {
		if answers := c.Trains(0); len(answers) != 1 || answers[toolTaskOf(c.ID).tools[0]] == 0 {
			t.Errorf("%s: %v", c.ID, answers)
		}
	}
	r, record := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Reference: ref, Profile: onlyTools(40), Now: testNow})
	if v := verdictOn(t, r, verdict.Same); !v.Tested || v.Rejected || v.N != 40 {
		t.Errorf("%+v", v)
	}
	checkFile(t, record)
	without := &recorder{
		Enrolment: Enrolment{Train: 20, Bank: 20, Parallel: 4, Variants: []Source{{reference.Variant{Name: "a"}, &chooser{silent: 1, r: stat.Rand([32]byte{})}}}}, meter: newMeter(free, 0),
	}
	if err := without.tools(t.Context(), &reference.Reference{}); err == nil || !strings.Contains(err.Error(), "0 of 20 situations") {
		t.Errorf("%v", err)
	}
}
