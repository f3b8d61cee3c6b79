package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/config"
)

func serveCommand(f *flags) *cobra.Command {
	var listen, adminListen string
	c := &cobra.Command{
		Use: "serve", Short: "Run the gateway", Args: cobra.NoArgs,
		Long: "Run the gateway. Without a configuration file it serves what the keys in the environment\n(OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, ...) and model servers on this machine offer.",
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), f, listen, adminListen) },
	}
	c.Flags().StringVar(&listen, "listen", "", "address of the data plane (default 127.0.0.1:8484)")
	c.Flags().StringVar(&adminListen, "admin-listen", "", "address of the admin listener (default 127.0.0.1:8485)")
	return c
}

// serve runs the gateway until it is told to stop.
func serve(ctx context.Context, f *flags, listen, adminListen string) error {
	tuneMemory()
	log, err := logger(f.config)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // before the start, which it would end
	defer signal.Stop(hup)
	a, err := app.New(ctx, app.Options{
		ConfigFile: f.config, Data: f.data, Listen: listen, AdminListen: adminListen, Version: version(),
		Env: os.LookupEnv, Logger: log, Notice: os.Stderr, Terminal: terminal(os.Stderr),
	})
	if errors.Is(err, app.ErrRunning) {
		return fmt.Errorf("%w; stop it first, or use another folder with --data", err)
	}
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	for {
		select {
		case <-hup:
			_ = a.Reload(ctx) // logged there; what was in force stays
		case err := <-done:
			return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
		}
	}
}

// tuneMemory lets the heap grow further between collections than Go's default:
// request bodies are short-lived and the live heap is small. GOGC and GOMEMLIMIT
// of the environment win.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// logger is what the configuration asks for: text on a terminal and JSON
// elsewhere unless it says otherwise. Both forms escape control characters.
func logger(file string) (*slog.Logger, error) {
	c := config.Default()
	if file != "" {
		var err error
		if c, err = config.Load(file); err != nil {
			return nil, err
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == config.Text || c.Log.Format == "" && terminal(os.Stderr) {
		return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
}
