package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/probe"
	"sallyport/internal/record"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// TestActOn: a verdict does no more than the operator allows, and nothing by which
// the evidence for more would end.
func TestActOn(t *testing.T) {
	one, two := []string{"a"}, []string{"a", "b"}
	for _, c := range []struct {
		allowed    config.Act
		references []string
		null       verdict.Null
		level      verdict.Level
		want       record.Act
	}{
		{config.Notice, two, verdict.Honest, verdict.LevelQuarantine, record.ActNotice},
		{config.Lower, two, verdict.Honest, verdict.LevelNotice, record.ActNotice},
		{config.Lower, two, verdict.Honest, verdict.LevelWarning, record.ActLower},
		{config.Lower, two, verdict.Honest, verdict.LevelQuarantine, record.ActLower},
		{config.Lower, two, verdict.Same, verdict.LevelWarning, record.ActNotice}, // an honest variant differs
		{config.Lower, one, verdict.Same, verdict.LevelWarning, record.ActLower},
		{config.Quarantine, two, verdict.Honest, verdict.LevelWarning, record.ActNotice}, // else no quarantine would follow
		{config.Quarantine, two, verdict.Honest, verdict.LevelQuarantine, record.ActQuarantine},
		{config.Quarantine, two, verdict.Same, verdict.LevelWarning, record.ActNotice},
		{config.Quarantine, one, verdict.Same, verdict.LevelWarning, record.ActLower},
		{"", two, verdict.Honest, verdict.LevelQuarantine, record.ActNotice},
	} {
		s := probe.Standing{Stream: probe.Stream{References: c.references}, Null: c.null, Level: c.level}
		if got := actOn(c.allowed, s); got != c.want {
			t.Errorf("allowed %q, %d references, %s at %s: %s, want %s", c.allowed, len(c.references), c.null, c.level, got, c.want)
		}
	}
}

// TestWatchBudget: when a month's comparisons are used up, what was found stays and
// nothing more is asked; requests beyond the budget are not held to be dropped, which
// would silence the watch.
func TestWatchBudget(t *testing.T) {
	t.Parallel()
	suspect, trusted := provider(t, upstreamtest.Config{}), provider(t, upstreamtest.Config{})
	const budget, requests = 6, 20
	file := write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), fmt.Sprintf(`upstreams:
  - {name: suspect, kind: openai, base_url: "%s", class: vetted, allow_private: true}
  - {name: trusted, kind: openai, base_url: "%s", class: vetted, allow_private: true}
models:
  %s: {targets: [{upstream: suspect}]}
watch:
  - {upstream: suspect, model: %[3]s, references: [trusted], projects: [p], share: 1, pairs: %d}
`, suspect.BaseURL(), trusted.BaseURL(), model, budget))
	i := start(t, options(t.TempDir(), file))
	standing := func() probe.Standing { return i.Standings()[0] }
	for n := range requests {
		i.sampled(t, fmt.Sprintf("nonce-%d hello", n))
		if n < budget {
			until(t, "the pair is compared", func() bool { return standing().N == n+1 })
		}
	}
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, r := range trusted.Journal().Requests() {
		if r.Method == http.MethodPost {
			asked++
		}
	}
	i = start(t, options(i.config.Data, file)) // reads what was observed
	if s := standing(); s.N != budget || s.Sense("D4").Lost != 0 || asked != budget {
		t.Errorf("%d pairs, %d dropped, the reference was asked %d times; want %d pairs", s.N, s.Sense("D4").Lost, asked, budget)
	}
}

// sampled sends a request that means the same to every upstream.
func (i *instance) sampled(t *testing.T, text string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"model": model, "messages": []map[string]string{{"role": "user", "content": text}}, "temperature": 1, "top_p": 1, "max_tokens": 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.data+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+i.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
}
