package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/probe"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// watched is a gateway that watches a relay beside two honest deployments.
func watched(t *testing.T, relayTo, act string, deployments ...*upstreamtest.Server) *instance {
	t.Helper()
	r, err := upstreamtest.StartRelay(upstreamtest.RelayConfig{Backend: relayTo, Forge: upstreamtest.Forge{Model: "=", IDs: true, Created: true, Bare: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	file := write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), fmt.Sprintf(`upstreams:
  - {name: relay, kind: openai, base_url: "%s", class: vetted, allow_private: true, provider: openai}
  - {name: a, kind: openai, base_url: "%s", class: vetted, allow_private: true, provider: openai}
  - {name: b, kind: openai, base_url: "%s", class: vetted, allow_private: true, provider: openai}
models:
  %[4]s: {targets: [{upstream: relay}, {upstream: a}]}
watch:
  - {upstream: relay, model: %[4]s, references: [a, b], projects: [p], share: 1, pairs: 200, act: %[5]s}
`, r.BaseURL(), deployments[0].BaseURL(), deployments[1].BaseURL(), model, act))
	return start(t, options(t.TempDir(), file))
}

// topics vary what is asked, as traffic does.
var topics = []string{"the harvest", "a bridge", "old maps", "bread", "a lighthouse", "winter", "trains", "the market", "a garden", "glass"}

// talk sends requests through the gateway until stop says so, or n of them.
func (i *instance) talk(t *testing.T, n int, stop func() bool) (sent int) {
	t.Helper()
	for sent = range n {
		if stop() {
			break
		}
		body := fmt.Sprintf(`{"model":"%s","messages":[{"role":"user","content":"Write about %s, please. Note %d."}],"temperature":1,"top_p":1,"max_tokens":200}`, model, topics[sent%len(topics)], sent)
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.data+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+i.key)
		q.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		_, _ = b.ReadFrom(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d: %s", resp.StatusCode, b.String())
		}
		i.settled(t, sent+1)
	}
	return sent
}

// settled waits until every request sent so far was compared, so that the references
// keep up.
func (i *instance) settled(t *testing.T, sent int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		s := i.watch.Standings()[0]
		if s.N+s.Sense("D4").Lost >= sent || i.gateway.Snapshot().Quarantined != nil && len(i.gateway.Snapshot().Quarantined) > 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d sent, %+v\n%s", sent, s, i.logs)
		case <-tick.C:
		}
	}
}

func (i *instance) out() bool { return len(i.gateway.Snapshot().Quarantined) > 0 }

// TestWatchQuarantines: a relay that serves another model is taken out of routing on
// real traffic alone; requests go on elsewhere; the audit's own calls have records and
// money of their own; the bundle verifies; the whole log is green.
func TestWatchQuarantines(t *testing.T) {
	t.Parallel()
	a := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "a", Family: "claimed"}})
	b := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "b", Family: "claimed", Distance: .05}})
	cheap := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "c", Family: "cheap"}})
	i := watched(t, cheap.BaseURL(), "quarantine", a, b)
	sent := i.talk(t, 190, i.out)
	if !i.out() {
		t.Fatalf("nothing is quarantined after %d requests: %+v", sent, i.watch.Standings())
	}
	t.Logf("quarantined after %d requests", sent)
	seen := cheap.Journal().Len()
	i.talk(t, 3, func() bool { return false })
	if n := cheap.Journal().Len(); n != seen {
		t.Errorf("%d requests reached the relay after the quarantine", n-seen)
	}
	if n := cheap.Journal().Len(); n != sent {
		t.Errorf("%d requests reached the relay, %d were sent by clients: the audit sends none", n, sent)
	}
	i.verified(t)
	own, bundle := 0, ""
	for _, e := range entries(t, i.store) {
		switch e.Project {
		case "audit":
			own++
			if e.Key != "audit:relay" || e.Upstream == "relay" {
				t.Errorf("an exchange of the audit by key %q went to %q", e.Key, e.Upstream)
			}
		case "p":
		default:
			t.Errorf("an exchange of project %q", e.Project)
		}
	}
	if own < 2*sent-8 || own > 2*sent {
		t.Errorf("%d exchanges of the audit for %d requests", own, sent)
	}
	verdicts, err := i.store.VerdictsOf(t.Context(), "relay", model, 50)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Act == "quarantine" {
			bundle = v.Bundle
			if v.Hypothesis != string(verdict.Honest) {
				t.Errorf("quarantined by %q", v.Hypothesis)
			}
		}
	}
	file, err := os.ReadFile(i.folder.Path("watch/" + bundle + ".bundle"))
	if err != nil {
		t.Fatal(err)
	}
	if st, _, err := probe.VerifyWatch(bytes.NewReader(file)); err != nil || st.Level != verdict.LevelQuarantine {
		t.Errorf("the bundle: %+v, %v", st, err)
	}
	for _, secret := range []string{"harvest", "lighthouse"} {
		if bytes.Contains(file, []byte(secret)) {
			t.Errorf("the bundle holds %q", secret)
		}
	}
}

// TestWatchHonestRelay: a relay in front of an honest deployment is left alone.
func TestWatchHonestRelay(t *testing.T) {
	t.Parallel()
	a := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "a", Family: "claimed"}})
	b := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "b", Family: "claimed", Distance: .05}})
	behind := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "b", Family: "claimed", Distance: .05}})
	i := watched(t, behind.BaseURL(), "quarantine", a, b)
	i.talk(t, 150, func() bool { return false })
	if i.out() {
		t.Errorf("quarantined: %+v", i.watch.Standings())
	}
	for _, s := range i.watch.Standings() {
		if s.Null == verdict.Honest && s.Level != verdict.LevelNone {
			t.Errorf("%+v", s)
		}
	}
}

// TestWatchOnlyOptedIn: requests of other projects, and such as leave open how they
// are to be answered, are put to nobody else; and act notice never moves a route.
func TestWatchOnlyOptedIn(t *testing.T) {
	t.Parallel()
	a := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "a", Family: "claimed"}})
	b := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "b", Family: "claimed", Distance: .05}})
	cheap := provider(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{Seed: "c", Family: "cheap"}})
	i := watched(t, cheap.BaseURL(), "notice", a, b)
	ask{base: i.data, key: i.key, text: "no settings are given"}.want(t, 200)
	if err := i.projector.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := a.Journal().Len() + b.Journal().Len(); n != 0 {
		t.Errorf("%d requests were put to the references", n)
	}
	i.talk(t, 120, func() bool { return false })
	if i.out() {
		t.Error("quarantined though only notices are opted into")
	}
}
