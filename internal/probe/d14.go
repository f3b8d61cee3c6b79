package probe

import (
	"context"
	"math"
	"math/rand/v2"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// ranksDetector ranks each continuation of a text among some of a live trusted endpoint
// (rank-based uniformity, arXiv 2506.06975). The published test scores a text by the
// model's own log probabilities, which the APIs of chat do not tell of given texts; here
// a text is scored by how likely its characters are after those of the other texts of
// the same question, the audited one's and the trusted ones' alike.
//
// Null: the answer here and those of the trusted endpoint are exchangeable. The score
// treats all alike, so the rank, with ties broken at random, is exactly uniform, and bets
// on its deviation are an e-process. The evidence has no share in a verdict: what it
// rests on D13 rests on as well.
var ranksDetector = detector{
	id: "D14", name: "Ranks of continuations", layer: verdict.Distribution, nulls: []verdict.Null{verdict.Same},
	null: "continuations rank uniformly among those of a trusted endpoint",
	applies: func(p *Plan) string {
		if !p.Live {
			return "no trusted endpoint answers beside the audited one, and log probabilities of given texts, which could stand in, are not told by the APIs of chat"
		}
		return ""
	},
	run: runRanks,
}

const (
	rankedBeside = 8 // continuations of the trusted endpoint for each of the audited one
	fewestBeside = 4
)

func runRanks(ctx context.Context, t *Trial) {
	cells := textCells()
	order, nonces := stat.Rand(stat.Seed(t.Seed, "order")), stat.Rand(stat.Seed(t.Seed, "nonces"))
	ties := stat.Rand(stat.Seed(t.Seed, "ties"))
	bets, err := newRankBets()
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	var ranks []float64
	for asked := 0; asked < t.Budget && !t.Over() && !t.decided([]verdict.Null{verdict.Same}); {
		turn := order.Perm(len(cells))[:min(len(cells), t.Budget-asked, max(t.Parallel, 1))]
		asked += len(turn)
		for _, u := range t.rankRound(ctx, cells, turn, nonces, ties) {
			ranks = append(ranks, u)
			if err := bets.bet(u); err != nil {
				t.Inconclusive("%v", err)
				return
			}
			t.Observe(verdict.Same, bets.logE())
		}
	}
	if len(ranks) == 0 {
		t.Inconclusive("too few continuations to rank")
		return
	}
	p, err := stat.CramerVonMisesTest(ranks, stat.Permutations{Most: permutations}, stat.Rand(stat.Seed(t.Seed, "uniform")))
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	t.Fact("ranks", "%d, of mean %.3f where .5 is expected; distance from uniform %.3f, p = %.3f when looked at once", len(ranks), mean(ranks), p.Statistic, p.P)
	t.Chart(verdict.Chart{
		Title: "Ranks of continuations", Kind: verdict.Lines, X: "rank among the trusted endpoint's", Y: "share of continuations up to it",
		Series: []verdict.Series{cumulative("audited", ranks), {Name: "uniform", Points: []verdict.Point{{X: 0, Y: 0}, {X: 1, Y: 1}}}},
	})
}

// rankRound has some texts continued here and by the trusted endpoint, and ranks the
// continuations.
func (t *Trial) rankRound(ctx context.Context, cells []string, turn []int, nonces, ties *rand.Rand) []float64 {
	var asks, beside []Ask
	for _, c := range turn {
		asks = append(asks, textAsk(cells[c], nonces))
		for range rankedBeside {
			beside = append(beside, textAsk(cells[c], nonces))
		}
	}
	replies, others := t.AskAll(ctx, asks), t.AskTrusted(ctx, beside)
	var ranks []float64
	for i, r := range replies {
		v := ties.Float64() // drawn for each, so that a failure moves no other
		var texts []string
		for _, o := range others[i*rankedBeside : (i+1)*rankedBeside] {
			if !o.OK() {
				t.Lose(o)
				continue
			}
			texts = append(texts, textRead("", o))
		}
		if !r.OK() {
			t.Lose(r)
			continue
		}
		if len(texts) < fewestBeside {
			continue
		}
		scores := likelihoods(append(texts, textRead("", r)))
		if u, err := stat.RankUniform(scores[len(texts)], scores[:len(texts)], v); err == nil {
			ranks = append(ranks, u)
		}
	}
	return ranks
}

// rankBets bets on ranks that are low, high, and far from the middle.
type rankBets struct{ low, high, far *stat.Mixture }

func newRankBets() (b rankBets, err error) {
	for _, m := range []**stat.Mixture{&b.low, &b.high, &b.far} {
		if *m, err = stat.NewMixture(stat.Symmetric()); err != nil {
			return b, err
		}
	}
	return b, nil
}

// bet takes a rank. Each payoff is in [-1, 1] and has a mean of 0 when ranks are uniform.
func (b rankBets) bet(u float64) error {
	for _, bet := range []struct {
		on     *stat.Mixture
		payoff float64
	}{{b.low, 1 - 2*u}, {b.high, 2*u - 1}, {b.far, 6*(u-.5)*(u-.5) - .5}} {
		if err := bet.on.Bet(bet.payoff); err != nil {
			return err
		}
	}
	return nil
}

func (b rankBets) logE() float64 {
	return stat.LogMean(b.low.LogE(), b.high.LogE(), b.far.LogE())
}

// likelihoods scores each text by the mean logarithm of the probability of its
// characters, each given the two before it, as the other texts suggest.
func likelihoods(texts []string) []float64 {
	runes, all := make([][]rune, len(texts)), trigrams{}
	for i, text := range texts {
		runes[i] = append([]rune{0, 0}, []rune(text)...)
		all.add(runes[i], 1)
	}
	scores := make([]float64, len(texts))
	for i, text := range runes {
		all.add(text, -1)
		scores[i] = all.likelihood(text)
		all.add(text, 1)
	}
	return scores
}

// trigrams counts how often each character came after two, one and no others; a place
// that is not looked at holds -1.
type trigrams map[[3]rune]int

// characters is how many characters are possible where none is known.
const characters = 256

func (g trigrams) add(text []rune, n int) {
	for i := 2; i < len(text); i++ {
		a, b, c := text[i-2], text[i-1], text[i]
		for _, k := range [][3]rune{{a, b, c}, {-1, b, c}, {-1, -1, c}, {a, b, -1}, {-1, b, -1}, {-1, -1, -1}} {
			g[k] += n
		}
	}
}

// likelihood mixes what follows two characters with what follows one and with what there
// is at all, the less the more often these two were seen (Witten, Bell 1991, with one
// for the number of different followers).
func (g trigrams) likelihood(text []rune) float64 {
	if len(text) == 2 {
		return math.Inf(-1)
	}
	sum := 0.0
	for i := 2; i < len(text); i++ {
		a, b, c := text[i-2], text[i-1], text[i]
		p := (float64(g[[3]rune{-1, -1, c}]) + 1) / (float64(g[[3]rune{-1, -1, -1}]) + characters)
		p = (float64(g[[3]rune{-1, b, c}]) + p) / (float64(g[[3]rune{-1, b, -1}]) + 1)
		p = (float64(g[[3]rune{a, b, c}]) + p) / (float64(g[[3]rune{a, b, -1}]) + 1)
		sum += math.Log(p)
	}
	return sum / float64(len(text)-2)
}
