package probe

import (
	"context"
	"fmt"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
)

// pool records the cells of one kind: first of all of them the answers that alphabets
// are made from, then of the useful ones those that audits draw from.
type pool struct {
	*recorder
	questions
	ids     []string
	sampled []*alphabet
	from    int // answers of each cell that were asked for before
	done    int
	of      int
}

func newPool(r *recorder, ids []string, q questions) *pool {
	p := &pool{recorder: r, questions: q, ids: ids}
	for range ids {
		p.sampled = append(p.sampled, newAlphabet(len(r.Variants)))
	}
	return p
}

// train asks each source n times for an answer to each cell.
func (p *pool) train(ctx context.Context, n int) error {
	p.of, p.from = len(p.ids)*len(p.Variants)*n, n
	for i, id := range p.ids {
		for v := range p.Variants {
			answers, err := p.sample(ctx, id, v, n, 0)
			if err != nil {
				return err
			}
			p.sampled[i].train[v] = p.sampled[i].add(answers)
		}
	}
	return nil
}

// bank asks each source n times more for an answer to each useful cell.
func (p *pool) bank(ctx context.Context, useful []int, n int) error {
	p.of += len(useful) * len(p.Variants) * n
	for _, i := range useful {
		for v := range p.Variants {
			answers, err := p.sample(ctx, p.ids[i], v, n, p.from)
			if err != nil {
				return err
			}
			bank := p.sampled[i].add(answers)
			stat.Rand(stat.Seed(p.Seed, "shuffle", p.ids[i], fmt.Sprint(v))).Shuffle(len(bank), func(a, b int) { bank[a], bank[b] = bank[b], bank[a] })
			p.sampled[i].bank[v] = bank
		}
	}
	return nil
}

// cells are what was recorded so far.
func (p *pool) cells() []reference.Cell {
	var cells []reference.Cell
	for i, id := range p.ids {
		cells = append(cells, p.sampled[i].cell(id))
	}
	return cells
}

// sample asks one source a question so many times.
func (p *pool) sample(ctx context.Context, cell string, variant, n, from int) ([]string, error) {
	nonces := stat.Rand(stat.Seed(p.Seed, "nonces", cell, fmt.Sprint(variant), fmt.Sprint(from)))
	asks := make([]Ask, n)
	for i := range asks {
		asks[i] = p.questions.ask(cell, nonces)
	}
	replies, err := p.recorder.ask(ctx, variant, "cell "+cell, asks)
	if err != nil {
		return nil, err
	}
	var answers []string
	for _, reply := range replies {
		if reply.OK() {
			answers = append(answers, p.read(cell, reply))
		}
	}
	p.done += n
	p.tell(p.done, p.of, cell)
	return answers, nil
}

// alphabet numbers the answers to one question.
type alphabet struct {
	letters     []string
	index       map[string]int
	train, bank [][]int
}

func newAlphabet(variants int) *alphabet {
	return &alphabet{index: map[string]int{}, train: make([][]int, variants), bank: make([][]int, variants)}
}

// add numbers answers.
func (a *alphabet) add(answers []string) []int {
	numbers := make([]int, len(answers))
	for i, w := range answers {
		n, known := a.index[w]
		if !known {
			n = len(a.letters)
			a.letters, a.index[w] = append(a.letters, w), n
		}
		numbers[i] = n
	}
	return numbers
}

func (a *alphabet) cell(id string) reference.Cell {
	return reference.Cell{ID: id, Letters: a.letters, Train: a.train, Bank: a.bank}
}
