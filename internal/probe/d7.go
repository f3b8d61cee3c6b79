package probe

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sallyport/internal/stat"
	"sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// billingDetector compares the output tokens that are reported with those that the
// answers have. Null: the mean excess of reported over counted visible tokens is at
// most h (related: arXiv 2510.05181), and, beside a trusted endpoint, hidden reasoning
// is as long there as here. The error is that of the e-process, plus .001 where h is a
// bound from a reference, and what is assumed where h is assumed. Beside it stands a
// bound that no report can argue with: nothing decodes faster than hardware does. It
// sees large multiples only.
var billingDetector = detector{
	id: "D7", name: "Output billing", layer: verdict.Protocol, nulls: []verdict.Null{verdict.Billing},
	null:    "visible output tokens are reported as the model's tokenizer counts them, and hidden ones are generated",
	applies: func(*Plan) string { return "" },
	silent:  func(p *Plan, _ verdict.Null) bool { return p.countedBy() == nil && !p.Live },
	run:     runBilling,
}

// countedBy is the vocabulary of the model, or the one by which the reference was found
// to count; nil when neither is known.
func (p *Plan) countedBy() *tokens.Vocabulary {
	if v := p.known(); v != nil {
		return v
	}
	if a := p.accounting(); a != nil {
		return tokens.Named(a.Vocabulary)
	}
	return nil
}

// assumedExcess is the honest mean excess that is assumed where no reference bounds it:
// splits that are not canonical, and the token that ends an answer.
const assumedExcess = .02

// excessConfidence is that of the bound that a reference gives.
const excessConfidence = .999

// countsAlike reports whether the reference's excesses are those over the vocabulary that
// is counted by here: the same file, or no file on either side.
func (p *Plan) countsAlike() bool {
	own, theirs := "", ""
	if p.Tokenizer != nil {
		own = p.Tokenizer.SHA256
	}
	if a := p.Reference.Accounting; a != nil {
		theirs = a.SHA256
	}
	return own == theirs
}

// honestExcess is the largest honest mean excess, and how it is known.
func (p *Plan) honestExcess() (h float64, how string) {
	if p.Reference == nil || p.Reference.comparable(p) != "" || !p.countsAlike() {
		return assumedExcess, "assumed"
	}
	return boundExcess(p.Reference.Excess)
}

// boundExcess bounds the honest mean excess by recorded answers. A few of them bound it
// so far above what was seen that the assumption is kept.
func boundExcess(values []float64) (h float64, how string) {
	bound, err := stat.BernsteinUpper(values, -.5, .5, excessConfidence)
	if err != nil {
		return assumedExcess, "assumed"
	}
	mean := 0.
	for _, y := range values {
		mean += y / float64(len(values))
	}
	if bound > assumedExcess && mean <= assumedExcess {
		return assumedExcess, fmt.Sprintf("assumed; the reference's mean is %.3f, which its %d answers bound by %.3f only", mean, len(values), bound)
	}
	return min(bound, .5-excessMargin), fmt.Sprintf("the bound of the reference's mean at %g, from %d answers", excessConfidence, len(values))
}

// excessMargin keeps a bound inside the range that excesses are clipped to.
const excessMargin = .001

// bills is the billing detector at work.
type bills struct {
	*Trial
	vocabulary *tokens.Vocabulary // nil when the answers cannot be counted
	visible    *stat.Billing      // nil when the answers cannot be counted
	hidden     *stat.Mixture      // nil without a live reference
	seen       []billed
	logRatios  []float64
}

// runBilling asks for answers and bets on each, until the hypothesis is decided or the
// budget is used up.
func runBilling(ctx context.Context, t *Trial) {
	b := &bills{Trial: t, vocabulary: t.countedBy()}
	t.tellVocabulary()
	var err error
	if b.vocabulary != nil {
		h, how := t.honestExcess()
		t.Fact("honest excess", "%.3f (%s)", h, how)
		if b.visible, err = stat.NewBilling(h); err != nil {
			t.Inconclusive("%v", err)
			return
		}
	} else {
		t.Fact("visible tokens", "not countable: %s", t.unknownVocabulary())
	}
	if t.Live {
		if b.hidden, err = stat.NewMixture(stat.Symmetric()); err != nil {
			t.Inconclusive("%v", err)
			return
		}
	} else {
		t.Fact("hidden reasoning", "not compared: no trusted endpoint answers beside")
	}
	questions := stat.Rand(stat.Seed(t.Seed, "questions"))
	each := 1
	if t.Live {
		each = 2
	}
	for left := t.Budget / each; left > 0 && !t.Over() && t.evidence(verdict.Billing).MaxLogE < verdict.LevelQuarantine.Threshold(); {
		n := min(left, max(t.Parallel, 1))
		left -= n
		if err := b.batch(ctx, billingAsks(questions, n, b.dress())); err != nil {
			t.Inconclusive("%v", err)
			return
		}
	}
	b.conclude()
}

// batch asks some questions, beside the trusted endpoint where there is one, and bets
// on the answers in their order.
func (b *bills) batch(ctx context.Context, asks []Ask) error {
	replies := b.AskAll(ctx, asks)
	var beside []*Reply
	if b.Live {
		beside = b.AskTrusted(ctx, asks)
	}
	for i, r := range replies {
		if !failure(r) && !r.OK() {
			b.Lose(r)
		}
		x, told := billedOf(b.vocabulary, r)
		if !told {
			continue
		}
		b.seen = append(b.seen, x)
		var logs []float64
		if b.visible != nil {
			if x.countable() {
				if _, err := b.visible.Observe(x.reported, x.counted); err != nil {
					return err
				}
			}
			logs = append(logs, b.visible.Mixture().LogE())
		}
		if b.hidden != nil {
			if y, told := billedOf(nil, beside[i]); told {
				if err := b.pair(x.hidden, y.hidden); err != nil {
					return err
				}
			}
			logs = append(logs, b.hidden.LogE())
		}
		if len(logs) > 0 {
			b.Observe(verdict.Billing, stat.LogMean(logs...))
		}
	}
	return nil
}

// pair bets that the audited endpoint reports more hidden tokens than the trusted one
// to the same question. When both draw alike, the logarithm of the ratio is as often
// above 0 as below by as much.
func (b *bills) pair(here, there int) error {
	ratio := math.Log(float64(1+here) / float64(1+there))
	b.logRatios = append(b.logRatios, ratio)
	return b.hidden.Bet(min(max(ratio, -1), 1))
}

// conclude says what the answers come to.
func (b *bills) conclude() {
	if len(b.seen) == 0 {
		b.Inconclusive("no answer told usage")
		return
	}
	b.concludeVisible()
	b.concludeHidden()
	b.bound()
	runes, reported := 0, 0
	for _, x := range b.seen {
		runes, reported = runes+x.runes, reported+x.reported
	}
	if reported == 0 {
		return
	}
	here := float64(runes) / float64(reported)
	if b.Reference != nil && b.Reference.Rates[rateChars] > 0 {
		there := b.Reference.Rates[rateChars]
		b.Fact("characters by reported token", "%.2f, the reference's %.2f: %.2f times as many tokens", here, there, there/here)
	} else {
		b.Fact("characters by reported token", "%.2f", here)
	}
}

// found reports whether an e-process reached the level of the audit.
func (b *bills) found(m *stat.Mixture) bool { return m.Max() >= -math.Log(b.Alpha) }

// concludeVisible tells what visible tokens are reported as.
func (b *bills) concludeVisible() {
	if b.visible == nil {
		return
	}
	counted, reported := 0, 0
	points, line := verdict.Series{Name: "answers"}, verdict.Series{Name: "as counted"}
	for _, x := range b.seen {
		if x.countable() {
			counted, reported = counted+x.counted, reported+x.reported
			points.Points = append(points.Points, verdict.Point{X: float64(x.counted), Y: float64(x.reported)})
			line.Points = append(line.Points, verdict.Point{X: float64(x.counted), Y: float64(x.counted)})
		}
	}
	if counted == 0 {
		b.Fact("visible tokens", "no answer has the %d tokens from which it counts", leastVisible)
		return
	}
	b.Chart(verdict.Chart{
		Title: "Visible output tokens: reported against counted by " + b.vocabulary.Name, Kind: verdict.Scatter, X: "counted tokens", Y: "reported tokens",
		Series: []verdict.Series{points, line},
	})
	b.Fact("visible tokens", "%d reported of %d counted: %+.1f %% in %d answers", reported, counted, 100*(float64(reported)/float64(counted)-1), len(points.Points))
	if b.found(b.visible.Mixture()) {
		b.Find(verdict.Finding{Label: verdict.BillingInconsistent, Null: verdict.Billing, Text: fmt.Sprintf(
			"%d visible output tokens are reported where %s counts %d (%+.1f %%, %d answers)",
			reported, b.vocabulary.Name, counted, 100*(float64(reported)/float64(counted)-1), len(points.Points))})
	}
}

// concludeHidden tells what hidden reasoning comes to.
func (b *bills) concludeHidden() {
	hidden := 0
	for _, x := range b.seen {
		hidden += x.hidden
	}
	b.Fact("reported reasoning", "%.0f tokens by answer", float64(hidden)/float64(len(b.seen)))
	if b.hidden == nil || len(b.logRatios) == 0 {
		return
	}
	ratio := math.Exp(middle(b.logRatios))
	b.Fact("hidden reasoning", "%.2f times that of the trusted endpoint (median of %d pairs)", ratio, len(b.logRatios))
	if b.found(b.hidden) {
		b.Find(verdict.Finding{Label: verdict.BillingInconsistent, Null: verdict.Billing, Text: fmt.Sprintf(
			"hidden reasoning tokens are %.2f times those that the trusted endpoint reports for the same questions (median of %d pairs): longer reasoning, or more reported than done", ratio, len(b.logRatios))})
	}
}

// middle is the median of values, the lower one of two.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// Bounds on how fast tokens can be made.
const (
	fallbackRate = 3000. // tokens a second, above what served models are known to decode at for one request
	rateMargin   = 1.25
)

// bound compares what is reported with what hardware can have generated in the time.
// A reference's rate counts only where streams show how fast this endpoint is, since it
// may honestly be faster. Where text itself came faster than the bound, the bound does
// not hold here (answers are simulated or replayed), and nothing is said. An answer that
// exceeds it must be joined by two more.
func (b *bills) bound() {
	speeds, streamed := make([]float64, len(b.seen)), 0.
	for i, x := range b.seen {
		streamed = max(streamed, x.rate)
		if x.took > 0 {
			speeds[i] = float64(x.shown) / x.took.Seconds()
		}
	}
	rate, source := fallbackRate, "the fastest that is known of any model"
	if b.Reference != nil && b.Reference.comparable(b.Plan) == "" && b.Reference.Rates[rateDecode] > 0 && streamed > 0 {
		rate, source = rateMargin*max(b.Reference.Rates[rateDecode], streamed), "1.25 times the fastest of the reference's streams and those seen here"
	}
	if fastest := slices.Max(speeds); fastest > rate {
		b.Fact("time bound", "not applicable: text came at %.0f tokens a second, faster than %.0f (%s)", fastest, rate, source)
		return
	}
	beyond, worst := 0, 0.
	for _, x := range b.seen {
		if most := stat.MostTokens(x.took, rate); float64(x.generated) > most && x.generated >= leastVisible && most > 0 {
			beyond++
			worst = max(worst, float64(x.generated)/most)
		}
	}
	seen := "nothing"
	if typical := middle(speeds); typical > 0 {
		seen = fmt.Sprintf("multiples of %.1f and more", stat.VisibleMultiple(typical, rate))
	}
	b.Fact("time bound", "%.0f tokens a second (%s); it sees %s; %d of %d answers exceed it", rate, source, seen, beyond, len(b.seen))
	if beyond > timeRepeats {
		b.Find(verdict.Finding{Label: verdict.BillingInconsistent, Null: verdict.Billing, Veto: true, Text: fmt.Sprintf(
			"%d answers report more tokens than %.0f a second (%s) allow in the time they took, up to %.1f times as many", beyond, rate, source, worst)})
	}
}

// timeRepeats is how often an answer that exceeds the time bound must be repeated.
const timeRepeats = 2
