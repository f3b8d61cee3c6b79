package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/probe"
	"sallyport/internal/record"
	"sallyport/internal/reference"
	"sallyport/internal/store"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// turncoat is a relay that can be told who answers.
func turncoat(t *testing.T, to *upstreamtest.Server) (base string, turn func(*upstreamtest.Server)) {
	t.Helper()
	var target atomic.Pointer[url.URL]
	turn = func(s *upstreamtest.Server) {
		u, err := url.Parse(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		target.Store(u)
	}
	turn(to)
	s := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target.Load()) }})
	t.Cleanup(s.Close)
	return s.URL + "/v1", turn
}

// remembered records a small reference of a deployment into a data folder.
func remembered(t *testing.T, data, name, base string) {
	t.Helper()
	key, err := EvidenceKey(nil, data)
	if err != nil {
		t.Fatal(err)
	}
	e, err := probe.NewEndpoint(probe.EndpointConfig{URL: base, Model: model})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ref, err := probe.Enrol(t.Context(), probe.Enrolment{
		Name: name, Model: model, Lifetime: time.Hour, Train: 30, Bank: 60, Parallel: 4, Dress: probe.PlainDress, Languages: []string{"en"},
		Price:    func(llm.Tokens) (price.Nano, bool) { return 0, true },
		Variants: []probe.Source{{Variant: reference.Variant{Name: "a", Host: e.Facts().Host, Kind: "openai", Class: "vetted"}, Subject: e}},
	})
	if err != nil {
		t.Fatal(err)
	}
	save(t, data, key, ref)
}

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func save(t *testing.T, data string, key ed25519.PrivateKey, ref *reference.Reference) {
	t.Helper()
	var file bytes.Buffer
	o, err := reference.Seal(&file, key, ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := reference.NewShelf(ReferenceFolder(data), "").Save(o); err != nil {
		t.Fatal(err)
	}
}

// TestWatchAsksAndReleases: a watch's own questions, which are exchanges like others,
// take out a relay that serves another model; when it turns honest the evidence lets it
// come back, on a tenth of its traffic first; the budget ends what is asked.
func TestWatchAsksAndReleases(t *testing.T) {
	t.Parallel()
	a := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "a", Family: "claimed"}})
	b := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "b", Family: "claimed", Distance: .05}})
	cheap := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "c", Family: "cheap"}})
	relay, turn := turncoat(t, cheap)
	data := t.TempDir()
	file := write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), fmt.Sprintf(`upstreams:
  - {name: relay, kind: openai, base_url: "%s", class: any, allow_private: true, provider: openai}
  - {name: a, kind: openai, base_url: "%s", class: vetted, allow_private: true, provider: openai}
  - {name: b, kind: openai, base_url: "%s", class: vetted, allow_private: true, provider: openai}
models:
  %[4]s: {targets: [{upstream: relay}, {upstream: a}]}
watch:
  - {upstream: relay, model: %[4]s, references: [a, b], projects: [p], words: 1, act: quarantine, release: evidence, budget: 5}
`, relay, a.BaseURL(), b.BaseURL(), model))
	i := start(t, options(data, file)) // makes the data folder
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	remembered(t, data, "stored", a.BaseURL())
	file = write(t, file, strings.Replace(contents(t, file), "words: 1,", "words: 1000000, recorded: stored,", 1))
	i = start(t, options(data, file))
	w := &i.config.Watch[0]
	until(t, "the budget is known", func() bool { return i.purses.why(payer(w), time.Now()) == "" })
	before := cheap.Journal().Len()
	asked := 0
	for ; asked < 400 && !i.out(); asked++ {
		if err := i.askOnce(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if !i.out() {
		t.Fatalf("nothing is quarantined after %d questions: %+v", asked, i.Standings())
	}
	t.Logf("quarantined after %d questions", asked)
	if n := cheap.Journal().Len() - before; n < asked || n > asked+2 { // the task asks as well, every 2.6 s
		t.Errorf("%d questions reached the relay, %d were asked", n, asked)
	}
	i.verified(t)
	own := 0
	for _, e := range entries(t, i.store) {
		if e.Project == "audit" {
			own++
			if e.Key != "audit:relay" || e.Label != "public" {
				t.Errorf("a question of key %q, labelled %q", e.Key, e.Label)
			}
		}
	}
	if own < 3*asked || own > 3*asked+6 {
		t.Errorf("%d exchanges of the audit for %d questions", own, asked)
	}

	until(t, "it is known what it must show", func() bool {
		all, _ := i.watching()
		return all[0].Trial != nil && all[0].Trial.By == "D3" && all[0].Trial.Needed > 100
	})
	turn(a)
	target := gateway.Target{Upstream: "relay", Model: model}
	cleared := func() bool { _, yes := i.watch.Cleared("relay", model); return yes }
	for n := 0; n < 6000 && !cleared(); n++ {
		if err := i.askOnce(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if n < 200 && !i.out() {
			t.Fatal("released at once")
		}
	}
	i.releaseOne(w)
	s := i.gateway.Snapshot()
	if i.out() || s.Rations[target] != probationShare || s.Lowered[target] == "" {
		t.Fatalf("not released on a part of its traffic: %v, %v, %v; %+v", s.Quarantined, s.Lowered, s.Rations, i.Standings())
	}
	var vs []store.Verdict
	var err error
	until(t, "the release is a row", func() bool {
		vs, err = i.store.VerdictsOf(t.Context(), "relay", model, 10)
		return err == nil && slices.ContainsFunc(vs, func(v store.Verdict) bool { return v.Act == record.ActRelease && v.Actor == watchActor })
	})
	i.verified(t)

	// A budget that is used up ends the questions, also after a restart.
	i.purses.mu.Lock()
	i.purses.of[payer(w)].budget = 1
	i.purses.mu.Unlock()
	seen := a.Journal().Len()
	if err := i.askOnce(t.Context(), w); err != nil || a.Journal().Len() != seen {
		t.Errorf("asked without money: %v", err)
	}
	if all, _ := i.watching(); !strings.Contains(all[0].Unpaid, "USD are spent this month") {
		t.Errorf("audit watch says %q", all[0].Unpaid)
	}
	spent, unpriced, err := i.store.Charged(t.Context(), "audit:relay", monthOf(time.Now()).UnixMicro(), time.Now().UnixMicro())
	if err != nil || spent <= 0 || unpriced != 0 {
		t.Errorf("charged %d, %d without a price: %v", spent, unpriced, err)
	}
}

// TestProbation: what a watch released gets about a tenth of its traffic for a day, and
// all of it afterwards; a trickle goes on to a quarantined target for the watch's projects
// only.
func TestProbation(t *testing.T) {
	t.Parallel()
	file, _, _ := twoWays(t, "")
	i := start(t, options(t.TempDir(), file))
	release := ruling("first", record.ActRelease)
	release.Actor = watchActor
	i.decides(t, ruling("first", record.ActQuarantine), release)
	first := 0
	for range 200 {
		a := ask{base: i.data, key: i.key, text: "nonce-x"}.want(t, 200)
		if err := i.projector.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e, err := i.store.Entry(t.Context(), a.rid); err != nil {
			t.Fatal(err)
		} else if e.Upstream == "first" {
			first++
		}
	}
	if first < 4 || first > 45 {
		t.Errorf("%d of 200 requests went to what was released", first)
	}
	release.TS, release.ID = time.Now().Add(-probation-time.Minute).UnixMicro(), ""
	i.decides(t, release)
	i.answers(t, "first")

	i.decides(t, ruling("first", record.ActQuarantine))
	s := *i.gateway.Snapshot()
	target := gateway.Target{Upstream: "first", Model: model}
	s.Rations = map[gateway.Target]float64{target: 1}
	i.gateway.Swap(&s)
	i.answers(t, "second") // nobody opted in
	s.Watches = map[gateway.Target]gateway.Watch{target: {Projects: map[identity.ProjectID]bool{"p": true}}}
	i.gateway.Swap(&s)
	i.answers(t, "first")
}

// TestWatchWithoutPrice: what has no price cannot be held to a budget.
func TestWatchWithoutPrice(t *testing.T) {
	p := newPurses([]config.Watch{{Upstream: "u", Budget: 3_000_000_000}, {Upstream: "u", Budget: 1}, {Upstream: "v"}})
	now := time.Now()
	if why := p.why("audit:u", now); !strings.Contains(why, "not read yet") {
		t.Errorf("before the books are read: %q", why)
	}
	p.read = true
	spend := func(money string, amount, hold int64) {
		p.spend(&record.Exchange{TS: now.UnixMicro(), Key: "audit:u", Money: money, Amount: amount, Hold: hold})
	}
	spend("priced", 100_000_000, 500_000_000)
	spend("unknown", 0, 200_000_000)
	spend("none", 0, 0)
	if one := p.of["audit:u"]; one.since != 300_000_000 || one.unpriced || one.budget != 3_000_000_001 {
		t.Errorf("%+v", one)
	}
	if why := p.why("audit:u", now); why != "" {
		t.Error(why)
	}
	for range 12 {
		spend("priced", 100_000_000, 0)
	}
	if why := p.why("audit:u", now); !strings.Contains(why, "1.5 of 3.000000001 USD") {
		t.Errorf("near its end: %q", why)
	}
	if why := p.why("audit:u", monthOf(now).AddDate(0, 1, 0)); why != "" {
		t.Errorf("in the next month: %q", why)
	}
	spend("unpriced", 0, 0)
	if why := p.why("audit:u", now); !strings.Contains(why, "no price") {
		t.Errorf("without a price: %q", why)
	}
	if why := p.why("audit:v", now); why != "" {
		t.Errorf("without a budget: %q", why)
	}
}

// TestWatchBillsTraffic: over-billing is found on what users' traffic was counted as, and
// never takes an upstream out.
func TestWatchBillsTraffic(t *testing.T) {
	t.Parallel()
	honest := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "a", Family: "claimed"}})
	file := write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), fmt.Sprintf(`upstreams:
  - {name: relay, kind: openai, base_url: "%s", class: vetted, allow_private: true, provider: openai}
  - {name: a, kind: openai, base_url: "%[1]s", class: vetted, allow_private: true, provider: openai}
models:
  %s: {targets: [{upstream: relay}, {upstream: a}]}
watch:
  - {upstream: relay, model: %[2]s, references: [a], projects: [nobody], act: quarantine}
`, honest.BaseURL(), model))
	i := start(t, options(t.TempDir(), file))
	for n := range int64(200) {
		i.recounted(&record.Count{TS: time.Now().UnixMicro(), Upstream: "relay", Target: model, Claimed: 110 + n%3, Tokens: 100})
		i.recounted(&record.Count{TS: time.Now().UnixMicro(), Upstream: "relay", Target: model, Why: "no vocabulary"})
		i.recounted(&record.Count{TS: time.Now().UnixMicro(), Upstream: "other", Target: model, Claimed: 900, Tokens: 100})
	}
	until(t, "the verdict is a row", func() bool {
		vs, err := i.store.VerdictsOf(context.WithoutCancel(t.Context()), "relay", model, 10)
		return err == nil && len(vs) > 0 && vs[0].Act == record.ActLower
	})
	if s := i.gateway.Snapshot(); i.out() || len(s.Lowered) != 1 {
		t.Errorf("%v, %v", s.Quarantined, s.Lowered)
	}
	for _, s := range i.Standings() {
		if s.Null == verdict.Billing && (s.N != 200 || s.Level != verdict.LevelWarning) {
			t.Errorf("%+v", s)
		}
	}
}
