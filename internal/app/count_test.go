package app

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/console"
	"sallyport/internal/tokens"
	"sallyport/internal/upstreamtest"
)

// TestUsageShowsOverbilling: one of two upstreams bills a tenth more than it says.
// Only of that one `usage` shows an excess whose interval is above 0, and all is in
// the log.
func TestUsageShowsOverbilling(t *testing.T) {
	t.Parallel()
	billing := func(times float64) string {
		up := provider(t, upstreamtest.Config{})
		up.SetBehaviour(upstreamtest.Behaviour{Frames: 20, Vocabulary: &upstreamtest.Vocabulary{Count: func(text string) int64 {
			n, err := tokens.Of(model).Count(text)
			if err != nil {
				t.Error(err)
			}
			return int64(math.Round(times * float64(n)))
		}}})
		return up.BaseURL()
	}
	file := write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), fmt.Sprintf(`upstreams:
  - {name: honest, kind: openai, base_url: "%s", class: vetted, allow_private: true}
  - {name: greedy, kind: openai, base_url: "%s", class: vetted, allow_private: true}
models:
  honest: {targets: [{upstream: honest, model: %s}]}
  greedy: {targets: [{upstream: greedy, model: %s}]}
count: {share: 1, cpu: 1}
`, billing(1), billing(1.1), model, model))
	data := t.TempDir()
	i := start(t, options(data, file))
	usage := func() map[string]*console.Counted {
		var rows []console.UsageRow
		overSocket(t, data, "GET", "/usage?by=upstream&since=1h", &rows)
		by := map[string]*console.Counted{}
		for _, r := range rows {
			by[r.Group] = r.Counted
		}
		return by
	}
	const n = 200
	var last answer
	for k := range n {
		for _, name := range []string{"honest", "greedy"} {
			last = ask{base: i.data, key: i.key, model: name, text: fmt.Sprintf("nonce-%d", k), stream: k%2 == 0}.want(t, 200)
			until(t, "the answer is counted", func() bool { return k > 0 || usage()[name] != nil }) // which loads the vocabulary
		}
	}
	until(t, "all answers are counted", func() bool {
		u := usage()
		return u["honest"].Countable == n && u["greedy"].Countable == n
	})
	honest, greedy := usage()["honest"], usage()["greedy"]
	if honest.Sampled != n || honest.Claimed != honest.Counted || honest.Excess.Low >= 0 || honest.Excess.High <= 0 || honest.Excess.Mean != 0 {
		t.Errorf("the honest upstream: %+v, %+v", honest, honest.Excess)
	}
	if greedy.Claimed <= greedy.Counted || greedy.Excess.Low <= 0 || math.Abs(greedy.Excess.Mean-.1) > .01 || greedy.Excess.Answers != n {
		t.Errorf("the greedy upstream: %+v, %+v", greedy, greedy.Excess)
	}
	var one console.Entry
	overSocket(t, data, "GET", "/logs/"+last.rid, &one)
	if want := fmt.Sprintf("%d claimed", one.Tokens["output"]); !strings.HasSuffix(one.Counted, want) || !strings.Contains(one.Counted, "by o200k_base") {
		t.Errorf("one exchange tells %q, want %q at the end", one.Counted, want)
	}
	if r := i.verified(t); r.Counts != 2*n {
		t.Errorf("%d counts were verified", r.Counts)
	}
	t.Logf("excess: honest %+v, greedy %+v", *honest.Excess, *greedy.Excess)
}
