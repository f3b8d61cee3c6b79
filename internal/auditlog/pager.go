package auditlog

import (
	"iter"
	"math"
)

// pageRows is how many rows of a table are in memory at a time.
const pageRows = 256

// pager walks a table in the order of its integer key, a page at a time, so that
// several tables are merged in bounded memory over one connection.
type pager[T any] struct {
	fetch func(from int64, limit int) iter.Seq2[T, error] // rows with a key of at least from
	key   func(*T) int64

	page []T
	at   int
	from int64
	done bool
}

func newPager[T any](key func(*T) int64, fetch func(int64, int) iter.Seq2[T, error]) *pager[T] {
	return &pager[T]{fetch: fetch, key: key, from: math.MinInt64}
}

// peek returns the present row, or nil after the last.
func (p *pager[T]) peek() (*T, error) {
	for p.at == len(p.page) {
		if p.done {
			return nil, nil
		}
		p.page, p.at = p.page[:0], 0
		for row, err := range p.fetch(p.from, pageRows) {
			if err != nil {
				return nil, err
			}
			p.page = append(p.page, row)
		}
		p.done = len(p.page) < pageRows
		if !p.done {
			last := p.key(&p.page[len(p.page)-1])
			p.from = last + 1
			p.done = last == math.MaxInt64
		}
	}
	return &p.page[p.at], nil
}

// next moves on.
func (p *pager[T]) next() { p.at++ }

// below takes the present row when its key is below a bound.
func (p *pager[T]) below(bound int64) (*T, error) {
	row, err := p.peek()
	if err != nil || row == nil || p.key(row) >= bound {
		return nil, err
	}
	p.next()
	return row, nil
}

// exactly takes the present row when it has the key.
func (p *pager[T]) exactly(key int64) (*T, error) {
	row, err := p.peek()
	if err != nil || row == nil || p.key(row) != key {
		return nil, err
	}
	p.next()
	return row, nil
}
