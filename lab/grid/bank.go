package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/probe"
	"sallyport/internal/stat"
)

// bank is one file of lab/banks, as the manifest describes it.
type bank struct {
	SHA256      string         `json:"sha256"`
	Quantised   string         `json:"quantised_to"`
	TensorTypes map[string]int `json:"tensor_types"` // how many tensors were converted to which
}

// types says what the weights were quantised to.
func (b bank) types() string {
	var parts []string
	for _, name := range sortedKeys(b.TensorTypes) {
		parts = append(parts, fmt.Sprintf("%d tensors %s", b.TensorTypes[name], name))
	}
	return fmt.Sprintf("asked for %s, got %s", b.Quantised, strings.Join(parts, ", "))
}

// library reads recorded banks, each of which must be what the manifest says.
type library struct {
	dir   string
	banks map[string]bank
	hash  string            // of the manifest
	known map[string]string // cells by the hash of a question
	*learnt
}

func openLibrary(dir string) (*library, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, fmt.Errorf("read the manifest of banks: %w", err)
	}
	var m struct {
		Banks map[string]bank `json:"banks"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("read the manifest of banks: %w", err)
	}
	sum := sha256.Sum256(raw)
	l := &library{dir: dir, banks: m.Banks, hash: hex.EncodeToString(sum[:]), known: map[string]string{}}
	if l.learnt, err = learn(); err != nil {
		return nil, err
	}
	for _, q := range slices.Concat(l.questions, l.beginnings) {
		l.known[q.SHA256] = q.Cell
	}
	return l, nil
}

// lines hands over the lines of a bank.
func (l *library) lines(name string, each func(line []byte) error) error {
	entry, known := l.banks[name]
	if !known {
		return fmt.Errorf("the bank %s is not recorded", name)
	}
	raw, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		return fmt.Errorf("read a bank: %w", err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != entry.SHA256 {
		return fmt.Errorf("the bank %s is not the one that the manifest describes", name)
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("read the bank %s: %w", name, err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if err := each(lines.Bytes()); err != nil {
			return fmt.Errorf("read the bank %s: %w", name, err)
		}
	}
	return lines.Err()
}

// token is one token with its probability; its JSON form is [TEXT, PROBABILITY].
type token struct {
	text string
	p    float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *token) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&t.text, &t.p})
}

// draw is what was recorded of one question: its first token, and the token that
// follows a first one without a word.
type draw struct {
	Question string             `json:"question"`
	First    []token            `json:"first"`
	Then     map[string][]token `json:"then"`
}

// recording is one deployment's answers to the word questions, by cell.
type recording map[string][]draw

// words reads the recording of an arm. Questions that the product asks otherwise now
// make it useless.
func (l *library) words(arm string) (recording, error) {
	r := recording{}
	err := l.lines(wordBank(arm), func(line []byte) error {
		var c struct {
			Cell  string `json:"cell"`
			Draws []draw `json:"draws"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		for _, d := range c.Draws {
			if l.known[d.Question] != c.Cell {
				return fmt.Errorf("cell %s was recorded with another question than is asked now", c.Cell)
			}
		}
		r[c.Cell] = c.Draws
		return nil
	})
	return r, err
}

// serving is how a deployment draws answers from what was recorded at temperature 1.
type serving struct {
	temperature float64
	topP        float64 // 0 for all
	noise       float64 // standard deviation of what is added to every logit
	seed        [32]byte
}

// model is a deployment that answers word questions, by cell.
type model map[string]*distribution

// serve is the model that a recording is, served so. Each question of a cell is as
// likely as another, as their nonces are.
func (r recording) serve(s serving) model {
	m := model{}
	for cell, draws := range r {
		mass := map[string]float64{}
		for _, d := range draws {
			first := s.adjust(cell+"\n"+d.Question, d.First)
			for _, t := range first {
				then := d.Then[t.text]
				if then == nil {
					mass[t.text] += t.p
					continue
				}
				for _, u := range s.adjust(cell+"\n"+d.Question+"\n"+t.text, then) {
					mass[t.text+u.text] += t.p * u.p
				}
			}
		}
		m[cell] = newDistribution(mass)
	}
	return m
}

// adjust are the probabilities of tokens as they are served, from those at
// temperature 1.
func (s serving) adjust(at string, tokens []token) []token {
	served := make([]token, len(tokens))
	var noise *rand.Rand
	if s.noise > 0 {
		noise = s.rand(at)
	}
	sum := 0.0
	for i, t := range tokens {
		logit := math.Log(max(t.p, 1e-12))
		if noise != nil {
			logit += s.noise * noise.NormFloat64()
		}
		served[i] = token{t.text, math.Exp(logit / s.temperature)}
		sum += served[i].p
	}
	for i := range served {
		served[i].p /= sum
	}
	if s.topP > 0 {
		served = nucleus(served, s.topP)
	}
	return served
}

// nucleus keeps the likeliest tokens that together have the share p.
func nucleus(tokens []token, p float64) []token {
	slices.SortStableFunc(tokens, func(a, b token) int {
		switch {
		case a.p > b.p:
			return -1
		case a.p < b.p:
			return 1
		}
		return 0
	})
	sum, n := 0.0, 0
	for sum < p && n < len(tokens) {
		sum += tokens[n].p
		n++
	}
	kept := tokens[:n]
	for i := range kept {
		kept[i].p /= sum
	}
	return kept
}

// distribution is that of the texts of answers to one cell.
type distribution struct {
	texts []string
	words []string  // what each text is to the product
	upTo  []float64 // cumulative probabilities
}

func newDistribution(mass map[string]float64) *distribution {
	d := &distribution{}
	sum := 0.0
	for text := range mass {
		d.texts = append(d.texts, text)
	}
	sort.Strings(d.texts)
	for _, text := range d.texts {
		sum += mass[text]
		d.upTo = append(d.upTo, sum)
		reply := probe.Reply{Outcome: probe.Answered, Text: text, Finish: llm.FinishStop}
		d.words = append(d.words, reply.Word())
	}
	for i := range d.upTo {
		d.upTo[i] /= sum
	}
	return d
}

// draw is the index of a drawn text.
func (d *distribution) draw(r *rand.Rand) int {
	return min(sort.SearchFloat64s(d.upTo, r.Float64()), len(d.texts)-1)
}

// shares are the probabilities of words.
func (d *distribution) shares() map[string]float64 {
	shares, last := map[string]float64{}, 0.0
	for i, w := range d.words {
		shares[w] += d.upTo[i] - last
		last = d.upTo[i]
	}
	return shares
}

// entropy is that of the words, in bits.
func (d *distribution) entropy() float64 {
	h := 0.0
	for _, p := range d.shares() {
		if p > 0 {
			h -= p * math.Log2(p)
		}
	}
	return h
}

// counts reports whether the detector would use the cell, by its exact entropy.
func (d *distribution) counts() bool {
	h := d.entropy()
	return h >= .5 && h <= 3
}

// apart is the total variation between two distributions of words.
func apart(a, b *distribution) float64 {
	x, y := a.shares(), b.shares()
	tv := 0.0
	for w, p := range x {
		tv += math.Abs(p - y[w])
	}
	for w, q := range y {
		if _, both := x[w]; !both {
			tv += q
		}
	}
	return tv / 2
}

// errNoCells says that nothing is left to ask about.
var errNoCells = errors.New("no cell of the claimed model has an entropy that the detector uses")

// toward is the mixture of m and other in which every cell is at total variation tv
// from m, where other is far enough from it: what a sibling of m would be.
func (m model) toward(other model, tv float64) model {
	mixed := model{}
	for cell, d := range m {
		share := 1.0
		if far := apart(d, other[cell]); far > tv {
			share = tv / far
		}
		mass := map[string]float64{}
		for word, p := range d.shares() {
			mass[word] += (1 - share) * p
		}
		for word, p := range other[cell].shares() {
			mass[word] += share * p
		}
		mixed[cell] = newDistribution(mass)
	}
	return mixed
}

// rand is the randomness of a question's noise: the same model has the same each time.
func (s serving) rand(at string) *rand.Rand { return stat.Rand(stat.Seed(s.seed, at)) }
