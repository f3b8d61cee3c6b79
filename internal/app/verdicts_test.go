package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/gateway"
	"sallyport/internal/record"
	"sallyport/internal/store/storetest"
	"sallyport/internal/upstreamtest"
)

// twoWays is a configuration in which two upstreams serve one model.
func twoWays(t *testing.T, more string) (file string, first, second *upstreamtest.Server) {
	t.Helper()
	first, second = provider(t, upstreamtest.Config{}), provider(t, upstreamtest.Config{})
	return write(t, filepath.Join(t.TempDir(), "sallyport.yaml"), fmt.Sprintf(`upstreams:
  - {name: first, kind: openai, base_url: "%s", class: vetted, allow_private: true}
  - {name: second, kind: openai, base_url: "%s", class: vetted, allow_private: true}
models:
  %s: {targets: [{upstream: first}, {upstream: second}]}
%s
`, first.BaseURL(), second.BaseURL(), model, more)), first, second
}

// ruling is a verdict about the model of an upstream.
func ruling(up string, act record.Act) record.Verdict {
	v := record.Verdict{Upstream: up, Target: model, Null: "honest", Label: "identity check failed", Level: "quarantine", Act: act, EMilli: 3100, N: 400, Actor: "watch"}
	if act == record.ActRelease || act == record.ActOverride {
		v.Actor = "local"
	}
	return v
}

// decides records verdicts, which must succeed.
func (i *instance) decides(t *testing.T, vs ...record.Verdict) {
	t.Helper()
	for _, v := range vs {
		if err := i.recordVerdict(v); err != nil {
			t.Fatal(err)
		}
	}
}

// answers demands which upstream answers the next request; "" means none, with a 503.
func (i *instance) answers(t *testing.T, want string) answer {
	t.Helper()
	q := ask{base: i.data, key: i.key, text: "nonce-x"}
	if want == "" {
		return q.want(t, 503)
	}
	a := q.want(t, 200)
	if err := i.projector.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e, err := i.store.Entry(t.Context(), a.rid); err != nil || e.Upstream != want {
		t.Fatalf("%s answered, want %s: %v", e.Upstream, want, err)
	}
	return a
}

// TestVerdictsActOnRouting: at once, and until they are released or overridden; with
// no upstream left the client is told the verdict and the command.
func TestVerdictsActOnRouting(t *testing.T) {
	t.Parallel()
	file, _, _ := twoWays(t, "")
	data := t.TempDir()
	i := start(t, options(data, file))
	i.answers(t, "first")
	i.decides(t, ruling("first", record.ActNotice), ruling("first", record.ActAudit))
	i.answers(t, "first")
	i.decides(t, ruling("first", record.ActLower))
	i.answers(t, "second")
	i.decides(t, ruling("second", record.ActQuarantine))
	i.answers(t, "first") // lowered is not out
	i.decides(t, ruling("first", record.ActQuarantine))
	a := i.answers(t, "")
	for _, want := range []string{"quarantined on 20", "(identity check failed)", "sallyport audit override first --model", "gpt-5-mini"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the client is not told %q: %s", want, a.body)
		}
	}
	i.decides(t, ruling("first", record.ActNotice), ruling("first", record.ActLower)) // weaker evidence ends nothing
	i.answers(t, "")
	i.decides(t, ruling("second", record.ActOverride))
	i.answers(t, "second")
	i.decides(t, ruling("first", record.ActRelease))
	i.answers(t, "first")
	if r := i.verified(t); r.Verdicts != 9 {
		t.Errorf("%d verdicts are in the log", r.Verdicts)
	}
	for name, v := range map[string]record.Verdict{"an unknown act": ruling("first", "forgive"), "no upstream": ruling("", record.ActNotice)} {
		if err := i.recordVerdict(v); err == nil {
			t.Errorf("%s was recorded", name)
		}
	}
}

// TestNothingPends: what the database has, and what does nothing to routing, is not kept
// in memory.
func TestNothingPends(t *testing.T) {
	t.Parallel()
	file, _, _ := twoWays(t, "")
	i := start(t, options(t.TempDir(), file))
	i.decides(t, ruling("first", record.ActNotice), ruling("first", record.ActBegin), ruling("first", record.ActAudit), ruling("first", record.ActLower))
	if err := errors.Join(i.projector.Sync(t.Context()), i.readVerdicts(t.Context())); err != nil {
		t.Fatal(err)
	}
	i.rulings.mu.Lock()
	defer i.rulings.mu.Unlock()
	if n := len(i.rulings.pending); n != 0 {
		t.Errorf("%d verdicts are still pending", n)
	}
}

// TestVerdictsLast: what a verdict did lasts through a reload and a restart.
func TestVerdictsLast(t *testing.T) {
	t.Parallel()
	file, _, _ := twoWays(t, "")
	data := t.TempDir()
	i := start(t, options(data, file))
	i.decides(t, ruling("first", record.ActQuarantine), ruling("second", record.ActLower))
	i.answers(t, "second")
	if err := i.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.answers(t, "second")
	before := i.gateway.Snapshot()
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	i = start(t, options(data, file))
	i.answers(t, "second")
	same := func(name string, before, after map[gateway.Target]string) {
		t.Helper()
		if fmt.Sprint(before) != fmt.Sprint(after) || len(before) != 1 {
			t.Errorf("%s: before %v, after %v", name, before, after)
		}
	}
	same("quarantined", before.Quarantined, i.gateway.Snapshot().Quarantined)
	same("lowered", before.Lowered, i.gateway.Snapshot().Lowered)
	i.decides(t, ruling("first", record.ActOverride))
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	i = start(t, options(data, file))
	i.answers(t, "first")
	i.verified(t)
}

// TestVerdictsSurviveDeath: a verdict that only the journal has is in force from the
// start on, after those of the database.
func TestVerdictsSurviveDeath(t *testing.T) {
	t.Parallel()
	file, _, _ := twoWays(t, "")
	i := start(t, options(t.TempDir(), file))
	i.decides(t, ruling("first", record.ActQuarantine), ruling("second", record.ActQuarantine))
	if err := i.projector.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	var a App
	a.store = i.store
	if err := a.openVerdicts(t.Context(), []record.Verdict{ruling("first", record.ActRelease), ruling("third", record.ActQuarantine)}); err != nil {
		t.Fatal(err)
	}
	got := a.ruled(&gateway.Snapshot{}).Quarantined
	_, second := got[gateway.Target{Upstream: "second", Model: model}]
	_, third := got[gateway.Target{Upstream: "third", Model: model}]
	if !second || !third || len(got) != 2 {
		t.Errorf("in force: %v", got)
	}
}

// TestVerdictsOfReplicas: what one replica recorded acts in the other as well, and a
// verdict that the database does not have yet stays in force.
func TestVerdictsOfReplicas(t *testing.T) {
	t.Parallel()
	file, _, _ := twoWays(t, onPostgres(t, storetest.PostgresURL(t)))
	one, two := start(t, options(t.TempDir(), file)), start(t, options(t.TempDir(), file))
	one.decides(t, ruling("first", record.ActQuarantine))
	two.decides(t, ruling("second", record.ActQuarantine))
	both := func(i *instance, n int) {
		t.Helper()
		until(t, "the verdicts are followed", func() bool { return len(i.gateway.Snapshot().Quarantined) == n })
	}
	both(one, 2)
	both(two, 2)
	two.decides(t, ruling("first", record.ActRelease))
	both(one, 1)
	both(two, 1)
}
