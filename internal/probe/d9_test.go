package probe

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

var keyLine = regexp.MustCompile(`(?m)^(KEY-\w+): ([0-9a-f]+)$`)

// reader is a model that reads the codes in a text, and each one with a probability
// that depends on how many bytes before the end it stands.
func reader(finds func(distance int) float64) func(question) spoken {
	return func(q question) spoken {
		h := fnv.New64a()
		fmt.Fprint(h, q.last)
		r := rand.New(rand.NewPCG(h.Sum64(), 1))
		var codes []string
		for _, m := range keyLine.FindAllStringSubmatchIndex(q.last, -1) {
			if r.Float64() < finds(len(q.last)-m[0]) {
				codes = append(codes, q.last[m[4]:m[5]])
			}
		}
		return spoken{text: strings.Join(codes, "\n")}
	}
}

func TestNeedlesHonest(t *testing.T) {
	for name, finds := range map[string]func(int) float64{
		"finds all":          func(int) float64 { return 1 },
		"finds most":         func(int) float64 { return .95 },
		"forgets with space": func(n int) float64 { return 1 - min(float64(n)/20000, .9) },
		"finds few":          func(int) float64 { return .3 },
		"finds none":         func(int) float64 { return 0 },
		"recalls the last":   func(n int) float64 { return map[bool]float64{true: 1}[n < 400] },
	} {
		t.Run(name, func(t *testing.T) {
			url := startModel(t, reader(finds))
			seeds := 25
			if name == "forgets with space" {
				seeds = 400
			}
			for seed := range seeds {
				r := auditOnly(t, "D9", Vet.Budgets["D9"], url, seed)
				foundNothing(t, r)
				if strings.HasSuffix(name, "none") && r.State != verdict.Inconclusive {
					t.Errorf("%s", r.State)
				}
			}
		})
	}
	oracle := startServer(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{}})
	digests := startServer(t, upstreamtest.Config{})
	for seed := range 10 {
		for _, url := range []string{oracle, digests} {
			foundNothing(t, auditOnly(t, "D9", Vet.Budgets["D9"], url, seed))
		}
	}
}

func TestNeedlesFound(t *testing.T) {
	oracle := startServer(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{}})
	for _, test := range []struct {
		cut  upstreamtest.Cut
		over int64
		word string
	}{
		{upstreamtest.CutOldest, 0, "The beginning of texts"},
		{upstreamtest.CutOldest, 1500, "The beginning of texts"},
		{upstreamtest.CutTail, 1500, "The end of texts"},
		{upstreamtest.CutTail, 0, "The end of texts"},
		{upstreamtest.CutMiddle, 1500, ""},
	} {
		for seed := range 5 {
			url := startRelay(t, "R12:"+string(test.cut), oracle, func(c *upstreamtest.RelayConfig) { c.Prompt.Over = test.over })
			r := auditOnly(t, "D9", Vet.Budgets["D9"], url, seed)
			if test.word != "" {
				foundIntegrity(t, r, test.word)
				continue
			}
			foundNothing(t, r)
			if !slices.ContainsFunc(r.Facts, func(f verdict.Fact) bool { return f.Name == "middle" }) {
				t.Errorf("the lost middle is not told: %v", r.Facts)
			}
		}
	}
}

// window is an endpoint that keeps the last n bytes of a text without saying so, and
// reports the tokens of all of it.
func window(n int) func(question) spoken {
	return reader(func(distance int) float64 { return map[bool]float64{true: 1}[distance <= n] })
}

func TestNeedlesWindow(t *testing.T) {
	for seed := range 20 {
		r := auditOnly(t, "D9", Vet.Budgets["D9"], startModel(t, window(10_000)), seed)
		foundIntegrity(t, r, "The beginning of texts", "keep growing")
	}
}

func TestNeedlesFailures(t *testing.T) {
	backend := startModel(t, reader(func(int) float64 { return 1 }))
	url := startRelay(t, "R0", backend, func(c *upstreamtest.RelayConfig) {
		c.Failures = []upstreamtest.Failure{{From: 2, To: 4, Status: 404}}
	})
	if r := auditOnly(t, "D9", Vet.Budgets["D9"], url, 1); r.State != verdict.Inconclusive {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
	limited := startRelay(t, "R0", backend, func(c *upstreamtest.RelayConfig) {
		c.Failures = []upstreamtest.Failure{{From: 5, To: 100, Status: 400}}
	})
	r := auditOnly(t, "D9", Vet.Budgets["D9"], limited, 1)
	foundNothing(t, r)
}
