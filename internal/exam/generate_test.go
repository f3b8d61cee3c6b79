package exam

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// seedOf is a seed for tests.
func seedOf(i int) [32]byte {
	return Seed([]byte("secret of the tests"), "endpoint", "2026-11", uint64(i))
}

// must makes an item or fails the test.
func must(t *testing.T, family string, difficulty, seed int, opts Options) Item {
	t.Helper()
	item, err := Generate(family, difficulty, seedOf(seed), opts)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// variants are the options that every family is tried with.
var variants = []Options{{}, {Brief: true}, {Choices: 4}}

// every runs f over all families, difficulties and some seeds and options.
func every(t *testing.T, seeds int, f func(t *testing.T, item Item, opts Options)) {
	for _, family := range Families() {
		t.Run(family.Name, func(t *testing.T) {
			for difficulty := 1; difficulty <= MaxDifficulty; difficulty++ {
				for seed := range seeds {
					for _, opts := range variants {
						if family.Name == "format" && opts.Choices > 0 {
							continue
						}
						f(t, must(t, family.Name, difficulty, seed, opts), opts)
					}
				}
			}
		})
	}
}

func TestSeedsDiffer(t *testing.T) {
	seen := map[[32]byte]string{}
	for _, secret := range []string{"", "a", "b"} {
		for _, pair := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"", "abc"}, {"abc", ""}} {
			for i := range uint64(3) {
				name := fmt.Sprint(secret, pair, i)
				seed := Seed([]byte(secret), pair[0], pair[1], i)
				if other, dup := seen[seed]; dup {
					t.Errorf("%s has the seed of %s", name, other)
				}
				seen[seed] = name
			}
		}
	}
}

func TestGenerateIsDeterministic(t *testing.T) {
	every(t, 2, func(t *testing.T, item Item, opts Options) {
		again, err := Generate(item.Family, item.Difficulty, item.Seed, opts)
		if err != nil || !reflect.DeepEqual(item, again) {
			t.Fatalf("the same arguments give another item (%v):\n%s\n---\n%s", err, item.Prompt, again.Prompt)
		}
	})
}

// A question that its solver answers otherwise, or in two ways, is never given out.
func TestGenerateNeedsOneAnswer(t *testing.T) {
	draws := 0
	build := func(solutions func() []string) func(draw, string, int) (problem, bool) {
		return func(draw, string, int) (problem, bool) {
			draws++
			return problem{size: 1, body: "?", kind: Number, answer: "1", solve: solutions}, true
		}
	}
	for name, solutions := range map[string][]string{"none": nil, "another": {"2"}, "two": {"1", "1"}} {
		draws = 0
		f := family{name, "", "en", []string{"«body»"}, build(func() []string { return solutions })}
		if item, err := f.generate(1, seedOf(0), Options{}); err == nil || draws != attempts {
			t.Errorf("%s: %+v after %d draws", name, item, draws)
		}
	}
	draws = 0
	f := family{"late", "", "en", []string{"«body»"}, build(func() []string {
		if draws < 3 {
			return []string{"1", "2"}
		}
		return []string{"1"}
	})}
	if _, err := f.generate(1, seedOf(0), Options{}); err != nil || draws != 3 {
		t.Errorf("%v after %d draws", err, draws)
	}
}

func TestGenerateRefuses(t *testing.T) {
	if _, err := Generate("nonsense", 1, seedOf(0), Options{}); !errors.Is(err, ErrUnknownFamily) {
		t.Errorf("unknown family: %v", err)
	}
	if _, err := Generate("format", 1, seedOf(0), Options{Choices: 4}); !errors.Is(err, ErrNoChoices) {
		t.Errorf("format as multiple choice: %v", err)
	}
	for _, difficulty := range []int{-1, 0, 11} {
		if _, err := Generate("units", difficulty, seedOf(0), Options{}); err == nil {
			t.Errorf("difficulty %d is accepted", difficulty)
		}
	}
	for _, choices := range []int{-1, 1, 11} {
		if _, err := Generate("units", 1, seedOf(0), Options{Choices: choices}); err == nil {
			t.Errorf("%d choices are accepted", choices)
		}
	}
}

// leftovers are signs of a text that was not filled, and of values that cannot be.
var leftovers = regexp.MustCompile(`[«»]|%!|<nil>|\b(?:2[4-9]|[3-9]\d):\d\d\b|\b\d\d:[6-9]\d\b|(?:^|[ (])-\d+ (?:minutes|Minuten|minutos|days|km|kg|units|percent|EUR)|NaN`)

func TestPromptsAreWhole(t *testing.T) {
	every(t, 6, func(t *testing.T, item Item, _ Options) {
		if found := leftovers.FindString(item.Prompt + item.System); found != "" {
			t.Errorf("%q in:\n%s", found, item.Prompt)
		}
		if item.Answer == "" || item.MaxTokens <= 0 || item.Size <= 0 {
			t.Errorf("incomplete: %+v", item)
		}
		if item.Kind == Choice {
			for i, c := range item.Choices {
				if c == "" || slices.Index(item.Choices, c) != i {
					t.Errorf("choices %q", item.Choices)
				}
			}
		}
	})
}

func TestPromptsAreUnique(t *testing.T) {
	for _, family := range Families() {
		seen := map[string]int{}
		seeds := 1000
		if family.Name == "needle" {
			seeds = 200 // long texts
		}
		skeletons := map[int]bool{}
		for seed := range seeds {
			item := must(t, family.Name, 3, seed, Options{})
			if other, dup := seen[item.Prompt]; dup {
				t.Errorf("%s: seeds %d and %d give the same prompt", family.Name, other, seed)
			}
			seen[item.Prompt] = seed
			skeletons[item.Skeleton] = true
		}
		if len(skeletons) != family.Skeletons {
			t.Errorf("%s: %d of %d paraphrases are used", family.Name, len(skeletons), family.Skeletons)
		}
	}
}

func TestFamilies(t *testing.T) {
	if n := len(Families()); n < 22 {
		t.Errorf("%d families", n)
	}
	names, texts := map[string]bool{}, map[string]string{}
	for _, f := range families {
		if names[f.name] || f.about == "" {
			t.Errorf("family %q is repeated or not described", f.name)
		}
		names[f.name] = true
		if len(f.skeletons) < 5 {
			t.Errorf("%s has %d paraphrases", f.name, len(f.skeletons))
		}
		for _, s := range f.skeletons {
			// The bare story is a paraphrase that families share.
			if other, dup := texts[s]; dup && s != "«story»\n\n«ask»" || dup && other == f.name {
				t.Errorf("%s and %s share the paraphrase %q", other, f.name, s)
			}
			texts[s] = f.name
		}
		if asides[f.language] == nil || wrappers[f.language] == nil || instructions[f.language].final == nil {
			t.Errorf("%s: no texts for language %q", f.name, f.language)
		}
	}
}

func TestNamesDoNotMeet(t *testing.T) {
	for _, list := range [][]string{names, colleagues, plainWords} {
		if len(slices.Compact(slices.Sorted(slices.Values(list)))) != len(list) {
			t.Errorf("repeated: %q", list)
		}
	}
	for _, name := range colleagues {
		if slices.Contains(names, name) {
			t.Errorf("%s is a person of questions and of asides", name)
		}
	}
}

func TestDifficultyGrows(t *testing.T) {
	for _, family := range Families() {
		var last Item
		for difficulty := 1; difficulty <= MaxDifficulty; difficulty++ {
			item := must(t, family.Name, difficulty, 1, Options{})
			if item.Size < last.Size {
				t.Errorf("%s: size %d at difficulty %d after %d", family.Name, item.Size, difficulty, last.Size)
			}
			last = item
		}
		if first := must(t, family.Name, 1, 1, Options{}); last.Size < first.Size+2 {
			t.Errorf("%s: size grows from %d to %d only", family.Name, first.Size, last.Size)
		}
		length := func(difficulty int) int {
			sum := 0
			for seed := range 20 {
				sum += len(must(t, family.Name, difficulty, seed, Options{}).Prompt)
			}
			return sum
		}
		if a, b := length(1), length(10); b <= a {
			t.Errorf("%s: prompts shrink from %d to %d bytes", family.Name, a/20, b/20)
		}
	}
}

func TestAnswersAreNotConstant(t *testing.T) {
	for _, family := range Families() {
		count := map[string]int{}
		for seed := range 100 {
			count[must(t, family.Name, 5, seed, Options{}).Answer]++
		}
		for answer, n := range count {
			if n > 60 {
				t.Errorf("%s: %q is the answer of %d in 100", family.Name, answer, n)
			}
		}
	}
}

func TestChoiceLetterIsUniform(t *testing.T) {
	for _, n := range []int{2, 4, 5} {
		count := make([]float64, n)
		const draws = 4000
		for seed := range draws {
			item := must(t, "units", 2, seed, Options{Choices: n})
			count[strings.Index(letters, item.Answer)]++
		}
		chi2 := 0.0
		for _, c := range count {
			expected := float64(draws) / float64(n)
			chi2 += (c - expected) * (c - expected) / expected
		}
		if limit := map[int]float64{2: 10.83, 4: 16.27, 5: 18.47}[n]; chi2 > limit { // quantiles .999
			t.Errorf("%d options: %v, chi2 %.1f", n, count, chi2)
		}
	}
}

// The right number is not to be found by its rank among the options.
func TestChoiceRankIsOpen(t *testing.T) {
	below := 0
	for seed := range 1000 {
		item := must(t, "units", 2, seed, Options{Choices: 2})
		right := mustRat(item.Choices[strings.Index(letters, item.Answer)])
		wrong := mustRat(item.Choices[1-strings.Index(letters, item.Answer)])
		if wrong.Cmp(right) < 0 {
			below++
		}
	}
	if below < 420 || below > 580 {
		t.Errorf("the wrong option is the smaller one in %d of 1000", below)
	}
}

func TestCorrected(t *testing.T) {
	for _, c := range []struct {
		right, asked, options int
		want                  float64
	}{{25, 100, 4, 0}, {100, 100, 4, 1}, {75, 100, 2, 0.5}, {0, 100, 2, -1}, {0, 0, 4, 0}, {1, 1, 1, 0}} {
		if got := Corrected(c.right, c.asked, c.options); got != c.want {
			t.Errorf("Corrected(%d, %d, %d) = %v, want %v", c.right, c.asked, c.options, got, c.want)
		}
	}
}
