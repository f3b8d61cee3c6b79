package upstreamtest

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Distribution says how probable each answer is. Probabilities need not sum to 1:
// they are read as weights.
type Distribution map[string]float64

func (d Distribution) total() float64 {
	sum := 0.0
	for _, answer := range slices.Sorted(maps.Keys(d)) { // in one order: sums of floats depend on it
		sum += max(d[answer], 0)
	}
	return sum
}

func (d Distribution) scaled() Distribution {
	total, out := d.total(), make(Distribution, len(d))
	for answer, p := range d {
		out[answer] = max(p, 0) / total
	}
	return out
}

// TV is the total-variation distance to another distribution, 0 to 1.
func (d Distribution) TV(other Distribution) float64 {
	a, b := d.scaled(), other.scaled()
	sum := 0.0
	for answer, p := range a {
		sum += max(p-b[answer], 0)
	}
	return sum
}

// Entropy is in bits.
func (d Distribution) Entropy() float64 {
	h := 0.0
	for _, p := range d.scaled() {
		if p > 0 {
			h -= p * math.Log2(p)
		}
	}
	return h
}

// at is the distribution at a temperature and with nucleus sampling.
func (d Distribution) at(temperature float64, topP *float64) Distribution {
	d = d.scaled()
	answers := d.likeliest(len(d))
	if temperature == 0 {
		return Distribution{answers[0]: 1}
	}
	out := Distribution{}
	for _, answer := range answers {
		out[answer] = math.Pow(d[answer], 1/temperature)
	}
	if topP == nil || *topP >= 1 {
		return out.scaled()
	}
	out = out.scaled()
	sum := 0.0
	for _, answer := range answers {
		if sum >= *topP && sum > 0 {
			delete(out, answer)
		}
		sum += out[answer]
	}
	return out.scaled()
}

// likeliest lists up to n answers, the likeliest first.
func (d Distribution) likeliest(n int) []string {
	answers := slices.SortedFunc(maps.Keys(d), func(a, b string) int { return cmp.Or(cmp.Compare(d[b], d[a]), strings.Compare(a, b)) })
	return answers[:min(n, len(answers))]
}

// draw takes one answer.
func (d Distribution) draw(r *rand.Rand) string {
	left := r.Float64() * d.total()
	last := ""
	for _, answer := range slices.Sorted(maps.Keys(d)) {
		if d[answer] <= 0 {
			continue
		}
		if last, left = answer, left-d[answer]; left < 0 {
			break
		}
	}
	return last
}

// Cell is what the model answers to a question at temperature 1 under a system
// prompt, which may be empty: the truth that a detector estimates.
func (o *Oracle) Cell(system, question string) Distribution {
	question = normalise(question)
	var d Distribution
	for _, c := range o.Cells {
		if c.Question.MatchString(question) {
			d = c.Answers.scaled()
			break
		}
	}
	if d == nil {
		words := alphabet(question)
		bits := o.Entropy
		if bits == 0 {
			bits = 1.6
		}
		d = moved(spread(words, bits, o.Family, question), o.Distance, o.Seed, question)
	}
	if system != "" {
		d = moved(d, o.SystemTV, normalise(system), question)
	}
	return d
}

// spread gives words probabilities that fall geometrically, in an order that the
// seed determines, so that their entropy is the bits given, or all they can have.
func spread(words []string, bits float64, seed ...any) Distribution {
	words = slices.Clone(words)
	source("spread", seed).Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	geometric := func(ratio float64) Distribution {
		d := Distribution{}
		for i, w := range words {
			d[w] = math.Pow(ratio, float64(i))
		}
		return d.scaled()
	}
	low, high := 0.0, 1.0
	for range 50 {
		if mid := (low + high) / 2; geometric(mid).Entropy() < bits {
			low = mid
		} else {
			high = mid
		}
	}
	return geometric(high)
}

// moved returns a distribution whose total-variation distance to d is tv. The
// difference is spread over the same answers as far as they allow, and for the
// rest over answers that d never gives.
func moved(d Distribution, tv float64, seed ...any) Distribution {
	if tv == 0 {
		return d
	}
	answers := slices.Sorted(maps.Keys(d))
	far := Distribution{}
	r := source("moved", seed)
	for i, from := range r.Perm(len(answers)) {
		far[answers[i]] = d[answers[from]]
	}
	foreign := Distribution{}
	for i := range 4 {
		foreign[foreignWords[(r.IntN(len(foreignWords)-4)+i)%len(foreignWords)]+"s"] = 1
	}
	if d.TV(far) < tv {
		own := far
		far = between(func(w float64) Distribution { return blend(own, foreign.scaled(), w) }, d, tv)
	}
	return between(func(w float64) Distribution { return blend(d, far, w) }, d, tv)
}

// between finds the path's point at distance tv from d.
func between(path func(float64) Distribution, d Distribution, tv float64) Distribution {
	low, high := 0.0, 1.0
	for range 50 {
		if mid := (low + high) / 2; d.TV(path(mid)) < tv {
			low = mid
		} else {
			high = mid
		}
	}
	return path(high)
}

func blend(a, b Distribution, w float64) Distribution {
	out := Distribution{}
	for answer, p := range a {
		out[answer] += (1 - w) * p
	}
	for answer, p := range b {
		out[answer] += w * p
	}
	return out
}

var (
	nonceWords = regexp.MustCompile(`(?i)\bnonce[-:= ]+[0-9a-z]+`)
	hexWords   = regexp.MustCompile(`(?i)\b[0-9a-f]{6,}\b`)
	notWords   = regexp.MustCompile(`[^\pL\pM\pN]+`)
	ranges     = regexp.MustCompile(`\b(\d{1,6}) (?:to |and |through )?(\d{1,6})\b`)
)

// normalise reduces a question to what an answer may depend on: lower case, without
// nonces, other hexadecimal tokens and punctuation.
func normalise(question string) string {
	question = nonceWords.ReplaceAllString(question, " ")
	question = hexWords.ReplaceAllStringFunc(question, func(w string) string {
		if strings.ContainsAny(w, "0123456789") {
			return " "
		}
		return w
	})
	return strings.TrimSpace(notWords.ReplaceAllString(strings.ToLower(question), " "))
}

// wantsProse are requests whose answer is longer than a word.
var wantsProse = regexp.MustCompile(`\b(write|explain|describe|summari[sz]e|essay|story|stories|poem|paragraph|sentences?|list|compare|discuss|how|why|code|plan|draft)\b`)

// isQuestion reports whether a prompt is answered from a cell: one that is short and
// asks for no prose, or whose answer may not be longer than 16 tokens.
func isQuestion(p *prompt, question string) bool {
	if p.max > 0 && p.max <= 16 {
		return true
	}
	return question != "" && len(question) <= 240 && !wantsProse.MatchString(question)
}

// topics are the answers that kinds of questions have; the first that fits counts.
var topics = []struct {
	asked   *regexp.Regexp
	answers []string
}{
	{regexp.MustCompile(`\bcoin|heads or tails\b`), []string{"heads", "tails", "edge"}},
	{regexp.MustCompile(`\bletter\b`), strings.Split("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "")},
	{regexp.MustCompile(`\bcolou?r\b`), strings.Fields("blue red green teal purple orange yellow black white pink indigo cyan magenta brown grey gold silver violet maroon navy olive coral crimson azure")},
	{regexp.MustCompile(`\banimal\b`), strings.Fields("elephant lion tiger dog cat fox wolf octopus dolphin owl panda giraffe otter bear eagle penguin rabbit horse whale zebra koala hedgehog turtle lynx")},
	{regexp.MustCompile(`\b(city|town|capital)\b`), strings.Fields("Paris Tokyo London Berlin Rome Madrid Lisbon Vienna Prague Kyoto Cairo Sydney Toronto Oslo Seoul Lima Dublin Athens Nairobi Boston Chicago Delhi Osaka Zurich")},
}

var foreignWords = strings.Fields("river lantern amber marble velvet canyon meadow harbor whisper ember willow copper orchid thunder maple falcon saffron mirror anchor compass pebble glacier cinnamon horizon")

// alphabet lists up to 24 answers that the question allows.
func alphabet(question string) []string {
	for _, t := range topics {
		if t.asked.MatchString(question) {
			return t.answers
		}
	}
	m := ranges.FindStringSubmatch(question)
	if m == nil {
		return foreignWords
	}
	low, _ := strconv.Atoi(m[1]) // at most six digits
	high, _ := strconv.Atoi(m[2])
	if high <= low {
		return foreignWords
	}
	var numbers []string
	for _, i := range source("numbers", question).Perm(high - low + 1)[:min(24, high-low+1)] {
		numbers = append(numbers, strconv.Itoa(low+i))
	}
	return numbers
}
