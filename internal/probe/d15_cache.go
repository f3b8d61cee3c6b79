package probe

import (
	"context"
	"fmt"
	"math/rand/v2"

	"sallyport/internal/llm"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// How a shared cache is looked for.
const (
	prefixWords   = 1500 // more than the 1,024 tokens from which vendors cache
	cachedShare   = .5   // of a prompt, from which it was served from a cache
	toldRounds    = 3
	toldAsks      = 4    // questions of a round
	sharedP       = 1e-6 // as below which a shared cache is told
	fewestBySpeed = 12   // times of each kind: with fewer, p cannot fall below sharedP
)

// sharedCache sends prompts under the first key and then, under the second one, prompts
// that begin as those do beside new ones. Where the former are served from a cache, both
// keys reach one account of whoever caches: vendors document that prompt caches are not
// shared between organisations (platform.openai.com, "Prompt caching"). That is shown by
// the cached tokens that usage tells, reproduced; else by the time to the first text
// (Gu et al., arXiv 2502.07776).
//
// Null of the second: no cache of the second key depends on what the first one sent.
// Then the order, which is drawn at random over all prompts, alone decides which times
// belong to which kind, and the p-value of Smirnov's test is exact or too large.
//
// What it comes to is told as a figure and not as a finding: it is about the accounts
// behind two keys of one's own, and none of the labels, which are about the model, its
// settings, its bills and what is done to texts, says that. Keys of one organisation
// share a cache with good reason. That none is seen does not show that none is shared.
func (t *Trial) sharedCache(ctx context.Context, budget int) {
	const fact = "prompt cache between the keys"
	r := stat.Rand(stat.Seed(t.Seed, "prefixes"))
	told := t.toldCache(ctx, r, min(toldRounds, budget/toldAsks))
	own := fmt.Sprintf("%d of %d prompts sent again under one key", told.own, told.rounds)
	switch {
	case told.shared >= 2 && told.fresh == 0:
		t.Fact(fact, "shared: usage tells that %d of %d prompts which only the first key had sent were served to the second from a cache, and none of as many new ones; so were %s", told.shared, told.rounds, own)
		return
	case told.rounds > 0:
		t.Fact("cached tokens", "told for %s, %d that the other key had sent, and %d new ones", own, told.shared, told.fresh)
	}
	n := (budget - toldAsks*told.rounds) / 3
	if n < fewestBySpeed {
		t.Fact(fact, "not seen by usage; times would need %d questions more", 3*(fewestBySpeed-n))
		return
	}
	known, unknown := t.timedCache(ctx, r, n)
	n = min(len(known), len(unknown)) // of one size, for an exact p; what is left out is the last of a random order
	if n < fewestBySpeed {
		t.Fact(fact, "not seen by usage; too few answers for times")
		return
	}
	s, err := stat.Smirnov(known[:n], unknown[:n])
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	came := "not seen to be shared"
	if s.P < sharedP {
		came = "shared"
	}
	t.Fact(fact, "%s: by the time to the first text of %d prompts that the other key had sent beside as many new ones, p = %.2g where below %.0g would show it (distance %.2f)", came, n, s.P, sharedP, s.Distance)
	t.Chart(verdict.Chart{
		Title: "Share of answers under the second key that had begun", Kind: verdict.Lines, X: "milliseconds after the question", Y: "share",
		Series: []verdict.Series{cumulative("sent before by the first key", known), cumulative("new", unknown)},
	})
}

// toldCache is in how many rounds usage told that a prompt was served from a cache.
type toldCache struct{ rounds, own, shared, fresh int }

// toldCache asks rounds of four questions: a prompt under the first key, the same again,
// the same under the second key, and a new one under the second key.
func (t *Trial) toldCache(ctx context.Context, r *rand.Rand, rounds int) toldCache {
	var told toldCache
	for range rounds {
		if t.Over() {
			break
		}
		text, other := filler(r, prefixWords), filler(r, prefixWords)
		first := t.AskAlone(ctx, []Ask{longAsk(text, r), longAsk(text, r)})
		then := t.AskSecond(ctx, []Ask{longAsk(text, r), longAsk(other, r)})
		whole := true
		for _, reply := range append(first, then...) {
			if !reply.OK() {
				t.Lose(reply)
				whole = false
			}
		}
		if !whole {
			continue
		}
		told.rounds++
		told.own += cached(first[1])
		told.shared += cached(then[0])
		told.fresh += cached(then[1])
	}
	return told
}

// cached is 1 where usage tells that the prompt was served from a cache, else 0.
func cached(r *Reply) int {
	if read := r.Tokens[llm.CacheRead]; r.Usable() && read > 0 && float64(read) >= cachedShare*float64(r.Tokens.Prompt()) {
		return 1
	}
	return 0
}

// timedCache sends n prompts under the first key, and then under the second key these
// and n new ones in a random order. It returns the times to the first text of both, in
// milliseconds.
func (t *Trial) timedCache(ctx context.Context, r *rand.Rand, n int) (known, unknown []float64) {
	var before, asks []Ask
	for range n {
		text := filler(r, prefixWords)
		before, asks = append(before, longAsk(text, r)), append(asks, longAsk(text, r))
	}
	for range n {
		asks = append(asks, longAsk(filler(r, prefixWords), r))
	}
	for _, reply := range t.AskAlone(ctx, before) {
		if !reply.OK() {
			t.Lose(reply)
		}
	}
	order := r.Perm(len(asks))
	shuffled := make([]Ask, len(asks))
	for to, from := range order {
		shuffled[to] = asks[from]
	}
	for i, reply := range t.AskSecond(ctx, shuffled) {
		switch {
		case !reply.OK():
			t.Lose(reply)
		case order[i] < n:
			known = append(known, milliseconds(reply.First))
		default:
			unknown = append(unknown, milliseconds(reply.First))
		}
	}
	return known, unknown
}
