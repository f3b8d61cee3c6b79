package upstreamtest

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Preset returns the configuration of a named relay, to which the caller adds the
// backends. A parameter follows a colon:
//
//	R0, R0b           honest; of R0b the backend is another deployment
//	R0c               honest failover: half of the requests go to Cheap
//	R1                swap
//	R2                the same; Cheap is the claimed model quantised
//	R3[:SHARE]        dilution; .1
//	R4[:WINDOW]       every second window goes to Cheap; 10m, or a number of requests
//	R5[:RULES]        real for what looks like a probe; rules, separated by commas, of
//	                  short, temperature, repeated, maxtokens, benchmark; all
//	R6[:N]            real for the first N requests of a key; 100
//	R7[:TOKENS]       Cheap for prompts of more tokens; 500
//	R8                R1, with Spoof for the caller to fill with the claimed cells
//	R9                R1 restyled by Plain
//	R10[:KNOB]        temperature (x1.3), topp (.8), maxtokens (64) or effort (low); temperature
//	R11[:TOKENS]      hidden system prompt; 150
//	R12[:CUT]         half of the context dropped: oldest, middle or tail; oldest
//	R13[:MODE]        cache: exact or normalised; exact
//	R14[:BILL]        xFACTOR, +TOKENS or reasoning (x3); x1.1
//	R15[:SHARE]       tampering after 50 requests; .02
//	R16[:STREAM]      whole answers chopped: at once (burst) or by timer (timer, 20 ms); timer
//
// R1 to R9 forge model, ids, fingerprint, time stamp and headers, recount usage by the
// vocabulary of the model asked for, and jitter. Their naive forms, R1n to R9n, do
// none of this.
func Preset(name string) (RelayConfig, error) {
	id, parameter, given := strings.Cut(name, ":")
	plain, naive := strings.CutSuffix(id, "n")
	p, ok := presets[plain]
	if !ok || naive && !p.forges || given && (p.set == nil || parameter == "") {
		return RelayConfig{}, fmt.Errorf("no relay is named %q", name)
	}
	cfg := p.cfg
	if p.forges && !naive {
		cfg.Forge = Forge{Model: "=", IDs: true, Fingerprint: "fp_upstreamtest", Created: true, Headers: true, Jitter: 20 * time.Millisecond}
		cfg.Bill.Recount = true
	}
	if p.set != nil {
		if err := p.set(&cfg, cmp.Or(parameter, p.parameter)); err != nil {
			return RelayConfig{}, fmt.Errorf("relay %q: %w", name, err)
		}
	}
	return cfg, nil
}

type preset struct {
	cfg       RelayConfig
	forges    bool
	parameter string // the usual one
	set       func(c *RelayConfig, parameter string) error
}

var swap = RelayConfig{Divert: Divert{Share: 1}}

var presets = map[string]preset{
	"R0":  {},
	"R0b": {},
	"R0c": {cfg: RelayConfig{Divert: Divert{Share: .5}}},
	"R1":  {cfg: swap, forges: true},
	"R2":  {cfg: swap, forges: true},
	"R3":  {forges: true, parameter: ".1", set: share(func(c *RelayConfig) *float64 { return &c.Divert.Share })},
	"R4":  {cfg: swap, forges: true, parameter: "10m", set: setWindow},
	"R5":  {cfg: swap, forges: true, parameter: "short,temperature,repeated,maxtokens,benchmark", set: setProbes},
	"R6":  {cfg: swap, forges: true, parameter: "100", set: wholeNumber(func(c *RelayConfig, n int64) { c.Divert.SpareFirst = int(n) })},
	"R7":  {cfg: swap, forges: true, parameter: "500", set: wholeNumber(func(c *RelayConfig, n int64) { c.Divert.LongerThan = n })},
	"R8":  {cfg: swap, forges: true},
	"R9":  {cfg: RelayConfig{Divert: Divert{Share: 1}, Restyle: Plain}, forges: true},
	"R10": {parameter: "temperature", set: one(map[string]func(*RelayConfig){
		"temperature": func(c *RelayConfig) { c.Sampler.Temperature = 1.3 },
		"topp":        func(c *RelayConfig) { c.Sampler.TopP = .8 },
		"maxtokens":   func(c *RelayConfig) { c.Sampler.MaxTokens = 64 },
		"effort":      func(c *RelayConfig) { c.Sampler.Effort = "low" },
	})},
	"R11": {parameter: "150", set: wholeNumber(func(c *RelayConfig, n int64) { c.Prompt.SystemTokens = n })},
	"R12": {cfg: RelayConfig{Prompt: Prompting{Keep: .5}}, parameter: "oldest", set: one(map[string]func(*RelayConfig){
		"oldest": func(c *RelayConfig) { c.Prompt.Cut = CutOldest },
		"middle": func(c *RelayConfig) { c.Prompt.Cut = CutMiddle },
		"tail":   func(c *RelayConfig) { c.Prompt.Cut = CutTail },
	})},
	"R13": {cfg: RelayConfig{Cache: Cache{CrossKey: true}}, parameter: "exact", set: one(map[string]func(*RelayConfig){
		"exact":      func(c *RelayConfig) { c.Cache.Exact = true },
		"normalised": func(c *RelayConfig) { c.Cache.Normalised = true },
	})},
	"R14": {parameter: "x1.1", set: setBill},
	"R15": {cfg: RelayConfig{Tamper: Tamper{After: 50}}, parameter: ".02", set: share(func(c *RelayConfig) *float64 { return &c.Tamper.Share })},
	"R16": {cfg: RelayConfig{Stream: Streaming{Buffer: true}}, parameter: "timer", set: one(map[string]func(*RelayConfig){
		"burst": func(*RelayConfig) {},
		"timer": func(c *RelayConfig) { c.Stream.Gap = 20 * time.Millisecond },
	})},
}

func share(of func(*RelayConfig) *float64) func(*RelayConfig, string) error {
	return func(c *RelayConfig, s string) error {
		p, err := strconv.ParseFloat(s, 64)
		if err != nil || !(p > 0 && p <= 1) {
			return fmt.Errorf("%q is no share above 0 and up to 1", s)
		}
		*of(c) = p
		return nil
	}
}

func wholeNumber(set func(*RelayConfig, int64)) func(*RelayConfig, string) error {
	return func(c *RelayConfig, s string) error {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no whole number above 0", s)
		}
		set(c, n)
		return nil
	}
}

func one(of map[string]func(*RelayConfig)) func(*RelayConfig, string) error {
	return func(c *RelayConfig, s string) error {
		set, ok := of[s]
		if !ok {
			return fmt.Errorf("%q is none of %s", s, strings.Join(sortedKeys(of), ", "))
		}
		set(c)
		return nil
	}
}

func setWindow(c *RelayConfig, s string) error {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		c.Divert.WindowRequests = n
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is neither a duration nor a number of requests", s)
	}
	c.Divert.Window = d
	return nil
}

func setProbes(c *RelayConfig, rules string) error {
	p := &c.Divert.Spare
	set := one(map[string]func(*RelayConfig){
		"short":       func(*RelayConfig) { p.ShorterThan = 64 },
		"temperature": func(*RelayConfig) { p.Temperature = true },
		"repeated":    func(*RelayConfig) { p.Repeated = true },
		"maxtokens":   func(*RelayConfig) { p.MaxTokens = 16 },
		"benchmark":   func(*RelayConfig) { p.Benchmarks = benchmarks },
	})
	for rule := range strings.SplitSeq(rules, ",") {
		if err := set(c, rule); err != nil {
			return err
		}
	}
	return nil
}

// benchmarks are turns of phrase of public benchmarks: GSM8K, MMLU, HumanEval, ARC
// and the prompts of well-known checks of models.
var benchmarks = []string{
	"natalia sold clips to", "janet s ducks lay", "the following are multiple choice questions", "answer the following multiple choice question",
	"check if in given list of numbers are any two numbers closer", "which property of a mineral can be determined just by looking",
	"how many r s are in strawberry", "think step by step", "knowledge cutoff", "which model are you", "random number",
}

func setBill(c *RelayConfig, s string) error {
	factor, isFactor := strings.CutPrefix(s, "x")
	added, isAdded := strings.CutPrefix(s, "+")
	switch {
	case s == "reasoning":
		c.Bill.Reasoning = 3
	case isFactor:
		f, err := strconv.ParseFloat(factor, 64)
		if err != nil || !(f > 0 && f <= 1000) {
			return fmt.Errorf("%q is no factor", s)
		}
		c.Bill.Factor = f
	case isAdded:
		return wholeNumber(func(c *RelayConfig, n int64) { c.Bill.Add = n })(c, added)
	default:
		return fmt.Errorf("%q is neither xFACTOR, +TOKENS nor reasoning", s)
	}
	return nil
}
