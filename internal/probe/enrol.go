package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/price"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
)

// Enrolment says how a reference is recorded.
type Enrolment struct {
	Program  string
	Name     string
	Model    string   // the claim that it will be the reference of
	Variants []Source // honest deployments; the first is the reference proper
	Lifetime time.Duration
	Train    int // answers of each cell and variant that alphabets are made from; 60 when 0
	Bank     int // answers of each cell and variant that audits draw from; 240 when 0
	Items    int // generated items put to each variant, beyond those that choose what is put; 0 leaves them out
	Parallel int
	Cap      price.Nano
	Price    Price
	Seed     [32]byte
	Now      func() time.Time
	Progress func(done, of int, what string)
}

// Source is one deployment that is recorded.
type Source struct {
	reference.Variant
	Subject Subject
}

// Enrol records a reference: word questions to each source, in an order in which no
// two sources differ, and what else was asked for. Cells whose entropy on train makes
// them useless get no bank. Where a source answers too rarely the recording fails: half
// a reference is none. What a model cannot do at all is left out, with a note.
func Enrol(ctx context.Context, e Enrolment) (*reference.Reference, error) {
	if e.Train == 0 {
		e.Train = 60
	}
	if e.Bank == 0 {
		e.Bank = 240
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	now := e.Now().UTC().Truncate(time.Second)
	ref := &reference.Reference{
		Name: e.Name, Model: e.Model, Recorded: now, Expires: now.Add(e.Lifetime), Program: e.Program,
		Protocol: reference.Protocol{
			Model: e.Variants[0].Subject.Facts().Model, Dialect: e.Variants[0].Subject.Facts().Kind, Questions: QuestionsVersion,
			Temperature: "1", TopP: "1", MaxTokens: wordTokens, Dress: "plain",
		},
	}
	for _, v := range e.Variants {
		ref.Variants = append(ref.Variants, v.Variant)
	}
	r := &recorder{Enrolment: e, meter: newMeter(e.Price, e.Cap)}
	if err := r.words(ctx, ref); err != nil {
		return nil, err
	}
	if r.Items > 0 {
		if err := r.items(ctx, ref); err != nil {
			return nil, err
		}
	}
	return ref, nil
}

// recorder is one recording at work.
type recorder struct {
	Enrolment
	meter *meter
}

// words records the answers to word questions.
func (r *recorder) words(ctx context.Context, ref *reference.Reference) error {
	cells := WordCells()
	done, of := 0, len(cells)*len(r.Variants)*r.Train
	sampled := make([]*alphabet, len(cells))
	for i, id := range cells {
		sampled[i] = newAlphabet(len(r.Variants))
		for v := range r.Variants {
			answers, err := r.sample(ctx, id, v, r.Train, 0)
			if err != nil {
				return err
			}
			sampled[i].train[v] = sampled[i].add(answers)
			done += r.Train
			r.tell(done, of, id)
		}
	}
	for i, id := range cells {
		ref.Words = append(ref.Words, sampled[i].cell(id))
	}
	useful := newBaseline(&reference.Opened{Reference: *ref}).usable()
	if len(useful) < minCells {
		return fmt.Errorf("only %d of %d questions are answered with an entropy of %g to %g bits; the model's answers are too much alike, or no answers, for a reference",
			len(useful), len(cells), minEntropy, maxEntropy)
	}
	of += len(useful) * len(r.Variants) * r.Bank
	for _, i := range useful {
		for v := range r.Variants {
			answers, err := r.sample(ctx, cells[i], v, r.Bank, r.Train)
			if err != nil {
				return err
			}
			bank := sampled[i].add(answers)
			stat.Rand(stat.Seed(r.Seed, "shuffle", cells[i], fmt.Sprint(v))).Shuffle(len(bank), func(a, b int) { bank[a], bank[b] = bank[b], bank[a] })
			sampled[i].bank[v] = bank
			done += r.Bank
			r.tell(done, of, cells[i])
		}
		ref.Words[i] = sampled[i].cell(cells[i])
	}
	return nil
}

func (r *recorder) tell(done, of int, what string) {
	if r.Progress != nil {
		r.Progress(done, of, what)
	}
}

// sample asks one source a question so many times.
func (r *recorder) sample(ctx context.Context, cell string, variant, n, from int) ([]string, error) {
	nonces := stat.Rand(stat.Seed(r.Seed, "nonces", cell, fmt.Sprint(variant), fmt.Sprint(from)))
	asks := make([]Ask, n)
	for i := range asks {
		asks[i] = wordAsk(cell, nonces)
	}
	replies, err := r.ask(ctx, variant, cell, asks)
	if err != nil {
		return nil, err
	}
	var words []string
	for _, reply := range replies {
		if reply.OK() {
			words = append(words, reply.Word())
		}
	}
	return words, nil
}

// ask puts questions to one source. That it answers too rarely is an error.
func (r *recorder) ask(ctx context.Context, variant int, what string, asks []Ask) ([]*Reply, error) {
	source := r.Variants[variant]
	replies := askAll(r.Parallel, len(asks), func(i int) *Reply { return r.meter.ask(ctx, source.Subject, &asks[i]) })
	answered := 0
	for _, reply := range replies {
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case reply.Outcome == Capped:
			return nil, errors.New("the spend cap was reached before the reference was whole; nothing is kept")
		case reply.OK():
			answered++
		case answered == 0 && reply.Outcome != RateLimited:
			return nil, fmt.Errorf("%s does not answer (%s, status %d)%s", source.Name, reply.Outcome, reply.Status, said(reply))
		}
	}
	if float64(answered) < (1-maxFailures)*float64(len(asks)) {
		return nil, fmt.Errorf("%s answered %d of %d questions of cell %s; a reference needs %.0f %%", source.Name, answered, len(asks), what, 100*(1-maxFailures))
	}
	return replies, nil
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
