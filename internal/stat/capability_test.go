package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

func capabilityAudit(bound, accuracy float64, n int, decide bool) func(*rand.Rand) audit {
	return func(r *rand.Rand) audit {
		c, err := NewCapability(bound)
		if err != nil {
			panic(err)
		}
		return follow(n, c.Mixture(), decide, func(int) error {
			_, err := c.Observe(r.Float64() < accuracy)
			return err
		})
	}
}

func TestCapability(t *testing.T) {
	t.Parallel()
	for _, p0 := range []float64{.6, .95} {
		wantCalibrated(t, "honest", simulate(2000, "capability", capabilityAudit(p0, p0, 400, false)))
	}
	for _, c := range []struct {
		p0, p1, share, power float64
		median               int
	}{
		{.95, .5, 1, .99, 10},
		{.95, .5, .3, .99, 60},
		{.95, .5, .1, .8, 330},
		{.90, .6, 1, .99, 25},
		{.90, .6, .3, .97, 190},
		{.85, .65, 1, .99, 60},
	} {
		accuracy := c.p0 + c.share*(c.p1-c.p0)
		audits := simulate(400, "capability power", capabilityAudit(c.p0, accuracy, 600, true))
		wantPower(t, "capability", audits, c.power, c.median)
	}
}

// With a bound from 1,000 calibration items instead of the true accuracy, the honest
// never alarm more than alpha and the bound's own error allow, and .2 is still found.
func TestCapabilityCalibrated(t *testing.T) {
	t.Parallel()
	run := func(accuracy float64, decide bool) func(*rand.Rand) audit {
		return func(r *rand.Rand) audit {
			solved := 0
			for range 1000 {
				if r.Float64() < .95 {
					solved++
				}
			}
			bound, err := BinomialLower(solved, 1000, .999)
			if err != nil {
				panic(err)
			}
			return capabilityAudit(bound, accuracy, 600, decide)(r)
		}
	}
	wantCalibrated(t, "honest, calibrated", simulate(2000, "calibrated", run(.95, false)))
	wantPower(t, "calibrated, 1", simulate(400, "calibrated swap", run(.5, true)), .99, 12)
	wantPower(t, "calibrated, .2", simulate(400, "calibrated .2", run(.95-.2*.45, true)), .9, 220)
}

func TestCapabilityPaired(t *testing.T) {
	t.Parallel()
	run := func(reference, suspect float64, decide bool) func(*rand.Rand) audit {
		return func(r *rand.Rand) audit {
			m, err := NewMixture(Symmetric())
			if err != nil {
				panic(err)
			}
			return follow(600, m, decide, func(int) error {
				return m.Bet(GradeDifference(r.Float64() < reference, r.Float64() < suspect))
			})
		}
	}
	wantCalibrated(t, "honest pairs", simulate(2000, "capability pairs", run(.9, .9, false)))
	wantPower(t, "pairs", simulate(400, "capability pairs", run(.95, .5, true)), .99, 30)
}

func TestCapabilityRefuses(t *testing.T) {
	t.Parallel()
	for _, p0 := range []float64{0, 1, -1, math.NaN()} {
		if _, err := NewCapability(p0); err == nil {
			t.Errorf("bound %v: no error", p0)
		}
	}
}
