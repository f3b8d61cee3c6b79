package main

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/verdict"
)

// open opens the recorded banks with the frozen settings.
func open(t *testing.T) (*library, *settings) {
	t.Helper()
	l, err := openLibrary(filepath.Join("..", "banks"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSettings(".")
	if err != nil {
		t.Fatal(err)
	}
	return l, s
}

// TestGrid runs a few audits of some rows on the recorded banks and asserts the
// direction only: what is another model is found, what is honest is not.
func TestGrid(t *testing.T) {
	l, s := open(t)
	const audits = 10
	s.Budget = 400
	for _, sc := range s.Dev { // the holdout's cells are not looked at
		d, err := deploy(l, s, &sc)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPool(s, l.questions, d.cells(), d.variants...)
		if err != nil {
			t.Fatal(err)
		}
		r := &run{settings: s, library: l, told: t.Logf}
		for _, row := range d.rows() {
			least, most := 0, 0
			switch row.id {
			case "R1", "R1 sibling", "R9":
				least, most = audits, audits
			case "R0", "R0c", "R5":
				most = 1
			default:
				continue
			}
			got, err := r.audits(t.Context(), row.id, audits, func(i int, seed [32]byte) (result, error) { return p.audit(t.Context(), &row, i, seed) })
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range bothNulls {
				if n == verdict.Same && row.id == "R0c" {
					continue // an honest variant is rightly told from the reference
				}
				for _, id := range []verdict.ID{"D3", "FUSED"} {
					if row.id == "R5" && id == "FUSED" {
						continue // traffic gives it away
					}
					if c := tallied(got, column(id, n)); c.n != audits || c.one < least || c.one > most {
						t.Errorf("%s, %s: %d of %d reject, want %d to %d", row.id, column(id, n), c.one, c.n, least, most)
					}
				}
			}
		}
	}
}

// TestOracles runs a few audits of simulated models and asserts the direction only. That
// every detector ran shows that the oracles know what they are asked.
func TestOracles(t *testing.T) {
	l, s := open(t)
	rows, err := oracleRows(s, &s.Dev[0], l.learnt)
	if err != nil {
		t.Fatal(err)
	}
	const audits = 6
	all := []string{column("D5", verdict.Same), column("D6", verdict.Same), column("D11", verdict.Same), column("FUSED", verdict.Same)}
	r := &run{settings: s, library: l, told: t.Logf}
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.id] {
			t.Errorf("two rows are called %s", row.id)
		}
		seen[row.id] = true
		found, known := map[string][]string{
			"R0, 0.95 to 0.5": {}, "R5": {}, "R1, 0.95 to 0.5": all, "R9": all, "R8": {column("D5", verdict.Same), column("FUSED", verdict.Same)},
		}[row.id]
		if !known {
			continue
		}
		got, err := r.audits(t.Context(), row.id, audits, func(i int, seed [32]byte) (result, error) { return row.against.audit(t.Context(), &row, i, seed) })
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range all {
			least, most := 0, 1
			if slices.Contains(found, name) {
				least, most = audits, audits
			}
			if c := tallied(got, name); c.n != audits || c.one < least || c.one > most {
				t.Errorf("%s, %s: %d of %d reject, want %d to %d of %d", row.id, name, c.one, c.n, least, most, audits)
			}
		}
	}
}

// TestProse: another model is told by its continuations, and the claimed one is not.
func TestProse(t *testing.T) {
	l, s := open(t)
	d, err := deploy(l, s, &s.Dev[0])
	if err != nil {
		t.Fatal(err)
	}
	for w, reject := range map[*writing]bool{d.writes("", 0): false, d.writes(d.Substitute, 1): true} {
		for i := range 3 {
			seen := curves{}
			if err := w.audit(t.Context(), [32]byte{byte(i)}, seen); err != nil {
				t.Fatal(err)
			}
			res, err := seen.result(i)
			if err != nil {
				t.Fatal(err)
			}
			if c := res.Crossed[column("D13", verdict.Same)]; c.N != proseBudget || c.One > 0 != reject {
				t.Errorf("audit %d of a share of %v: %+v", i, w.share, c)
			}
		}
	}
}

// TestWire audits some relays over HTTP, and finds what each should bear.
func TestWire(t *testing.T) {
	names := map[string]bool{}
	for i := range wireRows {
		row := &wireRows[i]
		if names[row.name()] {
			t.Errorf("two rows are called %s", row.name())
		}
		names[row.name()] = true
		switch row.name() {
		case "R0", "R1n", "R0 falling back", "R0 thinking", "R1n unthinking", "R0 copying", "R15:1 copying":
		default:
			continue
		}
		res, err := auditWire(t.Context(), row, 0, [32]byte{1})
		if err != nil {
			t.Fatal(err)
		}
		found := res.Labels[1:]
		if row.label == "" && len(found) > 0 || row.label != "" && !slices.ContainsFunc(found, func(l string) bool { return strings.HasSuffix(l, string(row.label)) }) {
			t.Errorf("%s: found %q, want %q", row.name(), found, row.label)
		}
		if len(res.Crossed) != len(wireDetectors[row.before]) {
			t.Errorf("%s: of %v there are results of %v", row.name(), wireDetectors[row.before], sortedKeys(res.Crossed))
		}
	}
}

// TestRewritten: of 213 whole lists three are rewritten with a chance of .8 by a relay
// that rewrites one in fifty.
func TestRewritten(t *testing.T) {
	r := wireRow{preset: "R15", before: copying}
	if got := r.rewritten(""); !strings.HasSuffix(got, "for .8 it takes 219") {
		t.Error(got)
	}
}

// TestBatch: what compares once rejects by p, after all of its questions.
func TestBatch(t *testing.T) {
	seen := curves{}
	seen.add(&verdict.Report{Detectors: []verdict.Result{
		{ID: "D11", State: verdict.Ran, Queries: 80, Evidence: []verdict.Evidence{{Null: verdict.Same, N: 1, P: .02, LogE: .3, MaxLogE: .3}}},
		{ID: "D13", State: verdict.Inconclusive, Queries: 80, Evidence: []verdict.Evidence{{Null: verdict.Same, N: 1, P: .001, LogE: 1, MaxLogE: 1}}},
	}})
	res, err := seen.result(3)
	if err != nil {
		t.Fatal(err)
	}
	if c := res.Crossed[column("D11", verdict.Same)]; c != (crossing{Five: 80, N: 80}) || res.Audit != 3 {
		t.Errorf("%+v", res)
	}
	if _, counted := res.Crossed[column("D13", verdict.Same)]; counted {
		t.Error("a detector that could not tell is counted")
	}
	if c := res.Crossed[column("FUSED", verdict.Same)]; c != (crossing{N: 80}) {
		t.Errorf("fused: %+v", c)
	}
}

// TestScenarios makes sure that every scenario can be run, before the run that counts.
func TestScenarios(t *testing.T) {
	l, s := open(t)
	for _, sc := range append(s.Dev, s.Holdout...) {
		d, err := deploy(l, s, &sc)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPool(s, l.questions, d.cells(), d.variants...)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(p.usable()); n < 8 {
			t.Errorf("%s: only %d cells count", sc.Name, n)
		}
		ids := map[string]bool{}
		for _, r := range d.rows() {
			if ids[r.id] {
				t.Errorf("%s: two rows are called %s", sc.Name, r.id)
			}
			ids[r.id] = true
		}
	}
}

// TestResume does again only what is not kept, and the same audits come out.
func TestResume(t *testing.T) {
	r := &run{dir: t.TempDir(), told: t.Logf}
	var ran atomic.Int64
	audit := func(i int, seed [32]byte) (result, error) {
		ran.Add(1)
		return result{Audit: i, Crossed: map[string]crossing{"x": {One: int(seed[0]) + 1, N: 300}}}, nil
	}
	first, err := r.audits(t.Context(), "row: a", 4, audit)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.dir, "row__a.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := r.audits(t.Context(), "row: a", 6, audit)
	if err != nil {
		t.Fatal(err)
	}
	if ran.Load() != 4+1+2 || len(second) != 6 {
		t.Errorf("%d audits ran, %d results", ran.Load(), len(second))
	}
	for i := range first {
		if first[i].Crossed["x"] != second[i].Crossed["x"] {
			t.Errorf("audit %d: %v and then %v", i, first[i], second[i])
		}
	}
}

// TestBanks refuses a bank with a flipped byte.
func TestBanks(t *testing.T) {
	l, _ := open(t)
	name := sortedKeys(l.banks)[0]
	raw, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	l.dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(l.dir, name), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.lines(name, func([]byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "manifest") {
		t.Errorf("a flipped byte: %v", err)
	}
}

// TestFreeze refuses changes that are not committed, but for the list of runs.
func TestFreeze(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "lab", "grid")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(arguments ...string) {
		t.Helper()
		c := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org"}, arguments...)...)
		c.Dir = root
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", arguments, err, out)
		}
	}
	write(settingsName, `{"train": 60}`)
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "freeze")
	s, err := readSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	run, err := freeze(t.Context(), dir, s, "banks")
	if err != nil || len(run.Frozen) != 40 || run.Frozen != run.Head {
		t.Fatalf("%+v, %v", run, err)
	}
	if err := announce(dir, run); err != nil {
		t.Fatal(err)
	}
	if runs, err := holdoutRuns(dir); err != nil || len(runs) != 1 || runs[0] != run {
		t.Errorf("%+v, %v", runs, err)
	}
	if _, err := freeze(t.Context(), dir, s, "banks"); err != nil {
		t.Errorf("after a run: %v", err)
	}
	write(settingsName, `{"train": 61}`)
	if _, err := freeze(t.Context(), dir, s, "banks"); err == nil {
		t.Error("changed settings are taken for frozen ones")
	}
}

func TestCrossings(t *testing.T) {
	curve := []verdict.Point{{X: 1, Y: 0}, {X: 2, Y: 1.4}, {X: 3, Y: 2}, {X: 4, Y: -1}}
	if c := crossings(curve, 2); c != (crossing{Five: 2, One: 3, N: 4}) {
		t.Errorf("%+v", c)
	}
	if c := crossings(curve[:2], 2.5); c != (crossing{Five: 2, One: 2, N: 2}) {
		t.Errorf("a level reached between two points: %+v", c)
	}
}

// TestServe checks temperatures, nuclei and distances by hand.
func TestServe(t *testing.T) {
	r := recording{"c": {{First: []token{{" a", .6}, {" b", .3}, {" ", .1}}, Then: map[string][]token{" ": {{"7", .9}, {"8", .1}}}}}}
	one := r.serve(serving{temperature: 1})["c"]
	want := map[string]float64{"a": .6, "b": .3, "7": .09, "8": .01}
	for w, p := range one.shares() {
		if math.Abs(p-want[w]) > 1e-9 {
			t.Errorf("%s has the share %v", w, p)
		}
	}
	cold := r.serve(serving{temperature: .5})["c"].shares()
	if math.Abs(cold["a"]-.36/.46) > 1e-9 || math.Abs(cold["7"]-.01/.46*.81/.82) > 1e-9 {
		t.Errorf("at half the temperature: %v", cold)
	}
	cut := r.serve(serving{temperature: 1, topP: .8})["c"]
	if len(cut.texts) != 2 || math.Abs(apart(one, cut)-.1) > 1e-9 {
		t.Errorf("a nucleus of .8: %v at %v", cut.shares(), apart(one, cut))
	}
	a, b := model{"c": one}, r.serve(serving{temperature: .1})
	if tv := apart(one, a.toward(b, .2)["c"]); math.Abs(tv-.2) > 1e-9 {
		t.Errorf("a sibling at .2 is at %v", tv)
	}
}
