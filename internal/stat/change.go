package stat

import "math"

// ShiryaevRoberts detects that payoffs began to win at some time, however long they
// lost before: what makes E tiny does not hide a later change. Per stake
// M_t = (M_{t-1} + 1) * (1 + lambda*g_t), M_0 = 0; the value is the mean over stakes.
//
// Null: that of [Mixture], at all times. Then M_t - t is a supermartingale, and the
// mean number of observations before M first reaches A is at least A (Shin, Ramdas,
// Rinaldo, arXiv 2203.03532). Values of several detectors that are fed in one order
// may be averaged with fixed weights ([LogWeighted]) and keep that property when each t
// counts observations of the whole stream.
type ShiryaevRoberts struct {
	stakes Stakes
	logs   []float64 // natural logarithm of M of each stake
	n      int
}

// NewShiryaevRoberts starts with M = 0.
func NewShiryaevRoberts(stakes Stakes) (*ShiryaevRoberts, error) {
	if err := stakes.valid(); err != nil {
		return nil, err
	}
	s := &ShiryaevRoberts{stakes: stakes.clone(), logs: make([]float64, len(stakes.Lambdas))}
	s.Restart()
	return s, nil
}

// Bet takes one payoff. One outside the range of the stakes, or NaN, is an error and
// is not counted.
func (s *ShiryaevRoberts) Bet(g float64) error {
	g, err := s.stakes.payoff(g)
	if err != nil {
		return err
	}
	for i, lambda := range s.stakes.Lambdas {
		s.logs[i] = logPlusOne(s.logs[i]) + math.Log1p(lambda*g)
	}
	s.n++
	return nil
}

// LogM is the natural logarithm of the value; negative infinity before the first
// payoff. Alarm levels are the caller's.
func (s *ShiryaevRoberts) LogM() float64 { return logMeanExp(s.logs) }

// N is how many payoffs came since the start or the last Restart.
func (s *ShiryaevRoberts) N() int { return s.n }

// Restart forgets everything, as after an alarm.
func (s *ShiryaevRoberts) Restart() {
	for i := range s.logs {
		s.logs[i] = math.Inf(-1)
	}
	s.n = 0
}

// logPlusOne is log(exp(x) + 1) without overflow.
func logPlusOne(x float64) float64 {
	if x > 0 {
		return x + math.Log1p(math.Exp(-x))
	}
	return math.Log1p(math.Exp(x))
}
