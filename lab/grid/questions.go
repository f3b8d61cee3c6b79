package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// learnt is what the product asks when it records a reference.
type learnt struct {
	questions  []Question          // for words, cell after cell
	beginnings []Question          // of texts to continue, cell after cell
	texts      map[string]string   // their cells, by the beginning itself
	tools      map[string][]string // the tools of every task, by its cell
	tasks      map[string]string   // the task of every tool
	numbers    *reference.Numbers  // questions for numbers, and what the listener answered
}

// How much of what is not recorded word by word is listened to.
const (
	sameBeginning = 4   // questions with the same beginning of a text
	numbersAsked  = 364 // questions for numbers
)

// learn has a reference recorded of a listener.
func learn() (*learnt, error) {
	cells := probe.WordCells()
	l := &listener{words: asked * len(cells), texts: map[string]string{}}
	ref, err := probe.Enrol(context.Background(), probe.Enrolment{
		Name: "lab", Model: "lab", Train: asked, Bank: 1, Tools: true, Texts: sameBeginning, Numbers: numbersAsked, Parallel: 1, Price: free,
		Variants: []probe.Source{{Variant: reference.Variant{Name: "lab"}, Subject: l}},
	})
	if err != nil {
		return nil, fmt.Errorf("collect the questions: %w", err)
	}
	if ref.Tools == nil || ref.Texts == nil || ref.Numbers == nil || len(l.heard) != l.words {
		return nil, fmt.Errorf("collect the questions: not all were asked: %q", ref.Notes)
	}
	found := &learnt{texts: map[string]string{}, tools: map[string][]string{}, tasks: map[string]string{}, numbers: ref.Numbers}
	for i, text := range l.heard {
		found.questions = append(found.questions, newQuestion(cells[i/asked], text))
	}
	for _, c := range ref.Tools {
		found.tools[c.ID] = c.Letters
		for _, tool := range c.Letters {
			if found.tasks[tool] != "" {
				return nil, fmt.Errorf("collect the questions: two tasks have the tool %s", tool)
			}
			found.tasks[tool] = c.ID
		}
	}
	for _, c := range ref.Texts {
		for _, n := range c.Bank[0] {
			q := newQuestion(c.ID, l.texts[c.Letters[n]])
			begun, _ := beginning(q.Text)
			found.beginnings, found.texts[begun] = append(found.beginnings, q), c.ID
		}
	}
	return found, nil
}

func newQuestion(cell, text string) Question {
	sum := sha256.Sum256([]byte(text))
	return Question{cell, text, hex.EncodeToString(sum[:])}
}

// listener is a subject that writes down what it is asked, and answers so that it is
// asked everything.
type listener struct {
	words int               // how many questions for words come first
	heard []string          // these
	texts map[string]string // questions to continue a text, by the answer
	calls int
}

// Facts implements probe.Subject.
func (l *listener) Facts() probe.Facts { return facts }

// Ask implements probe.Subject.
func (l *listener) Ask(_ context.Context, a *probe.Ask) *probe.Reply {
	text := a.Turns[0].Text
	r := &probe.Reply{Outcome: probe.Answered, Status: 200, Finish: llm.FinishStop, Text: "Hello."}
	_, toContinue := beginning(text)
	switch {
	case text == probe.Greeting:
	case len(l.heard) < l.words:
		l.heard = append(l.heard, text)
		r.Text = fmt.Sprint(len(l.heard) % 4)
	case len(a.Tools) > 1:
		l.calls++
		r.Calls = []probe.Call{{Name: a.Tools[l.calls%len(a.Tools)].Name}}
	case toContinue:
		r.Text = fmt.Sprint(len(l.texts))
		l.texts[r.Text] = text
	case asksNumber(text):
		r.Text = remembered(text)
	}
	return r
}

// asksNumber reports whether a question is one for a number.
func asksNumber(text string) bool { return strings.Contains(text, "with the number alone") }

// remembered is a number that follows from a question but for its nonce.
func remembered(text string) string {
	sum := sha256.Sum256([]byte(stem(text)))
	return fmt.Sprint(1 + int(sum[0])<<8 + int(sum[1]))
}

// beginning is the text that a question gives the beginning of.
func beginning(text string) (string, bool) {
	if !strings.HasPrefix(text, "Continue this text.") {
		return "", false
	}
	_, text, found := strings.Cut(text, "\n\n")
	return text, found
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

// printQuestions writes questions, one JSON object a line, for record.py.
func printQuestions(w io.Writer, all []Question) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, q := range all {
		if err := e.Encode(q); err != nil {
			return fmt.Errorf("write the questions: %w", err)
		}
	}
	return nil
}
