package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/secret"
	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// factOf is a figure of a result; empty when it has none of the name.
func factOf(d verdict.Result, name string) string {
	for _, f := range d.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

const keysFact = "prompt cache between the keys"

// startCaching serves chat completions with a prompt cache for each account, of which
// usage tells; keys belong to the accounts given.
func startCaching(t *testing.T, accounts map[string]string, everybody bool) string {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Messages []struct{ Content string }
			Stream   bool
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		text := body.Messages[0].Content
		at := accounts[r.Header.Get("Authorization")] + "\n" + text[:min(len(text), 4000)]
		mu.Lock()
		hit := seen[at] || everybody
		seen[at] = true
		mu.Unlock()
		cached := 0
		if hit && len(text) > 4000 {
			cached = len(text) / 5
		}
		if !body.Stream {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}`))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, `data: {"id":"1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"ready <b>"},"finish_reason":"stop"}]}`+"\n\n"+
			`data: {"id":"1","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":2,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d}}}`+"\n\ndata: [DONE]\n\n", len(text)/4, len(text)/4+2, cached)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

func keyed(t *testing.T, url, key string) *Endpoint {
	t.Helper()
	e, err := NewEndpoint(EndpointConfig{URL: url, Model: testModel, Key: secret.New(key)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// TestSharedCacheTold: a cache that serves both keys is told as shared, one for each and
// one of a hidden prompt that all requests have are not.
func TestSharedCacheTold(t *testing.T) {
	for name, c := range map[string]struct {
		accounts  map[string]string
		everybody bool
		shared    bool
	}{
		"one account":        {map[string]string{"Bearer a": "pool", "Bearer b": "pool"}, false, true},
		"two accounts":       {map[string]string{"Bearer a": "one", "Bearer b": "two"}, false, false},
		"all is always told": {nil, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			url := startCaching(t, c.accounts, c.everybody)
			for seed := range 5 {
				r, record := run(t, Config{Subject: keyed(t, url, "a"), Second: keyed(t, url, "b"), Profile: Profile{"times", map[verdict.ID]int{"D15": 50}}, Beacon: testBeacon(fmt.Sprint(seed))})
				d := resultOf(t, r, "D15")
				if d.State != verdict.Ran || len(d.Findings) != 0 || len(d.Evidence) != 0 {
					t.Fatalf("%+v", d)
				}
				if got := factOf(d, keysFact); strings.HasPrefix(got, "shared") != c.shared || got == "" {
					t.Errorf("%q", got)
				}
				if r.Headline != verdict.NotTested {
					t.Errorf("headline %q", r.Headline)
				}
				checkFile(t, record)
			}
		})
	}
}

// clocked answers after times of its own making, without a network or a wait.
type clocked struct {
	cache map[string]bool // of whom it shares it with
	hit   float64         // by how much a cached prompt is faster
	two   bool            // two groups of times
	fails float64

	r *rand.Rand
}

func (c *clocked) Facts() Facts { return (&solver{}).Facts() }

func (c *clocked) Ask(_ context.Context, a *Ask) *Reply {
	text := a.Turns[0].Text
	if a.MaxTokens != 64 && c.r.Float64() < c.fails {
		return &Reply{Outcome: TimedOut}
	}
	first := 200 + float64(len(text))/50 + 30*c.r.NormFloat64()
	if c.two && c.r.IntN(2) == 0 {
		first *= 4
	}
	if len(text) > 4000 {
		if c.cache[text[:4000]] {
			first -= c.hit
		}
		c.cache[text[:4000]] = true
	}
	r := &Reply{Outcome: Answered, Status: 200, Text: "ready", Finish: llm.FinishStop, First: time.Duration(first * 1e6)}
	at := r.First
	for range 20 {
		r.Chunks = append(r.Chunks, Chunk{at, 6})
		at += time.Duration(10e6 * (1 + c.r.Float64()))
	}
	r.Took = at
	return r
}

func (c *clocked) with(cache map[string]bool, seed string) *clocked {
	d := *c
	d.cache, d.r = cache, stat.Rand(stat.Seed([32]byte{}, seed))
	return &d
}

// TestSharedCacheTimed: without a word of usage times show a cache that both keys share;
// over honest audits they never do.
func TestSharedCacheTimed(t *testing.T) {
	base := &clocked{hit: 120}
	cfg := Config{Profile: Profile{"times", map[verdict.ID]int{"D15": 120}}, Now: testNow}
	for seed := range 200 {
		cfg.Subject, cfg.Second = base.with(map[string]bool{}, fmt.Sprint("a", seed)), base.with(map[string]bool{}, fmt.Sprint("b", seed))
		cfg.Beacon = testBeacon(fmt.Sprint(seed))
		r, _ := run(t, cfg)
		if got := factOf(resultOf(t, r, "D15"), keysFact); !strings.HasPrefix(got, "not seen to be shared") {
			t.Fatalf("%q", got)
		}
	}
	for seed := range 10 {
		pool := map[string]bool{}
		cfg.Subject, cfg.Second = base.with(pool, fmt.Sprint("a", seed)), base.with(pool, fmt.Sprint("b", seed))
		r, record := run(t, cfg)
		if got := factOf(resultOf(t, r, "D15"), keysFact); !strings.HasPrefix(got, "shared") {
			t.Errorf("%q", got)
		}
		checkFile(t, record)
	}
}

// TestTimes: what times are is told, two groups of them as well, and failures are none.
func TestTimes(t *testing.T) {
	profile := Profile{"times", map[verdict.ID]int{"D15": 120}}
	for name, c := range map[string]struct {
		subject *clocked
		groups  string
		state   verdict.State
	}{
		"one group":  {&clocked{}, "no two", verdict.Ran},
		"two groups": {&clocked{two: true}, "two", verdict.Ran},
		"failures":   {&clocked{fails: .4}, "no two", verdict.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			r, record := run(t, Config{Subject: c.subject.with(map[string]bool{}, "c"), Profile: profile, Now: testNow})
			d := resultOf(t, r, "D15")
			if d.State != c.state || d.Queries != equalAsks+repeatedAt*len(promptWords) || len(d.Findings)+len(d.Evidence) != 0 {
				t.Fatalf("%s, %s: %+v", d.State, d.Reason, d)
			}
			if got := factOf(d, "groups of times"); !strings.HasPrefix(got, c.groups) {
				t.Errorf("%q", got)
			}
			for _, name := range []string{"time to first text", "time between pieces", "time for a longer prompt"} {
				if factOf(d, name) == "" {
					t.Errorf("%s is not told: %+v", name, d.Facts)
				}
			}
			checkFile(t, record)
		})
	}
}

// TestTimesOverHTTP reads streams of a model that takes its time.
func TestTimesOverHTTP(t *testing.T) {
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Rate: 4000, First: 5 * time.Millisecond})
	r, record := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Profile: Profile{"times", map[verdict.ID]int{"D15": 120}}})
	d := resultOf(t, r, "D15")
	if d.State != verdict.Ran || factOf(d, "time to first text") == "" || factOf(d, "speed") == "" || len(d.Charts) != 2 {
		t.Errorf("%+v", d)
	}
	checkFile(t, record)
}
