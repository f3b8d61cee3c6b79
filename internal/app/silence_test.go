package app

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/ledger"
	"sallyport/internal/probe"
	"sallyport/internal/record"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// gauges are the values of a metric by hypothesis.
func (i *instance) gauges(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := i.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[2].GetValue() == "relay" && m.GetLabel()[1].GetValue() == model {
				all[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}

// TestSilence: a watch that says nothing is seen by those who look at metrics or the log,
// whether comparisons fail or the money is spent, and when it speaks again.
func TestSilence(t *testing.T) {
	t.Parallel()
	relay, trusted := provider(t, upstreamtest.Config{}), provider(t, upstreamtest.Config{})
	i := start(t, options(t.TempDir(), write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), fmt.Sprintf(`upstreams:
  - {name: relay, kind: openai, base_url: "%s", class: vetted, allow_private: true, provider: openai}
  - {name: trusted, kind: openai, base_url: "%s", class: vetted, allow_private: true, provider: openai}
models:
  %s: {targets: [{upstream: relay}]}
watch:
  - {upstream: relay, model: %[3]s, references: [trusted], projects: [p], share: 1, pairs: 5000, bills: 100, budget: 1}
`, relay.BaseURL(), trusted.BaseURL(), model))))
	until(t, "the budget is read", func() bool { return len(i.silence(time.Now())) == 0 })
	silent := i.tellSilence(nil, time.Now())
	told := func(message string) int { return strings.Count(i.logs.String(), `"`+message+`"`) }
	expect := func(what string, falls, speaks int, nulls ...verdict.Null) {
		t.Helper()
		silent = i.tellSilence(silent, time.Now())
		if told("a watch has fallen silent") != falls || told("a watch speaks again") != speaks {
			t.Errorf("%s: %d and %d lines, want %d and %d", what, told("a watch has fallen silent"), told("a watch speaks again"), falls, speaks)
		}
		want := map[string]float64{string(verdict.Same): 0, string(verdict.Billing): 0, string(verdict.Integrity): 0}
		for _, n := range nulls {
			want[string(n)] = 1
		}
		if got := i.gauges(t, "sallyport_watch_silent"); !maps.Equal(got, want) {
			t.Errorf("%s: silent %v, want %v", what, got, want)
		}
	}
	expect("all is well", 0, 0)
	observe := func(n int, o probe.Observed) {
		for range n {
			i.watch.Observe("relay", model, &o)
		}
	}
	pair := probe.Observed{At: time.Now().UnixMicro(), Strata: []int{0}, Suspect: probe.Features(&probe.Said{Text: "a"}), Strange: make([]bool, 2)}
	pair.Trusted = append(pair.Trusted, pair.Suspect)
	observe(50, probe.Observed{At: pair.At, Dropped: true})
	expect("pairs are dropped", 2, 0, verdict.Same, verdict.Integrity)
	expect("it was told already", 2, 0, verdict.Same, verdict.Integrity)
	if !strings.Contains(i.logs.String(), `"alert":true,"upstream":"relay","model":"`+model+`","hypothesis":"`+string(verdict.Same)+`","reason":"50 of the last 50 real requests`) {
		t.Errorf("the reason is not told: %s", i.logs)
	}
	observe(1000, pair)
	expect("the bad hour is over", 2, 2)
	i.purses.spend(&record.Exchange{TS: time.Now().UnixMicro(), Key: "audit:relay", Money: ledger.MoneyPriced, Amount: 1e9})
	expect("the budget is used up", 4, 2, verdict.Same, verdict.Integrity)
	if !strings.Contains(i.logs.String(), "USD are spent this month") {
		t.Errorf("the reason is not told: %s", i.logs)
	}
}

// TestWatchLevels: the level that a stream has reached is a number.
func TestWatchLevels(t *testing.T) {
	levels := []verdict.Level{verdict.LevelNone, verdict.LevelNotice, verdict.LevelWarning, verdict.LevelQuarantine}
	var got []float64
	for _, l := range levels {
		got = append(got, rank(probe.Standing{Level: l}))
	}
	if !slices.Equal(got, []float64{0, 1, 2, 3}) {
		t.Errorf("%v", got)
	}
}
