package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"

	"sallyport/internal/llm"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// recordedProse is how many recorded continuations of each text stand in a reference.
const recordedProse = 20

// proseBudget is how many questions an audit asks: as many as the product does of a new
// endpoint.
var proseBudget = probe.Vet.Budgets["D13"]

// prose are the continuations by one deployment.
type prose struct {
	arm   string
	texts map[string][]string
}

// prose reads the continuations of an arm.
func (l *library) prose(arm string) (*prose, error) {
	p := &prose{arm, map[string][]string{}}
	err := l.lines(proseBank(arm), func(line []byte) error {
		var c struct {
			Cell      string   `json:"cell"`
			Questions []string `json:"questions"`
			Texts     []string `json:"texts"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		for _, q := range c.Questions {
			if l.known[q] != c.Cell {
				return fmt.Errorf("text %s was continued after another question than is asked now", c.Cell)
			}
		}
		for _, text := range c.Texts {
			// As the product reads an answer; it compares no more than was recorded.
			p.texts[c.Cell] = append(p.texts[c.Cell], strings.TrimLeftFunc(text, unicode.IsSpace))
		}
		return nil
	})
	for cell, texts := range p.texts {
		if least := recordedProse + proseBudget/len(p.texts); len(texts) < least {
			err = errors.Join(err, fmt.Errorf("%s has %d continuations of %s, and an audit takes %d", arm, len(texts), cell, least))
		}
	}
	return p, err
}

// writing is who continues texts.
type writing struct {
	claimed, other *prose
	variants       []*prose          // the recorded deployments; the first is the claimed one
	share          float64           // of questions that other answers
	cells          map[string]string // by the beginning of the text
}

// audit runs one audit by continuations. The reference and the endpoint draw from the
// same recorded texts, each text once.
func (w *writing) audit(ctx context.Context, seed [32]byte, into curves) error {
	r := stat.Rand(stat.Seed(seed, "texts"))
	texts := deck{r, map[string][]string{}}
	ref := simulated(len(w.variants))
	for _, id := range sortedKeys(w.claimed.texts) {
		cell := reference.Cell{ID: id}
		for _, v := range w.variants {
			var drawn []int
			for range recordedProse {
				drawn = append(drawn, len(cell.Letters))
				cell.Letters = append(cell.Letters, texts.next(v, id))
			}
			cell.Train, cell.Bank = append(cell.Train, nil), append(cell.Bank, drawn)
		}
		ref.Texts = append(ref.Texts, cell)
	}
	report, _, err := probe.Run(ctx, probe.Config{
		Subject: &writer{w, texts}, Reference: ref,
		Profile: probe.Profile{Name: "lab", Budgets: map[verdict.ID]int{"D13": proseBudget}}, Parallel: 1, Price: free,
		Beacon: seededBeacon(seed),
		Now:    func() time.Time { return recorded },
	})
	if err != nil {
		return err
	}
	into.add(report)
	return nil
}

// deck hands out recorded texts in random order.
type deck struct {
	r    *rand.Rand
	left map[string][]string // by arm and text
}

func (d deck) next(p *prose, cell string) string {
	at := p.arm + " " + cell
	if _, begun := d.left[at]; !begun {
		d.left[at] = slices.Clone(p.texts[cell])
		d.r.Shuffle(len(d.left[at]), func(i, j int) { d.left[at][i], d.left[at][j] = d.left[at][j], d.left[at][i] })
	}
	text := d.left[at][0]
	d.left[at] = d.left[at][1:]
	return text
}

// writer is an endpoint that continues texts. Its questions come one at a time.
type writer struct {
	*writing
	texts deck
}

// Facts implements probe.Subject.
func (w *writer) Facts() probe.Facts { return facts }

// Ask implements probe.Subject.
func (w *writer) Ask(_ context.Context, a *probe.Ask) *probe.Reply {
	reply := &probe.Reply{Outcome: probe.Answered, Status: 200, Finish: llm.FinishStop, Text: "Hello."}
	if begun, toContinue := beginning(a.Turns[0].Text); toContinue {
		from := w.claimed
		if w.texts.r.Float64() < w.share {
			from = w.other
		}
		reply.Text = w.texts.next(from, w.cells[begun])
	}
	return reply
}
