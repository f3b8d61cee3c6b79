package exam

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"
)

// PublicWeight is what a question of a published collection counts in a verdict: nothing. Its answers are
// known and a relay can recognise it; it only illustrates quality.
const PublicWeight = 0

// PublicItem is a question of a published collection.
type PublicItem struct {
	Question string
	Choices  []string // options of multiple choice; empty for an open question
	Answer   string   // one of Choices word by word, or a number or text
	Licence  string
	Source   string
	Family   string // free, for grouping
}

// Limits bound an import; a zero field takes the default of DefaultLimits.
type Limits struct {
	Items int // questions
	Line  int // bytes of a line
	Total int // bytes in all
}

// DefaultLimits hold every collection of some thousand questions.
var DefaultLimits = Limits{Items: 20_000, Line: 64 << 10, Total: 64 << 20}

// Import reads one JSON object a line with the keys question, answer, licence and source, and optionally
// choices and family. Unknown, repeated and differently capitalised keys are refused. Errors name the
// line; nothing is returned beside an error.
func Import(r io.Reader, limits Limits) ([]PublicItem, error) {
	limits = limits.orDefault()
	total := &io.LimitedReader{R: r, N: int64(limits.Total) + 1}
	lines := bufio.NewScanner(total)
	lines.Buffer(nil, limits.Line+2) // a line end may be two bytes
	var items []PublicItem
	n := 1
	for ; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if len(line) > limits.Line {
			return nil, fmt.Errorf("exam: line %d: longer than %d bytes", n, limits.Line)
		}
		if len(items) == limits.Items {
			return nil, fmt.Errorf("exam: line %d: more than %d questions", n, limits.Items)
		}
		item, err := publicItem(line)
		if total.N == 0 { // what was cut off is no fault of the line
			break
		}
		if err != nil {
			return nil, fmt.Errorf("exam: line %d: %w", n, err)
		}
		items = append(items, item)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("exam: line %d: longer than %d bytes", n, limits.Line)
	} else if err != nil {
		return nil, fmt.Errorf("exam: line %d: %w", n, err)
	}
	if total.N == 0 {
		return nil, fmt.Errorf("exam: more than %d bytes in all", limits.Total)
	}
	return items, nil
}

func (l Limits) orDefault() Limits {
	if l.Items <= 0 {
		l.Items = DefaultLimits.Items
	}
	if l.Line <= 0 {
		l.Line = DefaultLimits.Line
	}
	if l.Total <= 0 {
		l.Total = DefaultLimits.Total
	}
	return l
}

// publicItem reads one line key by key: json.Unmarshal would fold case and let the last of two keys win.
func publicItem(line []byte) (PublicItem, error) {
	var item PublicItem
	if !utf8.Valid(line) {
		return item, errors.New("not UTF-8")
	}
	fields := map[string]any{
		"question": &item.Question, "choices": &item.Choices, "answer": &item.Answer,
		"licence": &item.Licence, "source": &item.Source, "family": &item.Family,
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return item, errors.New("not a JSON object")
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return item, fmt.Errorf("read a key: %w", err)
		}
		key, _ := token.(string)
		field, known := fields[key]
		if !known {
			return item, fmt.Errorf("key %q is unknown or repeated", key)
		}
		delete(fields, key)
		if err := dec.Decode(field); err != nil {
			return item, fmt.Errorf("key %q: %w", key, err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return item, fmt.Errorf("end of object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return item, errors.New("text after the object")
	}
	return item, item.check()
}

// Item is the question in the form in which generated ones are asked and graded.
func (p PublicItem) Item() Item {
	item := Item{Family: p.Family, Prompt: p.Question, Answer: p.Answer, Kind: Text, Language: "en", Choices: p.Choices, MaxTokens: 1024}
	if x, ok := new(big.Rat).SetString(p.Answer); ok && !strings.ContainsAny(p.Answer, "/eExXpP_") {
		item.Kind, item.Answer = Number, decimal(x, 12)
	}
	if p.Choices != nil {
		i := slices.Index(p.Choices, p.Answer)
		item.Kind, item.Answer = Choice, letters[i:i+1]
		item.Prompt += "\n\n" + optionLines(p.Choices)
	}
	t := instructions[item.Language]
	item.Prompt += "\n\n" + fill(t.final[0], "form", t.forms[item.Kind])
	return item
}

func (p PublicItem) check() error {
	for _, f := range []struct{ key, value string }{{"question", p.Question}, {"answer", p.Answer}, {"licence", p.Licence}, {"source", p.Source}} {
		if strings.TrimSpace(f.value) == "" {
			return fmt.Errorf("key %q is missing or empty", f.key)
		}
	}
	if p.Choices == nil {
		return nil
	}
	if len(p.Choices) < 2 || len(p.Choices) > len(letters) {
		return fmt.Errorf("%d choices are not within 2 to %d", len(p.Choices), len(letters))
	}
	for i, c := range p.Choices {
		if strings.TrimSpace(c) == "" || slices.Contains(p.Choices[:i], c) {
			return fmt.Errorf("choice %d is empty or repeated", i+1)
		}
	}
	if !slices.Contains(p.Choices, p.Answer) {
		return errors.New("the answer is not one of the choices")
	}
	return nil
}
