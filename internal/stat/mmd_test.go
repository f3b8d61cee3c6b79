package stat

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// The statistic is that of the authors' package: testdata/mmd.py made the file.
func TestMMDIsThePublished(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/mmd.json")
	if err != nil {
		t.Fatal(err)
	}
	var published struct {
		Cases []struct {
			Name      string
			Length    int
			X, Y      []Completion
			Statistic float64
		}
	}
	if err := json.Unmarshal(raw, &published); err != nil {
		t.Fatal(err)
	}
	if len(published.Cases) != 6 {
		t.Fatalf("%d cases", len(published.Cases))
	}
	for _, c := range published.Cases {
		if got, err := MMD(c.X, c.Y, c.Length); err != nil || math.Abs(got-c.Statistic) > 1e-12 {
			t.Errorf("%s: %v, published %v: %v", c.Name, got, c.Statistic, err)
		}
	}
}

// writer makes texts of one model to 10 prompts: words of its own frequencies.
func writer(r *rand.Rand, each int, favourite float64) []Completion {
	var sample []Completion
	for prompt := range 10 {
		for range each {
			var text strings.Builder
			for range 12 {
				if r.Float64() < favourite {
					text.WriteString("abc ")
				} else {
					text.WriteString("qr ")
				}
			}
			sample = append(sample, Completion{prompt, text.String()})
		}
	}
	return sample
}

func TestMMDTest(t *testing.T) {
	t.Parallel()
	r := Rand(Seed([32]byte{}, "mmd"))
	const runs = 300
	below := 0
	for range runs {
		p, err := MMDTest(writer(r, 5, .5), writer(r, 5, .5), 40, Permutations{Most: 199, Enough: 20}, r)
		if err != nil {
			t.Fatal(err)
		}
		if p.P <= .05 {
			below++
		}
	}
	t.Logf("p <= .05 in %d of %d", below, runs)
	if float64(below) > .05*runs+3*math.Sqrt(.05*.95*runs) {
		t.Errorf("p <= .05 in %d of %d honest tests", below, runs)
	}
	x, same, other := writer(r, 10, .5), writer(r, 10, .5), writer(r, 10, .8)
	p, err := MMDTest(x, other, 40, Permutations{Most: 999}, r)
	if err != nil || p.P != .001 {
		t.Errorf("another model: %v, %v", p, err)
	}
	p, err = MMDHonestTest(x, [][]Completion{other, same}, 40, Permutations{Most: 999}, r)
	if err != nil || p.P < .01 {
		t.Errorf("as one variant: %v, %v", p, err)
	}
	p, err = MMDHonestTest(writer(r, 10, .2), [][]Completion{other, same}, 40, Permutations{Most: 999}, r)
	if err != nil || p.P != .001 {
		t.Errorf("as no variant: %v, %v", p, err)
	}
	if _, err := MMDHonestTest(x, nil, 40, Permutations{Most: 9}, r); err == nil {
		t.Error("no variants: no error")
	}
}

func TestMMDRefuses(t *testing.T) {
	t.Parallel()
	two := []Completion{{0, "a"}, {0, "b"}}
	for name, sample := range map[string][]Completion{
		"nothing": nil, "one answer": {{0, "a"}}, "another prompt": {{1, "a"}, {1, "b"}},
	} {
		if _, err := MMD(two, sample, 5); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := MMD(two, two, 0); err == nil {
		t.Error("no length: no error")
	}
}
