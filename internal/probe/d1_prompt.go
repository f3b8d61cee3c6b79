package probe

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// Thresholds on tokens that stand before a prompt. Templates of one model differ by a
// few; suspicious is what exceeds that and four times the spread of repeats.
const (
	fewTokens      = 8
	spreadFactor   = 4
	manyTokens     = 32  // in every shape: confirmed
	leastPrefix    = 128 // cached tokens: more than templates put before a system prompt
	longCopies     = 36  // of prose: above the 1,024 tokens from which OpenAI caches
	longSlack      = .02 // of the expected count
	mixedPerBudget = 10  // one in so many questions is a repeat of one request
)

// offset is how many tokens more than expected a shape of request takes.
type offset struct {
	shape     string
	tokens    int64
	excessive bool
}

// shapes counts what requests cost before their text, in each shape.
func (b *books) shapes(ctx context.Context) {
	replies := b.ask(ctx, shapeAsks(b.nonces, b.limit))
	var offsets []offset
	for i, counts := range shapeCounts(replies) {
		name := countShapes[i].name
		expected, why := b.expectedShape(countShapes[i])
		switch {
		case len(counts) < shapeRepeats:
			why = "it was not counted each time"
		case why == "" && b.counts == nil:
			why = "what the text alone costs was not measured"
		case why == "" && (!b.steady || b.scale.kind != expectedScale && b.scale.kind != multipleScale):
			why = "texts are counted differently"
		}
		if why != "" {
			b.Fact("before the prompt, "+name, "not comparable: %s", why)
			continue
		}
		o := b.offset(name, counts, expected)
		b.Fact("before the prompt, "+name, "%+d tokens against %d expected (%v counted)", o.tokens, expected, counts)
		offsets = append(offsets, o)
	}
	b.judgeOffsets(offsets)
}

// expectedShape is what a shape of request should take, or why nothing is known of it.
func (b *books) expectedShape(s countShape) (int64, string) {
	if ref := b.accounting(); ref != nil {
		if n, has := ref.Intercepts[s.name]; has {
			return n, ""
		}
		return 0, "the reference does not tell"
	}
	if b.expected == nil || b.expected.vocab == nil || b.vocabulary != nil || b.Facts.Kind != "openai" || len(s.tools) > 0 {
		return 0, "no reference"
	}
	n, err := templateTokens(b.expected.vocab, s, b.nonce)
	if err != nil {
		return 0, err.Error()
	}
	return n, ""
}

// offset compares the counts of a shape, freed of the multiple that all counts bear.
// It is excessive when every repeat exceeds what the spread of them explains.
func (b *books) offset(name string, counts []int64, expected int64) offset {
	factor := 1.0
	if b.scale.kind == multipleScale {
		factor = b.scale.factor
	}
	var deltas, spread []int64
	for _, n := range counts {
		deltas = append(deltas, int64(math.Round(float64(n)/factor))-expected)
	}
	middle := median(deltas)
	for _, d := range deltas {
		spread = append(spread, max(d-middle, middle-d))
	}
	threshold := max(fewTokens, spreadFactor*median(spread))
	within := func(d int64) bool { return max(d, -d) <= threshold }
	return offset{name, middle, !slices.ContainsFunc(deltas, within)}
}

// judgeOffsets says what tokens before the prompt come to.
func (b *books) judgeOffsets(offsets []offset) {
	var excessive []string
	largest, many := int64(0), len(offsets) > 0
	for _, o := range offsets {
		many = many && max(o.tokens, -o.tokens) > manyTokens
		if o.excessive {
			excessive = append(excessive, o.shape)
			if max(o.tokens, -o.tokens) > max(largest, -largest) {
				largest = o.tokens
			}
		}
	}
	if len(excessive) == 0 {
		return
	}
	b.prefixed = true
	degree := "suspicious"
	if many {
		degree = "confirmed"
	}
	if largest < 0 {
		b.find(verdict.ModifiedPrompt, verdict.Integrity, "requests take %d tokens less than expected (%s; shapes %v): part of the prompt is missing, or the template is another one", -largest, degree, excessive)
		return
	}
	where := fmt.Sprintf("in the shapes %v", excessive)
	switch {
	case slices.Equal(excessive, []string{"plain"}) && len(offsets) > 1:
		where = "only where no system prompt is sent, so a default one is filled in"
	case slices.Equal(excessive, []string{"tool"}) && len(offsets) > 1:
		where = "only with tools, so a preamble for tools is put before them"
	}
	b.find(verdict.ModifiedPrompt, verdict.Integrity, "requests take %d tokens more than expected, %s (%s; %s): they are added to the prompt, or to the count", largest, where, degree, sizeOf(largest))
}

// sizeOf says how much so many tokens are, in the bands of the field's tools.
func sizeOf(n int64) string {
	switch {
	case n < 20:
		return "as little as a template's difference"
	case n < 100:
		return "as much as a framework's default prompt"
	case n <= 500:
		return "as much as a prompt of its own"
	}
	return "as much as a long prompt of its own"
}

// long sends a long system prompt that begins with what nobody sent before. All of it
// must be counted, and none of it can come from a cache: cached tokens are the first
// ones of a prompt, so then something constant stands before.
func (b *books) long(ctx context.Context) {
	pair := func() []Ask {
		nonce := digitNonce(b.nonces)
		short := countAsk(countShape{system: nonce + "\ndone" + countUnits[0].copies(1)}, nonce, "", b.limit)
		long := countAsk(countShape{system: nonce + "\ndone" + countUnits[0].copies(longCopies)}, nonce, "", b.limit)
		return []Ask{short, long}
	}
	replies := b.ask(ctx, pair())
	cached, cut := b.cachedPrefix(replies), b.missing(replies)
	if cached == 0 && cut == 0 {
		return
	}
	var asks []Ask
	for range repeats {
		asks = append(asks, pair()...)
	}
	again := b.ask(ctx, asks)
	for i := 0; i+1 < len(again); i += 2 {
		cached, cut = min(cached, b.cachedPrefix(again[i:i+2])), min(cut, b.missing(again[i:i+2]))
	}
	if b.padded = cached > 0; b.padded {
		b.find(verdict.ModifiedPrompt, verdict.Integrity, "%d tokens of prompts that begin with something new come from a cache, each time: at least as many stand before them", cached)
	}
	if cut > 0 {
		b.cut = true
		b.find(verdict.ModifiedPrompt, verdict.Integrity, "%d tokens of a long prompt are not counted, each time: it is cut or summarised", cut)
	}
}

// cachedPrefix is how many tokens of new prompts came from a cache; 0 when no more than
// a template's.
func (b *books) cachedPrefix(pair []*Reply) int64 {
	most := int64(0)
	for _, r := range pair {
		if _, told := promptCount(r); told {
			most = max(most, r.Tokens[llm.CacheRead])
		}
	}
	if most < leastPrefix {
		return 0
	}
	return most
}

// missing is how many tokens of a long prompt are not counted, by what its copies add
// in short ones; 0 when no more than rounding explains.
func (b *books) missing(pair []*Reply) int64 {
	short, told := promptCount(pair[0])
	long, alsoTold := promptCount(pair[1])
	if !told || !alsoTold || b.counts == nil || !b.steady {
		return 0
	}
	expected := float64(longCopies-1) * b.counts.last()[0] / countCopies
	lost := expected - float64(long-short)
	if lost <= max(fewTokens, longSlack*expected) {
		return 0
	}
	return int64(lost)
}

// alike sends requests that differ in nothing that a tokenizer sees, and looks for
// counts that differ: then more than one tokenizer answers. The share of the rarer
// counts estimates how much goes to another one; models that share a tokenizer and a
// template are not told apart.
func (b *books) alike(ctx context.Context) {
	var lines strings.Builder
	for _, u := range countUnits {
		lines.WriteString(u.copies(1))
	}
	round := func(n int) []int64 {
		var asks []Ask
		for range n {
			asks = append(asks, countAsk(countShapes[0], digitNonce(b.nonces), lines.String(), b.limit))
		}
		var counts []int64
		for _, r := range b.ask(ctx, asks) {
			if c, told := promptCount(r); told {
				counts = append(counts, c)
			}
		}
		return counts
	}
	n := max(b.Budget/mixedPerBudget, 2)
	first := round(n)
	odd := rare(first)
	if odd == 0 {
		b.Fact("like requests", "%d of %d are counted alike", len(first), len(first))
		return
	}
	// The share is estimated from new requests only: the first ones are why it is asked.
	second := round(min(2*n, b.left))
	share, size := rare(second), len(second)
	if size == 0 || odd+share < repeats {
		b.Fact("like requests", "%d of %d are counted differently, too few to say more", odd+share, len(first)+size)
		return
	}
	interval, err := stat.ClopperPearson(share, size, .95)
	if err != nil {
		return
	}
	b.mixed = true
	b.Fact("like requests", "%d of %d are counted differently: %.0f %% (%.0f to %.0f %% at 95 %%)", share, size, 100*float64(share)/float64(size), 100*interval.Low, 100*interval.High)
	b.find(verdict.Differs, verdict.Same, "requests that are alike are counted differently, %d of %d (%.0f to %.0f %%): more than one tokenizer answers, or counts are made up",
		share, size, 100*interval.Low, 100*interval.High)
}

// rare is how many counts are not the commonest one.
func rare(counts []int64) int {
	times, most := map[int64]int{}, 0
	for _, c := range counts {
		times[c]++
		most = max(most, times[c])
	}
	return len(counts) - most
}
