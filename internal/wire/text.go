package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Constants for looking at eight bytes in one word, as in Mycroft's test for a
// zero byte.
const (
	ones    = 0x0101010101010101
	tops    = 0x8080808080808080
	quotes  = ones * '"'
	slashes = ones * '\\'
	blanks  = ones * ' '
)

// stops has the top bit set of every byte of x that cannot be passed over within
// a JSON string: quote, backslash, control character, or not ASCII. Only the
// lowest mark is exact, and only the top bits mean anything: bytes above a true
// mark may be marked by a borrow.
func stops(x uint64) uint64 {
	return ((x ^ quotes) - ones) | ((x ^ slashes) - ones) | (x - blanks) | x
}

// traits are what was seen in a string.
type traits uint8

const (
	escaped traits = 1 << iota // a backslash
	high                       // a byte beyond ASCII
)

// scanString scans from behind the opening quote of a string and returns the
// offset of its closing quote, or the offset of a flaw. lone accepts escapes of
// half a surrogate pair.
func scanString(b []byte, i int, lone bool) (end int, t traits, why flaw) {
	if !strides || i+64 > len(b) {
		return scanWords(b, i, 0, lone)
	}
	// Most strings are short: keys, roles, types.
	if m := stops(binary.LittleEndian.Uint64(b[i:])) & tops; m != 0 {
		if at := i + bits.TrailingZeros64(m)>>3; b[at] == '"' {
			return at, 0, sound
		}
	}
	end, t, closed := scanBlocks(b, i, lone)
	if closed {
		return end, t, sound
	}
	return scanWords(b, end, t, lone)
}

// scanBlocks is scanString for whole blocks of 64 bytes. Unless it finds the
// closing quote it returns where scanWords has to go on: near the end of the
// text, or at a block with a flaw, which scanWords will find and name.
func scanBlocks(b []byte, i int, lone bool) (end int, t traits, closed bool) {
	for {
		at, quotes, slashes, controls, beyond := stride(b[i:])
		if i += at; i+64 > len(b) {
			return i, t, false
		}
		next := i + 64
		letters, open := escapes(slashes)
		if open {
			next-- // the next block begins with the backslash
		}
		quote := bits.TrailingZeros64(quotes &^ letters)
		if slashes&below(quote) != 0 {
			t |= escaped
		}
		for letters &= below(quote); letters != 0; {
			letter := i + bits.TrailingZeros64(letters)
			letters &= letters - 1
			if shortEscapes[b[letter]] != 0 {
				continue
			}
			after, why := scanEscape(b, letter-1, lone)
			if why != sound {
				return i, t, false
			}
			letters &^= below(after - i)
			next = max(next, after)
		}
		if controls&below(quote) != 0 {
			return i, t, false
		}
		for beyond &= below(quote); beyond != 0; {
			t |= high
			after, why := scanHigh(b, i+bits.TrailingZeros64(beyond))
			if why != sound {
				return i, t, false
			}
			beyond &^= below(after - i)
			next = max(next, after)
		}
		if quote < 64 {
			return i + quote, t, true
		}
		i = next
	}
}

// escapes finds which bytes a backslash before them escapes, and whether the last
// byte is a backslash that escapes what follows. Of a run of backslashes every
// second one is escaped. A run is added to its first bit, which carries to the
// bit behind it: there its length shows as odd or even.
func escapes(slashes uint64) (letters uint64, open bool) {
	const even = 0x5555555555555555
	behind := slashes << 1
	odd := slashes &^ even &^ behind // where runs begin at an odd place
	sum, carry := bits.Add64(odd, slashes, 0)
	return (even ^ sum<<1) & behind, carry != 0
}

// below has the n lowest bits set, all of them from 64 on.
func below(n int) uint64 { return 1<<uint(n) - 1 }

// scanWords is scanString by words of eight bytes, with the traits seen so far.
func scanWords(b []byte, i int, t traits, lone bool) (end int, _ traits, why flaw) {
	for i+8 <= len(b) {
		m := stops(binary.LittleEndian.Uint64(b[i:])) & tops
		if m == 0 {
			i = leap(b, i+8)
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		c := b[i]
		if c == '"' {
			return i, t, sound
		}
		if c == '\\' {
			t |= escaped
			if i+1 < len(b) && shortEscapes[b[i+1]] != 0 {
				i += 2
				continue
			}
			i, why = scanEscape(b, i, lone)
		} else if c < ' ' {
			why = flawControl
		} else {
			t |= high
			i, why = scanHigh(b, i)
		}
		if why != sound {
			return i, t, why
		}
	}
	return scanTail(b, i, t, lone)
}

// leap passes over plain bytes in blocks of 32, and over those before the first
// stop of the block that has one.
func leap(b []byte, i int) int {
	for i+32 <= len(b) {
		p := b[i : i+32]
		m0 := stops(binary.LittleEndian.Uint64(p))
		m1 := stops(binary.LittleEndian.Uint64(p[8:]))
		m2 := stops(binary.LittleEndian.Uint64(p[16:]))
		m3 := stops(binary.LittleEndian.Uint64(p[24:]))
		if (m0|m1|m2|m3)&tops == 0 {
			i += 32
			continue
		}
		if (m0|m1)&tops == 0 {
			m0, m1 = m2, m3
			i += 16
		}
		if m0 &= tops; m0 == 0 {
			m0 = m1 & tops
			i += 8
		}
		return i + bits.TrailingZeros64(m0)>>3
	}
	return i
}

// scanTail is scanString for the last bytes of the text.
func scanTail(b []byte, i int, t traits, lone bool) (end int, _ traits, why flaw) {
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			return i, t, sound
		case c == '\\':
			t |= escaped
			i, why = scanEscape(b, i, lone)
		case c < ' ':
			return i, t, flawControl
		case c < utf8.RuneSelf:
			i++
		default:
			t |= high
			i, why = scanHigh(b, i)
		}
		if why != sound {
			return i, t, why
		}
	}
	return i, t, flawEnd
}

// shortEscapes maps the letter of a two-character escape to what it stands for.
var shortEscapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// scanEscape returns the offset after the escape at i.
func scanEscape(b []byte, i int, lone bool) (int, flaw) {
	if i+1 >= len(b) {
		return i, flawEnd
	}
	if shortEscapes[b[i+1]] != 0 {
		return i + 2, sound
	}
	r := unit(b, i)
	switch {
	case r < 0:
		return i, flawEscape
	case !utf16.IsSurrogate(r):
		return i + 6, sound
	case utf16.DecodeRune(r, unit(b, i+6)) != utf8.RuneError:
		return i + 12, sound
	case lone:
		return i + 6, sound
	}
	return i, flawSurrogate
}

// unit reads the escape \uXXXX at i as one UTF-16 code unit, or returns -1.
func unit(b []byte, i int) rune {
	if i+6 > len(b) || b[i] != '\\' || b[i+1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[i+2 : i+6] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// scanHigh passes over characters beyond ASCII from i on, checking them as
// RFC 3629 has it: no overlong form, no surrogate, nothing above U+10FFFF.
func scanHigh(b []byte, i int) (int, flaw) {
	for i < len(b) {
		c := b[i]
		if c < utf8.RuneSelf {
			return i, sound
		}
		if i+4 > len(b) { // near the end of the text
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n <= 1 {
				return i, flawUTF8
			}
			i += n
			continue
		}
		w := binary.LittleEndian.Uint32(b[i:])
		switch {
		case w&0xC0E0 == 0x80C0 && c >= 0xC2:
			i += 2
		case w&0xC0C0F0 == 0x8080E0:
			// The top five bits of the sixteen: 0 is overlong, 0x1B a surrogate.
			if h := (w&0xF)<<1 | w>>13&1; h == 0 || h == 0x1B {
				return i, flawUTF8
			}
			i += 3
		case w&0xC0C0C0F8 == 0x808080F0:
			// The top five bits of 21: 0 is overlong, above 0x10 beyond Unicode.
			if h := (w&7)<<2 | w>>12&3; h == 0 || h > 0x10 {
				return i, flawUTF8
			}
			i += 4
		default:
			return i, flawUTF8
		}
	}
	return i, sound
}

// appendDecoded appends the text of a scanned string without its quotes. Half a
// surrogate pair becomes U+FFFD.
func appendDecoded(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			from := i
			for i < len(raw) && raw[i] != '\\' {
				i++
			}
			dst = append(dst, raw[from:i]...)
			continue
		}
		if short := shortEscapes[raw[i+1]]; short != 0 {
			dst = append(dst, short)
			i += 2
			continue
		}
		r := unit(raw, i)
		i += 6
		if utf16.IsSurrogate(r) {
			if r = utf16.DecodeRune(r, unit(raw, i)); r != utf8.RuneError {
				i += 6
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD; quotes,
// backslashes and control characters, DEL and the C1 range among them, are
// escaped, so that the literal is safe to show on a terminal.
func AppendString(dst []byte, s string) []byte {
	plain := 0
	for plain < len(s) && s[plain] >= ' ' && s[plain] < 0x7F && s[plain] != '"' && s[plain] != '\\' {
		plain++
	}
	dst = append(append(dst, '"'), s[:plain]...)
	for _, r := range s[plain:] {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r < ' ' || r >= 0x7F && r <= 0x9F:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
