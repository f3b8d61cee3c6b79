package probe

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// sampledAs is a model without a network.
func sampledAs(o *upstreamtest.Oracle, seed string) *sampled {
	return &sampled{oracle: o, r: stat.Rand(stat.Seed([32]byte{}, seed)), cells: map[string]upstreamtest.Distribution{}}
}

// recordedAs is a reference of a model under a name.
func recordedAs(t *testing.T, name string, variants ...*upstreamtest.Oracle) *reference.Opened {
	t.Helper()
	e := Enrolment{Name: "test", Model: name, Lifetime: time.Hour, Train: 60, Bank: 240, Parallel: 1, Price: free, Now: testNow}
	for i, o := range variants {
		e.Variants = append(e.Variants, Source{reference.Variant{Name: fmt.Sprint(i)}, sampledAs(o, name+fmt.Sprint(i))})
	}
	ref, err := Enrol(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return sealed(t, ref)
}

// TestDetectable: what an audit would have found is told against the nearest other
// model, follows from the record, and is more for a longer audit.
func TestDetectable(t *testing.T) {
	claimed := &upstreamtest.Oracle{Seed: "one", Family: "claimed"}
	ref := recordedAs(t, testModel, claimed)
	near := recordedAs(t, "near", &upstreamtest.Oracle{Seed: "two", Family: "claimed", Distance: .5})
	far := recordedAs(t, "far", &upstreamtest.Oracle{Seed: "three", Family: "other"})
	for name, c := range map[string]struct {
		n       int
		library []*reference.Opened
		against string
		eps     []float64 // that are right
	}{
		"nearest model": {600, []*reference.Opened{far, ref, near}, "near", []float64{.1, .2}},
		"other model":   {600, []*reference.Opened{ref, far}, "far", []float64{.1, .2}},
		"no library":    {600, nil, "a made-up sibling at distance 0.4", []float64{.3, .5}},
		"short audit":   {60, []*reference.Opened{near}, "near", []float64{1, 2}},
		"shorter":       {8, []*reference.Opened{near}, "near", []float64{2}},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			r, record := run(t, Config{
				Subject: sampledAs(claimed, name), Reference: ref, Profile: onlyWords(c.n), Parallel: 1, Now: testNow, Detectable: true, Library: c.library,
			})
			d := r.Detectable
			if d == nil || d.Against != c.against || d.Queries != c.n || d.Runs != simulations {
				t.Fatalf("%+v", d)
			}
			right := false
			for _, eps := range c.eps {
				right = right || d.Eps == eps
			}
			if !right || (d.Power >= enoughPower) != (d.Eps <= 1) {
				t.Errorf("%+v", d)
			}
			t.Logf("%+v in %s", *d, time.Since(began))
			checkFile(t, record)
			record.Report.Detectable.Eps /= 2
			var file bytes.Buffer
			if err := record.Seal(&file, nil); err != nil {
				t.Fatal(err)
			}
			opened, _, err := OpenBundle(&file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := opened.Verify(t.Context()); err == nil {
				t.Error("a better share was forged and the record verifies")
			}
		})
	}
	swapped := sampledAs(&upstreamtest.Oracle{Seed: "three", Family: "other"}, "swapped")
	r, _ := run(t, Config{Subject: swapped, Reference: ref, Profile: onlyWords(300), Now: testNow, Detectable: true})
	if n := verdictOn(t, r, verdict.Same).N; n >= 300 || r.Detectable.Queries != 300 {
		t.Errorf("decided after %d answers, and told of %d", n, r.Detectable.Queries)
	}
	r, _ = run(t, Config{Subject: sampledAs(claimed, "x"), Reference: ref, Profile: onlyWords(30), Now: testNow})
	if r.Detectable != nil {
		t.Error("nobody asked for it")
	}
}

// TestSibling: the made-up model lies where it shall.
func TestSibling(t *testing.T) {
	for name, counts := range map[string]map[string]int{
		"broad":          {"a": 30, "b": 12, "c": 9, "d": 5, "e": 4},
		"peaked":         {"a": 57, "b": 3},
		"even":           {"a": 20, "b": 20, "c": 20},
		"only one":       {"a": 60},
		"hardly another": {"a": 20, "b": 20, "EMPTY": 1},
	} {
		shares := sibling(counts, stat.Rand([32]byte{}))
		sum, tv, total := 0.0, 0.0, 0
		for _, n := range counts {
			total += n
		}
		for answer, p := range shares {
			sum += p
			tv += math.Abs(p-float64(counts[answer])/float64(total)) / 2
			if p < 0 {
				t.Errorf("%s: %s has %v", name, answer, p)
			}
		}
		if math.Abs(sum-1) > 1e-6 || math.Abs(tv-siblingDistance) > 1e-6 {
			t.Errorf("%s: sum %v, distance %v", name, sum, tv)
		}
	}
}
