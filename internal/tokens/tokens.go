// Package tokens counts tokens by the vocabularies that vendors have published, and by
// those in files of models.
package tokens

import (
	"strings"
	"sync"

	"github.com/tiktoken-go/tokenizer/codec"
)

// Vocabulary is a published one, or one that was read from a file. It is safe for
// concurrent use. A published one loads what it needs, some tens of megabytes, when it
// counts for the first time.
type Vocabulary struct {
	Name    string
	SHA256  string // of the file that it was read from, in hex; empty for a published one
	encoder func() encoder
}

// encoder makes tokens of texts.
type encoder interface {
	Count(text string) (int, error)
	Encode(text string) (ids []uint, parts []string, err error)
	Decode(ids []uint) (string, error)
}

// The vocabularies that OpenAI has published (github.com/openai/tiktoken).
var (
	o200k  = &Vocabulary{Name: "o200k_base", encoder: sync.OnceValue(func() encoder { return codec.NewO200kBase() })}
	cl100k = &Vocabulary{Name: "cl100k_base", encoder: sync.OnceValue(func() encoder { return codec.NewCl100kBase() })}
)

// Vocabularies returns the published ones that are known.
func Vocabularies() []*Vocabulary { return []*Vocabulary{o200k, cl100k} }

// Named returns the published vocabulary of a name; nil when none is known.
func Named(name string) *Vocabulary {
	for _, v := range Vocabularies() {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// families says which models use which, by the beginning of their names, as
// tiktoken/model.py does. The first that fits counts.
var families = []struct {
	prefix     string
	vocabulary *Vocabulary
}{
	{"gpt-4o", o200k},
	{"chatgpt-4o", o200k},
	{"gpt-4.1", o200k},
	{"gpt-4.5", o200k},
	{"gpt-5", o200k},
	{"gpt-oss", o200k},
	{"o1", o200k},
	{"o3", o200k},
	{"o4", o200k},
	{"gpt-4", cl100k},
	{"gpt-3.5", cl100k},
}

// Of returns the published vocabulary of a model, whoever serves it; nil when none is known.
func Of(model string) *Vocabulary {
	name := model[strings.LastIndexByte(model, '/')+1:]
	for _, f := range families {
		if rest, ok := strings.CutPrefix(name, f.prefix); ok && (rest == "" || strings.ContainsRune("-.:@", rune(rest[0]))) {
			return f.vocabulary
		}
	}
	return nil
}

// Count returns how many tokens a text has. It takes up to about half a second for
// a megabyte of the worst kind.
func (v *Vocabulary) Count(text string) (int64, error) {
	n, err := v.encoder().Count(text)
	return int64(n), err
}

// Split returns the tokens of a text, in order; joined they are the text, but for what a
// vocabulary from a file changes before it encodes. A token may end within a character.
func (v *Vocabulary) Split(text string) ([]string, error) {
	_, parts, err := v.encoder().Encode(text)
	return parts, err
}

// Text returns what the token with an id stands for.
func (v *Vocabulary) Text(id uint) (string, error) { return v.encoder().Decode([]uint{id}) }
