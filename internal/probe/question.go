package probe

import (
	"fmt"
	"math/rand/v2"
	"time"

	"sallyport/internal/exam"
	"sallyport/internal/reference"
)

// Question is one that a watch asks of its own: the watched upstream and each reference
// get the same bytes.
type Question struct {
	kind Kind
	cell int
	item exam.Item
	ask  Ask
}

// Body is the question as a chat completion.
func (q *Question) Body(model string) []byte { return q.ask.body(model, "max_completion_tokens") }

// questioner draws the questions of a stream. It is not part of what is concluded:
// which question is asked when depends on no answer.
type questioner struct {
	asked questions
	items itemSource
	dress *rand.Rand
	share float64 // of words among all questions
}

// itemDifficulty is how hard items are where no stored reference says what suits.
const itemDifficulty = 4

// newQuestioner asks what a stream's state is open for; nil when it asks nothing.
func newQuestioner(x *state, key [32]byte, recorded *reference.Opened, r *rand.Rand) *questioner {
	m := x.Monthly
	if m.Words+m.Items <= 0 {
		return nil
	}
	q := &questioner{dress: r, share: float64(m.Words) / float64(m.Words+m.Items)}
	var base *baseline
	if recorded != nil {
		base = newBaseline(recorded)
	}
	_, dress := watchedWords(x.Stream, base)
	q.asked = wordsIn(dress)
	// The label is drawn anew whenever a process starts, so no item is put twice.
	q.items = itemSource{mixture: liveMixture(), key: key[:], label: fmt.Sprintf("watch %016x", r.Uint64()), kinds: r}
	if base != nil && base.Accuracy != nil {
		q.items.mixture, q.items.choice = base.Accuracy.Mixture, base.Accuracy.Choice
	}
	return q
}

// next draws a question; nil when there is none that could say anything.
func (q *questioner) next(x *state) (*Question, error) {
	if q.dress.Float64() < q.share {
		for _, s := range x.senses {
			w, is := s.learner.(*words)
			if !is {
				continue
			}
			open := w.open()
			if open == nil {
				return nil, nil
			}
			cell := pick(q.dress, open)
			return &Question{kind: Word, cell: cell, ask: q.asked.ask(w.cells[cell].id, q.dress)}, nil
		}
		return nil, nil
	}
	item, _, err := q.items.draw()
	if err != nil {
		return nil, err
	}
	return &Question{kind: Item, item: item, ask: itemAsk(item, steadyDress, q.dress)}, nil
}

// maxKeptWord bounds an answer that is kept as a word, in bytes: longer ones are all alike.
const maxKeptWord = 60

// read makes an observation of the answers: the suspect's, then by reference. One that
// the suspect did not give is an observation that came to nothing; where a reference gave
// none there is none.
func (q *Question) read(at time.Time, asked questions, suspect *Said, trusted []*Said) *Observed {
	o := &Observed{At: at.UnixMicro(), Kind: q.kind, Cell: q.cell}
	for _, s := range trusted {
		if s == nil || s.Failed {
			return nil
		}
	}
	if suspect == nil || suspect.Failed {
		o.Dropped = true
		return o
	}
	for _, s := range append([]*Said{suspect}, trusted...) {
		r := &Reply{Outcome: Answered, Text: s.Text, Finish: s.Finish}
		switch q.kind {
		case Word:
			word := asked.read("", r)
			if len(word) > maxKeptWord {
				word = "LONG"
			}
			o.Words = append(o.Words, word)
		case Item:
			o.Solved = append(o.Solved, exam.Grade(q.item, s.Text).Verdict == exam.Right)
		}
	}
	return o
}
