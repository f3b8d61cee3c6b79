package auth

import (
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	seen := map[string]bool{}
	for _, prefix := range []string{prefixKey, prefixAdmin, prefixSetup} {
		for range 100 {
			tok := newToken(prefix).Reveal()
			if err := parseToken(tok, prefix); err != nil || seen[tok] {
				t.Fatalf("%v, seen before: %v", err, seen[tok])
			}
			seen[tok] = true
		}
	}
	if bits := randomChars * math.Log2(float64(len(alphabet))); bits < 160 {
		t.Errorf("%.0f random bits", bits)
	}
}

func TestTokenCharactersAreUniform(t *testing.T) {
	counts := map[rune]int{}
	const tokens = 2000
	for range tokens {
		for _, r := range newToken(prefixKey).Reveal()[len(prefixKey):][:randomChars] {
			counts[r]++
		}
	}
	// Pearson's chi-squared statistic with 61 degrees of freedom exceeds 137 with
	// probability 1e-7.
	expected, chi := float64(tokens*randomChars)/62, 0.0
	for _, r := range alphabet {
		d := float64(counts[r]) - expected
		chi += d * d / expected
	}
	if chi > 137 || len(counts) > 62 {
		t.Errorf("chi-squared %.1f over %d characters", chi, len(counts))
	}
}

func TestChecksumIsCRC32(t *testing.T) {
	for _, text := range []string{"", "a", "sp_0123456789", strings.Repeat("xyz", 50)} {
		crc, want := crc32.ChecksumIEEE([]byte(text)), ""
		for range checksumChars {
			want = string(alphabet[crc%62]) + want
			crc /= 62
		}
		if got := checksum(text); string(got[:]) != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// Every single wrong character, swap of neighbours, lost and doubled character
// is told from a well-formed key.
func TestTyposAreNoticed(t *testing.T) {
	good := newToken(prefixKey).Reveal()
	check := func(bad, what string, at int) {
		if bad != good && ParseKey(bad) == nil {
			t.Errorf("%s at %d was not noticed", what, at)
		}
	}
	for i := range good {
		for _, r := range alphabet + "_- " {
			check(good[:i]+string(r)+good[i+1:], "replacement", i)
		}
		check(good[:i]+good[i+1:], "loss", i)
		check(good[:i]+good[i:i+1]+good[i:], "doubling", i)
		if i > 0 {
			check(good[:i-1]+good[i:i+1]+good[i-1:i]+good[i+1:], "swap", i)
		}
	}
}

func TestParseKeySaysWhy(t *testing.T) {
	key, admin := newToken(prefixKey).Reveal(), newToken(prefixAdmin).Reveal()
	for _, tt := range []struct {
		text string
		want error
	}{
		{key, nil},
		{admin, nil},
		{key[:len(key)-1], Mistyped},
		{strings.ToUpper(key[:10]) + key[10:], Malformed},
		{"sp_", Mistyped},
		{"", Malformed},
		{"sk-1234", Malformed},
		{newToken(prefixSetup).Reveal(), Malformed},
		{prefixKey + admin[len(prefixAdmin):], Mistyped},
		{strings.Replace(key, "sp_", "spa_", 1), Mistyped},
	} {
		if err := ParseKey(tt.text); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%d bytes: %v, want %v", len(tt.text), err, tt.want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(newToken(prefixKey).Reveal())
	f.Add(newToken(prefixAdmin).Reveal())
	f.Add("sp_\x00")
	f.Fuzz(func(t *testing.T, text string) {
		err := ParseKey(text)
		if err == nil {
			body := text[:len(text)-checksumChars]
			sum := checksum(body)
			if body+string(sum[:]) != text || !(strings.HasPrefix(text, prefixKey) || strings.HasPrefix(text, prefixAdmin)) || len(text) > maxToken {
				t.Errorf("accepted %q", text)
			}
			return
		}
		if !errors.Is(err, Malformed) && !errors.Is(err, Mistyped) {
			t.Errorf("%q: %v", text, err)
		}
		// Whatever it is, with the right checksum and length it parses.
		if body, ok := strings.CutPrefix(text, prefixKey); ok && len(body) >= randomChars {
			body = prefixKey + body[:randomChars]
			sum := checksum(body)
			alnum := strings.Trim(body[len(prefixKey):], alphabet) == ""
			if (ParseKey(body+string(sum[:])) == nil) != alnum {
				t.Errorf("%q with its checksum: %v", body, ParseKey(body+string(sum[:])))
			}
		}
	})
}
