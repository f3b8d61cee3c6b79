package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/stat"
)

// run is one run of the grid. What it has done is kept in dir, so that it goes on
// where it was interrupted.
type run struct {
	settings *settings
	library  *library
	seed     [32]byte
	dir      string // empty to keep nothing
	told     func(format string, args ...any)
}

// scenario runs the rows of one scenario.
func (r *run) scenario(ctx context.Context, sc *scenario) (*table, error) {
	d, err := deploy(r.library, r.settings, sc)
	if err != nil {
		return nil, err
	}
	usual, err := newPool(r.settings, r.library.questions, d.cells(), d.variants...)
	if err != nil {
		return nil, err
	}
	t := &table{columns: bankColumns, rows: d.rows(), results: map[string][]result{}}
	t.title = fmt.Sprintf("%s: %s claimed, %s substituted", sc.Name, sc.Claimed, sc.Substitute)
	t.about = fmt.Sprintf("%d of %d cells count.", len(usual.usable()), len(sc.cells()))
	for i := range t.rows {
		row, p, n := &t.rows[i], usual, r.settings.Audits
		if row.honest {
			n = r.settings.Honest
		}
		if row.variants != nil {
			if p, err = newPool(r.settings, r.library.questions, d.cells(), row.variants...); err != nil {
				return nil, err
			}
		}
		t.results[row.id], err = r.audits(ctx, sc.Name+" "+row.id, n, func(i int, seed [32]byte) (result, error) {
			return p.audit(ctx, row, i, seed)
		})
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// audit runs one audit of a row: word questions, continuations, pairs of traffic, and
// all together.
func (p *pool) audit(ctx context.Context, w *row, i int, seed [32]byte) (result, error) {
	report, err := p.words(ctx, stat.Seed(seed, "words"), w.relay, p.settings.Budget)
	if err != nil {
		return result{}, fmt.Errorf("audit %s: %w", w.id, err)
	}
	seen := curves{}
	seen.add(report)
	if w.prose != nil {
		if err := w.prose.audit(ctx, stat.Seed(seed, "prose"), seen); err != nil {
			return result{}, fmt.Errorf("audit %s: %w", w.id, err)
		}
	}
	if w.shadow != nil {
		if err := w.shadow.pairs(stat.Seed(seed, "traffic"), seen); err != nil {
			return result{}, fmt.Errorf("audit %s: %w", w.id, err)
		}
	}
	return seen.result(i)
}

// wire runs the rows that are run over HTTP.
func (r *run) wire(ctx context.Context) (map[string][]result, error) {
	results := map[string][]result{}
	for i := range wireRows {
		row := &wireRows[i]
		var err error
		results[row.name()], err = r.audits(ctx, "wire "+row.name(), r.settings.Wire, func(i int, seed [32]byte) (result, error) {
			return auditWire(ctx, row, i, seed)
		})
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// audits runs n audits of a row, as many at a time as there are processors, but for
// those whose results are kept from an earlier run.
func (r *run) audits(ctx context.Context, name string, n int, audit func(i int, seed [32]byte) (result, error)) ([]result, error) {
	done, keep, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer keep.close()
	var todo []int
	for i := range n {
		if _, is := done[i]; !is {
			todo = append(todo, i)
		}
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error // guarded by mu, as done is
		gate = make(chan struct{}, runtime.GOMAXPROCS(0))
	)
	for _, i := range todo {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			if ctx.Err() != nil {
				return
			}
			res, err := audit(i, stat.Seed(r.seed, name, fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = keep.add(res)
				done[i] = res
			}
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(append(errs, context.Cause(ctx))...); err != nil {
		return nil, err
	}
	r.told("%s: %d audits", name, n)
	var all []result
	for _, i := range slices.Sorted(maps.Keys(done)) {
		if i < n {
			all = append(all, done[i])
		}
	}
	return all, nil
}

// kept is the file of a row's results.
type kept struct{ file *os.File }

// open reads what is kept of a row.
func (r *run) open(name string) (map[int]result, *kept, error) {
	done := map[int]result{}
	if r.dir == "" {
		return done, &kept{}, nil
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("keep results: %w", err)
	}
	path := filepath.Join(r.dir, strings.NewReplacer(" ", "_", ":", "_", "/", "_", ",", "").Replace(name)+".jsonl")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("keep results: %w", err)
	}
	whole := int64(0)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var res result
		if json.Unmarshal(lines.Bytes(), &res) != nil {
			break // the end of an interrupted run
		}
		done[res.Audit] = res
		whole += int64(len(lines.Bytes())) + 1
	}
	if _, err := f.Seek(whole, 0); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("keep results: %w", err), f.Close())
	}
	return done, &kept{f}, nil
}

func (k *kept) add(r result) error {
	if k.file == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep a result: %w", err)
	}
	if _, err := k.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("keep a result: %w", err)
	}
	return nil
}

func (k *kept) close() {
	if k.file != nil {
		_ = k.file.Close() // every line was written, and what is lost is done again
	}
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
