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

// footprint is what one target needs.
type footprint struct {
	Target    string `json:"target"`
	IdleMB    int64  `json:"idle_mb"`    // resident, a second after the start
	StreamsMB int64  `json:"streams_mb"` // largest resident size seen while the streams were open
	PeakMB    int64  `json:"peak_mb"`    // VmHWM afterwards
	Streams   int    `json:"streams"`
	Open      int    `json:"open"` // streams that were answered whole
	Start     spread `json:"start_ms"`
}

// runMemory is the verb memory.
func runMemory(ctx context.Context, o options) error {
	w, err := newWorkplace(o)
	if err != nil {
		return err
	}
	defer w.close()
	n := o.streams
	if n == 0 {
		n = 500
	}
	banner("memory", fmt.Sprintf("resident memory idle and with %d open streams; time to ready over %d starts", n, o.starts))
	var all []footprint
	for _, name := range o.targets {
		if name == "direct" || strings.HasPrefix(name, "sallyport-") {
			continue
		}
		f, err := measureFootprint(ctx, w, name, n, o.starts)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, f)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "target\tidle MB\tMB with %d streams\tpeak MB\tstreams whole\tms to ready\tp10..p90\t\n", n)
	for _, f := range all {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d/%d\t%.0f\t%.0f..%.0f\t\n", f.Target, f.IdleMB, f.StreamsMB, f.PeakMB, f.Open, f.Streams,
			f.Start.Median, f.Start.Low, f.Start.High)
	}
	_ = t.Flush() // standard output
	return o.save("memory", map[string]any{"streams": n, "frames": frames, "gap_ms": 100, "starts": o.starts}, all)
}

func measureFootprint(ctx context.Context, w *workplace, name string, n, starts int) (footprint, error) {
	f := footprint{Target: name, Streams: n}
	ts, err := w.startTargets(ctx, []string{name})
	if err != nil {
		return f, err
	}
	t := ts[0]
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return f, ctx.Err()
	}
	idle, _, err := memory(t.proc.pid())
	if err != nil {
		return f, err
	}
	f.IdleMB = idle >> 20
	p := t.plan(scenario{name: "open streams", bytes: 1 << 10, stream: true, gap: 100 * time.Millisecond}, n)
	done := make(chan tally, 1)
	go func() { done <- p.count(ctx, n) }()
	var largest int64
	for running := true; running; {
		select {
		case seen := <-done:
			f.Open, running = seen.n-seen.failed, false
			if seen.bad() {
				err = seen.err()
			}
		case <-time.After(50 * time.Millisecond):
			now, _, err := memory(t.proc.pid())
			if err != nil {
				return f, err
			}
			largest = max(largest, now)
		}
	}
	f.StreamsMB = largest >> 20
	_, peak, peakErr := memory(t.proc.pid())
	f.PeakMB = peak >> 20
	if err := errors.Join(err, peakErr, t.proc.stop()); err != nil {
		return f, err
	}
	f.Start, err = startTimes(ctx, w, name, starts)
	return f, err
}

// startTimes starts a target again and again and stops it: a proxy anew, the
// gateway on the data folder that it has.
func startTimes(ctx context.Context, w *workplace, name string, starts int) (spread, error) {
	_, upstream, err := w.child("mock")
	if err != nil {
		return spread{}, err
	}
	var times []float64
	if slices.Contains([]string{"rp", "rpbuf"}, name) {
		for range starts {
			began := time.Now()
			p, addr, err := w.child(name, "-upstream", "http://"+upstream)
			if err != nil {
				return spread{}, err
			}
			if err := ready(ctx, "http://"+addr+"/v1/models", p); err != nil {
				return spread{}, err
			}
			times = append(times, time.Since(began).Seconds()*1e3)
			if err := p.stop(); err != nil {
				return spread{}, err
			}
		}
		return spreadOf(times), nil
	}
	g, err := w.newGateway(ctx, upstream, "")
	if err != nil {
		return spread{}, err
	}
	for range starts {
		if err := g.proc.stop(); err != nil {
			return spread{}, err
		}
		took, err := g.start(ctx)
		if err != nil {
			return spread{}, err
		}
		times = append(times, took.Seconds()*1e3)
	}
	return spreadOf(times), g.proc.stop()
}
