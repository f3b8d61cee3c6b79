package probe

import (
	"fmt"
	"slices"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// A watch may ask questions of its own: one-word questions (D3) and generated items
// (D5), of the watched upstream and of its references in the same minute. Nothing stored
// is drawn from, so they never run out, and a reference that changes changes both sides.

const (
	// watchedCells is how many word cells a stream without a stored reference asks; where
	// one turns out to be of no use the next one takes its place.
	watchedCells = 16
	// watchedTrain is how many answers of the first reference such a cell's alphabet is
	// made from, before the first bet.
	watchedTrain = 24
)

// words bets on one-word answers.
type words struct {
	cells []wordCell
	courses
	trusted int
}

// wordCell is one question.
type wordCell struct {
	id      string
	train   map[string]int // answers of the first reference
	n       int
	betting *stat.Betting  // nil while the alphabet is being made
	seen    map[string]int // what was bet on: the suspect's answers,
	trusted map[string]int // and those of the first reference
	retired bool           // the answers are nearly fixed, or nearly all different
}

// watchedWords are the ids of the cells of a stream, and how they are dressed.
func watchedWords(s Stream, recorded *baseline) (ids []string, dress string) {
	if recorded != nil {
		for _, i := range recorded.usable() {
			ids = append(ids, recorded.Words[i].ID)
		}
		return ids, recorded.Protocol.Dress
	}
	ids = cellsIn(steadyDress) // nobody knows what temperatures all sides take
	r := stat.Rand(stat.Seed([32]byte{}, "watched cells", s.Upstream, s.Model))
	r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids, steadyDress
}

// newWords makes alphabets from a stored reference where there is one.
func newWords(s Stream, recorded *baseline) (*words, error) {
	w := &words{trusted: len(s.References)}
	var err error
	if w.courses, err = newCourses(len(s.References)); err != nil {
		return nil, err
	}
	ids, _ := watchedWords(s, recorded)
	for _, id := range ids {
		w.cells = append(w.cells, wordCell{id: id, train: map[string]int{}, seen: map[string]int{}, trusted: map[string]int{}})
	}
	if recorded == nil {
		return w, nil
	}
	for k, i := range recorded.usable() {
		c := &w.cells[k]
		c.train = recorded.Words[i].Trains(0)
		if err := c.begin(len(s.References)); err != nil {
			return nil, err
		}
	}
	if len(w.cells) < minCells {
		return nil, fmt.Errorf("the stored reference has fewer than %d one-word questions with an entropy of %g to %g bits", minCells, minEntropy, maxEntropy)
	}
	return w, nil
}

// begin fixes the alphabet; from now on the cell's answers are bet on.
func (c *wordCell) begin(trusted int) error {
	cell, err := stat.NewCell(c.train, wordSpecials...)
	if err != nil {
		return err
	}
	c.betting, err = stat.NewBetting([]*stat.Cell{cell}, trusted, 0)
	return err
}

// observe takes the answers to one question: the suspect's, then by reference.
func (w *words) observe(o *Observed) error {
	if o.Cell < 0 || o.Cell >= len(w.cells) || len(o.Words) != 1+w.trusted {
		return fmt.Errorf("%d answers to the one-word question %d", len(o.Words), o.Cell)
	}
	c := &w.cells[o.Cell]
	switch {
	case c.retired:
		return nil // asked before it was
	case c.betting == nil:
		return w.learn(c, o.Words[1])
	}
	var draws [][]string
	for _, word := range o.Words[1:] {
		draws = append(draws, []string{word})
	}
	p, err := c.betting.Observe(0, o.Words[0], draws...)
	if err != nil {
		return err
	}
	c.seen[o.Words[0]]++
	c.trusted[o.Words[1]]++
	return w.bet(p)
}

// learn takes an answer of the first reference for the alphabet.
func (w *words) learn(c *wordCell, word string) error {
	c.train[word]++
	if c.n++; c.n < watchedTrain {
		return nil
	}
	var counts []int
	for _, n := range c.train {
		counts = append(counts, n)
	}
	h, err := stat.Entropy(counts)
	if err != nil || h < minEntropy || h > maxEntropy {
		c.retired = true
		return err
	}
	return c.begin(w.trusted)
}

// open are the cells that may be asked; none when there are too few.
func (w *words) open() []int {
	var open []int
	for i := range w.cells {
		if !w.cells[i].retired && (len(open) < watchedCells || w.cells[i].betting != nil) {
			open = append(open, i)
		}
	}
	if len(open) < minCells {
		return nil
	}
	return open
}

// items bets on generated items: that the suspect solves one is no less likely than that
// the first reference does, or, for H_honest, than that all of them do, which is at most
// as likely as that the weakest does.
type items struct {
	courses
	trusted               int
	asked, solved, beside int // by the suspect and by the first reference
}

func newItems(trusted int) (*items, error) {
	c, err := newCourses(trusted)
	return &items{courses: c, trusted: trusted}, err
}

func (i *items) observe(o *Observed) error {
	if len(o.Solved) != 1+i.trusted {
		return fmt.Errorf("%d grades of an item", len(o.Solved))
	}
	i.asked++
	i.solved, i.beside = i.solved+flagged(o.Solved[0]), i.beside+flagged(o.Solved[1])
	all := !slices.Contains(o.Solved[1:], false)
	return i.bet(stat.Payoffs{Same: stat.GradeDifference(o.Solved[1], o.Solved[0]), Honest: stat.GradeDifference(all, o.Solved[0])})
}

// charges bets on the visible tokens of answers to users, counted here as the ledger has
// them counted (D7).
type charges struct {
	billing *stat.Billing
	m       *stat.ShiryaevRoberts
}

// newCharges bounds the honest excess by a stored reference, else by what is assumed.
func newCharges(recorded *baseline) (*charges, error) {
	h := assumedExcess
	if recorded != nil {
		h, _ = boundExcess(recorded.Excess)
	}
	billing, err := stat.NewBilling(h)
	if err != nil {
		return nil, err
	}
	m, err := stat.NewShiryaevRoberts(billing.Mixture().Stakes())
	return &charges{billing, m}, err
}

func (c *charges) observe(o *Observed) error {
	if o.Counted < leastVisible || o.Reported < 0 {
		return fmt.Errorf("%d tokens reported of %d", o.Reported, o.Counted)
	}
	paid, err := c.billing.Observe(o.Reported, o.Counted)
	if err != nil {
		return err
	}
	return c.m.Bet(paid)
}

func (c *charges) stand(n verdict.Null) (stand, bool) {
	e := c.billing.Mixture()
	return stand{e.N(), e.LogE(), c.m.LogM()}, n == verdict.Billing
}
