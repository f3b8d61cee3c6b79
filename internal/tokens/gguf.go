package tokens

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

const ggufMagic = "GGUF"

// gguf reads what stands before the tensors of a GGUF file (ggml-org/ggml,
// docs/gguf.md). The first error stays.
type gguf struct {
	in  io.Reader
	err error
}

// ggufType is the type of a value.
type ggufType uint32

const (
	ggufInt32   ggufType = 5
	ggufFloat32 ggufType = 6
	ggufBool    ggufType = 7
	ggufString  ggufType = 8
	ggufArray   ggufType = 9
)

// ggufSizes are the bytes of a value of each type that has a size.
var ggufSizes = map[ggufType]int64{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, ggufInt32: 4, ggufFloat32: 4, ggufBool: 1, 10: 8, 11: 8, 12: 8}

// Bounds on the number of keys, and on one text.
const (
	maxKeys = 1 << 16
	maxText = 1 << 20
)

var (
	errGGUF   = errors.New("the GGUF file is damaged, or has more than is supported")
	errBeyond = errors.New("a value is not what it should be")
)

func (g *gguf) read(v any) {
	if g.err == nil {
		g.err = binary.Read(g.in, binary.LittleEndian, v)
	}
}

func (g *gguf) number() (n uint64) { g.read(&n); return n }
func (g *gguf) short() (n uint32)  { g.read(&n); return n }
func (g *gguf) kind() (t ggufType) { g.read(&t); return t }
func (g *gguf) boolean() (b bool)  { g.read(&b); return b }
func (g *gguf) fail()              { g.err = cmp.Or(g.err, errBeyond) }

func (g *gguf) text() string {
	n := g.number()
	if n > maxText {
		g.fail()
	}
	if g.err != nil {
		return ""
	}
	b := make([]byte, n)
	_, g.err = io.ReadFull(g.in, b)
	return string(b)
}

// skip passes over a value.
func (g *gguf) skip(t ggufType, n uint64) {
	if size, has := ggufSizes[t]; has && n < maxFile {
		if g.err == nil {
			_, g.err = io.CopyN(io.Discard, g.in, int64(n)*size)
		}
		return
	}
	switch t {
	case ggufString:
		for ; n > 0 && g.err == nil; n-- {
			g.text()
		}
	case ggufArray:
		if n != 1 {
			g.fail()
			return
		}
		t := g.kind()
		if t == ggufArray { // none of any model's
			g.fail()
			return
		}
		g.skip(t, g.number())
	default:
		g.fail()
	}
}

// ggufVocabulary is what a file says of its vocabulary.
type ggufVocabulary struct {
	model, cut string
	tokens     []string
	scores     []float32
	kinds      []pieceKind
	merges     []string
	prefix     bool
}

// readGGUF reads the vocabulary of a GGUF file, and no further than the tensors.
func readGGUF(in io.Reader) (*pipeline, error) {
	g := &gguf{in: in}
	var magic, version uint32
	g.read(&magic)
	g.read(&version)
	g.number() // of tensors
	keys := g.number()
	if version < 2 || version > 3 || keys > maxKeys {
		g.fail()
	}
	v := ggufVocabulary{prefix: true}
	for ; keys > 0 && g.err == nil; keys-- {
		v.take(g, g.text(), g.kind())
	}
	switch {
	case g.err != nil:
		return nil, fmt.Errorf("%w: %w", errGGUF, g.err)
	case len(v.kinds) != len(v.tokens) && v.kinds != nil:
		return nil, errGGUF
	}
	switch v.model {
	case "gpt2":
		return v.byteLevel()
	case "llama":
		return v.sentencepiece()
	}
	return nil, fmt.Errorf("a GGUF vocabulary of the model %q is not supported", v.model)
}

// take reads a value, if it is of the vocabulary.
func (v *ggufVocabulary) take(g *gguf, key string, t ggufType) {
	switch {
	case key == "tokenizer.ggml.model" && t == ggufString:
		v.model = g.text()
	case key == "tokenizer.ggml.pre" && t == ggufString:
		v.cut = g.text()
	case key == "tokenizer.ggml.add_space_prefix" && t == ggufBool:
		v.prefix = g.boolean()
	case key == "tokenizer.ggml.tokens" && t == ggufArray:
		v.tokens = list(g, ggufString, maxTokens, g.text)
	case key == "tokenizer.ggml.merges" && t == ggufArray:
		v.merges = list(g, ggufString, maxMerges, g.text)
	case key == "tokenizer.ggml.scores" && t == ggufArray:
		v.scores = list(g, ggufFloat32, maxTokens, func() (f float32) { g.read(&f); return f })
	case key == "tokenizer.ggml.token_type" && t == ggufArray:
		v.kinds = list(g, ggufInt32, maxTokens, func() pieceKind { return pieceKind(g.short()) })
	default:
		g.skip(t, 1)
	}
}

// list reads an array.
func list[T any](g *gguf, of ggufType, most uint64, one func() T) []T {
	kind, n := g.kind(), g.number()
	if kind != of || n > most {
		g.fail()
	}
	var all []T
	for ; n > 0 && g.err == nil; n-- {
		all = append(all, one())
	}
	return all
}

// kind is the type of a token.
func (v *ggufVocabulary) kind(i int) pieceKind {
	if v.kinds == nil {
		return normalPiece
	}
	return v.kinds[i]
}

// sentencepiece is a vocabulary that sentencepiece made.
func (v *ggufVocabulary) sentencepiece() (*pipeline, error) {
	if len(v.scores) != len(v.tokens) || v.kinds == nil {
		return nil, errGGUF
	}
	var all []piece
	for i, text := range v.tokens {
		if v.kind(i) == definedPiece { // written with spaces there
			text = strings.ReplaceAll(text, " ", space)
		}
		all = append(all, piece{text, v.scores[i], v.kind(i)})
	}
	return pieces(all, v.prefix)
}

// How words are cut, by the names that files give it (ggml-org/llama.cpp,
// src/llama-vocab.cpp).
const (
	llama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	gpt4o  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	digit  = `\p{N}`
)

var ggufCuts = map[string][]string{
	"gpt-2": {gpt2}, "gpt2": {gpt2}, "mpt": {gpt2}, "olmo": {gpt2}, "jais": {gpt2}, "phi-2": {gpt2},
	"smollm": {digit, gpt2}, "starcoder": {digit, gpt2}, "refact": {digit, gpt2}, "command-r": {digit, gpt2},
	"codeshell": {digit, gpt2}, "exaone": {digit, gpt2}, "minerva-7b": {digit, gpt2},
	"llama3": {llama3}, "llama-v3": {llama3}, "llama-bpe": {llama3}, "falcon3": {llama3}, "glm4": {llama3}, "chatglm-bpe": {llama3},
	"qwen2": {qwen2}, "stablelm2": {qwen2}, "deepseek-r1-qwen": {qwen2},
	"gpt-4o": {gpt4o}, "llama4": {gpt4o},
}

// wholeWords are those of the cuts whose words are looked up before they are merged.
var wholeWords = map[string]bool{"llama3": true, "llama-v3": true, "llama-bpe": true, "falcon3": true}

// byteLevel is a vocabulary of bytes.
func (v *ggufVocabulary) byteLevel() (*pipeline, error) {
	cuts, known := ggufCuts[v.cut]
	if !known {
		return nil, fmt.Errorf("a GGUF vocabulary whose words are cut by %q is not supported", v.cut)
	}
	b := &bpe{ids: map[string]uint32{}, merges: make(map[pair]merge, len(v.merges)), whole: wholeWords[v.cut]}
	p := &pipeline{bpe: b, token: unBytes, added: map[uint32]string{}}
	for i, text := range v.tokens {
		switch id := uint32(i); v.kind(i) {
		case normalPiece, unusedPiece:
			b.ids[text] = id
		case definedPiece:
			if err := p.raw.add(text, added{id: id}); err != nil {
				return nil, err
			}
			p.added[id] = text
		default:
			p.added[id] = text
		}
	}
	for rank, text := range v.merges {
		left, right, _ := strings.Cut(text, " ")
		if err := b.merge(left, right, uint32(rank)); err != nil {
			return nil, err
		}
	}
	for _, expression := range cuts {
		c, err := splitBy(expression, isolated, false)
		if err != nil {
			return nil, err
		}
		p.cuts = append(p.cuts, c)
	}
	p.cuts = append(p.cuts, byteLevel)
	return p, nil
}
