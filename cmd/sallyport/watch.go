package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/console"
)

func auditWatch(f *flags) *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use: "watch", Short: "Show the upstreams under watch, and what is concluded of them now", Args: cobra.NoArgs,
		Long: `Shows each upstream that is compared with trusted ones on real requests: how much was compared this
month, what the detector of change is at and at what it reaches the next level, and in which part
of the traffic a difference shows. What is under watch is said in the configuration (watch).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.close()
			w := watching{output: f.output(cmd)}
			if file, is := cmd.OutOrStdout().(*os.File); is {
				w.screen = follow && !w.json && terminal(file)
			}
			return w.run(cmd.Context(), c, follow)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on, and show what changes")
	return c
}

// watching shows what is under watch, once or as it changes.
type watching struct {
	output
	screen bool // it is a terminal, which is drawn afresh
	last   []console.Watching
}

func (w *watching) run(ctx context.Context, c *client, follow bool) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for first := true; ; first = false {
		var now []console.Watching
		err := c.call(ctx, "GET", "/watch", nil, &now)
		if follow && ctx.Err() != nil {
			return nil // told to stop
		}
		if err != nil {
			return err
		}
		if changed := w.changed(now); first || len(changed) > 0 {
			if err := w.show(now, changed); err != nil {
				return err
			}
		}
		w.last = now
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		}
	}
}

// changed are those that are not as they were shown last.
func (w *watching) changed(now []console.Watching) []console.Watching {
	var changed []console.Watching
	for i := range now {
		if i >= len(w.last) || !reflect.DeepEqual(now[i], w.last[i]) {
			changed = append(changed, now[i])
		}
	}
	return changed
}

func (w *watching) show(now, changed []console.Watching) error {
	if w.screen {
		if _, err := fmt.Fprint(w.out, "\x1b[H\x1b[2J"); err != nil {
			return errors.New("the terminal is gone")
		}
		changed = now
	}
	return lines(w.output, changed, func() { w.tables(changed) })
}

// tables are the streams, and the parts of their traffic.
func (w *watching) tables(all []console.Watching) {
	var streams, detectors, parts [][]string
	for _, s := range all {
		streams = append(streams, []string{
			s.Upstream, s.Model, s.Null, s.Level, logM(s.LogM), fmt.Sprintf("%.2f", s.Alarm), fmt.Sprintf("%.2f", s.LogE), fmt.Sprint(s.N),
			fmt.Sprint(s.References), controlled(s.Control), cmp.Or(s.Silent, s.Unpaid),
		})
		for _, d := range s.Detectors {
			detectors = append(detectors, []string{
				s.Upstream, s.Model, s.Null, d.ID, fmt.Sprint(d.N), logM(d.LogM), fmt.Sprintf("%.2f", d.LogE), fmt.Sprintf("%d of %d", d.Month, d.Monthly), fmt.Sprint(d.Lost), d.Silent,
			})
		}
		for _, p := range s.Strata {
			if p.N > 0 {
				parts = append(parts, []string{s.Upstream, s.Model, s.Null, p.Name, fmt.Sprint(p.N), fmt.Sprintf("%.2f", p.LogE)})
			}
		}
	}
	w.table([]string{"UPSTREAM", "MODEL", "HYPOTHESIS", "LEVEL", ">LOG10 M", ">NEXT AT", ">LOG10 E", ">N", "REFERENCES", "REFERENCE ITSELF", "SILENT BECAUSE"}, streams)
	if len(detectors) > 0 {
		fmt.Fprintln(w.out)
		w.table([]string{"UPSTREAM", "MODEL", "HYPOTHESIS", "DETECTOR", ">N", ">LOG10 M", ">LOG10 E", ">THIS MONTH", ">LOST", "SILENT BECAUSE"}, detectors)
	}
	for _, s := range all {
		if s.Trial != nil {
			fmt.Fprintf(w.out, "\n%s, %s: taken out of routing; by evidence it may come back after %d observations of %s without a finding\n", visible(s.Upstream), visible(s.Model), s.Trial.Needed, s.Trial.By)
		}
	}
	if len(parts) > 0 {
		fmt.Fprintln(w.out)
		w.table([]string{"UPSTREAM", "MODEL", "HYPOTHESIS", "PART", ">N", ">LOG10 E"}, parts)
	}
}

// logM is the logarithm of a detector of change; one that has seen nothing has none.
func logM(v float64) string {
	if v <= -99 {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}

// controlled tells how the first reference stands against what was recorded of it.
func controlled(c *console.Control) string {
	switch {
	case c == nil:
		return "-" // not held against a stored one
	case c.Changed:
		return "changed"
	}
	return fmt.Sprintf("as recorded (%d answers, %.0f days left)", c.N, c.Days)
}
