package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/tokens"
)

// Questions on billing ask for answers of 50 to 150 tokens: long enough that a token
// at the end does not matter, short enough to be cheap.

// billingTopics and billingForms make the questions. What is asked does not matter,
// only that the answer is text of its own.
var (
	billingTopics = []string{
		"how a lighthouse works", "why bread rises", "how bees find their way", "what a tide table is for", "how glass is recycled",
		"why leaves change colour in autumn", "how a bicycle stays upright", "what a notary does", "how paper is made", "why the sky is blue",
		"how a lock on a canal works", "what makes a good map", "how coffee is roasted", "why cities build trams", "how a violin makes sound",
		"what an archive keeps", "how rain forms", "why we sleep", "how a greenhouse works", "what a lease contains",
	}
	billingForms = []string{
		"Explain %s in about 90 words.", "Write a short paragraph of about 80 words on %s.", "In four or five sentences, describe %s.",
		"A visitor asks %s. Answer in about 100 words.", "Summarise in plain words %s, in about 85 words.",
	}
)

// billingLimit bounds an answer, with room for hidden reasoning.
const billingLimit = 1024

// billingAsks are n questions in a dress, about half of them streams.
func billingAsks(r *rand.Rand, n int, dress string) []Ask {
	asks := make([]Ask, n)
	for i := range asks {
		text := fmt.Sprintf(billingForms[r.IntN(len(billingForms))], billingTopics[r.IntN(len(billingTopics))])
		if atWork(dress) {
			asks[i] = proseAsWork(text, billingLimit, dress, r)
			continue
		}
		asks[i] = Ask{Turns: User(text + " (request " + nonce(r) + ")"), MaxTokens: billingLimit, Stream: i%2 == 1}
	}
	return asks
}

// billed is what an answer reports and what it is counted to have.
type billed struct {
	reported  int // visible tokens, or all of them where thoughts are shown and not told apart
	counted   int // by the vocabulary; -1 without one
	hidden    int // reported reasoning that is told apart
	runes     int
	took      time.Duration
	rate      float64 // tokens a second of a stream; 0 when it does not tell
	shown     int     // the most tokens that what was seen can have
	generated int     // all that is reported
}

// billedOf reads an answer; false when it tells no usage.
func billedOf(v *tokens.Vocabulary, r *Reply) (billed, bool) {
	if !r.OK() || !r.Usable() {
		return billed{}, false
	}
	text := r.Text + r.Refusal
	if r.Tokens[llm.Reasoning] == 0 {
		text += r.Thought
	}
	b := billed{
		reported: int(r.Tokens[llm.Output]), hidden: int(r.Tokens[llm.Reasoning]), generated: int(r.Tokens.Completion()),
		counted: -1, runes: utf8.RuneCountInString(text), took: r.Took, shown: len(r.Text) + len(r.Refusal) + len(r.Thought),
	}
	if v != nil && len(r.Calls) == 0 {
		if n, err := v.Count(text); err == nil {
			b.counted = int(n)
		}
		if n, err := v.Count(r.Text + r.Refusal + r.Thought); err == nil {
			b.shown = int(n)
		}
	}
	b.rate = decodeRate(r, b.shown)
	return b, true
}

// leastVisible is the count from which an answer is bet on: below it, the one token
// that ends an answer and that some endpoints count exceeds the honest excess.
const leastVisible = 50

// countable reports whether an answer says something of visible tokens.
func (b *billed) countable() bool { return b.counted >= leastVisible }

// Rates of references.
const (
	rateDecode = "decode"          // tokens a second, the highest seen, counted here
	rateChars  = "chars_per_token" // characters by reported visible token
)

// billingRecorded is how many answers a reference is recorded from.
const billingRecorded = 40

// publishedFor is the published vocabulary of a reference: of its model, or the one by
// which its prompts are counted; nil when neither is known.
func publishedFor(ref *reference.Reference) *tokens.Vocabulary {
	if v := tokens.Of(ref.Model); v != nil || ref.Accounting == nil {
		return v
	}
	return tokens.Named(ref.Accounting.Vocabulary)
}

// recordBilling measures how a trusted endpoint reports the tokens of answers, and how
// fast they come, by a vocabulary that may be nil. It says what could not be recorded.
func recordBilling(ctx context.Context, ask asker, seed [32]byte, v *tokens.Vocabulary, ref *reference.Reference) string {
	replies := ask(ctx, billingAsks(stat.Rand(stat.Seed(seed, "billing")), billingRecorded, ref.Protocol.Dress))
	runes, reported, fastest := 0, 0, 0.
	for _, r := range replies {
		b, told := billedOf(v, r)
		if !told {
			continue
		}
		runes, reported = runes+b.runes, reported+b.reported
		if !b.countable() {
			continue
		}
		if y, ok := stat.BillingExcess(b.reported, b.counted); ok {
			ref.Excess = append(ref.Excess, y)
		}
		fastest = max(fastest, b.rate)
	}
	if reported == 0 {
		return "the endpoint does not report the tokens of answers"
	}
	if ref.Rates == nil {
		ref.Rates = map[string]float64{}
	}
	ref.Rates[rateChars] = float64(runes) / float64(reported)
	if fastest > 0 {
		ref.Rates[rateDecode] = fastest
	}
	if v == nil {
		return "the vocabulary of the model is not known, so its tokens are not counted here"
	}
	return ""
}

// Below these a stream tells no rate: what was held back on the way comes at once.
const (
	leastWindow = 250 * time.Millisecond
	leastChunks = 8
)

// decodeRate is how many tokens a second a stream brought; 0 when it does not tell.
func decodeRate(r *Reply, counted int) float64 {
	if len(r.Chunks) < leastChunks {
		return 0
	}
	window := r.Chunks[len(r.Chunks)-1].At - r.Chunks[0].At
	if window < leastWindow {
		return 0
	}
	return float64(counted) / window.Seconds()
}
