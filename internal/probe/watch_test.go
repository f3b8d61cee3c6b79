package probe

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/evidence"
	"sallyport/internal/llm"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// talker is a model of texts: which words it likes, and how long it writes.
type talker struct {
	words  []string
	length int
	lists  float64
}

func (w talker) say(r *rand.Rand) *Said {
	var b strings.Builder
	for range w.length/2 + r.IntN(w.length) {
		if r.Float64() < w.lists {
			b.WriteString("\n- ")
		}
		b.WriteString(w.words[r.IntN(len(w.words))] + " ")
	}
	return &Said{Text: b.String(), Finish: llm.FinishStop}
}

var (
	vocabulary = strings.Fields("the of a model answer question time people system number way part long new good great work first little own see world day place hand right still between")
	claimed    = talker{vocabulary, 40, .05}
	honest2    = talker{vocabulary, 42, .06} // another deployment of it
	cheaper    = talker{append(strings.Fields("indeed certainly delve tapestry sure happy"), vocabulary[:14]...), 30, .15}
)

// talks feeds a watch with pairs until it concludes, or for n of them.
func talks(t *testing.T, w *Watch, r *rand.Rand, n int, suspect func(i int) talker, trusted ...talker) (pairs int) {
	t.Helper()
	for i := range n {
		at := time.Date(2026, 11, 1, 0, 0, i, 0, time.UTC)
		o := &Observed{At: at.UnixMicro(), Strata: StrataOf(100+i%3*4000, i%4 == 0, at), Suspect: Features(suspect(i).say(r))}
		for _, m := range trusted {
			o.Trusted = append(o.Trusted, Features(m.say(r)))
		}
		o.Strange = make([]bool, 1+len(trusted))
		w.Observe("relay", "m", o)
	}
	return n
}

type conclusion struct {
	Standing
	bundle string
}

func openWatch(t *testing.T, dir string, references ...string) (*Watch, *[]conclusion) {
	t.Helper()
	var all []conclusion
	w, err := OpenWatch(WatchConfig{
		Dir: dir, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32)), Logger: slog.New(slog.DiscardHandler),
		Streams:   []Stream{{Upstream: "relay", Model: "m", References: references, Monthly: Monthly{Pairs: 1000}}},
		Concluded: func(s Standing, bundle string) bool { all = append(all, conclusion{s, bundle}); return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, &all
}

func only(w talker) func(int) talker { return func(int) talker { return w } }

// TestWatchFindsSwap: another model is found on traffic alone, the verdict's bundle
// verifies, and no flipped byte passes.
func TestWatchFindsSwap(t *testing.T) {
	dir := t.TempDir()
	w, found := openWatch(t, dir, "a", "b")
	r := stat.Rand(stat.Seed([32]byte{}, "swap"))
	talks(t, w, r, 200, only(cheaper), claimed, honest2)
	var last *conclusion
	for i, c := range *found {
		if c.Null == verdict.Honest && c.Level == verdict.LevelQuarantine {
			last = &(*found)[i]
		}
		if c.Null == verdict.Same && c.Level == verdict.LevelQuarantine {
			t.Error("H_same alone reaches quarantine")
		}
	}
	if last == nil {
		t.Fatalf("concluded %+v; standing %+v", *found, w.Standings())
	}
	t.Logf("quarantine after %d pairs, M = 10^%.1f", last.N, last.LogM)
	if want := math.Log10(120 * 1000); last.LogM < want || last.Months != 120 {
		t.Errorf("quarantine at 10^%.2f with %g months, want 10^%.2f and 120", last.LogM, last.Months, want)
	}
	file, err := os.ReadFile(filepath.Join(dir, last.bundle+".bundle"))
	if err != nil {
		t.Fatal(err)
	}
	st, sealed, err := VerifyWatch(bytes.NewReader(file))
	if err != nil || st.Level != verdict.LevelQuarantine || sealed.SHA256 != last.bundle {
		t.Fatalf("%+v, %v", st, err)
	}
	noFlipPasses(t, file)
	// Sealed anew by somebody who changed the conclusion, it leads elsewhere.
	line, frames, _ := bytes.Cut(sealed.Payload, []byte{'\n'})
	forged := append(bytes.Replace(line, []byte(`"level":"quarantine"`), []byte(`"level":"none"`), 1), '\n')
	var again bytes.Buffer
	if _, err := evidence.Seal(&again, WatchKind, nil, append(forged, frames...)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := VerifyWatch(&again); !errors.Is(err, ErrOtherEnd) {
		t.Errorf("a forged conclusion: %v", err)
	}
}

// noFlipPasses flips a bit at some two hundred places of a bundle.
func noFlipPasses(t *testing.T, file []byte) {
	t.Helper()
	for i := 0; i < len(file); i += 1 + len(file)/200 {
		broken := bytes.Clone(file)
		broken[i] ^= 1
		if _, _, err := VerifyWatch(bytes.NewReader(broken)); !errors.Is(err, evidence.ErrBroken) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
}

// TestWatchLeavesHonestAlone: neither the reference's own answers nor those of another
// honest deployment, nor a mixture of both, are held against an upstream under
// H_honest.
func TestWatchLeavesHonestAlone(t *testing.T) {
	for name, suspect := range map[string]func(int) talker{
		"reference": only(claimed), "other deployment": only(honest2),
		"failover": func(i int) talker { return []talker{claimed, honest2}[i/50%2] },
	} {
		t.Run(name, func(t *testing.T) {
			w, found := openWatch(t, t.TempDir(), "a", "b")
			talks(t, w, stat.Rand(stat.Seed([32]byte{}, name)), 1500, suspect, claimed, honest2)
			for _, c := range *found {
				if c.Null == verdict.Honest && c.Level.AtLeast(verdict.LevelWarning) {
					t.Errorf("%+v", c.Standing)
				}
			}
		})
	}
}

// TestWatchOneReference: with one honest deployment nothing takes an upstream out.
func TestWatchOneReference(t *testing.T) {
	w, found := openWatch(t, t.TempDir(), "a")
	talks(t, w, stat.Rand(stat.Seed([32]byte{}, "one")), 300, only(cheaper), claimed)
	if len(*found) == 0 {
		t.Fatal("nothing was concluded")
	}
	for _, c := range *found {
		if c.Null != verdict.Same || c.Level == verdict.LevelQuarantine {
			t.Errorf("%+v", c.Standing)
		}
	}
}

// TestWatchGoesOn: a restart comes to where the process was, also after a crash in the
// middle of a frame; what was concluded is not concluded again.
func TestWatchGoesOn(t *testing.T) {
	dir := t.TempDir()
	w, found := openWatch(t, dir, "a", "b")
	r := stat.Rand(stat.Seed([32]byte{}, "restart"))
	talks(t, w, r, 120, only(cheaper), claimed, honest2)
	before := fmt.Sprintf("%+v", w.Standings())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if len(*found) == 0 {
		t.Fatal("nothing was concluded")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.frames"))
	file, err := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte{200, 1, 7, 7}); err != nil {
		t.Fatal(err)
	}
	file.Close()
	w, again := openWatch(t, dir, "a", "b")
	if after := fmt.Sprintf("%+v", w.Standings()); after != before {
		t.Errorf("before %s\nafter %s", before, after)
	}
	talks(t, w, r, 5, only(cheaper), claimed, honest2)
	if len(*again) != 0 {
		t.Errorf("concluded again: %+v", *again)
	}
	if err := w.Restart("relay", "m"); err != nil {
		t.Fatal(err)
	}
	for _, s := range w.Standings() {
		if s.N != 0 || s.Level != verdict.LevelNone {
			t.Errorf("after a restart %+v", s)
		}
	}
	talks(t, w, r, 5, only(claimed), claimed, honest2)
	if len(*again) != 0 {
		t.Errorf("concluded of nothing: %+v", *again)
	}
}

// TestWatchSpeaksAgain: one bad hour silences a stream until it is among the last
// thousand observations no more. What came meanwhile is not bet on, then or later; and a
// restart and the bundle come to the same.
func TestWatchSpeaksAgain(t *testing.T) {
	dir := t.TempDir()
	w, found := openWatch(t, dir, "a", "b")
	r := stat.Rand(stat.Seed([32]byte{}, "bad hour"))
	const well, lost, bad = 100, 30, 60
	talks(t, w, r, well, only(claimed), claimed, honest2)
	for range lost {
		w.Observe("relay", "m", &Observed{At: 1, Dropped: true})
	}
	talks(t, w, r, bad, only(cheaper), claimed, honest2) // what is missing may depend on the answers
	if s := w.Standings()[0]; !strings.Contains(s.Silent, "30 of the last 190 real requests") || s.Sense("D4").N != well || len(*found) != 0 {
		t.Fatalf("%d found, %+v", len(*found), s)
	}
	// The last of those silent is the one with which the tenth failure leaves the window.
	silent := mostTold - lost - bad + 10
	talks(t, w, r, silent-1, only(claimed), claimed, honest2)
	if s := w.Standings()[0]; s.Silent == "" || s.Sense("D4").N != well {
		t.Fatalf("too soon: %+v", s)
	}
	talks(t, w, r, 1+200, only(claimed), claimed, honest2)
	for _, s := range w.Standings() {
		if s.Silent != "" || s.Level != verdict.LevelNone || s.Senses[0].Lost != lost || s.Senses[0].N != well+200 {
			t.Errorf("it does not speak again: %+v", s)
		}
	}
	talks(t, w, r, 400, only(cheaper), claimed, honest2)
	if len(*found) == 0 {
		t.Fatalf("nothing was found: %+v", w.Standings())
	}
	for _, c := range *found {
		file, err := os.ReadFile(filepath.Join(dir, c.bundle+".bundle"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := VerifyWatch(bytes.NewReader(file)); err != nil {
			t.Error(err)
		}
	}
	before := w.Standings()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := openWatch(t, dir, "a", "b")
	if diff := cmp.Diff(before, again.Standings()); diff != "" {
		t.Error(diff)
	}
}

// TestWatchDropped: where too many requests could not be compared nothing is
// concluded, and a month has no more comparisons than its alarm levels promise.
func TestWatchDropped(t *testing.T) {
	w, found := openWatch(t, t.TempDir(), "a", "b")
	for range 20 {
		w.Observe("relay", "m", &Observed{At: 1, Dropped: true})
	}
	talks(t, w, stat.Rand(stat.Seed([32]byte{}, "dropped")), 150, only(cheaper), claimed, honest2)
	for _, c := range *found {
		if c.N > 50 {
			t.Errorf("concluded %+v", c.Standing)
		}
	}
	for _, s := range w.Standings() {
		if s.Silent == "" || s.Level != verdict.LevelNone {
			t.Errorf("%+v", s)
		}
	}
	at := time.Date(2026, 11, 1, 1, 0, 0, 0, time.UTC)
	if !w.May("relay", "m", Pair, at) || w.May("other", "m", Pair, at) {
		t.Error("who may compare is wrong")
	}
	talks(t, w, stat.Rand(stat.Seed([32]byte{}, "more")), 1000, only(claimed), claimed, honest2)
	if w.May("relay", "m", Pair, at) {
		t.Error("the month's comparisons are used up")
	}
	if !w.May("relay", "m", Pair, at.AddDate(0, 1, 0)) {
		t.Error("the next month has its own")
	}
}

// FuzzFrames: nothing that stands in a file of frames does harm, and what is read is
// written the same.
func FuzzFrames(f *testing.F) {
	o := &Observed{At: 5, Strata: []int{0, 3}, Suspect: Features(&Said{Text: "hello world"}), Trusted: [][]stat.Feature{Features(&Said{Text: "hello"})}, Strange: []bool{true, false}}
	o.round()
	f.Add(appendFrame(appendFrame(nil, o), &Observed{At: 6, Dropped: true}))
	for _, o := range []*Observed{
		{At: 7, Kind: Word, Cell: 3, Words: []string{"seven", "LENGTH", ""}},
		{At: 8, Kind: Item, Solved: []bool{true, false, true}},
		{At: 9, Kind: Bill, Reported: 110, Counted: 100},
		{At: 10, Kind: Afresh, Drawn: []int{1, 0, 7}, Spent: []int{5, 4, 3, 2, 0}},
	} {
		f.Add(appendFrame(nil, o))
	}
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		whole, _ := readFrames(bytes.NewReader(b), func(o *Observed) error { again = appendFrame(again, o); return nil })
		if whole > int64(len(b)) {
			t.Fatalf("%d of %d bytes are whole", whole, len(b))
		}
		var third []byte
		if _, err := readFrames(bytes.NewReader(again), func(o *Observed) error { third = appendFrame(third, o); return nil }); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%v: %x and %x", err, again, third)
		}
	})
}
