package probe

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// How well a relay could tell an audit's questions from traffic is measured by doing
// it: a logistic regression learns from one half of both and is judged on the other. It
// was told which are which, so a relay that was not does no better by the same means.

// What a relay sees of a request, as components of a vector: first figures, then how
// long before it the last one came, then hashed words.
const (
	seenFigures = 16
	seenGap     = seenFigures
	seenWords   = seenFigures + 1
	wordBuckets = 1024
	seenDims    = seenWords + wordBuckets
)

// relayView is a chat request as far as a relay looks at it, in whatever API's format.
type relayView struct {
	Messages []struct {
		Role    string
		Content json.RawMessage
	}
	System              json.RawMessage
	Tools               []json.RawMessage
	MaxTokens           float64 `json:"max_tokens"`
	MaxCompletionTokens float64 `json:"max_completion_tokens"`
	Temperature         *float64
	TopP                *float64 `json:"top_p"`
	Stream              bool
}

// seenByRelay are the features of a request's body; false when it is none of a chat.
func seenByRelay(body []byte) ([]stat.Feature, bool) {
	var q relayView
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &q) != nil || json.Unmarshal(body, &members) != nil || len(q.Messages) == 0 {
		return nil, false
	}
	system, prompt, last := texts(q.System), "", ""
	for _, m := range q.Messages {
		t := texts(m.Content)
		if m.Role == "system" || m.Role == "developer" {
			system += t
			continue
		}
		prompt, last = prompt+"\n"+t, t
	}
	limit := max(q.MaxTokens, q.MaxCompletionTokens)
	foreign, digits, lines := 0, 0, strings.Count(last, "\n")
	for _, c := range prompt {
		switch {
		case c >= unicode.MaxLatin1:
			foreign++
		case c >= '0' && c <= '9':
			digits++
		}
	}
	size := float64(max(len(prompt), 1))
	var v []stat.Feature
	for i, x := range [seenFigures]float64{
		math.Log(size) / 2, math.Log1p(float64(len(last))) / 2, math.Log1p(float64(len(system))) / 4, truth(system != ""), float64(min(len(q.Messages), 20)) / 4,
		truth(len(q.Tools) > 0), truth(limit > 0), math.Log1p(limit) / 4, truth(q.Temperature != nil), deref(q.Temperature), truth(q.TopP != nil), truth(q.Stream),
		float64(foreign) / size * 4, float64(digits) / size * 8, math.Log1p(float64(lines)), math.Log1p(float64(len(members))),
	} {
		if x != 0 {
			v = append(v, stat.Feature{Index: i, Value: x})
		}
	}
	words := map[int]bool{}
	for name := range members {
		words[bucket("member "+name)] = true
	}
	for w := range strings.FieldsFuncSeq(strings.ToLower(system+"\n"+prompt), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsNumber(c) }) {
		words[bucket(w)] = true
	}
	for b := range wordBuckets {
		if words[b] {
			v = append(v, stat.Feature{Index: seenWords + b, Value: 4 / math.Sqrt(float64(len(words)))})
		}
	}
	return v, true
}

// texts is the text of a message's content, whole or in parts.
func texts(content json.RawMessage) string {
	var whole string
	if json.Unmarshal(content, &whole) == nil {
		return whole
	}
	var parts []struct{ Text string }
	_ = json.Unmarshal(content, &parts) // what is neither has no text
	for _, p := range parts {
		whole += p.Text + "\n"
	}
	return whole
}

func bucket(word string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(word))
	return int(h.Sum32() % wordBuckets)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func deref(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}

// gapFeature is how long before a request the last one came; nothing is known of the
// first, which gets a second.
func gapFeature(gap time.Duration, first bool) stat.Feature {
	if first {
		gap = time.Second
	}
	return stat.Feature{Index: seenGap, Value: math.Log(max(gap.Seconds(), .001)) / 4}
}

func withoutGap(v []stat.Feature) []stat.Feature {
	return slices.DeleteFunc(v, func(f stat.Feature) bool { return f.Index == seenGap })
}

// judgedBy are the detectors whose questions must not be told from traffic: on them
// rests what is said of the model.
var judgedBy = []verdict.ID{"D3", "D5"}

const (
	minProbes   = 40   // judged questions without which nothing is measured
	minPart     = 8    // questions of one detector
	camouflaged = 1000 // questions and requests at most that are compared
	ridge       = 1e-3
)

// camouflage measures how well the audit's questions could be told from traffic; nil
// when too few were asked.
func (a *audit) camouflage() *verdict.Camouflage {
	if !a.plan.Camouflage || a.plan.Traffic != nil && a.Traffic == nil {
		return nil
	}
	traffic, against := a.Traffic, "the operator's sample of traffic"
	seen := a.seen(traffic != nil && traffic.timed)
	var probes [][]stat.Feature
	for _, id := range judgedBy {
		probes = append(probes, seen[id]...)
	}
	if len(probes) < minProbes {
		return nil
	}
	if traffic == nil {
		against = "built-in requests of made-up applications"
		var err error
		if traffic, err = builtinTraffic(a.seed, slices.Concat(knownApplications, otherApplications), min(max(len(probes), 200), camouflaged)); err != nil {
			return nil
		}
	}
	note := "Judged are the questions of D3 and D5 (dress: plain); those of other detectors are not dressed."
	if a.plan.dressed() {
		note = "Judged are the questions of D3 and D5 (dress: work); of the other detectors', only those of D7 are dressed."
	}
	c := &verdict.Camouflage{Traffic: min(len(traffic.vectors), camouflaged), Against: against, Note: note}
	var err error
	if c.Told, err = a.told("", probes, traffic.vectors); err != nil {
		return nil
	}
	if c.Form, err = a.told("", formOf(probes), formOf(traffic.vectors)); err != nil {
		return nil
	}
	for i := range detectors {
		if part := seen[detectors[i].id]; len(part) >= minPart {
			if told, err := a.told(detectors[i].id, part, traffic.vectors); err == nil {
				c.Parts = append(c.Parts, told)
			}
		}
	}
	return c
}

// told learns to tell questions from traffic by one half of each, and is judged on the
// other.
func (a *audit) told(by verdict.ID, probes, traffic [][]stat.Feature) (verdict.Told, error) {
	split := func(label string, all [][]stat.Feature) (learn, judge [][]stat.Feature) {
		r := stat.Rand(stat.Seed(a.seed, "camouflage", label))
		var drawn [][]stat.Feature
		for _, i := range r.Perm(len(all))[:min(len(all), camouflaged)] {
			drawn = append(drawn, all[i])
		}
		return drawn[:len(drawn)/2], drawn[len(drawn)/2:]
	}
	learn, judge := split("probes", probes)
	learnTraffic, judgeTraffic := split("traffic", traffic)
	k, err := stat.NewClassifier(seenDims, ridge, learn, learnTraffic)
	if err != nil {
		return verdict.Told{}, err
	}
	scores := func(all [][]stat.Feature) (s []float64) {
		for _, v := range all {
			s = append(s, k.Score(v))
		}
		return s
	}
	area, i, err := stat.AUC(scores(judge), scores(judgeTraffic), .95)
	if err != nil {
		return verdict.Told{}, err
	}
	round := func(x float64) float64 { return math.Round(1000*x) / 1000 } // what the last bits are depends on the processor
	return verdict.Told{By: by, AUC: round(area), Low: round(i.Low), High: round(i.High), Probes: len(learn) + len(judge)}, nil
}

// formOf are vectors without their words.
func formOf(vectors [][]stat.Feature) [][]stat.Feature {
	var all [][]stat.Feature
	for _, v := range vectors {
		all = append(all, slices.DeleteFunc(slices.Clone(v), func(f stat.Feature) bool { return f.Index >= seenWords }))
	}
	return all
}

// unsent are the outcomes of questions that no relay saw.
var unsent = []Outcome{Capped, Interrupted, Forbidden}

// seen are the questions that were sent, as a relay saw them, by detector.
func (a *audit) seen(timed bool) map[verdict.ID][][]stat.Feature {
	all := slices.DeleteFunc(a.exchanges(), func(x exchange) bool { return x.To != suspect.String() || slices.Contains(unsent, x.Reply.Outcome) })
	slices.SortFunc(all, func(x, y exchange) int {
		return cmp.Or(cmp.Compare(x.Sent, y.Sent), cmp.Compare(x.By, y.By), cmp.Compare(x.N, y.N))
	})
	gaps := map[place]time.Duration{}
	for i := range all[min(1, len(all)):] {
		gaps[place{all[i+1].By, all[i+1].To, all[i+1].N}] = all[i+1].Sent - all[i].Sent
	}
	slices.SortFunc(all, func(x, y exchange) int { return cmp.Or(cmp.Compare(x.By, y.By), cmp.Compare(x.N, y.N)) })
	vectors := map[verdict.ID][][]stat.Feature{}
	for _, x := range all {
		if v, ok := seenByRelay(x.Ask.body("", "max_tokens")); ok {
			if timed {
				v = append(v, gapFeature(gaps[place{x.By, x.To, x.N}], false))
			}
			vectors[x.By] = append(vectors[x.By], v)
		}
	}
	return vectors
}
