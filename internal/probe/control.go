package probe

import (
	"fmt"
	"math"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// controlled is one in how many one-word answers of the first reference are held against
// what was recorded of it.
const controlled = 10

// control is the audit of the first reference itself, by the same test that the suspect
// is judged by, against samples that were recorded of it. Where it answers otherwise,
// the suspect may be the one that did not change: then nothing is concluded. It asks
// nothing: the answers are those that the suspect is compared with.
type control struct {
	base    *baseline
	cells   []reference.Cell
	betting *stat.Betting
	bank    *reference.Bank
	drawn   []int // samples used, by cell
	seen    int
}

// newControl begins with the whole bank.
func newControl(base *baseline) (*control, error) {
	c := &control{base: base}
	var alphabets []*stat.Cell
	for _, i := range base.usable() {
		w := base.Words[i]
		alphabet, err := stat.NewCell(w.Trains(0), wordSpecials...)
		if err != nil {
			return nil, err
		}
		alphabets = append(alphabets, alphabet)
		c.cells = append(c.cells, reference.Cell{ID: w.ID, Letters: w.Letters, Train: w.Train[:1], Bank: w.Bank[:1]})
	}
	c.bank, c.drawn = reference.NewBank(c.cells, stat.Seed([32]byte{}, "control", base.ID)), make([]int, len(c.cells))
	var err error
	c.betting, err = stat.NewBetting(alphabets, 1, 0)
	return c, err
}

// skip passes over samples that were used before.
func (c *control) skip(drawn []int) error {
	if len(drawn) != len(c.cells) {
		return fmt.Errorf("the use of %d cells of the stored reference, which has %d", len(drawn), len(c.cells))
	}
	for i, n := range drawn {
		for c.drawn[i] < n {
			if _, left := c.bank.Draw(i, 1); !left {
				return fmt.Errorf("%d samples of a cell of the stored reference were used", n)
			}
			c.drawn[i]++
		}
	}
	return nil
}

// observe holds one in so many answers of the first reference against a recorded one. A
// cell whose bank is used up says nothing more.
func (c *control) observe(o *Observed) error {
	if c.seen++; c.seen%controlled != 0 {
		return nil
	}
	drawn, left := c.bank.Draw(o.Cell, 1)
	if !left {
		return nil
	}
	c.drawn[o.Cell]++
	_, err := c.betting.Observe(o.Cell, o.Words[1], drawn[0])
	return err
}

// Control is how the first reference stands against what was recorded of it.
type Control struct {
	N       int     `json:"n"`
	LogE    float64 `json:"log10_e"`
	MaxLogE float64 `json:"log10_max_e"`
	Changed bool    `json:"changed"`
	Left    int     `json:"left"` // samples of the bank
	Days    float64 `json:"days"` // that they last
}

// daysInMonth is the mean.
const daysInMonth = 30.4

func (c *control) tell(monthly int) *Control {
	e := c.betting.Same()
	t := &Control{N: e.N(), LogE: e.LogE() / math.Ln10, MaxLogE: e.Max() / math.Ln10}
	t.Changed = t.MaxLogE >= verdict.LevelNotice.Threshold()
	for i := range c.cells {
		t.Left += c.bank.Left(i, 1)
	}
	if monthly > 0 {
		t.Days = float64(t.Left) * controlled * daysInMonth / float64(monthly)
	}
	return t
}
