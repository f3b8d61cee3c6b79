package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// target is one thing that requests are sent through.
type target struct {
	name  string
	addr  string
	key   string
	model string
	proc  *proc // nil for direct
}

// startTargets starts the mock and what stands before it.
func (w *workplace) startTargets(ctx context.Context, names []string, mockArgs ...string) ([]target, error) {
	_, upstream, err := w.child("mock", mockArgs...)
	if err != nil {
		return nil, err
	}
	var ts []target
	for _, name := range names {
		t := target{name: name, addr: upstream, key: upstreamKey, model: upstreamModel}
		switch name {
		case "direct":
		case "rp", "rpbuf":
			if t.proc, t.addr, err = w.child(name, "-upstream", "http://"+upstream); err != nil {
				return nil, err
			}
		default:
			var env []string
			more := ""
			switch name {
			case "sallyport-nohash":
				env = []string{"SALLYPORT_BENCH_NO_HASH=1"}
			case "sallyport-nocount":
				more = "count: { share: 0 }\n"
			case "sallyport-watch":
				more = watchConfig(1_000_000)
			case "sallyport-watch-path":
				more = watchConfig(1)
			}
			g, err := w.newGateway(ctx, upstream, more, env...)
			if err != nil {
				return nil, err
			}
			t.proc, t.addr, t.key, t.model = g.proc, g.addr, g.key, publicModel
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// watchConfig has the model's upstream watched beside two trusted ones, which are the
// mock too, with the default share. When the month's pairs are used up no trusted one is
// asked any more: what remains is what a watch costs the requests themselves.
func watchConfig(pairs int) string {
	return fmt.Sprintf("watch:\n  - { upstream: mock, model: %s, references: [ trusted, trusted-too ], projects: [ bench ], pairs: %d, same_defaults: true }\n", upstreamModel, pairs)
}

func (t target) plan(s scenario, conns int) plan {
	return plan{addr: t.addr, key: t.key, model: t.model, s: s, conns: conns, timeout: time.Minute}
}

// sample is one slice of one target.
type sample struct {
	Requests int     `json:"requests"`
	CPU      float64 `json:"cpu_us"`       // processor µs a request, settling included
	During   float64 `json:"cpu_us_slice"` // of which within the slice
	Rate     float64 `json:"per_second"`
	Settled  bool    `json:"settled"` // false: it was still busy when waiting ended
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Failed   int     `json:"failed"`
}

// column is one target in one scenario.
type column struct {
	Target string   `json:"target"`
	CPU    spread   `json:"cpu_us"`
	During spread   `json:"cpu_us_slice"` // of which before the last answer
	Ratio  spread   `json:"ratio_to_reference"`
	Rate   spread   `json:"per_second"`
	Added  spread   `json:"added_p50_ms"` // open loop, over direct; of streams: to the first byte
	Failed int      `json:"failed"`
	Slices []sample `json:"slices"`
	Open   []sample `json:"open_loop"`
}

// outcome is one scenario.
type outcome struct {
	Scenario string   `json:"scenario"`
	Bytes    int      `json:"request_bytes"`
	Columns  []column `json:"targets"`
}

// An open loop runs at a low rate: few connections, and longer, so that a slice
// holds enough requests for a median.
const (
	openConns  = 4
	openSlices = 3
)

// runCompare is the verb compare.
func runCompare(ctx context.Context, o options) error {
	if !slices.Contains(o.targets, o.reference) {
		return fmt.Errorf("the targets must include %s, the reference", o.reference)
	}
	w, err := newWorkplace(o)
	if err != nil {
		return err
	}
	defer w.close()
	banner("compare", fmt.Sprintf("CPU and latency; %d rounds there and back, slices of %s, %d connections", o.rounds, o.slice, o.conns))
	ts, err := w.startTargets(ctx, o.targets)
	if err != nil {
		return err
	}
	var all []outcome
	for _, s := range scenarios() {
		if !slices.Contains(o.sizes, s.name) {
			continue
		}
		out, err := compareOne(ctx, o, ts, s)
		if err != nil {
			return fmt.Errorf("scenario %s: %w", s.name, err)
		}
		all = append(all, out)
	}
	printComparison(all, o.reference)
	return o.save("compare", map[string]any{
		"rounds": o.rounds, "slice_ms": o.slice.Milliseconds(), "connections": o.conns,
		"order": "ABBA", "reference": o.reference,
	}, all)
}

// compareOne measures one scenario: first a slice each that does not count, then
// the closed loop for CPU, then the open loop for latency.
func compareOne(ctx context.Context, o options, ts []target, s scenario) (outcome, error) {
	conns := s.connsOf(o)
	out := outcome{Scenario: s.name, Bytes: s.bytes, Columns: make([]column, len(ts))}
	for i, t := range ts {
		out.Columns[i].Target = t.name
		if warm := t.plan(s, conns).closed(ctx, o.slice/2); warm.bad() {
			return out, fmt.Errorf("warm up %s: %w", t.name, warm.err())
		}
	}
	ratios, added := make([][]float64, len(ts)), make([][]float64, len(ts))
	for round := range 2 * o.rounds {
		pass := make([]sample, len(ts))
		openPass := make([]sample, len(ts))
		for _, i := range abba(len(ts), round) {
			var err error
			if pass[i], err = slice(ctx, ts[i], func() tally { return ts[i].plan(s, conns).closed(ctx, o.slice) }); err != nil {
				return out, err
			}
			if openPass[i], err = slice(ctx, ts[i], func() tally { return ts[i].plan(s, openConns).open(ctx, openSlices*o.slice) }); err != nil {
				return out, err
			}
		}
		ref := slices.IndexFunc(ts, func(t target) bool { return t.name == o.reference })
		direct := slices.IndexFunc(ts, func(t target) bool { return t.name == "direct" })
		for i := range ts {
			c := &out.Columns[i]
			c.Slices, c.Open = append(c.Slices, pass[i]), append(c.Open, openPass[i])
			c.Failed += pass[i].Failed + openPass[i].Failed
			if pass[ref].CPU > 0 && ts[i].proc != nil {
				ratios[i] = append(ratios[i], pass[i].CPU/pass[ref].CPU)
			}
			if direct >= 0 && openPass[i].Requests > 0 {
				added[i] = append(added[i], openPass[i].P50-openPass[direct].P50)
			}
		}
	}
	for i := range out.Columns {
		out.Columns[i].finish(ratios[i], added[i])
	}
	return out, ctx.Err()
}

func (c *column) finish(ratios, added []float64) {
	var cpu, during, rate []float64
	for _, s := range c.Slices {
		cpu, during, rate = append(cpu, s.CPU), append(during, s.During), append(rate, s.Rate)
	}
	c.CPU, c.During, c.Rate, c.Ratio, c.Added = spreadOf(cpu), spreadOf(during), spreadOf(rate), spreadOf(ratios), spreadOf(added)
}

// abba is the order of n targets in a round: forwards, then backwards, so that a
// drift of the machine weighs on all alike.
func abba(n, round int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// slice runs a load against a target and reads the processor time that the
// target's process used for it, including what it did afterwards.
func slice(ctx context.Context, t target, load func() tally) (sample, error) {
	var before, during, after cpuTime
	var err error
	if t.proc != nil {
		if before, err = readCPU(t.proc.pid()); err != nil {
			return sample{}, err
		}
	}
	seen := load()
	s := sample{Requests: seen.n - seen.failed, Failed: seen.failed, Settled: true}
	if err := ctx.Err(); err != nil {
		return s, err
	}
	if seen.bad() {
		return s, fmt.Errorf("%s: %w", t.name, seen.err())
	}
	s.P50, s.P99 = quantile(seen.latency, 0.5)/1e6, quantile(seen.latency, 0.99)/1e6
	s.Rate = float64(s.Requests) / seen.took.Seconds()
	if t.proc == nil {
		return s, nil
	}
	if during, err = readCPU(t.proc.pid()); err != nil {
		return s, err
	}
	if err := settle(ctx, t.proc.pid(), 20*time.Second); errors.Is(err, errBusy) {
		s.Settled = false
	} else if err != nil {
		return s, err
	}
	if after, err = readCPU(t.proc.pid()); err != nil {
		return s, err
	}
	s.CPU = float64(after.since(before).Microseconds()) / float64(s.Requests)
	s.During = float64(during.since(before).Microseconds()) / float64(s.Requests)
	return s, nil
}

func printComparison(all []outcome, reference string) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scenario\ttarget\tCPU µs\tin slice\tratio to "+reference+"\tp10..p90\treq/s\tadded p50 ms\tp10..p90\tfailed\t")
	for _, o := range all {
		for _, c := range o.Columns {
			cpu, during, ratio, between := "-", "-", "-", ""
			if c.Ratio.N > 0 {
				cpu, during, ratio = fmt.Sprintf("%.0f", c.CPU.Median), fmt.Sprintf("%.0f", c.During.Median), fmt.Sprintf("%.2f", c.Ratio.Median)
				between = fmt.Sprintf("%.2f..%.2f", c.Ratio.Low, c.Ratio.High)
			}
			added := fmt.Sprintf("%.3f\t%.3f..%.3f", c.Added.Median, c.Added.Low, c.Added.High)
			if c.Added.N == 0 {
				added = "-\t"
			}
			note := ""
			if slices.ContainsFunc(c.Slices, func(s sample) bool { return !s.Settled }) {
				note = " unsettled"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t%s\t%d%s\t\n", o.Scenario, c.Target, cpu, during, ratio, between, c.Rate.Median, added, c.Failed, note)
		}
		fmt.Fprintln(t, strings.Repeat("\t", 10))
	}
	_ = t.Flush() // standard output
}
