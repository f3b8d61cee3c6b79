// Command bench measures what Sallyport costs and proves what it must not lose,
// against baselines that run beside it on the same machine in the same minutes.
// README.md says how to run it and how to read what it prints.
//
// It knows the gateway only as a built binary with its documented command line
// and configuration file. It runs on Linux: it reads /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// command is one verb of bench.
type command struct {
	name  string
	help  string
	child bool // runs as a process that another verb starts
	run   func(context.Context, options) error
}

func commands() []command {
	return []command{
		{"compare", "CPU a request and added latency, interleaved with the baselines", false, runCompare},
		{"translate", "CPU a request and a frame, to an upstream of another format beside one of the same", false, runTranslate},
		{"memory", "resident memory idle and with open streams, and time to ready", false, runMemory},
		{"cut", "streams cut against an upstream that answers at once", false, runCut},
		{"kill", "kill -9 the gateway under load and judge its records by the upstream's", false, runKill},
		{"all", "everything above", false, runAll},
		{"smoke", "a short run of everything, under a minute; not for figures", false, runSmoke},
		{"mock", "the upstream", true, runMock},
		{"rp", "bare httputil.ReverseProxy", true, runBareProxy},
		{"rpbuf", "httputil.ReverseProxy with a buffer pool and a tuned transport", true, runTunedProxy},
	}
}

// options are the flags of every verb.
type options struct {
	gateway   string // path of the sallyport binary; built when empty
	targets   []string
	reference string
	sizes     []string
	rounds    int
	slice     time.Duration
	conns     int
	out       string // where the JSON results go

	streams int // of memory and kill
	cuts    int // streams of cut
	kills   int
	starts  int // how often memory times a start
	seed    uint64
	keep    bool // keep the working folder

	listen   string // of child processes
	upstream string
	log      string
	early    string // of mock
}

func parse(args []string) (command, options, error) {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Usage = func() { usage(f) }
	f.StringVar(&o.gateway, "gateway", "", "sallyport `binary`; built from ./cmd/sallyport when empty")
	targets := f.String("targets", "direct,rp,rpbuf,sallyport,sallyport-nohash", "what to compare")
	f.StringVar(&o.reference, "reference", "rpbuf", "the `target` that ratios are taken to")
	sizes := f.String("sizes", strings.Join(scenarioNames(), ","), "what to send")
	f.IntVar(&o.rounds, "rounds", 6, "rounds; each runs every target twice, there and back")
	f.DurationVar(&o.slice, "slice", time.Second, "time of one slice")
	f.IntVar(&o.conns, "conns", 16, "connections in a closed loop")
	f.StringVar(&o.out, "json", "", "write the results to this `file` too")
	f.IntVar(&o.streams, "streams", 0, "open streams: memory 500, kill 200 when 0")
	f.IntVar(&o.starts, "starts", 7, "how often memory times a start")
	f.IntVar(&o.cuts, "n", 10_000, "streams of cut")
	f.IntVar(&o.kills, "kills", 20, "how often kill kills")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the moments of kill; from the clock when 0")
	f.BoolVar(&o.keep, "keep", false, "keep the working folder and say where it is")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` of mock, rp and rpbuf")
	f.StringVar(&o.upstream, "upstream", "", "`URL` behind rp and rpbuf")
	f.StringVar(&o.log, "log", "", "mock: append one line a request to this `file`, before answering")
	f.StringVar(&o.early, "early", "", "mock: stream \"first\" (the first frame) or \"all\" before reading the body")
	// The verb may stand before or after the flags.
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if err := f.Parse(args); err != nil {
		return command{}, o, err
	}
	if name == "" && f.NArg() == 1 {
		name = f.Arg(0)
	} else if f.NArg() > 0 {
		return command{}, o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if name == "" {
		name = "compare"
	}
	i := slices.IndexFunc(commands(), func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, o, fmt.Errorf("unknown verb %q", name)
	}
	o.targets, o.sizes = strings.Split(*targets, ","), strings.Split(*sizes, ",")
	return commands()[i], o, o.check()
}

// check bounds what the flags ask for.
func (o options) check() error {
	switch {
	case o.rounds < 1 || o.rounds > 1000:
		return errors.New("-rounds must be 1 to 1000")
	case o.slice < 50*time.Millisecond || o.slice > time.Minute:
		return errors.New("-slice must be 50ms to 1m")
	case o.conns < 1 || o.conns > 1024:
		return errors.New("-conns must be 1 to 1024")
	case o.streams < 0 || o.streams > 10_000:
		return errors.New("-streams must be 0 to 10000")
	case o.starts < 1 || o.starts > 100:
		return errors.New("-starts must be 1 to 100")
	case o.cuts < 1 || o.cuts > 1_000_000:
		return errors.New("-n must be 1 to 1000000")
	case o.kills < 1 || o.kills > 1000:
		return errors.New("-kills must be 1 to 1000")
	}
	if !slices.Contains([]string{"", "first", "all"}, o.early) {
		return fmt.Errorf("-early is first or all, not %q", o.early)
	}
	for _, t := range o.targets {
		if !slices.Contains([]string{"direct", "rp", "rpbuf", "sallyport", "sallyport-nohash", "sallyport-nocount", "sallyport-watch", "sallyport-watch-path"}, t) {
			return fmt.Errorf("unknown target %q", t)
		}
	}
	for _, s := range o.sizes {
		if !slices.Contains(scenarioNames(), s) {
			return fmt.Errorf("unknown size %q", s)
		}
	}
	return nil
}

func usage(f *flag.FlagSet) {
	fmt.Fprintln(f.Output(), "usage: go run ./bench [verb] [flags]\n\nVerbs:")
	for _, c := range commands() {
		note := ""
		if c.child {
			note = " (started by the others)"
		}
		fmt.Fprintf(f.Output(), "  %-9s %s%s\n", c.name, c.help, note)
	}
	fmt.Fprintln(f.Output(), "\nFlags:")
	f.PrintDefaults()
}

func main() {
	c, o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// runAll runs every measurement with the sizes that the figures are quoted for.
func runAll(ctx context.Context, o options) error {
	return inTurn(ctx, o, runCompare, runTranslate, runMemory, runCut, runKill)
}

// runSmoke runs everything briefly, to show that it works.
func runSmoke(ctx context.Context, o options) error {
	o.rounds, o.slice, o.sizes = 1, 150*time.Millisecond, []string{"1KB", "stream"}
	o.streams, o.starts, o.cuts, o.kills = 50, 2, 300, 3
	return inTurn(ctx, o, runCompare, runTranslate, runMemory, runCut, runKill)
}

// inTurn builds the gateway once and runs each, also after one has failed.
func inTurn(ctx context.Context, o options, runs ...func(context.Context, options) error) error {
	w, err := newWorkplace(o)
	if err != nil {
		return err
	}
	defer w.close()
	if o.gateway, err = w.build(ctx); err != nil {
		return err
	}
	var failed []error
	for _, run := range runs {
		if ctx.Err() == nil {
			failed = append(failed, run(ctx, o))
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}
