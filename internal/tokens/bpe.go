package tokens

import (
	"container/heap"
	"unicode/utf8"
)

// bpe is byte-pair encoding by a list of merges: of all neighbours that may be merged,
// those of the lowest rank are first, from left to right (Sennrich et al., arXiv
// 1508.07909; in this form huggingface/tokenizers, models/bpe/word.rs, and
// google/sentencepiece, bpe_model.cc).
type bpe struct {
	ids     map[string]uint32 // tokens, as the vocabulary writes them
	merges  map[pair]merge
	whole   bool         // a word that is a token itself is that token
	bytes   *[256]uint32 // tokens of the bytes of a character that is no token; nil when there are none
	unknown *uint32      // the token of every other character; those without are left out when nil
	fused   bool         // unknown characters in a row are one token
}

// pair are two neighbours, merge what they become and when.
type (
	pair  struct{ left, right uint32 }
	merge struct{ rank, id uint32 }
)

// symbol is a token under way in a list of them.
type symbol struct {
	id         uint32
	prev, next int // -1 at the ends
	gone       bool
}

// candidate is a merge that is possible at a symbol, unless another one came before it.
type candidate struct {
	merge
	at int
}

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].at < c[j].at
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := len(*c) - 1
	x := (*c)[last]
	*c = (*c)[:last]
	return x
}

// encode appends the tokens of a word. It takes n log n steps of its length.
func (b *bpe) encode(word string, out []uint32) []uint32 {
	if b.whole {
		if id, is := b.ids[word]; is {
			return append(out, id)
		}
	}
	symbols := b.symbols(word)
	var queue candidates
	suggest := func(at int) {
		if at < 0 || symbols[at].next < 0 {
			return
		}
		if m, may := b.merges[pair{symbols[at].id, symbols[symbols[at].next].id}]; may {
			heap.Push(&queue, candidate{m, at})
		}
	}
	for i := range symbols {
		suggest(i)
	}
	for len(queue) > 0 {
		c := heap.Pop(&queue).(candidate)
		left := &symbols[c.at]
		if left.gone || left.next < 0 {
			continue
		}
		right := &symbols[left.next]
		if m, may := b.merges[pair{left.id, right.id}]; !may || m.id != c.id {
			continue
		}
		left.id, left.next, right.gone = c.id, right.next, true
		if left.next >= 0 {
			symbols[left.next].prev = c.at
		}
		suggest(left.prev)
		suggest(c.at)
	}
	for i := 0; i >= 0 && i < len(symbols); i = symbols[i].next {
		out = append(out, symbols[i].id)
	}
	return out
}

// symbols are the characters of a word, each a token, in a list.
func (b *bpe) symbols(word string) []symbol {
	list := make([]symbol, 0, len(word))
	add := func(id uint32) {
		list = append(list, symbol{id: id, prev: len(list) - 1, next: len(list) + 1})
	}
	unknown := false // the character before was
	for len(word) > 0 {
		_, n := utf8.DecodeRuneInString(word)
		char := word[:n]
		word = word[n:]
		id, is := b.ids[char]
		switch {
		case is:
			add(id)
		case b.bytes != nil:
			for i := range len(char) {
				add(b.bytes[char[i]])
			}
		case b.unknown != nil && !(unknown && b.fused):
			add(*b.unknown)
		}
		unknown = !is
	}
	if len(list) > 0 {
		list[len(list)-1].next = -1
	}
	return list
}
