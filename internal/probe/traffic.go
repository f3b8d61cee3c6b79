package probe

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"sallyport/internal/stat"
)

// Traffic is a sample of an organisation's requests, as features: no text of theirs is
// kept.
type Traffic struct {
	vectors [][]stat.Feature
	timed   bool // when each came is known as well
}

// Bounds on a sample of traffic.
const (
	minTraffic     = 40
	maxTraffic     = 5000    // requests; what follows is not read
	maxTrafficLine = 4 << 20 // bytes
)

// ReadTraffic reads a sample: on each line the body of a chat request, or an object
// {"time": RFC 3339, "body": BODY}, in the order in which they came.
func ReadTraffic(r io.Reader) (*Traffic, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTrafficLine)
	t := &Traffic{timed: true}
	var last time.Time
	for n := 1; lines.Scan() && len(t.vectors) < maxTraffic; n++ {
		line := lines.Bytes()
		if len(line) == 0 {
			continue
		}
		var dated struct {
			Time time.Time       `json:"time"`
			Body json.RawMessage `json:"body"`
		}
		if json.Unmarshal(line, &dated) != nil || dated.Body == nil {
			dated.Body = line
		}
		v, ok := seenByRelay(dated.Body)
		if !ok {
			return nil, fmt.Errorf("line %d is not the body of a chat request", n) // never what stands there
		}
		t.timed = t.timed && !dated.Time.IsZero()
		if t.timed {
			v = append(v, gapFeature(dated.Time.Sub(last), len(t.vectors) == 0))
			last = dated.Time
		}
		t.vectors = append(t.vectors, v)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the sample of traffic: %w", err)
	}
	if len(t.vectors) < minTraffic {
		return nil, fmt.Errorf("the sample of traffic has %d requests, and at least %d are needed", len(t.vectors), minTraffic)
	}
	if !t.timed {
		for i, v := range t.vectors {
			t.vectors[i] = withoutGap(v)
		}
	}
	return t, nil
}

// trafficSample is what a plan says of a sample of traffic.
type trafficSample struct {
	N      int    `json:"n"`
	SHA256 string `json:"sha256"` // of the features
}

func (t *Traffic) sample() *trafficSample {
	sum := sha256.Sum256(jsonOf(t.vectors))
	return &trafficSample{len(t.vectors), hex.EncodeToString(sum[:])}
}

// errands are tasks of the traffic-like requests that are built in.
var errands = []string{
	"Summarise this in two sentences.", "Draft a short and friendly reply.", "List the open points as bullets.", "Translate the text above into German.",
	"Extract every date as a JSON array of strings.", "Which department should deal with this? Give its name only.", "Classify the tone as positive, neutral or negative.",
	"Rewrite it so that it sounds less formal.", "What is the total amount? Answer with the figure.", "Find spelling mistakes and correct them.", "Explain what the customer wants and what we should do next.",
	"Turn it into a message for the team chat.", "Suggest a subject line.", "Write a test for this.", "Is anything missing? Answer yes or no.", "Give the priority as low, medium or high.",
	"Return JSON with the members \"person\", \"company\" and \"due\".", "Write three possible titles.", "Make a table of who does what by when.", "Shorten it to at most 40 words.",
}

// remarks follow errands now and then.
var remarks = []string{"", "", "", "Answer in plain text.", "No explanation, please.", "Keep it short.", "Use British spelling.", "Think about the reader.", "Respond as JSON."}

// ordinary is one traffic-like request. That it is made from the same offices as the
// questions makes them look more alike than real traffic would.
func ordinary(r *rand.Rand) Ask {
	var a Ask
	switch k := r.Float64(); {
	case k < .75:
		a = newDesk(&officeEN, r).write(pick(r, errands), pick(r, remarks))
	case k < .9: // a conversation that goes on
		d := newDesk(&officeEN, r)
		for range 1 + r.IntN(4) {
			before := pick(r, d.earlier)
			a.Turns = append(a.Turns, Turn{"user", before[0]}, Turn{"assistant", before[1]})
		}
		a.Turns = append(a.Turns, Turn{"user", pick(r, errands) + "\n\n" + d.sentences()})
	default: // a longer document
		d := newDesk(&officeEN, r)
		a.System = d.fill(pick(r, d.systems))
		var text strings.Builder
		for range 3 + r.IntN(12) {
			text.WriteString(d.sentences() + "\n\n")
		}
		a.Turns = User(text.String() + pick(r, errands))
	}
	sendAsWork(&a, 0, r)
	if a.Temperature != nil || r.Float64() < .2 {
		a.Temperature = new(pick(r, []float64{0, .2, .3, .7, .7, 1, 1}))
	}
	if r.Float64() < .08 {
		a.TopP = new(pick(r, []float64{.9, .95, 1}))
	}
	if r.Float64() < .06 {
		a.Tools = []Tool{{Name: "search", Description: "Searches the documents of the company.", Parameters: json.RawMessage(`{"type":"object","properties":{"query":{"type":"string"}}}`)}}
	}
	return a
}

// builtinTraffic are n traffic-like requests that follow from a seed.
func builtinTraffic(seed [32]byte, n int) (*Traffic, error) {
	r := stat.Rand(stat.Seed(seed, "traffic"))
	t := &Traffic{}
	for range n {
		a := ordinary(r)
		v, ok := seenByRelay(a.body("", "max_tokens"))
		if !ok {
			return nil, errors.New("a traffic-like request is no chat request")
		}
		t.vectors = append(t.vectors, v)
	}
	return t, nil
}
