package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/exam"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// testTime is when audits of tests start.
var testTime = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

func testNow() time.Time { return testTime }

// examMixture is the mixture of tests: kinds whose answers are easily made wrong.
var examMixture = []reference.Share{{Family: "percent", Difficulty: 4}, {Family: "trace", Difficulty: 5}, {Family: "regex", Difficulty: 3}, {Family: "join", Difficulty: 4}}

// examined is a reference whose deployments solved so many of a thousand items.
func examined(t *testing.T, solved ...int) *reference.Opened {
	t.Helper()
	ref := &reference.Reference{
		Model: testModel, Recorded: testTime.Add(-time.Hour), Expires: testTime.Add(time.Hour), Protocol: reference.Protocol{Questions: QuestionsVersion},
		Accuracy: &reference.Accuracy{},
	}
	for _, s := range examMixture {
		s.Solved, s.Asked = make([]int, len(solved)), make([]int, len(solved))
		for v, n := range solved {
			s.Solved[v], s.Asked[v] = n/4, 250
		}
		ref.Accuracy.Mixture = append(ref.Accuracy.Mixture, s)
	}
	for v, n := range solved {
		ref.Accuracy.Mixture[0].Solved[v] += n % 4
		ref.Variants = append(ref.Variants, reference.Variant{Name: fmt.Sprint(v)})
	}
	var err error
	if ref.Accuracy.Sample, err = itemSample(ref.Accuracy.Mixture, false); err != nil {
		t.Fatal(err)
	}
	return sealed(t, ref)
}

func sealed(t *testing.T, ref *reference.Reference) *reference.Opened {
	t.Helper()
	opened, err := reference.Seal(new(bytes.Buffer), nil, ref)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// solver solves items with a probability, of those that it knows the answers of.
type solver struct {
	accuracy func(exam.Item) float64
	items    map[string]exam.Item // by prompt
	mumbles  float64              // share of answers that cannot be read
	fails    float64              // share of questions that get no answer

	mu sync.Mutex
	r  *rand.Rand // guarded by mu
}

func (s *solver) Facts() Facts {
	return Facts{URL: "http://127.0.0.1/v1", Kind: "openai", Model: testModel}
}

func (s *solver) Ask(_ context.Context, a *Ask) *Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Reply{Outcome: Answered, Status: 200, Text: "hello", Finish: llm.FinishStop}
	item, is := s.items[a.Turns[0].Text]
	if !is {
		return r
	}
	switch u := s.r.Float64(); {
	case u < s.fails:
		return &Reply{Outcome: TimedOut}
	case u < s.fails+s.mumbles:
		r.Text = "I would rather <script>alert(1)</script> not say."
	case s.r.Float64() < s.accuracy(item):
		r.Text = "Answer: " + item.Answer
	default:
		r.Text = "Answer: " + wrong(item)
	}
	return r
}

// wrong is a wrong answer of an item.
func wrong(item exam.Item) string {
	switch item.Kind {
	case exam.Number:
		return "9" + strings.ReplaceAll(item.Answer, "-", "")
	case exam.YesNo:
		return map[string]string{"yes": "no", "no": "yes"}[item.Answer]
	case exam.Choice:
		return map[string]string{"A": "B", "B": "C", "C": "A", "D": "A"}[item.Answer]
	}
	return "nothing"
}

func always(p float64) func(exam.Item) float64 { return func(exam.Item) float64 { return p } }

// drawable are all items that an audit of the solver, begun at testTime, may draw, and
// drawableOf those of another subject.
func drawable(t *testing.T, mixture []reference.Share, n int) map[string]exam.Item {
	t.Helper()
	return drawableOf(t, (&solver{}).Facts(), mixture, n)
}

func drawableOf(t *testing.T, facts Facts, mixture []reference.Share, n int) map[string]exam.Item {
	t.Helper()
	items, err := Items([32]byte{}, facts, testTime, &reference.Accuracy{Mixture: mixture}, n)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func onlyItems(n int) Profile { return Profile{"items", map[verdict.ID]int{"D5": n}} }

func resultOf(t *testing.T, r *verdict.Report, id verdict.ID) verdict.Result {
	t.Helper()
	for _, d := range r.Detectors {
		if d.ID == id {
			return d
		}
	}
	t.Fatalf("no result of %s", id)
	return verdict.Result{}
}

// TestItems: a model that solves less is told apart by what it solves; one that solves
// as much, or more, is not.
func TestItems(t *testing.T) {
	items := drawable(t, examMixture, 120)
	ref, weak := examined(t, 950), examined(t, 950, 700)
	for name, c := range map[string]struct {
		ref          *reference.Opened
		accuracy     float64
		same, honest bool
	}{
		"as good":                  {ref, .95, false, false},
		"better":                   {ref, 1, false, false},
		"much worse":               {ref, .5, true, false},
		"as a weaker deployment":   {weak, .7, true, false},
		"worse than all of them":   {weak, .2, true, true},
		"as good, with deployment": {weak, .95, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &solver{accuracy: always(c.accuracy), items: items, r: stat.Rand(stat.Seed([32]byte{}, name))}
			r, record := run(t, Config{Subject: s, Reference: c.ref, Profile: onlyItems(120), Parallel: 8, Now: testNow})
			if v := verdictOn(t, r, verdict.Same); v.Rejected != c.same || !v.Tested {
				t.Errorf("H_same: %+v", v)
			}
			if v := verdictOn(t, r, verdict.Honest); v.Rejected != c.honest || v.Tested != (len(c.ref.Variants) > 1) {
				t.Errorf("H_honest: %+v", v)
			}
			if d := resultOf(t, r, "D5"); len(d.Findings) != 0 || len(d.Charts) != 2 || len(d.Charts[0].Labels) != len(examMixture) || d.Failures != 0 {
				t.Errorf("%d findings, %d failures, charts %+v", len(d.Findings), d.Failures, d.Charts)
			}
			checkFile(t, record)
		})
	}
}

// TestItemsFailures: answers that cannot be read count as not solved, too many of them
// as nothing, and failures never as evidence.
func TestItemsFailures(t *testing.T) {
	items := drawable(t, examMixture, 80)
	for name, c := range map[string]struct {
		mumbles, fails float64
		state          verdict.State
		reason         string
	}{
		"some mumbling": {.1, 0, verdict.Ran, ""},
		"mumbling":      {.4, 0, verdict.Inconclusive, "answers cannot be read"},
		"some failures": {0, .1, verdict.Ran, ""},
		"failures":      {0, .5, verdict.Inconclusive, "led to no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &solver{accuracy: always(.95), items: items, mumbles: c.mumbles, fails: c.fails, r: stat.Rand(stat.Seed([32]byte{}, name))}
			r, record := run(t, Config{Subject: s, Reference: examined(t, 950), Profile: onlyItems(80), Now: testNow})
			d := resultOf(t, r, "D5")
			if d.State != c.state || !strings.Contains(d.Reason, c.reason) {
				t.Errorf("%s: %s", d.State, d.Reason)
			}
			if v := verdictOn(t, r, verdict.Same); c.state == verdict.Inconclusive && (v.Tested || v.MaxLogE != 0) {
				t.Errorf("H_same: %+v", v)
			}
			checkFile(t, record)
		})
	}
}

// TestItemsLive: beside a live reference no calibration is needed.
func TestItemsLive(t *testing.T) {
	items := drawable(t, liveMixture(), 100)
	for name, c := range map[string]struct {
		accuracy float64
		rejected bool
	}{"the same": {.8, false}, "worse": {.3, true}} {
		t.Run(name, func(t *testing.T) {
			trusted := &solver{accuracy: always(.8), items: items, r: stat.Rand(stat.Seed([32]byte{}, "trusted"))}
			s := &solver{accuracy: always(c.accuracy), items: items, r: stat.Rand(stat.Seed([32]byte{}, name))}
			r, record := run(t, Config{Subject: s, Trusted: trusted, Profile: onlyItems(100), Now: testNow})
			if v := verdictOn(t, r, verdict.Same); v.Rejected != c.rejected || !v.Tested {
				t.Errorf("H_same: %+v", v)
			}
			if v := verdictOn(t, r, verdict.Honest); v.Tested || len(v.Shares) != 0 {
				t.Errorf("H_honest: %+v", v)
			}
			checkFile(t, record)
		})
	}
}

// TestItemsOtherGenerator: an accuracy on other items is none on these.
func TestItemsOtherGenerator(t *testing.T) {
	ref := examined(t, 950).Reference
	ref.Accuracy.Sample = strings.Repeat("0", 64)
	s := &solver{accuracy: always(.95), r: stat.Rand([32]byte{})}
	r, _ := run(t, Config{Subject: s, Reference: sealed(t, &ref), Profile: onlyItems(10), Now: testNow})
	if d := resultOf(t, r, "D5"); d.State != verdict.NotApplicable || !strings.Contains(d.Reason, "does not make") {
		t.Errorf("%s: %s", d.State, d.Reason)
	}
}

// TestItemsFalseAlarms: of many audits of a model that is as good as the reference, each
// with a calibration of its own, no more than alpha and the bound's error reject.
func TestItemsFalseAlarms(t *testing.T) {
	const audits = 600
	items := drawable(t, examMixture, 60)
	alarms, found, sum := map[verdict.Null]int{}, 0, 0.0
	for i := range audits {
		random := stat.Rand(stat.Seed([32]byte{}, "calibration", fmt.Sprint(i)))
		solved := []int{0, 0}
		for v := range solved {
			for range 1000 {
				if random.Float64() < .95 {
					solved[v]++
				}
			}
		}
		cfg := Config{Reference: examined(t, solved...), Profile: onlyItems(60), Parallel: 1, Now: testNow, Beacon: testBeacon(fmt.Sprint(i))}
		s := &solver{accuracy: always(.95), items: items, r: random}
		cfg.Subject = s
		r, _ := run(t, cfg)
		for _, n := range []verdict.Null{verdict.Same, verdict.Honest} {
			if verdictOn(t, r, n).Rejected {
				alarms[n]++
			}
		}
		sum += math.Pow(10, verdictOn(t, r, verdict.Same).LogE)
		if i%6 == 0 {
			s.accuracy = func(exam.Item) float64 { // half of them from a model that solves half
				if random.Float64() < .5 {
					return .5
				}
				return .95
			}
			if r, _ := run(t, cfg); verdictOn(t, r, verdict.Same).Rejected {
				found++
			}
		}
	}
	// 600 draws at 1.1 % exceed 15 with a probability below .2 %.
	if alarms[verdict.Same] > 15 || alarms[verdict.Honest] > 15 {
		t.Errorf("of %d honest audits %v reject", audits, alarms)
	}
	if mean := sum / audits; mean > 1.2 {
		t.Errorf("the mean of E is %.2f", mean)
	}
	if found < 85 {
		t.Errorf("of 100 audits of a dilution of one half, %d reject", found)
	}
	t.Logf("alarms %v of %d, mean E %.2f, a dilution of one half found in %d of 100", alarms, audits, sum/audits, found)
}

// TestRecordItems records an accuracy over HTTP and audits with it.
func TestRecordItems(t *testing.T) {
	seed := [32]byte{7}
	items := map[string]exam.Item{}
	add := func(item exam.Item, err error) {
		if err == nil {
			items[item.Prompt] = item
		}
	}
	known := map[string]bool{"percent": true, "trace": true, "regex": true, "join": true, "travel": true}
	for family := range known {
		for _, difficulty := range ladder {
			for i := range screened {
				add(makeItem(family, difficulty, false, seed[:], "screenfalse", uint64(i)))
			}
			for i := range 200 {
				add(makeItem(family, difficulty, false, seed[:], "calibration 0", uint64(i)))
			}
		}
	}
	solve := func(prompt string) (right, bad string, ok bool) {
		item, is := items[prompt]
		if !is {
			return "", "", false
		}
		if right, bad = "Answer: "+item.Answer, "Answer: "+wrong(item); item.Difficulty > 5 {
			right = bad
		}
		return right, bad, true
	}
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed", Solve: solve, Accuracy: 1})
	e := Enrolment{
		Name: "test", Model: testModel, Lifetime: time.Hour, Train: 20, Bank: 16, Items: 200, Tools: true, Texts: 2, Parallel: 8, Price: free, Seed: seed,
		Variants: []Source{{reference.Variant{Name: "a"}, auditedAt(t, s.BaseURL())}},
	}
	ref, err := Enrol(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if ref.Accuracy == nil {
		t.Fatalf("no accuracy: %q", ref.Notes)
	}
	for _, kind := range ref.Accuracy.Mixture {
		if !known[kind.Family] || kind.Difficulty != 5 {
			t.Errorf("chose %+v", kind)
		}
	}
	if solved, asked := ref.Accuracy.Total(0); len(ref.Accuracy.Mixture) != len(known) || solved != 200 || asked != 200 {
		t.Errorf("solved %d of %d of %d kinds", solved, asked, len(ref.Accuracy.Mixture))
	}
	if slices.ContainsFunc(ref.Notes, func(n string) bool { return !strings.HasPrefix(n, "prompt tokens: ") }) || len(ref.Tools) != len(toolTasks) || len(ref.Texts) != len(beginnings) {
		t.Errorf("%d tool cells, %d texts, notes %q", len(ref.Tools), len(ref.Texts), ref.Notes)
	}
	ref.Recorded, ref.Expires = testTime.Add(-time.Hour), testTime.Add(time.Hour)
	opened := sealed(t, ref)
	for name, c := range map[string]struct {
		accuracy float64
		solves   bool
		state    verdict.State
		rejected bool
	}{
		"as good":    {1, true, verdict.Ran, false},
		"weaker":     {.4, true, verdict.Ran, true},
		"only prose": {1, false, verdict.Inconclusive, false},
	} {
		known := map[string]exam.Item{}
		o := &upstreamtest.Oracle{Seed: "one", Family: "claimed", Accuracy: c.accuracy, Solve: func(prompt string) (right, bad string, ok bool) {
			item, is := known[prompt]
			return "Answer: " + item.Answer, "Answer: " + wrong(item), is && c.solves
		}}
		subject := auditedAt(t, startOracle(t, o).BaseURL())
		maps.Copy(known, drawableOf(t, subject.Facts(), ref.Accuracy.Mixture, 60))
		r, record := run(t, Config{Subject: subject, Reference: opened, Profile: onlyItems(60), Now: testNow})
		if d := resultOf(t, r, "D5"); d.State != c.state {
			t.Errorf("%s: %s, %s", name, d.State, d.Reason)
		}
		if v := verdictOn(t, r, verdict.Same); v.Rejected != c.rejected {
			t.Errorf("%s: %+v", name, v)
		}
		checkFile(t, record)
	}
}

// TestRecordCapped: what was whole when the spend cap was reached is kept, and the
// reference says what is missing.
func TestRecordCapped(t *testing.T) {
	claimed := &upstreamtest.Oracle{Seed: "one", Family: "claimed"}
	words := &sampled{oracle: claimed, r: stat.Rand([32]byte{}), cells: map[string]upstreamtest.Distribution{}}
	perToken := func(tokens llm.Tokens) (price.Nano, bool) {
		return price.Nano(tokens.Prompt() + tokens.Completion()), true
	}
	e := Enrolment{
		Name: "test", Model: testModel, Lifetime: time.Hour, Train: 20, Bank: 16, Items: 100, Parallel: 1, Price: perToken, Cap: 400_000,
		Variants: []Source{{reference.Variant{Name: "a"}, words}},
	}
	ref, err := Enrol(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if ref.Accuracy != nil || !slices.Contains(ref.Notes, "generated items: the spend cap was reached") {
		t.Errorf("%+v, %q", ref.Accuracy, ref.Notes)
	}
	e.Cap = 10_000
	if _, err := Enrol(t.Context(), e); !errors.Is(err, errCapped) {
		t.Errorf("without words: %v", err)
	}
}

// TestRecordItemsWeak: a weak model is asked with options, and of one that solves
// nothing no accuracy is kept.
func TestRecordItemsWeak(t *testing.T) {
	items, seed := map[string]exam.Item{}, [32]byte{}
	for _, family := range []string{"percent", "trace", "regex", "join"} {
		for _, choice := range []bool{false, true} {
			for label, n := range map[string]int{fmt.Sprint("screen", choice): screened, "calibration 0": 300, "calibration 1": 300} {
				for i := range n {
					item, err := makeItem(family, 1, choice, seed[:], label, uint64(i))
					if err != nil {
						t.Fatal(err)
					}
					items[item.Prompt] = item
				}
			}
		}
	}
	for name, c := range map[string]struct {
		open, choice float64
		recorded     bool
	}{"needs options": {.2, .97, true}, "solves nothing": {.1, .25, false}} {
		t.Run(name, func(t *testing.T) {
			s := &solver{items: items, r: stat.Rand([32]byte{}), accuracy: func(i exam.Item) float64 {
				if i.Kind == exam.Choice {
					return c.choice
				}
				return c.open
			}}
			r := &recorder{
				Enrolment: Enrolment{Items: 300, Seed: seed, Parallel: 4, Variants: []Source{{reference.Variant{Name: "a"}, s}, {reference.Variant{Name: "b"}, s}}},
				meter:     newMeter(free, 0),
			}
			var ref reference.Reference
			err := r.items(t.Context(), &ref)
			if _, unfit := errors.AsType[*unfitError](err); (ref.Accuracy != nil) != c.recorded || unfit == c.recorded || err != nil && !unfit {
				t.Fatalf("%+v, %v", ref.Accuracy, err)
			}
			if c.recorded {
				solved, asked := ref.Accuracy.Total(1)
				if !ref.Accuracy.Choice || asked != 300 || share(solved, asked) < .9 {
					t.Errorf("%d of %d, %+v", solved, asked, ref.Accuracy)
				}
			}
		})
	}
}
