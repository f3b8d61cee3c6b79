package probe

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// replayDetector looks for answers that were made for another request, and for
// streams that were not streamed.
//
// Replays: one open question is put several times at temperature 1, with a reference
// to repeat that stands late in the question: in the same bytes, with another limit on
// the answer's length, and in other words with another reference. An answer of some
// length that is the same to the byte where others vary, or that bears the reference
// of another question, was not made for the question. Caches by meaning answer other
// users' questions in the same way (Gu et al., arXiv 2502.07776, on caches that are
// shared). A model that never varies, as greedy decoding does not, is told as such.
//
// Streams: see pace.
var replayDetector = detector{
	id: "D10", name: "Replays and streams", layer: verdict.Protocol, nulls: []verdict.Null{verdict.Integrity},
	null:    "each answer is made for its question, and streams come as they are made; that an honest endpoint fails this repeatedly is assumed to have a chance of 1 %",
	applies: func(*Plan) string { return "" },
	run:     runReplay,
}

// Sizes of a round of questions.
const (
	sameAsks    = 3 // the same bytes
	limitAsks   = 2 // another limit, which changes nothing but the bytes
	otherAsks   = 3 // another reference
	roundAsks   = sameAsks + limitAsks + otherAsks
	storyTokens = 1024 // bounds an answer of some 150 words, and thoughts before it
	minReplay   = 200  // bytes of an answer that does not come twice by chance
)

// storyTopics are what rounds ask about.
var storyTopics = []string{
	"a lighthouse keeper and an unexpected visitor", "a lost letter found in an old piano", "a night train that stops at the wrong station", "a market on the day of the first snow",
	"two sisters who build a boat", "a clockmaker whose clocks run backwards", "a school in the mountains", "a garden behind a locked gate",
}

// storyWords put the question: as it is, the same but for case and punctuation, and in
// other words.
var storyWords = []string{
	"Write a story of about 150 words about %s. Invent names and places, and let something surprising happen. Begin your answer with the reference %s.",
	"write a story of about 150 words about %s; invent names and places, and let something surprising happen! begin your answer with the reference %s",
	"I would like a short story, some 150 words long. It is about %s. Make up the people and where it happens, with a surprise in it. Put the reference %s first in your answer.",
}

// story is one question and its answer.
type story struct {
	same  bool // asked in the same bytes as the first of its round
	first bool // of its round
	other bool // asked with another reference
	words int  // index into storyWords
	nonce string
	ask   Ask
	reply *Reply
}

// replays is what rounds of stories showed.
type replays struct {
	told     []*story // in the order asked
	repeats  int      // answers that were given before to the same bytes
	why      string   // what shows that these are no model's that never varies
	stale    int      // answers made for another question
	judged   bool     // answers to the same bytes could be compared
	echoed   int      // answers with their own reference
	constant bool     // no answer to the same question varied
}

func runReplay(ctx context.Context, t *Trial) {
	r := stat.Rand(stat.Seed(t.Seed, "stories"))
	streams := 2
	rounds := 1
	if t.Budget >= 2*roundAsks+4 {
		streams, rounds = 4, 2
	}
	seen := &replays{}
	topics := r.Perm(len(storyTopics))
	left := t.Budget - streams
	for i := 0; i < rounds && left >= roundAsks && !t.Over(); i++ {
		left -= roundAsks
		t.askRound(ctx, seen, storyTopics[topics[i]], r.Uint64())
	}
	if seen.stale == 1 && left > 0 && !t.Over() {
		t.askAgain(ctx, seen, left, r.Uint64())
	}
	paced := t.askStreams(ctx, min(streams, t.Budget), storyTopics[topics[len(topics)-1]])
	t.concludeReplay(seen, paced)
}

// askRound puts one story question in all its forms.
func (t *Trial) askRound(ctx context.Context, seen *replays, topic string, seed uint64) {
	asks := stories(topic, seed)
	first := asks[0]
	first.reply = t.Ask(ctx, first.ask)
	rest := asks[1:]
	var questions []Ask
	for _, s := range rest {
		questions = append(questions, s.ask)
	}
	for i, reply := range t.AskAll(ctx, questions) {
		rest[i].reply = reply
	}
	t.judgeRound(seen, asks)
}

// stories are the questions of a round. The first is answered before the others are
// put, so that a cache has something to answer with.
func stories(topic string, seed uint64) []*story {
	r := stat.Rand(stat.Seed([32]byte{}, "round", fmt.Sprint(seed)))
	ask := func(words int, nonce string, more int64) Ask {
		return Ask{Turns: User(fmt.Sprintf(storyWords[words], topic, nonce)), MaxTokens: storyTokens + more, Temperature: new(1.0)}
	}
	reference := func() string { return nonce(r) + nonce(r) }
	own := reference()
	var all []*story
	for i := range sameAsks {
		all = append(all, &story{same: true, first: i == 0, nonce: own, ask: ask(0, own, 0)})
	}
	for i := range limitAsks {
		all = append(all, &story{nonce: own, ask: ask(0, own, int64(i+1))})
	}
	for i := range otherAsks {
		other := reference()
		all = append(all, &story{other: true, words: i % len(storyWords), nonce: other, ask: ask(i%len(storyWords), other, 0)})
	}
	return all
}

// askAgain asks once more in the words whose answer bore the reference of another
// question, with new references.
func (t *Trial) askAgain(ctx context.Context, seen *replays, most int, seed uint64) {
	r := stat.Rand(stat.Seed([32]byte{}, "again", fmt.Sprint(seed)))
	var again []*story
	var questions []Ask
	for _, s := range seen.told {
		if seen.bears(s) == "" {
			continue
		}
		for range min(2, most) {
			fresh := nonce(r) + nonce(r)
			ask := s.ask
			ask.Turns = User(strings.ReplaceAll(s.ask.Turns[0].Text, s.nonce, fresh))
			again, questions = append(again, &story{other: true, words: s.words, nonce: fresh, ask: ask}), append(questions, ask)
		}
		break
	}
	for i, reply := range t.AskAll(ctx, questions) {
		again[i].reply = reply
	}
	t.judgeRound(seen, again)
}

// judgeRound compares the answers of a round with each other and with earlier ones.
func (t *Trial) judgeRound(seen *replays, round []*story) {
	var same, limit []string
	for _, s := range round {
		if s.reply.Outcome == Refused || s.reply.Outcome == Denied {
			t.Lose(s.reply)
		}
		if !s.reply.OK() {
			continue
		}
		seen.told = append(seen.told, s)
		if strings.Contains(s.reply.Text, s.nonce) {
			seen.echoed++
		}
		if s.other && (seen.bears(s) != "" || seen.copied(s) && seen.varied(s)) {
			seen.stale++
		}
		switch {
		case len(s.reply.Text) < minReplay:
		case s.same:
			same = append(same, s.reply.Text)
		case !s.other:
			limit = append(limit, s.reply.Text)
		}
	}
	if len(same) < 2 || len(limit) < 1 {
		return
	}
	seen.judged = true
	why := "answers to it under other limits on their length vary"
	if !vary(append([]string{same[0]}, limit...)) {
		if why = asBefore(round); why == "" {
			seen.constant = true
			return
		}
	}
	if n := recurring(same); n > 0 {
		seen.repeats += n
		seen.why = why
	}
}

// recurring is how many texts came before in the list.
func recurring(texts []string) int {
	known := map[string]bool{}
	n := 0
	for _, text := range texts {
		if known[text] {
			n++
		}
		known[text] = true
	}
	return n
}

// vary reports whether no two texts have more than half of the shorter in common, as
// far as they run alike from the beginning.
func vary(texts []string) bool {
	for i, a := range texts {
		for _, b := range texts[:i] {
			if shared(a, b) > min(len(a), len(b))/2 {
				return false
			}
		}
	}
	return true
}

// shared is how many bytes two texts have in common at the beginning.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// bears is the reference of an earlier question that an answer holds instead of its
// own; empty when it holds none.
func (seen *replays) bears(s *story) string {
	if strings.Contains(s.reply.Text, s.nonce) {
		return ""
	}
	for _, earlier := range seen.told {
		if earlier.nonce != s.nonce && strings.Contains(s.reply.Text, earlier.nonce) {
			return earlier.nonce
		}
	}
	return ""
}

// copied reports whether an answer is the same to the byte as one to a question with
// another reference.
func (seen *replays) copied(s *story) bool {
	for _, earlier := range seen.told {
		if earlier.nonce != s.nonce && len(s.reply.Text) >= minReplay && earlier.reply.Text == s.reply.Text {
			return true
		}
	}
	return false
}

// varied reports whether two answers to one question that is not the story's differ
// from their beginning: the model does vary.
func (seen *replays) varied(s *story) bool {
	for i, a := range seen.told {
		for _, b := range seen.told[:i] {
			if a.nonce == b.nonce && a.nonce != s.nonce && len(a.reply.Text) >= minReplay && len(b.reply.Text) >= minReplay && vary([]string{a.reply.Text, b.reply.Text}) {
				return true
			}
		}
	}
	return false
}

// Bounds on the time of an answer that was not made for the question.
const (
	fastShare = .2
	fastBy    = 300 * time.Millisecond
)

// asBefore says why answers that do not vary are replays all the same: they bear the
// id of the first one, where ids otherwise differ, or all of them came in a fifth of
// the time that the first one took and that answers to other questions take for as
// much text. Empty when they may be the model's.
func asBefore(round []*story) string {
	first := round[0].reply
	if !first.OK() {
		return ""
	}
	fresh := first.Took
	elsewhere := 0
	for _, s := range round[1:] {
		if !s.reply.OK() || len(s.reply.Text) < minReplay || s.reply.Text == first.Text {
			continue
		}
		if s.reply.ID == first.ID {
			return "" // an endpoint that gives one id to all, and decodes without chance
		}
		elsewhere++
		fresh = min(fresh, time.Duration(float64(s.reply.Took)*float64(len(first.Text))/float64(len(s.reply.Text))))
	}
	ids, fast, n := 0, 0, 0
	for _, s := range round[1:] {
		if !s.reply.OK() || s.reply.Text != first.Text {
			continue
		}
		n++
		if s.reply.ID != "" && s.reply.ID == first.ID {
			ids++
		}
		if float64(s.reply.Took) < fastShare*float64(fresh) && fresh-s.reply.Took > fastBy {
			fast++
		}
	}
	switch {
	case elsewhere == 0 || n < 2:
		return ""
	case ids == n:
		return "all bear the id of the first"
	case fast == n:
		return fmt.Sprintf("all came in less than %.0f %% of the time that fresh answers take", 100*fastShare)
	}
	return ""
}

// concludeReplay says what rounds and streams came to. Three facts are looked at, which
// are fixed beforehand; one that could not be judged is none.
func (t *Trial) concludeReplay(seen *replays, paced []pacing) {
	mismatches, checked := 0, 0
	fact := func(bad bool, text string, args ...any) {
		checked++
		if bad {
			mismatches++
			t.Find(verdict.Finding{Label: verdict.IntegrityFailed, Null: verdict.Integrity, Text: fmt.Sprintf(text, args...)})
		}
	}
	n := len(seen.told)
	if seen.judged {
		fact(seen.repeats >= 2, "The same question, put again at temperature 1, was answered %d times with the very bytes of an earlier answer; %s.", seen.repeats, seen.why)
		t.Fact("repeated answers", "%d, to %d questions", seen.repeats, n)
	}
	if seen.constant {
		t.Fact("sampling", "answers to one question do not vary at temperature 1: decoding without chance and replays look alike, unless times or ids tell them apart")
	}
	if seen.echoed > 0 || seen.stale > 0 {
		fact(seen.stale >= 2, "%d answers were made for another question than the one that was put: they bear its reference, or are the same to the byte.", seen.stale)
		t.Fact("answers to other questions", "%d of %d", seen.stale, n)
	}
	if n > 0 {
		t.Fact("references repeated", "%d of %d", seen.echoed, n)
		if hit := seen.hit(); hit != "" {
			t.Fact("cache header", "%s", hit)
		}
		t.chartTimes(seen)
	}
	timed, streams := t.describeStreams(paced)
	if streams > 0 {
		fact(timed >= 2 && timed == streams,
			"Streams come in pieces that a timer spaces, not as a model writes: the distances vary by less than %.0f %% in all of %d streams. That fits an answer which is fetched whole and then cut up.", 100*maxEven, streams)
	}
	if t.short >= leastShort {
		t.Find(verdict.Finding{
			Label: verdict.SettingsChanged, Null: verdict.Integrity,
			Text: fmt.Sprintf("%d answers ended for their length at less than half of the tokens that were allowed: another limit is in force than was asked for.", t.short),
		})
		if checked == 0 {
			return
		}
	}
	if checked == 0 {
		t.Inconclusive("the answers are too short, or too few, to compare")
		return
	}
	t.ObserveFacts(verdict.Integrity, mismatches, checked)
}

// leastShort is how many answers that were cut short make a finding.
const leastShort = 3

// cacheHeaders tell of caches on the way.
var cacheHeaders = []string{"X-Cache", "X-Cache-Hits", "Age", "Cf-Cache-Status"}

// hit is what a header says of a cache that answered.
func (seen *replays) hit() string {
	for _, s := range seen.told {
		for _, name := range cacheHeaders {
			v := s.reply.Header[name]
			if n, err := strconv.Atoi(v); err == nil && n > 0 || strings.Contains(strings.ToUpper(v), "HIT") {
				return fmt.Sprintf("%s: %.40s", name, v)
			}
		}
	}
	return ""
}

// chartTimes plots how long each answer took.
func (t *Trial) chartTimes(seen *replays) {
	chart := verdict.Chart{
		Title: "Time of each answer to the story questions", Kind: verdict.Bars, X: "question", Y: "milliseconds for 1,000 bytes of text",
		Series: []verdict.Series{{Name: "audited"}},
	}
	for i, s := range seen.told {
		name := "other limit"
		switch {
		case s.first:
			name = "first"
		case s.same:
			name = "same bytes"
		case s.other:
			name = "other reference"
		}
		chart.Labels = append(chart.Labels, fmt.Sprintf("%d %s", i+1, name))
		chart.Series[0].Y = append(chart.Series[0].Y, float64(s.reply.Took.Microseconds())/float64(max(len(s.reply.Text), 1)))
	}
	t.Chart(chart)
}
