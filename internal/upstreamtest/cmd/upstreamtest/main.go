// Command upstreamtest runs a test provider for clients in other languages. It
// prints its address on standard output and serves until it is interrupted or,
// with -stdin, until standard input ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"sallyport/internal/upstreamtest"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "upstreamtest:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("upstreamtest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	vendor := flags.String("vendor", "openai", "whose API to speak: openai, anthropic or gemini")
	listen := flags.String("listen", "127.0.0.1:0", "loopback `address` to listen on")
	key := flags.String("key", "", "the `credential` to insist on; none accepts every caller")
	logPath := flags.String("log", "", "append one JSON line a request to this `file`, before answering")
	headers := flags.Bool("log-headers", false, "log request headers, credentials included")
	bodies := flags.Int("log-body", 0, "log this many `bytes` of each body")
	models := flags.String("models", "", "comma separated `names` to offer")
	behaviour := flags.String("behaviour", "", "`knobs` of every request, such as \"gap=10ms frames=40\"")
	untilEOF := flags.Bool("stdin", false, "stop when standard input ends")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: upstreamtest [flags]\n\nFlags:")
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "\nKnobs, for -behaviour and for a directive such as [[status=429 retry-after=3]] in the last user text:")
		for _, k := range upstreamtest.Knobs() {
			fmt.Fprintf(stderr, "  %-16s %s\n", k.Name, k.Help)
		}
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	b, err := upstreamtest.ParseBehaviour(upstreamtest.Behaviour{}, *behaviour)
	if err != nil {
		return err
	}
	cfg := upstreamtest.Config{
		Vendor: upstreamtest.Vendor(*vendor), Listen: *listen, Key: *key, Behaviour: b,
		LogPath: *logPath, LogHeaders: *headers, LogBody: *bodies,
	}
	if *models != "" {
		for name := range strings.SplitSeq(*models, ",") {
			cfg.Models = append(cfg.Models, upstreamtest.Model{ID: strings.TrimSpace(name)})
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := upstreamtest.Start(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, s.URL())
	if *untilEOF {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, stdin) // any error ends it as well
		}()
		select {
		case <-ended:
		case <-ctx.Done():
		}
	} else {
		<-ctx.Done()
	}
	return s.Close()
}
