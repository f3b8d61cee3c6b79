package probe

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	gonum "gonum.org/v1/gonum/stat"

	"sallyport/internal/tokens"
)

// scaleKind says what reported counts of prompts follow.
type scaleKind int

// The kinds of scale.
const (
	unknownScale   scaleKind = iota
	expectedScale            // the reference's counts, or those of the vocabulary that the model is known to use
	multipleScale            // a single multiple of those, or of a published vocabulary
	publishedScale           // a published vocabulary, where another or none was expected
	lengthScale              // the length of the text: an estimate, not a count
)

// scale is what reported counts of prompts follow.
type scale struct {
	kind   scaleKind
	of     string  // what it is a scale of, in words
	factor float64 // reported tokens by counted ones; 1 but for multiples and lengths
}

// expectation is what copies of each unit should add.
type expectation struct {
	name   string
	counts []float64
	vocab  *tokens.Vocabulary // nil for a reference
}

// Bounds of the classification. The base is rounded once, and each count: so counts
// differ from a multiple by one amount below 1 that all share, and by less than 1 each.
const (
	roundingSlack = 1.
	leastMultiple = .01
	lengthFit     = .999 // R squared of counts against lengths
)

// scaleOf finds what counts follow: exactly what is expected, exactly a vocabulary, a
// multiple of either, the length of the text, or nothing of these.
func scaleOf(counts []float64, expected *expectation) scale {
	if expected != nil && slices.Equal(counts, expected.counts) {
		return scale{expectedScale, expected.name, 1}
	}
	candidates := publishedCounts()
	for _, c := range candidates {
		if slices.Equal(counts, c.counts) {
			return scale{publishedScale, c.name, 1}
		}
	}
	if expected != nil {
		candidates = append([]*expectation{expected}, candidates...)
	}
	for _, c := range candidates {
		if m, fits := multiple(counts, c.counts); fits {
			return scale{multipleScale, c.name, m}
		}
	}
	for _, length := range []struct {
		name string
		of   func(string) int
	}{{"bytes", func(s string) int { return len(s) }}, {"characters", utf8.RuneCountInString}} {
		var lengths []float64
		for _, u := range countUnits {
			lengths = append(lengths, float64(length.of(u.copies(countCopies))))
		}
		_, slope := gonum.LinearRegression(lengths, counts, nil, true)
		if slope > 0 && gonum.RSquared(lengths, counts, nil, 0, slope) >= lengthFit {
			return scale{lengthScale, length.name, slope}
		}
	}
	return scale{kind: unknownScale}
}

// multiple is the one factor by which counts differ from others, when there is one.
func multiple(counts, others []float64) (float64, bool) {
	shared, m := gonum.LinearRegression(others, counts, nil, false)
	if !(math.Abs(m-1) > leastMultiple && math.Abs(shared) <= roundingSlack) {
		return 0, false
	}
	for i := range counts {
		if math.Abs(counts[i]-shared-m*others[i]) > roundingSlack {
			return 0, false
		}
	}
	return m, true
}

// publishedCounts are the counts by each published vocabulary.
func publishedCounts() []*expectation {
	var all []*expectation
	for _, v := range tokens.Vocabularies() {
		if counts, err := countedCopies(v); err == nil {
			all = append(all, &expectation{"the vocabulary " + v.Name, counts, v})
		}
	}
	return all
}

// expectedCounts is what copies should add: as the reference counts, or by the
// vocabulary that was named or that the model is known to use. Nil when neither is known.
func (p *Plan) expectedCounts() *expectation {
	if ref := p.accounting(); ref != nil {
		e := &expectation{name: "the reference"}
		for _, u := range countUnits {
			slope, has := ref.Slopes[u.name]
			if !has {
				return nil // of another version
			}
			e.counts = append(e.counts, float64(countCopies*slope))
		}
		return e
	}
	v := p.known()
	if v == nil {
		return nil
	}
	counts, err := countedCopies(v)
	if err != nil {
		return nil
	}
	return &expectation{fmt.Sprintf("%s, the vocabulary of the model", v.Name), counts, v}
}

// elsewhere are the beginnings of names of models whose makers count by vocabularies of
// their own (each maker's documentation of its tokenizer), never by those of OpenAI.
var elsewhere = []string{"claude", "gemini", "gemma", "llama", "meta-llama", "mistral", "mixtral", "qwen", "deepseek", "grok"}

// countsElsewhere reports whether a model is known to use none of the published
// vocabularies that we have.
func countsElsewhere(model string) bool {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	return slices.ContainsFunc(elsewhere, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
