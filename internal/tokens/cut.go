package tokens

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// A vocabulary from a file encodes a text in steps, which are those of
// huggingface/tokenizers (docs/source/pipeline): tokens that are looked for in the text
// as it is, normalisers, tokens that are looked for afterwards, cuts into words, and at
// last the encoding of each word.

// pipeline are those steps.
type pipeline struct {
	raw, normal lexicon
	normalise   []func(string) string
	cuts        []cutter
	bpe         *bpe
	token       func(written string) string // the text that a token stands for
	added       map[uint32]string           // texts of tokens that are not of the encoding

	reversed sync.Once
	written  map[uint32]string // the tokens of the encoding by id, once one was asked for
}

// cutter cuts pieces of a text into smaller ones. opening says that the first piece
// opens the text.
type cutter func(pieces []string, opening bool) ([]string, error)

// encode returns the ids of the tokens of a text. Tokens that control a model have no
// text: what looks like one is a text like others, as published vocabularies and
// servers' /tokenize have it.
func (p *pipeline) encode(text string) ([]uint32, error) {
	var out []uint32
	opening := true
	for _, part := range p.raw.find(strings.ToValidUTF8(text, "\uFFFD")) {
		if part.token {
			out, opening = append(out, part.id), false
			continue
		}
		for _, f := range p.normalise {
			part.text = f(part.text)
		}
		for _, part := range p.normal.find(part.text) {
			if part.token {
				out, opening = append(out, part.id), false
				continue
			}
			words, err := []string{part.text}, error(nil)
			for _, c := range p.cuts {
				if words, err = c(words, opening); err != nil {
					return nil, err
				}
			}
			for _, w := range words {
				out = p.bpe.encode(w, out)
			}
			opening = false
		}
	}
	return out, nil
}

// lexicon are tokens that are looked for in a text before anything else. The zero value
// has none.
type lexicon struct {
	tokens  map[string]added
	lengths [256][]int // of the tokens with a first byte, longest first
}

// added is such a token, and whether it takes the white space beside it.
type added struct {
	id          uint32
	left, right bool
}

// part is a piece of a text, or a token that was found in it.
type part struct {
	text  string
	id    uint32
	token bool
}

func (l *lexicon) add(text string, a added) error {
	if text == "" {
		return nil
	}
	if len(text) > maxToken {
		return errTooLong
	}
	if l.tokens == nil {
		l.tokens = map[string]added{}
	}
	l.tokens[text] = a
	lengths := &l.lengths[text[0]]
	if at, has := slices.BinarySearchFunc(*lengths, len(text), func(a, b int) int { return cmp.Compare(b, a) }); !has {
		*lengths = slices.Insert(*lengths, at, len(text))
	}
	return nil
}

// at is the longest token at the beginning of a text.
func (l *lexicon) at(text string) (a added, length int) {
	for _, n := range l.lengths[text[0]] {
		if n <= len(text) {
			if a, is := l.tokens[text[:n]]; is {
				return a, n
			}
		}
	}
	return added{}, 0
}

// find cuts a text at the tokens in it.
func (l *lexicon) find(text string) []part {
	var parts []part
	rest := func(s string) {
		if s != "" {
			parts = append(parts, part{text: s})
		}
	}
	begin := 0
	for i := 0; l.tokens != nil && i < len(text); {
		a, n := l.at(text[i:])
		if n == 0 {
			i++
			continue
		}
		before, end := text[begin:i], i+n
		if a.left {
			before = strings.TrimRightFunc(before, unicode.IsSpace)
		}
		if a.right {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		rest(before)
		parts = append(parts, part{text: text[i : i+n], id: a.id, token: true})
		begin, i = end, end
	}
	rest(text[begin:])
	return parts
}

// matchTime bounds one match, against patterns that go back for ever.
const matchTime = time.Second

// disputed are classes that engines of patterns understand differently beyond ASCII.
var disputed = regexp.MustCompile(`\\[wWbB]`)

// pattern compiles an expression of a vocabulary. They look ahead, which the standard
// library's do not.
func pattern(expression string) (*regexp2.Regexp, error) {
	if class := disputed.FindString(expression); class != "" {
		return nil, fmt.Errorf("the pattern %q: %s is not supported", expression, class)
	}
	re, err := regexp2.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q: %w", expression, err)
	}
	re.MatchTimeout = matchTime
	return re, nil
}

// gpt2 is how GPT-2 cuts words (openai/gpt-2, src/encoder.py).
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// behaviour is what becomes of a match.
type behaviour string

// The behaviours, as tokenizer.json names them.
const (
	isolated behaviour = "Isolated"
	removed  behaviour = "Removed"
	previous behaviour = "MergedWithPrevious"
	next     behaviour = "MergedWithNext"
)

// split cuts at the matches that find returns, as byte ranges; invert exchanges matches
// and what is between them.
func split(find func(string) ([][]int, error), b behaviour, invert bool) cutter {
	return func(pieces []string, _ bool) ([]string, error) {
		var out []string
		for _, piece := range pieces {
			found, err := find(piece)
			if err != nil {
				return nil, fmt.Errorf("cut a text into words: %w", err)
			}
			var s splitting
			end := 0
			for _, m := range found {
				s.add(piece[end:m[0]], b, invert)
				s.add(piece[m[0]:m[1]], b, !invert)
				end = m[1]
			}
			s.add(piece[end:], b, invert)
			out = append(out, s.out...)
		}
		return out, nil
	}
}

// splitting gathers what a piece is split into.
type splitting struct {
	out     []string
	matched bool // the last one added is a match
}

// add takes the piece that follows. Those in a row are one text, so joining two is
// taking more of it.
func (s *splitting) add(text string, b behaviour, match bool) {
	last := len(s.out) - 1
	switch {
	case text == "":
		return
	case b == removed && match:
	case b == previous && match && !s.matched && last >= 0, b == next && !match && s.matched && last >= 0:
		s.out[last] += text
	default:
		s.out = append(s.out, text)
	}
	s.matched = match
}

// splitBy cuts at the matches of a pattern.
func splitBy(expression string, b behaviour, invert bool) (cutter, error) {
	re, err := pattern(expression)
	if err != nil {
		return nil, err
	}
	return split(func(s string) ([][]int, error) { return re.FindAllStringIndex(s, -1) }, b, invert), nil
}

// literal finds a text as it stands.
func literal(text string) func(string) ([][]int, error) {
	return func(s string) (found [][]int, _ error) {
		for at := 0; text != ""; {
			i := strings.Index(s[at:], text)
			if i < 0 {
				break
			}
			found = append(found, []int{at + i, at + i + len(text)})
			at += i + len(text)
		}
		return found, nil
	}
}

// visible are the characters by which byte-level vocabularies write bytes
// (bytes_to_unicode of openai/gpt-2, src/encoder.py), byteOf what they stand for.
var visible, byteOf = func() (chars [256]rune, bytes map[rune]byte) {
	bytes = map[rune]byte{}
	more := rune(256)
	for b := range chars {
		r := rune(b)
		if !(r >= '!' && r <= '~' || r >= '¡' && r <= '¬' || r >= '®' && r <= 'ÿ') {
			r, more = more, more+1
		}
		chars[b], bytes[r] = r, byte(b)
	}
	return chars, bytes
}()

// byteLevel writes the bytes of each piece as characters.
func byteLevel(pieces []string, _ bool) ([]string, error) {
	for i, piece := range pieces {
		written := make([]rune, len(piece))
		for j := range len(piece) {
			written[j] = visible[piece[j]]
		}
		pieces[i] = string(written)
	}
	return pieces, nil
}

// prefixed lets each piece begin with a mark.
func prefixed(mark string) cutter {
	return func(pieces []string, _ bool) ([]string, error) {
		for i, piece := range pieces {
			if !strings.HasPrefix(piece, mark) {
				pieces[i] = mark + piece
			}
		}
		return pieces, nil
	}
}

// unBytes is what a token of a byte-level vocabulary stands for.
func unBytes(written string) string {
	out := make([]byte, 0, len(written))
	for _, r := range written {
		b, is := byteOf[r]
		if !is {
			return written // an added one is written as it is
		}
		out = append(out, b)
	}
	return string(out)
}

// space is how sentencepiece writes one.
const space = "▁"

// unSpace is what a token of such a vocabulary stands for.
func unSpace(written string) string {
	var b byte
	if n, err := fmt.Sscanf(written, "<0x%02X>", &b); n == 1 && err == nil && utf8.RuneCountInString(written) == len("<0x00>") {
		return string([]byte{b})
	}
	return strings.ReplaceAll(written, space, " ")
}
