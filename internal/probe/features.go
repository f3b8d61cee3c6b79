package probe

import (
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"unicode"

	"sallyport/internal/llm"
	"sallyport/internal/stat"
)

// Answered text as features, from which a discriminator learns to tell two models
// apart. They come from what was said alone: never from ids, formats or times, which
// tell two servers apart and not two models. Nothing of the text can be read back
// from them but whether it may have held a given word.

// Said is one answer as the comparison sees it.
type Said struct {
	Text   string
	Calls  []Call
	Finish llm.Finish
	Failed bool // an error instead of an answer; an outcome like others
}

// Dimensions of the vectors: a few measured figures, then buckets of hashed words and
// character trigrams.
const (
	denseFeatures = 32
	hashedBits    = 14
	FeatureDims   = denseFeatures + 1<<hashedBits
)

// maxFeatureText bounds the text that features are taken from, in bytes.
const maxFeatureText = 16 << 10

// Features are the features of an answer, in ascending order of index. Both sides are
// cut at the same bound, so a longer answer is still told by its length.
func Features(s *Said) []stat.Feature {
	text := s.Text[:min(len(s.Text), maxFeatureText)]
	fs := dense(s, text)
	fs = append(fs, hashed(text)...)
	return fs
}

// dense measures an answer. Each figure is scaled to about -1 to 1, so that none
// outweighs the others before anything is learnt.
func dense(s *Said, text string) []stat.Feature {
	var c counts
	c.read(text)
	n := math.Max(float64(c.runes), 1)
	lines := math.Max(float64(c.lines), 1)
	share := func(k int) float64 { return math.Min(8*float64(k)/n, 2) }
	values := []float64{
		logScale(len(s.Text)), logScale(c.words), logScale(c.lines), logScale(c.sentences),
		float64(c.runes) / math.Max(float64(c.words), 1) / 8,
		math.Min(float64(c.words)/math.Max(float64(c.sentences), 1)/25, 2),
		share(c.commas), share(c.stops), share(c.colons), share(c.quotes), share(c.dashes), share(c.brackets), share(c.digits), share(c.upper),
		share(c.exclaims), share(c.questions), share(c.other),
		math.Min(float64(c.lists)/lines, 1), math.Min(float64(c.headings)/lines, 1), math.Min(float64(c.code)/lines, 1), math.Min(float64(c.bold)/20, 1),
		math.Min(float64(c.empty)/lines, 1),
		flag(refuses(text)), flag(s.Failed), flag(len(s.Calls) > 0), math.Min(float64(len(s.Calls))/4, 1),
		flag(s.Finish == llm.FinishLength), flag(s.Finish == llm.FinishStop), flag(s.Finish == llm.FinishCalls),
		flag(s.Finish == llm.FinishFilter || s.Finish == llm.FinishRefusal),
		flag(strings.HasSuffix(strings.TrimSpace(text), ".")), flag(text == ""),
	}
	var fs []stat.Feature
	for i, v := range values[:denseFeatures] {
		if v != 0 {
			fs = append(fs, stat.Feature{Index: i, Value: v})
		}
	}
	return fs
}

// counts are what a text is made of.
type counts struct {
	runes, words, lines, sentences                                 int
	commas, stops, colons, quotes, dashes, brackets, digits, upper int
	exclaims, questions, other, lists, headings, code, bold, empty int
}

func (c *counts) read(text string) {
	for line := range strings.Lines(text) {
		c.lines++
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "":
			c.empty++
		case strings.HasPrefix(trimmed, "```"):
			c.code++
		case strings.HasPrefix(trimmed, "#"):
			c.headings++
		case strings.HasPrefix(trimmed, "- "), strings.HasPrefix(trimmed, "* "), strings.HasPrefix(trimmed, "• "), numbered(trimmed):
			c.lists++
		}
	}
	c.words, c.bold = len(strings.Fields(text)), strings.Count(text, "**")/2
	for _, r := range text {
		c.runes++
		switch {
		case r == ',' || r == '，' || r == '、':
			c.commas++
		case r == '.' || r == '。':
			c.stops, c.sentences = c.stops+1, c.sentences+1
		case r == ':' || r == ';':
			c.colons++
		case strings.ContainsRune("\"'“”‘’«»", r):
			c.quotes++
		case strings.ContainsRune("-–—", r):
			c.dashes++
		case strings.ContainsRune("()[]{}", r):
			c.brackets++
		case r == '!':
			c.exclaims, c.sentences = c.exclaims+1, c.sentences+1
		case r == '?':
			c.questions, c.sentences = c.questions+1, c.sentences+1
		case unicode.IsDigit(r):
			c.digits++
		case unicode.IsUpper(r):
			c.upper++
		case !unicode.IsLetter(r) && !unicode.IsSpace(r):
			c.other++
		}
	}
}

// numbered reports whether a line begins as an item of a numbered list does.
func numbered(line string) bool {
	digits := strings.IndexFunc(line, func(r rune) bool { return r < '0' || r > '9' })
	return digits > 0 && digits < 4 && (line[digits] == '.' || line[digits] == ')')
}

// refusals begin answers that decline, in English; other languages show in the words.
var refusals = []string{"i'm sorry", "i am sorry", "i can't", "i cannot", "i'm unable", "as an ai", "i won't"}

func refuses(text string) bool {
	start := strings.ToLower(text[:min(len(text), 80)])
	return slices.ContainsFunc(refusals, func(r string) bool { return strings.Contains(start, r) })
}

// hashed are words, the first three words as one, and character trigrams, each hashed
// to a bucket with a sign (feature hashing, Weinberger et al., arXiv 0902.2206), and
// scaled so that the whole vector has a length of hashedNorm.
func hashed(text string) []stat.Feature {
	buckets := map[int]float64{}
	add := func(kind byte, piece string, weight float64) {
		h := fnv.New64a()
		_, _ = h.Write([]byte{kind})
		_, _ = h.Write([]byte(piece))
		sum := h.Sum64()
		if sum>>63 == 1 {
			weight = -weight
		}
		buckets[denseFeatures+int(sum&(1<<hashedBits-1))] += weight
	}
	lower := strings.ToLower(text)
	words := strings.Fields(lower)
	for _, w := range words {
		add('w', strings.Trim(w, ".,;:!?\"'()*"), 1)
	}
	add('f', strings.Join(words[:min(len(words), 3)], " "), 2)
	window := make([]int, 0, 4)
	for i := range lower {
		if window = append(window, i); len(window) == 4 {
			add('c', lower[window[0]:i], .5)
			window = window[1:]
		}
	}
	length := 0.0
	for _, v := range buckets {
		length += v * v
	}
	if length == 0 {
		return nil
	}
	scale := hashedNorm / math.Sqrt(length)
	fs := make([]stat.Feature, 0, len(buckets))
	for i, v := range buckets {
		if v != 0 {
			fs = append(fs, stat.Feature{Index: i, Value: v * scale})
		}
	}
	slices.SortFunc(fs, func(a, b stat.Feature) int { return a.Index - b.Index })
	return fs
}

// hashedNorm is the length of the hashed part, near that of the measured figures.
const hashedNorm = 2

func logScale(n int) float64 { return math.Log1p(float64(n)) / 8 }

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
