package probe

import (
	"testing"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// condemned is a watch of which every conclusion that may takes the target out.
func condemned(t *testing.T, m Monthly) *Watch {
	t.Helper()
	w, _ := watching(t, t.TempDir(), m, nil, "a", "b")
	w.cfg.Concluded = func(s Standing, _ string) bool { return s.Level == verdict.LevelQuarantine }
	return w
}

// TestTrial: a target that was taken out is watched afresh; one that became honest is
// cleared after as many observations as would have shown one answer in ten, and one that
// goes on in one answer of three is not.
func TestTrial(t *testing.T) {
	for _, c := range []struct {
		name    string
		m       Monthly
		after   func(i int) answerer
		cleared bool
	}{
		{"words, honest", Monthly{Words: plenty}, as(genuine), true},
		{"words, still at it now and then", Monthly{Words: plenty}, func(i int) answerer {
			if i%3 == 0 {
				return swapped
			}
			return genuine
		}, false},
		{"items, honest", Monthly{Items: plenty}, as(genuine), true},
		{"items, still at it", Monthly{Items: plenty}, as(swapped), false},
	} {
		w := condemned(t, c.m)
		r := stat.Rand(stat.Seed([32]byte{}, c.name))
		questioned(t, w, r, 900, as(swapped), genuine, close2)
		w.trials.Wait()
		x := w.stream("relay", "m")
		if x.probation == nil || x.probation.needed < 50 || x.probation.needed > longestTrial {
			t.Errorf("%s: %+v", c.name, x.probation)
			continue
		}
		t.Logf("%s: %d needed", c.name, x.probation.needed)
		needed := x.probation.needed
		if _, cleared := w.Cleared("relay", "m"); cleared {
			t.Errorf("%s: cleared at once", c.name)
		}
		questioned(t, w, r, needed+watchedCells*watchedTrain+800, c.after, genuine, close2)
		w.trials.Wait()
		st, cleared := w.Cleared("relay", "m")
		if cleared != c.cleared {
			t.Errorf("%s: cleared %v, %+v", c.name, cleared, w.Standings())
		}
		if cleared && (st.N < needed || st.LogE >= verdict.LevelNotice.Threshold()) {
			t.Errorf("%s: %+v", c.name, st)
		}
	}
}

// TestTrialKept: a restart of the process goes on with what a target must show.
func TestTrialKept(t *testing.T) {
	o := &Observed{At: time.Now().UnixMicro(), Kind: Afresh, Spent: make([]int, numKinds), Trial: []int{int(Word), 700}}
	x, err := newState(Stream{Upstream: "relay", Model: "m", References: []string{"a"}, Monthly: Monthly{Words: 10}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseFrame(appendFrame(nil, o)[1 : len(appendFrame(nil, o))-4])
	if err != nil {
		t.Fatal(err)
	}
	if err := x.observe(again); err != nil || x.probation == nil || *x.probation != (probation{Word, 700}) {
		t.Errorf("%+v, %v", x.probation, err)
	}
}

// TestQuantile is that of the numbers it took.
func TestQuantile(t *testing.T) {
	took := make([]int, 200)
	for i := range took {
		took[i] = 200 - i
	}
	if n, known := quantile(took); n != 180 || !known {
		t.Errorf("%d, %v", n, known)
	}
	for i := range took {
		took[i] = longestTrial + 1 - i/199
	}
	if n, known := quantile(took); known || n != longestTrial+1 {
		t.Errorf("%d, %v", n, known)
	}
}
