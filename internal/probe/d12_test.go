package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// logits is a model of few words whose next token is known by its log probabilities,
// which move a little from answer to answer.
type logits struct {
	weights string // of what its log probabilities are
	mute    bool   // it tells none
	fails   float64
	host    string

	mu    sync.Mutex
	r     *rand.Rand           // guarded by mu
	known map[string][]float64 // guarded by mu; by question
}

func logitsOf(weights, seed string, mute bool) *logits {
	return &logits{weights: weights, mute: mute, host: "model.example.org", r: stat.Rand(stat.Seed([32]byte{}, seed)), known: map[string][]float64{}}
}

// means are the log probabilities of the words after a question.
func (l *logits) means(question string) []float64 {
	if l.known[question] == nil {
		own := stat.Rand(stat.Seed([32]byte{}, "weights", question)) // of the family
		moved := stat.Rand(stat.Seed([32]byte{}, l.weights, question))
		for range 20 {
			l.known[question] = append(l.known[question], -1-2*own.Float64()+.02*moved.NormFloat64())
		}
	}
	return l.known[question]
}

func (l *logits) Facts() Facts {
	return Facts{URL: "https://" + l.host + "/v1", Host: l.host, Kind: "openai", Model: testModel}
}

func (l *logits) Ask(_ context.Context, a *Ask) *Reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &Reply{Outcome: Answered, Status: 200, Text: "hello", Finish: llm.FinishLength}
	if a.MaxTokens != 1 {
		return r
	}
	if l.r.Float64() < l.fails {
		return &Reply{Outcome: TimedOut}
	}
	type entry struct {
		Token   string  `json:"token"`
		Logprob float64 `json:"logprob"`
	}
	var top []entry
	best := math.Inf(-1)
	for k, mean := range l.means(a.Turns[0].Text) {
		v := mean + .005*l.r.NormFloat64()
		token := "<i>" + string(rune('a'+k))
		top = append(top, entry{token, v})
		if v > best {
			best, r.Text = v, token
		}
	}
	if a.Logprobs > 0 && !l.mute {
		r.Body = []byte(jsonOf(map[string]any{"choices": []any{map[string]any{"logprobs": map[string]any{"content": []any{map[string]any{"token": r.Text, "top_logprobs": top}}}}}}))
	}
	return r
}

// recordedPast is a reference that holds the past of an endpoint.
func recordedPast(t *testing.T, subject Subject) *reference.Opened {
	t.Helper()
	ref := &reference.Reference{
		Model: testModel, Recorded: testTime.Add(-time.Hour), Expires: testTime.Add(time.Hour), Protocol: reference.Protocol{Model: testModel, Questions: QuestionsVersion},
		Variants: []reference.Variant{{Name: "own", Host: subject.Facts().Host}},
	}
	r := &recorder{Enrolment: Enrolment{Parallel: 1, Variants: []Source{{ref.Variants[0], subject}}}, meter: newMeter(free, 0)}
	if err := r.past(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	return sealed(t, ref)
}

var onlyChange = Profile{"change", map[verdict.ID]int{"D12": 100}}

// TestChange: other weights of the same family are told from the past by log
// probabilities, and by near-ties where none are told; the same weights and failures are
// not, and no verdict follows.
func TestChange(t *testing.T) {
	for _, mute := range []bool{false, true} {
		ref := recordedPast(t, logitsOf("old", "past", mute))
		if (len(ref.Past.Logprobs) == 0) != mute || (len(ref.Past.Borders) == 0) == mute {
			t.Fatalf("mute %v: %d log probabilities and %d near-ties", mute, len(ref.Past.Logprobs), len(ref.Past.Borders))
		}
		failing := logitsOf("new", "failing", mute)
		failing.fails = .4
		for name, c := range map[string]struct {
			subject *logits
			found   bool
			state   verdict.State
		}{
			"the same":  {logitsOf("old", "now", mute), false, verdict.Ran},
			"an update": {logitsOf("new", "now", mute), true, verdict.Ran},
			"failures":  {failing, false, verdict.Inconclusive},
		} {
			t.Run(fmt.Sprint(name, " mute ", mute), func(t *testing.T) {
				// One question at a time, so that who draws what is the same every time.
				r, record := run(t, Config{Subject: c.subject, Reference: ref, Profile: onlyChange, Now: testNow, Parallel: 1})
				d := resultOf(t, r, "D12")
				if d.State != c.state {
					t.Fatalf("%s: %s", d.State, d.Reason)
				}
				if c.state == verdict.Ran {
					if e := d.Evidence; len(e) != 1 || e[0].Null != verdict.Unchanged || e[0].N != 1 || (e[0].P == .001) != c.found || !c.found && e[0].P < .02 {
						t.Errorf("%+v", e)
					}
				}
				for _, v := range r.Verdicts {
					if v.Tested || v.Rejected {
						t.Errorf("the past gives no verdict: %+v", v)
					}
				}
				if r.Headline != verdict.NotTested || len(d.Findings) != 0 {
					t.Errorf("headline %q, %+v", r.Headline, d.Findings)
				}
				checkFile(t, record)
			})
		}
	}
}

// TestChangeElsewhere: an endpoint is not compared with the past of another.
func TestChangeElsewhere(t *testing.T) {
	ref := recordedPast(t, logitsOf("old", "past", false))
	other := logitsOf("old", "now", false)
	other.host = "relay.example.org"
	r, _ := run(t, Config{Subject: other, Reference: ref, Profile: onlyChange, Now: testNow})
	if d := resultOf(t, r, "D12"); d.State != verdict.NotApplicable || d.Queries != 0 {
		t.Errorf("%s: %s", d.State, d.Reason)
	}
}

// TestChangeFalseAlarms: over honest audits, each with a past of its own, p is at most
// .05 as often as it may be.
func TestChangeFalseAlarms(t *testing.T) {
	for mute, audits := range map[bool]int{false: 200, true: 60} {
		small, sum := 0, 0.0
		for i := range audits {
			seed := fmt.Sprint(i)
			ref := recordedPast(t, logitsOf("old", "past "+seed, mute))
			r, _ := run(t, Config{Subject: logitsOf("old", "now "+seed, mute), Reference: ref, Profile: onlyChange, Parallel: 1, Now: testNow, Beacon: testBeacon(seed)})
			e := resultOf(t, r, "D12").Evidence[0]
			if e.P <= .05 {
				small++
			}
			sum += math.Pow(10, e.LogE)
		}
		// 200 draws at 5 % exceed 20 with a probability below .2 %, and 60 exceed 13 below that.
		mean := sum / float64(audits)
		if small > 10+audits/20 || mean > 1.2 {
			t.Errorf("mute %v: p is at most .05 in %d of %d honest audits, mean E %.2f", mute, small, audits, mean)
		}
		t.Logf("mute %v: p at most .05 in %d of %d honest audits, mean E %.2f", mute, small, audits, mean)
	}
}

// TestPastUnfit: a model without log probabilities that never varies has no past to keep.
func TestPastUnfit(t *testing.T) {
	constant := &solver{r: stat.Rand([32]byte{})}
	r := &recorder{Enrolment: Enrolment{Past: true, Parallel: 1, Variants: []Source{{reference.Variant{Name: "own"}, constant}}}, meter: newMeter(free, 0)}
	ref := &reference.Reference{}
	if err := r.extras(t.Context(), ref); err != nil || ref.Past != nil || len(ref.Notes) != 1 {
		t.Errorf("%v, %+v", err, ref)
	}
}

// TestChangeOverHTTP reads log probabilities of an API.
func TestChangeOverHTTP(t *testing.T) {
	one, other := startOracle(t, &upstreamtest.Oracle{Seed: "one"}), startOracle(t, &upstreamtest.Oracle{Seed: "two", Family: "other"})
	ref := recordedPast(t, auditedAt(t, one.BaseURL()))
	for url, found := range map[string]bool{one.BaseURL(): false, other.BaseURL(): true} {
		r, record := run(t, Config{Subject: auditedAt(t, url), Reference: ref, Profile: onlyChange, Now: testNow})
		// What is drawn follows the port: an honest endpoint has a p of at most .001 once
		// in a thousand runs.
		if d := resultOf(t, r, "D12"); d.State != verdict.Ran || found && d.Evidence[0].P > .01 || !found && d.Evidence[0].P <= .001 {
			t.Errorf("%+v", d)
		}
		checkFile(t, record)
	}
}
