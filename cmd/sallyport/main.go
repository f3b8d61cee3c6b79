// Command sallyport is the gateway and everything an operator does with it.
// Every verb but serve and config speaks to the running gateway through the
// socket in its data folder; with no gateway running it opens the folder itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, stable.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitFinding     = 3
	exitAuth        = 4
	exitUnreachable = 5
	exitInterrupted = 130
)

// exitError carries the exit code of a failure. An empty text was told already.
type exitError struct {
	code int
	text string
}

// Error implements error.
func (e *exitError) Error() string { return e.text }

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	root := newRoot()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, "sallyport:", visibleText(text))
	}
	if c := code(err); c != exitFailure || ctx.Err() == nil {
		return c
	}
	return exitInterrupted
}

// code is the exit code of a failure.
func code(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return exitFailure
}

// flags are shared by all verbs.
type flags struct {
	data   string
	config string
	json   bool

	// founds is set by verbs that make a data folder where none is. Every other verb
	// would report on an empty one: no spending, no finding.
	founds bool
}

func (f *flags) output(cmd *cobra.Command) output { return output{cmd.OutOrStdout(), f.json} }

func newRoot() *cobra.Command {
	f := &flags{}
	root := &cobra.Command{
		Use:           "sallyport",
		Short:         "The AI gateway in which no upstream is believed",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exitError{exitUsage, err.Error() + "; see: " + cmd.CommandPath() + " --help"}
	})
	p := root.PersistentFlags()
	p.StringVar(&f.data, "data", "", "data folder (default ./data, or what the configuration says)")
	p.StringVar(&f.config, "config", "", "configuration file")
	p.BoolVar(&f.json, "json", false, "print JSON, one document a line")
	root.AddCommand(
		serveCommand(f), chatCommand(f), keysCommand(f), adminCommand(f), secretCommand(f), usageCommand(f), logsCommand(f), logCommand(f),
		modelsCommand(f), upstreamsCommand(f), auditCommand(f), referenceCommand(f), demoCommand(f), policyCommand(f), configCommand(f), doctorCommand(f), versionCommand(f),
	)
	usageErrors(root)
	return root
}

// usageErrors makes wrong and missing arguments exit with the code for usage.
func usageErrors(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &exitError{exitUsage, err.Error() + "; see: " + cmd.CommandPath() + " --help"}
			}
			return nil
		}
	}
	if c.RunE != nil {
		c.PreRunE = func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateRequiredFlags(); err != nil {
				return &exitError{exitUsage, err.Error() + "; see: " + cmd.CommandPath() + " --help"}
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = nil
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return &exitError{exitUsage, fmt.Sprintf("%q is not a verb of %s; see: %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())}
		}
		c.Args = cobra.ArbitraryArgs
	}
	for _, sub := range c.Commands() {
		usageErrors(sub)
	}
}

// buildVersion is set by the linker for releases.
var buildVersion string

// version is the release, or the commit that the binary was built from.
func version() string {
	if buildVersion != "" {
		return buildVersion
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision == "" {
		return "devel"
	}
	return "devel-" + revision + dirty
}

func versionCommand(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.output(cmd).value(map[string]string{"version": version()}, func() { fmt.Fprintln(cmd.OutOrStdout(), "sallyport", version()) })
		},
	}
}
