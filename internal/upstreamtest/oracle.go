package upstreamtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/internal/tokens"
)

// Oracle is a model with chosen properties (see the package comment), which a Server plays when it is
// Config.Oracle. It must not be changed while a Server does. The zero value
// answers at once and counts tokens as CountTokens does.
//
// Every request draws anew from a source that Seed and the number of the request
// on its Server determine; a request with a seed of its own draws from that and
// its text, a request at temperature 0 from its text alone.
type Oracle struct {
	Seed     string  // of what is this model's own
	Family   string  // of what it shares with its siblings
	Distance float64 // total variation between each of its cells and the family's, 0 to 1; also moves its style

	Entropy   float64 // bits of a family's cells; 0 means 1.6
	Cells     []Cell  // cells that are known; the first whose question fits goes before the family's
	SystemTV  float64 // how far a system prompt moves every cell, 0 to 1
	Solve     func(prompt string) (right, wrong string, ok bool)
	Accuracy  float64 // share of the items that Solve knows which are answered rightly
	LowEffort float64 // the same at reasoning_effort none, minimal and low; 0 means Accuracy

	Refuses []string // members that it takes at no value, or, written NAME=1, at no other value, as models that reason do

	Tokens    *tokens.Vocabulary // nil counts a token for every four bytes
	Reasoning int64              // hidden tokens an answer takes at medium effort; a quarter of it at low, twice at high

	Rate   float64       // tokens a second; 0 decodes at once
	First  time.Duration // to the first token
	Jitter float64       // coefficient of variation of both, log-normal
}

// Cell is what a model answers to the questions that match. Its JSON form is
// {"Question": "REGULAR EXPRESSION", "Answers": {"ANSWER": WEIGHT}}.
type Cell struct {
	Question *regexp.Regexp // matched against the normalised question
	Answers  Distribution
}

func (o *Oracle) valid() error {
	if o == nil {
		return nil
	}
	for name, v := range map[string]float64{"distance": o.Distance, "system tv": o.SystemTV, "accuracy": o.Accuracy, "low effort": o.LowEffort} {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("oracle: %s %v is not between 0 and 1", name, v)
		}
	}
	if o.Entropy < 0 || o.Rate < 0 || o.First < 0 || o.Jitter < 0 || o.Reasoning < 0 {
		return errors.New("oracle: entropy, rate, first, jitter and reasoning are not negative")
	}
	for _, c := range o.Cells {
		if c.Question == nil || c.Answers.total() <= 0 {
			return errors.New("oracle: a cell has no question or no answers")
		}
	}
	return nil
}

// source returns the random numbers that the words determine.
func source(words ...any) *rand.Rand {
	return rand.New(rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%q", words))))
}

// drawn is what an Oracle adds to an exchange on its way.
type drawn struct {
	number    uint64 // of the request on its Server
	o         options
	random    *rand.Rand
	odds      Distribution // of the answer, where it came from a cell
	generated int64
}

// sample reads how an Oracle shall draw, and refuses what its vendor would.
func (x *exchange) sample() *fault {
	if x.s.cfg.Oracle == nil {
		return nil
	}
	d := &x.drawn
	d.number = x.s.draws.Add(1)
	var f *fault
	if d.o, f = readOptions(x.s.cfg.Vendor, x.r.URL.Path, x.body); f != nil {
		return f
	}
	return x.s.cfg.Oracle.refuse(x.body)
}

// draw is the source of the i-th answer to a request.
func (x *exchange) draw(p *prompt, i int) *rand.Rand {
	o, d := x.s.cfg.Oracle, &x.drawn
	switch {
	case d.o.temperature() == 0:
		return source(o.Seed, o.Family, "greedy", normalise(p.text.String()))
	case d.o.Seed != nil:
		return source(o.Seed, o.Family, *d.o.Seed, i, normalise(p.text.String()))
	}
	return source(o.Seed, o.Family, d.number, i)
}

// answers makes the n answers to a prompt.
func (x *exchange) answers(p *prompt, n int) []Answer {
	var all []Answer
	for i := range n {
		a := p.answer(x.b)
		if x.s.cfg.Oracle != nil {
			x.drawn.random = x.draw(p, i)
			a = x.say(p, a)
		}
		x.drawn.generated = max(x.drawn.generated, a.Completion)
		all = append(all, a)
	}
	return all
}

// say is one answer of an Oracle; a holds digest and nonce.
func (x *exchange) say(p *prompt, a Answer) Answer {
	o, d := x.s.cfg.Oracle, &x.drawn
	a.Text, a.Stop, a.Prompt = "", StopEnd, x.promptTokens(p)
	reasoning := int64(float64(o.Reasoning) * effort(d.o.Effort))
	x.b.Reasoning += reasoning
	for i := range a.Calls {
		a.Calls[i].Args = o.arguments(p, a.Calls[i].Name, a.Digest)
	}
	if len(a.Calls) > 0 {
		a.Stop, a.Completion = StopTool, reasoning
		for _, c := range a.Calls {
			a.Completion += x.count(c.Name) + x.count(c.Args)
		}
		return a
	}
	a.Text = x.compose(p, a.Digest)
	for _, s := range d.o.stops() {
		if before, _, found := strings.Cut(a.Text, s); found && s != "" {
			a.Text, a.Stop, a.Sequence = before, StopSequence, s
		}
	}
	a.Completion = x.count(a.Text)
	if p.max > 0 && a.Completion > p.max {
		a.Text, a.Stop, a.Sequence, a.Completion = o.first(a.Text, p.max), StopLength, "", p.max
	}
	a.Completion += reasoning
	return a
}

// first is what the first n tokens of a text say, whole characters only.
func (o *Oracle) first(text string, n int64) string {
	if o.Tokens == nil {
		return truncate(text, int(4*n))
	}
	parts, err := o.Tokens.Split(text)
	if err != nil {
		return truncate(text, int(4*n))
	}
	return truncate(text, len(strings.Join(parts[:min(n, int64(len(parts)))], "")))
}

// compose is the text of an answer: what the client made the model say, else what
// it finds in the context, else what it knows, else an answer or prose of its own.
func (x *exchange) compose(p *prompt, digest string) string {
	o, d := x.s.cfg.Oracle, &x.drawn
	d.odds = nil
	if word, ok := o.biased(d.o.LogitBias); ok {
		return strings.Repeat(word, int(cmp.Or(min(p.max, 64), 16)))
	}
	if p.schema != nil {
		return string(fill(p.schema, digest, cmp.Or(quoted(p.last), digest), 0))
	}
	if text, ok := obey(p); ok {
		return text
	}
	if o.Solve != nil {
		if right, wrong, ok := o.Solve(p.last); ok {
			return x.solve(right, wrong, p.last)
		}
	}
	if question := normalise(p.last); o.known(question) != nil || isQuestion(p, question) {
		d.odds = x.s.cell(p.system(), question).at(d.o.temperature(), d.o.TopP)
		return d.odds.draw(d.random)
	}
	return o.prose(d.random, p.last)
}

// cell is the Oracle's, remembered.
func (s *Server) cell(system, question string) Distribution {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := system + "\x00" + question
	d, ok := s.cells[at]
	if !ok {
		if len(s.cells) > 10_000 {
			clear(s.cells)
		}
		d = s.cfg.Oracle.Cell(system, question)
		s.cells[at] = d
	}
	return d
}

// solve answers an item rightly as often as the model's accuracy says.
func (x *exchange) solve(right, wrong, item string) string {
	o, d := x.s.cfg.Oracle, &x.drawn
	accuracy := o.Accuracy
	if effort(d.o.Effort) < 1 {
		accuracy = cmp.Or(o.LowEffort, accuracy)
	}
	random := d.random
	if d.o.temperature() == 0 { // which items it knows is then fixed
		random = source(o.Seed, o.Family, "item", item)
	}
	if random.Float64() < accuracy {
		return right
	}
	return wrong
}

// effort is how much of the usual reasoning a level of effort takes.
func effort(level string) float64 {
	switch level {
	case "none":
		return 0
	case "minimal", "low":
		return .25
	case "high", "xhigh", "max":
		return 2
	}
	return 1
}

// system is the text of the system prompts.
func (p *prompt) system() string {
	var t []string
	for _, m := range p.turns {
		if m.role == "system" || m.role == "developer" {
			t = append(t, m.text)
		}
	}
	return strings.Join(t, "\n")
}

// promptTokens counts a prompt: an Oracle as github.com/openai/openai-cookbook,
// How_to_count_tokens_with_tiktoken, does.
func (x *exchange) promptTokens(p *prompt) int64 {
	o := x.s.cfg.Oracle
	if o == nil {
		return p.tokens()
	}
	return countTurns(o.Tokens, p.turns)
}

func countTurns(v *tokens.Vocabulary, turns []turn) int64 {
	n := int64(3)
	for _, t := range turns {
		n += 3 + countText(v, t.role) + countText(v, t.text)
	}
	return n
}

// countText counts by a vocabulary, or one token for every four bytes.
func countText(v *tokens.Vocabulary, text string) int64 {
	if v == nil {
		return CountTokens(text)
	}
	n, err := v.Count(text)
	if err != nil {
		return CountTokens(text) // a regular expression gave up on the text
	}
	return n
}

func (x *exchange) count(text string) int64 {
	if o := x.s.cfg.Oracle; o != nil {
		return countText(o.Tokens, text)
	}
	return CountTokens(text)
}

// pieces splits a text for a stream: an Oracle's into its tokens, others' into n.
func (x *exchange) pieces(text string, n int) []string {
	o := x.s.cfg.Oracle
	if o == nil {
		return pieces(text, n)
	}
	if o.Tokens != nil {
		if parts, err := o.Tokens.Split(text); err == nil {
			return whole(parts)
		}
	}
	var parts []string
	for len(text) > 0 {
		head := truncate(text, 4)
		if head == "" {
			_, size := utf8.DecodeRuneInString(text)
			head = text[:size]
		}
		parts, text = append(parts, head), text[len(head):]
	}
	return parts
}

// whole joins tokens that end within a character with the next.
func whole(parts []string) []string {
	var out []string
	held := ""
	for i, p := range parts {
		held += p
		if utf8.ValidString(held) || i == len(parts)-1 {
			out, held = append(out, held), ""
		}
	}
	return out
}

// answerID names an answer: a Server's answers are functions of their requests, and
// an Oracle's are not.
func (x *exchange) answerID(prefix string) string {
	if x.s.cfg.Oracle == nil {
		return bodyID(prefix, x.body)
	}
	sum := sha256.Sum256(fmt.Append(nil, x.s.serial, x.drawn.number))
	return prefix + hex.EncodeToString(sum[:14])
}
