package probe

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// knower answers number questions out of a memory of its own, from which it departs now
// and then.
type knower struct {
	memory   string
	departs  float64
	cheap    float64 // share of questions that another memory answers
	fails    float64
	chatters bool // words around the number

	mu sync.Mutex
	r  *rand.Rand // guarded by mu
}

func knowerOf(memory, seed string) *knower {
	return &knower{memory: memory, departs: .02, r: stat.Rand(stat.Seed([32]byte{}, seed))}
}

func (k *knower) Facts() Facts { return (&solver{}).Facts() }

// remembered is what a memory holds of a question: the same for two memories in two
// fifths of them.
func remembered(memory, question string) int {
	question, _, _ = strings.Cut(question, " (request")
	of := func(s string) int {
		sum := sha256.Sum256([]byte(s))
		return int(binary.BigEndian.Uint16(sum[:]))
	}
	if of("easy "+question)%5 < 2 {
		return of("true " + question)
	}
	return of(memory + " " + question)
}

func (k *knower) Ask(_ context.Context, a *Ask) *Reply {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := &Reply{Outcome: Answered, Status: 200, Text: "hello", Finish: llm.FinishStop}
	if a.MaxTokens != numberTokens {
		return r
	}
	u, other, departs := k.r.Float64(), k.r.Float64(), k.r.Float64()
	if u < k.fails {
		return &Reply{Outcome: TimedOut}
	}
	memory := k.memory
	if other < k.cheap {
		memory = "cheap"
	}
	n := remembered(memory, a.Turns[0].Text)
	if departs < k.departs {
		n++
	}
	if r.Text = fmt.Sprint(n); k.chatters {
		r.Text = fmt.Sprintf("**%d** km", n)
	}
	return r
}

// recordedNumbers is a reference of n numbers.
func recordedNumbers(t *testing.T, subject Subject, n int, seed string) *reference.Opened {
	t.Helper()
	ref := &reference.Reference{
		Model: testModel, Recorded: testTime.Add(-1e9), Expires: testTime.Add(1e12), Protocol: reference.Protocol{Questions: QuestionsVersion},
		Variants: []reference.Variant{{Name: "own"}},
	}
	r := &recorder{Enrolment: Enrolment{Numbers: n, Parallel: 1, Variants: []Source{{ref.Variants[0], subject}}, Seed: stat.Seed([32]byte{}, seed)}, meter: newMeter(free, 0)}
	if err := r.numbers(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	return sealed(t, ref)
}

var onlyNumbers = Profile{"numbers", map[verdict.ID]int{"D11": 100}}

// TestNumbers: another memory is told apart, also behind a part of the questions; the
// same one in other words is not, and failures are no evidence.
func TestNumbers(t *testing.T) {
	ref := recordedNumbers(t, knowerOf("claimed", "reference"), 100, "1")
	if len(ref.Numbers.Items) < 100 || ref.Numbers.Asked != numberRepeats*len(ref.Numbers.Items) || ref.Numbers.Departed == 0 {
		t.Fatalf("%d items, %d of %d depart", len(ref.Numbers.Items), ref.Numbers.Departed, ref.Numbers.Asked)
	}
	diluted, failing, words := knowerOf("claimed", "b"), knowerOf("cheap", "c"), knowerOf("claimed", "d")
	diluted.cheap, failing.fails, words.chatters = .4, .4, true
	for name, c := range map[string]struct {
		subject *knower
		found   bool
		state   verdict.State
	}{
		"the same":           {knowerOf("claimed", "a"), false, verdict.Ran},
		"the same in words":  {words, false, verdict.Ran},
		"another memory":     {knowerOf("cheap", "a"), true, verdict.Ran},
		"another one in .4":  {diluted, true, verdict.Ran},
		"failures":           {failing, false, verdict.Inconclusive},
		"no number in sight": {&knower{memory: "<script>", departs: 0, r: stat.Rand([32]byte{1})}, true, verdict.Ran},
	} {
		t.Run(name, func(t *testing.T) {
			r, record := run(t, Config{Subject: c.subject, Reference: ref, Profile: onlyNumbers, Now: testNow})
			d := resultOf(t, r, "D11")
			if d.State != c.state || d.Queries != 100 {
				t.Fatalf("%s, %s: %+v", d.State, d.Reason, d)
			}
			v := verdictOn(t, r, verdict.Same)
			if v.Rejected != c.found || v.Tested != (c.state == verdict.Ran) || c.found && v.Label != verdict.Differs {
				t.Errorf("%+v", v)
			}
			if d.State == verdict.Ran {
				t.Logf("p = %.2g, E = %s", d.Evidence[0].P, verdict.FormatE(d.Evidence[0].MaxLogE))
			}
			checkFile(t, record)
		})
	}
}

// TestNumbersFalseAlarms: over honest audits, each with a reference of its own, the mean
// of E is at most 1 and none rejects.
func TestNumbersFalseAlarms(t *testing.T) {
	const audits = 200
	sum, small := 0.0, 0
	for i := range audits {
		seed := fmt.Sprint(i)
		ref := recordedNumbers(t, knowerOf("claimed", "reference "+seed), 60, seed)
		r, _ := run(t, Config{Subject: knowerOf("claimed", seed), Reference: ref, Profile: onlyNumbers, Parallel: 1, Now: testNow, Beacon: testBeacon(seed)})
		e := resultOf(t, r, "D11").Evidence[0]
		sum += math.Pow(10, e.LogE)
		if e.P <= .05 {
			small++
		}
		if v := verdictOn(t, r, verdict.Same); v.Rejected {
			t.Errorf("audit %d rejects: %+v", i, e)
		}
	}
	t.Logf("p at most .05 in %d of %d honest audits, mean E %.2f", small, audits, sum/audits)
	// p is too large by the bound: far fewer than 5 % are at most .05.
	if sum/audits > 1 || small > audits/50 {
		t.Errorf("p at most .05 in %d of %d honest audits, mean E %.2f", small, audits, sum/audits)
	}
}

// TestNumbersUnfit: a model that does not stick to its answers gives no numbers.
func TestNumbersUnfit(t *testing.T) {
	k := knowerOf("claimed", "a")
	k.departs = .5
	r := &recorder{Enrolment: Enrolment{Numbers: 100, Parallel: 1, Variants: []Source{{reference.Variant{}, k}}}, meter: newMeter(free, 0)}
	ref := &reference.Reference{}
	if err := r.extras(t.Context(), ref); err != nil || ref.Numbers != nil || len(ref.Notes) != 1 {
		t.Errorf("%v, %+v", err, ref)
	}
}

// TestNumberIDs: every id makes a question, none stands twice, and how a number is
// written does not matter.
func TestNumberIDs(t *testing.T) {
	r := stat.Rand([32]byte{})
	seen := map[string]bool{}
	for _, id := range numberIDs(r) {
		a, known := numberAsk(id, r)
		if !known || seen[id] || strings.Contains(a.Turns[0].Text, "%") {
			t.Fatalf("%s: %+v", id, a)
		}
		seen[id] = true
	}
	if len(seen) < 3000 {
		t.Errorf("%d questions", len(seen))
	}
	for text, want := range map[string]string{"1,234": "1234", "The answer is 1234.": "1234", "1234 km": "1234", "about nothing": "", "between 3 and 4": "", "": ""} {
		if got := numberRead(&Reply{Text: text}); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

// TestNumbersOverHTTP asks a scripted model.
func TestNumbersOverHTTP(t *testing.T) {
	answer := func(memory string) func(question) spoken {
		return func(q question) spoken { return spoken{text: fmt.Sprint(remembered(memory, q.last))} }
	}
	ref := recordedNumbers(t, endpoint(t, startModel(t, answer("claimed"))), 60, "http")
	for memory, found := range map[string]bool{"claimed": false, "cheap": true} {
		r, record := run(t, Config{Subject: endpoint(t, startModel(t, answer(memory))), Reference: ref, Profile: onlyNumbers, Now: testNow})
		if v := verdictOn(t, r, verdict.Same); v.Rejected != found || !v.Tested {
			t.Errorf("%s: %+v", memory, v)
		}
		checkFile(t, record)
	}
}
