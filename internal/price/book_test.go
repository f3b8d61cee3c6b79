package price

import (
	"testing"
	"time"

	"sallyport/internal/llm"
)

func day(t *testing.T, date string) int64 {
	t.Helper()
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		t.Fatal(err)
	}
	return d.UnixMicro()
}

func flat(id, model string, p Pico) Card {
	return Card{ID: id, Provider: "p", Model: model, Rates: Rates{llm.Input: p}}
}

func TestBookValidity(t *testing.T) {
	old, now, next := flat("old", "m", 1), flat("now", "m", 2), flat("next", "m", 3)
	old.Until, now.From, now.Until, next.From = 100, 100, 200, 300
	night := flat("night", "m", 4)
	night.From, night.Until, night.Daily = 100, 200, Window{0, 1}
	for _, order := range [][]Card{{old, now, next}, {next, old, now}, {now, next, old}} {
		b := NewBook(order)
		for at, want := range map[int64]string{0: "old", 99: "old", 100: "now", 199: "now", 200: "", 299: "", 300: "next", 1 << 60: "next"} {
			if c, ok := b.At("p", "m", at); c.ID != want || ok != (want != "") {
				t.Errorf("at %d the card is %q, want %q", at, c.ID, want)
			}
		}
	}
	if c, _ := NewBook([]Card{now, night}).At("p", "m", 150); c.ID != "night" {
		t.Errorf("within its part of the day the card is %q, want night", c.ID)
	}
}

func TestBookAuthority(t *testing.T) {
	dated := flat("builtin", "m", 1)
	dated.From = 1000
	dated.Names = []Rule{{Op: Prefix, Text: "m"}}
	override := flat("override", "M", 2)
	later := flat("later", "m-2", 3)
	later.From = 5000
	b := NewBook([]Card{dated}, []Card{override, later})
	for _, c := range []struct {
		model string
		at    int64
		want  string
	}{
		{"m", 2000, "override"},   // whatever the dates, the operator's word counts
		{" M ", 2000, "override"}, // names fold
		{"m-1", 2000, "builtin"},  // an override is for its name alone
		{"m-2", 2000, "builtin"},  // not yet valid
		{"m-2", 5000, "later"},
		{"n", 2000, ""},
	} {
		if got, _ := b.At("p", c.model, c.at); got.ID != c.want {
			t.Errorf("%s at %d: card %q, want %q", c.model, c.at, got.ID, c.want)
		}
	}
	if b.Len() != 3 {
		t.Errorf("the book has %d cards, want 3", b.Len())
	}
	again := flat("builtin", "m", 9)
	if c, _ := NewBook([]Card{dated}, []Card{again}).At("p", "m-1", 2000); c.ID != "" {
		t.Errorf("a card that a later list replaced by id is still found: %+v", c)
	}
}

// TestBookOrder: the first model in the list wins, exact name or not.
func TestBookOrder(t *testing.T) {
	named := func(id string, rules ...Rule) Card {
		c := flat(id, id, 1)
		c.Names = rules
		return c
	}
	cards := []Card{
		named("a", Rule{Op: Equals, Text: "x-1"}),
		named("b", Rule{Op: Prefix, Text: "x-"}, Rule{Op: Equals, Text: "Q"}),
		named("c", Rule{Op: Equals, Text: "x-2"}, Rule{Op: Suffix, Text: "-z"}),
		named("d", Rule{Op: Contains, Text: "mid"}, Rule{Op: Equals, Text: "v-####"}),
	}
	b := NewBook(cards)
	for name, want := range map[string]string{
		"x-1": "a", "x-2": "b", "x-": "b", "x": "", "q": "b", "y-z": "c", "amidst": "d", "mid-z": "c",
		"v-2025": "d", "v-202x": "", "v-20255": "", "": "", "a": "",
	} {
		if c, _ := b.At("p", name, 0); c.ID != want {
			t.Errorf("%q is %q, want %q", name, c.ID, want)
		}
	}
	if c, ok := b.At("q", "x-1", 0); ok {
		t.Errorf("another provider's model was found: %+v", c)
	}
}

// TestBookKnownWithoutPrice: a model that is known and has no price per token
// must not be priced as a namesake, nor by another provider's card.
func TestBookKnownWithoutPrice(t *testing.T) {
	bare := Card{ID: "bare", Provider: "azure", Model: "gpt-x:free", Names: []Rule{{Op: Equals, Text: "gpt-x:free"}}}
	expired := Card{ID: "expired", Provider: "azure", Model: "gpt-y", Until: 10, Rates: Rates{llm.Input: 1}}
	maker := Card{ID: "maker", Provider: "openai", Model: "gpt", Names: []Rule{{Op: Prefix, Text: "gpt-"}}, Rates: Rates{llm.Input: 1}}
	b := NewBook([]Card{bare, expired, maker})
	for name, want := range map[string]string{"gpt-x:free": "", "gpt-y": "", "gpt-z": "maker"} {
		if c, ok := b.At("azure", name, 20); ok != (want != "") || ok && c.ID != want {
			t.Errorf("%s on azure: card %q (found: %t), want %q", name, c.ID, ok, want)
		}
	}
}

func TestSpaceDates(t *testing.T) {
	for in, want := range map[string]string{
		"gpt-5-20250807":           "gpt-5-2025-08-07",
		"m-20250807:free":          "m-2025-08-07:free",
		"m-20250807-20251231-x":    "m-2025-08-07-2025-12-31-x",
		"m-2025-08-07":             "m-2025-08-07",
		"m-20250230":               "m-20250230",
		"m-202508071":              "m-202508071",
		"m20250807":                "m20250807",
		"m-19990101":               "m-19990101",
		"-2025080":                 "-2025080",
		"anthropic.x-20250807-v1:": "anthropic.x-2025-08-07-v1:",
	} {
		if got := spaceDates(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func TestRuleUnless(t *testing.T) {
	r := Rule{Op: Prefix, Text: "gemini-2.5-pro", Unless: "-tts"}
	for name, want := range map[string]bool{
		"gemini-2.5-pro": true, "gemini-2.5-pro-preview": true, "gemini-2.5-pro-ttsx": true,
		"gemini-2.5-pro-tts": false, "gemini-2.5-pro-preview-tts-1": false, "gemini-2.5-pro-ttsx-tts": false,
		"gemini-2.5": false,
	} {
		if got := r.matches(name); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
	if (Rule{Op: Contains}).matches("x") || (Rule{Op: '?', Text: "x"}).matches("x") {
		t.Error("an empty or unknown rule matches")
	}
}

func TestWindow(t *testing.T) {
	const hour = 3600
	over := Window{22 * hour, 2 * hour}
	inside := Window{1 * hour, 4 * hour}
	noon := day(t, "2026-08-17")
	for _, c := range []struct {
		w    Window
		sec  int64
		want bool
	}{
		{Window{}, 5, true},
		{inside, hour - 1, false},
		{inside, hour, true},
		{inside, 4*hour - 1, true},
		{inside, 4 * hour, false},
		{inside, -21 * hour, true}, // the day before, 03:00
		{over, 23 * hour, true},
		{over, 0, true},
		{over, 2 * hour, false},
		{over, 12 * hour, false},
	} {
		if got := c.w.Holds(noon + c.sec*1e6); got != c.want {
			t.Errorf("%v at %d s: %t, want %t", c.w, c.sec, got, c.want)
		}
	}
	if before := int64(-1); !(Window{23 * hour, 0}).Holds(before) {
		t.Error("a time before 1970 is not in the last hour of its day")
	}
	for _, text := range []string{"", "01:00:00", "1:00-2:00", "01:00:00-01:00:00", "25:00:00-01:00:00", "01:00:00-02:00:00-03:00:00"} {
		if w, err := ParseWindow(text); err == nil {
			t.Errorf("%q parsed as %v", text, w)
		}
	}
	if w, err := ParseWindow(over.String()); err != nil || w != over {
		t.Errorf("%v did not survive its text: %v, %v", over, w, err)
	}
}
