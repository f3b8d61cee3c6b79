package probe

import (
	"fmt"
	"math"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// Stream is one target under watch: an upstream, the model it is asked for, and the
// trusted deployments that the same requests are put to.
type Stream struct {
	Upstream   string   `json:"upstream"`
	Model      string   `json:"model"`      // the upstream's name of it
	References []string `json:"references"` // the first is the reference; the others are further honest deployments
	Monthly    int      `json:"monthly"`    // observations a month, at most: alarm levels follow from it
	Streams    int      `json:"streams"`    // under watch in all: alarm levels are multiplied by it
	Share      float64  `json:"share"`      // of eligible traffic
}

// Observed is one compared request: features only, and where it belongs. Nothing of
// what was asked or answered can be read from it.
type Observed struct {
	At      int64 // microseconds since the Unix epoch
	Strata  []int // of strataNames, decided before any answer was known
	Suspect []stat.Feature
	Trusted [][]stat.Feature // by reference
	Dropped bool             // there was nothing to compare
}

// The strata that a request may belong to: a difference that shows only there is found
// there before it is in the whole.
const (
	shortPrompt = iota
	mediumPrompt
	longPrompt
	withTools
	night   // 0 to 6 UTC
	morning // 6 to 12
	midday  // 12 to 18
	evening // 18 to 24
	numStrata
)

var strataNames = [numStrata]string{"short prompts", "medium prompts", "long prompts", "with tools", "0 to 6 UTC", "6 to 12 UTC", "12 to 18 UTC", "18 to 24 UTC"}

// StrataOf are the strata of a request of so many bytes.
func StrataOf(promptBytes int, tools bool, at time.Time) []int {
	size := shortPrompt
	switch {
	case promptBytes > 8<<10:
		size = longPrompt
	case promptBytes > 1<<10:
		size = mediumPrompt
	}
	strata := []int{size}
	if tools {
		strata = append(strata, withTools)
	}
	return append(strata, night+at.UTC().Hour()/6)
}

// comparison is the state of a stream: what was learnt, and what is concluded.
type comparison struct {
	Stream
	paired  *stat.Paired
	change  map[verdict.Null]*change
	pairs   int
	dropped int
}

// NewPaired is the test of pairs that streams are judged by, against so many trusted
// deployments.
func NewPaired(references int) (*stat.Paired, error) {
	weights := make([]float64, numStrata)
	for i := range weights {
		weights[i] = 1
	}
	return stat.NewPaired(FeatureDims, references, weights...)
}

// newComparison starts a stream afresh.
func newComparison(s Stream) (*comparison, error) {
	paired, err := NewPaired(len(s.References))
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", s.Upstream, err)
	}
	c := &comparison{Stream: s, paired: paired, change: map[verdict.Null]*change{}}
	for _, n := range c.nulls() {
		if c.change[n], err = newChange(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// nulls are the hypotheses that a stream speaks to. Without a second honest deployment
// nothing is known of how far honest ones differ.
func (c *comparison) nulls() []verdict.Null {
	if len(c.References) > 1 {
		return []verdict.Null{verdict.Same, verdict.Honest}
	}
	return []verdict.Null{verdict.Same}
}

// observe takes one more request.
func (c *comparison) observe(o *Observed) error {
	if o.Dropped {
		c.dropped++
		return nil
	}
	payoffs, err := c.paired.Observe(o.Strata, o.Suspect, o.Trusted...)
	if err != nil {
		return fmt.Errorf("compare a pair of %s: %w", c.Upstream, err)
	}
	c.pairs++
	if err := c.change[verdict.Same].bet(payoffs.Same, o.Strata); err != nil {
		return err
	}
	if x := c.change[verdict.Honest]; x != nil {
		return x.bet(payoffs.Honest, o.Strata)
	}
	return nil
}

// maxDropped is the share of requests without a comparison above which nothing is
// concluded: which ones are missing could depend on the answers.
const maxDropped = .02

// silent says why nothing is concluded now; empty when something is.
func (c *comparison) silent() string {
	if all := c.pairs + c.dropped; all >= 50 && float64(c.dropped) > maxDropped*float64(all) {
		return fmt.Sprintf("%d of %d requests could not be compared; above %.0f %% nothing is concluded", c.dropped, all, 100*maxDropped)
	}
	return ""
}

// Standing is what is concluded of a stream on one hypothesis.
type Standing struct {
	Stream  Stream        `json:"stream"`
	Null    verdict.Null  `json:"null"`
	Level   verdict.Level `json:"level"`
	LogM    float64       `json:"log10_m"`     // decimal logarithm of the detector of change
	Alarm   float64       `json:"log10_alarm"` // at which the next level is reached
	LogE    float64       `json:"log10_e"`     // of the whole time since the start
	Pairs   int           `json:"pairs"`
	Dropped int           `json:"dropped"`
	Silent  string        `json:"silent,omitempty"`
	Strata  []StratumE    `json:"strata"`
	Months  float64       `json:"months_between_false_alarms"` // at the level reached, at least
}

// StratumE describes one part of the traffic.
type StratumE struct {
	Name string  `json:"name"`
	N    int     `json:"n"`
	LogE float64 `json:"log10_e"`
}

// months between false alarms that each level allows, at least, for all streams
// together.
var months = []struct {
	level  verdict.Level
	months float64
}{{verdict.LevelQuarantine, 120}, {verdict.LevelWarning, 12}, {verdict.LevelNotice, 1}}

// alarm is the decimal logarithm of the value at which a level is reached: the mean
// number of observations before a false alarm is at least that value.
func (s Stream) alarm(months float64) float64 {
	return math.Log10(months * float64(max(s.Monthly, 1)) * float64(max(s.Streams, 1)))
}

// standing is what is concluded on a hypothesis.
func (c *comparison) standing(n verdict.Null) Standing {
	x, process := c.change[n], c.paired.Same()
	if n == verdict.Honest {
		process = c.paired.Honest()
	}
	st := Standing{
		Stream: c.Stream, Null: n, Level: verdict.LevelNone, LogM: x.logM() / math.Ln10, LogE: process.LogE() / math.Ln10, Pairs: c.pairs, Dropped: c.dropped, Silent: c.silent(),
		Alarm: c.alarm(months[len(months)-1].months),
	}
	for i := range numStrata {
		m := process.Stratum(i)
		st.Strata = append(st.Strata, StratumE{strataNames[i], m.N(), m.LogE() / math.Ln10})
	}
	if st.Silent != "" {
		return st
	}
	for _, l := range months {
		if n == verdict.Same && l.level == verdict.LevelQuarantine {
			continue // an honest variant of the model is rightly told from the reference
		}
		if st.LogM >= c.alarm(l.months) {
			st.Level, st.Months = l.level, l.months
			break
		}
		st.Alarm = c.alarm(l.months)
	}
	return st
}

// change detects that a stream's payoffs began to win, in the whole or in one part of
// the traffic: Shiryaev-Roberts processes, half the weight on all payoffs and half on
// the strata.
type change struct {
	pooled *stat.ShiryaevRoberts
	strata [numStrata]*stat.ShiryaevRoberts
}

func newChange() (*change, error) {
	c := &change{}
	var err error
	if c.pooled, err = stat.NewShiryaevRoberts(stat.Symmetric()); err != nil {
		return nil, err
	}
	for i := range c.strata {
		if c.strata[i], err = stat.NewShiryaevRoberts(stat.Symmetric()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *change) bet(g float64, strata []int) error {
	if err := c.pooled.Bet(g); err != nil {
		return err
	}
	for _, s := range strata {
		if err := c.strata[s].Bet(g); err != nil {
			return err
		}
	}
	return nil
}

// logM is the natural logarithm of the weighted mean. Each stratum's mean grows by at
// most one an observation of its own under the null, so the weighted mean does by at
// most one an observation of the stream.
func (c *change) logM() float64 {
	weights, logs := []float64{.5}, []float64{c.pooled.LogM()}
	for _, s := range c.strata {
		weights, logs = append(weights, .5/numStrata), append(logs, s.LogM())
	}
	m, err := stat.LogWeighted(weights, logs)
	if err != nil {
		return math.Inf(-1)
	}
	return m
}

// Wording is the sentence about a standing that may be quoted.
func (s Standing) Wording() string {
	if s.Silent != "" {
		return "not concluded: " + s.Silent
	}
	if s.Level == verdict.LevelNone {
		return fmt.Sprintf("not found to be inconsistent with %q on %d real requests (%s)", s.Stream.References, s.Pairs, s.Null.Statement())
	}
	return fmt.Sprintf("statistically inconsistent with %q on real requests (hypothesis: %s; detector of change at 10^%.1f after %d pairs; mean time between false alarms of all streams together at least %g months)",
		s.Stream.References, s.Null.Statement(), s.LogM, s.Pairs, s.Months)
}
