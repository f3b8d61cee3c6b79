package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// timingDetector tells how long answers take, and, where a second key is given, whether
// a prompt cache that one key filled serves the other.
//
// Times are told and nothing is concluded from them: networks, load, buffers and honest
// failover look like another machine or model (on what inter-token times can show, see
// arXiv 2502.20589). For the cache see [Trial.sharedCache].
var timingDetector = detector{
	id: "D15", name: "Times and shared caches", layer: verdict.Protocol,
	null:    "what one key sent is not served from a cache to another; times are told and nothing is concluded from them",
	applies: func(*Plan) string { return "" },
	run:     runTiming,
}

// Questions whose times are told.
const (
	equalAsks   = 20  // of one length
	equalTokens = 160 // of their answers
	repeatedAt  = 4   // questions of each length of prompt
)

// promptWords are the lengths of prompts, in words. A model whose context is shorter
// refuses the longest, which is no failure.
var promptWords = []int{250, 500, 1000, 2000}

func runTiming(ctx context.Context, t *Trial) {
	r := stat.Rand(stat.Seed(t.Seed, "times"))
	left := t.Budget
	left -= t.equalTimes(ctx, r, min(equalAsks, left))
	left -= t.promptTimes(ctx, r, min(repeatedAt*len(promptWords), left))
	if t.Second && left > 0 {
		t.sharedCache(ctx, left)
	}
}

// equalTimes asks for n short stories, one after the other, and tells what their streams
// took. It returns how many questions that were.
func (t *Trial) equalTimes(ctx context.Context, r *rand.Rand, n int) int {
	var asks []Ask
	for range n {
		text := fmt.Sprintf("Write a story of about 80 words about %s. (request %s)", storyTopics[r.IntN(len(storyTopics))], nonce(r))
		asks = append(asks, Ask{Turns: User(text), MaxTokens: equalTokens, Stream: true})
	}
	var firsts, rates, gaps []float64
	for _, reply := range t.AskAlone(ctx, asks) {
		if !reply.OK() {
			t.Lose(reply)
			continue
		}
		firsts = append(firsts, milliseconds(reply.First))
		if writing := (reply.Took - reply.First).Seconds(); writing > 0 && reply.Usable() {
			rates = append(rates, float64(reply.Tokens.Completion())/writing)
		}
		for i := 1; i < len(reply.Chunks); i++ {
			gaps = append(gaps, milliseconds(reply.Chunks[i].At-reply.Chunks[i-1].At))
		}
	}
	t.describe("time to first text", "ms", firsts)
	t.describe("speed", "reported tokens a second", rates)
	t.describe("time between pieces", "ms", gaps)
	t.describeModes(firsts)
	if len(firsts) > 0 {
		t.Chart(verdict.Chart{
			Title: "Share of answers that had begun", Kind: verdict.Lines, X: "milliseconds after the question", Y: "share",
			Series: []verdict.Series{cumulative("equal questions", firsts)},
		})
	}
	return n
}

// describe tells the middle and the spread of a figure.
func (t *Trial) describe(name, unit string, values []float64) {
	if len(values) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }
	t.Fact(name, "median %.4g %s, half of %d between %.4g and %.4g", at(.5), unit, len(sorted), at(.25), at(.75))
}

// manyModes is a difference of Schwarz's criterion that is held to be strong.
const manyModes = 10

// describeModes tells whether times to the first text fall into two groups, as they do
// where two backends answer, and also where one of two connections is slow.
func (t *Trial) describeModes(firsts []float64) {
	var logs []float64
	for _, ms := range firsts {
		logs = append(logs, math.Log(max(ms, .001)))
	}
	m, err := stat.TwoModes(logs)
	if err != nil {
		return // too few
	}
	n := float64(len(logs))
	if m.BIC > manyModes && m.Share*n >= 3 && (1-m.Share)*n >= 3 {
		t.Fact("groups of times", "two: about %.3g ms and %.3g ms, the latter in %.0f %% of answers (difference of BIC %.1f, above %d)", math.Exp(m.Low), math.Exp(m.High), 100*m.Share, m.BIC, manyModes)
		return
	}
	t.Fact("groups of times", "no two are seen in %d answers (difference of BIC %.1f)", len(logs), m.BIC)
}

// promptTimes asks n questions after prompts of several lengths, and tells by how much
// the time to the first text grows with them. It returns how many that were.
func (t *Trial) promptTimes(ctx context.Context, r *rand.Rand, n int) int {
	var asks []Ask
	var words []int
	for i := range n {
		length := promptWords[i%len(promptWords)]
		words = append(words, length)
		asks = append(asks, longAsk(filler(r, length), r))
	}
	var x, y []float64
	cloud := verdict.Series{Name: "audited"}
	for i, reply := range t.AskAlone(ctx, asks) {
		if !reply.OK() {
			continue // a refusal says that the prompt is too long
		}
		x, y = append(x, float64(words[i])), append(y, milliseconds(reply.First))
		cloud.Points = append(cloud.Points, verdict.Point{X: float64(words[i]), Y: milliseconds(reply.First)})
	}
	slope := stat.TheilSen(x, y)
	if math.IsNaN(slope) {
		return n
	}
	t.Fact("time for a longer prompt", "%.4g ms for 1,000 words more, over %d answers", 1000*slope, len(x))
	t.Chart(verdict.Chart{
		Title: "Time to the first text by length of the prompt", Kind: verdict.Scatter, X: "words of the prompt", Y: "milliseconds", Series: []verdict.Series{cloud},
	})
	return n
}

// longAsk puts a question of a word's answer after a text.
func longAsk(text string, r *rand.Rand) Ask {
	return Ask{Turns: User(text + "\n\nThe words above mean nothing. Answer with the word \"ready\". (request " + nonce(r) + ")"), MaxTokens: wordTokens, Stream: true}
}

// fillerWords are the words of fillers.
var fillerWords = sync.OnceValue(func() []string {
	var words []string
	for _, b := range beginnings {
		words = append(words, strings.Fields(b.text)...)
	}
	return words
})

// filler is a text of n random words, which nobody sent before.
func filler(r *rand.Rand, n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = fillerWords()[r.IntN(len(fillerWords()))]
	}
	return strings.Join(words, " ")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// cumulative is the empirical distribution function of some values as a line.
func cumulative(name string, values []float64) verdict.Series {
	s := verdict.Series{Name: name}
	for i, v := range slices.Sorted(slices.Values(values)) {
		s.Points = append(s.Points, verdict.Point{X: v, Y: float64(i+1) / float64(len(values))})
	}
	s.Points = thinned(s.Points)
	return s
}
