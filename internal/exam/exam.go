// Package exam makes and grades the questions with which the capability of an endpoint is measured.
//
// A question is generated from a seed, so it has never been published and is never asked twice: nobody
// can have trained on it or recognise it. A seed comes from a secret of the organisation (Seed), which
// makes the questions private and still reproducible by whoever holds the secret. Every family of
// questions has two ways to its answer, one that builds it and one that solves what was built; a question
// for which they differ, or which has more than one answer, is drawn again.
//
// Questions of published collections can be imported (Import); they never weigh in a verdict.
package exam

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Kind says what form an answer has, and so how it is read out of a reply.
type Kind string

// The kinds of answer, each with its canonical form.
const (
	Number Kind = "number" // decimal, a point before the fraction: 1234.5
	Date   Kind = "date"   // 2027-03-14
	Clock  Kind = "clock"  // 24 hours: 07:05
	Word   Kind = "word"   // a name or word, compared without case
	Text   Kind = "text"   // compared character by character
	List   Kind = "list"   // names in order, joined by ", "
	YesNo  Kind = "yesno"  // yes or no
	Choice Kind = "choice" // the letter of an option
	Format Kind = "format" // any text that keeps Item.Rules; Answer is an example
)

// Difficulties are 1 to MaxDifficulty.
const MaxDifficulty = 10

// Item is one question with its answer.
type Item struct {
	Family     string
	Difficulty int
	Seed       [32]byte
	System     string // system prompt, often empty
	Prompt     string
	Answer     string // canonical form of its kind; never part of what is sent
	Kind       Kind
	Language   string   // en, de, es or zh: decides how numbers and dates are read
	Unit       string   // of a Number: a reply in another known unit is wrong
	Choices    []string // the options A, B, ... when Kind is Choice
	Rules      []Rule   // when Kind is Format
	MaxTokens  int      // a limit that a right reply keeps, without what a model thinks before it
	Size       int      // steps, rows or entities to work through; it never falls as difficulty rises
	Skeleton   int      // which paraphrase was used, from 0
	Wrapper    string   // what the prompt is dressed as, "plain" for nothing
}

// Options choose a variant of a question. The zero value asks for working and a final line.
type Options struct {
	Brief   bool // only the answer, no working: measures what needs no reasoning
	Choices int  // 2 to 10: multiple choice with so many options, fewer where a question has fewer; 0: an open question
}

// Family describes one kind of question.
type Family struct {
	Name      string
	About     string
	Language  string
	Skeletons int // number of paraphrases
}

// attempts bounds how often a question without a unique answer is drawn again.
const attempts = 400

// Errors of Generate that callers may branch on.
var (
	ErrUnknownFamily = errors.New("unknown family")
	ErrNoChoices     = errors.New("family has no multiple choice form")
)

// Families lists all families in a fixed order.
func Families() []Family {
	list := make([]Family, len(families))
	for i, f := range families {
		list[i] = Family{Name: f.name, About: f.about, Language: f.language, Skeletons: len(f.skeletons)}
	}
	return list
}

// Seed is the seed of question i for an endpoint in an epoch: HMAC-SHA256 under the organisation's
// secret. Fields are framed by their lengths, so no two different triples share a seed.
func Seed(orgSecret []byte, endpoint, epoch string, i uint64) [32]byte {
	return keyed(orgSecret, endpoint, epoch, i)
}

// keyed is HMAC-SHA256 over two length-framed strings and a number.
func keyed(key []byte, a, b string, n uint64) [32]byte {
	mac := hmac.New(sha256.New, key)
	var frame []byte
	for _, s := range []string{"sallyport exam 1", a, b} {
		frame = binary.BigEndian.AppendUint64(frame, uint64(len(s)))
		frame = append(frame, s...)
	}
	mac.Write(binary.BigEndian.AppendUint64(frame, n))
	return [32]byte(mac.Sum(nil))
}

// Generate makes the question of a family that belongs to a seed. Equal arguments give equal items.
func Generate(name string, difficulty int, seed [32]byte, opts Options) (Item, error) {
	i := slices.IndexFunc(families, func(f family) bool { return f.name == name })
	if i < 0 {
		return Item{}, fmt.Errorf("exam: %w: %q", ErrUnknownFamily, name)
	}
	if difficulty < 1 || difficulty > MaxDifficulty {
		return Item{}, fmt.Errorf("exam: difficulty %d is not within 1 to %d", difficulty, MaxDifficulty)
	}
	if opts.Choices != 0 && (opts.Choices < 2 || opts.Choices > len(letters)) {
		return Item{}, fmt.Errorf("exam: %d choices are not within 2 to %d", opts.Choices, len(letters))
	}
	return families[i].generate(difficulty, seed, opts)
}

// generate draws until a question has exactly the answer it was built with.
func (f family) generate(difficulty int, seed [32]byte, opts Options) (Item, error) {
	for attempt := range uint64(attempts) {
		d := newDraw(keyed(seed[:], f.name, itoa(difficulty), attempt))
		p, ok := f.build(d, f.language, difficulty)
		if !ok || !slices.Equal(p.solve(), []string{p.answer}) {
			continue
		}
		item, err := compose(d, f, p, difficulty, opts)
		if errors.Is(err, errFewChoices) {
			continue
		}
		if err != nil {
			return Item{}, fmt.Errorf("exam: %s: %w", f.name, err)
		}
		item.Seed = seed
		return item, nil
	}
	return Item{}, fmt.Errorf("exam: %s at difficulty %d: no question with one answer in %d draws", f.name, difficulty, attempts)
}
