package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"sallyport/internal/probe"
	"sallyport/internal/stat"
	"sallyport/internal/tokens"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// wireRow is a line of the grid that is run over HTTP: a relay of upstreamtest before a
// simulated model, audited by the detectors that the banks cannot feed.
type wireRow struct {
	preset    string
	what      string
	before    backend
	falls     bool // the relay answers unknown models from the cheap backend
	label     verdict.Label
	budget    int        // questions of a row of one detector; the product's for new endpoints when 0
	within    verdict.ID // whose e-value the bar is on, if there is one
	published string
}

// backend is what stands behind a relay.
type backend string

// The backends. The usual one is a simulated model of upstreamtest.
const (
	usual      backend = ""
	copying    backend = "copying" // for the check for tampering
	thinking   backend = "thinking"
	unthinking backend = "unthinking" // another model in the place of the one that thinks
)

// wireRows are those of the grid. A label is what a finding should bear; where there is
// none nothing should be found.
var wireRows = []wireRow{
	{preset: "R0", what: "honest"},
	{preset: "R1", what: "swap that forges what it can", label: verdict.Differs, published: publishedSwap},
	{preset: "R1n", what: "swap that forges nothing", label: verdict.Differs, published: publishedSwap},
	{preset: "R3:.3", what: "dilution that forges what it can", label: verdict.Differs, published: publishedDilution},
	{preset: "R3n:.3", what: "dilution that forges nothing", label: verdict.Differs, published: publishedDilution},
	{preset: "R0", what: "another model for names that do not exist", falls: true, label: verdict.IntegrityFailed},
	{preset: "R10:temperature", what: "1.3 times the temperature"},
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
	{preset: "R16", what: "chops whole answers by a timer", label: verdict.IntegrityFailed},
	{preset: "R0", what: "honest, before a model that signs its thinking", before: thinking},
	{preset: "R1n", what: "another model, before which thinking is not checked", before: unthinking, label: verdict.IdentityFailed},
	{preset: "R0", what: "honest, before a model that copies", before: copying},
	{preset: "R0", what: "the same, many questions", before: copying, budget: manyCopies},
	{preset: "R15", what: "rewrites 2 % of answers after 50 requests", before: copying, label: verdict.IntegrityFailed, published: publishedNone},
	{preset: "R15", what: "the same, many questions", before: copying, budget: manyCopies, label: verdict.IntegrityFailed, published: publishedNone},
	{preset: "R15:.3", what: "rewrites 30 % of answers", before: copying, label: verdict.IntegrityFailed, published: publishedNone},
	{preset: "R15:1", what: "rewrites all answers", before: copying, label: verdict.IntegrityFailed, published: publishedNone},
}

// manyCopies is how many questions to copy it takes to find a relay that rewrites one
// answer in fifty.
const manyCopies = 320

// wireDetectors run before each backend, and wireColumns are all that the table has.
var (
	wireDetectors = map[backend][]verdict.ID{usual: {"D1", "D2", "D7", "D9", "D10"}, copying: {"D8"}, thinking: {"D2"}, unthinking: {"D2"}}
	wireColumns   = []verdict.ID{"D1", "D2", "D7", "D8", "D9", "D10"}
)

// name tells rows of one relay apart.
func (r *wireRow) name() string {
	name := strings.TrimSpace(r.preset + " " + string(r.before))
	if r.falls {
		name += " falling back"
	}
	if r.budget > 0 {
		name += fmt.Sprintf(" %d", r.budget)
	}
	return name
}

// budgets are the questions of each detector that runs on the row.
func (r *wireRow) budgets() map[verdict.ID]int {
	all := map[verdict.ID]int{}
	for _, id := range wireDetectors[r.before] {
		all[id] = cmp.Or(r.budget, probe.Vet.Budgets[id])
	}
	return all
}

// wireModel is a model whose tokens are counted by a published vocabulary.
const wireModel = "gpt-4o"

// wired is a relay with its backends, running.
type wired struct {
	endpoint *probe.Endpoint
	close    []func() error
}

// startWire starts a relay and what stands behind it.
func startWire(r *wireRow, seed [32]byte) (w *wired, err error) {
	w = &wired{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start relay %s: %w", r.preset, err), w.Close())
		}
	}()
	cfg, err := upstreamtest.Preset(r.preset)
	if err != nil {
		return w, err
	}
	cfg.Seed = binary.BigEndian.Uint64(seed[:])
	if cfg.Backend, err = w.startModel("claimed", seed, upstreamtest.Oracle{Family: "f", Tokens: tokens.Named("o200k_base"), Rate: 20000, Reasoning: 40}); err != nil {
		return w, err
	}
	if cfg.Cheap, err = w.startModel("other", seed, upstreamtest.Oracle{Family: "g", Tokens: tokens.Named("cl100k_base"), Rate: 20000}); err != nil {
		return w, err
	}
	endpoint := probe.EndpointConfig{Model: wireModel, Timeout: time.Minute}
	switch r.before {
	case copying:
		cfg.Backend, cfg.Tamper.After = w.start(startCopier()), 0 // audited after its first 50 requests
	case thinking, unthinking:
		cfg.Backend = w.start(startClaude(r.before == unthinking))
		endpoint.Model, endpoint.Kind = claudeModel, upstream.Anthropic
	}
	if r.falls {
		cfg.Fallback = wireModel
	}
	cfg.Bill.Vocabulary = tokens.Named("o200k_base")
	relay, err := upstreamtest.StartRelay(cfg)
	if err != nil {
		return w, err
	}
	w.close = append(w.close, relay.Close)
	endpoint.URL = relay.URL() + "/v1"
	w.endpoint, err = probe.NewEndpoint(endpoint)
	return w, err
}

// startModel starts a simulated model.
func (w *wired) startModel(name string, seed [32]byte, o upstreamtest.Oracle) (string, error) {
	o.Seed = fmt.Sprintf("%x%s", seed, name)
	s, err := upstreamtest.Start(upstreamtest.Config{Oracle: &o, NoDirectives: true, Models: []upstreamtest.Model{{ID: wireModel}}})
	if err != nil {
		return "", err
	}
	w.close = append(w.close, s.Close)
	return s.URL(), nil
}

// start takes over a server that runs.
func (w *wired) start(s *httptest.Server) string {
	w.close = append(w.close, func() error { s.Close(); return nil })
	return s.URL
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
	suspect, err := startWire(r, stat.Seed(seed, "suspect"))
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, suspect.Close()) }()
	honest := wireRow{preset: "R0", before: r.before}
	if r.before == unthinking {
		honest.before = thinking
	}
	trusted, err := startWire(&honest, stat.Seed(seed, "trusted"))
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	budgets := r.budgets()
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
		if budgets[d.ID] == 0 || d.State != verdict.Ran {
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
