package probe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/verdict"
)

// A stream shows how an answer comes into being, when it is streamed as it does. Two
// shapes show that it was not: the whole answer at once after a wait, and pieces at
// the equal distances of a timer. The first is a property of the service and no
// fault; the second pretends. Rules of the field: a coefficient of variation of the
// distances below .05 is a timer's; at least 5 pieces within 250 ms after a wait of at
// least 800 ms, and four times as long as they took, were held back, which leaves
// short waits of fast models and slow streams alone.
const (
	streamTokens = 512 // what is asked for is longer than 256 tokens
	minStream    = 400 // bytes of an answer that shows anything
	minGaps      = 16
	maxEven      = .05 // coefficient of variation of a timer
	evenSize     = .1  // the same of the sizes of pieces that bytes are counted out for; words differ by more
	lateStart    = .3  // share of the time before the first text, above which an answer may have been whole by then
	minGap       = 2 * time.Millisecond
	burst        = 250 * time.Millisecond
	longWait     = 800 * time.Millisecond
)

// pace is the shape of a stream.
type pace string

const (
	flows    pace = "comes as it is written"
	atOnce   pace = "does not stream: the answer comes at once after a wait"
	notAsked pace = "does not stream: a whole answer came where a stream was asked for"
	timed    pace = "comes in pieces that a timer spaces"
	unknown  pace = "too short or too fast to tell"
)

// pacing is what the pieces of one stream show.
type pacing struct {
	pace   pace
	chunks []Chunk
	first  time.Duration // to the first text
	took   time.Duration
	gaps   float64 // robust coefficient of variation of the distances between pieces
	sizes  float64 // the same of their sizes
}

// paceOf reads the shape of a streamed answer.
func paceOf(r *Reply) pacing {
	p := pacing{pace: unknown, chunks: r.Chunks, first: r.First, took: r.Took}
	size := 0
	for _, c := range p.chunks {
		size += c.Bytes
	}
	n := len(p.chunks)
	if n == 0 {
		if len(r.Text) > 0 {
			p.pace = notAsked
		}
		return p
	}
	window := p.chunks[n-1].At - p.chunks[0].At
	var gaps, sizes []float64
	for i := 1; i < n; i++ {
		gaps = append(gaps, float64(p.chunks[i].At-p.chunks[i-1].At))
		sizes = append(sizes, float64(p.chunks[i-1].Bytes))
	}
	var gap float64
	gap, p.gaps = spread(gaps)
	_, p.sizes = spread(sizes)
	late := float64(p.first) >= lateStart*float64(p.took)
	switch {
	case size < minStream:
	case window <= burst && p.first >= longWait && p.first >= 4*window:
		p.pace = atOnce
	case len(gaps) < minGaps || gap < float64(minGap):
	case p.gaps < maxEven && (late || p.sizes < evenSize):
		p.pace = timed
	default:
		p.pace = flows
	}
	return p
}

// spread is the median of values and their robust coefficient of variation: the
// interquartile range in standard deviations of a normal distribution, over the
// median. Pauses of the network and of busy machines move it little.
func spread(values []float64) (median, cv float64) {
	if len(values) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }
	if median = at(.5); median == 0 {
		return 0, 0
	}
	return median, (at(.75) - at(.25)) / 1.349 / median
}

// askStreams asks for long answers as streams, one after the other, so that their
// times mean something.
func (t *Trial) askStreams(ctx context.Context, n int, topic string) []pacing {
	var paced []pacing
	for i := range n {
		if t.Over() {
			break
		}
		text := fmt.Sprintf("Write a story of at least 400 words about %s, part %d of %d.", topic, i+1, n)
		r := t.Ask(ctx, Ask{Turns: User(text), MaxTokens: streamTokens, Stream: true})
		if !r.OK() {
			t.Lose(r)
			continue
		}
		paced = append(paced, paceOf(r))
	}
	return paced
}

// describeStreams tells and plots the streams. It returns how many a timer spaced, and
// of how many that could be judged.
func (t *Trial) describeStreams(paced []pacing) (timers, judged int) {
	chart := verdict.Chart{Title: "Text received in each stream", Kind: verdict.Lines, X: "seconds after the question", Y: "bytes of text"}
	for i, p := range paced {
		name := fmt.Sprintf("stream %d", i+1)
		t.Fact(name, "%s; first text after %.2f s of %.2f s, %d pieces, variation of their distances %.3f and sizes %.2f",
			p.pace, p.first.Seconds(), p.took.Seconds(), len(p.chunks), p.gaps, p.sizes)
		switch p.pace {
		case timed:
			timers, judged = timers+1, judged+1
		case flows:
			judged++
		}
		line := verdict.Series{Name: name}
		bytes := 0
		for _, c := range p.chunks {
			bytes += c.Bytes
			line.Points = append(line.Points, verdict.Point{X: c.At.Seconds(), Y: float64(bytes)})
		}
		line.Points = thinned(line.Points)
		chart.Series = append(chart.Series, line)
	}
	if len(chart.Series) > 0 {
		t.Chart(chart)
	}
	return timers, judged
}
