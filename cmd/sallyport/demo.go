package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/demo"
)

func demoCommand(f *flags) *cobra.Command {
	var cfg demo.Config
	c := &cobra.Command{
		Use: "demo", Short: "Watch a relay begin to cheat, be found, and lose its traffic",
		Long: `Runs a gateway in front of a relay that, after a while, secretly serves another model. Traffic
flows, the comparison with trusted deployments notices, the verdict falls, the route moves, and
the evidence is shown. It takes about a minute and needs no key, no model and no network: the
providers are simulated on this machine, and everything else is the real thing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.demo(cmd, cfg) },
	}
	c.Flags().StringVar(&cfg.Keep, "keep", "", "keep what the gateway wrote in this folder, which must be new or empty")
	c.Flags().BoolVar(&cfg.Fast, "fast", false, "as fast as this machine can")
	return c
}

// demo tells the story as it happens.
func (f *flags) demo(cmd *cobra.Command, cfg demo.Config) error {
	o := f.output(cmd)
	cfg.Version = version()
	cfg.Tell = func(e demo.Event) {
		_ = o.value(e, func() { // nobody listens any more, or the end tells
			for i, line := range strings.Split(e.Text, "\n") {
				at := strings.Repeat(" ", 7)
				if i == 0 {
					at = fmt.Sprintf("%6.1fs", e.Seconds)
				}
				fmt.Fprintln(o.out, at+"  "+visible(line))
			}
		})
	}
	err := demo.Run(cmd.Context(), cfg)
	if errors.Is(err, context.Canceled) {
		return &exitError{exitInterrupted, "interrupted"}
	}
	return err
}
