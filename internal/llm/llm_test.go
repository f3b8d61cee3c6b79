package llm

import (
	"bytes"
	"strings"
	"testing"
)

// TestClassNames pins the names: they are stored in records, rows and exports.
func TestClassNames(t *testing.T) {
	const names = "input cache_read cache_write_5m cache_write_1h output reasoning audio_in audio_out image_in"
	for i, name := range strings.Fields(names) {
		c, ok := ParseClass(name)
		if !ok || c != Class(i) || c.String() != name {
			t.Errorf("class %d is %v, called %s", i, c, c)
		}
	}
	if n := len(strings.Fields(names)); n != int(NumClasses) {
		t.Errorf("there are %d classes, %d names are pinned", NumClasses, n)
	}
	if NumClasses.String() != "invalid" || Class(255).String() != "invalid" {
		t.Error("what is not a class has a name")
	}
	for _, bad := range []string{"", "invalid", "Input", "tokens"} {
		if c, ok := ParseClass(bad); ok {
			t.Errorf("%q is class %v", bad, c)
		}
	}
}

// TestSidesAreDisjoint: every class counts on exactly one side.
func TestSidesAreDisjoint(t *testing.T) {
	for c := range NumClasses {
		var tokens Tokens
		tokens[c] = 7
		if tokens.Prompt()+tokens.Completion() != 7 || tokens.Prompt() != 0 && tokens.Completion() != 0 {
			t.Errorf("7 tokens of %v are %d of prompt and %d of completion", c, tokens.Prompt(), tokens.Completion())
		}
	}
}

func TestClaim(t *testing.T) {
	verbatim := []byte(`{"prompt_tokens":5}`)
	for c := range NumClasses {
		for _, n := range []int64{0, 1, MaxPlausibleTokens} {
			var tokens Tokens
			tokens[c] = n
			u := Claim(tokens, verbatim)
			if u.Status != UsageClaimed || u.Tokens != tokens || u.Reason != "" || !bytes.Equal(u.Verbatim, verbatim) {
				t.Errorf("%d of %v is %+v", n, c, u)
			}
		}
		for n, why := range map[int64]string{-1: "negative " + c.String(), -1 << 63: "negative " + c.String(), MaxPlausibleTokens + 1: "excessive " + c.String(), 1<<63 - 1: "excessive " + c.String()} {
			var tokens Tokens
			tokens[Input], tokens[c] = 3, n
			u := Claim(tokens, verbatim)
			if u.Status != UsageImplausible || u.Reason != why || u.Tokens != (Tokens{}) || !bytes.Equal(u.Verbatim, verbatim) {
				t.Errorf("%d of %v is %+v", n, c, u)
			}
		}
	}
}

// TestPlausibleSumsFit: no claim that is believed overflows a sum.
func TestPlausibleSumsFit(t *testing.T) {
	var tokens Tokens
	for c := range tokens {
		tokens[c] = MaxPlausibleTokens
	}
	if Claim(tokens, nil).Status != UsageClaimed || tokens.Prompt() != 6*MaxPlausibleTokens || tokens.Completion() != 3*MaxPlausibleTokens {
		t.Errorf("sums are %d and %d", tokens.Prompt(), tokens.Completion())
	}
}
