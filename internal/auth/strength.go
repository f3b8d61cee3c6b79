package auth

import (
	"errors"
	"fmt"
	"strings"
)

// What a bare master secret must measure, by its alphabet: 256 bits where it can
// be taken for random, and plenty of characters where it is a phrase.
const (
	minHex    = 64 // digits, 4 bits each
	minBase64 = 43 // characters, 6 bits each
	minPhrase = 64 // characters, about 2 bits each
)

// wellKnown are texts that stand in examples and get copied into production.
// Random base64 text holds one of them by chance less than once in ten million.
var wellKnown = []string{
	"changeme", "change-me", "change_me", "change this", "change-this", "password", "passw0rd", "example",
	"placeholder", "your-secret", "your_secret", "yoursecret", "my-secret", "mysecret", "supersecret", "super-secret",
	"sk-1234", "sallyport", "0123456789", "9876543210", "abcdefghij", "qwertyuiop", "deadbeefdeadbeef", "correct horse",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", // SHA-256 of nothing
}

// errWeak is how every refusal ends.
var errWeak = errors.New("make one with: openssl rand -base64 32")

// checkStrength refuses a bare secret that can be guessed. It is a net for
// mistakes, not a measure: a text that passes may still be a poor one.
func checkStrength(text string) error {
	lower := strings.ToLower(text)
	for _, w := range wellKnown {
		if strings.Contains(lower, w) {
			return fmt.Errorf("it holds a well-known example value; %w", errWeak)
		}
	}
	kind, length, variety := "a phrase", minPhrase, 12
	switch {
	case only(lower, "0123456789abcdef"):
		kind, length, variety = "hexadecimal", minHex, 10
	case looksRandom(text):
		kind, length, variety = "base64", minBase64, 16
	}
	if len(strings.TrimRight(text, "=")) < length {
		return fmt.Errorf("too short: %s wants at least %d characters; %w", kind, length, errWeak)
	}
	if distinct(text) < variety || periodic(text) || sequential(text) {
		return fmt.Errorf("it repeats itself; %w", errWeak)
	}
	return nil
}

// looksRandom reports whether the text is in the alphabets of base64 and mixes
// its cases as random text does.
func looksRandom(text string) bool {
	const lower, upper = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return only(text, lower+upper+"0123456789+/-_=") && strings.ContainsAny(text, lower) && strings.ContainsAny(text, upper)
}

// only reports whether every byte of the text is in the alphabet.
func only(text, alphabet string) bool {
	return strings.Trim(text, alphabet) == ""
}

// distinct counts the different bytes of a text.
func distinct(text string) int {
	var seen [256]bool
	n := 0
	for i := range len(text) {
		if !seen[text[i]] {
			seen[text[i]] = true
			n++
		}
	}
	return n
}

// periodic reports whether the text is a shorter one written at least twice.
func periodic(text string) bool {
	for p := 1; p <= len(text)/2; p++ {
		if text[p:] == text[:len(text)-p] {
			return true
		}
	}
	return false
}

// sequential reports whether half of the text counts up, down or stands still.
func sequential(text string) bool {
	steps := 0
	for i := 1; i < len(text); i++ {
		if d := int(text[i]) - int(text[i-1]); d >= -1 && d <= 1 {
			steps++
		}
	}
	return steps > len(text)/2
}
