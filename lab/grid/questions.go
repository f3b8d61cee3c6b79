package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
)

// asked is how often each question is put to a model, each time with a nonce of its own.
const asked = 20

// Question is one question with its nonce, as the product sends it.
type Question struct {
	Cell   string `json:"cell"`
	Text   string `json:"text"`
	SHA256 string `json:"sha256"`
}

// errSeen ends an enrolment when every question was seen.
var errSeen = errors.New("every question was seen")

// questions are those that the product asks when it records a reference, cell after cell.
func questions() ([]Question, error) {
	cells := probe.WordCells()
	ctx, cancel := context.WithCancelCause(context.Background())
	l := &listener{cells: cells, end: cancel}
	_, err := probe.Enrol(ctx, probe.Enrolment{
		Name: "lab", Model: "lab", Train: asked, Bank: 1, Parallel: 1, Price: free,
		Variants: []probe.Source{{Variant: reference.Variant{Name: "lab"}, Subject: l}},
	})
	if !errors.Is(err, errSeen) {
		return nil, fmt.Errorf("collect the questions: %w", err)
	}
	return l.heard, nil
}

// listener is a subject that writes down what it is asked.
type listener struct {
	cells []string
	heard []Question
	end   context.CancelCauseFunc
}

// Facts implements probe.Subject.
func (l *listener) Facts() probe.Facts { return facts }

// Ask implements probe.Subject.
func (l *listener) Ask(_ context.Context, a *probe.Ask) *probe.Reply {
	n := len(l.heard)
	if n < asked*len(l.cells) {
		text := a.Turns[0].Text
		sum := sha256.Sum256([]byte(text))
		l.heard = append(l.heard, Question{l.cells[n/asked], text, hex.EncodeToString(sum[:])})
	}
	if len(l.heard) == asked*len(l.cells) {
		l.end(errSeen)
	}
	return &probe.Reply{Outcome: probe.Answered, Status: 200, Text: fmt.Sprint(n % 4), Finish: llm.FinishStop}
}

// facts are those of every simulated endpoint.
var facts = probe.Facts{URL: "http://127.0.0.1/v1", Kind: "openai", Model: "lab"}

func free(llm.Tokens) (price.Nano, bool) { return 0, true }

// stem is a question without its nonce, which is its last hexadecimal number.
func stem(text string) string {
	end := strings.LastIndexAny(text, "0123456789abcdef") + 1
	return text[:max(end-nonceLength, 0)]
}

// nonceLength is that of the nonces of questions.
const nonceLength = 6

// printQuestions writes the questions, one JSON object a line, for record.py.
func printQuestions(w io.Writer) error {
	all, err := questions()
	if err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, q := range all {
		if err := e.Encode(q); err != nil {
			return fmt.Errorf("write the questions: %w", err)
		}
	}
	return nil
}
