package wire

import (
	"strings"
	"testing"
)

// sameString scans a string by blocks and by words and compares what they say.
func sameString(t *testing.T, b []byte, lone bool) {
	t.Helper()
	end, traits, why := scanString(b, 0, lone)
	wantEnd, wantTraits, wantWhy := scanWords(b, 0, 0, lone)
	if end != wantEnd || why != wantWhy || why == sound && traits != wantTraits {
		t.Errorf("lone %v: by blocks %d, %b, %s; by words %d, %b, %s: %q", lone,
			end, traits, flawWords[why], wantEnd, wantTraits, flawWords[wantWhy], b)
	}
}

// TestBlocks puts everything that can stand in a string at every place of a
// block and across its end, alone and before other things.
func TestBlocks(t *testing.T) {
	pieces := []string{
		`"`, `\`, `\\`, `\\\`, `\\\\`, `\\\\\`, `\"`, `\\"`, `\\\"`, `\\\\"`, `\n`, `\n\t\"\\\/`, `\x`, `\u`, `\u00`, `\u00e9`, `\u00E9\u0041`,
		`\u12"4`, `\u1\n4`, `\ud83d`, `\ud83d\ude00`, `\ud83d\ude00\n`, `\ud83d\u0041`, `\ude00`, `\ud83d\n`, "\x00", "\x1f", "\\\x1f", "\x7f",
		"é", "\\é", "–", "\U0001F98A", "é–\U0001F98Aя", strings.Repeat("я", 40), strings.Repeat(`\u044f`, 20), strings.Repeat(`\\`, 70), strings.Repeat(`\"`, 35) + "é",
		"\xff", "é\x80", "\xc3", "\xe2\x80", "\xe2\x80\"", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\"\xff", "\"\x00", `"\x`, "\x01\\x", "\\x\x01", "\xff\x01", "\x01\xff",
	}
	for _, piece := range pieces {
		for _, tail := range []string{`"`, `\n"`, `é"`, "", "\x01", `\x`, "\xff"} {
			for at := range 70 {
				for _, more := range []int{0, 1, 63, 64, 150} {
					b := []byte(strings.Repeat("a", at) + piece + strings.Repeat("b", more) + tail + strings.Repeat("c", 100))
					sameString(t, b, false)
					sameString(t, b, true)
				}
			}
		}
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add([]byte(strings.Repeat(`a\"`, 40) + `"` + strings.Repeat(" ", 64)))
	f.Add([]byte(strings.Repeat(`\u00e9é`, 40) + `"` + strings.Repeat(" ", 64)))
	f.Add([]byte(strings.Repeat(`\\\ud83d\ude00`, 40) + "\x1f" + strings.Repeat(" ", 64)))
	f.Fuzz(func(t *testing.T, b []byte) {
		sameString(t, b, false)
		sameString(t, b, true)
	})
}
