package probe

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// answerer answers one-word questions by a distribution of its own in every cell, and
// solves items with a probability.
type answerer struct {
	name   string
	skill  float64
	tilt   float64 // moves the distribution away from the family's
	family string
}

var (
	woods  = strings.Fields("ash birch cedar elm fir maple oak pine")
	stones = strings.Fields("agate birch flint jade maple onyx opal slate")
)

// word draws a word for a cell.
func (a answerer) word(cell string, r *rand.Rand) string {
	letters := woods
	if a.family != genuine.family {
		letters = stones
	}
	k := stat.Rand(stat.Seed([32]byte{}, "cell", a.family, cell)).Perm(len(letters))
	x := r.Float64()
	if r.Float64() < a.tilt {
		x *= x
	}
	// Weights that fall by half: an entropy of about two bits.
	for i := range letters {
		if x -= 1 / float64(int(2)<<i); x < 0 {
			return letters[k[i]]
		}
	}
	return letters[k[0]]
}

// says answers a question.
func (a answerer) says(q *Question, cell string, r *rand.Rand) *Said {
	text := a.word(cell, r)
	if q.kind == Item {
		text = "no idea"
		if r.Float64() < a.skill {
			text = q.item.Answer
		}
	}
	return &Said{Text: text, Finish: llm.FinishStop}
}

var (
	genuine = answerer{"genuine", .8, 0, "one"}
	close2  = answerer{"another deployment", .8, .15, "one"}
	swapped = answerer{"another model", .35, 0, "two"}
)

// watching opens a watch that asks.
func watching(t *testing.T, dir string, m Monthly, recorded *reference.Opened, references ...string) (*Watch, *[]conclusion) {
	t.Helper()
	var all []conclusion
	s := Stream{Upstream: "relay", Model: "m", References: references, Monthly: m}
	cfg := WatchConfig{
		Dir: dir, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32)), Logger: slog.New(slog.DiscardHandler),
		Concluded: func(s Standing, bundle string) bool { all = append(all, conclusion{s, bundle}); return false },
	}
	if recorded != nil {
		s.Recorded, cfg.Recorded = recorded.ID, map[string]*reference.Opened{recorded.ID: recorded}
	}
	cfg.Streams = []Stream{s}
	w, err := OpenWatch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, &all
}

// questioned asks n questions of a suspect and its references.
func questioned(t *testing.T, w *Watch, r *rand.Rand, n int, suspect func(i int) answerer, trusted ...answerer) {
	t.Helper()
	x := w.stream("relay", "m")
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		q, err := w.Question("relay", "m", at)
		if err != nil || q == nil {
			t.Fatalf("question %d: %v, %v", i, q, err)
		}
		cell := ""
		if q.kind == Word {
			ids, _ := watchedWords(x.Stream, nil)
			if x.control != nil {
				ids, _ = watchedWords(x.Stream, x.control.base)
			}
			cell = ids[q.cell]
		}
		var beside []*Said
		for _, a := range trusted {
			beside = append(beside, a.says(q, cell, r))
		}
		w.Answered("relay", "m", q, at, suspect(i).says(q, cell, r), beside)
	}
}

func as(a answerer) func(int) answerer { return func(int) answerer { return a } }

const plenty = 1_000_000 // a month, so that tests may ask on

// TestWatchAsks: one-word questions and items tell another model from every deployment,
// and no honest one from them; the bundle verifies, and no flipped byte passes.
func TestWatchAsks(t *testing.T) {
	m := Monthly{Words: plenty, Items: plenty / 10}
	for name, suspect := range map[string]func(int) answerer{
		"reference": as(genuine), "other deployment": as(close2),
		"failover": func(i int) answerer { return []answerer{genuine, close2}[i/50%2] },
	} {
		w, found := watching(t, t.TempDir(), m, nil, "a", "b")
		questioned(t, w, stat.Rand(stat.Seed([32]byte{}, name)), 3000, suspect, genuine, close2)
		for _, c := range *found {
			if c.Null == verdict.Honest {
				t.Errorf("%s: %+v", name, c.Standing)
			}
		}
	}
	dir := t.TempDir()
	w, found := watching(t, dir, m, nil, "a", "b")
	questioned(t, w, stat.Rand(stat.Seed([32]byte{}, "swapped")), 3000, as(swapped), genuine, close2)
	var last *conclusion
	for i, c := range *found {
		if c.Null == verdict.Honest && c.Level == verdict.LevelQuarantine {
			last = &(*found)[i]
		}
	}
	if last == nil {
		t.Fatalf("found %+v, standing %+v", *found, w.Standings())
	}
	t.Logf("quarantine after %d observations: %s", last.N, last.Wording())
	if last.Foremost() != "D3" || last.Sense("D5").N == 0 {
		t.Errorf("%+v", last.Senses)
	}
	file, err := os.ReadFile(filepath.Join(dir, last.bundle+".bundle"))
	if err != nil {
		t.Fatal(err)
	}
	if st, _, err := VerifyWatch(bytes.NewReader(file)); err != nil || st.N != last.N {
		t.Fatalf("%+v, %v", st, err)
	}
	noFlipPasses(t, file)
}

// TestWatchFixedAnswers: where a reference answers each question always in the same way,
// the others are tried, and when none is left the stream says why it says nothing.
func TestWatchFixedAnswers(t *testing.T) {
	w, _ := watching(t, t.TempDir(), Monthly{Words: plenty}, nil, "a")
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	always := &Said{Text: "seven", Finish: llm.FinishStop}
	all, asked := len(cellsIn(WorkDress)), 0
	for ; asked < 2*all*watchedTrain; asked++ {
		q, err := w.Question("relay", "m", at)
		if err != nil {
			t.Fatal(err)
		}
		if q == nil {
			break
		}
		w.Answered("relay", "m", q, at, always, []*Said{always})
	}
	if st := w.Standings()[0]; !strings.Contains(st.Silent, "entropy") || asked < (all-minCells)*watchedTrain {
		t.Errorf("after %d questions in %d cells: %+v", asked, all, st)
	}
}

// TestWatchFailures: a reference's failures are nobody's fault; where the suspect fails
// too often nothing is concluded.
func TestWatchFailures(t *testing.T) {
	w, _ := watching(t, t.TempDir(), Monthly{Words: plenty}, nil, "a")
	r := stat.Rand(stat.Seed([32]byte{}, "failures"))
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for i := range 100 {
		q, err := w.Question("relay", "m", at)
		if err != nil {
			t.Fatal(err)
		}
		good := genuine.says(q, "x", r)
		switch i % 4 {
		case 0:
			w.Answered("relay", "m", q, at, good, []*Said{nil})
		case 1:
			w.Answered("relay", "m", q, at, &Said{Failed: true}, []*Said{good})
		default:
			w.Answered("relay", "m", q, at, good, []*Said{good})
		}
	}
	st := w.Standings()[0]
	if d := st.Sense("D3"); d.Lost != 25 || st.Silent == "" || st.Level != verdict.LevelNone {
		t.Errorf("%+v", st)
	}
	if n := w.Spent("relay", "m", Word, at); n != 75 {
		t.Errorf("%d observations are counted", n)
	}
}

// TestWatchBills: over-billing by a tenth is found on counted answers; honest reports,
// with the token that ends an answer, are not.
func TestWatchBills(t *testing.T) {
	for _, c := range []struct {
		factor float64
		found  bool
	}{{1, false}, {1.1, true}} {
		w, found := watching(t, t.TempDir(), Monthly{Bills: 3000}, nil, "a")
		r := stat.Rand(stat.Seed([32]byte{}, fmt.Sprint(c.factor)))
		for range 400 {
			counted := 60 + r.IntN(300)
			w.Observe("relay", "m", &Observed{At: 1, Kind: Bill, Counted: counted, Reported: int(c.factor*float64(counted)) + r.IntN(2)})
		}
		w.Observe("relay", "m", &Observed{At: 1, Kind: Bill, Counted: 3, Reported: 300}) // too short to tell
		st := w.Standings()[0]
		if reached := len(*found) > 0; reached != c.found || st.Null != verdict.Billing || st.Sense("D7").N != 400 {
			t.Errorf("x%g: %+v", c.factor, st)
		}
		if c.found {
			if st.Level != verdict.LevelWarning {
				t.Errorf("x%g reaches %s", c.factor, st.Level)
			}
			t.Logf("x1.1 is found after %d answers", (*found)[0].N)
		}
	}
}

// recordedOf is a stored reference of an answerer.
func recordedOf(t *testing.T, a answerer, train, bank int) *reference.Opened {
	t.Helper()
	r := stat.Rand(stat.Seed([32]byte{}, "recorded", a.name))
	ref := &reference.Reference{
		Name: "stored", Model: "m", Recorded: time.Now(), Expires: time.Now().AddDate(0, 1, 0), Program: "test",
		Protocol: reference.Protocol{Model: "m", Dialect: "openai", Questions: versionOf(WorkDress), Dress: WorkDress},
		Variants: []reference.Variant{{Name: "a", Host: "a.example", Kind: "openai", Class: "vetted"}},
	}
	for _, id := range cellsIn(WorkDress)[:8] {
		sample := newAlphabet(1)
		var answers []string
		for range train + bank {
			answers = append(answers, a.word(id, r))
		}
		sample.train[0], sample.bank[0] = sample.add(answers[:train]), sample.add(answers[train:])
		ref.Words = append(ref.Words, sample.cell(id))
	}
	var file bytes.Buffer
	o, err := reference.Seal(&file, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, 32)), ref)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestWatchControl: where the reference no longer answers as it was recorded, nothing is
// concluded of the suspect; where it does, everything is. Each stored sample is used once,
// also after a beginning afresh, and the bundle verifies with the reference in it.
func TestWatchControl(t *testing.T) {
	m := Monthly{Words: plenty}
	w, found := watching(t, t.TempDir(), m, recordedOf(t, genuine, 60, 200), "a", "b")
	questioned(t, w, stat.Rand(stat.Seed([32]byte{}, "changed")), 4000, as(genuine), swapped, swapped)
	for _, s := range w.Standings() {
		if s.Control == nil || !s.Control.Changed || s.Silent == "" || s.Level != verdict.LevelNone {
			t.Errorf("a changed reference: %+v", s)
		}
	}
	for _, c := range *found {
		if c.Control.Changed {
			t.Errorf("concluded though the reference changed: %+v", c.Standing)
		}
	}

	dir, recorded := t.TempDir(), recordedOf(t, genuine, 60, 200)
	w, found = watching(t, dir, m, recorded, "a", "b")
	questioned(t, w, stat.Rand(stat.Seed([32]byte{}, "same")), 2000, as(swapped), genuine, close2)
	if len(*found) == 0 {
		t.Fatal("nothing was concluded beside a reference that did not change")
	}
	last := (*found)[len(*found)-1]
	file, err := os.ReadFile(filepath.Join(dir, last.bundle+".bundle"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := VerifyWatch(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	before := w.Standings()[0].Control
	if err := w.Restart("relay", "m"); err != nil {
		t.Fatal(err)
	}
	if after := w.Standings()[0].Control; after.Left != before.Left || after.N != 0 {
		t.Errorf("before %+v, after a beginning afresh %+v", before, after)
	}
	if before.N != 200 || before.Left != 8*200-200 || before.Days > 1 {
		t.Errorf("%+v", before)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, _ = watching(t, dir, m, recorded, "a", "b")
	if again := w.Standings()[0].Control; again.Left != before.Left {
		t.Errorf("after another start %+v", again)
	}
}
