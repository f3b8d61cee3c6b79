package probe

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// needleDetector looks for text that is cut away before the model reads it.
//
// Random codes stand at five depths of a text that does not repeat itself; the text
// gets twice as long each time, until a code at its edge is lost, and the length at
// which that begins is then narrowed down. Only the edges count: models lose what
// stands in the middle of long texts ("Lost in the Middle", arXiv 2307.03172). An
// edge counts as cut when most of three questions lose it while the other edge is
// found, and when six new questions above the limit all lose it and six below all find
// it: a limit is sharp, and a model that forgets is not. Whatever the chance p of
// losing an edge near the limit, p^6 (1-p)^6 is at most 1 in 4,096. Codes of 48 random
// bits are not found by chance.
var needleDetector = detector{
	id: "D9", name: "Context", layer: verdict.Causal, nulls: []verdict.Null{verdict.Integrity},
	null:    "texts reach the model from beginning to end, as far as the endpoint takes them; that an honest endpoint cuts one repeatedly is assumed to have a chance of 1 %",
	applies: func(*Plan) string { return "" },
	run:     runNeedles,
}

// Bounds on the texts.
const (
	shortest     = 2 << 10  // characters
	longest      = 32 << 10 // some 8,000 tokens: no model on offer takes less
	narrowed     = 1.15     // the limit is between two lengths of at most this ratio
	votes        = 3
	needles      = 5
	confirming   = 6                // new questions on each side of a limit
	reserve      = 2*confirming + 2 // for them, and for whether the model can do what it is asked
	needleTokens = 1024
	plateau      = 1.2 // growth of reported tokens that is none, where the text doubled
)

// haystack is one length of text and what came of it.
type haystack struct {
	chars  int
	asked  int // and answered
	lost   [needles]int
	other  [2]int // answers that lost one edge, the beginning or the end, and found the other
	tokens int64  // of the prompt, as reported; 0 when not
}

// kept reports whether a majority, or the only answer, found the needle.
func (h *haystack) kept(needle int) bool { return 2*h.lost[needle] < h.asked }

// whole reports whether both edges were found.
func (h *haystack) whole() bool { return h.asked > 0 && h.kept(0) && h.kept(needles-1) }

// contextTrial asks about texts of growing length.
type contextTrial struct {
	*Trial
	r       *rand.Rand
	left    int
	stacks  []*haystack // by length
	refused int         // length that the endpoint refuses to take; 0 when none

	// Of new questions, after the search for a limit.
	above, below haystack
	able         bool // the model lists all codes of a text that lost an edge, when they stand away from it
}

func runNeedles(ctx context.Context, t *Trial) {
	c := &contextTrial{Trial: t, r: stat.Rand(stat.Seed(t.Seed, "needles")), left: t.Budget}
	good, bad := 0, 0
	for chars := shortest; chars <= longest && bad == 0 && c.refused == 0; chars *= 2 {
		h := c.look(ctx, chars)
		switch {
		case h.asked == 0:
			chars = longest // it ends here
		case h.whole():
			good = chars
		default:
			bad = chars
		}
	}
	for good > 0 && bad > 0 && float64(bad) > narrowed*float64(good) && c.left > reserve && !t.Over() {
		middle := (good + bad) / 2
		h := c.look(ctx, middle)
		if h.asked == 0 {
			break
		}
		if h.whole() {
			good = middle
		} else {
			bad = middle
		}
	}
	if bad > 0 {
		c.confirm(ctx, good, bad)
	}
	c.conclude(ctx, good, bad)
}

// look asks about a text of a length: once, and when an edge is lost twice more.
func (c *contextTrial) look(ctx context.Context, chars int) *haystack {
	h := &haystack{chars: chars}
	for n := 0; n < votes && c.left > 0 && !c.Over() && c.refused == 0; n++ {
		c.ask(ctx, h)
		if h.asked > 0 && h.lost[0] == 0 && h.lost[needles-1] == 0 {
			break
		}
		if n == 1 && h.asked == 2 && (h.lost[0] == 2 || h.lost[needles-1] == 2) {
			break // the third vote changes nothing
		}
	}
	if h.asked > 0 {
		c.stacks = append(c.stacks, h)
		slices.SortFunc(c.stacks, func(a, b *haystack) int { return cmp.Compare(a.chars, b.chars) })
	}
	return h
}

// confirm asks new questions on both sides of a limit, since those of the search
// chose it, and one with the codes in the half away from the edge that is lost, which
// shows whether the model can do at all what it is asked.
func (c *contextTrial) confirm(ctx context.Context, good, bad int) {
	away := [2][2]float64{{.6, 1}, {0, .4}}[c.edge()]
	c.above.chars, c.below.chars = bad, good
	for range confirming {
		for _, h := range []*haystack{&c.above, &c.below} {
			if h.chars > 0 && c.left > 0 && !c.Over() {
				c.ask(ctx, h)
			}
		}
	}
	for try := 0; try < 2 && !c.able && c.left > 0 && !c.Over(); try++ {
		_, found := c.put(ctx, bad, away[0], away[1])
		c.able = found == [needles]bool{true, true, true, true, true}
	}
}

// ask puts one question about a text with codes from edge to edge.
func (c *contextTrial) ask(ctx context.Context, h *haystack) {
	r, found := c.put(ctx, h.chars, 0, 1)
	if r == nil {
		return
	}
	h.asked++
	for i := range needles {
		if !found[i] {
			h.lost[i]++
		}
	}
	for i, edge := range [2]int{0, needles - 1} {
		if !found[edge] && found[needles-1-edge] {
			h.other[i]++
		}
	}
	if r.Usable() {
		h.tokens = r.Tokens.Prompt()
	}
}

// put asks for the codes in a text, and says which were found. Without an answer the
// reply is nil.
func (c *contextTrial) put(ctx context.Context, chars int, from, to float64) (*Reply, [needles]bool) {
	var found [needles]bool
	names, codes, lines := keys(c.r)
	asked := strings.Join(names, ", ")
	c.left--
	r := c.Ask(ctx, Ask{Turns: User(fmt.Sprintf(
		"Notes follow. The task is to write down the values of %s, which stand in them.\n\n%s\n\nWhat are the values of %s in the notes? Answer with the values, one in a line, and nothing else.",
		asked, hay(c.r, chars, lines, from, to), asked)), MaxTokens: needleTokens})
	switch {
	case r.Outcome == Refused && len(c.stacks) > 0:
		c.refused = chars // the endpoint says that the text is too long
		return nil, found
	case !r.OK():
		c.Lose(r)
		return nil, found
	}
	for i, code := range codes {
		found[i] = strings.Contains(strings.ToLower(r.Text), code)
	}
	return r, found
}

// keys are five codes with names, and the lines that tell them.
func keys(r *rand.Rand) (names, codes, lines []string) {
	for i := range needles {
		names = append(names, "KEY-"+needleWords[i][r.IntN(len(needleWords[i]))])
		codes = append(codes, nonce(r)+nonce(r))
		lines = append(lines, names[i]+": "+codes[i])
	}
	return names, codes, lines
}

// hay is a text of about so many characters that does not repeat itself, with lines at
// equal distances from one depth to another, as shares of its length.
func hay(r *rand.Rand, chars int, lines []string, from, to float64) string {
	var all []string
	for n := 0; n < chars; n += len(all[len(all)-1]) + 1 {
		all = append(all, sentence(r))
	}
	n := float64(len(all))
	for i := len(lines) - 1; i >= 0; i-- {
		depth := from + (to-from)*float64(i)/float64(len(lines)-1)
		all = slices.Insert(all, int(depth*n), lines[i])
	}
	return strings.Join(all, "\n")
}

// needleWords name the codes, in order of depth.
var needleWords = [needles][]string{
	{"amber", "birch", "coral"},
	{"delta", "ember", "fjord"},
	{"grove", "heron", "inlet"},
	{"jade", "kelp", "larch"},
	{"maple", "north", "olive"},
}

// Words that sentences are made of.
var (
	hayWho   = strings.Fields("gardener baker pilot teacher sailor painter farmer doctor miller weaver mason potter librarian carpenter fisherman shepherd tailor smith driver cook")
	hayWhat  = strings.Fields("carried repaired sold borrowed painted found measured lost counted cleaned returned hid weighed packed wrapped drew moved bought lifted traded")
	hayThing = strings.Fields("lamp basket ladder clock kettle bicycle mirror blanket violin barrel compass carpet saddle lantern chest plough kite bench anchor drum")
	hayWhere = strings.Fields("bridge harbour mill chapel orchard station market tower quarry meadow school bakery library garden workshop ferry stable inn gate well")
)

// sentence is one of some 10 million.
func sentence(r *rand.Rand) string {
	pick := func(of []string) string { return of[r.IntN(len(of))] }
	return fmt.Sprintf("On day %d the %s %s a %s near the %s.", 1+r.IntN(365), pick(hayWho), pick(hayWhat), pick(hayThing), pick(hayWhere))
}

// edge is the edge that was lost more often: 0 the beginning, 1 the end.
func (c *contextTrial) edge() int {
	if c.lostIn(1) > c.lostIn(0) {
		return 1
	}
	return 0
}

// lostIn is how many questions lost an edge and found the other.
func (c *contextTrial) lostIn(edge int) int {
	n := 0
	for _, h := range c.stacks {
		n += h.other[edge]
	}
	return n
}

// cut reports whether an edge is cut: lost in every new answer about a text above the
// limit, each of which found the other edge, and found in every new one below it.
func (c *contextTrial) cut() bool {
	edge := c.edge()
	above := c.above.asked == confirming && c.above.other[edge] == c.above.asked
	below := c.below.chars == 0 || c.below.asked == confirming && c.below.lost[edge*(needles-1)] == 0
	return c.able && above && below
}

// middle is the length of the shortest text that kept its edges and lost something
// between them; 0 when none did.
func (c *contextTrial) middle() int {
	for _, h := range c.stacks {
		if h.whole() && (!h.kept(1) || !h.kept(2) || !h.kept(3)) {
			return h.chars
		}
	}
	return 0
}

// flat is where the reported tokens of the prompt stop growing with the text; 0 when
// they do not.
func (c *contextTrial) flat() int {
	for i := 1; i < len(c.stacks); i++ {
		a, b := c.stacks[i-1], c.stacks[i]
		if b.chars >= 2*a.chars && a.tokens > 0 && b.tokens > 0 && float64(b.tokens) < plateau*float64(a.tokens) {
			return a.chars
		}
	}
	return 0
}

// conclude says what was found. There is one fact: that texts are read from beginning
// to end.
func (c *contextTrial) conclude(ctx context.Context, good, bad int) {
	c.describe()
	if good == 0 && !c.cut() {
		c.Inconclusive("the model does not find codes in texts of %d characters, so nothing follows from longer ones", shortest)
		return
	}
	if good > 0 {
		c.Fact("read whole", "texts of up to %d characters", good)
	}
	if c.refused > 0 {
		c.Fact("refused", "a text of %d characters, as too long: a limit that is told", c.refused)
	}
	if n := c.middle(); n > 0 {
		c.Fact("middle", "codes between the edges are lost in texts of %d characters, which models do as well", n)
	}
	flat := c.flat()
	if flat > 0 {
		c.Fact("reported tokens", "do not grow beyond a text of %d characters", flat)
	}
	if bad == 0 {
		c.readMeaning(ctx, good)
		c.ObserveFacts(verdict.Integrity, 0, 1)
		return
	}
	edge := c.edge()
	which := [2]string{"beginning", "end"}[edge]
	if !c.cut() {
		c.Fact("lost", "edges of texts of %d characters and more, but not always and not one edge alone: a model that forgets looks like that", bad)
		c.Inconclusive("from %d characters on codes are lost without a sharp limit, which a model's weakness explains as well", bad)
		return
	}
	billing := "the reported tokens of the prompt keep growing with the text"
	switch {
	case flat > 0:
		billing = "the reported tokens of the prompt do not grow any more either"
	case c.stacks[0].tokens == 0:
		billing = "tokens of the prompt are not reported"
	}
	shorter := fmt.Sprintf("and in none of %d about texts of %d characters", c.below.asked, good)
	if good == 0 {
		shorter = "and codes away from it are found"
	}
	c.Find(verdict.Finding{Label: verdict.IntegrityFailed, Null: verdict.Integrity, Text: fmt.Sprintf(
		"The %s of texts of %d characters and more does not reach the model: it was lost in all of %d answers that found the other edge, %s; %s.",
		which, bad, c.above.asked, shorter, billing)})
	c.ObserveFacts(verdict.Integrity, 1, 1)
}

// readMeaning asks what cannot be found by looking for words, first in the longest text
// that was read whole and, where that fails, in the shortest. A relay that passes on
// only what fits the question, or a summary, fails at length alone; so may a model,
// and no finding follows.
func (c *contextTrial) readMeaning(ctx context.Context, chars int) {
	var passed [2]bool
	for i, n := range []int{chars, shortest} {
		for try := 0; try < 2 && !passed[i] && c.left > 0 && !c.Over(); try++ {
			passed[i] = c.askMeaning(ctx, n)
		}
		if passed[0] {
			c.Fact("meaning", "a paraphrase and a sum of two distant numbers are right at %d characters", n)
			return
		}
	}
	if passed[1] {
		c.Fact("meaning", "a paraphrase or a sum of two distant numbers is right at %d characters and wrong at %d, though codes are found: retrieval, a summary, or the model itself", shortest, chars)
		return
	}
	c.Fact("meaning", "not tested: the model does not solve the questions in a short text either")
}

// askMeaning asks for a sum of two distant numbers and for an animal that is described.
func (c *contextTrial) askMeaning(ctx context.Context, chars int) bool {
	a, b := 1000+c.r.IntN(8000), 1000+c.r.IntN(8000)
	animal := meanings[c.r.IntN(len(meanings))]
	lines := []string{fmt.Sprintf("Anna paid %d coins for the house.", a), animal.says, fmt.Sprintf("Boris paid %d coins for the boat.", b)}
	c.left--
	r := c.Ask(ctx, Ask{Turns: User(fmt.Sprintf(
		"Notes follow, with two questions at the end.\n\n%s\n\nFirst: how much did Anna and Boris pay together? Second: which kind of animal does the widow keep? Answer with the number and the animal.",
		hay(c.r, chars, lines, .1, .9))), MaxTokens: needleTokens})
	if !r.OK() {
		c.Lose(r)
		return false
	}
	said := strings.ToLower(strings.NewReplacer(",", "", ".", "", " ", "").Replace(r.Text))
	return strings.Contains(said, fmt.Sprint(a+b)) && strings.Contains(said, animal.is)
}

// meanings describe an animal without its name.
var meanings = []struct{ says, is string }{
	{"The widow's companion barks at the postman and fetches sticks.", "dog"},
	{"The widow's companion purrs by the stove and catches mice.", "cat"},
	{"The widow's companion wears a saddle and neighs in its stable.", "horse"},
}

// describe plots what was found at each length.
func (c *contextTrial) describe() {
	found := verdict.Chart{Title: "Codes found by depth", Kind: verdict.Lines, X: "characters of text", Y: "share of answers"}
	for i := range needles {
		s := verdict.Series{Name: fmt.Sprintf("at %d %%", 100*i/(needles-1))}
		for _, h := range c.stacks {
			s.Points = append(s.Points, verdict.Point{X: float64(h.chars), Y: 1 - float64(h.lost[i])/float64(h.asked)})
		}
		found.Series = append(found.Series, s)
	}
	tokens := verdict.Series{Name: "reported"}
	for _, h := range c.stacks {
		if h.tokens > 0 {
			tokens.Points = append(tokens.Points, verdict.Point{X: float64(h.chars), Y: float64(h.tokens)})
		}
	}
	if len(c.stacks) > 0 {
		c.Chart(found)
	}
	if len(tokens.Points) > 0 {
		c.Chart(verdict.Chart{Title: "Tokens of the prompt by length of text", Kind: verdict.Lines, X: "characters of text", Y: "tokens", Series: []verdict.Series{tokens}})
	}
}
