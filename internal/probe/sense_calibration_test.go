package probe

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// TestSensesHonest: over 2,000 honest streams of each detector that a watch adds to those
// of an audit, no hypothesis is rejected more often than its error allows, and the mean of
// E is at most 1: the reference's own answers for H_same, those of any recorded deployment
// and of both in turn for H_honest and integrity.
func TestSensesHonest(t *testing.T) {
	s := Stream{Upstream: "relay", Model: "m", References: []string{"a", "b"}, Monthly: Monthly{Words: 1, Items: 1, Pairs: 1}}
	ids, _ := watchedWords(s, nil)
	suspects := map[string]func(i int) answerer{
		"the reference": as(genuine), "the other deployment": as(close2), "both in turn": func(i int) answerer { return []answerer{genuine, close2}[i/25%2] },
	}
	// Alphabets are learnt once: 16 cells of 24 answers each.
	learnt := map[string]map[string]int{}
	r := stat.Rand(stat.Seed([32]byte{}, "alphabets"))
	for _, id := range ids {
		learnt[id] = map[string]int{}
		for range watchedTrain {
			learnt[id][genuine.word(id, r)]++
		}
	}
	observe := map[string]func(x learner, a answerer, r *rand.Rand) error{
		"D3": func(x learner, a answerer, r *rand.Rand) error {
			c := r.IntN(len(ids))
			return x.observe(&Observed{Cell: c, Words: []string{a.word(ids[c], r), genuine.word(ids[c], r), close2.word(ids[c], r)}})
		},
		"D5": func(x learner, a answerer, r *rand.Rand) error {
			return x.observe(&Observed{Solved: []bool{r.Float64() < a.skill, r.Float64() < genuine.skill, r.Float64() < close2.skill}})
		},
		"D8": func(x learner, a answerer, r *rand.Rand) error {
			return x.observe(&Observed{Strange: []bool{r.Float64() < .3, r.Float64() < .3, r.Float64() < .3}})
		},
	}
	begin := map[string]func() (learner, error){
		"D3": func() (learner, error) {
			w, err := newWords(s, nil)
			for i := range w.cells {
				w.cells[i].train = learnt[w.cells[i].id]
				if err == nil {
					err = w.cells[i].begin(2)
				}
			}
			return w, err
		},
		"D5": func() (learner, error) { return newItems(2) },
		"D8": func() (learner, error) { return newStrangers(2) },
	}
	for id, start := range begin {
		for name, suspect := range suspects {
			for _, n := range []verdict.Null{verdict.Same, verdict.Honest, verdict.Integrity} {
				if n == verdict.Same && name != "the reference" && id == "D3" {
					continue // rightly told from the reference
				}
				sim := simulated{start: start, observe: observe[id], suspect: suspect, seed: id + name}
				if sim.run(t, n) {
					t.Logf("%s, %s, %s: %s", id, name, n, sim.judge(t))
				}
			}
		}
	}
}

// Streams that are simulated, and observations of each.
const (
	simulatedStreams = 2000
	simulatedLength  = 150
)

// simulated is many streams of one detector.
type simulated struct {
	start    func() (learner, error)
	observe  func(x learner, a answerer, r *rand.Rand) error
	suspect  func(i int) answerer
	seed     string
	rejected int
	sum      float64 // of E
	squares  float64
}

// run simulates the streams; false when the detector does not speak to a hypothesis.
func (s *simulated) run(t *testing.T, n verdict.Null) bool {
	t.Helper()
	for k := range simulatedStreams {
		x, err := s.start()
		if err != nil {
			t.Fatal(err)
		}
		if _, speaks := x.stand(n); !speaks {
			return false
		}
		r, top := stat.Rand(stat.Seed([32]byte{}, s.seed, fmt.Sprint(k))), 0.
		for i := range simulatedLength {
			if err := s.observe(x, s.suspect(i), r); err != nil {
				t.Fatal(err)
			}
			at, _ := x.stand(n)
			top = max(top, at.logE)
		}
		at, _ := x.stand(n)
		e := math.Exp(at.logE)
		s.sum, s.squares = s.sum+e, s.squares+e*e
		if top >= math.Log(20) {
			s.rejected++
		}
	}
	return true
}

// judge fails the test where E promises less than it keeps, and tells the figures.
func (s *simulated) judge(t *testing.T) string {
	t.Helper()
	mean := s.sum / simulatedStreams
	se := math.Sqrt(max(s.squares/simulatedStreams-mean*mean, 0) / simulatedStreams)
	upper, err := stat.BinomialUpper(s.rejected, simulatedStreams, .95)
	if err != nil {
		t.Fatal(err)
	}
	if upper > .05 || mean > 1+4*se+.01 {
		t.Errorf("%s: %d of %d rejected, mean of E %.3f +- %.3f", s.seed, s.rejected, simulatedStreams, mean, se)
	}
	return fmt.Sprintf("%d of %d rejected at 5 %% (at most %.4f), mean of E %.3f +- %.3f", s.rejected, simulatedStreams, upper, mean, se)
}

// TestWatchAsksEndless: 50,000 one-word questions and items to an honest deployment beside
// two others, 16 months of both, raise no warning under H_honest.
func TestWatchAsksEndless(t *testing.T) {
	const observed = 50_000
	x, err := newState(Stream{Upstream: "relay", Model: "m", References: []string{"a", "b"}, Monthly: Monthly{Words: 2900, Items: 300}, Streams: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := watchedWords(x.Stream, nil)
	r := stat.Rand(stat.Seed([32]byte{}, "asks endless"))
	highest := map[verdict.Null]float64{}
	for range observed {
		suspect := []answerer{genuine, close2}[r.IntN(2)]
		o := &Observed{Kind: Item, Solved: []bool{r.Float64() < suspect.skill, r.Float64() < genuine.skill, r.Float64() < close2.skill}}
		if r.Float64() < 29./32 {
			c := pick(r, x.senses[0].learner.(*words).open())
			o = &Observed{Kind: Word, Cell: c, Words: []string{suspect.word(ids[c], r), genuine.word(ids[c], r), close2.word(ids[c], r)}}
		}
		if err := x.observe(o); err != nil {
			t.Fatal(err)
		}
		for _, n := range x.nulls() {
			st := x.standing(n)
			highest[n] = max(highest[n], st.LogM)
			if n == verdict.Honest && st.Level.AtLeast(verdict.LevelWarning) {
				t.Fatalf("%+v", st)
			}
		}
	}
	t.Logf("highest M %v; a notice is at 10^%.2f", highest, x.alarm(verdict.Honest, 1))
}
