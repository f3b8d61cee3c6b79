// Command upstreamtest runs a test provider, or with -relay a relay that cheats, for
// clients in other languages. It prints its address on standard output and serves
// until it is interrupted or, with -stdin, until standard input ends.
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
	relay := flags.String("relay", "", "run this `preset` of relays, such as R1 or R3:0.2, instead of a provider; needs -backend")
	backend := flags.String("backend", "", "base `URL` of what the relay claims to serve")
	cheap := flags.String("cheap", "", "base `URL` of what it serves instead")
	cheapModel := flags.String("cheap-model", "", "the `name` of the model there")
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
	var s running
	var err error
	if *relay != "" {
		s, err = startRelay(*relay, upstreamtest.RelayConfig{Listen: *listen, Backend: *backend, Cheap: *cheap, CheapModel: *cheapModel})
	} else {
		s, err = startServer(upstreamtest.Config{
			Vendor: upstreamtest.Vendor(*vendor), Listen: *listen, Key: *key, LogPath: *logPath, LogHeaders: *headers, LogBody: *bodies,
		}, *behaviour, *models)
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
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

// running is a provider or a relay.
type running interface {
	URL() string
	Close() error
}

func startServer(cfg upstreamtest.Config, behaviour, models string) (running, error) {
	var err error
	if cfg.Behaviour, err = upstreamtest.ParseBehaviour(upstreamtest.Behaviour{}, behaviour); err != nil {
		return nil, err
	}
	if models != "" {
		for name := range strings.SplitSeq(models, ",") {
			cfg.Models = append(cfg.Models, upstreamtest.Model{ID: strings.TrimSpace(name)})
		}
	}
	return upstreamtest.Start(cfg)
}

// startRelay starts a relay of a preset before the servers of where.
func startRelay(preset string, where upstreamtest.RelayConfig) (running, error) {
	cfg, err := upstreamtest.Preset(preset)
	if err != nil {
		return nil, err
	}
	cfg.Listen, cfg.Backend, cfg.Cheap, cfg.CheapModel = where.Listen, where.Backend, where.Cheap, where.CheapModel
	return upstreamtest.StartRelay(cfg)
}
