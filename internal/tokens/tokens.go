// Package tokens counts tokens by the vocabularies that vendors have published.
package tokens

import (
	"strings"
	"sync"

	"github.com/tiktoken-go/tokenizer/codec"
)

// Vocabulary is a published one. It is safe for concurrent use and loads what it
// needs, some tens of megabytes, when it counts for the first time.
type Vocabulary struct {
	Name  string
	codec func() *codec.Codec
}

// The vocabularies that OpenAI has published (github.com/openai/tiktoken).
var (
	o200k  = &Vocabulary{"o200k_base", sync.OnceValue(codec.NewO200kBase)}
	cl100k = &Vocabulary{"cl100k_base", sync.OnceValue(codec.NewCl100kBase)}
)

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

// Of returns the vocabulary of a model, whoever serves it; nil when none is known.
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
	n, err := v.codec().Count(text)
	return int64(n), err
}

// Split returns the tokens of a text, in order; joined they are the text. A token
// may end within a character.
func (v *Vocabulary) Split(text string) ([]string, error) {
	_, parts, err := v.codec().Encode(text)
	return parts, err
}

// Text returns what the token with an id stands for.
func (v *Vocabulary) Text(id uint) (string, error) { return v.codec().Decode([]uint{id}) }
