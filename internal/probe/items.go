package probe

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sallyport/internal/exam"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
)

// itemTokens is the least that the answer to an item may take: a model that reasons
// before it answers has room to, one that answers at once does not need it.
const itemTokens = 1024

// itemOptions is how many options an item of multiple choice has.
const itemOptions = 4

// options are how items are put: for the answer alone, so that a model which reasons
// less than the reference cannot make up for it in the text.
func options(choice bool) exam.Options {
	if choice {
		return exam.Options{Brief: true, Choices: itemOptions}
	}
	return exam.Options{Brief: true}
}

// itemAsk is the question that an item makes. Items are wrapped in work as they are
// made; dressed, they are sent like it as well.
func itemAsk(item exam.Item, dress string, r *rand.Rand) Ask {
	most := max(int64(item.MaxTokens), itemTokens)
	a := Ask{System: item.System, Turns: User(item.Prompt), MaxTokens: most, Temperature: new(wordTemperature), TopP: new(wordTopP)}
	if atWork(dress) {
		sendAsWork(&a, most, dress, r)
	}
	return a
}

// itemSource draws items of a mixture: the kinds by a random source, the items by a
// key, each by its number. It gives the same items to whoever has both.
type itemSource struct {
	mixture []reference.Share
	choice  bool
	key     []byte
	label   string
	kinds   *rand.Rand
	next    uint64
}

// draw is the next item and the index of its share.
func (s *itemSource) draw() (exam.Item, int, error) {
	share := s.kinds.IntN(len(s.mixture))
	item, err := makeItem(s.mixture[share].Family, s.mixture[share].Difficulty, s.choice, s.key, s.label, s.next)
	s.next++
	return item, share, err
}

// redraws bounds how often an item is drawn again whose seed gives no question.
const redraws = 8

// errNoItem says that a family has no item of a kind.
var errNoItem = errors.New("there is no item")

// makeItem generates item n of a kind. Seeds that give no question with one answer are
// passed over, wherever items are made.
func makeItem(family string, difficulty int, choice bool, key []byte, label string, n uint64) (item exam.Item, err error) {
	for again := range redraws {
		item, err = exam.Generate(family, difficulty, exam.Seed(key, label, fmt.Sprint(again), n), options(choice))
		if err == nil {
			return item, nil
		}
	}
	return exam.Item{}, fmt.Errorf("%w of %s at difficulty %d: %w", errNoItem, family, difficulty, err)
}

// NewAccuracy is an accuracy on a mixture of kinds, of which nothing is measured yet.
func NewAccuracy(mixture []reference.Share, choice bool) (*reference.Accuracy, error) {
	sample, err := itemSample(mixture, choice)
	if err != nil {
		return nil, err
	}
	return &reference.Accuracy{Mixture: mixture, Choice: choice, Sample: sample}, nil
}

// Items are those that an audit with this key of an endpoint, begun at that time, may
// put: of each kind the first n, which is as many as it puts in all. Whoever simulates
// an endpoint finds the answers here.
func Items(key [32]byte, f Facts, started time.Time, a *reference.Accuracy, n int) (map[string]exam.Item, error) {
	seed, items := itemKey(key, f, started), map[string]exam.Item{}
	for _, s := range a.Mixture {
		for i := range n {
			item, err := makeItem(s.Family, s.Difficulty, a.Choice, seed[:], itemsLabel, uint64(i))
			if err != nil {
				return nil, err
			}
			items[item.Prompt] = item
		}
	}
	return items, nil
}

// itemKey is the key of the items of one audit.
func itemKey(key [32]byte, f Facts, started time.Time) [32]byte {
	return stat.Seed(key, "items", f.URL, f.Model, started.Format(time.RFC3339Nano))
}

// itemsLabel tells the items of audits from those that references are recorded with.
const itemsLabel = "D5"

// itemSample is the SHA-256 over one item of each share under a fixed seed: it differs
// where another version of the generator would make other items, on which a recorded
// accuracy does not hold.
func itemSample(mixture []reference.Share, choice bool) (string, error) {
	h := sha256.New()
	for _, s := range mixture {
		item, err := makeItem(s.Family, s.Difficulty, choice, nil, "sample", 0)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q\n%q\n%q\n", item.System, item.Prompt, item.Answer)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
