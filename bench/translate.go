package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
)

// crossing is one scenario through one gateway: the same requests for an upstream
// of the client's format, and for one of another that they are translated for.
type crossing struct {
	Scenario string `json:"scenario"`
	Bytes    int    `json:"request_bytes"`
	Frames   int    `json:"frames,omitempty"` // content frames of a stream
	Same     passes `json:"same_format"`
	Other    passes `json:"translated"`
	Ratio    spread `json:"ratio"` // translated to same, of slices of one pass
}

// passes are the slices of one upstream.
type passes struct {
	CPU    spread   `json:"cpu_us"` // a request
	Failed int      `json:"failed"`
	Slices []sample `json:"slices"`
}

// runTranslate is the verb translate.
func runTranslate(ctx context.Context, o options) error {
	w, err := newWorkplace(o)
	if err != nil {
		return err
	}
	defer w.close()
	banner("translate", fmt.Sprintf("Chat Completions to the same format and to Messages; %d rounds there and back, slices of %s, %d connections",
		o.rounds, o.slice, o.conns))
	ts, err := w.startTargets(ctx, []string{"sallyport"})
	if err != nil {
		return err
	}
	other := ts[0] // the same process
	other.name, other.model = "translated", translatedModel
	ts = append(ts, other)
	var all []crossing
	for _, s := range scenarios() {
		if !slices.Contains(o.sizes, s.name) {
			continue
		}
		c, err := cross(ctx, o, ts, s)
		if err != nil {
			return fmt.Errorf("scenario %s: %w", s.name, err)
		}
		all = append(all, c)
	}
	printCrossings(all)
	return o.save("translate", map[string]any{
		"rounds": o.rounds, "slice_ms": o.slice.Milliseconds(), "connections": o.conns, "order": "ABBA", "client": "chat", "upstream": "messages",
	}, all)
}

// cross measures one scenario in a closed loop, after a slice each that does not
// count.
func cross(ctx context.Context, o options, ts []target, s scenario) (crossing, error) {
	c := crossing{Scenario: s.name, Bytes: s.bytes}
	if s.stream {
		c.Frames = frames
	}
	conns := s.connsOf(o)
	for _, t := range ts {
		if warm := t.plan(s, conns).closed(ctx, o.slice/2); warm.bad() {
			return c, fmt.Errorf("warm up %s: %w", t.name, warm.err())
		}
	}
	sides := []*passes{&c.Same, &c.Other}
	var ratios []float64
	for round := range 2 * o.rounds {
		for _, i := range abba(len(ts), round) {
			seen, err := slice(ctx, ts[i], func() tally { return ts[i].plan(s, conns).closed(ctx, o.slice) })
			if err != nil {
				return c, err
			}
			sides[i].Slices = append(sides[i].Slices, seen)
			sides[i].Failed += seen.Failed
		}
		if same := c.Same.Slices[round].CPU; same > 0 {
			ratios = append(ratios, c.Other.Slices[round].CPU/same)
		}
	}
	for _, side := range sides {
		var cpu []float64
		for _, seen := range side.Slices {
			cpu = append(cpu, seen.CPU)
		}
		side.CPU = spreadOf(cpu)
	}
	c.Ratio = spreadOf(ratios)
	return c, ctx.Err()
}

func printCrossings(all []crossing) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scenario\tsame format µs\ttranslated µs\tratio\tp10..p90\tsame µs/frame\ttranslated µs/frame\tfailed\t")
	for _, c := range all {
		perFrame := "\t"
		if c.Frames > 0 {
			n := float64(c.Frames)
			perFrame = fmt.Sprintf("%.1f\t%.1f", c.Same.CPU.Median/n, c.Other.CPU.Median/n)
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.2f\t%.2f..%.2f\t%s\t%d\t\n", c.Scenario, c.Same.CPU.Median, c.Other.CPU.Median,
			c.Ratio.Median, c.Ratio.Low, c.Ratio.High, perFrame, c.Same.Failed+c.Other.Failed)
	}
	_ = t.Flush() // standard output
}
