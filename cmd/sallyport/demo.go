package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"unicode/utf8"

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
	width, colour := paper(cmd.OutOrStdout())
	cfg.Version = version()
	signal.Ignore(syscall.SIGPIPE) // who stops to listen ends the demo, and that clears up
	cfg.Tell = func(e demo.Event) error {
		if f.json {
			return o.value(e, nil)
		}
		_, err := io.WriteString(o.out, narration(e, width, colour))
		return err
	}
	err := demo.Run(cmd.Context(), cfg)
	if errors.Is(err, context.Canceled) {
		return &exitError{exitInterrupted, "interrupted"}
	}
	return err
}

// narration is an event as lines for people.
func narration(e demo.Event, width int, colour bool) string {
	at, plain, bold := fmt.Sprintf("%6.1fs  ", e.Seconds), "", ""
	if colour && turningPoint(e.Name) {
		bold, plain = "\x1b[1m", "\x1b[m"
	}
	var b strings.Builder
	for line := range strings.Lines(e.Text) {
		for _, part := range wrap(visible(strings.TrimSuffix(line, "\n")), width-len(at)) {
			b.WriteString(at + bold + part + plain + "\n")
			at = strings.Repeat(" ", len(at))
		}
	}
	return b.String()
}

// turningPoint reports whether an event is one that nobody who watches shall miss.
func turningPoint(name string) bool {
	switch name {
	case demo.Cheating, demo.Verdict, demo.Route, demo.End:
		return true
	}
	return false
}

// wrap breaks a line at spaces where it is wider than a column.
func wrap(line string, width int) []string {
	var parts []string
	for utf8.RuneCountInString(line) > width {
		at := strings.LastIndexByte(string([]rune(line)[:width+1]), ' ')
		if strings.TrimSpace(line[:max(at, 0)]) == "" {
			break // one word
		}
		parts, line = append(parts, line[:at]), line[at+1:]
	}
	return append(parts, line)
}
