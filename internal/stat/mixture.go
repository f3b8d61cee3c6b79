package stat

import (
	"fmt"
	"math"
	"slices"
)

// Stakes are the shares of its wealth that a process bets, and the payoffs it may
// be given: an observation with payoff g multiplies the wealth of stake lambda by
// 1 + lambda*g. Lambdas are positive, and 1 + lambda*Least is positive for each, so
// wealth never reaches 0. A large lambda wins fast against a gross difference, a
// small one in the end against a slight one; which is at hand is not known before,
// so all are held at once.
type Stakes struct {
	Lambdas     []float64
	Least, Most float64 // bounds of a payoff; Least < 0
}

// Symmetric are the stakes for payoffs in [-1, 1].
func Symmetric() Stakes {
	return Stakes{Lambdas: standard(), Least: -1, Most: 1}
}

// standard are the stakes relative to the largest possible loss.
func standard() []float64 { return []float64{.02, .05, .1, .2, .35, .5, .7, .95} }

// scaled divides each stake by the largest possible loss, so that all of them may
// be bet on payoffs in [-loss, most].
func scaled(lambdas []float64, loss, most float64) Stakes {
	for i := range lambdas {
		lambdas[i] /= loss
	}
	return Stakes{Lambdas: lambdas, Least: -loss, Most: most}
}

// valid says what is wrong with the stakes.
func (s Stakes) valid() error {
	if len(s.Lambdas) == 0 {
		return fmt.Errorf("stakes: no lambda")
	}
	if !(s.Least < 0 && s.Most > s.Least) || math.IsInf(s.Least, 0) || math.IsInf(s.Most, 0) {
		return fmt.Errorf("stakes: payoffs from %v to %v are no finite range that begins below 0", s.Least, s.Most)
	}
	for _, lambda := range s.Lambdas {
		if !(lambda > 0 && 1+lambda*s.Least > 0) || math.IsInf(lambda*s.Most, 0) {
			return fmt.Errorf("stakes: lambda %v is not positive, or may lose everything at payoff %v", lambda, s.Least)
		}
	}
	return nil
}

// rounding is how far a payoff may lie outside its range: sums of exact parts that
// a float64 cannot hold. Such a payoff is moved to the bound.
const rounding = 1e-9

// payoff is g, moved into the range when it is outside by rounding only.
func (s Stakes) payoff(g float64) (float64, error) {
	if !(g >= s.Least-rounding && g <= s.Most+rounding) { // NaN is neither
		return 0, fmt.Errorf("payoff %v is not in [%v, %v]", g, s.Least, s.Most)
	}
	return min(max(g, s.Least), s.Most), nil
}

// Mixture is an e-process: the mean wealth of all stakes, each of which bets on every
// observation. E = mean over i of prod over t of (1 + lambda_i * g_t).
//
// Null: the mean of every payoff, given all that was observed before it, is at most 0.
// Then E is a non-negative supermartingale that starts at 1.
type Mixture struct {
	stakes Stakes
	logs   []float64 // natural logarithm of each stake's wealth
	logE   float64
	max    float64
	n      int
}

// NewMixture starts an e-process with E = 1.
func NewMixture(stakes Stakes) (*Mixture, error) {
	if err := stakes.valid(); err != nil {
		return nil, err
	}
	return &Mixture{stakes: stakes.clone(), logs: make([]float64, len(stakes.Lambdas))}, nil
}

// Bet multiplies in one payoff. One outside the range of the stakes, or NaN, is an
// error and is not counted.
func (m *Mixture) Bet(g float64) error {
	g, err := m.stakes.payoff(g)
	if err != nil {
		return err
	}
	for i, lambda := range m.stakes.Lambdas {
		m.logs[i] += math.Log1p(lambda * g)
	}
	m.logE = logMeanExp(m.logs)
	m.max = max(m.max, m.logE)
	m.n++
	return nil
}

// LogE is the natural logarithm of E now; 0 before the first payoff.
func (m *Mixture) LogE() float64 { return m.logE }

// Max is the largest LogE so far, at least 0. The null is rejected at level alpha as
// soon as Max >= log(1/alpha).
func (m *Mixture) Max() float64 { return m.max }

// N is how many payoffs were bet on.
func (m *Mixture) N() int { return m.n }

// Stakes is a copy of the stakes, for a detector of change on the same payoffs.
func (m *Mixture) Stakes() Stakes { return m.stakes.clone() }

func (s Stakes) clone() Stakes {
	s.Lambdas = slices.Clone(s.Lambdas)
	return s
}

// logMeanExp is log(mean(exp(logs))) without overflow.
func logMeanExp(logs []float64) float64 {
	return logSumExp(logs) - math.Log(float64(len(logs)))
}

// logSumExp is log(sum(exp(logs))) without overflow; negative infinity of none.
func logSumExp(logs []float64) float64 {
	if len(logs) == 0 {
		return math.Inf(-1)
	}
	largest := slices.Max(logs)
	if math.IsInf(largest, 0) {
		return largest
	}
	var sum float64
	for _, l := range logs {
		sum += math.Exp(l - largest)
	}
	return largest + math.Log(sum)
}
