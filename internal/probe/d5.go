package probe

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"sallyport/internal/exam"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// itemsDetector puts generated questions with computed answers, and bets that fewer are
// solved than the reference solves. A model that imitates another's style does not
// thereby solve what it solves.
//
// Its null holds for whatever solves each item with at least the reference's
// probability. A recorded accuracy is bounded from below at 99.9 % by items of the same
// mixture, which adds .001 to the error; beside a live reference nothing is assumed.
// The test is a bet on bounded means (Waudby-Smith, Ramdas, arXiv 2010.09686).
var itemsDetector = detector{
	id: "D5", name: "Generated items", layer: verdict.Capability, nulls: []verdict.Null{verdict.Same, verdict.Honest},
	compares: true,
	null:     "each item is solved with at least the probability with which the reference (or, for H_honest, the weakest recorded deployment) solves it",
	applies: func(p *Plan) string {
		if p.Live {
			return ""
		}
		if p.Reference == nil {
			return "there is no reference to compare with"
		}
		return p.Reference.examined(p)
	},
	silent: func(p *Plan, n verdict.Null) bool {
		return n == verdict.Honest && (p.Reference == nil || p.Reference.examined(p) != "")
	},
	run: runItems,
}

const (
	// calibrated is the confidence of the bound of what was recorded of a reference.
	calibrated = .999
	// minAccuracy is the least bound of a reference's accuracy from which a loss shows.
	minAccuracy = .5
	// maxUnparsed is the share of answers without a readable one above which nothing is
	// concluded from the others.
	maxUnparsed = .2
)

// examined says why the recorded accuracy cannot be relied on; empty when it can.
func (r *baseline) examined(p *Plan) string {
	if why := r.comparable(p); why != "" {
		return why
	}
	if r.Accuracy == nil {
		return "the reference holds no accuracy on generated items"
	}
	if r.sample == "" || r.sample != r.Accuracy.Sample {
		return "the reference's accuracy is one on items that this version does not make"
	}
	if bound, _ := leastBound(r.Accuracy, len(r.Variants)); bound < minAccuracy {
		return fmt.Sprintf("the reference solves too few items for a loss to show (bound %.2f, needed %g)", bound, minAccuracy)
	}
	return ""
}

// leastBound is the least lower bound of the accuracy of the first so many variants, and
// whose it is.
func leastBound(a *reference.Accuracy, variants int) (least float64, whose int) {
	least = 1
	for v := range variants {
		solved, asked := a.Total(v)
		bound, err := stat.BinomialLower(solved, asked, calibrated)
		if err != nil {
			return 0, v
		}
		if bound < least {
			least, whose = bound, v
		}
	}
	return least, whose
}

// liveMixture is what is drawn where a live reference stands beside the endpoint and
// no recording says what suits the model.
func liveMixture() []reference.Share {
	var mixture []reference.Share
	for _, f := range itemFamilies() {
		mixture = append(mixture, reference.Share{Family: f, Difficulty: itemDifficulty})
	}
	return mixture
}

// marks are how the items of each share were answered by one side.
type marks struct{ solved, asked []int }

func newMarks(shares int) marks { return marks{make([]int, shares), make([]int, shares)} }

func (m marks) add(share int, right bool) {
	m.asked[share]++
	if right {
		m.solved[share]++
	}
}

// capability is the bet of one trial against each hypothesis.
type capability struct {
	live   *stat.Mixture    // of the null Same, where a live reference answers
	same   *stat.Capability // of the null Same, where none does
	honest *stat.Capability // nil without a second deployment
}

// newCapability prepares the bets that a plan allows, and says by which bounds.
func newCapability(t *Trial) (*capability, error) {
	var c capability
	var err error
	recorded := t.Reference != nil && t.Reference.examined(t.Plan) == ""
	switch {
	case t.Live:
		c.live, err = stat.NewMixture(stat.Symmetric())
	default:
		c.same, err = t.against("accuracy of the reference", 1)
	}
	if err == nil && recorded && len(t.Reference.Variants) > 1 {
		c.honest, err = t.against("accuracy of the weakest deployment", len(t.Reference.Variants))
	}
	return &c, err
}

// against starts the bet against the first so many variants.
func (t *Trial) against(name string, variants int) (*stat.Capability, error) {
	bound, whose := leastBound(t.Reference.Accuracy, variants)
	solved, asked := t.Reference.Accuracy.Total(whose)
	t.Fact(name, "at least %.3f (it solved %d of %d calibration items; the bound is wrong with a chance of at most .001, which adds to alpha)", bound, solved, asked)
	return stat.NewCapability(bound)
}

// nulls are the hypotheses that are bet on.
func (c *capability) nulls() []verdict.Null {
	if c.honest != nil {
		return []verdict.Null{verdict.Same, verdict.Honest}
	}
	return []verdict.Null{verdict.Same}
}

// observe bets on one item; reference says whether the live one solved it.
func (c *capability) observe(t *Trial, solved, reference bool) error {
	var logE float64
	var err error
	if c.live != nil {
		err = c.live.Bet(stat.GradeDifference(reference, solved))
		logE = c.live.LogE()
	} else {
		_, err = c.same.Observe(solved)
		logE = c.same.Mixture().LogE()
	}
	if err != nil {
		return err
	}
	t.Observe(verdict.Same, logE)
	if c.honest != nil {
		if _, err := c.honest.Observe(solved); err != nil {
			return err
		}
		t.Observe(verdict.Honest, c.honest.Mixture().LogE())
	}
	return nil
}

// leastItems is how many items are put even when the hypotheses are decided before: of
// fewer the share that cannot be read says little.
const leastItems = 30

// runItems puts items in batches until the hypotheses are decided or the budget is used
// up.
func runItems(ctx context.Context, t *Trial) {
	bets, err := newCapability(t)
	if err != nil {
		t.Inconclusive("%v", err)
		return
	}
	key, err := hex.DecodeString(t.ItemKey)
	if err != nil {
		t.Inconclusive("the plan's key of items is not one")
		return
	}
	source := &itemSource{mixture: liveMixture(), key: key, label: itemsLabel, kinds: stat.Rand(stat.Seed(t.Seed, "kinds"))}
	if t.Reference != nil && t.Reference.examined(t.Plan) == "" {
		source.mixture, source.choice = t.Reference.Accuracy.Mixture, t.Reference.Accuracy.Choice
	}
	dresses := stat.Rand(stat.Seed(t.Seed, "dress"))
	seen, beside, unparsed := newMarks(len(source.mixture)), newMarks(len(source.mixture)), 0
	for asked := 0; asked < t.Budget && !t.Over() && (asked < leastItems || !t.decided(bets.nulls())); {
		batch, err := t.putItems(ctx, source, dresses, min(max(t.Parallel, 1), t.Budget-asked))
		if err != nil {
			t.Inconclusive("%v", err)
			return
		}
		asked += len(batch)
		for _, put := range batch {
			if put.graded == "" {
				continue
			}
			if put.graded == exam.Unparsed {
				unparsed++
			}
			seen.add(put.share, put.graded == exam.Right)
			if t.Live {
				beside.add(put.share, put.reference == exam.Right)
			}
			if err := bets.observe(t, put.graded == exam.Right, put.reference == exam.Right); err != nil {
				t.Inconclusive("%v", err)
				return
			}
		}
	}
	t.describeItems(source, seen, beside, unparsed)
}

// put is an item that was asked, with the grades of its answers; empty where no answer
// came.
type put struct {
	share     int
	graded    exam.Verdict
	reference exam.Verdict // of the live one
}

// putItems asks the next n items, of the live reference as well where there is one. An
// item that one of the two did not answer counts for neither.
func (t *Trial) putItems(ctx context.Context, source *itemSource, dresses *rand.Rand, n int) ([]put, error) {
	batch, items, asks := make([]put, n), make([]exam.Item, n), make([]Ask, n)
	for i := range n {
		var err error
		if items[i], batch[i].share, err = source.draw(); err != nil {
			return nil, err
		}
		asks[i] = itemAsk(items[i], t.dress(), dresses)
	}
	answers := t.AskAll(ctx, asks)
	var beside []*Reply
	if t.Live {
		beside = t.AskTrusted(ctx, asks)
	}
	for i, r := range answers {
		switch {
		case !r.OK():
			t.Lose(r)
		case t.Live && !beside[i].OK():
			t.Lose(beside[i])
		default:
			batch[i].graded = exam.Grade(items[i], r.Text).Verdict
			if t.Live {
				batch[i].reference = exam.Grade(items[i], beside[i].Text).Verdict
			}
		}
	}
	return batch, nil
}

// describeItems tells and plots how items were solved.
func (t *Trial) describeItems(source *itemSource, seen, beside marks, unparsed int) {
	solved, asked := total(seen)
	if asked == 0 {
		return
	}
	t.Fact("solved", "%d of %d items (%.0f %%)", solved, asked, 100*float64(solved)/float64(asked))
	t.Fact("unreadable", "%d of %d answers, counted as not solved", unparsed, asked)
	if source.choice {
		t.Fact("above chance", "%.2f of what guessing leaves (1 is all)", exam.Corrected(solved, asked, itemOptions))
	}
	name := "reference, live"
	if !t.Live {
		name = "reference"
		for i, s := range source.mixture {
			beside.solved[i], beside.asked[i] = s.Solved[0], s.Asked[0]
		}
	}
	t.Chart(accuracyChart(source.mixture, name, beside, seen))
	t.Chart(lossChart(source.mixture, beside, seen))
	if float64(unparsed) > maxUnparsed*float64(asked) {
		t.Inconclusive("answers cannot be read: %d of %d; above %.0f %% nothing is concluded from the others", unparsed, asked, 100*maxUnparsed)
	}
}

func total(m marks) (solved, asked int) {
	for i := range m.asked {
		solved += m.solved[i]
		asked += m.asked[i]
	}
	return solved, asked
}

// interval is the confidence of the intervals that are plotted, of each alone.
const interval = .95

// accuracyChart plots what share of the items of each kind both sides solve.
func accuracyChart(mixture []reference.Share, name string, ref, seen marks) verdict.Chart {
	chart := verdict.Chart{Title: "Share of items solved", Kind: verdict.Intervals, X: "family", Y: "share solved", Series: []verdict.Series{{Name: name}, {Name: "audited"}}}
	for i, s := range mixture {
		one, err := stat.Wilson(ref.solved[i], ref.asked[i], interval)
		two, err2 := stat.Wilson(seen.solved[i], seen.asked[i], interval)
		if err != nil || err2 != nil {
			continue // one side was asked nothing of it
		}
		chart.Labels = append(chart.Labels, fmt.Sprintf("%s (%d)", s.Family, s.Difficulty))
		plot(&chart.Series[0], share(ref.solved[i], ref.asked[i]), one)
		plot(&chart.Series[1], share(seen.solved[i], seen.asked[i]), two)
	}
	return chart
}

// lossChart plots how much less of each kind the audited endpoint solves, and of all.
func lossChart(mixture []reference.Share, ref, seen marks) verdict.Chart {
	chart := verdict.Chart{
		Title: "Solved by the reference and not here", Kind: verdict.Intervals, X: "family", Y: "difference of shares",
		Series: []verdict.Series{{Name: "reference less audited"}}, Levels: []verdict.Mark{{Name: "no difference", Y: 0}},
	}
	add := func(label string, x1, n1, x2, n2 int) {
		if d, err := stat.Newcombe(x1, n1, x2, n2, interval); err == nil {
			chart.Labels = append(chart.Labels, label)
			plot(&chart.Series[0], share(x1, n1)-share(x2, n2), d)
		}
	}
	x1, n1 := total(ref)
	x2, n2 := total(seen)
	add("all", x1, n1, x2, n2)
	for i, s := range mixture {
		add(fmt.Sprintf("%s (%d)", s.Family, s.Difficulty), ref.solved[i], ref.asked[i], seen.solved[i], seen.asked[i])
	}
	return chart
}

func share(x, n int) float64 { return float64(x) / float64(n) }

// plot adds an estimate with its interval.
func plot(s *verdict.Series, y float64, i stat.Interval) {
	s.Y, s.Low, s.High = append(s.Y, y), append(s.Low, i.Low), append(s.High, i.High)
}
