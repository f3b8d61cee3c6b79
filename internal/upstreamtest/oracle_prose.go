package upstreamtest

import (
	"math"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// style is how a model writes.
type style struct {
	sentences float64 // in an answer
	length    float64 // words in a sentence
	lists     float64 // share of answers with a list
	bold      float64 // share of list items with a bold head
	comma     float64 // chance of each after a word
	dash      float64
	exclaim   float64 // chance at the end of a sentence
	opening   []float64
	words     []float64 // weights of styleWords
}

// style is the family's, moved towards one of the model's own by its distance.
func (o *Oracle) style() style {
	family, own := newStyle(o.Family), newStyle("own", o.Seed)
	mix := func(a, b float64) float64 { return (1-o.Distance)*a + o.Distance*b }
	mixAll := func(a, b []float64) []float64 {
		out := make([]float64, len(a))
		for i := range a {
			out[i] = mix(a[i], b[i])
		}
		return out
	}
	return style{
		mix(family.sentences, own.sentences), mix(family.length, own.length), mix(family.lists, own.lists), mix(family.bold, own.bold),
		mix(family.comma, own.comma), mix(family.dash, own.dash), mix(family.exclaim, own.exclaim),
		mixAll(family.opening, own.opening), mixAll(family.words, own.words),
	}
}

func newStyle(seed ...any) style {
	r := source("style", seed)
	weights := func(n int) []float64 {
		w, sum := make([]float64, n), 0.0
		for i := range w {
			w[i] = math.Exp(1.2 * r.NormFloat64())
			sum += w[i]
		}
		for i := range w {
			w[i] /= sum
		}
		return w
	}
	return style{
		sentences: 4 + 6*r.Float64(), length: 8 + 12*r.Float64(), lists: r.Float64(), bold: r.Float64(),
		comma: .03 + .1*r.Float64(), dash: .05 * r.Float64(), exclaim: .25 * r.Float64(),
		opening: weights(len(openings)), words: weights(len(styleWords)),
	}
}

var openings = []string{"", "Certainly! ", "Sure. ", "Great question! ", "Here is an overview. ", "In short: ", "Of course. ", "Let us look at this step by step. "}

var styleWords = strings.Fields("the a of and to in is that with for as this it which on by from when more often also while because however therefore " +
	"important key simple clear robust system process result approach value change time part way model people work example case point reason level " +
	"usually typically generally likely can may should will helps allows means gives makes keeps shows needs depends consider note delve leverage " +
	"crucial essential practical careful small large common different first next finally overall rather quite very well both each many several")

// choose takes an index by weight.
func choose(r *rand.Rand, weights []float64) int {
	left := r.Float64()
	for i, w := range weights {
		if left -= w; left < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// prose is a text of the model's style that takes up words of the prompt.
func (o *Oracle) prose(r *rand.Rand, prompt string) string {
	s := o.style()
	var topic []string
	for _, w := range strings.Fields(normalise(prompt)) {
		if len(w) > 4 && len(topic) < 40 {
			topic = append(topic, w)
		}
	}
	var t strings.Builder
	t.WriteString(openings[choose(r, s.opening)])
	n := max(int(s.sentences+1.5*r.NormFloat64()), 2)
	list := r.Float64() < s.lists
	for i := range n {
		switch {
		case list && i > 0 && i < n-1:
			t.WriteString("\n- ")
			if r.Float64() < s.bold {
				t.WriteString("**" + styleWords[choose(r, s.words)] + "**: ")
			}
		case list && i > 0:
			t.WriteString("\n\n")
		case i > 0:
			t.WriteByte(' ')
		}
		s.sentence(&t, r, topic)
	}
	return t.String()
}

func (s style) sentence(t *strings.Builder, r *rand.Rand, topic []string) {
	n := max(int(s.length+3*r.NormFloat64()), 3)
	for i := range n {
		word := styleWords[choose(r, s.words)]
		if len(topic) > 0 && r.Float64() < .15 {
			word = topic[r.IntN(len(topic))]
		}
		if i == 0 {
			_, first := utf8.DecodeRuneInString(word)
			t.WriteString(strings.ToUpper(word[:first]) + word[first:])
			continue
		}
		switch p := r.Float64(); {
		case p < s.comma:
			t.WriteByte(',')
		case p < s.comma+s.dash:
			t.WriteString(" —")
		}
		t.WriteString(" " + word)
	}
	end := "."
	if r.Float64() < s.exclaim {
		end = "!"
	}
	t.WriteString(end)
}
