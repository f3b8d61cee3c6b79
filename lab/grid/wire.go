package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/probe"
	"sallyport/internal/stat"
	"sallyport/internal/tokens"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// wireRow is a line of the grid that is run over HTTP: a relay of upstreamtest before a
// simulated model, audited by the detectors that the banks cannot feed.
type wireRow struct {
	preset    string
	what      string
	label     verdict.Label // that a finding should bear; empty when nothing should be found
	by        []verdict.ID  // detectors that run; wireDetectors without any
	within    verdict.ID    // whose e-value the bar is on, if there is one
	published string
}

// wireRows are those of the grid.
var wireRows = []wireRow{
	{preset: "R0", what: "honest"},
	{preset: "R1n", what: "swap that forges nothing", label: verdict.Differs, published: publishedSwap},
	{preset: "R3n:.3", what: "dilution that forges nothing", label: verdict.Differs, published: publishedDilution},
	{preset: "R11:30", what: "hidden prompt of 30 tokens, usage reported as it is", label: verdict.ModifiedPrompt, published: publishedPrompt},
	{preset: "R11:150", what: "hidden prompt of 150 tokens", label: verdict.ModifiedPrompt, published: publishedPrompt},
	{preset: "R11:600", what: "hidden prompt of 600 tokens", label: verdict.ModifiedPrompt, published: publishedPrompt},
	{preset: "R12:middle", what: "half of the context dropped", label: verdict.ModifiedPrompt},
	{preset: "R13", what: "exact cache", label: verdict.IntegrityFailed},
	{preset: "R13:normalised", what: "cache of questions alike", label: verdict.IntegrityFailed},
	{preset: "R14:x1.1", what: "bills 1.1 times", label: verdict.BillingInconsistent, within: "D7", published: "Velasco: 70 outputs at 5 %"},
	{preset: "R14:x1.5", what: "bills 1.5 times", label: verdict.BillingInconsistent, within: "D7", published: "Velasco: 70 outputs at 5 %"},
	{preset: "R14:+50", what: "bills 50 tokens more", label: verdict.BillingInconsistent, within: "D7"},
	{preset: "R14:reasoning", what: "bills three times the hidden reasoning", label: verdict.BillingInconsistent, within: "D7", published: "token inflation: +1,469 % undetected"},
	{preset: "R0", what: "honest, before a model that copies", by: copying},
	{preset: "R15", what: "rewrites 2 % of install commands after 50 requests", label: verdict.IntegrityFailed, by: copying, published: publishedNone},
	{preset: "R15:1", what: "rewrites all install commands after 50 requests", label: verdict.IntegrityFailed, by: copying, published: publishedNone},
	{preset: "R16", what: "chops whole answers by a timer", label: verdict.IntegrityFailed},
}

// copying is the detector that runs before a model that copies, of a relay that has had
// its first 50 requests.
var copying = []verdict.ID{"D8"}

// wireDetectors are those that run before upstreamtest's models, and wireColumns all
// that the table has.
var (
	wireDetectors = []verdict.ID{"D1", "D7", "D9", "D10"}
	wireColumns   = []verdict.ID{"D1", "D7", "D8", "D9", "D10"}
)

// name tells rows of one relay apart.
func (r *wireRow) name() string {
	if r.by != nil {
		return r.preset + " copying"
	}
	return r.preset
}

// detectors are those that run on the row.
func (r *wireRow) detectors() []verdict.ID {
	if r.by != nil {
		return r.by
	}
	return wireDetectors
}

// wireModel is a model whose tokens are counted by a published vocabulary.
const wireModel = "gpt-4o"

// wired is a relay with its backends, running.
type wired struct {
	endpoint *probe.Endpoint
	close    []func() error
}

// startWire starts a relay and its two simulated models.
func startWire(preset string, copies bool, seed [32]byte) (w *wired, err error) {
	w = &wired{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start relay %s: %w", preset, err), w.Close())
		}
	}()
	cfg, err := upstreamtest.Preset(preset)
	if err != nil {
		return w, err
	}
	start := func(o upstreamtest.Oracle) (string, error) {
		s, err := upstreamtest.Start(upstreamtest.Config{Oracle: &o, NoDirectives: true, Models: []upstreamtest.Model{{ID: wireModel}}})
		if err != nil {
			return "", err
		}
		w.close = append(w.close, s.Close)
		return s.URL(), nil
	}
	name := fmt.Sprintf("%x", seed)
	if cfg.Backend, err = start(upstreamtest.Oracle{Seed: name + "claimed", Family: "f", Tokens: tokens.Named("o200k_base"), Rate: 20000, Reasoning: 40}); err != nil {
		return w, err
	}
	if cfg.Cheap, err = start(upstreamtest.Oracle{Seed: name + "other", Family: "g", Tokens: tokens.Named("cl100k_base"), Rate: 20000}); err != nil {
		return w, err
	}
	if copies {
		copier := startCopier()
		w.close = append(w.close, func() error { copier.Close(); return nil })
		cfg.Backend, cfg.Tamper.After = copier.URL, 0
	}
	cfg.Bill.Vocabulary = tokens.Named("o200k_base")
	relay, err := upstreamtest.StartRelay(cfg)
	if err != nil {
		return w, err
	}
	w.close = append(w.close, relay.Close)
	w.endpoint, err = probe.NewEndpoint(probe.EndpointConfig{URL: relay.URL() + "/v1", Model: wireModel, Timeout: time.Minute})
	return w, err
}

// Close stops everything, the relay before its backends.
func (w *wired) Close() error {
	if w.endpoint != nil {
		w.endpoint.Close()
	}
	var errs []error
	for _, stop := range slices.Backward(w.close) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// auditWire runs one audit over HTTP, beside a trusted endpoint of the same model.
func auditWire(ctx context.Context, r *wireRow, i int, seed [32]byte) (res result, err error) {
	suspect, err := startWire(r.preset, r.by != nil, stat.Seed(seed, "suspect"))
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, suspect.Close()) }()
	trusted, err := startWire("R0", r.by != nil, stat.Seed(seed, "trusted"))
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	budgets := map[verdict.ID]int{}
	for _, id := range r.detectors() {
		budgets[id] = probe.Vet.Budgets[id]
	}
	report, _, err := probe.Run(ctx, probe.Config{
		Subject: suspect.endpoint, Trusted: trusted.endpoint, Profile: probe.Profile{Name: "lab", Budgets: budgets}, Price: free,
		Beacon: func(context.Context, string) (verdict.Beacon, error) {
			return verdict.Beacon{Value: fmt.Sprintf("%x", seed), Source: "lab"}, nil
		},
	})
	if err != nil {
		return result{}, fmt.Errorf("audit %s over HTTP: %w", r.preset, err)
	}
	res = result{Audit: i, Crossed: map[string]crossing{}, Labels: []string{string(report.Headline)}}
	for _, d := range report.Detectors {
		if !slices.Contains(r.detectors(), d.ID) || d.State != verdict.Ran {
			continue
		}
		c := crossing{}
		for _, e := range d.Evidence {
			if x := crossings(e.Curve, e.MaxLogE); better(x.One, c.One) || c.One == 0 && better(x.Five, c.Five) {
				c = x
			}
		}
		c.N = d.Queries
		res.Crossed[string(d.ID)] = c
		for _, f := range d.Findings {
			res.Labels = append(res.Labels, string(d.ID)+": "+string(f.Label))
		}
	}
	return res, nil
}

// better reports whether a level was reached, and sooner.
func better(a, b int) bool { return a > 0 && (b == 0 || a < b) }
