package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// writer continues texts in a style of its own.
type writer struct {
	style  string
	indent string // before each answer
	fails  float64

	mu sync.Mutex
	r  *rand.Rand // guarded by mu
}

func writerOf(style, seed string) *writer {
	return &writer{style: style, r: stat.Rand(stat.Seed([32]byte{}, seed))}
}

func (w *writer) Facts() Facts { return (&solver{}).Facts() }

func (w *writer) Ask(_ context.Context, a *Ask) *Reply {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.MaxTokens == textTokens && w.r.Float64() < w.fails {
		return &Reply{Outcome: TimedOut}
	}
	words := strings.Fields("the people of a town came and went by water until stone was laid there in summer")
	favourites := stat.Rand(stat.Seed([32]byte{}, w.style)).Perm(len(words))
	var text strings.Builder
	for text.Len() < textPoints {
		at := favourites[min(int(w.r.ExpFloat64()*3), len(words)-1)]
		text.WriteString(words[at] + " ")
	}
	return &Reply{Outcome: Answered, Status: 200, Text: w.indent + text.String(), Finish: llm.FinishLength}
}

// recordedWriters is a reference of continuations.
func recordedWriters(t *testing.T, n int, subjects ...Subject) *reference.Opened {
	t.Helper()
	ref := &reference.Reference{
		Model: testModel, Recorded: testTime.Add(-1e9), Expires: testTime.Add(1e12), Protocol: reference.Protocol{Questions: QuestionsVersion},
	}
	r := &recorder{Enrolment: Enrolment{Texts: n, Parallel: 1}, meter: newMeter(free, 0)}
	for i, s := range subjects {
		ref.Variants = append(ref.Variants, reference.Variant{Name: fmt.Sprint(i)})
		r.Variants = append(r.Variants, Source{ref.Variants[i], s})
	}
	if err := r.texts(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	return sealed(t, ref)
}

func onlyTexts(n int) Profile { return Profile{"texts", map[verdict.ID]int{"D13": n}} }

// TestTexts: another style is told apart, a recorded one and white space are not, and
// failures are no evidence.
func TestTexts(t *testing.T) {
	ref := recordedWriters(t, 10, writerOf("one", "a"), writerOf("two", "b"))
	for name, c := range map[string]struct {
		subject *writer
		found   bool
		state   verdict.State
	}{
		"the same":           {writerOf("one", "c"), false, verdict.Ran},
		"another deployment": {writerOf("two", "d"), false, verdict.Ran},
		"white space before": {&writer{style: "one", indent: "\n  ", r: stat.Rand([32]byte{5})}, false, verdict.Ran},
		"another style":      {writerOf("other", "e"), true, verdict.Ran},
		"failures":           {&writer{style: "other", fails: .4, r: stat.Rand([32]byte{6})}, false, verdict.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			// One question at a time, so that who draws what is the same every time.
			r, record := run(t, Config{Subject: c.subject, Reference: ref, Profile: onlyTexts(250), Now: testNow, Parallel: 1})
			d := resultOf(t, r, "D13")
			if d.State != c.state || len(d.Findings) != 0 || d.Queries != 250 {
				t.Fatalf("%s: %s, %+v", d.State, d.Reason, d)
			}
			if d.State == verdict.Ran {
				if p := d.Evidence[0].P; len(d.Evidence) != 1 || d.Evidence[0].N != 1 || (p == .001) != c.found || !c.found && p < .02 {
					t.Errorf("p = %v, %+v", p, d.Evidence)
				}
			}
			if v := verdictOn(t, r, verdict.Same); v.Rejected || v.Tested != (c.state == verdict.Ran) {
				t.Errorf("one batch alone rejects nothing at 1 %%: %+v", v)
			}
			checkFile(t, record)
		})
	}
	r, _ := run(t, Config{Subject: writerOf("one", "f"), Reference: ref, Profile: onlyTexts(30), Now: testNow})
	if d := resultOf(t, r, "D13"); d.State != verdict.NotApplicable {
		t.Errorf("one answer to a text: %s", d.State)
	}
}

// TestTextsFalseAlarms: over honest audits, each with a reference of its own, p is at
// most .05 as often as it may be, and the mean of E is at most 1.
func TestTextsFalseAlarms(t *testing.T) {
	const audits = 500
	small, sum, found := 0, 0.0, 0
	for i := range audits {
		seed := fmt.Sprint(i)
		ref := recordedWriters(t, 4, writerOf("one", "reference "+seed))
		cfg := Config{Subject: writerOf("one", seed), Reference: ref, Profile: onlyTexts(100), Parallel: 1, Now: testNow, Beacon: testBeacon(seed)}
		r, _ := run(t, cfg)
		e := resultOf(t, r, "D13").Evidence[0]
		if e.P <= .05 {
			small++
		}
		sum += math.Pow(10, e.LogE)
		if i%10 == 0 {
			n, other := 0, writerOf("other", "other "+seed)
			cfg.Subject = subjectFunc{writerOf("one", "x"+seed), func(ctx context.Context, s Subject, a *Ask) *Reply {
				if n++; n%2 == 0 {
					return other.Ask(ctx, a)
				}
				return s.Ask(ctx, a)
			}}
			r, _ := run(t, cfg)
			if resultOf(t, r, "D13").Evidence[0].P <= .05 {
				found++
			}
		}
	}
	// 500 draws at 5 % exceed 40 with a probability below .2 %.
	if small > 40 {
		t.Errorf("p is at most .05 in %d of %d honest audits", small, audits)
	}
	if mean := sum / audits; mean > 1.1 {
		t.Errorf("the mean of E is %.2f", mean)
	}
	t.Logf("p at most .05 in %d of %d honest audits, mean E %.2f; a dilution of one half found at 5 %% in %d of 50", small, audits, sum/audits, found)
}

// TestTextsOverHTTP records and audits prose over HTTP.
func TestTextsOverHTTP(t *testing.T) {
	one, other := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"}), startOracle(t, &upstreamtest.Oracle{Seed: "two", Family: "other"})
	ref := recordedWriters(t, 10, auditedAt(t, one.BaseURL()))
	for _, c := range ref.Texts {
		for _, text := range c.Letters {
			if text == "" || utf8.RuneCountInString(text) > textPoints {
				t.Errorf("%s: %q", c.ID, text)
			}
		}
	}
	for url, found := range map[string]bool{one.BaseURL(): false, other.BaseURL(): true} {
		r, record := run(t, Config{Subject: auditedAt(t, url), Reference: ref, Profile: onlyTexts(250), Now: testNow})
		// What is drawn follows the port that is audited: an honest endpoint has a p of at
		// most .001 once in a thousand runs.
		if d := resultOf(t, r, "D13"); d.State != verdict.Ran || found && d.Evidence[0].P > .01 || !found && d.Evidence[0].P <= .001 {
			t.Errorf("%+v", d)
		}
		checkFile(t, record)
	}
}
