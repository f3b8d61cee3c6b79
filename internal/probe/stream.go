package probe

import (
	"fmt"
	"math"
	"time"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// Stream is one target under watch: an upstream, the model it is asked for, and the
// trusted deployments that it is compared with.
type Stream struct {
	Upstream   string   `json:"upstream"`
	Model      string   `json:"model"`      // the upstream's name of it
	References []string `json:"references"` // the first is the reference; the others are further honest deployments
	Monthly    Monthly  `json:"monthly"`    // alarm levels follow from it
	Streams    int      `json:"streams"`    // under watch in all: alarm levels are multiplied by it
	Share      float64  `json:"share"`      // of eligible traffic
	Recorded   string   `json:"recorded,omitempty"`
	// Recorded is the id of a stored reference that the first one is held against.
}

// Monthly is how many observations of each kind a stream has in a month, at most; 0
// means that it has none.
type Monthly struct {
	Pairs int `json:"pairs"` // real requests that were put to the references as well
	Words int `json:"words"` // one-word questions
	Items int `json:"items"` // generated items
	Bills int `json:"bills"` // answers whose tokens were counted
}

// Kind is the kind that a detector observes, and how many of it a month may have.
func (s Stream) Kind(id verdict.ID) (Kind, int) {
	k := map[verdict.ID]Kind{"D3": Word, "D4": Pair, "D5": Item, "D7": Bill, "D8": Pair}[id]
	return k, s.Monthly.most(k)
}

// Kind is what an observation is, and so which detector it is for.
type Kind int

// The kinds. Afresh is no observation: what follows is judged for itself.
const (
	Pair Kind = iota
	Word
	Item
	Bill
	Afresh
	numKinds
)

// Observed is one observation. Nothing of what users asked or were answered can be read
// from it.
type Observed struct {
	At      int64 // microseconds since the Unix epoch
	Kind    Kind
	Dropped bool // there was nothing to observe

	Strata  []int            // of a pair: of strataNames, decided before any answer was known
	Suspect []stat.Feature   // of a pair
	Trusted [][]stat.Feature // of a pair, by reference
	Strange []bool           // of a pair: the suspect's answer, then by reference; see Strange

	Cell  int      // of a word
	Words []string // the suspect's, then by reference

	Solved []bool // of an item: the suspect, then by reference

	Reported, Counted int // of a bill, visible output tokens

	Drawn []int // of Afresh: what was used of each cell of the stored reference
	Spent []int // of Afresh: observations of its month before it, by kind
	Trial []int // of Afresh: the kind that a condemned target is tried by, and how many of it are needed; none otherwise
}

// state is what is known of a stream: what each of its detectors learnt.
type state struct {
	Stream
	senses    []*sense
	control   *control   // nil without a stored reference
	probation *probation // nil of a target that was not condemned
}

// newState starts a stream afresh. Recorded is the stored reference that the stream
// names.
func newState(s Stream, recorded *reference.Opened) (*state, error) {
	x := &state{Stream: s}
	var base *baseline
	if s.Recorded != "" {
		if recorded == nil || recorded.ID != s.Recorded {
			return nil, fmt.Errorf("watch %s: the reference %s is not there", s.Upstream, s.Recorded)
		}
		base = newBaseline(recorded)
	}
	var err error
	if x.senses, err = newSenses(s, base); err != nil {
		return nil, fmt.Errorf("watch %s: %w", s.Upstream, err)
	}
	if base != nil {
		if x.control, err = newControl(base); err != nil {
			return nil, fmt.Errorf("watch %s: %w", s.Upstream, err)
		}
	}
	return x, nil
}

// nulls are the hypotheses that a stream speaks to. Without a second honest deployment
// nothing is known of how far honest ones differ.
func (x *state) nulls() []verdict.Null {
	var nulls []verdict.Null
	for _, n := range []verdict.Null{verdict.Same, verdict.Honest, verdict.Billing, verdict.Integrity} {
		if len(x.weights(n)) > 0 {
			nulls = append(nulls, n)
		}
	}
	return nulls
}

// weights are the shares of the stream's detectors in a hypothesis.
func (x *state) weights(n verdict.Null) map[verdict.ID]float64 {
	var ids []verdict.ID
	for _, s := range x.senses {
		if _, speaks := s.stand(n); speaks {
			ids = append(ids, s.id)
		}
	}
	return verdict.Weights(n, ids)
}

// observe takes one more observation. One that is of no detector of the stream is an
// error and changes nothing.
func (x *state) observe(o *Observed) error {
	if o.Kind == Afresh {
		return x.afresh(o)
	}
	taken := false
	for _, s := range x.senses {
		if s.kind != o.Kind {
			continue
		}
		taken = true
		if err := s.take(o); err != nil {
			return fmt.Errorf("watch %s: %w", x.Upstream, err)
		}
	}
	switch {
	case !taken:
		return fmt.Errorf("watch %s: an observation of kind %d, which it does not make", x.Upstream, o.Kind)
	case o.Kind == Word && !o.Dropped && x.control != nil:
		return x.control.observe(o)
	}
	return nil
}

// afresh forgets all but what was used of the stored reference.
func (x *state) afresh(o *Observed) error {
	var base *baseline
	if x.control != nil {
		base = x.control.base
	}
	senses, err := newSenses(x.Stream, base)
	if err != nil {
		return err
	}
	x.senses, x.probation = senses, nil
	if len(o.Trial) == 2 && Kind(o.Trial[0]) < Afresh {
		x.probation = &probation{Kind(o.Trial[0]), o.Trial[1]}
	}
	if base == nil {
		return nil
	}
	if x.control, err = newControl(base); err != nil {
		return err
	}
	return x.control.skip(o.Drawn)
}

// Standing is what is concluded of a stream on one hypothesis.
type Standing struct {
	Stream  Stream        `json:"stream"`
	Null    verdict.Null  `json:"null"`
	Level   verdict.Level `json:"level"`
	LogM    float64       `json:"log10_m"`     // decimal logarithm of the detector of change
	Alarm   float64       `json:"log10_alarm"` // at which the next level is reached
	LogE    float64       `json:"log10_e"`     // of the whole time since the start
	N       int           `json:"n"`           // observations of all its detectors
	Silent  string        `json:"silent,omitempty"`
	Senses  []Sense       `json:"detectors"`
	Strata  []StratumE    `json:"strata"` // of D4
	Control *Control      `json:"control,omitempty"`
	Trial   *Trying       `json:"trial,omitempty"`             // of a target that was condemned, under H_same
	Months  float64       `json:"months_between_false_alarms"` // at the level reached, at least
}

// Trying is what a condemned target must show to come back.
type Trying struct {
	By     verdict.ID `json:"by"`
	Needed int        `json:"needed"` // observations
}

// Sense is how one detector of a stream stands on a hypothesis.
type Sense struct {
	ID     verdict.ID `json:"id"`
	Weight float64    `json:"weight"`
	N      int        `json:"n"` // observations that were bet on
	Lost   int        `json:"lost"`
	LogM   float64    `json:"log10_m"`
	LogE   float64    `json:"log10_e"`
	Silent string     `json:"silent,omitempty"`
}

// Sense is the detector of an id; the zero value where the standing has none.
func (s Standing) Sense(id verdict.ID) Sense {
	for _, d := range s.Senses {
		if d.ID == id {
			return d
		}
	}
	return Sense{}
}

// Foremost is the detector with the largest share in what was found.
func (s Standing) Foremost() verdict.ID {
	var first verdict.ID
	most := math.Inf(-1)
	for _, d := range s.Senses {
		if m := d.LogM + math.Log10(d.Weight); d.Silent == "" && m > most {
			first, most = d.ID, m
		}
	}
	return first
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

// alarm is the decimal logarithm of the value at which a level is reached. Under the
// null the weighted mean of the detectors' values grows by at most each one's weight an
// observation of its own, so it takes at least so many months, in the mean, to get there.
func (x *state) alarm(n verdict.Null, months float64) float64 {
	monthly, weights := 0., x.weights(n)
	for _, s := range x.senses {
		monthly += weights[s.id] * float64(s.monthly)
	}
	return math.Log10(months * max(monthly, 1) * float64(max(x.Streams, 1)))
}

// nothing is the decimal logarithm of a detector of change that has seen nothing: JSON
// has no infinity.
const nothing = -99

// decimal turns natural logarithms into decimal ones.
func decimal(log float64) float64 { return max(log/math.Ln10, nothing) }

// standing is what is concluded on a hypothesis.
func (x *state) standing(n verdict.Null) Standing {
	st := Standing{Stream: x.Stream, Null: n, Level: verdict.LevelNone, Alarm: x.alarm(n, months[len(months)-1].months)}
	weights := x.weights(n)
	var shares, logsE, logsM []float64
	for _, s := range x.senses {
		at, speaks := s.stand(n)
		if !speaks {
			continue
		}
		d := Sense{ID: s.id, Weight: weights[s.id], N: at.n, Lost: s.lost, LogM: decimal(at.logM), LogE: decimal(at.logE), Silent: s.silent()}
		st.Senses, st.N = append(st.Senses, d), st.N+at.n
		shares, logsE = append(shares, d.Weight), append(logsE, at.logE)
		if d.Silent != "" {
			at.logM = math.Inf(-1) // what fails too often is not believed
		}
		logsM = append(logsM, at.logM)
		if p := x.probation; p != nil && n == verdict.Same && s.kind == p.by {
			st.Trial = &Trying{s.id, p.needed}
		}
		if t, is := s.learner.(*traffic); is {
			st.Strata = t.strata(n)
		}
	}
	st.LogE, st.LogM = mixed(shares, logsE), mixed(shares, logsM)
	st.Silent = silence(st.Senses)
	if x.control != nil {
		st.Control = x.control.tell(x.Monthly.Words)
		if st.Control.Changed && (n == verdict.Same || n == verdict.Honest) {
			st.Silent = fmt.Sprintf("the reference changed: %q no longer answers as it was recorded (E of 10^%.1f)", x.References[0], st.Control.MaxLogE)
		}
	}
	if st.Silent != "" {
		return st
	}
	for _, l := range months {
		if n != verdict.Honest && l.level == verdict.LevelQuarantine {
			continue // an honest variant of the model is rightly told from the reference
		}
		if st.LogM >= x.alarm(n, l.months) {
			st.Level, st.Months = l.level, l.months
			break
		}
		st.Alarm = x.alarm(n, l.months)
	}
	return st
}

func mixed(shares, logs []float64) float64 {
	m, err := stat.LogWeighted(shares, logs)
	if err != nil {
		return nothing
	}
	return decimal(m)
}

// silence says why nothing is concluded: every detector fails too often.
func silence(all []Sense) string {
	why := ""
	for _, d := range all {
		if d.Silent == "" {
			return ""
		}
		why = d.Silent
	}
	return why
}

// Wording is the sentence about a standing that may be quoted.
func (s Standing) Wording() string {
	if s.Silent != "" {
		return "not concluded: " + s.Silent
	}
	on, with := s.told(), fmt.Sprintf("%q", s.Stream.References)
	switch s.Null {
	case verdict.Billing:
		with = "the published vocabulary of the model"
	case verdict.Integrity:
		on += ", for addresses, packages and wallets that no other side has,"
	}
	if s.Level == verdict.LevelNone {
		return fmt.Sprintf("not found to be inconsistent with %s on %s (%s)", with, on, s.Null.Statement())
	}
	return fmt.Sprintf("statistically inconsistent with %s on %s (hypothesis: %s; detector of change at 10^%.1f; mean time between false alarms of all streams together at least %g months)",
		with, on, s.Null.Statement(), s.LogM, s.Months)
}

// told says what was observed.
func (s Standing) told() string {
	text := ""
	for _, d := range s.Senses {
		if d.N > 0 || len(s.Senses) == 1 {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%d %s", d.N, observations[d.ID])
		}
	}
	if text == "" {
		return "no observation yet"
	}
	return text
}

// observations is what the detectors of a watch observe.
var observations = map[verdict.ID]string{"D3": "one-word questions", "D4": "real requests", "D5": "generated items", "D7": "counted answers", "D8": "real requests"}

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
