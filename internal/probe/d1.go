package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// accountingDetector checks what an endpoint reports of tokens against what was sent.
// Its facts are deterministic, so its error is not a sampling error: it is the assumed
// chance (FactPrior) that an honest endpoint deviates from one of them in a way that
// repeats. Counts of prompts as evidence are used by AgentProv (arXiv 2609.00052), and
// estimates of dilution by disagreement follow from tokenizers being deterministic.
// A relay that counts with the claimed model's tokenizer itself is not seen here.
var accountingDetector = detector{
	id: "D1", name: "Token accounting", layer: verdict.Protocol, nulls: []verdict.Null{verdict.Same, verdict.Billing, verdict.Integrity},
	null:    "prompts are counted by one tokenizer, the claimed model's, whole and with nothing before them, and usage adds up",
	applies: func(*Plan) string { return "" },
	silent:  func(p *Plan, n verdict.Null) bool { return n == verdict.Same && p.accounting() == nil },
	run:     runAccounting,
}

// accounting is how the plan's reference counts prompts; nil when it does not tell or
// cannot be compared with.
func (p *Plan) accounting() *reference.Accounting {
	if p.Reference == nil || p.Reference.Accounting == nil || p.Reference.comparable(p) != "" {
		return nil
	}
	return p.Reference.Accounting
}

// books is the accounting detector at work.
type books struct {
	*Trial
	nonces *rand.Rand
	limit  int64
	nonce  string // of the differential
	base   int64
	left   int // questions of the budget

	expected *expectation // nil when nothing is known of the model's tokenizer
	counts   *differential
	scale    scale
	steady   bool // counts repeat, so that what they follow means something
	points   []verdict.Series

	untold, arithmetic int
	flaw               string

	// The facts. What is checked is fixed before anything is asked: one that could not
	// be asked for in the end counts as one that held, which errs on the safe side.
	foreign, mixed       bool // of H_same
	scaled, inconsistent bool // of billing
	prefixed, padded     bool // of integrity: before the prompt
	cut                  bool
}

// Facts that are checked for each hypothesis: the tokenizer and that there is one; the
// scale of counts and that they add up; what stands before the prompt by counts, by
// cache, and that all of it is counted.
const (
	sameFacts      = 2
	billingFacts   = 2
	integrityFacts = 3
)

// repeats is how often a mismatch must be seen again, each time in new requests.
const repeats = 3

// runAccounting measures, then asks again for what did not fit.
func runAccounting(ctx context.Context, t *Trial) {
	b := &books{Trial: t, nonces: stat.Rand(stat.Seed(t.Seed, "nonces")), left: t.Budget, steady: true, expected: t.expectedCounts()}
	t.tellVocabulary()
	if !b.open(ctx) {
		return
	}
	b.differential(ctx)
	for _, check := range []func(context.Context){b.shapes, b.long, b.streamed, b.limited, b.alike} {
		if t.Over() {
			break
		}
		check(ctx)
	}
	b.conclude()
}

// ask sends questions, or none of them when the budget does not allow all: then their
// outcome is Capped, and they count neither as asked nor as failed.
func (b *books) ask(ctx context.Context, asks []Ask) []*Reply {
	if len(asks) > b.left {
		b.Fact("left out", "%d questions, beyond the budget", len(asks))
		return slices.Repeat([]*Reply{{Outcome: Capped}}, len(asks))
	}
	b.left -= len(asks)
	replies := b.AskAll(ctx, asks)
	b.askAgain(ctx, asks, replies)
	for i, r := range replies {
		if r.Outcome == Refused && b.limit > 0 { // before, it tells which bounds the endpoint takes
			b.Lose(r)
		}
		b.addUp(&asks[i], r)
	}
	return replies
}

// askAgain repeats, once, the few questions that failed: a differential needs all of its
// answers.
func (b *books) askAgain(ctx context.Context, asks []Ask, replies []*Reply) {
	var failed []int
	var again []Ask
	for i, r := range replies {
		if failure(r) {
			failed, again = append(failed, i), append(again, asks[i])
		}
	}
	if len(failed) == 0 || len(failed) > max(len(asks)/4, 1) || len(failed) > b.left || b.Over() {
		return
	}
	b.left -= len(failed)
	for i, r := range b.AskAll(ctx, again) {
		replies[failed[i]] = r
	}
}

// addUp checks the arithmetic of one answer's usage.
func (b *books) addUp(a *Ask, r *Reply) {
	flaw := ""
	switch {
	case !r.OK():
		return
	case r.Usage == llm.UsageUnknown:
		b.untold++
		return
	case r.Usage == llm.UsageImplausible:
		flaw = r.Flaw
	case r.Text != "" && r.Tokens.Completion() == 0:
		flaw = "an answer has text and no tokens"
	case a.MaxTokens > 0 && r.Tokens[llm.Output] > a.MaxTokens+fewTokens: // some vendors do not bound reasoning
		flaw = fmt.Sprintf("%d visible tokens are reported of an answer bounded to %d", r.Tokens[llm.Output], a.MaxTokens)
	case a.MaxTokens > 0 && int64(len(r.Text)) > longestToken*a.MaxTokens+64:
		flaw = fmt.Sprintf("an answer of %d bytes came where %d tokens were allowed", len(r.Text), a.MaxTokens)
	}
	if flaw != "" {
		b.arithmetic++
		b.flaw = flaw
	}
}

// longestToken bounds the bytes of text of one token; the longest of common
// vocabularies are runs of spaces or marks of that length.
const longestToken = 128

// open begins: it finds the bound on answers, and whether prompts are counted at all.
func (b *books) open(ctx context.Context) bool {
	b.nonce = digitNonce(b.nonces)
	var first *Reply
	b.limit, first = openDifferential(ctx, b.ask, b.nonce)
	if first.Outcome == Refused {
		b.Lose(first)
	}
	var told bool
	if b.base, told = promptCount(first); !told && first.OK() && first.Usage != llm.UsageImplausible {
		b.Inconclusive("%v", errNoCounts)
	}
	return first.OK() && b.result.State == ""
}

// differential finds what counts of prompts follow.
func (b *books) differential(ctx context.Context) {
	var err error
	var replies []*Reply
	b.counts, replies, err = measure(ctx, b.ask, b.nonce, b.limit, b.base)
	if err != nil {
		b.counts, b.steady = nil, false
		b.Fact("differential counts", "not measured: %v", err)
		return
	}
	b.plot(replies)
	b.scale = scaleOf(b.counts.last(), b.expected)
	if suspects := b.suspects(); len(suspects) > 0 && !b.reproduced(ctx, suspects) {
		b.steady = false
	}
	b.describeScale()
	if !b.steady {
		return
	}
	switch b.scale.kind {
	case multipleScale:
		b.scaled = true
		b.find(verdict.BillingInconsistent, verdict.Billing, "reported prompt tokens are %.2f times those of %s, for every kind of text", b.scale.factor, b.scale.of)
	case lengthScale:
		b.scaled = true
		b.find(verdict.BillingInconsistent, verdict.Billing, "reported prompt tokens follow the number of %s (%.2f tokens each), not any tokenizer: they are estimated", b.scale.of, b.scale.factor)
	case publishedScale:
		if b.foreign = b.expected != nil || countsElsewhere(b.Facts.Model); b.foreign {
			b.find(verdict.Differs, verdict.Same, "prompts are counted exactly by %s, which is not the claimed model's: another model, or a layer between that counts again", b.scale.of)
		}
	case unknownScale:
		b.judgeUnknown()
	}
}

// leastWrong is in how many kinds of text another vocabulary differs at least. Fewer may
// have gone to another tokenizer by chance, each time.
const leastWrong = 3

// judgeUnknown says what counts that follow nothing known come to. Whatever the
// tokenizer, whole texts are counted evenly; cut ones are not.
func (b *books) judgeUnknown() {
	if b.expected == nil {
		return
	}
	less, wrong := true, 0
	for i, n := range b.counts.last() {
		less = less && n <= b.expected.counts[i]
		if n != b.expected.counts[i] {
			wrong++
		}
	}
	if wrong < leastWrong {
		return
	}
	if b.cut = less && b.bent() > len(countUnits)/2; b.cut {
		b.find(verdict.ModifiedPrompt, verdict.Integrity, "prompts are counted unevenly, and as less than by %s: they are cut or summarised", b.expected.name)
		return
	}
	b.foreign = true
	b.find(verdict.Differs, verdict.Same, "prompts are counted neither as by %s nor by a multiple of it or another known vocabulary: another model, or a layer between that counts again", b.expected.name)
}

// bent is how many kinds of text do not add the same with every copy.
func (b *books) bent() int {
	bent := 0
	for i := range countUnits {
		if !b.counts.linear(i) {
			bent++
		}
	}
	return bent
}

// find notes a finding.
func (b *books) find(label verdict.Label, n verdict.Null, format string, args ...any) {
	b.Find(verdict.Finding{Label: label, Null: n, Text: fmt.Sprintf(format, args...)})
}

// maxSuspects bounds the units that are measured again; one is enough to show that
// counts follow something else.
const maxSuspects = 4

// suspects are units to measure again: those whose counts are not as expected, before
// those that are only not linear.
func (b *books) suspects() []int {
	last := b.counts.last()
	surprise := b.scale.kind == multipleScale || b.scale.kind == lengthScale || b.scale.kind == publishedScale && countsElsewhere(b.Facts.Model)
	var wrong, bent []int
	for i := range countUnits {
		switch {
		case b.expected != nil && last[i] != b.expected.counts[i] || b.expected == nil && surprise:
			wrong = append(wrong, i)
		case !b.counts.linear(i):
			bent = append(bent, i)
		}
	}
	all := append(wrong, bent...)
	return all[:min(len(all), maxSuspects)]
}

// reproduced reports whether the counts of the units came again in all repeats, and
// nothing else in any: behind one tokenizer they do.
func (b *books) reproduced(ctx context.Context, units []int) bool {
	var asks []Ask
	for range repeats {
		nonce := digitNonce(b.nonces)
		asks = append(asks, countAsk(countShapes[0], nonce, "", b.limit))
		for _, u := range units {
			asks = append(asks, countAsk(countShapes[0], nonce, countUnits[u].copies(countCopies), b.limit))
		}
	}
	replies, again := b.ask(ctx, asks), make([]int, len(units))
	for set := range slices.Chunk(replies, 1+len(units)) {
		base, told := promptCount(set[0])
		for i, u := range units {
			n, alsoTold := promptCount(set[1+i])
			switch {
			case !told || !alsoTold:
			case n-base == b.counts.added[u][countCopies-1]:
				again[i]++
			default:
				return false
			}
		}
	}
	return slices.Contains(again, repeats)
}

// describeScale says what counts follow.
func (b *books) describeScale() {
	b.Fact("linear", "%d of %d kinds of text add the same with every copy", len(countUnits)-b.bent(), len(countUnits))
	switch {
	case !b.steady:
		b.Fact("prompt tokens follow", "nothing that repeats")
	case b.scale.kind == unknownScale:
		b.Fact("prompt tokens follow", "no vocabulary that is known here")
	default:
		b.Fact("prompt tokens follow", "%s, times %.2f", b.scale.of, b.scale.factor)
	}
}

// streamed asks the base text again as a stream: the same request is the same prompt.
func (b *books) streamed(ctx context.Context) {
	ask := func(nonce string, stream bool) Ask {
		a := countAsk(countShapes[0], nonce, "", b.limit)
		a.Stream = stream
		return a
	}
	first := b.ask(ctx, []Ask{ask(b.nonce, true)})[0]
	if !first.OK() {
		return
	}
	n, told := promptCount(first)
	if !told {
		b.Fact("streams", "tell no usage that can be read")
		return
	}
	if n == b.base {
		return
	}
	var asks []Ask
	for range repeats {
		nonce := digitNonce(b.nonces)
		asks = append(asks, ask(nonce, false), ask(nonce, true))
	}
	replies, again := b.ask(ctx, asks), 0
	for i := 0; i+1 < len(replies); i += 2 {
		whole, told := promptCount(replies[i])
		stream, alsoTold := promptCount(replies[i+1])
		if told && alsoTold && stream-whole == n-b.base {
			again++
		}
	}
	if again == repeats {
		b.inconsistent = true
		b.find(verdict.BillingInconsistent, verdict.Billing, "the same prompt has %d tokens whole and %d as a stream, each time", b.base, n)
	}
}

// limited asks for more than its bound allows: then the answer is cut and says so.
func (b *books) limited(ctx context.Context) {
	limit := max(b.limit, 16)
	asks := func(n int) []Ask {
		var all []Ask
		for range n {
			all = append(all, Ask{Turns: User("Write the numbers from one to a thousand in words, separated by commas. Reference " + digitNonce(b.nonces)), MaxTokens: limit})
		}
		return all
	}
	silent := func(r *Reply) bool {
		return r.OK() && r.Usable() && r.Tokens.Completion() == limit && r.Finish != llm.FinishLength
	}
	if !silent(b.ask(ctx, asks(1))[0]) {
		return
	}
	if !slices.ContainsFunc(b.ask(ctx, asks(repeats)), func(r *Reply) bool { return !silent(r) }) {
		b.inconsistent = true
		b.find(verdict.BillingInconsistent, verdict.Billing, "answers that take all of the %d tokens allowed do not say that they were cut", limit)
	}
}

// conclude tells the facts.
func (b *books) conclude() {
	if b.untold > 0 {
		b.Fact("usage missing", "in %d answers", b.untold)
	}
	if b.arithmetic > 0 {
		b.Fact("usage that does not add up", "in %d answers, such as: %s", b.arithmetic, b.flaw)
	}
	if b.arithmetic > repeats {
		b.inconsistent = true
		b.find(verdict.BillingInconsistent, verdict.Billing, "usage does not add up in %d answers, such as: %s", b.arithmetic, b.flaw)
	}
	b.plotScale()
	tell := func(n verdict.Null, checked int, mismatches ...bool) {
		count := 0
		for _, m := range mismatches {
			if m {
				count++
			}
		}
		b.ObserveFacts(n, count, checked)
		b.Fact("facts on "+string(n), "%d of %d deviate; that an honest endpoint does so is assumed to have a chance of %g each", count, checked, FactPrior)
	}
	if b.accounting() != nil {
		tell(verdict.Same, sameFacts, b.foreign, b.mixed)
	}
	tell(verdict.Billing, billingFacts, b.scaled, b.inconsistent)
	tell(verdict.Integrity, integrityFacts, b.prefixed, b.padded, b.cut)
}
