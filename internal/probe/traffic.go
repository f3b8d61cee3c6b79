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
	"strconv"
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

// builtinTraffic are n requests of applications that follow from a seed.
func builtinTraffic(seed [32]byte, of []application, n int) (*Traffic, error) {
	r := stat.Rand(stat.Seed(seed, "traffic"))
	t := &Traffic{}
	for range n {
		a := pick(r, of).request(r)
		v, ok := seenByRelay(a.body("", "max_tokens"))
		if !ok {
			return nil, errors.New("a traffic-like request is no chat request")
		}
		t.vectors = append(t.vectors, v)
	}
	return t, nil
}

// request is one request of an application.
func (p application) request(r *rand.Rand) Ask {
	a := Ask{System: trafficText(p.system, r), MaxTokens: p.limit, Stream: p.stream}
	for i, text := range p.turns {
		a.Turns = append(a.Turns, Turn{[]string{"user", "assistant"}[i%2], trafficText(text, r)})
	}
	if p.temperature >= 0 {
		a.Temperature = new(p.temperature)
	}
	if p.topP > 0 {
		a.TopP = new(p.topP)
	}
	for _, name := range p.tools {
		a.Tools = append(a.Tools, Tool{Name: name, Description: "Looks it up.", Parameters: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"}}}`)})
	}
	return a
}

// trafficText fills the slots of a text; some are made of others.
func trafficText(text string, r *rand.Rand) string {
	return slotForm.ReplaceAllStringFunc(text, func(slot string) string {
		switch name := slot[1 : len(slot)-1]; name {
		case "n":
			return strconv.Itoa(2 + r.IntN(90))
		case "line":
			return trafficText("{who} {did} {what} {tail}.", r)
		case "speech":
			return trafficText("{person}: {line} {line}", r)
		case "lines":
			var lines []string
			for len(lines) < 2 || r.Float64() < .75 && len(lines) < 40 {
				lines = append(lines, trafficText("{line}", r))
			}
			return strings.Join(lines, " ")
		default:
			return pick(r, trafficSlots[name])
		}
	})
}
